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
//!           age > 0:  code  2   history code: 0, b alone; others are reserved
//!           all             1   1: the part speaks of all slots
//!           all = 0:  first slot, last slot    it speaks of these and those between
//!           done            1   nothing in this range was deferred or withheld
//!           left, entered, changed, deferred   lists, in this order
//! left      list; an item is  rank gap, destroyed 1
//! entered   list; an item is  slot gap, generation 16, kind, absolute chunk
//! changed   list; an item is  rank gap, chunk
//! deferred  list; an item is  rank gap, number(0): the length of the run minus one
//! list      number(2): how many items; unless 0: order 3, then the items
//! gap       number(order): how many places are passed over since the item before, or since the first place
//! ```
//!
//! *Ranks* count the entities of V(b) in the range, by slot: all of them in `left`; in `changed`
//! those that did not leave; in `deferred` those that neither left nor changed. Slots in `entered`
//! count from the first slot of the range. Between two runs in `deferred` at least one place is
//! passed over, and one less than that is written.
//!
//! A chunk is a delta ([`super::delta`]) from the value the baseline holds, at its own `as_of`, as
//! long as that is at most 31 snapshot intervals before t; when it is older the chunk is absolute.

use super::code::{ORDER_BITS, order_for, push_number, read_number};
use super::frame::age;
use super::plan::{Item, What};
use super::rejection::Rejection;
use super::schema::Schema;
use super::slots::SlotRange;
use crate::proto::wire::{BitBuffer, BitReader, widen};
use crate::time::Tick;

/// The order of the number of items of a list.
const COUNT_ORDER: u32 = 2;
/// The order of the length of a run of deferred entities.
const RUN_ORDER: u32 = 0;
/// History code: the baseline alone.
const BASELINE_ALONE: u32 = 0;
const AGE_BITS: u32 = 5;
const CODE_BITS: u32 = 2;

/// What a part says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tick: Tick,
    pub(super) base: Option<Tick>,
    pub(super) range: SlotRange,
    pub(super) done: bool,
}

impl Header {
    /// Writes it. The baseline is one that [`age`] counts.
    pub(super) fn write(&self, schema: &Schema, snapshot_every: u32, bits: &mut BitBuffer) {
        let age = self
            .base
            .and_then(|base| age(self.tick, base, snapshot_every));
        bits.push(self.tick.0, 16);
        bits.push(age.unwrap_or(0), AGE_BITS);
        match age {
            None => bits.push(self.tick.0 >> 16, 16),
            Some(_) => bits.push(BASELINE_ALONE, CODE_BITS),
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
        let (tick, base) = if age == 0 {
            (Tick(read(reader, 16)? << 16 | low), None)
        } else {
            if read(reader, CODE_BITS)? != BASELINE_ALONE {
                return Err(Rejection::HistoryCode);
            }
            let wide = widen(low as u16, u64::from(newest.0));
            let tick = u32::try_from(wide).map_err(|_| Rejection::TooFarAhead)?;
            let ticks = age.saturating_mul(snapshot_every);
            let base = tick.checked_sub(ticks).ok_or(Rejection::UnknownBaseline)?;
            (Tick(tick), Some(Tick(base)))
        };
        let range = read_range(reader, schema)?;
        let done = read(reader, 1)? == 1;
        Ok(Self {
            tick,
            base,
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
        push_number(bits, count as u32, COUNT_ORDER);
        let order = order_for(count, places);
        if count > 0 {
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
        let items = read_number(reader, COUNT_ORDER).ok_or(Rejection::Truncated)?;
        let order = if items > 0 {
            read(reader, ORDER_BITS)?
        } else {
            0
        };
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

/// What the lists of a part are made from.
pub(super) struct Lists<'a> {
    pub(super) items: &'a [Item],
    /// How many entities of V(b) are in the range, and how many in the slots before it.
    pub(super) held: usize,
    pub(super) held_before: usize,
    pub(super) range: SlotRange,
}

impl Lists<'_> {
    /// Writes the four lists; `chunk` appends the chunk of an item.
    pub(super) fn write(
        &self,
        schema: &Schema,
        bits: &mut BitBuffer,
        mut chunk: impl FnMut(&Item, &mut BitBuffer),
    ) {
        let places = usize::from(self.range.last - self.range.first) + 1;
        let left = self.count(|what| matches!(what, What::Left { .. }));
        let entered = self.count(|what| what == What::Entered);
        let changed = self.count(|what| what == What::Changed);

        let mut list = ListWriter::new(bits, left, self.held);
        for item in self.items.iter().filter(|item| item.sent) {
            if let What::Left { destroyed } = item.what {
                list.place(self.rank(item)).push_bit(destroyed);
            }
        }
        let mut list = ListWriter::new(bits, entered, places);
        for item in self.sent(What::Entered) {
            let bits = list.place(u32::from(item.slot - self.range.first));
            bits.push(u32::from(item.who.generation), 16);
            bits.push(u32::from(item.who.kind), schema.kind_bits());
            chunk(item, bits);
        }
        let mut list = ListWriter::new(bits, changed, self.held - left);
        let mut gone = 0;
        for item in self.items.iter().filter(|item| item.sent) {
            match item.what {
                What::Left { .. } => gone += 1,
                What::Changed => chunk(item, list.place(self.rank(item) - gone)),
                What::Entered => {}
            }
        }
        let mut runs = 0;
        self.each_run(|_, _| runs += 1);
        let mut list = ListWriter::new(bits, runs, self.held - left - changed);
        self.each_run(|start, end| {
            push_number(list.place(start), end - start - 1, RUN_ORDER);
            list.next = end + 1;
        });
    }

    fn count(&self, which: impl Fn(What) -> bool) -> usize {
        self.items
            .iter()
            .filter(|item| item.sent && which(item.what))
            .count()
    }

    fn sent(&self, what: What) -> impl Iterator<Item = &Item> {
        self.items
            .iter()
            .filter(move |item| item.sent && item.what == what)
    }

    const fn rank(&self, item: &Item) -> u32 {
        item.held_index - self.held_before as u32
    }

    /// The runs of deferred entities, as places among those that neither left nor changed.
    fn each_run(&self, mut run: impl FnMut(u32, u32)) {
        let (mut gone, mut open) = (0, None::<(u32, u32)>);
        for item in self.items.iter().filter(|item| item.what != What::Entered) {
            if item.sent {
                gone += 1;
                continue;
            }
            let place = self.rank(item) - gone;
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
        if let Some((start, end)) = open {
            run(start, end);
        }
    }
}
