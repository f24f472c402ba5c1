//! One client as the server endpoint knows it: its link, its view, and where the conversation stands.
//!
//! Reads this client's payloads and fills those for it; what is said about the session itself is in
//! [`says`](super::says). Knows no other client and has no keys.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ServerEndpointConfig;
use super::says::{News, Says};
use crate::id::{ClientId, ClientSlot, UserData};
use crate::proto::channel::{DatagramNumber, Delivered, Link};
use crate::proto::control::{Block, BlockKind, Blocks, Hello};
use crate::proto::event::{DisconnectReason, ServerEvent, Warning};
use crate::proto::input::{HeardInputs, read_inputs};
use crate::proto::snapshot::{ClientView, Scratch};
use crate::proto::stats::{Rejection, SessionRejection, Traffic, Verdicts};
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::{Tick, TickRate, Timestamp};

/// How many datagrams without a part of a snapshot one turn has at most. What is left waits for the
/// next turn: a large queue of messages must not delay everybody else's snapshot.
const MAX_MESSAGE_DATAGRAMS: u8 = 4;

/// Room that messages get beside a snapshot, of the 1200 bytes: half, so that neither starves.
const MESSAGES_BESIDE_SNAPSHOT: usize = 600;

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

/// Bodies of which none was acknowledged yet.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    /// When the first of them was sent.
    since: Timestamp,
    newest: DatagramNumber,
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
    unanswered: Option<Unanswered>,
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
            unanswered: None,
            sent_at: now,
            heard_inputs: HeardInputs::default(),
            says: Says::nothing(slot),
            turn: Turn::default(),
        }
    }

    /// Whether the application knows this client and has not been told that it is gone.
    pub(super) const fn is_known(&self) -> bool {
        self.says.is_greeted && !self.says.is_leaving()
    }

    /// Takes in one payload; events go to the application in order.
    pub(super) fn receive(
        &mut self,
        context: &Context,
        payload: &[u8],
        events: &mut VecDeque<ServerEvent>,
    ) -> Heard {
        let mut heard = Heard::default();
        if self.says.is_leaving() {
            return heard;
        }
        let body = match self.link.receive(context.now, payload) {
            Ok(received) => received.body,
            Err(rejection) => {
                heard.channel = Some(Rejection::Channel(rejection));
                return heard;
            }
        };
        heard.payloads = self.hear_deliveries();
        let mut blocks = Blocks::new(body);
        while heard.verdict.is_none()
            && let Some(block) = blocks.next()
        {
            let result = block.and_then(|block| {
                self.receive_block(context, block, blocks.reader(), events, &mut heard)
            });
            if let Err(rejection) = result {
                heard.session = Some(rejection);
                break;
            }
        }
        heard
    }

    fn receive_block(
        &mut self,
        context: &Context,
        block: Block<'_>,
        reader: &mut ByteReader<'_>,
        events: &mut VecDeque<ServerEvent>,
        heard: &mut Heard,
    ) -> Result<(), SessionRejection> {
        match block {
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
            } else if !heard.is_repetition(tick, input)
                && let Some(input) = input.to_input()
            {
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

    fn hear_deliveries(&mut self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        while let Some(delivered) = self.link.poll_delivery() {
            match delivered {
                Delivered::Acked(number) => {
                    verdicts.acked += 1;
                    self.unanswered = None;
                    self.says.heard(number);
                    self.view.acked(number.0);
                }
                Delivered::Lost(number) => {
                    verdicts.lost += 1;
                    // The last of them, and nothing was said since: there is nothing to wait for.
                    self.unanswered.take_if(|them| them.newest == number);
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
        self.says.warn(warning, grace_ms);
    }

    /// Begins to say goodbye; `false` when it has begun before.
    pub(super) fn begin_farewell(&mut self, reason: DisconnectReason, text: &str) -> bool {
        self.says.begin_farewell(reason, text)
    }

    /// Why this client must go, if it must.
    pub(super) fn overdue(
        &mut self,
        now: Timestamp,
        config: &ServerEndpointConfig,
    ) -> Option<DisconnectReason> {
        if self.says.is_leaving() {
            return None;
        }
        if !self.says.is_greeted && now.since(self.since) > config.hello_timeout {
            return Some(DisconnectReason::WrongVersion);
        }
        // Silence is the session layer's business; this is for who speaks and never listens.
        let is_late = |them: Unanswered| now.since(them.since) > config.unresponsive_after;
        if self.unanswered.is_some_and(is_late) {
            // While nobody sends, nobody has judged what is lost.
            self.link.handle_timeout(now);
            self.hear_deliveries();
        }
        self.unanswered
            .is_some_and(is_late)
            .then_some(DisconnectReason::Unresponsive)
    }

    /// Whether something waits that no frame will take along.
    pub(super) fn wants_to_send(&self, now: Timestamp) -> bool {
        now.since(self.sent_at) > WITHOUT_FRAMES
            && (self.link.wants_to_send(now) || self.says.owes_welcome())
    }

    /// What this client's turn brings next.
    pub(super) fn next(&mut self, is_confirmed: bool) -> Next {
        if self.says.is_gone() {
            Next::Gone
        } else if !is_confirmed && !std::mem::replace(&mut self.turn.kept_alive, true) {
            Next::KeepAlive
        } else {
            Next::Payload
        }
    }

    /// Whether another payload of this turn may have something to say, after one has been written.
    pub(super) fn has_more(&self, now: Timestamp) -> bool {
        self.says.is_leaving() || self.view.is_telling() || self.link.wants_to_send(now)
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
        let (mut has_part, mut body) = (false, None);
        let len = link.fill(news.now, payload, budget, |number, room| {
            let mut writer = ByteWriter::new(room);
            if says.write_farewell(&mut writer) {
                return writer.len();
            }
            let is_first = !std::mem::replace(&mut turn.said, true);
            // In every body: an ack of any of them has to mean that the client was welcomed.
            if says.owes_welcome() {
                says.write_welcome(number, news, &mut writer);
            }
            if is_first {
                says.write(&mut writer);
            }
            has_part = write_part(view, number, &mut writer, scratch);
            if !has_part && !is_first {
                // A welcome alone was said before in this turn.
                writer.truncate(0);
            }
            body = (!writer.is_empty()).then_some(number);
            writer.len()
        });
        if len > 0 {
            self.sent_at = news.now;
            self.turn.message_datagrams += u8::from(!has_part);
        }
        if let Some(newest) = body {
            let since = self.unanswered.map_or(news.now, |them| them.since);
            self.unanswered = Some(Unanswered { since, newest });
        }
        len
    }

    /// How many bytes of messages the next payload may have.
    fn messages_allowed(&self) -> usize {
        if self.says.is_leaving() || self.turn.message_datagrams >= MAX_MESSAGE_DATAGRAMS {
            0
        } else if self.view.is_telling() || self.says.owes_welcome() {
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
    if BlockKind::Snapshot.write(writer).is_none() {
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
