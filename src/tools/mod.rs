//! Bots, the load test, bad networks under real sockets: what one needs before the launch, not after.

pub mod archive;
pub mod bench;
pub mod bots;
mod bundled;
pub mod demo;
pub mod descriptors;
pub mod replay;
pub mod report;
pub mod socket;
pub mod tokens;

pub use bundled::Bundled;
pub use socket::ConditionedSocket;
