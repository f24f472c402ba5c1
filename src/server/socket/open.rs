//! How a shard's socket is opened: its address, its buffers, what it never does to a datagram.
//!
//! Knows the operating system's options. Reads and writes nothing.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::{debug, warn};

/// Receive and send buffer that is asked for: 4 MiB, which holds 20 ms of 200,000 small datagrams a second.
///
/// The kernel's usual default (208 KiB) holds 166 datagrams of 200 bytes: less than one tick of
/// a full server.
pub const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

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
