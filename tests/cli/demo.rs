//! `tickwire demo --json`: one object, and nothing else, on stdout.

use serde_json::Value;

use crate::kit::{outcome, tickwire};

/// The fields that scripts read, level by level.
const FIELDS: &[(&str, &[&str])] = &[
    ("bots", &[]),
    ("connected", &[]),
    ("ticks", &[]),
    ("overruns", &[]),
    ("tick_ms", &["p50", "p99", "max"]),
    ("rtt_ms", &["p50", "p99"]),
    ("snapshots", &["expected", "received", "delivery"]),
    ("bytes_per_client_per_second", &["down", "up"]),
    ("inputs", &["sent", "applied", "late", "rejected"]),
    ("replica", &["checked", "mismatches", "complete"]),
    ("disconnects", &[]),
    ("rejections", &[]),
];

fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<_> = value
        .as_object()
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default();
    names.sort_unstable();
    names
}

#[test]
fn the_demo_prints_one_object_with_every_field() {
    let outcome = outcome(tickwire([
        "demo",
        "--seconds",
        "1",
        "--bots",
        "8",
        "--json",
    ]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    let mut expected: Vec<_> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    expected.sort_unstable();
    assert_eq!(names(&report), expected);
    for (name, below) in FIELDS.iter().filter(|(_, below)| !below.is_empty()) {
        let mut expected: Vec<_> = below.iter().map(|name| (*name).to_owned()).collect();
        expected.sort_unstable();
        assert_eq!(names(&report[name]), expected, "{name}");
    }
    assert_eq!(report["bots"], 8);
    assert_eq!(report["connected"], 8);
    assert_eq!(report["replica"]["mismatches"], 0);
}
