//! The client's copy of the part of the world it was told about.
//!
//! Takes parts in any order and any number of times, keeps the last 64 snapshots, and refuses
//! whatever does not fit with a named reason and without a trace. Knows the schema and the wire.
//! Has no idea of datagrams, time, or how a game shows what it holds. Its rules: sections 8.6 to 8.8 of
//! `docs/protocol.md`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::cohort::HistoryCode;
use super::decode::{Decoder, Known};
use super::held::{Decoded, Snapshot};
use super::part::Header;
use super::rejection::Rejection;
use super::schema::Schema;
use super::{KEPT, MAX_AGE};
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
        let mut decoder = core::mem::take(&mut self.decoder);
        let Some(known) = self.known(&header) else {
            self.decoder = decoder;
            self.needs_resync = true;
            return Err(Rejection::UnknownBaseline);
        };
        let result = decoder.decode(
            &header,
            &self.schema,
            self.snapshot_every,
            &known,
            &mut reader,
        );
        let result = result.map(|()| self.keep(&header, &mut decoder.part));
        self.decoder = decoder;
        result
    }

    /// What a part builds on; `None` when it is not all here.
    fn known(&self, header: &Header) -> Option<Known<'_>> {
        let mut known = Known::default();
        let Some(history) = header.history else {
            return Some(known);
        };
        let held = |tick| self.snapshot(tick).filter(|of| of.knows(header.range));
        let tables = self.schema.tables();
        known.base = Some(held(history.base)?);
        let earlier = history.earlier(tables, self.snapshot_every);
        let named = [HistoryCode::One, HistoryCode::Two].map(|code| history.code >= code);
        for ((place, tick), named) in known.earlier.iter_mut().zip(earlier).zip(named) {
            if named {
                *place = Some(held(tick?)?);
            }
        }
        Some(known)
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
        self.needs_resync && header.history.is_none() && newest.is_some_and(far)
    }

    /// Makes a decoded part a part of its snapshot.
    fn keep(&mut self, header: &Header, part: &mut Decoded) -> Applied {
        if self.starts_over(header, self.newest().map(Snapshot::tick)) {
            self.snapshots.clear();
        }
        if header.history.is_none() {
            self.needs_resync = false;
        }
        let index = match self.place_of(header.tick) {
            Ok(index) => index,
            Err(index) => self.insert(index, header.tick),
        };
        let mut applied = Applied {
            tick: header.tick,
            baseline: header.history.map(|history| history.base),
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
