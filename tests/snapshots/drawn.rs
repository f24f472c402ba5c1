//! Schemas at random, and games at random to fill them: every quantity in every width, groups, motions,
//! velocities and rotations, whether they make sense together or not.
//!
//! Knows the schema. Has no idea of clients and networks.

use core::f32::consts::TAU;
use std::num::NonZeroU16;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::proto::snapshot::{Blend, Field, Kind, Motion, Quantity, Schema};

use crate::world::Thing;

/// How the values of a field really go, whatever the schema says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Habit {
    /// As it was, and seldom something else.
    Rests,
    /// At a speed that seldom changes; beyond the end of its range it begins again.
    Goes,
    /// A little up or down.
    Wanders,
    /// To anywhere.
    Jumps,
    /// The first of the four fields of a rotation: round an axis, at a speed that seldom changes.
    Turns,
    /// As fast as the field goes that is at this place of the kind.
    Speed(usize),
}

/// A game whose schema was drawn, and what its things do.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    kinds: Vec<Vec<(Quantity, Habit)>>,
}

impl Drawn {
    /// A schema and a game of it.
    pub(crate) fn new(seed: u64) -> (Self, Schema) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed ^ 0x5C4E);
        let count = rng.random_range(1..=5);
        let kinds: Vec<_> = (0..count).map(|number| kind(rng, number)).collect();
        let habits = kinds.iter().map(|kind| habits(rng, &kind.fields)).collect();
        let schema = Schema::new(kinds).expect("whatever is drawn is valid");
        (Self { kinds: habits }, schema)
    }

    pub(crate) fn kinds(&self) -> u8 {
        self.kinds.len() as u8
    }

    /// The values of something new, and what it keeps to itself.
    pub(crate) fn begin(&self, rng: &mut ChaCha8Rng, kind: u8) -> (Vec<i32>, Vec<i64>) {
        let fields = &self.kinds[usize::from(kind)];
        let zeros = rng.random_bool(0.3);
        let value = |(quantity, _): &(Quantity, Habit)| {
            let raw = if zeros { 0 } else { rng.random::<u32>() };
            value(quantity, i64::from(raw))
        };
        let values = fields.iter().map(value).collect();
        let speeds = fields.iter().map(|_| rng.random_range(-90..90)).collect();
        (values, speeds)
    }

    /// One tick of a thing.
    pub(crate) fn step(&self, rng: &mut ChaCha8Rng, thing: &mut Thing) {
        let fields = &self.kinds[usize::from(thing.kind)];
        for (index, (quantity, habit)) in fields.iter().enumerate() {
            if rng.random_bool(0.03) {
                thing.speeds[index] = rng.random_range(-90..90);
            }
            let now = raw(quantity, thing.values[index]);
            let next = match *habit {
                Habit::Rests if !rng.random_bool(0.02) => now,
                Habit::Rests | Habit::Jumps => i64::from(rng.random::<u32>()),
                Habit::Goes => now + thing.speeds[index],
                Habit::Wanders => now + rng.random_range(-3..=3),
                Habit::Turns => {
                    // The four turn together, by the speed of the first; the second keeps the angle.
                    thing.speeds[index + 1] += thing.speeds[index];
                    let angle = thing.speeds[index + 1] as f32 / 1_000.0;
                    let four = rotation(angle, index, &fields[index + 1].0);
                    thing.values[index..index + 4].copy_from_slice(&four);
                    continue;
                }
                Habit::Speed(of) => {
                    let middle = (i64::from(top(quantity)) + 1) / 2;
                    middle + thing.speeds[of]
                }
            };
            // What turns with the first of four has been told with it.
            let turns = |at: usize| fields.get(at).is_some_and(|of| of.1 == Habit::Turns);
            if !(1..4).any(|back| index.checked_sub(back).is_some_and(turns)) {
                thing.values[index] = value(quantity, next);
            }
        }
    }
}

/// The four fields of a rotation by an angle.
fn rotation(angle: f32, axis: usize, part: &Quantity) -> [i32; 4] {
    let (sin, cos) = (angle.rem_euclid(2.0 * TAU) / 2.0).sin_cos();
    let tilt = 0.3 + 0.2 * axis as f32;
    let whole = [cos, sin * tilt.cos(), sin * tilt.sin(), 0.0];
    let mut largest = 0;
    for place in 1..4 {
        if whole[place].abs() > whole[largest].abs() {
            largest = place;
        }
    }
    let others = (0..4).filter(|place| *place != largest);
    let mut four = [largest as i32, 0, 0, 0];
    for (to, from) in four.iter_mut().skip(1).zip(others) {
        *to = part.quantise(whole[from] * whole[largest].signum());
    }
    four
}

