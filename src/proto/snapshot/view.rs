//! One client as the server sees it: turns frames into parts that fit its datagrams, and acknowledgements into
//! baselines.
//!
//! Knows datagram numbers, room and budget. Has no idea of sessions, sockets or time.

use std::sync::Arc;

use super::MAX_AGE;
use super::baselines::{Baselines, Part, View};
use super::cohort::Encoded;
use super::frame::TickFrame;
use super::interest::{self, Radii};
use super::part::{Header, Lists, all_slots};
use super::plan::{Scratch, Sight, Waiting, What};
use super::slots::SlotRange;
use crate::id::ClientSlot;
use crate::time::Tick;

/// Datagrams one snapshot may take. With a round trip of four snapshots all of them can be accounted for.
pub const MAX_PARTS: usize = 16;
/// A part is not begun in less room than this.
const MIN_ROOM: usize = 24;
/// Two parts become one when together they would fill less than this much of a datagram (of 8).
const MERGE_BELOW: usize = 4;
/// When a part overflows, its first piece keeps so much of the datagram (of 8): it shall not overflow again at once.
const SPLIT_AT: usize = 6;
/// Room that is kept for entities to wait in.
const FEW: usize = 16;
/// A client joins a cohort that is so many snapshots older than its own best rather than open a new one.
const JOIN: u32 = 2;

/// How far a client sees, and how much it may be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewConfig {
    /// Entities at most this far from the viewpoint are seen. In the unit of positions.
    pub inner_radius: f32,
    /// Entities that are seen are seen until they are farther than this. At least the inner radius.
    pub outer_radius: f32,
    /// Bytes of all parts of one snapshot, before headers and sealing; at least 256 are always allowed. More than one datagram's
    /// room means several datagrams, at most [`MAX_PARTS`].
    pub bytes_per_snapshot: usize,
}

impl Default for ViewConfig {
    /// Sees 64 far, loses sight at 72, one datagram.
    fn default() -> Self {
        Self {
            inner_radius: 64.0,
            outer_radius: 72.0,
            bytes_per_snapshot: 1_100,
        }
    }
}

impl ViewConfig {
    const MIN_BYTES: usize = 256;

    fn radii(&self) -> Radii {
        Radii {
            inner: self.inner_radius,
            outer: self.outer_radius.max(self.inner_radius),
        }
    }
}

/// What a client has been told so far, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewStats {
    /// Parts written.
    pub parts: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Entities told with a delta.
    pub changed: u64,
    /// Entities told from nothing.
    pub entered: u64,
    /// Entities whose change did not fit.
    pub deferred: u64,
    /// Entities that could not enter yet.
    pub withheld: u64,
    /// Parts that built on no baseline.
    pub without_baseline: u64,
    /// Parts whose deltas no cohort could share.
    pub alone: u64,
}

/// A range that has a part of its own.
#[derive(Debug, Clone, Copy)]
struct Split {
    range: SlotRange,
    /// Bytes of its last part.
    bytes: u16,
    /// Whether this snapshot has told it.
    told: bool,
}

/// One client as the server sees it.
///
/// Once per snapshot tick: [`Self::begin`], then [`Self::write_part`] into one datagram after another until it
/// returns 0. What the channel learns of these datagrams goes to [`Self::acked`] and [`Self::lost`].
#[derive(Debug)]
pub struct ClientView {
    client: ClientSlot,
    config: ViewConfig,
    baselines: Baselines,
    /// What it could see at `seen_at`, ascending.
    visible: Vec<u16>,
    seen_at: Tick,
    /// What it lacked then, ascending.
    waiting: Vec<Waiting>,
    /// The parts a snapshot is cut into, ascending; together all slots.
    splits: Vec<Split>,
    /// The first slot that did not get its turn in the snapshot before.
    turn: u16,
    /// The snapshot being told, and the bytes it may still take.
    telling: Option<Arc<TickFrame>>,
    budget: usize,
    last_begun: Option<Tick>,
    plan: u64,
    room: usize,
    stats: ViewStats,
}

impl ClientView {
    /// A client that holds nothing.
    #[must_use]
    pub fn new(client: ClientSlot, config: ViewConfig) -> Self {
        Self {
            client,
            config,
            baselines: Baselines::default(),
            visible: Vec::new(),
            seen_at: Tick(0),
            waiting: Vec::new(),
            splits: Vec::new(),
            turn: 0,
            telling: None,
            budget: 0,
            last_begun: None,
            plan: 0,
            room: 0,
            stats: ViewStats::default(),
        }
    }

