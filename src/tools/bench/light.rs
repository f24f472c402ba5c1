//! A light client: a real session that opens, acknowledges and counts snapshots, and sends inputs at the input rate,
//! but does not decode what it is told of the world. To the server it is a player like any other.
//!
//! Sans IO but for the socket it is given, and in the time it is told. Its inputs follow the same clock as those of the
//! game-loop client.

use std::time::Duration;

use super::gauges::{Ledger, Rates, record};
use super::wander::Wander;
use super::watch::Watch;
use crate::client::{ClientConfig, DatagramSocket, TickClock};
use crate::proto::client::ClientEndpoint;
use crate::proto::event::{ClientEvent, Welcome};
use crate::proto::input::MAX_REPEATED;
use crate::proto::netcode::ConnectToken;
use crate::time::{Tick, Timestamp, UnixTime};
use crate::tools::Bundled;

/// Once it has settled, the clock is told of one of so many snapshots: telling it costs more than opening one.
const CLOCK_ONE_OF: u32 = 4;

/// Until it has heard so many snapshots, the clock is told of all.
const SETTLED: u32 = 64;

/// A light client.
#[derive(Debug)]
pub struct Light<S> {
    endpoint: ClientEndpoint,
    socket: S,
    /// From the welcome on.
    session: Option<Session>,
    wander: Wander,
    /// Where in a tick its inputs leave, 0 to 1: clients do not all press their keys at once.
    phase: f32,
    set_out: Timestamp,
    is_over: bool,
    /// What the ledger has of its traffic, up and down.
    counted: (u64, u64),
}

/// What it keeps while it is in the game.
#[derive(Debug)]
struct Session {
    clock: TickClock,
    period: Duration,
    watch: Watch,
    last_input: Option<Tick>,
    heard: u32,
}

impl Session {
    fn new(welcome: &Welcome, now: Timestamp, phase: f32) -> Self {
        Self {
            clock: TickClock::new(welcome.tick_rate, welcome.snapshot_every.into()),
            period: welcome.tick_rate.period(),
            watch: Watch::new(welcome, now, phase),
            last_input: None,
            heard: 0,
        }
    }
}

impl<S: DatagramSocket> Light<S> {
    /// Sets out, to play `world`.
    pub fn new(
        world: Bundled,
        config: ClientConfig,
        token: ConnectToken,
        socket: S,
        (now, wall_clock): (Timestamp, UnixTime),
        (seed, phase): (u64, f32),
    ) -> Self {
        Self {
            endpoint: ClientEndpoint::new(config, token, now, wall_clock).without_replica(),
            socket,
            session: None,
            wander: Wander::new(world, seed),
            phase: phase.clamp(0.0, 1.0),
            set_out: now,
            is_over: false,
            counted: (0, 0),
        }
    }

    /// Whether it plays.
    pub const fn is_in_game(&self) -> bool {
        self.session.is_some() && !self.is_over
    }

    /// Whether its session is over, or never came to be.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Does everything that is due, and takes so many datagrams from the socket at most. `buffer` has room for one.
    pub fn turn(&mut self, now: Timestamp, most: usize, ledger: &mut Ledger, buffer: &mut [u8]) {
        self.look(now, ledger);
        self.socket.advance(now);
        self.receive(now, most, ledger, buffer);
        self.endpoint.handle_timeout(now);
        self.hear(now, ledger);
        self.give_inputs(now, ledger);
        self.flush(now, ledger, buffer);
    }

    /// Takes the looks that are due.
    pub fn look(&mut self, now: Timestamp, ledger: &mut Ledger) {
        if let Some(session) = self.session.as_mut().filter(|_| !self.is_over) {
            session.watch.look(now, ledger);
        }
    }

