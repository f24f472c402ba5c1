//! World state over payloads: what changed in the part of the world that a client may see, since
//! the last state that it is known to hold.
//!
//! ```text
//! tick loop   FrameHistory  begin -> put, view -> publish        Arc<TickFrame>: immutable, shared
//! server      ClientView    begin(frame) -> write_part(datagram) ... acked(datagram), lost(datagram)
//!               interest    what this client may see
//!               baselines   minus what it already holds
//!               priority    what it should hear first
//!               cohort      chunks, encoded once per tick for everybody
//!               part        spliced until room and budget are spent
//! client      Replica       receive(part) -> snapshots, each entity with the tick its values are true at
//! ```
//!
//! A snapshot is a function of one earlier snapshot of the same client, its *baseline*, and what
//! one datagram says; a client is never assumed to hold what it has not acknowledged. So any
//! datagram may be lost, late or doubled, and whatever the replica holds was true in the server's
//! frame at the tick that it says. [`verify`] holds that against the frames.
//!
//! Knows entities, ticks and datagram numbers. Does not know sessions, channels, sockets or clocks:
//! this room neither imports `netcode` nor `channel`, and the endpoints put the three together.
//!
//! ```
//! use std::sync::Arc;
//! use tickwire::id::{ClientSlot, EntityId};
//! use tickwire::proto::snapshot::{
//!     Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema, Scratch,
//!     ViewConfig, Viewpoint,
//! };
//! use tickwire::time::Tick;
//!
//! let meters = Quantity::Ranged { min: -512.0, max: 512.0, step: 1.0 / 64.0 };
//! let fields = vec![Field::new("x", meters, Blend::Linear), Field::new("y", meters, Blend::Linear)];
//! let schema = Arc::new(Schema::new(vec![Kind::new("ball", fields)])?);
//!
//! // The tick loop: one ball, and one client that looks at it.
//! let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig { snapshot_every: 2, ..Default::default() })?;
//! let (ball, client) = (EntityId { slot: 7, generation: 0 }, ClientSlot { index: 0, generation: 0 });
//! let mut builder = history.begin(Tick(2))?;
//! builder.put(ball, KindId(0), [1.0, 0.0, 0.0], &[meters.quantise(1.0), meters.quantise(0.0)])?;
//! builder.view(client, Viewpoint { center: [0.0; 3], always: None });
//! let frame = history.publish(builder);
//!
//! // The server's side of the client, into a datagram.
//! let (mut view, mut scratch) = (ClientView::new(client, ViewConfig::default()), Scratch::new());
//! let mut datagram = [0; 1200];
//! view.begin(&frame, &mut scratch);
//! let len = view.write_part(1, &mut datagram, &mut scratch);
//! assert_eq!(view.write_part(2, &mut datagram, &mut scratch), 0, "one datagram tells it all");
//!
//! // The client.
//! let mut replica = Replica::new(schema, 2);
//! assert!(replica.receive(&datagram[..len])?.complete);
//! let held = replica.newest().and_then(|snapshot| snapshot.get(ball)).expect("it was told");
//! assert_eq!(meters.value(held.values[0]), 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baselines;
mod choose;
mod code;
mod cohort;
mod columns;
mod delta;
mod frame;
mod grid;
mod held;
mod history;
mod interest;
mod part;
mod plan;
mod priority;
mod quantity;
mod quaternion;
mod rejection;
mod replica;
mod row;
pub mod sample;
mod schema;
mod slots;
mod splits;
pub mod verify;
mod view;
mod view_config;

pub use cohort::CohortStats;
pub use frame::{Row, TickFrame, Viewpoint};
pub use held::{Departed, Entity, Snapshot};
pub use history::{FrameBuilder, FrameConfig, FrameError, FrameHistory};
pub use plan::Scratch;
pub use quantity::{Blend, Motion, Quantity};
pub use rejection::Rejection;
pub use replica::{Applied, Replica};
pub use row::{Replicate, RowReader, RowWriter};
pub use schema::{Field, Kind, KindId, Schema, SchemaError};
pub use splits::MAX_PARTS;
pub use view::ClientView;
pub use view_config::{ViewConfig, ViewStats};

/// Earlier snapshots whose values the server keeps, in one ring for all clients. A second at 30 Hz:
/// a client that was silent for longer starts over.
pub const HISTORY: usize = 32;
/// The oldest baseline a part can name, in snapshot intervals: five bits, and 0 says that there is
/// none.
pub const MAX_AGE: u32 = 31;
/// Snapshots that a client keeps: twice what a server can name, because what it names was named
/// when it was sent.
pub const KEPT: usize = 64;

const _: () = assert!(HISTORY > MAX_AGE as usize && KEPT >= 2 * HISTORY);
