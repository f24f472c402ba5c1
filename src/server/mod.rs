//! The server that runs: shards on their threads, the world on its own, and what they share.

pub mod admission;
pub mod clock;
pub mod directory;
pub mod histogram;
pub mod signal;
pub mod socket;
