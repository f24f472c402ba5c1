//! One cube: how it falls, slides, rolls and comes to rest, and what two of them do to each other.
//!
//! Not a physics engine: cubes push each other sideways as if they were round, so that none ever lies on another, roll
//! while they are fast, and tip onto a face when they are slow. Knows no clients and no other cubes than those it is given.

use super::input::CubesInput;
use super::vector::{Rotation, Vector, add, rotate, square, up_axis};

/// From the middle of the floor to its edge, where there are walls, in metres.
pub(super) const EDGE: f32 = 24.0;

/// Nothing gets higher than this, in metres.
pub(super) const CEILING: f32 = 8.0;

/// Half of the side of a small cube, in metres.
pub(super) const SMALL: f32 = 0.2;

/// Half of the side of a driver's cube, in metres.
pub(super) const LARGE: f32 = 0.75;

/// How wide a cube is for others, seen from above: between the circle in the square and the one around it.
const ROUNDNESS: f32 = 1.15;

/// The reach of the widest cube, in metres.
pub(super) const REACH: f32 = LARGE * ROUNDNESS;

/// Metres per second, per second.
const GRAVITY: f32 = 9.81;
/// What the floor takes from a sliding cube, in metres per second, per second.
const FRICTION: f32 = 4.0;
/// The share of its speed with which a cube leaves the floor or a wall.
const BOUNCE: f32 = 0.3;
/// A fall that is slower than this does not bounce, in metres per second.
const BOUNCE_FROM: f32 = 1.0;
/// The share of the speed at which two cubes met with which they part.
const RESTITUTION: f32 = 0.2;
/// Of a hit that comes from the side so much goes upward.
const LIFT: f32 = 0.2;
/// Cubes that overlap farther than twice this are moved apart until they overlap by this, in metres: were the two the
/// same, neighbours would come ever closer to it and keep each other awake.
const SLOP: f32 = 0.01;
/// The share of an overlap that is undone in a tick: all of it at once would throw cubes about.
const UNDONE: f32 = 0.4;

/// Drivers reach this speed, in metres per second.
const SPEED: f32 = 6.0;
/// How fast they do, in metres per second, per second; friction works against it.
const PUSH: f32 = 20.0;
/// The speed of a hop, in metres per second.
const HOP: f32 = 5.0;
/// Nothing gets faster, in metres per second: less than a small cube's side in a tick at 60 Hz.
const FASTEST: f32 = 20.0;

/// Below this speed a cube tips onto a face instead of rolling on, in metres per second.
const TIPS_BELOW: f32 = 0.6;
/// How fast it tips: radians a second for each radian, about.
const TIPPING: f32 = 8.0;
/// How fast the spin of a cube on the floor becomes that of rolling, a second.
const GRIP: f32 = 12.0;

/// A cube is still below this speed, in metres per second, and below this spin, in radians per second.
const STILL: f32 = 0.05;
/// So long it must be, in seconds, before it rests.
const REST_AFTER: f32 = 0.25;

/// A cube.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cube {
    /// Its middle, in metres; z is up.
    pub position: [f32; 3],
    /// In metres per second.
    pub velocity: [f32; 3],
    /// A unit quaternion: x, y, z, w.
    pub rotation: [f32; 4],
    /// In radians per second.
    pub spin: [f32; 3],
    /// Half of its side, in metres.
    pub half: f32,
    /// Whether it lies still until somebody touches it.
    pub is_resting: bool,
    /// For how long it has been still, in seconds.
    still_for: f32,
}

impl Cube {
    /// A cube that rests on the floor.
    pub(super) const fn new(x: f32, y: f32, half: f32) -> Self {
        const STRAIGHT: Rotation = [0.0, 0.0, 0.0, 1.0];
        Self {
            position: [x, y, half],
            velocity: [0.0; 3],
            rotation: STRAIGHT,
            spin: [0.0; 3],
            half,
            is_resting: true,
            still_for: 0.0,
        }
    }

    /// How heavy it is not: a driver's cube hardly feels the small ones.
    fn lightness(&self) -> f32 {
        if self.half > SMALL { 0.02 } else { 1.0 }
    }

    /// Begins to move.
    const fn wake(&mut self) {
        self.is_resting = false;
        self.still_for = 0.0;
    }

    fn is_on_floor(&self) -> bool {
        self.position[2] <= self.half
    }

    /// Does what its driver wants for one tick.
    pub(super) fn drive(&mut self, input: &CubesInput, seconds: f32) {
        if input.is_neutral() {
            return;
        }
        self.wake();
        if !self.is_on_floor() {
            return;
        }
        let (x, y) = (f32::from(input.move_x), f32::from(input.move_y));
        // Rolling askew is not faster than rolling straight.
        let length = (x * x + y * y).sqrt().max(127.0);
        let most = PUSH * seconds;
        for (part, wanted) in self.velocity.iter_mut().zip([x, y]) {
            *part += (wanted / length * SPEED - *part).clamp(-most, most);
        }
        if input.hop {
            self.velocity[2] = HOP;
        }
    }

    /// One tick of moving by itself.
    pub(super) fn advance(&mut self, seconds: f32) {
        if self.is_resting {
            return;
        }
        self.velocity[2] -= GRAVITY * seconds;
        self.velocity = self.velocity.map(|part| part.clamp(-FASTEST, FASTEST));
        self.position = add(self.position, self.velocity, seconds);
        self.meet_walls();
        let is_on_floor = self.is_on_floor();
        if is_on_floor {
            self.meet_floor(seconds);
        }
        self.rotation = rotate(self.rotation, self.spin, seconds);
        let is_still = square(self.velocity) < STILL * STILL && square(self.spin) < STILL * STILL;
        self.still_for = if is_on_floor && is_still {
            self.still_for + seconds
        } else {
            0.0
        };
        if self.still_for >= REST_AFTER {
            self.is_resting = true;
            (self.velocity, self.spin) = ([0.0; 3], [0.0; 3]);
        }
    }

