//! From frames to the bytes of a recording: blocks are compressed and written as they are full, the index at the end.
//!
//! Knows an output. Has no thread and no queue, and never waits for anything but the output.

use std::io::Write;
use std::sync::Arc;

use super::RecordingError;
use super::pack::Packer;
use crate::game::recording::{
    BLOCK_FRAMES_MAX, BlockWriter, FormatError, Header, Index, IndexEntry,
};
use crate::proto::snapshot::{Schema, TickFrame};
use crate::time::Tick;

/// Seconds of a block. Longer ones have fewer keyframes and are smaller, shorter ones lose less when a recorder is killed and
/// are faster to seek in.
const BLOCK_SECONDS: u32 = 2;

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordingSummary {
    /// Frames.
    pub frames: u64,
    /// Blocks that they are in.
    pub blocks: u64,
    /// Frames that are missing because the recorder could not keep up.
    pub dropped: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// The ticks of the first and the last frame.
    pub ticks: Option<(Tick, Tick)>,
}

/// Writes a recording into an output.
pub struct RecordingWriter<W> {
    output: W,
    bytes: u64,
    schema: Arc<Schema>,
    block: BlockWriter,
    /// As many frames as a block gets.
    block_frames: u32,
    packer: Packer,
    index: Index,
    /// Frames dropped in front of the block that is collected.
    dropped: u32,
    newest: Option<Tick>,
    frames: u64,
}

impl<W: Write> RecordingWriter<W> {
    /// Begins a recording: the header is written at once.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Unwritable`] when the header describes no recording; whatever the output says.
    pub fn new(mut output: W, header: Header) -> Result<Self, RecordingError> {
        let bytes = header.to_bytes().map_err(RecordingError::Unwritable)?;
        output.write_all(&bytes)?;
        output.flush()?;
        let ticks = u32::from(header.tick_rate.hz()) * BLOCK_SECONDS;
        Ok(Self {
            output,
            bytes: bytes.len() as u64,
            schema: header.schema,
            block: BlockWriter::default(),
            block_frames: (ticks / header.snapshot_every).clamp(1, BLOCK_FRAMES_MAX),
            packer: Packer::new()?,
            index: Index::default(),
            dropped: 0,
            newest: None,
            frames: 0,
        })
    }

    /// Appends a frame. Nothing of it may be written before its block is full.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Schema`] and [`RecordingError::Unwritable`] for a frame of another world or out of order;
    /// whatever the output says. After an error nothing more should be written: what is there can be read.
    pub fn push(&mut self, frame: &TickFrame) -> Result<(), RecordingError> {
        if !Arc::ptr_eq(frame.schema(), &self.schema) && **frame.schema() != *self.schema {
            return Err(RecordingError::Schema);
        }
        let tick = frame.tick();
        if let Some(before) = self.newest.filter(|newest| *newest >= tick) {
            return Err(RecordingError::Unwritable(FormatError::Order {
                tick,
                before,
            }));
        }
        self.newest = Some(tick);
        self.block.push(frame);
        self.frames += 1;
        if self.block.is_full(self.block_frames) {
            self.end_block()?;
        }
        Ok(())
    }

    /// Notes that so many frames are missing here. The next one becomes a keyframe.
    ///
    /// # Errors
    ///
    /// Whatever the output says.
    pub fn note_dropped(&mut self, frames: u32) -> Result<(), RecordingError> {
        if frames > 0 {
            self.end_block()?;
            self.dropped = self.dropped.saturating_add(frames);
        }
        Ok(())
    }

    /// Writes what is left, and the index.
    ///
    /// # Errors
    ///
    /// Whatever the output says.
    pub fn finish(mut self) -> Result<(W, RecordingSummary), RecordingError> {
        self.end_block()?;
        self.index.dropped_after = self.dropped;
        let footer = self.index.to_bytes();
        self.write(&footer)?;
        let entries = &self.index.entries;
        let ticks = entries.first().zip(entries.last());
        let summary = RecordingSummary {
            frames: self.frames,
            blocks: entries.len() as u64,
            dropped: self.index.dropped(),
            bytes: self.bytes,
            ticks: ticks.map(|(first, last)| (first.first_tick, last.last_tick)),
        };
        Ok((self.output, summary))
    }

    fn end_block(&mut self) -> Result<(), RecordingError> {
        if self.block.frames() == 0 {
            return Ok(());
        }
        let packed = self.packer.pack(self.block.plain())?;
        // At most BLOCKS_MAX: the index takes no more.
        let number = self.index.entries.len() as u32;
        let head = self.block.head(number, self.dropped, &packed);
        let entry = IndexEntry::new(self.bytes, &head);
        self.index.push(entry).map_err(RecordingError::Unwritable)?;
        // In one piece, so that as little as can be is ever half written.
        let mut bytes = head.to_bytes();
        bytes.extend_from_slice(&packed);
        self.write(&bytes)?;
        self.dropped = 0;
        self.block.begin();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RecordingError> {
        self.output.write_all(bytes)?;
        self.output.flush()?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl<W> std::fmt::Debug for RecordingWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingWriter")
            .field("frames", &self.frames)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
