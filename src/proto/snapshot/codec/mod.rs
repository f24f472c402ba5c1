//! The codec: from what both ends hold of an entity to the bits that tell what it is now.
//!
//! ```text
//! shape     the groups of a kind: what changes together, and how it is told
//! motion    where a value will be, from up to three ticks
//! tables    what both ends know beforehand: weights, levels, contexts, prefix codes
//! context   what is expected of one entity, and how surprising a difference would be
//! chunk     what it is, from what was expected
//! ```
//!
//! Driven by the schema alone. A chunk is a function of one entity's rows at ticks that both ends
//! have, and of the tables: no state is carried from one to the next, so chunks can be made once for
//! everybody, put together like words, and lost. Knows one entity at a time. Has no idea of clients,
//! frames or parts. Section 8.5 of `docs/protocol.md`.

mod builtin;
mod chunk;
mod context;
mod file;
mod motion;
mod prefix;
mod residual;
mod shape;
mod tables;
#[cfg(feature = "tools")]
pub mod train;

pub(super) use builtin::tables as builtin_tables;
pub(super) use chunk::{Chunker, Unchunker, Words};
pub(super) use context::Past;
pub use file::TablesError;
pub use tables::Tables;
pub(super) use tables::{Class, KindTables, Lags};
