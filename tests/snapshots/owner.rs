//! What only an entity's owner is told: true for the owner, zero for everybody else, and no trace of it
//! in anything that others are sent, while entities change hands and datagrams are lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::verify::{Mismatch, check_replica};
use tickwire::proto::snapshot::{
    Blend, ClientView, Entity, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Rejection,
    Replica, Schema, Scratch, Snapshot, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

use crate::sim::{CLEAR, LATE, STORM, Sim, Weather, seeds, view};
use crate::world::EVERY;

#[test]
fn owners_know_and_others_do_not_in_any_weather() {
    let mut known = 0;
    for seed in seeds(16) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let weather = Weather {
            loss: rng.random_range(0.0..0.5),
            double: rng.random_range(0.0..0.3),
            delay: (1, rng.random_range(1..14)),
        };
        let bytes = [256, 700, 1_100, 4_000][rng.random_range(0..4)];
        let entities = [2, 40, 150, 300][rng.random_range(0..4)];
        let radius = rng.random_range(30.0..400.0);
        let secrets = (seed, rng.random_range(0..1_000_000));
        let mut sim = Sim::with_secrets(secrets, entities, 4, view(radius, bytes), weather);
        sim.world.activity = [5, 100, 900][rng.random_range(0..3)];
        sim.hands = (
            [0.02, 0.1, 0.5][rng.random_range(0..3)],
            [3, 12][rng.random_range(0..2)].min(entities),
        );
        sim.room = [(1_100, 1_100), (80, 400), (300, 1_200)][rng.random_range(0..3)];
        sim.partial = rng.random_bool(0.5);
        sim.run(120);
        sim.hands.0 = 0.1;
        sim.heals(view(radius, 40_000));
        sim.only_rejected(&LATE);
        for client in &sim.clients {
            let newest = client.replica.newest().expect("it was told something");
            let own = client.always.and_then(|own| newest.get(own));
            known += u32::from(own.is_some_and(|own| own.kind.0 != 1));
        }
    }
    assert!(known > 8, "{known} clients owned somebody with secrets");
}

#[test]
fn two_thousand_secrets_come_in_many_parts() {
    for seed in seeds(2) {
        let mut sim = Sim::with_secrets((seed, 77), 2_000, 2, view(1_000.0, 9_000), STORM);
        sim.hands = (0.2, 2_000);
        sim.run(40);
        assert!(sim.multi > 20, "{} snapshots of several parts", sim.multi);
        sim.heals(view(1_000.0, 40_000));
        sim.only_rejected(&LATE);
    }
}

/// Two worlds that differ in nothing but what only owners are told: a client that owns nobody is sent
/// the same bytes.
#[test]
fn what_others_are_sent_does_not_depend_on_secrets() {
    for seed in seeds(4) {
        let sent = |key: i32, owner: bool| {
            let mut sim = Sim::with_secrets((seed, key), 150, 2, view(200.0, 1_100), STORM);
            sim.hands.0 = 0.0;
            sim.keep_sent = true;
            for _ in 0..80 {
                if owner {
                    let walker = |slot: &usize| sim.world.kind(*slot) == Some(0);
                    let slot = (0..150).find(walker).expect("somebody walks");
                    sim.clients[0].always = sim.world.id(slot);
                }
                sim.step();
            }
            sim.clients
                .into_iter()
                .map(|client| client.sent)
                .collect::<Vec<_>>()
        };
        let (one, other) = (sent(0x1234, false), sent(0x0F0F, false));
        assert!(one[0].len() >= 80);
        assert!(
            one == other,
            "seed {seed}: a secret is in what others are sent"
        );
        // The owner is sent something else, and its neighbour is not.
        let (one, other) = (sent(0x1234, true), sent(0x0F0F, true));
        assert!(
            one[0] != other[0],
            "seed {seed}: owners are told of their own"
        );
        assert!(one[1] == other[1], "seed {seed}: and nobody else is");
    }
}

