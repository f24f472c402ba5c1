//! The replica is the world, whatever the network does.
//!
//! A random world, several clients, and a link per client that loses, doubles, delays and reorders datagrams and
//! acknowledgements and falls silent for longer than the history. After every part that arrives the replica is held
//! against the frames by `verify`, and against a plain copy of the world that was kept aside. `SEED=n cargo test --test
//! snapshots` replays one seed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it found"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::verify::{Checked, Mismatch, check_replica};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, MAX_AGE, Quantity,
    Rejection, Replica, Schema, Scratch, Snapshot, TickFrame, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

const EVERY: u32 = 2;
const AREA: f32 = 200.0;
const METERS: Quantity = Quantity::Ranged {
    min: -256.0,
    max: 256.0,
    step: 1.0 / 64.0,
};

fn schema(max_entities: u32) -> Arc<Schema> {
    let field = |name: &str, quantity, blend| Field::new(name, quantity, blend);
    let place = || {
        vec![
            field("x", METERS, Blend::Linear),
            field("y", METERS, Blend::Linear),
        ]
    };
    let mut walker = place();
    walker.extend([
        field("yaw", Quantity::Angle { bits: 12 }, Blend::Angle),
        field("health", Quantity::Unsigned { bits: 7 }, Blend::Step),
        field("flags", Quantity::Flags { bits: 9 }, Blend::Step),
    ]);
    let mut counter = place();
    counter.push(field("wide", Quantity::Signed { bits: 32 }, Blend::Step));
    let kinds = vec![
        Kind::new("walker", walker),
        Kind::new("counter", counter),
        Kind::new("rock", place()),
    ];
    Arc::new(
        Schema::new(kinds)
            .and_then(|schema| schema.with_max_entities(max_entities))
            .expect("a valid schema"),
    )
}

/// One thing, as the game knows it.
#[derive(Debug, Clone, PartialEq)]
struct Thing {
    generation: u16,
    kind: u8,
    position: [f32; 3],
    values: Vec<i32>,
}

/// What each tick was, kept aside: by tick and slot the generation, kind and values.
type Plain = BTreeMap<Tick, Vec<Option<(u16, u8, Vec<i32>)>>>;

/// The game: random things that spawn, die, walk, jump far and come back in the slots of others.
struct World {
    rng: ChaCha8Rng,
    things: Vec<Option<Thing>>,
    generations: Vec<u16>,
    wanted: usize,
    /// Of 1,000 things, how many do something in a tick.
    activity: u32,
}

impl World {
    fn new(seed: u64, slots: usize, wanted: usize) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            things: vec![None; slots],
            generations: vec![0; slots],
            wanted,
            activity: 300,
        };
        while world.things.iter().flatten().count() < wanted {
            world.spawn();
        }
        world
    }

    fn somewhere(&mut self) -> [f32; 3] {
        [(); 3].map(|()| self.rng.random_range(-AREA..AREA))
    }

    fn spawn(&mut self) {
        let slot = self.rng.random_range(0..self.things.len());
        if self.things[slot].is_some() {
            return;
        }
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        let position = self.somewhere();
        let kind = self.rng.random_range(0..3_u8);
        let mut thing = Thing {
            generation: self.generations[slot],
            kind,
            position,
            values: vec![0; [5, 3, 2][usize::from(kind)]],
        };
        if self.rng.random_bool(0.5) {
            // Others start as their neighbour in time ended: as nothing but zeros.
            thing.values.iter_mut().skip(2).for_each(|value| *value = 7);
        }
        Self::place(&mut thing);
        self.things[slot] = Some(thing);
    }

    fn place(thing: &mut Thing) {
        thing.values[0] = METERS.quantise(thing.position[0]);
        thing.values[1] = METERS.quantise(thing.position[1]);
    }

    fn step(&mut self) {
        for slot in 0..self.things.len() {
            if self.rng.random_range(0..1_000) >= self.activity {
                continue;
            }
            let dice = self.rng.random_range(0..100);
            let (far, near) = (self.somewhere(), self.rng.random_range(-1.0..1.0_f32));
            let number = self.rng.random::<i32>();
            let Some(thing) = &mut self.things[slot] else {
                continue;
            };
            match dice {
                0 => {
                    self.things[slot] = None;
                    continue;
                }
                1 => thing.position = far,
                2..60 => thing.position[0] += near,
                60..80 => {
                    thing.position[0] += near;
                    thing.position[1] -= near;
                }
                _ if thing.kind == 0 => {
                    thing.values[2] = (thing.values[2] + number % 50) & 0xFFF;
                    thing.values[3] = (number >> 8) & 0x7F;
                    thing.values[4] = (number >> 16) & 0x1FF;
                }
                _ if thing.kind == 1 => thing.values[2] = number,
                _ => {}
            }
            Self::place(thing);
        }
        let mut tries = 0;
        while self.things.iter().flatten().count() < self.wanted && tries < 20 {
            self.spawn();
            tries += 1;
        }
    }

    fn id(&self, slot: usize) -> Option<EntityId> {
        let thing = self.things[slot].as_ref()?;
        Some(EntityId {
            slot: slot as u16,
            generation: thing.generation,
        })
    }

    fn plain(&self) -> Vec<Option<(u16, u8, Vec<i32>)>> {
        let plain = |thing: &Thing| (thing.generation, thing.kind, thing.values.clone());
        self.things
            .iter()
            .map(|thing| thing.as_ref().map(plain))
            .collect()
    }
}