    fn meet_walls(&mut self) {
        let farthest = EDGE - self.half;
        for (at, speed) in self.position.iter_mut().zip(&mut self.velocity).take(2) {
            if at.abs() > farthest {
                *at = at.clamp(-farthest, farthest);
                *speed *= -BOUNCE;
            }
        }
        self.position[2] = self.position[2].min(CEILING);
    }

    fn meet_floor(&mut self, seconds: f32) {
        self.position[2] = self.half;
        let falling = self.velocity[2];
        self.velocity[2] = if falling < -BOUNCE_FROM {
            -falling * BOUNCE
        } else {
            0.0
        };
        let [vx, vy, _] = self.velocity;
        let speed = (vx * vx + vy * vy).sqrt();
        let kept = (speed - FRICTION * seconds).max(0.0) / speed.max(f32::MIN_POSITIVE);
        (self.velocity[0], self.velocity[1]) = (vx * kept, vy * kept);
        if speed > TIPS_BELOW {
            let rolling = [-vy / self.half, vx / self.half, 0.0];
            let more = (GRIP * seconds).min(1.0);
            self.spin = add(self.spin, add(rolling, self.spin, -1.0), more);
        } else {
            // About the horizontal axis that brings the highest face up: the cross product of the two.
            let [ux, uy, _] = up_axis(self.rotation);
            self.spin = [uy * TIPPING, -ux * TIPPING, 0.0];
        }
    }
}

/// What two cubes do to each other when they touch. Says whether they did.
pub(super) fn meet(one: &mut Cube, two: &mut Cube) -> bool {
    let away = add(two.position, one.position, -1.0);
    let reach = (one.half + two.half) * ROUNDNESS;
    let flat = away[0] * away[0] + away[1] * away[1];
    if away[2].abs() >= one.half + two.half || flat >= reach * reach {
        return false;
    }
    let distance = flat.sqrt();
    let overlap = reach - distance;
    if overlap <= 2.0 * SLOP {
        return false;
    }
    // Two in one place part along x.
    let normal: Vector = if distance > 1e-4 {
        [away[0] / distance, away[1] / distance, 0.0]
    } else {
        [1.0, 0.0, 0.0]
    };
    one.wake();
    two.wake();
    let (light_one, light_two) = (one.lightness(), two.lightness());
    let (share_one, share_two) = (
        light_one / (light_one + light_two),
        light_two / (light_one + light_two),
    );
    let apart = (overlap - SLOP) * UNDONE;
    one.position = add(one.position, normal, -apart * share_one);
    two.position = add(two.position, normal, apart * share_two);
    let between = add(two.velocity, one.velocity, -1.0);
    let closing = -(between[0] * normal[0] + between[1] * normal[1]);
    if closing > 0.0 {
        let change = closing * (1.0 + RESTITUTION);
        one.velocity = add(one.velocity, normal, -change * share_one);
        two.velocity = add(two.velocity, normal, change * share_two);
        // Only what a driver hits leaves the floor.
        if one.half != two.half {
            one.velocity[2] += closing * LIFT * share_one;
            two.velocity[2] += closing * LIFT * share_two;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: f32 = 1.0 / 60.0;

    #[test]
    fn a_cube_that_falls_comes_to_rest_on_a_face() {
        let mut cube = Cube::new(0.0, 0.0, SMALL);
        cube.position = [0.0, 0.0, 3.0];
        cube.velocity = [2.0, -1.0, 0.0];
        cube.spin = [5.0, 3.0, 1.0];
        cube.wake();
        let ticks = (0..600).take_while(|_| {
            cube.advance(TICK);
            !cube.is_resting
        });
        let ticks = ticks.count();
        assert!((60..400).contains(&ticks), "{ticks}");
        assert_eq!(cube.position[2], SMALL);
        assert!(up_axis(cube.rotation)[2] > 0.999, "{cube:?}");
        let before = cube;
        cube.advance(TICK);
        assert_eq!(cube, before);
    }

    #[test]
    fn what_a_driver_hits_moves_and_what_it_passes_does_not() {
        let mut driver = Cube::new(0.0, 0.0, LARGE);
        let mut hit = Cube::new(1.5, 0.1, SMALL);
        let mut passed = Cube::new(1.5, 2.0, SMALL);
        let ahead = CubesInput {
            move_x: 127,
            ..CubesInput::default()
        };
        for _ in 0..60 {
            driver.drive(&ahead, TICK);
            driver.advance(TICK);
            hit.advance(TICK);
            meet(&mut driver, &mut hit);
            meet(&mut driver, &mut passed);
        }
        assert!(driver.position[0] > 3.0, "{driver:?}");
        assert!(!hit.is_resting && hit.position[0] > 3.0, "{hit:?}");
        assert!(passed.is_resting, "{passed:?}");
    }

    #[test]
    fn two_in_one_place_part() {
        let (mut one, mut two) = (Cube::new(1.0, 1.0, SMALL), Cube::new(1.0, 1.0, SMALL));
        for _ in 0..60 {
            meet(&mut one, &mut two);
            one.advance(TICK);
            two.advance(TICK);
        }
        let apart = two.position[0] - one.position[0];
        assert!((2.0 * SMALL..0.5).contains(&apart), "{apart}");
    }
}
