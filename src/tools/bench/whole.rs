//! A whole client: the game-loop client with a bot's mind in it, watched like a light one, and its replica held
//! against those of others.

use std::time::Duration;

use super::agreement::Agreement;
use super::gauges::{Ledger, Rates, record};
use super::light::note_rejections;
use super::wander::{self, Wander};
use super::watch::Watch;
use crate::client::{Client, DatagramSocket, Event};
use crate::proto::input::InputBytes;
use crate::proto::snapshot::Replica;
use crate::time::{Tick, Timestamp};
use crate::tools::Bundled;
use crate::tools::bots::Pilot;

/// It is given a turn this often, besides what the socket brings: a quarter of a tick at 60 Hz.
pub(super) const TURN_EVERY: Duration = Duration::from_millis(4);

/// Who decides what it wants.
#[derive(Debug)]
enum Mind {
    /// Looks at the arena and plays it. Boxed: it remembers much.
    Pilot(Box<Pilot>),
    /// Moves about: there is nothing to play for among cubes.
    Wander(Wander),
}

impl Mind {
    fn hear(&mut self, message: &[u8]) {
        if let Self::Pilot(pilot) = self {
            pilot.hear(message);
        }
    }

    fn decide(&mut self, replica: &Replica) -> Option<InputBytes> {
        match self {
            Self::Pilot(pilot) => wander::bytes(&pilot.decide(replica)),
            Self::Wander(wander) => wander.wish(),
        }
    }
}

/// A whole client.
#[derive(Debug)]
pub struct Whole<S> {
    client: Client<S>,
    mind: Mind,
    watch: Option<Watch>,
    phase: f32,
    set_out: Timestamp,
    counted: (u64, u64),
}

impl<S: DatagramSocket> Whole<S> {
    /// With a client that has set out, to play `world`.
    pub fn new(world: Bundled, client: Client<S>, seed: u64, phase: f32) -> Self {
        Self {
            set_out: client.now(),
            client,
            mind: match world {
                Bundled::Arena => Mind::Pilot(Box::new(Pilot::new(seed))),
                Bundled::Cubes => Mind::Wander(Wander::new(world, seed)),
            },
            watch: None,
            phase,
            counted: (0, 0),
        }
    }

    /// Whether it plays.
    pub const fn is_in_game(&self) -> bool {
        self.watch.is_some() && !self.client.is_over()
    }

    /// Whether its session is over, or never came to be.
    pub const fn is_over(&self) -> bool {
        self.client.is_over()
    }

    /// Its socket, to ask it when it wants a turn.
    pub const fn socket(&self) -> &S {
        self.client.socket()
    }

    /// Does everything that is due.
    pub fn turn(&mut self, now: Timestamp, ledger: &mut Ledger, agreement: &mut Agreement) {
        self.look(now, ledger);
        self.client.update_at(now);
        while let Some(event) = self.client.poll_event() {
            self.hear(now, &event, ledger, agreement);
        }
        while self.client.input_due().is_some() {
            self.play(now, ledger);
        }
    }

    /// Takes the looks that are due.
    pub fn look(&mut self, now: Timestamp, ledger: &mut Ledger) {
        if let Some(watch) = self.watch.as_mut().filter(|_| !self.client.is_over()) {
            watch.look(now, ledger);
        }
    }

    fn hear(
        &mut self,
        now: Timestamp,
        event: &Event,
        ledger: &mut Ledger,
        agreement: &mut Agreement,
    ) {
        match event {
            Event::Connected(welcome) => {
                ledger.gauges.counts.joined += 1;
                ledger.rates = Some(Rates::from(welcome));
                record(&mut ledger.gauges.connects, now.since(self.set_out));
                self.watch = Some(Watch::new(welcome, now, self.phase));
            }
            Event::Message { message, .. } => self.mind.hear(message),
            Event::Snapshot { tick, whole: true } => {
                if let Some(watch) = &mut self.watch {
                    watch.snapshot(now, *tick, ledger);
                }
                self.compare(*tick, ledger, agreement);
                if let Some(shortest) = self.client.endpoint().link_stats().rtt_min {
                    ledger.line.measured(shortest);
                }
            }
            Event::Disconnected { reason, .. } => {
                *ledger.gauges.disconnects.entry(reason.name()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn compare(&self, tick: Tick, ledger: &mut Ledger, agreement: &mut Agreement) {
        let snapshot = self.client.replica().snapshot(tick);
        if let (Some(snapshot), Some(welcome)) = (snapshot, self.client.welcome()) {
            let compared = agreement.compare(snapshot, welcome.snapshot_every.into());
            ledger.gauges.counts.compared += compared.entities;
            ledger.gauges.counts.differing += compared.differing;
        }
    }

    fn play(&mut self, now: Timestamp, ledger: &mut Ledger) {
        let at = self.client.input_time();
        let Some(input) = self.mind.decide(self.client.replica()) else {
            return;
        };
        let sent = self
            .client
            .send_input_with(|writer| writer.bytes(input.as_slice()));
        let Ok(tick) = sent else {
            return;
        };
        let (Some(watch), Some(at), Some(welcome)) = (&mut self.watch, at, self.client.welcome())
        else {
            return;
        };
        let period = welcome.tick_rate.period();
        let due = now.before(period.mul_f32(at.fraction) + period * at.tick.since(tick));
        watch.input(tick, due, now, ledger);
    }

    /// Writes its traffic since the last time into the ledger, and what it misses by now that somebody has `newest`.
    pub fn close_books(&mut self, newest: Option<Tick>, ledger: &mut Ledger) {
        let stats = self.client.endpoint().stats();
        let (up, down) = (stats.sent.bytes, stats.received.bytes);
        ledger.gauges.counts.bytes_up += up.saturating_sub(self.counted.0);
        ledger.gauges.counts.bytes_down += down.saturating_sub(self.counted.1);
        self.counted = (up, down);
        let watch = self.watch.as_mut().filter(|_| !self.client.is_over());
        if let (Some(watch), Some(newest)) = (watch, newest) {
            watch.write_off(newest, ledger);
        }
    }

    /// Says goodbye, because it is its turn to leave, and writes the rest into the ledger.
    pub fn leave(&mut self, ledger: &mut Ledger) {
        if !self.client.is_over() {
            self.client.disconnect();
            ledger.gauges.counts.left += u64::from(self.watch.is_some());
        }
        self.close_books(None, ledger);
        note_rejections(self.client.endpoint(), ledger);
    }

    /// The newest snapshot it heard of.
    pub const fn newest(&self) -> Option<Tick> {
        self.client.endpoint().snapshot_counts().newest
    }
}
