//! One client as the server sees it: turns frames into parts that fit its datagrams, and
//! acknowledgements into baselines.
//!
//! Knows datagram numbers, room and budget. Has no idea of sessions, sockets or time.

use std::sync::Arc;

use super::MAX_AGE;
use super::baselines::{Baselines, Part, Who};
use super::choose;
use super::frame::TickFrame;
use super::interest::Interest;
use super::part::{Header, all_slots};
use super::plan::{Fates, PlannedRange, Scratch, Sight, Waiting};
use super::splits::{MAX_PARTS, Splits};
use super::view_config::{ViewConfig, ViewStats};
use crate::id::ClientSlot;
use crate::time::Tick;

/// A part is not begun in less room than this.
const MIN_ROOM: usize = 24;
/// When a part overflows, its first piece keeps so much of the datagram (of 8): it shall not
/// overflow again at once.
const SPLIT_AT: usize = 6;
/// Room that is kept for entities to wait in.
const FEW: usize = 16;
/// One client as the server sees it.
///
/// Once per snapshot tick: [`Self::begin`], then [`Self::write_part`] into one datagram after
/// another until it returns 0. What the channel learns of these datagrams goes to [`Self::acked`]
/// and [`Self::lost`].
#[derive(Debug)]
pub struct ClientView {
    client: ClientSlot,
    config: ViewConfig,
    baselines: Baselines,
    interest: Interest,
    /// What it lacked then, ascending.
    waiting: Vec<Waiting>,
    splits: Splits,
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
            interest: Interest::new(),
            waiting: Vec::new(),
            splits: Splits::default(),
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

