//! What one field of an entity can be: its range, its precision, and how it moves between two
//! snapshots.
//!
//! Knows numbers. Has no idea which entity they belong to or how they travel. Sections 7.1 and 7.2 of
//! `docs/protocol.md`.

/// What a field measures, and with what precision it travels.
///
/// Inside frames and replicas every field is an `i32`, quantised once a tick. The two ends compare,
/// subtract and send these integers only, so that nothing depends on how a platform rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A number from `min` to `max` in steps of `step`; quantised to the number of steps above
    /// `min`.
    Ranged {
        /// The smallest number.
        min: f32,
        /// The largest number.
        max: f32,
        /// The distance of two neighbours; at most 2^32 values fit between `min` and `max`.
        step: f32,
    },
    /// An angle in radians; a full turn has `2^bits` steps and wraps.
    Angle {
        /// 1 to 32.
        bits: u32,
    },
    /// A whole number of `0..2^bits`. With 32 bits the `i32` holds the bits of the `u32`.
    Unsigned {
        /// 1 to 32.
        bits: u32,
    },
    /// A whole number of `-2^(bits-1)..2^(bits-1)`.
    Signed {
        /// 1 to 32.
        bits: u32,
    },
    /// Independent flags: a change of one says nothing about the size of a difference.
    Flags {
        /// 1 to 32.
        bits: u32,
    },
    /// A whole number of `0..2^bits` that counts up and starts over: shots fired, steps taken. A
    /// number beyond its range keeps its lower bits.
    Counter {
        /// 1 to 32.
        bits: u32,
    },
}

/// How a field is shown between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blend {
    /// On the straight line between the two values.
    Linear,
    /// Along the shorter way around the circle.
    Angle,
    /// The earlier value until the later one is reached.
    Step,
}

/// How a field moves from tick to tick, most of the time.
///
/// A hint for the codec, which predicts its next value: what was expected costs next to nothing to
/// send. A wrong one is never wrong on the wire, only larger. It is part of
/// [`Schema::hash`](super::Schema::hash), because both ends must expect the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Motion {
    /// It stays as it is, and jumps when it changes.
    Still,
    /// At a velocity that seldom changes.
    Linear,
    /// Around the circle at a speed that seldom changes.
    Spinning,
    /// Nobody can say.
    #[default]
    Any,
}

/// How the integers of a field are coded: [`Quantity`] with its arithmetic done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    /// The largest raw number; raw numbers start at 0.
    pub(super) max: u32,
    /// Added (wrapping) to a value to get its raw number.
    offset: u32,
    /// How many bits a raw number needs.
    pub(super) bits: u32,
    /// What a difference of two raw numbers means.
    pub(super) form: Form,
}

/// What a difference of two raw numbers means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A distance on a line.
    Number,
    /// A distance on a circle of `2^bits` steps.
    Circle,
    /// Nothing.
    Flags,
}

impl Coding {
    /// The raw number of a value, brought into its range.
    #[inline]
    pub(super) fn raw(self, value: i32) -> u32 {
        let raw = (value as u32).wrapping_add(self.offset);
        match self.form {
            Form::Number => raw.min(self.max),
            Form::Circle | Form::Flags => raw & self.max,
        }
    }

    /// The value of a raw number that is not larger than `max`.
    #[inline]
    pub(super) const fn value(self, raw: u32) -> i32 {
        raw.wrapping_sub(self.offset) as i32
    }

    /// The value nearest to `value` that the field can hold.
    #[inline]
    pub(super) fn clamp(self, value: i32) -> i32 {
        if self.form == Form::Number && self.offset != 0 {
            // A signed field: below its range is not the same as far above it.
            let lowest = self.value(0);
            return value.clamp(lowest, self.value(self.max));
        }
        self.value(self.raw(value))
    }
}

/// The largest number of `bits` bits.
const fn ones(bits: u32) -> u32 {
    if bits >= 32 {
        u32::MAX
    } else {
        (1 << bits) - 1
    }
}

