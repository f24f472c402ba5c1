//! One datagram a call: what every system has, and what remains when another way is refused.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};

use tokio::net::UdpSocket;

use super::SendQueue;
use super::queue::Run;
use super::send::Calls;

/// Sends one datagram a call.
pub(super) struct Portable<'s>(pub(super) &'s UdpSocket);

impl Calls for Portable<'_> {
    fn one(&mut self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.0.try_send_to(datagram, to).map(drop)
    }

    fn many(&mut self, _: &SendQueue, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn segments(&mut self, _: &Run<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads one datagram.
pub(super) fn receive<'b>(
    socket: &StdSocket,
    buffer: &'b mut [u8],
) -> io::Result<(SocketAddr, &'b mut [u8])> {
    let (length, from) = socket.recv_from(buffer)?;
    Ok((from, buffer.get_mut(..length).unwrap_or_default()))
}
