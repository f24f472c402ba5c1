//! Where sockets cannot be shared there is neither a lane nor a hub: this says so to the compiler.

use std::io;
use std::net::SocketAddr;

use super::Readiness;
use crate::client::DatagramSocket;

pub(in crate::tools::bench) const AT_ONCE: usize = 1;

/// There is none.
#[derive(Debug)]
pub(in crate::tools::bench) enum Lane {}

impl Lane {
    pub(super) const fn receive_buffer(&self) -> io::Result<usize> {
        match *self {}
    }
}

impl DatagramSocket for Lane {
    fn send_to(&mut self, _: &[u8], _: SocketAddr) -> io::Result<usize> {
        match *self {}
    }

    fn receive_from(&mut self, _: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        match *self {}
    }
}

/// Gives no lanes.
#[derive(Debug)]
pub(in crate::tools::bench) struct Hub;

impl Hub {
    pub(in crate::tools::bench) const fn new(_: SocketAddr, _: usize) -> Self {
        Self
    }

    pub(super) fn try_out(_: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in crate::tools::bench) fn open(
        &mut self,
        _: u32,
        _: &Readiness,
        _: usize,
    ) -> io::Result<Lane> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in crate::tools::bench) fn receive(&mut self, _: usize, _: impl FnMut(usize)) -> bool {
        false
    }

    pub(in crate::tools::bench) const fn take_errors(&self) -> u64 {
        0
    }
}
