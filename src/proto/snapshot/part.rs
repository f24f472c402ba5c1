//! One part of a snapshot, bit by bit.
//!
//! Knows the layout. Has no idea which entities are worth telling (that is [`super::plan`]) or what
//! the client makes of it (that is [`super::replica`]). Section 8 of `docs/protocol.md` tells it to other languages, with
//! examples.
//!
//! Bits are filled from the lowest of the first byte; the last byte is padded with zeros.
//! `number(k)` is the exponential Golomb code of order `k` of [`super::code`], `slot` takes the
//! bits that `max_entities - 1` needs, and `kind` those that the number of kinds minus one needs.
//!
//! ```text
//! part      tick           16   the low 16 bits of the tick of this snapshot, t
//!           age             5   its baseline b is so many snapshot intervals before t; 0: no baseline
//!           age = 0:  high 16   the high 16 bits of t
//!           age > 0:  code  2   history code: 0, b alone; 1, b and the earlier tick; 2, the earliest one too
//!           all             1   1: the part speaks of all slots
//!           all = 0:  first slot, last slot    it speaks of these and those between
//!           done            1   nothing in this range was deferred or withheld
//!           moves           1   1: the lists left, entered and deferred follow
//!           code > 0: coded     the chunks of the coded, in the order of their slots
//!           code > 0: busy, quiet   lists of those that are not as expected
//!           others              the same
//!           own                 if some kind of the schema has fields that only an owner is told
//! left      list; an item is  rank gap, destroyed 1
//! entered   list; an item is  slot gap, generation number(8), kind, chunk from nothing
//! deferred  list; an item is  rank gap, number(0): the length of the run minus one
//! busy ...  list; an item is  rank gap, chunk
//! own       there 1; there = 1: follows whose it is, and its fields
//!           same            1   only if V(b) has an own entity in the range; 1: it is that one
//!           same = 0:  slot
//!           per field of its kind that only an owner is told: other 1; other = 1: its raw number
//! list      1 bit: whether there is an item; if so number(2): how many minus one; order 3; the items
//! gap       number(order): how many places are passed over since the item before, or since the first place
//! ```
//!
//! *Ranks* count entities by slot: in `left` those of V(b) in the range; in `deferred` those of them
//! that did not leave; in `busy`, `quiet` and `others` those of that class that neither left nor were
//! deferred. Slots in `entered` count from the first slot of the range. Between two runs in
//! `deferred` at least one place is passed over, and one less than that is written.
//!
//! The *own* entity of V(b) is the one that the own section of a part of V(b) was of. A field that is
//! not *other* is as in V(b) when the entity is the *same* one, and else its zero. The section is of an
//! entity that is true at t: it stayed and is not deferred, or it entered. Of all others that are true
//! at t these fields are zero in V(t), whatever they are in V(b).
//!
//! The *others* are those of whom not every tick of the history is known: their chunks build on the
//! value the baseline holds, at its own `as_of`, as long as that is at most 31 snapshot intervals
//! before t; when it is older the chunk is one from nothing.

use core::cell::RefCell;

use super::code::{ORDER_BITS, order_for, push_number, read_number};
use super::cohort::{History, HistoryCode, Origin, Shared};
use super::frame::{TickFrame, age};
use super::plan::{Own, Sets};
use super::rejection::Rejection;
use super::schema::Schema;
use super::singles::{Maker, Single};
use super::slots::{SlotRange, population, slots_of};
use crate::proto::wire::{BitBuffer, BitReader, widen};
use crate::time::Tick;

/// The order of the number of items of a list.
const COUNT_ORDER: u32 = 2;
/// The order of the length of a run of deferred entities.
const RUN_ORDER: u32 = 0;
/// The order of the generation of an entity that enters.
const GENERATION_ORDER: u32 = 8;
const AGE_BITS: u32 = 5;
const CODE_BITS: u32 = 2;

/// What a part says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tick: Tick,
    pub(super) history: Option<History>,
    pub(super) range: SlotRange,
    pub(super) done: bool,
}

