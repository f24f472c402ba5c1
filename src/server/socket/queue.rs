//! What waits to be sent: made by the endpoint in place, taken by the socket in order.

use std::io;
use std::net::SocketAddr;

use super::{BATCH, Batch};

/// The datagrams that wait for the socket: a ring of fixed size, in order, nothing allocated after the
/// start.
///
/// A datagram goes straight to the kernel while it takes them. When its buffer is full the rest waits here, and
/// when this is full too the producer is to stop: a datagram that was never made can still be made later,
/// with newer content.
#[derive(Debug)]
pub struct SendQueue {
    /// The socket is dual-stack: IPv4 receivers are written as `::ffff:a.b.c.d`.
    mapped: bool,
    slots: Vec<Waiting>,
    first: usize,
    length: usize,
}

#[derive(Debug, Clone)]
struct Waiting {
    to: SocketAddr,
    length: usize,
    bytes: [u8; SendQueue::DATAGRAM],
}

impl SendQueue {
    /// The longest datagram that is ever sent.
    pub const DATAGRAM: usize = 1280;

    /// A queue for the socket bound to `local`.
    #[must_use]
    pub fn new(local: SocketAddr) -> Self {
        let empty = Waiting {
            to: local,
            length: 0,
            bytes: [0; Self::DATAGRAM],
        };
        Self {
            mapped: local.is_ipv6(),
            slots: vec![empty; BATCH],
            first: 0,
            length: 0,
        }
    }

    /// Whether another datagram can be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.length < self.slots.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
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
        let index = (self.first + self.length) % self.slots.len();
        let slot = self.slots.get_mut(index)?;
        let (to, length) = write(&mut slot.bytes)?;
        slot.to = if self.mapped { mapped(to) } else { to };
        slot.length = length.min(Self::DATAGRAM);
        self.length += 1;
        Some(())
    }

    /// Sends what waits until the socket takes no more.
    ///
    /// A receiver that cannot be reached costs its own datagram and nobody else's.
    pub fn flush(&mut self, socket: &tokio::net::UdpSocket) -> Batch {
        let mut batch = Batch::default();
        while let Some(waiting) = self.slots.get(self.first).filter(|_| self.length > 0) {
            let datagram = waiting.bytes.get(..waiting.length).unwrap_or(&[]);
            match socket.try_send_to(datagram, waiting.to) {
                Ok(length) => {
                    batch.datagrams += 1;
                    batch.bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    batch.would_block = true;
                    return batch;
                }
                Err(_) => batch.errors += 1,
            }
            self.first = (self.first + 1) % self.slots.len();
            self.length -= 1;
        }
        batch
    }
}

/// An IPv4 address in the form a dual-stack socket sends to.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}
