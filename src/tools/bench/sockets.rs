//! The clients' ways to the server: a socket for each, or few for many.
//!
//! On the loopback clients speak from many addresses (127.x.y.z), as players of many networks do: the server's limit for
//! strangers of one network is not what is measured. Knows sockets. Has no idea what a datagram means. Why both ways:
//! `docs/decisions/0006-load-test-sockets.md`.
//!
//! | room | has |
//! |---|---|
//! | `readiness` | which sockets have something to read |
//! | `shared` | a few sockets for many clients, where the system allows it; `elsewhere` stands in for it |
//! | `inbox` | what was read for a client and waits for its turn |
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: this is where the load test's sockets are opened"
)]

#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nobody shares sockets here")
)]
mod inbox;
mod readiness;
#[cfg_attr(not(target_os = "linux"), path = "sockets/elsewhere.rs")]
mod shared;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use socket2::SockRef;

pub(super) use self::readiness::{IS_READINESS_KNOWN, Readiness, Told};
use self::shared::Lane;
pub(super) use self::shared::{AT_ONCE as SHARED_AT_ONCE, Hub};
use crate::client::{DatagramSocket, StdSocket};
use crate::netsim::{LinkConditions, ProfileConditions};
use crate::time::Timestamp;
use crate::tools::ConditionedSocket;

/// Clients that share a socket at most: what two calls read.
pub(super) const SEATS: usize = 64;

/// So many clients with a socket each are told of at once, half a millisecond's work; the others are told of the next
/// time, in turn. What is due meanwhile must not wait until all snapshots of a tick are read.
pub(super) const OWN_AT_ONCE: usize = 64;

/// Whose the sockets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// Each client has one of its own.
    Own,
    /// Many clients share one, each with an address of its own.
    Shared,
}

/// Why clients cannot share sockets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotShared {
    /// Only there is a machine everybody who speaks to it.
    #[error("{0} is not in 127.0.0.0/8, where alone one socket has many addresses")]
    NotOnLoopback(SocketAddr),
    /// The system lacks something, or forbids it.
    #[error("this system does not give one socket many addresses: {0}")]
    Refused(#[from] io::Error),
}

impl Sockets {
    /// Both ways.
    const ALL: [Self; 2] = [Self::Own, Self::Shared];

    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }

    /// Whether clients of this server can share sockets here.
    ///
    /// # Errors
    ///
    /// When they cannot; the text says why.
    pub fn try_sharing(server: SocketAddr) -> Result<(), NotShared> {
        if !(server.is_ipv4() && server.ip().is_loopback()) {
            return Err(NotShared::NotOnLoopback(server));
        }
        Ok(Hub::try_out(server)?)
    }

    /// How many sockets so many clients of so many threads need.
    #[must_use]
    pub(super) fn count(self, clients: u32, threads: usize) -> u64 {
        match self {
            Self::Own => clients.into(),
            Self::Shared => {
                let of_thread = u64::from(clients).div_ceil(threads.max(1) as u64);
                of_thread.div_ceil(SEATS as u64) * threads as u64
            }
        }
    }
}

impl FromStr for Sockets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| "allowed is own or shared".to_owned())
    }
}

/// What carries a client's datagrams.
#[derive(Debug)]
pub(super) enum Carrier {
    Own(StdSocket),
    Shared(Lane),
}

impl DatagramSocket for Carrier {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        match self {
            Self::Own(socket) => socket.send_to(datagram, to),
            Self::Shared(lane) => lane.send_to(datagram, to),
        }
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        match self {
            Self::Own(socket) => socket.receive_from(buffer),
            Self::Shared(lane) => lane.receive_from(buffer),
        }
    }
}

/// A client's way to the server.
#[derive(Debug)]
pub(super) enum Road {
    /// As the network is.
    Plain(Carrier),
    /// Through a bad network.
    Bent(Box<ConditionedSocket<Carrier>>),
}

impl Road {
    /// How many datagrams to ask for in a turn: one where the socket said that it has something, and it says so again
    /// when there is more; none where it said nothing, because asking in vain costs as much as reading.
    pub(super) const fn datagrams_in_a_turn(&self, is_ready: bool) -> usize {
        match self {
            Self::Plain(Carrier::Own(_)) if IS_READINESS_KNOWN => is_ready as usize,
            // What was read already, and what a bad network held back, may come all at once.
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

/// The address on the loopback that a client speaks from at one of its stays: of 256 networks, and another one each time,
/// so that nothing that was sent to an earlier stay gets to a later one before it has come round.
fn address(number: u32, stay: u8) -> Ipv4Addr {
    let [.., host, network] = number.to_be_bytes();
    // .0 and .255 are hosts like others within 127.0.0.0/8.
    Ipv4Addr::new(127, STAYS | (stay % STAYS), network, host)
}

/// Stays that are told apart, and the second byte of the first of them: 127.64.0.0/10.
const STAYS: u8 = 64;

/// Whose an address is: the client and its stay; `None` when it is nobody's.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nobody shares sockets here")
)]
const fn whose(address: IpAddr) -> Option<(u32, u8)> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    let [127, second, network, host] = address.octets() else {
        return None;
    };
    if second & !(STAYS - 1) != STAYS {
        return None;
    }
    Some((u32::from_be_bytes([0, 0, host, network]), second % STAYS))
}

/// Where a client's own socket is bound.
fn source(server: SocketAddr, number: u32) -> SocketAddr {
    let is_loopback = server.ip().is_loopback() && cfg!(target_os = "linux");
    let ip: IpAddr = match server {
        // A fresh port tells the stays apart.
        SocketAddr::V4(_) if is_loopback => address(number, 0).into(),
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}

/// A way that is open.
pub(super) struct Opened {
    pub(super) road: Road,
    /// The receive buffer of its socket.
    pub(super) receive_buffer: usize,
}

/// Opens a client's way to a server: over a socket of its own, which is watched under the client's place, or over one of
/// the hub.
pub(super) fn open(
    (server, hub): (SocketAddr, Option<&mut Hub>),
    number: u32,
    readiness: &Readiness,
    place: usize,
    conditions: ProfileConditions,
    seed: u64,
) -> io::Result<Opened> {
    let (carrier, receive_buffer) = match hub {
        Some(hub) => {
            let lane = hub.open(number, readiness, place)?;
            let receive_buffer = lane.receive_buffer()?;
            (Carrier::Shared(lane), receive_buffer)
        }
        None => {
            let socket = UdpSocket::bind(source(server, number))?;
            readiness.watch(&socket, place)?;
            let receive_buffer = SockRef::from(&socket).recv_buffer_size()?;
            (Carrier::Own(StdSocket::from_std(socket)?), receive_buffer)
        }
    };
    let is_perfect = [conditions.up, conditions.down]
        .iter()
        .all(|way| *way == LinkConditions::PERFECT);
    let road = if is_perfect {
        Road::Plain(carrier)
    } else {
        Road::Bent(Box::new(ConditionedSocket::new(carrier, conditions, seed)))
    };
    Ok(Opened {
        road,
        // Linux doubles what was asked for, to pay for its own bookkeeping, and tells the doubled number.
        receive_buffer: receive_buffer / if cfg!(target_os = "linux") { 2 } else { 1 },
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
