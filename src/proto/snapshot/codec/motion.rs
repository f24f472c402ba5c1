//! Where a value will be, from where it was at up to three ticks; and how far off that may be.
//!
//! Whole numbers only: both ends of a connection, on whatever machine, must guess alike. Knows raw
//! numbers and weights. Has no idea of entities, ticks or bits. Section 8.5.2 of `docs/protocol.md`.

use super::super::quantity::{Coding, Form};

/// Weights are whole numbers of this part of one.
const WEIGHT_BITS: u32 = 16;
/// No weight is larger, so that no sum of products can overflow: 2^22 times a distance below 2^33, four times,
/// times an age below 2^5, is below 2^62.
pub(in super::super) const MAX_WEIGHT: i32 = 1 << 22;
/// Rotations are predicted in this part of half a step.
const ROTATION_BITS: u32 = 6;

/// A reciprocal of a length is this much finer than one.
const RECIPROCAL_BITS: u32 = 32;

/// How fast something moves, in powers of two.
pub(in super::super) const SPEEDS: usize = 12;
/// How much its speed has changed, likewise.
pub(in super::super) const TURNS: usize = 12;
/// Weights are chosen by speed and by whether the change of speed is below, about or above the
/// speed.
pub(in super::super) const WEIGHT_CLASSES: usize = SPEEDS * 3;
/// Ages are told apart finely when they are small.
pub(in super::super) const AGES: usize = 8;

/// What one member of a group is multiplied with: the way since the earlier tick, the way between
/// the two earlier ticks, the velocity the game tells, its change.
pub(in super::super) type Weights = [i32; 4];

/// The class of an age in snapshots, 1 to 31.
pub(in super::super) const fn age_class(age: u32) -> usize {
    match age {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 | 5 => 3,
        6 | 7 => 4,
        8..=10 => 5,
        11..=16 => 6,
        _ => 7,
    }
}

/// How many bits the size of a number has.
pub(in super::super) const fn magnitude(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

/// The way from one raw number to another: on a circle the shorter one.
#[inline]
pub(in super::super) fn way(coding: Coding, from: u32, to: u32) -> i64 {
    let difference = i64::from(to) - i64::from(from);
    if coding.form == Form::Circle {
        let half = (i64::from(coding.max) + 1) / 2;
        ((difference + half) & i64::from(coding.max)) - half
    } else {
        difference
    }
}

/// The raw number so far from another one, brought into the field's range.
#[inline]
fn reach(coding: Coding, from: u32, way: i64) -> u32 {
    let to = i64::from(from) + way;
    if coding.form == Form::Circle {
        (to & i64::from(coding.max)) as u32
    } else {
        to.clamp(0, i64::from(coding.max)) as u32
    }
}

/// How old the past is: the baseline, and how many snapshots before it the two earlier ticks are.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Times {
    /// Snapshots from the baseline to now.
    pub(in super::super) age: u32,
    /// Snapshots from the earlier tick to the baseline.
    pub(in super::super) earlier: u32,
    /// Snapshots from the earliest tick to the earlier one; 0: there is none.
    pub(in super::super) earliest: u32,
    /// As many as there would be if there were one.
    pub(in super::super) usual: u32,
}

/// How one group moved, in classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Pace {
    pub(in super::super) speed: usize,
    pub(in super::super) turn: usize,
}

impl Pace {
    fn new(speed: u64, turn: u64) -> Self {
        Self {
            speed: magnitude(speed).min(SPEEDS - 1),
            turn: magnitude(turn).min(TURNS - 1),
        }
    }

    /// Which weights it moves by.
    #[inline]
    pub(in super::super) const fn weight_class(self) -> usize {
        let steadiness = if self.turn + 1 < self.speed {
            0
        } else if self.turn <= self.speed {
            1
        } else {
            2
        };
        self.speed * 3 + steadiness
    }
}

/// The two ways that a member of a group came.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Ways {
    pub(in super::super) late: i64,
    pub(in super::super) early: i64,
}

impl Ways {
    /// From three raw numbers, or two, when it is taken to have come as it went.
    #[inline]
    pub(in super::super) fn new(
        coding: Coding,
        (base, earlier, earliest): (u32, u32, u32),
        times: &Times,
    ) -> Self {
        let late = way(coding, earlier, base);
        let early = if times.earliest == 0 {
            late * i64::from(times.usual) / i64::from(times.earlier.max(1))
        } else {
            way(coding, earliest, earlier)
        };
        Self { late, early }
    }

    /// How far the late way is from what the early one promised.
    #[inline]
    fn turn(self, times: &Times) -> u64 {
        let span = i64::from(times.usual.max(1));
        let bent = self.late * span - self.early * i64::from(times.earlier);
        divided(bent.unsigned_abs(), span.unsigned_abs())
    }
}

/// A quotient rounded down. Spans are tiny, and to divide by a number that the compiler knows is to multiply.
#[inline]
const fn divided(value: u64, span: u64) -> u64 {
    match span {
        0 | 1 => value,
        2 => value / 2,
        3 => value / 3,
        more => value / more,
    }
}

