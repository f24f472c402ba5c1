//! What one client should be told this tick: what it may see, minus what it holds, by urgency,
//! within its budget.
//!
//! Worked out in sets, by the word; only when not everything fits is each difference looked at by
//! itself. Knows a frame, what a client holds and what it may see. Has no idea of datagrams: [`super::view`] cuts
//! the plan into parts. Lives in a [`Scratch`] that all clients of a shard share, so that a client's
//! own memory stays small.

use core::ops::Range;

use super::baselines::{Baselines, View, Who};
use super::choose::Choice;
use super::codec::{Chunker, Past};
use super::cohort::{Chunks, History, HistoryCode, Plain, Plains, Shared};
use super::frame::TickFrame;
use super::grid::distance_squared;
use super::interest;
use super::owner::{self, Owned};
use super::part::{Body, all_slots};
use super::priority;
use super::slots::{SlotRange, SlotSet, slots_of};
use crate::id::ClientSlot;
use crate::proto::wire::BitBuffer;
use crate::time::Tick;

/// About what a place in a list costs.
const PLACE_BITS: u32 = 4;
/// About what the head of a part and of its lists costs.
const HEADER_BITS: u32 = 80;
/// About what it costs to say who enters.
const ENTERING_BITS: u32 = 20;

/// Who is to be told of, and how. By slot, for all ranges of a client's snapshot.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// Held at the baseline, and may be seen now.
    pub(super) kept: SlotSet,
    /// Of these, who was held with its value of the time at every tick of the history.
    pub(super) steady: SlotSet,
    /// Of the kept, whose value is older than the baseline.
    pub(super) aged: SlotSet,
    /// Of the aged, who has a chunk for this client alone.
    pub(super) own: SlotSet,
    /// Held at the baseline, and may not be seen any more.
    pub(super) gone: SlotSet,
    /// Of these, who does not exist any more.
    pub(super) destroyed: SlotSet,
    /// May be seen, and is not held.
    pub(super) new: SlotSet,
    /// Of the kept and the gone, of whom this snapshot does not tell.
    pub(super) unsent: SlotSet,
    /// Of the new, the same.
    pub(super) withheld: SlotSet,
}

impl Sets {
    fn clear(&mut self, slots: usize) {
        for set in [
            &mut self.kept,
            &mut self.steady,
            &mut self.aged,
            &mut self.own,
            &mut self.gone,
            &mut self.destroyed,
            &mut self.new,
            &mut self.unsent,
            &mut self.withheld,
        ] {
            set.clear(slots);
        }
    }

    /// The words of a range in which somebody may be.
    pub(super) fn masks(&self, range: SlotRange) -> impl Iterator<Item = (usize, u64)> + Clone {
        let words = |set: &SlotSet| set.words().len();
        let words = words(&self.kept)
            .max(words(&self.gone))
            .max(words(&self.new));
        range.masks().take_while(move |(index, _)| *index < words)
    }
}

/// A chunk for one client alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) slot: u16,
    pub(super) chunk: (usize, usize),
}

/// What is said of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The client holds it and may not see it any more.
    Left,
    /// The client may see it and does not hold it.
    Entered,
    /// The client holds another value of it.
    Changed,
}

/// Something to tell, when not everything can be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) slot: u16,
    pub(super) what: What,
    bits: u32,
    /// How old the value is that the client holds, in ticks; how long it has been lacking, in
    /// snapshots.
    waited: u32,
    urgency: u32,
    /// Whether this snapshot tells it.
    pub(super) sent: bool,
}

impl Item {
    /// About how many bits it takes.
    const fn cost(&self) -> u32 {
        let place = match self.what {
            What::Entered => PLACE_BITS + ENTERING_BITS,
            What::Left | What::Changed => PLACE_BITS,
        };
        place + self.bits
    }
}

/// A range of slots and from what it is told.
#[derive(Debug, Clone)]
pub(super) struct PlannedRange {
    pub(super) range: SlotRange,
    pub(super) choice: Option<Choice>,
    /// Its items, once there are any.
    pub(super) items: Range<usize>,
}