/// The largest raw number.
fn top(quantity: &Quantity) -> u32 {
    match *quantity {
        Quantity::Ranged { .. } => quantity.quantise(f32::INFINITY) as u32,
        Quantity::Angle { bits }
        | Quantity::Unsigned { bits }
        | Quantity::Signed { bits }
        | Quantity::Flags { bits }
        | Quantity::Counter { bits } => u32::MAX >> (32 - bits),
    }
}

/// The middle of what is signed.
const fn offset(quantity: &Quantity) -> i64 {
    match *quantity {
        Quantity::Signed { bits } => 1 << (bits - 1),
        _ => 0,
    }
}

/// What a frame holds for a raw number; beyond its end it begins again.
fn value(quantity: &Quantity, raw: i64) -> i32 {
    let raw = raw.rem_euclid(i64::from(top(quantity)) + 1);
    (raw - offset(quantity)) as i32
}

fn raw(quantity: &Quantity, value: i32) -> i64 {
    match quantity {
        Quantity::Signed { .. } => i64::from(value) + offset(quantity),
        _ => i64::from(value as u32),
    }
}

fn kind(rng: &mut ChaCha8Rng, number: usize) -> Kind {
    let most = if rng.random_bool(0.1) { 32 } else { 8 };
    let wanted = rng.random_range(1..=most);
    let mut fields = Vec::new();
    while fields.len() < wanted {
        let name = format!("f{}", fields.len());
        if rng.random_bool(0.1) && fields.len() + 4 <= Schema::MAX_FIELDS {
            fields.extend(Field::unit_quaternion(&name, rng.random_range(4..=20)));
        } else {
            fields.push(field(rng, name));
        }
    }
    let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
    for field in fields.iter_mut().filter(|field| !field.rotation) {
        if rng.random_bool(0.25) {
            // Perhaps its own: that is allowed, and of no use.
            field.velocity = Some(names[rng.random_range(0..names.len())].clone());
            // Right or wrong or not known; no draw of its own, so that seeds stand for what they stood for.
            field.velocity_per = NonZeroU16::new(names.len() as u16 % 4 * 15);
        }
    }
    Kind::new(format!("kind {number}"), fields)
}

fn field(rng: &mut ChaCha8Rng, name: String) -> Field {
    let motions = [Motion::Still, Motion::Linear, Motion::Spinning, Motion::Any];
    let blend = [Blend::Linear, Blend::Angle, Blend::Step][rng.random_range(0..3)];
    let mut field = Field::new(name, quantity(rng), blend).moving(motions[rng.random_range(0..4)]);
    if rng.random_bool(0.6) {
        field = field.in_group(["one", "two"][rng.random_range(0..2)]);
    }
    field
}

fn quantity(rng: &mut ChaCha8Rng) -> Quantity {
    loop {
        let bits = match rng.random_range(0..4) {
            0 => rng.random_range(1..=4),
            1 => rng.random_range(5..=7),
            2 => rng.random_range(8..=16),
            _ => rng.random_range(17..=32),
        };
        let quantity = match rng.random_range(0..6) {
            0 => Quantity::Angle { bits },
            1 => Quantity::Unsigned { bits },
            2 => Quantity::Signed { bits },
            3 => Quantity::Flags { bits },
            4 => Quantity::Counter { bits },
            _ => {
                let min = [-512.0, -0.7, 0.0, 3.7][rng.random_range(0..4)];
                let step = [1.0 / 64.0, 0.1, 1.0, 7.3][rng.random_range(0..4)];
                let steps = rng.random_range(1..=u32::MAX >> (32 - bits));
                let max = min + steps as f32 * step;
                Quantity::Ranged { min, max, step }
            }
        };
        if quantity.fault().is_none() {
            return quantity;
        }
    }
}

fn habits(rng: &mut ChaCha8Rng, fields: &[Field]) -> Vec<(Quantity, Habit)> {
    let mut habits: Vec<_> = fields
        .iter()
        .map(|field| {
            let any = [Habit::Rests, Habit::Goes, Habit::Wanders, Habit::Jumps];
            let habit = any[[0, 0, 1, 1, 1, 2, 2, 3][rng.random_range(0..8)]];
            (field.quantity, habit)
        })
        .collect();
    for (index, field) in fields.iter().enumerate() {
        let velocity = fields
            .iter()
            .position(|of| Some(&of.name) == field.velocity.as_ref() && !of.rotation);
        if let Some(velocity) = velocity.filter(|_| rng.random_bool(0.7)) {
            habits[velocity].1 = Habit::Speed(index);
        }
    }
    // Some rotations turn; of the others the four do as they like, and are no rotations at all.
    let mut index = 0;
    while index < fields.len() {
        if fields[index].rotation {
            if rng.random_bool(0.8) {
                habits[index].1 = Habit::Turns;
            }
            index += 4;
        } else {
            index += 1;
        }
    }
    habits
}
