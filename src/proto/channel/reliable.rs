//! Messages that arrive once and in order, whatever the network does. Knows ids, which datagram carried
//! what last, and when to send again. Has no idea of acks themselves: it is told.
//!
//! A message is sent again as soon as the datagram that carried it last is lost, or when a probe says so.
//! The first [`QUICK_RESENDS`] times at once; from then on the channel is *stalled*: only its oldest
//! message is sent, more and more patiently, until that arrives. So a peer that refuses messages (its
//! application does not poll), or that cannot be reached, costs one message each time it is asked.
//!
//! Out of order messages wait in a bounded place that leaves room for the one that is missing, so the
//! channel cannot lock itself up. What a peer may rely on: section 4.4 of `docs/protocol.md`.

use core::time::Duration;
use std::collections::VecDeque;

use super::inbox::{Inbox, cost};
use super::queue::ByteQueue;
use super::section::SectionWriter;
use super::sent::SentRing;
use super::{ChannelConfig, MESSAGE_WINDOW, Rejection, SendError};
use crate::proto::wire::widen;
use crate::time::Timestamp;

/// How often a message is sent again without waiting. At 30% loss one message in 1,400 needs more.
const QUICK_RESENDS: u8 = 6;
/// The longest a message waits to be sent again.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// How many emptied places for waiting messages are kept for the next ones.
const SPARE: usize = 16;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never sent.
    Fresh,
    /// In a datagram of which nothing is known.
    InFlight,
    /// To be sent again from [`Entry::due`] on.
    Due,
    /// It arrived; it stays until all before it have.
    Acked,
}

/// A message that waits to be sent or acknowledged.
#[derive(Debug, Clone, Copy)]
struct Entry {
    due: Timestamp,
    /// Where its bytes begin in the stream of bytes.
    start: u32,
    /// The low bits of the datagram that carried it last.
    carrier: u32,
    len: u16,
    sends: u8,
    state: State,
}

/// How many messages a fill wrote.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    pub first_time: u64,
    pub again: u64,
}

/// The sending end of a channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Outgoing {
    bytes: ByteQueue,
    /// Where `bytes` begins in the stream of bytes.
    start: u32,
    /// The messages from id `first` on.
    entries: VecDeque<Entry>,
    first: u64,
    /// How many of them were sent at least once.
    sent: usize,
    in_flight: usize,
    /// When the first of those to be sent again is due.
    resend_at: Option<Timestamp>,
}

impl Outgoing {
    /// Queues a message whose length was checked.
    pub(super) fn send(&mut self, message: &[u8], limit: usize) -> Result<(), SendError> {
        let queued = self.bytes.len() + self.entries.len() * cost(0);
        if queued + cost(message.len()) > limit {
            return Err(SendError::Full {
                queued: self.entries.len(),
                limit,
            });
        }
        self.entries.push_back(Entry {
            due: Timestamp::ZERO,
            start: self.start.wrapping_add(self.bytes.len() as u32),
            carrier: 0,
            len: message.len() as u16,
            sends: 0,
            state: State::Fresh,
        });
        self.bytes.push(message);
        Ok(())
    }

    /// Whether a fill would find something to send.
    pub(super) fn is_due(&self, now: Timestamp, config: &ChannelConfig) -> bool {
        self.resend_at.is_some_and(|at| at <= now) || self.may_send_fresh(config)
    }

    /// Whether the oldest message was sent so often that the others wait for it.
    fn is_stalled(&self) -> bool {
        (self.entries.front()).is_some_and(|oldest| oldest.sends > QUICK_RESENDS)
    }

    /// When the first message has to be sent again.
    pub(super) fn resend_at(&self) -> Option<Timestamp> {
        self.resend_at
    }

    /// Whether any message is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether there is a message that was never sent and the peer is sure to have room for it.
    fn may_send_fresh(&self, config: &ChannelConfig) -> bool {
        let Some(entry) = self.entries.get(self.sent) else {
            return false;
        };
        // The peer keeps what arrives early within its receive buffer, less one message.
        let ahead =
            (entry.start.wrapping_sub(self.start) as usize).saturating_add(self.sent * cost(0));
        let room = config
            .receive_buffer
            .saturating_sub(2 * cost(config.max_message));
        self.sent == 0 || (self.sent < MESSAGE_WINDOW as usize && ahead <= room)
    }

