//! Recordings: what was shown is what is read, whatever happens to the world, to the recorder and to the file.
//!
//! A world is played from a seed. Where a test has many of them, a failure prints the smallest one that fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod golden;
mod kit;
mod recorder;
mod round_trip;
mod torn;
