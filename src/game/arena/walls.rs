//! The ground: which tiles are solid, how a body slides along them, how far a ray gets.
//!
//! Knows tiles and lengths. Does not know players. Both ends build the same walls from the same
//! [`WallsSpec`], so walls never travel.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::rules::{TILE, TILES_MIN, TILES_PER_PLAYER};

/// What walls are built from; twelve bytes that a client is told when it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WallsSpec {
    /// Decides where the obstacles stand.
    pub seed: u64,
    /// Tiles along one edge, the border included.
    pub side: u32,
}

impl WallsSpec {
    /// The longest edge: enough for [`PLAYERS_MAX`](super::rules::PLAYERS_MAX) players.
    pub const SIDE_MAX: u32 = 512;

    /// Ground for so many players.
    #[must_use]
    pub fn for_players(seed: u64, players: u32) -> Self {
        let side = (players.saturating_mul(TILES_PER_PLAYER)).isqrt() + 2;
        Self {
            seed,
            side: side.clamp(TILES_MIN, Self::SIDE_MAX),
        }
    }
}

/// A block of `PITCH` tiles holds at most one obstacle of at most `OBSTACLE` tiles an edge, never on the
/// block's first row or column. So the first rows and columns are streets that connect everything:
/// there is no place that cannot be left.
const PITCH: u32 = 6;
const OBSTACLE: u32 = 4;
const _: () = assert!(OBSTACLE < PITCH);

/// Solid and free tiles; the border is solid, and so is everything outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walls {
    spec: WallsSpec,
    solid: Vec<bool>,
}

impl Walls {
    /// The walls of a spec; its side is brought into the limits.
    #[must_use]
    pub fn new(spec: WallsSpec) -> Self {
        let mut walls = Self::empty(spec);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(spec.seed);
        let blocks = walls.spec.side.saturating_sub(2) / PITCH;
        for block in 0..blocks * blocks {
            // Two blocks in three have something to hide behind.
            if rng.random_range(0..3_u32) == 0 {
                continue;
            }
            let (width, height) = (rng.random_range(1..=OBSTACLE), rng.random_range(1..=2_u32));
            let (width, height) = if rng.random() {
                (width, height)
            } else {
                (height, width)
            };
            let x = 1 + block % blocks * PITCH + rng.random_range(1..=PITCH - width);
            let y = 1 + block / blocks * PITCH + rng.random_range(1..=PITCH - height);
            walls.fill(x, y, width, height);
        }
        walls
    }

    /// A border and nothing in it.
    #[must_use]
    pub fn empty(spec: WallsSpec) -> Self {
        let side = spec.side.clamp(TILES_MIN, WallsSpec::SIDE_MAX);
        let edge = side - 1;
        let on_border = |tile| {
            let (x, y) = (tile % side, tile / side);
            x == 0 || y == 0 || x == edge || y == edge
        };
        Self {
            spec: WallsSpec { side, ..spec },
            solid: (0..side * side).map(on_border).collect(),
        }
    }

    /// Makes a rectangle of tiles solid; what is outside stays as it is.
    pub fn fill(&mut self, x: u32, y: u32, width: u32, height: u32) {
        for row in y..y.saturating_add(height).min(self.spec.side) {
            for column in x..x.saturating_add(width).min(self.spec.side) {
                self.solid[(row * self.spec.side + column) as usize] = true;
            }
        }
    }

    /// What they were built from.
    #[must_use]
    pub const fn spec(&self) -> WallsSpec {
        self.spec
    }

    /// The edge of the world as a length.
    #[must_use]
    pub const fn extent(&self) -> i32 {
        self.spec.side.cast_signed() * TILE
    }

    /// Whether a tile is solid.
    #[must_use]
    pub fn is_solid(&self, column: i32, row: i32) -> bool {
        let side = self.spec.side.cast_signed();
        let inside = (0..side).contains(&column) && (0..side).contains(&row);
        !inside
            || self
                .solid
                .get((row * side + column) as usize)
                .copied()
                .unwrap_or(true)
    }

