//! The two sockets of the job that are ours: the server's, and the one behind which all clients live.
//!
//! Knows datagrams and addresses. Sends in batches of 64 with `sendmmsg`; receives one by one, which costs the same here.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, set_ip_mtu_discover, set_socket_recv_buffer_size,
    set_socket_recv_buffer_size_force, set_socket_send_buffer_size,
};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

/// Datagrams that are given to the kernel in one call.
const BATCH: usize = 64;

/// Room for any datagram of the job.
pub(crate) const ROOM: usize = 1500;

/// Asked for by every socket that is ours. Beyond `rmem_max` that needs root; without it the kernel grants less, and the loss shows
/// as delivery below 100 %.
const BUFFER: usize = 32 << 20;

/// Opens a UDP socket for the job: never blocks, and holds a tick of the largest crowd.
pub(crate) fn open(ip: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    enlarge(&socket);
    Ok(socket)
}

/// Asks for the large receive buffer.
pub(crate) fn enlarge(socket: &UdpSocket) {
    if set_socket_recv_buffer_size_force(socket, BUFFER).is_err() {
        let _ = set_socket_recv_buffer_size(socket, BUFFER);
    }
    let _ = set_socket_send_buffer_size(socket, BUFFER);
}

/// The server's socket, with the datagrams that wait to leave together.
pub(crate) struct ServerSocket {
    socket: UdpSocket,
    waiting: Vec<(SocketAddrAny, usize, [u8; ROOM])>,
    filled: usize,
}

impl ServerSocket {
    /// Opens it on a free port. `dont_fragment` is what Tickwire's server sets: the kernel then chooses no IP identification for
    /// each datagram.
    pub(crate) fn open(dont_fragment: bool) -> io::Result<Self> {
        let socket = open(Ipv4Addr::LOCALHOST)?;
        let discovery = if dont_fragment {
            Ipv4PathMtuDiscovery::PROBE
        } else {
            Ipv4PathMtuDiscovery::DONT
        };
        set_ip_mtu_discover(&socket, discovery)?;
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).as_any();
        Ok(Self {
            socket,
            waiting: vec![(nobody, 0, [0; ROOM]); BATCH],
            filled: 0,
        })
    }

    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram that has arrived.
    pub(crate) fn receive<'b>(
        &self,
        buffer: &'b mut [u8; ROOM],
    ) -> Option<(SocketAddr, &'b mut [u8])> {
        let (len, from) = self.socket.recv_from(buffer).ok()?;
        Some((from, &mut buffer[..len]))
    }

    /// Lets `write` put a datagram where it waits, and say to whom and how long it is; sends when 64 wait.
    pub(crate) fn push(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<(SocketAddr, usize)>,
    ) -> bool {
        let (to, len, bytes) = &mut self.waiting[self.filled];
        let Some((address, written)) = write(bytes) else {
            return false;
        };
        (*to, *len) = (address.as_any(), written);
        self.filled += 1;
        if self.filled == BATCH {
            self.flush();
        }
        true
    }

    /// Sends what waits. A datagram that the kernel refuses is lost, as the far end will notice.
    pub(crate) fn flush(&mut self) {
        let waiting = &self.waiting[..self.filled];
        let slices: [_; BATCH] = std::array::from_fn(|at| {
            let (_, len, bytes) = &self.waiting[at];
            [IoSlice::new(&bytes[..*len])]
        });
        let mut controls: [_; BATCH] = std::array::from_fn(|_| SendAncillaryBuffer::default());
        let mut messages = Vec::with_capacity(BATCH);
        for ((slice, control), (to, ..)) in slices.iter().zip(&mut controls).zip(waiting) {
            messages.push(MMsgHdr::new_with_addr(to, slice, control));
        }
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            let sent = sendmmsg(&self.socket, rest, SendFlags::empty())
                .unwrap_or(0)
                .max(1);
            rest = &mut rest[sent..];
        }
        self.filled = 0;
    }
}

/// The one socket of all clients: client `i` speaks from, and is heard at, 127.1.0.0 + i, on one port.
pub(crate) struct CrowdSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    server: SocketAddr,
    buffers: Vec<[u8; ROOM]>,
    pub(crate) traffic: Traffic,
}

/// Datagrams and bytes of UDP payload, since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) received: (u64, u64),
    pub(crate) sent: (u64, u64),
}

const FIRST_CLIENT: u32 = u32::from_be_bytes([127, 1, 0, 0]);

impl CrowdSocket {
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let socket = open(Ipv4Addr::UNSPECIFIED)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            socket,
            state,
            server,
            buffers: vec![[0; ROOM]; quinn_udp::BATCH_SIZE],
            traffic: Traffic::default(),
        })
    }

    pub(crate) const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends a datagram of one client.
    pub(crate) fn send(&mut self, client: usize, datagram: &[u8]) {
        let source = Ipv4Addr::from(FIRST_CLIENT + client as u32);
        let transmit = Transmit {
            destination: self.server,
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: Some(IpAddr::V4(source)),
        };
        if self
            .state
            .try_send((&self.socket).into(), &transmit)
            .is_ok()
        {
            self.traffic.sent.0 += 1;
            self.traffic.sent.1 += datagram.len() as u64;
        }
    }

    /// Hands every datagram that has arrived to `hear`, with the number of the client it is for.
    pub(crate) fn drain(&mut self, mut hear: impl FnMut(usize, &mut [u8])) {
        loop {
            let mut metas = [RecvMeta::default(); quinn_udp::BATCH_SIZE];
            let mut slices: Vec<_> = self
                .buffers
                .iter_mut()
                .map(|it| IoSliceMut::new(it))
                .collect();
            let Ok(count) = self
                .state
                .recv((&self.socket).into(), &mut slices, &mut metas)
            else {
                return;
            };
            for (meta, buffer) in metas.iter().zip(&mut self.buffers).take(count) {
                let Some(IpAddr::V4(to)) = meta.dst_ip else {
                    continue;
                };
                let client = u32::from(to).wrapping_sub(FIRST_CLIENT) as usize;
                for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                    self.traffic.received.0 += 1;
                    self.traffic.received.1 += datagram.len() as u64;
                    hear(client, datagram);
                }
            }
        }
    }
}
