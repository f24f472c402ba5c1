//! What of the arena travels: three kinds of things, every field with its range. One screen, the whole format.
//!
//! The schema is the same for every arena, whatever its size, so that a client needs no configuration
//! to understand any of them. Fields hold exactly the world's own integers: nothing is rounded.

use std::sync::Arc;

use crate::proto::snapshot::{Blend, Field, Kind, KindId, Quantity, Schema};

use super::rules::{PLAYERS_MAX, TILE, entities_for};
use super::walls::WallsSpec;

/// A player, alive or dead.
pub const PLAYER: KindId = KindId(0);
/// A bolt in the air.
pub const PROJECTILE: KindId = KindId(1);
/// A pickup that lies there.
pub const PICKUP: KindId = KindId(2);

/// A place: 0 to 1,024 m in steps of 1/256 m.
const PLACE: Quantity = Quantity::Ranged {
    min: 0.0,
    max: 262_143.0 / 256.0,
    step: 1.0 / 256.0,
};
const _: () = assert!(WallsSpec::SIDE_MAX.cast_signed() * TILE <= 262_144);

/// A walker's velocity in 1/256 m per tick: below one tile's half.
const WALK: Quantity = Quantity::Signed { bits: 9 };
/// A bolt's velocity in 1/256 m per tick, at any tick rate.
const FLIGHT: Quantity = Quantity::Signed { bits: 14 };
/// A direction: 4,096 a turn.
const YAW: Quantity = Quantity::Angle { bits: 12 };

const fn number(bits: u32) -> Quantity {
    Quantity::Unsigned { bits }
}

fn kind<const N: usize>(name: &str, fields: [(&str, Quantity, Blend); N]) -> Kind {
    let field = |(name, quantity, blend)| Field::new(name, quantity, blend);
    Kind::new(name, fields.into_iter().map(field).collect())
}

pub(super) fn player() -> Kind {
    kind(
        "player",
        [
            ("x", PLACE, Blend::Linear),
            ("y", PLACE, Blend::Linear),
            ("vx", WALK, Blend::Step),
            ("vy", WALK, Blend::Step),
            ("yaw", YAW, Blend::Angle),
            // 0: dead, and lies where it fell.
            ("health", number(7), Blend::Step),
            ("weapon", number(1), Blend::Step),
            // Of the weapon in hand.
            ("ammo", number(7), Blend::Step),
            // Counts up and around: a view shows a flash whenever it differs.
            ("shots", number(6), Blend::Step),
            ("score", number(12), Blend::Step),
        ],
    )
}

pub(super) fn projectile() -> Kind {
    kind(
        "projectile",
        [
            ("x", PLACE, Blend::Linear),
            ("y", PLACE, Blend::Linear),
            ("vx", FLIGHT, Blend::Step),
            ("vy", FLIGHT, Blend::Step),
            // The row of the player who fired it.
            ("owner", number(16), Blend::Step),
        ],
    )
}

pub(super) fn pickup() -> Kind {
    kind(
        "pickup",
        [
            ("x", PLACE, Blend::Step),
            ("y", PLACE, Blend::Step),
            // 0: health, 1: ammunition.
            ("gives", number(1), Blend::Step),
        ],
    )
}

/// The schema of every arena.
///
/// ```
/// use tickwire::game::arena::{PLAYER, schema};
/// assert_eq!(schema().kind(PLAYER).unwrap().name, "player");
/// ```
#[must_use]
#[expect(clippy::expect_used, reason = "a constant table; a test builds it")]
pub fn schema() -> Arc<Schema> {
    let schema = Schema::new(vec![player(), projectile(), pickup()])
        .and_then(|schema| schema.with_max_entities(entities_for(PLAYERS_MAX)))
        .expect("the arena's own table keeps the limits");
    Arc::new(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_valid_and_the_numbers_of_its_kinds_are_right() {
        let schema = schema();
        for (id, name) in [
            (PLAYER, "player"),
            (PROJECTILE, "projectile"),
            (PICKUP, "pickup"),
        ] {
            assert_eq!(schema.kind_named(name), Some(id));
        }
    }

    #[test]
    fn a_client_built_last_year_has_the_same_schema() {
        // Written down once. It changes only with what travels: then write down the new one.
        let hash = schema().hash();
        assert_eq!(hash, 0xc97d_b771_a39f_e2bd, "{hash:#x}");
    }
}
