//! One client as the server endpoint knows it: greeted or not, its link, its view, its farewell.
//!
//! Reads and writes the blocks of this client's payloads. Knows no other client and has no keys.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ServerEndpointConfig;
use crate::id::{ClientId, ClientSlot, UserData};
use crate::proto::channel::{DatagramNumber, Delivered, Link};
use crate::proto::control::{self, Block, Hello};
use crate::proto::event::{DisconnectReason, ServerEvent, Warning, Welcome};
use crate::proto::input::{HeardInputs, read_inputs};
use crate::proto::snapshot::{ClientView, Scratch, TickFrame};
use crate::proto::stats::{Rejection, SessionRejection, Traffic, Verdicts};
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::{Tick, TickRate, Timestamp};

/// How often a farewell or a warning is repeated: at 20% loss one in three thousand gets none of five.
const REPEATS: u8 = 5;

/// How many datagrams without a part of a snapshot one turn has at most. What is left waits for the
/// next turn: a large queue of messages must not delay everybody else's snapshot.
const MAX_MESSAGE_DATAGRAMS: u8 = 4;

/// Room that messages get beside a snapshot, of the 1200 bytes: half, so that neither starves.
const MESSAGES_BESIDE_SNAPSHOT: usize = 600;

/// A margin is told to the client every so many snapshots.
const MARGIN_EVERY: u8 = 8;

/// After this long without a frame, messages and acknowledgements travel without one.
const WITHOUT_FRAMES: Duration = Duration::from_millis(60);

/// What a player needs to know of the endpoint to understand a payload.
pub(super) struct Context {
    pub(super) now: Timestamp,
    pub(super) hello: Hello,
    pub(super) draining: bool,
    pub(super) server_tick: Option<Tick>,
    pub(super) frame_at: Timestamp,
    pub(super) tick_rate: TickRate,
    pub(super) room_for_inputs: bool,
}

/// Who ended the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The client: no farewell is needed.
    Theirs(DisconnectReason),
    /// We do, and tell it.
    Ours(DisconnectReason),
}

/// What came of a payload.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) verdict: Option<Cause>,
    /// What became of payloads to this client.
    pub(super) payloads: Verdicts,
    channel: Option<Rejection>,
    session: Option<SessionRejection>,
}

impl Heard {
    pub(super) fn rejections(&self) -> impl Iterator<Item = Rejection> {
        self.channel
            .into_iter()
            .chain(self.session.map(Rejection::Session))
    }
}

/// What a player's turn to send brings next.
pub(super) enum Next {
    /// The session layer's keep-alive: the client may not know yet that it is connected.
    KeepAlive,
    /// A payload, if there is something to say.
    Payload,
    /// The farewell is said: clear the place.
    Gone,
}

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
struct Says {
    slot: ClientSlot,
    /// Whether its hello was answered with a place in the game.
    is_greeted: bool,
    /// The first datagram that carried the welcome; each later one does, until one is acknowledged.
    welcome: Option<DatagramNumber>,
    is_welcomed: bool,
    margin: Option<i64>,
    until_margin: u8,
    warning: Option<Repeated<(Warning, u32)>>,
    farewell: Option<Farewell>,
}

