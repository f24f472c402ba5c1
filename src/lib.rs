//! Tickwire: an authoritative game server and an embeddable client over UDP.
//!
//! The journey of a datagram and the map of rooms are told in `docs/architecture.md`.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// What the derives write says `::tickwire::`, in here as anywhere else.
extern crate self as tickwire;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(any(test, feature = "client"))]
pub mod client;
pub mod game;
pub mod id;
mod names;
#[cfg(any(test, feature = "server", feature = "tools"))]
pub mod netsim;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
#[cfg(feature = "tools")]
pub mod tools;

pub use proto::snapshot::{Replicate, ReplicateEnum};
