//! The program as its users meet it: the real binary, its words, its exit codes and its manners.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::disallowed_methods,
    reason = "a real process is waited for in real time"
)]

mod bench;
mod demo;
mod files;
mod kit;
mod life;
mod record;
mod refusals;
mod settings;
mod train;
