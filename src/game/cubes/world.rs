//! All the cubes at one tick: who drives which, who waits for one, and its hash.
//!
//! Knows all cubes at once. How one of them moves is in `body`; who sees it is not known here.

use core::hash::Hasher;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use siphasher::sip::SipHasher13;

use crate::game::Inputs;
use crate::game::cells::Cells;
use crate::id::{ClientSlot, EntityId};
use crate::time::{Tick, TickRate};

use super::body::{Cube, EDGE, LARGE, REACH, SMALL, meet};
use super::input::CubesInput;

/// Small cubes along one side of the square in which they lie at first.
const SIDE: u16 = 30;

/// Small cubes: 900.
pub const CUBES: u16 = SIDE * SIDE;

/// The most clients that drive a cube of their own; whoever else is there looks on. The work of a tick grows with the
/// cubes that move, which is to stay the same with ten clients and with ten thousand.
pub const DRIVERS: u16 = 16;

/// The index of cubes counts in centimetres, from one corner of the floor.
const CENTIMETRES: f32 = 100.0;

/// Edge of a cell: the reach of a driver's cube and a small one, about.
const CELL: i32 = 125;

/// A place for a driver.
#[derive(Debug, Clone, Default)]
struct Seat {
    /// Whose it is.
    driver: Option<ClientSlot>,
    /// How many had it before.
    generation: u16,
}

/// Everything there is.
#[derive(Debug, Clone)]
pub struct World {
    /// The time of a tick.
    seconds: f32,
    tick: Tick,
    /// The small ones, then one for each seat, driven or not.
    cubes: Vec<Cube>,
    seats: Vec<Seat>,
    /// Who looks on, by client index.
    waiting: Vec<ClientSlot>,
    cells: Cells,
}

