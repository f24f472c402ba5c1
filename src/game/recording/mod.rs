//! A recorded world as bytes: what a spectator who sees everything would be told, frame by frame.
//!
//! ```text
//! header    what the world is made of, how fast it goes
//! block     a keyframe and what changed in the frames after it: about two seconds
//! block     ...
//! footer    where each block is; missing when the recorder was killed
//! ```
//!
//! Holds quantised rows and nothing of how they travel, so that a recording outlives every codec and can be what one
//! is made from. `docs/recording.md` has it byte by byte.
//!
//! Knows frames and bytes. Has no file and no compressor: the room `recording` reads and writes files with what is here.

mod block;
mod bytes;
mod delta;
mod error;
mod frame;
mod header;
mod index;
mod schema;
mod values;

pub use block::{BlockHead, BlockReader, BlockWriter};
pub use error::FormatError;
pub use frame::{RecordedFrame, RecordedRow};
pub use header::Header;
pub use index::{Index, IndexEntry};
pub use values::ValueRanges;

use core::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::proto::snapshot::Schema;

/// The version of the format. A reader knows exactly one.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a block before compression at which it ends. A keyframe of the largest world has eleven million; a usual
/// block has some tens of thousands and ends by its time.
pub const BLOCK_BYTES: usize = 4 << 20;

/// Bytes of one frame at most: every slot placed anew, each with a place, a generation, a kind and its values, none of
/// which needs more than five bytes; then its step, its end and its hash.
const FRAME_BYTES_MAX: usize =
    Schema::MAX_ENTITIES as usize * (5 + 3 + 1 + Schema::MAX_FIELDS * 5) + 5 + 1 + 8;

/// Bytes of a block at most, before compression and after it. What a file claims beyond that is refused before any memory
/// is asked for.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Frames of a block at most: two seconds at the highest tick rate are 480.
pub const BLOCK_FRAMES_MAX: u32 = 512;

/// Blocks of a recording at most: 24 days of two seconds each. The index of so many takes 25 MB.
pub const BLOCKS_MAX: usize = 1 << 20;

/// Bytes of a description of a world at most: 64 kinds of 32 fields whose names have a hundred letters take a quarter.
pub const HEADER_BYTES_MAX: usize = 1 << 20;

// A block that has not ended yet takes one more frame; so much has compression of what does not compress.
const _: () = assert!(BLOCK_BYTES + FRAME_BYTES_MAX + (BLOCK_BYTES_MAX >> 8) <= BLOCK_BYTES_MAX);

/// The checksum of this format: SipHash-1-3 with a key of zeros. It guards against damage, not against malice.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
