//! How peers talk. Pure: no clock, no socket, no thread, no randomness of the operating system.

pub mod channel;
pub mod netcode;
pub mod snapshot;
pub mod wire;
