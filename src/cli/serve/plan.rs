//! From settings to what will run: everything that can be known to be wrong before a socket opens is found here.
#![expect(
    clippy::disallowed_types,
    reason = "a program: a key for one run comes from the operating system"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use crate::cli::settings::{Origin, Resolved, ServeSettings};
use crate::cli::{Failure, secret, tables};
use crate::proto::netcode::Key;
use crate::proto::snapshot::{Tables, ViewConfig};
use crate::server::admin::{AdminConfig, TokenDesk};
use crate::server::admission::AdmissionConfig;
use crate::server::{ConfigError, ServerConfig, TokenIssuer};
use crate::tools::Bundled;

/// A client loses sight of what is farther than this many eighths of the distance at which it appears: who walks along
/// the border does not flicker.
const OUTER_EIGHTHS: f32 = 9.0;

/// What will run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) server: ServerConfig,
    pub(super) world: Bundled,
    /// Where the world begins.
    pub(super) seed: u64,
    pub(super) admin: Option<AdminPlan>,
    pub(super) record: Option<RecordPlan>,
    /// Tables that were learnt.
    pub(super) tables: Option<Tables>,
    /// From the warning to the end.
    pub(super) grace: Duration,
    /// The key is known to nobody else and ends with the process.
    pub(super) is_key_own: bool,
}

/// What will be recorded, and in whose words it was asked for.
#[derive(Debug, Clone)]
pub(super) struct RecordPlan {
    pub(super) path: PathBuf,
    pub(super) said: String,
}

/// What will run for the operator.
#[derive(Debug, Clone)]
pub(super) struct AdminPlan {
    listen: SocketAddr,
    token: Option<String>,
    token_expires: Duration,
    token_timeout: Duration,
}

impl AdminPlan {
    /// The admin port that makes tokens for a server at these addresses.
    pub(super) fn config(
        self,
        key: Key,
        protocol_id: u64,
        public: Vec<SocketAddr>,
        loopback_only: bool,
    ) -> AdminConfig {
        AdminConfig {
            listen: self.listen,
            token: self.token,
            tokens: Some(TokenDesk {
                issuer: TokenIssuer {
                    key,
                    protocol_id,
                    servers: public,
                    // At most a day.
                    timeout_seconds: i32::try_from(self.token_timeout.as_secs())
                        .unwrap_or(i32::MAX),
                    lifetime_seconds: self.token_expires.as_secs(),
                },
                loopback_only,
            }),
        }
    }
}

impl Plan {
    /// What the settings mean together.
    ///
    /// # Errors
    /// Values that cannot be together, in the words of the user; secrets that cannot be read.
    pub(super) fn new(settings: &Resolved) -> Result<Self, Failure> {
        let values = &settings.values;
        let (key, is_key_own) = match key(settings)? {
            Some(key) => (key, false),
            None => (new_key()?, true),
        };
        let server = server(values, key);
        server
            .validate()
            .map_err(|error| in_words_of_the_user(settings, &error))?;
        if values.shutdown_grace >= values.drain_timeout {
            return Err(Failure::Usage(format!(
                "{}: allowed is less than the drain timeout, {}",
                settings.said("shutdown_grace"),
                settings.said("drain_timeout"),
            )));
        }
        Ok(Self {
            server,
            world: values.world,
            seed: values.seed,
            admin: admin(settings)?,
            record: values.record.clone().map(|path| RecordPlan {
                path,
                said: settings.said("record"),
            }),
            tables: tables::read(values.tables.as_deref(), values.world)?,
            grace: values.shutdown_grace,
            is_key_own,
        })
    }
}