impl PlannedRange {
    pub(super) fn base(&self) -> Option<Tick> {
        self.choice.map(|choice| choice.history.base)
    }
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
    pub(super) sets: Sets,
    pub(super) ranges: Vec<PlannedRange>,
    pub(super) items: Vec<Item>,
    /// Whether somebody is held with an older value at some tick of a history.
    has_aged: bool,
    /// Whether anybody comes or goes; if not, that need not be looked at.
    has_moves: bool,
    /// The same of somebody whose history is not known as a whole.
    has_others: bool,
    /// Whether there are items: not everything could be told.
    itemised: bool,
    order: Vec<u32>,
    own: Vec<Own>,
    own_bits: BitBuffer,
    chunker: Chunker,
    /// What no cohort could share, and for which tick and history.
    alone: Option<(Tick, History)>,
    alone_shared: Shared,
    /// By word of slots.
    alone_plain: Vec<Plain>,
    /// The part being written, and how many changes it tells.
    pub(super) bits: BitBuffer,
    pub(super) told: usize,
    /// Whether it was told to somebody else before.
    pub(super) copied: bool,
    pub(super) waiting: Vec<Waiting>,
    /// Whose plan this is.
    pub(super) owner: Option<(ClientSlot, Tick, u64)>,
    pub(super) plans: u64,
}

/// What a client's snapshot is planned from.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) frame: &'a TickFrame,
    pub(super) client: ClientSlot,
    pub(super) outer: f32,
    pub(super) baselines: &'a Baselines,
    /// All that the client may see.
    pub(super) visible: &'a SlotSet,
    /// For how long it has been lacking what it lacks, ascending.
    pub(super) waiting: &'a [Waiting],
}

impl<'a> Sight<'a> {
    /// For how long the client has been lacking what is in a slot.
    fn waiting(&self, slot: u16) -> Option<Waiting> {
        let index = self
            .waiting
            .binary_search_by_key(&slot, |waiting| waiting.slot)
            .ok()?;
        self.waiting.get(index).copied()
    }

    /// The slot of the client's own entity.
    fn own_slot(&self) -> Option<u16> {
        let viewpoint = self.frame.viewpoint(self.client)?;
        let always = interest::present(self.frame, viewpoint.always)?;
        Some(always.slot)
    }

    /// At most so many bits are for its owner only: they are told whatever the budget is.
    fn owner_bits(&self) -> u32 {
        let schema = &self.frame.schema;
        let own = self
            .own_slot()
            .and_then(|slot| self.frame.columns.who(slot));
        let fields = own.and_then(|(_, kind)| schema.owner_fields(kind));
        fields.map_or(0, |fields| fields.bits() + schema.slot_bits())
    }

    /// What the client holds of a range.
    pub(super) fn base(&self, planned: &PlannedRange) -> Option<&'a View> {
        self.baselines.view(planned.base()?)
    }

    /// The snapshots at the earlier ticks of a history.
    fn earlier(&self, history: History) -> [Option<&'a View>; 2] {
        let earlier = history.earlier(self.frame.schema.tables(), self.frame.snapshot_every);
        earlier.map(|tick| self.baselines.view(tick?))
    }

    /// The snapshots of a history that the client holds, newest first.
    fn held(&self, history: History) -> impl Iterator<Item = &'a View> {
        let base = self.baselines.view(history.base);
        let earlier = self.earlier(history).into_iter();
        core::iter::once(base).chain(earlier).flatten()
    }
}

