//! The tick loop's side: fills frames and publishes them, and keeps the ring of the last 32.
//!
//! Knows the schema and the ring. Has no idea of clients beyond where each looks from and what the
//! game shows it. Memory goes in a circle: a frame or a set of columns that nobody holds any more becomes the next one.

use std::sync::Arc;

use super::HISTORY;
use super::columns::Columns;
use super::frame::{TickFrame, Viewpoint};
use super::relevance::Relevance;
use super::row::{Replicate, RowWriter};
use super::schema::{KindId, Schema};
use crate::id::{ClientSlot, EntityId};
use crate::time::Tick;

/// Frames and columns kept in case their holders let go: more than shards that lag behind usually
/// hold.
const SPARE: usize = 8;

/// How frames are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameConfig {
    /// Ticks from one snapshot to the next, at least 1. Frames are published on multiples of it.
    pub snapshot_every: u32,
    /// The edge of a cell of the spatial grid, in the unit of positions: about the radius of
    /// interest.
    pub cell_size: f32,
}

impl Default for FrameConfig {
    /// Every second tick, cells of 32.
    fn default() -> Self {
        Self {
            snapshot_every: 2,
            cell_size: 32.0,
        }
    }
}

/// Why the game's entity, or its frame, was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The configuration makes no sense.
    #[error("a frame needs snapshot_every of at least 1 and a cell_size above zero")]
    Config,
    /// Frames are published in the order of their ticks.
    #[error("tick {0} is not after the frame published before")]
    NotAfter(Tick),
    /// Clients count the age of a baseline in whole snapshots.
    #[error("tick {0} is not a multiple of snapshot_every")]
    OffBeat(Tick),
    /// The slot is beyond `Schema::max_entities`.
    #[error("entity {0} has a slot beyond the schema's max_entities")]
    Slot(EntityId),
    /// Two entities in one slot.
    #[error("entity {0} is in a slot that this frame has already filled")]
    Occupied(EntityId),
    /// The schema has no such kind.
    #[error("entity {entity} has kind {kind}, which the schema does not have")]
    Kind {
        /// The entity.
        entity: EntityId,
        /// The number of the kind.
        kind: u8,
    },
    /// A row has exactly as many values as its kind has fields.
    #[error("entity {entity} has {values} values, its kind has {fields} fields")]
    Values {
        /// The entity.
        entity: EntityId,
        /// How many values there were.
        values: usize,
        /// How many there should have been.
        fields: usize,
    },
    /// A position that is not finite has no neighbours.
    #[error("entity {0} has a position that is not finite")]
    Position(EntityId),
}

/// Fills and publishes frames. Owned by the tick loop.
#[derive(Debug)]
pub struct FrameHistory {
    schema: Arc<Schema>,
    config: FrameConfig,
    /// The columns published last, newest first.
    ring: Vec<Arc<Columns>>,
    old_columns: Vec<Arc<Columns>>,
    /// Frames published and perhaps still held.
    frames: Vec<Arc<TickFrame>>,
    equal_views: bool,
}

impl FrameHistory {
    /// An empty history.
    ///
    /// # Errors
    ///
    /// [`FrameError::Config`].
    pub fn new(schema: Arc<Schema>, config: FrameConfig) -> Result<Self, FrameError> {
        if config.snapshot_every == 0 || !(config.cell_size > 0.0 && config.cell_size.is_finite()) {
            return Err(FrameError::Config);
        }
        Ok(Self {
            schema,
            config,
            ring: Vec::with_capacity(HISTORY + 1),
            old_columns: Vec::new(),
            frames: Vec::new(),
            equal_views: true,
        })
    }

    /// Whether clients that hold and see just the same are told from one writing, as they are
    /// unless this says otherwise. It makes no difference to them: it is for measuring.
    pub const fn share_equal_views(&mut self, shared: bool) {
        self.equal_views = shared;
    }

    /// What the world is made of.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// A frame to fill for this tick.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotAfter`] and [`FrameError::OffBeat`].
    pub fn begin(&mut self, tick: Tick) -> Result<FrameBuilder, FrameError> {
        if self
            .ring
            .first()
            .is_some_and(|newest| newest.tick() >= tick)
        {
            return Err(FrameError::NotAfter(tick));
        }
        if !tick.0.is_multiple_of(self.config.snapshot_every) {
            return Err(FrameError::OffBeat(tick));
        }
        let frame = self.spare_frame();
        let mut columns = self.spare_columns();
        if let Some(columns) = Arc::get_mut(&mut columns) {
            columns.clear(tick);
        }
        Ok(FrameBuilder { frame, columns })
    }

