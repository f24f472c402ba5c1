//! Bytes that are not those that were written, and files that lie: a named error, never a wrong frame, never a panic, and
//! never more memory than a block may have.

use std::io::Cursor;

use proptest::prelude::*;
use tickwire::game::recording::{
    BLOCK_BYTES_MAX, BlockHead, FormatError, HEADER_BYTES_MAX, Header, Index, IndexEntry, checksum,
};
use tickwire::recording::{Ending, Recording, RecordingError};
use tickwire::time::Tick;

use crate::kit::{Plain, Recorded, World, read_all, record, small_schema};

fn recorded() -> Recorded {
    record(&mut World::new(&small_schema(), 9, 2), 40, &[10, 20, 30])
}

/// Whether everything read was shown, in this order.
fn is_part_of(read: &[Plain], shown: &[Plain]) -> bool {
    let mut shown = shown.iter();
    read.iter().all(|frame| shown.any(|other| other == frame))
}

/// Whether a reader noticed that these are not the bytes of the recording.
fn is_noticed(bytes: &[u8], shown: &[Plain]) -> bool {
    let Ok(recording) = Recording::read(Cursor::new(bytes)) else {
        return true;
    };
    let said = recording.ending() != Ending::Clean || !recording.damage().is_empty();
    let Ok((read, errors)) = read_all(bytes) else {
        return true;
    };
    assert!(is_part_of(&read, shown), "a frame that was never shown");
    said || !errors.is_empty()
}

#[test]
fn every_changed_byte_is_noticed() {
    let Recorded { frames, bytes } = recorded();
    assert!(!is_noticed(&bytes, &frames));
    for at in 0..bytes.len() {
        let flip = [0x01, 0x80, 0xff][at % 3];
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        assert!(is_noticed(&changed, &frames), "byte {at} ^ {flip:#x}");
    }
}

#[test]
fn one_damaged_block_costs_its_own_frames_only() {
    let Recorded { frames, bytes } = recorded();
    let recording = Recording::read(Cursor::new(&bytes)).expect("a recording");
    let second = recording.blocks()[1];
    let mut changed = bytes.clone();
    changed[second.offset as usize + 60] ^= 4;
    let (read, errors) = read_all(&changed).expect("a recording");
    assert_eq!(read, [&frames[..10], &frames[20..]].concat());
    assert_eq!(errors.len(), 1);
    assert!(
        matches!(errors[0], RecordingError::Block { number: 1, offset, lost: 10, .. } if offset == second.offset),
        "{errors:?}"
    );
}

/// Without an index the blocks behind a damaged head are found all the same.
#[test]
fn a_damaged_head_without_an_index_is_damage_and_no_torn_end() {
    let Recorded { frames, bytes } = recorded();
    let whole = Recording::read(Cursor::new(&bytes)).expect("a recording");
    let (second, third) = (whole.blocks()[1].offset, whole.blocks()[2].offset);
    let mut changed = bytes.clone();
    changed[second as usize + 9] ^= 4;
    changed.truncate(bytes.len() - 1);
    let recording = Recording::read(Cursor::new(&changed)).expect("a recording");
    assert!(matches!(recording.ending(), Ending::Torn { .. }));
    let damage = recording.damage();
    assert_eq!(damage.len(), 1);
    assert_eq!((damage[0].at, damage[0].bytes), (second, third - second));
    let (read, _) = read_all(&changed).expect("a recording");
    assert_eq!(read, [&frames[..10], &frames[20..]].concat());
}

#[test]
fn a_block_that_was_cut_out_is_missed() {
    let Recorded { frames, bytes } = recorded();
    let whole = Recording::read(Cursor::new(&bytes)).expect("a recording");
    let (second, third) = (whole.blocks()[1].offset, whole.blocks()[2].offset);
    let mut changed = bytes.clone();
    changed.drain(second as usize..third as usize);
    assert!(is_noticed(&changed, &frames));
    let recording = Recording::read(Cursor::new(&changed)).expect("a recording");
    assert_eq!(recording.damage()[0].at, second);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_moved_about_are_noticed(seed: u64, at: prop::sample::Index, len in 1_usize..200, to: prop::sample::Index) {
        let Recorded { frames, bytes } = record(&mut World::new(&small_schema(), seed, 2), 12, &[5]);
        let mut changed = bytes.clone();
        let at = at.index(bytes.len());
        let piece: Vec<_> = changed.drain(at..(at + len).min(bytes.len())).collect();
        let to = to.index(changed.len());
        changed.splice(to..to, piece);
        prop_assume!(changed != bytes);
        prop_assert!(is_noticed(&changed, &frames));
    }

    #[test]
    fn noise_is_no_recording(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Recording::read(Cursor::new(&bytes)).is_err());
    }

    #[test]
    fn noise_behind_a_header_is_a_torn_end(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = World::new(&small_schema(), 1, 2).header().to_bytes().expect("valid");
        let len = bytes.len() as u64;
        bytes.extend(&noise);
        let recording = Recording::read(Cursor::new(&bytes)).expect("a header");
        prop_assert_eq!(recording.ending(), Ending::Torn { at: len, bytes: noise.len() as u64 });
    }
}

/// Everything about a file may be a lie with the right checksums. Sizes are refused before memory is asked for.
#[test]
fn sizes_that_lie_are_refused_by_name() {
    let mut header = World::new(&small_schema(), 1, 2)
        .header()
        .to_bytes()
        .expect("valid");
    let end = header.len() as u64;
    let head = BlockHead {
        number: 0,
        first_tick: Tick(2),
        last_tick: Tick(4),
        frames: 2,
        dropped: 0,
        plain_len: BLOCK_BYTES_MAX as u32,
        packed_len: 16,
        packed_sum: checksum(&[7; 16]),
    };
    let too_large = [
        BlockHead {
            plain_len: BLOCK_BYTES_MAX as u32 + 1,
            ..head
        },
        BlockHead {
            packed_len: u32::MAX,
            ..head
        },
        BlockHead {
            frames: 513,
            ..head
        },
    ];
    for lie in too_large {
        let bytes = lie.to_bytes();
        let read = BlockHead::from_bytes(bytes.first_chunk().expect("48 bytes"));
        assert!(
            matches!(read, Err(FormatError::TooLarge { .. })),
            "{read:?}"
        );
    }
    // What claims to become sixteen million bytes and is no compressed frame.
    let mut file = header.clone();
    file.extend(head.to_bytes());
    file.extend([7; 16]);
    let index = Index {
        entries: vec![IndexEntry::new(end, &head)],
        dropped_after: 0,
    };
    file.extend(index.to_bytes());
    let (read, errors) = read_all(&file).expect("a header");
    assert_eq!((read.len(), errors.len()), (0, 1));

    header[12..16].copy_from_slice(&(HEADER_BYTES_MAX as u32 + 1).to_le_bytes());
    let prefix = header.first_chunk().expect("longer");
    assert!(matches!(
        Header::len_from(prefix),
        Err(FormatError::TooLarge { .. })
    ));
    header[8] = 2;
    let prefix = header.first_chunk().expect("longer");
    let error = Header::len_from(prefix).expect_err("another version");
    assert_eq!(
        error.to_string(),
        "this is a recording of format 2; this program reads format 1"
    );
}
