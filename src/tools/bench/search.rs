//! The search for the largest load that holds: up by half until one breaks, then between the two until they are close.
//!
//! Knows numbers of clients and whether they held. What holding means is told in [`super::objective`].

/// A load that breaks is measured once more: a neighbour's compiler must not set the limit.
const CHANCES: u32 = 2;

/// The search is over when the load that broke is above the one that held by no more than this share of it: a tenth.
const CLOSE: u32 = 10;

/// The search. Ask [`next`](Self::next), measure, tell [`record`](Self::record).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    most: u32,
    next: Option<u32>,
    held: Option<u32>,
    broke: Option<u32>,
    failures: u32,
}

impl Search {
    /// Begins with `from` clients and never asks for more than `most`.
    #[must_use]
    pub fn new(from: u32, most: u32) -> Self {
        Self {
            most: most.max(1),
            next: Some(from.clamp(1, most.max(1))),
            held: None,
            broke: None,
            failures: 0,
        }
    }

    /// The load to measure next; `None` when the search is over.
    #[must_use]
    pub const fn next(&self) -> Option<u32> {
        self.next
    }

    /// The largest load that held.
    #[must_use]
    pub const fn held(&self) -> Option<u32> {
        self.held
    }

    /// The smallest load that broke, twice.
    #[must_use]
    pub const fn broke(&self) -> Option<u32> {
        self.broke
    }

    /// The load that was asked for held, or it did not.
    pub fn record(&mut self, holds: bool) {
        let Some(load) = self.next else {
            return;
        };
        if holds {
            self.failures = 0;
            self.held = Some(load);
        } else {
            self.failures += 1;
            if self.failures < CHANCES {
                return;
            }
            self.failures = 0;
            self.broke = Some(load);
        }
        self.next = self.choose();
    }

    fn choose(&self) -> Option<u32> {
        match (self.held, self.broke) {
            (None, None) => self.next,
            (Some(held), None) if held >= self.most => None,
            (Some(held), None) => Some(held.saturating_add((held / 2).max(1)).min(self.most)),
            (None, Some(broke)) => (broke > 1).then_some(broke / 2),
            (Some(held), Some(broke)) => {
                let gap = broke.saturating_sub(held);
                let is_close = gap <= 1 || gap <= held / CLOSE;
                (!is_close).then_some(held + gap / 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::bench::objective::{Measured, tests::OBJECTIVES};
    use proptest::prelude::*;

    /// A server that serves so many clients well. With each more the state gets older, and beyond twice as many
    /// snapshots are lost.
    fn server(knee: u32, load: u32) -> Measured {
        let over = (f64::from(load) / f64::from(knee) - 1.0).max(0.0);
        Measured {
            clients: 1.0,
            delivery: Some(if over > 1.0 { 0.5 } else { 1.0 }),
            overruns: Some(0.0),
            age_ms: Some(100.0 + over * 1_000.0),
        }
    }

    /// Searches, and gives the search and what broke at last. `is_disturbed` says of which measurements a neighbour
    /// spoils the ages.
    fn search(
        knee: u32,
        from: u32,
        most: u32,
        is_disturbed: impl Fn(u32) -> bool,
    ) -> (Search, Vec<&'static str>) {
        let mut search = Search::new(from, most);
        let (mut broke, mut turn) = (Vec::new(), 0);
        while let Some(load) = search.next() {
            let mut measured = server(knee, load);
            if is_disturbed(turn) {
                measured.age_ms = Some(500.0);
            }
            turn += 1;
            assert!(turn < 100, "it ends");
            let judged = OBJECTIVES.judge(&measured);
            let broken: Vec<_> = judged
                .iter()
                .filter(|it| !it.holds)
                .map(|it| it.objective)
                .collect();
            search.record(broken.is_empty());
            if !broken.is_empty() {
                broke = broken;
            }
        }
        (search, broke)
    }

    proptest! {
        #[test]
        fn the_knee_is_found_wherever_it_is(knee in 1_u32..20_000, from in 1_u32..2_000) {
            let (search, broke) = search(knee, from, 40_000, |_| false);
            let held = search.held().expect("one client is always served");
            prop_assert!(held <= knee, "{held} did not hold");
            let broken = search.broke().expect("40,000 are too many");
            prop_assert!(broken > knee);
            prop_assert!(broken - held <= (held / 10).max(1), "{held} and {broken}");
            prop_assert_eq!(broke, ["age"]);
        }

        #[test]
        fn a_neighbour_now_and_then_does_not_set_the_limit(knee in 100_u32..5_000) {
            let (undisturbed, _) = search(knee, 50, 10_000, |_| false);
            let (disturbed, _) = search(knee, 50, 10_000, |turn| turn % 5 == 0);
            prop_assert!(disturbed.held() >= undisturbed.held().map(|held| held / 10 * 8));
        }
    }

    #[test]
    fn a_server_that_never_breaks_is_asked_for_the_most_and_no_more() {
        let (search, broke) = search(1_000_000, 100, 3_000, |_| false);
        assert_eq!((search.held(), search.broke()), (Some(3_000), None));
        assert!(broke.is_empty());
    }

    /// The canary: a search that believed everything would find a limit here.
    #[test]
    fn a_server_that_serves_nobody_has_no_load_that_holds() {
        let mut search = Search::new(100, 1_000);
        let mut asked = Vec::new();
        while let Some(load) = search.next() {
            asked.push(load);
            search.record(false);
        }
        assert_eq!((search.held(), search.broke()), (None, Some(1)));
        assert_eq!(asked[..4], [100, 100, 50, 50]);
    }
}
