//! Time as a number: monotonic microseconds, calendar seconds, and the tick of the world.
//!
//! Nothing here reads a clock. A driver reads it once and passes the number in, which is why a test
//! can say "forty milliseconds later" and mean it.

use core::fmt;
use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A moment on a monotonic clock, in microseconds since an origin that the driver chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// A moment so many microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A moment so many milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment this long before, at the earliest the origin.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// A duration in microseconds, cut off at the largest number that fits.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates: a deadline too far away is "never".
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// Calendar time in whole seconds since 1970, used for the expiry of connect tokens and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The calendar time so many seconds later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// One step of world time, counted from the start of the server.
///
/// 2^32 ticks are 828 days at 60 Hz and 207 days at [`TickRate::MAX`]; a server is restarted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u32);

impl Tick {
    /// The tick after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The tick so many steps later.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.saturating_add(ticks))
    }

    /// The tick so many steps before, at the earliest tick 0.
    #[must_use]
    pub const fn minus(self, ticks: u32) -> Self {
        Self(self.0.saturating_sub(ticks))
    }

    /// Ticks from `earlier` to this one; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many ticks a second has: 1 to 240.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TickRate(u16);

impl TickRate {
    /// The highest rate that is accepted.
    pub const MAX: u16 = 240;
    /// Sixty ticks a second.
    pub const HZ_60: Self = Self(60);
    /// Thirty ticks a second.
    pub const HZ_30: Self = Self(30);

    /// A rate in Hz; `None` outside 1..=240.
    #[must_use]
    pub const fn new(hz: u16) -> Option<Self> {
        if hz >= 1 && hz <= Self::MAX {
            Some(Self(hz))
        } else {
            None
        }
    }

    /// Ticks a second.
    #[must_use]
    pub const fn hz(self) -> u16 {
        self.0
    }

    /// The length of one tick, rounded down to the nanosecond.
    #[must_use]
    pub fn period(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / u64::from(self.0))
    }

    /// The time from tick 0 to the start of `tick`, exact to the microsecond however long it runs.
    #[must_use]
    pub fn offset_of(self, tick: Tick) -> Duration {
        // 2^32 ticks x 10^6 stays below 2^52.
        Duration::from_micros(u64::from(tick.0) * 1_000_000 / u64::from(self.0))
    }

    /// The whole ticks that this long a time holds.
    #[must_use]
    pub fn ticks_in(self, duration: Duration) -> u32 {
        let ticks = duration.as_micros().saturating_mul(u128::from(self.0)) / 1_000_000;
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// Whether snapshots at rate `other` fall on whole ticks of this rate.
    #[must_use]
    pub const fn is_multiple_of(self, other: Self) -> bool {
        self.0.is_multiple_of(other.0)
    }
}

impl fmt::Display for TickRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_too_far_away_is_never_and_not_the_past() {
        let far = Timestamp::from_micros(10) + Duration::MAX;
        assert_eq!(far.as_micros(), u64::MAX);
    }

    #[test]
    fn time_does_not_run_backwards() {
        let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(3));
        assert_eq!(late.since(early), Duration::from_millis(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn sixty_ticks_are_a_second_and_do_not_drift_in_a_year() {
        let rate = TickRate::HZ_60;
        assert_eq!(rate.offset_of(Tick(60)), Duration::from_secs(1));
        let year = 60 * 60 * 24 * 365 * 60;
        assert_eq!(
            rate.offset_of(Tick(year)),
            Duration::from_secs(60 * 60 * 24 * 365)
        );
        assert_eq!(rate.ticks_in(Duration::from_secs(2)), 120);
    }

    #[test]
    fn rates_outside_the_limits_do_not_exist() {
        assert_eq!(TickRate::new(0), None);
        assert_eq!(TickRate::new(241), None);
        assert!(TickRate::new(240).is_some());
    }
}
