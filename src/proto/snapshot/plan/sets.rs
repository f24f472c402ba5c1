//! Who is to be told of, and how, as sets of slots that lie beside each other by the word: whoever looks at a word
//! looks at all that is known of its 64 slots at once.
//!
//! Knows slots. Has no idea of frames, clients or bits.

use core::ops::Range;

use super::super::slots::{SlotRange, population, slots_of};

/// Of 64 slots, who is to be told of, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Fates {
    /// Held at the baseline.
    pub(in super::super) held: u64,
    /// Held at the baseline, and may be seen now.
    pub(in super::super) kept: u64,
    /// Of these, who was held with its value of the time at every tick of the history.
    pub(in super::super) steady: u64,
    /// Of the kept, whose value is older than the baseline.
    pub(in super::super) aged: u64,
    /// Of the aged, who has a chunk for this client alone.
    pub(in super::super) own: u64,
    /// Held at the baseline, and may not be seen any more.
    pub(in super::super) gone: u64,
    /// Of these, who does not exist any more.
    pub(in super::super) destroyed: u64,
    /// May be seen, and is not held.
    pub(in super::super) new: u64,
    /// Of the kept and the gone, of whom this snapshot does not tell.
    pub(in super::super) unsent: u64,
    /// Of the new, the same.
    pub(in super::super) withheld: u64,
}

const NOBODY: Fates = Fates {
    held: 0,
    kept: 0,
    steady: 0,
    aged: 0,
    own: 0,
    gone: 0,
    destroyed: 0,
    new: 0,
    unsent: 0,
    withheld: 0,
};

/// Who is to be told of, and how. By slot, for all ranges of a client's snapshot.
#[derive(Debug)]
pub(in super::super) struct Sets {
    words: Vec<Fates>,
    /// The words in which anybody is: whoever sees a corner of a large world looks at few.
    span: Range<usize>,
}

/// Starts after its end, so that the first word that is reached becomes both.
const NOWHERE: Range<usize> = Range {
    start: usize::MAX,
    end: 0,
};

impl Default for Sets {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            span: NOWHERE,
        }
    }
}

impl Sets {
    /// Empties them, for slots below `slots`.
    pub(super) fn clear(&mut self, slots: usize) {
        // Nobody is anywhere else.
        if let Some(reached) = self.words.get_mut(self.span.clone()) {
            reached.fill(NOBODY);
        }
        self.words.resize(slots.div_ceil(64), NOBODY);
        self.span = NOWHERE;
    }

    /// One word; past the end nobody is.
    #[inline]
    pub(in super::super) fn word(&self, index: usize) -> &Fates {
        self.words.get(index).unwrap_or(&NOBODY)
    }

    /// A word in which somebody is; the sets grow to have it.
    #[inline]
    pub(super) fn reach(&mut self, index: usize) -> &mut Fates {
        self.span = self.span.start.min(index)..self.span.end.max(index + 1);
        if self.words.len() <= index {
            self.words.resize(index + 1, NOBODY);
        }
        &mut self.words[index]
    }

    /// Some words, in which somebody may be.
    pub(super) fn reach_all(&mut self, words: Range<usize>) -> &mut [Fates] {
        if let Some(last) = words.clone().next_back() {
            self.reach(words.start);
            self.reach(last);
        }
        self.words.get_mut(words).unwrap_or(&mut [])
    }

    /// The word of a slot and its bit there.
    #[inline]
    pub(super) fn place(&mut self, slot: u16) -> (&mut Fates, u64) {
        (self.reach(usize::from(slot) / 64), 1 << (slot % 64))
    }

    /// Whether a slot is in one of the sets.
    #[inline]
    pub(in super::super) fn has(&self, slot: u16, set: impl Fn(&Fates) -> u64) -> bool {
        set(self.word(usize::from(slot) / 64)) >> (slot % 64) & 1 == 1
    }

    /// The words of a range in which somebody may be.
    #[inline]
    fn words_of(&self, range: SlotRange) -> Range<usize> {
        range.words_within(self.span.clone())
    }

    /// The same, each with the bits that are in the range.
    #[inline]
    pub(in super::super) fn masks(
        &self,
        range: SlotRange,
    ) -> impl Iterator<Item = (usize, u64)> + Clone + use<> {
        let words = self.words_of(range);
        words.map(move |index| (index, range.mask(index)))
    }

    /// The slots of a range that are in one of the sets, or what else their words say; ascending.
    pub(in super::super) fn within(
        &self,
        range: SlotRange,
        set: impl Fn(&Fates) -> u64,
    ) -> impl Iterator<Item = u16> {
        let words = self.words_of(range);
        let some = words.clone().zip(self.words.get(words).unwrap_or(&[]));
        // Mostly there is nobody in a word.
        let some = some.map(move |(index, fates)| (index, set(fates)));
        let some = some.filter(|(_, slots)| *slots != 0);
        some.flat_map(move |(index, slots)| slots_of(index, slots & range.mask(index)))
    }

    /// How many slots of a range are in one of the sets.
    pub(in super::super) fn count(&self, range: SlotRange, set: impl Fn(&Fates) -> u64) -> u64 {
        self.masks(range)
            .map(|(index, mask)| u64::from(population(set(self.word(index)) & mask)))
            .sum()
    }

    /// The four sets that say what everybody is told alike who holds and sees the same.
    pub(in super::super) fn alike(&self) -> impl Iterator<Item = [u64; 4]> {
        self.words.iter().map(|fates| {
            let Fates {
                kept,
                steady,
                gone,
                new,
                ..
            } = *fates;
            [kept, steady, gone, new]
        })
    }
}
