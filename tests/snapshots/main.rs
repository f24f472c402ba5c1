//! The replica is the world, whatever the network does.
//!
//! A random world, several clients, and a link per client that loses, doubles, delays and reorders
//! datagrams and acknowledgements and falls silent for longer than the history. After every part
//! that arrives the replica is held against the frames by `verify`, and against a plain copy of the
//! world that was kept aside. `SEED=n cargo test --test snapshots` replays one seed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it found"
)]

mod drawn;
mod hostile;
mod large;
mod owner;
mod schemas;
mod sim;
mod tables;
mod wire;
mod world;

use std::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use sim::{CLEAR, LATE, STORM, Sim, Weather, seeds, view};
use tickwire::id::EntityId;
use tickwire::proto::snapshot::verify::{Mismatch, check_replica};
use tickwire::proto::snapshot::{
    FrameBuilder, FrameConfig, FrameHistory, MAX_AGE, Relevance, Snapshot, Team, ViewConfig,
    Viewpoint,
};
use tickwire::time::Tick;
use world::EVERY;

#[test]
fn the_replica_is_the_world_in_any_weather() {
    for seed in seeds(24) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let entities = [1, 3, 40, 80, 150, 150, 300, 300][rng.random_range(0..8)];
        let bytes = [256, 700, 1_100, 4_000][rng.random_range(0..4)];
        let weather = Weather {
            loss: rng.random_range(0.0..0.5),
            double: rng.random_range(0.0..0.3),
            delay: (1, rng.random_range(1..14)),
        };
        let radius = rng.random_range(30.0..400.0);
        let mut sim = Sim::new(seed, entities, 4, view(radius, bytes), weather);
        sim.world.activity = [5, 100, 900][rng.random_range(0..3)];
        sim.partial = seed % 4 != 0;
        sim.room = [(1_100, 1_100), (80, 400), (300, 1_200)][rng.random_range(0..3)];
        sim.run(120);
        sim.heals(view(radius, 40_000));
        sim.only_rejected(&LATE);
        assert!(sim.checked.entities > 0 || entities < 40);
    }
}

#[test]
fn two_thousand_entities_come_in_many_parts() {
    for seed in seeds(2) {
        let mut sim = Sim::new(seed, 2_000, 2, view(1_000.0, 9_000), STORM);
        sim.world.activity = 150;
        sim.run(40);
        assert!(sim.multi > 20, "{} snapshots of several parts", sim.multi);
        sim.heals(view(1_000.0, 40_000));
        sim.only_rejected(&LATE);
    }
}

#[test]
fn a_silence_longer_than_the_history_ends_well() {
    for seed in seeds(3) {
        let mut sim = Sim::new(seed, 120, 3, view(150.0, 1_100), STORM);
        sim.run(30);
        let beat = sim.beat;
        sim.clients[0].silent = (beat + 40, 0);
        sim.clients[1].silent = (0, beat + 40);
        sim.clients[2].silent = (beat + 90, beat + 90);
        sim.run(120);
        sim.only_rejected(&LATE);
        sim.heals(view(150.0, 4_000));
    }
}

/// More datagrams than can be accounted for go into the silence; and what comes back speaks of some
/// ranges only.
#[test]
fn a_silence_in_the_middle_of_many_parts_ends_well() {
    for seed in seeds(2) {
        let mut sim = Sim::new(seed, 500, 2, view(1_000.0, 5_000), STORM);
        sim.run(30);
        let beat = sim.beat;
        sim.clients[0].silent = (beat + 25, beat + 20);
        sim.clients[1].silent = (0, beat + 50);
        sim.run(70);
        sim.only_rejected(&LATE);
        sim.heals(view(1_000.0, 20_000));
    }
}

#[test]
fn a_tight_budget_is_late_and_never_wrong_and_nobody_starves() {
    for seed in seeds(3) {
        let mut sim = Sim::new(seed, 200, 2, view(1_000.0, 256), CLEAR);
        sim.world.activity = 900;
        sim.run(300);
        assert!(sim.checked.stale > 0, "the budget was tight");
        let tick = Tick(sim.beat * EVERY);
        for client in &sim.clients {
            let newest = client.replica.newest().expect("it was told something");
            let oldest = newest
                .entities()
                .map(|entity| tick.since(entity.as_of))
                .max();
            println!(
                "{} of 200 known, the oldest value {oldest:?} ticks old",
                newest.len()
            );
            let then = &sim.plain[&tick.minus(60 * EVERY)];
            for (slot, thing) in sim.world.things.iter().enumerate() {
                let (Some(thing), Some((generation, ..))) = (thing, &then[slot]) else {
                    continue;
                };
                let known = newest
                    .entity(slot as u16)
                    .map(|entity| entity.id.generation);
                if thing.generation == *generation {
                    assert_eq!(
                        known,
                        Some(*generation),
                        "slot {slot} has waited for 60 snapshots"
                    );
                }
            }
            assert!(oldest < Some(60 * EVERY), "nobody is forgotten");
        }
        // The world stands still: everything is told in the end, within the same budget.
        sim.world.activity = 0;
        sim.world.wanted = 0;
        for client in &mut sim.clients {
            client.center = [0.0; 3];
        }
        sim.heals(view(1_000.0, 256));
    }
}

