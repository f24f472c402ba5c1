//! Worlds to record, and the plainest form of what should come back.

use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use tickwire::game::recording::{Header, RecordedFrame};
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Motion, Quantity, Schema, TickFrame,
};
use tickwire::recording::{Recording, RecordingError, RecordingWriter};
use tickwire::time::{Tick, TickRate};

/// One frame as it was shown: tick, and each entity with its kind and values.
pub(crate) type Plain = (Tick, Vec<(EntityId, KindId, Vec<i32>)>);

pub(crate) fn shown(frame: &TickFrame) -> Plain {
    let rows = frame.iter();
    let rows = rows.map(|row| (row.id, row.kind, row.values.to_vec()));
    (frame.tick(), rows.collect())
}

pub(crate) fn read(frame: &RecordedFrame) -> Plain {
    let rows = frame.rows();
    let rows = rows.map(|row| (row.id, row.kind, row.values.to_vec()));
    (frame.tick(), rows.collect())
}

/// Everything that can be read, and everything that was wrong.
pub(crate) fn read_all(bytes: &[u8]) -> Result<(Vec<Plain>, Vec<RecordingError>), RecordingError> {
    let mut recording = Recording::read(Cursor::new(bytes))?;
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    for frame in recording.frames() {
        match frame {
            Ok(frame) => frames.push(read(&frame)),
            Err(error) => errors.push(error),
        }
    }
    Ok((frames, errors))
}

/// The frames of a world, one after the other.
pub(crate) struct World {
    rng: ChaCha8Rng,
    schema: Arc<Schema>,
    history: FrameHistory,
    every: u32,
    tick: Tick,
    things: Vec<Option<Thing>>,
    generations: Vec<u16>,
}

struct Thing {
    kind: KindId,
    values: Vec<i32>,
}

impl World {
    pub(crate) fn new(schema: &Arc<Schema>, seed: u64, every: u32) -> Self {
        let config = FrameConfig {
            snapshot_every: every,
            ..FrameConfig::default()
        };
        let slots = schema.max_entities().min(24) as usize;
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            history: FrameHistory::new(Arc::clone(schema), config).expect("valid"),
            schema: Arc::clone(schema),
            every,
            tick: Tick(0),
            things: (0..slots).map(|_| None).collect(),
            generations: vec![0; slots],
        }
    }

    pub(crate) fn header(&self) -> Header {
        let schema = Arc::clone(&self.schema);
        Header::new(schema, TickRate::HZ_60, self.every)
    }

    /// The next frame: things come, go, change their kind, are replaced in the same slot, move and rest. Now and then
    /// frames are missing, as where a game broke its own schema.
    pub(crate) fn next(&mut self) -> Arc<TickFrame> {
        let steps = if self.rng.random_range(0..20) == 0 {
            3
        } else {
            1
        };
        self.tick = self.tick.plus(self.every * steps);
        for slot in 0..self.things.len() {
            self.change(slot);
        }
        let mut builder = self.history.begin(self.tick).expect("in order");
        for (slot, thing) in self.things.iter().enumerate() {
            let Some(thing) = thing else { continue };
            let id = EntityId {
                slot: slot as u16,
                generation: self.generations[slot],
            };
            let put = builder.put(id, thing.kind, [0.0; 3], &thing.values);
            put.expect("in the schema");
        }
        self.history.publish(builder)
    }

    fn change(&mut self, slot: usize) {
        match self.rng.random_range(0..30) {
            0 => self.things[slot] = None,
            1 | 2 => {
                // Somebody else in the same slot, or the same one with another kind.
                if self.rng.random_range(0..3) > 0 {
                    self.generations[slot] = self.generations[slot].wrapping_add(0x1357);
                }
                self.things[slot] = Some(self.thing());
            }
            3..20 => {
                let Some(thing) = &mut self.things[slot] else {
                    return;
                };
                let field = self.rng.random_range(0..thing.values.len());
                thing.values[field] = if self.rng.random_range(0..4) == 0 {
                    self.rng.random()
                } else {
                    let step: i32 = self.rng.random_range(-3..=3);
                    thing.values[field].wrapping_add(step)
                };
            }
            _ => {}
        }
    }

    fn thing(&mut self) -> Thing {
        let kinds = self.schema.kinds();
        let kind = self.rng.random_range(0..kinds.len());
        let fields = kinds[kind].fields.len();
        Thing {
            kind: KindId(kind as u8),
            values: (0..fields).map(|_| self.rng.random()).collect(),
        }
    }
}

/// Some frames of a world, and the recording of them.
pub(crate) struct Recorded {
    pub(crate) frames: Vec<Plain>,
    pub(crate) bytes: Vec<u8>,
}

