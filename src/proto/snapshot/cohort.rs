//! The changes of one tick, encoded once for everybody.
//!
//! Clients whose last known state is the same tick form a cohort, and a cohort's deltas are encoded
//! by whichever client's turn comes first; the others copy bits. A frame has eight cohort cells and
//! one for absolute chunks.
//!
//! Knows columns and chunks. Has no idea which clients there are.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::columns::Columns;
use super::delta;
use super::schema::Schema;
use crate::proto::wire::BitBuffer;
use crate::time::Tick;

/// Cohorts a tick can have. More baselines than this in use at once are worth joining, not
/// encoding.
pub(super) const COHORTS: usize = 8;

/// The chunks of all entities: one string of bits, cut by slot.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    bits: BitBuffer,
    /// Where the chunk of each slot ends, which is where the next one starts.
    ends: Vec<u32>,
}

impl Encoded {
    /// The bits of a slot; an empty range when there is nothing to say.
    #[inline]
    pub(super) fn chunk(&self, slot: u16) -> (u32, u32) {
        let slot = usize::from(slot);
        let end = self.ends.get(slot).copied().unwrap_or(0);
        let start = match slot.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(end),
            None => 0,
        };
        (start, end)
    }

    pub(super) const fn bits(&self) -> &BitBuffer {
        &self.bits
    }

    /// Encodes every entity that is in both columns and has changed since `base`.
    fn encode_since(&mut self, schema: &Schema, base: &Columns, now: &Columns) {
        self.each_slot(now, |bits, slot| {
            if now.last_changed(slot) <= base.tick() {
                return;
            }
            let (Some(then), Some(row)) = (base.row(slot), now.row(slot)) else {
                return;
            };
            if then.generation == row.generation && then.kind == row.kind {
                delta::encode_delta(schema.codings(row.kind), then.values, row.values, bits);
            }
        });
    }

    /// Encodes every entity from nothing.
    fn encode_absolute(&mut self, schema: &Schema, now: &Columns) {
        self.each_slot(now, |bits, slot| {
            if let Some(row) = now.row(slot) {
                delta::encode_absolute(schema.codings(row.kind), row.values, bits);
            }
        });
    }

    fn each_slot(&mut self, now: &Columns, mut encode: impl FnMut(&mut BitBuffer, u16)) {
        self.bits.clear();
        self.ends.clear();
        for slot in 0..now.slots() {
            encode(&mut self.bits, slot as u16);
            self.ends.push(self.bits.len() as u32);
        }
    }
}

/// A cell is written at most once per frame, by the first who needs it.
#[derive(Debug, Default)]
struct Cell {
    encoded: OnceLock<Encoded>,
    /// The memory of an earlier frame. Only the one thread that writes the cell takes it.
    spare: Mutex<Option<Encoded>>,
}

impl Cell {
    fn get(
        &self,
        counts: &Counts,
        built: &AtomicU32,
        build: impl FnOnce(&mut Encoded),
    ) -> &Encoded {
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
        let count = if mine { built } else { &counts.waited };
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
    absolute: AtomicU32,
    waited: AtomicU32,
}

/// How often the shared encodings of one frame were built and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CohortStats {
    /// Cohorts built: at most 8.
    pub built: u32,
    /// Whether the absolute chunks were built: at most 1.
    pub absolute: u32,
    /// How often somebody had to wait for somebody else who was building.
    pub waited: u32,
}

/// The shared encodings of one frame.
#[derive(Debug, Default)]
pub(super) struct Cohorts {
    /// The baseline of each cell plus one; 0: free. Cells are taken in order and stay taken.
    keys: [AtomicU64; COHORTS],
    cells: [Cell; COHORTS],
    absolute: Cell,
    counts: Counts,
}

impl Cohorts {
    /// Makes it new, and keeps the memory.
    pub(super) fn reset(&mut self) {
        self.keys.iter_mut().for_each(|key| *key.get_mut() = 0);
        self.cells.iter_mut().for_each(Cell::reset);
        self.absolute.reset();
        self.counts = Counts::default();
    }

    /// The baselines that somebody uses this tick.
    pub(super) fn baselines(&self) -> impl Iterator<Item = Tick> + '_ {
        let baseline = |key: &AtomicU64| key.load(Ordering::Acquire).checked_sub(1);
        self.keys
            .iter()
            .map_while(baseline)
            .map(|tick| Tick(tick as u32))
    }

    /// The cell of a baseline, taken for it if need be; `None` when all are taken for others.
    pub(super) fn claim(&self, baseline: Tick) -> Option<usize> {
        let wanted = u64::from(baseline.0) + 1;
        self.keys.iter().position(|key| {
            let claimed = key.compare_exchange(0, wanted, Ordering::AcqRel, Ordering::Acquire);
            claimed.is_ok() || claimed == Err(wanted)
        })
    }

    /// The chunks of a claimed cell.
    pub(super) fn since(
        &self,
        cell: usize,
        schema: &Schema,
        base: &Columns,
        now: &Columns,
    ) -> Option<&Encoded> {
        let cell = self.cells.get(cell)?;
        let build = |encoded: &mut Encoded| encoded.encode_since(schema, base, now);
        Some(cell.get(&self.counts, &self.counts.built, build))
    }

    /// The absolute chunks.
    pub(super) fn absolute(&self, schema: &Schema, now: &Columns) -> &Encoded {
        let build = |encoded: &mut Encoded| encoded.encode_absolute(schema, now);
        self.absolute
            .get(&self.counts, &self.counts.absolute, build)
    }

    pub(super) fn stats(&self) -> CohortStats {
        let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
        CohortStats {
            built: count(&self.counts.built),
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
        for tick in 0..8 {
            assert_eq!(cohorts.claim(Tick(tick)), Some(tick as usize));
        }
        assert_eq!(cohorts.claim(Tick(3)), Some(3));
        assert_eq!(cohorts.claim(Tick(8)), None);
        assert_eq!(cohorts.baselines().count(), 8);
        cohorts.reset();
        assert_eq!(cohorts.baselines().count(), 0);
        assert_eq!(cohorts.claim(Tick(u32::MAX)), Some(0));
    }
}
