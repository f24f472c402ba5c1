//! How peers talk. Pure: no clock, no socket, no thread, no randomness of the operating system.
//!
//! [`netcode`], [`channel`] and [`snapshot`] do not know each other and meet in the endpoints, [`server`] and
//! [`client`], which share one shape: pass in datagrams and the time, poll what is to be sent and what happened.
//!
//! Every byte is specified in `docs/protocol.md`, and a test holds the two against each other.

pub mod channel;
pub mod client;
pub mod control;
pub mod event;
pub mod input;
pub mod netcode;
pub mod server;
pub mod snapshot;
pub mod stats;
pub mod wire;
