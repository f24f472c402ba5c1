//! Fields that only an entity's owner is told: the client whose [`Viewpoint::always`] it is.
//!
//! The shared codec knows nothing of them, so a chunk that serves everybody neither carries nor
//! reveals them. A client reads the zero of each, except of its own entity: a section at the end of
//! a part tells these as they are, by their difference from the baseline if the entity was its own
//! there. Knows rows and bits. Has no idea of clients and frames. Section 8.9 of `docs/protocol.md`.
//!
//! [`Viewpoint::always`]: super::Viewpoint::always

use super::packed::PackedRow;
use super::part::read;
use super::quantity::Coding;
use super::rejection::Rejection;
use super::schema::Kind;
use crate::proto::wire::{BitBuffer, BitReader};

/// A field that only the owner is told.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Secret {
    field: usize,
    coding: Coding,
    /// What everybody else reads: zero, or the nearest to it that there is.
    zero: i32,
}

/// Those of a kind, in the order of its fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OwnerFields {
    secrets: Box<[Secret]>,
}

impl OwnerFields {
    pub(super) fn new(kind: &Kind, codings: &[Coding]) -> Self {
        let fields = kind.fields.iter().zip(codings).enumerate();
        let secrets = fields.filter(|(_, (field, _))| field.owner_only);
        let secrets = secrets.map(|(place, (field, coding))| Secret {
            field: place,
            coding: *coding,
            zero: coding.clamp(field.quantity.quantise(0.0)),
        });
        Self {
            secrets: secrets.collect(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Whether two rows of the kind are the same to those who do not own them.
    #[inline]
    pub(super) fn same_to_others(
        &self,
        one: impl Iterator<Item = i32>,
        two: impl Iterator<Item = i32>,
    ) -> bool {
        let mut secrets = self.secrets.iter().map(|secret| secret.field).peekable();
        let mut values = one.zip(two).enumerate();
        values.all(|(field, (one, two))| secrets.next_if_eq(&field).is_some() || one == two)
    }

    /// Makes a row what those read who do not own it.
    #[inline]
    pub(super) fn hide(&self, row: &mut [i32]) {
        for secret in &self.secrets {
            if let Some(value) = row.get_mut(secret.field) {
                *value = secret.zero;
            }
        }
    }

    /// At most so many bits are written of a row.
    pub(super) fn bits(&self) -> u32 {
        let bits = self.secrets.iter().map(|secret| 1 + secret.coding.bits);
        bits.sum()
    }

    /// Writes what is other than in the row that the owner held, or than zero.
    fn write(&self, held: Option<PackedRow<'_>>, now: &[i32], bits: &mut BitBuffer) {
        for secret in &self.secrets {
            let now = now.get(secret.field).copied().unwrap_or(secret.zero);
            let held = held.and_then(|held| held.value(secret.field));
            let differs = now != held.unwrap_or(secret.zero);
            bits.push_bit(differs);
            if differs {
                bits.push(secret.coding.raw(now), secret.coding.bits);
            }
        }
    }

    /// Reads it into a row, after [`read_section`].
    pub(super) fn read(
        &self,
        held: Option<&[i32]>,
        row: &mut [i32],
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        for secret in &self.secrets {
            let known = held.and_then(|held| held.get(secret.field)).copied();
            let mut value = known.unwrap_or(secret.zero);
            if read(reader, 1)? == 1 {
                let raw = read(reader, secret.coding.bits)?;
                if raw > secret.coding.max {
                    return Err(Rejection::Value);
                }
                value = secret.coding.value(raw);
            }
            if let Some(place) = row.get_mut(secret.field) {
                *place = value;
            }
        }
        Ok(())
    }
}

/// A client's own entity, as its part tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned<'a> {
    pub(super) slot: u16,
    pub(super) fields: &'a OwnerFields,
    /// Its row at the baseline, if it was the client's own there.
    pub(super) held: Option<PackedRow<'a>>,
    pub(super) now: &'a [i32],
}

/// Writes the own section. `before` is the slot of the baseline's own entity, if the part speaks of
/// that slot.
pub(super) fn write_section(
    owned: Option<&Owned<'_>>,
    before: Option<u16>,
    slot_bits: u32,
    bits: &mut BitBuffer,
) {
    bits.push_bit(owned.is_some());
    let Some(owned) = owned else {
        return;
    };
    if before.is_some() {
        bits.push_bit(owned.held.is_some());
    }
    if owned.held.is_none() {
        bits.push(u32::from(owned.slot), slot_bits);
    }
    owned.fields.write(owned.held, owned.now, bits);
}

/// Whose fields an own section tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) slot: u16,
    /// Whether it is the own entity of the baseline.
    pub(super) same: bool,
}

/// Reads whom an own section is of; the fields follow, for [`OwnerFields::read`].
pub(super) fn read_section(
    before: Option<u16>,
    slot_bits: u32,
    reader: &mut BitReader<'_>,
) -> Result<Option<Whose>, Rejection> {
    if read(reader, 1)? == 0 {
        return Ok(None);
    }
    if let Some(slot) = before
        && read(reader, 1)? == 1
    {
        return Ok(Some(Whose { slot, same: true }));
    }
    let slot = read(reader, slot_bits)? as u16;
    Ok(Some(Whose { slot, same: false }))
}

#[cfg(test)]
mod tests {
    use super::super::{Blend, Field, Quantity, Schema};
    use super::*;

