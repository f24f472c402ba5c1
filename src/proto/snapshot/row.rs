//! From a game's own structs to the integers of a row, and back.
//!
//! Knows a kind's fields. Has no entity, no frame and no bits.

use super::quantity::Coding;
use super::quaternion;
use super::schema::{Field, Kind};

/// A struct of the game whose state travels in snapshots.
///
/// `#[derive(Replicate)]` writes all of it; see the [derive](macro@super::Replicate) for what a field can
/// be. By hand, for what the derive has no word for, `write` and `read` name the fields in the order
/// of [`Replicate::kind`]:
///
/// ```
/// use tickwire::proto::snapshot::{Blend, Field, Kind, Quantity, Replicate, RowReader, RowWriter};
///
/// struct Door { angle: f32, locked: bool }
///
/// impl Replicate for Door {
///     fn kind() -> Kind {
///         Kind::new("door", vec![
///             Field::new("angle", Quantity::Angle { bits: 10 }, Blend::Angle),
///             Field::new("locked", Quantity::Flags { bits: 1 }, Blend::Step),
///         ])
///     }
///     fn write(&self, row: &mut RowWriter<'_>) {
///         row.number(self.angle);
///         row.flag(self.locked);
///     }
///     fn read(row: &mut RowReader<'_>) -> Self {
///         Self { angle: row.number(), locked: row.flag() }
///     }
/// }
/// ```
pub trait Replicate: Sized {
    /// What it is made of.
    fn kind() -> Kind;
    /// Writes its fields.
    fn write(&self, row: &mut RowWriter<'_>);
    /// Reads its fields.
    fn read(row: &mut RowReader<'_>) -> Self;
}

/// An enum without data as one field: a small number.
///
/// Derived, a variant's number is its discriminant: the one that is written, else one more than the
/// variant before. A number that no variant has reads as the first variant, so that a newer
/// server does not break an older client; the schema's hash knows how many bits there are, not what
/// they are called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a snapshot",
    label = "is no enum that derives `ReplicateEnum`",
    note = "a struct that derives `Replicate` goes in with `#[replicate(flatten)]`"
)]
pub trait ReplicateEnum: Sized {
    /// How many bits the highest number needs, at least 1.
    const BITS: u32;
    /// Its number.
    fn code(&self) -> u32;
    /// The variant of a number.
    fn from_code(code: u32) -> Self;
}

/// Quantises the fields of one entity into its row, one call per field, in order.
#[derive(Debug)]
pub struct RowWriter<'a> {
    fields: &'a [Field],
    codings: &'a [Coding],
    values: &'a mut Vec<i32>,
    written: usize,
}

impl<'a> RowWriter<'a> {
    pub(super) const fn new(
        fields: &'a [Field],
        codings: &'a [Coding],
        values: &'a mut Vec<i32>,
    ) -> Self {
        Self {
            fields,
            codings,
            values,
            written: 0,
        }
    }

    /// The next field, quantised as its quantity says: metres, radians, any measured number.
    pub fn number(&mut self, value: f32) {
        let quantity = self.fields.get(self.written).map(|field| &field.quantity);
        self.push(quantity.map_or(0, |quantity| quantity.quantise(value)));
    }

    /// The next field as an integer, brought into its range.
    pub fn integer(&mut self, value: i32) {
        let coding = self.codings.get(self.written);
        self.push(coding.map_or(0, |coding| coding.clamp(value)));
    }

    /// The next field as an unsigned integer, cut off at the top of its range.
    pub fn unsigned(&mut self, value: u32) {
        let coding = self.codings.get(self.written);
        self.push(coding.map_or(0, |coding| coding.value(value.min(coding.max))));
    }

    /// The next field as one flag.
    pub fn flag(&mut self, value: bool) {
        self.integer(i32::from(value));
    }

    /// The next four fields as a unit quaternion; see [`Field::unit_quaternion`]. One that has no
    /// direction (all zero, not a number) becomes the identity.
    pub fn unit_quaternion(&mut self, value: [f32; 4]) {
        let (largest, parts) = quaternion::split(value);
        self.unsigned(largest);
        for part in parts {
            self.number(part);
        }
    }

    /// A field too many is counted and not kept; the frame refuses the row.
    fn push(&mut self, value: i32) {
        if self.written < self.fields.len() {
            self.values.push(value);
        }
        self.written += 1;
    }

    /// How many fields were written.
    pub(super) const fn written(&self) -> usize {
        self.written
    }
}

/// Reads the fields of one entity from its row, one call per field, in order. Past the last field
/// everything is zero.
#[derive(Debug, Clone)]
pub struct RowReader<'a> {
    fields: core::slice::Iter<'a, Field>,
    values: Values<'a>,
}

