//! The replica is the world, whatever that is made of: schemas and games at random, with built-in
//! tables and with learnt ones, by every history code, shared and not.

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema,
    Scratch, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

use crate::drawn::Drawn;
use crate::sim::{LATE, Sim, Weather, seeds, view};
use crate::world::World;

/// Which ways were gone, so that a test that misses one is found out.
#[derive(Debug, Default)]
struct Ways {
    /// Parts without baseline, and by history code.
    histories: [u64; 4],
    /// Parts that were copied from another client's, and those that no cohort shared.
    copied: u64,
    alone: u64,
    /// Entities that were compared, and of these with a value older than their snapshot.
    entities: usize,
    stale: usize,
}

impl Ways {
    fn add(&mut self, sim: &Sim) {
        for (all, of) in self.histories.iter_mut().zip(sim.histories) {
            *all += of;
        }
        for client in &sim.clients {
            self.copied += client.view.stats().copied;
            self.alone += client.view.stats().alone;
        }
        self.entities += sim.checked.entities;
        self.stale += sim.checked.stale;
    }

    /// Unless a single seed is replayed, every way must have been gone.
    fn all_were_gone(&self) {
        println!("{self:?}");
        if std::env::var_os("SEED").is_none() {
            assert!(self.histories.iter().all(|parts| *parts > 50), "{self:?}");
            assert!(self.copied > 50 && self.alone > 5, "{self:?}");
            assert!(self.entities > 10_000 && self.stale > 50, "{self:?}");
        }
    }
}

