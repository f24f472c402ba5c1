//! One bot: a real client, a brain, and the books that are kept about both.
//!
//! What it sees, it sees through its replica; what it does, it does through inputs. Beside that it compares each
//! snapshot with the server's own frame, which no player could.

use std::collections::VecDeque;
use std::sync::Arc;

use hdrhistogram::Histogram;

use super::brain::Brain;
use super::tally::Tally;
use crate::client::{Client, DatagramSocket, Event};
use crate::game::GameInput as _;
use crate::game::arena::ArenaEvent;
use crate::game::arena::Thing;
use crate::id::EntityId;
use crate::proto::snapshot::ViewConfig;
use crate::proto::snapshot::verify::check_replica;
use crate::time::{Tick, Timestamp};
use crate::tools::archive::FrameArchive;

/// Snapshots that were compared and may still get a further part.
const REMEMBERED: usize = 64;

/// What to hold a replica against.
#[derive(Debug, Clone)]
pub struct Check {
    /// The server's own frames.
    pub archive: Arc<FrameArchive>,
    /// How far the server lets clients see.
    pub view: ViewConfig,
}

/// What is measured in which part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Bots come in.
    Joining,
    /// The time that the report is about.
    Measuring,
    /// The last snapshot that counts is this one; what is under way may still arrive.
    Ending(Tick),
}

/// One bot.
#[derive(Debug)]
pub struct Bot<S> {
    client: Client<S>,
    brain: Brain,
    me: Option<EntityId>,
    check: Option<Check>,
    /// Recently compared: the tick, and whether it was complete by then.
    compared: VecDeque<(Tick, bool)>,
    phase: Phase,
    /// Bytes up and down when measuring began.
    before: (u64, u64),
    tally: Tally,
    round_trips: Histogram<u64>,
}

impl<S: DatagramSocket> Bot<S> {
    /// A bot with a client that has set out.
    pub fn new(client: Client<S>, seed: u64, check: Option<Check>) -> Self {
        Self {
            client,
            brain: Brain::new(seed),
            me: None,
            check,
            compared: VecDeque::with_capacity(REMEMBERED),
            phase: Phase::Joining,
            before: (0, 0),
            tally: Tally::default(),
            round_trips: crate::tools::report::microseconds(),
        }
    }

    /// Whether it plays.
    pub fn is_in_game(&self) -> bool {
        self.client.welcome().is_some() && !self.client.is_over()
    }

    /// Its client.
    pub const fn client(&self) -> &Client<S> {
        &self.client
    }

    /// Does everything that is due.
    pub fn update(&mut self, now: Timestamp) {
        self.client.update_at(now);
        while let Some(event) = self.client.poll_event() {
            self.hear(event);
        }
        // In the end nothing new is wanted: everything that was sent gets its time to be applied.
        if !matches!(self.phase, Phase::Ending(_)) {
            while self.client.input_due().is_some() {
                self.play();
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Message { message, .. } => {
                if let Some(ArenaEvent::Welcome { you, .. }) = ArenaEvent::decode(&message) {
                    self.me = Some(you);
                }
            }
            Event::Snapshot { tick, whole } => self.hear_snapshot(tick, whole),
            Event::Disconnected { reason, .. } => {
                *self.tally.disconnects.entry(reason.name()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn hear_snapshot(&mut self, tick: Tick, whole: bool) {
        let counts = match self.phase {
            Phase::Ending(last) => tick <= last,
            Phase::Joining | Phase::Measuring => true,
        };
        if counts {
            self.tally.first.get_or_insert(tick);
            self.tally.newest = self.tally.newest.max(Some(tick));
            self.tally.whole += u64::from(whole);
        }
        if self.phase == Phase::Measuring
            && let Some(rtt) = self.client.endpoint().link_stats().rtt_latest
        {
            self.round_trips
                .saturating_record(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
        }
        self.compare(tick);
    }

    /// Holds the snapshot of a tick against the server's frames: again with every part that it gets.
    fn compare(&mut self, tick: Tick) {
        let (Some(check), Some(welcome)) = (&self.check, self.client.welcome()) else {
            return;
        };
        let Some(snapshot) = self.client.replica().snapshot(tick) else {
            return;
        };
        let found = check_replica(
            snapshot,
            |tick| check.archive.at(tick),
            welcome.slot,
            &check.view,
        );
        let complete = match found {
            Ok(checked) => checked.complete,
            Err(mismatch) => {
                if self.tally.mismatches == 0 {
                    tracing::error!(slot = %welcome.slot, %mismatch, "a replica differs from the world");
                }
                self.tally.mismatches += 1;
                false
            }
        };
        match self
            .compared
            .iter_mut()
            .find(|(compared, _)| *compared == tick)
        {
            Some((_, was_complete)) => {
                self.tally.complete += u64::from(complete && !*was_complete);
                *was_complete |= complete;
            }
            None => {
                if self.compared.len() == REMEMBERED {
                    self.compared.pop_front();
                }
                self.compared.push_back((tick, complete));
                self.tally.checked += 1;
                self.tally.complete += u64::from(complete);
            }
        }
    }

    fn play(&mut self) {
        let replica = self.client.replica();
        let (schema, newest) = (replica.schema(), replica.newest_whole());
        let things = newest
            .into_iter()
            .flat_map(|snapshot| snapshot.entities())
            .filter_map(|entity| {
                Some((entity.id, Thing::read(schema, entity.kind, entity.values)?))
            });
        let input = self.brain.decide(self.me, things);
        if let Ok(tick) = self.client.send_input_with(|writer| input.encode(writer)) {
            self.tally.inputs += 1;
            self.tally.last_input = Some(tick);
        }
    }

    /// Enters the next part of the run.
    pub fn enter(&mut self, phase: Phase) {
        let stats = self.client.stats();
        match phase {
            Phase::Joining => {}
            Phase::Measuring => self.before = (stats.up.bytes, stats.down.bytes),
            Phase::Ending(_) => {
                self.tally.bytes_up = stats.up.bytes - self.before.0;
                self.tally.bytes_down = stats.down.bytes - self.before.1;
                self.tally.connected = u32::from(self.is_in_game());
            }
        }
        self.phase = phase;
    }

    /// Says goodbye and hands over the books. `snapshot_every` and the last snapshot tick say what it could have got.
    pub fn finish(mut self, tally: &mut Tally, round_trips: &mut Histogram<u64>) {
        if let (Some(first), Some(welcome)) = (self.tally.first, self.client.welcome()) {
            let last = match self.phase {
                Phase::Ending(last) if !self.client.is_over() => Some(last),
                _ => self.tally.newest,
            };
            let every = u32::from(welcome.snapshot_every);
            self.tally.expected = last.map_or(0, |last| u64::from(last.since(first) / every) + 1);
        }
        self.client.disconnect();
        for (room, name, count) in self.client.endpoint().stats().rejections.iter() {
            if count > 0 {
                *self
                    .tally
                    .rejections
                    .entry(format!("client.{room}.{name}"))
                    .or_default() += count;
            }
        }
        tally.merge(self.tally);
        let _ = round_trips.add(&self.round_trips);
    }
}
