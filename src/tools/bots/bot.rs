//! One bot: a real client, a brain, and the books that are kept about both.
//!
//! What it sees, it sees through its replica; what it does, it does through inputs. Beside that it compares each
//! snapshot with the server's own frame, which no player could.

use std::collections::VecDeque;
use std::sync::Arc;

use super::pilot::Pilot;
use super::tally::{Tally, Times};
use crate::client::{Client, DatagramSocket, Event};
use crate::game::GameInput as _;
use crate::proto::snapshot::ViewConfig;
use crate::proto::snapshot::verify::check_replica;
use crate::time::{Tick, Timestamp};
use crate::tools::archive::FrameArchive;

/// Snapshots that may still get a further part, or turn out to be later than the last one that counts.
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

/// A snapshot that a bot heard of.
#[derive(Debug, Clone, Copy)]
struct Heard {
    tick: Tick,
    /// Every part of it arrived.
    whole: bool,
    /// It was complete when it was compared last.
    complete: bool,
}

/// One bot.
#[derive(Debug)]
pub struct Bot<S> {
    client: Client<S>,
    pilot: Pilot,
    check: Option<Check>,
    /// The last few snapshots, in the order in which they were heard of first.
    heard: VecDeque<Heard>,
    phase: Phase,
    set_out: Timestamp,
    /// When measuring began for this bot, and its bytes up and down then.
    before: Option<(Timestamp, u64, u64)>,
    tally: Tally,
}

