//! The client's copy of the part of the world it was told about.
//!
//! Takes parts in any order and any number of times, keeps the last 64 snapshots, and refuses
//! whatever does not fit with a named reason and without a trace. Knows the schema and the wire.
//! Has no idea of datagrams, time, or how a game shows what it holds. Its rules: sections 8.6 to 8.8 of
//! `docs/protocol.md`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::delta;
use super::frame::age;
use super::held::{Decoded, Departed, Held, Snapshot};
use super::part::{Header, ListReader, read};
use super::rejection::Rejection;
use super::schema::Schema;
use super::{KEPT, MAX_AGE};
use crate::id::EntityId;
use crate::proto::wire::BitReader;
use crate::time::Tick;

/// What one part brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The snapshot it is a part of.
    pub tick: Tick,
    /// The snapshot it was built on.
    pub baseline: Option<Tick>,
    /// Whether every part of the snapshot has arrived now.
    pub parts_complete: bool,
    /// Whether the snapshot is now exactly what the client may see.
    pub complete: bool,
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

/// The client's copy of the part of the world it was told about.
#[derive(Debug)]
pub struct Replica {
    schema: Arc<Schema>,
    snapshot_every: u32,
    /// Ascending by tick: at most [`KEPT`].
    snapshots: VecDeque<Snapshot>,
    spare: Option<Snapshot>,
    needs_resync: bool,
    decoder: Decoder,
}

/// Working memory of decoding, kept so that a warm replica allocates little.
#[derive(Debug, Default)]
struct Decoder {
    fates: Vec<Fate>,
    entered: Vec<Held>,
    /// Values of entered and changed entities.
    fresh: Vec<i32>,
    part: Decoded,
}

impl Replica {
    /// A replica that holds nothing. The server tells how many ticks there are from one snapshot to
    /// the next (at least 1).
    #[must_use]
    pub fn new(schema: Arc<Schema>, snapshot_every: u32) -> Self {
        Self {
            schema,
            snapshot_every: snapshot_every.max(1),
            snapshots: VecDeque::new(),
            spare: None,
            needs_resync: false,
            decoder: Decoder::default(),
        }
    }