    /// Begins to tell a frame. A frame that is not newer than the one before is not told again.
    /// What was not yet told of the one before is not told any more.
    pub fn begin(&mut self, frame: &Arc<TickFrame>, scratch: &mut Scratch) {
        if self.last_begun.is_some_and(|last| last >= frame.tick()) {
            return;
        }
        self.last_begun = Some(frame.tick());
        self.stop();
        self.telling = Some(Arc::clone(frame));
        self.budget = self.config.budget();
        self.baselines
            .expire(frame.tick().minus(MAX_AGE * frame.snapshot_every));
        self.interest
            .look(frame, self.client, &self.config, scratch);
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

    /// Writes the next part of the snapshot into the datagram of this number; numbers grow. Returns
    /// how many bytes it took: 0 when everything is told that may be told this tick, or when `out`
    /// has no room for a part.
    pub fn write_part(&mut self, number: u64, out: &mut [u8], scratch: &mut Scratch) -> usize {
        let Some(frame) = self.telling.take() else {
            return 0;
        };
        if scratch.owner != Some((self.client, frame.tick(), self.plan)) {
            self.make_plan(&frame, scratch);
        }
        let written = self.write_next(&frame, number, out, scratch);
        let may_follow = self.budget >= MIN_ROOM && self.splits.next_turn().is_some();
        if written > 0 && may_follow {
            self.telling = Some(frame);
        } else {
            self.stop();
        }
        written
    }

    /// Whether a snapshot is being told: the next [`Self::write_part`] may have something to write.
    #[must_use]
    pub const fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// The client has the datagram of this number.
    pub fn acked(&mut self, number: u64) {
        self.baselines.acked(number, self.splits.ranges());
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
            + self.interest.memory()
            + self.waiting.capacity() * size_of::<Waiting>()
            + self.splits.memory()
    }

    /// Ends the telling.
    fn stop(&mut self) {
        self.telling = None;
        self.splits.end();
    }

    /// Makes two neighbouring ranges one when the one would not have to go back to a much older
    /// baseline.
    fn join_ranges(&mut self, frame: &TickFrame) {
        self.splits.open(all_slots(&frame.schema));
        let baselines = &self.baselines;
        let best = |range| baselines.covering(range).next().map(|view| view.tick);
        let slack = choose::JOIN * frame.snapshot_every;
        self.splits.join(self.room, |pair, union| {
            let older = best(pair[0]).min(best(pair[1]));
            older.is_none_or(|older| best(union).is_some_and(|tick| tick.plus(slack) >= older))
        });
    }

    /// What its snapshots are planned from.
    fn sight<'a>(&'a self, frame: &'a TickFrame) -> Sight<'a> {
        Sight {
            frame,
            client: self.client,
            outer: self.config.radii().outer,
            baselines: &self.baselines,
            visible: self.interest.visible(),
            waiting: &self.waiting,
        }
    }

    /// Plans whatever of the snapshot is not told yet.
    fn make_plan(&mut self, frame: &TickFrame, scratch: &mut Scratch) {
        scratch.clear(frame.columns.slots());
        let sight = self.sight(frame);
        for range in self.splits.untold() {
            let choice = choose::history(&self.baselines, frame, range);
            scratch.plan_range(range, choice, &sight);
        }
        // Of a snapshot in one part it is known what it takes when it is written, which is nearly always less than
        // may be told.
        if scratch.ranges.len() > 1 {
            scratch.select(&sight, self.budget);
        }
        scratch.plans += 1;
        self.plan = scratch.plans;
        scratch.owner = Some((self.client, frame.tick(), self.plan));
    }

    /// Writes the part whose turn it is; 0 when there is none or no room for it.
    fn write_next(
        &mut self,
        frame: &TickFrame,
        number: u64,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> usize {
        let room = out.len().min(self.budget);
        self.room = out.len();
        let planned = |range| {
            scratch
                .ranges
                .iter()
                .position(|planned| planned.range == range)
        };
        let index = self.splits.next_turn().and_then(planned);
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
            if scratch.select(&self.sight(frame), self.budget) {
                continue;
            }
            if scratch.hold_back_own(&self.sight(frame), index, room * 8) {
                continue;
            }
            if core::mem::take(&mut may_split) && self.split(frame, index, room * SPLIT_AT, scratch)
            {
                continue;
            }
            let sight = self.sight(frame);
            if scratch.hold_back(&sight, index, (bytes - room) * 8) {
                continue;
            }
            // Even what must be said does not fit: say it of fewer slots.
            if self.splits.len() >= 4 * MAX_PARTS || !self.split(frame, index, room * 4, scratch) {
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
        let Some(planned) = scratch.ranges.get(index) else {
            return;
        };
        let header = Header {
            tick: frame.tick(),
            history: planned.choice.map(|choice| choice.history),
            range: planned.range,
            done: scratch.is_done(index),
        };
        let mut bits = core::mem::take(&mut scratch.bits);
        bits.clear();
        header.write(&frame.schema, frame.snapshot_every, &mut bits);
        scratch.write_body(index, &self.sight(frame), &mut bits);
        scratch.bits = bits;
    }

    /// Cuts a planned range in two, the first of about so many bits.
    fn split(
        &mut self,
        frame: &TickFrame,
        index: usize,
        bits: usize,
        scratch: &mut Scratch,
    ) -> bool {
        let Some(cut) = scratch.cut(&self.sight(frame), index, bits) else {
            return false;
        };
        let Some(range) = scratch.ranges.get(index).map(|planned| planned.range) else {
            return false;
        };
        let Some(pieces) = self.splits.cut(range, cut) else {
            return false;
        };
        scratch.split(index, pieces);
        true
    }

    /// Keeps account of a part that was written.
    fn remember(
        &mut self,
        frame: &TickFrame,
        number: u64,
        index: usize,
        bytes: usize,
        scratch: &Scratch,
    ) {
        let Some(planned) = scratch.ranges.get(index) else {
            return;
        };
        let part = Part {
            number,
            tick: frame.tick(),
            base: planned.base(),
            range: planned.range,
            own: scratch
                .owned(planned, &self.sight(frame))
                .map(|owned| owned.slot),
        };
        self.budget -= bytes.min(self.budget);
        self.splits.told(planned.range, bytes);
        if scratch.is_plain() {
            self.baselines.record_plain(part);
            return self.count(planned, scratch, bytes, 0);
        }
        let sets = &scratch.sets;
        let base = planned.base().and_then(|base| self.baselines.view(base));
        let then = planned.base().and_then(|base| frame.columns_at(base));
        let who = |slot: u16| {
            let stale = base.and_then(|base| base.stale(slot));
            stale.map(|stale| stale.who).or_else(|| {
                let (generation, kind) = then?.who(slot)?;
                Some(Who { generation, kind })
            })
        };
        // Nothing is left untold but of what is an item.
        let unsent = scratch.is_itemised();
        let unsent = unsent.then(|| sets.within(planned.range, |fates| fates.unsent));
        let deferred: Vec<_> = unsent
            .into_iter()
            .flatten()
            .filter_map(|slot| Some((slot, who(slot)?)))
            .collect();
        let entered = self.baselines.record(
            part,
            sets.within(planned.range, |fates| fates.gone & !fates.unsent),
            sets.within(planned.range, |fates| fates.new & !fates.withheld),
            deferred.into_iter(),
        );
        self.count(planned, scratch, bytes, entered);
    }

    /// Counts what a part told.
    fn count(&mut self, planned: &PlannedRange, scratch: &Scratch, bytes: usize, entered: usize) {
        self.stats.parts += 1;
        self.stats.bytes += bytes as u64;
        self.stats.changed += scratch.told as u64;
        self.stats.entered += entered as u64;
        if scratch.is_itemised() {
            let count = |set: fn(&Fates) -> u64| scratch.sets.count(planned.range, set);
            self.stats.deferred += count(|fates| fates.unsent);
            self.stats.withheld += count(|fates| fates.withheld);
        }
        self.stats.without_baseline += u64::from(planned.choice.is_none());
        let alone = planned.choice.is_some_and(|choice| choice.cell.is_none());
        self.stats.alone += u64::from(alone);
        self.stats.copied += u64::from(scratch.copied);
    }
}
