//! Packets that wait to be sent: answers to handshakes, and goodbyes. Both queues have an end.

use std::collections::VecDeque;

use core::net::SocketAddr;

use super::Transmit;
use super::aead::{Protocol, Sealer};
use super::packet::{CHALLENGE_BODY, MAC_LEN, MAX_HEADER, PacketKind};

/// The longest answer: a challenge packet with a sequence number of eight bytes.
const ANSWER_LEN: usize = MAX_HEADER + CHALLENGE_BODY + MAC_LEN;

/// How many answers may wait. A driver sends after every datagram or every batch of them; whoever
/// lets more than this pile up has no use for them either.
const MAX_ANSWERS: usize = 256;

/// How many disconnect packets end a session: of ten one arrives, even at 60% loss, in 99% of all cases.
pub(super) const GOODBYES: u8 = 10;

const _: () = assert!(
    ANSWER_LEN * 100 < super::REQUEST_LEN * 31,
    "an answer is less than 0.31 of its request"
);

struct Answer {
    to: SocketAddr,
    len: usize,
    bytes: [u8; ANSWER_LEN],
}

/// Answers to handshakes, sealed when they were caused.
#[derive(Default)]
pub(super) struct Answers {
    queue: VecDeque<Answer>,
}

impl Answers {
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_ANSWERS
    }

    /// Queues what `seal` writes, if it writes anything and there is room.
    pub(super) fn push(
        &mut self,
        to: SocketAddr,
        seal: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<()> {
        if self.is_full() {
            return None;
        }
        let mut bytes = [0; ANSWER_LEN];
        let len = seal(&mut bytes)?;
        self.queue.push_back(Answer { to, len, bytes });
        Some(())
    }

    pub(super) fn pop(&mut self, out: &mut [u8]) -> Option<Transmit> {
        let answer = self.queue.front()?;
        let (to, len) = (answer.to, answer.len);
        out.get_mut(..len)?
            .copy_from_slice(answer.bytes.get(..len)?);
        self.queue.pop_front();
        Some(Transmit { to, len })
    }
}

/// The last packets of a session that is over: it left its key and its numbers here.
#[derive(Debug)]
pub(super) struct Goodbye {
    to: SocketAddr,
    sealer: Sealer,
    left: u8,
}

impl Goodbye {
    pub(super) const fn new(to: SocketAddr, sealer: Sealer) -> Self {
        Self {
            to,
            sealer,
            left: GOODBYES,
        }
    }

    /// The next disconnect packet; `None` when all have been sent.
    pub(super) fn seal(&mut self, protocol: &Protocol, out: &mut [u8]) -> Option<Transmit> {
        self.left = self.left.checked_sub(1)?;
        let len = self
            .sealer
            .seal(protocol, PacketKind::Disconnect, &[], out)?;
        Some(Transmit { to: self.to, len })
    }
}

/// The goodbyes that a server still has to say.
#[derive(Default)]
pub(super) struct Goodbyes {
    queue: VecDeque<Goodbye>,
}

impl Goodbyes {
    /// Queues a goodbye; beyond `limit` waiting ones the oldest is left unsaid (its client will time out).
    pub(super) fn push(&mut self, goodbye: Goodbye, limit: usize) {
        if self.queue.len() >= limit {
            self.queue.pop_front();
        }
        self.queue.push_back(goodbye);
    }

    pub(super) fn pop(&mut self, protocol: &Protocol, out: &mut [u8]) -> Option<Transmit> {
        while let Some(goodbye) = self.queue.front_mut() {
            if let Some(transmit) = goodbye.seal(protocol, out) {
                return Some(transmit);
            }
            self.queue.pop_front();
        }
        None
    }
}
