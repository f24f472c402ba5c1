//! Few sockets for many clients: on the loopback each client speaks from an address of its own, and one call reads
//! what came for many of them.
//!
//! All of 127.0.0.0/8 is this machine. So a socket on no address in particular takes what comes to any of these, and
//! `IP_PKTINFO` says which one was meant and which one is to be the sender. Whose a datagram is follows from its
//! address by arithmetic; one for somebody who left finds nobody. Why: `docs/decisions/0006-load-test-sockets.md`.
//!
//! One thread has all of this for itself.

use std::array::from_fn;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::set_ip_recvtos;
use socket2::{Domain, Protocol, Socket, Type};

use super::inbox::Inbox;
use super::{Readiness, SEATS, address, whose};
use crate::client::DatagramSocket;

/// Receive buffer that is asked for: of 64 clients it holds what comes in a quarter of a second when each gets 60 of the
/// longest datagrams in a second, which take the kernel 2,304 bytes each. Linux grants `net.core.rmem_max` at most.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Messages of one call, the most that `quinn-udp` reads.
const MESSAGES: usize = quinn_udp::BATCH_SIZE;

/// So many sockets are read in a turn: with [`MESSAGES`] each half a millisecond's work. What is due meanwhile must not
/// wait until all snapshots of a tick are read.
pub(in crate::tools::bench) const AT_ONCE: usize = 2;

/// Room for a message: several datagrams to one client may come joined, up to the longest UDP payload there is. Only what
/// is written to takes memory.
const ROOM: usize = 65_536;

/// One of the clients that share a socket.
#[derive(Debug, Default)]
struct Seat {
    /// Counts who was here before: each stay has another address.
    stay: u8,
    /// Where the client is in its thread; `None` when nobody sits here.
    place: Option<usize>,
    inbox: Inbox,
}

/// A socket and who shares it.
#[derive(Debug)]
struct Shared {
    socket: Socket,
    state: UdpSocketState,
    server: SocketAddr,
    seats: RefCell<Vec<Seat>>,
    errors: Cell<u64>,
}

impl Shared {
    fn open(server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // Asking is free; what was granted is in the report.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        // Nothing from outside this machine gets as far as the address, and nothing leaves it.
        socket.bind_device(Some(b"lo"))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into())?;
        let state = UdpSocketState::new((&socket).into())?;
        // Comes along with the addresses, and nobody asks for it.
        let _ = set_ip_recvtos(&socket, false);
        let mut seats = Vec::new();
        seats.resize_with(SEATS, Seat::default);
        Ok(Self {
            socket,
            state,
            server,
            seats: RefCell::new(seats),
            errors: Cell::new(0),
        })
    }

    fn count_error(&self) {
        self.errors.set(self.errors.get() + 1);
    }
}

/// A client's share of a socket.
#[derive(Debug)]
pub(in crate::tools::bench) struct Lane {
    shared: Rc<Shared>,
    seat: usize,
    source: IpAddr,
}

impl Lane {
    /// The receive buffer that it shares.
    pub(super) fn receive_buffer(&self) -> io::Result<usize> {
        self.shared.socket.recv_buffer_size()
    }
}

impl Drop for Lane {
    /// What still comes for this stay finds nobody.
    fn drop(&mut self) {
        if let Some(seat) = self.shared.seats.borrow_mut().get_mut(self.seat) {
            seat.place = None;
            seat.inbox.clear();
        }
    }
}

impl DatagramSocket for Lane {
    /// What the system does not take is lost, as the network may lose it anywhere, and counted.
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: Some(self.source),
        };
        let Shared { socket, state, .. } = &*self.shared;
        if state.try_send(socket.into(), &transmit).is_err() {
            self.shared.count_error();
            return Ok(0);
        }
        Ok(datagram.len())
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let mut seats = self.shared.seats.borrow_mut();
        let taken = seats
            .get_mut(self.seat)
            .and_then(|seat| seat.inbox.take(buffer));
        Ok(taken.map(|length| (length, self.shared.server)))
    }
}

/// The sockets of a thread.
#[derive(Debug)]
pub(in crate::tools::bench) struct Hub {
    server: SocketAddr,
    /// Threads of the load test, which the clients are dealt to in turn.
    threads: u32,
    /// Opened when the first client comes.
    sockets: Vec<Option<Rc<Shared>>>,
    memory: Box<[u8]>,
}

