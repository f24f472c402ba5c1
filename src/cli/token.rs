//! `tickwire token`: one connect token in a file, as a backend would issue it.
#![expect(
    clippy::disallowed_types,
    reason = "a program: a token's keys come from the operating system"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use super::{Failure, secret, value};
use crate::id::{ClientId, UserData};
use crate::proto::netcode::{Key, TokenSpec};
use crate::server::clock::calendar;

/// The variable that has the key where no file does.
const PRIVATE_KEY: &str = "TICKWIRE_PRIVATE_KEY";

/// Issue one connect token, as a backend would
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tickwire token --private-key-file server.key --protocol-id 0x1234 --server 203.0.113.7:7777 \\
      --client-id 7 --out ada.token

The key may come from the environment, TICKWIRE_PRIVATE_KEY, instead of a file.")]
pub(super) struct Arguments {
    /// File with the key that the servers share, 64 hexadecimal digits
    #[arg(long, value_name = "FILE", env = "TICKWIRE_PRIVATE_KEY_FILE")]
    private_key_file: Option<PathBuf>,
    /// The number of the game and its version
    #[arg(long, value_name = "N", value_parser = value::number)]
    protocol_id: u64,
    /// A server's address; up to 32, in the order in which the client tries them
    #[arg(long, value_name = "ADDR", required = true, num_args = 1.., value_delimiter = ',', value_parser = value::address)]
    server: Vec<SocketAddr>,
    /// Who the client is
    #[arg(long, value_name = "N", value_parser = value::number)]
    client_id: u64,
    /// How long the token may wait to be used
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::whole_seconds)]
    expires: Duration,
    /// How long the client may be silent
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::whole_seconds)]
    timeout: Duration,
    /// File with up to 256 bytes for the game
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// The file to write, 2048 bytes; one that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = key(arguments.private_key_file.as_deref())?;
    let user_data = match &arguments.user_data {
        Some(path) => user_data(path)?,
        None => UserData::default(),
    };
    let created = calendar();
    let spec = TokenSpec {
        protocol_id: arguments.protocol_id,
        client: ClientId(arguments.client_id),
        servers: arguments.server.clone(),
        created,
        expires: created.plus_seconds(arguments.expires.as_secs()),
        // At most a day.
        timeout_seconds: i32::try_from(arguments.timeout.as_secs()).unwrap_or(i32::MAX),
        user_data,
    };
    let mut rng = ChaCha20Rng::try_from_rng(&mut SysRng)
        .context("the operating system gave no randomness")?;
    let token = spec
        .issue(&key, &mut rng)
        .map_err(|error| Failure::Usage(format!("--server: {error}")))?;
    secret::write_new(&arguments.out, &token.to_bytes()[..])
        .with_context(|| format!("--out {}", arguments.out.display()))?;
    Ok(())
}

/// The key in the file, or else in the environment.
fn key(file: Option<&Path>) -> Result<Key, Failure> {
    if let Some(path) = file {
        let said = format!("--private-key-file {}", path.display());
        return Ok(secret::read_key(path, &said)?);
    }
    match std::env::var(PRIVATE_KEY) {
        Ok(text) if !text.is_empty() => {
            value::key(&text).map_err(|problem| Failure::Usage(format!("{PRIVATE_KEY}: {problem}")))
        }
        _ => Err(Failure::Usage(format!(
            "the key is missing: allowed is --private-key-file FILE, or 64 hexadecimal digits in {PRIVATE_KEY}"
        ))),
    }
}

fn user_data(path: &Path) -> anyhow::Result<UserData> {
    let said = || format!("--user-data {}", path.display());
    let bytes = std::fs::read(path).with_context(said)?;
    let length = bytes.len();
    UserData::from_slice(&bytes).ok_or_else(|| {
        anyhow!(
            "{}: at most {} bytes fit, these are {length}",
            said(),
            UserData::LEN
        )
    })
}
