//! A running server as its owner sees it: figures, bans, kicks, and the end.
//!
//! Knows the threads and the roads to them. What travels on those roads is told elsewhere.

use core::sync::atomic::{AtomicBool, Ordering};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::admission::AdmissionConfig;
use super::clock::ServerClock;
use super::directory::{Directory, Resident};
use super::figures::ClientFigures;
use super::issue::{IssueError, TokenIssuer};
use super::metrics::{ServerStats, ShardMetrics, ShardStats};
use super::shard::{Command, Stop};
use super::tick::TickMetrics;
use super::{ConfigError, ServerError};
use crate::game::Recipients;
use crate::id::{ClientId, ClientSlot};
use crate::proto::event::{DisconnectReason, Warning};
use crate::proto::netcode::ConnectToken;
use crate::time::{TickRate, Timestamp};

/// What all threads of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) local: SocketAddr,
    pub(super) clock: ServerClock,
    pub(super) started: Timestamp,
    pub(super) directory: Arc<Directory>,
    pub(super) shards: Vec<ShardLink>,
    pub(super) tick: Arc<TickMetrics>,
    pub(super) issuer: TokenIssuer,
    pub(super) tick_rate: TickRate,
    pub(super) limits: watch::Sender<AdmissionConfig>,
    pub(super) stop: watch::Sender<Stop>,
    pub(super) world_stop: Arc<AtomicBool>,
    pub(super) world: OnceLock<Thread>,
}

/// The owner's road to one shard.
#[derive(Debug)]
pub(super) struct ShardLink {
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl ShardLink {
    fn read(&self) -> ShardStats {
        let mut stats = self.metrics.read();
        let waiting = self.commands.max_capacity() - self.commands.capacity();
        stats.commands = waiting as u64;
        stats
    }
}

impl Shared {
    /// Asks every thread to end; only the first call counts.
    pub(super) fn stop(&self, text: &str) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            if is_first {
                *stop = Some(Arc::from(text));
            }
            is_first
        });
        self.world_stop.store(true, Ordering::Release);
        if let Some(world) = self.world.get() {
            world.unpark();
        }
    }
}

/// How full the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Places taken.
    pub seated: usize,
    /// Places there are.
    pub capacity: usize,
}

/// Somebody who is connected, and how they are doing.
#[derive(Debug, Clone, Copy)]
pub struct ClientState {
    /// Who and where.
    pub resident: Resident,
    /// How long the session has lasted.
    pub connected_seconds: f64,
    /// Measured and counted; all zero in the first second.
    pub figures: ClientFigures,
}

/// A handle to look at a running server and to steer it; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct ServerControl {
    pub(super) shared: Arc<Shared>,
}

