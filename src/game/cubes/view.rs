//! What of the cubes travels: one kind, the same for small and large ones.
//!
//! Positions and rotations as finely as the measurements of others have them (1/512 m, 9 bits), so that figures can be
//! compared. Velocities are not told: from snapshot to snapshot the codec sees them.

use std::sync::{Arc, LazyLock};

use crate::proto::snapshot::{KindId, Replicate, Schema};

use super::body::{CEILING, Cube, EDGE, SMALL};
use super::world::{CUBES, DRIVERS};

/// A cube.
pub const CUBE: KindId = KindId(0);

/// The distance of two places: 1/512 m.
const GRAIN: f32 = 1.0 / 512.0;

/// A cube as whoever reads a snapshot sees it.
#[derive(Debug, Clone, Copy, PartialEq, Replicate)]
#[replicate(kind = "cube")]
pub struct CubeView {
    /// The middle, in metres.
    #[replicate(range = -EDGE..=EDGE, step = GRAIN, group = "place", moves = "linear")]
    pub x: f32,
    /// The middle, in metres.
    #[replicate(range = -EDGE..=EDGE, step = GRAIN, group = "place", moves = "linear")]
    pub y: f32,
    /// The middle, above the floor, in metres.
    #[replicate(range = 0.0..=CEILING, step = GRAIN, group = "place", moves = "linear")]
    pub z: f32,
    /// A unit quaternion: x, y, z, w.
    #[replicate(unit_quaternion(bits = 9))]
    pub rotation: [f32; 4],
    /// Whether it lies still.
    pub rests: bool,
    /// Whether it is one of those that clients drive.
    #[replicate(moves = "still")]
    pub is_large: bool,
}

impl From<&Cube> for CubeView {
    fn from(cube: &Cube) -> Self {
        let [x, y, z] = cube.position;
        Self {
            x,
            y,
            z,
            rotation: cube.rotation,
            rests: cube.is_resting,
            is_large: cube.half > SMALL,
        }
    }
}

/// The schema of every floor of cubes.
///
/// ```
/// use tickwire::game::cubes::{CUBE, schema};
/// assert_eq!(schema().kind(CUBE).unwrap().name, "cube");
/// ```
#[must_use]
pub fn schema() -> Arc<Schema> {
    Arc::clone(&SCHEMA)
}

/// One for all who play: its tables take time to make.
#[expect(clippy::expect_used, reason = "a constant table; a test builds it")]
static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let schema = Schema::new(vec![CubeView::kind()])
        .and_then(|schema| schema.with_max_entities(u32::from(CUBES + DRIVERS)))
        .expect("the table of the cubes keeps the limits");
    Arc::new(schema)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_built_last_year_has_the_same_schema() {
        // Written down once. It changes only with what travels: then write down the new one.
        let hash = schema().hash();
        assert_eq!(hash, 0x5394_b40f_fae0_338e, "{hash:#x}");
    }
}
