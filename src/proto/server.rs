//! Many sessions behind one socket: the server endpoint.
//!
//! It routes. Netcode decides who speaks, the link numbers and acknowledges, the view knows what a client
//! holds; this file carries bytes and news from one to the other. It has no clock, no socket and no
//! thread: the driver passes in the time and every datagram, and polls what is to be sent and what happened. Who says
//! what when is section 6 of `docs/protocol.md`.
//!
//! ```text
//! handle_datagram -> netcode -> link -> blocks -> events          publish -> due -> poll_transmit
//! ```

mod player;
mod says;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;

use crate::id::{ClientId, ClientSlot};
use crate::proto::channel::{ChannelId, LinkConfig, LinkStats};
use crate::proto::control::Hello;
use crate::proto::event::{DisconnectReason, SendError, ServerEvent, Warning};
use crate::proto::netcode::{
    self, End, NetcodeServer, Received, Registry, Sender, SessionEvent, Transmit,
};
use crate::proto::snapshot::{Schema, Scratch, TickFrame, ViewConfig, ViewStats};
use crate::proto::stats::{EndpointStats, Rejection, SessionRejection, Traffic};
use crate::time::{TickRate, Timestamp, UnixTime};
use player::{Cause, Context, Next, Player};
use says::News;

/// How a server endpoint behaves.
#[derive(Debug, Clone)]
pub struct ServerEndpointConfig {
    /// The session layer: protocol id, key, public addresses, places.
    pub netcode: netcode::ServerConfig,
    /// The message channels, the same at both ends.
    pub link: Arc<LinkConfig>,
    /// How far clients see and how many bytes a snapshot may have.
    pub view: ViewConfig,
    /// What the world consists of, the same at both ends.
    pub schema: Arc<Schema>,
    /// Ticks a second.
    pub tick_rate: TickRate,
    /// Ticks from one snapshot to the next.
    pub snapshot_every: u16,
    /// How long a client with a session may take to say hello.
    pub hello_timeout: Duration,
    /// How long a client may leave everything unacknowledged that it was sent.
    pub unresponsive_after: Duration,
}

/// How many events wait at most before inputs are dropped: inputs are repeated anyway.
const MAX_WAITING_INPUTS: usize = 16_384;

/// Each session's slow timers (hello, acknowledgements, an owed answer while no frame comes) are
/// looked at this often, a share of the sessions in each call.
const SWEEP: Duration = Duration::from_millis(50);

/// The server's end of every session behind one socket.
///
/// One shape for every driver: pass datagrams to [`handle_datagram`](Self::handle_datagram), frames to
/// [`publish`](Self::publish), call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout), and after each of them drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
pub struct ServerEndpoint {
    netcode: NetcodeServer,
    config: ServerEndpointConfig,
    hello: Hello,
    /// By the slot's index. A place that is given to another shard stays empty here.
    players: Vec<Option<Box<Player>>>,
    frame: Option<Arc<TickFrame>>,
    frame_at: Timestamp,
    /// Working memory of whichever client is being served.
    scratch: Scratch,
    /// Who has something to send, in turn.
    due: VecDeque<ClientSlot>,
    /// Whose links hold messages for the application.
    talkers: VecDeque<ClientSlot>,
    events: VecDeque<ServerEvent>,
    sweep_at: Timestamp,
    sweep_from: usize,
    draining: bool,
    stats: EndpointStats,
}

impl ServerEndpoint {
    /// An endpoint with no sessions.
    ///
    /// `started` is the calendar time in microseconds: it keeps the sequence numbers of a restarted server apart
    /// from those before (see [`NetcodeServer`]).
    ///
    /// # Errors
    ///
    /// When the session layer cannot work with its configuration; the error says which part.
    pub fn new(
        config: ServerEndpointConfig,
        rng: &mut dyn CryptoRng,
        started: u64,
        registry: Arc<dyn Registry>,
    ) -> Result<Self, netcode::ConfigError> {
        let max_clients = config.netcode.max_clients as usize;
        Ok(Self {
            netcode: NetcodeServer::new(config.netcode.clone(), rng, started, registry)?,
            hello: Hello::ours(config.schema.hash()),
            config,
            players: (0..max_clients).map(|_| None).collect(),
            frame: None,
            frame_at: Timestamp::ZERO,
            scratch: Scratch::new(),
            due: VecDeque::new(),
            talkers: VecDeque::new(),
            events: VecDeque::new(),
            sweep_at: Timestamp::ZERO,
            sweep_from: 0,
            draining: false,
            stats: EndpointStats::default(),
        })
    }

    /// Tells the calendar time, which the expiry of connect tokens is compared with. Once a tick is plenty.
    pub fn set_wall_clock(&mut self, now: UnixTime) {
        self.netcode.set_wall_clock(now);
    }

