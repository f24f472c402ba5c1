//! Recorded worlds in the format of the 2015 snapshot compression challenge and of its kin.
//!
//! A file is zstd (window 2^27). *Bodies*: ticks x entities x 8 `i32`, little endian: which component
//! of the rotation is the largest, the three others in 9 bits, x and y in 18 bits signed, z in 14,
//! and a flag. *Arena*: a header of 24 bytes (`ARENA01\0`, then as `u32` entities, fields, rate,
//! ticks), then ticks x entities x 16 `i32`: generation (0: nobody), kind, x, y, z, yaw, pitch,
//! velocity, health, weapon, ammo, flags, event counter, event.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tickwire::id::EntityId;
pub(crate) use tickwire::proto::snapshot::Schema;
use tickwire::proto::snapshot::{Blend, Field, Kind, KindId, Motion, Quantity};

/// An entity at one tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: EntityId,
    pub(crate) kind: KindId,
    pub(crate) values: Vec<i32>,
}

/// A world as it was, tick by tick.
pub(crate) struct World {
    pub(crate) schema: Arc<Schema>,
    /// Slots there are.
    pub(crate) entities: usize,
    /// Bits of a row as it is, without any compression.
    pub(crate) raw_bits: usize,
    /// By tick: who is there, by slot.
    pub(crate) ticks: Vec<Vec<Row>>,
}

const MAGIC: &[u8; 8] = b"ARENA01\0";

/// Reads a file. How many entities there are is told by its name, its header, or `entities`.
pub(crate) fn read(path: &Path, entities: Option<usize>) -> Result<World> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut decoder = zstd::Decoder::new(file)?;
    decoder.window_log_max(27)?;
    let mut bytes = Vec::new();
    decoder
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} is not zstd", path.display()))?;
    if bytes.starts_with(MAGIC) {
        return arena(&bytes);
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let known = [("physics-cubes", 901), ("replay", 225)];
    let known = known.iter().find(|(start, _)| name.starts_with(start));
    let Some(entities) = entities.or(known.map(|(_, entities)| *entities)) else {
        bail!(
            "say with --entities N how many entities {} has",
            path.display()
        );
    };
    bodies(&bytes, entities)
}

fn numbers(bytes: &[u8]) -> Vec<i32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| i32::from_le_bytes(*word)).collect()
}

fn bodies(bytes: &[u8], entities: usize) -> Result<World> {
    let numbers = numbers(bytes);
    ensure!(
        entities > 0 && !numbers.is_empty() && numbers.len().is_multiple_of(entities * 8),
        "{} numbers are no whole ticks of {entities} entities with 8 numbers each",
        numbers.len()
    );
    let tick = |numbers: &[i32]| {
        let rows = numbers.chunks_exact(8).enumerate();
        rows.map(|(slot, of)| Row {
            id: EntityId {
                slot: slot as u16,
                generation: 0,
            },
            kind: KindId(0),
            values: vec![of[4], of[5], of[6], of[0], of[1], of[2], of[3], of[7]],
        })
        .collect()
    };
    Ok(World {
        schema: Arc::new(body_schema(entities)?),
        entities,
        raw_bits: 80,
        ticks: numbers.chunks_exact(entities * 8).map(tick).collect(),
    })
}

/// Rotations have an odd number of steps in this format: zero is between two of them.
fn body_schema(entities: usize) -> Result<Schema> {
    let side = core::f32::consts::FRAC_1_SQRT_2;
    let part = Quantity::Ranged {
        min: -side,
        max: side,
        step: 2.0 * side / 511.0,
    };
    let place = |name, quantity| {
        let field = Field::new(name, quantity, Blend::Linear);
        field.in_group("place").moving(Motion::Linear)
    };
    let mut fields = vec![
        place("x", Quantity::Signed { bits: 18 }),
        place("y", Quantity::Signed { bits: 18 }),
        place("z", Quantity::Unsigned { bits: 17 }),
    ];
    fields.extend(Field::unit_quaternion("rotation", 9).map(|field| Field {
        quantity: match field.quantity {
            Quantity::Ranged { .. } => part,
            other => other,
        },
        ..field
    }));
    let flag = Field::new("interacting", Quantity::Flags { bits: 1 }, Blend::Step);
    fields.push(flag);
    let schema = Schema::new(vec![Kind::new("body", fields)])?;
    Ok(schema.with_max_entities(entities as u32)?)
}

