//! The game-loop client: std only, no runtime, no thread, nothing that waits.

pub mod clock;
pub mod interpolation;
mod scene;
pub mod socket;

pub use clock::{ClockStep, TickClock, TickTime};
pub use interpolation::Span;
pub use scene::{Drawn, Scene};
pub use socket::{DatagramSocket, SocketStats, StdSocket};
