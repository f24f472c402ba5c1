//! The admin port on real loopback HTTP: what it answers, whom it refuses, and what it says about the server.
//!
//! Everything here waits for something to happen, at most [`PATIENCE`], and never for a time to pass.
#![cfg(all(feature = "server", feature = "client"))]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod commands;
mod documents;
mod exposition;
mod health;
mod http;
mod kit;
mod refusals;
mod scrape;

use std::time::Duration;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);
