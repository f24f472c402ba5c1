//! The game of these tests: random things that spawn, die, walk, jump far and come back in the
//! slots of others. Knows the schema. Has no idea of clients and networks.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{Blend, Field, Kind, Quantity, Schema};
use tickwire::time::Tick;

use crate::drawn::Drawn;

pub(crate) const EVERY: u32 = 2;
pub(crate) const AREA: f32 = 200.0;
pub(crate) const METERS: Quantity = Quantity::Ranged {
    min: -256.0,
    max: 256.0,
    step: 1.0 / 64.0,
};

pub(crate) fn schema(max_entities: u32) -> Arc<Schema> {
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
    finish(kinds, max_entities)
}

/// The same kinds, two of them with fields that only owners are told.
pub(crate) fn secret_schema(max_entities: u32) -> Arc<Schema> {
    let mut kinds = schema(max_entities).kinds().to_vec();
    let secret = |name, quantity| Field::new(name, quantity, Blend::Step).for_owner_only();
    kinds[0].fields.extend([
        secret("ammo", Quantity::Unsigned { bits: 7 }),
        secret("mood", Quantity::Signed { bits: 9 }),
    ]);
    // Its zero is not the raw number 0.
    kinds[2].fields.push(secret("depth", METERS));
    finish(kinds, max_entities)
}

/// What those read of a row who do not own it.
pub(crate) fn hide(kind: u8, values: &mut [i32]) {
    match kind {
        0 => values[5..7].fill(0),
        2 => values[2..3].fill(METERS.quantise(0.0)),
        _ => {}
    }
}

fn finish(kinds: Vec<Kind>, max_entities: u32) -> Arc<Schema> {
    Arc::new(
        Schema::new(kinds)
            .and_then(|schema| schema.with_max_entities(max_entities))
            .expect("a valid schema"),
    )
}

/// One thing, as the game knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Thing {
    pub(crate) generation: u16,
    pub(crate) kind: u8,
    pub(crate) position: [f32; 3],
    pub(crate) values: Vec<i32>,
    /// Of a drawn game: what its fields go by.
    pub(crate) speeds: Vec<i64>,
}

/// What each tick was, kept aside: by tick and slot the generation, kind and values.
pub(crate) type Plain = BTreeMap<Tick, Vec<Option<(u16, u8, Vec<i32>)>>>;

/// The game: random things that spawn, die, walk, jump far and come back in the slots of others.
pub(crate) struct World {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) things: Vec<Option<Thing>>,
    pub(crate) generations: Vec<u16>,
    pub(crate) wanted: usize,
    /// Of 1,000 things, how many do something in a tick.
    pub(crate) activity: u32,
    /// The rules, unless they are the usual ones.
    drawn: Option<Drawn>,
    /// Mixed into what only owners are told, if there is such.
    secret: Option<i32>,
}

impl World {
    pub(crate) fn new(seed: u64, slots: usize, wanted: usize) -> Self {
        Self::with_rules(None, seed, slots, wanted)
    }

    /// A world of a game that was drawn, or of the usual one.
    pub(crate) fn with_rules(drawn: Option<Drawn>, seed: u64, slots: usize, wanted: usize) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            things: vec![None; slots],
            generations: vec![0; slots],
            wanted,
            activity: 300,
            drawn,
            secret: None,
        };
        while world.things.iter().flatten().count() < wanted {
            world.spawn();
        }
        world
    }

    /// The same world with what only owners are told; another key makes other secrets, and nothing
    /// else is different.
    pub(crate) fn keep_secrets(&mut self, key: i32) {
        self.secret = Some(key);
        for thing in self.things.iter_mut().flatten() {
            Self::add_secrets(thing, self.secret);
        }
    }

    fn add_secrets(thing: &mut Thing, key: Option<i32>) {
        let Some(key) = key else {
            return;
        };
        match thing.kind {
            0 => thing.values.extend([key & 0x7F, key % 200]),
            2 => thing.values.push((key >> 3) & 0x7FFF),
            _ => {}
        }
    }

    /// The secrets become others.
    fn stir_secrets(thing: &mut Thing, key: i32, number: i32) {
        let number = number ^ key;
        match thing.kind {
            0 => {
                thing.values[5] = number & 0x7F;
                thing.values[6] = (number >> 8) % 200;
            }
            2 => thing.values[2] = (number >> 4) & 0x7FFF,
            _ => {}
        }
    }

    pub(crate) fn somewhere(&mut self) -> [f32; 3] {
        [(); 3].map(|()| self.rng.random_range(-AREA..AREA))
    }

    pub(crate) fn spawn(&mut self) {
        let slot = self.rng.random_range(0..self.things.len());
        if self.things[slot].is_some() {
            return;
        }
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        let position = self.somewhere();
        if let Some(drawn) = &self.drawn {
            let kind = self.rng.random_range(0..drawn.kinds());
            let (values, speeds) = drawn.begin(&mut self.rng, kind);
            self.things[slot] = Some(Thing {
                generation: self.generations[slot],
                kind,
                position,
                values,
                speeds,
            });
            return;
        }
        let kind = self.rng.random_range(0..3_u8);
        let mut thing = Thing {
            generation: self.generations[slot],
            kind,
            position,
            values: vec![0; [5, 3, 2][usize::from(kind)]],
            speeds: Vec::new(),
        };
        if self.rng.random_bool(0.5) {
            // Others start as their neighbour in time ended: as nothing but zeros.
            thing.values.iter_mut().skip(2).for_each(|value| *value = 7);
        }
        Self::add_secrets(&mut thing, self.secret);
        Self::place(&mut thing);
        self.things[slot] = Some(thing);
    }

    pub(crate) fn place(thing: &mut Thing) {
        thing.values[0] = METERS.quantise(thing.position[0]);
        thing.values[1] = METERS.quantise(thing.position[1]);
    }

    pub(crate) fn step(&mut self) {
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
            if let Some(key) = self.secret.filter(|_| number % 3 == 0) {
                Self::stir_secrets(thing, key, number);
            }
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
                _ if self.drawn.is_some() => {}
                _ if thing.kind == 0 => {
                    thing.values[2] = (thing.values[2] + number % 50) & 0xFFF;
                    thing.values[3] = (number >> 8) & 0x7F;
                    thing.values[4] = (number >> 16) & 0x1FF;
                }
                _ if thing.kind == 1 => thing.values[2] = number,
                _ => {}
            }
            match &self.drawn {
                Some(drawn) => drawn.step(&mut self.rng, thing),
                None => Self::place(thing),
            }
        }
        let mut tries = 0;
        while self.things.iter().flatten().count() < self.wanted && tries < 20 {
            self.spawn();
            tries += 1;
        }
    }

    pub(crate) fn kind(&self, slot: usize) -> Option<u8> {
        Some(self.things[slot].as_ref()?.kind)
    }

    pub(crate) fn id(&self, slot: usize) -> Option<EntityId> {
        let thing = self.things[slot].as_ref()?;
        Some(EntityId {
            slot: slot as u16,
            generation: thing.generation,
        })
    }

    pub(crate) fn plain(&self) -> Vec<Option<(u16, u8, Vec<i32>)>> {
        let plain = |thing: &Thing| (thing.generation, thing.kind, thing.values.clone());
        self.things
            .iter()
            .map(|thing| thing.as_ref().map(plain))
            .collect()
    }
}
