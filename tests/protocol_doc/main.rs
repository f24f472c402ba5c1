//! `docs/protocol.md` against the library: names and numbers in both directions, limits, times, and every byte
//! of the worked examples.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a document that cannot be read fails its test"
)]

mod document;
mod examples;

use std::collections::BTreeSet;

use document::Document;
use tickwire::id::EntityId;
use tickwire::proto::channel::header::{AckDelay, AckFields, CLEAN_LEN, Header, MAX_LEN};
use tickwire::proto::channel::header::{SHORT_REACH, WireNumber};
use tickwire::proto::channel::{
    self, ChannelId, MAX_BUFFER, MAX_CHANNELS, MAX_MESSAGE, MESSAGE_COST, MESSAGE_WINDOW,
};
use tickwire::proto::control::{BlockKind, MAX_GOODBYE_TEXT, PROTOCOL_VERSION};
use tickwire::proto::event::{DisconnectReason, ServerEvent, Warning};
use tickwire::proto::input::{InputBytes, MAX_REPEATED};
use tickwire::proto::netcode::{
    self, MAX_DATAGRAM, MAX_PAYLOAD, MAX_SERVERS, REQUEST_LEN, TOKEN_LEN,
};
use tickwire::proto::snapshot::{self, KEPT, MAX_AGE, MAX_PARTS, Replica, Schema};
use tickwire::proto::stats::SessionRejection;
use tickwire::time::{Tick, TickRate};

/// A row: number, name, meaning.
type Row = (u8, String, String);

/// A table of the code, in the words of the document.
macro_rules! table {
    ($type:ty) => {
        <$type>::ALL
            .iter()
            .map(|value| (value.code(), value.name().to_owned(), value.to_string()))
            .collect::<BTreeSet<Row>>()
    };
}

/// What differs between a section's table and the code's.
fn differences(document: &Document, section: &str, code: &BTreeSet<Row>) -> Vec<String> {
    let rows = document.rows(section).into_iter();
    let rows = rows.map(|row| match &row[..] {
        [number, name, meaning] => {
            let number = number.parse().expect("a number");
            (number, name.clone(), meaning.clone())
        }
        _ => panic!("a row of section {section} has three cells: {row:?}"),
    });
    let told: BTreeSet<Row> = rows.collect();
    let missing = code
        .difference(&told)
        .map(|row| format!("{section} lacks {row:?}"));
    let extra = told
        .difference(code)
        .map(|row| format!("{section} invents {row:?}"));
    missing.chain(extra).collect()
}

fn all_differences(document: &Document) -> Vec<String> {
    [
        ("10.1", table!(netcode::Rejection)),
        ("10.2", table!(channel::Rejection)),
        ("10.3", table!(snapshot::Rejection)),
        ("10.4", table!(SessionRejection)),
        ("11.1", table!(DisconnectReason)),
        ("11.2", table!(Warning)),
    ]
    .iter()
    .flat_map(|(section, code)| differences(document, section, code))
    .collect()
}

#[test]
fn names_and_numbers_are_those_of_the_code() {
    let none: Vec<String> = Vec::new();
    assert_eq!(all_differences(&Document::read()), none);
}

#[test]
fn a_doctored_table_is_noticed() {
    let document = Document::read();
    for (from, to) in [
        ("| 9 | `unresponsive` |", "| 19 | `unresponsive` |"),
        ("| 2 | `shutdown_soon` |", "| 2 | `shutdown_now` |"),
        ("| 8 | `rank` | a list", "| 8 | `rank` | no list"),
        (
            "| 6 | `no_session` | a payload",
            "| 7 | `no_session` | a payload",
        ),
        (
            "| 1 | `too_small` |",
            "| 99 | `made_up` | nothing |\n| 1 | `too_small` |",
        ),
    ] {
        let doctored = document.doctored(from, to);
        assert!(!all_differences(&doctored).is_empty(), "{from} -> {to}");
    }
    let doctored = document.doctored("| 6 | `resync` |", "| 6 | `restart` |");
    assert_ne!(block_kinds(&doctored), block_kinds(&document));
    let doctored = document.doctored("| kinds | 64 |", "| kinds | 65 |");
    assert_ne!(limits(&doctored), limits(&document));
}

