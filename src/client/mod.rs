//! The game-loop client: std only, no runtime, no thread, nothing that waits.

pub mod clock;

pub use clock::{ClockStep, TickClock, TickTime};