impl Header {
    /// Writes it. The baseline is one that [`age`] counts.
    pub(super) fn write(&self, schema: &Schema, snapshot_every: u32, bits: &mut BitBuffer) {
        let age = |history: History| age(self.tick, history.base, snapshot_every);
        let history = self.history.and_then(|of| Some((age(of)?, of.code)));
        bits.push(self.tick.0, 16);
        bits.push(history.map_or(0, |(age, _)| age), AGE_BITS);
        match history {
            None => bits.push(self.tick.0 >> 16, 16),
            Some((_, code)) => bits.push(code.number(), CODE_BITS),
        }
        let all = self.range == all_slots(schema);
        bits.push_bit(all);
        if !all {
            bits.push(u32::from(self.range.first), schema.slot_bits());
            bits.push(u32::from(self.range.last), schema.slot_bits());
        }
        bits.push_bit(self.done);
    }

    /// Reads it. `newest` is a tick that t is within 2^15 of, if it has a baseline.
    pub(super) fn read(
        reader: &mut BitReader<'_>,
        schema: &Schema,
        snapshot_every: u32,
        newest: Tick,
    ) -> Result<Self, Rejection> {
        let low = read(reader, 16)?;
        let age = read(reader, AGE_BITS)?;
        let (tick, history) = if age == 0 {
            (Tick(read(reader, 16)? << 16 | low), None)
        } else {
            let code = HistoryCode::from_number(read(reader, CODE_BITS)?);
            let code = code.ok_or(Rejection::HistoryCode)?;
            let wide = widen(low as u16, u64::from(newest.0));
            let tick = u32::try_from(wide).map_err(|_| Rejection::TooFarAhead)?;
            let ticks = age.saturating_mul(snapshot_every);
            let base = tick.checked_sub(ticks).ok_or(Rejection::UnknownBaseline)?;
            let base = Tick(base);
            (Tick(tick), Some(History { base, code }))
        };
        let range = read_range(reader, schema)?;
        let done = read(reader, 1)? == 1;
        Ok(Self {
            tick,
            history,
            range,
            done,
        })
    }
}

fn read_range(reader: &mut BitReader<'_>, schema: &Schema) -> Result<SlotRange, Rejection> {
    if read(reader, 1)? == 1 {
        return Ok(all_slots(schema));
    }
    let first = read(reader, schema.slot_bits())? as u16;
    let last = read(reader, schema.slot_bits())? as u16;
    if first > last || last > schema.last_slot() {
        return Err(Rejection::Range);
    }
    Ok(SlotRange { first, last })
}

/// Every slot there is.
pub(super) const fn all_slots(schema: &Schema) -> SlotRange {
    SlotRange {
        first: 0,
        last: schema.last_slot(),
    }
}

/// The next bits, which a part must have.
pub(super) fn read(reader: &mut BitReader<'_>, bits: u32) -> Result<u32, Rejection> {
    reader.read(bits).ok_or(Rejection::Truncated)
}

/// A list being written.
struct ListWriter<'a> {
    bits: &'a mut BitBuffer,
    order: u32,
    next: u32,
}

impl<'a> ListWriter<'a> {
    /// A list of `count` items at places below `places`.
    fn new(bits: &'a mut BitBuffer, count: usize, places: usize) -> Self {
        let order = order_for(count, places);
        bits.push_bit(count > 0);
        if count > 0 {
            push_number(bits, count as u32 - 1, COUNT_ORDER);
            bits.push(order, ORDER_BITS);
        }
        Self {
            bits,
            order,
            next: 0,
        }
    }

    /// The next item is at `place`.
    fn place(&mut self, place: u32) -> &mut BitBuffer {
        push_number(self.bits, place - self.next, self.order);
        self.next = place + 1;
        self.bits
    }
}

/// A list being read: counts places, and never promises more items than the bits can hold.
#[derive(Debug)]
pub(super) struct ListReader {
    items: u32,
    order: u32,
    next: u32,
}

