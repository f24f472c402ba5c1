//! Compression of blocks: the one file that names zstd.
//!
//! Each block is one zstd frame of its own. What a block claims to become is bounded before memory is asked for.

use std::io;

use zstd::bulk::{Compressor, Decompressor};

use crate::game::recording::{BLOCK_BYTES_MAX, FormatError};

/// Level 9 saves 2 to 4 % more of the arena's bytes, level 1 costs 2 to 5 %: see `docs/decisions/0005-recording-format.md`.
const LEVEL: i32 = 3;

/// Compresses blocks.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    pub(super) fn pack(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        self.0.compress(plain)
    }
}

/// Brings blocks back.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Decompressor::new().map(Self)
    }

    /// The bytes of a block, of which there must be exactly so many.
    pub(super) fn unpack(&mut self, packed: &[u8], len: usize) -> Result<Vec<u8>, FormatError> {
        let wrong = || FormatError::Checksum("block's compressed frames");
        // No more than this is ever asked for, whatever the compressed bytes say.
        let capacity = len.min(BLOCK_BYTES_MAX);
        let plain = self.0.decompress(packed, capacity).map_err(|_| wrong())?;
        if plain.len() == len {
            Ok(plain)
        } else {
            Err(wrong())
        }
    }
}