    /// When it wants its next turn, besides what the socket brings.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_over {
            return None;
        }
        [self.endpoint.poll_timeout(), self.next_input(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Its socket, to ask it when it wants a turn.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    fn receive(&mut self, now: Timestamp, most: usize, ledger: &mut Ledger, buffer: &mut [u8]) {
        for _ in 0..most {
            match self.socket.receive_from(buffer) {
                Ok(Some((len, from))) => {
                    if let Some(datagram) = buffer.get_mut(..len) {
                        self.endpoint.handle_datagram(now, from, datagram);
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    ledger.gauges.counts.socket_errors += 1;
                    return;
                }
            }
        }
    }

    fn hear(&mut self, now: Timestamp, ledger: &mut Ledger) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                ClientEvent::Connected(welcome) => {
                    ledger.gauges.counts.joined += 1;
                    ledger.rates = Some(Rates::from(&welcome));
                    record(&mut ledger.gauges.connects, now.since(self.set_out));
                    self.session = Some(Session::new(&welcome, now, self.phase));
                }
                ClientEvent::Snapshot { tick, .. } => self.hear_snapshot(now, tick, ledger),
                ClientEvent::InputMargin { micros } => {
                    if let Some(session) = &mut self.session {
                        session.clock.observe_margin(now, micros);
                    }
                }
                ClientEvent::Disconnected { reason, .. } => {
                    self.is_over = true;
                    *ledger.gauges.disconnects.entry(reason.name()).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    fn hear_snapshot(&mut self, now: Timestamp, tick: Tick, ledger: &mut Ledger) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.watch.snapshot(now, tick, ledger);
        session.heard = session.heard.wrapping_add(1);
        if session.heard < SETTLED || session.heard.is_multiple_of(CLOCK_ONE_OF) {
            let link = self.endpoint.link_stats();
            let trip = link.rtt.unwrap_or_default();
            session.clock.observe(now, tick, trip, link.jitter);
            if let Some(shortest) = link.rtt_min {
                ledger.line.measured(shortest);
            }
        }
    }

    /// Gives the inputs whose turn has come, each to its tick.
    fn give_inputs(&mut self, now: Timestamp, ledger: &mut Ledger) {
        let Some(session) = self.session.as_mut().filter(|_| !self.is_over) else {
            return;
        };
        let early = session.period.mul_f32(self.phase);
        let Some(at) = session.clock.input_time(now + early) else {
            return;
        };
        let oldest = at.tick.minus(MAX_REPEATED as u32 - 1);
        let next = session
            .last_input
            .map_or(at.tick, |last| last.next().max(oldest));
        for tick in next.0..=at.tick.0 {
            let (tick, over) = (Tick(tick), session.period.mul_f32(at.fraction));
            let due = now.before(over + session.period * at.tick.since(tick));
            let Some(input) = self.wander.wish() else {
                return;
            };
            if self.endpoint.send_input(tick, input) {
                session.last_input = Some(tick);
                session.watch.input(tick, due, now, ledger);
            }
        }
    }

    fn next_input(&self, now: Timestamp) -> Option<Timestamp> {
        let session = self.session.as_ref()?;
        let at = session
            .clock
            .input_time(now + session.period.mul_f32(self.phase))?;
        let left = session.period.mul_f32((1.0 - at.fraction).clamp(0.05, 1.0));
        Some(now + left)
    }

    fn flush(&mut self, now: Timestamp, ledger: &mut Ledger, buffer: &mut [u8]) {
        while let Some(transmit) = self.endpoint.poll_transmit(now, buffer) {
            let datagram = buffer.get(..transmit.len).unwrap_or(&[]);
            if self.socket.send_to(datagram, transmit.to).is_err() {
                ledger.gauges.counts.socket_errors += 1;
            }
        }
        self.hear(now, ledger);
    }

    /// Writes its traffic since the last time into the ledger, and what it misses by now that somebody has `newest`.
    pub fn close_books(&mut self, newest: Option<Tick>, ledger: &mut Ledger) {
        let stats = self.endpoint.stats();
        let (up, down) = (stats.sent.bytes, stats.received.bytes);
        ledger.gauges.counts.bytes_up += up.saturating_sub(self.counted.0);
        ledger.gauges.counts.bytes_down += down.saturating_sub(self.counted.1);
        self.counted = (up, down);
        let in_game = self.session.as_mut().filter(|_| !self.is_over);
        if let (Some(session), Some(newest)) = (in_game, newest) {
            session.watch.write_off(newest, ledger);
        }
    }

    /// Says goodbye, because it is its turn to leave, and writes the rest into the ledger.
    pub fn leave(&mut self, now: Timestamp, ledger: &mut Ledger, buffer: &mut [u8]) {
        if !self.is_over {
            // What it is told of its own end is no news.
            let disconnects = ledger.gauges.disconnects.clone();
            self.endpoint.disconnect();
            self.flush(now, ledger, buffer);
            ledger.gauges.disconnects = disconnects;
            ledger.gauges.counts.left += u64::from(self.session.is_some());
        }
        self.close_books(None, ledger);
        note_rejections(&self.endpoint, ledger);
    }

    /// The newest snapshot it heard of.
    pub const fn newest(&self) -> Option<Tick> {
        self.endpoint.snapshot_counts().newest
    }
}

/// Writes what a client refused into the ledger, by name.
pub(super) fn note_rejections(endpoint: &ClientEndpoint, ledger: &mut Ledger) {
    for (room, name, count) in endpoint.stats().rejections.iter() {
        if count > 0 {
            let name = format!("client.{room}.{name}");
            *ledger.gauges.rejections.entry(name).or_default() += count;
        }
    }
}