impl Quantity {
    /// What is wrong with it, if anything, as the end of a sentence. A constant can be asked while
    /// it is compiled:
    ///
    /// ```
    /// use tickwire::proto::snapshot::Quantity;
    /// const METERS: Quantity = Quantity::Ranged { min: -512.0, max: 512.0, step: 1.0 / 64.0 };
    /// const _: () = assert!(METERS.fault().is_none());
    /// assert_eq!(Quantity::Unsigned { bits: 33 }.fault(), Some("needs 1 to 32 bits"));
    /// ```
    #[must_use]
    pub const fn fault(&self) -> Option<&'static str> {
        match *self {
            Self::Ranged { min, max, step } => {
                if !(min.is_finite() && max.is_finite() && step.is_finite()) {
                    Some("has a bound or a step that is not finite")
                } else if min >= max {
                    Some("has an empty range: min is not below max")
                } else if step <= 0.0 {
                    Some("has a step that is not above zero")
                } else {
                    let steps = steps(min, max, step);
                    if steps < 1.0 {
                        Some("has a step larger than its range")
                    } else if steps > u32::MAX as f64 {
                        Some("needs more than 32 bits")
                    } else {
                        None
                    }
                }
            }
            Self::Angle { bits }
            | Self::Unsigned { bits }
            | Self::Signed { bits }
            | Self::Flags { bits }
            | Self::Counter { bits } => {
                if bits >= 1 && bits <= 32 {
                    None
                } else {
                    Some("needs 1 to 32 bits")
                }
            }
        }
    }

    /// Its arithmetic, done once per schema.
    pub(super) const fn coding(&self) -> Coding {
        let (max, offset, form) = match *self {
            Self::Ranged { min, max, step } => (steps(min, max, step) as u32, 0, Form::Number),
            Self::Angle { bits } => (ones(bits), 0, Form::Circle),
            Self::Unsigned { bits } => (ones(bits), 0, Form::Number),
            Self::Signed { bits } => (ones(bits), (ones(bits) >> 1).wrapping_add(1), Form::Number),
            Self::Flags { bits } => (ones(bits), 0, Form::Flags),
            Self::Counter { bits } => (ones(bits), 0, Form::Circle),
        };
        Coding {
            max,
            offset,
            bits: 32 - max.leading_zeros(),
            form,
        }
    }

    /// How many of its steps a step of `velocity` says. What has a range is in a unit: the field's,
    /// or radians of an angle; whole numbers count steps of the field.
    pub(super) fn steps_of_velocity(&self, velocity: &Self) -> f64 {
        let Self::Ranged { step, .. } = *velocity else {
            return 1.0;
        };
        f64::from(step)
            / match *self {
                Self::Ranged { step, .. } => f64::from(step),
                Self::Angle { bits } => core::f64::consts::TAU / circle(bits),
                _ => 1.0,
            }
    }

    /// How many bits a value needs: 1 to 32.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.coding().bits
    }

    /// The integer that stands for `value`: the nearest one of the range; what is not a number is
    /// the lowest.
    #[must_use]
    pub fn quantise(&self, value: f32) -> i32 {
        match *self {
            Self::Ranged { min, max, step } => {
                let steps_up = (f64::from(value) - f64::from(min)) / f64::from(step);
                // The cast sends NaN to 0 and cuts off at both ends.
                (steps_up.round() as u32).min(steps(min, max, step) as u32) as i32
            }
            Self::Angle { bits } => {
                let turn = (f64::from(value) / core::f64::consts::TAU).rem_euclid(1.0);
                let raw = (turn * circle(bits)).round() as u64;
                (raw as u32 & ones(bits)) as i32
            }
            Self::Unsigned { bits } | Self::Flags { bits } => {
                (f64::from(value).round() as u32).min(ones(bits)) as i32
            }
            Self::Signed { .. } => self.coding().clamp(f64::from(value).round() as i32),
            Self::Counter { bits } => ((f64::from(value).round() as u32) & ones(bits)) as i32,
        }
    }

    /// The number that an integer stands for. An angle is at least 0 and below a full turn.
    #[must_use]
    pub fn value(&self, quantised: i32) -> f32 {
        match *self {
            Self::Ranged { min, step, .. } => {
                (f64::from(min) + f64::from(quantised as u32) * f64::from(step)) as f32
            }
            Self::Angle { bits } => {
                let raw = quantised as u32 & ones(bits);
                (f64::from(raw) * core::f64::consts::TAU / circle(bits)) as f32
            }
            Self::Unsigned { .. } | Self::Flags { .. } | Self::Counter { .. } => {
                quantised as u32 as f32
            }
            Self::Signed { .. } => quantised as f32,
        }
    }
}

