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
//!               singles     and those of entities by themselves
//!               part        spliced until room and budget are spent
//!               owner       and what only this client may know of its own entity
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
//! use tickwire::Replicate;
//! use tickwire::id::{ClientSlot, EntityId};
//! use tickwire::proto::snapshot::{
//!     ClientView, FrameConfig, FrameHistory, KindId, Replica, RowReader, Schema, Scratch, ViewConfig,
//!     Viewpoint,
//! };
//! use tickwire::time::Tick;
//!
//! #[derive(Replicate, Debug, PartialEq)]
//! struct Ball {
//!     #[replicate(range = -512.0..=512.0, step = 1.0 / 64.0)]
//!     x: f32,
//!     #[replicate(range = -512.0..=512.0, step = 1.0 / 64.0)]
//!     y: f32,
//! }
//!
//! let schema = Arc::new(Schema::new(vec![Ball::kind()])?);
//!
//! // The tick loop: one ball, and one client that looks at it.
//! let mut history = FrameHistory::new(Arc::clone(&schema), FrameConfig { snapshot_every: 2, ..Default::default() })?;
//! let (ball, client) = (EntityId { slot: 7, generation: 0 }, ClientSlot { index: 0, generation: 0 });
//! let mut builder = history.begin(Tick(2))?;
//! builder.replicate(ball, KindId(0), [1.0, 0.0, 0.0], &Ball { x: 1.0, y: 0.0 })?;
//! builder.view(client, Viewpoint::at([0.0; 3]));
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
//! let mut replica = Replica::new(Arc::clone(&schema), 2);
//! assert!(replica.receive(&datagram[..len])?.complete);
//! let held = replica.newest().and_then(|snapshot| snapshot.get(ball)).expect("it was told");
//! let kind = schema.kind(held.kind).expect("in the schema");
//! assert_eq!(Ball::read(&mut RowReader::new(kind, held.values)), Ball { x: 1.0, y: 0.0 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baselines;
mod choose;
mod code;
mod codec;
mod cohort;
mod columns;
mod decode;
mod frame;
mod grid;
mod held;
mod history;
mod interest;
mod owner;
mod packed;
mod part;
mod plan;
mod pool;
mod priority;
mod quantity;
mod quaternion;
mod rejection;
mod relevance;
mod replica;
mod row;
pub mod sample;
mod schema;
mod singles;
mod slots;
mod splits;
pub mod verify;
mod view;
mod view_config;

/// Implements [`ReplicateEnum`](trait@ReplicateEnum) for an enum without data and without generics.
///
/// ```
/// use tickwire::ReplicateEnum;
/// #[derive(ReplicateEnum, Debug, PartialEq)]
/// enum Weapon { Hands, Bow, Sword = 5 }
/// assert_eq!(<Weapon as ReplicateEnum>::BITS, 3);
/// assert_eq!((Weapon::Bow.code(), Weapon::Sword.code()), (1, 5));
/// assert_eq!(Weapon::from_code(7), Weapon::Hands, "a number that no variant has");
/// ```
#[doc(inline)]
pub use tickwire_derive::ReplicateEnum;

