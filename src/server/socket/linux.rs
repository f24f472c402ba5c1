//! Many datagrams a call: `recvmmsg` with or without datagrams that the kernel has joined (GRO), `sendmmsg`, and
//! one piece that the kernel cuts into datagrams (GSO).
//!
//! All of it without unsafe code and without asking the allocator: `rustix` has a safe `sendmmsg` over headers that live
//! on the stack, `quinn-udp` has the two others.

use std::array::from_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::slice::from_ref;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::{set_ip_recvtos, set_ipv6_recvtclass};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::queue::Run;
use super::send::{Calls, MANY};
use super::{Batch, Mechanisms, RECEIVE_BUFFER, SendQueue};

/// Messages of one receive while the kernel joins datagrams: with their buffers 512 KiB a shard.
const JOINED_MESSAGES: usize = 8;

/// Room for what the kernel joins: the longest UDP payload there is.
const JOINED_BUFFER: usize = 65_536;

/// The options of `quinn-udp`'s receive (addresses of this host, service class, time of arrival) make each
/// datagram half as expensive again to read, and nobody here asks for any of it. They are set on the socket a state is
/// made from, and no call needs them: so where no joining is wanted, the state is that of another socket.
fn state_apart() -> io::Result<UdpSocketState> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .or_else(|_| Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)))?;
    UdpSocketState::new((&socket).into())
}

/// What this system allows, tried without a datagram; with what was refused and why.
pub(super) fn detect(refused: &mut dyn FnMut(&'static str, io::Error)) -> Mechanisms {
    let mut found = Mechanisms::NONE;
    let mut note = |name, outcome: io::Result<()>| {
        let is_there = outcome.is_ok();
        if let Err(error) = outcome {
            refused(name, error);
        }
        is_there
    };
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .or_else(|_| Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)));
    let state = socket.and_then(|socket| Ok((UdpSocketState::new((&socket).into())?, socket)));
    let (state, socket) = match state {
        Ok(both) => both,
        Err(error) => {
            note("batches", Err(error));
            return found;
        }
    };
    let supported = |is_there: bool| {
        if is_there {
            Ok(())
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    };
    found.receive_many = note("recvmmsg", is_empty(&state, &socket));
    found.receive_joined = note("GRO", supported(state.gro_segments() > 1));
    let nothing = sendmmsg(&socket, &mut [], SendFlags::empty());
    found.send_many = note("sendmmsg", nothing.map(drop).map_err(io::Error::from));
    found.send_segments = note("GSO", supported(state.max_gso_segments() > 1));
    found
}

/// Reads from a socket to which nobody can have sent: all is well when it would block.
fn is_empty(state: &UdpSocketState, socket: &Socket) -> io::Result<()> {
    let mut buffer = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut buffer)];
    match state.recv(socket.into(), &mut buffers, &mut [RecvMeta::default()]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to [`BATCH_SIZE`] messages a call.
#[derive(Debug)]
pub(super) struct ManyAtOnce {
    state: UdpSocketState,
    messages: usize,
    /// The length of each message's share of `memory`.
    room: usize,
    memory: Box<[u8]>,
}

impl ManyAtOnce {
    /// `None` where it is not wanted or cannot be.
    pub(super) fn new(socket: &StdSocket, mechanisms: Mechanisms) -> Option<Self> {
        if !mechanisms.receive_many {
            return None;
        }
        if mechanisms.receive_joined
            && let Ok(state) = UdpSocketState::new(socket.into())
            && state.gro_segments() > 1
        {
            // Of the options that came along, those that can be taken back.
            let _ = (
                set_ip_recvtos(socket, false),
                set_ipv6_recvtclass(socket, false),
            );
            return Some(Self::with(state, JOINED_MESSAGES, JOINED_BUFFER));
        }
        Some(Self::with(state_apart().ok()?, BATCH_SIZE, RECEIVE_BUFFER))
    }

    fn with(state: UdpSocketState, messages: usize, room: usize) -> Self {
        Self {
            state,
            messages,
            room,
            memory: vec![0; messages * room].into(),
        }
    }

    /// Makes one call and hands on what it brought.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        batch: &mut Batch,
        handle: &mut impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        let (state, messages) = (&self.state, self.messages);
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let count = {
            let mut shares = self.memory.chunks_exact_mut(self.room);
            let mut buffers: [_; BATCH_SIZE] =
                from_fn(|_| IoSliceMut::new(shares.next().unwrap_or_default()));
            let buffers = buffers.get_mut(..messages).unwrap_or_default();
            state.recv(socket.into(), buffers, &mut metas)?
        };
        let messages = self.memory.chunks_exact_mut(self.room).zip(metas);
        for (share, meta) in messages.take(count) {
            let bytes = share.get_mut(..meta.len).unwrap_or_default();
            hand_on(meta.addr, bytes, meta.stride, batch, handle);
        }
        if count < self.messages {
            // The socket is empty. Saying so spares a call that finds nothing.
            batch.would_block = true;
        }
        Ok(())
    }
}

