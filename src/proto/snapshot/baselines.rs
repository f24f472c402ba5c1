//! What one client is known to hold.
//!
//! Per datagram that may still be acknowledged: which part it carried, and the lists of who left,
//! entered and was deferred. Per acknowledged snapshot: who is in it, and whose value is older than
//! it. Values are nowhere here; they are in the ring that all clients share. Forgetting anything is
//! always safe: it only makes an older baseline, or none, the best one.
//!
//! Knows slots and ticks. Has no idea of values, bits, frames or positions.

use core::iter;
use core::ops::Deref;
use std::collections::VecDeque;

use super::codec::Lags;
use super::pool::{SetId, SetPool, Slots};
use super::slots::SlotRange;
use crate::time::Tick;

/// Datagrams that may be on their way at once.
pub(super) const RECORDS: usize = 64;
/// For each range the newest acknowledged snapshots are kept, so that a client can join a cohort up
/// to two snapshots older than its own best, and that has the earlier ticks of its history.
const FRESHEST: usize = 3 + Lags::MAX as usize;

/// Room for lists that is not worth giving back.
const FEW: usize = 128;

/// Which entity of all that ever had a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) generation: u16,
    pub(super) kind: u8,
}

/// An entity whose value is older than the snapshot it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stale {
    /// The tick of the snapshot.
    at: Tick,
    pub(super) slot: u16,
    pub(super) who: Who,
    pub(super) as_of: Tick,
}

/// An acknowledged snapshot, or the parts of it that are.
///
/// Small, because whoever chooses a baseline looks at all of them: what few snapshots have is in lists that they
/// share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) tick: Tick,
    /// The slots it speaks of, or some of them when `has_gaps`.
    covered: Option<SlotRange>,
    /// Who is in it.
    set: Option<SetId>,
    /// The slot of the entity of which the client was told what only an owner is.
    pub(super) own: Option<u16>,
    /// Whether it speaks of more slots: [`Baselines::beyond`].
    has_gaps: bool,
    /// Whether somebody's value is older: [`Baselines::stale`].
    has_stale: bool,
}

impl Kept {
    const fn nothing(tick: Tick) -> Self {
        Self {
            tick,
            covered: None,
            set: None,
            own: None,
            has_gaps: false,
            has_stale: false,
        }
    }

    /// The slot of the own entity, if it is in a range.
    pub(super) fn own_within(&self, range: SlotRange) -> Option<u16> {
        self.own.filter(|slot| range.contains(*slot))
    }
}

/// An acknowledged snapshot and who is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    kept: &'a Kept,
    pub(super) slots: Slots<'a>,
    /// Whose value is older, ascending by slot.
    pub(super) stale: &'a [Stale],
}

impl<'a> View<'a> {
    /// The value of a slot that is older than the snapshot.
    pub(super) fn stale(&self, slot: u16) -> Option<&'a Stale> {
        let found = self.stale.binary_search_by_key(&slot, |stale| stale.slot);
        found.ok().and_then(|index| self.stale.get(index))
    }
}

impl Deref for View<'_> {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        self.kept
    }
}

/// What one datagram says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) tick: Tick,
    pub(super) base: Option<Tick>,
    pub(super) range: SlotRange,
    /// The slot of the client's own entity, if the part tells what only its owner may know.
    pub(super) own: Option<u16>,
}

/// A datagram that may still be acknowledged; its lists follow those of the record before in
/// `Baselines::ids`.
#[derive(Debug, Clone, Copy)]
struct Record {
    part: Part,
    left: u16,
    entered: u16,
    deferred: u16,
}

impl Record {
    /// Deferred entities take three numbers each: slot, generation, kind.
    fn ids(&self) -> usize {
        usize::from(self.left) + usize::from(self.entered) + 3 * usize::from(self.deferred)
    }
}

/// What one client is known to hold, and what it may soon be known to hold.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    records: VecDeque<Record>,
    ids: Vec<u16>,
    /// Ascending by tick.
    views: Vec<Kept>,
    /// What snapshots speak of besides their first range: seldom anything, once all of a snapshot is acknowledged.
    beyond: Vec<(Tick, SlotRange)>,
    /// Ascending by snapshot and slot.
    stale: Vec<Stale>,
    sets: SetPool,
}

