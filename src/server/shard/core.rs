//! A shard's work without a socket and without waiting: admission, the endpoint, the roads to the tick loop.
//!
//! Takes the time as an argument, so that all of it can be played in virtual time.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use super::SURVEY_TIMERS;
use crate::game::Recipients;
use crate::id::ClientSlot;
use crate::proto::channel::{self, ChannelId, Delivery, LinkConfig};
use crate::proto::event::{DisconnectReason, SendError, ServerEvent, Warning};
use crate::proto::server::ServerEndpoint;
use crate::proto::snapshot::TickFrame;
use crate::server::admission::{Admission, AdmissionConfig, Charge, Crowd};
use crate::server::directory::{Directory, Resident, ShardIndex};
use crate::server::figures::ClientFigures;
use crate::server::metrics::{Counter, ShardMetrics};
use crate::time::{Tick, Timestamp, UnixTime};

/// What the tick loop or the operator wants a shard to do.
#[derive(Debug, Clone)]
pub(in crate::server) enum Command {
    /// Send a message to players of this shard.
    Message {
        to: Recipients,
        channel: ChannelId,
        message: Arc<[u8]>,
    },
    /// End a session, or all of this shard, and say why.
    Disconnect {
        whom: Recipients,
        reason: DisconnectReason,
        text: Arc<str>,
    },
    /// Take nobody in any more.
    RefuseNewcomers,
    /// Warn everybody.
    Warn { warning: Warning, grace: Duration },
}

/// One shard's share of the server.
pub(in crate::server) struct Core {
    index: ShardIndex,
    endpoint: ServerEndpoint,
    admission: Admission,
    directory: Arc<Directory>,
    metrics: Arc<ShardMetrics>,
    link: Arc<LinkConfig>,
    inbox: SyncSender<ServerEvent>,
    /// What the inbox had no room for and must not be lost. While it waits, nothing behind it is asked for.
    held: Option<ServerEvent>,
    /// Those the tick loop was told of, by slot index.
    players: Vec<Option<Known>>,
    snapshot_every: u16,
    newest: Option<Tick>,
    /// Which of its [`SURVEY_TIMERS`] turns the survey has reached.
    survey_turn: usize,
}

/// Somebody the tick loop was told of.
#[derive(Debug, Clone, Copy)]
struct Known {
    slot: ClientSlot,
    /// We ended the session; the news is on its way.
    is_leaving: bool,
}

impl Core {
    pub(in crate::server) fn new(
        index: ShardIndex,
        endpoint: ServerEndpoint,
        admission: Admission,
        directory: Arc<Directory>,
        metrics: Arc<ShardMetrics>,
        inbox: SyncSender<ServerEvent>,
        (link, snapshot_every): (Arc<LinkConfig>, u16),
    ) -> Self {
        Self {
            index,
            endpoint,
            admission,
            directory,
            metrics,
            link,
            inbox,
            held: None,
            players: Vec::new(),
            snapshot_every,
            newest: None,
            survey_turn: 0,
        }
    }

    pub(in crate::server) fn metrics(&self) -> &ShardMetrics {
        &self.metrics
    }

    pub(in crate::server) fn set_wall_clock(&mut self, now: UnixTime) {
        self.endpoint.set_wall_clock(now);
    }

    /// Goes on with other limits.
    pub(in crate::server) fn set_limits(&mut self, limits: AdmissionConfig) {
        self.admission.set_config(limits);
    }

    /// How many sessions there are.
    pub(in crate::server) fn len(&self) -> usize {
        self.endpoint.session_count()
    }

    pub(in crate::server) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Admits a datagram or drops it unread, and charges the player it proved to be from.
    pub(in crate::server) fn receive(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &mut [u8],
    ) {
        let sender = self.endpoint.sender(from);
        let refused = match sender.session() {
            None => match self.admission.admit_stranger(now, from.ip()) {
                Ok(()) => None,
                Err(Crowd::Network) => Some(Counter::StrangersLimited),
                Err(Crowd::Everybody) => Some(Counter::CrowdLimited),
            },
            Some(slot) if self.admission.admits_player(now, slot) => None,
            Some(_) => Some(Counter::PlayersLimited),
        };
        if let Some(refused) = refused {
            return self.metrics.count(refused);
        }
        if let Some(slot) = self.endpoint.handle_datagram_from(now, sender, datagram) {
            self.charge(now, slot, datagram.len());
        }
    }

