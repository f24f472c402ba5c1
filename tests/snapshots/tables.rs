//! Tables that nobody honest made, and ends that do not have the same ones.
//!
//! Whatever bytes are taken for tables must serve: what one end writes with them the other reads. What
//! one end writes with other tables than the other has is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::proto::snapshot::verify::check_replica;
use tickwire::proto::snapshot::{Replica, Schema, Tables, TablesError};

use crate::drawn::Drawn;
use crate::sim::{CLEAR, LATE, STORM, Sim, seeds, view};
use crate::wire;
use crate::world::{EVERY, World};

/// What tables begin with: eight bytes of every file, eight of the schema, two lags.
const HEAD: usize = 16;
const CODES: usize = HEAD + 2;

#[test]
fn bytes_that_are_no_tables_are_refused_by_name() {
    let (_, other) = Drawn::new(0);
    for seed in seeds(8) {
        let (_, schema) = Drawn::new(seed);
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let good = schema.tables().to_bytes();
        let read = |bytes: &[u8]| Tables::from_bytes(&schema, bytes);
        assert_eq!(read(&good).as_ref(), Ok(schema.tables()));
        assert!(matches!(
            Tables::from_bytes(&other, &good),
            Err(TablesError::Schema { .. })
        ));
        for _ in 0..16 {
            let len = rng.random_range(0..good.len());
            let cut = read(&good[..len]).expect_err("the end is missing");
            let wanted = if len < 8 {
                TablesError::Magic
            } else {
                TablesError::Truncated
            };
            assert_eq!(cut, wanted, "{len} bytes of {}", good.len());
            let noise: Vec<u8> = (0..len).map(|_| rng.random()).collect();
            assert_eq!(read(&noise), Err(TablesError::Magic));
            // Noise behind an honest beginning.
            let keep = rng.random_range(HEAD..good.len());
            let mut bytes = good[..keep].to_vec();
            bytes.extend(&noise);
            let _ = read(&bytes).map(|tables| serves(&schema, tables, seed));
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(read(&longer), Err(TablesError::TrailingBytes));
    }
}

/// A few bytes cannot promise more than there may be, and nothing is set aside for what they promise.
#[test]
fn promises_are_not_believed() {
    let (_, schema) = Drawn::new(3);
    let mut head = schema.tables().to_bytes();
    head.truncate(CODES);
    let read = |rest: &[u8]| Tables::from_bytes(&schema, &[&head, rest].concat());
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(matches!(read(&most), Err(TablesError::Damaged(_))));
    // 4096 codes, and one more.
    assert_eq!(read(&[0x80, 0x20]), Err(TablesError::Truncated));
    assert!(matches!(read(&[0x81, 0x20]), Err(TablesError::Damaged(_))));
    // A run of 257 lengths for 256 symbols.
    let run = [1, 255, 0x80, 0x02, 8];
    assert!(matches!(read(&run), Err(TablesError::Damaged(_))));
}

/// Byte by byte of tables that are written by hand: another value, and what is wrong with it.
#[test]
fn every_limit_of_the_file_is_held() {
    let schema = wire::schema();
    let good = wire::tables(&schema);
    assert!(Tables::from_bytes(&schema, &good).is_ok() && good.len() == 60);
    let alphabet = "a stream has a code for another alphabet";
    let lags = "the earlier ticks of a history are not in order";
    let twice = "a mask is named twice, or is none";
    for (at, value, fault) in [
        (16, 0, lags),
        (16, 2, lags),
        (17, 5, lags),
        (21, 3, "the lengths of a code's words make no code"),
        (21, 12, "the lengths of a code's words make no code"),
        (31, 64, "a run is longer than its list"),
        (40, 3, "the mode is a field that there is not"),
        (42, 5, "a piece counts levels in steps that there are not"),
        (46, 0, twice),
        (46, 4, twice),
        (52, 1, alphabet),
        (52, 3, alphabet),
        (53, 127, "a stream has more contexts than there are"),
        (54, 4, "a run is longer than its list"),
        (56, 0, alphabet),
        (56, 2, alphabet),
        (57, 65, "a stream has more contexts than there are"),
        (58, 1, alphabet),
        (58, 3, alphabet),
        (59, 2, "a stream has more contexts than there are"),
    ] {
        let mut bytes = good.clone();
        assert_ne!(bytes[at], value);
        bytes[at] = value;
        let read = Tables::from_bytes(&schema, &bytes);
        assert_eq!(read, Err(TablesError::Damaged(fault)), "{value} at {at}");
    }
}

#[test]
fn whatever_is_taken_for_tables_serves_both_ends() {
    let (mut taken, mut refused) = (0, BTreeMap::<String, u32>::new());
    for seed in seeds(12) {
        let (_, schema) = Drawn::new(seed);
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let good = schema.tables().to_bytes();
        let mut plays = 4;
        for _ in 0..50 {
            let mut bytes = good.clone();
            for _ in 0..rng.random_range(1..4) {
                spoil(rng, &mut bytes);
            }
            match Tables::from_bytes(&schema, &bytes) {
                Ok(tables) if plays > 0 && tables != *schema.tables() => {
                    (taken, plays) = (taken + 1, plays - 1);
                    serves(&schema, tables, seed);
                }
                Ok(_) => {}
                Err(error) => *refused.entry(error.to_string()).or_default() += 1,
            }
        }
    }
    println!("{taken} taken and played; refused: {refused:#?}");
    assert!((taken > 10 && refused.len() > 5) || std::env::var_os("SEED").is_some());
}

/// Changes some bytes of a file.
fn spoil(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let at = rng.random_range(HEAD..bytes.len());
    match rng.random_range(0..6) {
        0 => bytes[at] = rng.random(),
        1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => bytes[at] = bytes[at].wrapping_add(1),
        3 => bytes.swap(at, rng.random_range(HEAD..at + 1)),
        4 => {
            bytes.remove(at);
        }
        _ => bytes.insert(at, rng.random()),
    }
}

/// Tables that were taken are tables: they come back from their bytes, and a world is told with them.
fn serves(schema: &Schema, tables: Tables, seed: u64) {
    let again = Tables::from_bytes(schema, &tables.to_bytes());
    assert_eq!(again.as_ref(), Ok(&tables));
    assert_eq!(again.map(|again| again.hash()), Ok(tables.hash()));
    assert_ne!(tables.hash(), schema.tables().hash());
    let (drawn, _) = Drawn::new(seed);
    let world = World::with_rules(Some(drawn), seed, 12, 9);
    let schema = schema.clone().with_tables(tables).expect("of this schema");
    let schema = schema.with_max_entities(12).expect("few");
    let mut sim = Sim::of(
        seed,
        world,
        Arc::new(schema),
        2,
        view(1_000.0, 4_000),
        STORM,
    );
    sim.world.activity = 800;
    sim.run(24);
    sim.only_rejected(&LATE);
    assert!(sim.checked.entities > 0);
}

/// The codes of a file as the lengths of their words, and what comes before and after them.
struct File {
    codes: Vec<Vec<u8>>,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl File {
    fn read(bytes: &[u8]) -> Self {
        let mut at = CODES;
        let count = number(bytes, &mut at);
        let mut codes = Vec::new();
        for _ in 0..count {
            let symbols = usize::from(bytes[at]) + 1;
            at += 1;
            let mut lengths = Vec::new();
            while lengths.len() < symbols {
                let run = number(bytes, &mut at) + 1;
                lengths.extend(vec![bytes[at]; run]);
                at += 1;
            }
            codes.push(lengths);
        }
        Self {
            codes,
            head: bytes[..CODES].to_vec(),
            tail: bytes[at..].to_vec(),
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        push_number(&mut bytes, self.codes.len());
        for lengths in &self.codes {
            bytes.push((lengths.len() - 1) as u8);
            // Runs of one serve as well.
            bytes.extend(lengths.iter().flat_map(|length| [0, *length]));
        }
        bytes.extend(&self.tail);
        bytes
    }
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

fn push_number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Another complete code for the same symbols; `None` when there is only one symbol or none other.
fn changed(lengths: &[u8]) -> Option<Vec<u8>> {
    let mut changed = lengths.to_vec();
    let frequent = (0..changed.len()).min_by_key(|symbol| changed[*symbol])?;
    if let Some(rarer) = changed.iter().position(|of| *of != changed[frequent]) {
        changed.swap(frequent, rarer);
    } else if changed.len() >= 4 {
        changed[0] -= 1;
        changed[1] += 1;
        changed[2] += 1;
    } else {
        return None;
    }
    Some(changed)
}

/// What happens to parts when the client reads them with other tables than they were written with.
#[derive(Debug, Default)]
struct Noticed {
    refused: u32,
    mismatched: u32,
}

/// Feeds what a client was told to a replica of another schema, and holds that against the frames.
fn read_with(schema: &Arc<Schema>, sim: &Sim) -> Noticed {
    let mut replica = Replica::new(Arc::clone(schema), EVERY);
    let mut noticed = Noticed::default();
    let client = &sim.clients[0];
    let written = sim.written.iter().flatten();
    for (_, part) in written.filter(|(of, _)| *of == 0) {
        match replica.receive(part) {
            Ok(applied) => {
                let snapshot = replica.snapshot(applied.tick).expect("just applied");
                let frames = |tick| sim.frames.get(&tick).cloned();
                let found = check_replica(snapshot, frames, client.slot, client.view.config());
                noticed.mismatched += u32::from(found.is_err());
            }
            Err(_) => noticed.refused += 1,
        }
    }
    noticed
}

/// The canary of all the others: they can only fail if ends that do not agree are found out.
#[test]
fn a_client_with_one_other_code_is_found_out() {
    let mut sim = Sim::new(11, 50, 1, view(1_000.0, 8_000), CLEAR);
    sim.world.activity = 700;
    sim.written = Some(Vec::new());
    sim.run(36);
    let same = read_with(&sim.schema, &sim);
    assert_eq!((same.refused, same.mismatched), (0, 0), "{same:?}");

    let file = File::read(&sim.schema.tables().to_bytes());
    let (mut found, mut by_value, mut unused) = (0, 0, 0);
    for index in 0..file.codes.len() {
        let Some(other) = changed(&file.codes[index]) else {
            continue;
        };
        let mut codes = file.codes.clone();
        codes[index] = other;
        let bytes = File {
            codes,
            head: file.head.clone(),
            tail: file.tail.clone(),
        };
        let schema = Schema::clone(&sim.schema);
        let tables = Tables::from_bytes(&schema, &bytes.write()).expect("a complete code");
        let schema = Arc::new(schema.with_tables(tables).expect("of this schema"));
        assert_ne!(schema.hash(), sim.schema.hash(), "the handshake sees it");
        let noticed = read_with(&schema, &sim);
        by_value += u32::from(noticed.mismatched > 0);
        // A code whose contexts never came is no difference.
        if noticed.refused + noticed.mismatched > 0 {
            found += 1;
        } else {
            unused += 1;
        }
    }
    println!("{found} noticed, {by_value} of them by a value; {unused} made no difference");
    assert!(found > 20 && by_value > 3);
}