impl World {
    /// 900 small cubes at rest, and nobody who drives. `seed` decides how they lie.
    #[must_use]
    pub fn new(seed: u64, rate: TickRate) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        // Off the lattice by less than would make two of them touch.
        let mut at = |step: u16| {
            let lattice = f32::from(step) - f32::from(SIDE - 1) / 2.0;
            lattice + rng.random_range(-0.2..0.2)
        };
        let mut cubes = Vec::with_capacity(usize::from(CUBES + DRIVERS));
        for number in 0..CUBES {
            let (x, y) = (at(number % SIDE), at(number / SIDE));
            cubes.push(Cube::new(x, y, SMALL));
        }
        for seat in 0..DRIVERS {
            cubes.push(start(seat));
        }
        let extent = (2.0 * EDGE * CENTIMETRES) as i32;
        Self {
            seconds: 1.0 / f32::from(rate.hz()),
            tick: Tick(0),
            cells: Cells::new(extent, CELL, cubes.len()),
            cubes,
            seats: vec![Seat::default(); usize::from(DRIVERS)],
            waiting: Vec::new(),
        }
    }

    /// The small cubes and those that somebody drives, each with its row of the frame.
    pub fn cubes(&self) -> impl Iterator<Item = (EntityId, &Cube)> {
        let rows = (0_u16..).zip(&self.cubes);
        rows.filter_map(|(slot, cube)| {
            let generation = match slot.checked_sub(CUBES) {
                None => 0,
                Some(seat) => {
                    let seat = self.seats.get(usize::from(seat))?;
                    seat.driver.map(|_| seat.generation)?
                }
            };
            Some((EntityId { slot, generation }, cube))
        })
    }

    /// The cube of a client; `None` when it looks on.
    #[must_use]
    pub fn driven_by(&self, slot: ClientSlot) -> Option<(EntityId, &Cube)> {
        let mut seats = (CUBES..).zip(&self.seats);
        let (row, seat) = seats.find(|(_, seat)| seat.driver == Some(slot))?;
        let id = EntityId {
            slot: row,
            generation: seat.generation,
        };
        Some((id, self.cubes.get(usize::from(row))?))
    }

    /// Lets a client in: to drive, while there is a seat, else to look on.
    pub(super) fn join(&mut self, slot: ClientSlot) {
        let free = self.seats.iter().position(|seat| seat.driver.is_none());
        match free {
            Some(seat) => self.seat(seat, slot),
            None => {
                let at = self.waiting.partition_point(|it| it.index < slot.index);
                self.waiting.insert(at, slot);
            }
        }
    }

    /// A client is gone. A driver's cube goes too, and the next one who looks on gets the seat.
    pub(super) fn leave(&mut self, slot: ClientSlot) {
        self.waiting.retain(|it| *it != slot);
        let left = |seat: &Seat| seat.driver == Some(slot);
        if let Some(at) = self.seats.iter().position(left) {
            self.seats[at].driver = None;
            if !self.waiting.is_empty() {
                let next = self.waiting.remove(0);
                self.seat(at, next);
            }
        }
    }

    fn seat(&mut self, at: usize, slot: ClientSlot) {
        let seat = &mut self.seats[at];
        seat.driver = Some(slot);
        seat.generation = seat.generation.wrapping_add(1);
        self.cubes[usize::from(CUBES) + at] = start(at as u16);
    }

    /// Whether a cube is there: a seat's is when somebody drives it.
    fn is_there(&self, cube: usize) -> bool {
        let seat = cube.checked_sub(usize::from(CUBES));
        seat.is_none_or(|seat| self.seats.get(seat).is_some_and(|it| it.driver.is_some()))
    }

    /// One tick. Only cubes that move cost something: each of them is asked whom it touches.
    pub(super) fn step(&mut self, tick: Tick, inputs: &Inputs<'_, CubesInput>) {
        self.tick = tick;
        for (seat, cube) in self.seats.iter().zip(&mut self.cubes[usize::from(CUBES)..]) {
            let input = seat.driver.and_then(|driver| inputs.get(driver));
            if let Some(input) = input {
                cube.drive(input, self.seconds);
            }
        }
        let Self { cubes, cells, .. } = self;
        for cube in cubes.iter_mut() {
            cube.advance(self.seconds);
        }
        let places = (0_u16..).zip(cubes.iter()).map(|(cube, it)| {
            let (x, y) = place(it);
            (cube, x, y)
        });
        cells.rebuild(places);
        for one in 0..self.cubes.len() {
            if !self.cubes[one].is_resting && self.is_there(one) {
                self.meet_neighbours(one);
            }
        }
    }

    /// Of two that move the first one does this, for both.
    fn meet_neighbours(&mut self, one: usize) {
        let (x, y) = place(&self.cubes[one]);
        let half_here = self.cubes[one].half;
        let reach = if half_here > SMALL {
            2.0 * REACH
        } else {
            REACH + SMALL
        };
        let reach = (reach * CENTIMETRES) as i32 + 1;
        for (two, ..) in self.cells.near(x, y, reach) {
            let two = usize::from(two);
            let was_done = two < one && !self.cubes[two].is_resting;
            if two == one || was_done || !self.is_there(two) {
                continue;
            }
            if let Ok([one, two]) = self.cubes.get_disjoint_mut([one, two]) {
                meet(one, two);
            }
        }
    }

    /// A number for the whole state, equal on every platform: two runs with the same seed and the same
    /// inputs have the same number at every tick, and a difference shows at once.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write_u32(self.tick.0);
        for (id, cube) in self.cubes() {
            hasher.write_u16(id.slot);
            hasher.write_u16(id.generation);
            let parts = cube.position.iter().chain(&cube.velocity);
            for part in parts.chain(&cube.rotation).chain(&cube.spin) {
                hasher.write_u32(part.to_bits());
            }
            hasher.write_u8(u8::from(cube.is_resting));
        }
        for slot in &self.waiting {
            hasher.write_u32(slot.index);
        }
        hasher.finish()
    }
}

/// Where a driver begins: in a row along one wall, outside of the small ones' square.
fn start(seat: u16) -> Cube {
    let step = 2.0 * EDGE / f32::from(DRIVERS + 1);
    Cube::new(step * f32::from(seat + 1) - EDGE, 3.0 - EDGE, LARGE)
}

/// Where a cube is, as the index counts.
fn place(cube: &Cube) -> (i32, i32) {
    let [x, y, _] = cube.position;
    let at = |metres: f32| ((metres + EDGE) * CENTIMETRES) as i32;
    (at(x), at(y))
}