impl<S: DatagramSocket> Bot<S> {
    /// A bot with a client that has set out.
    pub fn new(client: Client<S>, seed: u64, check: Option<Check>) -> Self {
        Self {
            set_out: client.now(),
            client,
            pilot: Pilot::new(seed),
            check,
            heard: VecDeque::with_capacity(REMEMBERED),
            phase: Phase::Joining,
            before: None,
            tally: Tally::default(),
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

    /// What it counted so far.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Does everything that is due.
    pub fn update(&mut self, now: Timestamp, times: &mut Times) {
        self.client.update_at(now);
        while let Some(event) = self.client.poll_event() {
            self.hear(event, times);
        }
        // In the end nothing new is wanted: everything that was sent gets its time to be applied.
        if !matches!(self.phase, Phase::Ending(_)) {
            while self.client.input_due().is_some() {
                self.play();
            }
        }
    }

    fn hear(&mut self, event: Event, times: &mut Times) {
        match event {
            Event::Connected(_) => {
                let took = self.client.now().since(self.set_out);
                Times::record(&mut times.connects, took);
                self.tally.joined = 1;
                self.start_measuring();
            }
            Event::Message { message, .. } => self.pilot.hear(&message),
            Event::Snapshot { tick, whole } => self.hear_snapshot(tick, whole, times),
            Event::Disconnected { reason, .. } => {
                *self.tally.disconnects.entry(reason.name()).or_default() += 1;
                self.stop_measuring(self.client.now());
            }
            _ => {}
        }
    }

    fn hear_snapshot(&mut self, tick: Tick, whole: bool, times: &mut Times) {
        if !matches!(self.phase, Phase::Ending(last) if tick > last) {
            // The first to arrive need not be the first that was sent.
            self.tally.first = Some(self.tally.first.map_or(tick, |first| first.min(tick)));
            self.tally.newest = self.tally.newest.max(Some(tick));
            self.tally.whole += u64::from(whole);
        }
        if self.phase == Phase::Measuring
            && let Some(rtt) = self.client.endpoint().link_stats().rtt_latest
        {
            Times::record(&mut times.round_trips, rtt);
        }
        let complete = self.compare(tick);
        let place = self.remember(tick);
        if let Some(heard) = self.heard.get_mut(place) {
            heard.whole |= whole;
            let is_news = complete == Some(true) && !heard.complete;
            heard.complete |= is_news;
            self.tally.complete += u64::from(is_news);
        }
    }

    /// The place of a snapshot among those heard of; a new one is counted as checked if it is.
    fn remember(&mut self, tick: Tick) -> usize {
        // The one that was heard of last is the likely one.
        if let Some(place) = self.heard.iter().rposition(|heard| heard.tick == tick) {
            return place;
        }
        if self.heard.len() == REMEMBERED {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard {
            tick,
            whole: false,
            complete: false,
        });
        self.tally.checked += u64::from(self.check.is_some());
        self.heard.len() - 1
    }

    /// Holds the snapshot of a tick against the server's frames, and says whether it was complete: again with
    /// every part that it gets. `None` when there is nothing to compare.
    fn compare(&mut self, tick: Tick) -> Option<bool> {
        let (check, welcome) = (self.check.as_ref()?, self.client.welcome()?);
        let snapshot = self.client.replica().snapshot(tick)?;
        let find = |tick| check.archive.at(tick);
        match check_replica(snapshot, find, welcome.slot, &check.view) {
            Ok(checked) => Some(checked.complete),
            Err(mismatch) => {
                if self.tally.mismatches == 0 {
                    tracing::error!(slot = %welcome.slot, %mismatch, "a replica differs from the world");
                }
                self.tally.mismatches += 1;
                Some(false)
            }
        }
    }

    fn play(&mut self) {
        let input = self.pilot.decide(self.client.replica());
        if let Ok(tick) = self.client.send_input_with(|writer| input.encode(writer)) {
            self.tally.inputs += 1;
            self.tally.last_input = Some(tick);
        }
    }

    /// Enters the next part of the run.
    pub fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        match phase {
            Phase::Joining => {}
            Phase::Measuring => self.start_measuring(),
            Phase::Ending(last) => {
                self.tally.connected = u32::from(self.is_in_game());
                self.stop_measuring(now);
                // Others may have seen an older newest snapshot than this bot: what is later does not count.
                let later = self.heard.iter().filter(|heard| heard.tick > last);
                let later = later.filter(|heard| heard.whole).count() as u64;
                self.tally.whole = self.tally.whole.saturating_sub(later);
            }
        }
    }

    /// Measuring begins with the phase, or with the bot's arrival when that is later.
    fn start_measuring(&mut self) {
        if self.phase == Phase::Measuring && self.is_in_game() && self.before.is_none() {
            let stats = self.client.stats();
            self.before = Some((self.client.now(), stats.up.bytes, stats.down.bytes));
        }
    }

    /// It ends with the phase, or with the session when that is earlier.
    fn stop_measuring(&mut self, now: Timestamp) {
        if let Some((since, up, down)) = self.before.take() {
            let stats = self.client.stats();
            self.tally.playing += now.since(since);
            self.tally.bytes_up += stats.up.bytes.saturating_sub(up);
            self.tally.bytes_down += stats.down.bytes.saturating_sub(down);
        }
    }

    /// Says goodbye and hands over the books.
    pub fn finish(mut self, tally: &mut Tally) {
        self.tally.expected = self.expected();
        self.client.disconnect();
        for (room, name, count) in self.client.endpoint().stats().rejections.iter() {
            if count > 0 {
                let name = format!("client.{room}.{name}");
                *self.tally.rejections.entry(name).or_default() += count;
            }
        }
        tally.merge(self.tally);
    }

    /// Snapshots that there were to get: every one from the first to the last that counts, or, when the session
    /// was over before that, to the newest that was heard of.
    fn expected(&self) -> u64 {
        let (Some(first), Some(newest), Some(welcome)) =
            (self.tally.first, self.tally.newest, self.client.welcome())
        else {
            return 0;
        };
        let last = match self.phase {
            Phase::Ending(last) if self.client.is_over() => newest.min(last),
            Phase::Ending(last) => last,
            Phase::Joining | Phase::Measuring => newest,
        };
        if last < first {
            return 0;
        }
        u64::from(last.since(first) / u32::from(welcome.snapshot_every)) + 1
    }
}
