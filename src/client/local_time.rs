//! The one place where the client reads clocks: a moment since its start, and the calendar for the token's expiry.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the file that owns the client's clocks"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Timestamp, UnixTime};

/// A monotonic clock that starts at zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalTime {
    origin: Instant,
}

impl LocalTime {
    pub(super) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    /// The calendar. A machine that believes to live before 1970 finds no token expired.
    pub(super) fn calendar() -> UnixTime {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixTime(since_1970.as_secs())
    }
}
