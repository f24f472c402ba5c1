//! A link's channels side by side, and the inbox they share. Knows which kind each is and finds it by its
//! number or place. Has no idea of acks and times beyond handing them on.

use core::time::Duration;
use std::sync::Arc;

use super::inbox::{Inbox, cost};
use super::reliable::Accepted;
use super::section::{SectionReader, SectionWriter, WireMessage};
use super::sent::{Run, SentRing};
use super::stats::LinkCounters;
use super::{
    ChannelConfig, ChannelId, Delivery, LinkConfig, Rejection, SendError, reliable, unreliable,
};
use crate::time::Timestamp;

/// One channel.
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
        let kind = match config.delivery {
            Delivery::Unreliable => Kind::Unreliable(unreliable::Outgoing::default()),
            Delivery::ReliableOrdered => {
                Kind::Reliable(reliable::Outgoing::default(), reliable::Incoming::default())
            }
        };
        Self {
            inbox_cost: 0,
            kind,
        }
    }

    fn reliable(&self) -> Option<&reliable::Outgoing> {
        match &self.kind {
            Kind::Unreliable(_) => None,
            Kind::Reliable(outgoing, _) => Some(outgoing),
        }
    }
}

/// What a payload was filled with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    /// Messages sent for the first time.
    pub first_time: u64,
    /// Reliable messages sent again.
    pub again: u64,
    /// Whether any of them is reliable.
    pub reliable: bool,
}

/// All channels of a link, in the order of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    config: Arc<LinkConfig>,
    list: Box<[Channel]>,
    inbox: Inbox,
    /// The channel that writes first in the next payload.
    turn: usize,
}

impl Channels {
    pub(super) fn new(config: Arc<LinkConfig>) -> Self {
        Self {
            list: config.channels().iter().map(Channel::new).collect(),
            config,
            inbox: Inbox::default(),
            turn: 0,
        }
    }

    /// Queues a message.
    pub(super) fn send(&mut self, channel: ChannelId, message: &[u8]) -> Result<(), SendError> {
        let index = (self.config.index_of(channel)).ok_or(SendError::UnknownChannel(channel))?;
        let config = &self.config.channels()[index];
        if message.len() > config.max_message {
            return Err(SendError::TooLong {
                len: message.len(),
                max: config.max_message,
            });
        }
        match &mut self.list[index].kind {
            Kind::Unreliable(outgoing) => outgoing.send(message, config.send_buffer),
            Kind::Reliable(outgoing, _) => outgoing.send(message, config.send_buffer),
        }
    }

