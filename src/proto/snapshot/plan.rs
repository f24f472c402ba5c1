//! What one client should be told this tick: what it may see, minus what it holds, by urgency,
//! within its budget.
//!
//! Knows a frame, a baseline and a visible set. Has no idea of datagrams: [`super::view`] cuts the
//! plan into parts. Lives in a [`Scratch`] that all clients of a shard share, so that a client's
//! own memory stays small.

use core::ops::Range;

use super::baselines::{Baselines, Stale, View, Who};
use super::cohort::Encoded;
use super::columns::{Columns, RowRef};
use super::delta;
use super::frame::TickFrame;
use super::grid::distance_squared;
use super::interest;
use super::priority;
use super::slots::{SlotRange, SlotSet};
use crate::id::ClientSlot;
use crate::proto::wire::BitBuffer;
use crate::time::Tick;

/// About what a place in a list costs.
const PLACE_BITS: u32 = 4;
/// About what the head of a part costs.
const HEADER_BITS: u32 = 80;

/// What is said of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The client holds it and may not see it any more.
    Left {
        /// It does not exist any more.
        destroyed: bool,
    },
    /// The client may see it and does not hold it.
    Entered,
    /// The client holds another value of it.
    Changed,
}

/// Where the chunk of an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It has none.
    Nowhere,
    /// Among the chunks of the range's cohort.
    Cohort,
    /// Among the absolute chunks of the frame.
    Absolute,
    /// Among those encoded for this client alone.
    Own,
}

/// Something to tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) slot: u16,
    /// Who entered; or who it is that the client holds.
    pub(super) who: Who,
    pub(super) what: What,
    /// Its place in the list of V(b), unless it entered.
    pub(super) held_index: u32,
    source: Source,
    chunk: (u32, u32),
    /// How old the value is that the client holds, in ticks; how long it has been lacking, in
    /// snapshots.
    waited: u32,
    urgency: u32,
    /// Whether this snapshot tells it.
    pub(super) sent: bool,
}

impl Item {
    /// About how many bits it takes.
    fn cost(&self) -> u32 {
        let place = match self.what {
            What::Entered => PLACE_BITS + 20,
            What::Left { .. } | What::Changed => PLACE_BITS,
        };
        place + self.chunk.1 - self.chunk.0
    }
}

/// A range of slots and what there is to tell of it.
#[derive(Debug, Clone)]
pub(super) struct PlannedRange {
    pub(super) range: SlotRange,
    pub(super) base: Option<Tick>,
    /// The cohort cell of its baseline.
    pub(super) cell: Option<usize>,
    /// The entities of V(b) in the range, as places in its list.
    pub(super) held: Range<usize>,
    pub(super) items: Range<usize>,
}

/// An entity that a client lacks, and for how many snapshots it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) slot: u16,
    pub(super) snapshots: u16,
}

/// Working memory for planning and writing one client's snapshot.
///
/// One per shard: clients take turns. It is best used for one client from `begin` until
/// `write_part` returns 0; a client that finds somebody else's plan in it makes its own again.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) visible: SlotSet,
    pub(super) items: Vec<Item>,
    pub(super) ranges: Vec<PlannedRange>,
    order: Vec<u32>,
    /// Chunks for this client alone.
    own: BitBuffer,
    /// The part being written.
    pub(super) bits: BitBuffer,
    pub(super) waiting: Vec<Waiting>,
    /// Whose plan this is.
    pub(super) owner: Option<(ClientSlot, Tick, u64)>,
    pub(super) plans: u64,
    has_urgency: bool,
}

/// What a range is planned from.
pub(super) struct Sight<'a> {
    pub(super) frame: &'a TickFrame,
    pub(super) base: Option<&'a View>,
    /// The values at the baseline.
    pub(super) base_columns: Option<&'a Columns>,
    pub(super) baselines: &'a Baselines,
    pub(super) cohort: Option<&'a Encoded>,
    /// All that the client may see, ascending.
    pub(super) visible: &'a [u16],
    /// For how long it has been lacking what it lacks, ascending.
    pub(super) waiting: &'a [Waiting],
}

impl Sight<'_> {
    /// For how long the client has been lacking what is in a slot.
    fn waiting(&self, slot: u16) -> Option<Waiting> {
        let index = self
            .waiting
            .binary_search_by_key(&slot, |waiting| waiting.slot)
            .ok()?;
        self.waiting.get(index).copied()
    }
}

