//! A socket for each client, and the one question which of thousands have something to read.
//!
//! On the loopback clients speak from many addresses (127.x.y.z), as players of many networks do: the server's limit for
//! strangers of one network is not what is measured. Knows sockets. Has no idea what a datagram means. Why not all clients
//! behind one socket: `docs/decisions/0006-load-test-sockets.md`.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: this is where the load test's sockets are opened"
)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::client::{DatagramSocket, StdSocket};
use crate::netsim::{LinkConditions, ProfileConditions};
use crate::time::Timestamp;
use crate::tools::ConditionedSocket;

/// A client's way to the server.
#[derive(Debug)]
pub(super) enum Road {
    /// As the network is.
    Plain(StdSocket),
    /// Through a bad network.
    Bent(Box<ConditionedSocket<StdSocket>>),
}

impl Road {
    /// How many datagrams to ask for in a turn: one where the socket said that it has something, and it says so again
    /// when there is more; none where it said nothing, because asking in vain costs as much as reading.
    pub(super) const fn datagrams_in_a_turn(&self, is_ready: bool) -> usize {
        match self {
            Self::Plain(_) if IS_READINESS_KNOWN => is_ready as usize,
            // What a bad network held back may come all at once.
            Self::Plain(_) | Self::Bent(_) => 64,
        }
    }

    /// When something is due that a bad network holds back.
    pub(super) fn next_arrival(&self) -> Option<Timestamp> {
        match self {
            Self::Plain(_) => None,
            Self::Bent(socket) => socket.next_arrival(),
        }
    }
}

impl DatagramSocket for Road {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send_to(datagram, to),
            Self::Bent(socket) => socket.send_to(datagram, to),
        }
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        match self {
            Self::Plain(socket) => socket.receive_from(buffer),
            Self::Bent(socket) => socket.receive_from(buffer),
        }
    }

    fn advance(&mut self, now: Timestamp) {
        match self {
            Self::Plain(socket) => socket.advance(now),
            Self::Bent(socket) => socket.advance(now),
        }
    }
}

/// The address that a client speaks from: on the loopback one of 65,536, spread over 256 networks.
fn source(server: SocketAddr, number: u32) -> SocketAddr {
    let [.., network, host] = number.to_be_bytes();
    let is_loopback = server.ip().is_loopback() && cfg!(target_os = "linux");
    let ip = match server {
        // .0 and .255 are hosts like others within 127.0.0.0/8.
        SocketAddr::V4(_) if is_loopback => IpAddr::V4(Ipv4Addr::new(127, 64, host, network)),
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// Opens the way of a client to a server, and has it watched under the client's place.
pub(super) fn open(
    server: SocketAddr,
    number: u32,
    readiness: &Readiness,
    place: usize,
    conditions: ProfileConditions,
    seed: u64,
) -> io::Result<Road> {
    let socket = UdpSocket::bind(source(server, number))?;
    readiness.watch(&socket, place)?;
    let socket = StdSocket::from_std(socket)?;
    let is_perfect = [conditions.up, conditions.down]
        .iter()
        .all(|way| *way == LinkConditions::PERFECT);
    Ok(if is_perfect {
        Road::Plain(socket)
    } else {
        Road::Bent(Box::new(ConditionedSocket::new(socket, conditions, seed)))
    })
}

/// Which sockets have something to read.
#[derive(Debug)]
pub(super) struct Readiness {
    #[cfg(target_os = "linux")]
    epoll: rustix::fd::OwnedFd,
}

/// What was told last: memory that is used again. It stays with its thread.
#[derive(Default)]
pub(super) struct Told {
    #[cfg(target_os = "linux")]
    events: Vec<rustix::event::epoll::Event>,
}

#[cfg(target_os = "linux")]
impl Readiness {
    /// So many are told of at once, half a millisecond's work; the others are told of the next time, in turn. What is
    /// due meanwhile must not wait until all snapshots of a tick are read.
    const AT_ONCE: usize = 64;

    /// Watches nothing yet.
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::epoll::{CreateFlags, create};
        Ok(Self {
            epoll: create(CreateFlags::CLOEXEC)?,
        })
    }

    /// A socket that is closed is not watched any more.
    fn watch(&self, socket: &UdpSocket, place: usize) -> io::Result<()> {
        use rustix::event::epoll::{EventData, EventFlags, add};
        let data = EventData::new_u64(place as u64);
        Ok(add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Tells the places whose sockets have something to read, without waiting, and says whether there may be more.
    pub(super) fn each(&self, told: &mut Told, mut ready: impl FnMut(usize)) -> bool {
        use rustix::buffer::spare_capacity;
        use rustix::event::{Timespec, epoll::wait};
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        told.events.clear();
        told.events.reserve_exact(Self::AT_ONCE);
        // A signal that interrupts it costs one turn.
        let _ = wait(&self.epoll, spare_capacity(&mut told.events), Some(&NOW));
        for event in &told.events {
            ready(usize::try_from(event.data.u64()).unwrap_or(usize::MAX));
        }
        told.events.len() >= Self::AT_ONCE
    }
}

/// Elsewhere every socket is asked.
#[cfg(not(target_os = "linux"))]
impl Readiness {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    fn watch(&self, _: &UdpSocket, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn each(&self, _: &mut Told, _: impl FnMut(usize)) -> bool {
        false
    }
}

/// Whether [`Readiness`] knows anything; where it does not, every socket is asked at every turn.
pub(super) const IS_READINESS_KNOWN: bool = cfg!(target_os = "linux");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_who_has_something_to_read_is_told_of() {
        let readiness = Readiness::new().expect("epoll");
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let to = server.local_addr().expect("bound");
        let perfect = ProfileConditions::default();
        let mut roads: Vec<_> = (0..300)
            .map(|number| {
                open(to, number, &readiness, number as usize, perfect, 1).expect("a socket")
            })
            .collect();
        let (mut told, mut memory) = (Vec::new(), Told::default());
        readiness.each(&mut memory, |place| told.push(place));
        assert!(told.is_empty());

        roads[257].send_to(b"hello", to).expect("sent");
        let mut buffer = [0; 16];
        let (_, from) = server.recv_from(&mut buffer).expect("it arrives");
        assert_eq!(
            from.ip().to_string(),
            "127.64.1.1",
            "another network for each of 256"
        );
        server.send_to(b"hi", from).expect("sent");
        readiness.each(&mut memory, |place| told.push(place));
        assert_eq!(told, [257]);
        assert_eq!(
            roads[257].receive_from(&mut buffer).expect("works"),
            Some((2, to))
        );
        roads.clear();
        told.clear();
        readiness.each(&mut memory, |place| told.push(place));
        assert!(told.is_empty(), "closed sockets are not watched");
    }
}
