//! Messages that are sent once: each arrives once or not at all, in no promised order. Knows its queue.
//! Has no idea of acks.

use super::SendError;
use super::inbox::cost;
use super::queue::ByteQueue;
use super::section::SectionWriter;

/// A length before each message in the queue.
const PREFIX: usize = 2;

/// Messages that wait for a payload.
#[derive(Debug, Clone, Default)]
pub(super) struct Outgoing {
    queue: ByteQueue,
    messages: usize,
}

impl Outgoing {
    /// Queues a message whose length was checked.
    pub(super) fn send(&mut self, message: &[u8], limit: usize) -> Result<(), SendError> {
        if self.queued_cost() + cost(message.len()) > limit {
            return Err(SendError::Full {
                queued: self.messages,
                limit,
            });
        }
        self.queue.push(&(message.len() as u16).to_le_bytes());
        self.queue.push(message);
        self.messages += 1;
        Ok(())
    }

    /// What the queue takes of the send buffer.
    fn queued_cost(&self) -> usize {
        self.queued_bytes() + self.messages * cost(0)
    }

    /// Bytes of queued messages.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queue.len() - self.messages * PREFIX
    }

    /// How many messages wait.
    pub(super) fn queued(&self) -> usize {
        self.messages
    }

    /// Writes as many as fit and forgets them; says how many those were.
    pub(super) fn fill(&mut self, channel: u8, section: &mut SectionWriter<'_>) -> u64 {
        let mut written = 0;
        loop {
            let mut prefix = [0; PREFIX];
            if !self.queue.copy(0, &mut prefix) {
                return written;
            }
            let len = usize::from(u16::from_le_bytes(prefix));
            let Some(place) = section.message(channel, None, len) else {
                return written;
            };
            self.queue.copy(PREFIX, place);
            self.queue.skip(PREFIX + len);
            self.messages -= 1;
            written += 1;
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.queue.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_room_and_leaves_once() {
        let mut outgoing = Outgoing::default();
        for message in [&b"one"[..], b"two", b"three"] {
            outgoing.send(message, 1_000).expect("there is room");
        }
        let mut buffer = [0; 100];
        // Each costs its bytes and two: 5 + 5 fit, 7 more do not.
        let mut section = SectionWriter::new(&mut buffer, 16);
        assert_eq!(outgoing.fill(4, &mut section), 2);
        assert_eq!((outgoing.queued(), outgoing.queued_bytes()), (1, 5));
        let mut section = SectionWriter::new(&mut buffer, 16);
        assert_eq!(outgoing.fill(4, &mut section), 1);
        assert_eq!(outgoing.fill(4, &mut section), 0);
    }

    #[test]
    fn a_flood_of_empty_messages_is_bounded() {
        let mut outgoing = Outgoing::default();
        let taken = (0..1_000)
            .take_while(|_| outgoing.send(b"", 3_200).is_ok())
            .count();
        assert_eq!(taken, 100);
    }
}
