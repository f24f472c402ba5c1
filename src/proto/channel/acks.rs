//! What was received, and the ack fields that say so. Knows datagram numbers and times of arrival.
//! Has no idea what the datagrams carried.
//!
//! Two windows are kept. *Seen* tells duplicates apart. *Taken* is what acks speak of. They differ
//! when the application does not poll and a reliable message found no room: that datagram was seen (a
//! copy of it is still a duplicate, its body was handed on), but it is not acknowledged, so its sender
//! sends the messages again. To its sender it is lost, which promises nothing that did not happen.

use core::time::Duration;

use super::Rejection;
use super::header::{AckDelay, AckFields, SHORT_REACH, WireNumber};
use crate::proto::wire::widen;
use crate::time::Timestamp;

/// How many numbers before the newest are told apart, and acknowledged: the bits of the mask.
pub(super) const WINDOW: u64 = 64;
/// So many datagrams that asked are answered at once: half of what one mask can speak of.
const ANSWER_AFTER: u8 = 32;

/// The newest number of a set, and which of the 64 before it are members.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// One more than the newest number; 0 while the set is empty.
    end: u64,
    /// Bit `i`: `newest - 1 - i` is a member.
    before: u64,
}

impl Window {
    fn newest(&self) -> Option<u64> {
        self.end.checked_sub(1)
    }

    /// Whether `number` could be inserted.
    fn check(&self, number: u64) -> Result<(), Rejection> {
        let Some(newest) = self.newest() else {
            return Ok(());
        };
        match newest.checked_sub(number) {
            None => Ok(()),
            Some(0) => Err(Rejection::Duplicate),
            Some(behind) if behind > WINDOW => Err(Rejection::TooOld),
            Some(behind) if self.before >> (behind - 1) & 1 == 1 => Err(Rejection::Duplicate),
            Some(_) => Ok(()),
        }
    }

    /// Inserts a number; one behind the window, or `u64::MAX` which has no successor, leaves no trace.
    fn insert(&mut self, number: u64) {
        let Some(newest) = self.newest() else {
            self.end = number.saturating_add(1);
            return;
        };
        match newest.checked_sub(number) {
            None => {
                let ahead = number - newest;
                self.before = shift(self.before, ahead) | shift(1, ahead - 1);
                self.end = number.saturating_add(1);
            }
            Some(behind @ 1..=WINDOW) => self.before |= 1 << (behind - 1),
            Some(_) => {}
        }
    }
}

/// `bits << by`, and nothing left when all are shifted out.
const fn shift(bits: u64, by: u64) -> u64 {
    if by >= 64 { 0 } else { bits << by }
}

/// Everything received so far, as far as it matters.
#[derive(Debug, Clone, Default)]
pub(super) struct Receipts {
    seen: Window,
    taken: Window,
    /// When the newest taken datagram arrived, and whether its number came whole.
    newest_at: Timestamp,
    newest_long: bool,
    /// When an ack has to leave at the latest.
    ack_due: Option<Timestamp>,
    /// Datagrams that asked since the last ack.
    asked: u8,
}

impl Receipts {
    /// The whole number of a datagram, if it is one that may be taken now.
    pub(super) fn check(&self, number: WireNumber) -> Result<u64, Rejection> {
        let number = match number {
            WireNumber::Long(u64::MAX) => return Err(Rejection::TooFarAhead),
            WireNumber::Long(number) => number,
            WireNumber::Short(low) => {
                let number = widen(low, self.seen.newest().unwrap_or(0));
                if number >= self.seen.end.saturating_add(SHORT_REACH) {
                    return Err(Rejection::TooFarAhead);
                }
                number
            }
        };
        self.seen.check(number)?;
        Ok(number)
    }

    /// Remembers a checked number, so that a copy is refused.
    pub(super) fn saw(&mut self, number: u64) {
        self.seen.insert(number);
    }

    /// Remembers that all of the datagram was taken: from now on acks say so.
    pub(super) fn took(&mut self, now: Timestamp, number: u64, long: bool) {
        if self.taken.newest().is_none_or(|newest| number > newest) {
            self.newest_at = now;
            self.newest_long = long;
        }
        self.taken.insert(number);
    }