/// A value that was deferred until it left the history cannot be the start of a delta any more.
#[test]
fn a_value_older_than_the_history_is_told_from_nothing() {
    for seed in seeds(2) {
        let mut sim = Sim::new(seed, 500, 1, view(1_000.0, 20_000), CLEAR);
        sim.world.activity = 900;
        sim.run(20);
        sim.clients[0].view.configure(view(1_000.0, 256));
        let (mut oldest, mut returned) = (0, 0);
        let mut ages = BTreeMap::new();
        for _ in 0..200 {
            sim.step();
            let newest = sim.clients[0]
                .replica
                .newest()
                .expect("it was told something");
            for entity in newest.entities() {
                let age = newest.tick().since(entity.as_of);
                oldest = oldest.max(age);
                let before = ages.insert(entity.id, age);
                returned += u32::from(age == 0 && before > Some(MAX_AGE * EVERY));
            }
        }
        println!("the oldest value was {oldest} ticks old, {returned} came back from beyond");
        assert!(returned > 20);
        sim.heals(view(1_000.0, 20_000));
        sim.only_rejected(&LATE);
    }
}

#[test]
fn memory_goes_in_a_circle() {
    for seed in seeds(2) {
        let mut sim = Sim::new(seed, 150, 3, view(150.0, 1_100), STORM);
        sim.keep = false;
        sim.run(200);
        sim.only_rejected(&LATE);
    }
}

#[test]
fn clients_that_hold_the_same_tick_share_one_encoding() {
    let mut sim = Sim::new(1, 300, 40, view(120.0, 1_100), CLEAR);
    sim.run(40);
    let frames = sim.frames.values().rev().take(20);
    for frame in frames {
        let stats = frame.cohort_stats();
        // One cohort: those whose whole history is known, and the others one by one.
        assert_eq!(stats.built, 1, "tick {}: {stats:?}", frame.tick());
        let entities = frame.len() as u32;
        assert!(
            stats.plain <= entities && stats.absolute <= entities,
            "{stats:?}"
        );
    }
    assert!(
        sim.clients
            .iter()
            .all(|client| client.view.stats().alone == 0)
    );
}

#[test]
fn cohorts_stay_few_in_bad_weather() {
    let weather = Weather {
        loss: 0.2,
        double: 0.0,
        delay: (4, 9),
    };
    let mut sim = Sim::new(2, 100, 60, view(100.0, 1_100), weather);
    sim.run(60);
    let built = sim
        .frames
        .values()
        .rev()
        .take(20)
        .map(|frame| frame.cohort_stats().built);
    let built: Vec<_> = built.collect();
    let alone: u64 = sim
        .clients
        .iter()
        .map(|client| client.view.stats().alone)
        .sum();
    println!("cohorts {built:?}, {alone} parts alone of {}", sim.parts);
    assert!(built.iter().all(|built| *built <= 8));
    assert!(alone * 20 < sim.parts);
}

#[test]
fn a_client_costs_the_server_little() {
    let mut sim = Sim::new(3, 1_000, 3, view(96.0, 1_100), CLEAR);
    sim.world.activity = 300;
    sim.run(80);
    for client in &sim.clients {
        let seen = client.replica.newest().map_or(0, Snapshot::len);
        let stats = client.view.stats();
        println!(
            "{seen} visible: {} bytes of memory, {} bytes a snapshot",
            client.view.memory(),
            stats.bytes / stats.parts
        );
        assert!(client.view.memory() <= 4 * 1_024);
    }
}

