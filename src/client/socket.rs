//! The client's one contact with the network: datagrams out, datagrams in, never waiting.
//!
//! Knows addresses and what operating systems say about them. Does not know what a datagram means.
//!
//! On a phone the network goes away and comes back; on any machine a server that is not there yet answers with
//! "port unreachable". To a session these are lost datagrams like others: it has timeouts of its own. So
//! they are counted here and not passed on, and only what cannot heal is an error.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the file that owns the client's socket"
)]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::time::Timestamp;

/// Sends and receives datagrams without waiting.
///
/// [`StdSocket`] is the real one. Tests and tools put others in its place: a simulated network, or real
/// datagrams through bad conditions.
pub trait DatagramSocket {
    /// Sends one datagram. `Ok(0)`: it was dropped here, as the network may drop it anywhere.
    ///
    /// # Errors
    ///
    /// When the socket cannot work any more. What concerns one datagram or one peer is no error.
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize>;

    /// The next datagram that has arrived: its length in `buffer`, and where it says it comes from. `Ok(None)` when there is none now.
    ///
    /// # Errors
    ///
    /// When the socket cannot work any more.
    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>>;

    /// Told once before each round of sending and receiving what time it is. Real sockets have no use for it.
    fn advance(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Starts over from a fresh port, as a way out of a network that has changed under us. The default keeps what there is.
    ///
    /// # Errors
    ///
    /// When there is no new port to be had; the old one stays in use.
    fn rebind(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a [`StdSocket`] met and did not pass on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketStats {
    /// Datagrams not sent because the operating system's queue was full.
    pub send_queue_full: u64,
    /// Datagrams not sent because there was no way to the peer: no network, no route, a firewall.
    pub unreachable: u64,
    /// Times that the peer's machine said that nobody listens there.
    pub refused: u64,
    /// Datagrams longer than the path, or than our buffer, can take.
    pub too_long: u64,
    /// Times that a fresh port was taken.
    pub rebinds: u64,
}

/// A UDP socket of the standard library on a port of the system's choice, of the family of the server's address.
#[derive(Debug)]
pub struct StdSocket {
    socket: UdpSocket,
    /// The family of its address, which the system would have to be asked for at every datagram.
    is_ipv4: bool,
    stats: SocketStats,
}

/// Errors about single peers in a row that one call swallows: enough to drain a burst of them, and no endless loop.
const SWALLOWED_AT_ONCE: usize = 64;

impl StdSocket {
    /// A socket that can reach `server`.
    ///
    /// # Errors
    ///
    /// When the system has no such socket to give: no IPv6, no descriptors, not allowed.
    pub fn for_server(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            socket: bind_like(server)?,
            is_ipv4: server.is_ipv4(),
            stats: SocketStats::default(),
        })
    }

    /// Uses a socket that the application has made, on a port or interface of its own choice.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking.
    pub fn from_std(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            is_ipv4: socket.local_addr()?.is_ipv4(),
            socket,
            stats: SocketStats::default(),
        })
    }

    /// The port that was given to us.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What was met and not passed on.
    #[must_use]
    pub const fn stats(&self) -> SocketStats {
        self.stats
    }

    /// A fresh port of the family of `like`.
    fn rebind_like(&mut self, like: SocketAddr) -> io::Result<()> {
        self.socket = bind_like(like)?;
        self.is_ipv4 = like.is_ipv4();
        self.stats.rebinds += 1;
        Ok(())
    }

    fn try_send(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        // A token may name servers of both families, and the session may fail over from one to the other.
        if self.is_ipv4 != to.is_ipv4() {
            self.rebind_like(to)?;
        }
        self.socket.send_to(datagram, to)
    }
}

impl DatagramSocket for StdSocket {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        // An answer to an earlier datagram may be reported instead of sending this one: once more, then.
        for _ in 0..2 {
            let error = match self.try_send(datagram, to) {
                Ok(len) => return Ok(len),
                Err(error) => error,
            };
            match Fault::of(&error) {
                Some(Fault::Refused) => self.stats.refused += 1,
                Some(Fault::Interrupted) => {}
                Some(Fault::WouldBlock) => {
                    self.stats.send_queue_full += 1;
                    return Ok(0);
                }
                Some(Fault::Unreachable) => {
                    self.stats.unreachable += 1;
                    return Ok(0);
                }
                Some(Fault::TooLong) => {
                    self.stats.too_long += 1;
                    return Ok(0);
                }
                None => return Err(error),
            }
        }
        Ok(0)
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        for _ in 0..SWALLOWED_AT_ONCE {
            let error = match self.socket.recv_from(buffer) {
                Ok(received) => return Ok(Some(received)),
                Err(error) => error,
            };
            match Fault::of(&error) {
                Some(Fault::WouldBlock) => return Ok(None),
                Some(Fault::Refused) => self.stats.refused += 1,
                Some(Fault::Unreachable) => self.stats.unreachable += 1,
                Some(Fault::TooLong) => self.stats.too_long += 1,
                Some(Fault::Interrupted) => {}
                None => return Err(error),
            }
        }
        Ok(None)
    }

    fn rebind(&mut self) -> io::Result<()> {
        let like = self.local_addr()?;
        self.rebind_like(like)
    }
}

