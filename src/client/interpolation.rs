//! Between which two snapshots a moment of the world lies, and how far along the way.
//!
//! Knows ticks. Does not know what is blended nor how: a field's kind of blending belongs to the schema.
//!
//! ```text
//! snapshots held      10        12                  16        18
//!                      |---------|-------------------|---------|
//! moment to draw                           14.5
//!                                from ---- x ------ to            fraction (14.5 - 12) / (16 - 12)
//! ```
//!
//! Nothing is guessed beyond the newest snapshot: there the world stands, for a moment, and goes on when the
//! next one comes. Guessing is what makes opponents run through walls.

use crate::time::Tick;

use super::clock::TickTime;

/// The two snapshots around a moment. They are the same one where there is only one to show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The newest snapshot that is not after the moment, or else the oldest there is.
    pub from: Tick,
    /// The oldest snapshot that is after the moment, or else the newest there is.
    pub to: Tick,
    /// The moment itself.
    pub at: TickTime,
}

impl Span {
    /// Snapshots this many ticks before the newest, or after the moment, are not looked for: about what a replica keeps.
    const REACH: u32 = 128;

    /// The span around `at`, among the snapshots that `is_held` knows, the newest of them being `newest`.
    ///
    /// `None` when all of them are long after the moment, or there is none.
    pub fn around(at: TickTime, newest: Tick, is_held: impl Fn(Tick) -> bool) -> Option<Self> {
        let last = newest.min(at.tick);
        let from = (last.minus(Self::REACH).0..=last.0)
            .rev()
            .map(Tick)
            .find(|tick| is_held(*tick));
        let first = at.tick.next();
        let end = newest.0.min(first.plus(Self::REACH).0);
        let to = (first.0..=end).map(Tick).find(|tick| is_held(*tick));
        let (from, to) = (from.or(to)?, to.or(from)?);
        Some(Self { from, to, at })
    }

    /// How far the moment is on the way from `from` to `to`: 0 to 1.
    #[must_use]
    pub fn fraction(&self) -> f32 {
        let length = self.to.since(self.from);
        if length == 0 || self.at.tick < self.from {
            return 0.0;
        }
        // Ticks near each other: the differences are small and exact.
        let passed = self.at.tick.since(self.from) as f32 + self.at.fraction;
        (passed / length as f32).min(1.0)
    }

    /// Whether the moment is later than everything that has arrived: the world stands still.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.at.tick > self.to || (self.at.tick == self.to && self.at.fraction > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(moment: f32) -> TickTime {
        TickTime {
            tick: Tick(moment as u32),
            fraction: moment.fract(),
        }
    }

    fn span(held: &[u32], moment: f32) -> Option<Span> {
        let newest = Tick(*held.last().expect("some snapshot"));
        Span::around(at(moment), newest, |tick| held.contains(&tick.0))
    }

    #[test]
    fn a_lost_snapshot_is_bridged() {
        let span = span(&[10, 12, 16, 18], 14.5).expect("in between");
        assert_eq!((span.from, span.to), (Tick(12), Tick(16)));
        assert!((span.fraction() - 0.625).abs() < 1e-6);
        assert!(!span.is_dry());
    }

    #[test]
    fn beyond_the_newest_the_world_stands_and_before_the_oldest_it_has_not_begun() {
        let dry = span(&[10, 12], 14.5).expect("the newest");
        assert_eq!(
            (dry.from, dry.to, dry.fraction()),
            (Tick(12), Tick(12), 0.0)
        );
        assert!(dry.is_dry());
        let early = span(&[10, 12], 3.0).expect("the oldest");
        assert_eq!(
            (early.from, early.to, early.fraction()),
            (Tick(10), Tick(10), 0.0)
        );
        assert!(!early.is_dry());
    }

    #[test]
    fn what_has_not_begun_for_long_is_nothing_and_what_stands_stands_for_long() {
        assert_eq!(span(&[1_000], 10.0), None);
        let standing = span(&[10], 100_000.0).expect("the newest");
        assert_eq!((standing.from, standing.to), (Tick(10), Tick(10)));
    }

    proptest! {
        #[test]
        fn the_span_is_that_of_a_plain_search(
            held in prop::collection::btree_set(900_u32..1_000, 1..20),
            moment in 900.0_f32..1_000.0,
        ) {
            let newest = Tick(*held.last().expect("not empty"));
            let found = Span::around(at(moment), newest, |tick| held.contains(&tick.0)).expect("within reach");
            let split = |held: &BTreeSet<u32>| {
                let from = held.iter().copied().filter(|tick| *tick as f32 <= moment).max();
                let to = held.iter().copied().filter(|tick| *tick as f32 > moment).min();
                (from.or(to), to.or(from))
            };
            prop_assert_eq!((Some(found.from.0), Some(found.to.0)), split(&held));
            prop_assert!((0.0..=1.0).contains(&found.fraction()));
        }
    }
}
