//! `tickwire key`: a new private key, for the server and the backend that issues connect tokens.
#![expect(
    clippy::disallowed_types,
    reason = "a program: the key comes from the operating system"
)]

use std::path::PathBuf;

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use super::{Failure, secret};
use crate::proto::netcode::Key;

/// Make a private key for servers and the backend that issues tokens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tickwire key --out server.key     64 hexadecimal digits, readable by the owner only")]
pub(super) struct Arguments {
    /// The file to write; one that exists is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut rng = ChaCha20Rng::try_from_rng(&mut SysRng)
        .context("the operating system gave no randomness")?;
    let key = Key::generate(&mut rng);
    let mut text: String = key
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    text.push('\n');
    secret::write_new(&arguments.out, text.as_bytes())
        .with_context(|| format!("--out {}", arguments.out.display()))?;
    Ok(())
}
