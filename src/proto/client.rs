//! One server: the client endpoint.
//!
//! The other half of [`server`](super::server), in the same shape: netcode decides whether we are
//! connected, the link numbers and acknowledges, the replica holds what we were told of the world, and this
//! file carries bytes and news between them. No clock, no socket, no thread. Who says what when is section 6 of
//! `docs/protocol.md`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::proto::channel::{ChannelId, Link, LinkConfig, LinkStats};
use crate::proto::control::{Block, Blocks, Hello};
use crate::proto::event::{ClientEvent, DisconnectReason, SendError, Welcome};
use crate::proto::input::{InputBytes, RecentInputs};
use crate::proto::netcode::{
    self, ClientReceived, ClientState, ConnectToken, NetcodeClient, Transmit,
};
use crate::proto::snapshot::{self, Replica, Schema};
use crate::proto::stats::{EndpointStats, Rejection, SessionRejection};
use crate::proto::wire::{ByteWriter, widen};
use crate::time::{Tick, Timestamp, UnixTime};

/// How a client endpoint behaves.
#[derive(Debug, Clone)]
pub struct ClientEndpointConfig {
    /// The message channels, the same at both ends.
    pub link: Arc<LinkConfig>,
    /// What the world consists of, the same at both ends.
    pub schema: Arc<Schema>,
    /// The protocol id that the game speaks; a token for another one is refused by name.
    pub protocol_id: Option<u64>,
    /// The server that the player asked for; a token that does not name it is refused by name.
    pub server: Option<SocketAddr>,
}

impl ClientEndpointConfig {
    /// A client of a world that consists of this, on the default channels (0 is reliable, 1 is unreliable), that goes wherever
    /// its token says.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        Self {
            link: Arc::new(LinkConfig::default()),
            schema,
            protocol_id: None,
            server: None,
        }
    }
}

/// Until the server's welcome arrives, the hello is said again this often.
const HELLO_EVERY: Duration = Duration::from_millis(100);

/// A goodbye is said this often at once, before the session layer's own.
const GOODBYES: u8 = 3;

/// How much of a payload messages may fill: inputs come first, and they are small.
const MESSAGE_BUDGET: usize = 900;

/// Half a minute of snapshots at 60 Hz. An application that has not asked for so long has other worries.
const MAX_WAITING_EVENTS: usize = 2_048;

/// The client's end of one session.
///
/// The verbs are those of [`ServerEndpoint`](super::server::ServerEndpoint). The last event is always
/// [`ClientEvent::Disconnected`]; after it the endpoint is silent for ever.
pub struct ClientEndpoint {
    netcode: NetcodeClient,
    link: Link,
    replica: Replica,
    /// Parts are applied to the replica; otherwise only their ticks are read.
    decodes: bool,
    hello: Hello,
    stage: Stage,
    welcome: Option<Welcome>,
    inputs: RecentInputs,
    input_is_due: bool,
    hello_at: Timestamp,
    resync_at: Timestamp,
    events: VecDeque<ClientEvent>,
    counts: SnapshotCounts,
    stats: EndpointStats,
}

#[derive(Debug)]
enum Stage {
    /// Connecting or connected.
    Open,
    /// We leave: so many goodbyes are still to be said.
    Leaving {
        reason: DisconnectReason,
        text: String,
        goodbyes: u8,
    },
    /// Told the application.
    Over,
}

/// Snapshots of which something, and of which everything arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// The first tick of which anything arrived.
    pub first: Option<Tick>,
    /// The newest tick of which anything arrived.
    pub newest: Option<Tick>,
    /// Snapshots of which every part arrived.
    pub whole: u64,
}

impl ClientEndpoint {
    /// An endpoint that sets out with a connect token.
    ///
    /// What is wrong with the token is not an error here but the first and last event, so that there is one
    /// place to handle a failure to connect.
    #[must_use]
    pub fn new(
        config: ClientEndpointConfig,
        token: ConnectToken,
        now: Timestamp,
        wall_clock: UnixTime,
    ) -> Self {
        let refused = refusal(&config, &token, wall_clock);
        let mut endpoint = Self {
            netcode: NetcodeClient::new(token, now),
            link: Link::new(config.link),
            hello: Hello::ours(config.schema.hash()),
            // The welcome says how far apart snapshots are; before it none is taken.
            replica: Replica::new(config.schema, 1),
            decodes: true,
            stage: Stage::Open,
            welcome: None,
            inputs: RecentInputs::default(),
            input_is_due: false,
            hello_at: now,
            resync_at: now,
            events: VecDeque::new(),
            counts: SnapshotCounts::default(),
            stats: EndpointStats::default(),
        };
        if let Some(reason) = refused {
            endpoint.netcode.disconnect(now);
            endpoint.end(reason, String::new());
        }
        endpoint
    }

