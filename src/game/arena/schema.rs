//! What of the arena travels: three kinds of things. What they are made of is said in `view`, field by field.
//!
//! The schema is the same for every arena, whatever its size, so that a client needs no configuration
//! to understand any of them. Fields hold exactly the world's own integers: nothing is rounded.

use std::sync::{Arc, LazyLock};

use crate::proto::snapshot::{KindId, Replicate, Schema};

use super::rules::{METRE, PLAYERS_MAX, TILE, entities_for};
use super::view::{PickupView, PlayerView, ProjectileView};
use super::walls::WallsSpec;

/// A player, alive or dead.
pub const PLAYER: KindId = KindId(0);
/// A bolt in the air.
pub const PROJECTILE: KindId = KindId(1);
/// A pickup that lies there.
pub const PICKUP: KindId = KindId(2);

/// The last place: 1,024 m less a step.
pub(super) const FAR: f32 = 262_143.0 / 256.0;
/// The distance of two places: 1/256 m.
pub(super) const GRAIN: f32 = 1.0 / 256.0;
const _: () = assert!(WallsSpec::SIDE_MAX.cast_signed() * TILE <= 262_144);
const _: () = assert!(METRE == 256);

/// The schema of every arena.
///
/// ```
/// use tickwire::game::arena::{PLAYER, schema};
/// assert_eq!(schema().kind(PLAYER).unwrap().name, "player");
/// ```
#[must_use]
pub fn schema() -> Arc<Schema> {
    Arc::clone(&SCHEMA)
}

/// One for all who play in a process: the tables that belong to it take time to make, and memory.
#[expect(clippy::expect_used, reason = "a constant table; a test builds it")]
static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let schema = Schema::new(vec![
        PlayerView::kind(),
        ProjectileView::kind(),
        PickupView::kind(),
    ])
    .and_then(|schema| schema.with_max_entities(entities_for(PLAYERS_MAX)))
    .expect("the arena's own table keeps the limits");
    Arc::new(schema)
});

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
        assert_eq!(hash, 0xfacb_c95f_5cf3_2ce1, "{hash:#x}");
    }
}
