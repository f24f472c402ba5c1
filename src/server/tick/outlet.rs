//! The road from the world to one shard: bounded, in order, and honest when it is full.
//!
//! A shard that takes nothing for a while finds its commands waiting, up to a limit. Beyond it a message is
//! lost, and a client that was to get a reliable one cannot go on as if nothing had happened: it is
//! dropped with a reason as soon as the shard listens again.

use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::TickMetrics;
use crate::game::Recipients;
use crate::id::ClientSlot;
use crate::proto::channel::{ChannelId, Delivery, LinkConfig};
use crate::proto::event::DisconnectReason;
use crate::server::shard::Command;

/// Commands that fit between the two threads.
pub(in crate::server) const QUEUE: usize = 4_096;

/// Commands that wait on our side of a full queue.
const BACKLOG: usize = 16_384;

/// Everybody a lost message was for.
#[derive(Debug, Default)]
struct Lost {
    all: bool,
    some: Vec<ClientSlot>,
}

/// The world's end of the road to one shard.
#[derive(Debug)]
pub(in crate::server) struct Outlet {
    queue: mpsc::Sender<Command>,
    link: Arc<LinkConfig>,
    backlog: VecDeque<Command>,
    lost: Lost,
}

impl Outlet {
    pub(in crate::server) fn new(queue: mpsc::Sender<Command>, link: Arc<LinkConfig>) -> Self {
        Self {
            queue,
            link,
            backlog: VecDeque::new(),
            lost: Lost::default(),
        }
    }

    /// Sends a command, now or when there is room.
    pub(super) fn push(&mut self, command: Command, metrics: &TickMetrics) {
        if self.backlog.is_empty() {
            match self.queue.try_send(command) {
                // A shard that has ended has nobody left to tell.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(command)) => self.delay(command, metrics),
            }
        } else {
            self.delay(command, metrics);
        }
    }

    fn delay(&mut self, command: Command, metrics: &TickMetrics) {
        if self.backlog.len() < BACKLOG {
            metrics.commands_delayed.fetch_add(1, Ordering::Relaxed);
            self.backlog.push_back(command);
            return;
        }
        match command {
            Command::Message { channel, .. } if !self.is_reliable(channel) => {}
            Command::Message { to, .. } | Command::Disconnect { whom: to, .. } => {
                metrics.commands_lost.fetch_add(1, Ordering::Relaxed);
                match to {
                    Recipients::One(slot) if self.lost.some.len() < BACKLOG => {
                        self.lost.some.push(slot);
                    }
                    _ => self.lost.all = true,
                }
            }
            Command::RefuseNewcomers | Command::Warn { .. } => {}
        }
    }

    fn is_reliable(&self, channel: ChannelId) -> bool {
        let channel = self
            .link
            .channels()
            .iter()
            .find(|config| config.id == channel);
        channel.is_some_and(|config| config.delivery == Delivery::ReliableOrdered)
    }

    /// Sends what waits, as far as there is room; then drops those who missed something.
    pub(super) fn flush(&mut self, metrics: &TickMetrics) {
        while let Some(command) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(command)) = self.queue.try_send(command) {
                self.backlog.push_front(command);
                return;
            }
        }
        let lost = core::mem::take(&mut self.lost);
        let whom = if lost.all {
            vec![Recipients::All]
        } else {
            lost.some.into_iter().map(Recipients::One).collect()
        };
        for whom in whom {
            let reason = DisconnectReason::Unresponsive;
            self.push(
                Command::Disconnect {
                    whom,
                    reason,
                    text: "".into(),
                },
                metrics,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::channel::ChannelConfig;

    fn road() -> (Outlet, mpsc::Receiver<Command>, TickMetrics) {
        let channels = vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(1)];
        let link = Arc::new(LinkConfig::new(channels).expect("two channels"));
        let (sender, receiver) = mpsc::channel(2);
        (Outlet::new(sender, link), receiver, TickMetrics::default())
    }

    fn message(number: u32, channel: u8) -> Command {
        Command::Message {
            to: Recipients::One(ClientSlot {
                index: number,
                generation: 0,
            }),
            channel: ChannelId(channel),
            message: Arc::from([0]),
        }
    }

    /// Who the next command is for.
    fn taken(receiver: &mut mpsc::Receiver<Command>) -> Option<(u32, bool)> {
        match receiver.try_recv().ok()? {
            Command::Message {
                to: Recipients::One(slot),
                ..
            } => Some((slot.index, true)),
            Command::Disconnect {
                whom: Recipients::One(slot),
                ..
            } => Some((slot.index, false)),
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn a_slow_shard_gets_everything_in_order() {
        let (mut outlet, mut receiver, metrics) = road();
        for number in 0..100 {
            outlet.push(message(number, 0), &metrics);
        }
        let mut got = Vec::new();
        while got.len() < 100 {
            outlet.flush(&metrics);
            while let Some((number, _)) = taken(&mut receiver) {
                got.push(number);
            }
        }
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        assert_eq!(metrics.read().commands_delayed, 98);
    }

    #[test]
    fn who_missed_a_reliable_message_is_dropped_and_who_missed_an_unreliable_one_is_not() {
        let (mut outlet, mut receiver, metrics) = road();
        for number in 0..(2 + BACKLOG as u32) {
            outlet.push(message(number, 0), &metrics);
        }
        outlet.push(message(1_000_001, 0), &metrics);
        outlet.push(message(1_000_002, 1), &metrics);
        assert_eq!(metrics.read().commands_lost, 1);
        let mut dropped = Vec::new();
        for _ in 0..2 * BACKLOG {
            outlet.flush(&metrics);
            while let Some((number, is_message)) = taken(&mut receiver) {
                if !is_message {
                    dropped.push(number);
                }
            }
        }
        assert_eq!(dropped, [1_000_001]);
    }
}
