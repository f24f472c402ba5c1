//! How evenly snapshots arrive: the difference between the time from one to the next and the time that lies between
//! their ticks (the D of RFC 3550, section 6.4.1, without its smoothing).
//!
//! Knows moments and ticks.

use std::time::Duration;

use crate::time::{Tick, TickRate, Timestamp};

/// The arrivals at one client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rhythm {
    last: Option<(Timestamp, Tick)>,
}

impl Rhythm {
    /// A snapshot arrived. `None` for the first, and for one that a newer one overtook.
    pub fn arrived(&mut self, at: Timestamp, tick: Tick, rate: TickRate) -> Option<Duration> {
        let (before, last) = match self.last {
            Some((_, last)) if tick <= last => return None,
            Some(pair) => pair,
            None => {
                self.last = Some((at, tick));
                return None;
            }
        };
        self.last = Some((at, tick));
        let made = rate.offset_of(tick).saturating_sub(rate.offset_of(last));
        Some(at.since(before).abs_diff(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_rhythm_has_no_jitter_and_a_lost_snapshot_makes_none() {
        let mut rhythm = Rhythm::default();
        let mut at = |ms, tick| {
            let heard = rhythm.arrived(Timestamp::from_millis(ms), Tick(tick), TickRate::HZ_30);
            heard.map(|time| time.as_millis())
        };
        assert_eq!(at(1_000, 30), None);
        assert_eq!(at(1_100, 33), Some(0));
        assert_eq!(
            at(1_300, 39),
            Some(0),
            "three were lost, and this one is on time"
        );
        assert_eq!(at(1_450, 42), Some(50), "late");
        assert_eq!(at(1_451, 41), None, "overtaken");
        assert_eq!(at(1_500, 45), Some(50), "and on time again");
    }
}
