//! The client's end: one token, one server at a time, ten states.
//!
//! Takes datagrams and the time, gives datagrams and events. Knows the token's servers and tries the next one when one
//! fails. Has no clock, no socket, and no idea what a payload says.

use std::collections::VecDeque;

use core::net::SocketAddr;
use core::time::Duration;

use super::address::Address;
use super::aead::{Opener, Protocol, Sealer};
use super::answers::GOODBYES;
use super::packet::{CHALLENGE_BODY, Header, PacketKind, Reader, VERSION};
use super::private::timeout;
use super::session::KEEP_ALIVE_EVERY;
use super::state::ClientState;
use super::token::{ConnectToken, TokenError};
use super::{Rejection, Transmit};
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::Timestamp;

/// How often a request or a response is repeated, and how long a connected client stays silent: "like 10HZ".
const SEND_EVERY: Duration = KEEP_ALIVE_EVERY;

/// What became of a datagram at the client.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientReceived<'d> {
    /// The server sent this payload: 1 to 1200 bytes, decrypted where the datagram lies.
    Payload(&'d [u8]),
    /// It was for this layer alone: there may be an event.
    Handled,
    /// It was ignored.
    Rejected(Rejection),
}

/// Something that the owner of a [`NetcodeClient`] wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEvent {
    /// The server has a place for us.
    Connected {
        /// Which one.
        client_index: u32,
        /// Of how many.
        max_clients: u32,
    },
    /// It is over, and not by our own wish: the state says why.
    Ended(ClientState),
}

/// A state with what exists only in it.
#[derive(Debug)]
enum Phase {
    Requesting,
    Responding {
        challenge: Box<[u8; CHALLENGE_BODY]>,
    },
    Connected {
        place: [u8; 8],
        heard: Timestamp,
    },
    Ended(ClientState),
}

/// The client's end of netcode 1.02.
///
/// It begins to connect when it is made. [`receive`](Self::receive) takes a datagram, [`seal`](Self::seal) makes a payload
/// packet once connected, [`poll_transmit`](Self::poll_transmit) gives what this layer itself wants sent (requests and
/// responses at 10 Hz, keep-alives, goodbyes), [`poll_event`](Self::poll_event) says how it went, and
/// [`handle_timeout`](Self::handle_timeout) lets time pass. After each `receive`, `disconnect` or `handle_timeout`, poll
/// both until they are `None`.
///
/// One token is for one client: two clients with one token would number their packets alike under one key.
#[derive(Debug)]
pub struct NetcodeClient {
    token: ConnectToken,
    protocol: Protocol,
    phase: Phase,
    /// Which of the token's servers is being tried.
    server: usize,
    begun: Timestamp,
    /// When the current step of the handshake began.
    step_begun: Timestamp,
    /// `None` when something is due at once.
    last_sent: Option<Timestamp>,
    /// One for the token's whole life: its numbers go on from server to server, because the key stays the same.
    sealer: Sealer,
    opener: Opener,
    goodbyes: u8,
    events: VecDeque<ClientEvent>,
}

impl From<TokenError> for ClientState {
    /// A token that cannot be read leads here, and there is no client.
    fn from(_: TokenError) -> Self {
        Self::InvalidConnectToken
    }
}

impl NetcodeClient {
    /// A client that begins to connect to the first server of its token.
    ///
    /// The token may take `expires - created` seconds from here on, on the monotonic clock: the player's calendar may
    /// be wrong by hours and is not asked.
    #[must_use]
    pub fn new(token: ConnectToken, now: Timestamp) -> Self {
        Self {
            protocol: Protocol::new(token.protocol_id),
            phase: Phase::Requesting,
            server: 0,
            begun: now,
            step_begun: now,
            last_sent: None,
            sealer: Sealer::new(token.client_to_server.clone()),
            opener: Opener::new(token.server_to_client.clone()),
            goodbyes: 0,
            events: VecDeque::new(),
            token,
        }
    }

