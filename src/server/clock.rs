//! The clocks of a running server: one origin for every thread's timestamps, and the calendar.
//!
//! Everything below takes the time as an argument; this is where a driver gets it from.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: this file is where clocks are read"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Timestamp, UnixTime};

/// A monotonic clock with one origin for the whole process. Copies show the same time.
#[derive(Debug, Clone, Copy)]
pub struct ServerClock {
    origin: Instant,
}

impl ServerClock {
    /// A clock that starts one second after its zero, so that "a moment ago" exists from the beginning.
    #[must_use]
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            origin: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
        }
    }

    /// The time since the origin.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }
}

/// The calendar, in whole seconds since 1970; zero on a machine that believes it is earlier.
#[must_use]
pub fn calendar() -> UnixTime {
    UnixTime(since_1970().as_secs())
}

/// The calendar in microseconds since 1970: the start of sequence numbers that no earlier start had.
#[must_use]
pub fn calendar_micros() -> u64 {
    u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
