//! Ranges of entity slots, and sets of slots.
//!
//! Knows numbers. Has no idea what is in a slot.

/// Slots `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotRange {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl SlotRange {
    pub(super) const fn contains(self, slot: u16) -> bool {
        self.first <= slot && slot <= self.last
    }

    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Both as one, when one begins where the other ends.
    pub(super) fn joined(self, other: Self) -> Option<Self> {
        let touch = |low: Self, high: Self| low.last.checked_add(1) == Some(high.first);
        (touch(self, other) || touch(other, self)).then(|| Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        })
    }

    /// The words of a set that the range touches, of these words only.
    #[inline]
    pub(super) fn words_within(self, words: core::ops::Range<usize>) -> core::ops::Range<usize> {
        let (first, last) = (usize::from(self.first) / 64, usize::from(self.last) / 64);
        words.start.max(first)..words.end.min(last + 1)
    }

    /// The same, each with the bits that are in the range.
    #[inline]
    pub(super) fn masks_within(
        self,
        words: core::ops::Range<usize>,
    ) -> impl Iterator<Item = (usize, u64)> + Clone {
        let words = self.words_within(words);
        words.map(move |index| (index, self.mask(index)))
    }

    /// The bits of a word that are in the range, which touches the word.
    #[inline]
    pub(super) const fn mask(self, index: usize) -> u64 {
        let mut mask = u64::MAX;
        if index == self.first as usize / 64 {
            mask &= u64::MAX << (self.first % 64);
        }
        if index == self.last as usize / 64 {
            mask &= u64::MAX >> (63 - self.last % 64);
        }
        mask
    }

    /// Where the slots of the range are in an ascending list.
    pub(super) fn within<T>(
        self,
        sorted: &[T],
        slot: impl Fn(&T) -> u16,
    ) -> core::ops::Range<usize> {
        let start = sorted.partition_point(|item| slot(item) < self.first);
        let end = sorted.partition_point(|item| slot(item) <= self.last);
        start..end.max(start)
    }
}

/// Which slots have been told: ranges that neither overlap nor touch, in no order.
///
/// One of them is kept in place: mostly there is no other, and whoever asks many coverages in a row
/// follows no pointer.
#[derive(Debug, Clone, Default)]
pub(super) struct Coverage {
    one: Option<SlotRange>,
    others: Vec<SlotRange>,
}

impl Coverage {
    pub(super) fn clear(&mut self) {
        self.one = None;
        self.others.clear();
    }

    fn ranges(&self) -> impl Iterator<Item = &SlotRange> {
        self.one.iter().chain(&self.others)
    }

    #[inline]
    pub(super) fn covers(&self, range: SlotRange) -> bool {
        let mut ranges = self.ranges();
        ranges.any(|told| told.contains(range.first) && told.contains(range.last))
    }

    #[inline]
    pub(super) fn overlaps(&self, range: SlotRange) -> bool {
        self.ranges().any(|told| told.overlaps(range))
    }

    pub(super) fn covers_slot(&self, slot: u16) -> bool {
        self.ranges().any(|told| told.contains(slot))
    }

    /// Adds a range that overlaps none of those before.
    pub(super) fn add(&mut self, range: SlotRange) {
        let mut range = range;
        if let Some(union) = self.one.and_then(|one| one.joined(range)) {
            (self.one, range) = (None, union);
        }
        while let Some((index, union)) = self.touching(range) {
            self.others.swap_remove(index);
            range = union;
        }
        match &mut self.one {
            Some(_) => self.others.push(range),
            one => *one = Some(range),
        }
    }

    /// One of the others that touches a range, and the two as one.
    fn touching(&self, range: SlotRange) -> Option<(usize, SlotRange)> {
        let others = self.others.iter().enumerate();
        let mut unions = others.filter_map(|(index, other)| Some((index, other.joined(range)?)));
        unions.next()
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.others.capacity() * size_of::<SlotRange>()
    }
}

