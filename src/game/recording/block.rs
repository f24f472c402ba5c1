//! A block: a keyframe and the frames after it, as one unit that can be read without any other.
//!
//! Its head says which ticks it holds and how long it is, so that a reader can walk from head to head; what is behind
//! the head is compressed by whoever writes the file.

use std::sync::Arc;

use super::delta::{delta, put_delta};
use super::frame::RecordedFrame;
use super::values::ValueRanges;
use super::{BLOCK_BYTES, BLOCK_BYTES_MAX, BLOCK_FRAMES_MAX, FormatError, checksum};
use crate::proto::snapshot::TickFrame;
use crate::proto::wire::ByteReader;
use crate::time::Tick;

/// What a block's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHead {
    /// Which block of the recording, counted from 0.
    pub number: u32,
    /// The tick of its first frame.
    pub first_tick: Tick,
    /// The tick of its last frame.
    pub last_tick: Tick,
    /// How many frames it has, 1 to 512.
    pub frames: u32,
    /// Frames that the recorder had to drop directly before this block.
    pub dropped: u32,
    /// Bytes of its frames.
    pub plain_len: u32,
    /// Bytes of them compressed, which follow the head.
    pub packed_len: u32,
    /// [`checksum`] of the compressed bytes.
    pub packed_sum: u64,
}

impl BlockHead {
    /// The first bytes of a head.
    pub const MAGIC: [u8; 4] = *b"twbk";
    /// Bytes of a head.
    pub const LEN: usize = 48;

    /// The head as bytes, its own checksum last.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Self::MAGIC.to_vec();
        for number in [
            self.number,
            self.first_tick.0,
            self.last_tick.0,
            self.frames,
            self.dropped,
            self.plain_len,
            self.packed_len,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.packed_sum.to_le_bytes());
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a head.
    ///
    /// # Errors
    ///
    /// [`FormatError::Checksum`] for bytes that are none; [`FormatError::TooLarge`], [`FormatError::Order`].
    pub fn from_bytes(head: &[u8; Self::LEN]) -> Result<Self, FormatError> {
        let (body, sum) = head
            .split_last_chunk::<{ size_of::<u64>() }>()
            .ok_or(FormatError::Cut)?;
        let mut bytes = ByteReader::new(body);
        if bytes.array() != Some(Self::MAGIC) || checksum(body) != u64::from_le_bytes(*sum) {
            return Err(FormatError::Checksum("block's head"));
        }
        let mut number = || bytes.u32().ok_or(FormatError::Cut);
        let head = Self {
            number: number()?,
            first_tick: Tick(number()?),
            last_tick: Tick(number()?),
            frames: number()?,
            dropped: number()?,
            plain_len: number()?,
            packed_len: number()?,
            packed_sum: bytes.u64().ok_or(FormatError::Cut)?,
        };
        head.check().map(|()| head)
    }

    fn check(&self) -> Result<(), FormatError> {
        let bytes = BLOCK_BYTES_MAX as u64;
        let limits = [
            ("block's plain length", self.plain_len, bytes),
            ("block's packed length", self.packed_len, bytes),
            (
                "block's number of frames",
                self.frames,
                BLOCK_FRAMES_MAX.into(),
            ),
        ];
        for (what, size, max) in limits {
            let size = u64::from(size);
            if size > max {
                return Err(FormatError::TooLarge { what, size, max });
            }
        }
        if self.frames == 0 || self.last_tick < self.first_tick {
            return Err(FormatError::Order {
                tick: self.last_tick,
                before: self.first_tick,
            });
        }
        Ok(())
    }

    /// Bytes of head and compressed frames.
    #[must_use]
    pub const fn size(&self) -> u64 {
        Self::LEN as u64 + self.packed_len as u64
    }
}

/// Collects the frames of one block after the other.
#[derive(Debug, Default)]
pub struct BlockWriter {
    plain: Vec<u8>,
    before: RecordedFrame,
    now: RecordedFrame,
    first_tick: Tick,
    frames: u32,
}

impl BlockWriter {
    /// Appends a frame: a keyframe when it is the block's first one. Its tick is after that of the frame before.
    pub fn push(&mut self, frame: &TickFrame) {
        self.now.copy_from(frame);
        if self.frames == 0 {
            self.first_tick = self.now.tick();
            self.before.begin(self.first_tick);
        }
        put_delta(&mut self.plain, &self.before, &self.now);
        core::mem::swap(&mut self.before, &mut self.now);
        self.frames += 1;
    }

    /// Frames of the block so far.
    #[must_use]
    pub const fn frames(&self) -> u32 {
        self.frames
    }

    /// Whether the block must end here, having so many frames or so many bytes.
    #[must_use]
    pub const fn is_full(&self, frames: u32) -> bool {
        self.frames >= frames || self.frames >= BLOCK_FRAMES_MAX || self.plain.len() >= BLOCK_BYTES
    }

    /// The block's frames as bytes.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The head for a block whose frames became `packed`.
    #[must_use]
    pub fn head(&self, number: u32, dropped: u32, packed: &[u8]) -> BlockHead {
        BlockHead {
            number,
            first_tick: self.first_tick,
            last_tick: self.before.tick(),
            frames: self.frames,
            dropped,
            // Both are bounded by BLOCK_BYTES_MAX.
            plain_len: self.plain.len() as u32,
            packed_len: packed.len() as u32,
            packed_sum: checksum(packed),
        }
    }

    /// Begins the next block and keeps the memory.
    pub fn begin(&mut self) {
        self.plain.clear();
        self.frames = 0;
    }
}

/// Reads the frames of one block in order.
#[derive(Debug)]
pub struct BlockReader {
    plain: Vec<u8>,
    at: usize,
    left: u32,
    last_tick: Tick,
    before: Arc<RecordedFrame>,
}

impl BlockReader {
    /// A reader at the start of a block whose frames are these bytes.
    #[must_use]
    pub fn new(head: &BlockHead, plain: Vec<u8>) -> Self {
        let mut empty = RecordedFrame::default();
        empty.begin(head.first_tick);
        Self {
            plain,
            at: 0,
            left: head.frames,
            last_tick: head.last_tick,
            before: Arc::new(empty),
        }
    }

    /// How many frames have not been read yet.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// The next frame, verified; `None` at the end.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it. What follows builds on it and cannot be read.
    pub fn read(
        &mut self,
        ranges: &ValueRanges,
    ) -> Result<Option<Arc<RecordedFrame>>, FormatError> {
        if self.left == 0 {
            return Ok(None);
        }
        let is_first = self.at == 0;
        let mut bytes = ByteReader::new(self.plain.get(self.at..).unwrap_or_default());
        let frame = Arc::new(delta(&mut bytes, &self.before, ranges)?);
        let (tick, before) = (frame.tick(), self.before.tick());
        if is_first != (tick == before) || tick > self.last_tick {
            return Err(FormatError::Order { tick, before });
        }
        self.left -= 1;
        self.at = self.plain.len() - bytes.remaining();
        if self.left == 0 {
            self.check_end(tick, bytes.remaining())?;
        }
        self.before = Arc::clone(&frame);
        Ok(Some(frame))
    }

    const fn check_end(&self, tick: Tick, more: usize) -> Result<(), FormatError> {
        if more > 0 {
            return Err(FormatError::TooMany(more));
        }
        if tick.0 != self.last_tick.0 {
            let before = self.last_tick;
            return Err(FormatError::Order { tick, before });
        }
        Ok(())
    }
}
