//! From a configuration and a game to threads that run.
//!
//! Everything that can fail fails in [`Server::bind`], before anything runs: numbers, sockets, randomness.

use core::sync::atomic::AtomicBool;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use tokio::sync::{mpsc, watch};
use tracing::{debug, error};

use super::admission::{Admission, PrefixCells};
use super::clock::{ServerClock, calendar_micros};
use super::config::{ConfigError, ServerConfig};
use super::control::{ServerControl, ServerHandle, ShardLink, Shared};
use super::directory::Directory;
use super::issue::{TokenIssuer, randomness};
use super::metrics::{ServerStats, ShardMetrics};
use super::shard::{Command, Core, Pause, Shard};
use super::socket::Mechanisms;
use super::tick::{FrameHook, Outlet, TickLoop, TickMetrics};
use super::{socket, tick};
use crate::game::{Game, Simulation, SimulationConfig};
use crate::proto::event::ServerEvent;
use crate::proto::netcode;
use crate::proto::server::{ServerEndpoint, ServerEndpointConfig};
use crate::proto::snapshot::{FrameConfig, FrameError, Schema};

/// Why a server cannot run, or ran no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A field of the configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Frames cannot be made as `frames` says.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// The session layer refused its part of the configuration.
    #[error(transparent)]
    Netcode(#[from] netcode::ConfigError),
    /// The system refused a socket, a thread, a runtime or randomness; the text says which.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A thread ended by a panic, which is a bug; the server stopped. The name of the thread.
    #[error("the thread {0} ended by a panic: this is a bug, and the server stopped")]
    Panicked(String),
}

/// A server with its sockets open and nothing running.
pub struct Server<G: Game> {
    config: ServerConfig,
    sockets: Vec<UdpSocket>,
    local: SocketAddr,
    directory: Arc<Directory>,
    cells: PrefixCells,
    endpoints: Vec<ServerEndpoint>,
    simulation: Simulation<G>,
    hook: Option<FrameHook>,
}

impl<G: Game> Server<G> {
    /// Checks the configuration and opens the sockets. Clients that ask already are answered once the
    /// server starts.
    ///
    /// # Errors
    /// [`ServerError::Config`] names the field; [`ServerError::System`] the address that is in use.
    pub fn bind(config: ServerConfig, game: G) -> Result<Self, ServerError> {
        config.validate()?;
        let sockets = socket::open(config.listen, usize::from(config.shards))?;
        let local = sockets
            .first()
            .map_or(Ok(config.listen), UdpSocket::local_addr)?;
        let mut rng = randomness()?;
        let directory = Arc::new(Directory::new(config.max_clients));
        let schema = game.schema();
        let frames = FrameConfig {
            snapshot_every: config.snapshot_every().into(),
            ..config.frames
        };
        let (rate, max_clients) = (config.tick_rate, config.max_clients);
        let simulation = Simulation::new(
            game,
            SimulationConfig {
                rate,
                frames,
                max_clients,
            },
        )?;
        let started = calendar_micros();
        let endpoints = (0..config.shards)
            .map(|shard| {
                let config = endpoint_config(&config, local, shard, &schema);
                ServerEndpoint::new(config, &mut rng, started, Arc::clone(&directory) as _)
            })
            .collect::<Result<_, _>>()?;
        let cells = PrefixCells::new(&mut rng);
        let hook = None;
        Ok(Self {
            config,
            sockets,
            local,
            directory,
            cells,
            endpoints,
            simulation,
            hook,
        })
    }

