//! What waits to be sent: written by the endpoint where it stays, taken by the socket in order.
//!
//! Knows bytes, addresses and their order. Calls nobody.

use std::net::SocketAddr;

use super::BATCH;

/// The most segments the kernel takes at once (`UDP_MAX_SEGMENTS` was 64 when it began).
const MAX_SEGMENTS: usize = 64;

/// The most bytes one send may have: an IPv4 packet without its headers.
const MAX_RUN_BYTES: usize = 65_535 - 20 - 8;

/// The datagrams that wait for the socket, in order, one behind the other in one piece of memory. Nothing is
/// allocated after the start.
///
/// A datagram goes straight to the kernel while it takes them. When its buffer is full the rest waits here, and
/// when this is full too the producer is to stop: a datagram that was never made can still be made later,
/// with newer content.
///
/// There is no gap between two datagrams, so that several to one receiver can be given to the kernel as one. Room
/// becomes free when all have left: while the kernel takes none there is no use in making more.
#[derive(Debug)]
pub struct SendQueue {
    /// The socket is dual-stack: IPv4 receivers are written as `::ffff:a.b.c.d`.
    mapped: bool,
    arena: Box<[u8]>,
    /// Up to [`BATCH`], in order; those before `first` have left.
    waiting: Vec<Waiting>,
    first: usize,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    to: SocketAddr,
    start: usize,
    length: usize,
}

impl Waiting {
    const fn end(&self) -> usize {
        self.start + self.length
    }
}

/// Datagrams to one receiver that lie one behind the other, all of one size; the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run<'q> {
    pub(super) to: SocketAddr,
    pub(super) bytes: &'q [u8],
    /// Of each but the last.
    pub(super) size: usize,
    pub(super) count: usize,
}

impl SendQueue {
    /// The longest datagram that is ever sent.
    pub const DATAGRAM: usize = 1280;

    /// A queue for the socket bound to `local`.
    #[must_use]
    pub fn new(local: SocketAddr) -> Self {
        Self {
            mapped: local.is_ipv6(),
            arena: vec![0; BATCH * Self::DATAGRAM].into(),
            waiting: Vec::with_capacity(BATCH),
            first: 0,
        }
    }

    /// Whether another datagram can be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < BATCH
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == self.waiting.len()
    }

    /// Offers the next free buffer to `write`, which says to whom and how long, and keeps it in line.
    ///
    /// `None` when there is no room or `write` had nothing to send.
    pub fn push(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<(SocketAddr, usize)>,
    ) -> Option<()> {
        if !self.has_room() {
            return None;
        }
        let start = self.waiting.last().map_or(0, Waiting::end);
        let buffer = self.arena.get_mut(start..start + Self::DATAGRAM)?;
        let (to, length) = write(buffer)?;
        self.waiting.push(Waiting {
            to: if self.mapped { mapped(to) } else { to },
            start,
            length: length.min(Self::DATAGRAM),
        });
        Some(())
    }

    /// What waits, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.rest().iter().map(|it| (it.to, self.bytes(it)))
    }

    /// The longest run from the place that is so many behind the front.
    pub(super) fn run(&self, behind: usize) -> Option<Run<'_>> {
        let rest = self.rest().get(behind..)?;
        let (first, mut last) = (rest.first()?, rest.first()?);
        let mut count = 1;
        for next in rest.iter().skip(1).take(MAX_SEGMENTS - 1) {
            let fits = next.to == first.to
                && (1..=first.length).contains(&next.length)
                && last.length == first.length
                && next.end() - first.start <= MAX_RUN_BYTES;
            if !fits {
                break;
            }
            (last, count) = (next, count + 1);
        }
        let bytes = self.arena.get(first.start..last.end())?;
        let (to, size) = (first.to, first.length);
        Some(Run {
            to,
            bytes,
            size,
            count,
        })
    }

    /// The first `count` have left.
    pub(super) fn leave(&mut self, count: usize) {
        self.first = self.waiting.len().min(self.first + count);
        if self.is_empty() {
            self.waiting.clear();
            self.first = 0;
        }
    }

    fn rest(&self) -> &[Waiting] {
        self.waiting.get(self.first..).unwrap_or(&[])
    }

    fn bytes(&self, of: &Waiting) -> &[u8] {
        self.arena.get(of.start..of.end()).unwrap_or(&[])
    }
}

/// An IPv4 address in the form a dual-stack socket sends to.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}
