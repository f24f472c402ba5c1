//! How long a round trip takes. Knows samples and the peer's ack delay. Has no idea what was sent.
//!
//! The estimator of RFC 9002, section 5, with one difference: the peer's ack delay is subtracted from
//! every sample, the first and the minimum included. QUIC subtracts only what keeps a sample above
//! the minimum, because it must not trust a delay that shrinks the round trip below the path's.
//! Here most acks wait for the peer's next send slot, often equally long each time; then no sample
//! would ever show the path itself. A peer that lies about its delay is believed down to nothing and
//! harms its own estimate: loss detection goes by the raw samples, resending has a floor and a budget.
//!
//! Only the newest datagram of an ack is measured. Where datagrams overtake each other by several send
//! slots the newest is one of the fast ones, and the estimate leans low: by 3% at 20 to 40 ms each
//! way and 60 Hz, by 12% at 150 to 250 ms.

use core::time::Duration;

/// The round trip before the first sample. RFC 9002 says 333 ms; a game's paths are shorter, and an
/// early resend costs one message while a late one costs a player's first second.
const INITIAL_MICROS: u32 = 100_000;
/// Timers are not finer than this (RFC 9002, section 6.1.2: `kGranularity`).
const GRANULARITY: Duration = Duration::from_millis(1);

/// Smoothed round trip, its variance, the minimum and the jitter.
///
/// Kept in microseconds of 32 bits: a round trip is cut off at 71 minutes.
#[derive(Debug, Clone, Default)]
pub struct RttEstimator {
    /// The newest sample with the peer's delay in it.
    latest_raw: u32,
    /// The newest sample without it.
    latest: u32,
    smoothed: u32,
    variance: u32,
    min: u32,
    jitter: u32,
    has_sample: bool,
}

impl RttEstimator {
    /// Takes in one sample: the time from a datagram to its ack, of which the ack waited `ack_delay`
    /// at the peer.
    pub fn sample(&mut self, raw: Duration, ack_delay: Duration) {
        let raw = micros(raw);
        let latest = raw.saturating_sub(micros(ack_delay));
        if self.has_sample {
            // RFC 9002, section 5.3; the jitter is smoothed as in RFC 3550, section 6.4.1.
            let change = latest.abs_diff(self.latest);
            self.jitter = blend(self.jitter, change, 16);
            let deviation = self.smoothed.abs_diff(latest);
            self.variance = blend(self.variance, deviation, 4);
            self.smoothed = blend(self.smoothed, latest, 8);
            self.min = self.min.min(latest);
        } else {
            self.smoothed = latest;
            self.variance = latest / 2;
            self.min = latest;
        }
        self.latest_raw = raw;
        self.latest = latest;
        self.has_sample = true;
    }

    /// The smoothed round trip; `None` before the first sample.
    #[must_use]
    pub fn smoothed(&self) -> Option<Duration> {
        self.has_sample.then(|| duration(self.smoothed))
    }

    /// The newest sample; `None` before the first.
    #[must_use]
    pub fn latest(&self) -> Option<Duration> {
        self.has_sample.then(|| duration(self.latest))
    }

    /// The smallest sample so far; `None` before the first.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        self.has_sample.then(|| duration(self.min))
    }

    /// The mean deviation from the smoothed round trip (`rttvar`).
    #[must_use]
    pub fn variance(&self) -> Duration {
        duration(self.variance)
    }

    /// The mean change from one sample to the next.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        duration(self.jitter)
    }

    /// How long after it was sent a datagram is lost if a newer one was acknowledged: 9/8 of a round
    /// trip, the peer's ack delay in it (RFC 9002, section 6.1.2).
    #[must_use]
    pub fn loss_delay(&self) -> Duration {
        let slowest = if self.has_sample {
            self.smoothed.max(self.latest_raw)
        } else {
            INITIAL_MICROS
        };
        (duration(slowest) + duration(slowest / 8)).max(GRANULARITY)
    }

    /// How long to wait for any ack before trying again (RFC 9002, section 6.2.1).
    #[must_use]
    pub fn probe_timeout(&self, max_ack_delay: Duration) -> Duration {
        let (smoothed, variance) = if self.has_sample {
            (self.smoothed, self.variance)
        } else {
            (INITIAL_MICROS, INITIAL_MICROS / 2)
        };
        duration(smoothed) + (duration(variance) * 4).max(GRANULARITY) + max_ack_delay
    }
}

/// The mean of `parts - 1` parts of `old` and one of `new`, without overflow.
fn blend(old: u32, new: u32, parts: u64) -> u32 {
    let sum = u64::from(old) * (parts - 1) + u64::from(new);
    // The mean of two 32-bit numbers is one.
    (sum / parts) as u32
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn duration(micros: u32) -> Duration {
    Duration::from_micros(u64::from(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_sample_is_the_estimate() {
        let mut rtt = RttEstimator::default();
        assert_eq!(rtt.smoothed(), None);
        rtt.sample(80 * MS, 20 * MS);
        assert_eq!(rtt.smoothed(), Some(60 * MS));
        assert_eq!(rtt.variance(), 30 * MS);
        assert_eq!(rtt.min(), Some(60 * MS));
    }

    #[test]
    fn a_constant_ack_delay_does_not_hide_the_path() {
        let mut rtt = RttEstimator::default();
        for _ in 0..100 {
            rtt.sample(85 * MS, 25 * MS);
        }
        assert_eq!(rtt.smoothed(), Some(60 * MS));
        assert!(rtt.variance() < MS);
        assert_eq!(rtt.jitter(), Duration::ZERO);
        assert!(rtt.loss_delay() > 85 * MS, "acks come after 85 ms, not 60");
    }

    #[test]
    fn a_delay_longer_than_the_round_trip_gives_nothing_negative() {
        let mut rtt = RttEstimator::default();
        rtt.sample(10 * MS, 60 * MS);
        rtt.sample(Duration::ZERO, 60 * MS);
        assert_eq!(rtt.smoothed(), Some(Duration::ZERO));
        assert!(rtt.loss_delay() >= MS);
        assert!(rtt.probe_timeout(25 * MS) >= 26 * MS);
    }

    #[test]
    fn extreme_samples_do_not_overflow() {
        let mut rtt = RttEstimator::default();
        for raw in [Duration::MAX, Duration::ZERO, Duration::MAX, Duration::MAX] {
            rtt.sample(raw, Duration::ZERO);
        }
        assert!(rtt.smoothed() <= Some(Duration::from_secs(4295)));
        assert!(rtt.probe_timeout(Duration::ZERO) < Duration::from_secs(5 * 4295));
    }

    #[test]
    fn the_estimate_follows_a_step_within_thirty_samples() {
        let mut rtt = RttEstimator::default();
        for _ in 0..30 {
            rtt.sample(50 * MS, Duration::ZERO);
        }
        for _ in 0..30 {
            rtt.sample(150 * MS, Duration::ZERO);
        }
        let smoothed = rtt.smoothed().expect("there were samples");
        assert!((145 * MS..=150 * MS).contains(&smoothed), "{smoothed:?}");
    }
}
