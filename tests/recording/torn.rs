//! A recorder that was killed: whatever of the file is there, its whole blocks can be read, and nothing else is claimed.

use std::io::Cursor;

use tickwire::game::recording::FormatError;
use tickwire::recording::{Ending, Recording, RecordingError};

use crate::kit::{World, read_all, record, small_schema};

#[test]
fn a_file_cut_off_at_any_byte_has_all_its_whole_blocks() {
    let mut world = World::new(&small_schema(), 7, 2);
    let recorded = record(&mut world, 50, &[10, 20, 40]);
    let whole = Recording::read(Cursor::new(&recorded.bytes)).expect("a recording");
    let blocks = whole.blocks().to_vec();
    assert_eq!(blocks.len(), 4);
    let header = blocks[0].offset as usize;
    // Where each block ends, and how many frames there are up to there.
    let mut ends: Vec<_> = blocks.iter().skip(1).map(|block| block.offset).collect();
    let footer = 12 + 24 * blocks.len() + 8 + 12;
    ends.push((recorded.bytes.len() - footer) as u64);

    for len in 0..recorded.bytes.len() {
        let bytes = &recorded.bytes[..len];
        let read = Recording::read(Cursor::new(bytes));
        if len < header {
            let error = read.expect_err("no header");
            let expected = if len < 16 {
                FormatError::NotARecording
            } else {
                FormatError::Cut
            };
            assert!(
                matches!(&error, RecordingError::Header(problem) if *problem == expected),
                "{len}: {error}"
            );
            continue;
        }
        let recording = read.expect("a header");
        let there = ends.iter().filter(|end| **end <= len as u64).count();
        let frames: u32 = blocks[..there].iter().map(|block| block.frames).sum();
        let end = if there == 0 {
            header as u64
        } else {
            ends[there - 1]
        };
        let bytes_torn = len as u64 - end;
        assert_eq!(recording.blocks(), &blocks[..there], "{len}");
        assert_eq!(recording.damage(), [], "{len}");
        let torn = Ending::Torn {
            at: end,
            bytes: bytes_torn,
        };
        assert_eq!(recording.ending(), torn, "{len}");
        let (read, errors) = read_all(bytes).expect("a header");
        assert!(errors.is_empty(), "{len}: {errors:?}");
        assert_eq!(read, recorded.frames[..frames as usize], "{len}");
    }
}

/// A file system that lost its power may have made the file longer than what it wrote.
#[test]
fn zeros_where_the_last_block_should_be_are_a_torn_end() {
    let mut world = World::new(&small_schema(), 8, 2);
    let recorded = record(&mut world, 30, &[10, 20]);
    let recording = Recording::read(Cursor::new(&recorded.bytes)).expect("a recording");
    let last = recording.blocks()[2].offset as usize;
    for from in [last, last + 10, last + 60] {
        let mut bytes = recorded.bytes.clone();
        bytes[from..].fill(0);
        let recording = Recording::read(Cursor::new(&bytes)).expect("a recording");
        let torn = Ending::Torn {
            at: last as u64,
            bytes: (bytes.len() - last) as u64,
        };
        assert_eq!(recording.ending(), torn);
        assert_eq!(recording.damage(), []);
        let (read, errors) = read_all(&bytes).expect("a recording");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(read, recorded.frames[..20]);
    }
}