/// Records so many frames, with a keyframe behind each of `cuts` frames.
pub(crate) fn record(world: &mut World, frames: usize, cuts: &[usize]) -> Recorded {
    let mut writer = RecordingWriter::new(Vec::new(), world.header()).expect("a vector");
    let mut plain = Vec::new();
    for number in 0..frames {
        let frame = world.next();
        if cuts.contains(&number) {
            writer.note_dropped(1).expect("a vector");
        }
        writer.push(&frame).expect("a vector");
        plain.push(shown(&frame));
    }
    let (bytes, summary) = writer.finish().expect("a vector");
    assert_eq!(summary.frames, frames as u64);
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.dropped, cuts.len() as u64);
    Recorded {
        frames: plain,
        bytes,
    }
}

/// Three kinds with a field of every sort.
pub(crate) fn small_schema() -> Arc<Schema> {
    let metres = Quantity::Ranged {
        min: -64.0,
        max: 64.0,
        step: 1.0 / 16.0,
    };
    let place = |name: &str| {
        Field::new(name, metres, Blend::Linear)
            .in_group("place")
            .moving(Motion::Linear)
    };
    let walker = vec![
        place("x"),
        place("y"),
        Field::new("yaw", Quantity::Angle { bits: 12 }, Blend::Angle).moving(Motion::Spinning),
        Field::new("health", Quantity::Unsigned { bits: 7 }, Blend::Step).moving(Motion::Still),
        Field::new("flags", Quantity::Flags { bits: 3 }, Blend::Step),
        Field::new("shots", Quantity::Counter { bits: 6 }, Blend::Step),
    ];
    let scale = Field::new("height", Quantity::Signed { bits: 32 }, Blend::Linear);
    let kinds = vec![
        Kind::new("walker", walker),
        Kind::new("lift", vec![scale]),
        Kind::new("rock", vec![place("x"), place("y")]),
    ];
    let schema = Schema::new(kinds).and_then(|schema| schema.with_max_entities(40));
    Arc::new(schema.expect("valid"))
}

/// Any schema.
pub(crate) fn any_schema() -> impl Strategy<Value = Arc<Schema>> {
    let kinds = prop::collection::vec(prop::collection::vec(any_field(), 1..8), 1..5);
    (kinds, 1_u32..=65_000).prop_map(|(kinds, max_entities)| {
        let kinds = kinds.into_iter().enumerate().map(|(kind, fields)| {
            let mut fields: Vec<_> = fields
                .into_iter()
                .enumerate()
                .map(|(number, field)| Field {
                    name: format!("{}-{number}", field.name),
                    ..field
                })
                .collect();
            // The last that everybody is told is the velocity of some.
            let velocity = fields.iter().rfind(|field| !field.owner_only);
            if let Some(velocity) = velocity.map(|field| field.name.clone()) {
                for (number, field) in fields.iter_mut().enumerate().step_by(2) {
                    let per = 7 * number as u16;
                    *field = field.clone().with_velocity_per(velocity.clone(), per);
                }
            }
            Kind::new(format!("kind {kind}"), fields)
        });
        let schema = Schema::new(kinds.collect())
            .and_then(|schema| schema.with_max_entities(max_entities))
            .expect("valid");
        Arc::new(schema)
    })
}

fn any_field() -> impl Strategy<Value = Field> {
    const BLENDS: [Blend; 3] = [Blend::Linear, Blend::Angle, Blend::Step];
    const MOTIONS: [Motion; 4] = [Motion::Any, Motion::Still, Motion::Linear, Motion::Spinning];
    let (blend, motion) = (
        prop::sample::select(&BLENDS[..]),
        prop::sample::select(&MOTIONS[..]),
    );
    let group = prop::option::of("[a-zü]{0,9}");
    let said = (
        "\\PC{0,12}",
        any_quantity(),
        blend,
        motion,
        group,
        any::<bool>(),
    );
    said.prop_map(|(name, quantity, blend, motion, group, owner_only)| {
        let mut field = Field::new(name, quantity, blend).moving(motion);
        field.owner_only = owner_only;
        match group {
            Some(group) => field.in_group(group),
            None => field,
        }
    })
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    let bits = || 1_u32..=32;
    prop_oneof![
        (-1e4_f32..1e4, 0.1_f32..1e4, 1e-3_f32..0.1).prop_map(|(min, size, step)| {
            let max = min + size;
            Quantity::Ranged { min, max, step }
        }),
        bits().prop_map(|bits| Quantity::Angle { bits }),
        bits().prop_map(|bits| Quantity::Unsigned { bits }),
        bits().prop_map(|bits| Quantity::Signed { bits }),
        bits().prop_map(|bits| Quantity::Flags { bits }),
        bits().prop_map(|bits| Quantity::Counter { bits }),
    ]
}