    /// Lets each channel write what is due, another one first each time.
    pub(super) fn fill(
        &mut self,
        now: Timestamp,
        section: &mut SectionWriter<'_>,
        ring: &mut SentRing,
    ) -> Filled {
        let mut all = Filled::default();
        let count = self.list.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let config = &self.config.channels()[index];
            match &mut self.list[index].kind {
                Kind::Unreliable(outgoing) => {
                    all.first_time += outgoing.fill(config.id.0, section);
                }
                Kind::Reliable(outgoing, _) => {
                    let filled = outgoing.fill(now, index as u8, config, section, ring);
                    all.first_time += filled.first_time;
                    all.again += filled.again;
                    all.reliable |= filled.first_time + filled.again > 0;
                }
            }
        }
        if section.len() > 0 {
            self.turn = (self.turn + 1) % count;
        }
        all
    }

    /// Checks every message of a section, without effect, and says what follows it: the body.
    pub(super) fn check<'p>(&self, mut messages: SectionReader<'p>) -> Result<&'p [u8], Rejection> {
        while let Some(message) = messages.next(|channel| self.is_reliable(channel))? {
            self.check_message(&message)?;
        }
        Ok(messages.rest())
    }

    fn is_reliable(&self, channel: u8) -> Result<bool, Rejection> {
        let index = (self.config.index_of(ChannelId(channel))).ok_or(Rejection::UnknownChannel)?;
        Ok(self.list[index].reliable().is_some())
    }

    fn check_message(&self, message: &WireMessage<'_>) -> Result<(), Rejection> {
        let index =
            (self.config.index_of(ChannelId(message.channel))).ok_or(Rejection::UnknownChannel)?;
        if message.bytes.len() > self.config.channels()[index].max_message {
            return Err(Rejection::MessageTooLong);
        }
        match (&self.list[index].kind, message.id) {
            (Kind::Reliable(_, incoming), Some(id)) => incoming.check(id),
            _ => Ok(()),
        }
    }

    /// Takes checked messages; says whether every reliable one found its place.
    pub(super) fn accept(
        &mut self,
        mut messages: SectionReader<'_>,
        counters: &mut LinkCounters,
    ) -> bool {
        let mut whole = true;
        while let Ok(Some(message)) = messages.next(|channel| self.is_reliable(channel)) {
            match self.accept_message(&message) {
                Accepted::Taken => counters.messages_received += 1,
                Accepted::Again => counters.messages_duplicate += 1,
                Accepted::NoRoom if message.id.is_none() => counters.messages_dropped += 1,
                Accepted::NoRoom => {
                    counters.messages_refused += 1;
                    whole = false;
                }
            }
        }
        whole
    }

    fn accept_message(&mut self, message: &WireMessage<'_>) -> Accepted {
        let Some(index) = self.config.index_of(ChannelId(message.channel)) else {
            return Accepted::NoRoom;
        };
        let config = &self.config.channels()[index];
        let Channel { inbox_cost, kind } = &mut self.list[index];
        let (place, bytes) = (index as u8, message.bytes);
        match (kind, message.id) {
            (Kind::Reliable(_, incoming), Some(id)) => {
                incoming.accept(id, bytes, config, place, &mut self.inbox, inbox_cost)
            }
            _ if *inbox_cost + cost(bytes.len()) > config.receive_buffer => Accepted::NoRoom,
            _ => {
                *inbox_cost += cost(bytes.len());
                self.inbox.push(place, bytes);
                Accepted::Taken
            }
        }
    }

    /// The oldest message of the inbox.
    pub(super) fn poll_message(&mut self) -> Option<(ChannelId, &[u8])> {
        let (place, message) = self.inbox.pop()?;
        let index = usize::from(place);
        let channel = self.list.get_mut(index)?;
        channel.inbox_cost = channel.inbox_cost.saturating_sub(cost(message.len()));
        Some((self.config.channels()[index].id, message))
    }

    /// The sending end of a reliable channel.
    fn outgoing(&mut self, place: u8) -> Option<&mut reliable::Outgoing> {
        match &mut self.list.get_mut(usize::from(place))?.kind {
            Kind::Unreliable(_) => None,
            Kind::Reliable(outgoing, _) => Some(outgoing),
        }
    }

    fn all_outgoing(&self) -> impl Iterator<Item = &reliable::Outgoing> {
        self.list.iter().filter_map(Channel::reliable)
    }

    /// These messages arrived.
    pub(super) fn acked(&mut self, run: Run) {
        if let Some(outgoing) = self.outgoing(run.channel) {
            run.ids().for_each(|id| outgoing.acked(id));
        }
    }

    /// The datagram that carried these messages is lost, or doubted.
    pub(super) fn lost(&mut self, run: Run, carrier: u64, now: Timestamp, probe_timeout: Duration) {
        if let Some(outgoing) = self.outgoing(run.channel) {
            run.ids()
                .for_each(|id| outgoing.lost(id, carrier, now, probe_timeout));
        }
    }

    /// Whether a reliable message is in flight.
    pub(super) fn are_in_flight(&self) -> bool {
        self.all_outgoing().any(reliable::Outgoing::is_in_flight)
    }

    /// Whether a fill would write a message.
    pub(super) fn are_due(&self, now: Timestamp) -> bool {
        let channels = self.list.iter().zip(self.config.channels());
        channels
            .into_iter()
            .any(|(channel, config)| match &channel.kind {
                Kind::Unreliable(outgoing) => outgoing.queued() > 0,
                Kind::Reliable(outgoing, _) => outgoing.is_due(now, config),
            })
    }

    /// When the first message has to be sent again.
    pub(super) fn resend_at(&self) -> Option<Timestamp> {
        self.all_outgoing()
            .filter_map(reliable::Outgoing::resend_at)
            .min()
    }

    /// Messages, and their bytes, that wait to be sent or acknowledged.
    pub(super) fn queued(&self) -> (usize, usize) {
        self.list.iter().fold((0, 0), |(messages, bytes), channel| {
            let (more, longer) = match &channel.kind {
                Kind::Unreliable(outgoing) => (outgoing.queued(), outgoing.queued_bytes()),
                Kind::Reliable(outgoing, _) => (outgoing.queued(), outgoing.queued_bytes()),
            };
            (messages + more, bytes + longer)
        })
    }

    /// Messages in the inbox.
    pub(super) fn ready(&self) -> usize {
        self.inbox.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let kinds = self.list.iter().map(|channel| match &channel.kind {
            Kind::Unreliable(outgoing) => outgoing.heap_bytes(),
            Kind::Reliable(outgoing, incoming) => outgoing.heap_bytes() + incoming.heap_bytes(),
        });
        kinds.sum::<usize>() + size_of_val(&*self.list) + self.inbox.heap_bytes()
    }
}
