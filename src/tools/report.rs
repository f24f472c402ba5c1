//! What a run with bots found out: the JSON that `demo --json` and `bots --json` print.
//!
//! Names and meanings are fixed, because scripts read them; the README explains them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::bots::{Books, Tally};
use crate::server::metrics::ServerStats;

/// The report of a demo, where both ends are known.
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
    pub rtt_ms: Spread,
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

impl DemoReport {
    /// Puts together what the server and the bots counted.
    #[must_use]
    pub fn new(bots: u32, stats: &ServerStats, books: Books) -> Self {
        let millis = |micros: u64| micros as f64 / 1e3;
        let Books { tally, times, .. } = books;
        let bytes_per_client_per_second = BytesPerSecond::of(&tally);
        let mut rejections = tally.rejections;
        for (name, count) in &stats.total.rejections {
            *rejections.entry(name.clone()).or_default() += count;
        }
        Self {
            bots,
            connected: tally.connected,
            ticks: stats.tick.played,
            overruns: stats.tick.overruns,
            tick_ms: TickTimes {
                p50: millis(stats.tick.p50_us),
                p99: millis(stats.tick.p99_us),
                max: millis(stats.tick.max_us),
            },
            rtt_ms: Spread::of(&times.round_trips),
            snapshots: Snapshots::new(tally.expected, tally.whole),
            bytes_per_client_per_second,
            inputs: Inputs {
                sent: tally.inputs,
                applied: stats.tick.inputs.applied,
                late: stats.tick.inputs.late,
                rejected: stats.tick.inputs.rejected,
            },
            replica: Replicas {
                checked: tally.checked,
                mismatches: tally.mismatches,
                complete: tally.complete,
            },
            disconnects: tally.disconnects,
            rejections,
        }
    }
}

/// The report of bots that played somewhere else: what clients can know.
#[derive(Debug, Clone, Serialize)]
pub struct BotsReport {
    /// Bots that were asked for.
    pub bots: u32,
    /// Bots that were in the game at some time.
    pub joined: u32,
    /// Bots in the game when the time was over.
    pub connected: u32,
    /// For how long it was measured.
    pub seconds: f64,
    /// From setting out to the server's welcome, in milliseconds.
    pub connect_ms: Spread,
    /// Round trips as the bots estimate them, in milliseconds.
    pub rtt_ms: Spread,
    /// Snapshots, over all bots; the last one that counts is the newest that any of them saw.
    pub snapshots: Snapshots,
    /// UDP payload bytes of one client in one second, the average over all bots.
    pub bytes_per_client_per_second: BytesPerSecond,
    /// Inputs, over all bots.
    pub inputs: SentInputs,
    /// Bots that never set out.
    pub not_started: NotStarted,
    /// Sessions that ended before the bots did, or never came to be, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// Datagrams, or parts of them, that the bots refused, as `client.room.name`.
    pub rejections: BTreeMap<String, u64>,
}

impl BotsReport {
    /// Puts together what bots counted in so much measured time.
    #[must_use]
    pub fn new(bots: u32, measured: Duration, books: Books) -> Self {
        let Books {
            tally,
            times,
            missed,
        } = books;
        Self {
            bots,
            joined: tally.joined,
            connected: tally.connected,
            seconds: (measured.as_secs_f64() * 1e3).round() / 1e3,
            connect_ms: Spread::of(&times.connects),
            rtt_ms: Spread::of(&times.round_trips),
            snapshots: Snapshots::new(tally.expected, tally.whole),
            bytes_per_client_per_second: BytesPerSecond::of(&tally),
            inputs: SentInputs { sent: tally.inputs },
            not_started: NotStarted {
                no_token: missed.no_token,
                no_socket: missed.no_socket,
            },
            disconnects: tally.disconnects,
            rejections: tally.rejections,
        }
    }
}

/// What became of inputs, as far as their sender knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SentInputs {
    /// Distinct inputs that were sent.
    pub sent: u64,
}

/// Bots that never set out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NotStarted {
    /// There was no connect token for them.
    pub no_token: u32,
    /// There was no socket for them.
    pub no_socket: u32,
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

/// Milliseconds that something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half of them at most.
    pub p50: f64,
    /// 99 of 100 at most.
    pub p99: f64,
}

impl Spread {
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: millis_at(histogram, 0.5),
            p99: millis_at(histogram, 0.99),
        }
    }
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

impl BytesPerSecond {
    fn of(tally: &Tally) -> Self {
        let seconds = tally.playing.as_secs_f64().max(1e-3);
        Self {
            down: tally.bytes_down as f64 / seconds,
            up: tally.bytes_up as f64 / seconds,
        }
    }
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