impl ListReader {
    /// The head of a list.
    pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Self, Rejection> {
        let (mut items, mut order) = (0, 0);
        if read(reader, 1)? == 1 {
            items = read_number(reader, COUNT_ORDER).ok_or(Rejection::Truncated)? + 1;
            order = read(reader, ORDER_BITS)?;
        }
        Ok(Self {
            items,
            order,
            next: 0,
        })
    }

    /// Whether no item is to come.
    pub(super) const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The place of the next item, below `places`; `None` after the last one.
    pub(super) fn place(
        &mut self,
        reader: &mut BitReader<'_>,
        places: u32,
    ) -> Result<Option<u32>, Rejection> {
        if self.items == 0 {
            return Ok(None);
        }
        self.items -= 1;
        let gap = read_number(reader, self.order).ok_or(Rejection::Truncated)?;
        let place = self.next.saturating_add(gap);
        if place >= places {
            return Err(Rejection::Rank);
        }
        self.next = place + 1;
        Ok(Some(place))
    }

    /// The next run of places, as its first place and its end, at most `places`; `None` after the
    /// last one.
    pub(super) fn run(
        &mut self,
        reader: &mut BitReader<'_>,
        places: u32,
    ) -> Result<Option<(u32, u32)>, Rejection> {
        let Some(start) = self.place(reader, places)? else {
            return Ok(None);
        };
        let more = read_number(reader, RUN_ORDER).ok_or(Rejection::Truncated)?;
        let end = start.saturating_add(more).saturating_add(1);
        if end > places {
            return Err(Rejection::Rank);
        }
        // The place after a run does not belong to the next one.
        self.next = end + 1;
        Ok(Some((start, end)))
    }
}

/// A list that is to be written: its members by rank, and of whom it tells. Keeps its memory.
#[derive(Debug, Default)]
struct List {
    /// Whom it tells of, of all words at once: nobody, or somebody.
    told: u64,
    words: Vec<ListWord>,
}

/// A word of slots in which a list has members.
#[derive(Debug, Clone, Copy)]
struct ListWord {
    index: usize,
    members: u64,
    told: u64,
}

impl List {
    fn clear(&mut self) {
        self.told = 0;
        self.words.clear();
    }

    /// The members of the next word, and of whom of them it tells. Nobody is counted before it is known that somebody is
    /// told of.
    #[inline]
    fn add(&mut self, index: usize, members: u64, told: u64) {
        if members == 0 {
            return;
        }
        self.told |= told;
        self.words.push(ListWord {
            index,
            members,
            told,
        });
    }

    /// Writes it, with what `item` says of each of whom it tells, and says of how many that is.
    fn write(&self, bits: &mut BitBuffer, mut item: impl FnMut(u16, &mut BitBuffer)) -> usize {
        if self.told == 0 {
            ListWriter::new(bits, 0, 0);
            return 0;
        }
        let count = |of: fn(&ListWord) -> u64| -> usize {
            let words = self.words.iter().map(of);
            words.map(|word| population(word) as usize).sum()
        };
        let (told, places) = (count(|word| word.told), count(|word| word.members));
        let mut list = ListWriter::new(bits, told, places);
        let mut before = 0;
        for word in &self.words {
            for slot in slots_of(word.index, word.told) {
                let lower = word.members & ((1 << (slot % 64)) - 1);
                item(slot, list.place(before + population(lower)));
            }
            before += population(word.members);
        }
        told
    }
}

/// Working memory for writing a body: what is found in one walk over the words.
#[derive(Debug, Default)]
pub(super) struct Lists {
    moves: bool,
    cuts: bool,
    left: List,
    /// By word: who enters.
    entered: Vec<(usize, u64)>,
    /// By word: who of the coded is told, and who of them there is.
    coded: Vec<(usize, u64, u64)>,
    busy: List,
    quiet: List,
    others: List,
}

impl Lists {
    fn clear(&mut self) {
        (self.moves, self.cuts) = (false, false);
        self.coded.clear();
        self.entered.clear();
        for list in [
            &mut self.left,
            &mut self.busy,
            &mut self.quiet,
            &mut self.others,
        ] {
            list.clear();
        }
    }
}

