//! How the connection is, for a corner of the screen and for a report.

use core::time::Duration;

use crate::proto::stats::Traffic;

/// A look at the connection at one moment. Traffic counts from the start, in UDP payload.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClientStats {
    /// The smoothed round trip; `None` before the first one was measured.
    pub rtt: Option<Duration>,
    /// How much the round trip changes from one sample to the next.
    pub jitter: Duration,
    /// The share of our datagrams lost lately, 0 to 1.
    pub loss: f32,
    /// What was sent.
    pub up: Traffic,
    /// What was received, refused or not.
    pub down: Traffic,
    /// Datagrams, or parts of them, that were refused; by name in [`Client::endpoint`](super::Client::endpoint).
    pub rejected: u64,
    /// How old the newest snapshot is, in the server's time as we estimate it; `None` before the first one.
    pub snapshot_age: Option<Duration>,
    /// How far behind the newest arrivals the world is drawn.
    pub interpolation_delay: Duration,
    /// How far ahead of the server's time inputs are sent.
    pub input_lead: Duration,
    /// Times that the socket failed and a fresh one was asked for.
    pub socket_failures: u64,
}