    /// Whether a position is in a solid tile.
    #[must_use]
    pub fn is_solid_at(&self, x: i32, y: i32) -> bool {
        self.is_solid(tile(x), tile(y))
    }

    /// Moves a box of half edge `half` by `step` along x, and stops it at the first solid tile. Answers
    /// the new x, and whether it was stopped. A step must be shorter than a tile.
    #[must_use]
    pub fn slide_x(&self, x: i32, y: i32, half: i32, step: i32) -> (i32, bool) {
        slide(x, half, step, |column| {
            (tile(y - half)..=tile(y + half - 1)).any(|row| self.is_solid(column, row))
        })
    }

    /// As [`Self::slide_x`], along y.
    #[must_use]
    pub fn slide_y(&self, x: i32, y: i32, half: i32, step: i32) -> (i32, bool) {
        slide(y, half, step, |row| {
            (tile(x - half)..=tile(x + half - 1)).any(|column| self.is_solid(column, row))
        })
    }

    /// How much of the way from `(x, y)` by `(dx, dy)` is free: 0 to 2^20, all of it.
    ///
    /// Visits the tiles along the ray in order (Amanatides and Woo, "A Fast Voxel Traversal Algorithm
    /// for Ray Tracing", 1987), with times as fractions of the way.
    #[must_use]
    pub(super) fn free_way(&self, x: i32, y: i32, dx: i32, dy: i32) -> i64 {
        let mut ray_x = RayAxis::new(x, dx);
        let mut ray_y = RayAxis::new(y, dy);
        let mut reached = 0;
        while !self.is_solid(ray_x.tile, ray_y.tile) {
            let axis = if ray_x.next <= ray_y.next {
                &mut ray_x
            } else {
                &mut ray_y
            };
            reached = axis.next;
            if reached > WAY {
                return WAY;
            }
            axis.advance();
        }
        reached
    }
}

/// All of a way; parts of a way are fractions of it.
pub(super) const WAY: i64 = 1 << 20;

/// One axis of a ray through the tiles.
struct RayAxis {
    tile: i32,
    toward: i32,
    from: i64,
    length: i64,
    /// The part of the way at which the next tile begins; beyond [`WAY`] when there is none.
    next: i64,
}

impl RayAxis {
    fn new(from: i32, length: i32) -> Self {
        let mut axis = Self {
            tile: tile(from),
            toward: length.signum(),
            from: from.into(),
            length: length.into(),
            next: 0,
        };
        axis.find_next();
        axis
    }

    fn advance(&mut self) {
        self.tile += self.toward;
        self.find_next();
    }

    fn find_next(&mut self) {
        let boundary = match self.toward {
            0 => {
                self.next = WAY + 1;
                return;
            }
            1 => self.tile + 1,
            _ => self.tile,
        };
        let distance = i64::from(boundary) * i64::from(TILE) - self.from;
        self.next = distance * WAY / self.length;
    }
}

/// The tile of a position along one axis.
#[must_use]
pub(super) const fn tile(position: i32) -> i32 {
    position.div_euclid(TILE)
}

