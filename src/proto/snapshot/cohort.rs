//! The changes of one tick, encoded once for everybody.
//!
//! Clients whose last known states are the same ticks form a cohort, and a cohort's chunks are made
//! by whichever client's turn comes first; the others copy bits. A frame has eight cohort cells. Who enters a view, or is known from
//! the baseline alone, has a chunk by itself ([`super::singles`]): few do at a time.
//!
//! Knows columns and chunks. Has no idea which clients there are.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::codec::{Chunker, Class, KindTables, Past, Tables, Words};
use super::columns::Columns;
use super::frame::TickFrame;
use super::singles::{Made, Maker, Places, Single, Store, Tools};
use super::slots::slots_of;
use crate::proto::wire::BitBuffer;
use crate::time::Tick;

/// Cohorts a tick can have. More baselines than this in use at once are worth joining, not
/// encoding.
pub(super) const COHORTS: usize = 8;

/// A part that is kept for others seldom has more: it is sent in one datagram.
const TOLD_BITS: usize = 1_200 * 8;

/// The ticks that a part is told from: a baseline, and the earlier ones that its history code names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct History {
    pub(super) base: Tick,
    pub(super) code: HistoryCode,
}

/// Which earlier ticks a part is told from, besides its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HistoryCode {
    /// None.
    Alone,
    /// The earlier of the tables' two.
    One,
    /// Both.
    Two,
}

impl HistoryCode {
    pub(super) const fn number(self) -> u32 {
        self as u32
    }

    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Alone),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

impl History {
    /// The earlier ticks, as far as they are part of it.
    pub(super) fn earlier(self, tables: &Tables, snapshot_every: u32) -> [Option<Tick>; 2] {
        let ago = |snapshots: u32| {
            self.base
                .0
                .checked_sub(snapshots * snapshot_every)
                .map(Tick)
        };
        let lags = tables.lags;
        match self.code {
            HistoryCode::Alone => [None, None],
            HistoryCode::One => [ago(lags.earlier), None],
            HistoryCode::Two => [ago(lags.earlier), ago(lags.earliest)],
        }
    }
}

/// Chunks one after another, cut by slot.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    bits: BitBuffer,
    /// Where the chunk of each slot starts, which is where the one before ends.
    starts: Vec<u32>,
}

impl Chunks {
    fn clear(&mut self) {
        self.bits.clear();
        self.starts.clear();
    }

    /// All slots before this one have had their chunks.
    #[inline]
    fn fill(&mut self, slot: usize) {
        self.starts.resize(slot + 1, self.bits.len() as u32);
    }

    /// Where the chunks of the slots before this one end.
    #[inline]
    pub(super) fn start(&self, slot: usize) -> usize {
        let start = self.starts.get(slot);
        start.map_or(self.bits.len(), |start| *start as usize)
    }

    /// The bits of a slot; an empty range when there is nothing to say.
    #[inline]
    pub(super) fn chunk(&self, slot: u16) -> (usize, usize) {
        let slot = usize::from(slot);
        match self.starts.get(slot..slot + 2) {
            Some(&[start, end]) => (start as usize, end as usize),
            _ => (self.start(slot), self.bits.len()),
        }
    }

    pub(super) const fn bits(&self) -> &BitBuffer {
        &self.bits
    }
}

/// Of 64 slots, what a cohort is told of whom.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SharedWord {
    /// Who is the one that it was at the baseline.
    pub(super) kept: u64,
    /// Who has been there at all ticks of the history and is there now.
    pub(super) steady: u64,
    /// Of these, who has a chunk whatever it is.
    pub(super) coded: u64,
    /// Of these, who is listed among the busy ones; the others are among the quiet ones.
    pub(super) busy: u64,
    /// Of the busy and the quiet, who is not as predicted.
    pub(super) listed: u64,
}

/// What a cohort is told of the entities whose whole history its clients hold.
#[derive(Debug, Default)]
pub(super) struct Shared {
    words: Vec<SharedWord>,
    listed_count: usize,
    longest: usize,
    pub(super) coded_chunks: Chunks,
    pub(super) listed_chunks: Chunks,
    chunker: Chunker,
    /// The rows of an entity at the ticks of the history.
    rows: [Vec<i32>; 3],
}

/// Of a word, who was there at all these columns and is the same one now.
fn steady_within(frame: &TickFrame, past: &[&Columns], since: Tick, index: usize) -> u64 {
    let now = &*frame.columns;
    let there = |word: u64, columns: &&Columns| word & columns.used().word(index);
    let mut word = past.iter().fold(now.used().word(index), there);
    let between = frame.between(since, now.tick());
    let born = between.fold(0, |born, columns| born | columns.born().word(index));
    // Somebody came; it may yet be the one that was there, gone for a while.
    for slot in slots_of(index, word & born) {
        let who = now.who(slot);
        if past.iter().any(|columns| columns.who(slot) != who) {
            word &= !(1 << (slot % 64));
        }
    }
    word
}

