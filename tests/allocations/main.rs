//! Once warm, a snapshot asks the allocator for nothing: at neither end. Nor does a socket (`packets`).
//!
//! A world of bodies, some moving and some at rest, is told to clients who see different parts of it
//! and acknowledge with different delays. After a while every buffer has its size.

#![expect(clippy::expect_used, reason = "a test says what it found")]

#[cfg(feature = "server")]
mod packets;

use std::sync::Arc;

use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema,
    Scratch, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

const BODIES: u16 = 300;
/// Lamps go through eight states of 64 ticks each: after 512 ticks all of them have been told.
const WARM: u32 = 600;
const COUNTED: u32 = 400;

const METERS: Quantity = Quantity::Ranged {
    min: -512.0,
    max: 512.0,
    step: 1.0 / 64.0,
};

fn schema() -> Arc<Schema> {
    let mut fields = vec![
        Field::new("x", METERS, Blend::Linear).in_group("place"),
        Field::new("y", METERS, Blend::Linear).in_group("place"),
    ];
    fields.extend(Field::unit_quaternion("turn", 9));
    fields.push(Field::new("lit", Quantity::Flags { bits: 3 }, Blend::Step));
    let schema = Schema::new(vec![Kind::new("body", fields)]);
    Arc::new(
        schema
            .and_then(|schema| schema.with_max_entities(u32::from(BODIES)))
            .expect("a valid schema"),
    )
}

/// A client and its replica, and how many snapshots its acknowledgements take.
struct Client {
    view: ClientView,
    replica: Replica,
    delay: u32,
    buffer: Vec<u8>,
    /// The last datagram of each of the last snapshots.
    sent: [u64; 16],
    number: u64,
}

/// Every other client sees all, the others a part.
fn config_of(index: u32) -> ViewConfig {
    let (inner_radius, outer_radius) = if index.is_multiple_of(2) {
        (1_000.0, 1_000.0)
    } else {
        (40.0, 48.0)
    };
    ViewConfig {
        inner_radius,
        outer_radius,
        bytes_per_snapshot: 1 << 14,
    }
}

/// All that is counted, or not.
struct Stage {
    history: FrameHistory,
    clients: Vec<Client>,
    scratch: Scratch,
}

impl Stage {
    fn new() -> Self {
        let schema = schema();
        let config = FrameConfig {
            snapshot_every: 1,
            cell_size: 32.0,
        };
        let client = |index: u32| Client {
            view: ClientView::new(
                ClientSlot {
                    index,
                    generation: 0,
                },
                config_of(index),
            ),
            replica: Replica::new(Arc::clone(&schema), 1),
            delay: 2 + index % 5,
            buffer: vec![0; 1 << 14],
            sent: [0; 16],
            number: 0,
        };
        Self {
            history: FrameHistory::new(Arc::clone(&schema), config).expect("valid"),
            clients: (0..20).map(client).collect(),
            scratch: Scratch::new(),
        }
    }

    /// One tick: a frame, told to all, read by all, acknowledged after a while.
    fn tick(&mut self, tick: u32) {
        let mut builder = self.history.begin(Tick(tick)).expect("in order");
        for slot in 0..BODIES {
            let id = EntityId {
                slot,
                generation: 0,
            };
            // A third swings, a third creeps now and then, a third rests.
            let phase = match slot % 3 {
                0 => tick as f32 / 10.0,
                1 => (tick / 16) as f32 / 3.0,
                _ => 0.0,
            };
            let (sin, cos) = (phase + f32::from(slot)).sin_cos();
            let at = [f32::from(slot) + 3.0 * cos, 3.0 * sin, 0.0];
            let (half_sin, half_cos) = (phase / 2.0).sin_cos();
            let lit = (tick >> 6 ^ u32::from(slot)) as i32 & 7;
            let put = builder.put_with(id, KindId(0), at, |row| {
                row.number(at[0]);
                row.number(at[1]);
                row.unit_quaternion([0.0, half_sin, 0.0, half_cos]);
                row.integer(lit);
            });
            put.expect("in the schema");
        }
        for client in &self.clients {
            let slot = client.view.client();
            let center = [slot.index as f32 * 15.0, 0.0, 0.0];
            builder.view(slot, Viewpoint::at(center));
        }
        let frame = self.history.publish(builder);
        for client in &mut self.clients {
            client.view.begin(&frame, &mut self.scratch);
            loop {
                let number = client.number + 1;
                let written = client
                    .view
                    .write_part(number, &mut client.buffer, &mut self.scratch);
                if written == 0 {
                    break;
                }
                client.number = number;
                client
                    .replica
                    .receive(&client.buffer[..written])
                    .expect("a good part");
            }
            client.sent[tick as usize % 16] = client.number;
            let heard = client.sent[tick.wrapping_sub(client.delay) as usize % 16];
            client.view.acked(heard);
        }
    }
}

#[test]
fn a_warm_snapshot_asks_the_allocator_for_nothing() {
    let mut stage = Stage::new();
    for tick in 1..=WARM {
        stage.tick(tick);
    }
    let counted = allocation_counter::measure(|| {
        for tick in WARM + 1..=WARM + COUNTED {
            stage.tick(tick);
        }
    });
    assert!(
        stage
            .clients
            .iter()
            .all(|client| client.number >= u64::from(WARM + COUNTED))
    );
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

/// The counter counts.
#[test]
fn a_cold_snapshot_asks_for_memory() {
    let counted = allocation_counter::measure(|| {
        let mut stage = Stage::new();
        stage.tick(1);
    });
    assert!(counted.count_total > 100, "{counted:?}");
}
