//! What of a plan fits a budget: by urgency, nobody for ever last.
//!
//! Adds up by the word first. Only when not everything fits is each difference an item of its own, with what it
//! costs and how urgent it is. Knows the plan it cuts. Has no idea of datagrams.

use super::super::cohort::{Chunks, Origin, Shared};
use super::super::grid::distance_squared;
use super::super::owner::Owned;
use super::super::priority;
use super::super::slots::{SlotRange, population, slots_of};
use super::{PlannedRange, Scratch, Sight};

/// About what a place in a list costs.
const PLACE_BITS: u32 = 4;
/// About what the head of a part and of its lists costs.
const HEADER_BITS: u32 = 80;
/// About what it costs to say who enters.
const ENTERING_BITS: u32 = 20;

/// What is said of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum What {
    /// The client holds it and may not see it any more.
    Left,
    /// The client may see it and does not hold it.
    Entered,
    /// The client holds another value of it.
    Changed,
}

/// Something to tell, when not everything can be told.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Item {
    pub(in super::super) slot: u16,
    pub(in super::super) what: What,
    bits: u32,
    /// How old the value is that the client holds, in ticks; how long it has been lacking, in
    /// snapshots.
    waited: u32,
    urgency: u32,
    /// Whether this snapshot tells it.
    pub(in super::super) sent: bool,
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