impl Shared {
    /// Makes the chunks of everybody who was there at `history`.
    pub(super) fn build(&mut self, frame: &TickFrame, history: History) {
        let tables = frame.schema.tables();
        let [earlier, earliest] = history.earlier(tables, frame.snapshot_every);
        let columns = |tick: Tick| frame.columns_at(tick);
        for chunks in [&mut self.coded_chunks, &mut self.listed_chunks] {
            chunks.clear();
        }
        let words = frame.columns.slots().div_ceil(64);
        self.words.clear();
        self.words.resize(words, SharedWord::default());
        (self.listed_count, self.longest) = (0, 0);
        let (Some(base), Some(earlier)) = (columns(history.base), earlier.and_then(columns)) else {
            return;
        };
        let earliest = earliest.and_then(columns);
        let age = frame.age_of(history.base).unwrap_or(0);
        let oldest = earliest.unwrap_or(earlier).tick();
        let past = [base, earlier, earliest.unwrap_or(earlier)];
        let mut rows = core::mem::take(&mut self.rows);
        for index in 0..words {
            let mut stirred = 0;
            for columns in frame.between(oldest, frame.tick()) {
                stirred |= columns.changed().word(index);
            }
            let steady = steady_within(frame, &past, oldest, index);
            self.words[index] = SharedWord {
                kept: steady_within(frame, &[base], history.base, index),
                steady,
                busy: steady & !stirred & base.busy().word(index),
                ..SharedWord::default()
            };
            for slot in slots_of(index, steady & stirred) {
                let Some(now) = frame.row(slot) else {
                    continue;
                };
                let Some(kind) = tables.kind(now.kind) else {
                    continue;
                };
                for (row, columns) in rows.iter_mut().zip(&past) {
                    if let Some(packed) = columns.row(slot, &frame.schema) {
                        packed.unfold(row);
                    }
                }
                let [base, earlier, long_before] = &rows;
                let past = Past::Full {
                    base,
                    earlier,
                    earliest: earliest.and(Some(long_before)),
                    age,
                };
                self.tell(tables, kind, slot, &past, (base, now.values));
            }
        }
        self.rows = rows;
        self.coded_chunks.fill(words * 64);
        self.listed_chunks.fill(words * 64);
    }

    /// What is told of the slots of a word; past the end nobody is.
    #[inline]
    pub(super) fn word(&self, index: usize) -> SharedWord {
        self.words.get(index).copied().unwrap_or_default()
    }

    /// How many bits its longest chunk takes.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// How many bits all its chunks take.
    pub(super) const fn bits(&self) -> usize {
        self.coded_chunks.bits.len() + self.listed_chunks.bits.len()
    }

    /// How many are listed.
    pub(super) const fn lists(&self) -> usize {
        self.listed_count
    }

    /// Makes the chunk of one entity, and says where it belongs.
    #[inline]
    fn tell(
        &mut self,
        tables: &Tables,
        kind: &KindTables,
        slot: u16,
        past: &Past<'_>,
        (base, now): (&[i32], &[i32]),
    ) {
        self.chunker.context.expect(kind, tables.lags, past);
        let class = self.chunker.context.class(kind, base);
        let differs = self.chunker.differs(kind, base, now);
        let (word, bit) = (usize::from(slot) / 64, 1 << (slot % 64));
        let Some(word) = self.words.get_mut(word) else {
            return;
        };
        let chunks = match class {
            Class::Coded => {
                word.coded |= bit;
                &mut self.coded_chunks
            }
            Class::Busy | Class::Quiet => {
                if class == Class::Busy {
                    word.busy |= bit;
                }
                if !differs {
                    return;
                }
                word.listed |= bit;
                self.listed_count += 1;
                &mut self.listed_chunks
            }
        };
        chunks.fill(usize::from(slot));
        let mut words = Words {
            tables,
            bits: &mut chunks.bits,
        };
        let start = words.bits.len();
        self.chunker.write(kind, base, now, &mut words);
        self.longest = self.longest.max(words.bits.len() - start);
    }
}

/// From what the chunk of an entity by itself is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// From nothing.
    Nothing,
    /// From its row at the baseline of a claimed cell, where it must have been.
    Baseline(usize, Tick),
}

