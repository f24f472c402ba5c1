//! Messages over payloads: what arrives once, what arrives in order, what arrived at all.
//!
//! A [`Link`] stands at each end of a session, both alike. It turns messages and a body into payloads of
//! at most 1200 bytes and back, over a network that loses, doubles, delays and reorders them. It knows
//! datagram numbers, acks, round trips and message ids. It has no key, no clock, no socket, and does not
//! know what a body says: snapshots and inputs ride as bodies, and learn from
//! [`Link::poll_delivery`] which of them arrived.
//!
//! ```
//! use std::sync::Arc;
//! use tickwire::proto::channel::{ChannelConfig, ChannelId, Delivered, Link, LinkConfig};
//! use tickwire::time::Timestamp;
//!
//! const CHAT: ChannelId = ChannelId(0);
//! let config = Arc::new(LinkConfig::new(vec![ChannelConfig::reliable(CHAT.0)])?);
//! let (mut one, mut other) = (Link::new(config.clone()), Link::new(config));
//!
//! // A payload with a message and a body travels from one to the other.
//! one.send(CHAT, b"hello")?;
//! let mut payload = [0; 1200];
//! let mut number = None;
//! let len = one.fill(Timestamp::from_millis(0), &mut payload, 400, |this, room| {
//!     number = Some(this);
//!     room[..5].copy_from_slice(b"state");
//!     5
//! });
//! let received = other.receive(Timestamp::from_millis(30), &payload[..len])?;
//! assert_eq!(received.body, b"state");
//! assert_eq!(other.poll_message(), Some((CHAT, &b"hello"[..])));
//!
//! // 25 ms later, at the latest, an ack travels back; it asks for none itself.
//! let due = other.poll_timeout().expect("an ack is owed");
//! assert_eq!(due, Timestamp::from_millis(55));
//! let len = other.fill(due, &mut payload, 400, |_, _| 0);
//! assert!(len <= 7);
//! one.receive(Timestamp::from_millis(85), &payload[..len])?;
//! assert_eq!(one.poll_delivery(), number.map(Delivered::Acked));
//! assert_eq!(one.stats().rtt, Some(std::time::Duration::from_millis(60)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! | file | holds |
//! |---|---|
//! | [`link`] | the order in which the parts act |
//! | [`header`] | the first bytes of a payload: number and acks, each byte of them |
//! | `section` | the messages of a payload, each byte of them |
//! | `acks` | what was received, as ack fields; duplicates |
//! | `sent` | what was sent: in flight, acknowledged, lost |
//! | [`rtt`] | the round trip |
//! | `channels` | the channels side by side |
//! | `unreliable`, `reliable` | the two kinds of channel |
//! | `inbox`, `queue` | messages that wait for the application; bytes in a ring |
//! | [`message`] | typed messages, the one file that names bincode |
//!
//! # Rules that hold
//!
//! - A refused payload has no effect at all.
//! - Nothing acknowledges acks: a payload with neither message nor body does not ask for one.
//! - An ack says that a datagram was taken whole: its body handed on, its reliable messages kept. When
//!   the application does not poll and a reliable message finds no room, the body is still handed on
//!   but the datagram is not acknowledged; its sender takes it for lost and sends the message again,
//!   more and more patiently. The neighbours that were not taken: refusing the datagram whole would
//!   silence the bodies of a session whose application is merely slow with messages; advertising
//!   credit would cost bytes in every header for a case that is a mistake of the receiver's own.
//! - A datagram gets at most one verdict. One that was given up and then acknowledged after all stays
//!   lost to the caller of [`Link::poll_delivery`], but its messages are not sent again.
//! - What a peer sends never makes a link hold more than its configured buffers and a fixed rest.

mod acks;
mod channels;
mod config;
pub mod header;
mod inbox;
pub mod link;
pub mod message;
mod queue;
mod rejection;
mod reliable;
pub mod rtt;
mod section;
mod sent;
mod stats;
mod unreliable;

pub use config::{
    ChannelConfig, ChannelId, ConfigError, Delivery, LinkConfig, MAX_BUFFER, MAX_CHANNELS,
    MAX_MESSAGE,
};
pub use inbox::MESSAGE_COST;
pub use link::Link;
pub use message::Message;
pub use rejection::Rejection;
pub use stats::{LinkCounters, LinkStats};

/// How far past the oldest reliable message that was not acknowledged a sender may go, in messages.
pub const MESSAGE_WINDOW: u64 = 1_024;

/// The number of a datagram: counted from 0 by its sender, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatagramNumber(pub u64);

/// What became of a datagram with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivered {
    /// It arrived.
    Acked(DatagramNumber),
    /// It is not known to have arrived, and no longer waited for.
    Lost(DatagramNumber),
}

/// A payload that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'p> {
    /// The number of its datagram.
    pub number: DatagramNumber,
    /// What follows the header and the messages; often empty.
    pub body: &'p [u8],
}

/// Why a message was not queued: the caller's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The configuration has no such channel.
    #[error("there is no channel {0}: add it to the configuration of both ends")]
    UnknownChannel(ChannelId),
    /// The message is longer than the channel allows.
    #[error(
        "a message of {len} bytes on a channel for at most {max}: split it, or raise `max_message`"
    )]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The channel's limit.
        max: usize,
    },
    /// The channel's send buffer has no room.
    #[error(
        "{queued} messages fill the send buffer of {limit} bytes: the peer acknowledges slower than you send; \
         send less, try again later, or disconnect a peer that stays behind"
    )]
    Full {
        /// Messages that wait to be sent or acknowledged.
        queued: usize,
        /// The channel's `send_buffer`.
        limit: usize,
    },
}
