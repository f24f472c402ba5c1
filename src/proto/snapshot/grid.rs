//! Who is near a place: entities sorted into square cells over x and y.
//!
//! Knows positions. Has no idea who asks. The world may be of any extent: cells are hashed into a
//! table of about as many buckets as there are entities, after M. Teschner and others, "Optimized Spatial Hashing for Collision Detection of
//! Deformable Objects", 2003.

use super::slots::SlotSet;

/// The cell of a place: saturates far away, where everybody shares the last cell.
type Cell = (i32, i32);

/// Entities by cell. Rebuilt once a tick, in time linear in the number of entities; keeps its
/// memory.
#[derive(Debug, Default)]
pub(super) struct Grid {
    cell_size: f32,
    /// Where each bucket starts in `entries`; one more than there are buckets.
    starts: Vec<u32>,
    /// By bucket.
    entries: Vec<Entry>,
}

/// An entity in its cell; with its position, so that whoever measures looks nowhere else.
#[derive(Debug, Clone, Copy)]
struct Entry {
    cell: Cell,
    position: [f32; 3],
    slot: u16,
}

impl Grid {
    /// Sorts the entities of a tick into cells of this size (in the unit of positions).
    ///
    /// `used` are their slots, and `positions` are by slot.
    pub(super) fn build(&mut self, used: &SlotSet, positions: &[[f32; 3]], cell_size: f32) {
        self.cell_size = cell_size;
        let count = used.count();
        let position = |slot: u16| positions.get(usize::from(slot)).copied();
        let buckets = count.next_power_of_two();
        self.starts.clear();
        self.starts.resize(buckets + 1, 0);
        self.entries.clear();
        let empty = Entry {
            cell: (0, 0),
            position: [0.0; 3],
            slot: 0,
        };
        self.entries.resize(count, empty);
        // A counting sort: how many, where each bucket ends, then from the back.
        for slot in used.iter() {
            let bucket = self.bucket(self.cell(position(slot).unwrap_or_default()));
            self.starts[bucket] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        for slot in used.iter() {
            let position = position(slot).unwrap_or_default();
            let cell = self.cell(position);
            let bucket = self.bucket(cell);
            self.starts[bucket] -= 1;
            self.entries[self.starts[bucket] as usize] = Entry {
                cell,
                position,
                slot,
            };
        }
    }

    fn cell(&self, [x, y, _]: [f32; 3]) -> Cell {
        (self.axis(x), self.axis(y))
    }

    fn axis(&self, coordinate: f32) -> i32 {
        (coordinate / self.cell_size).floor() as i32
    }

    fn bucket(&self, (x, y): Cell) -> usize {
        let hash = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
        let mixed = (hash ^ hash >> 15).wrapping_mul(0x2C1B_3C6D);
        (mixed ^ mixed >> 13) as usize & (self.starts.len().saturating_sub(2))
    }

    /// Calls `found` once for each entity within `radius` of `center`.
    pub(super) fn near(&self, center: [f32; 3], radius: f32, mut found: impl FnMut(u16)) {
        let squared = radius * radius;
        self.around(center, radius, |entry| {
            if distance_squared(entry.position, center) <= squared {
                found(entry.slot);
            }
        });
    }

    /// Calls `found` once for each entity of the cells that a square around `center` touches:
    /// everybody within `radius`, and some others.
    fn around(&self, center: [f32; 3], radius: f32, mut found: impl FnMut(&Entry)) {
        // A little more than asked for: a rounding error must never hide anybody.
        let reach =
            radius * 1.0001 + f32::EPSILON * (center[0].abs() + center[1].abs() + 1.0) * 4.0;
        let (left, right) = (self.axis(center[0] - reach), self.axis(center[0] + reach));
        let (low, high) = (self.axis(center[1] - reach), self.axis(center[1] + reach));
        let cells = (i64::from(right) - i64::from(left) + 1)
            .saturating_mul(i64::from(high) - i64::from(low) + 1);
        if cells >= self.entries.len() as i64 {
            self.entries.iter().for_each(found);
            return;
        }
        for y in low..=high {
            for x in left..=right {
                self.within((x, y), &mut found);
            }
        }
    }

    /// Other cells may share the bucket; they are passed over.
    fn within(&self, cell: Cell, found: &mut impl FnMut(&Entry)) {
        let bucket = self.bucket(cell);
        let (Some(start), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1))
        else {
            return;
        };
        let entries = self
            .entries
            .get(*start as usize..*end as usize)
            .unwrap_or(&[]);
        entries
            .iter()
            .filter(|entry| entry.cell == cell)
            .for_each(found);
    }
}

/// The square of the distance of two places.
#[inline]
pub(super) fn distance_squared(one: [f32; 3], two: [f32; 3]) -> f32 {
    let square = |axis: usize| (one[axis] - two[axis]) * (one[axis] - two[axis]);
    square(0) + square(1) + square(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Every second slot is used.
    fn world(places: &[[f32; 3]]) -> (SlotSet, Vec<[f32; 3]>) {
        let mut used = SlotSet::default();
        (0..places.len()).for_each(|place| used.insert(place as u16 * 2));
        let positions = places.iter().flat_map(|at| [*at, [0.0; 3]]).collect();
        (used, positions)
    }

    proptest! {
        #[test]
        fn those_within_the_radius_are_found_once_and_nobody_else(
            positions in prop::collection::vec(prop::array::uniform3(prop_oneof![-80.0_f32..80.0, -1e30_f32..1e30]), 0..200),
            center in prop::array::uniform3(-100.0_f32..100.0),
            radius in 0.0_f32..120.0,
            cell_size in 0.5_f32..50.0,
        ) {
            let (used, positions) = world(&positions);
            let mut grid = Grid::default();
            grid.build(&used, &positions, cell_size);
            let mut found = BTreeSet::new();
            let mut twice = false;
            grid.near(center, radius, |slot| twice |= !found.insert(slot));
            prop_assert!(!twice);
            for slot in used.iter() {
                let at = positions[usize::from(slot)];
                let is_near = distance_squared(at, center) <= radius * radius;
                prop_assert_eq!(found.contains(&slot), is_near);
            }
        }
    }
}