/// A drawn game, its schema, and a number of entities.
fn draw(seed: u64) -> (Drawn, Schema, usize, ChaCha8Rng) {
    let (drawn, schema) = Drawn::new(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let entities = [1, 6, 20, 45][rng.random_range(0..4)];
    (drawn, schema, entities, rng)
}

/// A world of a drawn schema in drawn weather, whose clients fall silent for longer than the history.
pub(crate) fn drawn_sim(seed: u64, teach: impl FnOnce(&Drawn, Schema) -> Schema) -> Sim {
    let (drawn, schema, entities, mut rng) = draw(seed);
    let slots = entities + entities / 4 + 1;
    let schema = teach(&drawn, schema).with_max_entities(slots as u32);
    let weather = Weather {
        loss: rng.random_range(0.0..0.4),
        double: rng.random_range(0.0..0.2),
        delay: (1, rng.random_range(1..12)),
    };
    let radius = [80.0, 200.0, 1_000.0][rng.random_range(0..3)];
    let config = view(radius, [256, 700, 1_100, 6_000][rng.random_range(0..4)]);
    let clients = [2, 3, 4, 14][rng.random_range(0..4)];
    let world = World::with_rules(Some(drawn), seed, slots, entities);
    let schema = Arc::new(schema.expect("few slots"));
    let mut sim = Sim::of(seed, world, schema, clients, config, weather);
    sim.world.activity = [50, 400, 1_000][rng.random_range(0..3)];
    sim.together = rng.random_bool(0.5);
    sim.partial = rng.random_bool(0.5);
    sim.room = [(1_100, 1_100), (300, 1_200)][rng.random_range(0..2)];
    sim
}

/// Runs it, silences and all, and lets it heal now and then.
fn live(seed: u64, sim: &mut Sim) {
    sim.run(45);
    let beat = sim.beat;
    sim.clients[0].silent = (beat + 36, 0);
    sim.clients[1].silent = (0, beat + 36);
    sim.run(50);
    sim.only_rejected(&LATE);
    if seed.is_multiple_of(6) {
        let config = *sim.clients[0].view.config();
        sim.heals(ViewConfig {
            bytes_per_snapshot: 40_000,
            ..config
        });
        sim.only_rejected(&LATE);
    }
}

#[test]
fn whatever_the_world_is_made_of_the_replica_is_the_world() {
    let mut ways = Ways::default();
    for seed in seeds(40) {
        let mut sim = drawn_sim(seed, |_, schema| schema);
        live(seed, &mut sim);
        ways.add(&sim);
    }
    ways.all_were_gone();
}

#[cfg(feature = "tools")]
#[test]
fn with_tables_that_were_learnt_it_is_the_world_as_well() {
    let mut ways = Ways::default();
    for seed in seeds(20) {
        let mut sim = drawn_sim(seed, |drawn, schema| learnt(drawn, schema, seed));
        live(seed, &mut sim);
        ways.add(&sim);
    }
    ways.all_were_gone();
}

/// The schema with tables that were learnt from a world like the one that is played; of some seeds
/// from one that hardly moves, so that nearly everything is a surprise.
#[cfg(feature = "tools")]
pub(crate) fn learnt(drawn: &Drawn, schema: Schema, seed: u64) -> Schema {
    use tickwire::proto::snapshot::train::Trainer;

    let mut world = World::with_rules(Some(drawn.clone()), !seed, 20, 12);
    world.activity = if seed.is_multiple_of(4) { 20 } else { 900 };
    let mut trainer = Trainer::new(&schema);
    for snapshot in 0..40 {
        world.step();
        trainer.begin(Tick(snapshot * 2));
        for (slot, thing) in world.things.iter().enumerate() {
            if let (Some(thing), Some(id)) = (thing, world.id(slot)) {
                trainer.put(id, KindId(thing.kind), &thing.values);
            }
        }
    }
    let tables = trainer.learn().expect("forty snapshots");
    assert_ne!(tables.hash(), schema.tables().hash());
    schema.with_tables(tables).expect("made for this schema")
}

/// Copying what another client was told saves time, and changes not a bit.
#[test]
fn sharing_what_equal_views_are_told_changes_no_byte() {
    let mut copied = 0;
    for seed in seeds(12) {
        let run = |shared: bool| {
            let mut sim = drawn_sim(seed, |_, schema| schema);
            sim.history.share_equal_views(shared);
            (sim.together, sim.keep) = (true, false);
            sim.written = Some(Vec::new());
            sim.run(60);
            let stats = sim.clients.iter().map(|client| client.view.stats().copied);
            (stats.sum::<u64>(), sim.written.take().expect("asked for"))
        };
        let (with, without) = (run(true), run(false));
        assert_eq!(without.0, 0);
        copied += with.0;
        assert_eq!(with.1.len(), without.1.len());
        for (number, (one, other)) in with.1.iter().zip(&without.1).enumerate() {
            assert_eq!(one, other, "part {number} of seed {seed}");
        }
    }
    println!("{copied} parts were copied");
    assert!(copied > 200 || std::env::var_os("SEED").is_some());
}

/// As many fields as there may be, as wide as they may be, and nothing like what comes usually.
#[test]
fn the_smallest_budget_is_enough_for_the_largest_entity() {
    let kinds = [
        Quantity::Flags { bits: 32 },
        Quantity::Signed { bits: 32 },
        Quantity::Angle { bits: 32 },
        Quantity::Unsigned { bits: 6 },
    ];
    for quantity in kinds {
        let field = |number| Field::new(format!("f{number}"), quantity, Blend::Step);
        let fields = (0..Schema::MAX_FIELDS).map(field).collect();
        let schema = Schema::new(vec![Kind::new("largest", fields)]).expect("valid");
        for seed in seeds(3) {
            let values: Vec<_> = ChaCha8Rng::seed_from_u64(seed)
                .random_iter::<i32>()
                .take(Schema::MAX_FIELDS)
                .collect();
            let told = smallest_budget(Arc::new(schema.clone()), &values);
            assert_eq!(told, Some(true), "{quantity:?}");
        }
    }
}

/// Whether a client that gets as little as any is told one entity of these values, as it is.
fn smallest_budget(schema: Arc<Schema>, values: &[i32]) -> Option<bool> {
    let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig::default()).ok()?;
    let client = ClientSlot {
        index: 0,
        generation: 0,
    };
    let mut builder = history.begin(Tick(2)).ok()?;
    let id = EntityId {
        slot: 64_999,
        generation: u16::MAX,
    };
    builder.put(id, KindId(0), [0.0; 3], values).ok()?;
    builder.view(client, Viewpoint::at([0.0; 3]));
    let frame = history.publish(builder);
    let (mut view, mut scratch) = (ClientView::new(client, view(1.0, 0)), Scratch::new());
    let mut out = [0; 1_200];
    view.begin(&frame, &mut scratch);
    let len = view.write_part(1, &mut out, &mut scratch);
    let mut replica = Replica::new(schema, 2);
    let complete = replica.receive(&out[..len]).ok()?.complete;
    let held = replica.newest()?.get(id)?;
    let truth = frame.entity(id.slot)?;
    println!("{len} bytes");
    Some(complete && held.values == truth.values)
}
