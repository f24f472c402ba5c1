//! The first bytes of every payload: its number, and what its sender has received.
//!
//! Knows the layout and refuses what is not in it. Has no memory: widening short numbers and believing
//! acks is done by those who remember (`acks`, `sent`). The rules for a peer: section 3 of `docs/protocol.md`.
//!
//! # Layout
//!
//! All numbers are little-endian; `varint` is LEB128 in its shortest form.
//!
//! | bytes | field | present |
//! |---|---|---|
//! | 1 | flags | always |
//! | 2, or varint | datagram number: its low 16 bits, or all of it | always; all of it if `LONG_NUMBER` |
//! | 2, or varint | newest datagram received: its low 16 bits, or all of it | if `ACKS`; all of it if `LONG_ACK` |
//! | varint | missing mask: bit `i` set means that `newest - 1 - i` was *not* received | if `ACKS` |
//! | 1 | ack delay: from the arrival of `newest` to this payload, in units of 250 us, rounded; 255: that or more | if `ACKS` |
//! | .. | messages (see `section.rs`) | if `MESSAGES` |
//! | rest | body | |
//!
//! | flag | bit | says |
//! |---|---|---|
//! | `ASKS` | 0 | the receiver owes an ack; only with a message or a body |
//! | `ACKS` | 1 | the ack fields are present |
//! | `LONG_NUMBER` | 2 | the datagram number is a varint |
//! | `LONG_ACK` | 3 | the newest number received is a varint; only with `ACKS` |
//! | `MESSAGES` | 4 | a message section is present |
//! | | 5..=7 | zero |
//!
//! On a clean link that is 7 bytes: flags 1, number 2, newest 2, mask 1, delay 1.
//!
//! # Why short numbers are never mistaken
//!
//! A sender writes a number short only while it is less than [`SHORT_REACH`] (2^14) past the newest
//! number it knows to have arrived, so the receiver, who knows of at least that one, is near enough to
//! widen it. A receiver writes the newest number short only if that datagram carried it short, which
//! bounds its distance from what the sender already knows by the same 2^14. Beyond that, after
//! minutes of silence in one direction, numbers travel whole: nothing stalls and nothing is confused.

use core::time::Duration;

use super::Rejection;
use crate::proto::wire::{ByteReader, ByteWriter};

/// The receiver owes an ack.
pub(super) const ASKS: u8 = 1 << 0;
/// The ack fields are present.
pub(super) const ACKS: u8 = 1 << 1;
/// The datagram number is a varint.
pub(super) const LONG_NUMBER: u8 = 1 << 2;
/// The newest number received is a varint.
pub(super) const LONG_ACK: u8 = 1 << 3;
/// A message section follows.
pub(super) const MESSAGES: u8 = 1 << 4;
/// Bits without a meaning yet.
const RESERVED: u8 = !(ASKS | ACKS | LONG_NUMBER | LONG_ACK | MESSAGES);

/// How far past the newest number known to have arrived a number may travel short: 2^14.
pub const SHORT_REACH: u64 = 1 << 14;
/// The header on a clean link, in bytes.
pub const CLEAN_LEN: usize = 7;
/// The longest header: two whole numbers and a full mask.
pub const MAX_LEN: usize = 1 + 10 + 10 + 10 + 1;

/// One unit of the ack delay on the wire.
const DELAY_UNIT_MICROS: u64 = 250;
/// The ack delay that says "this or more".
const DELAY_UNKNOWN: u8 = u8::MAX;

/// A datagram number as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireNumber {
    /// The low 16 bits, good within [`SHORT_REACH`].
    Short(u16),
    /// All of it.
    Long(u64),
}

impl WireNumber {
    /// `number`, short where the reader is known to have what it takes to widen it.
    #[must_use]
    pub const fn new(number: u64, long: bool) -> Self {
        if long {
            Self::Long(number)
        } else {
            Self::Short(number as u16)
        }
    }

    /// Whether it travels whole.
    #[must_use]
    pub const fn is_long(self) -> bool {
        matches!(self, Self::Long(_))
    }

    fn write(self, writer: &mut ByteWriter<'_>) -> Option<()> {
        match self {
            Self::Short(low) => writer.u16(low),
            Self::Long(number) => writer.varint(number),
        }
    }

    fn read(reader: &mut ByteReader<'_>, long: bool) -> Result<Self, Rejection> {
        if long {
            reader.varint().map(Self::Long).ok_or(Rejection::BadVarint)
        } else {
            reader.u16().map(Self::Short).ok_or(Rejection::Truncated)
        }
    }
}

/// What the sender of a payload has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckFields {
    /// The newest datagram received.
    pub newest: WireNumber,
    /// Bit `i`: `newest - 1 - i` was not received.
    pub missing: u64,
    /// From the arrival of `newest` until the payload was written, as it travels.
    pub delay: AckDelay,
}

/// The time an ack waited at the peer: a byte of 250 us units, the highest meaning "or more".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckDelay(u8);

impl AckDelay {
    /// The nearest delay that can be written.
    #[must_use]
    pub fn from_duration(delay: Duration) -> Self {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let units = micros.saturating_add(DELAY_UNIT_MICROS / 2) / DELAY_UNIT_MICROS;
        Self(u8::try_from(units).unwrap_or(DELAY_UNKNOWN))
    }

    /// The delay, or `None` when it was too long to be written: then the ack measures no round trip.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        (self.0 != DELAY_UNKNOWN)
            .then(|| Duration::from_micros(u64::from(self.0) * DELAY_UNIT_MICROS))
    }
}

/// The header of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The number of the datagram.
    pub number: WireNumber,
    /// What its sender received, once it received anything.
    pub acks: Option<AckFields>,
    /// Whether the receiver owes an ack.
    pub asks: bool,
    /// Whether a message section follows.
    pub messages: bool,
}