impl ServerControl {
    /// The address the server listens on, with the port the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// A connect token for one session of this client at this server, good for 60 s.
    ///
    /// The server has the key, so it can; for development, tests and games without a backend. Where players log in
    /// somewhere, that place issues tokens: [`TokenIssuer`], or any other implementation of netcode.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn issue_token(&self, client: ClientId) -> Result<ConnectToken, IssueError> {
        self.shared.issuer.issue(client)
    }

    /// Everything that was counted so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let shared = &self.shared;
        let shards: Vec<_> = shared.shards.iter().map(ShardLink::read).collect();
        let mut total = ShardStats::default();
        for shard in &shards {
            total.merge(shard);
        }
        ServerStats {
            uptime_seconds: shared.clock.now().since(shared.started).as_secs_f64(),
            seated: shared.directory.seated(),
            capacity: shared.directory.capacity(),
            used_tokens: shared.directory.used_tokens(),
            tick: shared.tick.read(),
            total,
            shards,
        }
    }

    /// How long ago the world last moved: more than a few ticks' time means that it is stuck.
    #[must_use]
    pub fn tick_age(&self) -> Duration {
        let shared = &self.shared;
        let last = shared.tick.played_at().max(shared.started);
        shared.clock.now().since(last)
    }

    /// How many places are taken, of how many.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let directory = &self.shared.directory;
        Standing {
            seated: directory.seated(),
            capacity: directory.capacity(),
        }
    }

    /// Everybody with their figures, by place; the figures are a second old at most.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientState> {
        let (directory, now) = (&self.shared.directory, self.shared.clock.now());
        let states = directory.roster().into_iter().map(|resident| ClientState {
            resident,
            connected_seconds: now.since(resident.since).as_secs_f64(),
            figures: directory.figures().read(resident.slot).unwrap_or_default(),
        });
        states.collect()
    }

    /// Who is connected, by place.
    #[must_use]
    pub fn roster(&self) -> Vec<Resident> {
        self.shared.directory.roster()
    }

    /// Ends a client's session and tells it why (at most 120 bytes of text arrive). `false` when it is not
    /// connected, or its shard takes no commands at the moment.
    pub fn kick(&self, client: ClientId, text: &str) -> bool {
        let slot = self.shared.directory.slot_of(client);
        slot.is_some_and(|slot| self.end(slot, DisconnectReason::Kicked, text))
    }

    /// Bans a client from this process until [`lift_ban`](Self::lift_ban), and ends its session if it has one.
    pub fn ban(&self, client: ClientId) {
        if let Some(slot) = self.shared.directory.ban(client) {
            self.end(slot, DisconnectReason::Banned, "");
        }
    }

    /// Lifts a ban; `false` when there was none.
    pub fn lift_ban(&self, client: ClientId) -> bool {
        self.shared.directory.lift_ban(client)
    }

    fn end(&self, slot: ClientSlot, reason: DisconnectReason, text: &str) -> bool {
        let Some(resident) = self.shared.directory.resident(slot) else {
            return false;
        };
        let Some(shard) = self.shared.shards.get(usize::from(resident.shard)) else {
            return false;
        };
        let whom = Recipients::One(slot);
        shard
            .commands
            .try_send(Command::Disconnect {
                whom,
                reason,
                text: text.into(),
            })
            .is_ok()
    }

    /// Goes on with other limits to strangers and players. Players start with a fresh allowance.
    ///
    /// # Errors
    /// Limits that honest clients would meet; the old ones stay.
    pub fn set_limits(&self, limits: AdmissionConfig) -> Result<(), ConfigError> {
        limits.validate(self.shared.tick_rate)?;
        self.shared.limits.send_replace(limits);
        Ok(())
    }

    /// Takes nobody in any more, until the end. Who is connected stays.
    pub fn refuse_newcomers(&self) {
        for shard in &self.shared.shards {
            // A shard whose queue is full takes its last newcomers a moment longer, until the end.
            let _ = shard.commands.try_send(Command::RefuseNewcomers);
        }
    }

    /// Warns every client that the server will shut down in so long. The server goes on until it is told to
    /// [stop](Self::stop).
    pub fn announce_shutdown(&self, grace: Duration) {
        for shard in &self.shared.shards {
            let warning = Warning::ShutdownSoon;
            // A shard whose queue is full is warned by the end itself.
            let _ = shard.commands.try_send(Command::Warn { warning, grace });
        }
    }

    /// Asks the server to end: nobody is taken in, every client is told why. Returns at once; only the first
    /// call counts.
    pub fn stop(&self, text: &str) {
        self.shared.stop(text);
    }

    /// Waits until the server was asked to end, by whomever, or had to.
    pub async fn stopping(&self) {
        let mut stop = self.shared.stop.subscribe();
        // The sender is in `shared`, which lives as long as this handle.
        let _ = stop.wait_for(Option::is_some).await;
    }

    /// Whether the server was asked to end, or had to.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.borrow().is_some()
    }
}

/// A running server and its threads. Dropping it asks the server to end and does not wait.
#[derive(Debug)]
#[must_use = "dropping the handle stops the server"]
pub struct ServerHandle {
    pub(super) control: ServerControl,
    pub(super) threads: Vec<JoinHandle<Result<(), ServerError>>>,
}

impl ServerHandle {
    /// Figures, bans and kicks, from anywhere.
    #[must_use]
    pub fn control(&self) -> ServerControl {
        self.control.clone()
    }

    /// The address the server listens on, with the port the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.control.local_addr()
    }

    /// See [`ServerControl::issue_token`].
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn issue_token(&self, client: ClientId) -> Result<ConnectToken, IssueError> {
        self.control.issue_token(client)
    }

    /// Everything that was counted so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.control.stats()
    }

    /// Ends the server: nobody is taken in, every client is told why (with this text, of which 120 bytes
    /// arrive), queues are flushed, threads joined. Takes at most the drain timeout and a moment.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn shutdown(self, text: &str) -> Result<ServerStats, ServerError> {
        self.control.stop(text);
        self.join()
    }

    /// Waits until the server has ended, and gives its last figures.
    ///
    /// # Errors
    /// When a thread ended by a panic or lost its runtime: the server stopped because of it.
    pub fn join(mut self) -> Result<ServerStats, ServerError> {
        let mut outcome = Ok(());
        for thread in std::mem::take(&mut self.threads) {
            let name = thread.thread().name().unwrap_or("a thread").to_owned();
            let ended = thread.join().unwrap_or(Err(ServerError::Panicked(name)));
            outcome = outcome.and(ended);
        }
        outcome.map(|()| self.control.stats())
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.control.stop("");
    }
}
