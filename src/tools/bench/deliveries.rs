//! Which snapshots there were for a client, and which of them arrived.
//!
//! Snapshots are made every so many ticks, so each newer tick says how many were sent since the last one. Knows
//! ticks. Has no idea what is in a snapshot.

use crate::time::Tick;

/// So many snapshots may a newest one be ahead of a client's without meaning a loss: they are on their way.
const ON_THE_WAY: u64 = 2;

/// The snapshots of one client.
#[derive(Debug, Clone)]
pub struct Deliveries {
    every: u32,
    newest: Option<Tick>,
    /// The newest and the 63 before it, from the lowest bit: those that arrived, or are not counted.
    seen: u64,
}

/// What an arrival adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Snapshots that there were to get.
    pub expected: u64,
    /// Snapshots that arrived.
    pub received: u64,
}

impl Deliveries {
    /// A client of a server that makes a snapshot every so many ticks (0 counts as 1).
    #[must_use]
    pub const fn new(every: u32) -> Self {
        Self {
            every: if every == 0 { 1 } else { every },
            newest: None,
            seen: u64::MAX,
        }
    }

    /// A snapshot arrived. Counting begins with the first one.
    pub fn arrived(&mut self, tick: Tick) -> Counted {
        let received = 1;
        let Some(newest) = self.newest else {
            self.newest = Some(tick);
            return Counted {
                expected: 1,
                received,
            };
        };
        if tick > newest {
            let steps = u64::from(tick.since(newest) / self.every);
            self.newest = Some(tick);
            let shift = u32::try_from(steps).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            return Counted {
                expected: steps,
                received,
            };
        }
        let back = newest.since(tick) / self.every;
        let bit = 1_u64.checked_shl(back).unwrap_or(0);
        let is_new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        Counted {
            expected: 0,
            received: u64::from(is_new),
        }
    }

    /// Snapshots that this client should have got by the time somebody else has that of `tick`, and of which no newer one
    /// told: for a client to which nothing comes any more.
    #[must_use]
    pub fn overdue(&self, tick: Tick) -> u64 {
        let behind = self
            .newest
            .map_or(0, |newest| tick.since(newest) / self.every);
        u64::from(behind).saturating_sub(ON_THE_WAY)
    }

    /// Counts what is overdue, once: what arrives of it later is no news.
    pub fn write_off(&mut self, tick: Tick) -> u64 {
        let overdue = self.overdue(tick);
        if let Some(newest) = self.newest.filter(|_| overdue > 0) {
            let steps = u32::try_from(overdue).unwrap_or(u32::MAX);
            self.newest = Some(newest.plus(steps.saturating_mul(self.every)));
            self.seen = self.seen.checked_shl(steps).unwrap_or(0);
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn as_a_set_would_count_them(order in prop::collection::vec(0_u32..60, 1..120)) {
            let mut deliveries = Deliveries::new(2);
            let mut total = Counted::default();
            for snapshot in &order {
                let counted = deliveries.arrived(Tick(100 + snapshot * 2));
                total.expected += counted.expected;
                total.received += counted.received;
            }
            // The first one is where counting begins: older ones do not count.
            let first = order[0];
            let set: BTreeSet<_> = order.iter().filter(|it| **it >= first).collect();
            let last = order.iter().max().copied().unwrap_or(first);
            prop_assert_eq!(total.received, set.len() as u64);
            prop_assert_eq!(total.expected, u64::from(last - first) + 1);
        }
    }

    #[test]
    fn a_client_to_which_nothing_comes_misses_what_others_get() {
        let mut deliveries = Deliveries::new(2);
        deliveries.arrived(Tick(100));
        assert_eq!(deliveries.overdue(Tick(104)), 0, "on their way");
        assert_eq!(deliveries.write_off(Tick(124)), 10);
        assert_eq!(deliveries.write_off(Tick(124)), 0, "once");
        let late = deliveries.arrived(Tick(110));
        assert_eq!(
            late,
            Counted {
                expected: 0,
                received: 1
            },
            "late is better than never"
        );
    }

    #[test]
    fn a_gap_longer_than_memory_is_all_lost() {
        let mut deliveries = Deliveries::new(1);
        deliveries.arrived(Tick(0));
        assert_eq!(deliveries.arrived(Tick(1_000)).expected, 1_000);
        assert_eq!(
            deliveries.arrived(Tick(900)),
            Counted::default(),
            "too old to know"
        );
    }
}
