//! The world between two snapshots, as a client shows it.
//!
//! Knows two snapshots and how each field moves. Has no clock: how far it is from the one to the
//! other is an argument.

use core::f32::consts::{PI, TAU};

use super::held::{Entity, Snapshot};
use super::quantity::Blend;
use super::schema::{Field, KindId, Schema};
use crate::id::EntityId;

/// Writes the fields of an entity, as it is between two snapshots, into `out`: one number per field
/// of its kind, measured as its quantity says. `fraction` is 0 at `from` and 1 at `to`. Returns its
/// kind.
///
/// An entity that is only in `from` stays as it was there until it is gone; one that is only in
/// `to` does not exist before. `None`: it is not to be shown, or its kind is not in the schema.
/// Fields beyond `out` are left out.
///
/// ```
/// # use tickwire::proto::snapshot::{sample, Snapshot, Schema, Kind, Field, Quantity, Blend};
/// # use tickwire::id::EntityId;
/// # let schema = Schema::new(vec![Kind::new("k", vec![Field::new("f", Quantity::Flags { bits: 1 }, Blend::Step)])])?;
/// let (from, to) = (Snapshot::default(), Snapshot::default());
/// let nobody = EntityId { slot: 1, generation: 0 };
/// assert_eq!(sample::sample(&schema, &from, &to, nobody, 0.5, &mut [0.0; 4]), None);
/// # Ok::<(), tickwire::proto::snapshot::SchemaError>(())
/// ```
pub fn sample(
    schema: &Schema,
    from: &Snapshot,
    to: &Snapshot,
    id: EntityId,
    fraction: f32,
    out: &mut [f32],
) -> Option<KindId> {
    let (before, after) = (from.get(id), to.get(id));
    match (before, after) {
        (Some(before), Some(after)) => between(schema, &before, &after, fraction, out),
        (Some(only), None) if fraction < 1.0 => between(schema, &only, &only, 0.0, out),
        (None, Some(only)) if fraction >= 1.0 => between(schema, &only, &only, 1.0, out),
        _ => None,
    }
}

/// Writes the fields of an entity between two of its states. See [`sample`].
pub fn between(
    schema: &Schema,
    from: &Entity<'_>,
    to: &Entity<'_>,
    fraction: f32,
    out: &mut [f32],
) -> Option<KindId> {
    let fields = &schema.kind(from.kind)?.fields;
    let values = from.values.iter().zip(to.values);
    for ((out, field), (from, to)) in out.iter_mut().zip(fields).zip(values) {
        *out = blend(field, *from, *to, fraction);
    }
    Some(from.kind)
}

/// One field between two of its values.
#[must_use]
pub fn blend(field: &Field, from: i32, to: i32, fraction: f32) -> f32 {
    let (start, end) = (field.quantity.value(from), field.quantity.value(to));
    match field.blend {
        // The ends exactly, whatever the rounding between them.
        _ if fraction <= 0.0 => start,
        _ if fraction >= 1.0 => end,
        Blend::Linear => start + (end - start) * fraction,
        Blend::Angle => {
            let turn = (end - start + PI).rem_euclid(TAU) - PI;
            (start + turn * fraction).rem_euclid(TAU)
        }
        Blend::Step => start,
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantity::Quantity;
    use super::*;

    #[test]
    fn each_field_moves_in_its_own_way() {
        let field = |quantity, blend| Field::new("f", quantity, blend);
        let line = field(
            Quantity::Ranged {
                min: -10.0,
                max: 10.0,
                step: 0.5,
            },
            Blend::Linear,
        );
        assert_eq!(blend(&line, 20, 24, 0.5), 1.0);
        let angle = field(Quantity::Angle { bits: 8 }, Blend::Angle);
        let halfway = blend(&angle, 250, 10, 0.5);
        assert!(
            (halfway - 2.0 * TAU / 256.0).abs() < 1e-4,
            "the short way, not {halfway}"
        );
        let step = field(Quantity::Unsigned { bits: 8 }, Blend::Step);
        assert_eq!(blend(&step, 3, 9, 0.99), 3.0);
        assert_eq!(blend(&step, 3, 9, 1.0), 9.0);
    }
}
