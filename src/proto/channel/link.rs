//! One session's messages, acks and timers: the two verbs `fill` and `receive`, and what they leave to
//! be polled. Knows the order in which the parts of this room act. Has no key, no clock and no socket,
//! and no idea what a body says.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::acks::Receipts;
use super::channels::Channels;
use super::header::{AckFields, Header, MAX_LEN};
use super::rtt::RttEstimator;
use super::section::{SectionReader, SectionWriter};
use super::sent::{Patience, SentRing, Verdict};
use super::stats::{LinkCounters, LossMeter};
use super::{
    ChannelId, DatagramNumber, Delivered, LinkConfig, LinkStats, Received, Rejection, SendError,
};
use crate::proto::wire::ByteReader;
use crate::time::Timestamp;

/// Verdicts that wait to be polled; the oldest go when nobody does.
const MAX_DELIVERIES: usize = 512;
/// Doubt grows twice as patient each time, up to this long.
const MAX_PROBE_DELAY: Duration = Duration::from_secs(1);
/// More doublings than these pass [`MAX_PROBE_DELAY`] on any path.
const MAX_PROBE_DOUBLINGS: u32 = 10;

/// Messages, acks and round trips of one session; both ends are alike.
///
/// `send` queues, `fill` writes a payload, `receive` reads one; `poll_message` and `poll_delivery` tell
/// what came of it. Time is an argument and must not run backwards. See [the room's tour](super) for an
/// example.
///
/// An idle link takes less than 2 KiB, and no amount of hostile payloads makes it take more than its
/// configured buffers and a fixed rest.
#[derive(Debug)]
pub struct Link {
    channels: Channels,
    max_ack_delay: Duration,
    receipts: Receipts,
    sent: SentRing,
    rtt: RttEstimator,
    deliveries: VecDeque<Delivered>,
    /// When reliable messages in flight are doubted, and how often they were without an ack since.
    probe_at: Option<Timestamp>,
    probes: u32,
    loss: LossMeter,
    counters: LinkCounters,
}

impl Link {
    /// A link that has sent and received nothing.
    #[must_use]
    pub fn new(config: Arc<LinkConfig>) -> Self {
        Self {
            max_ack_delay: config.max_ack_delay(),
            channels: Channels::new(config),
            receipts: Receipts::default(),
            sent: SentRing::default(),
            rtt: RttEstimator::default(),
            deliveries: VecDeque::new(),
            probe_at: None,
            probes: 0,
            loss: LossMeter::default(),
            counters: LinkCounters::default(),
        }
    }

    /// Queues a message for the next payloads.
    ///
    /// # Errors
    ///
    /// [`SendError`]: no such channel, too long for it, or its send buffer is full. Nothing is queued
    /// then.
    pub fn send(&mut self, channel: ChannelId, message: &[u8]) -> Result<(), SendError> {
        self.channels.send(channel, message)
    }

    /// Writes one payload into `out` and says how long it is: the header, due messages of at most
    /// `message_budget` bytes (heads included; a first message that is longer goes alone), and the body.
    ///
    /// `body` gets this datagram's number and the room that is left, and says how much it wrote. When
    /// there is no message due, no body and no ack overdue, the answer is 0: nothing is to be sent and no
    /// number was used up. A body's fate is told by [`Self::poll_delivery`].
    pub fn fill(
        &mut self,
        now: Timestamp,
        out: &mut [u8],
        message_budget: usize,
        body: impl FnOnce(DatagramNumber, &mut [u8]) -> usize,
    ) -> usize {
        self.handle_timeout(now);
        if out.len() < MAX_LEN {
            return 0;
        }
        let number = self.sent.next();
        let mut header = Header {
            number: self.sent.next_on_the_wire(),
            acks: self.receipts.fields(now),
            asks: false,
            messages: false,
        };
        let Some(header_len) = header.write(out) else {
            return 0;
        };
        let (head, rest) = out.split_at_mut(header_len);
        let mut section = SectionWriter::new(rest, message_budget);
        let filled = (self.channels).fill(now, &mut section, &mut self.sent);
        let messages = section.len();
        let room = &mut rest[messages..];
        let body = body(DatagramNumber(number), room).min(room.len());
        header.messages = messages > 0;
        header.asks = header.messages || body > 0;
        if !header.asks && self.receipts.ack_due().is_none_or(|due| due > now) {
            return 0;
        }
        head[0] = header.flags();
        self.sent.record(now, header.asks, body > 0);
        self.receipts.answered();
        self.counters.messages_sent += filled.first_time;
        self.counters.messages_resent += filled.again;
        if filled.reliable {
            self.probe_at = Some(now + self.probe_delay());
        }
        self.counters.datagrams_sent += 1;
        self.counters.acks_sent += u64::from(!header.asks);
        header_len + messages + body
    }

