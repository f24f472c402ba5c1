//! Bytes that nobody honest sent: refused by name, bounded, and healed from.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{Replica, Schema, Snapshot, ViewConfig};
use tickwire::time::Tick;

use crate::bits;
use crate::drawn::Drawn;
use crate::schemas::drawn_sim;
use crate::sim::{CLEAR, Sim, seeds, view};
use crate::world::EVERY;

#[test]
fn hostile_bytes_are_refused_and_the_replica_heals() {
    for seed in seeds(4) {
        let mut sim = Sim::new(seed, 80, 1, view(300.0, 1_100), CLEAR);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut refused = BTreeMap::<&str, u32>::new();
        for _ in 0..60 {
            sim.step();
            let client = &mut sim.clients[0];
            let real: Vec<_> = client.down.iter().map(|(.., part)| part.clone()).collect();
            for _ in 0..40 {
                let part = forge(&mut rng, &real);
                if let Err(rejection) = client.replica.receive(&part) {
                    *refused.entry(rejection.name()).or_default() += 1;
                }
            }
            assert!(client.replica.snapshots().count() <= 64);
            assert!(
                client.replica.memory() < 2 << 20,
                "{} bytes",
                client.replica.memory()
            );
            // From here on nothing it holds can be compared: it believed a forger.
            client.down.clear();
        }
        println!("refused {refused:?}");
        assert!(refused.len() >= 8, "{refused:?}");
        // The client asks to start over, and the forger is gone. What is on the way from before is
        // void.
        let client = &mut sim.clients[0];
        client.view.reset();
        client.replica = Replica::new(Arc::clone(&sim.schema), EVERY);
        client.up.clear();
        sim.heals(view(300.0, 4_000));
    }
}

/// A forged snapshot far in the future makes every true part unknown; the resync it asks for brings
/// it back.
#[test]
fn a_replica_that_was_sent_far_away_comes_back_by_itself() {
    let mut sim = Sim::new(9, 80, 1, view(300.0, 1_100), CLEAR);
    sim.run(20);
    // Tick 0x7000_0001 without a baseline (five zero bits between the halves of the tick), all
    // slots, not done, nobody moves, and nobody is listed.
    let forged = bits("1000000000000000 00000 0000000000001110 1 0 0 0");
    let applied = sim.clients[0]
        .replica
        .receive(&forged)
        .expect("it is well made");
    assert_eq!(applied.tick, Tick(0x7000_0001));
    for _ in 0..60 {
        // Everything held is from a liar until the resync: it is not compared.
        let frame = sim.publish();
        let beat = sim.beat;
        sim.send(0, &frame);
        let client = &mut sim.clients[0];
        while let Some(next) = client
            .down
            .iter()
            .position(|(arrival, ..)| *arrival <= beat)
        {
            let (_, number, part) = client.down.swap_remove(next);
            let _ = client.replica.receive(&part);
            client.view.acked(number);
        }
        if client.replica.needs_resync() {
            client.view.reset();
        }
    }
    sim.heals(view(300.0, 4_000));
}

/// Worlds of any schema: what is refused leaves no trace, so that whatever true comes afterwards is as
/// if nothing had been; and of a liar that was believed nothing is left once the client starts over.
#[test]
fn forged_parts_of_any_schema_leave_no_trace() {
    let (mut refused, mut believed) = (BTreeMap::<&str, u32>::new(), 0);
    for seed in seeds(16) {
        let mut sim = drawn_sim(seed, taught(seed));
        sim.weather = CLEAR;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut honest: Vec<Vec<u8>> = Vec::new();
        for _ in 0..30 {
            let frame = sim.publish();
            sim.send(0, &frame);
            let client = &mut sim.clients[0];
            let new: Vec<_> = client
                .down
                .drain(..)
                .map(|(_, number, part)| (number, part))
                .collect();
            let real: Vec<_> = new.iter().map(|(_, part)| part.clone()).collect();
            for _ in 0..12 {
                let before = held(&client.replica);
                match client.replica.receive(&forge(&mut rng, &real)) {
                    Err(rejection) => {
                        *refused.entry(rejection.name()).or_default() += 1;
                        assert_eq!(held(&client.replica), before, "{rejection}");
                    }
                    Ok(_) => {
                        // Nobody can tell a lie that is well made. The next one meets a client that
                        // has only been told the truth.
                        believed += 1;
                        client.replica = Replica::new(Arc::clone(&sim.schema), EVERY);
                        for part in &honest {
                            let _ = client.replica.receive(part);
                        }
                    }
                }
            }
            for (number, part) in new {
                let told = client.replica.receive(&part);
                assert!(told.is_ok(), "seed {seed}: the truth is refused: {told:?}");
                client.view.acked(number);
                honest.push(part);
            }
            sim.check(0).expect("what it holds is true");
        }
        assert!(sim.clients[0].replica.memory() < 4 << 20);
        let config = *sim.clients[0].view.config();
        for client in &mut sim.clients {
            client.view.reset();
        }
        let client = &mut sim.clients[0];
        let _ = client.replica.receive(&forge(&mut rng, &honest));
        client.replica = Replica::new(Arc::clone(&sim.schema), EVERY);
        if seed.is_multiple_of(4) {
            sim.heals(ViewConfig {
                bytes_per_snapshot: 40_000,
                ..config
            });
        }
    }
    println!("refused {refused:?}, believed {believed}");
    assert!(refused.len() >= 10 || std::env::var_os("SEED").is_some());
}

/// Every other schema comes with tables that were learnt.
fn taught(seed: u64) -> impl FnOnce(&Drawn, Schema) -> Schema {
    move |_drawn, schema| {
        #[cfg(feature = "tools")]
        if seed.is_multiple_of(2) {
            return crate::schemas::learnt(_drawn, schema, seed);
        }
        let _ = seed;
        schema
    }
}

/// All that a replica holds: by tick, who, of what kind, as of when, and with which values.
type All = Vec<(Tick, Vec<(EntityId, u8, Tick, Vec<i32>)>)>;

fn held(replica: &Replica) -> All {
    let snapshots = replica.snapshots();
    let entities = |snapshot: &Snapshot| {
        let entities = snapshot.entities();
        entities
            .map(|of| (of.id, of.kind.0, of.as_of, of.values.to_vec()))
            .collect()
    };
    snapshots
        .map(|snapshot| (snapshot.tick(), entities(snapshot)))
        .collect()
}

/// Random bytes, or a real part with something changed.
fn forge(rng: &mut ChaCha8Rng, real: &[Vec<u8>]) -> Vec<u8> {
    if real.is_empty() || rng.random_bool(0.2) {
        let len = rng.random_range(0..1_200);
        return (0..len).map(|_| rng.random()).collect();
    }
    let mut part = real[rng.random_range(0..real.len())].clone();
    for _ in 0..rng.random_range(1..6) {
        match rng.random_range(0..5) {
            0 => part.truncate(rng.random_range(0..=part.len())),
            1 => part.push(rng.random()),
            _ if part.is_empty() => part.push(0),
            // The head decides most: it is hit as often as all the rest.
            2 => {
                let at = rng.random_range(0..part.len().min(8));
                part[at] ^= 1 << rng.random_range(0..8);
            }
            _ => {
                let at = rng.random_range(0..part.len());
                part[at] ^= 1 << rng.random_range(0..8);
            }
        }
    }
    part
}
