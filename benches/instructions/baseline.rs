//! What was counted before, in a file beside this one, and what has become of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Where it is.
const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/baseline.json"
);

/// How much more may be counted before the check fails, and how much less before it asks for a new baseline.
const WORSE: f64 = 1.10;
const BETTER: f64 = 0.90;

/// How a baseline is made.
pub(crate) const RENEW: &str = "cargo bench --bench instructions -- --renew";

/// What decides which instructions are run, besides the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maker {
    /// Another compiler makes another program.
    pub(crate) rustc: String,
    /// Valgrind's processor has what this one has of it, at most this; the ciphers and `memcpy` choose by it.
    pub(crate) avx2: bool,
}

impl Maker {
    pub(crate) fn here() -> Self {
        Self {
            rustc: rustc(),
            #[cfg(target_arch = "x86_64")]
            avx2: std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(not(target_arch = "x86_64"))]
            avx2: false,
        }
    }
}

/// Counts, and what made the program that was counted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    pub(crate) made_by: Maker,
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(FILE).with_context(|| format!("{FILE}: make it with `{RENEW}`"))?;
        serde_json::from_str(&text).with_context(|| format!("{FILE}: make it again with `{RENEW}`"))
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(FILE, text).with_context(|| FILE)
    }
}

/// What became of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Better,
    Worse,
    /// The baseline does not have it.
    New,
}

/// Compares a count with the one before.
pub(crate) fn judge(before: Option<u64>, now: u64) -> Verdict {
    match before.map(|before| now as f64 / before as f64) {
        None => Verdict::New,
        Some(ratio) if ratio > WORSE => Verdict::Worse,
        Some(ratio) if ratio < BETTER => Verdict::Better,
        Some(_) => Verdict::Same,
    }
}

fn rustc() -> String {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).arg("--version").output().ok();
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
