//! Sets of slots that differ little from each other.
//!
//! From one snapshot to the next most clients see the same entities. So one set lies here as a whole, and of every other only the
//! half words that are not as in that one: what a client holds does not take a bit for each slot of the world in each of its
//! snapshots. Knows bits. Has no idea what a set is of.

use core::ops::Range;

/// A set of a [`SetPool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetId(u16);

/// Half a word of a set that is not as in the common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Odd {
    set: SetId,
    /// Twice the index of its word, and one more for the upper half.
    half: u16,
    bits: u32,
}

impl Odd {
    const fn index(&self) -> usize {
        self.half as usize / 2
    }

    /// A word with this half in its place.
    #[inline]
    const fn within(&self, word: u64) -> u64 {
        let shift = self.half % 2 * 32;
        word & !((u32::MAX as u64) << shift) | (self.bits as u64) << shift
    }
}

/// The same half of a word.
const fn half_of(word: u64, half: u16) -> u32 {
    (word >> (half % 2 * 32)) as u32
}

/// The words of a set: bit `i` of word `w` is slot `64 w + i`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots<'a> {
    common: &'a [u64],
    /// Ascending by place.
    odd: &'a [Odd],
}

impl Slots<'_> {
    /// One word; past the end nobody is.
    pub(super) fn word(self, index: usize) -> u64 {
        let common = self.common.get(index).copied().unwrap_or(0);
        let start = self.odd.partition_point(|odd| odd.index() < index);
        let odd = self.odd.iter().skip(start);
        let odd = odd.take_while(|odd| odd.index() == index);
        odd.fold(common, |word, odd| odd.within(word))
    }

    /// Appends some of the words to `out`; past the end nobody is.
    pub(super) fn copy_to(self, words: Range<usize>, out: &mut Vec<u64>) {
        let start = out.len();
        let end = words.end.min(self.common.len());
        out.extend_from_slice(self.common.get(words.start..end).unwrap_or(&[]));
        out.resize(start + words.len(), 0);
        for odd in self.odd {
            let place = odd.index().checked_sub(words.start);
            if let Some(word) = place.and_then(|place| out.get_mut(start + place)) {
                *word = odd.within(*word);
            }
        }
    }

    /// How many words there are.
    #[inline]
    pub(super) const fn words(self) -> usize {
        self.common.len()
    }

    #[inline]
    pub(super) fn contains(self, slot: u16) -> bool {
        self.word(usize::from(slot) / 64) >> (slot % 64) & 1 == 1
    }

    /// The slots, ascending.
    #[cfg(test)]
    pub(super) fn iter(self) -> impl Iterator<Item = u16> {
        let words = 0..self.words();
        words.flat_map(move |index| super::slots::slots_of(index, self.word(index)))
    }
}

/// A set with more odd halves than this becomes the common one: those to come will be like it.
const MANY: usize = 4;
/// Room for odd halves that is not worth giving back.
const FEW: usize = 64;

/// Sets of slots, each with how many use it.
#[derive(Debug, Default)]
pub(super) struct SetPool {
    common: Vec<u64>,
    /// Ascending by set and place.
    odd: Vec<Odd>,
    /// By set; of nobody: free.
    users: Vec<u16>,
}

impl SetPool {
    /// A set with one user, in which anybody may be: its user says who is.
    pub(super) fn any(&mut self) -> SetId {
        let place = self.users.iter().position(|users| *users == 0);
        let place = place.unwrap_or_else(|| {
            self.users.push(0);
            self.users.len() - 1
        });
        self.users[place] = 1;
        // A client has far fewer snapshots than that.
        SetId(place as u16)
    }

    /// A set like this one, with one user.
    pub(super) fn copy(&mut self, set: SetId) -> SetId {
        let copy = self.any();
        let (from, to) = (self.odd_of(set), self.odd_of(copy).start);
        let len = from.len();
        self.odd.extend_from_within(from);
        self.odd[to..].rotate_right(len);
        for odd in &mut self.odd[to..to + len] {
            odd.set = copy;
        }
        copy
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
        if *users == 0 {
            self.odd.drain(self.odd_of(set));
        }
    }

