//! One part of a snapshot at its receiver: from bits to what each entity has become.
//!
//! Knows the wire, the tables and the snapshots that the part builds on. Changes nothing of these:
//! a part that is refused leaves no trace. Has no idea which snapshots there are. Sections 8.6 and 8.7 of
//! `docs/protocol.md`.

use super::codec::{Class, KindTables, Past, Tables, Unchunker};
use super::frame::age;
use super::held::{Decoded, Departed, Held, Snapshot};
use super::owner;
use super::part::{Header, ListReader, read, read_generation};
use super::rejection::Rejection;
use super::schema::Schema;
use crate::id::EntityId;
use crate::proto::wire::BitReader;
use crate::time::Tick;

/// What a part builds on.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    pub(super) base: Option<&'a Snapshot>,
    /// The earlier and the earliest tick of its history, as far as it has them.
    pub(super) earlier: [Option<&'a Snapshot>; 2],
}

/// What becomes of an entity of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has the value of the baseline, which is true now.
    Unchanged,
    /// It is not here any more.
    Gone,
    /// It has a value of its own, which starts here among the decoded ones.
    Changed(u32),
    /// It has the value and the age of the baseline.
    Deferred,
}

/// An entity of the baseline that is listed if it is not as expected: its place there, and its rows
/// at the earlier ticks.
#[derive(Debug, Clone, Copy)]
struct Member {
    index: u32,
    /// Where the rows of the earlier ticks start in their snapshots.
    earlier: [u32; 2],
}

/// Working memory of decoding, kept so that a warm replica allocates little.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    fates: Vec<Fate>,
    entered: Vec<Held>,
    /// Values of entered and changed entities.
    fresh: Vec<i32>,
    busy: Vec<Member>,
    quiet: Vec<Member>,
    others: Vec<Member>,
    unchunker: Unchunker,
    /// What the part says.
    pub(super) part: Decoded,
}

/// A part being decoded.
struct Decoding<'a> {
    header: &'a Header,
    schema: &'a Schema,
    tables: &'a Tables,
    snapshot_every: u32,
    known: &'a Known<'a>,
    /// The entities of the baseline within the range.
    held: &'a [Held],
    age: u32,
}

impl<'a> Decoding<'a> {
    fn kind(&self, held: &Held) -> Option<&'a KindTables> {
        self.tables.kind(held.kind)
    }

    fn row(&self, held: &Held) -> &'a [i32] {
        let row = self.known.base.and_then(|base| base.values_of(held));
        row.unwrap_or(&[])
    }

    /// The history of a member whose every tick is known.
    fn past(&self, held: &Held, member: Member) -> Past<'a> {
        let row = |place: usize| {
            let snapshot = self.known.earlier.get(place).copied().flatten()?;
            let start = member.earlier.get(place).copied()?;
            snapshot.values_of(&Held { start, ..*held })
        };
        Past::Full {
            base: self.row(held),
            earlier: row(0).unwrap_or(&[]),
            earliest: row(1),
            age: self.age,
        }
    }
}

impl Decoder {
    /// Decodes what follows the header of a part into `self.part`.
    pub(super) fn decode(
        &mut self,
        header: &Header,
        schema: &Schema,
        snapshot_every: u32,
        known: &Known<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let of = Decoding {
            header,
            schema,
            tables: schema.tables(),
            snapshot_every,
            known,
            held: known.base.map_or(&[][..], |base| base.held(header.range)),
            age: header
                .history
                .and_then(|history| age(header.tick, history.base, snapshot_every))
                .unwrap_or(0),
        };
        self.part.clear();
        self.fresh.clear();
        self.entered.clear();
        self.fates.clear();
        self.fates.resize(of.held.len(), Fate::Unchanged);
        if read(reader, 1)? == 1 {
            self.read_left(&of, reader)?;
            self.read_entered(&of, reader)?;
            self.read_deferred(&of, reader)?;
        }
        self.read_coded(&of, reader)?;
        if known.earlier[0].is_some() {
            self.read_listed(&of, true, reader)?;
            self.read_listed(&of, false, reader)?;
        }
        self.read_others(&of, reader)?;
        self.merge(&of);
        if schema.has_owner_fields() {
            self.hide_secrets(&of);
            self.read_own(&of, reader)?;
        }
        if !reader.is_finished() {
            return Err(Rejection::TrailingBytes);
        }
        Ok(())
    }

