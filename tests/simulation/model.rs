//! What the channels promise, said in the plainest way: lists of what was sent.
//!
//! One [`Mailbox`] is one direction of one session. Knows bytes; never looks at a link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tickwire::proto::channel::{ChannelConfig, ChannelId, LinkConfig};

/// The game's own channel, reliable.
pub(crate) const GAME: ChannelId = ChannelId(0);
/// Each once or not at all.
pub(crate) const LOOSE: ChannelId = ChannelId(1);
/// Reliable, for what the simulation itself says, with a buffer that bursts fill.
pub(crate) const BULK: ChannelId = ChannelId(2);

pub(crate) fn channels() -> LinkConfig {
    let bulk = ChannelConfig {
        send_buffer: 24 * 1_024,
        receive_buffer: 24 * 1_024,
        ..ChannelConfig::reliable(BULK.0)
    };
    let channels = vec![
        ChannelConfig::reliable(GAME.0),
        ChannelConfig::unreliable(LOOSE.0),
        bulk,
    ];
    LinkConfig::new(channels).expect("good channels")
}

/// One direction of one session.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    reliable: BTreeMap<ChannelId, VecDeque<Vec<u8>>>,
    loose: BTreeSet<Vec<u8>>,
    pub(crate) received: u64,
    number: u64,
}

impl Mailbox {
    /// A message that is unlike every other of this mailbox: a number, and a pattern that follows from it.
    pub(crate) fn next_message(&mut self, len: usize) -> Vec<u8> {
        self.number += 1;
        let mut message = self.number.to_le_bytes().to_vec();
        let pattern = (8..len).map(|at| (self.number as usize * 31 + at) as u8);
        message.extend(pattern);
        message
    }

    /// The link took a message.
    pub(crate) fn sent(&mut self, channel: ChannelId, message: &[u8]) {
        if channel == LOOSE {
            self.loose.insert(message.to_vec());
        } else {
            let queue = self.reliable.entry(channel).or_default();
            queue.push_back(message.to_vec());
        }
    }

    /// The other end handed one out.
    ///
    /// # Errors
    ///
    /// When it is not the one that has to come next.
    pub(crate) fn received(&mut self, channel: ChannelId, message: &[u8]) -> Result<(), String> {
        self.received += 1;
        if channel == LOOSE {
            if !self.loose.remove(message) {
                return Err(format!(
                    "an unreliable message came twice or from nowhere: {message:?}"
                ));
            }
            return Ok(());
        }
        let expected = self
            .reliable
            .get_mut(&channel)
            .and_then(VecDeque::pop_front);
        match expected {
            Some(expected) if expected == message => Ok(()),
            Some(expected) => Err(format!(
                "channel {channel}: message {:?} was due, {:?} came",
                head(&expected),
                head(message)
            )),
            None => Err(format!(
                "channel {channel}: {:?} was never sent",
                head(message)
            )),
        }
    }

    /// Reliable messages that are still to come.
    pub(crate) fn outstanding(&self) -> usize {
        self.reliable.values().map(VecDeque::len).sum()
    }
}

fn head(message: &[u8]) -> &[u8] {
    &message[..message.len().min(12)]
}
