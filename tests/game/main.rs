//! The game floor, told as conversations: inputs by tick, a game at its ticks, the arena and the cubes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scene that cannot be set is a failed test"
)]

#[cfg(any(feature = "server", feature = "tools"))]
mod arena_hash;
#[cfg(any(feature = "server", feature = "tools"))]
mod arena_rules;
#[cfg(any(feature = "server", feature = "tools"))]
mod arena_view;
#[cfg(any(feature = "server", feature = "tools"))]
mod cubes;
mod inputs;
mod simulation;

/// The first client in a place.
#[cfg(any(feature = "server", feature = "tools"))]
fn slot(index: u32) -> tickwire::id::ClientSlot {
    tickwire::id::ClientSlot {
        index,
        generation: 0,
    }
}