impl Hub {
    /// No socket yet. Every `threads`th client will be this thread's.
    pub(in crate::tools::bench) fn new(server: SocketAddr, threads: usize) -> Self {
        Self {
            server,
            threads: u32::try_from(threads).unwrap_or(1).max(1),
            sockets: Vec::new(),
            memory: vec![0; MESSAGES * ROOM].into(),
        }
    }

    /// Whether this system has all that it takes.
    pub(super) fn try_out(server: SocketAddr) -> io::Result<()> {
        let shared = Shared::open(server)?;
        let transmit = Transmit {
            // To itself, and never read.
            destination: SocketAddr::new(
                Ipv4Addr::LOCALHOST.into(),
                shared
                    .socket
                    .local_addr()?
                    .as_socket()
                    .map_or(0, |it| it.port()),
            ),
            ecn: None,
            contents: &[0],
            segment_size: None,
            src_ip: Some(address(0, 0).into()),
        };
        shared.state.try_send((&shared.socket).into(), &transmit)
    }

    /// The seat of a client: which socket, and which of those who share it.
    const fn seat_of(&self, number: u32) -> (usize, usize) {
        let nth = (number / self.threads) as usize;
        (nth / SEATS, nth % SEATS)
    }

    /// Gives a client a lane, on another address than it had before.
    pub(in crate::tools::bench) fn open(
        &mut self,
        number: u32,
        readiness: &Readiness,
        place: usize,
    ) -> io::Result<Lane> {
        let (at, seat) = self.seat_of(number);
        if at >= self.sockets.len() {
            self.sockets.resize_with(at + 1, || None);
        }
        let Some(entry) = self.sockets.get_mut(at) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let shared = match entry {
            Some(shared) => Rc::clone(shared),
            None => {
                let shared = Rc::new(Shared::open(self.server)?);
                readiness.watch(&shared.socket, at)?;
                Rc::clone(entry.insert(shared))
            }
        };
        let mut seats = shared.seats.borrow_mut();
        let Some(found) = seats.get_mut(seat) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        found.stay = found.stay.wrapping_add(1);
        found.place = Some(place);
        found.inbox.clear();
        let source = address(number, found.stay).into();
        drop(seats);
        Ok(Lane {
            shared,
            seat,
            source,
        })
    }

    /// Reads what one call brings from a socket, and tells the places for which something has come. Says whether there may
    /// be more.
    pub(in crate::tools::bench) fn receive(
        &mut self,
        at: usize,
        mut ready: impl FnMut(usize),
    ) -> bool {
        let Some(shared) = self.sockets.get(at).and_then(Option::as_ref) else {
            return false;
        };
        let mut metas = [RecvMeta::default(); MESSAGES];
        let received = {
            let mut rooms = self.memory.chunks_exact_mut(ROOM);
            let mut buffers: [_; MESSAGES] =
                from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
            let socket = (&shared.socket).into();
            shared.state.recv(socket, &mut buffers, &mut metas)
        };
        let count = received.unwrap_or_else(|error| {
            if error.kind() != ErrorKind::WouldBlock {
                shared.count_error();
            }
            0
        });
        let mut seats = shared.seats.borrow_mut();
        for (room, meta) in self.memory.chunks_exact(ROOM).zip(metas).take(count) {
            // From the server, to the address of somebody who is there: all else is none of ours.
            let to = meta.dst_ip.filter(|_| meta.addr == self.server);
            let to = to.and_then(whose).filter(|it| self.seat_of(it.0).0 == at);
            let Some((number, stay)) = to else {
                continue;
            };
            let seat = seats.get_mut(self.seat_of(number).1);
            let Some(seat) = seat.filter(|it| address(number, it.stay) == address(number, stay))
            else {
                continue;
            };
            let Some(place) = seat.place else {
                continue;
            };
            let was_empty = seat.inbox.is_empty();
            let message = room.get(..meta.len).unwrap_or_default();
            for datagram in message.chunks(meta.stride.max(1)) {
                if !seat.inbox.push(datagram) {
                    shared.count_error();
                }
            }
            if was_empty && !seat.inbox.is_empty() {
                ready(place);
            }
        }
        count == MESSAGES
    }

    /// Errors since the last time.
    pub(in crate::tools::bench) fn take_errors(&self) -> u64 {
        let sockets = self.sockets.iter().flatten();
        sockets.map(|shared| shared.errors.take()).sum()
    }
}
