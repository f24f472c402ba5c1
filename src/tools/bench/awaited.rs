//! Inputs that were sent, and wait for the first snapshot of a world in which their tick was played.
//!
//! Knows ticks and moments. An input's time begins at the moment at which it was due, not at the one at which the
//! load test came to send it: a late load test does not make the server look fast.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Tick, Timestamp};

/// So many inputs wait at most: four seconds of them. A session that hears nothing for longer is over soon.
const MOST: usize = 256;

/// The inputs of one client.
#[derive(Debug, Clone, Default)]
pub struct Awaited {
    /// Ascending by tick.
    waiting: VecDeque<(Tick, Timestamp)>,
}

impl Awaited {
    /// An input for `tick` was due at a moment, and sent. Says how many were given up for want of room.
    pub fn sent(&mut self, tick: Tick, due: Timestamp) -> u64 {
        let is_full = self.waiting.len() == MOST;
        if is_full {
            self.waiting.pop_front();
        }
        self.waiting.push_back((tick, due));
        u64::from(is_full)
    }

    /// A snapshot of the world at `tick` arrived: every input up to that tick has had its effect, or came too late for it.
    pub fn arrived(&mut self, tick: Tick, at: Timestamp, mut took: impl FnMut(Duration)) {
        while let Some((of, due)) = self.waiting.front().copied()
            && of <= tick
        {
            self.waiting.pop_front();
            took(at.since(due));
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_snapshot_that_played_it_answers_an_input_once() {
        let ms = Timestamp::from_millis;
        let mut awaited = Awaited::default();
        for (tick, due) in [(10, 100), (11, 117), (12, 133)] {
            assert_eq!(awaited.sent(Tick(tick), ms(due)), 0);
        }
        let mut took = Vec::new();
        awaited.arrived(Tick(9), ms(140), |time| took.push(time.as_millis()));
        assert!(took.is_empty());
        // Snapshots come at every second tick, and one of them was lost.
        awaited.arrived(Tick(11), ms(160), |time| took.push(time.as_millis()));
        awaited.arrived(Tick(11), ms(161), |time| took.push(time.as_millis()));
        assert_eq!(took, [60, 43]);
        awaited.arrived(Tick(13), ms(200), |time| took.push(time.as_millis()));
        assert_eq!(took, [60, 43, 67]);
        assert!(awaited.is_empty());
    }

    #[test]
    fn what_is_never_answered_takes_no_more_memory() {
        let mut awaited = Awaited::default();
        let given_up: u64 = (0..1_000)
            .map(|tick| awaited.sent(Tick(tick), Timestamp::ZERO))
            .sum();
        assert_eq!((awaited.len(), given_up), (MOST, 1_000 - MOST as u64));
    }
}