/// What a link does to what is sent over it, in both directions.
#[derive(Debug, Clone, Copy)]
struct Weather {
    loss: f64,
    double: f64,
    /// In snapshots.
    delay: (u32, u32),
}

const CLEAR: Weather = Weather {
    loss: 0.0,
    double: 0.0,
    delay: (3, 3),
};

/// One client: its view at the server, its replica, and what is on its way between the two.
struct Client {
    slot: ClientSlot,
    view: ClientView,
    replica: Replica,
    number: u64,
    /// By arrival (in snapshots): number and bytes.
    down: Vec<(u32, u64, Vec<u8>)>,
    up: Vec<(u32, u64)>,
    received: Vec<u64>,
    center: [f32; 3],
    always: Option<EntityId>,
    /// Until when nothing comes through downwards, upwards.
    silent: (u32, u32),
    complete: u32,
    rejected: BTreeMap<&'static str, u32>,
}

/// A server with a world and its clients.
struct Sim {
    world: World,
    schema: Arc<Schema>,
    history: FrameHistory,
    frames: BTreeMap<Tick, Arc<TickFrame>>,
    plain: Plain,
    clients: Vec<Client>,
    scratch: Scratch,
    rng: ChaCha8Rng,
    weather: Weather,
    room: (usize, usize),
    /// Keep the frames, for `verify`; otherwise their memory goes in a circle.
    keep: bool,
    beat: u32,
    checked: Checked,
    parts: u64,
    multi: u64,
}

