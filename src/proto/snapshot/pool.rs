//! Sets of slots that several snapshots share, in one piece of memory.
//!
//! From one snapshot to the next most clients see the same entities. What they hold of both is then one set, and whoever looks at
//! several snapshots of a client looks at the same few lines of memory. Knows bits. Has no idea what a set is of.

/// A set of a [`SetPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetId(u16);

/// The words of a set: bit `i` of word `w` is slot `64 w + i`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots<'a>(&'a [u64]);

impl Slots<'_> {
    /// One word; past the end nobody is.
    #[inline]
    pub(super) fn word(self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// How many words there are.
    #[inline]
    pub(super) const fn words(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn contains(self, slot: u16) -> bool {
        self.word(usize::from(slot) / 64) >> (slot % 64) & 1 == 1
    }

    /// The slots, ascending.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let words = self.0.iter().enumerate();
        words.flat_map(|(index, word)| super::slots::slots_of(index, *word))
    }
}

/// Sets of slots, each with how many use it. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct SetPool {
    /// How many words a set has.
    width: usize,
    /// One set after another.
    words: Vec<u64>,
    /// By set; of nobody: free.
    users: Vec<u16>,
}

impl SetPool {
    /// A set of nobody, with one user.
    pub(super) fn empty(&mut self) -> SetId {
        let place = self.users.iter().position(|users| *users == 0);
        let place = place.unwrap_or_else(|| {
            self.users.reserve_exact(1);
            self.users.push(0);
            self.words.reserve_exact(self.width);
            self.words.resize(self.users.len() * self.width, 0);
            self.users.len() - 1
        });
        self.users[place] = 1;
        let start = place * self.width;
        self.words[start..start + self.width].fill(0);
        // A client has far fewer snapshots than that.
        SetId(place as u16)
    }

    /// The same set for one more user.
    pub(super) fn share(&mut self, set: SetId) -> SetId {
        self.users[usize::from(set.0)] += 1;
        set
    }

    /// One user less.
    pub(super) fn release(&mut self, set: SetId) {
        let users = &mut self.users[usize::from(set.0)];
        *users = users.saturating_sub(1);
    }

    /// A set like this one for its user alone, who may change it.
    pub(super) fn own(&mut self, set: SetId) -> SetId {
        if self.users[usize::from(set.0)] == 1 {
            return set;
        }
        let own = self.empty();
        let (from, to) = (
            usize::from(set.0) * self.width,
            usize::from(own.0) * self.width,
        );
        self.words.copy_within(from..from + self.width, to);
        self.release(set);
        own
    }

    /// How many words every set has.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// Makes room in all sets for a slot.
    pub(super) fn reach(&mut self, slot: u16) {
        let width = usize::from(slot) / 64 + 1;
        if width <= self.width {
            return;
        }
        let mut words = Vec::new();
        words.reserve_exact(self.users.len() * width);
        for set in 0..self.users.len() {
            words.extend_from_slice(&self.words[set * self.width..(set + 1) * self.width]);
            words.resize((set + 1) * width, 0);
        }
        (self.words, self.width) = (words, width);
    }

    /// The slots of a set.
    #[inline]
    pub(super) fn slots(&self, set: SetId) -> Slots<'_> {
        let start = usize::from(set.0) * self.width;
        Slots(self.words.get(start..start + self.width).unwrap_or(&[]))
    }

    /// The words of a set that has one user, to be changed.
    pub(super) fn words_mut(&mut self, set: SetId) -> &mut [u64] {
        debug_assert_eq!(
            self.users[usize::from(set.0)],
            1,
            "nobody else's set changes"
        );
        let start = usize::from(set.0) * self.width;
        &mut self.words[start..start + self.width]
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.words.capacity() * size_of::<u64>() + self.users.capacity() * size_of::<u16>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_free_when_its_last_user_is_gone() {
        let mut pool = SetPool::default();
        pool.reach(70);
        let one = pool.empty();
        pool.words_mut(one)[1] = 1 << 6;
        let again = pool.share(one);
        pool.release(one);
        let other = pool.empty();
        assert_ne!(again, other);
        assert!(pool.slots(again).iter().eq([70]));
        let own = pool.own(again);
        assert_eq!(own, again, "it has no other user");
        let shared = pool.share(own);
        let copy = pool.own(shared);
        pool.words_mut(copy)[0] = 1;
        assert!(pool.slots(copy).iter().eq([0, 70]));
        assert!(pool.slots(own).iter().eq([70]));
        pool.release(own);
        let reused = pool.empty();
        assert_eq!(reused, one);
        assert_eq!(pool.slots(reused).iter().count(), 0);
    }

    #[test]
    fn sets_grow_together_and_keep_who_is_in_them() {
        let mut pool = SetPool::default();
        let before = pool.empty();
        assert_eq!(pool.slots(before).words(), 0);
        pool.reach(0);
        pool.words_mut(before)[0] = 0b101;
        let other = pool.empty();
        pool.reach(200);
        pool.words_mut(other)[3] = 1 << 8;
        assert!(pool.slots(before).iter().eq([0, 2]));
        assert!(pool.slots(other).iter().eq([200]));
        assert!(pool.slots(before).contains(2) && !pool.slots(before).contains(u16::MAX));
    }
}
