//! What the peers talk about. Pure: no clock, no socket, no thread, no randomness of the operating system.

#[cfg(any(feature = "server", feature = "tools"))]
pub mod arena;
mod inputs;
mod outbox;
mod pace;

pub use inputs::{
    GameInput, InputOutcome, InputQueue, InputSource, InputStats, Inputs, LEAD, MAX_INPUT_LEN,
    REPEAT,
};
pub use outbox::{Outbox, Outgoing, Recipients};
pub use pace::{CATCH_UP, Due, PATIENCE, Pace, PaceStats};

use crate::id::{ClientId, ClientSlot, UserData};
use crate::time::Tick;

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

/// A world that moves in ticks.
pub trait Game: Send + 'static {
    /// What a client can want at one tick.
    type Input: GameInput;

    /// Somebody came in.
    fn join(&mut self, player: &Player, out: &mut Outbox);

    /// Somebody is gone.
    fn leave(&mut self, slot: ClientSlot);

    /// A message arrived.
    fn message(&mut self, from: ClientSlot, channel: u8, message: &[u8], out: &mut Outbox);

    /// One tick.
    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, Self::Input>, out: &mut Outbox);
}