    /// Its place at the server.
    #[must_use]
    pub const fn client(&self) -> ClientSlot {
        self.client
    }

    /// How far it sees, and how much it may be told.
    #[must_use]
    pub const fn config(&self) -> &ViewConfig {
        &self.config
    }

    /// Changes how far it sees and how much it may be told, from the next snapshot on.
    pub const fn configure(&mut self, config: ViewConfig) {
        self.config = config;
    }

    /// What it has been told so far, in numbers.
    #[must_use]
    pub const fn stats(&self) -> ViewStats {
        self.stats
    }

    /// Begins to tell a frame. A frame that is not newer than the one before is not told again. What was not yet told of
    /// the one before is not told any more.
    pub fn begin(&mut self, frame: &Arc<TickFrame>, scratch: &mut Scratch) {
        if self.last_begun.is_some_and(|last| last >= frame.tick()) {
            return;
        }
        self.last_begun = Some(frame.tick());
        self.stop();
        self.telling = Some(Arc::clone(frame));
        self.budget = self.config.bytes_per_snapshot.max(ViewConfig::MIN_BYTES);
        self.baselines
            .expire(frame.tick().minus(MAX_AGE * frame.snapshot_every));
        let before = (&self.visible[..], self.seen_at);
        interest::visible(
            frame,
            self.client,
            self.config.radii(),
            before,
            &mut scratch.visible,
        );
        scratch.visible.copy_to(&mut self.visible);
        self.seen_at = frame.tick();
        self.join_ranges(frame);
        self.make_plan(frame, scratch);
        // Copied, not swapped: the scratch has grown with the client that sees most.
        self.waiting.clear();
        if scratch.waiting.is_empty() {
            // After joining there is seldom anything: the memory of that one burst goes back.
            self.waiting.shrink_to(FEW);
        }
        self.waiting.reserve_exact(scratch.waiting.len());
        self.waiting.extend_from_slice(&scratch.waiting);
    }

    /// Writes the next part of the snapshot into the datagram of this number; numbers grow. Returns how many bytes it
    /// took: 0 when everything is told that may be told this tick, or when `out` has no room for a part.
    pub fn write_part(&mut self, number: u64, out: &mut [u8], scratch: &mut Scratch) -> usize {
        let Some(frame) = self.telling.take() else {
            return 0;
        };
        if scratch.owner != Some((self.client, frame.tick(), self.plan)) {
            self.make_plan(&frame, scratch);
        }
        let written = self.write_next(&frame, number, out, scratch);
        if written == 0 {
            self.stop();
        } else {
            self.telling = Some(frame);
        }
        written
    }

    /// The client has the datagram of this number.
    pub fn acked(&mut self, number: u64) {
        let ranges = self.splits.iter().map(|split| split.range);
        self.baselines.acked(number, ranges);
    }

    /// The client does not have the datagram of this number.
    pub fn lost(&mut self, number: u64) {
        self.baselines.lost(number);
    }

    /// The client asks to start over: nothing is held to be known any more.
    pub fn reset(&mut self) {
        self.baselines.clear();
        self.splits.clear();
        self.stop();
    }