    /// Calls `hook` with every frame, on the world's thread, in order.
    #[must_use]
    pub fn on_frame(mut self, hook: FrameHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The address the server listens on, with the port the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Starts the threads: one for each shard, one for the world.
    ///
    /// # Errors
    /// When the system refuses a thread. Those that were started are told to end.
    pub fn start(self) -> Result<ServerHandle, ServerError> {
        let (frames, _) = watch::channel(None);
        let (roads, ends): (Vec<_>, Vec<_>) = self.roads().into_iter().unzip();
        let shared = self.share(roads);
        let clock = shared.clock;
        let mut handle = ServerHandle {
            control: ServerControl {
                shared: Arc::clone(&shared),
            },
            threads: Vec::new(),
        };
        let (link, snapshot_every) = (Arc::clone(&self.config.link), self.config.snapshot_every());
        let mut inboxes = Vec::new();
        let mechanisms = Mechanisms::detect(self.config.packet_io);
        for (((index, endpoint), socket), commands) in
            (0..).zip(self.endpoints).zip(self.sockets).zip(ends)
        {
            let (inbox, events) = sync_channel::<ServerEvent>(self.config.inbox_size());
            inboxes.push(events);
            let road = &shared.shards[usize::from(index)];
            let shard = Shard {
                core: Core::new(
                    index,
                    endpoint,
                    Admission::new(self.config.admission, self.cells.clone()),
                    Arc::clone(&self.directory),
                    Arc::clone(&road.metrics),
                    inbox,
                    (Arc::clone(&link), snapshot_every),
                ),
                socket,
                mechanisms,
                clock,
                frames: frames.subscribe(),
                commands,
                limits: shared.limits.subscribe(),
                stop: shared.stop.subscribe(),
                drain_timeout: self.config.drain_timeout,
                pause: Pause::new(self.config.gather),
            };
            let name = format!("shard-{index}");
            handle
                .threads
                .push(spawn(&shared, name, move || shard.run())?);
        }
        let world = TickLoop {
            clock,
            inboxes,
            inbox_size: self.config.inbox_size(),
            shards: shared
                .shards
                .iter()
                .map(|shard| Arc::clone(&shard.metrics))
                .collect(),
            outlets: outlets(&shared, &link),
            frames,
            hook: self.hook,
            metrics: Arc::clone(&shared.tick),
            stop: Arc::clone(&shared.world_stop),
            seats: Vec::new(),
            simulation: self.simulation,
        };
        let thread = spawn(&shared, "world".to_owned(), move || {
            world.run();
            io::Result::Ok(())
        })?;
        let _ = shared.world.set(thread.thread().clone());
        handle.threads.push(thread);
        debug!(address = %self.local, shards = self.config.shards, "server started");
        Ok(handle)
    }

    /// What all threads share, with the clock running from now on.
    fn share(&self, shards: Vec<ShardLink>) -> Arc<Shared> {
        let clock = ServerClock::start();
        Arc::new(Shared {
            local: self.local,
            clock,
            started: clock.now(),
            directory: Arc::clone(&self.directory),
            shards,
            tick: Arc::new(TickMetrics::default()),
            issuer: TokenIssuer::new(
                self.config.protocol_id,
                self.config.key.clone(),
                self.config.addresses(self.local),
            ),
            tick_rate: self.config.tick_rate,
            limits: watch::channel(self.config.admission).0,
            stop: watch::channel(None).0,
            world_stop: Arc::new(AtomicBool::new(false)),
            world: OnceLock::new(),
        })
    }

    /// One road for commands to each shard, and its far end.
    fn roads(&self) -> Vec<(ShardLink, mpsc::Receiver<Command>)> {
        (0..self.config.shards)
            .map(|_| {
                let (commands, end) = mpsc::channel(tick::QUEUE);
                (
                    ShardLink {
                        metrics: Arc::new(ShardMetrics::default()),
                        commands,
                    },
                    end,
                )
            })
            .collect()
    }

    /// Runs until `shutdown` is ready, and then ends as [`ServerHandle::shutdown`] does, with the text that
    /// `shutdown` gave. Needs a tokio runtime to wait on; the server's threads are its own.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`ServerHandle::join`].
    pub async fn run<T: AsRef<str>>(
        self,
        shutdown: impl Future<Output = T>,
    ) -> Result<ServerStats, ServerError> {
        let handle = self.start()?;
        let control = handle.control();
        tokio::select! {
            text = shutdown => control.stop(text.as_ref()),
            // Somebody else stopped it, or a thread could not go on.
            () = control.stopping() => {}
        }
        tokio::task::spawn_blocking(move || handle.join())
            .await
            .unwrap_or_else(|error| Err(ServerError::Panicked(error.to_string())))
    }
}

impl<G: Game> std::fmt::Debug for Server<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

fn endpoint_config(
    config: &ServerConfig,
    local: SocketAddr,
    shard: u16,
    schema: &Arc<Schema>,
) -> ServerEndpointConfig {
    let (protocol_id, key) = (config.protocol_id, config.key.clone());
    let mut netcode = netcode::ServerConfig::new(protocol_id, key, local, config.max_clients);
    netcode.addresses = config.addresses(local);
    netcode.pending_entries = config.pending_handshakes;
    netcode.shard = (shard.into(), config.shards.into());
    ServerEndpointConfig {
        netcode,
        link: Arc::clone(&config.link),
        view: config.view,
        schema: Arc::clone(schema),
        tick_rate: config.tick_rate,
        snapshot_every: config.snapshot_every(),
        hello_timeout: config.hello_timeout,
        unresponsive_after: config.unresponsive_after,
    }
}

fn outlets(shared: &Shared, link: &Arc<crate::proto::channel::LinkConfig>) -> Vec<Outlet> {
    let roads = shared.shards.iter();
    roads
        .map(|shard| Outlet::new(shard.commands.clone(), Arc::clone(link)))
        .collect()
}

/// Starts a thread whose failure ends the whole server: half a server is worse than none.
fn spawn(
    shared: &Arc<Shared>,
    name: String,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<Result<(), ServerError>>> {
    let guard = EndTogether(Arc::clone(shared));
    Builder::new().name(name).spawn(move || {
        let guard = guard;
        let outcome = work().map_err(ServerError::from);
        if let Err(error) = &outcome {
            error!(%error, "a thread of the server could not go on");
            guard.0.stop("");
        }
        outcome
    })
}

/// Stops the server when its thread panics.
struct EndTogether(Arc<Shared>);

impl Drop for EndTogether {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("");
        }
    }
}
