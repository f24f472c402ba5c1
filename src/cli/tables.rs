//! Tables that were learnt: read from a file, for the arena.

use std::path::Path;

use anyhow::Context as _;

use crate::game::arena;
use crate::proto::snapshot::Tables;

/// Reads the tables of a file, if there is to be one.
///
/// # Errors
///
/// A file that cannot be read, or holds no tables for the arena; the message names option and file.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Option<Tables>> {
    let Some(file) = file else {
        return Ok(None);
    };
    let said = || format!("--tables {}", file.display());
    let bytes = std::fs::read(file).with_context(said)?;
    let tables = Tables::from_bytes(&arena::schema(), &bytes).with_context(said)?;
    Ok(Some(tables))
}
