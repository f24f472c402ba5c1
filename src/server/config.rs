//! How a server is to run, and whether that is possible: every wrong number is named before a socket opens.
//!
//! Knows numbers and their limits. Opens nothing and starts nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::admission::AdmissionConfig;
use super::issue::random_key;
use super::socket::PacketIo;
use crate::proto::channel::LinkConfig;
use crate::proto::netcode::{Key, MAX_DATAGRAM, MAX_SERVERS};
use crate::proto::snapshot::{FrameConfig, ViewConfig};
use crate::time::TickRate;

/// The most clients one process takes.
pub const MAX_CLIENTS: u32 = 16_384;

/// The most shards one process has.
pub const MAX_SHARDS: u16 = 64;

/// The longest [`gather`](ServerConfig::gather): what is longer is felt by players.
const MAX_GATHER: Duration = Duration::from_millis(10);
/// The largest [`inbox`](ServerConfig::inbox).
const MAX_INBOX: usize = 1 << 20;
/// The smallest that is not asked for.
const MIN_INBOX: usize = 1024;
/// A client says one thing a tick. The tick loop may be late a few times before inputs are dropped, which are
/// repeated anyway; and whoever crams its allowance with inputs must not cost others theirs, which half as many do.
const INBOX_PER_CLIENT: usize = 8;

/// How a server runs. Start from [`ServerConfig::new`] and change what should be different.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where to listen: `0.0.0.0:7777`. Port 0 lets the system choose. `[::]` listens on IPv4 too.
    pub listen: SocketAddr,
    /// The addresses that connect tokens name, 1 to 32. Empty: the address the socket got, which must not be a
    /// wildcard then.
    pub public_addresses: Vec<SocketAddr>,
    /// The number of the game and its version; tokens for another one are not for us.
    pub protocol_id: u64,
    /// The key shared with the backend that issues connect tokens.
    pub key: Key,
    /// Places: 1 to 16,384. Default 1,000.
    pub max_clients: u32,
    /// Ticks a second: default 60.
    pub tick_rate: TickRate,
    /// Snapshots a second: default 30. Must divide the tick rate.
    pub snapshot_rate: TickRate,
    /// Threads that serve the network, each with a socket: 1 to 64. Default 1, which carries some thousand clients.
    pub shards: u16,
    /// How datagrams cross the kernel. Whatever the system refuses is left out, so that no value keeps a server from
    /// running. Default [`PacketIo::Auto`].
    pub packet_io: PacketIo,
    /// How long a shard of 64 clients and more sleeps when it has read all that came, so that what comes next is
    /// read together: 0 to 10 ms, 0 being not at all. Default 1 ms. It does not sleep when a frame is due.
    pub gather: Duration,
    /// The message channels, the same at both ends. Default: 0 is reliable, 1 is unreliable.
    pub link: Arc<LinkConfig>,
    /// How far clients see and how many bytes a snapshot may have.
    pub view: ViewConfig,
    /// The grid of the frames; `snapshot_every` in it follows from the rates above, whatever it says.
    pub frames: FrameConfig,
    /// Limits to strangers and players.
    pub admission: AdmissionConfig,
    /// Half-open handshakes that are remembered, per shard: 4 to 2^24, 128 bytes each. Default 65,536.
    pub pending_handshakes: usize,
    /// Events that wait for the tick loop at most, per shard: 64 to 1,048,576. Default: eight for each client
    /// that there may be, and at least 1024. Each takes about 90 bytes, whether or not it ever waits.
    pub inbox: Option<usize>,
    /// How long a client with a session may take to say hello: 5 s.
    pub hello_timeout: Duration,
    /// How long a client may leave everything unacknowledged: 10 s.
    pub unresponsive_after: Duration,
    /// How long the end may take: clients are told why, queues flushed. Default 5 s.
    pub drain_timeout: Duration,
}

/// What is wrong with a [`ServerConfig`]: which field, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The name of the field.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// `Err` with a field and a sentence unless the condition holds.
fn ensure(
    holds: bool,
    field: &'static str,
    problem: impl Fn() -> String,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            field,
            problem: problem(),
        })
    }
}

