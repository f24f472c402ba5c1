//! The messages of a payload, between its header and its body. Knows where each begins and ends. Has
//! no idea whether it is wanted. The rules for a peer: section 4 of `docs/protocol.md`.
//!
//! # Layout
//!
//! One or more messages, each:
//!
//! | bytes | field |
//! |---|---|
//! | varint | length of the message in bytes, times two, plus one if another message follows |
//! | 1 | channel |
//! | 2 | only on reliable channels: the low 16 bits of the message's id |
//! | length | the message |
//!
//! The last message ends the section; what follows is the body. Ids count from 0 on each channel. They are
//! unambiguous because no sender goes further than [`super::MESSAGE_WINDOW`] past the oldest id that was not
//! acknowledged.

use super::Rejection;
use crate::proto::wire::{ByteReader, ByteWriter, varint_len};

/// One message as it lies in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WireMessage<'a> {
    pub channel: u8,
    /// The low bits of its id, on a reliable channel.
    pub id: Option<u16>,
    pub bytes: &'a [u8],
}

/// Reads messages one after the other; after the last one the rest of the reader is the body.
#[derive(Debug, Clone)]
pub(super) struct SectionReader<'a> {
    reader: ByteReader<'a>,
    more: bool,
}

impl<'a> SectionReader<'a> {
    /// At the first message, if the header says that there is one.
    pub(super) fn new(reader: ByteReader<'a>, present: bool) -> Self {
        Self {
            reader,
            more: present,
        }
    }

    /// The next message; `is_reliable` says whether a channel's messages have ids, or refuses it.
    pub(super) fn next(
        &mut self,
        is_reliable: impl FnOnce(u8) -> Result<bool, Rejection>,
    ) -> Result<Option<WireMessage<'a>>, Rejection> {
        if !self.more {
            return Ok(None);
        }
        let head = self.reader.varint().ok_or(Rejection::BadVarint)?;
        let channel = self.reader.u8().ok_or(Rejection::Truncated)?;
        let id = if is_reliable(channel)? {
            Some(self.reader.u16().ok_or(Rejection::Truncated)?)
        } else {
            None
        };
        let len = usize::try_from(head >> 1).map_err(|_| Rejection::Truncated)?;
        let bytes = self.reader.take(len).ok_or(Rejection::Truncated)?;
        self.more = head & 1 == 1;
        Ok(Some(WireMessage { channel, id, bytes }))
    }

    /// What follows the messages read so far.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }
}

/// Writes messages one after the other, within a budget.
#[derive(Debug)]
pub(super) struct SectionWriter<'a> {
    out: &'a mut [u8],
    len: usize,
    budget: usize,
    /// Where the newest message begins: its lowest bit is set when another follows.
    last: Option<usize>,
}

impl<'a> SectionWriter<'a> {
    /// At the start of `out`, for `budget` bytes.
    pub(super) fn new(out: &'a mut [u8], budget: usize) -> Self {
        Self {
            out,
            len: 0,
            budget,
            last: None,
        }
    }

    /// How many bytes have been written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes the head of a message of `len` bytes and lends the place for the message itself.
    ///
    /// `None`, and nothing written, when it exceeds the room or the budget. The first message may
    /// exceed a budget that is not zero: a long message would otherwise never leave.
    pub(super) fn message(
        &mut self,
        channel: u8,
        id: Option<u16>,
        len: usize,
    ) -> Option<&mut [u8]> {
        let head = (len as u64) << 1;
        let head_len = varint_len(head) + 1 + if id.is_some() { 2 } else { 0 };
        let end = self.len.checked_add(head_len)?.checked_add(len)?;
        let first = self.last.is_none() && self.budget > 0;
        if end > self.budget && !first {
            return None;
        }
        let mut writer = ByteWriter::new(self.out.get_mut(self.len..end)?);
        writer.varint(head)?;
        writer.u8(channel)?;
        if let Some(id) = id {
            writer.u16(id)?;
        }
        let start = core::mem::replace(&mut self.len, end);
        if let Some(last) = self.last.replace(start) {
            self.out[last] |= 1;
        }
        self.out.get_mut(end - len..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In these tests channels with odd numbers are reliable.
    fn odd(channel: u8) -> Result<bool, Rejection> {
        Ok(channel % 2 == 1)
    }

    proptest! {
        #[test]
        fn messages_come_back_and_the_body_is_what_is_left(
            messages in prop::collection::vec(
                (any::<u8>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..200)),
                1..20,
            ),
            budget in 1_usize..3_000,
        ) {
            let mut buffer = [0xEE; 3_000];
            let mut writer = SectionWriter::new(&mut buffer, budget);
            let mut written = 0;
            for (channel, id, bytes) in &messages {
                let id = odd(*channel).expect("never refuses").then_some(*id);
                let Some(place) = writer.message(*channel, id, bytes.len()) else {
                    break;
                };
                place.copy_from_slice(bytes);
                written += 1;
            }
            let len = writer.len();
            prop_assert!(written >= 1);
            prop_assert!(len <= budget || written == 1);
            let mut reader = SectionReader::new(ByteReader::new(&buffer[..len + 2]), true);
            for (channel, id, bytes) in &messages[..written] {
                let message = reader.next(odd).expect("well formed").expect("present");
                prop_assert_eq!(message.channel, *channel);
                prop_assert_eq!(message.id, odd(*channel).expect("never refuses").then_some(*id));
                prop_assert_eq!(message.bytes, &bytes[..]);
            }
            prop_assert_eq!(reader.next(odd), Ok(None));
            prop_assert_eq!(reader.rest(), &[0xEE, 0xEE]);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = SectionReader::new(ByteReader::new(&bytes), true);
            let mut read = 0;
            while let Ok(Some(_)) = reader.next(odd) {
                read += 1;
            }
            prop_assert!(read <= bytes.len());
        }
    }

    #[test]
    fn a_budget_of_zero_is_silence_and_a_full_payload_takes_nothing() {
        let mut buffer = [0; 10];
        assert!(
            SectionWriter::new(&mut buffer, 0)
                .message(0, None, 1)
                .is_none()
        );
        let mut writer = SectionWriter::new(&mut buffer, 10);
        assert!(writer.message(0, None, 9).is_none());
        assert!(writer.message(0, None, 8).is_some());
        assert!(writer.message(0, None, 0).is_none());
    }
}