/// How a group of numbers moved.
#[inline]
pub(in super::super) fn pace(ways: &[Ways], times: &Times) -> Pace {
    let (mut speed, mut turn) = (0_u64, 0_u64);
    for ways in ways {
        speed = speed.saturating_add(ways.late.unsigned_abs());
        turn = turn.saturating_add(ways.turn(times));
    }
    Pace::new(speed, turn)
}

/// Where a number will be.
#[inline]
pub(in super::super) fn predict(
    coding: Coding,
    base: u32,
    age: u32,
    weights: &Weights,
    ways: Ways,
    (velocity, change): (i64, i64),
) -> u32 {
    let sum = i64::from(weights[0]) * ways.late
        + i64::from(weights[1]) * ways.early
        + i64::from(weights[2]) * velocity
        + i64::from(weights[3]) * change;
    let moved = (sum * i64::from(age) + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS;
    reach(coding, base, moved)
}

/// A rotation: the four components of a quaternion, in half steps of its three smaller ones, or in
/// a finer part of these.
pub(in super::super) type Quaternion = [i64; 4];

/// What the numbers of a rotation stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Ball {
    /// The largest raw number of the smaller components; it stands for 1/√2.
    pub(in super::super) max: u32,
    /// The square of the length of a unit quaternion, in half steps.
    squared: u64,
    /// That length, in quarters of half steps.
    unit: i64,
}

impl Ball {
    pub(in super::super) fn new(max: u32) -> Self {
        let squared = 2 * u64::from(max) * u64::from(max);
        Self {
            max,
            squared,
            unit: root(squared * 16) as i64,
        }
    }
}

/// The largest whole number whose square is at most `value`, which is below 2^63. Exact on every platform: the root of
/// a double is rounded as IEEE 754 says, and then put right.
fn root(value: u64) -> u64 {
    // Below 2^63, so that the faster conversion of signed numbers serves.
    let mut root = (value as i64 as f64).sqrt() as i64 as u64;
    while root.saturating_mul(root) > value {
        root -= 1;
    }
    while (root + 1).saturating_mul(root + 1) <= value {
        root += 1;
    }
    root
}

/// The rotation of a row's four raw numbers: which is the largest, and the three others of `0..=max`.
#[inline]
pub(in super::super) fn unpack(ball: &Ball, raw: [u32; 4]) -> Quaternion {
    let largest = (raw[0] & 3) as usize;
    let mut whole = [0; 4];
    let mut rest = ball.squared;
    let mut parts = raw[1..].iter();
    for (place, component) in whole.iter_mut().enumerate() {
        if place == largest {
            continue;
        }
        let part = parts.next().map_or(0, |part| 2 * i64::from(*part)) - i64::from(ball.max);
        *component = part;
        rest = rest.saturating_sub(part.unsigned_abs().saturating_mul(part.unsigned_abs()));
    }
    whole[largest] = root(rest) as i64;
    whole
}

/// `of`, or its negative, which is the same rotation, whichever is nearer to `to`.
#[inline]
pub(in super::super) fn aligned(of: Quaternion, to: &Quaternion) -> Quaternion {
    let dot: i64 = of.iter().zip(to).map(|(of, to)| of * to).sum();
    if dot < 0 { of.map(|part| -part) } else { of }
}

/// How a rotation moved.
#[inline]
pub(in super::super) fn rotation_pace(
    [base, earlier, earliest]: [&Quaternion; 3],
    times: &Times,
) -> (Pace, [Ways; 4]) {
    let mut ways = [Ways::default(); 4];
    let (mut speed, mut turn) = (0, 0);
    for (place, ways) in ways.iter_mut().enumerate() {
        ways.late = base[place] - earlier[place];
        ways.early = if times.earliest == 0 {
            ways.late * i64::from(times.usual) / i64::from(times.earlier.max(1))
        } else {
            earlier[place] - earliest[place]
        };
        speed += ways.late.unsigned_abs();
        turn += ways.turn(times);
    }
    (Pace::new(speed / 2, turn / 2), ways)
}

/// Where a rotation will be, in parts of half steps and of any length.
#[inline]
pub(in super::super) fn predict_rotation(
    ball: &Ball,
    base: &Quaternion,
    age: u32,
    weights: &Weights,
    ways: &[Ways; 4],
) -> Quaternion {
    let mut whole = fine(base);
    // Longer than this and squares would not fit; it is far beyond any rotation.
    let bound = i64::from(ball.max) << (ROTATION_BITS + 2);
    for (component, ways) in whole.iter_mut().zip(ways) {
        let sum = i64::from(weights[0]) * ways.late + i64::from(weights[1]) * ways.early;
        let moved = (sum * i64::from(age)) >> (WEIGHT_BITS - ROTATION_BITS);
        *component = (*component + moved).clamp(-bound, bound);
    }
    whole
}

/// A rotation in parts of half steps.
#[inline]
pub(in super::super) fn fine(whole: &Quaternion) -> Quaternion {
    whole.map(|part| part << ROTATION_BITS)
}

