//! When a snapshot could have been here at the earliest: what the age of a state is counted from.
//!
//! Client and server share no clock. But ticks are made at a steady rate, so the fastest of many arrivals says when each
//! tick was made, but for the shortest way down; and that is taken to be half of the shortest round trip that any client
//! measured. Knows times and ticks. Has no idea of clients.
//!
//! World time that the server gives up because it is too far behind counts as age from then on: the players' world
//! stays behind the clock, and the line does not forget how fast it once was.

use std::time::Duration;

use crate::time::{Tick, TickRate, Timestamp};

/// The line on which the fastest arrivals lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Line {
    /// The smallest difference of an arrival's time and its tick's, in microseconds.
    fastest: Option<i64>,
    shortest_trip: Option<Duration>,
}

impl Line {
    /// A snapshot of `tick` arrived from a world of this tick rate.
    pub fn arrived(&mut self, at: Timestamp, tick: Tick, rate: TickRate) {
        let offset = offset(at, tick, rate);
        self.fastest = Some(self.fastest.map_or(offset, |fastest| fastest.min(offset)));
    }

    /// A client measured a round trip.
    pub fn measured(&mut self, trip: Duration) {
        let shortest = self
            .shortest_trip
            .map_or(trip, |shortest| shortest.min(trip));
        self.shortest_trip = Some(shortest);
    }

    /// Takes in what another thread knows.
    pub fn merge(&mut self, other: &Self) {
        let pair = [self.fastest, other.fastest];
        self.fastest = pair.into_iter().flatten().min();
        if let Some(trip) = other.shortest_trip {
            self.measured(trip);
        }
    }

    /// How old the state of `tick` is at a moment; `None` before anything arrived.
    #[must_use]
    pub fn age(&self, at: Timestamp, tick: Tick, rate: TickRate) -> Option<Duration> {
        let beyond = offset(at, tick, rate).saturating_sub(self.fastest?);
        let way_down = self.shortest_trip.unwrap_or_default() / 2;
        Some(Duration::from_micros(beyond.max(0).unsigned_abs()) + way_down)
    }
}

/// From when a tick was made, on its world's own time, to a moment here, in microseconds.
fn offset(at: Timestamp, tick: Tick, rate: TickRate) -> i64 {
    let made = rate.offset_of(tick).as_micros();
    let at = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
    at.saturating_sub(i64::try_from(made).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn age_counts_from_the_fastest_arrival_and_half_the_shortest_round_trip() {
        // Tick 60 is made at second 1 of the world, which is at 5 s here, and takes 20 ms at the least.
        let mut line = Line::default();
        assert_eq!(line.age(ms(7_000), Tick(60), TickRate::HZ_60), None);
        line.arrived(ms(6_030), Tick(60), TickRate::HZ_60);
        line.arrived(ms(7_020), Tick(120), TickRate::HZ_60);
        line.arrived(ms(8_055), Tick(180), TickRate::HZ_60);
        line.measured(Duration::from_millis(60));
        line.measured(Duration::from_millis(40));
        line.measured(Duration::from_millis(50));
        assert_eq!(
            line.age(ms(7_020), Tick(120), TickRate::HZ_60),
            Some(Duration::from_millis(20))
        );
        assert_eq!(
            line.age(ms(8_500), Tick(180), TickRate::HZ_60),
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn threads_agree_on_the_fastest_of_all() {
        let (mut one, mut two) = (Line::default(), Line::default());
        one.arrived(ms(1_030), Tick(60), TickRate::HZ_60);
        two.arrived(ms(1_010), Tick(60), TickRate::HZ_60);
        two.measured(Duration::from_millis(8));
        one.merge(&two);
        assert_eq!(one, two);
    }
}
