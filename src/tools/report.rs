//! What a run with bots found out: the JSON that `demo --json` prints.
//!
//! Names and meanings are fixed, because scripts read them; the README explains them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The whole report.
#[derive(Debug, Clone, Serialize)]
pub struct DemoReport {
    /// Bots that were asked for.
    pub bots: u32,
    /// Bots in the game when the time was over.
    pub connected: u32,
    /// Ticks that the world has made.
    pub ticks: u64,
    /// Ticks whose work was not done when the next one was due.
    pub overruns: u64,
    /// The work of one tick, in milliseconds.
    pub tick_ms: TickTimes,
    /// Round trips as the bots estimate them, in milliseconds.
    pub rtt_ms: RoundTrips,
    /// Snapshots, over all bots.
    pub snapshots: Snapshots,
    /// UDP payload bytes of one client in one second, the average over all bots.
    pub bytes_per_client_per_second: BytesPerSecond,
    /// Inputs, over all bots.
    pub inputs: Inputs,
    /// The bots' replicas against the server's own frames.
    pub replica: Replicas,
    /// Sessions that ended before the demo did, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// Datagrams, or parts of them, that were refused, by name: the server's as `room.name`, the bots' as
    /// `client.room.name`.
    pub rejections: BTreeMap<String, u64>,
}

/// Milliseconds that ticks took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TickTimes {
    /// Half of them at most.
    pub p50: f64,
    /// 99 of 100 at most.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Milliseconds that round trips took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RoundTrips {
    /// Half of them at most.
    pub p50: f64,
    /// 99 of 100 at most.
    pub p99: f64,
}

/// Snapshots sent and arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Snapshots {
    /// Snapshot ticks from each client's first to the last one sent.
    pub expected: u64,
    /// Those of which every part arrived.
    pub received: u64,
    /// Received over expected; 1 when nothing was expected.
    pub delivery: f64,
}

impl Snapshots {
    /// Counts and their ratio.
    #[must_use]
    pub fn new(expected: u64, received: u64) -> Self {
        let delivery = if expected == 0 {
            1.0
        } else {
            received as f64 / expected as f64
        };
        Self {
            expected,
            received,
            delivery,
        }
    }
}

/// Bytes of one client in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct BytesPerSecond {
    /// From the server to the client.
    pub down: f64,
    /// From the client to the server.
    pub up: f64,
}

/// What became of inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Distinct inputs whose tick has been simulated.
    pub sent: u64,
    /// Applied at their tick.
    pub applied: u64,
    /// Too late for it.
    pub late: u64,
    /// Too early, contradicting, or malformed.
    pub rejected: u64,
}

/// What the comparison of replicas with frames found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// Snapshots compared, one for each that a bot applied.
    pub checked: u64,
    /// Values, entities or views that differ from the server's.
    pub mismatches: u64,
    /// Compared snapshots that were complete: all that the client may see.
    pub complete: u64,
}

/// A histogram of microseconds up to ten seconds, three digits exact.
///
/// # Panics
///
/// Never: the bounds are constants that the histogram accepts (a test holds it).
#[must_use]
#[expect(clippy::expect_used, reason = "constant bounds, held by a test")]
pub fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000, 3).expect("constant bounds")
}

/// A percentile of a histogram of microseconds, in milliseconds with three decimals.
#[must_use]
pub fn millis_at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_of_microseconds_answers_in_milliseconds() {
        let mut histogram = microseconds();
        for micros in 1..=1000 {
            histogram.saturating_record(micros * 100);
        }
        assert!((millis_at(&histogram, 0.5) - 50.0).abs() < 0.2);
        assert!((millis_at(&histogram, 0.99) - 99.0).abs() < 0.2);
    }

    #[test]
    fn delivery_of_nothing_is_whole() {
        assert!((Snapshots::new(0, 0).delivery - 1.0).abs() < f64::EPSILON);
        assert!((Snapshots::new(4, 3).delivery - 0.75).abs() < f64::EPSILON);
    }
}