impl Origin {
    /// Makes the chunk of whoever is in a slot, if there is anything to say, and says whether it tells of a
    /// difference.
    fn make(self, frame: &TickFrame, slot: u16, tools: &mut Tools, bits: &mut BitBuffer) -> bool {
        let Tools { chunker, row } = tools;
        let tables = frame.schema.tables();
        let Some(now) = frame.row(slot) else {
            return false;
        };
        let Some(kind) = tables.kind(now.kind) else {
            return false;
        };
        let past = match self {
            Self::Nothing => Some(Past::Nothing),
            Self::Baseline(_, tick) => {
                let then = frame.row_at(tick, slot).zip(frame.age_of(tick));
                then.map(|(then, age)| Past::First {
                    base: then.unfold(row),
                    age,
                })
            }
        };
        past.is_some_and(|past| chunker.chunk(tables, kind, &past, now.values, bits))
    }
}

/// Of a word of slots, who is the one that it was at a tick.
pub(super) fn kept_since(frame: &TickFrame, base: Tick, index: usize) -> u64 {
    let then = frame.columns_at(base);
    then.map_or(0, |then| steady_within(frame, &[then], base, index))
}

/// A whole part without its header, as the first client of a cohort was told it: whoever holds and
/// sees the same is told the same.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By word of slots. Held and seen; of these with its whole history; held and not seen; seen and not held.
    sets: Vec<[u64; 4]>,
    pub(super) bits: BitBuffer,
    /// How many changes that tells.
    pub(super) changes: usize,
}

impl Told {
    /// Whether a client with these sets is told just this.
    pub(super) fn fits(&self, sets: impl Iterator<Item = [u64; 4]>) -> bool {
        self.sets.iter().copied().eq(sets)
    }
}

/// A cell is written at most once per frame, by the first who needs it.
#[derive(Debug)]
struct Cell<T> {
    encoded: OnceLock<T>,
    /// The memory of an earlier frame. Only the one thread that writes the cell takes it.
    spare: Mutex<Option<T>>,
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self {
            encoded: OnceLock::new(),
            spare: Mutex::new(None),
        }
    }
}

impl<T: Default> Cell<T> {
    fn get(&self, counts: &Counts, build: impl FnOnce(&mut T)) -> &T {
        if let Some(encoded) = self.encoded.get() {
            return encoded;
        }
        let mut mine = false;
        let encoded = self.encoded.get_or_init(|| {
            mine = true;
            let spare = self
                .spare
                .try_lock()
                .ok()
                .and_then(|mut spare| spare.take());
            let mut encoded = spare.unwrap_or_default();
            build(&mut encoded);
            encoded
        });
        let count = if mine { &counts.built } else { &counts.waited };
        count.fetch_add(1, Ordering::Relaxed);
        encoded
    }

    fn reset(&mut self) {
        if let (Some(encoded), Ok(spare)) = (self.encoded.take(), self.spare.get_mut()) {
            *spare = Some(encoded);
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    built: AtomicU32,
    plain: AtomicU32,
    absolute: AtomicU32,
    waited: AtomicU32,
}

/// How often the shared encodings of one frame were built and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CohortStats {
    /// Cohorts whose changes were encoded: at most 8.
    pub built: u32,
    /// How many entities were encoded from a baseline alone, because somebody knows them from no other tick: each at most
    /// once for each cohort. Where a frame had no room for all, more often.
    pub plain: u32,
    /// How many entities were encoded from nothing, because they enter a view: each at most once, but as above.
    pub absolute: u32,
    /// How often somebody had to wait for somebody else who was building.
    pub waited: u32,
}

/// The shared encodings of one frame.
#[derive(Debug, Default)]
pub(super) struct Cohorts {
    /// The history of each cell as a number; 0: free. Cells are taken in order and stay taken.
    keys: [AtomicU64; COHORTS],
    shared: [Cell<Shared>; COHORTS],
    told: [Cell<Told>; COHORTS],
    /// Entities by themselves: by cohort, and from nothing.
    plain: [Places; COHORTS],
    absolute: Places,
    store: Store,
    /// How many slots there are.
    slots: usize,
    counts: Counts,
}

/// A history as a number that is not 0, and back.
fn key(history: History) -> u64 {
    (u64::from(history.base.0) << 2 | u64::from(history.code.number())) + 1
}

fn history(key: u64) -> Option<History> {
    let key = key.checked_sub(1)?;
    Some(History {
        base: Tick((key >> 2) as u32),
        code: HistoryCode::from_number((key & 3) as u32)?,
    })
}

impl Cohorts {
    /// Makes it new, and keeps the memory.
    pub(super) fn reset(&mut self) {
        self.keys.iter_mut().for_each(|key| *key.get_mut() = 0);
        self.shared.iter_mut().for_each(Cell::reset);
        self.told.iter_mut().for_each(Cell::reset);
        self.store.reset();
        self.counts = Counts::default();
    }

    /// Makes room for a world of so many slots.
    pub(super) fn open(&mut self, slots: usize) {
        self.slots = slots;
        self.store.open(slots);
        for places in self.plain.iter_mut().chain([&mut self.absolute]) {
            places.reset(slots);
        }
    }

