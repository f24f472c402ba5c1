//! One session's messages, acks and timers: the two verbs `fill` and `receive`, and what they leave to
//! be polled. Knows the order in which the parts of this room act. Has no key, no clock and no socket,
//! and no idea what a body says.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use super::acks::Receipts;
use super::header::{AckFields, Header, MAX_LEN};
use super::inbox::{Inbox, cost};
use super::reliable::Accepted;
use super::rtt::RttEstimator;
use super::section::{SectionReader, SectionWriter, WireMessage};
use super::sent::{SentRing, Verdict};
use super::stats::{LinkCounters, LossMeter};
use super::{
    ChannelConfig, ChannelId, DatagramNumber, Delivered, Delivery, LinkConfig, LinkStats, Received,
    Rejection, SendError, reliable, unreliable,
};
use crate::proto::wire::ByteReader;
use crate::time::Timestamp;

/// Verdicts that wait to be polled; the oldest go when nobody does.
const MAX_DELIVERIES: usize = 512;
/// A probe waits at most this many times the probe timeout, as a power of two.
const MAX_PROBE_DOUBLINGS: u32 = 4;

/// One channel of a link.
#[derive(Debug, Clone)]
struct Channel {
    /// What its messages in the inbox take of the receive buffer.
    inbox_cost: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Unreliable(unreliable::Outgoing),
    Reliable(reliable::Outgoing, reliable::Incoming),
}

impl Channel {
    fn new(config: &ChannelConfig) -> Self {
        Self {
            inbox_cost: 0,
            kind: match config.delivery {
                Delivery::Unreliable => Kind::Unreliable(unreliable::Outgoing::default()),
                Delivery::ReliableOrdered => {
                    Kind::Reliable(reliable::Outgoing::default(), reliable::Incoming::default())
                }
            },
        }
    }

    fn reliable(&self) -> Option<&reliable::Outgoing> {
        match &self.kind {
            Kind::Unreliable(_) => None,
            Kind::Reliable(outgoing, _) => Some(outgoing),
        }
    }
}

/// Messages, acks and round trips of one session; both ends are alike.
///
/// `send` queues, `fill` writes a payload, `receive` reads one; `poll_message` and `poll_delivery` tell
/// what came of it. Time is an argument and must not run backwards. See [the room's tour](super) for an
/// example.
///
/// An idle link takes less than 2 KiB, and no amount of hostile payloads makes it take more than its
/// configured buffers and a fixed rest.
#[derive(Debug, Clone)]
pub struct Link {
    config: Arc<LinkConfig>,
    channels: Box<[Channel]>,
    inbox: Inbox,
    receipts: Receipts,
    sent: SentRing,
    rtt: RttEstimator,
    deliveries: VecDeque<Delivered>,
    /// When reliable messages in flight are doubted, and how often they were without an ack since.
    probe_at: Option<Timestamp>,
    probes: u32,
    /// The channel that writes first in the next payload.
    turn: usize,
    loss: LossMeter,
    counters: LinkCounters,
}