impl Scratch {
    /// Working memory that grows to what is needed, and stays.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.ranges.clear();
        self.own.clear();
        self.waiting.clear();
        self.has_urgency = false;
        self.owner = None;
    }

    /// Adds a range with everything that could be told of it.
    pub(super) fn plan_range(&mut self, range: SlotRange, cell: Option<usize>, sight: &Sight<'_>) {
        let start = self.items.len();
        let held = sight
            .base
            .map_or(0..0, |base| range.within(&base.slots, |slot| *slot));
        let held_slots = sight.base.map_or(&[][..], |base| &base.slots[held.clone()]);
        let seen = &sight.visible[range.within(sight.visible, |slot| *slot)];
        let (mut held_slots, mut seen) = (held_slots.iter().peekable(), seen.iter().peekable());
        let mut index = held.start as u32;
        loop {
            match (held_slots.peek(), seen.peek()) {
                (None, None) => break,
                (Some(held), Some(see)) if held == see => {
                    self.plan_kept(**held, index, sight);
                    held_slots.next();
                    seen.next();
                    index += 1;
                }
                (Some(held), see) if see.is_none_or(|see| held < see) => {
                    self.plan_left(**held, index, sight);
                    held_slots.next();
                    index += 1;
                }
                (_, Some(see)) => {
                    self.plan_entered(**see, sight);
                    seen.next();
                }
                (Some(_), None) => break, // Taken above.
            }
        }
        self.ranges.push(PlannedRange {
            range,
            base: sight.base.map(|base| base.tick),
            cell,
            held,
            items: start..self.items.len(),
        });
    }

    /// The client holds something in this slot and may see what is there now.
    fn plan_kept(&mut self, slot: u16, index: u32, sight: &Sight<'_>) {
        let (Some(held), Some(now)) = (Held::of(slot, sight), sight.frame.columns.row(slot)) else {
            return;
        };
        if (now.generation, now.kind) != (held.who.generation, held.who.kind) {
            self.plan_left(slot, index, sight);
            self.plan_entered(slot, sight);
            return;
        }
        // Held in one lineage of baselines and lacking in another, it has still waited: were the
        // count to start again, the others might never get their turn.
        if let Some(waiting) = sight
            .waiting(slot)
            .filter(|_| !sight.baselines.all_hold(slot))
        {
            self.waiting.push(waiting);
        }
        let (source, chunk) = self.change(slot, &held, &now, sight);
        if chunk.0 != chunk.1 {
            self.items.push(Item {
                slot,
                who: held.who,
                what: What::Changed,
                held_index: index,
                source,
                chunk,
                waited: sight.frame.tick().since(held.as_of),
                urgency: 0,
                sent: false,
            });
        }
    }

    /// The chunk that leads from what the client holds to now; an empty one when they are equal.
    fn change(
        &mut self,
        slot: u16,
        held: &Held,
        now: &RowRef<'_>,
        sight: &Sight<'_>,
    ) -> (Source, (u32, u32)) {
        if let (false, Some(cohort)) = (held.stale, sight.cohort) {
            return (Source::Cohort, cohort.chunk(slot));
        }
        let frame = sight.frame;
        if frame.age_of(held.as_of).is_none() {
            let absolute = frame.cohorts.absolute(&frame.schema, &frame.columns);
            return (Source::Absolute, absolute.chunk(slot));
        }
        let start = self.own.len() as u32;
        let then = frame
            .columns_at(held.as_of)
            .and_then(|then: &Columns| then.row(slot));
        if let Some(then) = then.filter(|_| frame.columns.last_changed(slot) > held.as_of) {
            delta::encode_delta(
                frame.schema.codings(now.kind),
                then.values,
                now.values,
                &mut self.own,
            );
        }
        (Source::Own, (start, self.own.len() as u32))
    }

    /// The client holds something in this slot that it may not see any more.
    fn plan_left(&mut self, slot: u16, index: u32, sight: &Sight<'_>) {
        let Some(held) = Held::of(slot, sight) else {
            return;
        };
        let exists = sight.frame.columns.who(slot) == Some((held.who.generation, held.who.kind));
        self.items.push(Item {
            slot,
            who: held.who,
            what: What::Left { destroyed: !exists },
            held_index: index,
            source: Source::Nowhere,
            chunk: (0, 0),
            waited: 0,
            urgency: 0,
            sent: false,
        });
    }

    /// The client may see something in this slot that it does not hold.
    fn plan_entered(&mut self, slot: u16, sight: &Sight<'_>) {
        let frame = sight.frame;
        let Some((generation, kind)) = frame.columns.who(slot) else {
            return;
        };
        let before = sight.waiting(slot);
        let snapshots = before.map_or(0, |waiting| waiting.snapshots.saturating_add(1));
        self.waiting.push(Waiting { slot, snapshots });
        self.items.push(Item {
            slot,
            who: Who { generation, kind },
            what: What::Entered,
            held_index: 0,
            source: Source::Absolute,
            chunk: frame
                .cohorts
                .absolute(&frame.schema, &frame.columns)
                .chunk(slot),
            waited: u32::from(snapshots),
            urgency: 0,
            sent: false,
        });
    }

    /// Decides what is told within a budget of so many bytes.
    pub(super) fn select(
        &mut self,
        frame: &TickFrame,
        client: ClientSlot,
        outer: f32,
        budget: usize,
    ) {
        let budget =
            (budget as u64 * 8).saturating_sub(u64::from(HEADER_BITS) * self.ranges.len() as u64);
        let cost: u64 = self.items.iter().map(|item| u64::from(item.cost())).sum();
        if cost <= budget {
            self.items.iter_mut().for_each(|item| item.sent = true);
            return;
        }
        self.weigh(frame, client, outer);
        self.order.clear();
        self.order.extend(0..self.items.len() as u32);
        let items = &self.items;
        self.order.sort_unstable_by_key(|index| {
            (core::cmp::Reverse(items[*index as usize].urgency), *index)
        });
        let mut left = budget;
        for index in &self.order {
            let index = *index as usize;
            let cost = u64::from(self.items[index].cost());
            if cost <= left && !is_blocked(&self.items, index) {
                self.items[index].sent = true;
                left -= cost;
            }
        }
    }

    /// Says how urgent everything is, once per plan.
    fn weigh(&mut self, frame: &TickFrame, client: ClientSlot, outer: f32) {
        if core::mem::replace(&mut self.has_urgency, true) {
            return;
        }
        let viewpoint = frame.viewpoint(client);
        let center = viewpoint.map_or([0.0; 3], |viewpoint| viewpoint.center);
        let always = interest::present(frame, viewpoint.and_then(|viewpoint| viewpoint.always));
        for item in &mut self.items {
            let at = frame.columns.position(item.slot).unwrap_or(center);
            let distance = distance_squared(at, center);
            item.urgency = match item.what {
                What::Left { .. } => priority::FIRST,
                _ if always.is_some_and(|always| always.slot == item.slot) => priority::FIRST,
                What::Changed => priority::of_change(distance, outer, item.waited),
                What::Entered => {
                    priority::of_entering(distance, outer, item.waited, frame.snapshot_every)
                }
            };
        }
    }

    /// Holds back what is least urgent in a range until about so many bits less are to be told.
    /// Says whether there was anything.
    pub(super) fn hold_back(
        &mut self,
        (frame, client, outer): (&TickFrame, ClientSlot, f32),
        items: Range<usize>,
        bits: usize,
    ) -> bool {
        self.weigh(frame, client, outer);
        let mut freed = 0;
        while freed < bits {
            let sent = items.clone().filter(|index| self.items[*index].sent);
            let Some(index) = sent.min_by_key(|index| self.items[*index].urgency) else {
                break;
            };
            self.items[index].sent = false;
            freed += self.items[index].cost() as usize;
            if is_blocked(&self.items, index + 1) && self.items[index + 1].sent {
                self.items[index + 1].sent = false;
                freed += self.items[index + 1].cost() as usize;
            }
        }
        freed > 0
    }

    /// Where to cut a planned range so that what is told of the first piece takes about so many
    /// bits: at the slot of one of its items, not the first.
    pub(super) fn cut(&self, planned: &PlannedRange, bits: usize) -> Option<u16> {
        let items = self.items.get(planned.items.clone())?;
        let mut used = HEADER_BITS as usize;
        let beyond = |item: &&Item| {
            used += if item.sent { item.cost() as usize } else { 2 };
            used > bits && item.slot > planned.range.first
        };
        items.iter().find(beyond).map(|item| item.slot)
    }

    /// Appends the chunk of an item to a part.
    pub(super) fn chunk(
        item: &Item,
        (own, cohort): (&BitBuffer, Option<&Encoded>),
        frame: &TickFrame,
        bits: &mut BitBuffer,
    ) {
        let source = match item.source {
            Source::Nowhere => None,
            Source::Own => Some(own),
            Source::Cohort => cohort.map(Encoded::bits),
            Source::Absolute => Some(frame.cohorts.absolute(&frame.schema, &frame.columns).bits()),
        };
        if let Some(source) = source {
            bits.append(source, item.chunk.0 as usize, item.chunk.1 as usize);
        }
    }

    /// The items of a range, the chunks encoded for this client, and the part being written.
    pub(super) fn writing(&mut self, items: Range<usize>) -> (&[Item], &BitBuffer, &mut BitBuffer) {
        self.bits.clear();
        (
            self.items.get(items).unwrap_or(&[]),
            &self.own,
            &mut self.bits,
        )
    }
}

/// Whether an entity may not enter because the one before it in its slot has not been told to
/// leave.
fn is_blocked(items: &[Item], index: usize) -> bool {
    let (Some(before), Some(item)) = (
        index.checked_sub(1).and_then(|before| items.get(before)),
        items.get(index),
    ) else {
        return false;
    };
    before.slot == item.slot && !before.sent
}

/// Whom a client holds in a slot, and since when.
struct Held {
    who: Who,
    as_of: Tick,
    stale: bool,
}

impl Held {
    fn of(slot: u16, sight: &Sight<'_>) -> Option<Self> {
        let base = sight.base?;
        let known = base
            .stale
            .binary_search_by_key(&slot, |stale: &Stale| stale.slot);
        if let Some(stale) = known.ok().and_then(|index| base.stale.get(index)) {
            return Some(Self {
                who: stale.who,
                as_of: stale.as_of,
                stale: true,
            });
        }
        // A baseline that can be used is in the history of the frame.
        let (generation, kind) = sight.base_columns?.who(slot)?;
        Some(Self {
            who: Who { generation, kind },
            as_of: base.tick,
            stale: false,
        })
    }
}