    /// The same without a world: parts of snapshots are opened, acknowledged and told by their tick, and not decoded.
    ///
    /// For load tests with thousands of clients in one process. The server cannot tell the difference: it is the
    /// datagram that is acknowledged. The [`replica`](Self::replica) stays empty, a part that a replica would refuse is
    /// not noticed, and [`ClientEvent::Snapshot`] never says that a snapshot is whole.
    #[must_use]
    pub const fn without_replica(mut self) -> Self {
        self.decodes = false;
        self
    }

    /// Takes in one datagram, which is decrypted where it lies.
    pub fn handle_datagram(&mut self, now: Timestamp, from: SocketAddr, datagram: &mut [u8]) {
        self.stats.received.count(datagram.len());
        if matches!(self.stage, Stage::Over) {
            return;
        }
        match self.netcode.receive(now, from, datagram) {
            ClientReceived::Payload(payload) => self.receive_payload(now, payload),
            ClientReceived::Handled => {}
            ClientReceived::Rejected(by) => self.stats.rejections.count(Rejection::Netcode(by)),
        }
        self.hear_session();
    }

    fn receive_payload(&mut self, now: Timestamp, payload: &[u8]) {
        let body = match self.link.receive(now, payload) {
            Ok(received) => received.body,
            Err(by) => return self.stats.rejections.count(Rejection::Channel(by)),
        };
        // A client has no use for the fate of its own datagrams: inputs are repeated anyway.
        while self.link.poll_delivery().is_some() {}
        let mut blocks = Blocks::new(body);
        while let Some(block) = blocks.next() {
            let result = match block {
                Ok(block) => self.receive_block(now, block),
                Err(by) => Err(Rejection::Session(by)),
            };
            if let Err(rejection) = result {
                return self.stats.rejections.count(rejection);
            }
        }
    }

    fn receive_block(&mut self, now: Timestamp, block: Block<'_>) -> Result<(), Rejection> {
        match block {
            Block::Welcome { hello, welcome } => self.hear_welcome(hello, welcome),
            Block::Margin { micros } => self.tell(ClientEvent::InputMargin { micros }),
            Block::Goodbye { reason, text } => self.end(reason, text.to_owned()),
            Block::Warning { warning, grace_ms } => {
                self.events
                    .push_back(ClientEvent::Warned { warning, grace_ms });
            }
            Block::Snapshot(_) if self.welcome.is_none() => {
                return Err(Rejection::Session(SessionRejection::NotWelcome));
            }
            Block::Snapshot(part) => return self.receive_part(now, part),
            Block::Hello(_) | Block::Inputs | Block::Resync => {
                return Err(Rejection::Session(SessionRejection::MisplacedBlock));
            }
        }
        Ok(())
    }

    fn hear_welcome(&mut self, hello: Hello, welcome: Welcome) {
        if self.welcome.is_some() {
            return;
        }
        if let Some(reason) = self.hello.mismatch(hello) {
            return self.leave(reason, "");
        }
        self.welcome = Some(welcome);
        let schema = Arc::clone(self.replica.schema());
        self.replica = Replica::new(schema, u32::from(welcome.snapshot_every));
        self.events.push_back(ClientEvent::Connected(welcome));
    }

    fn receive_part(&mut self, now: Timestamp, part: &[u8]) -> Result<(), Rejection> {
        if !self.decodes {
            return self.note_part(part);
        }
        let applied = self.replica.receive(part).map_err(|by| {
            if self.replica.needs_resync() {
                self.resync_at = self.resync_at.min(now);
            }
            Rejection::Snapshot(by)
        })?;
        self.counts.first.get_or_insert(applied.tick);
        self.counts.newest = self.counts.newest.max(Some(applied.tick));
        self.counts.whole += u64::from(applied.parts_complete);
        let (tick, whole) = (applied.tick, applied.parts_complete);
        self.tell(ClientEvent::Snapshot { tick, whole });
        Ok(())
    }