    /// Reads one payload. Its messages go to [`Self::poll_message`], its acks to
    /// [`Self::poll_delivery`]; its body is lent back.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] says why the payload was refused; then nothing of it had any effect.
    pub fn receive<'p>(
        &mut self,
        now: Timestamp,
        payload: &'p [u8],
    ) -> Result<Received<'p>, Rejection> {
        let checked = self.check(payload);
        let Checked {
            header,
            number,
            acks,
            messages,
            body,
        } = match checked {
            Ok(checked) => checked,
            Err(rejection) => {
                self.counters.datagrams_rejected += 1;
                return Err(rejection);
            }
        };
        self.counters.datagrams_received += 1;
        self.receipts.saw(number);
        if let Some((newest, fields)) = acks {
            self.believe(now, newest, fields);
        }
        if self.channels.accept(messages, &mut self.counters) {
            let long = header.number.is_long();
            self.receipts.took(now, number, long);
            if header.asks {
                self.receipts.asked(now, self.max_ack_delay);
            }
        }
        Ok(Received {
            number: DatagramNumber(number),
            body,
        })
    }

    /// Everything that can be refused is refused here, before anything has an effect.
    fn check<'p>(&self, payload: &'p [u8]) -> Result<Checked<'p>, Rejection> {
        let mut reader = ByteReader::new(payload);
        let header = Header::read(&mut reader)?;
        let number = self.receipts.check(header.number)?;
        let acks = match header.acks {
            Some(fields) => Some((self.sent.check(&fields)?, fields)),
            None => None,
        };
        let messages = SectionReader::new(reader, header.messages);
        let body = self.channels.check(messages.clone())?;
        if header.asks && !header.messages && body.is_empty() {
            return Err(Rejection::AsksForNothing);
        }
        Ok(Checked {
            header,
            number,
            acks,
            messages,
            body,
        })
    }

    /// Believes checked ack fields: a sample of the round trip, what arrived, and what is lost by now.
    fn believe(&mut self, now: Timestamp, newest: u64, fields: AckFields) {
        let first = self.sent.first_of_ack(newest);
        let mut progress = false;
        for number in (first..=newest).rev() {
            let behind = newest - number;
            if behind > 0 && fields.missing >> (behind - 1) & 1 == 1 {
                continue;
            }
            let Some(verdict) = self.sent.acknowledge(number) else {
                continue;
            };
            if number == newest
                && let Some(delay) = fields.delay.duration()
            {
                self.rtt.sample(now.since(verdict.at), delay);
            }
            progress |= verdict.was_in_flight;
            self.arrived(&verdict);
        }
        if progress {
            self.probes = 0;
            self.probe_at = Some(now + self.probe_delay());
        }
        self.give_up_lost(now);
        self.sent.trim();
    }

    /// A datagram is known to have arrived.
    fn arrived(&mut self, verdict: &Verdict) {
        for run in self.sent.runs(verdict) {
            self.channels.acked(run);
        }
        if verdict.was_lost {
            self.counters.datagrams_lost_wrongly += 1;
        }
        if verdict.was_in_flight {
            self.counters.datagrams_acked += 1;
            self.loss.verdict(false);
            if verdict.has_body {
                self.deliver(Delivered::Acked(DatagramNumber(verdict.number)));
            }
        }
    }

    /// Gives up every datagram that is lost by now.
    fn give_up_lost(&mut self, now: Timestamp) {
        let max_ack_delay = self.max_ack_delay;
        while let Some(verdict) = (self.sent).next_lost(now, || patience(&self.rtt, max_ack_delay))
        {
            let probe_timeout = self.probe_timeout();
            send_again(&mut self.channels, &self.sent, &verdict, now, probe_timeout);
            self.counters.datagrams_lost += 1;
            self.loss.verdict(true);
            if verdict.has_body {
                self.deliver(Delivered::Lost(DatagramNumber(verdict.number)));
            }
        }
    }

    fn deliver(&mut self, delivered: Delivered) {
        if self.deliveries.len() >= MAX_DELIVERIES {
            self.deliveries.pop_front();
            self.counters.deliveries_dropped += 1;
        }
        self.deliveries.push_back(delivered);
    }

    /// The oldest message that arrived, with its channel. Its bytes are lent until the next call.
    pub fn poll_message(&mut self) -> Option<(ChannelId, &[u8])> {
        self.channels.poll_message()
    }

    /// Whether [`Self::poll_message`] has one.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        self.channels.ready() > 0
    }

    /// The oldest verdict about a datagram with a body. Each datagram gets at most one.
    pub fn poll_delivery(&mut self) -> Option<Delivered> {
        self.deliveries.pop_front()
    }

    /// Judges by the clock alone: what is lost, what is doubted. [`Self::fill`] does it too.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.give_up_lost(now);
        if self.probe_due().is_some_and(|due| due <= now) {
            self.probe(now);
        }
        self.sent.trim();
    }

    /// Nothing was heard for too long: messages in flight that long are sent again.
    fn probe(&mut self, now: Timestamp) {
        let probe_timeout = self.probe_timeout();
        for verdict in self.sent.unanswered(now.before(probe_timeout)) {
            send_again(&mut self.channels, &self.sent, &verdict, now, probe_timeout);
        }
        self.probes = (self.probes + 1).min(MAX_PROBE_DOUBLINGS);
        self.probe_at = Some(now + self.probe_delay());
    }

    fn probe_due(&self) -> Option<Timestamp> {
        let in_flight = self.channels.are_in_flight();
        in_flight.then_some(self.probe_at).flatten()
    }

    fn probe_timeout(&self) -> Duration {
        self.rtt.probe_timeout(self.max_ack_delay)
    }

    fn probe_delay(&self) -> Duration {
        let once = self.probe_timeout();
        let patient = once * (1 << self.probes.min(MAX_PROBE_DOUBLINGS));
        patient.min(MAX_PROBE_DELAY.max(once))
    }

    /// Whether a [`Self::fill`] without a body would write something: a message is due, or an ack is
    /// overdue.
    #[must_use]
    pub fn wants_to_send(&self, now: Timestamp) -> bool {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        due(self.receipts.ack_due()) || due(self.probe_due()) || self.channels.are_due(now)
    }

    /// When to call [`Self::handle_timeout`] and then look at [`Self::wants_to_send`] again, if nothing
    /// is sent or received before. Messages that may leave now are no part of it: those want to be sent
    /// already.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let resend = self.channels.resend_at();
        let loss = (self.sent).loss_deadline(patience(&self.rtt, self.max_ack_delay));
        [self.receipts.ack_due(), self.probe_due(), resend, loss]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was measured and counted so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let (messages_queued, bytes_queued) = self.channels.queued();
        LinkStats {
            rtt: self.rtt.smoothed(),
            rtt_latest: self.rtt.latest(),
            rtt_min: self.rtt.min(),
            rtt_variance: self.rtt.variance(),
            jitter: self.rtt.jitter(),
            loss: self.loss.ratio(),
            messages_queued,
            bytes_queued,
            messages_ready: self.channels.ready(),
            counters: self.counters,
        }
    }

    /// The memory it takes, in bytes, the heap included and the shared configuration not.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.channels.heap_bytes()
            + self.sent.heap_bytes()
            + self.deliveries.capacity() * size_of::<Delivered>()
    }
}

/// How long to wait for acks, given these round trips.
fn patience(rtt: &RttEstimator, max_ack_delay: Duration) -> Patience {
    Patience {
        loss_delay: rtt.loss_delay(),
        probe_timeout: rtt.probe_timeout(max_ack_delay),
    }
}

/// The messages of a datagram that is lost or doubted are sent again.
fn send_again(
    channels: &mut Channels,
    sent: &SentRing,
    verdict: &Verdict,
    now: Timestamp,
    probe_timeout: Duration,
) {
    for run in sent.runs(verdict) {
        channels.lost(run, verdict.number, now, probe_timeout);
    }
}

/// A payload in which everything was checked.
struct Checked<'p> {
    header: Header,
    number: u64,
    acks: Option<(u64, AckFields)>,
    messages: SectionReader<'p>,
    body: &'p [u8],
}

#[cfg(test)]
mod tests;
