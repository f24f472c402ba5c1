//! Whole clients against each other: what two of them hold of an entity at a tick must be the same.
//!
//! The server's own world is in another process, so it cannot be the witness. But there is one world: two replicas
//! that got to the same entity at the same tick by different snapshots and different losses must have the same value,
//! and one that was decoded wrongly has nobody who agrees. Knows ticks, entities and values.

use std::collections::BTreeMap;

use crate::id::EntityId;
use crate::proto::snapshot::{KindId, Snapshot};
use crate::time::Tick;

/// Of so many snapshots one is compared: all clients compare the same ones.
pub const ONE_OF: u32 = 8;

/// So many ticks are remembered: longer than a snapshot is on its way.
const REMEMBERED: u32 = 256;

/// What was said about an entity.
type Said = (KindId, Box<[i32]>);

/// What the clients of one thread said.
#[derive(Debug, Default)]
pub struct Agreement {
    said: BTreeMap<(Tick, EntityId), Said>,
    newest: Tick,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Entities about which somebody else had said something.
    pub entities: u64,
    /// Those of which something else was said.
    pub differing: u64,
}

impl Agreement {
    /// Holds a snapshot against what others said, and keeps what nobody had said yet. `every` is the number of ticks
    /// between two snapshots.
    pub fn compare(&mut self, snapshot: &Snapshot, every: u32) -> Compared {
        let tick = snapshot.tick();
        let mut compared = Compared::default();
        if !tick.0.is_multiple_of(every.max(1).saturating_mul(ONE_OF)) {
            return compared;
        }
        for entity in snapshot.entities() {
            let found = self.hear((entity.as_of, entity.id), entity.kind, entity.values);
            if let Some(is_same) = found {
                compared.entities += 1;
                compared.differing += u64::from(!is_same);
            }
        }
        self.forget_before(tick);
        compared
    }

    /// `None` when nobody had said anything.
    fn hear(&mut self, about: (Tick, EntityId), kind: KindId, values: &[i32]) -> Option<bool> {
        if let Some((other_kind, other)) = self.said.get(&about) {
            return Some(*other_kind == kind && **other == *values);
        }
        self.said.insert(about, (kind, values.into()));
        None
    }

    fn forget_before(&mut self, tick: Tick) {
        if tick > self.newest {
            self.newest = tick;
            let oldest = (
                tick.minus(REMEMBERED),
                EntityId {
                    slot: 0,
                    generation: 0,
                },
            );
            self.said = self.said.split_off(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn about(tick: u32, slot: u16) -> (Tick, EntityId) {
        (
            Tick(tick),
            EntityId {
                slot,
                generation: 0,
            },
        )
    }

    #[test]
    fn who_says_something_else_is_noticed() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.hear(about(16, 1), KindId(0), &[1, 2]), None);
        assert_eq!(agreement.hear(about(16, 1), KindId(0), &[1, 2]), Some(true));
        assert_eq!(
            agreement.hear(about(16, 1), KindId(0), &[1, 3]),
            Some(false)
        );
        assert_eq!(
            agreement.hear(about(16, 1), KindId(1), &[1, 2]),
            Some(false)
        );
        assert_eq!(
            agreement.hear(about(18, 1), KindId(0), &[5, 5]),
            None,
            "another tick"
        );
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut agreement = Agreement::default();
        for tick in (0..10_000).step_by(16) {
            agreement.hear(about(tick, 1), KindId(0), &[1]);
            agreement.forget_before(Tick(tick));
        }
        assert!(
            agreement.said.len() <= 1 + REMEMBERED as usize / 16,
            "{}",
            agreement.said.len()
        );
    }
}