fn server(values: &ServeSettings, key: Key) -> ServerConfig {
    let protocol_id = values
        .protocol_id
        .unwrap_or_else(|| values.world.protocol_id());
    let mut config = ServerConfig::new(protocol_id, key);
    config.listen = values.listen;
    config.public_addresses.clone_from(&values.public);
    config.max_clients = values.max_clients;
    config.tick_rate = values.tick_rate;
    config.snapshot_rate = values.snapshot_rate;
    config.shards = values.shards;
    config.packet_io = values.packet_io;
    config.gather = values.gather;
    config.admission = limits(values);
    config.drain_timeout = values.drain_timeout.saturating_sub(values.shutdown_grace);
    let radius = f32::from(values.view_radius);
    config.view = ViewConfig {
        inner_radius: radius,
        outer_radius: radius * OUTER_EIGHTHS / 8.0,
        bytes_per_snapshot: values.snapshot_bytes,
    };
    config
}

/// What a reload may change.
fn limits(values: &ServeSettings) -> AdmissionConfig {
    let usual = AdmissionConfig::for_rate(values.tick_rate);
    AdmissionConfig {
        strangers: values.strangers,
        player_datagrams: values.player_datagrams.unwrap_or(usual.player_datagrams),
        player_bytes: values.player_bytes,
        patience_seconds: values.player_patience,
        ..usual
    }
}

/// The server names its own fields; the user wrote something else.
fn in_words_of_the_user(settings: &Resolved, error: &ConfigError) -> Failure {
    let field = match error.field {
        "public_addresses" => "public",
        field => field.strip_prefix("admission.").unwrap_or(field),
    };
    Failure::Usage(format!("{}: {}", settings.said(field), error.problem))
}

/// The key, if anybody gave one.
fn key(settings: &Resolved) -> Result<Option<Key>, Failure> {
    let values = &settings.values;
    match stronger(settings, "private_key_file", "private_key")? {
        Given::First => {
            let Some(path) = &values.private_key_file else {
                return Ok(None);
            };
            let said = settings.said("private_key_file");
            Ok(Some(secret::read_key(path, &said)?))
        }
        Given::Second => Ok(values.private_key.clone()),
        Given::Neither => Ok(None),
    }
}

fn new_key() -> anyhow::Result<Key> {
    let mut rng = ChaCha20Rng::try_from_rng(&mut SysRng)
        .context("the operating system gave no randomness")?;
    Ok(Key::generate(&mut rng))
}

fn admin(settings: &Resolved) -> Result<Option<AdminPlan>, Failure> {
    let values = &settings.values;
    let token = match stronger(settings, "admin_token_file", "admin_token")? {
        Given::First => {
            let said = settings.said("admin_token_file");
            let path = values.admin_token_file.as_deref();
            path.map(|path| secret::read_bearer(path, &said))
                .transpose()?
        }
        Given::Second => values.admin_token.clone().map(|token| token.0),
        Given::Neither => None,
    };
    let Some(listen) = values.admin else {
        return Ok(None);
    };
    if !listen.ip().to_canonical().is_loopback() && token.is_none() {
        return Err(Failure::Usage(format!(
            "{}: others reach this address, so it needs a token: allowed is --admin-token-file FILE, or a loopback address",
            settings.said("admin"),
        )));
    }
    Ok(Some(AdminPlan {
        listen,
        token,
        token_expires: values.token_expires,
        token_timeout: values.token_timeout,
    }))
}

/// Which of two ways to give a secret counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    First,
    Second,
    Neither,
}

/// The stronger layer counts, as everywhere; two ways in one layer are a mistake.
fn stronger(
    settings: &Resolved,
    first: &'static str,
    second: &'static str,
) -> Result<Given, Failure> {
    let origins = (settings.origin(first), settings.origin(second));
    match origins {
        (Origin::Default, Origin::Default) => Ok(Given::Neither),
        (a, b) if a < b => Ok(Given::First),
        (a, b) if a > b => Ok(Given::Second),
        _ => Err(Failure::Usage(format!(
            "{}: allowed is this or {}, not both",
            settings.said(first),
            settings.said(second)
        ))),
    }
}
