//! Secrets in files: read with a complaint that does not repeat them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::proto::netcode::Key;

/// Reads the key in a file: 64 hexadecimal digits. `said` is how the user named the file.
///
/// # Errors
///
/// When the file cannot be read, or holds something else.
pub(super) fn read_key(path: &Path, said: &str) -> anyhow::Result<Key> {
    let bytes = fs::read(path).with_context(|| said.to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{said}: this is no text"))?;
    Key::from_hex(text.trim()).map_err(|error| anyhow!("{said}: {error}"))
}
