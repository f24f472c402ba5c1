//! The blocks of a payload's body: how the endpoints talk about the session itself.
//!
//! A body is a row of blocks, each kind at most once. Each starts with one byte that says what it is, and ends
//! by itself; only a snapshot part runs to the end of the payload and is therefore the last. Knows their layout; what
//! they do to a session is told in [`server`](super::server) and [`client`](super::client).
//!
//! The layouts, and who says what when, are sections 5 and 6 of `docs/protocol.md`.

use crate::id::ClientSlot;
use crate::names::named;
use crate::proto::event::{DisconnectReason, Warning, Welcome};
use crate::proto::stats::SessionRejection;
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::{Tick, TickRate};

/// The version of everything above netcode. It grows when a byte changes its meaning.
pub const PROTOCOL_VERSION: u16 = 2;

/// The longest text of a goodbye, in bytes.
pub const MAX_GOODBYE_TEXT: usize = 120;

named! {
    /// What a block is: its first byte.
    pub enum BlockKind {
        Hello = 1, "hello", "the client's version and schema";
        Welcome = 2, "welcome", "how the server runs, and the client's place there";
        Inputs = 3, "inputs", "what the client wants to do, newest tick first";
        Margin = 4, "margin", "how early the newest input reached the server";
        Goodbye = 5, "goodbye", "the end, and why";
        Resync = 6, "resync", "the client holds nothing that the server builds on";
        Warning = 7, "warning", "something to heed; the session goes on";
        Snapshot = 8, "snapshot", "a part of the world, to the end of the payload";
    }
}

/// One block, borrowed from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block<'a> {
    Hello(Hello),
    Welcome {
        hello: Hello,
        welcome: Welcome,
    },
    /// Inputs follow: read them with [`read_inputs`](super::input::read_inputs).
    Inputs,
    Margin {
        micros: i64,
    },
    Goodbye {
        reason: DisconnectReason,
        text: &'a str,
    },
    Resync,
    Warning {
        warning: Warning,
        grace_ms: u32,
    },
    Snapshot(&'a [u8]),
}

/// What both ends must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) schema: u64,
}

impl Hello {
    pub(crate) const fn ours(schema: u64) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            schema,
        }
    }

    /// Why a peer that says `other` is none of ours; `None` when it is.
    pub(crate) fn mismatch(self, other: Self) -> Option<DisconnectReason> {
        if self.version != other.version {
            Some(DisconnectReason::WrongVersion)
        } else if self.schema != other.schema {
            Some(DisconnectReason::WrongSchema)
        } else {
            None
        }
    }

    fn read(reader: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            version: reader.u16()?,
            schema: reader.u64()?,
        })
    }

    fn write(self, writer: &mut ByteWriter<'_>) -> Option<()> {
        writer.u16(self.version)?;
        writer.u64(self.schema)
    }
}

impl BlockKind {
    /// Begins a block of this kind.
    pub(crate) fn write(self, writer: &mut ByteWriter<'_>) -> Option<()> {
        writer.u8(self.code())
    }
}

/// The unit of a margin on the wire, in microseconds.
const MARGIN_UNIT: i64 = 100;

impl<'a> Block<'a> {
    /// The next block; `None` when its kind is unknown or it ends too early.
    pub(crate) fn read(reader: &mut ByteReader<'a>) -> Option<Self> {
        Some(match BlockKind::from_code(reader.u8()?)? {
            BlockKind::Hello => Self::Hello(Hello::read(reader)?),
            BlockKind::Welcome => Self::Welcome {
                hello: Hello::read(reader)?,
                welcome: read_welcome(reader)?,
            },
            BlockKind::Inputs => Self::Inputs,
            BlockKind::Margin => Self::Margin {
                micros: i64::from(reader.u16()?.cast_signed()) * MARGIN_UNIT,
            },
            BlockKind::Goodbye => {
                let reason = DisconnectReason::from_code(reader.u8()?)?;
                let len = usize::from(reader.u8()?);
                if len > MAX_GOODBYE_TEXT {
                    return None;
                }
                Self::Goodbye {
                    reason,
                    text: core::str::from_utf8(reader.take(len)?).ok()?,
                }
            }
            BlockKind::Resync => Self::Resync,
            BlockKind::Warning => Self::Warning {
                warning: Warning::from_code(reader.u8()?)?,
                grace_ms: reader.u32()?,
            },
            BlockKind::Snapshot => {
                let part = reader.rest();
                reader.take(part.len())?;
                Self::Snapshot(part)
            }
        })
    }

    /// Writes the block; `None`, and nothing written, when there is no room. Inputs and snapshot parts
    /// write their own content after the kind.
    pub(crate) fn write(&self, writer: &mut ByteWriter<'_>) -> Option<()> {
        let start = writer.len();
        let written = self.write_all(writer);
        if written.is_none() {
            writer.truncate(start);
        }
        written
    }

