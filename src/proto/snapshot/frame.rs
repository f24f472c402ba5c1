//! One published tick of the world: immutable, shared, freed when the last shard moves on.
//!
//! Holds the tick's columns, those of the 32 snapshots before, the grid, where each client looks
//! from, what the game shows and hides, and the cells for what is encoded once. Knows everything about this tick. Has no idea what
//! any client holds.

use std::sync::Arc;

use super::HISTORY;
use super::cohort::{CohortStats, Cohorts};
use super::columns::Columns;
use super::grid::Grid;
use super::packed::{Layout, PackedRow};
use super::relevance::{Relevance, Relevances, Team};
use super::schema::{KindId, Schema};
use crate::id::{ClientSlot, EntityId};
use crate::time::Tick;

/// Where a client looks from, and on which side.
///
/// ```
/// use tickwire::id::EntityId;
/// use tickwire::proto::snapshot::{Team, Viewpoint};
///
/// let avatar = EntityId { slot: 7, generation: 0 };
/// let viewpoint = Viewpoint::at([4.0, 0.0, 0.0]).always(avatar).of_team(Team(1));
/// assert_eq!((viewpoint.always, viewpoint.team), (Some(avatar), Some(Team(1))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewpoint {
    /// The middle of what it sees, in the unit of positions.
    pub center: [f32; 3],
    /// An entity that it is told about wherever that is, whoever hides it, and first: its own avatar.
    pub always: Option<EntityId>,
    /// Its team: it sees what [`Relevance`] shows to that team or keeps for it.
    pub team: Option<Team>,
}

impl Viewpoint {
    /// Looks from here, has no avatar and is of no team.
    #[must_use]
    pub const fn at(center: [f32; 3]) -> Self {
        Self {
            center,
            always: None,
            team: None,
        }
    }

    /// Is always told about this entity: an id, or an option of one.
    #[must_use]
    pub fn always(self, always: impl Into<Option<EntityId>>) -> Self {
        Self {
            always: always.into(),
            ..self
        }
    }

    /// Is of this team: a team, or an option of one.
    #[must_use]
    pub fn of_team(self, team: impl Into<Option<Team>>) -> Self {
        Self {
            team: team.into(),
            ..self
        }
    }
}

/// An entity as it is in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Which entity.
    pub id: EntityId,
    /// Its kind.
    pub kind: KindId,
    /// Where it is, for interest only; what clients are told is in `values`.
    pub position: [f32; 3],
    /// Its quantised fields, in the order of its kind.
    pub values: &'a [i32],
}

/// An entity's values as they are at the tick of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowRef<'a> {
    pub(super) generation: u16,
    pub(super) kind: u8,
    pub(super) values: &'a [i32],
}

/// One published tick of the world. Made by [`super::FrameHistory`].
#[derive(Debug)]
pub struct TickFrame {
    pub(super) schema: Arc<Schema>,
    /// Ticks from one snapshot to the next.
    pub(super) snapshot_every: u32,
    pub(super) columns: Arc<Columns>,
    /// The columns published before, newest first: at most [`HISTORY`].
    pub(super) earlier: Vec<Arc<Columns>>,
    /// Which of these there are: bit `n` for those `n` snapshot intervals ago.
    pub(super) ages: u64,
    /// The rows of this tick one after another, in the order in which they were put; and by slot where each starts.
    pub(super) values: Vec<i32>,
    pub(super) starts: Vec<u32>,
    /// Where entities are, by slot. Only of this tick: nobody asks where somebody was.
    pub(super) positions: Vec<[f32; 3]>,
    pub(super) grid: Grid,
    /// By client index: generation and viewpoint.
    pub(super) viewpoints: Vec<Option<(u32, Viewpoint)>>,
    /// What the game shows and hides, wherever it is.
    pub(super) relevances: Relevances,
    pub(super) cohorts: Cohorts,
    /// Whether clients that hold and see the same are told from one writing.
    pub(super) equal_views: bool,
}

impl TickFrame {
    pub(super) fn empty(schema: Arc<Schema>, snapshot_every: u32) -> Self {
        Self {
            schema,
            snapshot_every,
            columns: Arc::default(),
            earlier: Vec::with_capacity(HISTORY),
            ages: 0,
            values: Vec::new(),
            starts: Vec::new(),
            positions: Vec::new(),
            grid: Grid::default(),
            viewpoints: Vec::new(),
            relevances: Relevances::default(),
            cohorts: Cohorts::default(),
            equal_views: true,
        }
    }

    /// The tick that everything in it is true at.
    #[must_use]
    pub fn tick(&self) -> Tick {
        self.columns.tick()
    }

    /// What its entities are made of.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Ticks from one snapshot to the next.
    #[must_use]
    pub const fn snapshot_every(&self) -> u32 {
        self.snapshot_every
    }

