//! The game-loop client: std only, no runtime, no thread, nothing that waits.
//!
//! A driver of [`ClientEndpoint`]: it reads the clock, moves datagrams between the socket and the endpoint, keeps the
//! server's time, and hands out events. What a datagram means is none of its business.
//!
//! One frame of a game:
//!
//! ```text
//! client.update();                                    datagrams in, timers, datagrams out
//! while let Some(event) = client.poll_event() { .. }  connected, messages, the end
//! while client.input_due().is_some() {                once per tick, not once per frame
//!     client.send_typed_input(&input)?;
//! }
//! for entity in client.scene().entities() { .. }      draw, interpolated
//! ```

mod batch;
pub mod clock;
mod event;
pub mod interpolation;
mod local_time;
mod scene;
pub mod socket;
mod stats;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::game::GameInput;
use crate::proto::channel::ChannelId;
use crate::proto::channel::message::{self, Message};
use crate::proto::client::ClientEndpoint;
use crate::proto::event::{ClientEvent, SendError, Welcome};
use crate::proto::input::{InputBytes, MAX_REPEATED};
use crate::proto::netcode::ConnectToken;
use crate::proto::snapshot::Replica;
use crate::proto::wire::ByteWriter;
use crate::time::{Tick, Timestamp, UnixTime};

use batch::Batches;
use local_time::LocalTime;

pub use crate::proto::client::ClientEndpointConfig as ClientConfig;
pub use clock::{ClockStep, TickClock, TickTime};
pub use event::Event;
pub use interpolation::Span;
pub use scene::{Drawn, Scene};
pub use socket::{DatagramSocket, SocketStats, StdSocket};
pub use stats::ClientStats;

/// The longest datagram that is looked at; what is longer is cut by the socket and refused by the endpoint.
const BUFFER: usize = 2_048;

/// So many datagrams are taken in one frame, ten times what a server sends in a slow one: a flood may
/// cost a frame a millisecond, not the frame.
const RECEIVED_AT_ONCE: usize = 256;

/// After a failure the socket is replaced, but not more often than this.
const REBIND_EVERY: Duration = Duration::from_secs(1);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The system gave no socket that can reach the token's server.
    #[error("no socket to reach the server with: {0}")]
    Socket(#[from] io::Error),
}

/// Why an input was not taken: the caller's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The current tick has its input, or there is no current tick yet.
    #[error("no input is due: ask `input_due` first, once per frame or more often")]
    NotDue,
    /// Longer than [`InputBytes::MAX`].
    #[error("an input has at most {max} bytes: send what the player wants, not what it does to the world", max = InputBytes::MAX)]
    TooLong,
}

/// Why a typed message was not taken: the caller's turn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendTypedError {
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] message::EncodeError),
    /// It cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// A connection to one server, driven by a game's loop.
///
/// [`update`](Self::update) once a frame; [`poll_event`](Self::poll_event) until there is none;
/// [`send_input`](Self::send_input) while [`input_due`](Self::input_due) names a tick; draw the
/// [`scene`](Self::scene). Nothing waits, nothing runs in the background: between two calls nothing happens.
///
/// A client that is dropped is silent, and the server notices at its timeout: say [`disconnect`](Self::disconnect).
#[derive(Debug)]
pub struct Client<S = StdSocket> {
    endpoint: ClientEndpoint,
    socket: S,
    local_time: LocalTime,
    now: Timestamp,
    /// From the server's welcome on.
    clock: Option<TickClock>,
    last_input: Option<Tick>,
    is_over: bool,
    /// The game sent an input since the last update: it will do so again.
    inputs_flow: bool,
    batches: Batches,
    scene: Scene,
    events: VecDeque<Event>,
    rebind_at: Timestamp,
    socket_failures: u64,
    buffer: Box<[u8; BUFFER]>,
}

impl Client<StdSocket> {
    /// Sets out for the token's server with a socket of our own.
    ///
    /// Whether it leads anywhere is told by the events: [`Event::Connected`], or [`Event::Disconnected`] with the reason.
    ///
    /// # Errors
    ///
    /// When the system has no socket to give.
    pub fn connect(config: ClientConfig, token: ConnectToken) -> Result<Self, ConnectError> {
        let local_time = LocalTime::start();
        let (now, wall_clock) = (local_time.now(), LocalTime::calendar());
        let endpoint = ClientEndpoint::new(config, token, now, wall_clock);
        let socket = StdSocket::for_server(endpoint.server_address())?;
        Ok(Self::assemble(endpoint, socket, local_time, now))
    }
}

impl<S: DatagramSocket> Client<S> {
    /// Sets out through any socket. `now` is the driver's time if it uses [`update_at`](Self::update_at); with
    /// [`update`](Self::update) it is [`Timestamp::ZERO`].
    pub fn with_socket(
        config: ClientConfig,
        token: ConnectToken,
        socket: S,
        now: Timestamp,
        wall_clock: UnixTime,
    ) -> Self {
        let endpoint = ClientEndpoint::new(config, token, now, wall_clock);
        Self::assemble(endpoint, socket, LocalTime::start(), now)
    }

