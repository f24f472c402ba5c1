//! The course of a run with bots: they come in, they are measured, it ends.
//!
//! [`Course`] decides and knows neither clock nor swarm; [`conduct`] leads a swarm through it in real time.

use std::future::Future;
use std::time::Duration;

use super::{Live, Phase, Swarm};
use crate::netsim::LinkConditions;

/// When nobody has come in and so many have failed, the others would fail too.
const HOPELESS: u32 = 32;

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bots come in, up to now from the start.
    Joining,
    /// They are measured since this moment, counted from the start.
    Measuring(Duration),
    /// It is over, and was measured for so long.
    Over(Duration),
}

/// Decides when a run enters which stage.
#[derive(Debug, Clone)]
pub struct Course {
    bots: u32,
    patience: Duration,
    length: Option<Duration>,
    stage: Stage,
}

impl Course {
    /// A run of so many bots: measuring begins when each has come in or failed, or when patience is at its
    /// end, and lasts for `length`, or for as long as anybody plays.
    #[must_use]
    pub const fn new(bots: u32, patience: Duration, length: Option<Duration>) -> Self {
        Self {
            bots,
            patience,
            length,
            stage: Stage::Joining,
        }
    }

    /// The stage now, `at` this time from the start.
    pub fn step(&mut self, at: Duration, live: &Live) -> Stage {
        let all_settled = live.settled() >= self.bots;
        self.stage = match self.stage {
            Stage::Joining if all_settled && live.in_game == 0 => Stage::Over(Duration::ZERO),
            Stage::Joining if live.joined == 0 && live.settled() >= HOPELESS => {
                Stage::Over(Duration::ZERO)
            }
            Stage::Joining if all_settled || at > self.patience => Stage::Measuring(at),
            Stage::Measuring(since) => {
                let measured = at.saturating_sub(since);
                let is_empty = all_settled && live.in_game == 0;
                if is_empty || self.length.is_some_and(|length| measured >= length) {
                    Stage::Over(measured)
                } else {
                    Stage::Measuring(since)
                }
            }
            stage => stage,
        };
        self.stage
    }

    /// For how long it was measured until this time from the start.
    #[must_use]
    pub const fn measured(&self, at: Duration) -> Duration {
        match self.stage {
            Stage::Joining => Duration::ZERO,
            Stage::Measuring(since) => at.saturating_sub(since),
            Stage::Over(measured) => measured,
        }
    }

    /// How much of the run is still to come, when that is known.
    #[must_use]
    pub fn left(&self, at: Duration) -> Option<Duration> {
        Some(self.length?.saturating_sub(self.measured(at)))
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The time was over, or nobody was left.
    Done,
    /// Somebody wanted it to stop.
    Stopped,
}

/// Leads a swarm through its course, and shows how it goes every so often, until it is over or `stop` is
/// ready. For how long it was measured comes with the ending.
pub async fn conduct(
    swarm: &Swarm,
    mut course: Course,
    show_every: Duration,
    stop: impl Future,
    mut show: impl FnMut(&Live, &Course, Duration),
) -> (Ending, Duration) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut show_at = show_every;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            _ = &mut stop => return (Ending::Stopped, course.measured(swarm.running_for())),
        }
        let (live, at) = (swarm.live(), swarm.running_for());
        let was_joining = course.stage == Stage::Joining;
        match course.step(at, &live) {
            Stage::Measuring(_) if was_joining => swarm.enter(Phase::Measuring),
            Stage::Over(measured) => return (Ending::Done, measured),
            Stage::Joining | Stage::Measuring(_) => {}
        }
        if at >= show_at {
            // After a pause (a laptop that slept) one picture is enough.
            show_at = at + show_every;
            show(&live, &course, at);
        }
    }
}

/// After the last snapshot that counts, what is under way gets so long to arrive, and inputs to be applied.
#[must_use]
pub fn aftermath(conditions: &LinkConditions) -> Duration {
    (conditions.delay + conditions.jitter) * 2 + Duration::from_millis(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn live(in_game: u32, over: u32, missed: u32) -> Live {
        Live {
            in_game,
            joined: in_game,
            over,
            missed,
            ..Live::default()
        }
    }

    fn course() -> Course {
        Course::new(100, seconds(10), Some(seconds(5)))
    }

    #[test]
    fn measuring_begins_when_everybody_is_in_or_has_failed() {
        let mut course = course();
        assert_eq!(course.step(seconds(1), &live(60, 0, 0)), Stage::Joining);
        let settled = live(97, 2, 1);
        assert_eq!(
            course.step(seconds(2), &settled),
            Stage::Measuring(seconds(2))
        );
        assert_eq!(course.left(seconds(4)), Some(seconds(3)));
        assert_eq!(
            course.step(seconds(6), &settled),
            Stage::Measuring(seconds(2))
        );
        assert_eq!(course.step(seconds(7), &settled), Stage::Over(seconds(5)));
        assert_eq!(course.step(seconds(9), &settled), Stage::Over(seconds(5)));
    }

    #[test]
    fn patience_has_an_end() {
        let mut course = course();
        assert_eq!(course.step(seconds(10), &live(99, 0, 0)), Stage::Joining);
        assert_eq!(
            course.step(seconds(11), &live(99, 0, 0)),
            Stage::Measuring(seconds(11))
        );
    }

    #[test]
    fn nobody_is_waited_for_when_nobody_comes() {
        assert_eq!(course().step(seconds(1), &live(0, 31, 0)), Stage::Joining);
        assert_eq!(
            course().step(seconds(1), &live(0, 0, 32)),
            Stage::Over(seconds(0))
        );
        // One who is in gives hope.
        assert_eq!(course().step(seconds(1), &live(1, 50, 0)), Stage::Joining);
        let mut few = Course::new(3, seconds(10), None);
        assert_eq!(
            few.step(seconds(6), &live(0, 3, 0)),
            Stage::Over(seconds(0))
        );
    }

    #[test]
    fn it_ends_when_the_server_has_sent_everybody_away() {
        let mut course = course();
        course.step(seconds(1), &live(100, 0, 0));
        assert_eq!(
            course.step(seconds(3), &live(0, 100, 0)),
            Stage::Over(seconds(2))
        );
        assert_eq!(course.measured(seconds(9)), seconds(2));
    }
}
