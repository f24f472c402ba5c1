//! What one client should be told this tick: what it may see, minus what it holds. What of it fits a
//! budget is decided in [`budget`].
//!
//! Worked out in sets, by the word. Knows a frame, what a client holds and what it may see. Has no idea of datagrams: [`super::view`] cuts
//! the plan into parts. Lives in a [`Scratch`] that all clients of a shard share, so that a client's
//! own memory stays small.

mod budget;
mod known;
mod sets;

use core::cell::RefCell;
use core::ops::Range;

use self::budget::Item;
use self::known::{Known, KnownWord};
pub(super) use self::sets::{Fates, Sets};
use super::baselines::{Baselines, Kept, View, Who};
use super::choose::Choice;
use super::codec::Past;
use super::cohort::{History, HistoryCode, Origin, Shared, kept_since};
use super::frame::TickFrame;
use super::grid::Circles;
use super::interest;
use super::owner::{self, Owned};
use super::part::{Body, Lists, all_slots};
use super::singles::{Maker, Single, Tools};
use super::slots::{SlotRange, SlotSet, slots_of};
use crate::id::ClientSlot;
use crate::proto::wire::BitBuffer;
use crate::time::Tick;

/// A chunk for one client alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) slot: u16,
    pub(super) chunk: (usize, usize),
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
    /// Who was seen at the snapshot before, while a client looks whom it sees now.
    pub(super) before: SlotSet,
    /// Who is how near to it.
    pub(super) circles: Vec<Circles>,
    pub(super) sets: Sets,
    /// Used while a range is planned.
    known: Known,
    pub(super) ranges: Vec<PlannedRange>,
    pub(super) items: Vec<Item>,
    /// Whether somebody is held with an older value at some tick of a history.
    has_aged: bool,
    /// Whether anybody comes or goes; if not, that need not be looked at.
    has_moves: bool,
    /// The same of somebody whose history is not known as a whole.
    has_others: bool,
    /// Whether it was decided what is told within the budget.
    selected: bool,
    /// Whether there are items: not everything could be told.
    itemised: bool,
    order: Vec<u32>,
    own: Vec<Own>,
    own_bits: BitBuffer,
    lists: Lists,
    /// Used while the rest is read.
    maker: RefCell<Maker>,
    /// What no cohort could share, and for which tick and history.
    alone: Option<(Tick, History)>,
    alone_shared: Shared,
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
    pub(super) fn base(&self, planned: &PlannedRange) -> Option<View<'a>> {
        self.baselines.view(planned.base()?)
    }

    /// The same, without who that is.
    fn kept(&self, planned: &PlannedRange) -> Option<&'a Kept> {
        self.baselines.kept(planned.base()?)
    }

    /// What the client holds at the ticks of a history: the baseline, and the earlier ones.
    fn held(&self, history: History) -> [Option<View<'a>>; 3] {
        let [one, two] = history.earlier(self.frame.schema.tables(), self.frame.snapshot_every);
        let view = |tick: Option<Tick>| self.baselines.view(tick?);
        [view(Some(history.base)), view(one), view(two)]
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
        (self.selected, self.itemised) = (false, false);
        (self.has_aged, self.has_moves, self.has_others) = (false, false, false);
        self.ranges.clear();
        self.own.clear();
        self.own_bits.clear();
        self.waiting.clear();
        self.owner = None;
    }

    /// Whether the client keeps all that it holds, is told all of it, and nobody comes.
    pub(super) const fn is_plain(&self) -> bool {
        !self.has_moves && !self.itemised
    }

    /// Whether each difference is an item, because not everything fits.
    pub(super) const fn is_itemised(&self) -> bool {
        self.itemised
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
            let past = sight.held(choice.history);
            let [base, ..] = past;
            // Sets of the scratch itself are written while those of the cohort are read.
            let mut sets = core::mem::take(&mut self.sets);
            let mut known = core::mem::take(&mut self.known);
            known.fill(range, &past, sight.visible);
            let shared = self.shared(frame, choice);
            let (mut moves, mut others) = (0, 0);
            for (word, fates) in known.iter().zip(sets.reach_all(known.words())) {
                let KnownWord {
                    index,
                    held,
                    ever,
                    seen,
                } = word;
                let (same, steady) = match shared {
                    Some(shared) => {
                        let of = shared.word(index);
                        (of.kept, of.steady)
                    }
                    None if held & seen == 0 => (0, 0),
                    None => (kept_since(frame, choice.history.base, index), 0),
                };
                // Who is steady in the cohort, and held at each tick of the history.
                let kept = held & seen & same;
                let steady = kept & steady & ever;
                fates.held |= held;
                fates.kept |= kept;
                fates.steady |= steady;
                fates.gone |= held & !kept;
                fates.new |= seen & !kept;
                moves |= (held | seen) & !kept;
                others |= kept & !steady;
            }
            self.known = known;
            self.has_moves |= moves != 0;
            self.has_others |= others != 0;
            self.sets = sets;
            self.plan_stale(range, &past, sight);
            if choice.cell.is_none() && self.has_others {
                self.plan_others(range, choice.history.base, frame);
            }
            if self.has_moves {
                self.plan_destroyed(range, base, sight);
            }
        } else {
            for (index, mask) in range.masks_within(0..sight.visible.words().len()) {
                let seen = sight.visible.word(index) & mask;
                if seen != 0 {
                    self.sets.reach(index).new |= seen;
                }
            }
            self.has_moves = true;
        }
        self.plan_waiting(range, sight);
    }

    /// Values that are older than their snapshot are no history; and those of the baseline need
    /// chunks of their own.
    fn plan_stale(&mut self, range: SlotRange, past: &[Option<View<'_>>; 3], sight: &Sight<'_>) {
        let frame = sight.frame;
        for (place, view) in past.iter().enumerate() {
            let Some(view) = view.as_ref().filter(|view| !view.stale.is_empty()) else {
                continue;
            };
            let within = range.within(view.stale, |stale| stale.slot);
            for stale in view.stale.get(within).unwrap_or(&[]) {
                let slot = stale.slot;
                let (fates, bit) = self.sets.place(slot);
                fates.steady &= !bit;
                (self.has_aged, self.has_moves, self.has_others) = (true, true, true);
                if place > 0 || !view.slots.contains(slot) {
                    continue;
                }
                // Who is held here is who was told, which the columns of the baseline do not know.
                let now = frame.row(slot);
                let same = now.filter(|now| {
                    (now.generation, now.kind) == (stale.who.generation, stale.who.kind)
                });
                let seen = sight.visible.contains(slot);
                fates.kept &= !bit;
                fates.gone &= !bit;
                fates.new &= !bit;
                let (Some(now), true) = (same, seen) else {
                    fates.gone |= bit;
                    if seen && now.is_some() {
                        fates.new |= bit;
                    }
                    continue;
                };
                fates.kept |= bit;
                fates.aged |= bit;
                self.tell_alone(slot, stale.as_of, now.values, now.kind, frame);
            }
        }
    }

    /// Of whom only the baseline is known, when no cohort shares it.
    fn plan_others(&mut self, range: SlotRange, base: Tick, frame: &TickFrame) {
        for (index, mask) in self.sets.masks(range) {
            let fates = *self.sets.word(index);
            for slot in slots_of(index, fates.kept & !fates.steady & !fates.aged & mask) {
                if let Some(now) = frame.row(slot) {
                    self.tell_alone(slot, base, now.values, now.kind, frame);
                }
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
        let Tools { chunker, row } = &mut self.maker.get_mut().tools;
        let past = match (frame.age_of(as_of), frame.row_at(as_of, slot)) {
            (Some(age), Some(then)) => Past::First {
                base: then.unfold(row),
                age,
            },
            _ => Past::Nothing,
        };
        let differs = chunker.chunk(tables, kind, &past, now, &mut self.own_bits);
        if differs || matches!(past, Past::Nothing) {
            let chunk = (start, self.own_bits.len());
            let place = self.own.partition_point(|own| own.slot < slot);
            self.own.insert(place, Own { slot, chunk });
            let (fates, bit) = self.sets.place(slot);
            fates.own |= bit;
        }
    }

    /// Of those who are gone, who is no more.
    fn plan_destroyed(&mut self, range: SlotRange, base: Option<View<'_>>, sight: &Sight<'_>) {
        let frame = sight.frame;
        let then = base.and_then(|base| frame.columns_at(base.tick));
        for (index, mask) in self.sets.masks(range) {
            for slot in slots_of(index, self.sets.word(index).gone & mask) {
                let stale = base
                    .and_then(|base| base.stale(slot))
                    .map(|stale| stale.who);
                let held = stale.or_else(|| {
                    let (generation, kind) = then?.who(slot)?;
                    Some(Who { generation, kind })
                });
                let now = frame.columns.who(slot);
                if held.is_none_or(|held| now != Some((held.generation, held.kind))) {
                    let (fates, bit) = self.sets.place(slot);
                    fates.destroyed |= bit;
                }
            }
        }
    }

    /// Keeps account of how long the client has been lacking what it lacks.
    fn plan_waiting(&mut self, range: SlotRange, sight: &Sight<'_>) {
        let start = self.waiting.len();
        if !self.has_moves && sight.waiting.is_empty() {
            return;
        }
        for slot in self.sets.within(range, |fates| fates.new) {
            let before = sight.waiting(slot);
            let snapshots = before.map_or(0, |waiting| waiting.snapshots.saturating_add(1));
            self.waiting.push(Waiting { slot, snapshots });
        }
        // Held in one lineage of baselines and lacking in another, it has still waited: were the
        // count to start again, the others might never get their turn.
        let within = range.within(sight.waiting, |waiting| waiting.slot);
        for waiting in sight.waiting.get(within).unwrap_or(&[]) {
            let kept = self.sets.has(waiting.slot, |fates| fates.kept);
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

    /// What a planned range is told from: of those whose whole history is known, and of the others.
    fn sources<'a>(
        &'a self,
        planned: &PlannedRange,
        frame: &'a TickFrame,
    ) -> (Option<&'a Shared>, Option<Origin>) {
        let Some(choice) = planned.choice else {
            return (None, None);
        };
        let plain = choice
            .cell
            .map(|cell| Origin::Baseline(cell, choice.history.base));
        (self.shared(frame, choice), plain)
    }

    /// Writes a planned range, all but its header, into `bits`, and keeps how many changes it told.
    pub(super) fn write_body(&mut self, index: usize, sight: &Sight<'_>, bits: &mut BitBuffer) {
        self.prepare_range(index, sight.frame);
        let Some(planned) = self.ranges.get(index) else {
            return;
        };
        // It is written to while the rest of the scratch is read.
        let mut lists = core::mem::take(&mut self.lists);
        (self.told, self.copied) = self.write_alike(planned, sight, &mut lists, bits);
        self.lists = lists;
        let schema = &sight.frame.schema;
        if schema.has_owner_fields() {
            // After what clients may share: this is for one of them alone.
            let base = sight.kept(planned);
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
        lists: &mut Lists,
        bits: &mut BitBuffer,
    ) -> (usize, bool) {
        let cohorts = &sight.frame.cohorts;
        let cell = self.shared_cell(planned, sight.frame);
        let told = cell.and_then(|cell| cohorts.told(cell));
        if let Some(told) = told.filter(|told| told.fits(self.sets.alike())) {
            bits.append(&told.bits, 0, told.bits.len());
            return (told.changes, true);
        }
        let start = bits.len();
        let (shared, plain) = self.sources(planned, sight.frame);
        let body = Body {
            frame: sight.frame,
            range: planned.range,
            sets: &self.sets,
            is_plain: self.is_plain(),
            shared,
            plain,
            maker: &self.maker,
            own: (&self.own, &self.own_bits),
        };
        let changes = body.write(lists, bits);
        if let Some(cell) = cell {
            cohorts.keep_told(cell, self.sets.alike(), (bits, start), changes);
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
        let now = frame.row(slot)?;
        let fields = frame.schema.owner_fields(now.kind)?;
        let stays = self.sets.has(slot, |fates| fates.kept & !fates.unsent);
        let enters = self.sets.has(slot, |fates| fates.new & !fates.withheld);
        if !stays && !enters {
            return None;
        }
        let base = sight
            .kept(planned)
            .filter(|base| stays && base.own == Some(slot));
        let held = base.and_then(|base| frame.row_at(base.tick, slot));
        Some(Owned {
            slot,
            fields,
            held,
            now: now.values,
        })
    }

    /// The chunk of an entity by itself.
    fn single(&self, frame: &TickFrame, origin: Origin, slot: u16) -> Single {
        let maker = &mut self.maker.borrow_mut();
        frame.cohorts.single(frame, origin, slot, maker, None)
    }

    /// Whether all there is to tell of a planned range is told.
    pub(super) fn is_done(&self, index: usize) -> bool {
        let Some(planned) = self.ranges.get(index) else {
            return true;
        };
        let rest = |(index, mask)| {
            let fates = self.sets.word(index);
            (fates.unsent | fates.withheld) & mask
        };
        !self.itemised || self.sets.masks(planned.range).all(|word| rest(word) == 0)
    }
}
