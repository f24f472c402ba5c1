//! Which channels a link has and how much they may hold. Knows limits and checks them once, so that
//! nothing inside has to.

use core::time::Duration;

use super::inbox::MESSAGE_COST;

/// The longest message, in bytes: with its head and the longest header it fits one payload of 1200.
pub const MAX_MESSAGE: usize = 1_000;
/// The most channels a link may have.
pub const MAX_CHANNELS: usize = 32;
/// The most bytes one channel may hold for each direction.
pub const MAX_BUFFER: usize = 1 << 20;

/// A channel's number on the wire. Both ends give it the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u8);

impl core::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a channel promises about its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Each arrives once or not at all, in no promised order.
    Unreliable,
    /// Each arrives once, in the order of sending, as long as the session lives.
    ReliableOrdered,
}

/// One channel, alike at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Its number on the wire.
    pub id: ChannelId,
    /// What it promises.
    pub delivery: Delivery,
    /// The longest message in bytes, at most [`MAX_MESSAGE`].
    pub max_message: usize,
    /// How many bytes may wait to be sent or acknowledged, [`MESSAGE_COST`] for each message included.
    pub send_buffer: usize,
    /// How many bytes may wait for the application or for an earlier message, [`MESSAGE_COST`] for each
    /// message included. The peer sends no further ahead than *its* number allows: keep them alike.
    pub receive_buffer: usize,
}

impl ChannelConfig {
    /// A reliable ordered channel with buffers of 64 KiB.
    #[must_use]
    pub const fn reliable(id: u8) -> Self {
        Self {
            id: ChannelId(id),
            delivery: Delivery::ReliableOrdered,
            max_message: MAX_MESSAGE,
            send_buffer: 64 * 1024,
            receive_buffer: 64 * 1024,
        }
    }

    /// An unreliable channel with buffers of 16 KiB.
    #[must_use]
    pub const fn unreliable(id: u8) -> Self {
        Self {
            id: ChannelId(id),
            delivery: Delivery::Unreliable,
            max_message: MAX_MESSAGE,
            send_buffer: 16 * 1024,
            receive_buffer: 16 * 1024,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More than [`MAX_CHANNELS`].
    #[error(
        "a link has at most {MAX_CHANNELS} channels, not {0}: send several kinds of message on one"
    )]
    TooManyChannels(usize),
    /// Two channels with one id.
    #[error("two channels have id {0}: give each its own")]
    DuplicateChannel(ChannelId),
    /// `max_message` is 0 or above [`MAX_MESSAGE`].
    #[error("channel {0}: the longest message is 1 to {MAX_MESSAGE} bytes")]
    MaxMessage(ChannelId),
    /// A buffer is too small for the channel's longest message, or above [`MAX_BUFFER`].
    #[error(
        "channel {0}: a buffer holds at least three of the longest messages with {MESSAGE_COST} bytes each, \
         and at most {MAX_BUFFER} bytes"
    )]
    Buffer(ChannelId),
}

/// What all links of an endpoint have in common; alike at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    channels: Vec<ChannelConfig>,
    max_ack_delay: Duration,
}

impl Default for LinkConfig {
    /// Channel 0 is reliable, channel 1 is not: what most games begin with, and what both ends agree on when
    /// neither says otherwise.
    fn default() -> Self {
        Self {
            channels: vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(1)],
            max_ack_delay: Self::MAX_ACK_DELAY,
        }
    }
}

impl LinkConfig {
    /// How long an ack may wait for something to travel with.
    pub const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

    /// Links with these channels.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the channel and what to change.
    pub fn new(channels: Vec<ChannelConfig>) -> Result<Self, ConfigError> {
        if channels.len() > MAX_CHANNELS {
            return Err(ConfigError::TooManyChannels(channels.len()));
        }
        for (index, channel) in channels.iter().enumerate() {
            if channels[..index].iter().any(|other| other.id == channel.id) {
                return Err(ConfigError::DuplicateChannel(channel.id));
            }
            if !(1..=MAX_MESSAGE).contains(&channel.max_message) {
                return Err(ConfigError::MaxMessage(channel.id));
            }
            let least = 3 * (channel.max_message + MESSAGE_COST);
            for buffer in [channel.send_buffer, channel.receive_buffer] {
                if !(least..=MAX_BUFFER).contains(&buffer) {
                    return Err(ConfigError::Buffer(channel.id));
                }
            }
        }
        Ok(Self {
            channels,
            max_ack_delay: Self::MAX_ACK_DELAY,
        })
    }

    /// The same with another limit to how long an ack may wait. The peer's estimate of its timeouts
    /// counts on *its* own limit: keep them alike.
    #[must_use]
    pub fn with_max_ack_delay(mut self, delay: Duration) -> Self {
        self.max_ack_delay = delay.min(Duration::from_millis(500));
        self
    }

    /// The channels, in the order they were given.
    #[must_use]
    pub fn channels(&self) -> &[ChannelConfig] {
        &self.channels
    }

    /// How long an ack may wait for something to travel with.
    #[must_use]
    pub const fn max_ack_delay(&self) -> Duration {
        self.max_ack_delay
    }

    /// Where a channel is in [`Self::channels`].
    #[must_use]
    pub fn index_of(&self, id: ChannelId) -> Option<usize> {
        // A handful of channels: a scan beats a table.
        self.channels.iter().position(|channel| channel.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_one_that_would_be_accepted() {
        let default = LinkConfig::default();
        assert_eq!(LinkConfig::new(default.channels.clone()), Ok(default));
    }

    #[test]
    fn a_configuration_that_could_lock_up_is_refused() {
        let good = ChannelConfig::reliable(3);
        let one = |channel| LinkConfig::new(vec![channel]).map(|_| ());
        assert_eq!(one(good), Ok(()));
        for max_message in [0, MAX_MESSAGE + 1] {
            let refused = one(ChannelConfig {
                max_message,
                ..good
            });
            assert_eq!(refused, Err(ConfigError::MaxMessage(ChannelId(3))));
        }
        for buffer in [0, 3_095, MAX_BUFFER + 1] {
            let send = ChannelConfig {
                send_buffer: buffer,
                ..good
            };
            let receive = ChannelConfig {
                receive_buffer: buffer,
                ..good
            };
            assert_eq!(one(send), Err(ConfigError::Buffer(ChannelId(3))));
            assert_eq!(one(receive), Err(ConfigError::Buffer(ChannelId(3))));
        }
        let twice = LinkConfig::new(vec![good, good]);
        assert_eq!(twice, Err(ConfigError::DuplicateChannel(ChannelId(3))));
        let many = (0..33).map(ChannelConfig::reliable).collect();
        assert_eq!(LinkConfig::new(many), Err(ConfigError::TooManyChannels(33)));
    }
}
