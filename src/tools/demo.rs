//! A server and its bots in one process, and what came of it.
//!
//! Knows how the two are put together: one key, one arena, and the server's own frames to hold the bots' replicas
//! against. What it looks like on a screen is the caller's.
#![expect(
    clippy::disallowed_types,
    reason = "a driver: the demo's key comes from the operating system"
)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use crate::client::ClientConfig;
use crate::game::Game as _;
use crate::game::arena::{Arena, ArenaConfig, Walls};
use crate::game::recording::Header;
use crate::id::ClientId;
use crate::netsim::{LinkConditions, ProfileConditions};
use crate::proto::netcode::Key;
use crate::proto::snapshot::{Tables, TablesError, TickFrame, ViewConfig};
use crate::recording::{Feed, Recorder, RecordingError};
use crate::server::metrics::ServerStats;
use crate::server::{Server, ServerConfig, ServerError, ServerHandle, TokenIssuer};
use crate::time::{Tick, TickRate};
use crate::tools::archive::FrameArchive;
use crate::tools::bots::{
    Check, Course, Live, Phase, Ramp, Swarm, SwarmConfig, SwarmError, aftermath, conduct,
};
use crate::tools::report::DemoReport;
use crate::tools::tokens::NoToken;

/// The protocol id of the arena in the demo: nobody else speaks to it.
const PROTOCOL_ID: u64 = 0x7469_636b_6465_6d6f;

/// What the demo plays.
#[derive(Debug, Clone)]
pub struct DemoConfig {
    /// How many bots play.
    pub bots: u32,
    /// For how long, from when all are in; `None`: until it is stopped.
    pub length: Option<Duration>,
    /// Ticks a second.
    pub tick_rate: TickRate,
    /// Snapshots a second, which divides the tick rate.
    pub snapshot_rate: TickRate,
    /// Where the world, the bots and the network begin.
    pub seed: u64,
    /// The network under each bot, each way.
    pub network: LinkConditions,
    /// The new file into which the world is recorded.
    pub record: Option<PathBuf>,
    /// Tables that were learnt from the arena; else the built-in ones serve.
    pub tables: Option<Tables>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The operating system has no randomness for a key.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(String),
    /// The server could not start, or ended badly.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// There are no tokens.
    #[error(transparent)]
    Tokens(#[from] NoToken),
    /// The bots could not start.
    #[error("cannot start the bots: {0}")]
    Swarm(#[from] SwarmError),
    /// The tables are not the arena's.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// The recording could not begin.
    #[error("cannot record into {file}: {problem}", file = file.display())]
    Recording {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: RecordingError,
    },
    /// A thread of the runtime ended by a panic, which is a bug.
    #[error("a thread of the demo ended by a panic: {0}")]
    Panicked(String),
}

/// One moment of a demo, to be shown.
#[derive(Debug)]
pub struct Picture<'a> {
    /// The time since the start.
    pub at: Duration,
    /// How the bots fare.
    pub live: &'a Live,
    /// What the server counted.
    pub stats: ServerStats,
    /// The newest frame of the world.
    pub frame: Option<Arc<TickFrame>>,
}

/// A server and its bots.
#[derive(Debug)]
pub struct Demo {
    config: DemoConfig,
    server: ServerHandle,
    swarm: Swarm,
    archive: Arc<FrameArchive>,
    recorder: Option<Recorder>,
    walls: Walls,
}

impl Demo {
    /// Starts the server on a port of the loopback, and sends the bots to it.
    ///
    /// # Errors
    ///
    /// Whatever the system has not to give.
    pub fn start(config: DemoConfig) -> Result<Self, DemoError> {
        let key = ChaCha20Rng::try_from_rng(&mut SysRng)
            .map(|mut rng| Key::generate(&mut rng))
            .map_err(|error| DemoError::Randomness(error.to_string()))?;
        let archive = Arc::new(FrameArchive::default());
        let mut arena = Arena::new(ArenaConfig {
            seed: config.seed,
            players: config.bots,
            rate: config.tick_rate,
        });
        if let Some(tables) = &config.tables {
            arena = arena.with_tables(tables.clone())?;
        }
        let (walls, schema) = (arena.world().walls().clone(), arena.schema());
        let server_config = server_config(&config, key.clone());
        let link = Arc::clone(&server_config.link);
        let every = server_config.snapshot_every().into();
        let header = Header::new(Arc::clone(&schema), config.tick_rate, every);
        let server = Server::bind(server_config, arena)?;
        let (recorder, mut feed) = record(&config, header)?.unzip();
        let keeper = Arc::clone(&archive);
        let server = server.on_frame(Box::new(move |frame| {
            keeper.keep(frame);
            if let Some(feed) = &mut feed {
                feed.record(frame);
            }
        }));
        let server = server.start()?;

        let address = server.local_addr();
        let swarm = SwarmConfig {
            bots: config.bots,
            first_client: ClientId(1),
            ramp: Ramp::FAST,
            client: ClientConfig {
                link,
                schema,
                protocol_id: Some(PROTOCOL_ID),
                server: Some(address),
            },
            conditions: ProfileConditions::symmetric(config.network),
            seed: config.seed,
            check: Some(Check {
                archive: Arc::clone(&archive),
                view: view(),
            }),
            threads: SwarmConfig::usual_threads(),
        };
        let swarm = Swarm::start(swarm, TokenIssuer::new(PROTOCOL_ID, key, vec![address]))?;
        Ok(Self {
            config,
            server,
            swarm,
            archive,
            recorder,
            walls,
        })
    }