impl Scratch {
    /// Decides what is told within a budget of so many bytes, once per plan. Says whether that left anything out.
    pub(in super::super) fn select(&mut self, sight: &Sight<'_>, budget: usize) -> bool {
        if core::mem::replace(&mut self.selected, true) {
            return false;
        }
        let budget = (budget as u64 * 8)
            .saturating_sub(u64::from(HEADER_BITS) * self.ranges.len() as u64)
            .saturating_sub(u64::from(sight.owner_bits()));
        if self.bits_at_most(sight, budget) {
            return false;
        }
        self.itemise(sight);
        let cost: u64 = self.items.iter().map(|item| u64::from(item.cost())).sum();
        if cost <= budget {
            return false;
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
        true
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
        let own = self.own_bits.len() + self.own.len() * PLACE_BITS as usize;
        for place in 0..self.ranges.len() {
            self.prepare_range(place, sight.frame);
        }
        // First as if each of the steady had the longest chunk there is.
        [Measure::Longest, Measure::Each]
            .into_iter()
            .any(|measure| (self.bits(sight, measure) + own) as u64 <= budget)
    }

    /// How many bits all there is to tell takes at most, but for what is for this client alone.
    fn bits(&self, sight: &Sight<'_>, measure: Measure) -> usize {
        let of = |planned| self.bits_of(planned, sight, measure);
        self.ranges.iter().map(of).sum()
    }

    fn bits_of(&self, planned: &PlannedRange, sight: &Sight<'_>, measure: Measure) -> usize {
        let frame = sight.frame;
        let (shared, plain) = self.sources(planned, frame);
        let mut bits = 0;
        for (index, mask) in self.sets.masks(planned.range) {
            let fates = self.sets.word(index);
            let steady = fates.steady & mask;
            let others = fates.kept & mask & !steady & !fates.aged;
            let (gone, new) = (fates.gone & mask, fates.new & mask);
            if let Some(shared) = shared {
                bits += match measure {
                    Measure::Longest => {
                        population(steady) as usize * (shared.longest() + PLACE_BITS as usize)
                    }
                    Measure::Each => steady_bits(shared, index, steady),
                };
            }
            if let Some(plain) = plain {
                let singles = slots_of(index, others).map(|slot| self.single(frame, plain, slot));
                let listed = singles.filter(|single| single.differs);
                bits += listed
                    .map(|single| single.bits + PLACE_BITS as usize)
                    .sum::<usize>();
            }
            bits += (population(gone) * (PLACE_BITS + 1)) as usize;
            let entering = slots_of(index, new).map(|slot| {
                let single = self.single(frame, Origin::Nothing, slot);
                single.bits + (PLACE_BITS + ENTERING_BITS) as usize
            });
            bits += entering.sum::<usize>();
        }
        bits
    }

    /// Looks at each difference by itself, once per plan.
    pub(in super::super) fn itemise(&mut self, sight: &Sight<'_>) {
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
        for (index, mask) in self.sets.masks(planned.range) {
            let fates = self.sets.word(index);
            let of = shared.map(|shared| (shared, shared.word(index)));
            for slot in slots_of(index, (fates.kept | fates.gone | fates.new) & mask) {
                let is = |set: u64| set >> (slot % 64) & 1 == 1;
                if is(fates.gone) {
                    push(item(slot, What::Left, 1, 0));
                }
                if is(fates.new) {
                    let single = self.single(frame, Origin::Nothing, slot);
                    let waiting = self.waiting.binary_search_by_key(&slot, |of| of.slot);
                    let waiting = waiting.ok().and_then(|place| self.waiting.get(place));
                    let waited = waiting.map_or(0, |waiting| u32::from(waiting.snapshots));
                    push(item(slot, What::Entered, single.bits, waited));
                }
                if !is(fates.kept) {
                    continue;
                }
                let bits = if is(fates.steady) {
                    of.and_then(|(shared, of)| {
                        if is(of.coded) {
                            Some(size(&shared.coded_chunks, slot))
                        } else {
                            is(of.listed).then(|| size(&shared.listed_chunks, slot))
                        }
                    })
                } else if is(fates.aged) || plain.is_none() {
                    let own = self.own.binary_search_by_key(&slot, |own| own.slot);
                    let own = own.ok().and_then(|place| self.own.get(place));
                    own.map(|own| own.chunk.1 - own.chunk.0)
                } else {
                    let single = plain.map(|plain| self.single(frame, plain, slot));
                    single
                        .filter(|single| single.differs)
                        .map(|single| single.bits)
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
        let (fates, bit) = self.sets.place(item.slot);
        match item.what {
            What::Entered => fates.withheld |= bit,
            What::Left | What::Changed => fates.unsent |= bit,
        }
    }

    /// Holds back what is least urgent in a range until about so many bits less are to be told.
    /// Says whether there was anything.
    pub(in super::super) fn hold_back(
        &mut self,
        sight: &Sight<'_>,
        range: usize,
        bits: usize,
    ) -> bool {
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
    pub(in super::super) fn hold_back_own(
        &mut self,
        sight: &Sight<'_>,
        range: usize,
        bits: usize,
    ) -> bool {
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
        let (fates, bit) = self.sets.place(slot);
        fates.unsent |= fates.kept & bit;
        true
    }

    /// Where to cut a planned range so that what is told of the first piece takes about so many
    /// bits: at the slot of one of its items, not the first.
    pub(in super::super) fn cut(
        &mut self,
        sight: &Sight<'_>,
        range: usize,
        bits: usize,
    ) -> Option<u16> {
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
    pub(in super::super) fn split(&mut self, index: usize, [low, high]: [SlotRange; 2]) {
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

/// How the chunks that a cohort shares are added up.
#[derive(Debug, Clone, Copy)]
enum Measure {
    /// As if each were the longest: no chunk is looked at.
    Longest,
    /// One by one.
    Each,
}

/// How many bits the chunks of the steady of a word take.
fn steady_bits(shared: &Shared, index: usize, steady: u64) -> usize {
    let of = shared.word(index);
    let chunk = |slot| shared.coded_chunks.chunk(slot);
    let coded = if steady & of.coded == of.coded {
        let chunks = &shared.coded_chunks;
        chunks.start(index * 64 + 64) - chunks.start(index * 64)
    } else {
        listed_bits(chunk, index, steady & of.coded, 0)
    };
    let chunk = |slot| shared.listed_chunks.chunk(slot);
    coded + listed_bits(chunk, index, steady & of.listed, PLACE_BITS)
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
    let at = sight.frame.position(item.slot).unwrap_or(center);
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