impl Sim {
    fn new(seed: u64, entities: usize, clients: u32, config: ViewConfig, weather: Weather) -> Self {
        println!("seed {seed}: {entities} entities, {clients} clients, {config:?}, {weather:?}");
        let slots = entities + entities / 4 + 1;
        let schema = schema(slots as u32);
        let frame_config = FrameConfig {
            snapshot_every: EVERY,
            cell_size: 20.0,
        };
        let client = |index| {
            let slot = ClientSlot {
                index,
                generation: index,
            };
            Client {
                slot,
                view: ClientView::new(slot, config),
                replica: Replica::new(Arc::clone(&schema), EVERY),
                number: 0,
                down: Vec::new(),
                up: Vec::new(),
                received: Vec::new(),
                center: [0.0; 3],
                always: None,
                silent: (0, 0),
                complete: 0,
                rejected: BTreeMap::new(),
            }
        };
        Self {
            world: World::new(seed, slots, entities),
            history: FrameHistory::new(Arc::clone(&schema), frame_config).expect("a valid config"),
            frames: BTreeMap::new(),
            plain: Plain::new(),
            clients: (0..clients).map(client).collect(),
            scratch: Scratch::new(),
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xFACE),
            weather,
            room: (1_100, 1_100),
            keep: true,
            beat: 0,
            checked: Checked::default(),
            parts: 0,
            multi: 0,
            schema,
        }
    }

    fn publish(&mut self) -> Arc<TickFrame> {
        self.beat += 1;
        let tick = Tick(self.beat * EVERY);
        self.world.step();
        let mut builder = self.history.begin(tick).expect("ticks ascend");
        for (slot, thing) in self.world.things.iter().enumerate() {
            if let Some(thing) = thing {
                let id = EntityId {
                    slot: slot as u16,
                    generation: thing.generation,
                };
                let kind = KindId(thing.kind);
                builder
                    .put(id, kind, thing.position, &thing.values)
                    .expect("a valid row");
            }
        }
        for client in &mut self.clients {
            for axis in &mut client.center {
                *axis = (*axis + self.rng.random_range(-2.0..2.0_f32)).clamp(-AREA, AREA);
            }
            if self.rng.random_bool(0.02) {
                client.center = [self.rng.random_range(-AREA..AREA); 3];
            }
            if self.rng.random_bool(0.05) {
                let slot = self.rng.random_range(0..self.world.things.len());
                client.always = self.world.id(slot);
            }
            let viewpoint = Viewpoint {
                center: client.center,
                always: client.always,
            };
            builder.view(client.slot, viewpoint);
        }
        let frame = self.history.publish(builder);
        if self.keep {
            self.frames.insert(tick, Arc::clone(&frame));
        }
        self.plain.insert(tick, self.world.plain());
        frame
    }

    /// One snapshot: everything that arrives, then everything that is sent.
    fn step(&mut self) {
        let frame = self.publish();
        for index in 0..self.clients.len() {
            self.arrivals(index);
            self.send(index, &frame);
        }
    }

    fn send(&mut self, index: usize, frame: &Arc<TickFrame>) {
        let client = &mut self.clients[index];
        client.view.begin(frame, &mut self.scratch);
        let mut out = [0; 1_200];
        let mut parts = 0;
        loop {
            let room = self.rng.random_range(self.room.0..=self.room.1);
            client.number += self.rng.random_range(1..3_u64);
            let number = client.number;
            let len = client
                .view
                .write_part(number, &mut out[..room], &mut self.scratch);
            if len == 0 {
                break;
            }
            assert!(len <= room);
            parts += 1;
            for _ in 0..copies(&mut self.rng, &self.weather, client.silent.0 > self.beat) {
                let delay = self
                    .rng
                    .random_range(self.weather.delay.0..=self.weather.delay.1);
                client
                    .down
                    .push((self.beat + delay, number, out[..len].to_vec()));
            }
        }
        self.parts += parts;
        self.multi += u64::from(parts > 1);
    }

    fn arrivals(&mut self, index: usize) {
        let beat = self.beat;
        loop {
            let client = &mut self.clients[index];
            let due = |arrival: &u32| *arrival <= beat;
            let Some(next) = client.down.iter().position(|(arrival, ..)| due(arrival)) else {
                break;
            };
            let (_, number, part) = client.down.swap_remove(next);
            let result = client.replica.receive(&part);
            // The channel acknowledges every datagram once, whatever the replica says to its content.
            if !client.received.contains(&number) {
                client.received.push(number);
                for _ in 0..copies(&mut self.rng, &self.weather, client.silent.1 > beat) {
                    let delay = self
                        .rng
                        .random_range(self.weather.delay.0..=self.weather.delay.1);
                    client.up.push((beat + delay / 2, number));
                }
            }
            match result {
                Ok(applied) => {
                    client.complete += u32::from(applied.complete);
                    let snapshot = client.replica.snapshot(applied.tick).expect("just applied");
                    assert_eq!(snapshot.is_complete(), applied.complete);
                    let checked = self.check(index).unwrap_or_else(|mismatch| {
                        panic!("beat {beat}, client {index}: {mismatch}");
                    });
                    self.checked.entities += checked.entities;
                    self.checked.stale += checked.stale;
                }
                Err(rejection) => {
                    *client.rejected.entry(rejection.name()).or_default() += 1;
                }
            }
        }
        let client = &mut self.clients[index];
        while let Some(next) = client.up.iter().position(|(arrival, _)| *arrival <= beat) {
            let (_, number) = client.up.swap_remove(next);
            client.view.acked(number);
        }
        if self.rng.random_bool(self.weather.loss) {
            // The channel gives up on something; perhaps too early.
            client
                .view
                .lost(client.number.saturating_sub(self.rng.random_range(0..20)));
        }
    }

    /// Holds the newest snapshot of a client against the plain copy and, if there are frames, against these.
    fn check(&self, index: usize) -> Result<Checked, Mismatch> {
        let client = &self.clients[index];
        let mut checked = Checked::default();
        for snapshot in client.replica.snapshots().rev().take(3) {
            for entity in snapshot.entities() {
                let truth = &self.plain[&entity.as_of][usize::from(entity.id.slot)];
                let held = Some((entity.id.generation, entity.kind.0, entity.values.to_vec()));
                assert_eq!(&held, truth, "tick {}: {}", snapshot.tick(), entity.id);
            }
            if self.keep {
                let frames = |tick| self.frames.get(&tick).cloned();
                let found = check_replica(snapshot, frames, client.slot, client.view.config())?;
                checked.entities += found.entities;
                checked.stale += found.stale;
            }
        }
        Ok(checked)
    }

    fn run(&mut self, beats: u32) {
        for _ in 0..beats {
            self.step();
        }
    }

    /// The weather clears, and then every client's newest snapshot is soon complete and stays so.
    fn heals(&mut self, config: ViewConfig) {
        self.weather = CLEAR;
        self.room = (1_100, 1_100);
        for client in &mut self.clients {
            client.silent = (0, 0);
            client.view.configure(config);
        }
        self.run(3 * MAX_AGE);
        for client in &mut self.clients {
            client.complete = 0;
        }
        self.run(10);
        for (index, client) in self.clients.iter().enumerate() {
            assert!(
                client.complete >= 9,
                "client {index}: {} of 10 complete",
                client.complete
            );
            assert!(client.replica.newest().is_some_and(Snapshot::is_complete));
            assert!(!client.replica.needs_resync());
        }
    }

    fn only_rejected(&self, allowed: &[Rejection]) {
        for client in &self.clients {
            for name in client.rejected.keys() {
                assert!(
                    allowed.iter().any(|allowed| allowed.name() == *name),
                    "{:?}",
                    client.rejected
                );
            }
        }
    }
}

