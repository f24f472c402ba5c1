//! When the next tick is due: a fixed step against a clock that somebody else reads.
//!
//! Knows the tick rate and how late we are. Reads no clock and never waits.
//!
//! The rule for being late. Tick *n* is due at `origin + n / rate`. A wake plays the ticks that
//! are due, in order, never more than [`CATCH_UP`] of them, so that datagrams are served in
//! between. Whoever is behind by more than [`PATIENCE`] does not catch up: the origin moves, the lost
//! wall time is written down, and the world is simply slower. Catching up on more than that
//! would make every wake heavier than the one that was already too heavy: the spiral.

use core::time::Duration;

use crate::time::{Tick, TickRate, Timestamp};

/// Ticks that one wake plays at most: one that is due and one that was missed. Two are enough
/// to gain on any delay, and short enough that nobody waits long for their datagram.
pub const CATCH_UP: u32 = 2;

/// How far behind the world may fall and still catch up. Below a quarter of a second players see a
/// stutter; above it a burst of old ticks is worse than the pause was.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// The ticks to play at one wake, in order; an iterator over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    next: Tick,
    count: u32,
}

impl Iterator for Due {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        self.count = self.count.checked_sub(1)?;
        let tick = self.next;
        self.next = tick.next();
        Some(tick)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for Due {}

/// What being late has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaceStats {
    /// Wakes that found more than one tick due.
    pub overruns: u64,
    /// How often wall time was given up.
    pub skips: u64,
    /// All the wall time that was given up.
    pub skipped_time: Duration,
}

/// The fixed step of a world.
///
/// ```
/// use tickwire::game::Pace;
/// use tickwire::time::{Tick, TickRate, Timestamp};
///
/// let mut pace = Pace::new(TickRate::new(50).unwrap(), Timestamp::ZERO, Tick(0));
/// assert_eq!(pace.wake(Timestamp::ZERO).collect::<Vec<_>>(), [Tick(0)]);
/// assert_eq!(pace.next_wake(), Timestamp::from_millis(20));
/// assert_eq!(pace.wake(Timestamp::from_millis(19)).len(), 0);
/// assert_eq!(pace.wake(Timestamp::from_millis(40)).collect::<Vec<_>>(), [Tick(1), Tick(2)]);
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    rate: TickRate,
    /// When tick 0 was due, or would have been; moves forward when time is given up. Kept apart
    /// from the numbering so that a world which starts at a late tick needs no time before zero.
    origin: Timestamp,
    first: Tick,
    next: Tick,
    patience: Duration,
    stats: PaceStats,
}

impl Pace {
    /// A world whose next tick is `first`, due at once.
    #[must_use]
    pub fn new(rate: TickRate, now: Timestamp, first: Tick) -> Self {
        Self {
            rate,
            origin: now,
            first,
            next: first,
            // At a handful of ticks a second two missed ones must still fit.
            patience: PATIENCE.max(rate.period().saturating_mul(CATCH_UP)),
            stats: PaceStats::default(),
        }
    }

    /// The ticks due at `now`: at most [`CATCH_UP`]. They count as played.
    pub fn wake(&mut self, now: Timestamp) -> Due {
        let behind = now.since(self.next_wake());
        if behind > self.patience {
            self.origin += behind;
            self.stats.skips += 1;
            self.stats.skipped_time += behind;
        }
        let owed = self.owed(now);
        if owed > 1 {
            self.stats.overruns += 1;
        }
        let due = Due {
            next: self.next,
            count: owed.min(CATCH_UP),
        };
        self.next = self.next.plus(due.count);
        due
    }

    /// Ticks that are due and not played, counted up to one more than a wake would play.
    fn owed(&self, now: Timestamp) -> u32 {
        (0..=CATCH_UP)
            .take_while(|later| self.due_at(self.next.plus(*later)) <= now)
            .count() as u32
    }

    fn due_at(&self, tick: Tick) -> Timestamp {
        self.origin + self.rate.offset_of(Tick(tick.since(self.first)))
    }

    /// When [`Self::wake`] will have a tick to play; in the past when it has one now.
    #[must_use]
    pub fn next_wake(&self) -> Timestamp {
        self.due_at(self.next)
    }

    /// The tick that is played next.
    #[must_use]
    pub const fn next_tick(&self) -> Tick {
        self.next
    }

    /// The rate that is kept.
    #[must_use]
    pub const fn rate(&self) -> TickRate {
        self.rate
    }

