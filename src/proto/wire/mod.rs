//! Bytes and bits without meaning.
//!
//! Readers never panic, never read past the end and never allocate: each step is an [`Option`], and
//! `None` means that the peer wrote less than it promised. Writers write into memory that the caller
//! owns and say when it is full.

mod bits;
mod bytes;
mod sequence;

pub use bits::{BitBuffer, BitReader, bits_for};
pub use bytes::{ByteReader, ByteWriter, varint_len};
pub use sequence::widen;
