//! The server that runs: shards on their threads, the world on its own, and what they share.
//!
//! ```text
//! clients <-> shard (socket, admission, endpoint)   -- events, bounded -->   tick loop (simulation)
//!             one thread each                       <-- newest frame ----    one thread
//!                                                   <-- messages, bounded
//! ```
//!
//! A [`ServerConfig`] says how, [`Server::bind`] opens the sockets, [`Server::start`] starts the threads
//! and [`ServerHandle::shutdown`] ends them, after every client was told why. All threads are the server's
//! own: a caller needs no runtime, except for [`Server::run`].

pub mod admin;
pub mod admission;
pub mod clock;
mod config;
mod control;
pub mod directory;
pub mod figures;
pub mod histogram;
mod issue;
pub mod metrics;
mod shard;
pub mod signal;
pub mod socket;
mod start;
mod tick;

pub use config::{ConfigError, MAX_CLIENTS, MAX_SHARDS, ServerConfig};
pub use control::{ClientState, ServerControl, ServerHandle, Standing};
pub use issue::{IssueError, TokenIssuer, random_key};
pub use socket::PacketIo;
pub use start::{Server, ServerError};
pub use tick::FrameHook;
