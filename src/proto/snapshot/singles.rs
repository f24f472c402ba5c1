//! Chunks of single entities, each made by whoever needs it first and kept for everybody.
//!
//! Few entities enter a view, or lack a part of their history, and who they are differs from client to client. So each has a
//! place of its own, and the bits of all lie in words that are handed out by counting. Nobody waits here
//! but for whoever is making just the chunk that is asked for. Knows slots and bits. Has no idea what a chunk is made from.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::OnceLock;

use super::codec::Chunker;
use crate::proto::wire::BitBuffer;

/// Words for each slot of a world, before anybody knows how many it needs.
const WORDS_PER_SLOT: usize = 3;
/// Where a chunk is that found no room: it is made again by whoever asks.
const NOWHERE: u32 = u32::MAX;

/// What a chunk is made with, once for each shard.
#[derive(Debug, Default)]
pub(super) struct Maker {
    pub(super) tools: Tools,
    bits: BitBuffer,
}

/// The same, without the bits that it is made of.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) chunker: Chunker,
    /// A row out of history.
    pub(super) row: Vec<i32>,
}

/// A chunk: how many bits it has, and whether it tells of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Single {
    pub(super) bits: usize,
    pub(super) differs: bool,
}

impl Single {
    /// As the word that is written before its bits, and back.
    const fn to_word(self) -> u64 {
        (self.bits as u64) << 1 | self.differs as u64
    }

    const fn from_word(word: u64) -> Self {
        Self {
            bits: (word >> 1) as usize,
            differs: word & 1 == 1,
        }
    }
}

/// Words for the chunks of one frame.
#[derive(Debug, Default)]
pub(super) struct Store {
    words: Vec<AtomicU64>,
    /// How many were asked for, which may be more than there are.
    taken: AtomicUsize,
}

impl Store {
    /// Makes room for a world of so many slots.
    pub(super) fn open(&mut self, slots: usize) {
        self.grow(slots * WORDS_PER_SLOT);
    }

    /// Forgets all chunks, and makes room for as many as there were.
    pub(super) fn reset(&mut self) {
        let taken = core::mem::take(self.taken.get_mut());
        self.grow(taken);
    }

    fn grow(&mut self, words: usize) {
        if self.words.len() < words {
            self.words.resize_with(words, AtomicU64::default);
        }
    }

    /// Keeps a chunk, and says where.
    fn keep(&self, single: Single, bits: &BitBuffer) -> u32 {
        let needed = 1 + bits.words().len();
        let start = self.taken.fetch_add(needed, Ordering::Relaxed);
        let room = self.words.get(start..start.saturating_add(needed));
        let (Some([head, rest @ ..]), Ok(place)) = (room, u32::try_from(start)) else {
            return NOWHERE;
        };
        // Whoever learns the place learns it from the lock that this is written under.
        head.store(single.to_word(), Ordering::Relaxed);
        for (to, from) in rest.iter().zip(bits.words()) {
            to.store(*from, Ordering::Relaxed);
        }
        place
    }

    /// The chunk at a place, and its words.
    fn at(&self, place: u32) -> Option<(Single, &[AtomicU64])> {
        let (head, rest) = self.words.get(place as usize..)?.split_first()?;
        Some((Single::from_word(head.load(Ordering::Relaxed)), rest))
    }
}

/// The places of the chunks of all slots that are made from the same past.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Only there once somebody has asked: few of a frame's pasts have singles.
    by_slot: OnceLock<Box<[OnceLock<u32>]>>,
}

impl Places {
    /// Forgets all chunks. Keeps its memory if it is enough for so many slots.
    pub(super) fn reset(&mut self, slots: usize) {
        match self.by_slot.get_mut() {
            Some(places) if places.len() >= slots => {
                places.iter_mut().for_each(|place| _ = place.take());
            }
            _ => _ = self.by_slot.take(),
        }
    }

    /// The chunk of a slot, which `make` writes if nobody has; appended to `out`, if there is one.
    pub(super) fn get(
        &self,
        slot: u16,
        (store, slots): (&Store, usize),
        maker: &mut Maker,
        make: impl Fn(&mut Tools, &mut BitBuffer) -> bool,
        out: Option<&mut BitBuffer>,
    ) -> (Single, Made) {
        let places = self
            .by_slot
            .get_or_init(|| (0..slots).map(|_| OnceLock::new()).collect());
        let place = places.get(usize::from(slot));
        let was_known = place.is_some_and(|place| place.get().is_some());
        let mut here = None;
        let start = place.map_or(NOWHERE, |place| {
            *place.get_or_init(|| {
                let single = maker.make(&make);
                here = Some(single);
                store.keep(single, &maker.bits)
            })
        });
        if here.is_none()
            && let Some((single, words)) = store.at(start)
        {
            if let Some(out) = out {
                append(words, single.bits, out);
            }
            let made = if was_known {
                Made::Before
            } else {
                Made::Meanwhile
            };
            return (single, made);
        }
        let single = here.unwrap_or_else(|| maker.make(&make));
        if let Some(out) = out {
            out.append(&maker.bits, 0, single.bits);
        }
        (single, Made::Here)
    }
}

