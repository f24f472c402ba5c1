//! The time in the form that `governor` asks for it: a clock that is told what to show.
//!
//! Knows timestamps. Reads nothing.

use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use governor::clock::{Clock, Reference};
use governor::nanos::Nanos;

use crate::time::Timestamp;

/// A clock that shows what it was last told.
///
/// `governor` asks a clock; this crate passes the time in. The hand is shared by all limiters of one shard.
#[derive(Debug, Clone, Default)]
pub(super) struct ToldClock(Arc<AtomicU64>);

impl ToldClock {
    pub(super) fn tell(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::Relaxed);
    }
}

impl Clock for ToldClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(Timestamp::from_micros(self.0.load(Ordering::Relaxed)))
    }
}

/// A [`Timestamp`] in the words that `governor` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) Timestamp);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0 + Duration::from_nanos(nanos.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Nanos::new(nanos(self.0.since(earlier.0)))
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.before(Duration::from_nanos(duration.as_u64())))
    }
}

/// A duration in nanoseconds; 584 years at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