/// A set of slots, one bit each, worked on by the word.
#[derive(Debug, Default, Clone)]
pub(super) struct SlotSet {
    words: Vec<u64>,
}

impl SlotSet {
    /// Empties it, for slots below `slots`.
    pub(super) fn clear(&mut self, slots: usize) {
        let words = slots.div_ceil(64);
        self.words.clear();
        // Many clients have one: none of them more than it needs.
        self.words.reserve_exact(words);
        self.words.resize(words, 0);
    }

    /// The words: bit `i` of word `w` is slot `64 w + i`.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words, to be changed.
    #[inline]
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// One word; past the end nobody is.
    #[inline]
    pub(super) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// A word, to be changed; the set grows to have it.
    #[inline]
    pub(super) fn word_mut(&mut self, index: usize) -> &mut u64 {
        if self.words.len() <= index {
            self.words.reserve_exact(index + 1 - self.words.len());
            self.words.resize(index + 1, 0);
        }
        &mut self.words[index]
    }

    /// Adds a slot below the number it was cleared for; others are ignored.
    #[inline]
    pub(super) fn add(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot) / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Adds a slot; the set grows to have it.
    #[inline]
    pub(super) fn insert(&mut self, slot: u16) {
        *self.word_mut(usize::from(slot) / 64) |= 1 << (slot % 64);
    }

    /// Takes a slot out.
    #[inline]
    pub(super) fn remove(&mut self, slot: u16) {
        if let Some(word) = self.words.get_mut(usize::from(slot) / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    #[inline]
    pub(super) fn contains(&self, slot: u16) -> bool {
        self.word(usize::from(slot) / 64) >> (slot % 64) & 1 == 1
    }

    /// The slots, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        let words = self.words.iter().enumerate();
        words.flat_map(|(index, word)| slots_of(index, *word))
    }

    /// How many slots there are.
    pub(super) fn count(&self) -> usize {
        let counts = self.words.iter().map(|word| population(*word) as usize);
        counts.sum()
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

/// How many slots are in one word. A program for any x86-64 counts them in a dozen steps, and most words here are
/// empty or full.
#[inline]
pub(super) const fn population(word: u64) -> u32 {
    match word {
        0 => 0,
        u64::MAX => u64::BITS,
        _ => word.count_ones(),
    }
}

/// The slots of one word, ascending.
#[inline]
pub(super) fn slots_of(index: usize, word: u64) -> impl Iterator<Item = u16> + Clone {
    let mut rest = word;
    core::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let slot = (index * 64) as u16 + rest.trailing_zeros() as u16;
        rest &= rest - 1;
        Some(slot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(first: u16, last: u16) -> SlotRange {
        SlotRange { first, last }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut coverage = Coverage::default();
        coverage.add(range(10, 19));
        coverage.add(range(30, u16::MAX));
        assert!(!coverage.covers(range(10, 30)));
        coverage.add(range(20, 29));
        assert!(coverage.covers(range(10, u16::MAX)));
        assert!(!coverage.covers_slot(9));
        coverage.add(range(0, 9));
        assert!(coverage.covers(range(0, u16::MAX)));
        assert_eq!(coverage.ranges().count(), 1);
    }

    #[test]
    fn a_set_lists_its_slots_in_order() {
        let mut set = SlotSet::default();
        set.clear(65_000);
        for slot in [64_999, 3, 64, 63, 3] {
            set.add(slot);
        }
        assert!(set.iter().eq([3, 63, 64, 64_999]));
        set.remove(63);
        assert!(!set.contains(63) && set.contains(64) && !set.contains(65_535));
    }

    #[test]
    fn a_range_finds_its_part_of_a_list() {
        let list = [2_u16, 5, 9, 12];
        assert_eq!(range(5, 11).within(&list, |slot| *slot), 1..3);
        assert_eq!(range(6, 8).within(&list, |slot| *slot), 2..2);
        assert_eq!(range(0, 65_535).within(&list, |slot| *slot), 0..4);
    }
}
