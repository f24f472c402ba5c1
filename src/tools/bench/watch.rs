//! What one player feels: how old its world is, what reaches it, how soon its inputs show, how even it all is.
//!
//! Puts the single measures together and writes into a [`Ledger`]. Knows moments and ticks. Has no socket, no clock and no
//! session; whole and light clients are watched alike.

use std::time::Duration;

use super::age::{AgeSampler, LOOK_EVERY};
use super::awaited::Awaited;
use super::deliveries::Deliveries;
use super::gauges::{Ledger, record};
use super::rhythm::Rhythm;
use crate::proto::event::Welcome;
use crate::time::{Tick, TickRate, Timestamp};

/// An input that leaves so long after it was due is late, and that is the load test's fault: a third of a tick at 60 Hz.
pub const LATE: Duration = Duration::from_millis(5);

/// The watch over one client that is in the game.
#[derive(Debug, Clone)]
pub struct Watch {
    rate: TickRate,
    ages: AgeSampler,
    deliveries: Deliveries,
    awaited: Awaited,
    rhythm: Rhythm,
}

impl Watch {
    /// Begins with the welcome. `phase` (0 to 1) spreads the looks at many clients over the time between two.
    #[must_use]
    pub fn new(welcome: &Welcome, now: Timestamp, phase: f32) -> Self {
        Self {
            rate: welcome.tick_rate,
            ages: AgeSampler::new(now + LOOK_EVERY.mul_f32(phase.clamp(0.0, 1.0))),
            deliveries: Deliveries::new(welcome.snapshot_every.into()),
            awaited: Awaited::default(),
            rhythm: Rhythm::default(),
        }
    }

    /// Takes the looks that are due: before anything that arrived meanwhile is told.
    pub fn look(&mut self, now: Timestamp, ledger: &mut Ledger) {
        let Ledger { gauges, line, .. } = ledger;
        let rate = self.rate;
        self.ages.advance(now, |due, tick| {
            if let Some(age) = line.age(due, tick, rate) {
                record(&mut gauges.ages, age);
            }
        });
    }

    /// A snapshot arrived, as much of it as counts.
    pub fn snapshot(&mut self, now: Timestamp, tick: Tick, ledger: &mut Ledger) {
        let Ledger { gauges, line, .. } = ledger;
        line.arrived(now, tick, self.rate);
        self.ages.arrived(tick);
        let counted = self.deliveries.arrived(tick);
        gauges.counts.expected += counted.expected;
        gauges.counts.received += counted.received;
        self.awaited
            .arrived(tick, now, |took| record(&mut gauges.latencies, took));
        if let Some(jitter) = self.rhythm.arrived(now, tick, self.rate) {
            record(&mut gauges.jitters, jitter);
        }
    }

    /// An input for `tick` left now; it was due at `due`.
    pub fn input(&mut self, tick: Tick, due: Timestamp, now: Timestamp, ledger: &mut Ledger) {
        let counts = &mut ledger.gauges.counts;
        counts.inputs += 1;
        counts.inputs_late += u64::from(now.since(due) > LATE);
        counts.inputs_unanswered += self.awaited.sent(tick, due);
    }

    /// Somebody has the snapshot of `newest`: what this client misses by now is not on its way any more.
    pub fn write_off(&mut self, newest: Tick, ledger: &mut Ledger) {
        ledger.gauges.counts.expected += self.deliveries.write_off(newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientSlot;
    use crate::tools::bench::gauges::{Gauges, millis_below};

    /// Ten seconds of a server at 60 Hz with 30 snapshots a second, each 8 ms on its way; `stall` is a second in which it
    /// makes none and sends none.
    fn play(stall: bool) -> Gauges {
        let welcome = Welcome {
            slot: ClientSlot {
                index: 0,
                generation: 0,
            },
            tick_rate: TickRate::HZ_60,
            snapshot_every: 2,
            tick: Tick(0),
        };
        let mut watch = Watch::new(&welcome, Timestamp::ZERO, 0.25);
        let mut ledger = Ledger::default();
        ledger.line.measured(Duration::from_millis(16));
        for ms in 0..10_000_u64 {
            let now = Timestamp::from_millis(ms);
            watch.look(now, &mut ledger);
            let made = ms.saturating_sub(8) * 60 / 1_000;
            let before = ms.saturating_sub(9) * 60 / 1_000;
            let stalls = stall && (5_000..6_000).contains(&ms);
            if made > before && made % 2 == 0 && !stalls {
                watch.snapshot(now, Tick(made as u32), &mut ledger);
            }
            if ms % 17 == 0 {
                let ahead = Tick((ms * 60 / 1_000) as u32 + 2);
                watch.input(ahead, now, now, &mut ledger);
            }
        }
        watch.write_off(Tick(598), &mut ledger);
        ledger.gauges
    }

    #[test]
    fn a_good_server_feels_good() {
        let gauges = play(false);
        assert_eq!(gauges.delivery(), Some(1.0));
        // Between 8 ms and the 33 ms later at which the next one comes.
        let age = |share| millis_below(&gauges.ages, share).expect("looks");
        assert!((8.0..42.0).contains(&age(0.5)), "{}", age(0.5));
        assert!((30.0..=43.0).contains(&age(0.999)), "{}", age(0.999));
        let jitter = millis_below(&gauges.jitters, 0.99).expect("arrivals");
        assert!(jitter <= 1.1, "{jitter}");
        // Two ticks ahead, up to one more until there is a snapshot, and the way down.
        let latency = millis_below(&gauges.latencies, 0.5).expect("inputs");
        assert!((30.0..60.0).contains(&latency), "{latency}");
        assert_eq!(gauges.counts.inputs_late, 0);
    }

    #[test]
    fn a_stall_of_a_second_is_a_tenth_of_ten_seconds_and_not_one_sample() {
        let gauges = play(true);
        let age = |share| millis_below(&gauges.ages, share).expect("looks");
        assert!(
            age(0.5) < 45.0,
            "most of the time all was well: {}",
            age(0.5)
        );
        assert!(age(0.95) > 400.0, "{}", age(0.95));
        assert!(age(0.99) > 850.0, "{}", age(0.99));
        let delivery = gauges.delivery().expect("snapshots");
        assert!((0.89..0.91).contains(&delivery), "{delivery}");
    }

    #[test]
    fn an_input_that_leaves_late_is_the_load_tests_fault_and_its_time_counts() {
        let mut ledger = Ledger::default();
        let welcome = Welcome {
            slot: ClientSlot {
                index: 0,
                generation: 0,
            },
            tick_rate: TickRate::HZ_60,
            snapshot_every: 1,
            tick: Tick(0),
        };
        let mut watch = Watch::new(&welcome, Timestamp::ZERO, 0.0);
        let ms = Timestamp::from_millis;
        watch.input(Tick(10), ms(100), ms(140), &mut ledger);
        watch.snapshot(ms(150), Tick(10), &mut ledger);
        assert_eq!(ledger.gauges.counts.inputs_late, 1);
        assert_eq!(millis_below(&ledger.gauges.latencies, 1.0), Some(50.015));
    }
}
