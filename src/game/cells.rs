//! Who is near: an index of points in square cells, built anew each tick.
//!
//! Knows positions and small numbers for whoever stands there. A counting sort into two tables that
//! are kept: with thousands of players building it costs tens of microseconds and asking costs
//! a handful of entries, so that no game in the box compares everybody with everybody.

/// Points in cells.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// Edge of a cell.
    edge: i32,
    /// Cells along an edge of the ground.
    side: i32,
    /// Where each cell's entries begin in `entries`; one more at the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Entry {
    who: u16,
    x: i32,
    y: i32,
}

impl Cells {
    /// Cells with this edge over a square ground, with room for so many points. Best where a cell holds one or
    /// two of them.
    #[must_use]
    pub(super) fn new(extent: i32, edge: i32, points: usize) -> Self {
        let side = extent.div_euclid(edge) + 1;
        Self {
            edge,
            side,
            starts: vec![0; (side * side) as usize + 1],
            entries: Vec::with_capacity(points),
        }
    }

    /// Replaces all points. The order of the answers depends on the order of the points and on nothing
    /// else; the iterator is walked twice.
    pub(super) fn rebuild(&mut self, points: impl Iterator<Item = (u16, i32, i32)> + Clone) {
        self.starts.fill(0);
        let mut count = 0;
        for (_, x, y) in points.clone() {
            let cell = self.cell_at(x, y);
            self.starts[cell] += 1;
            count += 1;
        }
        // From counts to ends; each entry then moves its cell's end down to its start.
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        self.entries.clear();
        self.entries.resize(count, Entry::default());
        for (who, x, y) in points {
            let cell = self.cell_at(x, y);
            self.starts[cell] -= 1;
            self.entries[self.starts[cell] as usize] = Entry { who, x, y };
        }
    }

    fn cell_at(&self, x: i32, y: i32) -> usize {
        let clamp = |at: i32| at.div_euclid(self.edge).clamp(0, self.side - 1);
        (clamp(y) * self.side + clamp(x)) as usize
    }

    /// Everybody in the cells that a rectangle touches, as `(who, x, y)`: all who stand in it, and some
    /// who do not.
    pub(super) fn around(
        &self,
        low: (i32, i32),
        high: (i32, i32),
    ) -> impl Iterator<Item = (u16, i32, i32)> + '_ {
        let (first_row, last_row) = (low.1.div_euclid(self.edge), high.1.div_euclid(self.edge));
        (first_row.max(0)..=last_row.min(self.side - 1)).flat_map(move |row| {
            let y = row * self.edge;
            // The cells of a row are neighbours in the table: one slice.
            let first = self.starts[self.cell_at(low.0, y)] as usize;
            let last = self.starts[self.cell_at(high.0, y) + 1] as usize;
            self.entries[first..last]
                .iter()
                .map(|entry| (entry.who, entry.x, entry.y))
        })
    }

    /// Everybody within `reach` of a point on both axes.
    pub(super) fn near(
        &self,
        x: i32,
        y: i32,
        reach: i32,
    ) -> impl Iterator<Item = (u16, i32, i32)> + '_ {
        self.around((x - reach, y - reach), (x + reach, y + reach))
            .filter(move |(_, there_x, there_y)| {
                (there_x - x).abs() <= reach && (there_y - y).abs() <= reach
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn whoever_is_near_is_found_and_nobody_else() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let extent = 51_200;
        let mut cells = Cells::new(extent, 2_048, 300);
        for round in 0..20 {
            let points: Vec<(u16, i32, i32)> = (0..round * 15)
                .map(|who| {
                    (
                        who,
                        rng.random_range(0..extent),
                        rng.random_range(0..extent),
                    )
                })
                .collect();
            cells.rebuild(points.iter().copied());
            for _ in 0..50 {
                let (x, y) = (
                    rng.random_range(-900..extent + 900),
                    rng.random_range(0..extent),
                );
                let reach = rng.random_range(0..6_000);
                let mut found: Vec<_> = cells.near(x, y, reach).collect();
                found.sort_unstable();
                let close = |at: &&(u16, i32, i32)| (at.1 - x).abs().max((at.2 - y).abs()) <= reach;
                let plain: Vec<_> = points.iter().filter(close).copied().collect();
                assert_eq!(found, plain, "round {round} at ({x}, {y})");
            }
        }
    }
}
