//! The options of `tickwire serve`: the one table.
//!
//! A row here is a flag, a variable, a key of the file, a line of `--print-config` and a typed field.

use core::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::read::{many, maybe, one};
use super::row::Row;
use crate::cli::value::{self, within};
use crate::cli::{DEFAULT_ADMIN, DEFAULT_LISTEN};
use crate::proto::netcode::Key;
use crate::server::admission::Allowance;
use crate::server::{MAX_CLIENTS, MAX_SHARDS, PacketIo};
use crate::time::TickRate;
use crate::tools::Bundled;

/// Makes the struct of typed values and the table of rows from one list.
macro_rules! settings {
    ($(#[$about:meta])* $vis:vis struct $name:ident { $($heading:literal: {
        $($(#[doc = $help:literal])+ $field:ident: $type:ty = $row:expr, $read:expr;)+
    })+ }) => {
        $(#[$about])*
        $vis struct $name { $($($(#[doc = $help])+ $vis $field: $type,)+)+ }

        impl $name {
            /// Every option, in the order in which help shows them.
            $vis const TABLE: &'static [Row] = &[$($(
                $row.of(
                    stringify!($field),
                    $heading,
                    concat!($($help),+),
                    |words| {
                        let value: Result<$type, String> = ($read)(words);
                        value.map(drop)
                    },
                ),
            )+)+];

            /// Reads every option from its words.
            ///
            /// # Errors
            /// The first field whose words are not allowed, and why.
            pub(super) fn read<'a>(
                words: impl Fn(&'static str) -> &'a [String],
            ) -> Result<Self, (&'static str, String)> {
                Ok(Self { $($($field: ($read)(words(stringify!($field)))
                    .map_err(|problem| (stringify!($field), problem))?,)+)+ })
            }
        }
    };
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct Secret(pub(in crate::cli) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

settings! {
    /// What `tickwire serve` was told, typed.
    #[derive(Debug, Clone)]
    pub(in crate::cli) struct ServeSettings {
        "Network": {
            /// Where to listen for clients, UDP
            listen: SocketAddr = Row::one("ADDR").default(DEFAULT_LISTEN), one(value::address);
            /// Addresses that connect tokens name, in the order in which clients try them
            public: Vec<SocketAddr> = Row::many("ADDR").unset("the listen address"),
                many(value::address);
            /// Where metrics, probes and the operator's requests are answered, HTTP; 'off' for nowhere
            admin: Option<SocketAddr> = Row::one("ADDR").default(DEFAULT_ADMIN),
                one(value::address_or_off);
            /// The number of the game and its version; tokens for another one are refused
            protocol_id: Option<u64> = Row::one("N").unset("the world's own"), maybe(value::number);
            /// Threads that serve the network, each with a socket
            shards: u16 = Row::one("N").default("1"), one(within(1, u64::from(MAX_SHARDS)));
            /// How datagrams cross the kernel: auto, batch or portable
            packet_io: PacketIo = Row::one("WAY").default("auto"), one(str::parse);
            /// How long a shard lets what a crowd says gather before it reads on; 0s is not at all
            gather: Duration = Row::one("TIME").default("1ms"), one(value::duration);
        }
        "World": {
            /// The game that is played: arena or cubes
            world: Bundled = Row::one("NAME").default("arena"), one(str::parse);
            /// Places for clients
            max_clients: u32 = Row::one("N").default("1000"), one(within(1, u64::from(MAX_CLIENTS)));
            /// Ticks a second
            tick_rate: TickRate = Row::one("HZ").default("60"), one(value::rate);
            /// Snapshots a second; must divide the tick rate
            snapshot_rate: TickRate = Row::one("HZ").default("30"), one(value::rate);
            /// How far a client sees, in metres
            view_radius: u16 = Row::one("METRES").default("32"), one(within(1, 4_096));
            /// Bytes of one client's snapshot at most; more than 1100 takes several datagrams
            snapshot_bytes: usize = Row::one("BYTES").default("1100"), one(within(256, 8_192));
            /// Where the world begins
            seed: u64 = Row::one("N").default("1"), one(value::number);
            /// File with tables that 'tickwire train' learnt; every client needs the same
            tables: Option<PathBuf> = Row::one("FILE").unset("the built-in ones"), maybe(value::path);
            /// New file into which every frame of the world is recorded
            record: Option<PathBuf> = Row::one("FILE").unset("nothing is recorded"), maybe(value::path);
        }
        "Limits": {
            /// Datagrams a second, and at once, from all addresses without a session of one network (IPv4 /24, IPv6 /48)
            strangers: Allowance = Row::one("RATE/BURST").default("2000/4000").live(), one(value::allowance);
            /// Datagrams a second, and at once, from one player
            player_datagrams: Option<Allowance> = Row::one("RATE/BURST").unset("four for each tick").live(),
                maybe(value::allowance);
            /// Bytes a second, and at once, from one player
            player_bytes: Allowance = Row::one("RATE/BURST").default("98304/98304").live(), one(value::allowance);
            /// Seconds in a row in which a player may exceed a limit before it is dropped
            player_patience: u32 = Row::one("SECONDS").default("5").live(), one(within(1, 3_600));
        }
        "Tokens and secrets": {
            /// File with the key that the backend shares, 64 hexadecimal digits
            private_key_file: Option<PathBuf> = Row::one("FILE").unset("a key for this run, and tokens for loopback only"),
                maybe(value::path);
            /// The key itself
            private_key: Option<Key> = Row::secret("HEX").unset("see private_key_file"), maybe(value::key);
            /// File with the token that the operator's requests must bear
            admin_token_file: Option<PathBuf> = Row::one("FILE").unset("none, which only loopback may have"),
                maybe(value::path);
            /// The operator's token itself
            admin_token: Option<Secret> = Row::secret("TOKEN").unset("see admin_token_file"), maybe(secret);
            /// How long a connect token from the admin address may wait to be used
            token_expires: Duration = Row::one("TIME").default("30s"), one(value::whole_seconds);
            /// How long a client of such a token may be silent
            token_timeout: Duration = Row::one("TIME").default("5s"), one(value::whole_seconds);
        }
        "Lifecycle and logs": {
            /// How long the end may take, grace included
            drain_timeout: Duration = Row::one("TIME").default("25s"), one(value::duration);
            /// From the warning to the end, if anybody is connected
            shutdown_grace: Duration = Row::one("TIME").default("3s"), one(value::duration);
            /// How log lines look: text or json
            log_format: LogFormat = Row::one("FORMAT").default("text"), one(log_format);
            /// What is logged, for example info,tickwire::server=debug
            log: String = Row::one("FILTER").default("info").variable("RUST_LOG").live(), one(crate::cli::log::filter);
        }
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("allowed is text or json".to_owned()),
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    value::bearer(text).map(Secret)
}
