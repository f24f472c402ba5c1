//! What was shown is what is read: every frame, from the start and from anywhere.

use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;
use tickwire::game::recording::{
    BlockHead, BlockReader, BlockWriter, FormatError, Header, ValueRanges,
};
use tickwire::recording::{Ending, Recording, RecordingError, RecordingWriter};
use tickwire::time::{Tick, TickRate};

use crate::kit::{World, any_schema, read, read_all, record, small_schema};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_world_comes_back_frame_by_frame(
        schema in any_schema(),
        seed: u64,
        every in 1_u32..5,
        frames in 0_usize..160,
        cuts in prop::collection::vec(0_usize..160, 0..3),
    ) {
        let mut world = World::new(&schema, seed, every);
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < frames).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let recorded = record(&mut world, frames, &cuts);
        let (read, errors) = read_all(&recorded.bytes).expect("a recording");
        prop_assert!(errors.is_empty(), "{:?}", errors);
        prop_assert_eq!(read, recorded.frames);

        let recording = Recording::read(Cursor::new(&recorded.bytes)).expect("a recording");
        prop_assert_eq!(recording.header(), &world.header());
        prop_assert_eq!(recording.ending(), Ending::Clean);
        prop_assert_eq!(recording.dropped(), cuts.len() as u64);
    }

    #[test]
    fn a_header_comes_back(schema in any_schema(), hz in 1_u16..=240, every in 1_u32..100) {
        let header = Header::new(schema, TickRate::new(hz).expect("1 to 240"), every);
        let bytes = header.to_bytes().expect("short names");
        let prefix = bytes.first_chunk().expect("longer");
        prop_assert_eq!(Header::len_from(prefix), Ok(bytes.len()));
        prop_assert_eq!(Header::from_bytes(&bytes), Ok(header));
    }

    #[test]
    fn seeking_is_scanning_from_there(seed: u64, every in 1_u32..4, frames in 1_usize..400) {
        let recorded = record(&mut World::new(&small_schema(), seed, every), frames, &[frames / 3]);
        let mut recording = Recording::read(Cursor::new(&recorded.bytes)).expect("a recording");
        let last = recorded.frames.last().expect("one at least").0;
        for from in [0, 1, last.0 / 3, last.0 / 2, last.0 / 2 + 1, last.0, last.0 + 1, u32::MAX] {
            let found: Vec<_> = recording.seek(Tick(from)).map(|frame| read(&frame.expect("whole"))).collect();
            let scanned: Vec<_> = recorded.frames.iter().filter(|frame| frame.0.0 >= from).cloned().collect();
            prop_assert_eq!(found, scanned, "from tick {}", from);
        }
    }
}

#[test]
fn a_block_holds_two_seconds_and_can_be_read_alone() {
    let mut world = World::new(&small_schema(), 3, 2);
    let recorded = record(&mut world, 150, &[]);
    let mut recording = Recording::read(Cursor::new(&recorded.bytes)).expect("a recording");
    let blocks: Vec<_> = recording
        .blocks()
        .iter()
        .map(|block| block.frames)
        .collect();
    assert_eq!(blocks, [60, 60, 30]);
    let third = recording.blocks()[2].first_tick;
    let frame = recording.seek(third).next().expect("there").expect("whole");
    assert_eq!(read(&frame), recorded.frames[120]);
}

#[test]
fn a_frame_of_another_world_or_out_of_order_is_refused() {
    let mut world = World::new(&small_schema(), 4, 1);
    let (first, second) = (world.next(), world.next());
    let mut writer = RecordingWriter::new(Vec::new(), world.header()).expect("a vector");
    writer.push(&second).expect("the first one");
    for again in [&second, &first] {
        let refused = writer.push(again);
        assert!(matches!(
            refused,
            Err(RecordingError::Unwritable(FormatError::Order { .. }))
        ));
    }
    let other = Arc::new(
        tickwire::proto::snapshot::Schema::clone(&small_schema())
            .with_max_entities(41)
            .expect("valid"),
    );
    let frame = World::new(&other, 4, 1).next();
    assert!(matches!(writer.push(&frame), Err(RecordingError::Schema)));
    let (bytes, _) = writer.finish().expect("a vector");
    assert_eq!(read_all(&bytes).expect("a recording").0.len(), 1);
}

/// The canary of the hash: a value that is another one, in bytes whose checksums are all right, is found by it alone.
#[test]
fn a_value_that_is_another_one_is_a_mismatch_of_its_tick() {
    let mut world = World::new(&small_schema(), 5, 1);
    let mut block = BlockWriter::default();
    let frames: Vec<_> = (0..20).map(|_| world.next()).collect();
    frames.iter().for_each(|frame| block.push(frame));
    let head = block.head(0, 0, block.plain());
    let ranges = ValueRanges::new(&small_schema());
    let read_block = |plain: Vec<u8>| {
        let mut reader = BlockReader::new(&head, plain);
        let mut ticks = Vec::new();
        loop {
            match reader.read(&ranges) {
                Ok(Some(frame)) => ticks.push(frame.tick()),
                Ok(None) => return (ticks, None),
                Err(error) => return (ticks, Some(error)),
            }
        }
    };
    let (ticks, error) = read_block(block.plain().to_vec());
    assert_eq!((ticks.len(), error), (20, None));

    // Each byte of the frames, changed in its lowest bit: never a frame that was not shown, and often enough nothing but
    // the hash can tell.
    let mut by_hash = 0;
    for at in 0..block.plain().len() {
        let mut plain = block.plain().to_vec();
        plain[at] ^= 1;
        let (ticks, error) = read_block(plain);
        let error = error.unwrap_or_else(|| panic!("byte {at} changed and nothing was said"));
        let shown = frames.iter().zip(&ticks);
        assert!(shown.into_iter().all(|(frame, tick)| frame.tick() == *tick));
        if error == FormatError::Mismatch(frames[ticks.len()].tick()) {
            by_hash += 1;
        }
    }
    assert!(by_hash > block.plain().len() / 4, "{by_hash}");
    assert_eq!(BlockHead::LEN, head.to_bytes().len());
}