/// A slot that is used again between two snapshots, with the same kind and the very same values.
#[test]
fn a_reused_slot_is_somebody_else_whatever_is_lost() {
    for seed in seeds(6) {
        let mut sim = Sim::new(seed, 12, 2, view(1_000.0, 1_100), STORM);
        sim.world.activity = 0;
        for beat in 0..150_u32 {
            let slot = (beat % 13) as usize;
            let next = sim.world.generations[slot].wrapping_add(1);
            if let Some(thing) = &mut sim.world.things[slot] {
                thing.generation = next;
                sim.world.generations[slot] = next;
            }
            sim.step();
        }
        sim.heals(view(1_000.0, 1_100));
        sim.only_rejected(&LATE);
    }
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let mut sim = Sim::new(5, 60, 1, view(200.0, 4_000), CLEAR);
    sim.run(40);
    let client = &sim.clients[0];
    let snapshot = client.replica.newest().expect("it was told something");
    assert!(snapshot.is_complete() && !snapshot.is_empty());
    let check = |snapshot: &Snapshot, config: &ViewConfig| {
        let frames = |tick| sim.frames.get(&tick).cloned();
        check_replica(snapshot, frames, client.slot, config)
    };
    let config = client.view.config();
    let found = check(snapshot, config).expect("nothing is wrong yet");
    assert_eq!(found.entities, snapshot.len());

    let victim = snapshot.entities().next().expect("there is one");
    let mut wrong = snapshot.clone();
    assert!(wrong.corrupt(victim.id, 1, victim.values[1] + 1));
    let mismatch = check(&wrong, config).expect_err("a value is wrong");
    assert!(mismatch.to_string().contains("field `y`"), "{mismatch}");
    assert!(
        mismatch.to_string().contains(&victim.id.to_string()),
        "{mismatch}"
    );

    let mut wrong = snapshot.clone();
    let near = |id: EntityId| {
        let frame = &sim.frames[&snapshot.tick()];
        let row = frame.entity(id.slot).expect("it is there");
        let square = |axis: usize| (row.position[axis] - client.center[axis]).powi(2);
        square(0) + square(1) + square(2) < 199.0 * 199.0
    };
    let victim = snapshot
        .entities()
        .map(|entity| entity.id)
        .find(|id| near(*id));
    assert!(wrong.omit(victim.expect("somebody is near")));
    assert!(matches!(
        check(&wrong, config),
        Err(Mismatch::Missing { .. })
    ));

    let short_sighted = view(1.0, 4_000);
    assert!(matches!(
        check(snapshot, &short_sighted),
        Err(Mismatch::Unseen { .. })
    ));

    // An encoder that misses a change: the world of the next tick under the replica of this one.
    let before = client
        .replica
        .snapshot(snapshot.tick().minus(EVERY))
        .expect("kept");
    let frames = |_| sim.frames.get(&snapshot.tick()).cloned();
    assert!(check_replica(before, frames, client.slot, config).is_err());
}

/// The very same world, in which the game says something else of one entity.
#[test]
fn the_checker_sees_who_should_be_hidden_and_who_shown() {
    let mut sim = Sim::new(6, 60, 1, view(150.0, 4_000), CLEAR);
    sim.run(40);
    let client = &sim.clients[0];
    let snapshot = client.replica.newest().expect("it was told something");
    let truth = &sim.frames[&snapshot.tick()];
    let check = |say: &dyn Fn(&mut FrameBuilder)| {
        let mut history =
            FrameHistory::new(sim.schema.clone(), FrameConfig::default()).expect("a valid config");
        let mut builder = history.begin(snapshot.tick()).expect("the first");
        for row in truth.iter() {
            let put = builder.put(row.id, row.kind, row.position, row.values);
            put.expect("as it was");
        }
        builder.view(client.slot, Viewpoint::at(client.center).of_team(Team(1)));
        say(&mut builder);
        let frame = history.publish(builder);
        let frames = |_| Some(frame.clone());
        check_replica(snapshot, frames, client.slot, client.view.config())
    };
    let far = truth.iter().find(|row| snapshot.get(row.id).is_none());
    let far = far.expect("somebody is far").id;
    let avatar = client.always;
    let mut held = snapshot.entities().map(|held| held.id);
    let near = held.find(|id| Some(*id) != avatar);
    let near = near.expect("somebody is near");
    let relevant = |id, everyone, team, team_only| {
        check(&|builder| {
            builder.relevance(
                id,
                Relevance {
                    everyone,
                    team,
                    team_only,
                },
            );
            if let Some(avatar) = avatar {
                builder.show(client.slot, avatar);
            }
        })
    };
    let missing = |result| matches!(result, Err(Mismatch::Missing { entity, .. }) if entity == far);
    let unseen = |result| matches!(result, Err(Mismatch::Unseen { entity, .. }) if entity == near);
    let (ours, others) = (Some(Team(1)), Some(Team(2)));
    assert!(relevant(far, false, others, None).is_ok());
    assert!(relevant(near, true, others, ours).is_ok());
    assert!(missing(relevant(far, true, None, None)));
    assert!(missing(relevant(far, false, ours, None)));
    assert!(unseen(relevant(near, true, ours, others)));
    assert!(missing(check(&|builder| builder.show(client.slot, far))));
    assert!(unseen(check(&|builder| {
        builder.show(client.slot, near);
        builder.hide(client.slot, near);
    })));
}

/// Bits in the order of the wire, lowest of the first byte first.
fn bits(text: &str) -> Vec<u8> {
    let bits: Vec<_> = text
        .chars()
        .filter(|bit| *bit != ' ')
        .map(|bit| u8::from(bit == '1'))
        .collect();
    bits.chunks(8)
        .map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | bit))
        .collect()
}
