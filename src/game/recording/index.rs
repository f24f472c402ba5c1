//! The last bytes of a recording that was closed: where each block is.
//!
//! Whoever has no index, because the recorder was killed, makes one by walking from head to head.

use super::{BLOCKS_MAX, BlockHead, FormatError, checksum};
use crate::proto::wire::ByteReader;
use crate::time::Tick;

/// One block as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Where its head begins, in bytes from the start of the file.
    pub offset: u64,
    /// The tick of its first frame.
    pub first_tick: Tick,
    /// The tick of its last frame.
    pub last_tick: Tick,
    /// How many frames it has.
    pub frames: u32,
    /// Frames that the recorder had to drop directly before it.
    pub dropped: u32,
}

impl IndexEntry {
    const LEN: usize = 24;

    /// The entry of a block.
    #[must_use]
    pub const fn new(offset: u64, head: &BlockHead) -> Self {
        Self {
            offset,
            first_tick: head.first_tick,
            last_tick: head.last_tick,
            frames: head.frames,
            dropped: head.dropped,
        }
    }

    /// Whether a head is the one this entry is about.
    #[must_use]
    pub fn is_of(&self, head: &BlockHead) -> bool {
        *self == Self::new(self.offset, head)
    }
}

/// Where each block is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// The blocks, in order.
    pub entries: Vec<IndexEntry>,
    /// Frames that the recorder had to drop behind the last block.
    pub dropped_after: u32,
}

impl Index {
    /// Bytes at the very end from which the length of a footer can be told.
    pub const SUFFIX: usize = 12;

    const MAGIC: [u8; 4] = *b"twix";
    const END: [u8; 8] = *b"tickwend";
    /// Magic, number of blocks, dropped frames, checksum.
    const FIXED: usize = 4 + 4 + 4 + 8;

    /// Adds a block, which must be behind all others.
    ///
    /// # Errors
    ///
    /// [`FormatError::Order`] when its ticks are not after the others', [`FormatError::Block`] when its place is not,
    /// [`FormatError::TooLarge`] when there are as many blocks as there may be.
    pub fn push(&mut self, entry: IndexEntry) -> Result<(), FormatError> {
        let number = self.entries.len();
        if number >= BLOCKS_MAX {
            return Err(FormatError::TooLarge {
                what: "recording's number of blocks",
                size: number as u64 + 1,
                max: BLOCKS_MAX as u64,
            });
        }
        if let Some(last) = self.entries.last() {
            if entry.first_tick <= last.last_tick {
                return Err(FormatError::Order {
                    tick: entry.first_tick,
                    before: last.last_tick,
                });
            }
            if entry.offset < last.offset.saturating_add(BlockHead::LEN as u64) {
                return Err(FormatError::Block(number as u32));
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All frames that the recorder had to drop.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let before: u64 = self.entries.iter().map(|e| u64::from(e.dropped)).sum();
        before + u64::from(self.dropped_after)
    }

    /// The footer: the index as bytes, its length and the mark of the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Self::MAGIC.to_vec();
        // At most BLOCKS_MAX.
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.dropped_after.to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.offset.to_le_bytes());
            for number in [
                entry.first_tick.0,
                entry.last_tick.0,
                entry.frames,
                entry.dropped,
            ] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        bytes.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&Self::END);
        bytes
    }

    /// How many bytes the index in front of a file's last bytes has; `None` when these are not the end of a recording
    /// that was closed.
    #[must_use]
    pub fn len_from(suffix: &[u8; Self::SUFFIX]) -> Option<usize> {
        let mut bytes = ByteReader::new(suffix);
        let len = bytes.u32()? as usize;
        let allowed = Self::FIXED..=Self::FIXED + BLOCKS_MAX * IndexEntry::LEN;
        (bytes.array() == Some(Self::END) && allowed.contains(&len)).then_some(len)
    }

    /// Reads an index of the length that [`Self::len_from`] told.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it.
    pub fn from_bytes(index: &[u8]) -> Result<Self, FormatError> {
        let (body, sum) = index
            .split_last_chunk::<{ size_of::<u64>() }>()
            .ok_or(FormatError::Cut)?;
        let mut bytes = ByteReader::new(body);
        if bytes.array() != Some(Self::MAGIC) || checksum(body) != u64::from_le_bytes(*sum) {
            return Err(FormatError::Checksum("index"));
        }
        let blocks = bytes.u32().ok_or(FormatError::Cut)?;
        let dropped_after = bytes.u32().ok_or(FormatError::Cut)?;
        let mut index = Self {
            entries: Vec::new(),
            dropped_after,
        };
        for _ in 0..blocks {
            let offset = bytes.u64().ok_or(FormatError::Cut)?;
            let mut number = || bytes.u32().ok_or(FormatError::Cut);
            index.push(IndexEntry {
                offset,
                first_tick: Tick(number()?),
                last_tick: Tick(number()?),
                frames: number()?,
                dropped: number()?,
            })?;
        }
        match bytes.remaining() {
            0 => Ok(index),
            more => Err(FormatError::TooMany(more)),
        }
    }
}
