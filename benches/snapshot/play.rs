//! A server's side of a world that was recorded: frames, and clients that acknowledge after a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tickwire::id::ClientSlot;
use tickwire::proto::snapshot::{
    ClientView, FrameConfig, FrameHistory, Relevance, Replica, Scratch, TickFrame, ViewConfig,
    Viewpoint,
};
use tickwire::time::Tick;

use crate::data::{Row, World};

/// Whole snapshots are told in one part here, however large.
const ROOM: usize = 1 << 16;
/// The recorded worlds begin at tick 0, which is no baseline of anything.
const FIRST: u32 = 64;

/// Publishes a recorded world.
pub(crate) struct Stage<'w> {
    world: &'w World,
    history: FrameHistory,
}

/// Where an entity stands for those who see a part of the world: in a row, by slot. Else all stand
/// at one place, and everybody is told of them.
fn position(slot: u16, spread: bool) -> [f32; 3] {
    [if spread { f32::from(slot) } else { 0.0 }, 0.0, 0.0]
}

impl<'w> Stage<'w> {
    pub(crate) fn new(world: &'w World, equal_views: bool) -> Result<Self> {
        let config = FrameConfig {
            snapshot_every: 1,
            cell_size: 64.0,
        };
        let mut history = FrameHistory::new(Arc::clone(&world.schema), config)?;
        history.share_equal_views(equal_views);
        Ok(Self { world, history })
    }

    /// The frame of a tick; each client looks from where `center` says.
    pub(crate) fn publish(
        &mut self,
        tick: usize,
        spread: bool,
        clients: impl Iterator<Item = (ClientSlot, f32)>,
    ) -> Result<Arc<TickFrame>> {
        let mut builder = self.history.begin(Tick(FIRST + tick as u32))?;
        for Row { id, kind, values } in &self.world.ticks[tick] {
            builder.put(*id, *kind, position(id.slot, spread), values)?;
            if !spread {
                let everyone = Relevance {
                    everyone: true,
                    ..Relevance::default()
                };
                builder.relevance(*id, everyone);
            }
        }
        for (slot, center) in clients {
            let viewpoint = Viewpoint::at([center, 0.0, 0.0]);
            builder.view(slot, viewpoint);
        }
        Ok(self.history.publish(builder))
    }
}

/// What clients are told with, one after the other: as at a server, their parts are written into
/// the same memory.
pub(crate) struct Desk {
    scratch: Scratch,
    part: Vec<u8>,
    len: usize,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            scratch: Scratch::new(),
            part: vec![0; ROOM],
            len: 0,
        }
    }

    /// What was written last.
    pub(crate) fn part(&self) -> &[u8] {
        &self.part[..self.len]
    }
}

/// One client: what it is told, and when it says that it has heard.
pub(crate) struct Client {
    pub(crate) slot: ClientSlot,
    pub(crate) center: f32,
    age: usize,
    view: ClientView,
    replica: Replica,
}

impl Client {
    pub(crate) fn new(world: &World, index: u32, age: usize, (center, radius): (f32, f32)) -> Self {
        let slot = ClientSlot {
            index,
            generation: 0,
        };
        let config = ViewConfig {
            inner_radius: radius,
            outer_radius: radius,
            bytes_per_snapshot: ROOM,
        };
        Self {
            slot,
            center,
            age,
            view: ClientView::new(slot, config),
            replica: Replica::new(Arc::clone(&world.schema), 1),
        }
    }

    /// Hears the acknowledgement of the snapshot that is now as old as this client's always are.
    pub(crate) fn hear(&mut self, tick: usize) {
        if let Some(acked) = tick.checked_sub(self.age) {
            self.view.acked(acked as u64 + 1);
        }
    }

    /// Tells a frame, and says how long that took.
    pub(crate) fn tell(
        &mut self,
        tick: usize,
        frame: &Arc<TickFrame>,
        desk: &mut Desk,
    ) -> Duration {
        let begun = Instant::now();
        self.view.begin(frame, &mut desk.scratch);
        desk.len = self
            .view
            .write_part(tick as u64 + 1, &mut desk.part, &mut desk.scratch);
        begun.elapsed()
    }

    /// Lets the replica read what was told, and says how long that took.
    pub(crate) fn read(&mut self, part: &[u8]) -> Result<Duration> {
        let begun = Instant::now();
        let applied = self
            .replica
            .receive(part)
            .context("the replica refuses a part")?;
        let taken = begun.elapsed();
        anyhow::ensure!(
            applied.complete,
            "a snapshot of {} is not complete",
            applied.tick
        );
        Ok(taken)
    }

    /// How many rows of the replica are not those of the world, or are missing, or should not be
    /// there. `sees` says which slots it should have.
    pub(crate) fn mismatches(&self, rows: &[Row], sees: impl Fn(u16) -> bool) -> usize {
        let Some(snapshot) = self.replica.newest() else {
            return rows.len();
        };
        let mut wrong = 0;
        let mut seen = 0;
        for row in rows.iter().filter(|row| sees(row.id.slot)) {
            seen += 1;
            let held = snapshot.get(row.id);
            let same = held.is_some_and(|held| held.kind == row.kind && held.values == row.values);
            wrong += usize::from(!same);
        }
        wrong + snapshot.len().abs_diff(seen)
    }
}
