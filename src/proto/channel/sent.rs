//! What was sent and what became of it: a ring of the newest datagrams, each in flight, acknowledged
//! or lost. Knows numbers, times and which reliable messages rode where. Has no idea of their bytes.
//!
//! Loss is judged as in RFC 9002, section 6.1: a datagram is lost when one sent three later was
//! acknowledged, or when any later one was and 9/8 of a round trip have passed. Beyond that it is lost
//! when nothing at all was heard for a second, and when the ring needs its place.

use core::time::Duration;
use std::collections::VecDeque;

use super::Rejection;
use super::acks::WINDOW;
use super::header::{AckFields, SHORT_REACH, WireNumber};
use crate::proto::wire::widen;
use crate::time::Timestamp;

/// How many datagrams are remembered: 1.4 s of three datagrams at 60 Hz.
pub(super) const REMEMBERED: usize = 256;
/// A datagram is lost when one this many later was acknowledged (RFC 9002: `kPacketThreshold`).
const PACKET_THRESHOLD: u64 = 3;
/// A datagram of which nothing is heard for this long, beyond a probe timeout, is lost.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a datagram may be on its way, as the round trips measured so far have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// After a newer one was acknowledged.
    pub loss_delay: Duration,
    /// Before any ack is missed.
    pub probe_timeout: Duration,
}

/// What is known of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It asked for an ack and none came yet.
    InFlight,
    /// It did not ask; an ack of it is welcome and its absence means nothing.
    Quiet,
    /// It arrived.
    Acked,
    /// It was given up. An ack may still come, and then its messages did arrive.
    Lost,
}

/// One datagram, in 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Timestamp,
    /// Where its runs begin in the stream of runs, and how many they are.
    first_run: u32,
    runs: u16,
    state: State,
    has_body: bool,
}

/// Reliable messages with consecutive ids, on one channel, in one datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Which of the link's channels.
    pub channel: u8,
    pub count: u8,
    /// The low bits of the first id.
    pub first: u16,
}

impl Run {
    /// The low bits of the ids.
    pub(super) fn ids(self) -> impl Iterator<Item = u16> {
        (0..u16::from(self.count)).map(move |step| self.first.wrapping_add(step))
    }
}

/// A verdict about one datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub number: u64,
    pub at: Timestamp,
    pub has_body: bool,
    /// Its place was [`State::Lost`] before: the caller was told so already.
    pub was_lost: bool,
    /// It was in flight: it asked, and the verdict is news.
    pub was_in_flight: bool,
    runs: (u32, u16),
}

/// The ring.
#[derive(Debug, Clone, Default)]
pub(super) struct SentRing {
    /// Datagrams `next - entries.len() .. next`.
    entries: VecDeque<Sent>,
    next: u64,
    /// Numbers below are not in flight.
    settled: u64,
    /// One more than the newest number acknowledged; 0 while there is none.
    acked_end: u64,
    /// The runs of all entries, and then those of the datagram being written.
    runs: VecDeque<Run>,
    /// Where `runs` begins in the stream of runs, and how many belong to the datagram being written.
    runs_start: u32,
    pending: u16,
}

impl SentRing {
    /// The number of the next datagram.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// That number as it has to travel.
    pub(super) fn next_on_the_wire(&self) -> WireNumber {
        WireNumber::new(self.next, self.next - self.acked_end >= SHORT_REACH)
    }

