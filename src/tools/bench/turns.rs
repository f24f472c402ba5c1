//! When a thread's next turn is due, and how long it may sleep until then.
//!
//! Knows moments; the clock and the sleep are the thread's.

use std::time::Duration;

use crate::time::Timestamp;

/// Turns that are due one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    every: Duration,
    due: Timestamp,
}

impl Turns {
    /// The first is due at once, the others `every` so often.
    pub(super) const fn new(every: Duration, now: Timestamp) -> Self {
        Self { every, due: now }
    }

    /// A turn begins. How late it is; `None` when none is due and this is one between two.
    ///
    /// What was missed is not made up for: from a turn that comes too late the next is due at once.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Duration> {
        let late = (now >= self.due).then(|| now.since(self.due))?;
        self.due = (self.due + self.every).max(now);
        Some(late)
    }

    /// How long it is until the next is due: never more than from one to the next.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        self.due.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(1);

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_late_turn_is_late_and_the_next_is_due_at_once() {
        let mut turns = Turns::new(EVERY, at(5_000));
        assert_eq!(turns.begin(at(5_000)), Some(Duration::ZERO));
        assert_eq!(turns.left(at(5_300)), Duration::from_micros(700));
        assert_eq!(turns.begin(at(6_200)), Some(Duration::from_micros(200)));
        // On the grid again, until more than a turn was missed.
        assert_eq!(turns.left(at(6_300)), Duration::from_micros(700));
        assert_eq!(turns.begin(at(9_500)), Some(Duration::from_micros(2_500)));
        assert_eq!(turns.left(at(9_500)), Duration::ZERO);
        assert_eq!(turns.begin(at(9_600)), Some(Duration::from_micros(100)));
    }

    /// Turns between two once moved the next one away. On a fast machine a thread that had read for a while in turns of a
    /// quarter of a millisecond then slept for half a second, and the report said that its turns were never late.
    #[test]
    fn turns_between_two_do_not_put_off_the_next() {
        let mut turns = Turns::new(EVERY, at(0));
        let mut late = Vec::new();
        for micros in (0..100_000).step_by(250) {
            late.extend(turns.begin(at(micros)));
            assert!(turns.left(at(micros)) <= EVERY, "{turns:?} at {micros}");
        }
        assert_eq!(late, [Duration::ZERO; 100]);
    }
}