    /// A set like this one for its user alone, who may change it.
    pub(super) fn own(&mut self, set: SetId) -> SetId {
        if self.users[usize::from(set.0)] == 1 {
            return set;
        }
        let own = self.copy(set);
        self.release(set);
        own
    }

    /// How many words every set has.
    pub(super) const fn width(&self) -> usize {
        self.common.len()
    }

    /// Makes room in all sets for a slot.
    pub(super) fn reach(&mut self, slot: u16) {
        let width = usize::from(slot) / 64 + 1;
        if let Some(more @ 1..) = width.checked_sub(self.common.len()) {
            self.common.reserve_exact(more);
            self.common.resize(width, 0);
        }
    }

    /// Whether a slot is in a set, for whoever asks nothing else.
    pub(super) fn contains(&self, set: SetId, slot: u16) -> bool {
        let index = usize::from(slot) / 64;
        let common = self.common.get(index).copied().unwrap_or(0);
        let half = slot / 32;
        let bits = half_of(common, half);
        let odd = find(&self.odd, Odd { set, half, bits });
        let bits = odd.map_or(bits, |place| self.odd[place].bits);
        bits >> (slot % 32) & 1 == 1
    }

    /// The slots of a set.
    #[inline]
    pub(super) fn slots(&self, set: SetId) -> Slots<'_> {
        Slots {
            common: &self.common,
            odd: self.odd.get(self.odd_of(set)).unwrap_or(&[]),
        }
    }

    /// Where the odd halves of a set are, or would be.
    #[inline]
    fn odd_of(&self, set: SetId) -> Range<usize> {
        let start = self.odd.partition_point(|odd| odd.set < set);
        let rest = self.odd.get(start..).unwrap_or(&[]);
        start..start + rest.partition_point(|odd| odd.set == set)
    }

    /// Changes a word of a set that has one user.
    pub(super) fn change(&mut self, set: SetId, index: usize, to: impl FnOnce(u64) -> u64) {
        debug_assert_eq!(
            self.users[usize::from(set.0)],
            1,
            "nobody else's set changes"
        );
        let Some(common) = self.common.get(index).copied() else {
            return;
        };
        let halves = [2 * index as u16, 2 * index as u16 + 1].map(|half| Odd {
            set,
            half,
            bits: half_of(common, half),
        });
        let odd = |half: &Odd| find(&self.odd, *half).ok().map(|place| &self.odd[place]);
        let known = halves.iter().filter_map(odd);
        let now = to(known.fold(common, |word, odd| odd.within(word)));
        for half in halves {
            let bits = half_of(now, half.half);
            match (find(&self.odd, half), bits == half.bits) {
                (Ok(place), true) => _ = self.odd.remove(place),
                (Ok(place), false) => self.odd[place].bits = bits,
                (Err(_), true) => {}
                (Err(place), false) => self.odd.insert(place, Odd { bits, ..half }),
            }
        }
    }

    /// All changes of a set are said. If it is not much like the others, it is now the one that lies here as a whole.
    pub(super) fn settle(&mut self, set: SetId) {
        let own = self.odd_of(set);
        if own.len() <= MANY {
            return;
        }
        for odd in &mut self.odd[own.clone()] {
            let common = &mut self.common[odd.index()];
            let before = half_of(*common, odd.half);
            *common = odd.within(*common);
            odd.bits = before;
        }
        // What was common until now is odd in all that were like it.
        let sorted = self.odd.len();
        for other in (0..self.users.len()).filter(|other| self.users[*other] > 0) {
            for place in own.clone() {
                let odd = Odd {
                    set: SetId(other as u16),
                    ..self.odd[place]
                };
                if find(&self.odd[..sorted], odd).is_err() {
                    self.odd.push(odd);
                }
            }
        }
        self.odd.drain(own);
        let common = &self.common;
        self.odd
            .retain(|odd| odd.bits != half_of(common[odd.index()], odd.half));
        self.odd.sort_unstable();
    }

    /// Gives memory back that was needed when everything was new.
    pub(super) fn give_back(&mut self) {
        let len = self.odd.len();
        if self.odd.capacity() > FEW.max(4 * len) {
            self.odd.shrink_to(FEW.max(2 * len));
        }
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.common.capacity() * size_of::<u64>()
            + self.odd.capacity() * size_of::<Odd>()
            + self.users.capacity() * size_of::<u16>()
    }
}