    /// Writes what is due and fits, the oldest first.
    pub(super) fn fill(
        &mut self,
        now: Timestamp,
        index: u8,
        config: &ChannelConfig,
        section: &mut SectionWriter<'_>,
        ring: &mut SentRing,
    ) -> Filled {
        let mut filled = Filled::default();
        let mut full = false;
        if self.resend_at.is_some_and(|at| at <= now) {
            let mut next: Option<Timestamp> = None;
            let eligible = if self.is_stalled() { 1 } else { self.sent };
            for at in 0..eligible {
                let entry = self.entries[at];
                if entry.state != State::Due {
                    continue;
                }
                full = full || (entry.due <= now && !self.write(at, index, config, section, ring));
                if full || entry.due > now {
                    next = Some(next.map_or(entry.due, |next| next.min(entry.due)));
                } else {
                    filled.again += 1;
                }
            }
            self.resend_at = next;
        }
        while !full && self.may_send_fresh(config) {
            full = !self.write(self.sent, index, config, section, ring);
            if !full {
                self.sent += 1;
                filled.first_time += 1;
            }
        }
        filled
    }

    /// Writes one message; says whether there was room.
    fn write(
        &mut self,
        at: usize,
        index: u8,
        config: &ChannelConfig,
        section: &mut SectionWriter<'_>,
        ring: &mut SentRing,
    ) -> bool {
        let id = self.first.wrapping_add(at as u64) as u16;
        let entry = &mut self.entries[at];
        let Some(place) = section.message(config.id.0, Some(id), usize::from(entry.len)) else {
            return false;
        };
        self.bytes
            .copy(entry.start.wrapping_sub(self.start) as usize, place);
        ring.carry(index, id);
        entry.carrier = ring.next() as u32;
        entry.sends = entry.sends.saturating_add(1);
        entry.state = State::InFlight;
        self.in_flight += 1;
        true
    }

    /// The place of a message by the low bits of its id.
    fn find(&self, id: u16) -> Option<usize> {
        let at = usize::from(id.wrapping_sub(self.first as u16));
        (at < self.sent).then_some(at)
    }

    /// The message arrived: its bytes are free once all before it arrived too.
    pub(super) fn acked(&mut self, id: u16) {
        let Some(at) = self.find(id) else {
            return;
        };
        let was_stalled = self.is_stalled();
        let entry = &mut self.entries[at];
        if entry.state == State::InFlight {
            self.in_flight -= 1;
        }
        entry.state = State::Acked;
        while let Some(entry) = self.entries.front()
            && entry.state == State::Acked
        {
            let len = entry.len;
            self.bytes.skip(usize::from(len));
            self.start = self.start.wrapping_add(u32::from(len));
            self.entries.pop_front();
            self.first += 1;
            self.sent -= 1;
        }
        if was_stalled && at == 0 {
            self.resume();
        }
        if self.sent == 0 {
            self.resend_at = None;
        }
    }

    /// The oldest message arrived at last: those that waited for it get one quick try each.
    fn resume(&mut self) {
        for entry in self.entries.iter_mut().take(self.sent) {
            entry.sends = entry.sends.min(QUICK_RESENDS - 1);
            entry.due = Timestamp::ZERO;
        }
        let waits = (self.entries.iter().take(self.sent)).any(|entry| entry.state == State::Due);
        self.resend_at = waits.then_some(Timestamp::ZERO);
    }

    /// The datagram `carrier` was lost, or is doubted: the message is sent again unless a newer datagram
    /// carries it already.
    pub(super) fn lost(&mut self, id: u16, carrier: u64, now: Timestamp, probe_timeout: Duration) {
        let Some(at) = self.find(id) else {
            return;
        };
        let entry = &mut self.entries[at];
        if entry.state != State::InFlight || entry.carrier != carrier as u32 {
            return;
        }
        entry.state = State::Due;
        entry.due = now + backoff(entry.sends, probe_timeout);
        self.in_flight -= 1;
        self.resend_at = Some(self.resend_at.map_or(entry.due, |at| at.min(entry.due)));
    }

    /// Messages that have not been acknowledged.
    pub(super) fn queued(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of messages that are kept.
    pub(super) fn queued_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.heap_bytes() + self.entries.capacity() * size_of::<Entry>()
    }
}

/// How long a message that was sent so often waits for the next time.
fn backoff(sends: u8, probe_timeout: Duration) -> Duration {
    match sends.checked_sub(QUICK_RESENDS + 1) {
        None => Duration::ZERO,
        Some(doublings) => (probe_timeout * (1 << doublings.min(10))).min(MAX_BACKOFF),
    }
}

/// What became of a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It is in the inbox or waits for those before it.
    Taken,
    /// It was taken before.
    Again,
    /// There is no room for it now: its datagram must not be acknowledged.
    NoRoom,
}

/// The receiving end of a channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Incoming {
    /// The id that is delivered next.
    next: u64,
    /// Messages that came early: the one at `i` has id `next + 1 + i`.
    early: VecDeque<Option<Vec<u8>>>,
    /// What those take of the receive buffer.
    early_cost: usize,
    spare: Vec<Vec<u8>>,
}

