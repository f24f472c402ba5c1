//! A world that shows every form a snapshot has: things that rest, creep, run, jump and turn through zero; that
//! leave, and others that come into their slots.

use std::num::NonZeroU16;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Motion, Quantity, Schema, TickFrame,
    Viewpoint,
};
use tickwire::time::Tick;

/// So many slots are used, out of [`MAX_ENTITIES`].
const THINGS: u16 = 300;
const MAX_ENTITIES: u32 = 1_000;

const METRES: Quantity = Quantity::Ranged {
    min: -100.0,
    max: 100.0,
    step: 0.01,
};

/// Each form of section 8.5 at least once.
const WALKER: [(&str, Quantity, Blend); 9] = [
    ("x", METRES, Blend::Linear),
    ("yaw", Quantity::Angle { bits: 12 }, Blend::Angle),
    ("heading", Quantity::Angle { bits: 8 }, Blend::Angle),
    ("speed", Quantity::Signed { bits: 9 }, Blend::Step),
    ("marks", Quantity::Flags { bits: 12 }, Blend::Step),
    ("shots", Quantity::Counter { bits: 6 }, Blend::Step),
    ("whole", Quantity::Unsigned { bits: 32 }, Blend::Step),
    ("secret_ammo", Quantity::Unsigned { bits: 7 }, Blend::Step),
    ("secret_mood", Quantity::Signed { bits: 5 }, Blend::Step),
];
const CRATE: [(&str, Quantity, Blend); 2] = [
    ("x", METRES, Blend::Linear),
    ("depth", Quantity::Signed { bits: 4 }, Blend::Step),
];
/// Whatever is called so is for the owner only.
const SECRET: &str = "secret_";

/// A thing: its slot is its place in the list.
struct Thing {
    generation: u16,
    kind: u8,
    /// Of a thing that is there.
    values: Option<Vec<i32>>,
    position: f32,
}

pub(crate) struct World {
    pub(crate) schema: Arc<Schema>,
    history: FrameHistory,
    things: Vec<Thing>,
    rng: ChaCha8Rng,
}

