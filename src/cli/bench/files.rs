//! The report on disk: `report.json`, `report.html`, `timeline.csv`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::tools::bench::report::Report;
use crate::tools::bench::{csv, html};

/// Sees to it that there is a folder, before anything is measured that could not be written afterwards.
///
/// # Errors
///
/// When there is none, and none can be made.
pub(super) fn prepare(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("--out {}", folder.display()))
}

/// Writes the three files, in place of older ones.
///
/// # Errors
///
/// When one cannot be written.
pub(super) fn write(folder: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report).context("cannot write the report")?;
    for (name, text) in [
        ("report.json", json + "\n"),
        ("report.html", html::page(report)),
        ("timeline.csv", csv::timeline(&report.timeline)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("--out {}", path.display()))?;
    }
    Ok(())
}