    /// Makes whoever is true at t what those see who do not own it; what is older stays as it was told.
    fn hide_secrets(&mut self, of: &Decoding<'_>) {
        let part = &mut self.part;
        for held in &part.entities {
            let fields = of.schema.owner_fields(held.kind);
            let fields = fields.filter(|_| held.as_of == of.header.tick);
            let row = part.values.get_mut(held.start as usize..);
            if let (Some(fields), Some(row)) = (fields, row) {
                fields.hide(row);
            }
        }
    }

    /// What only its owner is told of an entity, which is then in the part as others see it.
    fn read_own(&mut self, of: &Decoding<'_>, reader: &mut BitReader<'_>) -> Result<(), Rejection> {
        let before = of
            .known
            .base
            .and_then(|base| base.own_within(of.header.range));
        let told = owner::read_section(before, of.schema.slot_bits(), reader)?;
        let Some(owner::Whose { slot, same }) = told else {
            return Ok(());
        };
        let Decoded {
            entities,
            values,
            own,
            ..
        } = &mut self.part;
        let at = |held: &Held| held.id.slot;
        let place = entities.binary_search_by_key(&slot, at);
        let now = place.ok().and_then(|place| entities.get(place));
        let now = now.filter(|now| now.as_of == of.header.tick);
        let now = now.ok_or(Rejection::Own)?;
        let fields = of.schema.owner_fields(now.kind).ok_or(Rejection::Own)?;
        let held = if same {
            let place = of.held.binary_search_by_key(&slot, at);
            let held = place.ok().and_then(|place| of.held.get(place));
            let held = held.filter(|held| held.id == now.id && held.kind == now.kind);
            Some(of.row(held.ok_or(Rejection::Own)?))
        } else {
            None
        };
        let start = now.start as usize;
        let row = values.get_mut(start..start + usize::from(now.len));
        fields.read(held, row.unwrap_or(&mut []), reader)?;
        *own = Some(slot);
        Ok(())
    }

    fn read_left(
        &mut self,
        of: &Decoding<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let mut list = ListReader::read(reader)?;
        while let Some(rank) = list.place(reader, of.held.len() as u32)? {
            let destroyed = read(reader, 1)? == 1;
            let rank = rank as usize;
            if let (Some(fate), Some(held)) = (self.fates.get_mut(rank), of.held.get(rank)) {
                *fate = Fate::Gone;
                self.part.departed.push(Departed {
                    id: held.id,
                    destroyed,
                });
            }
        }
        Ok(())
    }

    fn read_entered(
        &mut self,
        of: &Decoding<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let range = of.header.range;
        let places = u32::from(range.last - range.first) + 1;
        let mut list = ListReader::read(reader)?;
        let outside = |rejection| match rejection {
            Rejection::Rank => Rejection::Slot,
            other => other,
        };
        while let Some(place) = list.place(reader, places).map_err(outside)? {
            let slot = range.first + place as u16;
            let generation = read_generation(reader)?;
            let number = read(reader, of.schema.kind_bits())? as u8;
            let kind = of.tables.kind(number).ok_or(Rejection::Kind)?;
            let occupant = of.held.binary_search_by_key(&slot, |held| held.id.slot);
            let occupant = occupant.ok().and_then(|index| self.fates.get(index));
            if occupant.is_some_and(|fate| *fate != Fate::Gone) {
                return Err(Rejection::Occupied);
            }
            let start = self.read_chunk(of, kind, &Past::Nothing, reader)?;
            self.entered.push(Held {
                id: EntityId { slot, generation },
                kind: number,
                len: kind.codings.len() as u8,
                as_of: of.header.tick,
                start,
            });
        }
        Ok(())
    }

    fn read_deferred(
        &mut self,
        of: &Decoding<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let mut list = ListReader::read(reader)?;
        if of.header.done && !list.is_empty() {
            return Err(Rejection::Contradiction);
        }
        let stays = |fate: &&mut Fate| **fate != Fate::Gone;
        let places = self
            .fates
            .iter()
            .filter(|fate| **fate != Fate::Gone)
            .count();
        let mut fates = self.fates.iter_mut().filter(stays);
        let mut next = 0;
        while let Some((start, end)) = list.run(reader, places as u32)? {
            // Nobody is at a place that is not below `places`.
            for fate in fates
                .by_ref()
                .skip((start - next) as usize)
                .take((end - start) as usize)
            {
                *fate = Fate::Deferred;
            }
            next = end;
        }
        Ok(())
    }