    /// The state, in the standard's words.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        match self.phase {
            Phase::Requesting => ClientState::SendingConnectionRequest,
            Phase::Responding { .. } => ClientState::SendingConnectionResponse,
            Phase::Connected { .. } => ClientState::Connected,
            Phase::Ended(state) => state,
        }
    }

    /// The server that the client talks to, or talked to last.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        const NOWHERE: SocketAddr =
            SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);
        // A token has at least one server, and `server` only moves to one that exists.
        self.token
            .servers
            .get(self.server)
            .copied()
            .unwrap_or(NOWHERE)
    }

    /// Takes one datagram, which is decrypted where it lies.
    pub fn receive<'d>(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &'d mut [u8],
    ) -> ClientReceived<'d> {
        match self.open(from, datagram) {
            Ok((kind, body)) => self.handle(now, kind, body),
            Err(rejection) => ClientReceived::Rejected(rejection),
        }
    }

    fn open<'d>(
        &mut self,
        from: SocketAddr,
        datagram: &'d mut [u8],
    ) -> Result<(PacketKind, &'d [u8]), Rejection> {
        if self.state().is_end() {
            return Err(Rejection::NoSession);
        }
        if Address::new(from) != Address::new(self.server_address()) {
            return Err(Rejection::WrongSender);
        }
        let header = Header::read(Reader::Client, datagram)?;
        let body = self.opener.open(&self.protocol, &header, datagram)?;
        Ok((header.kind, body))
    }

    /// The licensed transitions, and nothing else.
    fn handle<'d>(
        &mut self,
        now: Timestamp,
        kind: PacketKind,
        body: &'d [u8],
    ) -> ClientReceived<'d> {
        match (&mut self.phase, kind) {
            (Phase::Requesting, PacketKind::Challenge) => self.respond(now, body),
            (Phase::Requesting | Phase::Responding { .. }, PacketKind::Denied) => {
                self.try_next(now, ClientState::ConnectionDenied);
            }
            (Phase::Responding { .. }, PacketKind::KeepAlive) => self.connect(now, body),
            (Phase::Connected { heard, .. }, PacketKind::KeepAlive) => *heard = now.max(*heard),
            (Phase::Connected { heard, .. }, PacketKind::Payload) => {
                *heard = now.max(*heard);
                return ClientReceived::Payload(body);
            }
            (Phase::Connected { .. }, PacketKind::Disconnect) => {
                self.end(ClientState::Disconnected);
            }
            _ => return ClientReceived::Rejected(Rejection::Unexpected),
        }
        ClientReceived::Handled
    }

    fn respond(&mut self, now: Timestamp, body: &[u8]) {
        let Some(challenge) = body.first_chunk() else {
            return;
        };
        self.phase = Phase::Responding {
            challenge: Box::new(*challenge),
        };
        self.step_begun = now;
        self.last_sent = None;
    }

    fn connect(&mut self, now: Timestamp, body: &[u8]) {
        let mut reader = ByteReader::new(body);
        let (Some(place), Some(client_index), Some(max_clients)) =
            (body.first_chunk(), reader.u32(), reader.u32())
        else {
            return;
        };
        self.phase = Phase::Connected {
            place: *place,
            heard: now,
        };
        // The server waits for a sign that we know: it goes out at once.
        self.last_sent = None;
        self.events.push_back(ClientEvent::Connected {
            client_index,
            max_clients,
        });
    }

    /// This server failed: the next one, or the end.
    fn try_next(&mut self, now: Timestamp, failure: ClientState) {
        if self.server + 1 >= self.token.servers.len() {
            self.end(failure);
            return;
        }
        self.server += 1;
        self.phase = Phase::Requesting;
        self.step_begun = now;
        self.last_sent = None;
        // Another server numbers its packets by itself.
        self.opener = Opener::new(self.token.server_to_client.clone());
    }

    fn end(&mut self, state: ClientState) {
        self.phase = Phase::Ended(state);
        self.events.push_back(ClientEvent::Ended(state));
    }

    /// Makes a payload packet in `out`, which should have room for [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes.
    ///
    /// `write` puts the payload where it is then encrypted, into up to 1200 bytes, and answers how many it wrote; with
    /// 0 nothing is sent and no sequence number is used. `None` also while not connected.
    pub fn seal(
        &mut self,
        now: Timestamp,
        out: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Option<Transmit> {
        if self.state() != ClientState::Connected {
            return None;
        }
        let len = self.sealer.seal_payload(&self.protocol, out, write)?;
        Some(self.sent(now, len))
    }

    fn sent(&mut self, now: Timestamp, len: usize) -> Transmit {
        self.last_sent = Some(now);
        Transmit {
            to: self.server_address(),
            len,
        }
    }

    /// The next datagram that this layer itself wants sent: a request, a response, a keep-alive, a goodbye.
    ///
    /// `out` needs room for [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes.
    pub fn poll_transmit(&mut self, now: Timestamp, out: &mut [u8]) -> Option<Transmit> {
        if self.goodbyes > 0 {
            self.goodbyes -= 1;
            let len = self
                .sealer
                .seal(&self.protocol, PacketKind::Disconnect, &[], out)?;
            return Some(self.sent(now, len));
        }
        if self.last_sent.is_some_and(|at| now.since(at) < SEND_EVERY) {
            return None;
        }
        let Self {
            sealer, protocol, ..
        } = self;
        let len = match &self.phase {
            Phase::Requesting => write_request(&self.token, out)?,
            Phase::Responding { challenge } => {
                sealer.seal(protocol, PacketKind::Response, &challenge[..], out)?
            }
            Phase::Connected { place, .. } => {
                sealer.seal(protocol, PacketKind::KeepAlive, place, out)?
            }
            Phase::Ended(_) => return None,
        };
        Some(self.sent(now, len))
    }

    /// How it went.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Lets time pass: gives up on a silent server, or on the whole attempt.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let silent = |since: Timestamp| self.timeout().is_some_and(|it| now.since(since) >= it);
        let late = now.since(self.begun) >= self.patience();
        match self.phase {
            Phase::Ended(_) => {}
            Phase::Connected { heard, .. } => {
                if silent(heard) {
                    self.end(ClientState::ConnectionTimedOut);
                }
            }
            Phase::Requesting | Phase::Responding { .. } if late => {
                self.end(ClientState::ConnectTokenExpired);
            }
            Phase::Requesting => {
                if silent(self.step_begun) {
                    self.try_next(now, ClientState::ConnectionRequestTimedOut);
                }
            }
            Phase::Responding { .. } => {
                if silent(self.step_begun) {
                    self.try_next(now, ClientState::ConnectionResponseTimedOut);
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) want to be called next, a moment in
    /// the past meaning now; `None` when it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let (silent_since, whole) = match self.phase {
            Phase::Ended(_) => return None,
            Phase::Connected { heard, .. } => (heard, None),
            _ => (self.step_begun, Some(self.begun + self.patience())),
        };
        let send = self.last_sent.map_or(self.step_begun, |at| at + SEND_EVERY);
        let give_up = self.timeout().map(|timeout| silent_since + timeout);
        [Some(send), give_up, whole].into_iter().flatten().min()
    }

    /// Ends the session, or the attempt, by our own wish. Once the server may know of us ten disconnect packets wait in
    /// [`poll_transmit`](Self::poll_transmit). There is no event: the caller knows.
    pub fn disconnect(&mut self, _now: Timestamp) {
        match self.phase {
            Phase::Ended(_) => return,
            Phase::Requesting => {}
            Phase::Responding { .. } | Phase::Connected { .. } => self.goodbyes = GOODBYES,
        }
        self.phase = Phase::Ended(ClientState::Disconnected);
    }

    fn timeout(&self) -> Option<Duration> {
        timeout(self.token.timeout_seconds)
    }

    /// How long connecting may take over all servers (standard, "Connect Token Expired").
    fn patience(&self) -> Duration {
        Duration::from_secs(self.token.expires.0.saturating_sub(self.token.created.0))
    }
}

/// Writes the one packet that is not sealed.
fn write_request(token: &ConnectToken, out: &mut [u8]) -> Option<usize> {
    let mut writer = ByteWriter::new(out);
    writer.u8(0)?;
    writer.bytes(VERSION)?;
    writer.u64(token.protocol_id)?;
    writer.u64(token.expires.0)?;
    writer.bytes(&token.nonce)?;
    writer.bytes(&token.private[..])?;
    Some(writer.len())
}
