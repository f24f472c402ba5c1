//! A line through time that slews: always forwards, and never far from the pace of the local clock.
//!
//! Knows nanoseconds. Does not know ticks, snapshots or what it is used for.

/// At most one part in so many faster or slower than the local clock: 5%.
pub(super) const SLEW: i64 = 20;

/// A small error is made good over this time (nanoseconds), so that the noise of single samples does not
/// show as a change of speed; one of 25 ms and more at full slew.
const SETTLE: i64 = 500_000_000;

/// `value = local time + offset`, where the offset moves towards a target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The local time of the last change.
    since: i64,
    /// The offset at that time, and where it is to go.
    offset: i64,
    target: i64,
    /// What was shown by then: never less again.
    floor: i64,
}

impl Line {
    pub(super) const fn new(now: i64, offset: i64) -> Self {
        Self {
            since: now,
            offset,
            target: offset,
            floor: i64::MIN,
        }
    }

    /// The line's value at a local time; never less than at any earlier one.
    pub(super) fn at(&self, now: i64) -> i64 {
        let now = now.max(self.since);
        now.saturating_add(self.offset_at(now)).max(self.floor)
    }

    fn offset_at(&self, now: i64) -> i64 {
        let elapsed = now.saturating_sub(self.since).max(0);
        let error = self.target.saturating_sub(self.offset);
        let gentle = i128::from(error) * i128::from(elapsed.min(SETTLE)) / i128::from(SETTLE);
        let gentle = i64::try_from(gentle).unwrap_or(error);
        self.offset
            .saturating_add(gentle.clamp(-elapsed / SLEW, elapsed / SLEW))
    }

    /// How far the line is from a target offset: positive when it has to go ahead.
    pub(super) fn error(&self, now: i64, target: i64) -> i64 {
        target.saturating_sub(self.offset_at(now.max(self.since)))
    }

    /// From now on the line runs towards this offset.
    pub(super) fn slew(&mut self, now: i64, target: i64) {
        let now = now.max(self.since);
        let floor = self.at(now);
        *self = Self {
            since: now,
            offset: self.offset_at(now),
            target,
            floor,
        };
    }

    /// Takes this offset at once; if that is back, the line stands until time has caught up.
    pub(super) fn step(&mut self, now: i64, target: i64) {
        let now = now.max(self.since);
        *self = Self {
            since: now,
            offset: target,
            target,
            floor: self.at(now),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn a_large_error_is_made_good_at_five_percent() {
        let mut line = Line::new(0, 0);
        line.slew(0, 100 * MS);
        assert_eq!(line.at(1_000 * MS), 1_050 * MS);
        assert_eq!(line.at(2_000 * MS), 2_100 * MS);
        assert_eq!(line.at(3_000 * MS), 3_100 * MS);
    }

    #[test]
    fn a_small_error_is_made_good_gently() {
        let mut line = Line::new(0, 0);
        line.slew(0, -5 * MS);
        assert_eq!(line.at(250 * MS), 247 * MS + MS / 2);
        assert_eq!(line.at(500 * MS), 495 * MS);
    }

    #[test]
    fn a_step_back_is_a_stop() {
        let mut line = Line::new(0, 0);
        line.step(1_000 * MS, -300 * MS);
        assert_eq!(line.at(1_000 * MS), 1_000 * MS);
        assert_eq!(line.at(1_299 * MS), 1_000 * MS);
        assert_eq!(line.at(1_400 * MS), 1_100 * MS);
    }
}
