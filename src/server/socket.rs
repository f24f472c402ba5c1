//! A shard's UDP socket: how it is opened, read in batches and written in batches.
//!
//! Knows the operating system's options and errors. Has no session, no key and no protocol: datagrams are
//! bytes with an address. No error of one peer ever stops it; errors are counted.
//!
//! | room | has |
//! |---|---|
//! | `open` | addresses, buffers, don't-fragment |
//! | `queue` | what waits to be sent, in one piece of memory |
//! | `send`, `receive` | what is tried first, what an error means, what is tried instead |
//! | `portable` | one datagram a call, on every system |
//! | `linux` | many datagrams a call |
//! | `detect` | which of these this system allows |

mod detect;
#[cfg(target_os = "linux")]
mod linux;
mod open;
mod portable;
mod queue;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};

use tokio::net::UdpSocket;

pub use self::detect::{Mechanisms, PacketIo};
pub use self::open::{SOCKET_BUFFER, open};
pub use self::queue::SendQueue;
use self::receive::Receiver;
use self::send::Sender;

/// Datagrams that are read before anything else gets a turn, and datagrams that wait to be sent at most.
///
/// One message of a receive may bring up to 64 datagrams where the kernel joins them; a turn ends with the
/// message that reaches this number.
pub const BATCH: usize = 64;

/// The longest received datagram; longer ones are cut here and refused by their length.
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
    /// System calls it took, those included that moved nothing.
    pub calls: u64,
    /// Those of the datagrams that crossed the kernel joined with others of the same peer.
    pub joined: u64,
    /// The socket has (or takes) no more for now.
    pub would_block: bool,
}

/// A socket that is ready for its shard.
#[derive(Debug)]
pub struct ShardSocket {
    socket: UdpSocket,
    receiver: Receiver,
    sender: Sender,
}

impl ShardSocket {
    /// Registers the socket with the runtime of the caller and waits until it can be written.
    ///
    /// # Errors
    /// When there is no runtime, the socket is not one, or there is no handle left for it.
    pub async fn new(socket: StdSocket, mechanisms: Mechanisms) -> io::Result<Self> {
        let receiver = Receiver::new(&socket, mechanisms)?;
        let socket = UdpSocket::from_std(socket)?;
        // Until writability was seen once, every attempt to send is answered with "would block".
        socket.writable().await?;
        Ok(Self {
            sender: Sender::new(mechanisms),
            receiver,
            socket,
        })
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits until there may be something to read.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until something may be written.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Reads about [`BATCH`] datagrams and hands each to `handle` with its sender.
    ///
    /// Call it when the socket is readable, and again at once unless it says `would_block`; and whenever else: it reads
    /// what is there, whether or not the runtime has noticed.
    pub fn receive(&mut self, handle: impl FnMut(SocketAddr, &mut [u8])) -> Batch {
        self.receiver.receive(&self.socket, handle)
    }

    /// Sends what waits until the socket takes no more.
    ///
    /// A receiver that cannot be reached costs its own datagrams and nobody else's.
    pub fn flush(&mut self, queue: &mut SendQueue) -> Batch {
        self.sender.flush(&self.socket, queue)
    }
}

/// An IPv4 sender as such, also when a dual-stack socket shows it as `::ffff:a.b.c.d`.
///
/// A client that is known by one form must not become a second one by the other.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