    fn assemble(
        endpoint: ClientEndpoint,
        socket: S,
        local_time: LocalTime,
        now: Timestamp,
    ) -> Self {
        Self {
            endpoint,
            socket,
            local_time,
            now,
            clock: None,
            last_input: None,
            is_over: false,
            inputs_flow: false,
            batches: Batches::default(),
            scene: Scene::default(),
            events: VecDeque::new(),
            rebind_at: now,
            socket_failures: 0,
            buffer: Box::new([0; BUFFER]),
        }
    }

    /// Does everything that is due: call it once a frame. Reads the clock once.
    pub fn update(&mut self) {
        self.update_at(self.local_time.now());
    }

    /// The same at a time that the driver says, which must not run backwards. Not to be mixed with [`update`](Self::update).
    pub fn update_at(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.socket.advance(self.now);
        self.receive();
        self.endpoint.handle_timeout(self.now);
        self.hear();
        // What is due travels with the input that the game is about to give. If it gives none, the next update sends.
        let waits_for_input = std::mem::take(&mut self.inputs_flow) && self.input_due().is_some();
        if !waits_for_input {
            self.flush();
        }
    }

    fn receive(&mut self) {
        for _ in 0..RECEIVED_AT_ONCE {
            match self.socket.receive_from(&mut self.buffer[..]) {
                Ok(Some((len, from))) => {
                    if let Some(datagram) = self.buffer.get_mut(..len) {
                        self.endpoint.handle_datagram(self.now, from, datagram);
                    }
                }
                Ok(None) => return,
                Err(_) => return self.replace_socket(),
            }
        }
    }

    /// Sends what is due.
    fn flush(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit(self.now, &mut self.buffer[..]) {
            let datagram = self.buffer.get(..transmit.len).unwrap_or(&[]);
            if self.socket.send_to(datagram, transmit.to).is_err() {
                self.replace_socket();
            }
        }
        // What was sent may have been the last: the end is an event.
        self.hear();
    }

    /// A socket that failed is replaced. If that fails too, the session's own timeout tells the game.
    fn replace_socket(&mut self) {
        self.socket_failures += 1;
        if self.now >= self.rebind_at {
            self.rebind_at = self.now + REBIND_EVERY;
            let _ = self.socket.rebind();
        }
    }

