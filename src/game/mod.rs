//! What the peers talk about. Pure: no clock, no socket, no thread, no randomness of the operating system.
//!
//! A [`Game`] is a world that moves in ticks; a [`Simulation`] runs one: who is in it, what they want at which
//! tick ([`InputQueue`]), what they are told ([`Outbox`]), and the frames that become their snapshots. [`Pace`]
//! says when a tick is due. The driver, in `server` or in a test, owns the clock and the network.
//!
//! A whole game, in which players push dots along a line:
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//! use tickwire::Replicate;
//! use tickwire::game::{Game, GameInput, Inputs, Outbox, Player, Simulation, SimulationConfig};
//! use tickwire::id::{ClientId, ClientSlot, EntityId, UserData};
//! use tickwire::proto::snapshot::{
//!     FrameBuilder, FrameConfig, FrameError, KindId, Schema, Viewpoint,
//! };
//! use tickwire::proto::wire::{ByteReader, ByteWriter};
//! use tickwire::time::{Tick, TickRate};
//!
//! #[derive(Clone, PartialEq, Default)]
//! struct Push(i8);
//!
//! impl GameInput for Push {
//!     const MAX_LEN: usize = 1;
//!     fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
//!         out.u8(self.0.cast_unsigned())
//!     }
//!     fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
//!         bytes.u8().map(|byte| Push(byte.cast_signed()))
//!     }
//! }
//!
//! #[derive(Default, Replicate)]
//! struct Dot {
//!     #[replicate(bits = 16, blend = "linear")]
//!     x: i32,
//! }
//!
//! #[derive(Default)]
//! struct Dots(BTreeMap<ClientSlot, Dot>);
//!
//! impl Game for Dots {
//!     type Input = Push;
//!
//!     fn schema(&self) -> Arc<Schema> {
//!         Arc::new(Schema::new(vec![Dot::kind()]).expect("one kind, one field"))
//!     }
//!     fn join(&mut self, player: &Player, out: &mut Outbox) {
//!         self.0.insert(player.slot, Dot::default());
//!         out.send_to(player.slot, 0, b"push!");
//!     }
//!     fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
//!         self.0.remove(&slot);
//!     }
//!     fn step(&mut self, _: Tick, inputs: &Inputs<'_, Push>, _: &mut Outbox) {
//!         for (slot, push) in inputs.iter() {
//!             self.0.entry(slot).or_default().x += i32::from(push.0);
//!         }
//!     }
//!     fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
//!         for (slot, dot) in &self.0 {
//!             let id = EntityId { slot: slot.index as u16, generation: slot.generation as u16 };
//!             let center = [dot.x as f32, 0.0, 0.0];
//!             frame.replicate(id, KindId(0), center, dot)?;
//!             frame.view(*slot, Viewpoint::at(center).always(id));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let config = SimulationConfig {
//!     rate: TickRate::HZ_60,
//!     frames: FrameConfig { snapshot_every: 1, ..FrameConfig::default() },
//!     max_clients: 8,
//! };
//! let mut simulation = Simulation::new(Dots::default(), config)?;
//! let slot = ClientSlot { index: 0, generation: 0 };
//! simulation.join(&Player { slot, client: ClientId(7), user_data: UserData::default() });
//! simulation.input(slot, Tick(1), &[5]);
//! let frame = simulation.advance()?.expect("every tick is a snapshot tick");
//! assert_eq!(frame.entity(0).unwrap().values, [5]);
//! # Ok::<(), FrameError>(())
//! ```

#[cfg(any(feature = "server", feature = "tools"))]
pub mod arena;
#[cfg(any(feature = "server", feature = "tools"))]
mod cells;
#[cfg(any(feature = "server", feature = "tools"))]
pub mod cubes;
mod inputs;
mod outbox;
mod pace;
#[cfg(feature = "server")]
pub mod recording;
mod simulation;

use std::sync::Arc;

use crate::id::{ClientId, ClientSlot, UserData};
use crate::proto::snapshot::{FrameBuilder, FrameError, Schema};
use crate::time::Tick;

pub use inputs::{
    GameInput, InputOutcome, InputQueue, InputSource, InputStats, Inputs, LEAD, MAX_INPUT_LEN,
    REPEAT,
};
pub use outbox::{Outbox, Outgoing, Recipients};
pub use pace::{CATCH_UP, Due, PATIENCE, Pace, PaceStats};
pub use simulation::{Simulation, SimulationConfig, SimulationStats};

/// Somebody who comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// Its place, until it leaves.
    pub slot: ClientSlot,
    /// Who it is.
    pub client: ClientId,
    /// What the backend wrote into its connect token.
    pub user_data: UserData,
}

/// A world that moves in ticks: the authority on what is true.
///
/// Every call comes from one thread, in one order. For replays and for tests, be a function of these calls
/// alone: no clock, and randomness only from a generator of your own. A call should take a fraction of
/// a tick; whatever takes longer slows the world for everybody.
pub trait Game: Send + 'static {
    /// What a client can want at one tick.
    type Input: GameInput;

    /// What the world is made of. Asked once, before anything else; clients must hold the same one.
    fn schema(&self) -> Arc<Schema>;

    /// Somebody came in. Its first input is for the next tick.
    fn join(&mut self, player: &Player, out: &mut Outbox);

    /// Somebody is gone: said goodbye, timed out or was kicked.
    fn leave(&mut self, slot: ClientSlot, out: &mut Outbox);

    /// A message arrived from somebody who is in the game. Its bytes are a stranger's. A game that takes no
    /// messages leaves this out.
    fn message(&mut self, from: ClientSlot, channel: u8, message: &[u8], out: &mut Outbox) {
        let _ = (from, channel, message, out);
    }

    /// One tick. There is an input for everybody who is in the game; for those who sent none in time it is
    /// their last one, or the neutral one.
    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, Self::Input>, out: &mut Outbox);

    /// Writes the world as it is after the last step: every entity, and where each client looks from.
    ///
    /// # Errors
    ///
    /// Whatever the frame says of an entity that the schema does not allow.
    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError>;
}