fn arena(bytes: &[u8]) -> Result<World> {
    let header = numbers(&bytes[8..24]);
    let (entities, fields) = (header[0] as usize, header[1]);
    ensure!(fields == 16, "an arena of {fields} fields, not 16");
    let numbers = numbers(&bytes[24..]);
    let tick = |numbers: &[i32]| {
        let rows = numbers.chunks_exact(16).enumerate();
        let present = rows.filter(|(_, of)| of[0] != 0);
        present
            .map(|(slot, of)| Row {
                id: EntityId {
                    slot: slot as u16,
                    generation: of[0] as u16,
                },
                kind: KindId(of[1] as u8),
                values: {
                    let mut values = of[2..15].to_vec();
                    values.extend([of[15] & 7, of[15] >> 3]);
                    values
                },
            })
            .collect()
    };
    Ok(World {
        schema: Arc::new(arena_schema(entities)?),
        entities,
        raw_bits: 162,
        ticks: numbers.chunks_exact(entities * 16).map(tick).collect(),
    })
}

fn arena_schema(entities: usize) -> Result<Schema> {
    let field = |name: &str, quantity| Field::new(name, quantity, Blend::Linear);
    let place = |name, quantity, velocity: &str| {
        let field = field(name, quantity).in_group("place");
        let field = field.moving(Motion::Linear);
        field.with_velocity_per(velocity, VELOCITY_PER)
    };
    let velocity = |name| field(name, Quantity::Signed { bits: 12 }).in_group("velocity");
    let jumps = |name, quantity| field(name, quantity).moving(Motion::Still);
    let fields = || {
        vec![
            place("x", Quantity::Signed { bits: 18 }, "vx"),
            place("y", Quantity::Signed { bits: 18 }, "vy"),
            place("z", Quantity::Unsigned { bits: 12 }, "vz"),
            field("yaw", Quantity::Angle { bits: 12 })
                .in_group("view")
                .moving(Motion::Spinning),
            field("pitch", STEPS_OF_10_BITS).in_group("view"),
            velocity("vx"),
            velocity("vy"),
            velocity("vz"),
            jumps("health", Quantity::Unsigned { bits: 7 }),
            jumps("weapon", Quantity::Unsigned { bits: 3 }),
            jumps("ammo", Quantity::Unsigned { bits: 6 }),
            jumps("flags", Quantity::Flags { bits: 7 }),
            jumps("event_count", Quantity::Counter { bits: 8 }).in_group("event"),
            jumps("event", Quantity::Unsigned { bits: 3 }).in_group("event"),
            jumps("event_of", Quantity::Unsigned { bits: 13 }).in_group("event"),
        ]
    };
    let kinds = ["nothing", "player", "projectile"];
    let kinds = kinds.map(|name| Kind::new(name, fields()));
    Ok(Schema::new(kinds.to_vec())?.with_max_entities(entities as u32)?)
}

impl World {
    /// The same world several times side by side, until it has so many entities.
    pub(crate) fn tiled(&self, entities: usize) -> Result<Self> {
        let schema = Schema::clone(&self.schema).with_max_entities(entities as u32)?;
        let tick = |rows: &Vec<Row>| {
            let copies = 0..entities.div_ceil(self.entities);
            let all = copies.flat_map(|copy| {
                rows.iter().map(move |row| Row {
                    id: EntityId {
                        slot: row.id.slot + (copy * self.entities) as u16,
                        ..row.id
                    },
                    ..row.clone()
                })
            });
            all.filter(|row| usize::from(row.id.slot) < entities)
                .collect()
        };
        Ok(Self {
            schema: Arc::new(schema),
            entities,
            raw_bits: self.raw_bits,
            ticks: self.ticks.iter().map(tick).collect(),
        })
    }
}

/// 1/32 m a second, 30 times a second, in 1/64 m.
const VELOCITY_PER: u16 = 30 * 32 / 64;

/// Numbers of `0..1024` that are measured, not counted.
const STEPS_OF_10_BITS: Quantity = Quantity::Ranged {
    min: 0.0,
    max: 1023.0,
    step: 1.0,
};