    /// The oldest number remembered.
    fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    fn entry(&mut self, number: u64) -> Option<&mut Sent> {
        let index = number.checked_sub(self.first())?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    /// Notes that the datagram being written carries a reliable message; ids come in rising order.
    pub(super) fn carry(&mut self, channel: u8, id: u16) {
        if self.pending > 0
            && let Some(run) = self.runs.back_mut()
            && run.channel == channel
            && run.count < u8::MAX
            && run.first.wrapping_add(u16::from(run.count)) == id
        {
            run.count += 1;
            return;
        }
        self.runs.push_back(Run {
            channel,
            count: 1,
            first: id,
        });
        self.pending += 1;
    }

    /// Remembers the datagram that was written. The place of the oldest must be free: see
    /// [`Self::overdue`].
    pub(super) fn record(&mut self, at: Timestamp, asks: bool, has_body: bool) {
        let carried = self.runs.len() - usize::from(self.pending);
        self.entries.push_back(Sent {
            at,
            first_run: self.runs_start.wrapping_add(carried as u32),
            runs: self.pending,
            state: if asks { State::InFlight } else { State::Quiet },
            has_body,
        });
        self.pending = 0;
        self.next += 1;
        self.trim();
    }

    /// The newest number that ack fields speak of.
    pub(super) fn check(&self, acks: &AckFields) -> Result<u64, Rejection> {
        let newest = match acks.newest {
            WireNumber::Long(number) => number,
            WireNumber::Short(low) => widen(low, self.acked_end.saturating_sub(1)),
        };
        if newest >= self.next {
            return Err(Rejection::AckOfNeverSent);
        }
        if newest < WINDOW && acks.missing >> newest != 0 {
            return Err(Rejection::BadAckMask);
        }
        Ok(newest)
    }

    /// The first number that an ack of `newest` may speak of and that is still remembered.
    pub(super) fn first_of_ack(&self, newest: u64) -> u64 {
        newest.saturating_sub(WINDOW).max(self.first())
    }

    /// Believes an ack of one number, checked before; `None` when it is not news.
    pub(super) fn acknowledge(&mut self, number: u64) -> Option<Verdict> {
        let entry = self.entry(number)?;
        if entry.state == State::Acked {
            return None;
        }
        let verdict = verdict(number, entry);
        entry.state = State::Acked;
        self.acked_end = self.acked_end.max(number + 1);
        Some(verdict)
    }

    /// Gives up one datagram that is lost by now, the oldest first; `None` when there is none. How patient to be is
    /// asked only when the clock could decide, which on a good path is nearly never.
    pub(super) fn next_lost(
        &mut self,
        now: Timestamp,
        patience: impl Fn() -> Patience,
    ) -> Option<Verdict> {
        let number = self.oldest_in_flight()?;
        let acked_end = self.acked_end;
        let full = self.entries.len() >= REMEMBERED && number == self.first();
        let entry = self.entry(number)?;
        let is_silent = || number >= acked_end && entry.at + SILENCE > now;
        let lost = full
            || number + PACKET_THRESHOLD < acked_end
            || !is_silent() && deadline(number, entry, acked_end, patience()) <= now;
        lost.then(|| {
            let verdict = verdict(number, entry);
            entry.state = State::Lost;
            verdict
        })
    }

    /// When the oldest datagram in flight is lost if nothing more is heard.
    pub(super) fn loss_deadline(&self, patience: Patience) -> Option<Timestamp> {
        let from = self.settled.max(self.first());
        let skipped = usize::try_from(from - self.first()).ok()?;
        let (index, entry) = (self.entries.iter().enumerate().skip(skipped))
            .find(|(_, entry)| entry.state == State::InFlight)?;
        let number = self.first() + index as u64;
        Some(deadline(number, entry, self.acked_end, patience))
    }

    /// The oldest number in flight.
    fn oldest_in_flight(&mut self) -> Option<u64> {
        self.settled = self.settled.max(self.first());
        while self.settled < self.next {
            let settled = self.settled;
            if self.entry(settled)?.state == State::InFlight {
                return Some(settled);
            }
            self.settled += 1;
        }
        None
    }

    /// The numbers of datagrams in flight that were sent at `latest` or before and carry messages.
    pub(super) fn unanswered(&self, latest: Timestamp) -> impl Iterator<Item = Verdict> + '_ {
        (self.first()..)
            .zip(&self.entries)
            .take_while(move |(_, entry)| entry.at <= latest)
            .filter(|(_, entry)| entry.state == State::InFlight && entry.runs > 0)
            .map(|(number, entry)| verdict(number, entry))
    }

    /// The reliable messages that a datagram carried.
    pub(super) fn runs(&self, verdict: &Verdict) -> impl Iterator<Item = Run> + '_ {
        let (start, count) = verdict.runs;
        let skipped = start.wrapping_sub(self.runs_start) as usize;
        let end = skipped.saturating_add(usize::from(count));
        let range = skipped.min(self.runs.len())..end.min(self.runs.len());
        self.runs.range(range).copied()
    }

    /// Forgets the oldest datagrams of which no ack can be news.
    pub(super) fn trim(&mut self) {
        while let Some(entry) = self.entries.front() {
            let number = self.first();
            let forgotten = match entry.state {
                State::InFlight => self.entries.len() > REMEMBERED,
                State::Acked | State::Quiet => true,
                State::Lost => {
                    self.entries.len() > REMEMBERED || number + WINDOW + 1 < self.acked_end
                }
            };
            if !forgotten {
                return;
            }
            let runs = usize::from(entry.runs).min(self.runs.len());
            self.runs.drain(..runs);
            self.runs_start = self.runs_start.wrapping_add(runs as u32);
            self.entries.pop_front();
        }
    }

    /// Datagrams remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Sent>() + self.runs.capacity() * size_of::<Run>()
    }
}

fn verdict(number: u64, entry: &Sent) -> Verdict {
    Verdict {
        number,
        at: entry.at,
        has_body: entry.has_body,
        was_lost: entry.state == State::Lost,
        was_in_flight: entry.state == State::InFlight,
        runs: (entry.first_run, entry.runs),
    }
}