/// Hands on one message: a datagram, or several of one size of which the last may be shorter.
pub(super) fn hand_on(
    from: SocketAddr,
    message: &mut [u8],
    stride: usize,
    batch: &mut Batch,
    handle: &mut impl FnMut(SocketAddr, &mut [u8]),
) {
    if message.is_empty() {
        return batch.take(from, message, handle);
    }
    let count = message.len().div_ceil(stride.max(1)) as u64;
    batch.joined += if count > 1 { count } else { 0 };
    for datagram in message.chunks_mut(stride.max(1)) {
        let length = datagram.len().min(RECEIVE_BUFFER);
        batch.take(from, datagram.get_mut(..length).unwrap_or_default(), handle);
    }
}

/// What it takes to have the kernel cut one piece into datagrams.
#[derive(Debug)]
pub(super) struct Segmenter(UdpSocketState);

impl Segmenter {
    pub(super) fn new(mechanisms: Mechanisms) -> Option<Self> {
        let is_wanted = mechanisms.send_segments;
        is_wanted.then(state_apart)?.ok().map(Self)
    }
}

/// The calls of Linux.
pub(super) struct Linux<'s> {
    pub(super) socket: &'s UdpSocket,
    pub(super) segmenter: Option<&'s Segmenter>,
}

impl Calls for Linux<'_> {
    fn one(&mut self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(datagram, to).map(drop)
    }

    fn many(&mut self, queue: &SendQueue, count: usize) -> io::Result<usize> {
        // A header takes 240 bytes of the stack: a few datagrams should not pay for many.
        if count <= FEW {
            send_many::<FEW>(self.socket, queue, count)
        } else {
            send_many::<MANY>(self.socket, queue, count)
        }
    }

    fn segments(&mut self, run: &Run<'_>) -> io::Result<()> {
        let Some(Segmenter(state)) = self.segmenter else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let transmit = Transmit {
            destination: run.to,
            ecn: None,
            contents: run.bytes,
            segment_size: Some(run.size),
            src_ip: None,
        };
        self.socket.try_io(Interest::WRITABLE, || {
            state.try_send(self.socket.into(), &transmit)
        })
    }
}

/// As many as often wait together when there is no snapshot to send.
const FEW: usize = 4;

/// One datagram of a batch, in the forms that the kernel wants.
struct Piece<'q> {
    to: SocketAddrAny,
    bytes: IoSlice<'q>,
    control: SendAncillaryBuffer<'static, 'static, 'static>,
}

fn send_many<const N: usize>(
    socket: &UdpSocket,
    queue: &SendQueue,
    count: usize,
) -> io::Result<usize> {
    let mut waiting = queue.iter();
    let Some(first) = waiting.next() else {
        return Ok(0);
    };
    let mut next = Some(first);
    let mut pieces: [Piece<'_>; N] = from_fn(|_| {
        let (to, bytes) = next.unwrap_or(first);
        next = waiting.next();
        Piece {
            to: to.into(),
            bytes: IoSlice::new(bytes),
            control: SendAncillaryBuffer::default(),
        }
    });
    let mut headers = pieces
        .each_mut()
        .map(|it| MMsgHdr::new_with_addr(&it.to, from_ref(&it.bytes), &mut it.control));
    // The places behind `count` hold something, which is not sent.
    let headers = headers.get_mut(..count).unwrap_or_default();
    socket.try_io(Interest::WRITABLE, || {
        Ok(sendmmsg(socket, headers, SendFlags::empty())?)
    })
}
