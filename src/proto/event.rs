//! What the endpoints tell the application, and the words for why a session ended.
//!
//! Both ends use the same words for the same end: a reason that the server gives travels to the client in a
//! goodbye (see [`control`](super::control)), and the other way round. Section 11 of `docs/protocol.md` lists them.

use std::net::SocketAddr;

use crate::id::{ClientId, ClientSlot, UserData};
use crate::names::named;
use crate::proto::channel::{self, ChannelId};
use crate::proto::input::InputBytes;
use crate::time::Tick;

named! {
    /// Why a session ended, or why there never was one.
    pub enum DisconnectReason {
        ClosedByClient = 1, "closed_by_client", "the client said goodbye";
        ClosedByServer = 2, "closed_by_server", "the server ended the session and gave no reason";
        ServerShutdown = 3, "server_shutdown", "the server is shutting down";
        Kicked = 4, "kicked", "the server's operator or game removed the client";
        TimedOut = 5, "timed_out", "nothing was heard from the other side for the session's timeout";
        WrongVersion = 6, "wrong_version", "client and server speak different versions of the protocol";
        WrongSchema = 7, "wrong_schema", "client and server have different ideas of what the world consists of";
        RateLimited = 8, "rate_limited", "the client kept sending far more than its allowance";
        Unresponsive = 9, "unresponsive", "the client did not acknowledge anything for too long";
        ServerFull = 10, "server_full", "the server denied the connection: all places are taken";
        NoAnswer = 11, "no_answer", "no server of the connect token answered";
        TokenExpired = 12, "token_expired", "the connect token expired before a connection was made";
        TokenInvalid = 13, "token_invalid", "the connect token is malformed";
        TokenForOtherProtocol = 14, "token_for_other_protocol", "the connect token was issued for another protocol id";
        TokenForOtherServer = 15, "token_for_other_server", "the connect token does not name the server that was asked for";
        Banned = 16, "banned", "the client is banned from this server";
    }
}

named! {
    /// What the server warns a client of while the session goes on.
    pub enum Warning {
        RateLimited = 1, "rate_limited", "datagrams above the allowance are dropped; more of them end the session";
        ShutdownSoon = 2, "shutdown_soon", "the server shuts down when the grace time is over";
    }
}

/// What happened at a server endpoint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client proved its token and address, and speaks our version and schema. Its state may now be kept.
    Connected {
        /// Its place, unique in this process.
        slot: ClientSlot,
        /// Its identity, as the backend that issued the token knows it.
        client: ClientId,
        /// What the backend put into the token for the game.
        user_data: UserData,
        /// Where it speaks from.
        address: SocketAddr,
    },
    /// A client that was [`Connected`](Self::Connected) is gone. Comes exactly once for each.
    Disconnected {
        /// The place that is free again.
        slot: ClientSlot,
        /// Who had it.
        client: ClientId,
        /// Why.
        reason: DisconnectReason,
    },
    /// What a client wants to do at a tick. What repeats one that was heard before stays below.
    Input {
        /// Whose.
        slot: ClientSlot,
        /// At which tick of the world.
        tick: Tick,
        /// The game's own encoding, not looked at yet.
        input: InputBytes,
    },
    /// A message that a client sent.
    Message {
        /// Whose.
        slot: ClientSlot,
        /// On which channel.
        channel: ChannelId,
        /// The application's bytes.
        message: Vec<u8>,
    },
}

/// What happened at a client endpoint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server took us in and said how it runs.
    Connected(Welcome),
    /// The session is over, or never came to be. Comes exactly once, last of all.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
        /// What the server had to add, for people to read; often empty.
        text: String,
    },
    /// A part of a snapshot was applied to the replica.
    Snapshot {
        /// The tick that it speaks of.
        tick: Tick,
        /// Whether every part of that snapshot has arrived now.
        whole: bool,
    },
    /// A message from the server.
    Message {
        /// On which channel.
        channel: ChannelId,
        /// The application's bytes.
        message: Vec<u8>,
    },
    /// The server said how early (or, negative, how late) the newest input reached it.
    InputMargin {
        /// In microseconds before the start of the input's tick.
        micros: i64,
    },
    /// The server warns us; the session goes on.
    Warned {
        /// Of what.
        warning: Warning,
        /// The grace time in milliseconds, where there is one.
        grace_ms: u32,
    },
}

/// How the server runs, said once at the start of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Our place at the server.
    pub slot: ClientSlot,
    /// Ticks a second.
    pub tick_rate: crate::time::TickRate,
    /// Ticks from one snapshot to the next.
    pub snapshot_every: u16,
    /// The server's tick when it wrote this.
    pub tick: Tick,
}

/// Why a message was not queued: the caller's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no session, or no longer.
    #[error("not connected: wait for the event Connected, and stop at Disconnected")]
    NotConnected,
    /// The channel did not take it.
    #[error(transparent)]
    Channel(#[from] channel::SendError),
}