/// Which component is the largest; of equals the first.
#[inline]
pub(in super::super) fn largest(whole: &Quaternion) -> usize {
    let mut largest = 0;
    for place in 1..4 {
        if whole[place].unsigned_abs() > whole[largest].unsigned_abs() {
            largest = place;
        }
    }
    largest
}

/// The length of a rotation of any length, for [`pack`].
#[inline]
pub(in super::super) fn length(whole: &Quaternion) -> i64 {
    let squared: u64 = whole
        .iter()
        .map(|part| part.unsigned_abs().saturating_mul(part.unsigned_abs()))
        .fold(0, u64::saturating_add);
    (root(squared) as i64).max(1)
}

/// The three raw numbers of a rotation of this [`length`] when `largest` is the component left out.
#[inline]
pub(in super::super) fn pack(
    ball: &Ball,
    whole: &Quaternion,
    length: i64,
    largest: usize,
) -> [u32; 3] {
    // Quarters of half steps, then rounded to steps. One division serves all three: no part is
    // longer than the whole, so the product stays below 2^62.
    let sign = if whole[largest & 3] < 0 { -1 } else { 1 };
    let scale = sign * ((ball.unit << RECIPROCAL_BITS) / length);
    let mut raw = [0; 3];
    let mut place = 0;
    for (component, part) in whole.iter().enumerate() {
        if component == largest & 3 {
            continue;
        }
        let quarters = (part * scale) >> RECIPROCAL_BITS;
        let steps = (quarters + 4 * i64::from(ball.max) + 4) >> 3;
        if let Some(raw) = raw.get_mut(place) {
            *raw = steps.clamp(0, i64::from(ball.max)) as u32;
        }
        place += 1;
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::super::super::quantity::Quantity;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_root_is_exact(value: u64) {
            let root = root(value >> 2);
            prop_assert!(root * root <= value >> 2);
            prop_assert!((root + 1).checked_mul(root + 1).is_none_or(|above| above > value >> 2));
        }

        #[test]
        fn a_rotation_that_does_not_move_comes_back(largest in 0_u32..4, parts in prop::array::uniform3(0_u32..512)) {
            let ball = Ball::new(511);
            let squares: i64 = parts.iter().map(|part| (2 * i64::from(*part) - 511).pow(2)).sum();
            // A rotation whose fourth component really is the largest.
            prop_assume!(squares < 511 * 511);
            let whole = unpack(&ball, [largest, parts[0], parts[1], parts[2]]);
            let fine = fine(&whole);
            prop_assert_eq!(pack(&ball, &fine, length(&fine), largest as usize), parts);
        }

        #[test]
        fn nothing_overflows(
            bits in 1_u32..=32,
            raws in prop::array::uniform3(any::<u32>()),
            weights in prop::array::uniform4(-MAX_WEIGHT..=MAX_WEIGHT),
            age in 1_u32..32,
            lags in (1_u32..8, 0_u32..8),
        ) {
            let times = Times { age, earlier: lags.0, earliest: lags.1, usual: lags.1.max(1) };
            for quantity in [Quantity::Unsigned { bits }, Quantity::Angle { bits }, Quantity::Signed { bits }] {
                let coding = quantity.coding();
                let [base, earlier, earliest] = raws.map(|raw| raw & coding.max);
                let ways = Ways::new(coding, (base, earlier, earliest), &times);
                let _ = pace(&[ways; 4], &times).weight_class();
                let predicted = predict(coding, base, age, &weights, ways, (i64::from(u32::MAX), -i64::from(u32::MAX)));
                prop_assert!(predicted <= coding.max);
            }
            let max = ones(bits.clamp(4, 20));
            let ball = Ball::new(max);
            let raw = |raw: u32| [raw & 3, raw % (max + 1), (raw >> 3) % (max + 1), (raw >> 7) % (max + 1)];
            let wholes = raws.map(|of| unpack(&ball, raw(of)));
            let (_, ways) = rotation_pace([&wholes[0], &wholes[1], &wholes[2]], &times);
            let there = predict_rotation(&ball, &wholes[0], age, &weights, &ways);
            let parts = pack(&ball, &there, length(&there), largest(&there));
            prop_assert!(parts.iter().all(|part| *part <= max));
        }
    }

    const fn ones(bits: u32) -> u32 {
        (1 << bits) - 1
    }

    #[test]
    fn what_moves_evenly_is_foreseen() {
        let coding = Quantity::Unsigned { bits: 16 }.coding();
        let times = Times {
            age: 6,
            earlier: 2,
            earliest: 2,
            usual: 2,
        };
        let ways = Ways::new(coding, (120, 110, 100), &times);
        // Half of the way of two snapshots, six times.
        let weights = [1 << (WEIGHT_BITS - 1), 0, 0, 0];
        assert_eq!(predict(coding, 120, 6, &weights, ways, (0, 0)), 150);
        assert_eq!(pace(&[ways], &times), Pace { speed: 4, turn: 0 });
    }
}