/// What concerns one datagram or one peer and heals by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    WouldBlock,
    Interrupted,
    Refused,
    Unreachable,
    TooLong,
}

impl Fault {
    /// `None`: the socket itself is at its end.
    fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::WouldBlock => Some(Self::WouldBlock),
            ErrorKind::Interrupted => Some(Self::Interrupted),
            // Windows reports "port unreachable" as a reset connection, and an expired TTL as a reset network.
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Some(Self::Refused),
            // A firewall on this machine says "permission denied", for as long as its rule stands.
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::PermissionDenied => Some(Self::Unreachable),
            _ if is_queue_full(error) => Some(Self::WouldBlock),
            _ if is_too_long(error) => Some(Self::TooLong),
            _ => None,
        }
    }
}

/// Some systems say "no buffer space" (ENOBUFS) where others say "would block". The standard library has no name for it.
fn is_queue_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(os_code(105, 55, 10_055))
}

/// EMSGSIZE: sending, the path is known to be narrower; receiving on Windows, a stranger sent more than the buffer holds.
fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(os_code(90, 40, 10_040))
}

/// One error has three numbers: Linux and Android, the BSDs with everything from Apple, Windows.
const fn os_code(linux: i32, bsd: i32, windows: i32) -> i32 {
    if cfg!(windows) {
        windows
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        linux
    } else {
        bsd
    }
}

/// A non-blocking socket on any port, of the family of `peer`.
fn bind_like(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loopback delivers at once, but not in no time.
    fn receive(socket: &mut StdSocket) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 64];
        for _ in 0..1_000_000 {
            if let Some((len, from)) = socket.receive_from(&mut buffer).expect("a working socket") {
                return Some((buffer[..len].to_vec(), from));
            }
        }
        None
    }

    fn loopback(socket: &StdSocket) -> SocketAddr {
        let port = socket.local_addr().expect("bound").port();
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    fn any_v4() -> StdSocket {
        StdSocket::for_server(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))).expect("IPv4")
    }

    #[test]
    fn a_datagram_goes_there_and_back() {
        let (mut ada, mut bob) = (any_v4(), any_v4());
        assert_eq!(ada.send_to(b"hello", loopback(&bob)).expect("sent"), 5);
        let (datagram, from) = receive(&mut bob).expect("it arrives");
        assert_eq!(datagram, b"hello");
        bob.send_to(b"hi", from).expect("sent");
        assert_eq!(
            receive(&mut ada).map(|(datagram, _)| datagram),
            Some(b"hi".to_vec())
        );
    }

    #[test]
    fn receiving_from_nobody_does_not_wait() {
        assert_eq!(
            any_v4()
                .receive_from(&mut [0; 64])
                .expect("a working socket"),
            None
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_counted_and_no_error() {
        let nobody = loopback(&any_v4());
        // A connected socket is told about closed ports on every system.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        socket.connect(nobody).expect("any address will do");
        let mut ada = StdSocket::from_std(socket).expect("non-blocking");
        for _ in 0..10 {
            ada.send_to(b"is anybody there?", nobody).expect("no error");
            assert_eq!(ada.receive_from(&mut [0; 64]).expect("no error"), None);
        }
        assert!(ada.stats().refused > 0, "{:?}", ada.stats());
    }

    #[test]
    fn a_server_of_the_other_family_gets_a_socket_of_its_own() {
        let mut ada = any_v4();
        let there = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
        // Machines without IPv6 have no such socket: that is an error, and an honest one.
        if ada.send_to(b"six", there).is_ok() {
            assert!(ada.local_addr().expect("bound").is_ipv6());
            assert_eq!(ada.stats().rebinds, 1);
        }
    }

    #[test]
    fn rebinding_takes_another_port_and_works_on() {
        let (mut ada, mut bob) = (any_v4(), any_v4());
        let before = loopback(&ada);
        ada.rebind().expect("there are ports");
        ada.send_to(b"moved", loopback(&bob)).expect("sent");
        let (_, from) = receive(&mut bob).expect("it arrives");
        assert_eq!(from, loopback(&ada));
        assert_ne!(from, before);
    }

    #[test]
    fn a_datagram_longer_than_any_is_counted_and_no_error() {
        let mut ada = any_v4();
        let there = loopback(&ada);
        assert_eq!(ada.send_to(&[0; 65_536], there).expect("no error"), 0);
        assert_eq!(ada.stats().too_long, 1);
    }

    #[test]
    fn what_heals_and_what_does_not() {
        let fault = |kind: ErrorKind| Fault::of(&io::Error::from(kind));
        assert_eq!(fault(ErrorKind::ConnectionReset), Some(Fault::Refused));
        assert_eq!(fault(ErrorKind::NetworkDown), Some(Fault::Unreachable));
        assert_eq!(fault(ErrorKind::NotConnected), None);
    }
}
