//! Bots as they are used: against a real server on the loopback, with tokens from wherever they come, and from the
//! command line.
//!
//! Sockets, threads and time are real here, and the machine may be busy. So nothing is said about how fast something
//! was: every bound is one that only a bug breaks.
#![expect(
    clippy::disallowed_methods,
    reason = "real bots on real sockets: the test waits for what they do"
)]
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

mod command;
mod kit;
mod swarm;
mod tokens;
