//! A brain in a client: shown what the replica holds, told what the server says, asked at every tick.
//!
//! Knows which snapshot was looked at last, so that looking costs something only when there is something new to see.

use super::brain::Brain;
use crate::game::arena::{ArenaEvent, ArenaInput, Thing};
use crate::id::EntityId;
use crate::proto::snapshot::{Replica, Snapshot};
use crate::time::Tick;

/// Plays the arena for one client.
#[derive(Debug, Clone)]
pub struct Pilot {
    brain: Brain,
    me: Option<EntityId>,
    /// What the brain looked at last: which snapshot, as whom.
    saw: Option<(Option<Tick>, Option<EntityId>)>,
}

impl Pilot {
    /// A mind of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            brain: Brain::new(seed),
            me: None,
            saw: None,
        }
    }

    /// Hears a message of the server: one of them says who we are.
    pub fn hear(&mut self, message: &[u8]) {
        if let Some(ArenaEvent::Welcome { you, .. }) = ArenaEvent::decode(message) {
            self.me = Some(you);
        }
    }

    /// What it wants at this tick.
    pub fn decide(&mut self, replica: &Replica) -> ArenaInput {
        self.look(replica);
        self.brain.decide()
    }

    /// Looks when there is a newer snapshot, or it has learned who it is: inputs are due more often than that.
    fn look(&mut self, replica: &Replica) {
        let (schema, newest) = (replica.schema(), replica.newest_whole());
        let sight = (newest.map(Snapshot::tick), self.me);
        if self.saw == Some(sight) {
            return;
        }
        self.saw = Some(sight);
        let things = newest
            .into_iter()
            .flat_map(|snapshot| snapshot.entities())
            .filter_map(|entity| {
                Some((entity.id, Thing::read(schema, entity.kind, entity.values)?))
            });
        self.brain.look(self.me, things);
    }
}