    /// From now on nobody new is taken in: their hello is answered with a goodbye.
    pub fn refuse_newcomers(&mut self) {
        self.draining = true;
    }

    /// The session that an address belongs to: one keyed hash, no cryptography.
    #[must_use]
    pub fn session_at(&self, from: SocketAddr) -> Option<ClientSlot> {
        self.netcode.session_at(from)
    }

    /// Who is at an address, for a driver that wants to know before it passes on a datagram
    /// [with that answer](Self::handle_datagram_from): it is looked up once.
    #[must_use]
    pub fn sender(&self, from: SocketAddr) -> Sender {
        self.netcode.sender(from)
    }

    /// Takes in one datagram, which is decrypted where it lies. The answer is the session that proved to have
    /// sent it, so that a driver can charge it to the sender and never to a forger's victim.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Option<ClientSlot> {
        self.handle_datagram_from(now, self.sender(from), datagram)
    }

    /// The same of a sender that was just [looked up](Self::sender).
    pub fn handle_datagram_from(
        &mut self,
        now: Timestamp,
        sender: Sender,
        datagram: &mut [u8],
    ) -> Option<ClientSlot> {
        self.stats.received.count(datagram.len());
        let mut proven = None;
        match self.netcode.receive_from(now, sender, datagram) {
            Received::Payload { slot, payload } => {
                proven = Some(slot);
                self.receive_payload(now, slot, payload);
                if let Some(player) = find(&mut self.players, slot) {
                    player.received.count(datagram.len());
                }
            }
            Received::KeepAlive { slot } => proven = Some(slot),
            Received::Handled => {}
            Received::Rejected(by) => self.reject(Rejection::Netcode(by)),
        }
        self.hear_sessions(now);
        proven
    }

    fn receive_payload(&mut self, now: Timestamp, slot: ClientSlot, payload: &[u8]) {
        // The session layer may announce a session and hand out its first payload in one call.
        self.hear_sessions(now);
        let Some(player) = find(&mut self.players, slot) else {
            return self.reject(Rejection::Session(SessionRejection::NoSession));
        };
        let context = Context {
            now,
            hello: self.hello,
            draining: self.draining,
            server_tick: self.frame.as_ref().map(|frame| frame.tick()),
            frame_at: self.frame_at,
            tick_rate: self.config.tick_rate,
            room_for_inputs: self.events.len() < MAX_WAITING_INPUTS,
        };
        let heard = player.receive(&context, payload, &mut self.events);
        let has_messages = player.note_messages();
        self.stats.verdicts.acked += heard.payloads.acked;
        self.stats.verdicts.lost += heard.payloads.lost;
        for rejection in heard.rejections() {
            self.stats.rejections.count(rejection);
        }
        if has_messages {
            self.talkers.push_back(slot);
        }
        match heard.verdict {
            None => {}
            Some(Cause::Theirs(reason)) => self.forget(now, slot, reason),
            Some(Cause::Ours(reason)) => self.disconnect(now, slot, reason, ""),
        }
    }

    /// Takes in what the session layer has to tell.
    fn hear_sessions(&mut self, now: Timestamp) {
        while let Some(event) = self.netcode.poll_event() {
            match event {
                SessionEvent::Connected {
                    slot,
                    client,
                    user_data,
                    address,
                    ..
                } => {
                    self.stats.connects += 1;
                    let player = Player::new(now, slot, client, user_data, address, &self.config);
                    put(&mut self.players, player);
                    if self.draining {
                        // Whoever connects and says nothing would hold up the end until its hello is overdue.
                        self.disconnect(now, slot, DisconnectReason::ServerShutdown, "");
                    }
                }
                SessionEvent::Disconnected { slot, end, .. } => {
                    let reason = match end {
                        End::Goodbye => DisconnectReason::ClosedByClient,
                        End::TimedOut => DisconnectReason::TimedOut,
                    };
                    self.remove(slot, reason);
                }
            }
        }
    }

    /// Makes this the newest state of the world: each client is due for its snapshot of it.
    ///
    /// A frame that some clients have not been served from yet is skipped for them, never queued.
    pub fn publish(&mut self, now: Timestamp, frame: Arc<TickFrame>) {
        self.frame = Some(frame);
        self.frame_at = now;
        for player in self.players.iter_mut().flatten() {
            player.frame_is_due = true;
            if !std::mem::replace(&mut player.is_due, true) {
                self.due.push_back(player.slot);
            }
        }
    }

    /// Queues a message; it travels with the client's next snapshot.
    ///
    /// # Errors
    ///
    /// When the client is gone, the channel does not exist, the message is too long or the channel is full.
    pub fn send(
        &mut self,
        to: ClientSlot,
        channel: ChannelId,
        message: &[u8],
    ) -> Result<(), SendError> {
        let player = find(&mut self.players, to).ok_or(SendError::NotConnected)?;
        Ok(player.link.send(channel, message)?)
    }

    /// Warns a client, three times for the case of loss; the session goes on.
    pub fn warn(&mut self, slot: ClientSlot, warning: Warning, grace: Duration) {
        if let Some(player) = find(&mut self.players, slot) {
            player.warn(
                warning,
                u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
            );
            self.make_due(slot);
        }
    }

    /// Warns every client.
    pub fn warn_all(&mut self, warning: Warning, grace: Duration) {
        let slots: Vec<_> = self.slots().collect();
        for slot in slots {
            self.warn(slot, warning, grace);
        }
    }

    /// Ends a session and tells the client why; the farewell leaves with the next
    /// [`poll_transmit`](Self::poll_transmit). Does nothing when the client is gone.
    pub fn disconnect(
        &mut self,
        _now: Timestamp,
        slot: ClientSlot,
        reason: DisconnectReason,
        text: &str,
    ) {
        let Some(player) = find(&mut self.players, slot) else {
            return;
        };
        let (was_known, client) = (player.is_known(), player.client);
        if !player.begin_farewell(reason, text) {
            return;
        }
        if was_known {
            self.events.push_back(ServerEvent::Disconnected {
                slot,
                client,
                reason,
            });
        }
        self.make_due(slot);
    }

    /// Ends every session, as [`disconnect`](Self::disconnect) does.
    pub fn disconnect_all(&mut self, now: Timestamp, reason: DisconnectReason, text: &str) {
        let slots: Vec<_> = self.slots().collect();
        for slot in slots {
            self.disconnect(now, slot, reason, text);
        }
    }

    /// The peer ended the session: no farewell from us, only the session layer's own.
    fn forget(&mut self, now: Timestamp, slot: ClientSlot, reason: DisconnectReason) {
        self.remove(slot, reason);
        self.netcode.disconnect(now, slot);
    }

    /// Clears the place, and tells the application if it knew the client.
    fn remove(&mut self, slot: ClientSlot, reason: DisconnectReason) {
        let Some(mut player) = take(&mut self.players, slot) else {
            return;
        };
        self.stats.disconnects += 1;
        if player.is_known() {
            // What it said before it went is said before it is gone.
            while let Some((channel, message)) = player.link.poll_message() {
                let message = message.to_vec();
                self.events.push_back(ServerEvent::Message {
                    slot,
                    channel,
                    message,
                });
            }
            let client = player.client;
            self.events.push_back(ServerEvent::Disconnected {
                slot,
                client,
                reason,
            });
        }
    }

    fn make_due(&mut self, slot: ClientSlot) {
        if let Some(player) = find(&mut self.players, slot)
            && !std::mem::replace(&mut player.is_due, true)
        {
            self.due.push_back(slot);
        }
    }

    /// Writes the next datagram that is to be sent now into `buffer` (at least
    /// [`netcode::MAX_DATAGRAM`] bytes); `None` when there is none.
    pub fn poll_transmit(&mut self, now: Timestamp, buffer: &mut [u8]) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.netcode.poll_transmit(now, buffer) {
                self.stats.sent.count(transmit.len);
                return Some(transmit);
            }
            let slot = *self.due.front()?;
            let transmit = self.transmit_to(now, slot, buffer);
            if find(&mut self.players, slot).is_none_or(|player| !player.is_due) {
                self.due.pop_front();
            }
            if let Some(transmit) = transmit {
                self.stats.sent.count(transmit.len);
                return Some(transmit);
            }
        }
    }

    /// The next datagram for one client; `None` when there is none, and then its turn is over. It may be over with a
    /// datagram, too.
    fn transmit_to(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        buffer: &mut [u8],
    ) -> Option<Transmit> {
        let player = find(&mut self.players, slot)?;
        match player.next(self.netcode.is_confirmed(slot)) {
            Next::KeepAlive => self.netcode.seal_keep_alive(now, slot, buffer),
            Next::Payload => {
                let news = News {
                    now,
                    hello: self.hello,
                    tick_rate: self.config.tick_rate,
                    snapshot_every: self.config.snapshot_every,
                    frame: self.frame.as_ref(),
                };
                let (scratch, told) = (&mut self.scratch, player.view.stats());
                let sent = self.netcode.seal(now, slot, buffer, |payload| {
                    player.write_payload(&news, payload, scratch)
                });
                if let Some(transmit) = &sent {
                    player.sent.count(transmit.len);
                }
                if sent.is_none() || !player.has_more(now) {
                    player.end_turn();
                }
                let views = &mut self.stats.views;
                views.add_since(&told, &player.view.stats());
                sent
            }
            Next::Gone => {
                take(&mut self.players, slot);
                self.stats.disconnects += 1;
                self.netcode.disconnect(now, slot);
                // The session layer's own farewell is the next thing it wants to send.
                self.netcode.poll_transmit(now, buffer)
            }
        }
    }

    /// The next thing that happened; `None` when the application knows everything.
    ///
    /// Messages stay in their links until they are asked for here, so a driver that stops asking
    /// pushes back on the senders.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        while let Some(slot) = self.talkers.front().copied() {
            if let Some(player) = find(&mut self.players, slot)
                && player.is_known()
                && let Some((channel, message)) = player.link.poll_message()
            {
                let message = message.to_vec();
                return Some(ServerEvent::Message {
                    slot,
                    channel,
                    message,
                });
            }
            self.talkers.pop_front();
            if let Some(player) = find(&mut self.players, slot) {
                player.has_messages = false;
            }
        }
        None
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.netcode.handle_timeout(now);
        self.hear_sessions(now);
        if now < self.sweep_at {
            return;
        }
        // A tenth of all places each tenth of the period.
        self.sweep_at = now + SWEEP / 10;
        let share = self.players.len().div_ceil(10);
        for _ in 0..share {
            self.sweep_from = (self.sweep_from + 1) % self.players.len().max(1);
            self.look_after(now, self.sweep_from);
        }
    }

    /// The slow timers of one place.
    fn look_after(&mut self, now: Timestamp, index: usize) {
        let Some(Some(player)) = self.players.get_mut(index) else {
            return;
        };
        let slot = player.slot;
        if let Some(reason) = player.overdue(now, &self.config) {
            self.disconnect(now, slot, reason, "");
        } else if player.wants_to_send(now) {
            self.make_due(slot);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.netcode.is_empty() {
            return self.netcode.poll_timeout();
        }
        let netcode = self.netcode.poll_timeout().unwrap_or(self.sweep_at);
        Some(netcode.min(self.sweep_at))
    }

    /// The clients that have a session here.
    pub fn slots(&self) -> impl Iterator<Item = ClientSlot> + '_ {
        self.players.iter().flatten().map(|player| player.slot)
    }

    /// How many clients have a session here.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.netcode.len()
    }

    /// The link's figures of one client: round trip, loss, queues.
    #[must_use]
    pub fn link_stats(&self, slot: ClientSlot) -> Option<LinkStats> {
        Some(peek(&self.players, slot)?.link.stats())
    }

    /// The view's figures of one client: what was sent, deferred, acknowledged.
    #[must_use]
    pub fn view_stats(&self, slot: ClientSlot) -> Option<ViewStats> {
        Some(peek(&self.players, slot)?.view.stats())
    }

    /// The datagrams with payloads of one client: what it sent, and what it was sent.
    #[must_use]
    pub fn traffic(&self, slot: ClientSlot) -> Option<(Traffic, Traffic)> {
        let player = peek(&self.players, slot)?;
        Some((player.received, player.sent))
    }

    /// Who a client is.
    #[must_use]
    pub fn client_id(&self, slot: ClientSlot) -> Option<ClientId> {
        Some(peek(&self.players, slot)?.client)
    }

    /// What this endpoint counted since it began.
    #[must_use]
    pub const fn stats(&self) -> &EndpointStats {
        &self.stats
    }

    fn reject(&mut self, rejection: Rejection) {
        self.stats.rejections.count(rejection);
    }
}

impl std::fmt::Debug for ServerEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerEndpoint")
            .field("sessions", &self.netcode.len())
            .field("tick", &self.frame.as_ref().map(|frame| frame.tick()))
            .finish_non_exhaustive()
    }
}

/// Gives a player its place. Which places there are is the registry's to say.
fn put(players: &mut Vec<Option<Box<Player>>>, player: Player) {
    let index = player.slot.index as usize;
    if players.len() <= index {
        players.resize_with(index + 1, || None);
    }
    players[index] = Some(Box::new(player));
}

/// The player in a slot, if it is still the same one.
fn find(players: &mut [Option<Box<Player>>], slot: ClientSlot) -> Option<&mut Player> {
    let player = players.get_mut(slot.index as usize)?.as_deref_mut()?;
    (player.slot == slot).then_some(player)
}

fn peek(players: &[Option<Box<Player>>], slot: ClientSlot) -> Option<&Player> {
    let player = players.get(slot.index as usize)?.as_deref()?;
    (player.slot == slot).then_some(player)
}

fn take(players: &mut [Option<Box<Player>>], slot: ClientSlot) -> Option<Box<Player>> {
    players
        .get_mut(slot.index as usize)?
        .take_if(|player| player.slot == slot)
}
