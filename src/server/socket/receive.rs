//! How what came is read: many datagrams a call where that is allowed, else one by one.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};

use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{BATCH, Batch, Mechanisms, RECEIVE_BUFFER, canonical, portable};

/// Reads, and keeps the memory into which is read.
///
/// It asks the socket itself and not the runtime, which knows of a datagram only after it has waited: a shard that is
/// late does not wait.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The same socket.
    socket: StdSocket,
    #[cfg(target_os = "linux")]
    many: Option<super::linux::ManyAtOnce>,
    buffer: Box<[u8; RECEIVE_BUFFER]>,
}

impl Receiver {
    pub(super) fn new(socket: &StdSocket, mechanisms: Mechanisms) -> io::Result<Self> {
        #[cfg(not(target_os = "linux"))]
        let _ = mechanisms;
        Ok(Self {
            socket: socket.try_clone()?,
            #[cfg(target_os = "linux")]
            many: super::linux::ManyAtOnce::new(socket, mechanisms),
            buffer: Box::new([0; RECEIVE_BUFFER]),
        })
    }

    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut handle: impl FnMut(SocketAddr, &mut [u8]),
    ) -> Batch {
        let mut batch = Batch::default();
        while batch.datagrams + batch.errors < BATCH as u64 && !batch.would_block {
            batch.calls += 1;
            let outcome = self.step(socket, &mut batch, &mut handle);
            match outcome {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => batch.would_block = true,
                // An earlier datagram of ours was refused by its receiver (ICMP), or a signal came: it says
                // nothing about the datagrams still waiting.
                Err(_) => batch.errors += 1,
            }
        }
        if batch.would_block {
            // What comes from now on wakes us.
            let _ = socket.try_io(Interest::READABLE, || {
                io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
            });
        }
        batch
    }

    /// Makes one call.
    fn step(
        &mut self,
        socket: &UdpSocket,
        batch: &mut Batch,
        handle: &mut impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(many) = &mut self.many {
            let outcome = many.receive(socket, batch, handle);
            if let Err(error) = &outcome
                && super::send::is_about_the_call(error)
            {
                tracing::warn!(%error, "recvmmsg was refused: one datagram a call from now on");
                self.many = None;
                return Ok(());
            }
            return outcome;
        }
        let (from, datagram) = portable::receive(&self.socket, &mut *self.buffer)?;
        batch.take(from, datagram, handle);
        Ok(())
    }
}

impl Batch {
    /// Counts a received datagram and hands it on.
    pub(super) fn take(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        handle: &mut impl FnMut(SocketAddr, &mut [u8]),
    ) {
        self.datagrams += 1;
        self.bytes += datagram.len() as u64;
        handle(canonical(from), datagram);
    }
}
