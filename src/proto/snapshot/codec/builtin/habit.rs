//! How a group moves, by what its schema says of it: how far it goes on, and how far off that may be.
//!
//! Knows fields and their quantities. Has no idea of codes.

use super::super::super::quantity::Quantity;
use super::super::super::schema::Kind;
use super::super::motion::{MAX_WEIGHT, Weights};
use super::super::shape::{Group, Manner};
use super::super::tables::Lags;
use super::{ONE, size};

/// What moves a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// A velocity that the schema names, and says how far it goes.
    Guided,
    /// It is the velocity of others: pushed, held and stopped.
    Velocity,
    /// Somebody who looks around.
    View,
    /// Whatever there is.
    Line,
    /// The same, of rotations.
    Rotation,
}

/// What is known of a habit, in 64ths. Measured on a simulated crowd, a simulated heap of bodies and
/// recorded matches.
struct Measures {
    /// How much of its way it goes on: when steady, when it turns, when it turns about.
    share: [u64; 3],
    /// How far off that is for each age: by how far it turned, by how far it went.
    by_turn: u64,
    by_speed: u64,
    /// At any age, in sixteenths of a step; and for each age.
    always: u64,
    aging: u64,
}

impl Habit {
    /// The habit of a group; of a plain one none.
    pub(super) fn of(group: &Group, kind: &Kind) -> Option<Self> {
        let every = |is: &dyn Fn(usize) -> bool| group.fields.iter().all(|field| is(*field));
        let is_velocity = |field: usize| moved_by(kind, field).is_some();
        let is_angle = |field: &usize| {
            let quantity = kind.fields.get(*field).map(|field| field.quantity);
            matches!(quantity, Some(Quantity::Angle { .. }))
        };
        match group.manner {
            Manner::Plain => None,
            Manner::Rotation => Some(Self::Rotation),
            Manner::Line if velocities(group, kind).iter().all(Option::is_some) => {
                Some(Self::Guided)
            }
            Manner::Line if every(&is_velocity) => Some(Self::Velocity),
            Manner::Line if group.fields.iter().any(is_angle) => Some(Self::View),
            Manner::Line => Some(Self::Line),
        }
    }

    const fn measures(self) -> Measures {
        let (share, by_turn, by_speed, always, aging) = match self {
            Self::Guided => ([64, 48, 24], 2, 0, 12, 0),
            Self::Velocity => ([64, 26, 32], 11, 2, 2, 0),
            Self::View => ([38, 30, 28], 18, 6, 10, 16),
            Self::Line => ([64, 56, 26], 19, 8, 12, 0),
            Self::Rotation => ([64, 48, 22], 17, 6, 9, 2),
        };
        Measures {
            share,
            by_turn,
            by_speed,
            always,
            aging,
        }
    }

    /// How far it goes on by itself.
    pub(super) fn weights(self, class: usize, lags: Lags) -> Weights {
        let (speed, steadiness) = (class / 3, class % 3);
        let share = match speed {
            // Less than is worth a guess.
            0 | 1 => 0,
            _ => self.measures().share[steadiness],
        };
        let late = (ONE * share / 64) as i32 / lags.earlier as i32;
        [late, 0, 0, 0]
    }

    /// How far it goes when it sets out, in sixteenths of a step.
    const fn way_from_rest(self) -> u64 {
        match self {
            Self::Velocity => 50 * 16,
            Self::View => 100 * 16,
            Self::Guided | Self::Line => 16,
            Self::Rotation => 32,
        }
    }

    /// How far off a prediction may be, in sixteenths of a step.
    pub(super) const fn error(self, age: u64, speed: usize, turn: usize) -> u64 {
        if speed == 0 && turn == 0 {
            return self.way_from_rest();
        }
        let of = self.measures();
        let way = of.by_turn * size(turn) + of.by_speed * size(speed);
        of.always + age * of.aging + age * way / 64
    }
}

/// The field whose velocity a field is.
pub(super) fn moved_by(kind: &Kind, field: usize) -> Option<usize> {
    let name = &kind.fields.get(field)?.name;
    let mut fields = kind.fields.iter();
    fields.position(|of| of.velocity.as_ref() == Some(name) && of.name != *name)
}

/// By axis, or one for all that are alike: what a step of its velocity moves it in a snapshot, if
/// that is known.
pub(super) fn velocities(group: &Group, kind: &Kind) -> Vec<Option<i32>> {
    let fields = group.fields.iter().zip(&group.velocities);
    let mut axes: Vec<_> = fields
        .map(|(field, velocity)| {
            let (field, velocity) = (kind.fields.get(*field)?, kind.fields.get((*velocity)?)?);
            let per = f64::from(field.velocity_per?.get());
            let steps = field.quantity.steps_of_velocity(&velocity.quantity) / per;
            // Products, quotients and casts are the same on all machines.
            Some((steps * ONE as f64).round().min(f64::from(MAX_WEIGHT)) as i32)
        })
        .collect();
    if axes.windows(2).all(|two| two[0] == two[1]) {
        axes.truncate(1);
    }
    axes
}

/// It goes where its velocity takes it, which itself goes on a little.
pub(super) fn by_velocity(step: i32) -> Weights {
    [0, 0, step, step / 2]
}
