//! The quantised values of all entities at one tick, as they lie in history.
//!
//! Knows rows by slot. Has no idea of clients, interest or what is sent. Once published it never changes,
//! and the frames of the following 32 snapshots share it.

use super::codec::Class;
use super::packed::{Layout, PackedRow};
use super::schema::Schema;
use super::slots::SlotSet;
use crate::id::EntityId;
use crate::time::Tick;

/// Where an entity's values are, and which entity it is.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// Where the words of its values start.
    start: u32,
    generation: u16,
    kind: u8,
    /// How many words they take; 0: nobody is here.
    words: u8,
}

const NOBODY: Head = Head {
    start: 0,
    generation: 0,
    kind: u8::MAX,
    words: 0,
};

/// The quantised values of all entities at one tick, by slot.
#[derive(Debug, Default)]
pub(super) struct Columns {
    tick: Tick,
    heads: Vec<Head>,
    /// The rows one after another, in the order in which they were put.
    words: Vec<u64>,
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

impl Columns {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self, tick: Tick) {
        self.tick = tick;
        self.heads.clear();
        self.words.clear();
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

    /// The row of a slot, as it lies here.
    #[inline]
    pub(super) fn row<'a>(&'a self, slot: u16, schema: &'a Schema) -> Option<PackedRow<'a>> {
        let (_, kind) = self.who(slot)?;
        Some(PackedRow::new(schema.layout(kind)?, self.words(slot)?))
    }

    /// The words of the row of a slot.
    #[inline]
    fn words(&self, slot: u16) -> Option<&[u64]> {
        let head = self.head(slot)?;
        let start = head.start as usize;
        self.words.get(start..start + usize::from(head.words))
    }

    #[inline]
    fn head(&self, slot: u16) -> Option<&Head> {
        self.heads
            .get(usize::from(slot))
            .filter(|head| head.words > 0)
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

    /// Takes in the row of an entity. The slot must be free.
    pub(super) fn place(&mut self, id: EntityId, kind: u8, layout: &Layout, values: &[i32]) {
        let slot = usize::from(id.slot);
        if self.heads.len() <= slot {
            let more = slot + 1 - self.heads.len();
            make_room(&mut self.heads, more);
            self.heads.resize(slot + 1, NOBODY);
        }
        make_room(&mut self.words, layout.words());
        let start = self.words.len() as u32;
        self.heads[slot] = Head {
            start,
            generation: id.generation,
            kind,
            words: layout.pack(values, &mut self.words) as u8,
        };
        *self.used.word_mut(slot / 64) |= 1 << (slot % 64);
        self.count += 1;
    }

    /// Says what is new since the columns published before. `now` are the values of a slot and its kind.
    pub(super) fn compare_with<'v>(
        &mut self,
        before: Option<&Self>,
        schema: &Schema,
        now: impl Fn(u16, u8) -> &'v [i32],
    ) {
        let tables = schema.tables();
        let slots = self.heads.len();
        for set in [&mut self.changed, &mut self.born, &mut self.busy] {
            set.clear(slots);
        }
        for slot in 0..slots {
            let number = slot as u16;
            let Some((generation, kind)) = self.who(number) else {
                continue;
            };
            let then = before.filter(|before| before.who(number) == Some((generation, kind)));
            // What only owners are told is told to each of them anyway.
            let same = then.is_some_and(|then| match schema.owner_fields(kind) {
                None => then.words(number) == self.words(number),
                Some(fields) => {
                    let rows = then.row(number, schema).zip(self.row(number, schema));
                    rows.is_some_and(|(one, two)| fields.same_to_others(one.values(), two.values()))
                }
            });
            let busy = match (same, before) {
                (true, Some(before)) => before.busy.contains(number),
                _ => tables
                    .kind(kind)
                    .is_some_and(|of| of.resting_class(now(number, kind)) == Class::Busy),
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

/// Makes room for so many more. A history has 32 of these lists: they grow by an eighth, and not to twice their length.
#[inline]
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 8));
    }
}