/// When a chunk was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// Just now, by whoever asked.
    Here,
    /// By somebody else, for whom whoever asked had to wait.
    Meanwhile,
    /// Earlier.
    Before,
}

impl Maker {
    /// Makes a chunk, and leaves its bits in the maker.
    fn make(&mut self, make: impl Fn(&mut Tools, &mut BitBuffer) -> bool) -> Single {
        self.bits.clear();
        let differs = make(&mut self.tools, &mut self.bits);
        Single {
            bits: self.bits.len(),
            differs,
        }
    }
}

/// Appends so many bits of words.
fn append(words: &[AtomicU64], bits: usize, out: &mut BitBuffer) {
    let mut left = bits;
    for word in words.iter().take(bits.div_ceil(64)) {
        let these = left.min(64);
        out.push_long(word.load(Ordering::Relaxed), these as u32);
        left -= these;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// As many bits as the slot's number, all ones, and how often that was asked for.
    struct Ones {
        store: Store,
        places: Places,
        maker: Maker,
        made: Cell<u32>,
    }

    impl Ones {
        fn new(words: usize) -> Self {
            let mut store = Store::default();
            store.grow(words);
            Self {
                store,
                places: Places::default(),
                maker: Maker::default(),
                made: Cell::new(0),
            }
        }

        fn get(&mut self, slot: u16) -> (Single, Made, BitBuffer) {
            let (made, mut out) = (&self.made, BitBuffer::new());
            out.push(0, 3);
            let make = |_: &mut Tools, bits: &mut BitBuffer| {
                made.set(made.get() + 1);
                (0..slot).for_each(|_| bits.push_bit(true));
                slot > 1
            };
            let room = (&self.store, 200);
            let (single, made) = self
                .places
                .get(slot, room, &mut self.maker, make, Some(&mut out));
            (single, made, out)
        }

        fn check(&mut self, slot: u16, expected: Made) {
            let (single, made, out) = self.get(slot);
            let bits = usize::from(slot);
            assert_eq!(made, expected, "slot {slot}");
            assert_eq!((single.bits, single.differs), (bits, slot > 1));
            let mut plain = BitBuffer::new();
            plain.push(0, 3);
            (0..bits).for_each(|_| plain.push_bit(true));
            assert_eq!((out.len(), out.words()), (plain.len(), plain.words()));
        }
    }

    #[test]
    fn whoever_asks_first_makes_a_chunk_for_all() {
        let mut ones = Ones::new(100);
        for slot in [0, 1, 63, 64, 65, 150] {
            ones.check(slot, Made::Here);
            ones.check(slot, Made::Before);
        }
        assert_eq!(ones.made.get(), 6);
        ones.places.reset(200);
        ones.store.reset();
        ones.check(64, Made::Here);
    }

    /// Too little room costs time, never a wrong bit; and there is more the next time.
    #[test]
    fn what_found_no_room_is_made_again_until_there_is_some() {
        let mut ones = Ones::new(3);
        ones.check(64, Made::Here);
        ones.check(100, Made::Here);
        ones.check(100, Made::Here);
        ones.check(64, Made::Before);
        assert_eq!(ones.made.get(), 3);
        ones.places.reset(200);
        ones.store.reset();
        ones.check(64, Made::Here);
        ones.check(100, Made::Here);
        ones.check(100, Made::Before);
    }

    #[test]
    fn a_slot_beyond_those_there_were_is_made_each_time_until_the_next_frame() {
        let mut ones = Ones::new(100);
        ones.check(1, Made::Here);
        ones.check(220, Made::Here);
        ones.check(220, Made::Here);
        ones.places.reset(300);
        ones.store.reset();
        let make = |_: &mut Tools, _: &mut BitBuffer| true;
        let room = (&ones.store, 300);
        let mut made = || ones.places.get(220, room, &mut ones.maker, make, None).1;
        assert_eq!((made(), made()), (Made::Here, Made::Before));
    }

    #[test]
    fn many_threads_read_what_one_has_made() {
        let (mut store, places) = (Store::default(), Places::default());
        store.open(100);
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut maker = Maker::default();
                    for slot in 0..100 {
                        let make = |_: &mut Tools, bits: &mut BitBuffer| {
                            made.fetch_add(1, Ordering::Relaxed);
                            bits.push(u32::from(slot), 32);
                            bits.push(!u32::from(slot), 32);
                            true
                        };
                        let mut out = BitBuffer::new();
                        places.get(slot, (&store, 100), &mut maker, make, Some(&mut out));
                        let both = u64::from(slot) | u64::from(!u32::from(slot)) << 32;
                        assert_eq!(out.words(), [both]);
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 100);
    }
}