    fn write_all(&self, writer: &mut ByteWriter<'_>) -> Option<()> {
        match *self {
            Self::Hello(hello) => {
                BlockKind::Hello.write(writer)?;
                hello.write(writer)
            }
            Self::Welcome { hello, welcome } => {
                BlockKind::Welcome.write(writer)?;
                hello.write(writer)?;
                writer.u32(welcome.slot.index)?;
                writer.u32(welcome.slot.generation)?;
                writer.u16(welcome.tick_rate.hz())?;
                writer.u16(welcome.snapshot_every)?;
                writer.u32(welcome.tick.0)
            }
            Self::Inputs => BlockKind::Inputs.write(writer),
            Self::Margin { micros } => {
                BlockKind::Margin.write(writer)?;
                let units = (micros / MARGIN_UNIT).clamp(i64::from(i16::MIN), i64::from(i16::MAX));
                writer.u16((units as i16).cast_unsigned())
            }
            Self::Goodbye { reason, text } => {
                let text = cut(text, MAX_GOODBYE_TEXT);
                BlockKind::Goodbye.write(writer)?;
                writer.u8(reason.code())?;
                writer.u8(text.len() as u8)?;
                writer.bytes(text.as_bytes())
            }
            Self::Resync => BlockKind::Resync.write(writer),
            Self::Warning { warning, grace_ms } => {
                BlockKind::Warning.write(writer)?;
                writer.u8(warning.code())?;
                writer.u32(grace_ms)
            }
            Self::Snapshot(part) => {
                BlockKind::Snapshot.write(writer)?;
                writer.bytes(part)
            }
        }
    }
}

/// The blocks of one body, in order.
///
/// Each kind comes at most once: a peer must not buy with one datagram what is meant to cost it many.
#[derive(Debug)]
pub(crate) struct Blocks<'a> {
    reader: ByteReader<'a>,
    seen: u16,
}

impl<'a> Blocks<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self {
            reader: ByteReader::new(body),
            seen: 0,
        }
    }

    /// The next block; `None` at the end of the body. After an error nothing more is to be read.
    pub(crate) fn next(&mut self) -> Option<Result<Block<'a>, SessionRejection>> {
        let kind = *self.reader.rest().first()?;
        let bit = 1_u16.checked_shl(kind.into()).unwrap_or(0);
        if self.seen & bit != 0 {
            return Some(Err(SessionRejection::RepeatedBlock));
        }
        self.seen |= bit;
        Some(Block::read(&mut self.reader).ok_or(SessionRejection::MalformedBlock))
    }

    /// Where the content of a block stands that does not read itself.
    pub(crate) const fn reader(&mut self) -> &mut ByteReader<'a> {
        &mut self.reader
    }
}

fn read_welcome(reader: &mut ByteReader<'_>) -> Option<Welcome> {
    let welcome = Welcome {
        slot: ClientSlot {
            index: reader.u32()?,
            generation: reader.u32()?,
        },
        tick_rate: TickRate::new(reader.u16()?)?,
        snapshot_every: reader.u16()?,
        tick: Tick(reader.u32()?),
    };
    (welcome.snapshot_every > 0).then_some(welcome)
}

/// The longest start of `text` that has at most `len` bytes and ends between two characters.
fn cut(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn examples() -> Vec<Block<'static>> {
        let hello = Hello::ours(0x0123_4567_89AB_CDEF);
        let welcome = Welcome {
            slot: ClientSlot {
                index: 7,
                generation: 2,
            },
            tick_rate: TickRate::HZ_60,
            snapshot_every: 2,
            tick: Tick(1_000_000),
        };
        vec![
            Block::Hello(hello),
            Block::Welcome { hello, welcome },
            Block::Margin { micros: -12_300 },
            Block::Goodbye {
                reason: DisconnectReason::Kicked,
                text: "no ghosts, please",
            },
            Block::Resync,
            Block::Warning {
                warning: Warning::ShutdownSoon,
                grace_ms: 5_000,
            },
            Block::Snapshot(&[1, 2, 3]),
        ]
    }

    #[test]
    fn blocks_follow_each_other_and_come_back() {
        let mut buffer = [0; 256];
        let mut writer = ByteWriter::new(&mut buffer);
        for block in examples() {
            block.write(&mut writer).expect("there is room");
        }
        let mut reader = ByteReader::new(writer.written());
        for block in examples() {
            assert_eq!(Block::read(&mut reader), Some(block));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn a_block_that_comes_twice_is_refused() {
        let body = [BlockKind::Resync.code(); 2];
        let mut blocks = Blocks::new(&body);
        assert_eq!(blocks.next(), Some(Ok(Block::Resync)));
        assert_eq!(blocks.next(), Some(Err(SessionRejection::RepeatedBlock)));
    }

    #[test]
    fn a_block_without_room_leaves_nothing_behind() {
        for block in examples() {
            let mut buffer = [0; 3];
            let mut writer = ByteWriter::new(&mut buffer);
            if block.write(&mut writer).is_none() {
                assert!(writer.is_empty(), "{block:?}");
            }
        }
    }

    #[test]
    fn a_long_goodbye_is_cut_between_characters() {
        let text = "é".repeat(100);
        let mut buffer = [0; 256];
        let mut writer = ByteWriter::new(&mut buffer);
        let block = Block::Goodbye {
            reason: DisconnectReason::Kicked,
            text: &text,
        };
        block.write(&mut writer).expect("there is room");
        match Block::read(&mut ByteReader::new(writer.written())) {
            Some(Block::Goodbye { text, .. }) => assert_eq!(text, "é".repeat(60)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_margin_beyond_the_scale_is_the_end_of_the_scale() {
        let mut buffer = [0; 8];
        let mut writer = ByteWriter::new(&mut buffer);
        Block::Margin { micros: i64::MAX }
            .write(&mut writer)
            .expect("there is room");
        let read = Block::read(&mut ByteReader::new(writer.written()));
        assert_eq!(read, Some(Block::Margin { micros: 3_276_700 }));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = ByteReader::new(&bytes);
            while Block::read(&mut reader).is_some() {}
        }
    }
}