    /// The histories that somebody uses this tick.
    pub(super) fn histories(&self) -> impl Iterator<Item = History> + '_ {
        self.keys
            .iter()
            .map_while(|key| history(key.load(Ordering::Acquire)))
    }

    /// The cell of a history, taken for it if need be; `None` when all are taken for others. What
    /// is told from a baseline alone is told in every cell with that baseline.
    pub(super) fn claim(&self, of: History) -> Option<usize> {
        if of.code == HistoryCode::Alone {
            let known = self.histories().position(|other| other.base == of.base);
            if known.is_some() {
                return known;
            }
        }
        let wanted = key(of);
        self.keys.iter().position(|key| {
            let claimed = key.compare_exchange(0, wanted, Ordering::AcqRel, Ordering::Acquire);
            claimed.is_ok() || claimed == Err(wanted)
        })
    }

    /// What a claimed cell tells of those whose whole history is known.
    pub(super) fn shared(
        &self,
        cell: usize,
        frame: &TickFrame,
        history: History,
    ) -> Option<&Shared> {
        let cell = self.shared.get(cell)?;
        let build = |shared: &mut Shared| shared.build(frame, history);
        Some(cell.get(&self.counts, build))
    }

    /// The chunk of an entity by itself, made if nobody has; appended to `out`, if there is one.
    pub(super) fn single(
        &self,
        frame: &TickFrame,
        origin: Origin,
        slot: u16,
        maker: &mut Maker,
        out: Option<&mut BitBuffer>,
    ) -> Single {
        let (places, count) = match origin {
            Origin::Nothing => (&self.absolute, &self.counts.absolute),
            Origin::Baseline(cell, _) => (&self.plain[cell], &self.counts.plain),
        };
        let make = |tools: &mut Tools, bits: &mut BitBuffer| origin.make(frame, slot, tools, bits);
        let room = (&self.store, self.slots);
        let (single, made) = places.get(slot, room, maker, make, out);
        match made {
            Made::Before => {}
            Made::Here => _ = count.fetch_add(1, Ordering::Relaxed),
            Made::Meanwhile => _ = self.counts.waited.fetch_add(1, Ordering::Relaxed),
        }
        single
    }

    /// What the first client of a cell was told as a whole, if it was.
    pub(super) fn told(&self, cell: usize) -> Option<&Told> {
        self.told.get(cell)?.encoded.get()
    }

    /// Keeps what a client of a cell was told, if it is the first.
    pub(super) fn keep_told(
        &self,
        cell: usize,
        sets: impl Iterator<Item = [u64; 4]>,
        (bits, start): (&BitBuffer, usize),
        changes: usize,
    ) {
        let Some(cell) = self.told.get(cell) else {
            return;
        };
        if cell.encoded.get().is_some() {
            return;
        }
        let spare = cell
            .spare
            .try_lock()
            .ok()
            .and_then(|mut spare| spare.take());
        let mut told = spare.unwrap_or_else(|| Told {
            bits: BitBuffer::with_capacity(TOLD_BITS),
            ..Told::default()
        });
        told.sets.clear();
        told.sets.extend(sets);
        told.bits.clear();
        told.bits.append(bits, start, bits.len());
        told.changes = changes;
        // Another shard may have been faster: then its words serve as well.
        let _ = cell.encoded.set(told);
    }

    pub(super) fn stats(&self) -> CohortStats {
        let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
        CohortStats {
            built: count(&self.counts.built),
            plain: count(&self.counts.plain),
            absolute: count(&self.counts.absolute),
            waited: count(&self.counts.waited),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_has_one_cell_and_the_ninth_has_none() {
        let mut cohorts = Cohorts::default();
        let of = |tick, code| History {
            base: Tick(tick),
            code,
        };
        for tick in 0..4 {
            let place = tick as usize * 2;
            assert_eq!(cohorts.claim(of(tick, HistoryCode::Two)), Some(place));
            assert_eq!(cohorts.claim(of(tick, HistoryCode::One)), Some(place + 1));
            assert_eq!(cohorts.claim(of(tick, HistoryCode::Alone)), Some(place));
        }
        assert_eq!(cohorts.claim(of(3, HistoryCode::Two)), Some(6));
        assert_eq!(cohorts.claim(of(4, HistoryCode::One)), None);
        assert_eq!(cohorts.claim(of(4, HistoryCode::Alone)), None);
        assert_eq!(cohorts.histories().count(), 8);
        cohorts.reset();
        assert_eq!(cohorts.histories().count(), 0);
        let last = of(u32::MAX, HistoryCode::Two);
        assert_eq!(cohorts.claim(last), Some(0));
        assert!(cohorts.histories().eq([last]));
    }
}
