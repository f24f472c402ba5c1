//! What a game wants to be said: messages to one client or to many, and who has to go.
//!
//! Knows client slots, channel numbers and bytes. Does not know sessions: the driver asks for
//! the entries after each step and does what they say. Memory is kept from tick to tick.

use core::ops::Range;

use crate::id::ClientSlot;

/// Who a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    /// This client.
    One(ClientSlot),
    /// Everybody who is in the game.
    All,
    /// Everybody but this client.
    AllBut(ClientSlot),
}

/// One thing to do for the driver, borrowed from the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing<'o> {
    /// Send `message` on `channel`.
    Message {
        /// Who it is for.
        to: Recipients,
        /// The number of the channel.
        channel: u8,
        /// The bytes.
        message: &'o [u8],
    },
    /// End this client's session.
    Kick {
        /// Whose.
        slot: ClientSlot,
        /// Why, in a few words: the client is told, and the log.
        reason: &'o str,
    },
}

#[derive(Debug, Clone)]
enum Entry {
    Message(Recipients, u8, Range<usize>),
    Kick(ClientSlot, Range<usize>),
}

/// Messages and kicks in the order in which the game asked for them.
///
/// ```
/// use tickwire::game::{Outbox, Outgoing, Recipients};
/// use tickwire::id::ClientSlot;
///
/// let ada = ClientSlot { index: 0, generation: 0 };
/// let mut out = Outbox::default();
/// out.send(Recipients::All, 0, b"a new round");
/// out.kick(ada, "the lobby closes");
/// let mut entries = out.iter();
/// assert!(matches!(entries.next(), Some(Outgoing::Message { message: b"a new round", .. })));
/// assert_eq!(entries.next(), Some(Outgoing::Kick { slot: ada, reason: "the lobby closes" }));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Outbox {
    /// Sends a message. Whether the channel takes it (its size, its buffer) is known to the driver.
    pub fn send(&mut self, to: Recipients, channel: u8, message: &[u8]) {
        let range = self.keep(message);
        self.entries.push(Entry::Message(to, channel, range));
    }

    /// Sends a message to one client.
    pub fn send_to(&mut self, slot: ClientSlot, channel: u8, message: &[u8]) {
        self.send(Recipients::One(slot), channel, message);
    }

    /// Ends a client's session, after the messages that were sent before. The game is told by
    /// `leave`, as with everybody who goes.
    pub fn kick(&mut self, slot: ClientSlot, reason: &str) {
        let range = self.keep(reason.as_bytes());
        self.entries.push(Entry::Kick(slot, range));
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// What was asked for since the last [`Self::clear`], in order.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.entries.iter().map(|entry| match entry {
            Entry::Message(to, channel, range) => Outgoing::Message {
                to: *to,
                channel: *channel,
                message: self.bytes.get(range.clone()).unwrap_or(&[]),
            },
            Entry::Kick(slot, range) => Outgoing::Kick {
                slot: *slot,
                // It was a `str` when it came in.
                reason: core::str::from_utf8(self.bytes.get(range.clone()).unwrap_or(&[]))
                    .unwrap_or(""),
            },
        })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the entries and keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}
