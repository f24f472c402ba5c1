//! Tables that were learnt: read from a file, for a game in the box.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::proto::snapshot::Tables;
use crate::tools::Bundled;

/// Longer files are not read: the learnt tables of the arena take some 100 KiB.
const MAX_FILE: u64 = 16 << 20;

/// Reads the tables of a file, if there is to be one.
///
/// # Errors
///
/// A file that cannot be read, is longer than 16 MiB, or holds no tables for this game; the message names
/// option and file.
pub(super) fn read(file: Option<&Path>, world: Bundled) -> anyhow::Result<Option<Tables>> {
    let Some(file) = file else {
        return Ok(None);
    };
    let said = || format!("--tables {}", file.display());
    let mut bytes = Vec::new();
    // The length that a file states is not asked: that of a device or a pipe says nothing.
    File::open(file)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .with_context(said)?;
    ensure!(
        bytes.len() as u64 <= MAX_FILE,
        "{}: longer than 16 MiB, which no tables are: `tickwire train` writes them",
        said()
    );
    let tables = Tables::from_bytes(&world.schema(), &bytes).with_context(said)?;
    Ok(Some(tables))
}