    /// Takes note of a part that nobody decodes: the low 16 bits of its tick come first, lowest byte first (section 8
    /// of `docs/protocol.md`).
    fn note_part(&mut self, part: &[u8]) -> Result<(), Rejection> {
        let Some((low, _)) = part.split_first_chunk() else {
            return Err(Rejection::Snapshot(snapshot::Rejection::Truncated));
        };
        let welcomed = self.welcome.map_or(Tick(0), |welcome| welcome.tick);
        let reference = self.counts.newest.unwrap_or(welcomed);
        let wide = widen(u16::from_le_bytes(*low), u64::from(reference.0));
        let tick = u32::try_from(wide)
            .map(Tick)
            .map_err(|_| Rejection::Snapshot(snapshot::Rejection::TooFarAhead))?;
        self.counts.first.get_or_insert(tick);
        self.counts.newest = self.counts.newest.max(Some(tick));
        let whole = false;
        self.tell(ClientEvent::Snapshot { tick, whole });
        Ok(())
    }

    /// Tells the application something that it can also do without: one that does not ask for its events
    /// misses some of these, and costs no more memory.
    fn tell(&mut self, event: ClientEvent) {
        if self.events.len() < MAX_WAITING_EVENTS {
            self.events.push_back(event);
        }
    }

    fn hear_session(&mut self) {
        while let Some(event) = self.netcode.poll_event() {
            match event {
                netcode::ClientEvent::Connected { .. } => {}
                netcode::ClientEvent::Ended(state) => self.end(reason_of(state), String::new()),
            }
        }
    }

    /// Tells the application, once.
    fn end(&mut self, reason: DisconnectReason, text: String) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        while let Some((channel, message)) = self.link.poll_message() {
            let message = message.to_vec();
            self.events
                .push_back(ClientEvent::Message { channel, message });
        }
        self.stage = Stage::Over;
        self.events
            .push_back(ClientEvent::Disconnected { reason, text });
    }

    fn leave(&mut self, reason: DisconnectReason, text: &str) {
        if matches!(self.stage, Stage::Open) {
            let text = text.to_owned();
            self.stage = Stage::Leaving {
                reason,
                text,
                goodbyes: GOODBYES,
            };
        }
    }

    /// Says goodbye: it leaves with the next [`poll_transmit`](Self::poll_transmit), and the last event follows.
    pub fn disconnect(&mut self) {
        self.leave(DisconnectReason::ClosedByClient, "");
    }

    /// Queues a message; it travels with the next input.
    ///
    /// # Errors
    ///
    /// When the session is over, the channel does not exist, the message is too long or the channel is full.
    pub fn send(&mut self, channel: ChannelId, message: &[u8]) -> Result<(), SendError> {
        match self.stage {
            Stage::Open => Ok(self.link.send(channel, message)?),
            Stage::Leaving { .. } | Stage::Over => Err(SendError::NotConnected),
        }
    }

    /// Says what we want to do at `tick`; it leaves at once, with the last few repeated.
    ///
    /// `false`, and nothing happens, when we are not connected or this tick, or a later one, has its input.
    pub fn send_input(&mut self, tick: Tick, input: InputBytes) -> bool {
        let taken = self.welcome.is_some() && self.inputs.push(tick, input);
        self.input_is_due |= taken;
        taken
    }

    /// Writes the next datagram that is to be sent now into `buffer` (at least
    /// [`MAX_DATAGRAM`](super::netcode::MAX_DATAGRAM) bytes); `None` when there is none.
    pub fn poll_transmit(&mut self, now: Timestamp, buffer: &mut [u8]) -> Option<Transmit> {
        self.say_goodbye(now);
        if matches!(self.stage, Stage::Over) && self.netcode.state() == ClientState::Connected {
            // The server said goodbye: it has no session for our keep-alives any more.
            return None;
        }
        let transmit = self
            .netcode
            .poll_transmit(now, buffer)
            .or_else(|| self.transmit_payload(now, buffer))?;
        self.stats.sent.count(transmit.len);
        Some(transmit)
    }

    /// Once the goodbyes are said, the session layer says its own and we are gone.
    fn say_goodbye(&mut self, now: Timestamp) {
        let connected = self.netcode.state() == ClientState::Connected;
        if let Stage::Leaving {
            reason,
            text,
            goodbyes,
        } = &mut self.stage
            && (*goodbyes == 0 || !connected)
        {
            let (reason, text) = (*reason, std::mem::take(text));
            self.netcode.disconnect(now);
            self.end(reason, text);
        }
    }

    fn transmit_payload(&mut self, now: Timestamp, buffer: &mut [u8]) -> Option<Transmit> {
        if self.netcode.state() != ClientState::Connected || !self.has_something_to_say(now) {
            return None;
        }
        let Self {
            netcode,
            link,
            replica,
            stage,
            inputs,
            ..
        } = self;
        let (hello, welcomed, input_is_due) =
            (self.hello, self.welcome.is_some(), self.input_is_due);
        let (hello_at, resync_at) = (&mut self.hello_at, &mut self.resync_at);
        let sent = netcode.seal(now, buffer, |payload| {
            link.fill(now, payload, MESSAGE_BUDGET, |_, room| {
                let mut writer = ByteWriter::new(room);
                if let Stage::Leaving {
                    reason,
                    text,
                    goodbyes,
                } = stage
                {
                    *goodbyes = goodbyes.saturating_sub(1);
                    let _ = Block::Goodbye {
                        reason: *reason,
                        text,
                    }
                    .write(&mut writer);
                    return writer.len();
                }
                if !welcomed {
                    *hello_at = now + HELLO_EVERY;
                    let _ = Block::Hello(hello).write(&mut writer);
                }
                if replica.needs_resync() && now >= *resync_at {
                    *resync_at = now + HELLO_EVERY;
                    let _ = Block::Resync.write(&mut writer);
                }
                if input_is_due {
                    write_inputs(inputs, &mut writer);
                }
                writer.len()
            })
        });
        self.input_is_due = false;
        sent
    }

    fn has_something_to_say(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Leaving { goodbyes, .. } => goodbyes > 0,
            Stage::Over => false,
            Stage::Open => {
                self.input_is_due
                    || (self.welcome.is_none() && now >= self.hello_at)
                    || (self.replica.needs_resync() && now >= self.resync_at)
                    || self.link.wants_to_send(now)
            }
        }
    }

    /// The next thing that happened; `None` when the application knows everything.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let (channel, message) = self.link.poll_message()?;
        Some(ClientEvent::Message {
            channel,
            message: message.to_vec(),
        })
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if !matches!(self.stage, Stage::Over) {
            self.netcode.handle_timeout(now);
            self.hear_session();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit)
    /// want to be called at the latest; `None` when the session is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if matches!(self.stage, Stage::Over) {
            return None;
        }
        let hello = (self.welcome.is_none() && self.netcode.state() == ClientState::Connected)
            .then_some(self.hello_at);
        [self.netcode.poll_timeout(), self.link.poll_timeout(), hello]
            .into_iter()
            .flatten()
            .min()
    }

    /// The part of the world that the server told us about.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What the server said about itself, once it has.
    #[must_use]
    pub const fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// Where the session layer stands, in the standard's words.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.netcode.state()
    }

    /// The server that we speak to, or try to.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        self.netcode.server_address()
    }

    /// Round trip, jitter, loss, queues.
    #[must_use]
    pub fn link_stats(&self) -> LinkStats {
        self.link.stats()
    }

    /// How many snapshots arrived, and since when.
    #[must_use]
    pub const fn snapshot_counts(&self) -> SnapshotCounts {
        self.counts
    }

    /// What this endpoint counted since it began.
    #[must_use]
    pub const fn stats(&self) -> &EndpointStats {
        &self.stats
    }
}