    fn charge(&mut self, now: Timestamp, slot: ClientSlot, length: usize) {
        match self.admission.charge(now, slot, length) {
            Charge::Within | Charge::Over(_) => {}
            Charge::Warn(_) => {
                self.metrics.count(Counter::PlayersWarned);
                self.endpoint
                    .warn(slot, Warning::RateLimited, Duration::ZERO);
            }
            Charge::Expel => {
                let is_news = self.end(now, slot, DisconnectReason::RateLimited, "");
                self.metrics
                    .add(Counter::PlayersExpelled, u64::from(is_news));
            }
        }
    }

    /// Serves everybody from this frame on.
    pub(in crate::server) fn publish(&mut self, now: Timestamp, frame: Arc<TickFrame>) {
        let tick = frame.tick();
        let steps = self.newest.map_or(1, |newest| {
            tick.since(newest) / u32::from(self.snapshot_every)
        });
        self.newest = Some(tick);
        self.metrics.count(Counter::FramesServed);
        self.metrics
            .add(Counter::FramesSkipped, u64::from(steps.saturating_sub(1)));
        self.endpoint.publish(now, frame);
    }

    /// Runs timers and hands news to the tick loop. Call it after everything else.
    pub(in crate::server) fn settle(&mut self, now: Timestamp) {
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.forward_events(now);
    }

    /// Shows the endpoint's own counters to whoever reads the metrics.
    pub(in crate::server) fn mirror(&self) {
        self.metrics
            .mirror(self.endpoint.stats(), self.endpoint.session_count());
    }

    /// Shows the figures of the next few clients, so that everybody's are shown once in
    /// [`SURVEY_TIMERS`] calls and no call takes long.
    pub(in crate::server) fn survey(&mut self) {
        let (places, turn) = (self.players.len(), self.survey_turn);
        self.survey_turn = (turn + 1) % SURVEY_TIMERS;
        for place in places * turn / SURVEY_TIMERS..places * (turn + 1) / SURVEY_TIMERS {
            if let Some(Some(known)) = self.players.get(place) {
                self.show(known.slot);
            }
        }
    }

    fn show(&self, slot: ClientSlot) {
        let endpoint = &self.endpoint;
        let (Some(link), Some(view), Some((received, sent))) = (
            endpoint.link_stats(slot),
            endpoint.view_stats(slot),
            endpoint.traffic(slot),
        ) else {
            return;
        };
        if let Some(round_trip) = link.rtt {
            self.metrics.note_round_trip(round_trip);
        }
        let figures = ClientFigures::new(&link, &view, received, sent);
        self.directory.figures().show(slot, &figures);
    }

