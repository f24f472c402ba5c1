//! A shard's UDP socket: how it is opened, read in batches and written in batches.
//!
//! Knows the operating system's options and errors. Has no session, no key and no protocol: datagrams are
//! bytes with an address. No error of one peer ever stops it; errors are counted.

mod open;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

pub use self::open::{SOCKET_BUFFER, open};
pub use self::queue::SendQueue;

/// Datagrams that are read before anything else gets a turn.
pub const BATCH: usize = 64;

/// Room for one received datagram; longer ones are cut by the kernel and refused by their length.
pub const RECEIVE_BUFFER: usize = 2048;

/// What came of the datagrams in one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Batch {
    /// Datagrams moved.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Errors of single peers, each skipped.
    pub errors: u64,
    /// The socket has (or takes) no more for now.
    pub would_block: bool,
}

/// Reads up to [`BATCH`] datagrams and hands each to `handle` with its sender.
///
/// Call it when the socket is readable, and again at once unless it says `would_block`.
pub fn receive_batch(
    socket: &tokio::net::UdpSocket,
    buffer: &mut [u8; RECEIVE_BUFFER],
    mut handle: impl FnMut(SocketAddr, &mut [u8]),
) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..BATCH {
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => {
                batch.datagrams += 1;
                batch.bytes += length as u64;
                if let Some(datagram) = buffer.get_mut(..length) {
                    handle(canonical(from), datagram);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                batch.would_block = true;
                break;
            }
            // An earlier datagram of ours was refused by its receiver (ICMP), or a signal came: it says
            // nothing about the datagrams still waiting.
            Err(_) => batch.errors += 1,
        }
    }
    batch
}

/// An IPv4 sender as such, also when a dual-stack socket shows it as `::ffff:a.b.c.d`.
///
/// A client that is known by one form must not become a second one by the other.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