    /// The frame, complete, for everybody. Where it came from does not matter as long as it began
    /// here.
    pub fn publish(&mut self, builder: FrameBuilder) -> Arc<TickFrame> {
        let FrameBuilder {
            mut frame,
            mut columns,
        } = builder;
        if let Some(columns) = Arc::get_mut(&mut columns) {
            let before = self.ring.first().map(|before| &**before);
            columns.compare_with(before, &self.schema, |slot, kind| {
                frame.values_of(slot, kind)
            });
        }
        if let Some(frame) = Arc::get_mut(&mut frame) {
            frame.equal_views = self.equal_views;
            let positions = &frame.positions;
            (frame.grid).build(columns.used(), positions, self.config.cell_size);
            frame.relevances.build(&columns);
            frame.cohorts.open(columns.slots());
            frame
                .earlier
                .extend(self.ring.iter().take(HISTORY).cloned());
            frame.columns = Arc::clone(&columns);
            let ages = frame.earlier.iter();
            let ages = ages.filter_map(|earlier| frame.intervals_since(earlier.tick()));
            frame.ages = ages.fold(0, |ages, age| ages | 1 << age);
        }
        self.ring.insert(0, columns);
        if let Some(oldest) = self.ring.get(HISTORY).cloned() {
            self.ring.truncate(HISTORY);
            self.old_columns.push(oldest);
        }
        self.frames.push(Arc::clone(&frame));
        frame
    }

    /// A frame that nobody holds, emptied.
    fn spare_frame(&mut self) -> Arc<TickFrame> {
        // Frames that nobody holds must not hold columns either.
        for frame in self.frames.iter_mut().filter_map(Arc::get_mut) {
            frame.earlier.clear();
        }
        let free = |frame: &mut Arc<TickFrame>| Arc::get_mut(frame).is_some();
        let Some(index) = self.frames.iter_mut().position(free) else {
            self.frames.truncate(SPARE);
            let frame = TickFrame::empty(Arc::clone(&self.schema), self.config.snapshot_every);
            return Arc::new(frame);
        };
        let mut spare = self.frames.swap_remove(index);
        if let Some(frame) = Arc::get_mut(&mut spare) {
            frame.columns = self.ring.first().cloned().unwrap_or_default();
            frame
                .viewpoints
                .iter_mut()
                .for_each(|viewpoint| *viewpoint = None);
            frame.values.clear();
            frame.starts.clear();
            frame.positions.clear();
            frame.relevances.clear();
            frame.cohorts.reset();
        }
        spare
    }

    /// Columns that nobody holds.
    fn spare_columns(&mut self) -> Arc<Columns> {
        let free = |columns: &mut Arc<Columns>| Arc::get_mut(columns).is_some();
        match self.old_columns.iter_mut().position(free) {
            Some(index) => self.old_columns.swap_remove(index),
            None => {
                self.old_columns.truncate(SPARE);
                Arc::default()
            }
        }
    }
}

/// A frame being filled. Goes to [`FrameHistory::publish`], or is dropped and has never been.
#[derive(Debug)]
pub struct FrameBuilder {
    /// Both are held here alone until they are published.
    frame: Arc<TickFrame>,
    columns: Arc<Columns>,
}

impl FrameBuilder {
    /// The tick it will be true at.
    #[must_use]
    pub fn tick(&self) -> Tick {
        self.columns.tick()
    }

    /// Puts an entity with quantised values, one per field of its kind; a value out of range
    /// becomes the nearest one.
    ///
    /// `position` decides who hears of it and how soon; it does not travel.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]; the entity is then not in the frame.
    pub fn put(
        &mut self,
        id: EntityId,
        kind: KindId,
        position: [f32; 3],
        values: &[i32],
    ) -> Result<(), FrameError> {
        self.put_with(id, kind, position, |row| {
            values.iter().for_each(|value| row.integer(*value));
        })
    }

    /// Puts a struct of the game.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]; the entity is then not in the frame.
    pub fn replicate(
        &mut self,
        id: EntityId,
        kind: KindId,
        position: [f32; 3],
        thing: &impl Replicate,
    ) -> Result<(), FrameError> {
        self.put_with(id, kind, position, |row| thing.write(row))
    }

