//! The server that runs: shards, the tick loop and what they share.

pub mod admission;
pub mod socket;
