//! A recording, read: found block by block, decoded frame by frame, each frame held against its hash.
//!
//! Memory is that of one block, of two frames and of the index, whatever the file says.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::RecordingError;
use super::pack::Unpacker;
use super::walk::{Damage, Ending, Found, find, read_at, read_head};
use crate::game::recording::{
    BlockHead, BlockReader, FormatError, Header, IndexEntry, RecordedFrame, ValueRanges, checksum,
};
use crate::proto::snapshot::Schema;
use crate::time::Tick;

/// A recording that was opened: its header was read and its blocks were found.
pub struct Recording<R = File> {
    source: R,
    len: u64,
    header: Header,
    ranges: ValueRanges,
    found: Found,
    unpacker: Unpacker,
}

impl Recording<File> {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and what the system says of the file.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::read(File::open(path)?)
    }
}

impl<R: Read + Seek> Recording<R> {
    /// Reads the header and finds the blocks.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Header`] when this is no recording, or one of another version; what the source says. A torn end or
    /// damaged blocks are no error: see [`Self::ending`] and [`Self::damage`].
    pub fn read(mut source: R) -> Result<Self, RecordingError> {
        let len = source.seek(SeekFrom::End(0))?;
        let header_error = RecordingError::Header;
        let mut prefix = [0; Header::PREFIX];
        if len < prefix.len() as u64 {
            return Err(header_error(FormatError::NotARecording));
        }
        read_at(&mut source, 0, &mut prefix)?;
        let header_len = Header::len_from(&prefix).map_err(header_error)?;
        if len < header_len as u64 {
            return Err(header_error(FormatError::Cut));
        }
        let mut bytes = vec![0; header_len];
        read_at(&mut source, 0, &mut bytes)?;
        let header = Header::from_bytes(&bytes).map_err(header_error)?;
        let found = find(&mut source, header_len as u64, len)?;
        Ok(Self {
            ranges: ValueRanges::new(&header.schema),
            unpacker: Unpacker::new()?,
            source,
            len,
            header,
            found,
        })
    }

    /// What it is a recording of.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What the recorded world is made of.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.header.schema
    }

    /// Bytes in all.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.len
    }

    /// How it ends.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.found.ending
    }

    /// Parts that are not what was written, as far as finding the blocks shows. What is wrong inside of a block is an error
    /// of [`Self::frames`].
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.found.damage
    }

    /// The blocks that were found.
    #[must_use]
    pub fn blocks(&self) -> &[IndexEntry] {
        &self.found.index.entries
    }

    /// Frames that are missing because the recorder could not keep up, as far as what can be read tells.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.found.index.dropped()
    }

    /// All frames, in order.
    pub const fn frames(&mut self) -> Frames<'_, R> {
        self.seek_block(0, Tick(0))
    }

    /// The frames from a tick on, in order: the first one is that of this tick, or of the next one that has a frame.
    pub fn seek(&mut self, tick: Tick) -> Frames<'_, R> {
        let block = self
            .blocks()
            .partition_point(|entry| entry.last_tick < tick);
        self.seek_block(block, tick)
    }

    const fn seek_block(&mut self, block: usize, from: Tick) -> Frames<'_, R> {
        Frames {
            recording: self,
            next: block,
            from,
            block: None,
        }
    }

    /// The head of a block and a reader of its frames.
    fn open_block(&mut self, entry: &IndexEntry) -> Result<BlockReader, Wrong> {
        let room = self.len.saturating_sub(entry.offset);
        if room < BlockHead::LEN as u64 {
            return Err(FormatError::Cut.into());
        }
        let head = read_head(&mut self.source, entry.offset)??;
        if !entry.is_of(&head) {
            return Err(FormatError::Block(head.number).into());
        }
        if room < head.size() {
            return Err(FormatError::Cut.into());
        }
        // At most BLOCK_BYTES_MAX, and no more than the file has.
        let mut packed = vec![0; head.packed_len as usize];
        let at = entry.offset + BlockHead::LEN as u64;
        read_at(&mut self.source, at, &mut packed)?;
        if checksum(&packed) != head.packed_sum {
            return Err(FormatError::Checksum("block").into());
        }
        let plain = self.unpacker.unpack(&packed, head.plain_len as usize)?;
        Ok(BlockReader::new(&head, plain))
    }
}

impl<R> std::fmt::Debug for Recording<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("header", &self.header)
            .field("ending", &self.found.ending)
            .field("blocks", &self.found.index.entries.len())
            .finish_non_exhaustive()
    }
}

/// Why a block cannot be opened: the source or the block.
enum Wrong {
    Source(io::Error),
    Block(FormatError),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

impl From<FormatError> for Wrong {
    fn from(error: FormatError) -> Self {
        Self::Block(error)
    }
}

/// The frames of a recording, in order, each verified.
///
/// After an error it goes on with the next block: what builds on a frame that cannot be read cannot be read either.
pub struct Frames<'a, R = File> {
    recording: &'a mut Recording<R>,
    /// The block to open next.
    next: usize,
    from: Tick,
    block: Option<BlockReader>,
}

impl<R: Read + Seek> Frames<'_, R> {
    fn open_next(&mut self) -> Option<Result<BlockReader, RecordingError>> {
        let entry = *self.recording.blocks().get(self.next)?;
        self.next += 1;
        let opened = self.recording.open_block(&entry);
        Some(opened.map_err(|wrong| match wrong {
            Wrong::Source(error) => error.into(),
            Wrong::Block(problem) => self.problem(problem, entry.frames),
        }))
    }

    /// What is wrong with the block opened last.
    fn problem(&self, problem: FormatError, lost: u32) -> RecordingError {
        let number = self.next.saturating_sub(1);
        let entry = self.recording.blocks().get(number);
        RecordingError::Block {
            number,
            offset: entry.map_or(0, |entry| entry.offset),
            lost,
            problem,
        }
    }
}

impl<R: Read + Seek> Iterator for Frames<'_, R> {
    type Item = Result<Arc<RecordedFrame>, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut block = match self.block.take() {
                Some(block) => block,
                None => match self.open_next()? {
                    Ok(block) => block,
                    Err(error) => return Some(Err(error)),
                },
            };
            match block.read(&self.recording.ranges) {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.block = Some(block);
                    if frame.tick() >= self.from {
                        return Some(Ok(frame));
                    }
                }
                Err(problem) => return Some(Err(self.problem(problem, block.left()))),
            }
        }
    }
}

impl<R> std::fmt::Debug for Frames<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames")
            .field("next_block", &self.next)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}