    /// Takes the endpoint's news: some are for the clock, the others for the game.
    fn hear(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            let event = match event {
                ClientEvent::Connected(welcome) => {
                    let every = u32::from(welcome.snapshot_every);
                    self.clock = Some(TickClock::new(welcome.tick_rate, every));
                    Event::Connected(welcome)
                }
                ClientEvent::Snapshot { tick, whole } => {
                    self.observe_snapshot(tick);
                    Event::Snapshot { tick, whole }
                }
                ClientEvent::InputMargin { micros } => {
                    let now = self.now;
                    let step = self
                        .clock
                        .as_mut()
                        .and_then(|c| c.observe_margin(now, micros));
                    self.events.extend(step.map(Event::ClockStepped));
                    continue;
                }
                ClientEvent::Message { channel, message } => Event::Message { channel, message },
                ClientEvent::Warned { warning, grace_ms } => Event::Warned { warning, grace_ms },
                ClientEvent::Disconnected { reason, text } => {
                    self.is_over = true;
                    Event::Disconnected { reason, text }
                }
            };
            self.events.push_back(event);
        }
    }

    fn observe_snapshot(&mut self, tick: Tick) {
        let Some(clock) = &mut self.clock else { return };
        let link = self.endpoint.link_stats();
        let step = clock.observe(self.now, tick, link.rtt.unwrap_or_default(), link.jitter);
        self.events.extend(step.map(Event::ClockStepped));
    }

    /// The next thing that happened; `None` when the game knows everything.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues a message. It travels with the next input, or with the next [`update`](Self::update) after a while without any.
    ///
    /// # Errors
    ///
    /// When the session is over, the channel does not exist, the message is too long or the channel is full.
    pub fn send(&mut self, channel: ChannelId, message: &[u8]) -> Result<(), SendError> {
        self.endpoint.send(channel, message)
    }

    /// The same with a value of a message type.
    ///
    /// # Errors
    ///
    /// When it cannot be encoded or is too long, and as for [`send`](Self::send).
    pub fn send_typed<M: Message>(
        &mut self,
        channel: ChannelId,
        message: &M,
    ) -> Result<(), SendTypedError> {
        let mut bytes = Vec::with_capacity(64);
        message::encode(message, &mut bytes)?;
        Ok(self.endpoint.send(channel, &bytes)?)
    }

    /// The oldest tick that wants its input now; `None` when all have theirs, when there is no server's time yet, and when
    /// it is over.
    ///
    /// Ticks come at the tick rate whatever the frame rate is: usually none or one a frame, several after a
    /// slow frame. Of a pause longer than the eight ticks that one datagram can carry, only the last eight are asked for.
    #[must_use]
    pub fn input_due(&self) -> Option<Tick> {
        let current = self.input_tick().filter(|_| !self.is_over)?;
        let oldest = current.minus(MAX_REPEATED as u32 - 1);
        let next = self
            .last_input
            .map_or(current, |last| last.next().max(oldest));
        (next <= current).then_some(next)
    }

    /// The input for the tick that [`input_due`](Self::input_due) names, which is returned. Leaves at once, with the
    /// last few repeated, when no other is due.
    ///
    /// # Errors
    ///
    /// When none is due, or it is too long.
    pub fn send_input(&mut self, input: &[u8]) -> Result<Tick, InputError> {
        let input = InputBytes::new(input).ok_or(InputError::TooLong)?;
        let tick = self.input_due().ok_or(InputError::NotDue)?;
        if !self.endpoint.send_input(tick, input) {
            return Err(InputError::NotDue);
        }
        self.last_input = Some(tick);
        self.inputs_flow = true;
        self.batches.add();
        if self.input_due().is_none() {
            if let (usual, Some(clock)) = (self.batches.close(), &mut self.clock) {
                clock.observe_batch(usual);
            }
            self.flush();
        }
        Ok(tick)
    }

    /// The same for an input that writes itself: `encode` returns `None` when there is no room.
    ///
    /// # Errors
    ///
    /// When none is due, or it is too long.
    pub fn send_input_with(
        &mut self,
        encode: impl FnOnce(&mut ByteWriter<'_>) -> Option<()>,
    ) -> Result<Tick, InputError> {
        let mut bytes = [0; InputBytes::MAX];
        let mut writer = ByteWriter::new(&mut bytes);
        encode(&mut writer).ok_or(InputError::TooLong)?;
        self.send_input(writer.written())
    }

    /// The same for an input of the game's own type.
    ///
    /// # Errors
    ///
    /// When none is due.
    pub fn send_typed_input<I: GameInput>(&mut self, input: &I) -> Result<Tick, InputError> {
        self.send_input_with(|out| input.encode(out))
    }

    /// Says goodbye, several times, at once. The last event follows. Does nothing when it is over.
    pub fn disconnect(&mut self) {
        self.endpoint.disconnect();
        self.flush();
    }

    /// The time that the last [`update`](Self::update) saw; every other answer is about this moment.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the session is over: no call does anything any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// What the server said about itself; `None` before [`Event::Connected`].
    #[must_use]
    pub const fn welcome(&self) -> Option<&Welcome> {
        self.endpoint.welcome()
    }

    /// What time it is at the server, as far as we know.
    #[must_use]
    pub fn server_tick(&self) -> Option<TickTime> {
        self.clock.as_ref()?.server_tick(self.now)
    }

    /// The tick that an input sent now is for.
    #[must_use]
    pub fn input_tick(&self) -> Option<Tick> {
        self.clock.as_ref()?.input_tick(self.now)
    }

    /// The same with the part of that tick that is over: how far to draw what is predicted beyond its last step.
    #[must_use]
    pub fn input_time(&self) -> Option<TickTime> {
        self.clock.as_ref()?.input_time(self.now)
    }

    /// The moment of the world to draw from snapshots.
    #[must_use]
    pub fn render_tick(&self) -> Option<TickTime> {
        self.clock.as_ref()?.render_tick(self.now)
    }

    /// The part of the world that the server told us about, quantised: every snapshot that is held.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        self.endpoint.replica()
    }

    /// The world at [`render_tick`](Self::render_tick), between the snapshots around it: what a frame draws. Empty before there is
    /// anything to see. Computed anew by each call.
    pub fn scene(&mut self) -> &Scene {
        match self.render_tick() {
            Some(at) => self.scene.set(self.endpoint.replica(), at),
            None => self.scene.clear(),
        }
        &self.scene
    }

    /// The endpoint that is driven here, for its counters.
    #[must_use]
    pub const fn endpoint(&self) -> &ClientEndpoint {
        &self.endpoint
    }

    /// The socket.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket, to change what it does.
    pub const fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// How the connection is.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        let (link, endpoint) = (self.endpoint.link_stats(), self.endpoint.stats());
        ClientStats {
            rtt: link.rtt,
            jitter: link.jitter,
            loss: link.loss,
            up: endpoint.sent,
            down: endpoint.received,
            rejected: endpoint.rejections.total(),
            snapshot_age: self.snapshot_age(),
            interpolation_delay: self
                .clock
                .as_ref()
                .map_or(Duration::ZERO, TickClock::interpolation_delay),
            input_lead: self
                .clock
                .as_ref()
                .map_or(Duration::ZERO, TickClock::input_lead),
            socket_failures: self.socket_failures,
        }
    }

    fn snapshot_age(&self) -> Option<Duration> {
        let (server, newest) = (self.server_tick()?, self.endpoint.snapshot_counts().newest?);
        let ticks = server.tick.since(newest) as f32 + server.fraction;
        Some(Duration::from_secs_f32(
            ticks / f32::from(self.welcome()?.tick_rate.hz()),
        ))
    }
}

#[cfg(test)]
mod tests;
