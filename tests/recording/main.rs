//! Recordings: what was shown is what is read, whatever happens to the world, to the recorder and to the file.
//!
//! `SEED=n cargo test --test recording` plays one world again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod golden;
mod kit;
mod recorder;
mod round_trip;
mod torn;
