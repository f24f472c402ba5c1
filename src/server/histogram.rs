//! How long things took, counted in fixed buckets that one thread writes and others read.
//!
//! Eight buckets to a doubling: a quantile is at most one eighth above the truth. 200 counters,
//! no allocation, no lock.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use serde::Serialize;

/// Buckets to a doubling, and as many for the first microseconds one by one.
const STEPS: usize = 8;
const STEPS_LOG2: usize = STEPS.trailing_zeros() as usize;
/// 2^27 microseconds are 134 seconds; what takes longer counts as that.
const DOUBLINGS: usize = 24;
const BUCKETS: usize = STEPS * (DOUBLINGS + 1);

/// A histogram of durations from one microsecond to two minutes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    max_micros: AtomicU64,
    sum_micros: AtomicU64,
}

/// What a histogram held, in a few buckets that its own add up to exactly.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distribution {
    /// Durations in seconds, rising, and how many fell between the one before and it.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were, those above the last bucket too.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_seconds: f64,
}

impl Distribution {
    /// Adds another one with the same buckets.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for ((_, ours), (_, theirs)) in self.buckets.iter_mut().zip(&other.buckets) {
                *ours += theirs;
            }
        }
        self.count += other.count;
        self.sum_seconds += other.sum_seconds;
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            max_micros: AtomicU64::new(0),
            sum_micros: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.max_micros.fetch_max(micros, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The histogram in fewer buckets, which end below these microseconds. A bound that is not
    /// the end of a bucket of ours (see [`is_exact`]) puts some durations into the next one.
    #[must_use]
    pub fn distribution(&self, bounds_micros: &[u64]) -> Distribution {
        let mut buckets: Vec<_> = bounds_micros
            .iter()
            .map(|micros| (*micros as f64 / 1e6, 0))
            .collect();
        let (mut at, mut count) = (0, 0);
        for (bucket, cell) in self.buckets.iter().enumerate() {
            let here = cell.load(Ordering::Relaxed);
            count += here;
            while bounds_micros
                .get(at)
                .is_some_and(|bound| upper_bound(bucket) >= *bound)
            {
                at += 1;
            }
            if let Some((_, sum)) = buckets.get_mut(at) {
                *sum += here;
            }
        }
        Distribution {
            buckets,
            count,
            sum_seconds: self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_micros.load(Ordering::Relaxed))
    }

    /// What share `quantile` (0 to 1) of all did not exceed, at most one eighth too high; zero when
    /// nothing was counted.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let counts = self
            .buckets
            .each_ref()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        let total: u64 = counts.iter().sum();
        let rank = (quantile.clamp(0.0, 1.0) * total as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return Duration::from_micros(upper_bound(bucket)).min(self.max());
            }
        }
        Duration::ZERO
    }
}

/// Whether a bucket ends exactly below so many microseconds.
#[must_use]
pub fn is_exact(micros: u64) -> bool {
    micros > 0 && bucket_of(micros) != bucket_of(micros - 1)
}

fn bucket_of(micros: u64) -> usize {
    let doubling = (micros | 1).ilog2() as usize;
    if doubling < STEPS_LOG2 {
        return micros as usize;
    }
    // The leading bit says which doubling, the three after it which step.
    let shift = doubling - STEPS_LOG2;
    let step = (micros >> shift) as usize - STEPS;
    (STEPS * (shift + 1) + step).min(BUCKETS - 1)
}

/// The longest duration that falls into a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let (shift, step) = (bucket / STEPS - 1, bucket % STEPS);
    (((STEPS + step + 1) as u64) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        for micros in 0..100_000 {
            let bucket = bucket_of(micros);
            assert!(micros <= upper_bound(bucket), "{micros} in {bucket}");
            assert!(
                bucket == 0 || micros > upper_bound(bucket - 1),
                "{micros} in {bucket}"
            );
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list_and_an_eighth_at_most() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let histogram = Histogram::default();
        let mut sorted: Vec<u64> = (0..10_000)
            .map(|_| {
                let top: u64 = 1 << rng.random_range(0..20);
                rng.random_range(0..=top)
            })
            .collect();
        for micros in &sorted {
            histogram.record(Duration::from_micros(*micros));
        }
        sorted.sort_unstable();
        for quantile in [0.01, 0.5, 0.9, 0.99, 1.0] {
            let truth = sorted[(quantile * 10_000.0_f64).ceil() as usize - 1];
            let told = histogram.quantile(quantile).as_micros() as u64;
            assert!(
                told >= truth && told <= truth + truth / 8,
                "{quantile}: {told} for {truth}"
            );
        }
        assert_eq!(histogram.count(), 10_000);
    }

    #[test]
    fn fewer_buckets_hold_what_a_plain_count_finds() {
        let bounds = [64, 512, 6_144, 65_536];
        assert!(bounds.into_iter().all(is_exact));
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let histogram = Histogram::default();
        let all: Vec<u64> = (0..5_000)
            .map(|_| {
                let top: u64 = 1 << rng.random_range(0..20);
                rng.random_range(0..=top)
            })
            .collect();
        for micros in &all {
            histogram.record(Duration::from_micros(*micros));
        }
        let told = histogram.distribution(&bounds);
        let mut from = 0;
        for (bound, (seconds, count)) in bounds.into_iter().zip(&told.buckets) {
            let truth = all.iter().filter(|it| (from..bound).contains(*it)).count();
            assert_eq!((*seconds, *count), (bound as f64 / 1e6, truth as u64));
            from = bound;
        }
        assert_eq!(told.count, 5_000);
        let sum = all.iter().sum::<u64>() as f64 / 1e6;
        assert!((told.sum_seconds - sum).abs() < 1e-9);

        let mut twice = Distribution::default();
        twice.merge(&told);
        twice.merge(&told);
        assert_eq!(twice.count, 10_000);
        assert_eq!(twice.buckets[3].1, 2 * told.buckets[3].1);
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
    }
}