/// Where that half of that set is, or would be.
fn find(sorted: &[Odd], odd: Odd) -> Result<usize, usize> {
    let key = |odd: &Odd| (odd.set, odd.half);
    sorted.binary_search_by_key(&key(&odd), key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    enum Step {
        Any,
        Copy(prop::sample::Index),
        Share(prop::sample::Index),
        Release(prop::sample::Index),
        Flip(prop::sample::Index, Vec<u16>),
        Settle(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let which = any::<prop::sample::Index>;
        let slots = prop::collection::vec(prop_oneof![0_u16..900, Just(65_535)], 1..12);
        let step = prop_oneof![
            Just(Step::Any),
            which().prop_map(Step::Copy),
            which().prop_map(Step::Share),
            which().prop_map(Step::Release),
            (which(), slots).prop_map(|(which, slots)| Step::Flip(which, slots)),
            which().prop_map(Step::Settle),
        ];
        prop::collection::vec(step, 1..100)
    }

    fn flip(pool: &mut SetPool, set: SetId, slot: u16) {
        pool.reach(slot);
        pool.change(set, usize::from(slot) / 64, |word| word ^ 1 << (slot % 64));
    }

    proptest! {
        #[test]
        fn every_user_of_a_set_finds_in_it_who_was_put_there(steps in steps()) {
            let mut pool = SetPool::default();
            let mut users = Vec::<(SetId, BTreeSet<u16>)>::new();
            for step in steps {
                match step {
                    Step::Any => {
                        let set = pool.any();
                        users.push((set, pool.slots(set).iter().collect()));
                    }
                    _ if users.is_empty() => {}
                    Step::Copy(which) => {
                        let (set, slots) = which.get(&users).clone();
                        users.push((pool.copy(set), slots));
                    }
                    Step::Share(which) => {
                        let (set, slots) = which.get(&users).clone();
                        users.push((pool.share(set), slots));
                    }
                    Step::Release(which) => {
                        let (set, _) = users.swap_remove(which.index(users.len()));
                        pool.release(set);
                        pool.give_back();
                    }
                    Step::Flip(which, flipped) => {
                        let place = which.index(users.len());
                        let (set, slots) = &mut users[place];
                        *set = pool.own(*set);
                        for slot in flipped {
                            flip(&mut pool, *set, slot);
                            if !slots.remove(&slot) {
                                slots.insert(slot);
                            }
                        }
                    }
                    Step::Settle(which) => pool.settle(which.get(&users).0),
                }
                for (set, slots) in &users {
                    prop_assert!(pool.slots(*set).iter().eq(slots.iter().copied()));
                    let contained = |slot: &u16| pool.slots(*set).contains(*slot);
                    prop_assert!(slots.iter().all(contained));
                    let contained = |slot: &u16| pool.contains(*set, *slot);
                    prop_assert!((0..1_000).chain([65_535]).all(|slot| contained(&slot) == slots.contains(&slot)));
                    let mut some = vec![7];
                    pool.slots(*set).copy_to(2..20, &mut some);
                    prop_assert!(some[1..].iter().copied().eq((2..20).map(|index| pool.slots(*set).word(index))));
                }
                let live: BTreeSet<_> = users.iter().map(|(set, _)| *set).collect();
                prop_assert!(pool.odd.iter().all(|odd| live.contains(&odd.set)), "nobody's halves stay");
            }
        }
    }

    #[test]
    fn sets_that_differ_little_take_little() {
        let mut pool = SetPool::default();
        let mut set = pool.any();
        for slot in (0..4_000).step_by(3) {
            flip(&mut pool, set, slot);
        }
        pool.settle(set);
        pool.give_back();
        let one = pool.memory();
        for slot in (1..4_000).step_by(100).take(10) {
            set = pool.copy(set);
            flip(&mut pool, set, slot);
            pool.settle(set);
        }
        let (ten, whole) = (pool.memory() - one, pool.width() * size_of::<u64>());
        assert!(ten < 10 * whole / 3, "{ten} B for ten more of {whole} B");
    }
}
