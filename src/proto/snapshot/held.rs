//! One snapshot as a client holds it: the entities it was told about, each with its value and the
//! tick that value is true at.
//!
//! Knows slots and values. Has no idea of bits.

use super::schema::KindId;
use super::slots::{Coverage, SlotRange};
use crate::id::EntityId;
use crate::time::Tick;

/// An entity of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity<'a> {
    /// Which entity.
    pub id: EntityId,
    /// Its kind.
    pub kind: KindId,
    /// The tick that the values are true at: the snapshot's own unless the server had no room for a
    /// change.
    pub as_of: Tick,
    /// Its quantised fields, in the order of its kind.
    pub values: &'a [i32],
}

/// An entity that the baseline held and this snapshot does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departed {
    /// Which entity.
    pub id: EntityId,
    /// Whether it does not exist any more; otherwise it is merely out of sight.
    pub destroyed: bool,
}

/// An entity without its values, which start at `start`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) id: EntityId,
    pub(super) kind: u8,
    pub(super) len: u8,
    pub(super) as_of: Tick,
    pub(super) start: u32,
}

/// The world at one tick, as far as this client was told.
///
/// A snapshot arrives in parts, each of which speaks of a range of slots. Until
/// [`Self::parts_complete`] the slots of the others are simply unknown: not empty.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    tick: Tick,
    told: Coverage,
    done: Coverage,
    /// The slots there are, as a range.
    last_slot: u16,
    /// Ascending by slot.
    entities: Vec<Held>,
    values: Vec<i32>,
    departed: Vec<Departed>,
    /// The slot of the entity of which it was told what only an owner is.
    own: Option<u16>,
}

/// The content of one part, decoded.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) entities: Vec<Held>,
    pub(super) values: Vec<i32>,
    pub(super) departed: Vec<Departed>,
    pub(super) own: Option<u16>,
}

impl Decoded {
    pub(super) fn clear(&mut self) {
        self.entities.clear();
        self.values.clear();
        self.departed.clear();
        self.own = None;
    }
}

impl Snapshot {
    /// Makes it the empty snapshot of a tick, and keeps the memory.
    pub(super) fn clear(&mut self, tick: Tick, last_slot: u16) {
        self.tick = tick;
        self.last_slot = last_slot;
        self.told.clear();
        self.done.clear();
        self.entities.clear();
        self.values.clear();
        self.departed.clear();
        self.own = None;
    }

    /// The tick of the snapshot.
    #[must_use]
    pub const fn tick(&self) -> Tick {
        self.tick
    }

    /// How many entities there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Whether every part of this tick has arrived: what is not here is not to be seen, or not told
    /// yet.
    #[must_use]
    pub fn parts_complete(&self) -> bool {
        self.told.covers(self.all())
    }

    /// Whether this is exactly what the client may see, every value true at this tick.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done.covers(self.all())
    }

    /// Whether a part that speaks of this slot has arrived.
    #[must_use]
    pub fn covers(&self, slot: u16) -> bool {
        self.told.covers_slot(slot)
    }

    /// The entity in a slot.
    #[must_use]
    pub fn entity(&self, slot: u16) -> Option<Entity<'_>> {
        let index = self
            .entities
            .binary_search_by_key(&slot, |held| held.id.slot)
            .ok()?;
        self.entities
            .get(index)
            .and_then(|held| self.entity_of(held))
    }

    /// This very entity.
    #[must_use]
    pub fn get(&self, id: EntityId) -> Option<Entity<'_>> {
        self.entity(id.slot).filter(|entity| entity.id == id)
    }

    /// All entities, by slot.
    pub fn entities(&self) -> impl Iterator<Item = Entity<'_>> {
        self.entities.iter().filter_map(|held| self.entity_of(held))
    }

    /// Who was in the baselines of its parts and is not here. Repeated from snapshot to snapshot
    /// until the server knows that it was heard.
    #[must_use]
    pub fn departed(&self) -> &[Departed] {
        &self.departed
    }

    const fn all(&self) -> SlotRange {
        SlotRange {
            first: 0,
            last: self.last_slot,
        }
    }

    fn entity_of(&self, held: &Held) -> Option<Entity<'_>> {
        Some(Entity {
            id: held.id,
            kind: KindId(held.kind),
            as_of: held.as_of,
            values: self.values_of(held)?,
        })
    }

    pub(super) fn values_of(&self, held: &Held) -> Option<&[i32]> {
        let start = held.start as usize;
        self.values.get(start..start + usize::from(held.len))
    }

    /// The values from one place to another.
    pub(super) fn values_within(&self, start: u32, end: u32) -> Option<&[i32]> {
        self.values.get(start as usize..end as usize)
    }

    /// Whether a range is known, so that a later part can build on it.
    pub(super) fn knows(&self, range: SlotRange) -> bool {
        self.told.covers(range)
    }

    /// Whether something in a range is known.
    pub(super) fn knows_some(&self, range: SlotRange) -> bool {
        self.told.overlaps(range)
    }

    /// The slot of the own entity, if it is in a range.
    pub(super) fn own_within(&self, range: SlotRange) -> Option<u16> {
        self.own.filter(|slot| range.contains(*slot))
    }

    /// The entities of a range.
    pub(super) fn held(&self, range: SlotRange) -> &[Held] {
        let within = range.within(&self.entities, |held| held.id.slot);
        self.entities.get(within).unwrap_or(&[])
    }

    /// Adds a part whose range is not known yet, and leaves in it whatever memory it likes.
    pub(super) fn add(&mut self, range: SlotRange, done: bool, part: &mut Decoded) {
        self.told.add(range);
        if done {
            self.done.add(range);
        }
        self.departed.extend_from_slice(&part.departed);
        self.own = part.own.or(self.own);
        if self.entities.is_empty() {
            // Mostly there is one part, which need not be copied.
            core::mem::swap(&mut self.entities, &mut part.entities);
            core::mem::swap(&mut self.values, &mut part.values);
            return;
        }
        let place = self
            .entities
            .partition_point(|held| held.id.slot < range.first);
        let offset = self.values.len() as u32;
        self.entities.extend(part.entities.iter().map(|held| Held {
            start: held.start + offset,
            ..*held
        }));
        if let Some(rest) = self.entities.get_mut(place..) {
            rest.rotate_right(part.entities.len());
        }
        self.values.extend_from_slice(&part.values);
    }

    /// Heap memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.entities.capacity() * size_of::<Held>()
            + self.values.capacity() * size_of::<i32>()
            + self.departed.capacity() * size_of::<Departed>()
            + self.told.memory()
            + self.done.memory()
    }

    /// Replaces one value, for tests of those who check.
    #[doc(hidden)]
    pub fn corrupt(&mut self, id: EntityId, field: usize, value: i32) -> bool {
        let Some(held) = self.entities.iter().find(|held| held.id == id).copied() else {
            return false;
        };
        let place = self.values.get_mut(held.start as usize + field);
        place.is_some_and(|place| core::mem::replace(place, value) != value)
    }

    /// Removes an entity, for tests of those who check.
    #[doc(hidden)]
    pub fn omit(&mut self, id: EntityId) -> bool {
        let before = self.entities.len();
        self.entities.retain(|held| held.id != id);
        self.entities.len() < before
    }
}