    /// What being late has cost so far.
    #[must_use]
    pub const fn stats(&self) -> &PaceStats {
        &self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays for `length` on a virtual clock where each tick takes `cost`; returns the pace, and
    /// the ticks in the order in which they were played.
    fn play(rate: u16, length: Duration, cost: Duration) -> (Pace, Vec<Tick>, Timestamp) {
        let mut now = Timestamp::from_millis(77);
        let end = now + length;
        let mut pace = Pace::new(TickRate::new(rate).unwrap(), now, Tick(5));
        let mut played = Vec::new();
        while now < end {
            for tick in pace.wake(now) {
                played.push(tick);
                now += cost;
            }
            now = now.max(pace.next_wake());
        }
        (pace, played, now)
    }

    #[test]
    fn in_time_there_is_one_tick_at_a_time_and_no_drift() {
        let (pace, played, _) = play(60, Duration::from_secs(3_600), Duration::from_millis(3));
        assert_eq!(played.len(), 60 * 3_600);
        assert!(
            played
                .iter()
                .copied()
                .eq((5..).take(played.len()).map(Tick))
        );
        assert_eq!(*pace.stats(), PaceStats::default());
    }

    #[test]
    fn a_short_pause_is_caught_up_two_ticks_at_a_time() {
        let rate = TickRate::new(50).unwrap();
        let mut pace = Pace::new(rate, Timestamp::ZERO, Tick(0));
        pace.wake(Timestamp::ZERO).for_each(drop);
        // Asleep for 200 ms: ticks 1 to 10 are owed.
        let now = Timestamp::from_millis(200);
        let mut wakes = Vec::new();
        while pace.next_wake() <= now {
            wakes.push(pace.wake(now).map(|tick| tick.0).collect::<Vec<_>>());
        }
        assert_eq!(wakes, [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]);
        assert_eq!(pace.stats().skipped_time, Duration::ZERO);
        assert_eq!(pace.stats().overruns, 5);
        assert_eq!(pace.next_wake(), Timestamp::from_millis(220));
    }

    #[test]
    fn a_long_pause_is_given_up_and_written_down() {
        let rate = TickRate::new(50).unwrap();
        let mut pace = Pace::new(rate, Timestamp::ZERO, Tick(0));
        pace.wake(Timestamp::ZERO).for_each(drop);
        let now = Timestamp::from_millis(3_020);
        assert_eq!(pace.wake(now).collect::<Vec<_>>(), [Tick(1)]);
        assert_eq!(pace.stats().skipped_time, Duration::from_secs(3));
        assert_eq!(pace.stats().skips, 1);
        assert_eq!(pace.next_wake(), now + Duration::from_millis(20));
    }

    #[test]
    fn a_world_that_is_too_heavy_is_slow_and_does_not_spiral() {
        // Each tick takes one and a half periods: two ticks in three periods are all there is.
        let cost = Duration::from_millis(30);
        let (pace, played, now) = play(50, Duration::from_secs(60), cost);
        assert!((1_990..=2_010).contains(&played.len()), "{}", played.len());
        assert!(played.windows(2).all(|pair| pair[1] == pair[0].next()));
        // World time and the time given up are wall time, but for what is still owed.
        let world = TickRate::new(50)
            .unwrap()
            .offset_of(Tick(played.len() as u32));
        let wall = now.since(Timestamp::from_millis(77));
        let owed = wall - world - pace.stats().skipped_time;
        assert!(owed <= PATIENCE + 2 * cost, "{owed:?}");
    }

    #[test]
    fn at_one_tick_a_second_a_missed_tick_is_caught_up() {
        let mut pace = Pace::new(TickRate::new(1).unwrap(), Timestamp::ZERO, Tick(0));
        assert_eq!(pace.wake(Timestamp::from_millis(1_500)).len(), 2);
        assert_eq!(pace.stats().skips, 0);
    }

    #[test]
    fn a_clock_that_stands_still_plays_nothing_twice() {
        let mut pace = Pace::new(TickRate::HZ_60, Timestamp::from_millis(9), Tick(0));
        assert_eq!(pace.wake(Timestamp::from_millis(9)).len(), 1);
        assert_eq!(pace.wake(Timestamp::from_millis(9)).len(), 0);
        assert_eq!(pace.wake(Timestamp::ZERO).len(), 0);
    }
}
