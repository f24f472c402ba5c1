//! The server's end: many sessions behind one socket, and the handshake that makes them.
//!
//! Takes datagrams and the time, gives datagrams and events. Knows tokens, addresses and slots. Has no clock, no
//! socket, and no idea what a payload says. The two steps of the handshake are in `handshake.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use rand::CryptoRng;

use super::address::Address;
use super::aead::{Counter, Protocol};
use super::answers::{Answers, Goodbye, Goodbyes};
use super::challenge::Challenger;
use super::packet::{Header, PacketKind, Reader};
use super::pending::Pending;
use super::registry::Registry;
use super::session::Session;
use super::sessions::Sessions;
use super::token::MAX_SERVERS;
use super::{Key, Rejection, Transmit};
use crate::id::{ClientId, ClientSlot, UserData};
use crate::time::{Timestamp, UnixTime};

/// What a server has to know before it starts.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The number of the game and version; tokens for another one are ignored.
    pub protocol_id: u64,
    /// The key shared with the backend that issues connect tokens.
    pub key: Key,
    /// The addresses under which clients reach this server: a token must name one of them. 1 to 32.
    pub addresses: Vec<SocketAddr>,
    /// How many clients keep-alive packets speak of; the registry decides how many there can be.
    pub max_clients: u32,
    /// How many handshakes can be half open, rounded up to a power of two: 4 to 2^24. An entry is 128 bytes.
    pub pending_entries: usize,
    /// Which of how many servers with the same key and start time this is, from 0: the shards of one process.
    ///
    /// The same token may be presented to several of them. They number their own packets so that no
    /// two ever use one number.
    pub shard: (u32, u32),
}

impl ServerConfig {
    /// The default of [`Self::pending_entries`].
    pub const PENDING_ENTRIES: usize = 65_536;

    /// The largest number of [`Self::shard`]s.
    pub const MAX_SHARDS: u32 = 256;

    /// A server alone in its process.
    #[must_use]
    pub fn new(protocol_id: u64, key: Key, address: SocketAddr, max_clients: u32) -> Self {
        Self {
            protocol_id,
            key,
            addresses: vec![address],
            max_clients,
            pending_entries: Self::PENDING_ENTRIES,
            shard: (0, 1),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (shard, shards) = self.shard;
        if !(1..=MAX_SERVERS).contains(&self.addresses.len()) {
            Err(ConfigError::Addresses)
        } else if self.max_clients == 0 {
            Err(ConfigError::NoClients)
        } else if !(4..=1 << 24).contains(&self.pending_entries) {
            Err(ConfigError::PendingEntries)
        } else if shard >= shards || shards > Self::MAX_SHARDS {
            Err(ConfigError::Shard)
        } else {
            Ok(())
        }
    }
}

/// Why a server cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A token names at most 32 addresses, and one of the server's must be among them.
    #[error("a server has 1 to 32 public addresses")]
    Addresses,
    /// Nobody could ever connect.
    #[error("max_clients is at least 1")]
    NoClients,
    /// The table of half-open handshakes has no or too many entries.
    #[error("pending_entries is 4 to 16,777,216")]
    PendingEntries,
    /// The shard's own number is not below the number of shards.
    #[error("shard is (which, of how many): which < how many <= 256")]
    Shard,
}

/// Who is at an address, as [`NetcodeServer::sender`] found it.
///
/// It is good for the datagram that it was looked up for: a session that ends is not taken for the next one in its place, but
/// one that begins later is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    address: SocketAddr,
    session: Option<ClientSlot>,
}

impl Sender {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its session, if it has one.
    #[must_use]
    pub const fn session(&self) -> Option<ClientSlot> {
        self.session
    }
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'d> {
    /// A client sent this payload: 1 to 1200 bytes, decrypted where the datagram lies.
    Payload {
        /// Who sent it.
        slot: ClientSlot,
        /// What.
        payload: &'d [u8],
    },
    /// A client says that it is still there. Authenticated like a payload, and to be charged like one.
    KeepAlive {
        /// Who.
        slot: ClientSlot,
    },
    /// It was for this layer alone: there may be something to transmit and an event.
    Handled,
    /// It was ignored.
    Rejected(Rejection),
}

/// Something that the owner of a [`NetcodeServer`] wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A client proved its address and has a place.
    Connected {
        /// Its place.
        slot: ClientSlot,
        /// Who it is.
        client: ClientId,
        /// What the backend put into the token for the game.
        user_data: UserData,
        /// Where it is, as people write it.
        address: SocketAddr,
        /// After how much silence it is dropped; `None`: never.
        timeout: Option<Duration>,
    },
    /// A session ended that the owner did not end.
    Disconnected {
        /// Its place, which is free already.
        slot: ClientSlot,
        /// Who it was.
        client: ClientId,
        /// How.
        end: End,
    },
}

/// How a session ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client said so.
    Goodbye,
    /// Nothing was heard of the client for its token's timeout.
    TimedOut,
}

