//! When a shard sleeps for a moment instead of waiting for its socket, so that what a crowd says is read together and not
//! one by one: to fall asleep and to wake costs more than many datagrams.
//!
//! Knows when frames came. Has no socket, no clock and no thread.

use core::time::Duration;

use crate::time::Timestamp;

/// So many sessions are a crowd: whoever is among fewer is heard at once.
pub(super) const CROWD: usize = 64;

/// How long a shard may sleep, and when frames come.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Pause {
    length: Duration,
    frame_at: Option<Timestamp>,
    next_frame_at: Option<Timestamp>,
}

impl Pause {
    /// Sleeps of this length; none when it is zero.
    pub(in crate::server) const fn new(length: Duration) -> Self {
        Self {
            length,
            frame_at: None,
            next_frame_at: None,
        }
    }

    /// A frame was found now: the next one comes as long after it as it came after the one before.
    pub(super) fn frame(&mut self, now: Timestamp) {
        let before = self.frame_at.replace(now);
        self.next_frame_at = before.map(|before| now + now.since(before));
    }

    /// How long a shard of so many sessions may sleep now, when it has read all there was.
    ///
    /// It must not sleep over a frame. How late it found the last one nobody knows, but that was at most the length of one
    /// sleep, and so much too long the way from the one before may seem: it is awake for two more before the next.
    pub(super) fn now(&self, now: Timestamp, sessions: usize) -> Option<Duration> {
        let next = self.next_frame_at.filter(|_| sessions >= CROWD)?;
        let is_free = now + 3 * self.length <= next;
        (is_free && !self.length.is_zero()).then_some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(1);
    const TICK: Duration = Duration::from_millis(16);

    #[test]
    fn a_few_are_heard_at_once_and_so_is_everybody_before_there_are_frames() {
        let now = Timestamp::from_millis(100);
        let mut pause = Pause::new(LENGTH);
        assert_eq!(
            pause.now(now, CROWD),
            None,
            "nobody knows when a frame comes"
        );
        pause.frame(now);
        assert_eq!(pause.now(now, CROWD), None, "nor from one");
        pause.frame(now + TICK);
        assert_eq!(pause.now(now + TICK, CROWD), Some(LENGTH));
        assert_eq!(pause.now(now + TICK, CROWD - 1), None);
        let mut never = Pause::new(Duration::ZERO);
        never.frame(now);
        never.frame(now + TICK);
        assert_eq!(never.now(now + TICK, CROWD), None);
    }

    /// However late a shard found a frame, it is awake when the next one comes.
    #[test]
    fn no_frame_is_slept_over_twice() {
        let (mut frame, mut pause) = (Timestamp::from_millis(100), Pause::new(LENGTH));
        pause.frame(frame);
        frame += TICK;
        // It found this one as late as a sleep can make it.
        pause.frame(frame + LENGTH);
        for _ in 0..10 {
            let mut now = frame + LENGTH;
            let mut slept = 0;
            while let Some(sleep) = pause.now(now, CROWD) {
                (now, slept) = (now + sleep, slept + 1);
            }
            frame += TICK;
            assert!(
                now <= frame,
                "{} after the frame",
                now.since(frame).as_micros()
            );
            assert!(slept >= 11, "it sleeps most of the time");
            pause.frame(frame);
        }
    }
}