fn copies(rng: &mut ChaCha8Rng, weather: &Weather, silent: bool) -> u32 {
    if silent || rng.random_bool(weather.loss) {
        0
    } else {
        1 + u32::from(rng.random_bool(weather.double))
    }
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => vec![seed],
        None => (1..=count).collect(),
    }
}

fn view(radius: f32, bytes: usize) -> ViewConfig {
    ViewConfig {
        inner_radius: radius,
        outer_radius: radius * 1.15,
        bytes_per_snapshot: bytes,
    }
}

const STORM: Weather = Weather {
    loss: 0.2,
    double: 0.1,
    delay: (1, 9),
};

/// What doubles and stragglers are refused with; nothing else may be refused when nobody forges.
const LATE: [Rejection; 2] = [Rejection::Duplicate, Rejection::TooOld];

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

/// More datagrams than can be accounted for go into the silence; and what comes back speaks of some ranges only.
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
        assert_eq!(stats.built, 1, "tick {}: {stats:?}", frame.tick());
        assert!(stats.absolute <= 1);
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
        assert!(client.view.memory() <= 6 * 1_024);
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
        // The client asks to start over, and the forger is gone. What is on the way from before is void.
        let client = &mut sim.clients[0];
        client.view.reset();
        client.replica = Replica::new(Arc::clone(&sim.schema), EVERY);
        client.up.clear();
        sim.heals(view(300.0, 4_000));
    }
}

/// A forged snapshot far in the future makes every true part unknown; the resync it asks for brings it back.
#[test]
fn a_replica_that_was_sent_far_away_comes_back_by_itself() {
    let mut sim = Sim::new(9, 80, 1, view(300.0, 1_100), CLEAR);
    sim.run(20);
    // Tick 0x7000_0001 without a baseline (five zero bits between the halves of the tick), all slots, not done, and four
    // times nothing (100).
    let forged = bits("1000000000000000 00000 0000000000001110 1 0 100 100 100 100");
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