/// Values as they travelled, or as they are shown between two snapshots.
#[derive(Debug, Clone)]
enum Values<'a> {
    Quantised(core::slice::Iter<'a, i32>),
    Measured(core::slice::Iter<'a, f32>),
}

impl<'a> RowReader<'a> {
    /// A reader at the first of the values of an entity of this kind.
    #[must_use]
    pub fn new(kind: &'a Kind, values: &'a [i32]) -> Self {
        Self {
            fields: kind.fields.iter(),
            values: Values::Quantised(values.iter()),
        }
    }

    /// A reader at the first of the values that [`sample`](super::sample) found between two snapshots. Numbers come as they
    /// are, whole numbers as the nearest that could have travelled; beyond 2^24 those are not exact.
    #[must_use]
    pub fn measured(fields: &'a [Field], values: &'a [f32]) -> Self {
        Self {
            fields: fields.iter(),
            values: Values::Measured(values.iter()),
        }
    }

    /// The next field as the number it measures.
    pub fn number(&mut self) -> f32 {
        let field = self.fields.next();
        match &mut self.values {
            Values::Measured(values) => values.next().copied().unwrap_or(0.0),
            Values::Quantised(values) => field
                .zip(values.next())
                .map_or(0.0, |(field, value)| field.quantity.value(*value)),
        }
    }

    /// The next field as an integer.
    pub fn integer(&mut self) -> i32 {
        let field = self.fields.next();
        match &mut self.values {
            Values::Quantised(values) => values.next().copied().unwrap_or(0),
            Values::Measured(values) => field
                .zip(values.next())
                .map_or(0, |(field, value)| field.quantity.quantise(*value)),
        }
    }

    /// The next field as an unsigned integer.
    pub fn unsigned(&mut self) -> u32 {
        self.integer() as u32
    }

    /// The next four fields as a unit quaternion; see [`Field::unit_quaternion`]. Its largest
    /// component is positive: `q` and `-q` are the same rotation.
    pub fn unit_quaternion(&mut self) -> [f32; 4] {
        let largest = self.unsigned();
        let [a, b, c] = [self.number(), self.number(), self.number()];
        quaternion::join(largest, [a, b, c])
    }

    /// The next field as one flag.
    pub fn flag(&mut self) -> bool {
        self.integer() & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Blend, FrameConfig, FrameError, FrameHistory, KindId, Quantity, Schema};
    use super::*;
    use crate::id::EntityId;
    use crate::time::Tick;
    use std::sync::Arc;

    #[derive(Debug, PartialEq)]
    struct Door {
        height: f32,
        keys: u32,
        floor: i32,
        locked: bool,
    }

    impl Replicate for Door {
        fn kind() -> Kind {
            let meters = Quantity::Ranged {
                min: 0.0,
                max: 4.0,
                step: 0.25,
            };
            let field = |name: &str, quantity| Field::new(name, quantity, Blend::Step);
            let fields = vec![
                field("height", meters),
                field("keys", Quantity::Unsigned { bits: 32 }),
                field("floor", Quantity::Signed { bits: 5 }),
                field("locked", Quantity::Flags { bits: 1 }),
            ];
            Kind::new("door", fields)
        }

        fn write(&self, row: &mut RowWriter<'_>) {
            row.number(self.height);
            row.unsigned(self.keys);
            row.integer(self.floor);
            row.flag(self.locked);
        }

        fn read(row: &mut RowReader<'_>) -> Self {
            Self {
                height: row.number(),
                keys: row.unsigned(),
                floor: row.integer(),
                locked: row.flag(),
            }
        }
    }

    #[test]
    fn a_struct_goes_into_a_frame_and_comes_back() {
        let schema = Arc::new(Schema::new(vec![Door::kind()]).expect("valid"));
        let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig::default());
        let history = history.as_mut().expect("valid");
        let mut builder = history.begin(Tick(2)).expect("in order");
        let door = Door {
            height: 2.25,
            keys: u32::MAX,
            floor: -16,
            locked: true,
        };
        let id = EntityId {
            slot: 2,
            generation: 9,
        };
        assert_eq!(builder.replicate(id, KindId(0), [0.0; 3], &door), Ok(()));
        let other = EntityId { slot: 3, ..id };
        let short = builder.put_with(other, KindId(0), [0.0; 3], |row| row.flag(true));
        assert!(matches!(
            short,
            Err(FrameError::Values {
                values: 1,
                fields: 4,
                ..
            })
        ));
        let frame = history.publish(builder);
        let row = frame.entity(2).expect("it was put");
        let kind = schema.kind(row.kind).expect("in the schema");
        assert_eq!(Door::read(&mut RowReader::new(kind, row.values)), door);
    }

    #[test]
    fn a_struct_can_be_read_between_two_snapshots() {
        let kind = Door::kind();
        let between = [1.6, 7.0, -16.0, 1.0];
        let door = Door::read(&mut RowReader::measured(&kind.fields, &between));
        assert_eq!((door.height, door.keys, door.floor), (1.6, 7, -16));
        assert!(door.locked);
        // Whoever wants steps gets steps: of a quarter, from 0.
        let mut row = RowReader::measured(&kind.fields, &between);
        assert_eq!(row.integer(), 6);
    }

    #[test]
    fn past_the_last_field_there_is_nothing() {
        let kind = Door::kind();
        let quantised = RowReader::new(&kind, &[4]);
        let measured = RowReader::measured(&kind.fields, &[1.0]);
        for mut row in [quantised, measured] {
            assert_eq!(row.number(), 1.0);
            assert_eq!(
                (row.unsigned(), row.integer(), row.flag(), row.number()),
                (0, 0, false, 0.0)
            );
        }
    }
}