    fn schema() -> Schema {
        let ranged = Quantity::Ranged {
            min: -1.0,
            max: 1.0,
            step: 0.25,
        };
        let field = |name, quantity| Field::new(name, quantity, Blend::Step);
        let ammo = field("ammo", Quantity::Unsigned { bits: 7 }).for_owner_only();
        let aim = field("aim", ranged).for_owner_only();
        let kind = Kind::new("k", vec![ammo, field("x", ranged), aim]);
        Schema::new(vec![kind]).expect("valid")
    }

    #[test]
    fn others_read_zero_and_do_not_see_a_change() {
        let schema = schema();
        let fields = schema.owner_fields(0).expect("it has some");
        let mut row = [99, 3, 0];
        fields.hide(&mut row);
        assert_eq!(row, [0, 3, 4], "a number from -1 in quarters is 0 at 4");
        let same =
            |one: [i32; 3], two: [i32; 3]| fields.same_to_others(one.into_iter(), two.into_iter());
        assert!(same([1, 3, 0], [2, 3, 7]));
        assert!(!same([1, 3, 0], [1, 4, 0]));
    }

    #[test]
    fn a_section_is_what_the_description_says() {
        let schema = schema();
        let fields = schema.owner_fields(0).expect("it has some");
        let now = [5, 0, 6];
        for (held, before, len) in [
            (None, None, 1 + 16 + 8 + 5),
            (None, Some(9), 1 + 1 + 16 + 8 + 5),
            (Some(&[5, 1, 3][..]), Some(7), 1 + 1 + 1 + 5),
        ] {
            let mut bits = BitBuffer::default();
            let layout = schema.layout(0).expect("of the kind");
            let mut words = Vec::new();
            layout.pack(held.unwrap_or(&[]), &mut words);
            let owned = Owned {
                slot: 7,
                fields,
                held: held.map(|_| PackedRow::new(layout, &words)),
                now: &now,
            };
            write_section(Some(&owned), before, schema.slot_bits(), &mut bits);
            assert_eq!(bits.len(), len);
            let mut bytes = [0; 16];
            let len = bits.copy_to(&mut bytes).expect("room");
            let mut reader = BitReader::new(&bytes[..len]);
            let told = read_section(before, schema.slot_bits(), &mut reader);
            let same = held.is_some();
            assert_eq!(told, Ok(Some(Whose { slot: 7, same })));
            let mut row = [0, 0, 4];
            assert_eq!(fields.read(held, &mut row, &mut reader), Ok(()));
            assert_eq!(row, now);
            assert!(reader.is_finished());
        }
    }

    #[test]
    fn a_number_that_the_field_does_not_have_is_refused() {
        let schema = schema();
        let fields = schema.owner_fields(0).expect("it has some");
        let mut bits = BitBuffer::default();
        bits.push_bit(false);
        bits.push_bit(true);
        bits.push(9, 4);
        let mut bytes = [0; 4];
        let len = bits.copy_to(&mut bytes).expect("room");
        let mut row = [0, 0, 0];
        let mut reader = BitReader::new(&bytes[..len]);
        let read = fields.read(None, &mut row, &mut reader);
        assert_eq!(read, Err(Rejection::Value), "1.0 is 8");
    }
}