impl Header {
    /// The flags byte. Its length does not depend on `asks` and `messages`, so a writer may decide them
    /// after the rest of the payload is written.
    #[must_use]
    pub fn flags(&self) -> u8 {
        let mut flags = 0;
        for (set, flag) in [
            (self.asks, ASKS),
            (self.acks.is_some(), ACKS),
            (self.number.is_long(), LONG_NUMBER),
            (
                self.acks.is_some_and(|acks| acks.newest.is_long()),
                LONG_ACK,
            ),
            (self.messages, MESSAGES),
        ] {
            if set {
                flags |= flag;
            }
        }
        flags
    }

    /// Writes the header and says how long it is; `None` when there is no room for it.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut writer = ByteWriter::new(out);
        writer.u8(self.flags())?;
        self.number.write(&mut writer)?;
        if let Some(acks) = self.acks {
            acks.newest.write(&mut writer)?;
            writer.varint(acks.missing)?;
            writer.u8(acks.delay.0)?;
        }
        Some(writer.len())
    }

    /// Reads the header and leaves the reader behind it.
    ///
    /// # Errors
    ///
    /// [`Rejection::Truncated`], [`Rejection::ReservedBits`], [`Rejection::BadVarint`].
    pub fn read(reader: &mut ByteReader<'_>) -> Result<Self, Rejection> {
        let flags = reader.u8().ok_or(Rejection::Truncated)?;
        if flags & RESERVED != 0 || flags & (ACKS | LONG_ACK) == LONG_ACK {
            return Err(Rejection::ReservedBits);
        }
        let number = WireNumber::read(reader, flags & LONG_NUMBER != 0)?;
        let acks = if flags & ACKS != 0 {
            Some(AckFields {
                newest: WireNumber::read(reader, flags & LONG_ACK != 0)?,
                missing: reader.varint().ok_or(Rejection::BadVarint)?,
                delay: AckDelay(reader.u8().ok_or(Rejection::Truncated)?),
            })
        } else {
            None
        };
        Ok(Self {
            number,
            acks,
            asks: flags & ASKS != 0,
            messages: flags & MESSAGES != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> impl Strategy<Value = WireNumber> {
        prop_oneof![
            any::<u16>().prop_map(WireNumber::Short),
            any::<u64>().prop_map(WireNumber::Long),
        ]
    }

    fn headers() -> impl Strategy<Value = Header> {
        let acks =
            (numbers(), any::<u64>(), any::<u8>()).prop_map(|(newest, missing, delay)| AckFields {
                newest,
                missing,
                delay: AckDelay(delay),
            });
        (
            numbers(),
            prop::option::of(acks),
            any::<bool>(),
            any::<bool>(),
        )
            .prop_map(|(number, acks, asks, messages)| Header {
                number,
                acks,
                asks,
                messages,
            })
    }

    proptest! {
        #[test]
        fn a_header_comes_back_and_what_follows_is_untouched(header in headers(), tail: [u8; 3]) {
            let mut buffer = [0; MAX_LEN + 3];
            let len = header.write(&mut buffer).expect("the longest header fits");
            prop_assert!(len <= MAX_LEN);
            buffer[len..len + 3].copy_from_slice(&tail);
            let mut reader = ByteReader::new(&buffer[..len + 3]);
            prop_assert_eq!(Header::read(&mut reader), Ok(header));
            prop_assert_eq!(reader.rest(), &tail);
        }

        #[test]
        fn bytes_that_are_read_are_the_bytes_that_would_be_written(bytes: [u8; MAX_LEN]) {
            let mut reader = ByteReader::new(&bytes);
            if let Ok(header) = Header::read(&mut reader) {
                let mut buffer = [0; MAX_LEN];
                let len = header.write(&mut buffer).expect("the longest header fits");
                prop_assert_eq!(&buffer[..len], &bytes[..MAX_LEN - reader.remaining()]);
            }
        }

        #[test]
        fn every_shorter_header_is_refused(header in headers()) {
            let mut buffer = [0; MAX_LEN];
            let len = header.write(&mut buffer).expect("the longest header fits");
            for cut in 0..len {
                prop_assert!(Header::read(&mut ByteReader::new(&buffer[..cut])).is_err());
                prop_assert_eq!(header.write(&mut [0; MAX_LEN][..cut]), None);
            }
        }
    }

    #[test]
    fn a_clean_link_pays_seven_bytes() {
        let header = Header {
            number: WireNumber::Short(9),
            acks: Some(AckFields {
                newest: WireNumber::Short(8),
                missing: 0,
                delay: AckDelay::from_duration(Duration::from_millis(10)),
            }),
            asks: true,
            messages: false,
        };
        let mut buffer = [0; MAX_LEN];
        assert_eq!(header.write(&mut buffer), Some(CLEAN_LEN));
        assert_eq!(buffer[..CLEAN_LEN], [ASKS | ACKS, 9, 0, 8, 0, 0, 40]);
    }

    #[test]
    fn flags_without_a_meaning_are_refused() {
        for flags in [0x20, 0x40, 0x80, LONG_ACK] {
            let bytes = [flags, 0, 0, 0, 0, 0, 0];
            let header = Header::read(&mut ByteReader::new(&bytes));
            assert_eq!(header, Err(Rejection::ReservedBits));
        }
    }

    #[test]
    fn a_delay_too_long_to_write_measures_nothing() {
        let short = AckDelay::from_duration(Duration::from_micros(25_100));
        assert_eq!(short.duration(), Some(Duration::from_millis(25)));
        assert_eq!(AckDelay::from_duration(Duration::MAX).duration(), None);
    }
}