impl Incoming {
    /// Refuses an id that no sender within its window writes.
    pub(super) fn check(&self, id: u16) -> Result<(), Rejection> {
        if widen(id, self.next) >= self.next.saturating_add(MESSAGE_WINDOW) {
            return Err(Rejection::WindowExceeded);
        }
        Ok(())
    }

    /// Takes a message with a checked id. `inbox_cost` is what the channel's messages in the inbox take of
    /// the receive buffer; it grows by those that move there.
    pub(super) fn accept(
        &mut self,
        id: u16,
        message: &[u8],
        config: &ChannelConfig,
        index: u8,
        inbox: &mut Inbox,
        inbox_cost: &mut usize,
    ) -> Accepted {
        let id = widen(id, self.next);
        let Some(ahead) = id.checked_sub(self.next) else {
            return Accepted::Again;
        };
        let ahead = ahead.min(MESSAGE_WINDOW) as usize;
        let cost_now = *inbox_cost + self.early_cost + cost(message.len());
        let Some(place) = ahead.checked_sub(1) else {
            if cost_now > config.receive_buffer {
                return Accepted::NoRoom;
            }
            inbox.push(index, message);
            *inbox_cost += cost(message.len());
            self.advance(index, inbox, inbox_cost);
            return Accepted::Taken;
        };
        if self.early.get(place).is_some_and(Option::is_some) {
            return Accepted::Again;
        }
        // Room for the one that is missing stays free.
        if cost_now + cost(config.max_message) > config.receive_buffer {
            return Accepted::NoRoom;
        }
        self.keep(place, message);
        Accepted::Taken
    }

