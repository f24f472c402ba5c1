//! What the server says to a client about the session itself: welcome, warnings, margins, the farewell.
//!
//! Each is a block beside the snapshot, repeated as often as its loss would matter. Knows what is due and what has
//! been said. Has no part in when a payload is sent.

use std::sync::Arc;

use crate::id::ClientSlot;
use crate::proto::channel::DatagramNumber;
use crate::proto::control::{Block, Hello};
use crate::proto::event::{DisconnectReason, Warning, Welcome};
use crate::proto::snapshot::TickFrame;
use crate::proto::wire::ByteWriter;
use crate::time::{Tick, TickRate, Timestamp};

/// How often a farewell or a warning is repeated: at 20% loss one in three thousand gets none of five.
const REPEATS: u8 = 5;

/// A margin is told to the client every so many snapshots.
const MARGIN_EVERY: u8 = 8;

/// What a payload may speak of.
pub(super) struct News<'f> {
    pub(super) now: Timestamp,
    pub(super) hello: Hello,
    pub(super) tick_rate: TickRate,
    pub(super) snapshot_every: u16,
    pub(super) frame: Option<&'f Arc<TickFrame>>,
}

/// What is to be said to this client about its session.
#[derive(Debug)]
pub(super) struct Says {
    slot: ClientSlot,
    /// Whether its hello was answered with a place in the game.
    pub(super) is_greeted: bool,
    /// The first datagram that carried the welcome; each later body does, until one is acknowledged.
    welcome: Option<DatagramNumber>,
    is_welcomed: bool,
    pub(super) margin: Option<i64>,
    until_margin: u8,
    warning: Option<Repeated<(Warning, u32)>>,
    farewell: Option<Farewell>,
}

impl Says {
    pub(super) const fn nothing(slot: ClientSlot) -> Self {
        Self {
            slot,
            is_greeted: false,
            welcome: None,
            is_welcomed: false,
            margin: None,
            until_margin: 0,
            warning: None,
            farewell: None,
        }
    }

    /// Begins to warn.
    pub(super) fn warn(&mut self, warning: Warning, grace_ms: u32) {
        self.warning = Some(Repeated {
            what: (warning, grace_ms),
            left: REPEATS,
        });
    }

    /// Begins to say goodbye; `false` when it has begun before.
    pub(super) fn begin_farewell(&mut self, reason: DisconnectReason, text: &str) -> bool {
        if self.is_leaving() {
            return false;
        }
        self.farewell = Some(Farewell {
            reason,
            text: text.into(),
            left: REPEATS,
        });
        true
    }

    /// Whether the farewell has begun.
    pub(super) const fn is_leaving(&self) -> bool {
        self.farewell.is_some()
    }

    /// Whether the farewell was said often enough.
    pub(super) fn is_gone(&self) -> bool {
        self.farewell
            .as_ref()
            .is_some_and(|farewell| farewell.left == 0)
    }

    /// A datagram arrived: if it carried the welcome, that has been heard.
    pub(super) fn heard(&mut self, number: DatagramNumber) {
        self.is_welcomed |= self.welcome.is_some_and(|first| number >= first);
    }

    /// Writes one of the repetitions of the farewell, after which nothing follows; `false` when there is none.
    pub(super) fn write_farewell(&mut self, writer: &mut ByteWriter<'_>) -> bool {
        let Some(farewell) = &mut self.farewell else {
            return false;
        };
        farewell.left = farewell.left.saturating_sub(1);
        let _ = Block::Goodbye {
            reason: farewell.reason,
            text: &farewell.text,
        }
        .write(writer);
        true
    }

    /// The client may come in and is not known to have heard so.
    pub(super) const fn owes_welcome(&self) -> bool {
        self.is_greeted && !self.is_welcomed
    }

    /// Writes what is due once a turn.
    pub(super) fn write(&mut self, writer: &mut ByteWriter<'_>) {
        if let Some(repeated) = &mut self.warning {
            let (warning, grace_ms) = repeated.what;
            let _ = Block::Warning { warning, grace_ms }.write(writer);
            repeated.left = repeated.left.saturating_sub(1);
            self.warning.take_if(|repeated| repeated.left == 0);
        }
        self.until_margin = self.until_margin.saturating_sub(1);
        if self.until_margin == 0
            && let Some(micros) = self.margin.take()
        {
            let _ = Block::Margin { micros }.write(writer);
            self.until_margin = MARGIN_EVERY;
        }
    }

    /// Writes the welcome, and notes the first datagram that had room for it.
    pub(super) fn write_welcome(
        &mut self,
        number: DatagramNumber,
        news: &News<'_>,
        writer: &mut ByteWriter<'_>,
    ) {
        let welcome = Welcome {
            slot: self.slot,
            tick_rate: news.tick_rate,
            snapshot_every: news.snapshot_every,
            tick: news.frame.map_or(Tick(0), |frame| frame.tick()),
        };
        if (Block::Welcome {
            hello: news.hello,
            welcome,
        })
        .write(writer)
        .is_some()
        {
            self.welcome.get_or_insert(number);
        }
    }
}

#[derive(Debug)]
struct Farewell {
    reason: DisconnectReason,
    text: Box<str>,
    left: u8,
}

#[derive(Debug)]
struct Repeated<T> {
    what: T,
    left: u8,
}
