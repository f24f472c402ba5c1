//! By word of a range: who is held, who has been all along, and who is seen.
//!
//! They lie here one beside the other and as whole words, so that whoever compares them walks straight through. Knows slots.
//! Has no idea of frames or bits.

use core::ops::Range;

use super::super::baselines::View;
use super::super::slots::{SlotRange, SlotSet};

/// Of each word, what is known of its 64 slots; nobody outside of the range.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The first of the words that lie here.
    first: usize,
    /// From the first word in which somebody is held or seen to the last: whoever sees a corner of a large world looks at few.
    words: Range<usize>,
    held: Vec<u64>,
    ever: Vec<u64>,
    seen: Vec<u64>,
    /// Who is held at one of the earlier ticks, while they are put together.
    one: Vec<u64>,
}

/// Of 64 slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownWord {
    pub(super) index: usize,
    /// Held at the baseline.
    pub(super) held: u64,
    /// Held at each earlier tick of the history. A tick that is no part of the history keeps nobody out.
    pub(super) ever: u64,
    /// May be seen now.
    pub(super) seen: u64,
}

impl Known {
    /// Finds out who is held by the baseline and the earlier ticks of a history, and who is seen.
    pub(super) fn fill(
        &mut self,
        range: SlotRange,
        [base, earlier @ ..]: &[Option<View<'_>>; 3],
        visible: &SlotSet,
    ) {
        let width = base.as_ref().map_or(0, |base| base.slots.words());
        let words = range.words_within(0..width.max(visible.words().len()));
        let len = words.len();
        self.held.clear();
        if let Some(base) = base {
            base.slots.copy_to(words.clone(), &mut self.held);
        }
        self.held.resize(len, 0);
        self.ever.clear();
        self.ever.resize(len, u64::MAX);
        for view in earlier.iter().flatten() {
            self.one.clear();
            view.slots.copy_to(words.clone(), &mut self.one);
            let held = self.ever.iter_mut().zip(&self.one);
            held.for_each(|(ever, held)| *ever &= held);
        }
        let seen = visible.words().get(words.start..).unwrap_or(&[]);
        self.seen.clear();
        self.seen.extend_from_slice(&seen[..seen.len().min(len)]);
        self.seen.resize(len, 0);
        for set in [&mut self.held, &mut self.seen] {
            if let Some(first) = set.first_mut() {
                *first &= range.mask(words.start);
            }
            if let Some(last) = set.last_mut() {
                *last &= range.mask(words.end - 1);
            }
        }
        let is_any = |(held, seen): (&u64, &u64)| held | seen != 0;
        let mut any = self.held.iter().zip(&self.seen).map(is_any);
        let start = any.position(|is_any| is_any).unwrap_or(len);
        let end = start + any.rposition(|is_any| is_any).map_or(1, |last| last + 2);
        self.first = words.start;
        self.words = words.start + start..words.start + end.min(len);
    }

    /// Which words are looked at.
    pub(super) fn words(&self) -> Range<usize> {
        self.words.clone()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = KnownWord> {
        let places = self.words.start - self.first..self.words.end - self.first;
        let [held, ever, seen] = [&self.held, &self.ever, &self.seen]
            .map(|set| set.get(places.clone()).unwrap_or(&[]).iter());
        let words = self.words.clone().zip(held.zip(ever).zip(seen));
        words.map(|(index, ((held, ever), seen))| KnownWord {
            index,
            held: *held,
            ever: *ever,
            seen: *seen,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_and_behind_everybody_are_passed_over() {
        let known = |seen: &[u16], range| {
            let (mut known, mut visible) = (Known::default(), SlotSet::default());
            visible.clear(640);
            seen.iter().for_each(|slot| visible.add(*slot));
            known.fill(range, &[None, None, None], &visible);
            known
                .iter()
                .map(|word| (word.index, word.seen))
                .collect::<Vec<_>>()
        };
        let all = SlotRange {
            first: 0,
            last: 699,
        };
        assert_eq!(known(&[], all), []);
        assert_eq!(known(&[130], all), [(2, 4)]);
        assert_eq!(known(&[130, 256], all), [(2, 4), (3, 0), (4, 1)]);
        assert_eq!(known(&[0, 639], all).len(), 10);
        // Nobody outside of the range, in its first and last word either.
        let some = SlotRange {
            first: 131,
            last: 319,
        };
        assert_eq!(
            known(&[130, 131, 319, 320], some),
            [(2, 8), (3, 0), (4, 1 << 63)]
        );
    }
}