    /// Puts an entity whose fields `write` writes.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]; the entity is then not in the frame.
    pub fn put_with(
        &mut self,
        id: EntityId,
        kind: KindId,
        position: [f32; 3],
        write: impl FnOnce(&mut RowWriter<'_>),
    ) -> Result<(), FrameError> {
        let (Some(frame), Some(columns)) = (
            Arc::get_mut(&mut self.frame),
            Arc::get_mut(&mut self.columns),
        ) else {
            return Err(FrameError::Occupied(id));
        };
        let TickFrame {
            schema,
            values,
            starts,
            positions,
            ..
        } = frame;
        let Some(description) = schema.kind(kind) else {
            return Err(FrameError::Kind {
                entity: id,
                kind: kind.0,
            });
        };
        if u32::from(id.slot) >= schema.max_entities() {
            return Err(FrameError::Slot(id));
        }
        if !position.iter().all(|axis| axis.is_finite()) {
            return Err(FrameError::Position(id));
        }
        let fields = description.fields.len();
        if columns.who(id.slot).is_some() {
            return Err(FrameError::Occupied(id));
        }
        let start = values.len();
        let mut row = RowWriter::new(&description.fields, schema.codings(kind.0), values);
        write(&mut row);
        let written = row.written();
        if written != fields {
            values.truncate(start);
            return Err(FrameError::Values {
                entity: id,
                values: written,
                fields,
            });
        }
        if let (Some(layout), Some(row)) = (schema.layout(kind.0), values.get(start..)) {
            columns.place(id, kind.0, layout, row);
        }
        let slot = usize::from(id.slot);
        if positions.len() <= slot {
            positions.resize(slot + 1, [0.0; 3]);
            starts.resize(slot + 1, 0);
        }
        (positions[slot], starts[slot]) = (position, start as u32);
        Ok(())
    }

    /// Says where a client looks from. A client without a viewpoint sees nothing.
    pub fn view(&mut self, client: ClientSlot, viewpoint: Viewpoint) {
        let Some(frame) = Arc::get_mut(&mut self.frame) else {
            return;
        };
        let index = client.index as usize;
        if frame.viewpoints.len() <= index {
            frame.viewpoints.resize(index + 1, None);
        }
        if let Some(place) = frame.viewpoints.get_mut(index) {
            *place = Some((client.generation, viewpoint));
        }
    }

    /// Says who sees an entity wherever it is, and who does not see it even when near. Of this tick
    /// only, as all of a frame; before or after the entity is put. The last word counts, and an
    /// entity that is not in the frame at its end is passed over.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tickwire::id::{ClientSlot, EntityId};
    /// use tickwire::proto::snapshot::{
    ///     Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Relevance, Replica,
    ///     Schema, Scratch, Team, ViewConfig, Viewpoint,
    /// };
    /// use tickwire::time::Tick;
    ///
    /// let field = Field::new("value", Quantity::Unsigned { bits: 8 }, Blend::Step);
    /// let schema = Arc::new(Schema::new(vec![Kind::new("thing", vec![field])])?);
    /// let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig::default())?;
    /// let [score, flag, mine, ghost] = [0, 1, 2, 3].map(|slot| EntityId { slot, generation: 0 });
    /// let client = ClientSlot { index: 0, generation: 0 };
    /// let (red, blue) = (Team(0), Team(1));
    ///
    /// let mut frame = history.begin(Tick(2))?;
    /// for (id, x) in [(score, 9_000.0), (flag, 8_000.0), (mine, 1.0), (ghost, 2.0)] {
    ///     frame.put(id, KindId(0), [x, 0.0, 0.0], &[7])?;
    /// }
    /// // Everybody knows the score, the red ones know where their flag is, and only the blue ones see
    /// // their mine. And this client, who lives, sees no ghosts.
    /// frame.relevance(score, Relevance { everyone: true, ..Relevance::default() });
    /// frame.relevance(flag, Relevance { team: Some(red), ..Relevance::default() });
    /// frame.relevance(mine, Relevance { team_only: Some(blue), ..Relevance::default() });
    /// frame.hide(client, ghost);
    /// frame.view(client, Viewpoint::at([0.0; 3]).of_team(red));
    /// let frame = history.publish(frame);
    ///
    /// let (mut view, mut scratch) = (ClientView::new(client, ViewConfig::default()), Scratch::new());
    /// let mut datagram = [0; 1200];
    /// view.begin(&frame, &mut scratch);
    /// let len = view.write_part(1, &mut datagram, &mut scratch);
    /// let mut replica = Replica::new(schema, 2);
    /// replica.receive(&datagram[..len])?;
    /// let held = replica.newest().expect("it was told");
    /// assert!(held.entities().map(|entity| entity.id).eq([score, flag]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relevance(&mut self, id: EntityId, relevance: Relevance) {
        if u32::from(id.slot) >= self.frame.schema.max_entities() {
            return;
        }
        if let Some(frame) = Arc::get_mut(&mut self.frame) {
            frame.relevances.say(id, relevance);
        }
    }