    /// How many entities there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.count()
    }

    /// Whether the world is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entity in a slot.
    #[must_use]
    pub fn entity(&self, slot: u16) -> Option<Row<'_>> {
        let row = self.row(slot)?;
        Some(Row {
            id: EntityId {
                slot,
                generation: row.generation,
            },
            kind: KindId(row.kind),
            position: self.position(slot)?,
            values: row.values,
        })
    }

    /// All entities, by slot.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.columns
            .used()
            .iter()
            .filter_map(|slot| self.entity(slot))
    }

    /// Where a client looks from; `None` when the game did not say.
    #[must_use]
    pub fn viewpoint(&self, client: ClientSlot) -> Option<Viewpoint> {
        let (generation, viewpoint) = (*self.viewpoints.get(client.index as usize)?)?;
        (generation == client.generation).then_some(viewpoint)
    }

    /// Who sees an entity wherever it is, and who does not; the default when the game did not say.
    #[must_use]
    pub fn relevance(&self, id: EntityId) -> Relevance {
        self.relevances.of(id)
    }

    /// What the game shows to one client or hides from it: entities, and whether each is hidden. An
    /// entity that is there twice is hidden.
    pub fn exceptions(&self, client: ClientSlot) -> impl Iterator<Item = (EntityId, bool)> {
        self.relevances.exceptions(client)
    }

    /// How often its shared encodings were built and waited for so far.
    #[must_use]
    pub fn cohort_stats(&self) -> CohortStats {
        self.cohorts.stats()
    }

    /// The row of a slot at this tick or one of the history.
    pub(super) fn row_at(&self, tick: Tick, slot: u16) -> Option<PackedRow<'_>> {
        self.columns_at(tick)?.row(slot, &self.schema)
    }

    /// The row of a slot.
    #[inline]
    pub(super) fn row(&self, slot: u16) -> Option<RowRef<'_>> {
        let (generation, kind) = self.columns.who(slot)?;
        Some(RowRef {
            generation,
            kind,
            values: self.values_of(slot, kind),
        })
    }

    /// The values of whoever was put into a slot, who is of this kind.
    #[inline]
    pub(super) fn values_of(&self, slot: u16, kind: u8) -> &[i32] {
        let start = self.starts.get(usize::from(slot)).copied().unwrap_or(0) as usize;
        let fields = self.schema.layout(kind).map_or(0, Layout::fields);
        self.values.get(start..start + fields).unwrap_or(&[])
    }

    /// Where the entity in a slot is.
    #[inline]
    pub(super) fn position(&self, slot: u16) -> Option<[f32; 3]> {
        self.columns.who(slot)?;
        self.positions.get(usize::from(slot)).copied()
    }

    /// The columns of an earlier tick of the history, or of this one.
    pub(super) fn columns_at(&self, tick: Tick) -> Option<&Columns> {
        if tick == self.tick() {
            return Some(&self.columns);
        }
        // Newest first: descending by tick.
        let index = self
            .earlier
            .binary_search_by(|columns| tick.cmp(&columns.tick()));
        index
            .ok()
            .and_then(|index| self.earlier.get(index))
            .map(|columns| &**columns)
    }

    /// The columns published after a tick and not after another one, newest first.
    pub(super) fn between(&self, after: Tick, until: Tick) -> impl Iterator<Item = &Columns> {
        let all = core::iter::once(&self.columns).chain(&self.earlier);
        all.map(|columns| &**columns)
            .skip_while(move |columns| columns.tick() > until)
            .take_while(move |columns| columns.tick() > after)
    }

    /// How many whole snapshot intervals ago a tick was, if it was fewer than 64.
    pub(super) fn intervals_since(&self, tick: Tick) -> Option<u32> {
        let ticks = self.tick().since(tick);
        let intervals = ticks / self.snapshot_every;
        (ticks.is_multiple_of(self.snapshot_every) && intervals < u64::BITS).then_some(intervals)
    }

    /// How many snapshots ago a tick was, if a part can name it as its baseline: 1 to 31.
    pub(super) fn age_of(&self, tick: Tick) -> Option<u32> {
        age(self.tick(), tick, self.snapshot_every)
    }
}

/// How many snapshot intervals `then` is before `now`, if it is 1 to [`super::MAX_AGE`] whole ones.
pub(super) fn age(now: Tick, then: Tick, snapshot_every: u32) -> Option<u32> {
    let ticks = now.since(then);
    let age = ticks / snapshot_every;
    (ticks.is_multiple_of(snapshot_every) && (1..=super::MAX_AGE).contains(&age)).then_some(age)
}

/// Shards share frames between threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<TickFrame>();
};