/// A quiet world: what an owner holds is not told again, and a change of it is told at once.
#[test]
fn an_owner_is_told_what_is_new_and_no_more() {
    let mut sim = Sim::with_secrets((1, 5), 40, 1, view(1_000.0, 1_100), CLEAR);
    sim.hands.0 = 0.0;
    sim.world.activity = 0;
    sim.keep_sent = true;
    let slot = (0..sim.world.things.len()).find(|slot| sim.world.kind(*slot) == Some(0));
    let slot = slot.expect("somebody walks");
    sim.run(60);
    let quiet = sim.clients[0].sent.last().map(Vec::len).expect("sent");
    sim.clients[0].always = sim.world.id(slot);
    sim.run(60);
    let owning = sim.clients[0].sent.last().map(Vec::len).expect("sent");
    println!("{quiet} bytes of a world at rest, {owning} with an entity of one's own");
    assert!(
        owning <= quiet + 1,
        "two flags and one for each of two fields"
    );
    let thing = sim.world.things[slot].as_mut().expect("it is there");
    thing.values[5] = 99;
    sim.run(5);
    let newest = sim.clients[0].replica.newest().expect("told");
    let own = newest.entity(slot as u16).expect("its own");
    assert_eq!(own.values[5], 99);
    // It is somebody else's now.
    sim.clients[0].always = None;
    sim.run(5);
    let newest = sim.clients[0].replica.newest().expect("told");
    assert_eq!(
        newest.entity(slot as u16).expect("near").values[5..],
        [0, 0]
    );
}

#[test]
fn the_checker_sees_a_secret_that_is_out_and_one_that_is_missing() {
    let mut sim = Sim::with_secrets((3, 9), 60, 1, view(300.0, 4_000), CLEAR);
    sim.hands.0 = 0.0;
    let walkers = |sim: &Sim| -> Vec<EntityId> {
        let frame = sim.frames.values().last().expect("published");
        frame
            .iter()
            .filter(|row| row.kind.0 == 0)
            .map(|row| row.id)
            .collect()
    };
    sim.step();
    let own = walkers(&sim)[0];
    sim.world.activity = 0;
    sim.clients[0].always = Some(own);
    sim.run(30);
    let client = &sim.clients[0];
    let snapshot = client.replica.newest().expect("told");
    let check = |snapshot: &Snapshot| {
        let frames = |tick| sim.frames.get(&tick).cloned();
        check_replica(snapshot, frames, client.slot, client.view.config())
    };
    assert!(check(snapshot).is_ok());
    let truth = |id: EntityId| {
        sim.frames[&snapshot.tick()]
            .entity(id.slot)
            .expect("there")
            .values[5]
    };
    for (id, value) in [(own, 0), (walkers(&sim)[1], truth(walkers(&sim)[1]))] {
        let mut wrong = snapshot.clone();
        assert!(wrong.corrupt(id, 5, value), "it is another value");
        match check(&wrong).expect_err("a secret is wrong") {
            Mismatch::Value { entity, field, .. } => {
                assert_eq!((entity, field.as_str()), (id, "ammo"));
            }
            other => panic!("{other}"),
        }
    }
}

/// A section may name only what its part tells, and an own entity only if there was one.
#[test]
fn a_section_of_somebody_else_is_refused() {
    let mut sim = Sim::with_secrets((4, 9), 30, 1, view(1_000.0, 4_000), CLEAR);
    sim.hands.0 = 0.0;
    sim.keep_sent = true;
    sim.step();
    let part = sim.clients[0].sent[0].clone();
    let fresh = || Replica::new(Arc::clone(&sim.schema), EVERY);
    assert!(fresh().receive(&part).is_ok());
    // The section is the last bit that is not padding, and it is zero: whatever follows names a slot.
    let mut refused = BTreeSet::new();
    for bit in 0..8 {
        for slot in 0..40_u32 {
            let mut forged = part.clone();
            let last = forged.len() - 1;
            forged[last] = forged[last] & ((1 << bit) - 1) | 1 << bit;
            let tail = u64::from(slot) << (bit + 1) | u64::from(forged[last]);
            forged.truncate(last);
            forged.extend(&tail.to_le_bytes()[..2 + usize::from(bit > 2)]);
            if let Err(rejection) = fresh().receive(&forged) {
                refused.insert(rejection.name());
            }
        }
    }
    assert!(refused.contains(Rejection::Own.name()), "{refused:?}");
}