impl Baselines {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.ids.clear();
        while let Some(view) = self.views.pop() {
            self.let_go(view);
        }
    }

    /// Whether as many datagrams are on their way as can be kept account of.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= RECORDS
    }

    /// The acknowledged snapshots that cover a range, newest first.
    pub(super) fn covering(&self, range: SlotRange) -> impl Iterator<Item = &Kept> {
        let views = self.views.iter().rev();
        views.filter(move |view| self.covers(view, range))
    }

    /// The acknowledged snapshot of a tick, without who is in it.
    pub(super) fn kept(&self, tick: Tick) -> Option<&Kept> {
        kept(&self.views, tick)
    }

    /// The acknowledged snapshot of a tick.
    pub(super) fn view(&self, tick: Tick) -> Option<View<'_>> {
        let kept = kept(&self.views, tick)?;
        let slots = slots(&self.sets, kept);
        let stale = self.stale_of(kept);
        Some(View { kept, slots, stale })
    }

    /// Whether every acknowledged snapshot that speaks of a slot has somebody in it.
    pub(super) fn all_hold(&self, slot: u16) -> bool {
        let only = SlotRange {
            first: slot,
            last: slot,
        };
        let mut telling = self.covering(only);
        // Mostly several of them share a set.
        let mut asked = None;
        telling.all(|view| {
            let is_new = asked.replace(view.set) != Some(view.set);
            !is_new || view.set.is_some_and(|set| self.sets.contains(set, slot))
        })
    }

    /// Whether one of the ranges that a snapshot speaks of is such. Mostly there is one.
    #[inline]
    fn speaks_of(&self, view: &Kept, is_such: impl Fn(SlotRange) -> bool) -> bool {
        let mut beyond = self.beyond.iter();
        view.covered.is_some_and(&is_such)
            || view.has_gaps && beyond.any(|(at, range)| *at == view.tick && is_such(*range))
    }

    #[inline]
    fn covers(&self, view: &Kept, range: SlotRange) -> bool {
        let is_such = |told: SlotRange| told.contains(range.first) && told.contains(range.last);
        self.speaks_of(view, is_such)
    }

    fn overlaps(&self, view: &Kept, range: SlotRange) -> bool {
        self.speaks_of(view, |told| told.overlaps(range))
    }

    fn stale_of(&self, view: &Kept) -> &[Stale] {
        if !view.has_stale {
            return &[];
        }
        let start = self.stale.partition_point(|stale| stale.at < view.tick);
        let end = self.stale.partition_point(|stale| stale.at <= view.tick);
        self.stale.get(start..end).unwrap_or(&[])
    }

    /// Remembers a datagram, and says how many enter. Each list ascends by slot; `deferred` are entities of the baseline.
    pub(super) fn record(
        &mut self,
        part: Part,
        left: impl Iterator<Item = u16>,
        entered: impl Iterator<Item = u16>,
        deferred: impl Iterator<Item = (u16, Who)>,
    ) -> usize {
        if self.is_full() {
            self.remove(0);
        }
        let start = self.ids.len();
        // One by one: there are few, and none of the iterators knows how few.
        left.for_each(|slot| self.ids.push(slot));
        let left = self.ids.len() - start;
        entered.for_each(|slot| self.ids.push(slot));
        let entered = self.ids.len() - start - left;
        for (slot, who) in deferred {
            self.ids.extend([slot, who.generation, u16::from(who.kind)]);
        }
        let deferred = (self.ids.len() - start - left - entered) / 3;
        // A range has at most 65,000 slots, and a list each of them once.
        self.records.push_back(Record {
            part,
            left: left as u16,
            entered: entered as u16,
            deferred: deferred as u16,
        });
        entered
    }

    /// Remembers a datagram in which nobody leaves, enters or is deferred.
    pub(super) fn record_plain(&mut self, part: Part) {
        self.record(part, iter::empty(), iter::empty(), iter::empty());
    }

    /// The client has the datagram: its part of that snapshot can be a baseline now. Says whether
    /// it was known. `ranges` are those in use, for which baselines are kept.
    pub(super) fn acked(
        &mut self,
        number: u64,
        ranges: impl Iterator<Item = SlotRange> + Clone,
    ) -> bool {
        let Some((index, start)) = self.find(number) else {
            return false;
        };
        let record = self.records[index];
        let base = record
            .part
            .base
            .map(|tick| kept(&self.views, tick).copied());
        let place = self
            .views
            .partition_point(|other| other.tick < record.part.tick);
        let known = self.views.get(place).copied();
        let known = known.filter(|view| view.tick == record.part.tick);
        let mut view = known.unwrap_or(Kept::nothing(record.part.tick));
        // The baseline is kept as long as a record names it. A range is told once per tick.
        if !matches!(base, Some(None)) && !self.overlaps(&view, record.part.range) {
            self.apply(&mut view, base.flatten(), &record, start);
            if known.is_some() {
                self.views[place] = view;
            } else {
                self.views.reserve_exact(1);
                self.views.insert(place, view);
            }
        }
        self.remove(index);
        self.prune(ranges);
        true
    }

    /// The client does not have the datagram, or nobody will ever know.
    pub(super) fn lost(&mut self, number: u64) {
        if let Some((index, _)) = self.find(number) {
            self.remove(index);
        }
    }

    /// Forgets everything before `oldest`: it cannot be a baseline any more.
    pub(super) fn expire(&mut self, oldest: Tick) {
        // Parts are told in the order of their ticks.
        while let Some(first) = self.records.front()
            && first.part.tick < oldest
        {
            self.remove(0);
        }
        // Joining fills the lists for a second; after that they are nearly empty.
        give_back(&mut self.ids);
        give_back(&mut self.stale);
        give_back(&mut self.beyond);
        self.sets.give_back();
        while self.views.first().is_some_and(|view| view.tick < oldest) {
            let view = self.views.remove(0);
            self.let_go(view);
        }
    }

    /// A record and where its lists start.
    fn find(&self, number: u64) -> Option<(usize, usize)> {
        let index = self
            .records
            .iter()
            .position(|record| record.part.number == number)?;
        Some((index, self.start_of(index)))
    }

    fn start_of(&self, index: usize) -> usize {
        self.records.iter().take(index).map(Record::ids).sum()
    }

    fn remove(&mut self, index: usize) {
        let start = self.start_of(index);
        if let Some(record) = self.records.remove(index)
            && record.ids() > 0
        {
            self.ids.drain(start..start + record.ids());
        }
    }

    /// Forgets what a view that is in no list any more has in the lists that all share.
    fn let_go(&mut self, view: Kept) {
        if let Some(set) = view.set {
            self.sets.release(set);
        }
        if view.has_gaps {
            self.beyond.retain(|(at, _)| *at != view.tick);
        }
        if view.has_stale {
            self.stale.retain(|stale| stale.at != view.tick);
        }
    }

    /// Keeps what a record builds on, and the freshest for each range. The ranges are all slots there are, so each of
    /// the newest views is among the freshest for one of them.
    fn prune(&mut self, ranges: impl Iterator<Item = SlotRange> + Clone) {
        for index in (0..self.views.len().saturating_sub(FRESHEST)).rev() {
            let (view, newer) = match self.views.get(index..) {
                Some([view, newer @ ..]) => (view, newer),
                _ => continue,
            };
            let named = self
                .records
                .iter()
                .any(|record| record.part.base == Some(view.tick));
            let fresh = |range: SlotRange| {
                let better = newer.iter().filter(|newer| self.covers(newer, range));
                self.overlaps(view, range) && better.take(FRESHEST).count() < FRESHEST
            };
            if !named && !ranges.clone().any(fresh) {
                let view = self.views.remove(index);
                self.let_go(view);
            }
        }
    }

    /// V(t) = V(b) - left + entered, within the range of a part; deferred entities keep the age they
    /// had in V(b). The lists of the part start at `start`.
    fn apply(&mut self, view: &mut Kept, base: Option<Kept>, record: &Record, start: usize) {
        let range = record.part.range;
        view.own = record.part.own.or(view.own);
        let same = base.filter(|base| {
            let is_still = record.left == 0 && record.entered == 0;
            is_still && view.set.is_none() && base.covered == Some(range) && !base.has_gaps
        });
        if let Some(same) = same {
            view.set = same.set.map(|set| self.sets.share(set));
        } else {
            self.change_set(view, base, record, start);
        }
        if record.deferred > 0 {
            self.defer(view, base, record, start);
        }
        self.cover(view, range);
    }

    /// Makes the set of a view that of its baseline, with who left and entered, within the range of a part.
    fn change_set(&mut self, view: &mut Kept, base: Option<Kept>, record: &Record, start: usize) {
        let (range, sets) = (record.part.range, &mut self.sets);
        let lists = self.ids.get(start..start + record.ids()).unwrap_or(&[]);
        let (left, rest) = lists.split_at(usize::from(record.left));
        let entered = rest.get(..usize::from(record.entered)).unwrap_or(&[]);
        entered.last().iter().for_each(|last| sets.reach(**last));
        let set = match (view.set, base.and_then(|base| base.set)) {
            // Outside of the range a set says nothing, so it may be the baseline's as it is.
            (None, Some(held)) => sets.copy(held),
            (before, held) => {
                let set = match before {
                    Some(set) => sets.own(set),
                    None => sets.any(),
                };
                for (index, mask) in range.masks_within(0..sets.width()) {
                    let held = held.map_or(0, |held| sets.slots(held).word(index));
                    sets.change(set, index, |word| (word & !mask) | (held & mask));
                }
                set
            }
        };
        view.set = Some(set);
        let bit = |slot: u16| (usize::from(slot) / 64, 1 << (slot % 64));
        for (index, bit) in left.iter().map(|slot| bit(*slot)) {
            sets.change(set, index, |word| word & !bit);
        }
        for (index, bit) in entered.iter().map(|slot| bit(*slot)) {
            sets.change(set, index, |word| word | bit);
        }
        sets.settle(set);
    }

    /// Remembers of whom a part did not tell, and as of when they are held.
    fn defer(&mut self, view: &mut Kept, base: Option<Kept>, record: &Record, start: usize) {
        let first = start + usize::from(record.left) + usize::from(record.entered);
        let (at, slot) = (view.tick, record.part.range.first);
        let place = self
            .stale
            .partition_point(|stale| (stale.at, stale.slot) < (at, slot));
        let before = self.stale.len();
        for index in 0..usize::from(record.deferred) {
            let from = first + 3 * index;
            let Some(&[slot, generation, kind]) = self.ids.get(from..from + 3) else {
                break;
            };
            let held = base.map(|base| {
                let known = self.stale.get(..before).unwrap_or(&[]);
                let key = |stale: &Stale| (stale.at, stale.slot);
                let known = known.binary_search_by_key(&(base.tick, slot), key);
                known.map_or(base.tick, |index| self.stale[index].as_of)
            });
            self.stale.push(Stale {
                at,
                slot,
                who: Who {
                    generation,
                    kind: kind as u8,
                },
                as_of: held.unwrap_or(at),
            });
        }
        let added = self.stale.len() - before;
        self.stale[place..].rotate_right(added);
        view.has_stale = true;
    }

    /// Adds a range that a view does not speak of yet; ranges that touch become one.
    fn cover(&mut self, view: &mut Kept, mut range: SlotRange) {
        if let Some(union) = view.covered.and_then(|covered| covered.joined(range)) {
            (view.covered, range) = (None, union);
        }
        let tick = view.tick;
        while let Some((place, union)) = self.touching(tick, range) {
            self.beyond.swap_remove(place);
            range = union;
        }
        match view.covered {
            Some(_) => self.beyond.push((tick, range)),
            None => view.covered = Some(range),
        }
        view.has_gaps = self.beyond.iter().any(|(at, _)| *at == tick);
    }

    /// One of the further ranges of a view that touches this one, and the two as one.
    fn touching(&self, tick: Tick, range: SlotRange) -> Option<(usize, SlotRange)> {
        let mut beyond = self.beyond.iter().enumerate();
        beyond.find_map(|(place, (at, other))| {
            let union = other.joined(range).filter(|_| *at == tick);
            Some((place, union?))
        })
    }

    /// Heap memory in bytes.
    pub(super) fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Record>()
            + self.ids.capacity() * size_of::<u16>()
            + self.views.capacity() * size_of::<Kept>()
            + self.beyond.capacity() * size_of::<(Tick, SlotRange)>()
            + self.stale.capacity() * size_of::<Stale>()
            + self.sets.memory()
    }
}

