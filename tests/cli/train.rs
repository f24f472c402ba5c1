//! `tickwire train`, and what `--tables` makes of its file.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tickwire::game::recording::Header;
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema,
};
use tickwire::recording::RecordingWriter;
use tickwire::time::{Tick, TickRate};

#[cfg(unix)]
use crate::kit::Serving;
use crate::kit::{Scratch, outcome, tickwire};
use crate::refusals::refused;

/// The fields that scripts read.
const FIELDS: &[&str] = &["snapshots", "table_bytes", "hash", "of_built_in", "shares"];

fn name(path: &Path) -> String {
    path.to_str().expect("plain letters").to_owned()
}

/// Runs a command that must go well, and reads the one object it prints.
fn report(arguments: &[&str]) -> Value {
    let outcome = outcome(tickwire(arguments));
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    serde_json::from_str(&outcome.stdout).expect("one object")
}

/// A recorded demo of a few bots: its path.
fn recorded(scratch: &Scratch) -> String {
    let path = name(&scratch.path().join("world.twr"));
    let length = ["--bots", "4", "--seconds", "2"];
    report(&[&["demo"], &length[..], &["--json", "--record", &path]].concat());
    path
}

/// A recording of a game that is not the arena: so many frames, each with so many balls.
fn of_another_game(scratch: &Scratch, file: &str, frames: u32, balls: u16) -> String {
    let x = Field::new("x", Quantity::Unsigned { bits: 16 }, Blend::Linear);
    let schema = Arc::new(Schema::new(vec![Kind::new("ball", vec![x])]).expect("valid"));
    let mut history =
        FrameHistory::new(Arc::clone(&schema), FrameConfig::default()).expect("valid");
    let header = Header::new(schema, TickRate::HZ_60, 2);
    let mut writer = RecordingWriter::new(Vec::new(), header).expect("memory");
    for frame in 1..=frames {
        let mut builder = history.begin(Tick(frame * 2)).expect("in order");
        for slot in 0..balls {
            let id = EntityId {
                slot,
                generation: 0,
            };
            let x = (frame * 7) as i32;
            builder.put(id, KindId(0), [0.0; 3], &[x]).expect("valid");
        }
        writer.push(&history.publish(builder)).expect("memory");
    }
    let (bytes, _) = writer.finish().expect("memory");
    let path = scratch.path().join(file);
    std::fs::write(&path, bytes).expect("a file");
    name(&path)
}

/// The beginning of a file under another name.
fn beginning(scratch: &Scratch, of: &str, file: &str, keep: impl Fn(usize) -> usize) -> String {
    let bytes = std::fs::read(of).expect("a file");
    let path = scratch.path().join(file);
    std::fs::write(&path, &bytes[..keep(bytes.len())]).expect("a file");
    name(&path)
}

#[test]
fn what_was_learnt_serves_the_demo_the_server_and_the_bots() {
    let scratch = Scratch::new("train");
    let world = recorded(&scratch);
    let tables = name(&scratch.path().join("arena.tables"));
    let learnt = report(&["train", &world, "--out", &tables, "--json"]);
    let object = learnt.as_object().expect("an object");
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    let mut expected = FIELDS.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let bytes = std::fs::metadata(&tables).expect("it was written").len();
    assert_eq!(learnt["table_bytes"], bytes);
    assert!(learnt["snapshots"].as_u64() >= Some(50), "{learnt}");
    // It is judged on what it learnt from: more than with tables for any game would be a bug.
    assert!(learnt["of_built_in"].as_f64() < Some(1.0), "{learnt}");
    let shares = learnt["shares"].as_array().expect("a list");
    let all: f64 = shares.iter().filter_map(|of| of["share"].as_f64()).sum();
    assert!((all - 1.0).abs() < 0.01, "{learnt}");

    // The same recording teaches the same; and for people.
    let again = name(&scratch.path().join("again.tables"));
    let page = outcome(tickwire(["train", &world, "--out", &again]));
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""), "{page:?}");
    let hash = learnt["hash"].as_str().expect("text");
    assert!(page.stdout.contains(hash), "{page:?}");
    let read = |path: &str| std::fs::read(path).expect("a file");
    assert_eq!(read(&tables), read(&again));

    let short = ["demo", "--bots", "4", "--seconds", "1", "--json"];
    let played = report(&[&short[..], &["--tables", &tables]].concat());
    assert_eq!(played["connected"], 4);
    assert_eq!(played["replica"]["mismatches"], 0);
    assert!(played["replica"]["checked"].as_u64() > Some(0), "{played}");

    // A recording that was cut teaches what is left of it.
    let torn = beginning(&scratch, &world, "torn.twr", |len| len - 40);
    let rest = name(&scratch.path().join("rest.tables"));
    let rest = outcome(tickwire(["train", &torn, "--out", &rest]));
    assert_eq!(rest.code, Some(0), "{rest:?}");

    #[cfg(unix)]
    only_equals_meet(&tables);
}