/// Parts of an owner with some of their bits turned: refused, or of one owned entity at most, with values
/// that its fields can have.
#[test]
fn turned_bits_are_refused_or_mean_something() {
    let mut refused = BTreeSet::new();
    for seed in seeds(2) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sim = Sim::with_secrets((seed, 3), 30, 1, view(1_000.0, 4_000), CLEAR);
        sim.hands = (0.2, 30);
        sim.keep_sent = true;
        for _ in 0..40 {
            sim.step();
            let sent = &sim.clients[0].sent;
            let (part, before) = sent.split_last().expect("sent");
            let fresh = || {
                let mut replica = Replica::new(Arc::clone(&sim.schema), EVERY);
                for part in before {
                    replica.receive(part).expect("it is well made");
                }
                replica
            };
            let mut replica = fresh();
            for _ in 0..20 {
                let mut turned = part.clone();
                let from_end = rng.random_range(0..turned.len().min(6));
                let byte = turned.len() - 1 - from_end;
                turned[byte] ^= 1 << rng.random_range(0..8);
                match replica.receive(&turned) {
                    Ok(applied) => {
                        let snapshot = replica.snapshot(applied.tick).expect("applied");
                        let told = snapshot.entities().filter(|of| of.as_of == applied.tick);
                        let knows = |of: &Entity<'_>| of.kind.0 == 0 && of.values[5..] != [0, 0];
                        let known: Vec<_> = told.filter(knows).collect();
                        assert!(known.len() <= 1, "seed {seed}: {known:?}");
                        let ammo = known.first().map_or(0, |of| of.values[5]);
                        assert!((0..128).contains(&ammo));
                        replica = fresh();
                    }
                    Err(rejection) => {
                        refused.insert(rejection.name());
                    }
                }
            }
        }
    }
    println!("{refused:?}");
    assert!(refused.contains(Rejection::Own.name()));
    assert!(refused.contains(Rejection::TrailingBytes.name()));
}

/// Clients that hold and see the same are told from one writing, and each of its own entity after that.
#[test]
fn owners_with_equal_views_are_told_the_same_but_for_their_own() {
    for seed in seeds(4) {
        let sent = |alike: bool| {
            let mut sim = Sim::with_secrets((seed, 77), 60, 4, view(1_000.0, 4_000), CLEAR);
            sim.history.share_equal_views(alike);
            sim.hands = (0.1, 40);
            sim.world.activity = 50;
            sim.keep_sent = true;
            sim.run(80);
            let own: BTreeSet<_> = sim.clients.iter().filter_map(|of| of.always).collect();
            assert!(own.len() > 1, "seed {seed}: they own different ones");
            let clients = sim.clients.into_iter();
            clients.map(|client| client.sent).collect::<Vec<_>>()
        };
        assert!(
            sent(true) == sent(false),
            "seed {seed}: sharing makes no difference"
        );
    }
}

/// One client, who owns slot 0: of kind 0, of which everything is secret. The others are of kind 1.
struct Vault {
    schema: Arc<Schema>,
    history: FrameHistory,
    view: ClientView,
    replica: Replica,
    scratch: Scratch,
    number: u64,
}

const OTHERS: u16 = 20;
const VAULT: EntityId = EntityId {
    slot: 0,
    generation: 3,
};