/// The server's end of netcode 1.02.
///
/// Five verbs: [`receive`](Self::receive) takes a datagram, [`seal`](Self::seal) makes one,
/// [`poll_transmit`](Self::poll_transmit) gives what this layer itself wants sent,
/// [`poll_event`](Self::poll_event) says who came and went, and [`handle_timeout`](Self::handle_timeout) lets time
/// pass. After each `receive`, `disconnect` or `handle_timeout`, poll both until they are `None`.
///
/// Time is monotonic and comes with each call; a moment earlier than one before is harmless. The calendar, which
/// only the expiry of tokens needs, comes by [`set_wall_clock`](Self::set_wall_clock).
pub struct NetcodeServer {
    pub(super) protocol: Protocol,
    pub(super) protocol_id: u64,
    pub(super) key: Key,
    pub(super) addresses: Vec<Address>,
    pub(super) max_clients: u32,
    pub(super) wall: UnixTime,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) sessions: Sessions,
    pub(super) pending: Pending,
    pub(super) challenger: Challenger,
    /// Numbers the packets that are sent before there is a session.
    pub(super) counter: Counter,
    pub(super) answers: Answers,
    goodbyes: Goodbyes,
    keep_alives: VecDeque<ClientSlot>,
    pub(super) events: VecDeque<SessionEvent>,
}

impl fmt::Debug for NetcodeServer {
    /// Without keys, and without walking through the sessions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetcodeServer")
            .field("protocol_id", &self.protocol_id)
            .field("sessions", &self.len())
            .field("max_clients", &self.max_clients)
            .finish_non_exhaustive()
    }
}

