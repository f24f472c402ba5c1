//! The admin port: health, metrics and state over HTTP, connect tokens, and the operator's few commands.
//!
//! ```text
//! GET  /livez /readyz /healthz /version /metrics /state
//! POST /connect-token /kick /ban /unban /drain
//! ```
//!
//! Loopback by default; another address needs a bearer token, and is refused without one. The one home of axum:
//! it runs on a thread of its own, reads what the server counts and asks the server's control for
//! the rest, so nothing here can delay a datagram or a tick. What each endpoint answers is told in
//! `docs/operating.md`.
//!
//! [`Admin::bind`] does everything that can fail, [`Admin::start`] begins to answer.

mod guard;
mod listen;
pub mod metrics;
mod reply;
mod routes;
mod tokens;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error};

use super::{ServerControl, TokenIssuer};
use crate::proto::netcode::MAX_SERVERS;
use guard::Secret;
use routes::Shared;
use tokens::Issuer;

pub use routes::{ENDPOINTS, Endpoint};

/// The version and the commit this library was built from, as `/version` and `tickwire_build_info` tell them.
///
/// The commit is what the environment variable `TICKWIRE_COMMIT` held at build time, else `unknown`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// See [`VERSION`].
pub const COMMIT: &str = match option_env!("TICKWIRE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The shortest bearer token that is taken: 16 bytes, as `openssl rand -hex 16` makes twice over.
pub const MIN_TOKEN_LEN: usize = 16;

/// After [`AdminHandle::stop`] requests that are being answered have so long.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// How the admin port is to be.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Where to listen: loopback, unless there is a token. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The bearer token that commands need, at least [`MIN_TOKEN_LEN`] visible ASCII characters. `None`: whoever
    /// can reach the loopback address may command.
    pub token: Option<String>,
    /// Gives connect tokens; `None`: `POST /connect-token` is refused.
    pub tokens: Option<TokenDesk>,
}

/// Who gives connect tokens, and to whom.
#[derive(Debug, Clone)]
pub struct TokenDesk {
    /// Makes them.
    pub issuer: TokenIssuer,
    /// Tokens go to clients on this machine only, whoever asks with whichever bearer token: for a key that lives as
    /// long as its process.
    pub loopback_only: bool,
}

impl TokenDesk {
    /// Whether somebody at this address may have a token.
    fn serves(&self, peer: IpAddr) -> bool {
        !self.loopback_only || peer.to_canonical().is_loopback()
    }
}

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Everybody who reaches the address could end the server.
    #[error(
        "the admin address {0} can be reached from other machines: set an admin token, or listen on 127.0.0.1"
    )]
    NeedsToken(SocketAddr),
    /// The bearer token cannot be sent in a header, or can be guessed.
    #[error(
        "the admin token must be at least {MIN_TOKEN_LEN} visible ASCII characters without spaces: \
         `openssl rand -hex 32` makes one"
    )]
    WeakToken,
    /// No connect token can be made with this issuer.
    #[error("connect tokens cannot be issued: {0}")]
    Issuer(String),
    /// The address is taken, not ours, or not permitted.
    #[error("cannot open the admin address {address}: {error}")]
    Address {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The system refused a thread, a runtime or randomness.
    #[error("cannot start the admin port: {0}")]
    System(#[from] io::Error),
}

/// An admin port that is open and does not answer yet. Dropping it closes it.
#[derive(Debug)]
#[must_use = "an admin port answers once it is started"]
pub struct Admin {
    local: SocketAddr,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    go: mpsc::SyncSender<ServerControl>,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Checks the configuration, opens the port and readies the thread. Requests wait until it starts.
    ///
    /// # Errors
    /// See [`AdminError`]: each says what to do.
    pub fn bind(config: AdminConfig) -> Result<Self, AdminError> {
        let secret = config.token.map(Secret::new).transpose()?;
        if secret.is_none() && !config.listen.ip().to_canonical().is_loopback() {
            return Err(AdminError::NeedsToken(config.listen));
        }
        let issuer = config.tokens.map(Issuer::new).transpose()?;
        let address = config.listen;
        let listener =
            TcpListener::bind(address).map_err(|error| AdminError::Address { address, error })?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (draining, stop) = (Arc::new(AtomicBool::new(false)), watch::channel(false).0);
        let (go, going) = mpsc::sync_channel::<ServerControl>(1);
        let (is_draining, stopped) = (Arc::clone(&draining), stop.subscribe());
        let thread = Builder::new().name("admin".to_owned()).spawn(move || {
            // An error here means that nobody will ever start us.
            let Ok(control) = going.recv() else { return };
            let shared = Shared::new(control, local, secret, issuer, is_draining);
            if let Err(error) = runtime.block_on(listen::serve(listener, shared, stopped)) {
                error!(%error, "the admin port ended");
            }
            runtime.shutdown_background();
        })?;
        Ok(Self {
            local,
            draining,
            stop,
            go,
            thread,
        })
    }

    /// The address, with the port the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Begins to answer, for this server.
    pub fn start(self, control: ServerControl) -> AdminHandle {
        // The thread waits for exactly this.
        let _ = self.go.send(control);
        debug!(address = %self.local, "admin port open");
        AdminHandle {
            local: self.local,
            draining: self.draining,
            stop: self.stop,
            thread: Some(self.thread),
        }
    }
}

/// An admin port that answers. Dropping it ends it without waiting.
#[derive(Debug)]
#[must_use = "dropping the handle ends the admin port"]
pub struct AdminHandle {
    local: SocketAddr,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl AdminHandle {
    /// The address, with the port the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Says whether the server is about to end: `/readyz` answers 503, and no connect tokens are made.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
    }

    /// Whether it was told so, here or by `POST /drain`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Ends the port and waits until it is closed: half a second at most for answers on their way.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
