//! The other game in the box: a floor full of cubes, and a few large ones that roll through them.
//!
//! Where the arena has many players who each see a little, here everybody sees everything: 900 small cubes that lie still
//! until somebody pushes them, and one large cube for each of at most [`DRIVERS`] clients. It is the world that
//! [snapshot compression](https://gafferongames.com/post/snapshot_compression/) is often measured with. Further
//! clients look on; their inputs arrive and count like all others and move nothing, until a driver leaves and one of
//! them gets the cube.
//!
//! Numbers are `f32`, and nothing is done with them but what is the same on every platform, to the last bit: the same
//! seed and the same inputs give the same world.

mod body;
mod input;
mod vector;
mod view;
mod world;

use std::sync::Arc;

use super::{Game, Inputs, Outbox, Player};
use crate::id::ClientSlot;
use crate::proto::snapshot::{
    FrameBuilder, FrameError, Relevance, Schema, Tables, TablesError, Viewpoint,
};
use crate::time::{Tick, TickRate};

pub use body::Cube;
pub use input::CubesInput;
pub use view::{CUBE, CubeView, schema};
pub use world::{CUBES, DRIVERS, World};

/// The cubes as a [`Game`]: a [`World`], and what of it is told: everything, to everybody.
///
/// ```
/// use tickwire::game::cubes::{CUBES, Cubes};
/// use tickwire::game::{Simulation, SimulationConfig};
/// use tickwire::proto::snapshot::FrameConfig;
/// use tickwire::time::TickRate;
///
/// let config = SimulationConfig {
///     rate: TickRate::HZ_60,
///     frames: FrameConfig::default(),
///     max_clients: 64,
/// };
/// let mut simulation = Simulation::new(Cubes::new(1, TickRate::HZ_60), config)?;
/// let frame = (0..2).find_map(|_| simulation.advance().ok()?).expect("two ticks, one frame");
/// assert_eq!(frame.len(), usize::from(CUBES));
/// # Ok::<(), tickwire::proto::snapshot::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cubes {
    world: World,
    schema: Arc<Schema>,
    /// Everybody who is there, by client index.
    present: Vec<ClientSlot>,
}

impl Cubes {
    /// Cubes at rest, and nobody there.
    #[must_use]
    pub fn new(seed: u64, rate: TickRate) -> Self {
        Self {
            world: World::new(seed, rate),
            schema: schema(),
            present: Vec::new(),
        }
    }

    /// The same cubes with tables that were learnt from recordings of them. Clients need them too.
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

impl Game for Cubes {
    type Input = CubesInput;

    fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    fn join(&mut self, player: &Player, _: &mut Outbox) {
        let at = self
            .present
            .partition_point(|it| it.index < player.slot.index);
        self.present.insert(at, player.slot);
        self.world.join(player.slot);
    }

    fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
        self.present.retain(|it| *it != slot);
        self.world.leave(slot);
    }

    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, CubesInput>, _: &mut Outbox) {
        self.world.step(tick, inputs);
    }

    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        const ALL: Relevance = Relevance {
            everyone: true,
            team: None,
            team_only: None,
        };
        for (id, cube) in self.world.cubes() {
            frame.replicate(id, CUBE, cube.position, &CubeView::from(cube))?;
            frame.relevance(id, ALL);
        }
        for slot in &self.present {
            // From the middle of the floor: whoever sees everything has no better place.
            frame.view(*slot, Viewpoint::at([0.0; 3]));
        }
        Ok(())
    }
}
