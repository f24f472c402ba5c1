//! What changes together: the fields of a kind in groups, and how each group is told. Fields that only
//! an owner is told are in no group: nothing that is shared may depend on them.
//!
//! Follows from the kind's fields alone, so both ends see the same. Knows quantities, motions and
//! group names. Has no idea of values, ticks or tables. Section 8.5.1 of `docs/protocol.md`.

use super::super::quantity::{Coding, Form, Motion, Quantity};
use super::super::schema::Kind;

/// Fields that one group has at most; a larger one is cut.
pub(in super::super) const MAX_MEMBERS: usize = 4;
/// Fields of at most so many bits are told by value, not by difference.
pub(in super::super) const VALUE_BITS: u32 = 6;

/// How the fields of a group are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Manner {
    /// Numbers or angles that move: told by their distance from a prediction.
    Line,
    /// The four fields of a unit quaternion, predicted as a rotation.
    Rotation,
    /// Fields that jump: told by what they are, or how far from the baseline.
    Plain,
}

/// Fields that usually change together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Group {
    pub(in super::super) manner: Manner,
    /// 1 to [`MAX_MEMBERS`] fields of the kind, ascending; of a rotation four neighbours.
    pub(in super::super) fields: Vec<usize>,
    /// Of each field of a line: the field that says how fast it moves.
    pub(in super::super) velocities: Vec<Option<usize>>,
}

impl Group {
    /// In how many ways it can differ from what was expected: one bit per field, and for what is
    /// predicted one more, "as in the baseline".
    pub(in super::super) const fn states(&self) -> u32 {
        let patterns = 1 << self.fields.len();
        match self.manner {
            Manner::Plain => patterns,
            Manner::Line | Manner::Rotation => patterns + 1,
        }
    }
}

/// How a field that jumps is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum PlainForm {
    /// By its raw number, which is one of at most 64.
    Value,
    /// By its distance from the baseline.
    Distance,
    /// By which of its bits are others, six at a time.
    Flags,
}

/// How a field that jumps is told, by its coding.
pub(in super::super) const fn plain_form(coding: Coding) -> PlainForm {
    match coding.form {
        Form::Flags => PlainForm::Flags,
        Form::Number if coding.bits <= VALUE_BITS => PlainForm::Value,
        Form::Number | Form::Circle => PlainForm::Distance,
    }
}

/// The groups of a kind, in the order of their first fields.
pub(in super::super) fn groups(kind: &Kind) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut names: Vec<Option<&str>> = Vec::new();
    let mut index = 0;
    while let Some(field) = kind.fields.get(index) {
        let name = field.group.as_deref();
        if field.owner_only {
            index += 1;
            continue;
        }
        if field.rotation {
            groups.push(Group {
                manner: Manner::Rotation,
                fields: (index..index + 4).collect(),
                velocities: vec![None; 4],
            });
            names.push(None);
            index += 4;
            continue;
        }
        let manner = if is_predicted(&field.quantity, field.motion) {
            Manner::Line
        } else {
            Manner::Plain
        };
        let fits = |(group, of): (&Group, &Option<&str>)| {
            name.is_some()
                && *of == name
                && group.manner == manner
                && group.fields.len() < MAX_MEMBERS
        };
        let velocity = field.velocity.as_deref();
        let velocity = velocity.and_then(|name| kind.fields.iter().position(|of| of.name == name));
        match groups.iter().zip(&names).position(fits) {
            Some(place) => {
                groups[place].fields.push(index);
                groups[place].velocities.push(velocity);
            }
            None => {
                groups.push(Group {
                    manner,
                    fields: vec![index],
                    velocities: vec![velocity],
                });
                names.push(name);
            }
        }
        index += 1;
    }
    groups
}

/// Whether where a field goes is worth a guess.
const fn is_predicted(quantity: &Quantity, motion: Motion) -> bool {
    match (quantity, motion) {
        (_, Motion::Still) | (Quantity::Flags { .. }, _) => false,
        (_, Motion::Linear | Motion::Spinning) => true,
        (
            Quantity::Ranged { .. } | Quantity::Angle { .. } | Quantity::Signed { .. },
            Motion::Any,
        ) => true,
        (Quantity::Unsigned { .. } | Quantity::Counter { .. }, Motion::Any) => false,
    }
}