/// When a datagram in flight is lost by time.
fn deadline(number: u64, entry: &Sent, acked_end: u64, patience: Patience) -> Timestamp {
    if number < acked_end {
        entry.at + patience.loss_delay
    } else {
        entry.at + patience.probe_timeout + SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::AckDelay;
    use super::*;

    const PATIENCE: Patience = Patience {
        loss_delay: Duration::from_millis(90),
        probe_timeout: Duration::from_millis(200),
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ring(count: u64) -> SentRing {
        let mut ring = SentRing::default();
        for number in 0..count {
            ring.carry(0, number as u16);
            ring.record(at(number * 10), true, true);
        }
        ring
    }

    fn lost(ring: &mut SentRing, now: Timestamp) -> Vec<u64> {
        core::iter::from_fn(|| ring.next_lost(now, || PATIENCE))
            .map(|verdict| verdict.number)
            .collect()
    }

    fn fields(newest: WireNumber, missing: u64) -> AckFields {
        AckFields {
            newest,
            missing,
            delay: AckDelay::from_duration(Duration::ZERO),
        }
    }

    #[test]
    fn an_entry_is_sixteen_bytes_and_a_run_four() {
        assert_eq!(size_of::<Sent>(), 16);
        assert_eq!(size_of::<Run>(), 4);
    }

    #[test]
    fn three_later_or_nine_eighths_of_a_round_trip_and_it_is_lost() {
        let mut ring = ring(6);
        assert!(ring.acknowledge(4).is_some());
        assert_eq!(lost(&mut ring, at(50)), [0, 1]);
        assert_eq!(ring.loss_deadline(PATIENCE), Some(at(20 + 90)));
        assert_eq!(lost(&mut ring, at(110)), [2]);
        assert_eq!(lost(&mut ring, at(120)), [3]);
        // Nothing newer than 5 arrived: only long silence ends it.
        assert_eq!(lost(&mut ring, at(1_249)), [0; 0]);
        assert_eq!(lost(&mut ring, at(1_250)), [5]);
    }

    #[test]
    fn an_ack_after_the_loss_is_news_once() {
        let mut ring = ring(6);
        ring.acknowledge(5);
        assert_eq!(lost(&mut ring, at(60)), [0, 1, 2]);
        let late = ring.acknowledge(1).expect("it did arrive");
        assert!(late.was_lost);
        assert_eq!(ring.runs(&late).next().map(|run| run.first), Some(1));
        assert!(ring.acknowledge(1).is_none());
    }

    #[test]
    fn acks_of_what_was_never_sent_are_refused() {
        let mut ring = ring(10);
        for newest in [
            WireNumber::Short(10),
            WireNumber::Short(0x7fff),
            WireNumber::Short(0xffff),
            WireNumber::Long(10),
            WireNumber::Long(u64::MAX),
        ] {
            let refused = ring.check(&fields(newest, 0));
            assert_eq!(refused, Err(Rejection::AckOfNeverSent), "{newest:?}");
        }
        let refused = ring.check(&fields(WireNumber::Short(9), 1 << 9));
        assert_eq!(refused, Err(Rejection::BadAckMask));
        assert_eq!(ring.check(&fields(WireNumber::Short(9), 1 << 8)), Ok(9));
        assert!(ring.acknowledge(10).is_none());
        assert!(
            SentRing::default()
                .check(&fields(WireNumber::Short(0), 0))
                .is_err()
        );
    }

    #[test]
    fn the_ring_never_holds_more_than_its_places_and_nobody_leaves_without_a_verdict() {
        let mut ring = SentRing::default();
        let mut given_up = 0;
        for number in 0..2_000_u64 {
            given_up += lost(&mut ring, at(0)).len();
            ring.carry(1, number as u16);
            ring.record(at(0), true, true);
            assert!(ring.len() <= REMEMBERED);
        }
        assert_eq!(given_up + ring.len(), 2_000);
        assert!(ring.heap_bytes() <= 2 * REMEMBERED * (16 + 4));
    }

    #[test]
    fn numbers_travel_whole_once_the_peer_is_far_behind_and_short_acks_stay_true() {
        let mut ring = SentRing::default();
        let send = |ring: &mut SentRing| {
            while ring.next_lost(at(0), || PATIENCE).is_some() {}
            ring.record(at(0), true, true);
        };
        for _ in 0..SHORT_REACH {
            assert!(!ring.next_on_the_wire().is_long());
            send(&mut ring);
        }
        assert!(ring.next_on_the_wire().is_long());
        for _ in 0..100_000 {
            send(&mut ring);
        }
        // The peer got number 7 and nothing else, and still says so.
        assert_eq!(ring.check(&fields(WireNumber::Short(7), 0)), Ok(7));
        let newest = ring.next() - 1;
        assert_eq!(ring.check(&fields(WireNumber::Long(newest), 0)), Ok(newest));
        ring.acknowledge(newest);
        assert!(!ring.next_on_the_wire().is_long());
    }
}
