//! The description of a world as bytes, complete enough to rebuild it without the game.
//!
//! Knows every part of a [`Schema`], hints included. What a field can be is written in one pair of functions for each
//! part: whoever adds a part adds a number here, and a line to `docs/recording.md`.

use std::num::NonZeroU16;

use super::FormatError;
use super::bytes::{put_text, text};
use crate::proto::snapshot::{Blend, Field, Kind, Motion, Quantity, Schema};
use crate::proto::wire::ByteReader;

/// Marks of a field: the name of its group follows, then that of its velocity; it is one of four of
/// a unit quaternion; only its owner is told it; after the names follows per how many snapshots its
/// velocity is.
const HAS_GROUP: u8 = 1;
const HAS_VELOCITY: u8 = 2;
const IS_ROTATION: u8 = 4;
const IS_OWNER_ONLY: u8 = 8;
const HAS_VELOCITY_PER: u8 = 16;

/// Appends the description.
pub(super) fn put_schema(out: &mut Vec<u8>, schema: &Schema) {
    out.extend_from_slice(&schema.max_entities().to_le_bytes());
    // A schema has at most 64 kinds, and a kind at most 32 fields.
    out.push(schema.kinds().len() as u8);
    for kind in schema.kinds() {
        put_text(out, &kind.name);
        out.push(kind.fields.len() as u8);
        for field in &kind.fields {
            put_field(out, field);
        }
    }
}

/// Reads a description.
pub(super) fn schema(bytes: &mut ByteReader<'_>) -> Result<Schema, FormatError> {
    let max_entities = bytes.u32().ok_or(FormatError::Cut)?;
    let kinds = byte(bytes)?;
    let kinds = (0..kinds).map(|_| kind(bytes)).collect::<Result<_, _>>()?;
    Ok(Schema::new(kinds)?.with_max_entities(max_entities)?)
}

fn kind(bytes: &mut ByteReader<'_>) -> Result<Kind, FormatError> {
    let name = text(bytes)?;
    let fields = byte(bytes)?;
    let fields = (0..fields)
        .map(|_| field(bytes))
        .collect::<Result<_, _>>()?;
    Ok(Kind::new(name, fields))
}

fn put_field(out: &mut Vec<u8>, field: &Field) {
    put_text(out, &field.name);
    put_quantity(out, &field.quantity);
    out.push(match field.blend {
        Blend::Linear => 0,
        Blend::Angle => 1,
        Blend::Step => 2,
    });
    out.push(match field.motion {
        Motion::Any => 0,
        Motion::Still => 1,
        Motion::Linear => 2,
        Motion::Spinning => 3,
    });
    let marks = [
        (field.group.is_some(), HAS_GROUP),
        (field.velocity.is_some(), HAS_VELOCITY),
        (field.rotation, IS_ROTATION),
        (field.owner_only, IS_OWNER_ONLY),
        (field.velocity_per.is_some(), HAS_VELOCITY_PER),
    ];
    let marks = marks.iter().filter(|(is, _)| *is);
    out.push(marks.fold(0, |all, (_, mark)| all | mark));
    for name in field.group.iter().chain(&field.velocity) {
        put_text(out, name);
    }
    if let Some(per) = field.velocity_per {
        out.extend_from_slice(&per.get().to_le_bytes());
    }
}

fn field(bytes: &mut ByteReader<'_>) -> Result<Field, FormatError> {
    let name = text(bytes)?;
    let quantity = quantity(bytes)?;
    let blend = match byte(bytes)? {
        0 => Blend::Linear,
        1 => Blend::Angle,
        2 => Blend::Step,
        number => return Err(unknown("blend", number)),
    };
    let motion = match byte(bytes)? {
        0 => Motion::Any,
        1 => Motion::Still,
        2 => Motion::Linear,
        3 => Motion::Spinning,
        number => return Err(unknown("motion", number)),
    };
    let mut field = Field::new(name, quantity, blend).moving(motion);
    let marks = byte(bytes)?;
    let known = HAS_GROUP | HAS_VELOCITY | IS_ROTATION | IS_OWNER_ONLY | HAS_VELOCITY_PER;
    if marks & !known != 0 {
        return Err(unknown("mark of a field", marks));
    }
    if marks & HAS_GROUP != 0 {
        field.group = Some(text(bytes)?);
    }
    if marks & HAS_VELOCITY != 0 {
        field.velocity = Some(text(bytes)?);
    }
    if marks & HAS_VELOCITY_PER != 0 {
        field.velocity_per = NonZeroU16::new(bytes.u16().ok_or(FormatError::Cut)?);
    }
    field.rotation = marks & IS_ROTATION != 0;
    field.owner_only = marks & IS_OWNER_ONLY != 0;
    Ok(field)
}

fn put_quantity(out: &mut Vec<u8>, quantity: &Quantity) {
    // Every width is 1 to 32.
    let (tag, bits) = match *quantity {
        Quantity::Ranged { min, max, step } => {
            out.push(0);
            for bound in [min, max, step] {
                out.extend_from_slice(&bound.to_bits().to_le_bytes());
            }
            return;
        }
        Quantity::Angle { bits } => (1, bits),
        Quantity::Unsigned { bits } => (2, bits),
        Quantity::Signed { bits } => (3, bits),
        Quantity::Flags { bits } => (4, bits),
        Quantity::Counter { bits } => (5, bits),
    };
    out.extend([tag, bits as u8]);
}

fn quantity(bytes: &mut ByteReader<'_>) -> Result<Quantity, FormatError> {
    let tag = byte(bytes)?;
    if tag == 0 {
        let mut bound = || bytes.u32().map(f32::from_bits).ok_or(FormatError::Cut);
        let (min, max, step) = (bound()?, bound()?, bound()?);
        return Ok(Quantity::Ranged { min, max, step });
    }
    let bits = byte(bytes)?.into();
    match tag {
        1 => Ok(Quantity::Angle { bits }),
        2 => Ok(Quantity::Unsigned { bits }),
        3 => Ok(Quantity::Signed { bits }),
        4 => Ok(Quantity::Flags { bits }),
        5 => Ok(Quantity::Counter { bits }),
        _ => Err(unknown("quantity", tag)),
    }
}

fn byte(bytes: &mut ByteReader<'_>) -> Result<u8, FormatError> {
    bytes.u8().ok_or(FormatError::Cut)
}

const fn unknown(what: &'static str, number: u8) -> FormatError {
    let number = number as u32;
    FormatError::Unknown { what, number }
}