impl Vault {
    fn new(secrets: usize) -> Self {
        let wide = |name: String| Field::new(name, Quantity::Unsigned { bits: 32 }, Blend::Step);
        let secret = |at: usize| wide(format!("secret_{at}")).for_owner_only();
        let vault = Kind::new("vault", (0..secrets).map(secret).collect());
        let rock = Kind::new("rock", vec![wide("x".into())]);
        let schema = Schema::new(vec![vault, rock]).and_then(|schema| schema.with_max_entities(64));
        let schema = Arc::new(schema.expect("a valid schema"));
        let config = FrameConfig {
            snapshot_every: EVERY,
            ..FrameConfig::default()
        };
        let client = ClientSlot {
            index: 0,
            generation: 0,
        };
        Self {
            history: FrameHistory::new(Arc::clone(&schema), config).expect("a valid config"),
            view: ClientView::new(client, ViewConfig::default()),
            replica: Replica::new(Arc::clone(&schema), EVERY),
            scratch: Scratch::new(),
            number: 0,
            schema,
        }
    }

    /// Tells a frame in datagrams of so much room, all of which arrive.
    fn tell(&mut self, tick: u32, room: usize) {
        let mut frame = self.history.begin(Tick(tick)).expect("ticks ascend");
        let secrets = self.schema.kinds()[0].fields.len() as i32;
        let values: Vec<i32> = (0..secrets).map(|at| i32::MAX - at - tick as i32).collect();
        frame
            .put(VAULT, KindId(0), [0.0; 3], &values)
            .expect("valid");
        for slot in 1..=OTHERS {
            let id = EntityId {
                slot,
                generation: 0,
            };
            let value = i32::from(slot) * 50 + tick as i32;
            frame.put(id, KindId(1), [1.0; 3], &[value]).expect("valid");
        }
        frame.view(
            self.view.client(),
            Viewpoint::at([0.0; 3]).always(Some(VAULT)),
        );
        let frame = self.history.publish(frame);
        self.view.begin(&frame, &mut self.scratch);
        let mut out = [0; 1_200];
        loop {
            self.number += 1;
            let out = &mut out[..room];
            let len = self.view.write_part(self.number, out, &mut self.scratch);
            if len == 0 {
                break;
            }
            self.replica
                .receive(&out[..len])
                .expect("it is well made and in order");
            self.view.acked(self.number);
        }
        let held = self.replica.newest().expect("something was told");
        for entity in held.entities() {
            let truth = frame.entity(entity.id.slot).expect("it is there");
            if entity.as_of == frame.tick() {
                assert_eq!(entity.values, truth.values, "{}", entity.id);
            }
        }
    }
}

#[test]
fn a_kind_may_have_nothing_but_secrets() {
    let mut vault = Vault::new(3);
    for beat in 1..40 {
        vault.tell(beat * EVERY, 1_200);
        let held = vault.replica.newest().expect("told");
        assert!(held.is_complete() && held.get(VAULT).is_some());
    }
}

/// What only the owner is told of its entity may be more than a datagram holds: then the others come all
/// the same, and it comes as soon as there is room.
#[test]
fn secrets_that_do_not_fit_keep_nobody_else_out() {
    let mut vault = Vault::new(32);
    for round in 0..3 {
        let fresh = |vault: &Vault, tick: u32| {
            let held = vault.replica.newest().expect("told");
            let fresh = |of: &Entity<'_>| of.as_of == Tick(tick);
            held.entities().filter(fresh).count()
        };
        for beat in 1..40 {
            let tick = (round * 60 + beat) * EVERY;
            vault.tell(tick, 100);
            if beat > 10 {
                assert_eq!(fresh(&vault, tick), usize::from(OTHERS), "tick {tick}");
            }
        }
        for beat in 40..=60 {
            let tick = (round * 60 + beat) * EVERY;
            vault.tell(tick, 1_200);
            if beat > 45 {
                assert_eq!(fresh(&vault, tick), usize::from(OTHERS) + 1, "tick {tick}");
                let held = vault.replica.newest().expect("told");
                assert!(held.is_complete());
            }
        }
    }
}