    /// A taken datagram asked for an ack, which may wait for `max_delay` at most.
    pub(super) fn asked(&mut self, now: Timestamp, max_delay: Duration) {
        self.asked = self.asked.saturating_add(1);
        let due = if self.asked >= ANSWER_AFTER {
            now
        } else {
            now + max_delay
        };
        self.ack_due = Some(self.ack_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When an ack has to leave at the latest; `None` while none is owed.
    pub(super) fn ack_due(&self) -> Option<Timestamp> {
        self.ack_due
    }

    /// An ack left: none is owed any more.
    pub(super) fn answered(&mut self) {
        self.ack_due = None;
        self.asked = 0;
    }

    /// The ack fields of a payload written now; `None` before anything was taken.
    pub(super) fn fields(&self, now: Timestamp) -> Option<AckFields> {
        let newest = self.taken.newest()?;
        // Numbers before the first do not exist and are not missing.
        let exist = match newest {
            WINDOW.. => u64::MAX,
            fewer => (1 << fewer) - 1,
        };
        Some(AckFields {
            newest: WireNumber::new(newest, self.newest_long),
            missing: !self.taken.before & exist,
            delay: AckDelay::from_duration(now.since(self.newest_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const NOW: Timestamp = Timestamp::from_millis(5);

    fn take(receipts: &mut Receipts, number: u64) -> Result<(), Rejection> {
        let number = receipts.check(WireNumber::Short(number as u16))?;
        receipts.saw(number);
        receipts.took(NOW, number, false);
        Ok(())
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_plain_set(
            start in 0_u64..100_000,
            steps in prop::collection::vec(-80_i64..100, 1..300),
        ) {
            let mut receipts = Receipts::default();
            let mut set = BTreeSet::new();
            let first = receipts.check(WireNumber::Long(start));
            prop_assert_eq!(first, Ok(start));
            receipts.saw(start);
            receipts.took(NOW, start, true);
            set.insert(start);
            for step in steps {
                let newest = *set.last().expect("the first is in it");
                let number = newest.saturating_add_signed(step);
                let expected = if set.contains(&number) {
                    // Beyond the window a member is merely old.
                    let old = newest - number > WINDOW;
                    Err(if old { Rejection::TooOld } else { Rejection::Duplicate })
                } else if number + WINDOW < newest {
                    Err(Rejection::TooOld)
                } else {
                    Ok(())
                };
                prop_assert_eq!(take(&mut receipts, number), expected);
                if expected.is_ok() {
                    set.insert(number);
                }
                let newest = *set.last().expect("the first is in it");
                let fields = receipts.fields(NOW).expect("something was taken");
                prop_assert_eq!(fields.newest, WireNumber::new(newest, receipts.newest_long));
                for bit in 0..WINDOW {
                    let missing = newest
                        .checked_sub(1 + bit)
                        .is_some_and(|number| !set.contains(&number));
                    prop_assert_eq!(fields.missing >> bit & 1 == 1, missing, "bit {}", bit);
                }
            }
        }
    }

    #[test]
    fn what_was_seen_but_not_taken_is_a_duplicate_and_stays_missing() {
        let mut receipts = Receipts::default();
        for number in [0, 1, 3] {
            take(&mut receipts, number).expect("each is new");
        }
        receipts.saw(2);
        receipts.saw(4);
        assert_eq!(take(&mut receipts, 2), Err(Rejection::Duplicate));
        assert_eq!(take(&mut receipts, 4), Err(Rejection::Duplicate));
        let fields = receipts.fields(NOW).expect("some were taken");
        assert_eq!(fields.newest, WireNumber::Short(3));
        assert_eq!(fields.missing, 0b001);
    }

    #[test]
    fn a_short_number_out_of_reach_is_refused() {
        let mut receipts = Receipts::default();
        let reach = SHORT_REACH as u16;
        assert!(receipts.check(WireNumber::Short(reach - 1)).is_ok());
        let refused = receipts.check(WireNumber::Short(reach));
        assert_eq!(refused, Err(Rejection::TooFarAhead));
        take(&mut receipts, 0).expect("the first is new");
        let refused = receipts.check(WireNumber::Short(reach + 1));
        assert_eq!(refused, Err(Rejection::TooFarAhead));
    }

    #[test]
    fn the_largest_numbers_are_refused_or_taken_without_harm() {
        let mut receipts = Receipts::default();
        let refused = receipts.check(WireNumber::Long(u64::MAX));
        assert_eq!(refused, Err(Rejection::TooFarAhead));
        let last = u64::MAX - 1;
        assert_eq!(receipts.check(WireNumber::Long(last)), Ok(last));
        receipts.saw(last);
        receipts.took(NOW, last, true);
        for low in 0..=u16::MAX {
            let _ = receipts.check(WireNumber::Short(low));
        }
        assert!(receipts.fields(NOW).is_some());
    }

    #[test]
    fn an_ack_is_owed_in_time_and_at_once_after_many() {
        let delay = Duration::from_millis(25);
        let mut receipts = Receipts::default();
        receipts.asked(NOW, delay);
        receipts.asked(NOW + delay, delay);
        assert_eq!(receipts.ack_due(), Some(NOW + delay));
        receipts.answered();
        assert_eq!(receipts.ack_due(), None);
        for _ in 0..ANSWER_AFTER {
            receipts.asked(NOW, delay);
        }
        assert_eq!(receipts.ack_due(), Some(NOW));
    }
}