    /// Keeps a message that came early.
    fn keep(&mut self, place: usize, message: &[u8]) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(message);
        if self.early.len() <= place {
            self.early.resize_with(place + 1, || None);
        }
        self.early[place] = Some(bytes);
        self.early_cost += cost(message.len());
    }

    /// Steps over the message just delivered, and delivers what waited for it.
    fn advance(&mut self, index: u8, inbox: &mut Inbox, inbox_cost: &mut usize) {
        self.next += 1;
        while let Some(Some(bytes)) = self.early.pop_front() {
            inbox.push(index, &bytes);
            *inbox_cost += cost(bytes.len());
            self.early_cost -= cost(bytes.len());
            if self.spare.len() < SPARE {
                self.spare.push(bytes);
            }
            self.next += 1;
        }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let held: usize = (self.early.iter().flatten().chain(&self.spare))
            .map(Vec::capacity)
            .sum();
        held + self.early.capacity() * size_of::<Option<Vec<u8>>>()
            + self.spare.capacity() * size_of::<Vec<u8>>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sent::Run;
    use super::*;
    use proptest::prelude::*;

    const PTO: Duration = Duration::from_millis(100);
    const SMALL: ChannelConfig = ChannelConfig {
        max_message: 100,
        send_buffer: 100_000,
        receive_buffer: 1_000,
        ..ChannelConfig::reliable(0)
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Fills one datagram and returns the ids in it.
    fn fill(outgoing: &mut Outgoing, ring: &mut SentRing, now: Timestamp) -> Vec<u16> {
        let mut buffer = [0; 1_000];
        let mut section = SectionWriter::new(&mut buffer, 1_000);
        let carrier = ring.next();
        outgoing.fill(now, 0, &SMALL, &mut section, ring);
        ring.record(now, true, false);
        let verdict = ring.unanswered(now).find(|sent| sent.number == carrier);
        let runs = verdict
            .into_iter()
            .flat_map(|verdict| ring.runs(&verdict).collect::<Vec<_>>());
        runs.flat_map(Run::ids).collect()
    }

    #[test]
    fn a_lost_message_goes_again_and_only_its_newest_carrier_counts() {
        let (mut outgoing, mut ring) = (Outgoing::default(), SentRing::default());
        for _ in 0..3 {
            outgoing.send(b"message", 1_000).expect("there is room");
        }
        assert_eq!(fill(&mut outgoing, &mut ring, at(0)), [0, 1, 2]);
        assert_eq!(fill(&mut outgoing, &mut ring, at(1)), [0_u16; 0]);
        outgoing.lost(1, 0, at(2), PTO);
        assert_eq!(fill(&mut outgoing, &mut ring, at(2)), [1]);
        outgoing.lost(1, 0, at(3), PTO);
        assert!(!outgoing.is_due(at(3), &SMALL), "datagram 2 carries it");
        outgoing.acked(1);
        assert_eq!(outgoing.queued(), 3, "0 is still missing, so 1 stays");
        outgoing.acked(0);
        outgoing.acked(0);
        assert_eq!((outgoing.queued(), outgoing.queued_bytes()), (1, 7));
        outgoing.acked(2);
        outgoing.acked(3);
        assert_eq!(outgoing.queued(), 0);
        assert!(!outgoing.is_in_flight());
        assert_eq!(outgoing.resend_at(), None);
    }

    #[test]
    fn a_message_that_never_arrives_is_sent_ever_more_patiently_and_alone() {
        let (mut outgoing, mut ring) = (Outgoing::default(), SentRing::default());
        for _ in 0..3 {
            outgoing.send(b"message", 1_000).expect("there is room");
        }
        let mut now = at(0);
        for _ in 0..=QUICK_RESENDS {
            let carrier = ring.next();
            assert_eq!(fill(&mut outgoing, &mut ring, now), [0, 1, 2]);
            (0..3).for_each(|id| outgoing.lost(id, carrier, now, PTO));
        }
        for wait in [100, 200, 400, 800, 1_000, 1_000] {
            assert_eq!(
                outgoing.resend_at(),
                Some(now + Duration::from_millis(wait))
            );
            now += Duration::from_millis(wait);
            let carrier = ring.next();
            assert_eq!(fill(&mut outgoing, &mut ring, now), [0]);
            outgoing.lost(0, carrier, now, PTO);
        }
        outgoing.acked(0);
        assert_eq!(
            fill(&mut outgoing, &mut ring, now),
            [1, 2],
            "at once, when it arrives"
        );
    }

    #[test]
    fn a_sender_stays_within_what_the_peer_is_sure_to_keep() {
        let (mut outgoing, mut ring) = (Outgoing::default(), SentRing::default());
        let (mut incoming, mut inbox, mut inbox_cost) = (Incoming::default(), Inbox::default(), 0);
        for _ in 0..100 {
            outgoing
                .send(&[7; 100], SMALL.send_buffer)
                .expect("there is room");
        }
        let mut ids = Vec::new();
        for millis in 0..20 {
            ids.extend(fill(&mut outgoing, &mut ring, at(millis)));
        }
        assert!((2..10).contains(&ids.len()), "{ids:?}");
        // All but the first come, in the worst order, and then the first.
        for id in ids.into_iter().rev() {
            let taken = incoming.accept(id, &[7; 100], &SMALL, 0, &mut inbox, &mut inbox_cost);
            assert_eq!(taken, Accepted::Taken, "{id}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_goes_out_once_and_in_order(
            ids in prop::collection::vec(0_u16..60, 0..400),
            polls in prop::collection::vec(any::<bool>(), 400),
        ) {
            let (mut incoming, mut inbox, mut inbox_cost) = (Incoming::default(), Inbox::default(), 0);
            let mut expected = 0;
            let mut taken = std::collections::BTreeSet::new();
            for (id, poll) in ids.into_iter().zip(polls) {
                let message = vec![id as u8; usize::from(id)];
                let accepted = incoming.accept(id, &message, &SMALL, 0, &mut inbox, &mut inbox_cost);
                prop_assert_eq!(accepted == Accepted::Again, taken.contains(&id));
                if accepted == Accepted::Taken {
                    taken.insert(id);
                }
                prop_assert!(inbox_cost + incoming.early_cost <= SMALL.receive_buffer);
                while poll && let Some((_, message)) = inbox.pop() {
                    prop_assert_eq!(message, &vec![expected as u8; expected][..]);
                    inbox_cost -= cost(message.len());
                    expected += 1;
                }
                // With an empty inbox the message that is next always finds its place.
                if inbox.len() == 0 {
                    let mut copy = (incoming.clone(), inbox.clone(), inbox_cost);
                    let next = vec![0; SMALL.max_message];
                    let accepted = copy.0.accept(expected as u16, &next, &SMALL, 0, &mut copy.1, &mut copy.2);
                    prop_assert_eq!(accepted, Accepted::Taken);
                }
            }
        }
    }

    #[test]
    fn ids_beyond_the_window_are_refused_and_those_behind_are_known() {
        let (mut incoming, mut inbox, mut inbox_cost) = (Incoming::default(), Inbox::default(), 0);
        for id in 0..70_000_u64 {
            let id = id as u16;
            assert_eq!(incoming.check(id.wrapping_add(1_023)), Ok(()));
            let refused = incoming.check(id.wrapping_add(1_024));
            assert_eq!(refused, Err(Rejection::WindowExceeded));
            let taken = incoming.accept(id, b"", &SMALL, 0, &mut inbox, &mut inbox_cost);
            assert_eq!(taken, Accepted::Taken);
            let again = incoming.accept(id, b"", &SMALL, 0, &mut inbox, &mut inbox_cost);
            assert_eq!(again, Accepted::Again);
            inbox.pop();
            inbox_cost = 0;
        }
    }
}