    /// Reads a chunk and says where its row starts among the fresh ones.
    fn read_chunk(
        &mut self,
        of: &Decoding<'_>,
        kind: &KindTables,
        past: &Past<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<u32, Rejection> {
        self.unchunker.context.expect(kind, of.tables.lags, past);
        self.read_expected(of, kind, past, reader)
    }

    /// The same when what is expected is known already.
    fn read_expected(
        &mut self,
        of: &Decoding<'_>,
        kind: &KindTables,
        past: &Past<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<u32, Rejection> {
        let start = self.fresh.len() as u32;
        let base = past.base(kind);
        self.unchunker
            .read(of.tables, kind, base, reader, &mut self.fresh)?;
        Ok(start)
    }

    /// Sorts those who stay into their classes, and reads the chunks of the coded.
    fn read_coded(
        &mut self,
        of: &Decoding<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        self.busy.clear();
        self.quiet.clear();
        self.others.clear();
        let at = of.known.base.map_or(Tick(0), Snapshot::tick);
        let mut cursors = of.known.earlier.map(|snapshot| {
            snapshot.map(|snapshot| Cursor::new(snapshot.tick(), snapshot.held(of.header.range)))
        });
        for (index, held) in of.held.iter().enumerate() {
            if matches!(
                self.fates.get(index),
                Some(Fate::Gone | Fate::Deferred) | None
            ) {
                continue;
            }
            let mut member = Member {
                index: index as u32,
                earlier: [0; 2],
            };
            let mut is_steady = cursors[0].is_some() && held.as_of == at;
            for (cursor, start) in cursors.iter_mut().zip(&mut member.earlier) {
                if let Some(cursor) = cursor {
                    match cursor.find(held) {
                        Some(found) => *start = found,
                        None => is_steady = false,
                    }
                }
            }
            let kind = of.kind(held).filter(|_| is_steady);
            let Some(kind) = kind else {
                self.others.push(member);
                continue;
            };
            let past = of.past(held, member);
            if let Some(class) = resting_class(kind, &past) {
                if class == Class::Busy {
                    self.busy.push(member);
                } else {
                    self.quiet.push(member);
                }
                continue;
            }
            let base = past.base(kind);
            self.unchunker.context.expect(kind, of.tables.lags, &past);
            let start = match self.unchunker.context.class(kind, base) {
                Class::Coded => self.read_expected(of, kind, &past, reader)?,
                class => {
                    // What is not listed is as expected, which need not be as in the baseline.
                    let start = self.fresh.len() as u32;
                    self.unchunker.expected(kind, base, &mut self.fresh);
                    if class == Class::Busy {
                        self.busy.push(member);
                    } else {
                        self.quiet.push(member);
                    }
                    start
                }
            };
            if let Some(fate) = self.fates.get_mut(index) {
                *fate = Fate::Changed(start);
            }
        }
        Ok(())
    }

    fn read_listed(
        &mut self,
        of: &Decoding<'_>,
        busy: bool,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let members = if busy {
            &mut self.busy
        } else {
            &mut self.quiet
        };
        let members = core::mem::take(members);
        let mut list = ListReader::read(reader)?;
        while let Some(place) = list.place(reader, members.len() as u32)? {
            let member = *members.get(place as usize).ok_or(Rejection::Rank)?;
            let held = of.held.get(member.index as usize).ok_or(Rejection::Rank)?;
            let kind = of.kind(held).ok_or(Rejection::Kind)?;
            let start = self.read_chunk(of, kind, &of.past(held, member), reader)?;
            if let Some(fate) = self.fates.get_mut(member.index as usize) {
                *fate = Fate::Changed(start);
            }
        }
        *if busy {
            &mut self.busy
        } else {
            &mut self.quiet
        } = members;
        Ok(())
    }

    fn read_others(
        &mut self,
        of: &Decoding<'_>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let members = core::mem::take(&mut self.others);
        let mut list = ListReader::read(reader)?;
        while let Some(place) = list.place(reader, members.len() as u32)? {
            let member = *members.get(place as usize).ok_or(Rejection::Rank)?;
            let held = of.held.get(member.index as usize).ok_or(Rejection::Rank)?;
            let kind = of.kind(held).ok_or(Rejection::Kind)?;
            let past = match age(of.header.tick, held.as_of, of.snapshot_every) {
                Some(age) => Past::First {
                    base: of.row(held),
                    age,
                },
                None => Past::Nothing,
            };
            let start = self.read_chunk(of, kind, &past, reader)?;
            if let Some(fate) = self.fates.get_mut(member.index as usize) {
                *fate = Fate::Changed(start);
            }
        }
        self.others = members;
        Ok(())
    }

    /// V(t) = V(b) - left + entered, in the order of slots.
    fn merge(&mut self, of: &Decoding<'_>) {
        if self.entered.is_empty() && self.part.departed.is_empty() && self.merge_all(of) {
            return;
        }
        let mut entered = self.entered.iter().peekable();
        let part = &mut self.part;
        for (held, fate) in of.held.iter().zip(&self.fates) {
            while let Some(new) = entered.next_if(|new| new.id.slot < held.id.slot) {
                push(part, *new, values_at(&self.fresh, new));
            }
            let as_of = of.header.tick;
            match *fate {
                Fate::Gone => {}
                Fate::Unchanged => {
                    push(part, Held { as_of, ..*held }, of.row(held));
                }
                Fate::Deferred => push(part, *held, of.row(held)),
                Fate::Changed(start) => {
                    let now = Held {
                        as_of,
                        start,
                        ..*held
                    };
                    push(part, now, values_at(&self.fresh, &now));
                }
            }
        }
        for new in entered {
            push(part, *new, values_at(&self.fresh, new));
        }
    }
}

impl Decoder {
    /// The same when nobody comes or goes: all rows at once, then those that changed. Says whether
    /// the rows of the baseline follow one another, without which it does nothing.
    fn merge_all(&mut self, of: &Decoding<'_>) -> bool {
        let (Some(base), [first, .., last]) = (of.known.base, of.held) else {
            return false;
        };
        let (start, end) = (first.start, last.start + u32::from(last.len));
        let follows = |pair: &[Held]| match pair {
            [one, next] => one.start + u32::from(one.len) == next.start,
            _ => true,
        };
        let Some(rows) = base
            .values_within(start, end)
            .filter(|_| of.held.windows(2).all(follows))
        else {
            return false;
        };
        let part = &mut self.part;
        part.values.extend_from_slice(rows);
        part.entities
            .extend(of.held.iter().zip(&self.fates).map(|(held, fate)| Held {
                start: held.start - start,
                as_of: if *fate == Fate::Deferred {
                    held.as_of
                } else {
                    of.header.tick
                },
                ..*held
            }));
        for (held, fate) in part.entities.iter().zip(&self.fates) {
            let Fate::Changed(fresh) = *fate else {
                continue;
            };
            let (to, from) = (held.start as usize, fresh as usize);
            let len = usize::from(held.len);
            let rows = part
                .values
                .get_mut(to..to + len)
                .zip(self.fresh.get(from..from + len));
            if let Some((to, from)) = rows {
                to.copy_from_slice(from);
            }
        }
        true
    }
}

/// The class of an entity that was the same at all ticks of its history.
#[inline]
fn resting_class(kind: &KindTables, past: &Past<'_>) -> Option<Class> {
    let Past::Full {
        base,
        earlier,
        earliest,
        ..
    } = *past
    else {
        return None;
    };
    let rests = base == earlier && earliest.is_none_or(|earliest| earliest == base);
    rests.then(|| kind.resting_class(base))
}

/// Finds entities in an earlier snapshot, in ascending order.
struct Cursor<'a> {
    tick: Tick,
    rest: &'a [Held],
}

impl<'a> Cursor<'a> {
    const fn new(tick: Tick, held: &'a [Held]) -> Self {
        Self { tick, rest: held }
    }

    /// Where the row of this very entity starts, if it is here with its value of the time.
    #[inline]
    fn find(&mut self, wanted: &Held) -> Option<u32> {
        while let [first, rest @ ..] = self.rest {
            if first.id.slot >= wanted.id.slot {
                break;
            }
            self.rest = rest;
        }
        let found = self.rest.first()?;
        let same = found.id == wanted.id && found.kind == wanted.kind && found.as_of == self.tick;
        same.then_some(found.start)
    }
}

fn values_at<'a>(fresh: &'a [i32], held: &Held) -> &'a [i32] {
    let start = held.start as usize;
    fresh
        .get(start..start + usize::from(held.len))
        .unwrap_or(&[])
}

fn push(part: &mut Decoded, held: Held, values: &[i32]) {
    let start = part.values.len() as u32;
    part.values.extend_from_slice(values);
    part.entities.push(Held { start, ..held });
}