    /// Heap and own memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.baselines.memory()
            + self.visible.capacity() * size_of::<u16>()
            + self.waiting.capacity() * size_of::<Waiting>()
            + self.splits.capacity() * size_of::<Split>()
    }

    /// Ends the telling. Whoever did not get a turn is first next time.
    fn stop(&mut self) {
        self.telling = None;
        self.turn = self.next_turn().map_or(0, |split| split.range.first);
        self.splits.iter_mut().for_each(|split| split.told = false);
    }

    /// The next range to tell: from `turn` upwards, then from the start.
    fn next_turn(&self) -> Option<&Split> {
        let mut open = self.splits.iter().filter(|split| !split.told);
        let first = open.clone().next();
        open.find(|split| split.range.last >= self.turn).or(first)
    }

    /// Makes two neighbouring ranges one when they would easily fit into one datagram.
    fn join_ranges(&mut self, frame: &TickFrame) {
        if self.splits.is_empty() {
            self.splits.push(Split {
                range: all_slots(&frame.schema),
                bytes: u16::MAX,
                told: false,
            });
        }
        let small = |pair: &[Split]| {
            usize::from(pair[0].bytes) + usize::from(pair[1].bytes) <= self.room * MERGE_BELOW / 8
        };
        let best = |range| self.baselines.covering(range).next().map(|view| view.tick);
        let joined = |pair: &[Split]| SlotRange {
            first: pair[0].range.first,
            last: pair[1].range.last,
        };
        // The one range must not have to go back to a much older baseline than the two.
        let fresh = |pair: &[Split]| {
            let older = best(pair[0].range).min(best(pair[1].range));
            older.is_none_or(|older| {
                let slack = JOIN * frame.snapshot_every;
                best(joined(pair)).is_some_and(|tick| tick.plus(slack) >= older)
            })
        };
        let index = self
            .splits
            .windows(2)
            .position(|pair| small(pair) && fresh(pair));
        if let Some(index) = index {
            let second = self.splits.remove(index + 1);
            if let Some(first) = self.splits.get_mut(index) {
                first.range.last = second.range.last;
                first.bytes = first.bytes.saturating_add(second.bytes);
            }
        }
    }

    /// Plans whatever of the snapshot is not told yet.
    fn make_plan(&mut self, frame: &TickFrame, scratch: &mut Scratch) {
        scratch.clear();
        for split in self.splits.iter().filter(|split| !split.told) {
            let (base, cell) = self.choose_baseline(frame, split.range);
            let sight = Sight {
                frame,
                base,
                base_columns: base.and_then(|base| frame.columns_at(base.tick)),
                baselines: &self.baselines,
                cohort: cohort(frame, base.map(|base| base.tick), cell),
                visible: &self.visible,
                waiting: &self.waiting,
            };
            scratch.plan_range(split.range, cell, &sight);
        }
        scratch.select(frame, self.client, self.config.radii().outer, self.budget);
        scratch.plans += 1;
        self.plan = scratch.plans;
        scratch.owner = Some((self.client, frame.tick(), self.plan));
    }

    /// The baseline of a range and its cohort cell: rule 11 of the model.
    fn choose_baseline(
        &self,
        frame: &TickFrame,
        range: SlotRange,
    ) -> (Option<&View>, Option<usize>) {
        let usable = |view: &&View| {
            frame.age_of(view.tick).is_some() && frame.columns_at(view.tick).is_some()
        };
        let views = || self.baselines.covering(range).filter(usable);
        let Some(best) = views().next() else {
            return (None, None);
        };
        let in_use = |tick: Tick| frame.cohorts.baselines().any(|baseline| baseline == tick);
        let near = |view: &&View| view.tick.plus(JOIN * frame.snapshot_every) >= best.tick;
        let joined = views().take_while(near).find(|view| in_use(view.tick));
        if let Some(view) = joined {
            return (Some(view), frame.cohorts.claim(view.tick));
        }
        if let Some(cell) = frame.cohorts.claim(best.tick) {
            return (Some(best), Some(cell));
        }
        match views().find(|view| in_use(view.tick)) {
            Some(view) => (Some(view), frame.cohorts.claim(view.tick)),
            None => (Some(best), None),
        }
    }

    fn write_next(
        &mut self,
        frame: &TickFrame,
        number: u64,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> usize {
        let room = out.len().min(self.budget);
        self.room = out.len();
        let range = self.next_turn().map(|split| split.range);
        let index = range.and_then(|range| {
            scratch
                .ranges
                .iter()
                .position(|planned| planned.range == range)
        });
        let (Some(index), false, false) = (index, room < MIN_ROOM, self.baselines.is_full()) else {
            return 0;
        };
        let mut may_split = self.budget >= out.len() + MIN_ROOM && self.splits.len() < MAX_PARTS;
        loop {
            self.compose(frame, index, scratch);
            let bytes = scratch.bits.byte_len();
            if bytes <= room {
                break;
            }
            if core::mem::take(&mut may_split) && self.split(index, room * SPLIT_AT, scratch) {
                continue;
            }
            let items = scratch.ranges[index].items.clone();
            let outer = self.config.radii().outer;
            if scratch.hold_back((frame, self.client, outer), items, (bytes - room) * 8) {
                continue;
            }
            // Even what must be said does not fit: say it of fewer slots.
            if self.splits.len() >= 4 * MAX_PARTS || !self.split(index, room * 4, scratch) {
                return 0;
            }
        }
        let Some(bytes) = scratch.bits.copy_to(out) else {
            return 0;
        };
        self.remember(frame, number, index, bytes, scratch);
        bytes
    }

    /// Writes a planned range into the scratch bits.
    fn compose(&self, frame: &TickFrame, index: usize, scratch: &mut Scratch) {
        let planned = scratch.ranges[index].clone();
        let cohort = cohort(frame, planned.base, planned.cell);
        let (items, own, bits) = scratch.writing(planned.items.clone());
        let header = Header {
            tick: frame.tick(),
            base: planned.base,
            range: planned.range,
            done: items.iter().all(|item| item.sent),
        };
        header.write(&frame.schema, frame.snapshot_every, bits);
        let lists = Lists {
            items,
            held: planned.held.len(),
            held_before: planned.held.start,
            range: planned.range,
        };
        lists.write(&frame.schema, bits, |item, bits| {
            Scratch::chunk(item, (own, cohort), frame, bits);
        });
    }

    /// Cuts a planned range in two, the first of about so many bits.
    fn split(&mut self, index: usize, bits: usize, scratch: &mut Scratch) -> bool {
        let planned = &scratch.ranges[index];
        let Some(cut) = scratch.cut(planned, bits) else {
            return false;
        };
        let Some(place) = self
            .splits
            .iter()
            .position(|split| split.range == planned.range)
        else {
            return false;
        };
        let base = planned.base.and_then(|tick| self.baselines.view(tick));
        let slots = base.map_or(&[][..], |base| &base.slots[..]);
        let items = &scratch.items[planned.items.clone()];
        let (mut first, mut second) = (planned.clone(), planned.clone());
        first.range.last = cut - 1;
        second.range.first = cut;
        first.held = first.range.within(slots, |slot| *slot);
        second.held = second.range.within(slots, |slot| *slot);
        let middle = planned.items.start + items.partition_point(|item| item.slot < cut);
        first.items.end = middle;
        second.items.start = middle;

        let split = self.splits[place];
        self.splits[place].range = first.range;
        self.splits.insert(
            place + 1,
            Split {
                range: second.range,
                ..split
            },
        );
        scratch.ranges[index] = first;
        scratch.ranges.insert(index + 1, second);
        true
    }

    /// Keeps account of a part that was written.
    fn remember(
        &mut self,
        frame: &TickFrame,
        number: u64,
        index: usize,
        bytes: usize,
        scratch: &mut Scratch,
    ) {
        let planned = scratch.ranges[index].clone();
        let items = &scratch.items[planned.items.clone()];
        let part = Part {
            number,
            tick: frame.tick(),
            base: planned.base,
            range: planned.range,
        };
        let gone = |what: What| matches!(what, What::Left { .. });
        let told = |item: &&super::plan::Item| item.sent;
        let left = items.iter().filter(told).filter(|item| gone(item.what));
        let entered = items
            .iter()
            .filter(told)
            .filter(|item| item.what == What::Entered);
        let deferred = items
            .iter()
            .filter(|item| !item.sent && item.what != What::Entered);
        self.baselines.record(
            part,
            left.map(|item| item.slot),
            entered.clone().map(|item| item.slot),
            deferred.clone().map(|item| (item.slot, item.who)),
        );
        let entered = entered.count() as u64;
        let changed = items
            .iter()
            .filter(told)
            .filter(|item| item.what == What::Changed)
            .count();
        let all_entering = items
            .iter()
            .filter(|item| item.what == What::Entered)
            .count() as u64;
        self.stats.parts += 1;
        self.stats.bytes += bytes as u64;
        self.stats.changed += changed as u64;
        self.stats.entered += entered;
        self.stats.deferred += deferred.count() as u64;
        self.stats.withheld += all_entering - entered;
        self.stats.without_baseline += u64::from(planned.base.is_none());
        self.stats.alone += u64::from(planned.base.is_some() && planned.cell.is_none());

        self.budget -= bytes.min(self.budget);
        if let Some(split) = self
            .splits
            .iter_mut()
            .find(|split| split.range == planned.range)
        {
            split.told = true;
            split.bytes = bytes.min(usize::from(u16::MAX)) as u16;
        }
        scratch.ranges[index].told = true;
    }
}

/// The chunks that a range's clients share.
fn cohort(frame: &TickFrame, base: Option<Tick>, cell: Option<usize>) -> Option<&Encoded> {
    let base = frame.columns_at(base?)?;
    frame
        .cohorts
        .since(cell?, &frame.schema, base, &frame.columns)
}
