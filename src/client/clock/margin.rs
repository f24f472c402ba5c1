//! The server's word about when our inputs arrive, turned into a correction of how far ahead we run.
//!
//! Measure, move, wait until the move shows, measure again: a loop that looks only at what came after its last move
//! does not swing. Knows nanoseconds.

/// A decision rests on so many reports; at four a second these are two seconds.
const REPORTS: u8 = 8;

/// So many late inputs are enough to decide sooner: each of them was lost to the game.
const LATE_REPORTS: u8 = 3;

/// Corrections stay within this (nanoseconds): more is not jitter but a wrong clock, and the clock's own matter.
const MOST: i64 = 250_000_000;

/// A correction is not judged before the line has run to it: at 5% that takes 20 times its size, and the gentle end this.
const SETTLED: i64 = 1_500_000_000;

/// What was reported since the last decision.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Margin {
    correction: i64,
    least: i64,
    reports: u8,
    late: u8,
    deaf_until: i64,
}

impl Margin {
    /// What to add to the lead.
    pub(super) const fn correction(&self) -> i64 {
        self.correction
    }

    /// Nothing that is reported before `until` counts: it is about inputs from a line that was on its way.
    pub(super) fn ignore_until(&mut self, until: i64) {
        self.deaf_until = self.deaf_until.max(until);
        (self.reports, self.late) = (0, 0);
    }

    /// The clock stepped: what was learnt about the old one is forgotten, and the new one runs `held` late.
    pub(super) fn start_over(&mut self, now: i64, held: i64, rtt: i64) {
        *self = Self::default();
        self.deaf_until = now
            .saturating_add(held)
            .saturating_add(SETTLED)
            .saturating_add(rtt);
    }

    /// Hears of one input at `now`; `true` when the correction changed. `base` is the lead without a correction:
    /// one that takes away more than that would only have to be given back first.
    pub(super) fn observe(
        &mut self,
        now: i64,
        micros: i64,
        tick: i64,
        rtt: i64,
        base: i64,
    ) -> bool {
        if now < self.deaf_until {
            return false;
        }
        let least = base.saturating_neg().clamp(-MOST, 0);
        self.correction = self.correction.max(least);
        let margin = micros.saturating_mul(1_000);
        self.least = if self.reports == 0 {
            margin
        } else {
            self.least.min(margin)
        };
        self.reports += 1;
        self.late += u8::from(margin < 0);
        if self.reports < REPORTS && self.late < LATE_REPORTS {
            return false;
        }
        let change = wanted_change(self.least, tick);
        (self.reports, self.late) = (0, 0);
        let corrected = self.correction.saturating_add(change).clamp(least, MOST);
        let moved = corrected - self.correction;
        if moved == 0 {
            return false;
        }
        self.correction = corrected;
        let wait = moved.abs() * super::line::SLEW + SETTLED + rtt;
        self.deaf_until = now.saturating_add(wait);
        true
    }
}

/// The tightest of the inputs should arrive one tick early; half a tick less to two more are left alone.
///
/// Too late is made good at once. Too early only costs latency, and a few reports do not know the worst case: half of it.
fn wanted_change(least: i64, tick: i64) -> i64 {
    let excess = least.saturating_sub(tick);
    if excess < -tick / 2 {
        excess.saturating_neg()
    } else if excess > tick * 2 {
        -(excess / 2)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const TICK: i64 = 16 * MS;

    fn hear(margin: &mut Margin, now_ms: i64, reports: &[i64]) -> bool {
        reports
            .iter()
            .any(|ms| margin.observe(now_ms * MS, ms.saturating_mul(1_000), TICK, 50 * MS, MOST))
    }

    #[test]
    fn late_inputs_are_sent_earlier_after_three() {
        let mut margin = Margin::default();
        assert!(!hear(&mut margin, 0, &[-10, 5, -4]));
        assert!(hear(&mut margin, 0, &[-1]));
        assert_eq!(margin.correction(), (10 + 16) * MS);
    }

    #[test]
    fn early_inputs_are_sent_later_by_half_the_excess_after_eight() {
        let mut margin = Margin::default();
        assert!(!hear(&mut margin, 0, &[80, 90, 80, 90, 80, 90, 80]));
        assert!(hear(&mut margin, 0, &[90]));
        assert_eq!(margin.correction(), -32 * MS);
    }

    #[test]
    fn inputs_in_time_are_left_alone() {
        let mut margin = Margin::default();
        assert!(!hear(
            &mut margin,
            0,
            &[
                20, 9, 40, 12, 16, 30, 22, 18, 25, 25, 25, 25, 25, 25, 25, 25
            ]
        ));
        assert_eq!(margin.correction(), 0);
    }

    #[test]
    fn what_was_sent_before_the_last_move_showed_is_not_counted() {
        let mut margin = Margin::default();
        assert!(hear(&mut margin, 0, &[-10, -10, -10]));
        assert!(!hear(&mut margin, 2_000, &[-10; 20]));
        assert!(hear(&mut margin, 2_100, &[-10; 20]));
    }

    #[test]
    fn corrections_stay_within_bounds_whatever_the_server_says() {
        let mut margin = Margin::default();
        for (round, word) in [i64::MIN, i64::MAX]
            .into_iter()
            .cycle()
            .take(100)
            .enumerate()
        {
            hear(&mut margin, round as i64 * 60_000, &[word; 8]);
            assert!(margin.correction().abs() <= MOST);
        }
    }
}