impl World {
    pub(crate) fn new(snapshot_every: u32, seed: u64) -> Self {
        let kinds = [("walker", &WALKER[..]), ("crate", &CRATE[..])].map(|(name, fields)| {
            let fields = fields.iter();
            Kind::new(name, fields.map(field).collect())
        });
        let schema = Schema::new(kinds.into())
            .and_then(|schema| schema.with_max_entities(MAX_ENTITIES))
            .expect("a good schema");
        let schema = Arc::new(schema);
        let config = FrameConfig {
            snapshot_every,
            ..FrameConfig::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let things = (0..THINGS).map(|slot| Thing {
            generation: 0,
            kind: u8::from(slot % 3 == 0),
            values: None,
            position: rng.random_range(-80.0..80.0),
        });
        Self {
            things: things.collect(),
            history: FrameHistory::new(Arc::clone(&schema), config).expect("good limits"),
            schema,
            rng,
        }
    }

    /// The schema in the words of the foreign client.
    pub(crate) fn schema_as_json(&self) -> String {
        let kinds = self.schema.kinds().iter().map(|kind| {
            let fields: Vec<String> = kind.fields.iter().map(field_as_json).collect();
            let fields = fields.join(",");
            format!(r#"{{"name":"{}","fields":[{fields}]}}"#, kind.name)
        });
        let kinds: Vec<String> = kinds.collect();
        format!(
            r#"{{"max_entities":{MAX_ENTITIES},"kinds":[{}]}}"#,
            kinds.join(",")
        )
    }

    /// The next frame, as this client may see it: it walks to and fro.
    pub(crate) fn publish(&mut self, tick: Tick, client: Option<ClientSlot>) -> Arc<TickFrame> {
        for thing in &mut self.things {
            step(thing, &mut self.rng);
        }
        let mut frame = self.history.begin(tick).expect("ticks grow");
        for (slot, thing) in (0..).zip(&self.things) {
            if let Some(values) = &thing.values {
                let id = EntityId {
                    slot: slot * 3,
                    generation: thing.generation,
                };
                frame
                    .put(id, KindId(thing.kind), [thing.position, 0.0, 0.0], values)
                    .expect("it fits its slot");
            }
        }
        if let Some(client) = client {
            let center = [(tick.0 as f32 / 60.0).sin() * 40.0, 0.0, 0.0];
            // It owns a thing for a while, and then another one.
            let own = tick.0 as usize / 40 * 7 % self.things.len();
            let alive = self.things[own].values.is_some();
            let own = alive.then(|| EntityId {
                slot: own as u16 * 3,
                generation: self.things[own].generation,
            });
            let viewpoint = Viewpoint::at(center).always(own);
            frame.view(client, viewpoint);
        }
        self.history.publish(frame)
    }
}

fn field((name, quantity, blend): &(&str, Quantity, Blend)) -> Field {
    let mut field = Field::new(*name, *quantity, *blend);
    field.owner_only = name.starts_with(SECRET);
    field
}

fn field_as_json(field: &Field) -> String {
    let quantity = match field.quantity {
        Quantity::Ranged { min, max, step } => {
            format!(r#""quantity":"ranged","min":{min},"max":{max},"step":{step}"#)
        }
        Quantity::Angle { bits } => format!(r#""quantity":"angle","bits":{bits}"#),
        Quantity::Unsigned { bits } => format!(r#""quantity":"unsigned","bits":{bits}"#),
        Quantity::Signed { bits } => format!(r#""quantity":"signed","bits":{bits}"#),
        Quantity::Flags { bits } => format!(r#""quantity":"flags","bits":{bits}"#),
        Quantity::Counter { bits } => format!(r#""quantity":"counter","bits":{bits}"#),
    };
    let motion = match field.motion {
        Motion::Still => "still",
        Motion::Linear => "linear",
        Motion::Spinning => "spinning",
        Motion::Any => "any",
    };
    let (group, velocity) = (&field.group, &field.velocity);
    let (group, velocity) = [group, velocity]
        .map(|of| of.as_deref().unwrap_or_default())
        .into();
    let per = field.velocity_per.map_or(0, NonZeroU16::get);
    let (rotation, owner_only) = (field.rotation, field.owner_only);
    let blend = match field.blend {
        Blend::Linear => "linear",
        Blend::Angle => "angle",
        Blend::Step => "step",
    };
    format!(
        r#"{{"name":"{}",{quantity},"blend":"{blend}","group":"{group}","motion":"{motion}","velocity":"{velocity}","velocity_per":{per},"rotation":{rotation},"owner_only":{owner_only}}}"#,
        field.name
    )
}

fn step(thing: &mut Thing, rng: &mut ChaCha8Rng) {
    let Some(values) = &mut thing.values else {
        // A slot is free for a while, and then somebody else's, perhaps of another kind.
        if rng.random_bool(0.1) {
            thing.generation = thing.generation.wrapping_add(1);
            thing.kind = u8::from(rng.random_bool(0.3));
            thing.values = Some(fresh(thing.kind, rng));
        }
        return;
    };
    if rng.random_bool(0.004) {
        thing.values = None;
        return;
    }
    let fields = if thing.kind == 0 {
        &WALKER[..]
    } else {
        &CRATE[..]
    };
    for ((_, quantity, _), value) in fields.iter().zip(values) {
        if rng.random_bool(if thing.kind == 0 { 0.4 } else { 0.02 }) {
            *value = moved(*quantity, *value, rng);
        }
    }
}

fn fresh(kind: u8, rng: &mut ChaCha8Rng) -> Vec<i32> {
    let fields = if kind == 0 { &WALKER[..] } else { &CRATE[..] };
    let one = |(_, quantity, _): &(&str, Quantity, Blend)| {
        if rng.random_bool(0.2) {
            0
        } else {
            moved(*quantity, 0, rng)
        }
    };
    fields.iter().map(one).collect()
}

/// Mostly a little, sometimes far, within the range of the quantity.
fn moved(quantity: Quantity, value: i32, rng: &mut ChaCha8Rng) -> i32 {
    let reach = [3_i64, 30, 300, 1 << 32][rng.random_range(0..4)];
    let far = rng.random_range(-reach..=reach);
    let ones = |bits: u32| (1_i64 << bits) - 1;
    match quantity {
        Quantity::Ranged { .. } => (i64::from(value) + far).clamp(0, 20_000) as i32,
        Quantity::Signed { bits } => {
            let half = 1_i64 << (bits - 1);
            (i64::from(value) + far).clamp(-half, half - 1) as i32
        }
        Quantity::Angle { bits } | Quantity::Flags { bits } | Quantity::Counter { bits } => {
            ((i64::from(value) + far) & ones(bits)) as i32
        }
        Quantity::Unsigned { bits } => {
            let now = i64::from(value as u32) + far;
            now.clamp(0, ones(bits)) as u32 as i32
        }
    }
}