impl Says {
    const fn nothing(slot: ClientSlot) -> Self {
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

    /// Writes one of the repetitions of the farewell, after which nothing follows; `false` when there is none.
    fn write_farewell(&mut self, writer: &mut ByteWriter<'_>) -> bool {
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

    /// Writes what is due into a datagram's body.
    fn write(&mut self, number: DatagramNumber, news: &News<'_>, writer: &mut ByteWriter<'_>) {
        if self.is_greeted && !self.is_welcomed {
            self.write_welcome(number, news, writer);
        }
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

    fn write_welcome(
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

/// One client.
pub(super) struct Player {
    pub(super) slot: ClientSlot,
    pub(super) client: ClientId,
    pub(super) link: Link,
    pub(super) view: ClientView,
    /// It stands in the endpoint's queue of senders.
    pub(super) is_due: bool,
    /// It stands in the endpoint's queue of talkers.
    pub(super) has_messages: bool,
    /// A frame was published that it has not been served from.
    pub(super) frame_is_due: bool,
    /// The datagrams with payloads that it sent.
    pub(super) received: Traffic,
    /// The datagrams with payloads that were sent to it.
    pub(super) sent: Traffic,
    user_data: Option<UserData>,
    address: SocketAddr,
    since: Timestamp,
    heard_ack: Timestamp,
    sent_at: Timestamp,
    heard_inputs: HeardInputs,
    says: Says,
    turn: Turn,
}

/// How far this turn to send has come.
#[derive(Debug, Default)]
struct Turn {
    kept_alive: bool,
    /// What there is to say about the session was said.
    said: bool,
    message_datagrams: u8,
}

impl Player {
    pub(super) fn new(
        now: Timestamp,
        slot: ClientSlot,
        client: ClientId,
        user_data: UserData,
        address: SocketAddr,
        config: &ServerEndpointConfig,
    ) -> Self {
        Self {
            slot,
            client,
            link: Link::new(Arc::clone(&config.link)),
            view: ClientView::new(slot, config.view),
            is_due: false,
            has_messages: false,
            frame_is_due: false,
            received: Traffic::default(),
            sent: Traffic::default(),
            user_data: Some(user_data),
            address,
            since: now,
            heard_ack: now,
            sent_at: now,
            heard_inputs: HeardInputs::default(),
            says: Says::nothing(slot),
            turn: Turn::default(),
        }
    }

    /// Whether the application knows this client and has not been told that it is gone.
    pub(super) const fn is_known(&self) -> bool {
        self.says.is_greeted && self.says.farewell.is_none()
    }

    /// Takes in one payload; events go to the application in order.
    pub(super) fn receive(
        &mut self,
        context: &Context,
        payload: &[u8],
        events: &mut VecDeque<ServerEvent>,
    ) -> Heard {
        let mut heard = Heard::default();
        if self.says.farewell.is_some() {
            return heard;
        }
        let body = match self.link.receive(context.now, payload) {
            Ok(received) => received.body,
            Err(rejection) => {
                heard.channel = Some(Rejection::Channel(rejection));
                return heard;
            }
        };
        heard.payloads = self.hear_deliveries(context.now);
        let mut reader = ByteReader::new(body);
        while !reader.is_empty() && heard.verdict.is_none() {
            if let Err(rejection) = self.receive_block(context, &mut reader, events, &mut heard) {
                heard.session = Some(rejection);
                break;
            }
        }
        heard
    }

    fn receive_block(
        &mut self,
        context: &Context,
        reader: &mut ByteReader<'_>,
        events: &mut VecDeque<ServerEvent>,
        heard: &mut Heard,
    ) -> Result<(), SessionRejection> {
        match Block::read(reader).ok_or(SessionRejection::MalformedBlock)? {
            Block::Hello(hello) => heard.verdict = self.greet(context, hello, events),
            Block::Inputs if !self.says.is_greeted => return Err(SessionRejection::NotWelcome),
            Block::Inputs => self.receive_inputs(context, reader, events)?,
            Block::Resync => self.view.reset(),
            Block::Goodbye { reason, .. } => heard.verdict = Some(Cause::Theirs(by_client(reason))),
            Block::Welcome { .. }
            | Block::Margin { .. }
            | Block::Warning { .. }
            | Block::Snapshot(_) => return Err(SessionRejection::MisplacedBlock),
        }
        Ok(())
    }

    fn greet(
        &mut self,
        context: &Context,
        hello: Hello,
        events: &mut VecDeque<ServerEvent>,
    ) -> Option<Cause> {
        if self.says.is_greeted {
            return None;
        }
        if let Some(reason) = context.hello.mismatch(hello) {
            return Some(Cause::Ours(reason));
        }
        if context.draining {
            return Some(Cause::Ours(DisconnectReason::ServerShutdown));
        }
        self.says.is_greeted = true;
        self.heard_ack = context.now;
        events.push_back(ServerEvent::Connected {
            slot: self.slot,
            client: self.client,
            user_data: self.user_data.take().unwrap_or_default(),
            address: self.address,
        });
        None
    }

    fn receive_inputs(
        &mut self,
        context: &Context,
        reader: &mut ByteReader<'_>,
        events: &mut VecDeque<ServerEvent>,
    ) -> Result<(), SessionRejection> {
        let (slot, heard, mut dropped) = (self.slot, &mut self.heard_inputs, false);
        let newest = read_inputs(reader, |tick, input| {
            if !context.room_for_inputs {
                dropped = true;
            } else if !heard.is_repetition(tick, &input) {
                events.push_back(ServerEvent::Input { slot, tick, input });
            }
        });
        self.says.margin = Some(context.margin(newest.ok_or(SessionRejection::MalformedInputs)?));
        if dropped {
            Err(SessionRejection::InputsOverflow)
        } else {
            Ok(())
        }
    }

    fn hear_deliveries(&mut self, now: Timestamp) -> Verdicts {
        let mut verdicts = Verdicts::default();
        while let Some(delivered) = self.link.poll_delivery() {
            match delivered {
                Delivered::Acked(number) => {
                    verdicts.acked += 1;
                    self.heard_ack = now;
                    self.says.is_welcomed |= self.says.welcome.is_some_and(|first| number >= first);
                    self.view.acked(number.0);
                }
                Delivered::Lost(number) => {
                    verdicts.lost += 1;
                    self.view.lost(number.0);
                }
            }
        }
        verdicts
    }

    /// Whether there are messages for the application that it has not been pointed to yet.
    pub(super) fn note_messages(&mut self) -> bool {
        self.is_known()
            && self.link.has_messages()
            && !std::mem::replace(&mut self.has_messages, true)
    }

    pub(super) fn warn(&mut self, warning: Warning, grace_ms: u32) {
        self.says.warning = Some(Repeated {
            what: (warning, grace_ms),
            left: REPEATS,
        });
    }

    /// Begins to say goodbye; `false` when it has begun before.
    pub(super) fn begin_farewell(&mut self, reason: DisconnectReason, text: &str) -> bool {
        if self.says.farewell.is_some() {
            return false;
        }
        self.says.farewell = Some(Farewell {
            reason,
            text: text.into(),
            left: REPEATS,
        });
        true
    }

    /// Why this client must go, if it must.
    pub(super) fn overdue(
        &self,
        now: Timestamp,
        config: &ServerEndpointConfig,
    ) -> Option<DisconnectReason> {
        if self.says.farewell.is_some() {
            return None;
        }
        if !self.says.is_greeted && now.since(self.since) > config.hello_timeout {
            return Some(DisconnectReason::WrongVersion);
        }
        // Silence is the session layer's business; this is for who speaks and never listens.
        (self.says.is_greeted && now.since(self.heard_ack) > config.unresponsive_after)
            .then_some(DisconnectReason::Unresponsive)
    }

    /// Whether something waits that no frame will take along.
    pub(super) fn wants_to_send(&self, now: Timestamp) -> bool {
        now.since(self.sent_at) > WITHOUT_FRAMES
            && (self.link.wants_to_send(now) || (self.says.is_greeted && !self.says.is_welcomed))
    }

    /// What this client's turn brings next.
    pub(super) fn next(&mut self, is_confirmed: bool) -> Next {
        if self
            .says
            .farewell
            .as_ref()
            .is_some_and(|farewell| farewell.left == 0)
        {
            Next::Gone
        } else if !is_confirmed && !std::mem::replace(&mut self.turn.kept_alive, true) {
            Next::KeepAlive
        } else {
            Next::Payload
        }
    }

    /// The turn is over: nothing more to say.
    pub(super) fn end_turn(&mut self) {
        self.is_due = false;
        self.turn = Turn::default();
    }

    /// Writes the next payload of this turn and says how long it is; 0 when there is nothing to say.
    pub(super) fn write_payload(
        &mut self,
        news: &News<'_>,
        payload: &mut [u8],
        scratch: &mut Scratch,
    ) -> usize {
        if let Some(frame) = news.frame
            && self.is_known()
            && std::mem::take(&mut self.frame_is_due)
        {
            self.view.begin(frame, scratch);
        }
        let budget = self.messages_allowed();
        let Self {
            link,
            view,
            says,
            turn,
            ..
        } = self;
        let mut has_part = false;
        let len = link.fill(news.now, payload, budget, |number, room| {
            let mut writer = ByteWriter::new(room);
            if says.write_farewell(&mut writer) {
                return writer.len();
            }
            if !std::mem::replace(&mut turn.said, true) {
                says.write(number, news, &mut writer);
            }
            has_part = write_part(view, number, &mut writer, scratch);
            writer.len()
        });
        if len > 0 {
            self.sent_at = news.now;
            self.turn.message_datagrams += u8::from(!has_part);
        }
        len
    }

    /// How many bytes of messages the next payload may have.
    fn messages_allowed(&self) -> usize {
        if self.says.farewell.is_some() || self.turn.message_datagrams >= MAX_MESSAGE_DATAGRAMS {
            0
        } else if self.view.is_telling() {
            MESSAGES_BESIDE_SNAPSHOT
        } else {
            usize::MAX
        }
    }
}

/// Writes the next part of the client's snapshot, if one is left.
fn write_part(
    view: &mut ClientView,
    number: DatagramNumber,
    writer: &mut ByteWriter<'_>,
    scratch: &mut Scratch,
) -> bool {
    let start = writer.len();
    if writer.u8(control::SNAPSHOT).is_none() {
        return false;
    }
    let len = view.write_part(number.0, writer.spare(), scratch);
    if len == 0 || writer.advance(len).is_none() {
        writer.truncate(start);
        return false;
    }
    true
}

/// The reasons that a client may give; anything else is a plain goodbye.
const fn by_client(reason: DisconnectReason) -> DisconnectReason {
    match reason {
        DisconnectReason::WrongVersion | DisconnectReason::WrongSchema => reason,
        _ => DisconnectReason::ClosedByClient,
    }
}

impl Context {
    /// How long before the start of its tick an input for `tick` arrived; negative when it was late.
    fn margin(&self, tick: Tick) -> i64 {
        let Some(server_tick) = self.server_tick else {
            return 0;
        };
        let starts =
            micros(self.tick_rate.offset_of(tick)) - micros(self.tick_rate.offset_of(server_tick));
        starts - micros(self.now.since(self.frame_at))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