fn block_kinds(document: &Document) -> Vec<(u8, String)> {
    let rows = document.rows("5").into_iter();
    rows.map(|row| (row[0].parse().expect("a number"), row[1].clone()))
        .collect()
}

#[test]
fn block_kinds_are_those_of_the_code() {
    let code = BlockKind::ALL.iter();
    let code: Vec<_> = code
        .map(|kind| (kind.code(), kind.name().to_owned()))
        .collect();
    assert_eq!(block_kinds(&Document::read()), code);
}

fn limits(document: &Document) -> BTreeSet<(String, u64)> {
    let rows = document.rows("9").into_iter();
    rows.map(|row| (row[2].clone(), row[1].parse().expect("a number")))
        .collect()
}

#[test]
fn limits_are_those_of_the_code() {
    let code = [
        ("PROTOCOL_VERSION", u64::from(PROTOCOL_VERSION)),
        ("MAX_DATAGRAM", MAX_DATAGRAM as u64),
        ("MAX_PAYLOAD", MAX_PAYLOAD as u64),
        ("REQUEST_LEN", REQUEST_LEN as u64),
        ("TOKEN_LEN", TOKEN_LEN as u64),
        ("MAX_SERVERS", MAX_SERVERS as u64),
        ("MAX_LEN", MAX_LEN as u64),
        ("CLEAN_LEN", CLEAN_LEN as u64),
        ("SHORT_REACH", SHORT_REACH),
        ("MAX_CHANNELS", MAX_CHANNELS as u64),
        ("MAX_MESSAGE", MAX_MESSAGE as u64),
        ("MESSAGE_WINDOW", MESSAGE_WINDOW),
        ("MESSAGE_COST", MESSAGE_COST as u64),
        ("MAX_BUFFER", MAX_BUFFER as u64),
        ("InputBytes::MAX", InputBytes::MAX as u64),
        ("MAX_REPEATED", MAX_REPEATED as u64),
        ("MAX_GOODBYE_TEXT", MAX_GOODBYE_TEXT as u64),
        ("TickRate::MAX", u64::from(TickRate::MAX)),
        ("Schema::MAX_KINDS", Schema::MAX_KINDS as u64),
        ("Schema::MAX_FIELDS", Schema::MAX_FIELDS as u64),
        ("Schema::MAX_ENTITIES", u64::from(Schema::MAX_ENTITIES)),
        ("MAX_AGE", u64::from(MAX_AGE)),
        ("KEPT", KEPT as u64),
        ("MAX_PARTS", MAX_PARTS as u64),
    ];
    let code = code.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(limits(&Document::read()), BTreeSet::from(code));
}

/// Times are private to their rooms, and so they are read where they stand.
#[test]
fn times_are_those_of_the_code() {
    let rows = Document::read().rows("6");
    assert!(!rows.is_empty());
    for row in rows {
        let (value, place) = (&row[1], &row[2]);
        let (name, path) = place.split_once("` in `").expect("a constant and a file");
        let source = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
            .expect("the file exists");
        let expression = match value.split_once(' ') {
            Some((millis, "ms")) => format!("Duration::from_millis({millis})"),
            Some((seconds, "s")) => format!("Duration::from_secs({seconds})"),
            _ => value.clone(),
        };
        let is_it = |line: &str| {
            line.contains(&format!("const {name}: ")) && line.ends_with(&format!("= {expression};"))
        };
        assert!(source.lines().any(is_it), "{name} = {value} in {path}");
    }
}