impl std::fmt::Debug for ClientEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientEndpoint")
            .field("state", &self.netcode.state())
            .field("server", &self.netcode.server_address())
            .field("newest", &self.counts.newest)
            .finish_non_exhaustive()
    }
}

fn write_inputs(inputs: &RecentInputs, writer: &mut ByteWriter<'_>) {
    let start = writer.len();
    if Block::Inputs.write(writer).is_none() || inputs.write(writer).is_none() {
        writer.truncate(start);
    }
}

/// What can be told without asking a server.
fn refusal(
    config: &ClientEndpointConfig,
    token: &ConnectToken,
    wall_clock: UnixTime,
) -> Option<DisconnectReason> {
    if config
        .protocol_id
        .is_some_and(|ours| ours != token.protocol_id())
    {
        Some(DisconnectReason::TokenForOtherProtocol)
    } else if config
        .server
        .is_some_and(|server| !token.servers().contains(&server))
    {
        Some(DisconnectReason::TokenForOtherServer)
    } else if token.expires() <= wall_clock {
        Some(DisconnectReason::TokenExpired)
    } else {
        None
    }
}

/// The end of the session layer, in the words that both ends share.
const fn reason_of(state: ClientState) -> DisconnectReason {
    match state {
        ClientState::ConnectTokenExpired => DisconnectReason::TokenExpired,
        ClientState::InvalidConnectToken => DisconnectReason::TokenInvalid,
        ClientState::ConnectionTimedOut => DisconnectReason::TimedOut,
        ClientState::ConnectionResponseTimedOut | ClientState::ConnectionRequestTimedOut => {
            DisconnectReason::NoAnswer
        }
        ClientState::ConnectionDenied => DisconnectReason::ServerFull,
        _ => DisconnectReason::ClosedByServer,
    }
}
