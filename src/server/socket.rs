//! A shard's UDP socket: how it is opened, read in batches and written in batches.
//!
//! Knows the operating system's options and errors. Has no session, no key and no protocol: datagrams are
//! bytes with an address. No error of one peer ever stops it; errors are counted.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::{debug, warn};

/// Receive and send buffer that is asked for: 4 MiB, which holds 20 ms of 200,000 small datagrams a second.
///
/// The kernel's usual default (208 KiB) holds 166 datagrams of 200 bytes: less than one tick of
/// a full server.
pub const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Datagrams that are read before anything else gets a turn.
pub const BATCH: usize = 64;

/// Room for one received datagram; longer ones are cut by the kernel and refused by their length.
pub const RECEIVE_BUFFER: usize = 2048;

/// Opens `count` sockets on one address: more than one share the port by `SO_REUSEPORT`, and the
/// kernel gives each source address to one of them.
///
/// A port of 0 is chosen once, by the first socket, and shared by the others.
///
/// # Errors
/// What the operating system says, with the address in the text: in use, not ours, not permitted.
pub fn open(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let share = count > 1;
    let mut address = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = open_one(address, share).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot open UDP {address}: {error}"))
        })?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    if let Some(socket) = sockets.first() {
        report_buffers(&SockRef::from(socket), address);
    }
    Ok(sockets)
}

fn open_one(address: SocketAddr, share: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // One socket for both families, where the address is the wildcard.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if share {
        set_reuse_port(&socket)?;
    }
    // Asking is free: a smaller grant is reported once, by `report_buffers`.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    dont_fragment(&socket, address);
    Ok(socket)
}

#[cfg(unix)]
fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn set_reuse_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "several shards need SO_REUSEPORT, which this system lacks: set shards to 1",
    ))
}

/// Sets don't-fragment and ignores what the path claims its limit is (`IP_PMTUDISC_PROBE`).
///
/// Datagrams are at most 1225 bytes, and a forged "fragmentation needed" must not shrink that. It also
/// saves the kernel the choice of an IP identification for every datagram: 9 to 15 % of what sending
/// costs, measured on loopback.
#[cfg(target_os = "linux")]
fn dont_fragment(socket: &UdpSocket, address: SocketAddr) {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    let v4 = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE);
    let v6 = if address.is_ipv6() {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)
    } else {
        Ok(())
    };
    if let Err(error) = v4.and(v6) {
        warn!(%address, %error, "datagrams may be fragmented: don't-fragment was refused");
    }
}

#[cfg(not(target_os = "linux"))]
fn dont_fragment(_: &UdpSocket, address: SocketAddr) {
    warn!(%address, "datagrams may be fragmented: don't-fragment is only set on Linux");
}

