//! Why a recording cannot be written, or not be read.

use std::io;

use crate::game::recording::FormatError;

/// Why a recording cannot be written, or not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// There is a file of that name.
    #[error("this file exists, and a recording never overwrites one: move it away or name another")]
    Exists,
    /// The file cannot be made.
    #[error("the file cannot be made: {0}; its folder must be there, with the right to write")]
    Create(io::Error),
    /// The system did not read or write.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The beginning of the file is not that of a recording that this program reads.
    #[error(transparent)]
    Header(FormatError),
    /// A frame or a description that cannot be recorded.
    #[error("this cannot be recorded: {0}")]
    Unwritable(FormatError),
    /// A frame of another world than the one in the header.
    #[error("this cannot be recorded: the frame's schema is another than the recording's")]
    Schema,
    /// A block cannot be read.
    #[error("block {number} at byte {offset}: {problem}; {lost} frames are lost")]
    Block {
        /// Which block, counted from 0.
        number: usize,
        /// Where it begins.
        offset: u64,
        /// Frames of it that cannot be read.
        lost: u32,
        /// What is wrong with it.
        problem: FormatError,
    },
    /// The recorder's thread ended by a panic, which is a bug.
    #[error("the recorder's thread ended by a panic: this is a bug")]
    Panicked,
}