impl NetcodeServer {
    /// A server without sessions.
    ///
    /// `started` is the calendar time in **microseconds** since 1970, read once. It must differ from one start to the
    /// next: the server's own packets are numbered from `2^63 + started * 2^11`, so that a restarted server does not
    /// seal with a number that its predecessor may have used with the same token's key (netcode's
    /// IMPLEMENTERS.md, finding 3). 2^11 numbers a microsecond are more than any server can send.
    ///
    /// # Errors
    ///
    /// A configuration with which nobody could connect.
    pub fn new(
        config: ServerConfig,
        rng: &mut dyn CryptoRng,
        started: u64,
        registry: Arc<dyn Registry>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let (shard, shards) = config.shard;
        let first = (started << 11).saturating_add(u64::from(shard));
        Ok(Self {
            protocol: Protocol::new(config.protocol_id),
            protocol_id: config.protocol_id,
            key: config.key,
            addresses: config.addresses.into_iter().map(Address::new).collect(),
            max_clients: config.max_clients,
            wall: UnixTime(started / 1_000_000),
            registry,
            sessions: Sessions::new(rng),
            pending: Pending::new(config.pending_entries, rng),
            challenger: Challenger::generate(rng),
            counter: Counter::of_server(first, u64::from(shards)),
            answers: Answers::default(),
            goodbyes: Goodbyes::default(),
            keep_alives: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// Sets the calendar time, against which tokens expire. Nothing else depends on it: it may jump.
    pub fn set_wall_clock(&mut self, now: UnixTime) {
        self.wall = now;
    }

    /// Takes one datagram, which is decrypted where it lies.
    ///
    /// A seated address answers for its own session alone: connection requests from it are ignored
    /// before any cryptography, whoever forged them.
    pub fn receive<'d>(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &'d mut [u8],
    ) -> Received<'d> {
        self.receive_from(now, self.sender(from), datagram)
    }

    /// The same for whoever has looked up already [who is at an address](Self::sender).
    pub fn receive_from<'d>(
        &mut self,
        now: Timestamp,
        sender: Sender,
        datagram: &'d mut [u8],
    ) -> Received<'d> {
        let from = sender.address;
        let outcome = if datagram.first() == Some(&0) {
            self.receive_request(now, from, datagram)
        } else if let Some(slot) = sender.session {
            return self.receive_in_session(now, slot, datagram);
        } else {
            self.receive_response(now, from, datagram)
        };
        match outcome {
            Ok(()) => Received::Handled,
            Err(rejection) => Received::Rejected(rejection),
        }
    }

    fn receive_in_session<'d>(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        datagram: &'d mut [u8],
    ) -> Received<'d> {
        match self.open_in_session(now, slot, datagram) {
            Ok((PacketKind::Payload, payload)) => Received::Payload { slot, payload },
            Ok((PacketKind::KeepAlive, _)) => Received::KeepAlive { slot },
            Ok((PacketKind::Disconnect, _)) => {
                self.end(slot, End::Goodbye);
                Received::Handled
            }
            Ok(_) => Received::Handled,
            Err(rejection) => Received::Rejected(rejection),
        }
    }

    fn open_in_session<'d>(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        datagram: &'d mut [u8],
    ) -> Result<(PacketKind, &'d [u8]), Rejection> {
        let header = Header::read(Reader::Server, datagram)?;
        if !header.kind.is_replay_protected() {
            // A repeated response, above all: the client has not heard yet that it is connected.
            return Err(Rejection::AddressSeated);
        }
        let session = self.sessions.get_mut(slot).ok_or(Rejection::NoSession)?;
        let body = session.open(now, &self.protocol, &header, datagram)?;
        Ok((header.kind, body))
    }

    /// Whose session an address has. Costs one look-up and no cryptography.
    #[must_use]
    pub fn session_at(&self, from: SocketAddr) -> Option<ClientSlot> {
        let session = self.sessions.at(Address::new(from))?;
        Some(session.slot)
    }

    /// Who is at an address: one look-up, for the driver that asks before it passes a datagram on and for
    /// [`receive_from`](Self::receive_from).
    #[must_use]
    pub fn sender(&self, address: SocketAddr) -> Sender {
        let session = self.session_at(address);
        Sender { address, session }
    }

    /// Whether the client has shown that it knows it is connected. Until then
    /// [`seal_keep_alive`](Self::seal_keep_alive) comes before each payload.
    #[must_use]
    pub fn is_confirmed(&self, slot: ClientSlot) -> bool {
        self.sessions
            .get(slot)
            .is_some_and(|session| session.confirmed)
    }

    /// Makes a payload packet in `out`, which should have room for [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes.
    ///
    /// `write` puts the payload where it is then encrypted, into up to 1200 bytes, and answers how many it wrote;
    /// with 0 nothing is sent and no sequence number is used. `None` also when there is no such session any more.
    pub fn seal(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        out: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Option<Transmit> {
        let session = self.sessions.get_mut(slot)?;
        let len = session.sealer.seal_payload(&self.protocol, out, write)?;
        session.sent(now);
        Some(Transmit {
            to: session.peer,
            len,
        })
    }

    /// Makes a keep-alive packet in `out`: it tells the client its index and that it is connected.
    pub fn seal_keep_alive(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        out: &mut [u8],
    ) -> Option<Transmit> {
        let session = self.sessions.get_mut(slot)?;
        let mut body = [0; 8];
        body[..4].copy_from_slice(&slot.index.to_le_bytes());
        body[4..].copy_from_slice(&self.max_clients.to_le_bytes());
        let len = session
            .sealer
            .seal(&self.protocol, PacketKind::KeepAlive, &body, out)?;
        session.sent(now);
        Some(Transmit {
            to: session.peer,
            len,
        })
    }

    /// The next datagram that this layer itself wants sent: handshake answers, goodbyes, keep-alives.
    ///
    /// `out` needs room for [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes.
    pub fn poll_transmit(&mut self, now: Timestamp, out: &mut [u8]) -> Option<Transmit> {
        if let Some(transmit) = self.answers.pop(out) {
            return Some(transmit);
        }
        if let Some(transmit) = self.goodbyes.pop(&self.protocol, out) {
            return Some(transmit);
        }
        while let Some(slot) = self.keep_alives.pop_front() {
            let Some(session) = self.sessions.get_mut(slot) else {
                continue;
            };
            session.keep_alive_queued = false;
            // A payload may have gone out since.
            if session.is_silent(now) || !session.confirmed {
                return self.seal_keep_alive(now, slot, out);
            }
        }
        None
    }

    /// Who came, who went.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Ends a session: its place is free at once, and ten disconnect packets wait in
    /// [`poll_transmit`](Self::poll_transmit). There is no event: the caller knows.
    pub fn disconnect(&mut self, _now: Timestamp, slot: ClientSlot) {
        if let Some(session) = self.leave(slot) {
            let goodbye = Goodbye::new(session.peer, session.sealer);
            self.goodbyes.push(goodbye, self.max_clients as usize);
        }
    }

    /// Lets time pass: finds clients that have fallen silent and those to whom nothing was said.
    ///
    /// Visits only the share of the places that is due: all within 50 ms if called every few milliseconds, or when
    /// [`poll_timeout`](Self::poll_timeout) says. A late call makes up for at most one round.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let mut gone = Vec::new();
        let keep_alives = &mut self.keep_alives;
        self.sessions.visit(now, |session| {
            if session.has_timed_out(now) {
                gone.push(session.slot);
            } else if session.is_silent(now) && !session.keep_alive_queued {
                session.keep_alive_queued = true;
                keep_alives.push_back(session.slot);
            }
        });
        for slot in gone {
            self.end(slot, End::TimedOut);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` while there is no session.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.sessions.next_visit()
    }

    /// The slots of all sessions. Walks through every place: not for the path of a datagram.
    pub fn sessions(&self) -> impl Iterator<Item = ClientSlot> {
        self.sessions.iter().map(|session| session.slot)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seats a session and queues the first keep-alive, which tells the client.
    pub(super) fn enter(&mut self, mut session: Session) {
        session.keep_alive_queued = true;
        self.keep_alives.push_back(session.slot);
        self.sessions.insert(session);
    }

    fn leave(&mut self, slot: ClientSlot) -> Option<Session> {
        let session = self.sessions.remove(slot)?;
        self.registry.release(slot);
        Some(session)
    }

    fn end(&mut self, slot: ClientSlot, end: End) {
        if let Some(session) = self.leave(slot) {
            self.events.push_back(SessionEvent::Disconnected {
                slot,
                client: session.client,
                end,
            });
        }
    }
}