/// What a part is made from, after its header and before its own section.
pub(super) struct Body<'a> {
    pub(super) frame: &'a TickFrame,
    pub(super) range: SlotRange,
    pub(super) sets: &'a Sets,
    /// Nobody comes or goes, and all is told.
    pub(super) is_plain: bool,
    pub(super) shared: Option<&'a Shared>,
    /// From what those are told of whom only the baseline is known, if that is shared.
    pub(super) plain: Option<Origin>,
    /// For those who have a chunk by themselves.
    pub(super) maker: &'a RefCell<Maker>,
    /// Chunks for this client alone, by slot, and their bits.
    pub(super) own: (&'a [Own], &'a BitBuffer),
}

impl Body<'_> {
    /// Writes it, and says how many changes that told.
    pub(super) fn write(&self, lists: &mut Lists, bits: &mut BitBuffer) -> usize {
        self.walk(lists);
        bits.push_bit(lists.moves);
        if lists.moves {
            self.write_moves(lists, bits);
        }
        let mut told = 0;
        if let Some(shared) = self.shared {
            told += write_coded(shared, &lists.coded, bits);
            let chunks = &shared.listed_chunks;
            let mut chunk = |slot: u16, bits: &mut BitBuffer| {
                let (start, end) = chunks.chunk(slot);
                bits.append(chunks.bits(), start, end);
            };
            told += lists.busy.write(bits, &mut chunk);
            told += lists.quiet.write(bits, &mut chunk);
        }
        told + self.write_others(&lists.others, bits)
    }

    /// Finds out who belongs in which list.
    fn walk(&self, lists: &mut Lists) {
        lists.clear();
        for (index, mask) in self.sets.masks(self.range) {
            let fates = self.sets.word(index);
            let told = !fates.unsent & mask;
            let (steady, others) = (fates.steady & told, fates.kept & !fates.steady & told);
            if let Some(shared) = self.shared
                && steady != 0
            {
                let of = shared.word(index);
                let coded = steady & of.coded;
                if coded != 0 {
                    lists.coded.push((index, coded, of.coded));
                }
                let (busy, quiet) = (steady & !of.coded & of.busy, steady & !of.coded & !of.busy);
                lists.busy.add(index, busy, busy & of.listed);
                lists.quiet.add(index, quiet, quiet & of.listed);
            }
            if others != 0 {
                let listed = self.listed(index, others & !fates.aged) | fates.own;
                lists.others.add(index, others, others & listed);
            }
            if !self.is_plain {
                self.walk_moves(index, mask, lists);
            }
        }
    }

    /// Of some of the others, who differs.
    fn listed(&self, index: usize, others: u64) -> u64 {
        let Some(origin) = self.plain else {
            return 0;
        };
        let differs = |slot: &u16| self.single(origin, *slot, None).differs;
        let listed = slots_of(index, others).filter(differs);
        listed.fold(0, |listed, slot| listed | 1 << (slot % 64))
    }

    fn single(&self, origin: Origin, slot: u16, out: Option<&mut BitBuffer>) -> Single {
        let maker = &mut self.maker.borrow_mut();
        self.frame
            .cohorts
            .single(self.frame, origin, slot, maker, out)
    }

    /// The same of those who leave, enter or are deferred, in one word.
    #[inline]
    fn walk_moves(&self, index: usize, mask: u64, lists: &mut Lists) {
        let fates = self.sets.word(index);
        let held = fates.held & mask;
        lists
            .left
            .add(index, held, held & fates.gone & !fates.unsent);
        lists.moves |= (fates.gone | fates.new | fates.unsent) & mask != 0;
        lists.cuts |= fates.unsent & mask != 0;
        let entered = fates.new & !fates.withheld & mask;
        if entered != 0 {
            lists.entered.push((index, entered));
        }
    }

    fn write_moves(&self, lists: &Lists, bits: &mut BitBuffer) {
        lists.left.write(bits, |slot, bits| {
            bits.push_bit(self.sets.has(slot, |fates| fates.destroyed));
        });
        self.write_entered(&lists.entered, bits);
        if lists.cuts {
            self.write_deferred(bits);
        } else {
            List::default().write(bits, |_, _| {});
        }
    }

    /// Every slot of the range is a place of those who enter.
    fn write_entered(&self, entered: &[(usize, u64)], bits: &mut BitBuffer) {
        let schema = &self.frame.schema;
        let count = entered.iter().map(|(_, slots)| population(*slots) as usize);
        let SlotRange { first, last } = self.range;
        let mut list = ListWriter::new(bits, count.sum(), usize::from(last - first) + 1);
        let slots = entered
            .iter()
            .flat_map(|(index, slots)| slots_of(*index, *slots));
        for slot in slots {
            let bits = list.place(u32::from(slot - first));
            let (generation, kind) = self.frame.columns.who(slot).unwrap_or_default();
            push_number(bits, u32::from(generation), GENERATION_ORDER);
            bits.push(u32::from(kind), schema.kind_bits());
            self.single(Origin::Nothing, slot, Some(bits));
        }
    }

    fn write_others(&self, others: &List, bits: &mut BitBuffer) -> usize {
        let (own, own_bits) = self.own;
        others.write(bits, |slot, bits| {
            let place = own.binary_search_by_key(&slot, |own| own.slot).ok();
            if let Some(own) = place.and_then(|place| own.get(place)) {
                return bits.append(own_bits, own.chunk.0, own.chunk.1);
            }
            if let Some(origin) = self.plain {
                self.single(origin, slot, Some(bits));
            }
        })
    }

    fn write_deferred(&self, bits: &mut BitBuffer) {
        let mut runs = 0;
        let places = self.each_run(|_, _| runs += 1);
        let mut list = ListWriter::new(bits, runs, places);
        self.each_run(|start, end| {
            push_number(list.place(start), end - start - 1, RUN_ORDER);
            list.next = end + 1;
        });
    }

    /// The runs of deferred entities, as places among those that did not leave, of which it says
    /// how many there are.
    fn each_run(&self, mut run: impl FnMut(u32, u32)) -> usize {
        let (mut places, mut open) = (0_u32, None::<(u32, u32)>);
        for (index, mask) in self.sets.masks(self.range) {
            let fates = self.sets.word(index);
            let stays = fates.held & mask & !(fates.gone & !fates.unsent);
            for slot in slots_of(index, stays & fates.unsent) {
                let lower = stays & ((1 << (slot % 64)) - 1);
                let place = places + population(lower);
                open = match open {
                    Some((start, end)) if end == place => Some((start, place + 1)),
                    before => {
                        if let Some((start, end)) = before {
                            run(start, end);
                        }
                        Some((place, place + 1))
                    }
                };
            }
            places += population(stays);
        }
        if let Some((start, end)) = open {
            run(start, end);
        }
        places as usize
    }
}

/// Chunks that follow one another in the cohort follow one another here. Says how many there are.
fn write_coded(shared: &Shared, coded: &[(usize, u64, u64)], bits: &mut BitBuffer) -> usize {
    let chunks = &shared.coded_chunks;
    let (mut run, mut count) = (0..0, 0);
    let mut add = |start: usize, end: usize, bits: &mut BitBuffer| {
        if start != run.end {
            bits.append(chunks.bits(), run.start, run.end);
            run.start = start;
        }
        run.end = end;
    };
    for &(index, told, all) in coded {
        count += population(told) as usize;
        if told == all {
            let (start, end) = (chunks.start(index * 64), chunks.start(index * 64 + 64));
            add(start, end, bits);
            continue;
        }
        for slot in slots_of(index, told) {
            let (start, end) = chunks.chunk(slot);
            add(start, end, bits);
        }
    }
    bits.append(chunks.bits(), run.start, run.end);
    count
}

/// The generation of an entity that enters.
pub(super) fn read_generation(reader: &mut BitReader<'_>) -> Result<u16, Rejection> {
    let generation = read_number(reader, GENERATION_ORDER).ok_or(Rejection::Truncated)?;
    u16::try_from(generation).map_err(|_| Rejection::Value)
}
