//! The server under attack, on real sockets, while sixteen honest clients use it.
//!
//! A short dose of each attack runs with the other tests. The doses that `docs/reliability.md` promises, with their
//! figures printed:
//!
//! ```text
//! TICKWIRE_ATTACKS=full cargo test --release --test attacks -- --nocapture --test-threads 1
//! ```
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "attacks happen in real time, and their figures are printed"
)]
#![allow(unreachable_pub, missing_docs, reason = "a test is nobody's library")]

mod insiders;
mod kit;
mod servers;
mod strangers;