    /// Shows an entity to a client that might not see it: however far, and even if it is kept for
    /// another team. Of this tick only. A client without a viewpoint sees nothing, this neither.
    pub fn show(&mut self, client: ClientSlot, id: EntityId) {
        if let Some(frame) = Arc::get_mut(&mut self.frame) {
            frame.relevances.except(client, id, false);
        }
    }

    /// Hides an entity from a client, whatever else shows it; only its own [`Viewpoint::always`] is
    /// never hidden. Of this tick only.
    pub fn hide(&mut self, client: ClientSlot, id: EntityId) {
        if let Some(frame) = Arc::get_mut(&mut self.frame) {
            frame.relevances.except(client, id, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Blend, Field, Kind, Quantity};
    use super::*;
    use std::collections::BTreeSet;

    fn history() -> FrameHistory {
        let field = |name| Field::new(name, Quantity::Unsigned { bits: 4 }, Blend::Step);
        let schema = Schema::new(vec![Kind::new("k", vec![field("a"), field("b")])]);
        let schema = schema
            .and_then(|schema| schema.with_max_entities(8))
            .expect("valid");
        let config = FrameConfig {
            snapshot_every: 2,
            cell_size: 1.0,
        };
        FrameHistory::new(Arc::new(schema), config).expect("valid")
    }

    const fn id(slot: u16) -> EntityId {
        EntityId {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn a_frame_refuses_what_no_client_could_be_told() {
        let mut history = history();
        assert_eq!(
            history.begin(Tick(3)).err(),
            Some(FrameError::OffBeat(Tick(3)))
        );
        let mut builder = history.begin(Tick(4)).expect("on the beat");
        let mut put = |slot, kind, x, values: &[i32]| {
            builder.put(id(slot), KindId(kind), [x, 0.0, 0.0], values)
        };
        assert_eq!(put(1, 0, 0.0, &[3, 99]), Ok(()));
        assert_eq!(put(1, 0, 0.0, &[3, 3]), Err(FrameError::Occupied(id(1))));
        assert_eq!(put(8, 0, 0.0, &[3, 3]), Err(FrameError::Slot(id(8))));
        assert_eq!(
            put(2, 1, 0.0, &[3, 3]),
            Err(FrameError::Kind {
                entity: id(2),
                kind: 1
            })
        );
        assert_eq!(
            put(2, 0, f32::NAN, &[3, 3]),
            Err(FrameError::Position(id(2)))
        );
        for values in [&[1][..], &[1, 2, 3]] {
            let refused = FrameError::Values {
                entity: id(2),
                values: values.len(),
                fields: 2,
            };
            assert_eq!(put(2, 0, 0.0, values), Err(refused));
        }
        let frame = history.publish(builder);
        assert_eq!(frame.len(), 1);
        assert_eq!(frame.entity(1).map(|row| row.values), Some(&[3, 15][..]));
        assert_eq!(
            history.begin(Tick(4)).err(),
            Some(FrameError::NotAfter(Tick(4)))
        );
    }

    #[test]
    fn a_frame_knows_who_came_and_who_is_not_as_before() {
        let mut history = history();
        let mut publish = |tick, value| {
            let mut builder = history.begin(Tick(tick)).expect("in order");
            builder
                .put(id(5), KindId(0), [tick as f32; 3], &[1, value])
                .expect("valid");
            let frame = history.publish(builder);
            let columns = &frame.columns;
            assert!(columns.used().contains(5) && !columns.used().contains(4));
            (columns.born().contains(5), columns.changed().contains(5))
        };
        assert_eq!(publish(2, 7), (true, true));
        assert_eq!(publish(4, 7), (false, false));
        assert_eq!(publish(6, 8), (false, true));
        assert_eq!(publish(8, 8), (false, false));
    }

    #[test]
    fn memory_that_nobody_holds_becomes_the_next_frame() {
        let mut history = history();
        let (mut frames, mut columns) = (BTreeSet::new(), BTreeSet::new());
        let mut held = None;
        for beat in 1..400 {
            let builder = history.begin(Tick(beat * 2)).expect("in order");
            let frame = history.publish(builder);
            assert_eq!(frame.earlier.len(), HISTORY.min(beat as usize - 1));
            assert!(
                frame
                    .earlier
                    .windows(2)
                    .all(|pair| pair[0].tick() > pair[1].tick())
            );
            frames.insert(Arc::as_ptr(&frame).addr());
            columns.insert(Arc::as_ptr(&frame.columns).addr());
            // One shard holds on to the newest frame until the next is there.
            held = Some(frame);
        }
        assert!(
            held.is_some() && frames.len() <= 3,
            "{} frames",
            frames.len()
        );
        assert!(columns.len() <= HISTORY + 4, "{} columns", columns.len());
    }
}
