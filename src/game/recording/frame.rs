//! One frame of a recording: the rows of all entities at one tick, and their hash.

use core::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::id::EntityId;
use crate::proto::snapshot::{KindId, TickFrame};
use crate::time::Tick;

/// An entity as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedRow<'a> {
    /// Which entity.
    pub id: EntityId,
    /// Its kind.
    pub kind: KindId,
    /// Its quantised fields, in the order of its kind.
    pub values: &'a [i32],
}

/// Where a row's values are, and whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    id: EntityId,
    kind: KindId,
    len: u8,
    start: u32,
}

/// All entities at one tick, by slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedFrame {
    tick: Tick,
    places: Vec<Place>,
    values: Vec<i32>,
}

impl RecordedFrame {
    /// The tick that everything in it is true at.
    #[must_use]
    pub const fn tick(&self) -> Tick {
        self.tick
    }

    /// How many entities there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the world is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All entities, by slot.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RecordedRow<'_>> {
        self.places.iter().map(|place| self.row(place))
    }

    /// The entity in a slot.
    #[must_use]
    pub fn entity(&self, slot: u16) -> Option<RecordedRow<'_>> {
        let index = self
            .places
            .binary_search_by_key(&slot, |place| place.id.slot)
            .ok()?;
        self.places.get(index).map(|place| self.row(place))
    }

    fn row(&self, place: &Place) -> RecordedRow<'_> {
        let start = place.start as usize;
        let values = self.values.get(start..start + usize::from(place.len));
        RecordedRow {
            id: place.id,
            kind: place.kind,
            values: values.unwrap_or_default(),
        }
    }

    /// What the frame says, as one number that is the same on every machine: SipHash-1-3 with a key of zeros over tick, count
    /// and rows.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write_u32(self.tick.0);
        hasher.write_u32(self.len() as u32);
        for row in self.rows() {
            hasher.write_u16(row.id.slot);
            hasher.write_u16(row.id.generation);
            hasher.write_u8(row.kind.0);
            row.values.iter().for_each(|value| hasher.write_i32(*value));
        }
        hasher.finish()
    }

    /// Forgets everything and keeps the memory.
    pub(super) fn begin(&mut self, tick: Tick) {
        self.tick = tick;
        self.places.clear();
        self.values.clear();
    }

    /// Appends a row; its slot is behind all others.
    pub(super) fn push(&mut self, row: RecordedRow<'_>) {
        self.places.push(Place {
            id: row.id,
            kind: row.kind,
            // A kind has at most 32 fields, so that all values of a world are some millions.
            len: row.values.len() as u8,
            start: self.values.len() as u32,
        });
        self.values.extend_from_slice(row.values);
    }

    /// The values of the row appended last.
    pub(super) fn last_values(&mut self) -> &mut [i32] {
        let start = self.places.last().map_or(0, |place| place.start as usize);
        self.values.get_mut(start..).unwrap_or_default()
    }

    /// Becomes what a published frame is.
    pub(super) fn copy_from(&mut self, frame: &TickFrame) {
        self.begin(frame.tick());
        for row in frame.iter() {
            let (id, kind, values) = (row.id, row.kind, row.values);
            self.push(RecordedRow { id, kind, values });
        }
    }
}