impl ServerConfig {
    /// A server for a thousand clients at 60 ticks and 30 snapshots a second, on port 7777 of every IPv4
    /// address.
    #[must_use]
    pub fn new(protocol_id: u64, key: Key) -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7777)),
            public_addresses: Vec::new(),
            protocol_id,
            key,
            max_clients: 1_000,
            tick_rate: TickRate::HZ_60,
            snapshot_rate: TickRate::HZ_30,
            shards: 1,
            packet_io: PacketIo::Auto,
            gather: Duration::from_millis(1),
            link: Arc::new(LinkConfig::default()),
            view: ViewConfig::default(),
            frames: FrameConfig::default(),
            admission: AdmissionConfig::default(),
            pending_handshakes: 65_536,
            inbox: None,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
        }
    }

    /// Sets both rates, and the datagrams that a player may send to what is usual at this tick rate.
    pub fn set_rates(&mut self, tick: TickRate, snapshot: TickRate) {
        (self.tick_rate, self.snapshot_rate) = (tick, snapshot);
        self.admission.player_datagrams = AdmissionConfig::for_rate(tick).player_datagrams;
    }

    /// A server for this machine alone: on 127.0.0.1, on a port that the system chooses, with a key that nobody else has.
    /// For development and tests; [`ServerHandle::issue_token`](super::ServerHandle::issue_token) lets clients in.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn local(protocol_id: u64) -> io::Result<Self> {
        let mut config = Self::new(protocol_id, random_key()?);
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(config)
    }

    /// Ticks from one snapshot to the next.
    #[must_use]
    pub const fn snapshot_every(&self) -> u16 {
        self.tick_rate.hz() / self.snapshot_rate.hz()
    }

    /// How many events wait for the tick loop at most, per shard: what [`inbox`](Self::inbox) says, or follows.
    #[must_use]
    pub fn inbox_size(&self) -> usize {
        let follows = self.max_clients as usize * INBOX_PER_CLIENT;
        self.inbox
            .unwrap_or_else(|| follows.clamp(MIN_INBOX, MAX_INBOX))
    }

    /// Checks every number.
    ///
    /// # Errors
    /// The first field that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (tick, snapshot) = (self.tick_rate, self.snapshot_rate);
        ensure(tick.is_multiple_of(snapshot), "snapshot_rate", || {
            let allowed: Vec<_> = (1..=tick.hz())
                .filter(|rate| tick.hz().is_multiple_of(*rate))
                .map(|rate| rate.to_string())
                .collect();
            format!(
                "{snapshot} does not divide the tick rate of {tick}: allowed are {}",
                allowed.join(", ")
            )
        })?;
        ensure(
            (1..=MAX_CLIENTS).contains(&self.max_clients),
            "max_clients",
            || format!("{} is not between 1 and {MAX_CLIENTS}", self.max_clients),
        )?;
        ensure((1..=MAX_SHARDS).contains(&self.shards), "shards", || {
            format!("{} is not between 1 and {MAX_SHARDS}", self.shards)
        })?;
        ensure(self.gather <= MAX_GATHER, "gather", || {
            format!("{:?} is not between 0 and {MAX_GATHER:?}", self.gather)
        })?;
        let inbox = self.inbox_size();
        ensure((64..=MAX_INBOX).contains(&inbox), "inbox", || {
            format!("{inbox} is not between 64 and {MAX_INBOX}")
        })?;
        ensure(
            (4..=1 << 24).contains(&self.pending_handshakes),
            "pending_handshakes",
            || {
                format!(
                    "{} is not between 4 and {}",
                    self.pending_handshakes,
                    1 << 24
                )
            },
        )?;
        ensure(
            self.public_addresses.len() <= MAX_SERVERS,
            "public_addresses",
            || {
                format!(
                    "{} are too many: at most {MAX_SERVERS}",
                    self.public_addresses.len()
                )
            },
        )?;
        self.validate_addresses()?;
        self.admission.validate(self.tick_rate)
    }

    fn validate_addresses(&self) -> Result<(), ConfigError> {
        for address in &self.public_addresses {
            ensure(
                !address.ip().is_unspecified() && address.port() != 0,
                "public_addresses",
                || format!("no client can reach {address}: name a real address and port"),
            )?;
        }
        ensure(
            !self.public_addresses.is_empty() || !self.listen.ip().is_unspecified(),
            "public_addresses",
            || {
                format!(
                    "listening on {} says nothing about where clients find the server: name the \
                     addresses that connect tokens are issued for",
                    self.listen
                )
            },
        )
    }

    /// The addresses that connect tokens may name, once the socket knows its own.
    pub(super) fn addresses(&self, local: SocketAddr) -> Vec<SocketAddr> {
        if self.public_addresses.is_empty() {
            vec![local]
        } else {
            self.public_addresses.clone()
        }
    }
}