/// Says once what buffers were granted, and what to do when they were clamped.
fn report_buffers(socket: &SockRef<'_>, address: SocketAddr) {
    // Linux doubles what is asked for, to pay for its own bookkeeping, and reports the doubled number.
    let doubled = if cfg!(target_os = "linux") { 2 } else { 1 };
    let granted = socket.recv_buffer_size().unwrap_or(0) / doubled;
    if granted < SOCKET_BUFFER {
        warn!(
            %address,
            asked = SOCKET_BUFFER,
            granted,
            "the receive buffer was clamped: sysctl -w net.core.rmem_max={SOCKET_BUFFER} \
             net.core.wmem_max={SOCKET_BUFFER}"
        );
    } else {
        debug!(%address, receive_buffer = granted, "socket open");
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UdpSocket as TokioSocket;

    const LOOPBACK: &str = "127.0.0.1:0";

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Runs `conversation` on a runtime of this thread.
    fn on_a_runtime<F: Future>(conversation: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(conversation)
    }

    fn tokio_socket(text: &str) -> TokioSocket {
        let socket = open(address(text), 1).expect("opens").remove(0);
        TokioSocket::from_std(socket).expect("registers")
    }

    /// Reads until `count` datagrams came.
    async fn read(socket: &TokioSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; RECEIVE_BUFFER];
        let mut received = Vec::new();
        while received.len() < count {
            socket.readable().await.expect("readable");
            receive_batch(socket, &mut buffer, |from, bytes| {
                received.push((from, bytes.to_vec()))
            });
        }
        received
    }

    #[test]
    fn several_shards_share_one_port() {
        let sockets = open(address(LOOPBACK), 3).expect("three sockets");
        let addresses: Vec<_> = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("bound"))
            .collect();
        assert_ne!(addresses[0].port(), 0);
        assert!(addresses.iter().all(|address| *address == addresses[0]));
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_it() {
        let first = open(address(LOOPBACK), 1).expect("opens").remove(0);
        let taken = first.local_addr().expect("bound");
        let error = open(taken, 1).expect_err("in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn datagrams_arrive_in_order_with_their_sender() {
        on_a_runtime(async {
            let (left, right) = (tokio_socket(LOOPBACK), tokio_socket(LOOPBACK));
            let to = right.local_addr().expect("bound");
            left.writable().await.expect("writable");
            let mut queue = SendQueue::new(left.local_addr().expect("bound"));
            for number in 0..10 {
                queue
                    .push(|buffer| {
                        buffer[0] = number;
                        Some((to, 1))
                    })
                    .expect("room");
            }
            let sent = queue.flush(&left);
            assert_eq!((sent.datagrams, sent.bytes, sent.errors), (10, 10, 0));
            let received = read(&right, 10).await;
            let expected: Vec<_> = (0..10)
                .map(|number| (left.local_addr().expect("bound"), vec![number]))
                .collect();
            assert_eq!(received, expected);
        });
    }

    #[test]
    fn one_unreachable_receiver_costs_nobody_else_a_datagram() {
        on_a_runtime(async {
            let (left, right) = (tokio_socket(LOOPBACK), tokio_socket(LOOPBACK));
            let good = right.local_addr().expect("bound");
            left.writable().await.expect("writable");
            let mut queue = SendQueue::new(left.local_addr().expect("bound"));
            for to in [good, address("127.0.0.1:0"), address("[::1]:9"), good] {
                queue.push(|_| Some((to, 4))).expect("room");
            }
            let sent = queue.flush(&left);
            assert_eq!(
                (sent.datagrams, sent.errors, sent.would_block),
                (2, 2, false)
            );
            assert_eq!(read(&right, 2).await.len(), 2);
        });
    }

    #[test]
    fn a_full_queue_takes_no_more_and_calls_nobody() {
        let to = address("127.0.0.1:9");
        let mut queue = SendQueue::new(to);
        for _ in 0..BATCH {
            queue.push(|_| Some((to, 1))).expect("room");
        }
        assert!(!queue.has_room());
        assert!(queue.push(|_| unreachable!("no buffer to offer")).is_none());
    }

    #[test]
    fn a_dual_stack_socket_shows_ipv4_as_ipv4_and_answers_it() {
        on_a_runtime(async {
            let dual = tokio_socket("[::]:0");
            let port = dual.local_addr().expect("bound").port();
            let client = tokio_socket(LOOPBACK);
            let client_address = client.local_addr().expect("bound");
            client.writable().await.expect("writable");
            client
                .try_send_to(b"hello", SocketAddr::new(address(LOOPBACK).ip(), port))
                .expect("sent");
            let received = read(&dual, 1).await;
            assert_eq!(received, [(client_address, b"hello".to_vec())]);
            dual.writable().await.expect("writable");
            let mut queue = SendQueue::new(dual.local_addr().expect("bound"));
            queue.push(|_| Some((client_address, 3))).expect("room");
            assert_eq!(queue.flush(&dual).datagrams, 1);
            assert_eq!(read(&client, 1).await.len(), 1);
        });
    }
}