/// A server with learnt tables takes bots that have the same, and refuses others by name; and the
/// other way round.
#[cfg(unix)]
fn only_equals_meet(tables: &str) {
    let with = &["--tables", tables][..];
    for (server, equal, other) in [(with, with, &[][..]), (&[], &[], with)] {
        let server = Serving::start(server, &[]);
        let listen = server.listen.to_string();
        let url = format!("http://{}/connect-token", server.admin);
        let bots = ["bots", "--clients", "3", "--seconds", "1", "--json"];
        let to = ["--server", &listen, "--token-url", &url];
        let bots = [&bots[..], &to].concat();
        let joined = report(&[&bots[..], equal].concat());
        assert_eq!(joined["joined"], 3, "{joined}");
        let parts = ["no bot got into", "wrong_schema", "for 3"];
        // They say who plays while they try: the last line is the refusal.
        let outcome = outcome(tickwire([&bots[..], other].concat()));
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
        for part in parts {
            assert!(last.contains(part), "{part:?} is not in {outcome:?}");
        }
    }
}

#[test]
fn what_teaches_nothing_is_refused_in_one_line() {
    let scratch = Scratch::new("train-refused");
    let out = name(&scratch.path().join("new.tables"));
    let world = recorded(&scratch);
    let text = scratch.file("notes.txt", "this is no recording, whatever its name");
    let nothing = scratch.file("nothing.twr", "");
    let missing = name(&scratch.path().join("missing").join("world.twr"));
    let head = beginning(&scratch, &world, "head.twr", |_| 40);
    let other = of_another_game(&scratch, "other.twr", 40, 3);
    let short = of_another_game(&scratch, "short.twr", 31, 3);
    let closed = of_another_game(&scratch, "closed.twr", 0, 0);
    let deserted = of_another_game(&scratch, "deserted.twr", 40, 0);
    let spoiled = beginning(&scratch, &world, "spoiled.twr", |len| len);
    let mut bytes = std::fs::read(&spoiled).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&spoiled, bytes).expect("a file");

    let few = &["nothing was learnt", "at least 32 snapshots"];
    for (files, parts) in [
        (&[&missing][..], &[missing.as_str(), "No such file"][..]),
        (&[&text], &[&text, "no recording"]),
        (&[&nothing], &[&nothing, "no recording"]),
        (&[&head], &[&head, "end too early"]),
        (&[&spoiled], &[&spoiled, "checksum"]),
        (&[&short], few),
        (&[&closed], few),
        (&[&deserted], &["nothing was learnt", "no entity"]),
        (&[&world, &other], &[&other, "another game", &world]),
    ] {
        let files = files.iter().map(|file| file.as_str());
        let arguments: Vec<_> = ["train", "--out", &out].into_iter().chain(files).collect();
        refused(&arguments, &[], 1, parts);
        assert!(!Path::new(&out).exists(), "nothing is left behind");
    }

    // What is there stays there.
    let said = format!("--out {text}");
    let parts = [said.as_str(), "exists", "new file"];
    refused(&["train", &world, "--out", &text], &[], 1, &parts);
    let kept = std::fs::read_to_string(&text).expect("a file");
    assert!(kept.starts_with("this is no recording"));
    let parts = ["--out", &missing, "No such file"];
    refused(&["train", &world, "--out", &missing], &[], 1, &parts);
    refused(&["train", &world], &[], 2, &["--out"]);
    refused(&["train", "--out", &out], &[], 2, &["FILE"]);
    refused(&["train", &world, "--out", ""], &[], 2, &["--out", "file"]);
}

#[test]
fn what_is_no_tables_for_the_arena_is_refused_wherever_it_is_named() {
    let scratch = Scratch::new("tables-refused");
    let other = of_another_game(&scratch, "other.twr", 40, 3);
    let tables = name(&scratch.path().join("other.tables"));
    report(&["train", &other, "--out", &tables, "--json"]);
    let text = scratch.file("notes.txt", "no tables");
    let missing = name(&scratch.path().join("missing"));
    let cut = beginning(&scratch, &tables, "cut.tables", |_| 12);
    // Sparse: it takes no room, and would take 17 MiB of memory to read.
    let long = scratch.file("long.tables", "");
    let sparse = std::fs::File::options().write(true).open(&long);
    sparse.and_then(|file| file.set_len(17 << 20)).expect("set");
    let serve = ["serve", "--admin", "off", "--listen", "127.0.0.1:0"];
    for (file, part) in [
        (&long, "longer than 16 MiB"),
        (&tables, "made for another schema"),
        (&text, "these are no tables"),
        (&missing, "No such file"),
        (&cut, "end in the middle"),
    ] {
        let said = format!("--tables {file}");
        for command in [&serve[..], &["demo", "--seconds", "1"], &["bots"]] {
            let arguments = [command, &["--tables", file]].concat();
            refused(&arguments, &[], 1, &[&said, part]);
        }
        refused(&serve, &[("TICKWIRE_TABLES", file)], 1, &[file, part]);
    }
    refused(&["demo", "--tables", ""], &[], 2, &["--tables", "file"]);
}
