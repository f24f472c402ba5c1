//! Tickwire: an authoritative game server and an embeddable client over UDP.
//!
//! The journey of a datagram and the map of rooms are told in `docs/architecture.md`.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod id;
mod names;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
