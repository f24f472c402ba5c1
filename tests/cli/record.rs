//! Recording and replaying, from the flag to the report.

#[cfg(unix)]
use std::path::Path;

use serde_json::Value;

#[cfg(unix)]
use crate::kit::Serving;
use crate::kit::{Outcome, Scratch, outcome, tickwire};

/// The fields that scripts read.
const FIELDS: &[&str] = &[
    "format",
    "bytes",
    "ending",
    "torn_bytes",
    "blocks",
    "bytes_per_frame",
    "dropped",
    "tick_rate",
    "snapshot_every",
    "schema",
    "ticks",
    "duration_seconds",
    "frames",
    "mismatches",
    "entities",
    "kinds",
    "problems",
];

fn replay(arguments: &[&str]) -> Outcome {
    outcome(tickwire(["replay"].iter().chain(arguments)))
}

fn report(arguments: &[&str]) -> Value {
    let outcome = replay(&[arguments, &["--json"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    serde_json::from_str(&outcome.stdout).expect("one object")
}

/// Records a demo of a few bots.
fn demo(path: &str) {
    let demo = [
        "demo",
        "--bots",
        "4",
        "--seconds",
        "3",
        "--json",
        "--record",
        path,
    ];
    let outcome = outcome(tickwire(demo));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("recorded"), "{}", outcome.stderr);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert_eq!(report["replica"]["mismatches"], 0);
}

#[test]
fn what_a_demo_recorded_is_replayed_and_verified() {
    let scratch = Scratch::new("record-demo");
    let path = scratch.path().join("world.twr").display().to_string();
    demo(&path);
    let all = report(&[&path]);
    let object = all.as_object().expect("an object");
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    let mut expected = FIELDS.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(all["ending"], "clean");
    assert_eq!(all["mismatches"], 0);
    assert_eq!(all["problems"], serde_json::json!([]));
    assert_eq!(
        (&all["tick_rate"], &all["snapshot_every"]),
        (&60.into(), &2.into())
    );
    assert_eq!(all["schema"]["is_current"], true);
    let frames = all["frames"].as_u64().expect("a number");
    // Three seconds at 30 Hz, and the time until all bots are in.
    assert!(frames >= 80, "{all}");
    assert!(all["blocks"].as_u64() >= Some(2), "{all}");
    assert_eq!(all["ticks"]["first"], 2);
    let kinds = all["kinds"].as_array().expect("a list");
    let mut kinds = kinds.iter();
    assert!(kinds.any(|kind| kind["entities"]["max"] == 4), "{all}");

    // A part of it, by ticks.
    let part = report(&[&path, "--from", "41", "--to", "100"]);
    assert_eq!(part["ticks"], serde_json::json!({"first": 42, "last": 100}));
    assert_eq!(part["frames"], 30);
    let none = report(&[&path, "--from", "4000000000"]);
    assert_eq!((&none["frames"], &none["ticks"]), (&0.into(), &Value::Null));

    // For people.
    let page = replay(&[&path]);
    assert_eq!(page.code, Some(0), "{page:?}");
    assert!(
        page.stdout.contains(&format!("{frames} frames")),
        "{page:?}"
    );
    assert!(page.stdout.contains("closed"), "{page:?}");

    // A second recording does not take the place of the first.
    let again = outcome(tickwire(["demo", "--bots", "1", "--record", &path]));
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("move it away"), "{again:?}");
    assert_eq!(report(&[&path])["frames"], frames);

    changed_bytes_are_reported(&path);
}

/// One value of the recording is another one: said, and the exit code is 1.
fn changed_bytes_are_reported(path: &str) {
    let mut bytes = std::fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, &bytes).expect("a file");
    let outcome = replay(&[path, "--json"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one object");
    assert!(report["mismatches"].as_u64() > Some(0), "{report}");
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(1));
    assert_eq!(outcome.stderr.lines().count(), 1);
    assert!(
        outcome.stderr.contains("is not what was recorded"),
        "{outcome:?}"
    );
}

/// Waits until the recording of a running server has so many bytes.
#[cfg(unix)]
fn wait_for_bytes(path: &Path, bytes: u64) {
    let start = std::time::Instant::now();
    while std::fs::metadata(path).expect("a file").len() < bytes {
        assert!(
            start.elapsed() < crate::kit::PATIENCE,
            "nothing is recorded"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_is_killed_leaves_a_torn_recording_that_can_be_read() {
    let scratch = Scratch::new("record-killed");
    let path = scratch.path().join("world.twr");
    let name = path.display().to_string();
    let server = Serving::start(&[], &[("TICKWIRE_RECORD", &name)]);
    wait_for_bytes(&path, 1);
    let header = std::fs::metadata(&path).expect("a file").len();
    // The first block is written after two seconds.
    wait_for_bytes(&path, header + 1);
    server.signal("KILL");
    assert_eq!(server.ended(), None);
    let report = report(&[&name]);
    assert_eq!(report["ending"], "torn");
    assert_eq!(report["mismatches"], 0);
    assert!(report["frames"].as_u64() >= Some(60), "{report}");
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_closes_its_recording() {
    let scratch = Scratch::new("record-closed");
    let name = scratch.path().join("world.twr").display().to_string();
    let text = format!("record = '{name}'");
    let config = scratch.file("server.toml", &text);
    let server = Serving::start(&["--config", &config], &[]);
    // A reload does not stumble over the file that is being written.
    server.signal("HUP");
    server.line("reloaded");
    server.signal("TERM");
    let line = server.line("recorded");
    assert_eq!(server.ended(), Some(0));
    let report = report(&[&name]);
    assert_eq!(report["ending"], "clean");
    assert_eq!(report["frames"], line["frames"]);
    assert_eq!(report["dropped"], line["dropped"]);

    let again = [
        "serve",
        "--admin",
        "off",
        "--listen",
        "127.0.0.1:0",
        "--config",
        &config,
    ];
    let again = outcome(tickwire(again));
    assert_eq!(again.code, Some(1), "{again:?}");
    let said = format!("{config}:1: record = {name}");
    assert!(again.stderr.contains(&said), "{again:?}");
    assert!(again.stderr.contains("never overwrites"), "{again:?}");
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_refused_in_one_line() {
    let scratch = Scratch::new("record-refused");
    let text = scratch.file("notes.txt", "this is no recording, whatever its name");
    let missing = scratch.path().join("missing").join("world.twr");
    let missing = missing.display().to_string();
    let serve = [
        "serve",
        "--admin",
        "off",
        "--listen",
        "127.0.0.1:0",
        "--record",
        &missing,
    ];
    for (arguments, code, parts) in [
        (
            &["replay", &text][..],
            1,
            &[text.as_str(), "no recording"][..],
        ),
        (&["replay", &missing], 1, &[&missing, "No such file"]),
        (
            &["replay", &text, "--from", "9", "--to", "8"],
            2,
            &["--from 9", "8"],
        ),
        (&["replay"], 2, &["FILE"]),
        (&serve, 1, &["--record", &missing, "folder"]),
        (&["demo", "--record", &missing], 1, &[&missing, "folder"]),
        (
            &["demo", "--record", ""],
            2,
            &["--record", "name of a file"],
        ),
    ] {
        let outcome = outcome(tickwire(arguments));
        let shown = format!("{arguments:?}: {outcome:?}");
        assert_eq!(outcome.code, Some(code), "{shown}");
        assert_eq!(outcome.stdout, "", "{shown}");
        assert!(outcome.stderr.starts_with("tickwire: "), "{shown}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{shown}");
        for part in parts {
            assert!(outcome.stderr.contains(part), "{part:?} is not in {shown}");
        }
    }
}
