//! Messages that arrived and wait for the application, in the order of arrival. Knows which channel each
//! came on and what the channel's share costs. Has no idea how they got here.

use super::queue::ByteQueue;

/// What a message costs beyond its bytes when buffers are counted, so that a flood of empty messages is
/// bounded like any other.
pub const MESSAGE_COST: usize = 32;

/// A channel's index and a length before each message.
const PREFIX: usize = 3;

/// What a message of `len` bytes takes of a send or receive buffer.
pub(super) const fn cost(len: usize) -> usize {
    len.saturating_add(MESSAGE_COST)
}

/// Messages ready to be polled.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    queue: ByteQueue,
    messages: usize,
    /// The message lent out last: contiguous, unlike the ring.
    lent: Vec<u8>,
}

impl Inbox {
    /// Appends a message. The channel has checked its share.
    pub(super) fn push(&mut self, channel: u8, message: &[u8]) {
        debug_assert!(
            u16::try_from(message.len()).is_ok(),
            "a message fits a payload"
        );
        let [low, high] = (message.len() as u16).to_le_bytes();
        self.queue.push(&[channel, low, high]);
        self.queue.push(message);
        self.messages += 1;
    }

    /// Takes the oldest message, as the channel's index and bytes that live until the next call.
    pub(super) fn pop(&mut self) -> Option<(u8, &[u8])> {
        let mut prefix = [0; PREFIX];
        if !self.queue.copy(0, &mut prefix) {
            return None;
        }
        let [channel, low, high] = prefix;
        let len = usize::from(u16::from_le_bytes([low, high]));
        self.lent.resize(len, 0);
        self.queue.copy(PREFIX, &mut self.lent);
        self.queue.skip(PREFIX + len);
        self.messages -= 1;
        Some((channel, &self.lent))
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.queue.heap_bytes() + self.lent.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut inbox = Inbox::default();
        for round in 0..200_u8 {
            inbox.push(1, &vec![round; usize::from(round)]);
            inbox.push(2, b"");
            assert_eq!(inbox.len(), 2);
            assert_eq!(inbox.pop(), Some((1, &vec![round; usize::from(round)][..])));
            assert_eq!(inbox.pop(), Some((2, &b""[..])));
            assert_eq!(inbox.pop(), None);
        }
    }
}
