//! The books about bots, added up. Knows numbers. Has no opinion about them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::time::Tick;
use crate::tools::report::microseconds;

/// What one bot, or many, sent, received and compared.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// In the game at some time.
    pub joined: u32,
    /// In the game when measuring ended.
    pub connected: u32,
    /// The first snapshot tick of which anything arrived.
    pub first: Option<Tick>,
    /// The newest.
    pub newest: Option<Tick>,
    /// Snapshots that there were to get.
    pub expected: u64,
    /// Snapshots of which every part arrived.
    pub whole: u64,
    /// The time in the game while measuring, summed over bots.
    pub playing: Duration,
    /// UDP payload sent while measuring.
    pub bytes_up: u64,
    /// UDP payload received while measuring.
    pub bytes_down: u64,
    /// Inputs sent, one a tick.
    pub inputs: u64,
    /// The tick of the last one.
    pub last_input: Option<Tick>,
    /// Snapshots compared with the server's frames.
    pub checked: u64,
    /// Comparisons that found a difference.
    pub mismatches: u64,
    /// Compared snapshots that were complete.
    pub complete: u64,
    /// Sessions that ended, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// What the clients refused, by name.
    pub rejections: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds somebody else's books.
    pub fn merge(&mut self, other: Self) {
        self.joined += other.joined;
        self.connected += other.connected;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.newest = self.newest.max(other.newest);
        self.expected += other.expected;
        self.whole += other.whole;
        self.playing += other.playing;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.inputs += other.inputs;
        self.last_input = self.last_input.max(other.last_input);
        self.checked += other.checked;
        self.mismatches += other.mismatches;
        self.complete += other.complete;
        for (reason, count) in other.disconnects {
            *self.disconnects.entry(reason).or_default() += count;
        }
        for (name, count) in other.rejections {
            *self.rejections.entry(name).or_default() += count;
        }
    }
}

/// How long things took, in microseconds. One for all bots of a thread: a histogram has 120 kB.
#[derive(Debug, Clone)]
pub struct Times {
    /// Round trips, one sample for each snapshot that arrived while measuring.
    pub round_trips: Histogram<u64>,
    /// From setting out to the server's welcome, one for each bot that got there.
    pub connects: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            round_trips: microseconds(),
            connects: microseconds(),
        }
    }
}

impl Times {
    /// Records a time in one of the histograms.
    pub(super) fn record(histogram: &mut Histogram<u64>, time: Duration) {
        histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Everything that is known about bots when they are done.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// What they counted.
    pub tally: Tally,
    /// What they timed.
    pub times: Times,
    /// Bots that never set out.
    pub missed: Missed,
}

impl Books {
    /// Adds those of another thread.
    pub(super) fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
        // Both have the same bounds: adding cannot fail.
        let _ = self.times.round_trips.add(&other.times.round_trips);
        let _ = self.times.connects.add(&other.times.connects);
    }
}

/// Bots that never set out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missed {
    /// Because there was no token for them.
    pub no_token: u32,
    /// Because there was no socket for them.
    pub no_socket: u32,
    /// What the first of them met.
    pub first: Option<String>,
}

impl Missed {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.no_token.saturating_add(self.no_socket)
    }

    pub(in crate::tools) fn count_tokens(&mut self, more: u32, why: &dyn std::fmt::Display) {
        self.no_token = self.no_token.saturating_add(more);
        self.first.get_or_insert_with(|| why.to_string());
    }

    pub(in crate::tools) fn count_socket(&mut self, why: &dyn std::fmt::Display) {
        self.no_socket = self.no_socket.saturating_add(1);
        self.first
            .get_or_insert_with(|| format!("no socket for a bot: {why}"));
    }
}
