//! Secrets in files: read with a complaint that does not repeat them, written so that only the owner reads them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::value;
use crate::proto::netcode::Key;

/// What no file with a secret is longer than.
const LONGEST: usize = 4096;

/// Reads the key in a file; `said` is how the user named the file.
///
/// # Errors
///
/// When the file cannot be read, or holds something else.
pub(super) fn read_key(path: &Path, said: &str) -> anyhow::Result<Key> {
    let text = read(path, said)?;
    value::key(&text).map_err(|problem| anyhow!("{said}: {problem}"))
}

/// Reads the bearer token in a file.
///
/// # Errors
///
/// When the file cannot be read, or holds something else.
pub(super) fn read_bearer(path: &Path, said: &str) -> anyhow::Result<String> {
    let text = read(path, said)?;
    value::bearer(&text).map_err(|problem| anyhow!("{said}: {problem}"))
}

fn read(path: &Path, said: &str) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| said.to_owned())?;
    if bytes.len() > LONGEST {
        return Err(anyhow!(
            "{said}: {} bytes are too many for a secret",
            bytes.len()
        ));
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("{said}: this is no text"))
}

/// Writes a new file that only its owner may read; one that exists is left as it is.
///
/// # Errors
///
/// When it exists, or cannot be written.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
