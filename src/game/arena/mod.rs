//! The game in the box: a top-down arena with walking, shooting, dying and picking things up.
//!
//! It is what the demo plays, what bots play and what the load test measures, and an example of a
//! [`Game`] that is more than a toy. Everything is integers, the only
//! randomness is a seeded generator, and nothing compares everybody with everybody: thousands
//! fit, and the same seed and the same inputs give the same world on every platform.

pub mod angle;
mod event;
mod input;
pub mod map;
pub mod rules;
mod schema;
mod state;
mod step;
mod view;
mod walls;
mod world;

use std::sync::Arc;

use super::{Game, Inputs, Outbox, Player};
use crate::id::ClientSlot;
use crate::proto::snapshot::{FrameBuilder, FrameError, Schema, Tables, TablesError, Viewpoint};
use crate::time::Tick;

pub use event::{ArenaEvent, EVENT_MAX, EVENTS, sentence};
pub use input::ArenaInput;
pub use rules::{Rules, Weapon};
pub use schema::{PICKUP, PLAYER, PROJECTILE, schema};
pub use state::{Body, Bolt, Fighter, Pickup, PickupKind};
pub use view::{PickupView, PlayerView, ProjectileView, Thing, things_of};
pub use walls::{Walls, WallsSpec};
pub use world::{ArenaConfig, World};

/// The arena as a [`Game`]: a [`World`], and what of it is told to whom.
///
/// ```
/// use tickwire::game::arena::{Arena, ArenaConfig};
/// use tickwire::game::{Simulation, SimulationConfig};
/// use tickwire::proto::snapshot::FrameConfig;
///
/// let arena = ArenaConfig::default();
/// let config = SimulationConfig {
///     rate: arena.rate,
///     frames: FrameConfig::default(),
///     max_clients: arena.players,
/// };
/// let mut simulation = Simulation::new(Arena::new(arena), config)?;
/// let frame = (0..2).find_map(|_| simulation.advance().ok()?).expect("two ticks, one frame");
/// assert!(frame.len() > 0, "pickups lie around");
/// # Ok::<(), tickwire::proto::snapshot::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arena {
    world: World,
    schema: Arc<Schema>,
}

impl Arena {
    /// An arena with nobody in it.
    #[must_use]
    pub fn new(config: ArenaConfig) -> Self {
        Self::with_world(World::new(config))
    }

    /// An arena that goes on from a world.
    #[must_use]
    pub fn with_world(world: World) -> Self {
        Self {
            world,
            schema: schema(),
        }
    }

    /// The same arena with tables that were learnt from recordings of it. Its clients need them too.
    ///
    /// # Errors
    ///
    /// [`TablesError::Schema`] when they were learnt from another game.
    pub fn with_tables(mut self, tables: Tables) -> Result<Self, TablesError> {
        self.schema = Arc::new(Schema::clone(&self.schema).with_tables(tables)?);
        Ok(self)
    }

    /// The world, to look at.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// See [`World::hash`].
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.world.hash()
    }
}

impl Game for Arena {
    type Input = ArenaInput;

    fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    fn join(&mut self, player: &Player, out: &mut Outbox) {
        match self.world.join(player.slot, player.client) {
            Some(you) => {
                let walls = self.world.walls().spec();
                step::say(out, player.slot, &ArenaEvent::Welcome { walls, you });
            }
            None => out.kick(player.slot, "the arena is full"),
        }
    }

    fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
        self.world.leave(slot);
    }

    fn message(&mut self, from: ClientSlot, channel: u8, message: &[u8], out: &mut Outbox) {
        if channel == EVENTS {
            self.world.speak(from, message, out);
        }
    }

    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, ArenaInput>, out: &mut Outbox) {
        self.world.step(tick, inputs, out);
    }

    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        for fighter in self.world.fighters() {
            let view = PlayerView::from(fighter);
            let center = Thing::Player(view).position();
            frame.replicate(fighter.id, PLAYER, center, &view)?;
            frame.view(fighter.slot, Viewpoint::at(center).always(fighter.id));
        }
        for pickup in self
            .world
            .pickups()
            .iter()
            .filter(|pickup| pickup.back_at.is_none())
        {
            let view = PickupView::from(pickup);
            frame.replicate(pickup.id, PICKUP, Thing::Pickup(view).position(), &view)?;
        }
        for bolt in self.world.bolts() {
            let view = ProjectileView::from(bolt);
            frame.replicate(
                bolt.id,
                PROJECTILE,
                Thing::Projectile(view).position(),
                &view,
            )?;
        }
        Ok(())
    }
}