    /// Hands events to the tick loop until there are none or one has to wait.
    fn forward_events(&mut self, now: Timestamp) {
        loop {
            let event = match self.held.take() {
                Some(event) => event,
                None => match self.endpoint.poll_event() {
                    None => return,
                    Some(event) if self.note(now, &event) => event,
                    Some(_) => continue,
                },
            };
            match self.inbox.try_send(event) {
                Ok(()) => {}
                // The next datagram repeats it.
                Err(TrySendError::Full(ServerEvent::Input { .. })) => {
                    self.metrics.count(Counter::InputsDropped);
                }
                Err(TrySendError::Full(event)) => {
                    self.metrics.count(Counter::InboxStalls);
                    self.held = Some(event);
                    return;
                }
                // The tick loop has ended: nobody is left to be told.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Takes note of who comes and goes; `false` when the tick loop need not know.
    fn note(&mut self, now: Timestamp, event: &ServerEvent) -> bool {
        match event {
            ServerEvent::Connected {
                slot,
                client,
                address,
                ..
            } => {
                if self.directory.is_banned(*client) {
                    self.metrics.count(Counter::BannedRefused);
                    self.endpoint
                        .disconnect(now, *slot, DisconnectReason::Banned, "");
                    return false;
                }
                self.directory.enter(Resident {
                    slot: *slot,
                    client: *client,
                    address: *address,
                    shard: self.index,
                    since: now,
                });
                self.remember(*slot);
                true
            }
            ServerEvent::Disconnected { slot, .. } => {
                let is_known = self.knows(*slot);
                if is_known {
                    self.players[slot.index as usize] = None;
                }
                is_known
            }
            ServerEvent::Input { slot, .. } | ServerEvent::Message { slot, .. } => {
                self.knows(*slot)
            }
        }
    }

    fn remember(&mut self, slot: ClientSlot) {
        let index = slot.index as usize;
        if self.players.len() <= index {
            self.players.resize(index + 1, None);
        }
        self.players[index] = Some(Known {
            slot,
            is_leaving: false,
        });
    }

    fn known(&mut self, slot: ClientSlot) -> Option<&mut Known> {
        let known = self.players.get_mut(slot.index as usize)?.as_mut();
        known.filter(|known| known.slot == slot)
    }

    fn knows(&mut self, slot: ClientSlot) -> bool {
        self.known(slot).is_some()
    }

    /// Ends a session and says why; `false` when that has begun before.
    fn end(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        reason: DisconnectReason,
        text: &str,
    ) -> bool {
        let was_leaving = self
            .known(slot)
            .is_some_and(|known| mem::replace(&mut known.is_leaving, true));
        if !was_leaving {
            self.endpoint.disconnect(now, slot, reason, text);
        }
        !was_leaving
    }

    /// Does what the tick loop or the operator asked for.
    pub(in crate::server) fn carry_out(&mut self, now: Timestamp, command: Command) {
        match command {
            Command::Message {
                to,
                channel,
                message,
            } => {
                self.for_each(to, |core, slot| core.send(now, slot, channel, &message));
            }
            Command::Disconnect { whom, reason, text } => {
                self.for_each(whom, |core, slot| {
                    core.end(now, slot, reason, &text);
                });
            }
            Command::RefuseNewcomers => self.endpoint.refuse_newcomers(),
            Command::Warn { warning, grace } => self.endpoint.warn_all(warning, grace),
        }
    }

    /// Does something for each of these players, as far as they are here and not leaving.
    fn for_each(&mut self, whom: Recipients, mut act: impl FnMut(&mut Self, ClientSlot)) {
        if let Recipients::One(slot) = whom {
            if self.known(slot).is_some_and(|known| !known.is_leaving) {
                act(self, slot);
            }
            return;
        }
        for index in 0..self.players.len() {
            if let Some(Known {
                slot,
                is_leaving: false,
            }) = self.players[index]
                && whom != Recipients::AllBut(slot)
            {
                act(self, slot);
            }
        }
    }

    /// Sends one message. A reliable one that does not fit ends the session: the client would
    /// wait for ever for what comes after it.
    fn send(&mut self, now: Timestamp, slot: ClientSlot, channel: ChannelId, message: &[u8]) {
        let Err(error) = self.endpoint.send(slot, channel, message) else {
            return;
        };
        self.metrics.count(Counter::MessagesRefused);
        let is_full = matches!(error, SendError::Channel(channel::SendError::Full { .. }));
        if is_full && self.is_reliable(channel) {
            self.metrics.count(Counter::ClientsOverrun);
            self.end(now, slot, DisconnectReason::Unresponsive, "");
        }
    }

    fn is_reliable(&self, channel: ChannelId) -> bool {
        let channel = self
            .link
            .channels()
            .iter()
            .find(|config| config.id == channel);
        channel.is_some_and(|config| config.delivery == Delivery::ReliableOrdered)
    }

    /// Takes nobody in any more and tells everybody why; what is left is to
    /// [`poll_transmit`](Self::poll_transmit) until nobody [is there](Self::is_empty).
    pub(in crate::server) fn stop(&mut self, now: Timestamp, text: &str) {
        self.endpoint.refuse_newcomers();
        self.endpoint
            .disconnect_all(now, DisconnectReason::ServerShutdown, text);
    }

    /// The next datagram to send: to whom, and how long.
    pub(in crate::server) fn poll_transmit(
        &mut self,
        now: Timestamp,
        buffer: &mut [u8],
    ) -> Option<(SocketAddr, usize)> {
        let transmit = self.endpoint.poll_transmit(now, buffer)?;
        Some((transmit.to, transmit.len))
    }
}
