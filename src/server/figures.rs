//! How each client is doing: a table that shards write and anybody reads.
//!
//! One row for each place, made once. A shard writes the rows of its own clients, about once a second
//! each; there is no lock, so a reader can never hold up a shard.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use serde::Serialize;

use crate::id::ClientSlot;
use crate::proto::channel::LinkStats;
use crate::proto::snapshot::ViewStats;
use crate::proto::stats::Traffic;

/// What was measured and counted of one client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientFigures {
    /// The smoothed round trip in milliseconds; `None` before the first acknowledgement.
    pub round_trip_ms: Option<f64>,
    /// The mean change from one sample of it to the next, in milliseconds.
    pub jitter_ms: f64,
    /// The share of datagrams to the client that were lost lately, 0 to 1.
    pub loss: f64,
    /// Bytes of its datagrams with payloads, without the headers of UDP.
    pub bytes_received: u64,
    /// Bytes of the datagrams with payloads to it.
    pub bytes_sent: u64,
    /// Datagrams with payloads from it.
    pub datagrams_received: u64,
    /// Datagrams with payloads to it.
    pub datagrams_sent: u64,
    /// Of the bytes to it, those of snapshots.
    pub snapshot_bytes: u64,
    /// Entities whose change did not fit into its budget.
    pub entities_deferred: u64,
    /// Messages to it that wait to be sent or acknowledged.
    pub messages_queued: u64,
}

/// Cells in a row.
const CELLS: usize = 10;

/// A round trip that is not known.
const UNKNOWN: u64 = u64::MAX;

impl ClientFigures {
    pub(super) fn new(
        link: &LinkStats,
        view: &ViewStats,
        received: Traffic,
        sent: Traffic,
    ) -> Self {
        Self {
            round_trip_ms: link.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            jitter_ms: link.jitter.as_secs_f64() * 1e3,
            loss: link.loss.into(),
            bytes_received: received.bytes,
            bytes_sent: sent.bytes,
            datagrams_received: received.datagrams,
            datagrams_sent: sent.datagrams,
            snapshot_bytes: view.bytes,
            entities_deferred: view.deferred,
            messages_queued: link.messages_queued as u64,
        }
    }

    /// As whole numbers, fractions bit by bit.
    fn pack(&self) -> [u64; CELLS] {
        [
            // No time has these bits: they are a NaN.
            self.round_trip_ms.map_or(UNKNOWN, f64::to_bits),
            self.jitter_ms.to_bits(),
            self.loss.to_bits(),
            self.bytes_received,
            self.bytes_sent,
            self.datagrams_received,
            self.datagrams_sent,
            self.snapshot_bytes,
            self.entities_deferred,
            self.messages_queued,
        ]
    }

    fn unpack(cells: [u64; CELLS]) -> Self {
        let [round_trip, jitter, loss, bytes_received, bytes_sent, ..] = cells;
        let [
            ..,
            datagrams_received,
            datagrams_sent,
            snapshot_bytes,
            entities_deferred,
            messages_queued,
        ] = cells;
        Self {
            round_trip_ms: (round_trip != UNKNOWN).then(|| f64::from_bits(round_trip)),
            jitter_ms: f64::from_bits(jitter),
            loss: f64::from_bits(loss),
            bytes_received,
            bytes_sent,
            datagrams_received,
            datagrams_sent,
            snapshot_bytes,
            entities_deferred,
            messages_queued,
        }
    }
}

/// Whose figures a row holds, and the figures.
#[derive(Debug, Default)]
struct Row {
    /// The client's generation plus one; 0 while nobody's are here, or while they are written.
    owner: AtomicU64,
    cells: [AtomicU64; CELLS],
}

fn owner(slot: ClientSlot) -> u64 {
    u64::from(slot.generation) + 1
}

/// One row for each place.
#[derive(Debug)]
pub struct FigureTable(Box<[Row]>);

impl FigureTable {
    /// A table for so many places, 88 bytes each.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self((0..places).map(|_| Row::default()).collect())
    }

    /// Shows a client's figures. Only the shard that serves it may.
    pub fn show(&self, slot: ClientSlot, figures: &ClientFigures) {
        let Some(row) = self.0.get(slot.index as usize) else {
            return;
        };
        // Nobody takes the cells for anybody's while they change.
        row.owner.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, value) in row.cells.iter().zip(figures.pack()) {
            cell.store(value, Ordering::Relaxed);
        }
        row.owner.store(owner(slot), Ordering::Release);
    }

    /// A client's figures; `None` when none were shown yet, or they are being written. A reader that is
    /// stopped for a second in the middle may mix two showings of one client, never two clients: a
    /// generation does not come back.
    #[must_use]
    pub fn read(&self, slot: ClientSlot) -> Option<ClientFigures> {
        let row = self.0.get(slot.index as usize)?;
        let before = row.owner.load(Ordering::Acquire);
        let cells = row
            .cells
            .each_ref()
            .map(|cell| cell.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let after = row.owner.load(Ordering::Relaxed);
        (before == owner(slot) && after == before).then(|| ClientFigures::unpack(cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u32, generation: u32) -> ClientSlot {
        ClientSlot { index, generation }
    }

    fn figures(seed: u64) -> ClientFigures {
        ClientFigures {
            round_trip_ms: Some(seed as f64 + 0.25),
            jitter_ms: seed as f64 + 0.5,
            loss: 0.125,
            bytes_received: seed + 1,
            bytes_sent: seed + 2,
            datagrams_received: seed + 3,
            datagrams_sent: seed + 4,
            snapshot_bytes: seed + 5,
            entities_deferred: seed + 6,
            messages_queued: seed + 7,
        }
    }

    #[test]
    fn what_was_shown_is_read_and_belongs_to_one_client() {
        let table = FigureTable::new(2);
        assert_eq!(table.read(slot(1, 0)), None);
        table.show(slot(1, 0), &figures(10));
        assert_eq!(table.read(slot(1, 0)), Some(figures(10)));
        assert_eq!(
            table.read(slot(1, 1)),
            None,
            "not the next one in this place"
        );
        assert_eq!(table.read(slot(0, 0)), None);
        let unknown = ClientFigures {
            round_trip_ms: None,
            ..figures(20)
        };
        table.show(slot(1, 1), &unknown);
        assert_eq!(table.read(slot(1, 1)), Some(unknown));
        assert_eq!(table.read(slot(1, 0)), None);
    }

    #[test]
    fn a_place_that_does_not_exist_has_no_figures() {
        let table = FigureTable::new(2);
        table.show(slot(2, 0), &figures(1));
        assert_eq!(table.read(slot(2, 0)), None);
    }
}
