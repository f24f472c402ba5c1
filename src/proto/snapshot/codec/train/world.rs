//! A recorded world, and samples of it: an entity, what a client would know of it, and what became
//! of it.

use super::super::super::quantity::Coding;
use super::super::context::Past;
use super::super::tables::{Lags, Tables};
use crate::id::EntityId;
use crate::time::Tick;

/// Fewer snapshots than this have no past to speak of.
const FEWEST: usize = 32;
/// A longer world is looked at here and there: so many rows for each age.
const ROWS: usize = 1 << 20;
/// The ages that are looked at, each for itself.
const AGES: [u32; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24];

/// Why nothing can be learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// There are not enough snapshots.
    #[error("a recording of at least {FEWEST} snapshots is needed to learn from")]
    TooShort,
    /// There is nobody.
    #[error("the recording has no entity that the schema knows")]
    Empty,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    generation: u16,
    kind: u8,
    len: u8,
    start: u32,
}

#[derive(Debug, Default)]
struct Snapshot {
    heads: Vec<Option<Head>>,
    values: Vec<i32>,
}

impl Snapshot {
    fn head(&self, slot: usize) -> Option<&Head> {
        self.heads.get(slot)?.as_ref()
    }

    fn row(&self, head: &Head) -> &[i32] {
        let start = head.start as usize;
        let row = self.values.get(start..start + usize::from(head.len));
        row.unwrap_or(&[])
    }

    /// The row of this very entity.
    fn same(&self, slot: usize, as_now: &Head) -> Option<&[i32]> {
        let head = self.head(slot)?;
        let same = (head.generation, head.kind) == (as_now.generation, as_now.kind);
        same.then(|| self.row(head))
    }
}

/// The recorded snapshots, in order.
#[derive(Debug, Default)]
pub(super) struct World {
    snapshots: Vec<Snapshot>,
}

/// What one entity became.
#[derive(Clone, Copy)]
pub(super) struct Sample<'w> {
    pub(super) kind: usize,
    pub(super) past: Past<'w>,
    pub(super) now: &'w [i32],
}

impl World {
    pub(super) fn begin(&mut self, _tick: Tick) {
        self.snapshots.push(Snapshot::default());
    }

    pub(super) fn put(&mut self, id: EntityId, kind: u8, values: &[i32]) {
        let Some(snapshot) = self.snapshots.last_mut() else {
            return;
        };
        let slot = usize::from(id.slot);
        if snapshot.heads.len() <= slot {
            snapshot.heads.resize(slot + 1, None);
        }
        snapshot.heads[slot] = Some(Head {
            generation: id.generation,
            kind,
            len: values.len() as u8,
            start: snapshot.values.len() as u32,
        });
        snapshot.values.extend_from_slice(values);
    }

    pub(super) const fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        if self.snapshots.len() < FEWEST {
            return Err(TrainError::TooShort);
        }
        if self
            .snapshots
            .iter()
            .all(|snapshot| snapshot.values.is_empty())
        {
            return Err(TrainError::Empty);
        }
        Ok(())
    }

    /// The most frequent values of those that come, by field.
    pub(super) fn defaults(&self, kind: u8, codings: &[Coding]) -> Box<[i32]> {
        let mut seen: Vec<Vec<i32>> = vec![Vec::new(); codings.len()];
        for (index, snapshot) in self.snapshots.iter().enumerate() {
            let before = index
                .checked_sub(1)
                .and_then(|before| self.snapshots.get(before));
            for (slot, head) in snapshot.heads.iter().enumerate() {
                let Some(head) = head.as_ref().filter(|head| head.kind == kind) else {
                    continue;
                };
                if before.is_some_and(|before| before.same(slot, head).is_some()) {
                    continue;
                }
                for (seen, value) in seen.iter_mut().zip(snapshot.row(head)) {
                    seen.push(*value);
                }
            }
        }
        let fields = seen.iter_mut().zip(codings);
        let most = fields.map(|(seen, coding)| {
            seen.sort_unstable();
            let runs = seen.chunk_by(|one, next| one == next);
            // Of equally frequent ones the first.
            let most = runs.rev().max_by_key(|run| run.len());
            most.and_then(|run| run.first())
                .map_or(coding.clamp(0), |value| coding.clamp(*value))
        });
        most.collect()
    }

    /// Every so manyth snapshot, so that there are not too many rows.
    fn stride(&self) -> usize {
        let rows: usize = self
            .snapshots
            .iter()
            .map(|snapshot| snapshot.heads.iter().flatten().count())
            .sum();
        rows.div_ceil(ROWS).max(1)
    }

    /// Samples whose whole history is known: at each age, of snapshots here and there.
    pub(super) fn each_full<'w>(&'w self, lags: Lags, mut each: impl FnMut(Sample<'w>)) {
        // Twice as far apart for each of the many ages.
        let stride = self.stride() * 4 + 1;
        for (turn, age) in AGES.into_iter().enumerate() {
            let oldest = (age + lags.earliest) as usize;
            for index in (oldest + turn % stride..self.snapshots.len()).step_by(stride) {
                let ago = |snapshots: u32| &self.snapshots[index - snapshots as usize];
                let now = &self.snapshots[index];
                let (base, earlier) = (ago(age), ago(age + lags.earlier));
                let earliest = ago(age + lags.earliest);
                for (slot, head) in now.heads.iter().enumerate() {
                    let Some(head) = head else { continue };
                    let rows = [base, earlier, earliest].map(|of| of.same(slot, head));
                    if let [Some(base), Some(earlier), earliest @ Some(_)] = rows {
                        each(Sample {
                            kind: usize::from(head.kind),
                            past: Past::Full {
                                base,
                                earlier,
                                earliest,
                                age,
                            },
                            now: now.row(head),
                        });
                    }
                }
            }
        }
    }

    /// Samples of which only the baseline is known: fewer, for they are rare.
    pub(super) fn each_first<'w>(&'w self, mut each: impl FnMut(Sample<'w>)) {
        let stride = self.stride() * 16 + 3;
        for (turn, age) in AGES.into_iter().enumerate() {
            for index in (age as usize + turn % stride..self.snapshots.len()).step_by(stride) {
                let (now, base) = (
                    &self.snapshots[index],
                    &self.snapshots[index - age as usize],
                );
                for (slot, head) in now.heads.iter().enumerate() {
                    let Some(head) = head else { continue };
                    if let Some(base) = base.same(slot, head) {
                        each(Sample {
                            kind: usize::from(head.kind),
                            past: Past::First { base, age },
                            now: now.row(head),
                        });
                    }
                }
            }
        }
    }

    /// Those who come, each time that they do; and everybody once in a while, as somebody who joins is told.
    pub(super) fn each_new<'w>(&'w self, mut each: impl FnMut(Sample<'w>)) {
        let everybody = self.snapshots.len().div_ceil(8).max(1);
        for (index, now) in self.snapshots.iter().enumerate() {
            let before = index
                .checked_sub(1)
                .and_then(|before| self.snapshots.get(before));
            for (slot, head) in now.heads.iter().enumerate() {
                let Some(head) = head else { continue };
                let is_new = before.is_none_or(|before| before.same(slot, head).is_none());
                if is_new || index % everybody == 0 {
                    each(Sample {
                        kind: usize::from(head.kind),
                        past: Past::Nothing,
                        now: now.row(head),
                    });
                }
            }
        }
    }

    /// All of these.
    pub(super) fn each<'w>(&'w self, tables: &Tables, mut each: impl FnMut(Sample<'w>)) {
        self.each_full(tables.lags, &mut each);
        self.each_first(&mut each);
        self.each_new(&mut each);
    }
}
