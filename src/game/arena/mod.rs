//! The game in the box: a top-down arena with walking, shooting, dying and picking things up.
//!
//! It is what the demo plays, what bots play and what the load test measures, and an example of a
//! [`Game`](super::Game) that is more than a toy. Everything is integers, the only
//! randomness is a seeded generator, and nothing compares everybody with everybody: thousands
//! fit, and the same seed and the same inputs give the same world on every platform.

pub mod angle;
mod cells;
mod event;
mod input;
pub mod rules;
mod state;
mod step;
mod walls;
mod world;

pub use event::{ArenaEvent, EVENT_MAX, EVENTS, sentence};
pub use input::ArenaInput;
pub use rules::{Rules, Weapon};
pub use state::{Body, Bolt, Fighter, Pickup, PickupKind};
pub use walls::{Walls, WallsSpec};
pub use world::{ArenaConfig, World};