fn slide(from: i32, half: i32, step: i32, is_solid: impl Fn(i32) -> bool) -> (i32, bool) {
    let to = from + step;
    match step.signum() {
        1 => {
            let ahead = tile(to + half - 1);
            if is_solid(ahead) {
                return ((ahead * TILE - half).max(from), true);
            }
        }
        -1 => {
            let ahead = tile(to - half);
            if is_solid(ahead) {
                return (((ahead + 1) * TILE + half).min(from), true);
            }
        }
        _ => {}
    }
    (to, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(side: u32) -> WallsSpec {
        WallsSpec { seed: 1, side }
    }

    #[test]
    fn whoever_is_anywhere_can_walk_everywhere() {
        for (seed, players) in [(1, 2), (2, 64), (3, 1_000), (4, 8_192)] {
            let walls = Walls::new(WallsSpec::for_players(seed, players));
            let side = walls.spec().side as usize;
            let free = walls.solid.iter().filter(|solid| !**solid).count();
            // Fill the ground from the first street and count what got wet.
            let mut wet = walls.solid.clone();
            let mut edge = vec![side + 1];
            let mut reached = 0;
            while let Some(at) = edge.pop() {
                if !core::mem::replace(&mut wet[at], true) {
                    reached += 1;
                    edge.extend([at - 1, at + 1, at - side, at + side]);
                }
            }
            assert_eq!(reached, free, "seed {seed}");
            assert!(
                free * 10 > side * side * 6,
                "too narrow: {free} of {}",
                side * side
            );
            assert!(free < (side - 2) * (side - 2), "nothing to hide behind");
        }
    }

    #[test]
    fn the_ground_grows_with_the_players() {
        let side = |players| WallsSpec::for_players(0, players).side;
        assert_eq!(
            [side(1), side(64), side(2_000), side(8_192)],
            [16, 34, 180, 364]
        );
    }

    #[test]
    fn a_box_stops_at_the_tile_and_not_before() {
        let mut walls = Walls::empty(spec(16));
        walls.fill(5, 5, 1, 1);
        let half = 100;
        let y = 5 * TILE + 10;
        assert_eq!(
            walls.slide_x(4 * TILE, y, half, 300),
            (4 * TILE + 300, false)
        );
        assert_eq!(
            walls.slide_x(4 * TILE + 300, y, half, 300),
            (5 * TILE - half, true)
        );
        assert_eq!(
            walls.slide_x(5 * TILE - half, y, half, 300),
            (5 * TILE - half, true)
        );
        assert_eq!(
            walls.slide_x(6 * TILE + 300, y, half, -300),
            (6 * TILE + half, true)
        );
        // One row further down the box passes: its upper edge only touches the tile.
        let (_, stopped) = walls.slide_x(4 * TILE + 300, 5 * TILE - half, half, 300);
        assert!(!stopped);
    }

    #[test]
    fn a_ray_agrees_with_a_thousand_small_steps() {
        let walls = Walls::new(spec(40));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
        let mut stopped = 0;
        for _ in 0..2_000 {
            let (x, y) = (
                rng.random_range(0..40 * TILE),
                rng.random_range(0..40 * TILE),
            );
            let (dx, dy) = (
                rng.random_range(-9_000..9_000),
                rng.random_range(-9_000..9_000),
            );
            if walls.is_solid_at(x, y) {
                assert_eq!(walls.free_way(x, y, dx, dy), 0);
                continue;
            }
            let way = walls.free_way(x, y, dx, dy);
            let at = |part: i64| {
                let along = |from: i32, d: i32| from + (i64::from(d) * part / WAY) as i32;
                walls.is_solid_at(along(x, dx), along(y, dy))
            };
            // Free before the stop (but for the last unit, where rounding may touch the wall).
            for step in 0..1_000 {
                let part = (way - 2 * WAY / 1_000) * step / 1_000;
                assert!(
                    part < 0 || !at(part),
                    "({x}, {y}) by ({dx}, {dy}) at {part} of {way}"
                );
            }
            if way < WAY - 2_000 {
                stopped += 1;
                // Where it stops is a wall; the part and the place are both rounded toward the start.
                let place = |from: i32, d: i32| from + (i64::from(d) * way / WAY) as i32;
                let (at_x, at_y) = (place(x, dx), place(y, dy));
                let wall = (-2..=2)
                    .flat_map(|by| (-2..=2).map(move |bx| (at_x + bx, at_y + by)))
                    .any(|(x, y)| walls.is_solid_at(x, y));
                assert!(wall, "({x}, {y}) by ({dx}, {dy})");
            }
        }
        assert!(stopped > 500);
    }
}
