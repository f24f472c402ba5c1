//! The quantised values of all entities at one tick.
//!
//! Knows rows by slot. Has no idea of clients, interest or bits. Once published it never changes,
//! and the frames of the following 32 snapshots share it.

use super::codec::Class;
use super::schema::Schema;
use super::slots::SlotSet;
use crate::id::EntityId;
use crate::time::Tick;

/// Where an entity's values are, and which entity it is.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// Where its values start.
    start: u32,
    generation: u16,
    kind: u8,
    /// How many values it has; 0: nobody is here.
    len: u8,
}

const NOBODY: Head = Head {
    start: 0,
    generation: 0,
    kind: u8::MAX,
    len: 0,
};

/// The quantised values of all entities at one tick, by slot.
#[derive(Debug, Default)]
pub(super) struct Columns {
    tick: Tick,
    heads: Vec<Head>,
    /// The rows one after another, in the order in which they were put.
    values: Vec<i32>,
    count: usize,
    /// Who is here.
    used: SlotSet,
    /// Whose row is not that of the columns published before, to those who do not own it.
    changed: SlotSet,
    /// Who was not here in those.
    born: SlotSet,
    /// Who is told among the busy ones while at rest.
    busy: SlotSet,
}

/// One row: an entity as it is at the tick of its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowRef<'a> {
    pub(super) generation: u16,
    pub(super) kind: u8,
    pub(super) values: &'a [i32],
}

impl Columns {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self, tick: Tick) {
        self.tick = tick;
        self.heads.clear();
        self.values.clear();
        self.used.clear(0);
        self.count = 0;
    }

    pub(super) const fn tick(&self) -> Tick {
        self.tick
    }

    /// How many entities there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// One more than the highest slot in use.
    pub(super) const fn slots(&self) -> usize {
        self.heads.len()
    }

    /// The row of a slot.
    #[inline]
    pub(super) fn row(&self, slot: u16) -> Option<RowRef<'_>> {
        let head = self.heads.get(usize::from(slot))?;
        if head.len == 0 {
            return None;
        }
        let start = head.start as usize;
        Some(RowRef {
            generation: head.generation,
            kind: head.kind,
            values: self.values.get(start..start + usize::from(head.len))?,
        })
    }

    #[inline]
    fn head(&self, slot: u16) -> Option<&Head> {
        self.heads
            .get(usize::from(slot))
            .filter(|head| head.len > 0)
    }

    /// The generation and kind of whoever is in this slot.
    #[inline]
    pub(super) fn who(&self, slot: u16) -> Option<(u16, u8)> {
        self.head(slot).map(|head| (head.generation, head.kind))
    }

    /// Whether this very entity is here. The kind of an entity never changes: with another kind it
    /// is another one.
    #[inline]
    pub(super) fn holds(&self, id: EntityId) -> bool {
        self.head(id.slot)
            .is_some_and(|head| head.generation == id.generation)
    }

    /// The slots in use.
    pub(super) const fn used(&self) -> &SlotSet {
        &self.used
    }

    /// The slots whose row is not that of the columns published before.
    pub(super) const fn changed(&self) -> &SlotSet {
        &self.changed
    }

    /// The slots whose entity was not in the columns published before.
    pub(super) const fn born(&self) -> &SlotSet {
        &self.born
    }

    /// The slots whose entity is told among the busy ones while at rest.
    pub(super) const fn busy(&self) -> &SlotSet {
        &self.busy
    }

    /// The rows' memory, to write the next row into; tell with [`Self::place`] whose it is.
    pub(super) const fn values_mut(&mut self) -> &mut Vec<i32> {
        &mut self.values
    }

    /// Gives the values from `start` to an entity. The slot must be free.
    pub(super) fn place(&mut self, id: EntityId, kind: u8, start: usize) {
        let slot = usize::from(id.slot);
        if self.heads.len() <= slot {
            self.heads.resize(slot + 1, NOBODY);
        }
        self.heads[slot] = Head {
            start: start as u32,
            generation: id.generation,
            kind,
            len: (self.values.len() - start) as u8,
        };
        *self.used.word_mut(slot / 64) |= 1 << (slot % 64);
        self.count += 1;
    }

    /// Says what is new since the columns published before.
    pub(super) fn compare_with(&mut self, before: Option<&Self>, schema: &Schema) {
        let tables = schema.tables();
        let slots = self.heads.len();
        for set in [&mut self.changed, &mut self.born, &mut self.busy] {
            set.clear(slots);
        }
        for slot in 0..slots {
            let number = slot as u16;
            let Some(now) = self.row(number) else {
                continue;
            };
            let then = before.and_then(|before| before.row(number));
            let then =
                then.filter(|then| (then.generation, then.kind) == (now.generation, now.kind));
            // What only owners are told is told to each of them anyway.
            let same = then.is_some_and(|then| match schema.owner_fields(now.kind) {
                None => then.values == now.values,
                Some(fields) => fields.same_to_others(then.values, now.values),
            });
            let busy = match (same, before) {
                (true, Some(before)) => before.busy.contains(number),
                _ => tables
                    .kind(now.kind)
                    .is_some_and(|kind| kind.resting_class(now.values) == Class::Busy),
            };
            let is_born = then.is_none();
            if is_born {
                self.born.add(number);
            }
            if busy {
                self.busy.add(number);
            }
            if !same {
                self.changed.add(number);
            }
        }
    }
}
