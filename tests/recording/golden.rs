//! The format as `docs/recording.md` shows it: the bytes there are those that are written, and the file there is read.

use std::io::Cursor;
use std::sync::Arc;

use tickwire::game::recording::{BlockHead, BlockWriter, Header, Index, IndexEntry, checksum};
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Motion, Quantity, Schema, TickFrame,
};
use tickwire::recording::{Ending, Recording, RecordingWriter};
use tickwire::time::{Tick, TickRate};

use crate::kit::{read_all, shown};

const DOCUMENT: &str = include_str!("../../docs/recording.md");

/// The bytes of an example: pairs of hexadecimal digits, with remarks behind a semicolon.
fn example(name: &str) -> Vec<u8> {
    let start = format!("<!-- bytes: {name} -->\n```text\n");
    let (_, rest) = DOCUMENT.split_once(&start).expect("the example");
    let (text, _) = rest.split_once("```").expect("its end");
    let bytes = text.lines().flat_map(|line| {
        let hex = line.split(';').next().unwrap_or_default();
        hex.split_whitespace()
    });
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).map(|line| {
        let bytes: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether the document has these bytes; shows what it should have.
fn documented(name: &str, bytes: &[u8]) {
    let example = example(name);
    assert!(
        example == bytes,
        "the document's `{name}` is\n{}\nand should be\n{}",
        hex(&example),
        hex(bytes),
    );
}

fn schema() -> Arc<Schema> {
    let metres = Quantity::Ranged {
        min: -1.0,
        max: 1.0,
        step: 1.0 / 64.0,
    };
    let x = Field::new("x", metres, Blend::Linear);
    let yaw = Field::new("yaw", Quantity::Angle { bits: 8 }, Blend::Angle);
    let ball = vec![
        x.in_group("place").moving(Motion::Linear),
        yaw.moving(Motion::Spinning),
    ];
    let open = Field::new("open", Quantity::Flags { bits: 1 }, Blend::Step);
    let kinds = vec![Kind::new("ball", ball), Kind::new("door", vec![open])];
    let schema = Schema::new(kinds).and_then(|schema| schema.with_max_entities(100));
    Arc::new(schema.expect("valid"))
}

/// Two things; both change; one goes, one is replaced, one comes.
fn frames() -> Vec<Arc<TickFrame>> {
    let id = |slot, generation| EntityId { slot, generation };
    let (ball, door) = (KindId(0), KindId(1));
    let ticks: [&[(EntityId, KindId, &[i32])]; 3] = [
        &[(id(0, 0), ball, &[100, 3]), (id(5, 1), door, &[0])],
        &[(id(0, 0), ball, &[98, 3]), (id(5, 1), door, &[1])],
        &[(id(5, 2), door, &[1]), (id(9, 300), ball, &[0, 255])],
    ];
    let mut history = FrameHistory::new(schema(), FrameConfig::default()).expect("valid");
    let frames = ticks.iter().zip([2, 4, 6]).map(|(rows, tick)| {
        let mut builder = history.begin(Tick(tick)).expect("in order");
        for (id, kind, values) in *rows {
            builder.put(*id, *kind, [0.0; 3], values).expect("valid");
        }
        history.publish(builder)
    });
    frames.collect()
}

fn header() -> Header {
    // A hash of its own: which number the codec gives to a schema is no part of this format.
    Header {
        schema_hash: 0x1122_3344_5566_7788,
        ..Header::new(schema(), TickRate::HZ_60, 2)
    }
}

#[test]
fn what_is_written_is_what_the_document_says() {
    let header = header().to_bytes().expect("valid");
    documented("header", &header);
    let mut block = BlockWriter::default();
    frames().iter().for_each(|frame| block.push(frame));
    documented("frames", block.plain());

    // The compressed frames are one of many ways to say the same; the head, index and footer follow from them.
    let file = example("file");
    let at = header.len();
    let packed = &file[at + BlockHead::LEN..file.len() - 12 - 24 - 8 - 12];
    let head = block.head(0, 7, packed);
    documented("head", &head.to_bytes());
    let index = Index {
        entries: vec![IndexEntry::new(at as u64, &head)],
        dropped_after: 1,
    };
    documented("footer", &index.to_bytes());
    let whole = [&header, &head.to_bytes(), packed, &index.to_bytes()].concat();
    documented("file", &whole);
}

/// Whatever becomes of compressor and writer: a file of this format is read.
#[test]
fn the_file_in_the_document_is_read() {
    let file = example("file");
    let recording = Recording::read(Cursor::new(&file)).expect("a recording");
    assert_eq!(recording.header(), &header());
    assert_eq!(recording.ending(), Ending::Clean);
    assert_eq!(recording.dropped(), 8);
    let (read, errors) = read_all(&file).expect("a recording");
    assert!(errors.is_empty(), "{errors:?}");
    let expected: Vec<_> = frames().iter().map(|frame| shown(frame)).collect();
    assert_eq!(read, expected);
}

/// The same, written by the writer of today: what is there besides the compressed frames is what the document says.
#[test]
fn the_writer_writes_the_file_in_the_document() {
    let mut writer = RecordingWriter::new(Vec::new(), header()).expect("a vector");
    writer.note_dropped(7).expect("a vector");
    for frame in frames() {
        writer.push(&frame).expect("a vector");
    }
    writer.note_dropped(1).expect("a vector");
    let (bytes, _) = writer.finish().expect("a vector");
    let file = example("file");
    let header_len = example("header").len();
    assert_eq!(bytes[..header_len], file[..header_len]);
    // Number, ticks, frames, dropped and plain length; what follows depends on the compressor.
    let same = header_len..header_len + 28;
    assert_eq!(bytes[same.clone()], file[same]);
    let expected: Vec<_> = frames().iter().map(|frame| shown(frame)).collect();
    assert_eq!(read_all(&bytes).expect("a recording").0, expected);
}

/// The checksum is SipHash-1-3 with a key of zeros; a reader elsewhere can hold its own against these.
#[test]
fn the_checksum_is_the_one_the_document_names() {
    for (text, sum) in [
        ("", 0xd1fb_a762_150c_532c_u64),
        ("tickwire", 0x83b6_8522_3df7_4af6),
    ] {
        let found = checksum(text.as_bytes());
        assert_eq!(found, sum, "{text:?}: {found:#018x}");
        assert!(DOCUMENT.contains(&format!("{sum:#018x}")), "{sum:#018x}");
    }
}
