//! What one thread counted and timed in one second, and how such books are added up.
//!
//! Knows numbers. Whether they are good is judged in [`super::objective`].

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::line::Line;
use crate::proto::event::Welcome;
use crate::time::TickRate;
use crate::tools::report::microseconds;

/// Counts and times, of a second or of many.
#[derive(Debug, Clone)]
pub struct Gauges {
    /// Ages of the newest state, one for each look at each client (microseconds, as all times here).
    pub ages: Histogram<u64>,
    /// From an input that was due to the first snapshot that played it.
    pub latencies: Histogram<u64>,
    /// How far a snapshot's arrival was from its rhythm.
    pub jitters: Histogram<u64>,
    /// From setting out to the welcome.
    pub connects: Histogram<u64>,
    /// How late a thread of the load test came to its turns.
    pub lateness: Histogram<u64>,
    /// What was counted.
    pub counts: Counts,
    /// Sessions that ended and should not have, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// What clients refused, by name.
    pub rejections: BTreeMap<String, u64>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Snapshots that there were to get.
    pub expected: u64,
    /// Those that arrived.
    pub received: u64,
    /// Inputs sent, one a tick.
    pub inputs: u64,
    /// Those that left more than [`super::watch::LATE`] after they were due.
    pub inputs_late: u64,
    /// Those that no snapshot answered.
    pub inputs_unanswered: u64,
    /// UDP payload sent.
    pub bytes_up: u64,
    /// UDP payload received.
    pub bytes_down: u64,
    /// Clients that came in.
    pub joined: u64,
    /// Clients that left because it was their turn.
    pub left: u64,
    /// Entities of whole clients that were compared with those of others.
    pub compared: u64,
    /// Those that differed.
    pub differing: u64,
    /// Errors of the sockets.
    pub socket_errors: u64,
    /// Time in the game, summed over clients, in microseconds.
    pub playing_us: u64,
    /// Processor time of the thread.
    pub cpu_us: u64,
    /// What passed on the clock meanwhile.
    pub wall_us: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.expected, other.expected),
            (&mut self.received, other.received),
            (&mut self.inputs, other.inputs),
            (&mut self.inputs_late, other.inputs_late),
            (&mut self.inputs_unanswered, other.inputs_unanswered),
            (&mut self.bytes_up, other.bytes_up),
            (&mut self.bytes_down, other.bytes_down),
            (&mut self.joined, other.joined),
            (&mut self.left, other.left),
            (&mut self.compared, other.compared),
            (&mut self.differing, other.differing),
            (&mut self.socket_errors, other.socket_errors),
            (&mut self.playing_us, other.playing_us),
            (&mut self.cpu_us, other.cpu_us),
            (&mut self.wall_us, other.wall_us),
        ];
        for (ours, theirs) in pairs {
            *ours = ours.saturating_add(theirs);
        }
    }
}

impl Default for Gauges {
    fn default() -> Self {
        Self {
            ages: microseconds(),
            latencies: microseconds(),
            jitters: microseconds(),
            connects: microseconds(),
            lateness: microseconds(),
            counts: Counts::default(),
            disconnects: BTreeMap::new(),
            rejections: BTreeMap::new(),
        }
    }
}

impl Gauges {
    /// Adds the books of another thread, or of another second.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.ages, &other.ages),
            (&mut self.latencies, &other.latencies),
            (&mut self.jitters, &other.jitters),
            (&mut self.connects, &other.connects),
            (&mut self.lateness, &other.lateness),
        ];
        for (ours, theirs) in pairs {
            // All have the same bounds: adding cannot fail.
            let _ = ours.add(theirs);
        }
        self.counts.add(&other.counts);
        for (reason, count) in &other.disconnects {
            *self.disconnects.entry(reason).or_default() += count;
        }
        for (name, count) in &other.rejections {
            *self.rejections.entry(name.clone()).or_default() += count;
        }
    }

    /// Received over expected; `None` when nothing was expected.
    #[must_use]
    pub fn delivery(&self) -> Option<f64> {
        let Counts {
            expected, received, ..
        } = self.counts;
        (expected > 0).then(|| received as f64 / expected as f64)
    }

    /// Clients in the game, the mean over this time.
    #[must_use]
    pub fn clients(&self, time: Duration) -> f64 {
        self.counts.playing_us as f64 / 1e6 / time.as_secs_f64().max(1e-9)
    }
}

/// Records a time.
pub fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// Milliseconds below which a share of the times is; `None` when there are none.
#[must_use]
pub fn millis_below(histogram: &Histogram<u64>, share: f64) -> Option<f64> {
    let is_empty = histogram.is_empty();
    (!is_empty).then(|| crate::tools::report::millis_at(histogram, share))
}

/// The books of a thread that are open, and what it needs to keep them.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Of this second.
    pub gauges: Gauges,
    /// What ages are counted from, as far as this thread knows.
    pub line: Line,
    /// How the server runs, once it has told somebody.
    pub rates: Option<Rates>,
}

/// How a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Ticks a second.
    pub tick: TickRate,
    /// Ticks from one snapshot to the next.
    pub snapshot_every: u16,
}

impl From<&Welcome> for Rates {
    fn from(welcome: &Welcome) -> Self {
        Self {
            tick: welcome.tick_rate,
            snapshot_every: welcome.snapshot_every,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The time that so many of a hundred are not above, found by sorting.
    fn plainly(sorted: &[u64], share: f64) -> u64 {
        let place = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted[place - 1]
    }

    proptest! {
        #[test]
        fn percentiles_of_merged_books_are_those_of_all_times_together(
            one in prop::collection::vec(1_u64..2_000_000, 1..300),
            two in prop::collection::vec(1_u64..2_000_000, 0..300),
        ) {
            let books = [&one, &two].map(|times| {
                let mut gauges = Gauges::default();
                times.iter().for_each(|time| record(&mut gauges.ages, Duration::from_micros(*time)));
                gauges
            });
            let [mut all, other] = books;
            all.merge(&other);
            let mut sorted = [one, two].concat();
            sorted.sort_unstable();
            for share in [0.5, 0.9, 0.99, 0.999] {
                let millis = millis_below(&all.ages, share).expect("there are times");
                let exact = plainly(&sorted, share) as f64 / 1e3;
                // Three digits are kept.
                prop_assert!((millis - exact).abs() <= exact * 0.002 + 0.002, "{share}: {millis} {exact}");
            }
        }
    }

    #[test]
    fn nothing_has_no_percentile_and_no_delivery() {
        let gauges = Gauges::default();
        assert_eq!(millis_below(&gauges.ages, 0.5), None);
        assert_eq!(gauges.delivery(), None);
    }

    #[test]
    fn every_count_is_added() {
        let one = Counts {
            expected: 1,
            received: 2,
            inputs: 3,
            inputs_late: 4,
            inputs_unanswered: 5,
            bytes_up: 6,
            bytes_down: 7,
            joined: 8,
            left: 9,
            compared: 10,
            differing: 11,
            socket_errors: 12,
            playing_us: 13,
            cpu_us: 14,
            wall_us: 15,
        };
        let mut sum = Counts::default();
        sum.add(&one);
        assert_eq!(sum, one);
    }
}
