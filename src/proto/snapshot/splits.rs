//! The ranges of slots that a client's snapshot is cut into, one part each.
//!
//! A split point stays where it is until a part overflows, so that what was acknowledged of a range
//! is a baseline for the same range; two small neighbours become one again. Knows sizes and turns.
//! Has no idea what is in a range.

use super::slots::SlotRange;

/// Datagrams one snapshot may take. With a round trip of four snapshots all of them can be
/// accounted for.
pub const MAX_PARTS: usize = 16;
/// Two parts become one when together they would fill less than this much of a datagram (of 8).
const MERGE_BELOW: usize = 4;

/// A range that has a part of its own.
#[derive(Debug, Clone, Copy)]
struct Split {
    range: SlotRange,
    /// Bytes of its last part; the largest number when there was none.
    bytes: u16,
    /// Whether this snapshot has told it.
    told: bool,
}

/// The ranges, ascending; together all slots.
#[derive(Debug, Default)]
pub(super) struct Splits {
    list: Vec<Split>,
    /// The first slot that did not get its turn in the snapshot before.
    turn: u16,
}

impl Splits {
    /// Forgets all split points.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.turn = 0;
    }

    /// One range of these slots, unless there are some already.
    pub(super) fn open(&mut self, all: SlotRange) {
        if self.list.is_empty() {
            self.list.push(Split {
                range: all,
                bytes: u16::MAX,
                told: false,
            });
        }
    }

    /// How many ranges there are.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// The ranges, ascending.
    pub(super) fn ranges(&self) -> impl Iterator<Item = SlotRange> + Clone {
        self.list.iter().map(|split| split.range)
    }

    /// The ranges that this snapshot has not told yet, ascending.
    pub(super) fn untold(&self) -> impl Iterator<Item = SlotRange> + Clone {
        self.list
            .iter()
            .filter(|split| !split.told)
            .map(|split| split.range)
    }

    /// The next range to tell: from the first that missed its turn upwards, then from the start.
    pub(super) fn next_turn(&self) -> Option<SlotRange> {
        let mut open = self.untold();
        let first = open.clone().next();
        open.find(|range| range.last >= self.turn).or(first)
    }

    /// A range was told in so many bytes.
    pub(super) fn told(&mut self, range: SlotRange, bytes: usize) {
        if let Some(split) = self.list.iter_mut().find(|split| split.range == range) {
            split.told = true;
            split.bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        }
    }

    /// Ends a snapshot. Whoever did not get a turn is first next time.
    pub(super) fn end(&mut self) {
        self.turn = self.next_turn().map_or(0, |range| range.first);
        self.list.iter_mut().for_each(|split| split.told = false);
    }

    /// Cuts a range in two; the second starts with `cut`, which is in the range and not its first
    /// slot.
    pub(super) fn cut(&mut self, range: SlotRange, cut: u16) -> Option<[SlotRange; 2]> {
        let index = self.list.iter().position(|split| split.range == range)?;
        if cut <= range.first || cut > range.last {
            return None;
        }
        let halves = [
            SlotRange {
                last: cut - 1,
                ..range
            },
            SlotRange {
                first: cut,
                ..range
            },
        ];
        let split = self.list.get_mut(index)?;
        split.range = halves[0];
        let second = Split {
            range: halves[1],
            ..*split
        };
        self.list.insert(index + 1, second);
        Some(halves)
    }

    /// Makes neighbours one as long as two would easily fit into a datagram with so much room, and
    /// `may` says yes to the two and their union.
    pub(super) fn join(&mut self, room: usize, may: impl Fn([SlotRange; 2], SlotRange) -> bool) {
        let small = |pair: &[Split]| {
            let bytes = usize::from(pair[0].bytes) + usize::from(pair[1].bytes);
            bytes <= room * MERGE_BELOW / 8
        };
        let union = |pair: &[Split]| SlotRange {
            first: pair[0].range.first,
            last: pair[1].range.last,
        };
        let fits = |pair: &[Split]| small(pair) && may([pair[0].range, pair[1].range], union(pair));
        while let Some(index) = self.list.windows(2).position(fits) {
            let second = self.list.remove(index + 1);
            if let Some(first) = self.list.get_mut(index) {
                first.range.last = second.range.last;
                first.bytes = first.bytes.saturating_add(second.bytes);
            }
        }
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Split>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: SlotRange = SlotRange { first: 0, last: 99 };

    #[test]
    fn who_missed_a_turn_is_first_next_time() {
        let mut splits = Splits::default();
        splits.open(ALL);
        let [low, rest] = splits.cut(ALL, 30).expect("within");
        let [middle, high] = splits.cut(rest, 60).expect("within");
        assert_eq!(splits.next_turn(), Some(low));
        splits.told(low, 10);
        splits.end();
        assert_eq!(splits.next_turn(), Some(middle));
        splits.told(middle, 10);
        assert_eq!(splits.next_turn(), Some(high));
        splits.told(high, 10);
        assert_eq!(splits.next_turn(), Some(low));
        splits.told(low, 10);
        assert_eq!(splits.next_turn(), None);
        splits.end();
        assert_eq!(splits.next_turn(), Some(low));
    }

    #[test]
    fn small_neighbours_become_one_and_large_ones_stay() {
        let mut splits = Splits::default();
        splits.open(ALL);
        let [low, high] = splits.cut(ALL, 50).expect("within");
        splits.join(1_000, |_, _| true);
        assert_eq!(splits.len(), 2, "nobody knows yet how large they are");
        splits.told(low, 300);
        splits.told(high, 201);
        splits.join(1_000, |_, _| true);
        assert_eq!(splits.len(), 2);
        splits.told(high, 200);
        splits.join(1_000, |_, _| false);
        assert_eq!(splits.len(), 2);
        splits.join(1_000, |pair, union| pair == [low, high] && union == ALL);
        assert_eq!(splits.ranges().collect::<Vec<_>>(), [ALL]);
    }

    #[test]
    fn a_cut_outside_is_none() {
        let mut splits = Splits::default();
        splits.open(ALL);
        assert_eq!(splits.cut(ALL, 0), None);
        assert_eq!(splits.cut(ALL, 100), None);
        assert_eq!(splits.cut(SlotRange { first: 1, last: 2 }, 2), None);
    }
}
