//! The whole server with the arena in it, in this process, and sixteen honest bots that play.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tickwire::client::ClientConfig;
use tickwire::game::arena::{Arena, ArenaConfig, schema};
use tickwire::id::ClientId;
use tickwire::netsim::ProfileConditions;
use tickwire::proto::netcode::Key;
use tickwire::server::metrics::ServerStats;
use tickwire::server::{Server, ServerConfig, ServerHandle, TokenIssuer};
use tickwire::time::Tick;
use tickwire::tools::archive::FrameArchive;
use tickwire::tools::bots::{Check, Phase, Ramp, Swarm, SwarmConfig, Tally};

use super::{HONEST, KEY, PROTOCOL, until};

/// A server and its honest players.
pub struct Hall {
    pub server: ServerHandle,
    swarm: Swarm,
}

/// How the honest players fared while it was measured.
pub struct Fare {
    pub tally: Tally,
    pub round_trips: Histogram<u64>,
    pub stats: ServerStats,
}

impl Fare {
    pub fn delivery(&self) -> f64 {
        self.tally.whole as f64 / (self.tally.expected as f64).max(1.0)
    }

    /// Every honest player is still there, saw what happened, and nothing that did not.
    pub fn assert_undisturbed(&self, least_delivery: f64) {
        let tally = &self.tally;
        assert_eq!(tally.connected, HONEST, "{:?}", tally.disconnects);
        assert_eq!(tally.mismatches, 0, "a replica differs from the world");
        assert!(
            self.delivery() >= least_delivery,
            "{} of {} snapshots arrived whole",
            tally.whole,
            tally.expected
        );
    }

    /// How often something was refused under this name, by all shards.
    pub fn refused(&self, name: &str) -> u64 {
        self.stats.total.rejections.get(name).copied().unwrap_or(0)
    }

    pub fn p99_ms(&self) -> f64 {
        self.round_trips.value_at_quantile(0.99) as f64 / 1e3
    }
}

/// A server for the loopback interface.
pub fn config() -> ServerConfig {
    let mut config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY));
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.max_clients = 256;
    config.drain_timeout = Duration::from_secs(2);
    config
}

impl Hall {
    /// Every snapshot of every bot is held against the server's own frames.
    pub fn open(config: ServerConfig) -> Self {
        Self::open_with(config, true)
    }

    /// Nothing is held against anything: where memory is measured, four seconds of frames would be in the way.
    pub fn open_unchecked(config: ServerConfig) -> Self {
        Self::open_with(config, false)
    }

    fn open_with(config: ServerConfig, is_checked: bool) -> Self {
        let view = config.view;
        let link = Arc::clone(&config.link);
        let arena = Arena::new(ArenaConfig {
            players: 64,
            ..ArenaConfig::default()
        });
        let archive = Arc::new(FrameArchive::default());
        let keeper = Arc::clone(&archive);
        let mut server = Server::bind(config, arena).expect("binds");
        if is_checked {
            server = server.on_frame(Box::new(move |frame| keeper.keep(frame)));
        }
        let server = server.start().expect("starts");
        let address = server.local_addr();
        let client = ClientConfig {
            link,
            schema: schema(),
            protocol_id: Some(PROTOCOL),
            server: Some(address),
        };
        let swarm = SwarmConfig {
            bots: HONEST,
            first_client: ClientId(1),
            ramp: Ramp::FAST,
            client,
            conditions: ProfileConditions::default(),
            seed: 1,
            check: is_checked.then_some(Check { archive, view }),
            threads: 1,
        };
        let tokens = TokenIssuer::new(PROTOCOL, Key::from_bytes(KEY), vec![address]);
        let swarm = Swarm::start(swarm, tokens).expect("bots start");
        until("the bots play", || swarm.live().in_game == HONEST);
        swarm.enter(Phase::Measuring);
        Self { server, swarm }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends the measurement and everything else.
    pub fn close(self) -> Fare {
        // Snapshots come at even ticks.
        let last = self.server.stats().tick.tick / 2 * 2;
        self.swarm.enter(Phase::Ending(Tick(last)));
        std::thread::sleep(Duration::from_millis(400));
        let stats = self.server.stats();
        let books = self.swarm.finish();
        self.server.shutdown("").expect("no thread panicked");
        Fare {
            tally: books.tally,
            round_trips: books.times.round_trips,
            stats,
        }
    }
}
