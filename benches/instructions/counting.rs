//! Counts a scenario's instructions: this program again, under `valgrind --tool=callgrind`.
//!
//! A scenario is run once so many times and once twice as often. The difference is what it costs; what comes before is in
//! both. The count is the same on every machine: valgrind's processor is always the same one, whatever it runs on.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};

use crate::scenarios::Scenario;

/// Asks this program to be the one that is counted. Not for people.
pub(crate) const CHILD: &str = "--run";

/// How much more work than it should do a scenario does, in hundredths: what the check must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waste(pub(crate) u32);

/// Instructions of one repetition.
pub(crate) fn count(scenario: &Scenario, waste: Waste) -> anyhow::Result<u64> {
    let total = |times: u32| total(scenario, times + times * waste.0 / 100);
    let (once, twice) = (total(scenario.times)?, total(scenario.times * 2)?);
    let more = twice
        .checked_sub(once)
        .with_context(|| format!("{}: twice the work took fewer instructions", scenario.name))?;
    Ok(more / u64::from(scenario.times))
}

/// Instructions of a whole run.
fn total(scenario: &Scenario, times: u32) -> anyhow::Result<u64> {
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([CHILD, scenario.name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            anyhow!("valgrind cannot be started ({error}): on Debian it is the package valgrind")
        })?;
    let said = String::from_utf8_lossy(&child.stderr);
    if !child.status.success() {
        bail!("{} failed under valgrind:\n{said}", scenario.name);
    }
    collected(&said).with_context(|| format!("valgrind did not say what it counted:\n{said}"))
}

/// The number in valgrind's last words: `==4711== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}
