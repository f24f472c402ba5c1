//! Rotations as four fields: a unit quaternion by its three smallest components.
//!
//! The squares of the four components add up to one, so the largest follows from the others; and as
//! `q` and `-q` are one rotation, it may be taken as positive. The other three are never beyond
//! 1/√2. (Known in games as "smallest three"; G. Fiedler, "Snapshot Compression", 2015.)
//!
//! Knows four numbers. Has no row and no bits.

use core::f32::consts::FRAC_1_SQRT_2;

use super::quantity::{Blend, Quantity};
use super::schema::Field;

impl Field {
    /// The four fields of a unit quaternion: which component is the largest (`name_largest`), and
    /// the three others in their order (`name_a`, `name_b`, `name_c`) with `bits` each, 4 to 20.
    /// A component is off by at most `0.71 / (2^bits - 2)`: with 10 bits by 0.0007.
    ///
    /// They are one group, and blend by steps: between two rotations whose largest components differ
    /// the three others mean different things. Read both and blend the rotations.
    ///
    /// ```
    /// use tickwire::proto::snapshot::{Field, Kind, Schema};
    /// let crate_ = Kind::new("crate", Field::unit_quaternion("rotation", 10).into());
    /// assert_eq!(crate_.fields[0].name, "rotation_largest");
    /// assert!(Schema::new(vec![crate_]).is_ok());
    /// ```
    #[must_use]
    pub fn unit_quaternion(name: &str, bits: u32) -> [Self; 4] {
        // An even number of steps: the middle one is zero, of which rotations are full.
        let steps = (1_u64 << bits.min(32)).saturating_sub(2);
        let part = Quantity::Ranged {
            min: -FRAC_1_SQRT_2,
            max: FRAC_1_SQRT_2,
            step: 2.0 * FRAC_1_SQRT_2 / steps as f32,
        };
        let field = |part: &str, quantity| {
            let field = Self::new(format!("{name}_{part}"), quantity, Blend::Step);
            Self {
                rotation: true,
                ..field.in_group(name)
            }
        };
        [
            field("largest", Quantity::Unsigned { bits: 2 }),
            field("a", part),
            field("b", part),
            field("c", part),
        ]
    }
}

/// Which component is the largest, and the others as they are when that one is positive.
pub(super) fn split(value: [f32; 4]) -> (u32, [f32; 3]) {
    let mut largest = 0;
    for index in 1..4 {
        if value[index].abs() > value[largest].abs() {
            largest = index;
        }
    }
    let length = value.iter().map(|part| part * part).sum::<f32>().sqrt();
    if !length.is_normal() {
        return (3, [0.0; 3]);
    }
    let others = match largest {
        0 => [1, 2, 3],
        1 => [0, 2, 3],
        2 => [0, 1, 3],
        _ => [0, 1, 2],
    };
    let length = length.copysign(value[largest]);
    (largest as u32, others.map(|at: usize| value[at] / length))
}

/// The rotation of three components and the place of the largest one.
pub(super) fn join(largest: u32, parts: [f32; 3]) -> [f32; 4] {
    let rest: f32 = parts.iter().map(|part| part * part).sum();
    let [a, b, c] = parts;
    // Rounded parts, or a stranger's, may be a little longer than one together.
    let positive = (1.0 - rest).max(0.0).sqrt();
    let whole = match largest & 3 {
        0 => [positive, a, b, c],
        1 => [a, positive, b, c],
        2 => [a, b, positive, c],
        _ => [a, b, c, positive],
    };
    let length = (rest + positive * positive).sqrt();
    whole.map(|part| part / length)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Schema};
    use super::*;
    use proptest::prelude::*;

    fn through(value: [f32; 4], bits: u32) -> [f32; 4] {
        let fields = Field::unit_quaternion("q", bits);
        let (largest, parts) = split(value);
        let quantity = fields[1].quantity;
        let parts = parts.map(|part| quantity.value(quantity.quantise(part)));
        join(largest, parts)
    }

    proptest! {
        #[test]
        fn a_rotation_comes_back_within_its_precision(
            value in prop::array::uniform4(-1.0_f32..1.0),
            bits in 4_u32..=20,
        ) {
            let length = value.iter().map(|part| part * part).sum::<f32>().sqrt();
            prop_assume!(length > 1e-3);
            let back = through(value, bits);
            let dot: f32 = back.iter().zip(value).map(|(back, was)| back * was / length).sum();
            let off = f32::sqrt(2.0 * (1.0 - dot.abs()).max(0.0));
            // Three parts off by half a step, and what that does to the fourth.
            let bound = 3.0 * FRAC_1_SQRT_2 / (2.0_f32.powi(bits as i32) - 2.0) + 1e-3;
            prop_assert!(off <= bound, "{value:?} became {back:?}, off by {off}");
            let unit: f32 = back.iter().map(|part| part * part).sum();
            prop_assert!((unit - 1.0).abs() < 1e-5);
        }

        #[test]
        fn whatever_arrives_is_a_rotation(largest: u32, raw in prop::array::uniform3(0_i32..=1023)) {
            let quantity = Field::unit_quaternion("q", 10)[1].quantity;
            let back = join(largest, raw.map(|raw| quantity.value(raw)));
            let unit: f32 = back.iter().map(|part| part * part).sum();
            prop_assert!((unit - 1.0).abs() < 1e-5, "{back:?}");
        }
    }

    #[test]
    fn every_width_is_valid_and_uses_its_bits() {
        for bits in 4..=20 {
            let kind = Kind::new("k", Field::unit_quaternion("q", bits).into());
            assert_eq!(kind.fields[1].quantity.bits(), bits);
            assert!(Schema::new(vec![kind]).is_ok());
        }
    }

    #[test]
    fn what_is_no_rotation_is_the_identity() {
        for value in [[0.0; 4], [f32::NAN; 4], [f32::INFINITY; 4], [1e-30; 4]] {
            assert_eq!(split(value), (3, [0.0; 3]), "{value:?}");
        }
        assert!(through([0.0, 0.0, 0.0, -1.0], 10)[3] > 0.9999);
    }
}