#[test]
fn flags_are_those_of_the_code() {
    let short = WireNumber::Short(0);
    let plain = Header {
        number: short,
        acks: None,
        asks: false,
        messages: false,
    };
    let acks = |newest| {
        Some(AckFields {
            newest,
            missing: 0,
            delay: AckDelay::from_duration(std::time::Duration::ZERO),
        })
    };
    let flags = |name: &str| match name {
        "ASKS" => Some(Header {
            asks: true,
            ..plain
        }),
        "ACKS" => Some(Header {
            acks: acks(short),
            ..plain
        }),
        "LONG_NUMBER" => Some(Header {
            number: WireNumber::Long(0),
            ..plain
        }),
        "LONG_ACK" => Some(Header {
            acks: acks(WireNumber::Long(0)),
            ..plain
        }),
        "MESSAGES" => Some(Header {
            messages: true,
            ..plain
        }),
        _ => None,
    };
    let mut seen = 0;
    for row in Document::read().rows("3.1") {
        let Some(header) = flags(&row[0]) else {
            continue;
        };
        seen += 1;
        let bit: u32 = row[1].parse().expect("a bit");
        assert_eq!(header.flags() >> bit & 1, 1, "{row:?}");
        let with_acks = if row[0] == "LONG_ACK" { 2 } else { 1 };
        assert_eq!(header.flags().count_ones(), with_acks, "{row:?}");
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_schema_hash_is_over_the_bytes_that_are_shown() {
    let hash = |block: &str| {
        let bytes = Document::read().bytes(block);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let schema = examples::schema();
    assert_eq!(hash("schema"), schema.hash());
    // The second list names the hash of the first, and that of the tables.
    let listed = Document::read().bytes("schema");
    assert_eq!(listed[8..16], hash("schema-shape").to_le_bytes());
    assert_eq!(listed[16..24], schema.tables().hash().to_le_bytes());
}

#[test]
fn a_client_says_hello_as_shown() {
    let hello = Document::read().bytes("client-hello");
    assert_eq!(examples::client_hello(), hello);
}

#[test]
fn the_server_understands_the_hello_and_answers_as_shown() {
    let document = Document::read();
    let mut table = examples::Table::laid();
    table.say(&document.bytes("client-hello"));
    let answers = table.publish(0);
    assert_eq!(answers, [document.bytes("server-welcome")]);
    assert!(matches!(
        table.events()[..],
        [ServerEvent::Connected { .. }]
    ));
    assert_eq!(table.rejections(), [""; 0]);
}

#[test]
fn the_parts_are_as_shown_bit_by_bit_and_mean_what_is_said() {
    let document = Document::read();
    let names = ["part-from-nothing", "part-from-baseline"];
    let mut replica = Replica::new(examples::schema(), 2);
    for (part, name) in examples::parts().into_iter().zip(names) {
        assert_eq!(part, document.bytes(name), "{name}");
        assert_eq!(part, document.bits(name), "{name}");
        let applied = replica.receive(&part).expect("our own part");
        assert!(applied.complete);
    }
    assert!(
        document
            .bytes("server-welcome")
            .ends_with(&examples::parts()[0])
    );
    let newest = replica.newest().expect("two arrived");
    let ship = EntityId {
        slot: 3,
        generation: 1,
    };
    let ship = newest.get(ship).expect("the ship is there");
    assert_eq!((newest.len(), newest.tick()), (1, Tick(602)));
    assert_eq!((ship.values, ship.as_of), (&[11_373, 0, -2][..], Tick(602)));
    assert!(newest.departed()[0].destroyed);
}

#[test]
fn a_client_speaks_as_shown_later_and_the_server_understands_that_too() {
    let document = Document::read();
    let inputs = document.bytes("client-inputs");
    let welcome = document.bytes("server-welcome");
    assert_eq!(examples::client_inputs(&welcome), inputs);

    let mut table = examples::Table::laid();
    table.say(&document.bytes("client-hello"));
    for frame in 0..3 {
        table.publish(frame);
    }
    table.say(&inputs);
    let events = table.events();
    let heard: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Input { tick, input, .. } => Some((tick.0, input.as_slice().to_vec())),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [(610, vec![7]), (609, vec![7])]);
    assert!(events.iter().any(|event| matches!(
        event,
        ServerEvent::Message { channel: ChannelId(0), message, .. } if message == b"hi"
    )));
    assert_eq!(table.rejections(), [""; 0]);
}
