//! What a game hears from its client.

use crate::proto::channel::ChannelId;
use crate::proto::event::{DisconnectReason, Warning, Welcome};
use crate::time::Tick;

use super::clock::ClockStep;

/// Something that happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server took us in and said how it runs.
    Connected(Welcome),
    /// The session is over, or never came to be. Comes exactly once, last of all.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// What the server had to add, for people to read; often empty.
        text: String,
    },
    /// A message from the server.
    Message {
        /// On which channel.
        channel: ChannelId,
        /// The application's bytes.
        message: Vec<u8>,
    },
    /// A snapshot, or a part of one, is in the replica.
    Snapshot {
        /// The tick that it speaks of.
        tick: Tick,
        /// Whether all of that snapshot has arrived now.
        whole: bool,
    },
    /// The clock was off by more than it can make good unseen.
    ClockStepped(ClockStep),
    /// The server warns us; the session goes on.
    Warned {
        /// Of what.
        warning: Warning,
        /// The grace time in milliseconds, where there is one.
        grace_ms: u32,
    },
}