/// The acknowledged snapshot of a tick, among those ascending by tick.
#[inline]
fn kept(views: &[Kept], tick: Tick) -> Option<&Kept> {
    // The newest are asked for, and there are few.
    views.iter().rev().find(|view| view.tick == tick)
}

/// Who is in an acknowledged snapshot.
#[inline]
fn slots<'a>(sets: &'a SetPool, kept: &Kept) -> Slots<'a> {
    kept.set.map_or(Slots::default(), |set| sets.slots(set))
}

/// Gives memory back that a list was much longer for.
fn give_back<T>(list: &mut Vec<T>) {
    if list.len() * 8 + FEW < list.capacity() {
        list.shrink_to(list.len() * 2 + FEW / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const WHO: Who = Who {
        generation: 3,
        kind: 1,
    };

    /// What one client does next.
    #[derive(Debug, Clone)]
    enum Step {
        /// Tells a snapshot in two parts cut at a slot, built on one of the baselines, changing
        /// these slots' fate.
        Tell(u16, prop::sample::Index, Vec<(u16, u8)>),
        Ack(prop::sample::Index),
        Lose(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let fates = prop::collection::vec((0_u16..40, 0_u8..3), 0..12);
        let step = prop_oneof![
            (1_u16..40, any::<prop::sample::Index>(), fates)
                .prop_map(|(cut, base, fates)| Step::Tell(cut, base, fates)),
            any::<prop::sample::Index>().prop_map(Step::Ack),
            any::<prop::sample::Index>().prop_map(Step::Ack),
            any::<prop::sample::Index>().prop_map(Step::Lose),
        ];
        prop::collection::vec(step, 1..80)
    }

    /// A snapshot told plainly: who is in it, and as of when.
    type Plain = BTreeMap<u16, Tick>;

    proptest! {
        #[test]
        fn a_view_is_its_baseline_minus_left_plus_entered(steps in steps()) {
            let mut baselines = Baselines::default();
            let mut told = BTreeMap::<u64, (Tick, SlotRange, Plain)>::new();
            let mut number = 0;
            for (index, step) in steps.iter().enumerate() {
                let tick = Tick(index as u32 + 1);
                match step {
                    Step::Tell(cut, base, fates) => {
                        let ranges = [SlotRange { first: 0, last: cut - 1 }, SlotRange { first: *cut, last: 99 }];
                        for range in ranges {
                            number += 1;
                            let plain = tell(&mut baselines, number, tick, range, base, fates);
                            told.insert(number, (tick, range, plain));
                        }
                    }
                    Step::Ack(which) if number > 0 => {
                        baselines.acked(which.index(number as usize) as u64 + 1, [SlotRange { first: 0, last: 99 }].into_iter());
                    }
                    Step::Lose(which) if number > 0 => baselines.lost(which.index(number as usize) as u64 + 1),
                    _ => {}
                }
                for (tick, range, plain) in told.values() {
                    if let Some(view) = baselines.covering(*range).find(|view| view.tick == *tick) {
                        prop_assert_eq!(&plainly(&baselines, view, *range), plain);
                    }
                }
                prop_assert!(baselines.records.len() <= RECORDS);
                prop_assert_eq!(baselines.ids.len(), baselines.records.iter().map(Record::ids).sum::<usize>());
            }
        }
    }

    /// A view as a plain snapshot, within a range.
    fn plainly(baselines: &Baselines, kept: &Kept, range: SlotRange) -> Plain {
        let view = baselines.view(kept.tick).expect("it is kept");
        let as_of = |slot: u16| view.stale(slot).map_or(view.tick, |stale| stale.as_of);
        let within = view.slots.iter().filter(|slot| range.contains(*slot));
        within.map(|slot| (slot, as_of(slot))).collect()
    }

    /// Records a part, and says plainly what the client will hold when it has it.
    fn tell(
        baselines: &mut Baselines,
        number: u64,
        tick: Tick,
        range: SlotRange,
        base: &prop::sample::Index,
        fates: &[(u16, u8)],
    ) -> Plain {
        let bases: Vec<_> = baselines.covering(range).map(|view| view.tick).collect();
        let base = (!bases.is_empty()).then(|| bases[base.index(bases.len())]);
        let held = base
            .and_then(|base| baselines.view(base))
            .map(|view| plainly(baselines, view.kept, range));
        let held = held.unwrap_or_default();
        let [mut left, mut entered, mut deferred] = <[BTreeSet<u16>; 3]>::default();
        for (slot, fate) in fates.iter().filter(|(slot, _)| range.contains(*slot)) {
            match (held.contains_key(slot), fate) {
                (false, _) => _ = entered.insert(*slot),
                (true, 0) if !deferred.contains(slot) => _ = left.insert(*slot),
                (true, 1) if !left.contains(slot) => _ = deferred.insert(*slot),
                // Somebody else in the same slot.
                (true, 2) if !deferred.contains(slot) => {
                    left.insert(*slot);
                    entered.insert(*slot);
                }
                _ => {}
            }
        }
        let part = Part {
            number,
            tick,
            base,
            range,
            own: None,
        };
        let who = deferred.iter().map(|slot| (*slot, WHO));
        baselines.record(part, left.iter().copied(), entered.iter().copied(), who);
        let as_of =
            |(slot, then): (u16, Tick)| (slot, if deferred.contains(&slot) { then } else { tick });
        let mut plain: Plain = held
            .into_iter()
            .map(as_of)
            .filter(|(slot, _)| !left.contains(slot))
            .collect();
        plain.extend(entered.iter().map(|slot| (*slot, tick)));
        plain
    }
}