/// Implements [`Replicate`](trait@Replicate) for a struct: its kind, the way into a row and back.
///
/// ```
/// use tickwire::proto::snapshot::{Blend, Quantity, RowReader, Schema};
/// use tickwire::{Replicate, ReplicateEnum};
///
/// #[derive(Replicate, Debug, PartialEq)]
/// struct Player {
///     #[replicate(range = -512.0..=512.0, step = 1.0 / 64.0, group = "place", moves = "linear")]
///     x: f32,
///     #[replicate(range = -512.0..=512.0, step = 1.0 / 64.0, group = "place", moves = "linear")]
///     y: f32,
///     #[replicate(angle(bits = 12))]
///     yaw: f32,
///     #[replicate(bits = 7)]
///     health: u8,
///     #[replicate(counter, bits = 6)]
///     shots: u8,
///     weapon: Weapon,
///     crouches: bool,
///     #[replicate(owner_only)]
///     ammo: u8,
/// }
///
/// #[derive(ReplicateEnum, Debug, PartialEq)]
/// enum Weapon { Bow, Sword }
///
/// let schema = Schema::new(vec![Player::kind()])?;
/// let player = &schema.kinds()[0];
/// assert_eq!((player.name.as_str(), player.fields.len()), ("player", 8));
/// assert_eq!(player.fields[2].quantity, Quantity::Angle { bits: 12 });
/// assert_eq!(player.fields[2].blend, Blend::Angle);
///
/// // What a client reads from the row that a snapshot gives it.
/// let read = Player::read(&mut RowReader::new(player, &[32_768, 32_832, 0, 99, 3, 1, 0, 30]));
/// assert_eq!((read.x, read.y, read.weapon), (0.0, 1.0, Weapon::Sword));
/// # Ok::<(), tickwire::proto::snapshot::SchemaError>(())
/// ```
///
/// # What a field can be
///
/// | type | `#[replicate(...)]` | on the wire |
/// |---|---|---|
/// | `f32` | `range = A..=B, step = S` | [`Quantity::Ranged`]: the nearest step, cut off at both ends |
/// | `f32` | `angle(bits = N)` | [`Quantity::Angle`], in radians, all the way round |
/// | `u8`, `u16`, `u32` | nothing, or `bits = N` | [`Quantity::Unsigned`], cut off at its top; without `bits` the whole type |
/// | the same | `counter`, or `counter, bits = N` | [`Quantity::Counter`]: starts over |
/// | the same | `flags`, or `flags, bits = N` | [`Quantity::Flags`]: the lowest `N` of them |
/// | the same | `angle(bits = N)` | [`Quantity::Angle`], the integer being one of `2^N` a turn |
/// | `i8`, `i16`, `i32` | nothing, or `bits = N` | [`Quantity::Signed`], cut off at both ends |
/// | any integer | `steps(range = A..=B, step = S)` | [`Quantity::Ranged`]; the integer counts the steps above `A` |
/// | `bool` | nothing | one flag |
/// | an enum that derives [`ReplicateEnum`](macro@ReplicateEnum) | nothing | [`Quantity::Unsigned`] |
/// | `[f32; 4]` | `unit_quaternion(bits = N)` | [`Field::unit_quaternion`]: four fields |
/// | `[T; N]` of any of these | as for `T` | `N` fields, `name_0` to `name_{N-1}` |
/// | a struct that derives `Replicate` | `flatten` | its fields, by their own names |
///
/// Numbers are expressions, and may name constants; then the compiler checks them.
///
/// # What else can be said
///
/// | | |
/// |---|---|
/// | `blend = "linear"`, `"angle"`, `"step"` | [`Blend`]; else linear for what has a range, angle for angles, step for all others |
/// | `moves = "still"`, `"linear"`, `"spinning"`, `"any"` | [`Motion`]: what the codec expects |
/// | `group = "name"` | which fields change together |
/// | `velocity = "field"` | the field of this struct that says how fast this one moves, an `f32` with a range or a plain integer: [`Field::with_velocity`]. Of an array an array, element by element |
/// | `velocity_per = N` | beside `velocity`: it goes as far as that one says in `N` snapshots, so that the codec knows where it will be: [`Field::with_velocity_per`]. Of a velocity per second: how many snapshots a second has |
/// | `owner_only` | only the client whose [`Viewpoint::always`] this entity is is told; everybody else reads zero |
/// | `name = "name"` | the field's name in the schema |
/// | `kind = "name"`, at the struct | the kind's name; else the struct's in snake case |
///
/// # Errors
///
/// The compiler stops at whatever [`Schema::new`] would refuse of one struct, and names the field.
/// Only what a `flatten`ed struct adds is judged by `Schema::new` itself. A range that is made of
/// constants is checked as well, and so is a type that cannot travel:
///
/// ```compile_fail,E0080
/// const SIDE: f32 = 0.0;
/// #[derive(tickwire::Replicate)]
/// struct Ball {
///     #[replicate(range = 0.0..=SIDE, step = 0.01)]
///     x: f32,
/// }
/// ```
/// ```compile_fail,E0277
/// struct Weapon;
/// #[derive(tickwire::Replicate)]
/// struct Player {
///     weapon: Weapon,
/// }
/// ```
#[doc(inline)]
pub use tickwire_derive::Replicate;

// After the derives: a name that stands for both, trait and derive, is first of all the trait.
pub use row::{Replicate, ReplicateEnum, RowReader, RowWriter};

#[cfg(feature = "tools")]
pub use codec::train;
pub use codec::{Tables, TablesError};
pub use cohort::CohortStats;
pub use frame::{Row, TickFrame, Viewpoint};
pub use held::{Departed, Entity, Snapshot};
pub use history::{FrameBuilder, FrameConfig, FrameError, FrameHistory};
pub use interest::Interest;
pub use plan::Scratch;
pub use quantity::{Blend, Motion, Quantity};
pub use rejection::Rejection;
pub use relevance::{Relevance, Team};
pub use replica::{Applied, Replica};
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
