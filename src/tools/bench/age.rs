//! How old the newest state is, asked on a fixed schedule.
//!
//! Whoever asks at each arrival hears of a stall once, however long it was, because nothing arrives meanwhile
//! (coordinated omission). A player looks sixty times a second, stall or not. So the moments at which a client is
//! looked at are fixed beforehand, and every one of them counts with what was there at that very moment, also when
//! the load test itself came by later: a stall of a second is sixty looks at a state that grows older.
//!
//! Knows moments and ticks. What an age is, is told in [`super::line`].

use std::time::Duration;

use crate::time::{Tick, Timestamp};

/// A client is looked at this often: a frame at 60 Hz.
pub const LOOK_EVERY: Duration = Duration::from_micros(16_667);

/// Looks at one client.
#[derive(Debug, Clone)]
pub struct AgeSampler {
    next: Timestamp,
    newest: Option<Tick>,
}

impl AgeSampler {
    /// Looks at `first`, and from then on every [`LOOK_EVERY`], as soon as there is something to see.
    #[must_use]
    pub const fn new(first: Timestamp) -> Self {
        Self {
            next: first,
            newest: None,
        }
    }

    /// Takes all looks that were due up to `now`, with what was there then. To be called before anything that
    /// arrived at `now` is told.
    pub fn advance(&mut self, now: Timestamp, mut look: impl FnMut(Timestamp, Tick)) {
        let Some(newest) = self.newest else {
            // Nothing to see yet: these looks are not taken.
            self.pass(now);
            return;
        };
        while self.next <= now {
            look(self.next, newest);
            self.next += LOOK_EVERY;
        }
    }

    /// A state arrived; an older one than there is changes nothing.
    pub fn arrived(&mut self, tick: Tick) {
        self.newest = self.newest.max(Some(tick));
    }

    /// Moves on to the first look after `now`.
    fn pass(&mut self, now: Timestamp) {
        let (late, every) = (now.since(self.next).as_micros(), LOOK_EVERY.as_micros());
        if self.next <= now {
            let looks = u32::try_from(late / every + 1).unwrap_or(u32::MAX);
            self.next += LOOK_EVERY.saturating_mul(looks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every look that is due, and the newest state that was told before it: the rule as plainly as it can be said.
    fn plainly(first: u64, turns: &[(u64, Option<u32>)]) -> Vec<(u64, u32)> {
        let end = turns.last().map_or(0, |turn| turn.0);
        let dues = (0..)
            .map(|k| first + k * 16_667)
            .take_while(|due| *due <= end);
        dues.filter_map(|due| {
            let before = turns.iter().filter(|(at, _)| *at < due);
            Some((due, before.filter_map(|(_, tick)| *tick).max()?))
        })
        .collect()
    }

    fn sampled(first: u64, turns: &[(u64, Option<u32>)]) -> Vec<(u64, u32)> {
        let mut sampler = AgeSampler::new(Timestamp::from_micros(first));
        let mut looks = Vec::new();
        for (at, tick) in turns {
            sampler.advance(Timestamp::from_micros(*at), |due, tick| {
                looks.push((due.as_micros(), tick.0));
            });
            if let Some(tick) = tick {
                sampler.arrived(Tick(*tick));
            }
        }
        looks
    }

    proptest! {
        #[test]
        fn every_look_that_is_due_is_taken_whenever_somebody_comes_by(
            first in 0_u64..50_000,
            gaps in prop::collection::vec((1_u64..200_000, prop::option::of(0_u32..500)), 1..60),
        ) {
            let mut at = 0;
            let turns: Vec<_> = gaps
                .iter()
                .map(|(gap, tick)| {
                    at += gap;
                    (at, *tick)
                })
                .collect();
            prop_assert_eq!(sampled(first, &turns), plainly(first, &turns));
        }
    }

    #[test]
    fn a_stall_counts_with_every_look_that_falls_into_it() {
        // States every 10 ms for a second, then nothing for a second, in which nobody came by either.
        let mut turns: Vec<_> = (0..100).map(|k| (k * 10_000, Some(k as u32))).collect();
        turns.push((2_000_000, Some(100)));
        let looks = sampled(0, &turns);
        let stale = looks
            .iter()
            .filter(|(due, tick)| due - u64::from(*tick) * 10_000 > 100_000);
        // A second is sixty looks; in the first 100 ms of the stall the state is not that old yet.
        let stale = stale.count();
        assert!((52..=55).contains(&stale), "{stale} of {}", looks.len());
    }
}