impl Scratch {
    /// Working memory that grows to what is needed, and stays.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn clear(&mut self, slots: usize) {
        self.sets.clear(slots);
        self.items.clear();
        self.itemised = false;
        (self.has_aged, self.has_moves, self.has_others) = (false, false, false);
        self.ranges.clear();
        self.own.clear();
        self.own_bits.clear();
        self.waiting.clear();
        self.owner = None;
    }

    /// Adds a range with everything that could be told of it.
    pub(super) fn plan_range(
        &mut self,
        range: SlotRange,
        choice: Option<Choice>,
        sight: &Sight<'_>,
    ) {
        self.ranges.push(PlannedRange {
            range,
            choice,
            items: 0..0,
        });
        let frame = sight.frame;
        if let Some(choice) = choice {
            self.prepare(frame, choice);
            let history = choice.history;
            let base = sight.baselines.view(history.base);
            // Sets of the scratch itself are written while those of the cohort are read.
            let mut sets = core::mem::take(&mut self.sets);
            let shared = self.shared(frame, choice);
            let plain = self.plain(frame, choice);
            let kept = |index: usize| match shared {
                Some(shared) => shared.kept.word(index),
                None => plain.within(index).map_or(0, |plain| plain.kept),
            };
            // Who is steady in the cohort, and held at each tick of the history.
            let [earlier, earliest] = sight.earlier(history);
            let [earlier, earliest] = [earlier, earliest].map(|view| view.map(|view| &view.slots));
            let steady = shared.map(|shared| &shared.steady);
            let of = |set: Option<&SlotSet>, index: usize| set.map_or(0, |set| set.word(index));
            let any =
                |set: Option<&SlotSet>, index: usize| set.map_or(u64::MAX, |set| set.word(index));
            let words = sight.visible.words().len();
            let words = words.max(base.map_or(0, |base| base.slots.words().len()));
            let (mut moves, mut others) = (0, 0);
            for (index, mask) in range.masks().take_while(|(index, _)| *index < words) {
                let held = base.map_or(0, |base| base.slots.word(index)) & mask;
                let seen = sight.visible.word(index) & mask;
                let kept = held & seen & kept(index);
                let all = of(steady, index) & any(earlier, index) & any(earliest, index);
                *sets.kept.word_mut(index) |= kept;
                *sets.steady.word_mut(index) |= kept & all;
                *sets.gone.word_mut(index) |= held & !kept;
                *sets.new.word_mut(index) |= seen & !kept;
                moves |= (held | seen) & !kept;
                others |= kept & !all;
            }
            self.has_moves |= moves != 0;
            self.has_others |= others != 0;
            self.sets = sets;
            self.plan_stale(range, history, sight);
            if self.has_moves {
                self.plan_destroyed(range, history, sight);
            }
        } else {
            let words = sight.visible.words().iter().enumerate();
            let words = words.skip(usize::from(range.first) / 64);
            for ((index, mask), (_, seen)) in range.masks().zip(words) {
                *self.sets.new.word_mut(index) |= seen & mask;
            }
            self.has_moves = true;
        }
        self.plan_waiting(range, sight);
    }

    /// Values that are older than their snapshot are no history; and those of the baseline need
    /// chunks of their own.
    fn plan_stale(&mut self, range: SlotRange, history: History, sight: &Sight<'_>) {
        let frame = sight.frame;
        for (place, view) in sight.held(history).enumerate() {
            let within = range.within(&view.stale, |stale| stale.slot);
            for stale in view.stale.get(within).unwrap_or(&[]) {
                let slot = stale.slot;
                self.sets.steady.remove(slot);
                (self.has_aged, self.has_moves, self.has_others) = (true, true, true);
                if place > 0 || !view.slots.contains(slot) {
                    continue;
                }
                // Who is held here is who was told, which the columns of the baseline do not know.
                let bit = 1 << (slot % 64);
                let index = usize::from(slot) / 64;
                let now = frame.columns.row(slot);
                let same = now.filter(|now| {
                    (now.generation, now.kind) == (stale.who.generation, stale.who.kind)
                });
                let seen = sight.visible.contains(slot);
                self.sets.kept.remove(slot);
                self.sets.gone.remove(slot);
                self.sets.new.remove(slot);
                let (Some(now), true) = (same, seen) else {
                    *self.sets.gone.word_mut(index) |= bit;
                    if seen && now.is_some() {
                        *self.sets.new.word_mut(index) |= bit;
                    }
                    continue;
                };
                *self.sets.kept.word_mut(index) |= bit;
                *self.sets.aged.word_mut(index) |= bit;
                self.tell_alone(slot, stale.as_of, now.values, now.kind, frame);
            }
        }
    }

    /// Makes a chunk for one client alone, from the value of another tick than the others hold.
    fn tell_alone(&mut self, slot: u16, as_of: Tick, now: &[i32], kind: u8, frame: &TickFrame) {
        let tables = frame.schema.tables();
        let Some(kind) = tables.kind(kind) else {
            return;
        };
        let start = self.own_bits.len();
        let then = frame.columns_at(as_of).and_then(|then| then.row(slot));
        let past = match (frame.age_of(as_of), then) {
            (Some(age), Some(then)) => Past::First {
                base: then.values,
                age,
            },
            _ => Past::Nothing,
        };
        let differs = self
            .chunker
            .chunk(tables, kind, &past, now, &mut self.own_bits);
        if differs || matches!(past, Past::Nothing) {
            let chunk = (start, self.own_bits.len());
            let place = self.own.partition_point(|own| own.slot < slot);
            self.own.insert(place, Own { slot, chunk });
            self.sets.own.insert(slot);
        }
    }

    /// Of those who are gone, who is no more.
    fn plan_destroyed(&mut self, range: SlotRange, history: History, sight: &Sight<'_>) {
        let frame = sight.frame;
        let base = sight.baselines.view(history.base);
        let then = frame.columns_at(history.base);
        let Sets {
            gone, destroyed, ..
        } = &mut self.sets;
        for slot in gone.within(range) {
            let stale = base
                .and_then(|base| base.stale(slot))
                .map(|stale| stale.who);
            let held = stale.or_else(|| {
                let (generation, kind) = then?.who(slot)?;
                Some(Who { generation, kind })
            });
            let now = frame.columns.who(slot);
            if held.is_none_or(|held| now != Some((held.generation, held.kind))) {
                destroyed.insert(slot);
            }
        }
    }

    /// Keeps account of how long the client has been lacking what it lacks.
    fn plan_waiting(&mut self, range: SlotRange, sight: &Sight<'_>) {
        let start = self.waiting.len();
        if !self.has_moves && sight.waiting.is_empty() {
            return;
        }
        for slot in self.sets.new.within(range) {
            let before = sight.waiting(slot);
            let snapshots = before.map_or(0, |waiting| waiting.snapshots.saturating_add(1));
            self.waiting.push(Waiting { slot, snapshots });
        }
        // Held in one lineage of baselines and lacking in another, it has still waited: were the
        // count to start again, the others might never get their turn.
        let within = range.within(sight.waiting, |waiting| waiting.slot);
        for waiting in sight.waiting.get(within).unwrap_or(&[]) {
            let kept = self.sets.kept.contains(waiting.slot);
            if kept && !sight.baselines.all_hold(waiting.slot) {
                self.waiting.push(*waiting);
            }
        }
        if let Some(added) = self.waiting.get_mut(start..) {
            added.sort_unstable_by_key(|waiting| waiting.slot);
        }
    }

    /// Makes for this client alone what no cohort shares.
    fn prepare(&mut self, frame: &TickFrame, choice: Choice) {
        if choice.cell.is_none() && self.alone != Some((frame.tick(), choice.history)) {
            self.alone = Some((frame.tick(), choice.history));
            self.alone_shared.build(frame, choice.history);
            let words = frame.columns.slots().div_ceil(64);
            self.alone_plain.resize_with(words, Plain::default);
            for (index, plain) in self.alone_plain.iter_mut().enumerate() {
                plain.build(frame, choice.history.base, index);
            }
        }
    }

    /// The same for a planned range, before it is looked at: another range may have come between.
    fn prepare_range(&mut self, index: usize, frame: &TickFrame) {
        let choice = self.ranges.get(index).and_then(|planned| planned.choice);
        if let Some(choice) = choice {
            self.prepare(frame, choice);
        }
    }

    /// What is told of those whose whole history is known, if the history is more than a baseline.
    fn shared<'a>(&'a self, frame: &'a TickFrame, choice: Choice) -> Option<&'a Shared> {
        if choice.history.code == HistoryCode::Alone {
            return None;
        }
        match choice.cell {
            Some(cell) => frame.cohorts.shared(cell, frame, choice.history),
            None => Some(&self.alone_shared),
        }
    }

    /// What is told of the others.
    fn plain<'a>(&'a self, frame: &'a TickFrame, choice: Choice) -> Plains<'a> {
        match choice.cell {
            Some(cell) => Plains::Shared(frame, cell, choice.history),
            None => Plains::Alone(&self.alone_plain),
        }
    }

    /// Whether somebody of a range is neither steady nor aged.
    fn has_others(&self, range: SlotRange) -> bool {
        if !self.has_others {
            return false;
        }
        let Sets {
            kept, steady, aged, ..
        } = &self.sets;
        self.sets.masks(range).any(|(index, mask)| {
            kept.word(index) & !steady.word(index) & !aged.word(index) & mask != 0
        })
    }

    /// What a planned range is told from.
    fn sources<'a>(
        &'a self,
        planned: &PlannedRange,
        frame: &'a TickFrame,
    ) -> (Option<&'a Shared>, Option<Plains<'a>>) {
        let Some(choice) = planned.choice else {
            return (None, None);
        };
        let shared = self.shared(frame, choice);
        let others = shared.is_none() || self.has_others(planned.range);
        let plain = others.then(|| self.plain(frame, choice));
        (shared, plain)
    }

    /// Writes a planned range, all but its header, into `bits`, and keeps how many changes it told.
    pub(super) fn write_body(&mut self, index: usize, sight: &Sight<'_>, bits: &mut BitBuffer) {
        self.prepare_range(index, sight.frame);
        let Some(planned) = self.ranges.get(index) else {
            return;
        };
        (self.told, self.copied) = self.write_alike(planned, sight, bits);
        let schema = &sight.frame.schema;
        if schema.has_owner_fields() {
            // After what clients may share: this is for one of them alone.
            let base = sight.base(planned);
            let before = base.and_then(|base| base.own_within(planned.range));
            let owned = self.owned(planned, sight);
            owner::write_section(owned.as_ref(), before, schema.slot_bits(), bits);
        }
    }

    /// Writes what everybody is told who holds and sees the same. Says how many changes that told, and
    /// whether it was copied from another client's part.
    fn write_alike(
        &self,
        planned: &PlannedRange,
        sight: &Sight<'_>,
        bits: &mut BitBuffer,
    ) -> (usize, bool) {
        let cohorts = &sight.frame.cohorts;
        let cell = self.shared_cell(planned, sight.frame);
        let sets = [
            &self.sets.kept,
            &self.sets.steady,
            &self.sets.gone,
            &self.sets.new,
        ];
        let told = cell.and_then(|cell| cohorts.told(cell));
        if let Some(told) = told.filter(|told| told.fits(sets)) {
            bits.append(&told.bits, 0, told.bits.len());
            return (told.changes, true);
        }
        let start = bits.len();
        let (shared, plain) = self.sources(planned, sight.frame);
        let body = Body {
            frame: sight.frame,
            range: planned.range,
            base: sight.base(planned),
            sets: &self.sets,
            shared,
            plain,
            own: (&self.own, &self.own_bits),
        };
        let changes = body.write(bits);
        if let Some(cell) = cell {
            cohorts.keep_told(cell, sets, (bits, start), changes);
        }
        (changes, false)
    }

    /// The cell whose clients are told alike if they hold and see alike: all is told, of all slots,
    /// and nothing is told to this client alone.
    fn shared_cell(&self, planned: &PlannedRange, frame: &TickFrame) -> Option<usize> {
        let choice = planned.choice?;
        let whole = planned.range == all_slots(&frame.schema);
        let alike = frame.equal_views
            && whole
            && !self.itemised
            && !self.has_aged
            && choice.history.code != HistoryCode::Alone;
        choice.cell.filter(|_| alike)
    }

    /// The client's own entity, if a planned range tells it and it has something for its owner only.
    pub(super) fn owned<'a>(&self, planned: &PlannedRange, sight: &Sight<'a>) -> Option<Owned<'a>> {
        let frame = sight.frame;
        let slot = sight
            .own_slot()
            .filter(|slot| planned.range.contains(*slot))?;
        let now = frame.columns.row(slot)?;
        let fields = frame.schema.owner_fields(now.kind)?;
        let Sets {
            kept,
            new,
            unsent,
            withheld,
            ..
        } = &self.sets;
        let stays = kept.contains(slot) && !unsent.contains(slot);
        let enters = new.contains(slot) && !withheld.contains(slot);
        if !stays && !enters {
            return None;
        }
        let base = sight
            .base(planned)
            .filter(|base| stays && base.own == Some(slot));
        let held = base.and_then(|base| frame.columns_at(base.tick)?.row(slot));
        Some(Owned {
            slot,
            fields,
            held: held.map(|held| held.values),
            now: now.values,
        })
    }

    /// Whether all there is to tell of a planned range is told.
    pub(super) fn is_done(&self, index: usize) -> bool {
        let Some(planned) = self.ranges.get(index) else {
            return true;
        };
        let Sets {
            unsent, withheld, ..
        } = &self.sets;
        let all = unsent.words().len().max(withheld.words().len());
        let rest = |(index, mask)| (unsent.word(index) | withheld.word(index)) & mask;
        let mut words = planned.range.masks().take_while(|(index, _)| *index < all);
        words.all(|word| rest(word) == 0)
    }

    /// Decides what is told within a budget of so many bytes.
    pub(super) fn select(&mut self, sight: &Sight<'_>, budget: usize) {
        let budget = (budget as u64 * 8)
            .saturating_sub(u64::from(HEADER_BITS) * self.ranges.len() as u64)
            .saturating_sub(u64::from(sight.owner_bits()));
        if self.bits_at_most(sight, budget) {
            return;
        }
        self.itemise(sight);
        let cost: u64 = self.items.iter().map(|item| u64::from(item.cost())).sum();
        if cost <= budget {
            return;
        }
        self.order.clear();
        self.order.extend(0..self.items.len() as u32);
        let items = &self.items;
        self.order.sort_unstable_by_key(|index| {
            (core::cmp::Reverse(items[*index as usize].urgency), *index)
        });
        self.items.iter_mut().for_each(|item| item.sent = false);
        let mut left = budget;
        for index in &self.order {
            let index = *index as usize;
            let cost = u64::from(self.items[index].cost());
            if cost <= left && !is_blocked(&self.items, index) {
                self.items[index].sent = true;
                left -= cost;
            }
        }
        for index in 0..self.items.len() {
            if !self.items[index].sent {
                self.leave_out(index);
            }
        }
    }

    /// Whether everything that the cohorts have to tell takes at most so many bits, when nobody comes
    /// or goes and nothing is for this client alone.
    fn cohorts_fit(&mut self, sight: &Sight<'_>, budget: u64) -> bool {
        if self.has_moves || self.has_others {
            return false;
        }
        let mut bits = 0;
        for place in 0..self.ranges.len() {
            self.prepare_range(place, sight.frame);
            let (shared, _) = self.sources(&self.ranges[place], sight.frame);
            let Some(shared) = shared else {
                return false;
            };
            bits += shared.bits() as u64 + shared.lists() as u64 * u64::from(PLACE_BITS);
        }
        bits <= budget
    }

    /// Whether all there is to tell surely takes at most so many bits: added up by the word, as
    /// far as it goes quickly.
    fn bits_at_most(&mut self, sight: &Sight<'_>, budget: u64) -> bool {
        if self.cohorts_fit(sight, budget) {
            return true;
        }
        let mut bits = 0;
        for place in 0..self.ranges.len() {
            self.prepare_range(place, sight.frame);
            let planned = &self.ranges[place];
            let (shared, plain) = self.sources(planned, sight.frame);
            let sets = &self.sets;
            for (index, mask) in sets.masks(planned.range) {
                let steady = sets.steady.word(index) & mask;
                let others = sets.kept.word(index) & mask & !steady;
                let moves = (sets.gone.word(index) | sets.new.word(index)) & mask;
                if steady | others | moves == 0 {
                    continue;
                }
                if let Some(shared) = shared {
                    let coded = shared.coded.word(index);
                    if coded != 0 && steady & coded == coded {
                        let chunks = &shared.coded_chunks;
                        bits += chunks.start(index * 64 + 64) - chunks.start(index * 64);
                    } else {
                        let chunk = |slot| shared.coded_chunks.chunk(slot);
                        bits += listed_bits(chunk, index, steady & coded, 0);
                    }
                    let listed = steady & shared.listed.word(index);
                    let chunk = |slot| shared.listed_chunks.chunk(slot);
                    bits += listed_bits(chunk, index, listed, PLACE_BITS);
                }
                let others = others & !sets.aged.word(index);
                if others != 0
                    && let Some(plain) = plain.and_then(|plain| plain.within(index))
                {
                    let listed = others & plain.listed;
                    let chunk = |slot| plain.chunk(slot);
                    bits += listed_bits(chunk, index, listed, PLACE_BITS);
                }
                let gone = sets.gone.word(index) & mask;
                bits += (gone.count_ones() * (PLACE_BITS + 1)) as usize;
                let new = sets.new.word(index) & mask;
                if new != 0
                    && let Some(absolute) = sight.frame.cohorts.absolute(sight.frame, index)
                {
                    let chunk = |slot| absolute.chunk(slot);
                    bits += listed_bits(chunk, index, new, PLACE_BITS + ENTERING_BITS);
                }
            }
        }
        bits += self.own_bits.len() + self.own.len() * PLACE_BITS as usize;
        bits as u64 <= budget
    }

    /// Looks at each difference by itself, once per plan.
    pub(super) fn itemise(&mut self, sight: &Sight<'_>) {
        if core::mem::replace(&mut self.itemised, true) {
            return;
        }
        let mut items = core::mem::take(&mut self.items);
        let viewpoint = sight.frame.viewpoint(sight.client);
        let center = viewpoint.map_or([0.0; 3], |viewpoint| viewpoint.center);
        let always = sight.own_slot();
        for place in 0..self.ranges.len() {
            self.prepare_range(place, sight.frame);
            let start = items.len();
            self.items_of(&self.ranges[place], sight, &mut |item: Item| {
                items.push(weighed(item, sight, center, always));
            });
            self.ranges[place].items = start..items.len();
        }
        self.items = items;
    }

    /// Every difference of a range, by slot; who left a slot before who enters it.
    fn items_of(&self, planned: &PlannedRange, sight: &Sight<'_>, push: &mut impl FnMut(Item)) {
        let frame = sight.frame;
        let sets = &self.sets;
        let (shared, plain) = self.sources(planned, frame);
        let base = sight.base(planned);
        let item = |slot, what, bits: usize, waited| Item {
            slot,
            what,
            bits: bits as u32,
            waited,
            urgency: 0,
            sent: true,
        };
        let size = |chunks: &Chunks, slot: u16| {
            let (start, end) = chunks.chunk(slot);
            end - start
        };
        for (index, mask) in sets.masks(planned.range) {
            let all = sets.kept.word(index) | sets.gone.word(index) | sets.new.word(index);
            for slot in slots_of(index, all & mask) {
                if sets.gone.contains(slot) {
                    push(item(slot, What::Left, 1, 0));
                }
                if sets.new.contains(slot) {
                    let absolute = frame.cohorts.absolute(frame, index);
                    let chunk = absolute.map_or((0, 0), |absolute| absolute.chunk(slot));
                    let waiting = self.waiting.binary_search_by_key(&slot, |of| of.slot);
                    let waiting = waiting.ok().and_then(|place| self.waiting.get(place));
                    let waited = waiting.map_or(0, |waiting| u32::from(waiting.snapshots));
                    push(item(slot, What::Entered, chunk.1 - chunk.0, waited));
                }
                if !sets.kept.contains(slot) {
                    continue;
                }
                let bits = if sets.aged.contains(slot) {
                    let own = self.own.binary_search_by_key(&slot, |own| own.slot);
                    let own = own.ok().and_then(|place| self.own.get(place));
                    own.map(|own| own.chunk.1 - own.chunk.0)
                } else if sets.steady.contains(slot) {
                    shared.and_then(|shared| {
                        if shared.coded.contains(slot) {
                            Some(size(&shared.coded_chunks, slot))
                        } else {
                            let listed = shared.listed.contains(slot);
                            listed.then(|| size(&shared.listed_chunks, slot))
                        }
                    })
                } else {
                    let plain = plain.and_then(|plain| plain.within(index));
                    let listed = plain.filter(|plain| plain.listed >> (slot % 64) & 1 == 1);
                    listed
                        .map(|plain| plain.chunk(slot))
                        .map(|(start, end)| end - start)
                };
                if let Some(bits) = bits {
                    let stale = base.and_then(|base| base.stale(slot));
                    let as_of = stale.map(|stale| stale.as_of).or(planned.base());
                    let waited = as_of.map_or(0, |as_of| frame.tick().since(as_of));
                    push(item(slot, What::Changed, bits, waited));
                }
            }
        }
    }

    /// Does not tell an item.
    fn leave_out(&mut self, index: usize) {
        let Some(item) = self.items.get_mut(index) else {
            return;
        };
        item.sent = false;
        match item.what {
            What::Entered => self.sets.withheld.insert(item.slot),
            What::Left | What::Changed => self.sets.unsent.insert(item.slot),
        }
    }

    /// Holds back what is least urgent in a range until about so many bits less are to be told.
    /// Says whether there was anything.
    pub(super) fn hold_back(&mut self, sight: &Sight<'_>, range: usize, bits: usize) -> bool {
        self.itemise(sight);
        let Some(items) = self.ranges.get(range).map(|planned| planned.items.clone()) else {
            return false;
        };
        let mut freed = 0;
        while freed < bits {
            let sent = items.clone().filter(|index| self.items[*index].sent);
            let Some(index) = sent.min_by_key(|index| self.items[*index].urgency) else {
                break;
            };
            self.leave_out(index);
            freed += self.items[index].cost() as usize;
            if is_blocked(&self.items, index + 1) && self.items[index + 1].sent {
                self.leave_out(index + 1);
                freed += self.items[index + 1].cost() as usize;
            }
        }
        freed > 0
    }

    /// Leaves the client's own entity out of a range when what only its owner is told may not fit so many
    /// bits at all: else it would keep everybody else out, and then itself. Says whether it was there.
    pub(super) fn hold_back_own(&mut self, sight: &Sight<'_>, range: usize, bits: usize) -> bool {
        let Some(planned) = self.ranges.get(range) else {
            return false;
        };
        let needs = HEADER_BITS + sight.owner_bits();
        let owned = self.owned(planned, sight);
        let Some(Owned { slot, .. }) = owned.filter(|_| needs as usize > bits) else {
            return false;
        };
        self.itemise(sight);
        for index in self.ranges[range].items.clone() {
            let Item { slot: at, what, .. } = self.items[index];
            if at == slot && what != What::Left {
                self.leave_out(index);
            }
        }
        if self.sets.kept.contains(slot) {
            self.sets.unsent.add(slot);
        }
        true
    }

    /// Where to cut a planned range so that what is told of the first piece takes about so many
    /// bits: at the slot of one of its items, not the first.
    pub(super) fn cut(&mut self, sight: &Sight<'_>, range: usize, bits: usize) -> Option<u16> {
        self.itemise(sight);
        let planned = self.ranges.get(range)?;
        let items = self.items.get(planned.items.clone())?;
        let mut used = HEADER_BITS as usize;
        let beyond = |item: &&Item| {
            used += if item.sent { item.cost() as usize } else { 2 };
            used > bits && item.slot > planned.range.first
        };
        items.iter().find(beyond).map(|item| item.slot)
    }

    /// Cuts a planned range in two.
    pub(super) fn split(&mut self, index: usize, [low, high]: [SlotRange; 2]) {
        let Some(planned) = self.ranges.get(index) else {
            return;
        };
        let (mut first, mut second) = (planned.clone(), planned.clone());
        (first.range, second.range) = (low, high);
        let items = self.items.get(planned.items.clone()).unwrap_or(&[]);
        let middle = planned.items.start + items.partition_point(|item| item.slot < high.first);
        first.items.end = middle;
        second.items.start = middle;
        self.ranges[index] = first;
        self.ranges.insert(index + 1, second);
    }
}

/// How many bits the chunks of some slots of a word take, with so many more for each.
fn listed_bits(
    chunk: impl Fn(u16) -> (usize, usize),
    index: usize,
    slots: u64,
    each: u32,
) -> usize {
    let size = |slot| {
        let (start, end) = chunk(slot);
        end - start + each as usize
    };
    slots_of(index, slots).map(size).sum()
}

/// An item with its urgency.
fn weighed(mut item: Item, sight: &Sight<'_>, center: [f32; 3], always: Option<u16>) -> Item {
    let at = sight.frame.columns.position(item.slot).unwrap_or(center);
    let distance = distance_squared(at, center);
    item.urgency = match item.what {
        What::Left => priority::FIRST,
        _ if always == Some(item.slot) => priority::FIRST,
        What::Changed => priority::of_change(distance, sight.outer, item.waited),
        What::Entered => {
            let every = sight.frame.snapshot_every;
            priority::of_entering(distance, sight.outer, item.waited, every)
        }
    };
    item
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