impl AdmissionConfig {
    /// Checks that honest clients of a server with this tick rate stay within the limits.
    ///
    /// # Errors
    /// The first field that cannot be, and what is allowed.
    pub fn validate(&self, tick_rate: TickRate) -> Result<(), ConfigError> {
        let bytes = self.player_bytes.burst.get();
        ensure(
            bytes as usize >= MAX_DATAGRAM,
            "admission.player_bytes",
            || format!("a burst of {bytes} bytes is less than one datagram of {MAX_DATAGRAM}"),
        )?;
        // A client sends one datagram a tick; what jitter delays arrives together.
        let (rate, least) = (
            self.player_datagrams.per_second.get(),
            2 * u32::from(tick_rate.hz()),
        );
        ensure(rate >= least, "admission.player_datagrams", || {
            format!("{rate} a second would limit honest clients at {tick_rate}: at least {least}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admission::Allowance;

    fn config() -> ServerConfig {
        let mut config = ServerConfig::new(7, Key::from_bytes([1; 32]));
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config
    }

    /// The error that one change to a good configuration gives.
    fn refused(change: impl FnOnce(&mut ServerConfig)) -> String {
        let mut config = config();
        change(&mut config);
        config.validate().expect_err("refused").to_string()
    }

    #[test]
    fn every_tick_rate_has_an_allowance_that_suits_it() {
        for hz in [1, 60, 61, 128, 240] {
            let rate = TickRate::new(hz).expect("a rate");
            let mut config = config();
            config.set_rates(rate, rate);
            assert_eq!(config.validate(), Ok(()), "{hz} Hz");
        }
    }

    #[test]
    fn an_inbox_follows_the_clients_unless_it_is_said() {
        let size = |clients, inbox| {
            let mut config = config();
            (config.max_clients, config.inbox) = (clients, inbox);
            assert_eq!(config.validate(), Ok(()));
            config.inbox_size()
        };
        assert_eq!(size(1, None), 1_024);
        assert_eq!(size(1_000, None), 8_000);
        assert_eq!(size(MAX_CLIENTS, None), 131_072);
        assert_eq!(size(1_000, Some(64)), 64);
        let small = refused(|config| config.inbox = Some(63));
        assert_eq!(small, "inbox: 63 is not between 64 and 1048576");
    }

    #[test]
    fn the_default_is_good_once_it_says_where_clients_find_it() {
        assert_eq!(config().validate(), Ok(()));
        let wildcard =
            refused(|config| config.listen = ServerConfig::new(7, config.key.clone()).listen);
        assert!(
            wildcard.starts_with("public_addresses: listening on 0.0.0.0:7777"),
            "{wildcard}"
        );
    }

    #[test]
    fn a_local_server_needs_nothing_else_and_shares_its_key_with_nobody() {
        let local = || ServerConfig::local(7).expect("randomness");
        assert_eq!(local().validate(), Ok(()));
        assert!(local().listen.ip().is_loopback());
        assert!(local().key != local().key);
    }

    #[test]
    fn an_error_names_the_field_and_what_is_allowed() {
        let rate = refused(|config| config.snapshot_rate = TickRate::new(25).expect("a rate"));
        assert_eq!(
            rate,
            "snapshot_rate: 25 Hz does not divide the tick rate of 60 Hz: allowed are \
             1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60"
        );
        let places = refused(|config| config.max_clients = 0);
        assert_eq!(places, "max_clients: 0 is not between 1 and 16384");
        assert!(refused(|config| config.shards = 65).contains("between 1 and 64"));
        let long = refused(|config| config.gather = Duration::from_micros(10_001));
        assert_eq!(long, "gather: 10.001ms is not between 0 and 10ms");
        let port = refused(|config| config.public_addresses = vec![config.listen]);
        assert!(port.contains("127.0.0.1:0"), "{port}");
        let burst = refused(|config| config.admission.player_bytes = Allowance::new(9, 9));
        assert!(burst.starts_with("admission.player_bytes"), "{burst}");
        let rate = refused(|config| config.tick_rate = TickRate::new(240).expect("a rate"));
        assert_eq!(
            rate,
            "admission.player_datagrams: 240 a second would limit honest clients at 240 Hz: \
             at least 480"
        );
    }
}
