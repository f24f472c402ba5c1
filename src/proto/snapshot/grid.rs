//! Who is near a place: entities sorted into square cells over x and y.
//!
//! Knows positions. Has no idea who asks. The world may be of any extent: cells are hashed into a
//! table of about as many buckets as there are entities, after M. Teschner and others, "Optimized Spatial Hashing for Collision Detection of
//! Deformable Objects", 2003. Only rows are hashed; the cells of a row are neighbours in the table, so that whoever looks around
//! reads one run for each row.

use super::slots::SlotSet;

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

/// An entity with its position, so that whoever measures looks nowhere else.
#[derive(Debug, Clone, Copy)]
struct Entry {
    position: [f32; 3],
    slot: u16,
}

/// Of 64 slots, who is within the inner circle, and who within the outer one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circles {
    inner: u64,
    outer: u64,
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
            position: [0.0; 3],
            slot: 0,
        };
        self.entries.resize(count, empty);
        // A counting sort: how many, where each bucket ends, then from the back.
        for slot in used.iter() {
            let [x, y, _] = position(slot).unwrap_or_default();
            let bucket = self.bucket(self.axis(x), self.axis(y));
            self.starts[bucket] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        for slot in used.iter() {
            let position = position(slot).unwrap_or_default();
            let bucket = self.bucket(self.axis(position[0]), self.axis(position[1]));
            self.starts[bucket] -= 1;
            self.entries[self.starts[bucket] as usize] = Entry { position, slot };
        }
    }

    /// The cell of a coordinate: saturates far away, where everybody shares the last cell.
    #[inline]
    fn axis(&self, coordinate: f32) -> i32 {
        // Rounded down without a call, which `floor` is on processors of the oldest kind.
        let cells = coordinate / self.cell_size;
        let towards_zero = cells as i32;
        towards_zero.saturating_sub(i32::from(towards_zero as f32 > cells))
    }

    #[inline]
    fn bucket(&self, column: i32, row: i32) -> usize {
        let hash = (row as u32).wrapping_mul(0x85EB_CA77);
        let mixed = (hash ^ hash >> 15).wrapping_mul(0x2C1B_3C6D);
        let place = (mixed ^ mixed >> 13).wrapping_add(column as u32);
        place as usize & (self.starts.len().saturating_sub(2))
    }

    /// Adds to a set whoever is within the inner radius, and of those in `before` whoever is within the outer one, which
    /// is not smaller. The set must have been cleared for all slots there are. `circles` is working memory.
    pub(super) fn add_near(
        &self,
        center: [f32; 3],
        (inner, outer): (f32, f32),
        before: &SlotSet,
        (near, circles): (&mut SlotSet, &mut Vec<Circles>),
    ) {
        circles.clear();
        circles.resize(near.words().len(), Circles::default());
        let (inner, squared) = (inner * inner, outer * outer);
        self.around(center, outer, |entry| {
            let distance = distance_squared(entry.position, center);
            let bit = entry.slot % 64;
            // Without branches: whether somebody is near is as good as random, and a wrong guess costs more than all of this.
            if let Some(circles) = circles.get_mut(usize::from(entry.slot / 64)) {
                circles.inner |= u64::from(distance <= inner) << bit;
                circles.outer |= u64::from(distance <= squared) << bit;
            }
        });
        for (index, (near, circles)) in near.words_mut().iter_mut().zip(circles).enumerate() {
            *near |= circles.inner | (circles.outer & before.word(index));
        }
    }

    /// Calls `found` for each entity of the cells that a circle around `center` touches: everybody within `radius`, and
    /// some others. Of different rows that share buckets some are found more than once.
    #[inline]
    fn around(&self, center: [f32; 3], radius: f32, mut found: impl FnMut(&Entry)) {
        // A little more than asked for: a rounding error must never hide anybody.
        let reach =
            radius * 1.0001 + f32::EPSILON * (center[0].abs() + center[1].abs() + 1.0) * 4.0;
        let (left, right) = (self.axis(center[0] - reach), self.axis(center[0] + reach));
        let (low, high) = (self.axis(center[1] - reach), self.axis(center[1] + reach));
        let columns = i64::from(right) - i64::from(left) + 1;
        let rows = i64::from(high) - i64::from(low) + 1;
        if columns.saturating_mul(rows) >= self.entries.len() as i64 {
            self.entries.iter().for_each(found);
            return;
        }
        // Fewer columns than entities, so fewer than buckets: a run begins again at the first one once at most.
        for row in low..=high {
            let reach = self.reach_in(row, center[1], reach);
            let (left, right) = (self.axis(center[0] - reach), self.axis(center[0] + reach));
            let columns = i64::from(right) - i64::from(left) + 1;
            for entries in self.run(left, row, columns as usize) {
                entries.iter().for_each(&mut found);
            }
        }
    }

    /// How far a circle reaches to both sides within a row of cells.
    #[inline]
    fn reach_in(&self, row: i32, center: f32, reach: f32) -> f32 {
        let (low, high) = (
            row as f32 * self.cell_size,
            (row as f32 + 1.0) * self.cell_size,
        );
        let away = (low - center).max(center - high).max(0.0);
        let square = reach * reach - away * away;
        // The first and the last row have no end; and where a square is no number, whole rows are looked at.
        let is_open = row == i32::MIN || row == i32::MAX || !square.is_finite();
        if is_open {
            reach
        } else {
            square.max(0.0).sqrt()
        }
    }

    /// The entries in the buckets of so many cells of a row, in two pieces when they begin again at the first.
    #[inline]
    fn run(&self, left: i32, row: i32, columns: usize) -> [&[Entry]; 2] {
        let (first, buckets) = (self.bucket(left, row), self.starts.len() - 1);
        let between = |first: usize, end: usize| {
            let (start, end) = (self.starts.get(first), self.starts.get(end));
            let range = start
                .zip(end)
                .map(|(start, end)| *start as usize..*end as usize);
            range
                .and_then(|range| self.entries.get(range))
                .unwrap_or(&[])
        };
        let end = first + columns;
        if end <= buckets {
            [between(first, end), &[]]
        } else {
            [between(first, buckets), between(0, end - buckets)]
        }
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

    /// Every second slot is used.
    fn world(places: &[[f32; 3]]) -> (SlotSet, Vec<[f32; 3]>) {
        let mut used = SlotSet::default();
        (0..places.len()).for_each(|place| used.insert(place as u16 * 2));
        let positions = places.iter().flat_map(|at| [*at, [0.0; 3]]).collect();
        (used, positions)
    }

    /// A few who are anywhere, or a crowd, around which whoever looks walks row by row.
    fn places() -> impl Strategy<Value = Vec<[f32; 3]>> {
        let anywhere = prop_oneof![-80.0_f32..80.0, -1e30_f32..1e30];
        let some = prop::collection::vec(prop::array::uniform3(anywhere), 0..200);
        let in_crowd = (-80.0_f32..80.0, -80.0_f32..80.0, -5.0_f32..5.0);
        let crowd = prop::collection::vec(in_crowd.prop_map(|(x, y, z)| [x, y, z]), 600..900);
        prop_oneof![some, crowd]
    }

    proptest! {
        #[test]
        fn those_within_the_radii_are_found_and_nobody_else(
            positions in places(),
            center in prop::array::uniform3(-100.0_f32..100.0),
            (inner, more) in (0.0_f32..120.0, 0.0_f32..20.0),
            cell_size in 0.5_f32..50.0,
            held in prop::collection::vec(any::<bool>(), 1..40),
            far in prop::array::uniform3(prop_oneof![3 => Just(0.0_f32), 1 => -1e6_f32..1e6, 1 => -1e30_f32..1e30]),
        ) {
            let moved = |at: [f32; 3]| [at[0] + far[0], at[1] + far[1], at[2] + far[2]];
            let center = moved(center);
            let positions: Vec<_> = positions.into_iter().map(moved).collect();
            let (used, positions) = world(&positions);
            let mut grid = Grid::default();
            grid.build(&used, &positions, cell_size);
            let outer = inner + more;
            let (mut before, mut near) = (SlotSet::default(), SlotSet::default());
            used.iter().filter(|slot| held[usize::from(*slot) % held.len()]).for_each(|slot| before.insert(slot));
            near.clear(positions.len());
            grid.add_near(center, (inner, outer), &before, (&mut near, &mut Vec::new()));
            for slot in used.iter() {
                let distance = distance_squared(positions[usize::from(slot)], center);
                let is_near = distance <= inner * inner || before.contains(slot) && distance <= outer * outer;
                prop_assert_eq!(near.contains(slot), is_near);
            }
            prop_assert!(near.iter().all(|slot| used.contains(slot)));
        }
    }
}