impl Link {
    /// A link that has sent and received nothing.
    #[must_use]
    pub fn new(config: Arc<LinkConfig>) -> Self {
        Self {
            channels: config.channels().iter().map(Channel::new).collect(),
            config,
            inbox: Inbox::default(),
            receipts: Receipts::default(),
            sent: SentRing::default(),
            rtt: RttEstimator::default(),
            deliveries: VecDeque::new(),
            probe_at: None,
            probes: 0,
            turn: 0,
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
        let index = (self.config.index_of(channel)).ok_or(SendError::UnknownChannel(channel))?;
        let config = &self.config.channels()[index];
        if message.len() > config.max_message {
            return Err(SendError::TooLong {
                len: message.len(),
                max: config.max_message,
            });
        }
        match &mut self.channels[index].kind {
            Kind::Unreliable(outgoing) => outgoing.send(message, config.send_buffer),
            Kind::Reliable(outgoing, _) => outgoing.send(message, config.send_buffer),
        }
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
        let reliable = self.write_messages(now, &mut section);
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
        if reliable {
            self.probe_at = Some(now + self.probe_delay());
        }
        self.counters.datagrams_sent += 1;
        self.counters.acks_sent += u64::from(!header.asks);
        header_len + messages + body
    }

    /// Lets each channel write, the first one another each time; says whether any of it is reliable.
    fn write_messages(&mut self, now: Timestamp, section: &mut SectionWriter<'_>) -> bool {
        let mut reliable = false;
        let count = self.channels.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let config = &self.config.channels()[index];
            match &mut self.channels[index].kind {
                Kind::Unreliable(outgoing) => {
                    self.counters.messages_sent += outgoing.fill(config.id.0, section);
                }
                Kind::Reliable(outgoing, _) => {
                    let filled = outgoing.fill(now, index as u8, config, section, &mut self.sent);
                    self.counters.messages_sent += filled.first_time;
                    self.counters.messages_resent += filled.again;
                    reliable |= filled.first_time + filled.again > 0;
                }
            }
        }
        if section.len() > 0 {
            self.turn = (self.turn + 1) % count;
        }
        reliable
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
        if self.accept_messages(messages) {
            let long = header.number.is_long();
            self.receipts.took(now, number, long);
            if header.asks {
                self.receipts.asked(now, self.config.max_ack_delay());
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
        let mut walk = messages.clone();
        while let Some(message) = walk.next(|channel| self.is_reliable(channel))? {
            self.check_message(&message)?;
        }
        let body = walk.rest();
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

    fn is_reliable(&self, channel: u8) -> Result<bool, Rejection> {
        let index = (self.config.index_of(ChannelId(channel))).ok_or(Rejection::UnknownChannel)?;
        Ok(self.channels[index].reliable().is_some())
    }

    fn check_message(&self, message: &WireMessage<'_>) -> Result<(), Rejection> {
        let index =
            (self.config.index_of(ChannelId(message.channel))).ok_or(Rejection::UnknownChannel)?;
        if message.bytes.len() > self.config.channels()[index].max_message {
            return Err(Rejection::MessageTooLong);
        }
        match (&self.channels[index].kind, message.id) {
            (Kind::Reliable(_, incoming), Some(id)) => incoming.check(id),
            _ => Ok(()),
        }
    }

    /// Takes checked messages; says whether every reliable one found its place.
    fn accept_messages(&mut self, mut messages: SectionReader<'_>) -> bool {
        let mut whole = true;
        while let Ok(Some(message)) = messages.next(|channel| self.is_reliable(channel)) {
            let Some(index) = self.config.index_of(ChannelId(message.channel)) else {
                continue;
            };
            let config = &self.config.channels()[index];
            let Channel { inbox_cost, kind } = &mut self.channels[index];
            match (kind, message.id) {
                (Kind::Reliable(_, incoming), Some(id)) => {
                    let (at, bytes, inbox) = (index as u8, message.bytes, &mut self.inbox);
                    match incoming.accept(id, bytes, config, at, inbox, inbox_cost) {
                        Accepted::Taken => self.counters.messages_received += 1,
                        Accepted::Again => self.counters.messages_duplicate += 1,
                        Accepted::NoRoom => {
                            self.counters.messages_refused += 1;
                            whole = false;
                        }
                    }
                }
                _ if *inbox_cost + cost(message.bytes.len()) > config.receive_buffer => {
                    self.counters.messages_dropped += 1;
                }
                _ => {
                    *inbox_cost += cost(message.bytes.len());
                    self.inbox.push(index as u8, message.bytes);
                    self.counters.messages_received += 1;
                }
            }
        }
        whole
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
            if let Some(outgoing) = outgoing(&mut self.channels, run.channel) {
                run.ids().for_each(|id| outgoing.acked(id));
            }
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
        let (loss_delay, probe_timeout) = (self.rtt.loss_delay(), self.probe_timeout());
        while let Some(verdict) = self.sent.next_lost(now, loss_delay, probe_timeout) {
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
        let (index, message) = self.inbox.pop()?;
        let index = usize::from(index);
        let channel = self.channels.get_mut(index)?;
        channel.inbox_cost = channel.inbox_cost.saturating_sub(cost(message.len()));
        Some((self.config.channels()[index].id, message))
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
        (self.channels.iter().filter_map(Channel::reliable))
            .any(reliable::Outgoing::is_in_flight)
            .then_some(self.probe_at)
            .flatten()
    }

    fn probe_timeout(&self) -> Duration {
        self.rtt.probe_timeout(self.config.max_ack_delay())
    }

    fn probe_delay(&self) -> Duration {
        self.probe_timeout() * (1 << self.probes.min(MAX_PROBE_DOUBLINGS))
    }

    /// Whether a [`Self::fill`] without a body would write something: a message is due, or an ack is
    /// overdue.
    #[must_use]
    pub fn wants_to_send(&self, now: Timestamp) -> bool {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        due(self.receipts.ack_due())
            || due(self.probe_due())
            || (self.channels.iter().zip(self.config.channels())).any(|(channel, config)| {
                match &channel.kind {
                    Kind::Unreliable(outgoing) => outgoing.queued() > 0,
                    Kind::Reliable(outgoing, _) => outgoing.is_due(now, config),
                }
            })
    }

    /// When to call [`Self::handle_timeout`] and then look at [`Self::wants_to_send`] again, if nothing
    /// is sent or received before. Messages that may leave now are no part of it: those want to be sent
    /// already.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let resend = (self.channels.iter().filter_map(Channel::reliable))
            .filter_map(reliable::Outgoing::resend_at)
            .min();
        let loss = (self.sent).loss_deadline(self.rtt.loss_delay(), self.probe_timeout());
        [self.receipts.ack_due(), self.probe_due(), resend, loss]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was measured and counted so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let mut stats = LinkStats {
            rtt: self.rtt.smoothed(),
            rtt_latest: self.rtt.latest(),
            rtt_min: self.rtt.min(),
            rtt_variance: self.rtt.variance(),
            jitter: self.rtt.jitter(),
            loss: self.loss.ratio(),
            messages_ready: self.inbox.len(),
            counters: self.counters,
            ..LinkStats::default()
        };
        for channel in &self.channels {
            let (messages, bytes) = match &channel.kind {
                Kind::Unreliable(outgoing) => (outgoing.queued(), outgoing.queued_bytes()),
                Kind::Reliable(outgoing, _) => (outgoing.queued(), outgoing.queued_bytes()),
            };
            stats.messages_queued += messages;
            stats.bytes_queued += bytes;
        }
        stats
    }

    /// The memory it takes, in bytes, the heap included and the shared configuration not.
    #[must_use]
    pub fn memory(&self) -> usize {
        let channels: usize = (self.channels.iter())
            .map(|channel| {
                size_of::<Channel>()
                    + match &channel.kind {
                        Kind::Unreliable(outgoing) => outgoing.heap_bytes(),
                        Kind::Reliable(outgoing, incoming) => {
                            outgoing.heap_bytes() + incoming.heap_bytes()
                        }
                    }
            })
            .sum();
        size_of::<Self>()
            + channels
            + self.inbox.heap_bytes()
            + self.sent.heap_bytes()
            + self.deliveries.capacity() * size_of::<Delivered>()
    }
}

/// The messages of a datagram that is lost or doubted are sent again.
fn send_again(
    channels: &mut [Channel],
    sent: &SentRing,
    verdict: &Verdict,
    now: Timestamp,
    probe_timeout: Duration,
) {
    for run in sent.runs(verdict) {
        if let Some(outgoing) = outgoing(channels, run.channel) {
            for id in run.ids() {
                outgoing.lost(id, verdict.number, now, probe_timeout);
            }
        }
    }
}

/// The sending end of a reliable channel.
fn outgoing(channels: &mut [Channel], index: u8) -> Option<&mut reliable::Outgoing> {
    match &mut channels.get_mut(usize::from(index))?.kind {
        Kind::Unreliable(_) => None,
        Kind::Reliable(outgoing, _) => Some(outgoing),
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