    /// What the world is made of.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The newest snapshot of which anything has arrived.
    #[must_use]
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.back()
    }

    /// The newest snapshot of which every part has arrived.
    #[must_use]
    pub fn newest_whole(&self) -> Option<&Snapshot> {
        self.snapshots
            .iter()
            .rev()
            .find(|snapshot| snapshot.parts_complete())
    }

    /// The snapshot of a tick.
    #[must_use]
    pub fn snapshot(&self, tick: Tick) -> Option<&Snapshot> {
        let index = self.place_of(tick).ok()?;
        self.snapshots.get(index)
    }

    /// The snapshots held, oldest first.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = &Snapshot> {
        self.snapshots.iter()
    }

    /// Whether a part built on something that is not here, and the server must be asked to start
    /// over.
    #[must_use]
    pub const fn needs_resync(&self) -> bool {
        self.needs_resync
    }

    /// Heap memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.snapshots.iter().map(Snapshot::memory).sum()
    }

    fn place_of(&self, tick: Tick) -> Result<usize, usize> {
        self.snapshots.binary_search_by_key(&tick, Snapshot::tick)
    }

    /// Applies one part of a snapshot.
    ///
    /// # Errors
    ///
    /// A [`Rejection`], and then nothing has changed except perhaps [`Self::needs_resync`].
    pub fn receive(&mut self, part: &[u8]) -> Result<Applied, Rejection> {
        let mut reader = BitReader::new(part);
        let newest = self.newest().map(Snapshot::tick);
        let header = Header::read(
            &mut reader,
            &self.schema,
            self.snapshot_every,
            newest.unwrap_or_default(),
        );
        if header == Err(Rejection::UnknownBaseline) {
            self.needs_resync = true;
        }
        let header = header?;
        self.check_place(&header, newest)?;
        if !self.has_baseline(&header) {
            self.needs_resync = true;
            return Err(Rejection::UnknownBaseline);
        }
        let mut decoder = core::mem::take(&mut self.decoder);
        let base = header.base.and_then(|tick| self.snapshot(tick));
        let result = decoder.decode(
            &header,
            &self.schema,
            self.snapshot_every,
            base,
            &mut reader,
        );
        let result = result.map(|()| self.keep(&header, &decoder.part));
        self.decoder = decoder;
        result
    }

    /// Whether what a part builds on is here.
    fn has_baseline(&self, header: &Header) -> bool {
        header.base.is_none_or(|tick| {
            self.snapshot(tick)
                .is_some_and(|base| base.knows(header.range))
        })
    }

    /// Whether there is a place for a part of this tick and range.
    fn check_place(&self, header: &Header, newest: Option<Tick>) -> Result<(), Rejection> {
        if self.starts_over(header, newest) {
            return Ok(());
        }
        let oldest = newest
            .unwrap_or_default()
            .minus(MAX_AGE * self.snapshot_every);
        if header.tick < oldest {
            return Err(Rejection::TooOld);
        }
        let known = self.snapshot(header.tick);
        if known.is_some_and(|known| known.knows_some(header.range)) {
            return Err(Rejection::Duplicate);
        }
        Ok(())
    }

    /// Whether this is where a resync begins: a part without baseline, far from everything that is
    /// here. What is here was never the server's, or is of no use any more.
    fn starts_over(&self, header: &Header, newest: Option<Tick>) -> bool {
        let reach = MAX_AGE * self.snapshot_every;
        let far = |newest: Tick| header.tick.since(newest).max(newest.since(header.tick)) > reach;
        self.needs_resync && header.base.is_none() && newest.is_some_and(far)
    }

    /// Makes a decoded part a part of its snapshot.
    fn keep(&mut self, header: &Header, part: &Decoded) -> Applied {
        if self.starts_over(header, self.newest().map(Snapshot::tick)) {
            self.snapshots.clear();
        }
        if header.base.is_none() {
            self.needs_resync = false;
        }
        let index = match self.place_of(header.tick) {
            Ok(index) => index,
            Err(index) => self.insert(index, header.tick),
        };
        let mut applied = Applied {
            tick: header.tick,
            baseline: header.base,
            parts_complete: false,
            complete: false,
        };
        if let Some(snapshot) = self.snapshots.get_mut(index) {
            snapshot.add(header.range, header.done, part);
            applied.parts_complete = snapshot.parts_complete();
            applied.complete = snapshot.is_complete();
        }
        applied
    }

    /// Makes room for the snapshot of a tick, and says where it is.
    fn insert(&mut self, index: usize, tick: Tick) -> usize {
        let mut index = index;
        if self.snapshots.len() >= KEPT {
            // What arrives is at most 31 snapshots old, so the oldest of 64 is not the one that
            // arrives; a peer that makes up ticks may lose its own newest this way, never more
            // memory.
            self.spare = self.snapshots.pop_front();
            index = index.saturating_sub(1);
        }
        let mut snapshot = self.spare.take().unwrap_or_default();
        snapshot.clear(tick, self.schema.last_slot());
        self.snapshots.insert(index, snapshot);
        index
    }
}

impl Decoder {
    /// Decodes the lists of a part into `self.part`.
    fn decode(
        &mut self,
        header: &Header,
        schema: &Schema,
        snapshot_every: u32,
        base: Option<&Snapshot>,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let held = base.map_or(&[][..], |base| base.held(header.range));
        self.part.clear();
        self.fresh.clear();
        self.fates.clear();
        self.fates.resize(held.len(), Fate::Unchanged);
        self.read_left(held, reader)?;
        self.read_entered(header, schema, held, reader)?;
        self.read_changed(header, schema, snapshot_every, base, held, reader)?;
        self.read_deferred(header, reader)?;
        if !reader.is_finished() {
            return Err(Rejection::TrailingBytes);
        }
        self.merge(header.tick, base, held);
        Ok(())
    }

