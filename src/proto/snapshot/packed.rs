//! Rows as they lie in history: each field in as many bits as its raw numbers need, none of them across two words.
//!
//! A server keeps the rows of 32 snapshots, and looks at three of them for what changed. So they are small there, and
//! unfolded when they are looked at. Knows codings. Has no idea of entities and ticks.

use super::quantity::Coding;

/// Where a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    coding: Coding,
    /// As many ones as the raw number has bits.
    ones: u32,
    word: u8,
    shift: u8,
}

/// Where the fields of a kind lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    places: Box<[Place]>,
    /// How many fields each word has.
    words: Box<[u8]>,
}

impl Layout {
    /// One field after the other; at most 32 bits each, so that no more words than fields are needed.
    pub(super) fn new(codings: &[Coding]) -> Self {
        let (mut words, mut shift) = (vec![0_u8], 0);
        let places = codings.iter().map(|coding| {
            if shift + coding.bits > u64::BITS {
                words.push(0);
                shift = 0;
            }
            let word = words.len() - 1;
            words[word] += 1;
            let place = Place {
                coding: *coding,
                ones: ((1_u64 << coding.bits) - 1) as u32,
                word: word as u8,
                shift: shift as u8,
            };
            shift += coding.bits;
            place
        });
        let places = places.collect();
        let words = words.into();
        Self { places, words }
    }

    /// How many fields there are.
    pub(super) const fn fields(&self) -> usize {
        self.places.len()
    }

    /// How many words a row takes.
    pub(super) const fn words(&self) -> usize {
        self.words.len()
    }

    /// Appends a row of values that the fields can hold, and says how many words it took.
    pub(super) fn pack(&self, values: &[i32], out: &mut Vec<u64>) -> usize {
        let start = out.len();
        out.resize(start + self.words.len(), 0);
        let words = out.get_mut(start..).unwrap_or(&mut []);
        for (place, value) in self.places.iter().zip(values) {
            if let Some(word) = words.get_mut(usize::from(place.word)) {
                *word |= u64::from(place.coding.raw(*value)) << place.shift;
            }
        }
        self.words.len()
    }
}

/// A row in history.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedRow<'a> {
    layout: &'a Layout,
    words: &'a [u64],
}

impl<'a> PackedRow<'a> {
    pub(super) const fn new(layout: &'a Layout, words: &'a [u64]) -> Self {
        Self { layout, words }
    }

    /// The values, in the order of the fields.
    pub(super) fn values(self) -> impl Iterator<Item = i32> {
        (0..self.layout.fields()).filter_map(move |field| self.value(field))
    }

    /// One of them.
    pub(super) fn value(self, field: usize) -> Option<i32> {
        let place = self.layout.places.get(field)?;
        let word = self.words.get(usize::from(place.word))?;
        let raw = (word >> place.shift) as u32 & place.ones;
        Some(place.coding.value(raw))
    }

    /// All of them, in memory that the next one uses again.
    #[inline]
    pub(super) fn unfold(self, values: &mut Vec<i32>) -> &[i32] {
        values.clear();
        let mut places = &*self.layout.places;
        // Word by word: this is done three times for whoever moved.
        for (word, fields) in self.words.iter().zip(&self.layout.words) {
            let (these, others) = places.split_at(usize::from(*fields));
            places = others;
            let mut rest = *word;
            values.extend(these.iter().map(|place| {
                let raw = rest as u32 & place.ones;
                rest >>= place.coding.bits;
                place.coding.value(raw)
            }));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::super::Quantity;
    use super::*;
    use proptest::prelude::*;

    fn quantities() -> impl Strategy<Value = Quantity> {
        let bits = 1_u32..=32;
        prop_oneof![
            bits.clone().prop_map(|bits| Quantity::Unsigned { bits }),
            bits.clone().prop_map(|bits| Quantity::Signed { bits }),
            bits.clone().prop_map(|bits| Quantity::Angle { bits }),
            bits.prop_map(|bits| Quantity::Flags { bits }),
            Just(Quantity::Ranged {
                min: -3.0,
                max: 5.0,
                step: 0.1
            }),
        ]
    }

    proptest! {
        #[test]
        fn rows_come_back_and_lie_densely(
            fields in prop::collection::vec((quantities(), any::<i32>()), 1..33),
        ) {
            let codings: Vec<_> = fields.iter().map(|(quantity, _)| quantity.coding()).collect();
            let values: Vec<_> = fields
                .iter()
                .zip(&codings)
                .map(|((_, value), coding)| coding.clamp(*value))
                .collect();
            let layout = Layout::new(&codings);
            let mut words = vec![7];
            let taken = layout.pack(&values, &mut words);
            prop_assert_eq!(taken, words.len() - 1);
            // At most half of a word is left empty at its end.
            let bits: u32 = codings.iter().map(|coding| coding.bits).sum();
            prop_assert!(taken as u32 <= bits.div_ceil(33));
            let row = PackedRow::new(&layout, &words[1..]);
            prop_assert!(row.values().eq(values.iter().copied()));
            let mut memory = vec![1, 2];
            prop_assert_eq!(row.unfold(&mut memory), &values[..]);
            for (field, value) in values.iter().enumerate() {
                prop_assert_eq!(row.value(field), Some(*value));
            }
            prop_assert_eq!(row.value(values.len()), None);
        }
    }
}