    /// The walls of the arena, for a map.
    #[must_use]
    pub const fn walls(&self) -> &Walls {
        &self.walls
    }

    /// Lets them play until the time is over or `stop` is ready, shows them every so often, ends everything and
    /// reports. Needs a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// When the server did not end as it should.
    pub async fn play(
        self,
        stop: impl Future,
        show_every: Duration,
        mut show: impl FnMut(Picture<'_>),
    ) -> Result<DemoReport, DemoError> {
        let config = &self.config;
        let course = Course::new(config.bots, patience(&config.network), config.length);
        let (server, archive) = (&self.server, &self.archive);
        conduct(&self.swarm, course, show_every, stop, |live, _, at| {
            show(Picture {
                at,
                live,
                stats: server.stats(),
                frame: archive.newest(),
            });
        })
        .await;
        self.end().await
    }

    /// Lets what is under way arrive, ends everything and writes the report.
    async fn end(self) -> Result<DemoReport, DemoError> {
        let Self {
            config,
            server,
            swarm,
            archive,
            recorder,
            ..
        } = self;
        let last = archive.newest().map_or(Tick(0), |frame| frame.tick());
        swarm.enter(Phase::Ending(last));
        // Inputs run ahead of the world: the last of them is for a tick or two that are still to come.
        let ticks_to_come = config.tick_rate.period() * 3;
        tokio::time::sleep(aftermath(&config.network) + ticks_to_come).await;
        let stats = server.stats();
        let books = off_the_runtime(move || swarm.finish()).await?;
        off_the_runtime(move || {
            let outcome = server.shutdown("the demo is over");
            // How it went is in the log; a recording that failed is no failure of the demo.
            drop(recorder.map(Recorder::finish));
            outcome
        })
        .await??;
        Ok(DemoReport::new(config.bots, &stats, books))
    }
}

/// Begins the recording, if there is to be one.
fn record(config: &DemoConfig, header: Header) -> Result<Option<(Recorder, Feed)>, DemoError> {
    let Some(file) = &config.record else {
        return Ok(None);
    };
    let recorder = Recorder::create(file, header);
    let recorder = recorder.map_err(|problem| DemoError::Recording {
        file: file.clone(),
        problem,
    })?;
    Ok(Some(recorder))
}

/// Runs what waits for threads where it keeps nobody from running.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DemoError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DemoError::Panicked(io::Error::from(error).to_string()))
}

fn server_config(demo: &DemoConfig, key: Key) -> ServerConfig {
    let mut config = ServerConfig::new(PROTOCOL_ID, key);
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.max_clients = demo.bots;
    config.set_rates(demo.tick_rate, demo.snapshot_rate);
    config.view = view();
    config
}

/// How far arena players see, in metres, and what they may be told: a screen and a bit, one datagram.
const fn view() -> ViewConfig {
    ViewConfig {
        inner_radius: 32.0,
        outer_radius: 36.0,
        bytes_per_snapshot: 1_100,
    }
}

/// A bad network needs longer until all bots are in.
fn patience(network: &LinkConditions) -> Duration {
    Duration::from_secs(if *network == LinkConditions::PERFECT {
        5
    } else {
        10
    })
}