    fn read_left(&mut self, held: &[Held], reader: &mut BitReader<'_>) -> Result<(), Rejection> {
        let mut list = ListReader::read(reader)?;
        while let Some(rank) = list.place(reader, held.len() as u32)? {
            let destroyed = read(reader, 1)? == 1;
            if let (Some(fate), Some(held)) =
                (self.fates.get_mut(rank as usize), held.get(rank as usize))
            {
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
        header: &Header,
        schema: &Schema,
        held: &[Held],
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        self.entered.clear();
        let places = u32::from(header.range.last - header.range.first) + 1;
        let mut list = ListReader::read(reader)?;
        let outside = |rejection| match rejection {
            Rejection::Rank => Rejection::Slot,
            other => other,
        };
        while let Some(place) = list.place(reader, places).map_err(outside)? {
            let slot = header.range.first + place as u16;
            let generation = read(reader, 16)? as u16;
            let kind = read(reader, schema.kind_bits())? as u8;
            let codings = schema.codings(kind);
            if codings.is_empty() {
                return Err(Rejection::Kind);
            }
            let occupant = held.binary_search_by_key(&slot, |held| held.id.slot).ok();
            let occupant = occupant.and_then(|index| self.fates.get(index));
            if occupant.is_some_and(|fate| *fate != Fate::Gone) {
                return Err(Rejection::Occupied);
            }
            let start = self.fresh.len() as u32;
            delta::decode_absolute(codings, reader, &mut self.fresh)?;
            self.entered.push(Held {
                id: EntityId { slot, generation },
                kind,
                len: codings.len() as u8,
                as_of: header.tick,
                start,
            });
        }
        Ok(())
    }

    fn read_changed(
        &mut self,
        header: &Header,
        schema: &Schema,
        snapshot_every: u32,
        base: Option<&Snapshot>,
        held: &[Held],
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let mut list = ListReader::read(reader)?;
        let mut walk = Walk::new(|fate| fate != Fate::Gone);
        let places = walk.places(&self.fates);
        while let Some(place) = list.place(reader, places)? {
            let index = walk.to(place, &self.fates).ok_or(Rejection::Rank)?;
            let held = held.get(index).ok_or(Rejection::Rank)?;
            let codings = schema.codings(held.kind);
            let start = self.fresh.len() as u32;
            if age(header.tick, held.as_of, snapshot_every).is_some() {
                let values = base.and_then(|base| base.values_of(held)).unwrap_or(&[]);
                delta::decode_delta(codings, values, reader, &mut self.fresh)?;
            } else {
                delta::decode_absolute(codings, reader, &mut self.fresh)?;
            }
            if let Some(fate) = self.fates.get_mut(index) {
                *fate = Fate::Changed(start);
            }
        }
        Ok(())
    }

    fn read_deferred(
        &mut self,
        header: &Header,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let mut list = ListReader::read(reader)?;
        if header.done && !list.is_empty() {
            return Err(Rejection::Contradiction);
        }
        // Those already deferred still count as places.
        let mut walk = Walk::new(|fate| matches!(fate, Fate::Unchanged | Fate::Deferred));
        let places = walk.places(&self.fates);
        while let Some((start, end)) = list.run(reader, places)? {
            for place in start..end {
                let index = walk.to(place, &self.fates).ok_or(Rejection::Rank)?;
                if let Some(fate) = self.fates.get_mut(index) {
                    *fate = Fate::Deferred;
                }
            }
        }
        Ok(())
    }

    /// V(t) = V(b) - left + entered, in the order of slots.
    fn merge(&mut self, tick: Tick, base: Option<&Snapshot>, held: &[Held]) {
        let mut entered = self.entered.iter().peekable();
        let part = &mut self.part;
        for (held, fate) in held.iter().zip(&self.fates) {
            while let Some(new) = entered.next_if(|new| new.id.slot < held.id.slot) {
                push(part, *new, values_at(&self.fresh, new));
            }
            let old = base.and_then(|base| base.values_of(held)).unwrap_or(&[]);
            match *fate {
                Fate::Gone => {}
                Fate::Unchanged => push(
                    part,
                    Held {
                        as_of: tick,
                        ..*held
                    },
                    old,
                ),
                Fate::Deferred => push(part, *held, old),
                Fate::Changed(start) => {
                    let now = Held {
                        as_of: tick,
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

/// Finds the entities that a list counts, in ascending order.
struct Walk<F> {
    counts: F,
    index: usize,
    place: u32,
}

impl<F: Fn(Fate) -> bool> Walk<F> {
    const fn new(counts: F) -> Self {
        Self {
            counts,
            index: 0,
            place: 0,
        }
    }

    /// How many there are.
    fn places(&self, fates: &[Fate]) -> u32 {
        fates.iter().filter(|fate| (self.counts)(**fate)).count() as u32
    }

    /// The entity at `place`, which is not before the one asked for last.
    fn to(&mut self, place: u32, fates: &[Fate]) -> Option<usize> {
        loop {
            let fate = fates.get(self.index)?;
            if (self.counts)(*fate) {
                if self.place == place {
                    return Some(self.index);
                }
                self.place += 1;
            }
            self.index += 1;
        }
    }
}