/// How many steps lead from `min` to `max`, rounded: the largest quantised value.
const fn steps(min: f32, max: f32, step: f32) -> f64 {
    ((max as f64 - min as f64) / step as f64).round()
}

/// The steps of a full turn.
fn circle(bits: u32) -> f64 {
    (1_u64 << bits.min(32)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGED: Quantity = Quantity::Ranged {
        min: -100.0,
        max: 100.0,
        step: 1.0 / 64.0,
    };

    proptest! {
        #[test]
        fn a_ranged_number_comes_back_within_half_a_step(value in -100.0_f32..100.0) {
            let back = RANGED.value(RANGED.quantise(value));
            prop_assert!((back - value).abs() <= 0.5 / 64.0 + 1e-5, "{value} became {back}");
        }

        #[test]
        fn an_angle_comes_back_within_half_a_step_and_a_turn(value in -50.0_f32..50.0) {
            let angle = Quantity::Angle { bits: 12 };
            let apart = (angle.value(angle.quantise(value)) - value).rem_euclid(core::f32::consts::TAU);
            let apart = apart.min(core::f32::consts::TAU - apart);
            prop_assert!(apart <= core::f32::consts::TAU / 8192.0 + 1e-4, "off by {apart}");
        }

        #[test]
        fn every_value_has_a_raw_number_of_its_own_and_back(value: i32, bits in 1_u32..=32) {
            for quantity in [Quantity::Unsigned { bits }, Quantity::Signed { bits }, Quantity::Angle { bits }, Quantity::Flags { bits }, Quantity::Counter { bits }] {
                let coding = quantity.coding();
                let held = coding.clamp(value);
                prop_assert_eq!(coding.clamp(held), held);
                prop_assert!(coding.raw(held) <= coding.max);
                prop_assert_eq!(coding.value(coding.raw(held)), held);
            }
        }
    }

    #[test]
    fn what_is_out_of_range_becomes_the_nearest_value() {
        assert_eq!(RANGED.quantise(1e9), 12_800);
        assert_eq!(RANGED.quantise(-1e9), 0);
        assert_eq!(RANGED.quantise(f32::NAN), 0);
        let signed = Quantity::Signed { bits: 4 }.coding();
        assert_eq!(signed.clamp(100), 7);
        assert_eq!(signed.clamp(-100), -8);
        assert_eq!(signed.clamp(-8), -8);
    }

    #[test]
    fn a_full_turn_is_no_turn() {
        let angle = Quantity::Angle { bits: 8 };
        assert_eq!(angle.quantise(core::f32::consts::TAU), 0);
        assert_eq!(angle.quantise(-core::f32::consts::FRAC_PI_2), 192);
    }

    #[test]
    fn a_counter_starts_over() {
        let counter = Quantity::Counter { bits: 6 };
        assert_eq!(counter.quantise(65.0), 1);
        assert_eq!(counter.coding().clamp(64), 0);
        assert_eq!(counter.value(63), 63.0);
    }

    #[test]
    fn the_number_of_bits_is_the_smallest_that_holds_the_range() {
        assert_eq!(RANGED.bits(), 14);
        assert_eq!(Quantity::Signed { bits: 9 }.bits(), 9);
        assert_eq!(Quantity::Unsigned { bits: 32 }.bits(), 32);
    }
}
