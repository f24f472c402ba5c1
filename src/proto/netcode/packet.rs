//! The seven packets: prefix, sequence number, sizes; and the one that is not sealed, the connection request.
//!
//! A view comes first, a meaning later: [`Header::read`] finds out what a datagram claims to be, in the
//! standard's order, without a key and without believing it.

use super::{MAX_DATAGRAM, MAX_PAYLOAD, REQUEST_LEN, Rejection};
use crate::proto::wire::ByteReader;
use crate::time::UnixTime;

/// Standard, "Connect Token": thirteen bytes, the terminating zero is one of them.
pub(super) const VERSION: &[u8; 13] = b"NETCODE 1.02\0";
/// Bytes in the mac that ends everything sealed.
pub(super) const MAC_LEN: usize = 16;
/// Bytes in an encrypted challenge token, its mac included.
pub(super) const CHALLENGE_LEN: usize = 300;
/// Bytes in the body of a challenge or a response: the challenge's sequence number and the challenge.
pub(super) const CHALLENGE_BODY: usize = 8 + CHALLENGE_LEN;
/// Standard, "Reading Encrypted Packets": prefix, one sequence byte and the mac.
const SMALLEST: usize = 18;
/// The longest prefix and sequence number.
pub(super) const MAX_HEADER: usize = 9;

/// The packet types of the standard's section "Packets".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum PacketKind {
    Request = 0,
    Denied = 1,
    Challenge = 2,
    Response = 3,
    KeepAlive = 4,
    Payload = 5,
    Disconnect = 6,
}

impl PacketKind {
    const fn from_prefix(prefix: u8) -> Option<Self> {
        Some(match prefix & 0x0f {
            0 => Self::Request,
            1 => Self::Denied,
            2 => Self::Challenge,
            3 => Self::Response,
            4 => Self::KeepAlive,
            5 => Self::Payload,
            6 => Self::Disconnect,
            _ => return None,
        })
    }

    /// Whether the replay window judges this type (standard, "Replay Protection").
    ///
    /// The others must not even touch it: the server numbers its challenges from 2^63, and a window that went
    /// there would refuse the whole session as too old.
    pub(super) const fn is_replay_protected(self) -> bool {
        matches!(self, Self::KeepAlive | Self::Payload | Self::Disconnect)
    }

    /// Whether a body of this many bytes, decrypted, fits the type.
    pub(super) const fn accepts_body(self, len: usize) -> bool {
        match self {
            Self::Request => false,
            Self::Denied | Self::Disconnect => len == 0,
            Self::Challenge | Self::Response => len == CHALLENGE_BODY,
            Self::KeepAlive => len == 8,
            Self::Payload => 1 <= len && len <= MAX_PAYLOAD,
        }
    }

    /// The first byte of a packet of this type with that sequence number.
    pub(super) const fn prefix(self, sequence: u64) -> u8 {
        (sequence_len(sequence) as u8) << 4 | self as u8
    }
}

/// Which end reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Server,
    Client,
}

impl Reader {
    const fn ignores(self, kind: PacketKind) -> bool {
        match self {
            Self::Server => matches!(kind, PacketKind::Challenge),
            Self::Client => matches!(kind, PacketKind::Request | PacketKind::Response),
        }
    }
}

/// How many bytes a sequence number takes without its high zero bytes: 1 to 8. Zero takes one.
pub(super) const fn sequence_len(sequence: u64) -> usize {
    let bits = 64 - (sequence | 1).leading_zeros() as usize;
    bits.div_ceil(8)
}

/// What stands before the sealed body of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) prefix: u8,
    pub(super) kind: PacketKind,
    pub(super) sequence: u64,
    /// Bytes before the body.
    pub(super) len: usize,
}

impl Header {
    /// The standard's "Reading Encrypted Packets", up to the replay test.
    pub(super) fn read(reader: Reader, datagram: &[u8]) -> Result<Self, Rejection> {
        if datagram.len() < SMALLEST {
            return Err(Rejection::TooSmall);
        }
        // Nothing sealed is longer. Deciding it here keeps an oversized datagram from costing a decryption.
        if datagram.len() > MAX_DATAGRAM {
            return Err(Rejection::TooLarge);
        }
        let mut bytes = ByteReader::new(datagram);
        let prefix = bytes.u8().ok_or(Rejection::TooSmall)?;
        let kind = PacketKind::from_prefix(prefix).ok_or(Rejection::UnknownType)?;
        if reader.ignores(kind) {
            return Err(Rejection::WrongDirection);
        }
        if kind == PacketKind::Request {
            // Type 0 is never sealed; with sequence bytes it is nothing at all.
            return Err(Rejection::UnknownType);
        }
        let count = usize::from(prefix >> 4);
        if !(1..=8).contains(&count) {
            return Err(Rejection::SequenceBytes);
        }
        if datagram.len() < 1 + count + MAC_LEN {
            return Err(Rejection::Truncated);
        }
        let mut sequence = [0; 8];
        let written = bytes.take(count).ok_or(Rejection::Truncated)?;
        sequence
            .iter_mut()
            .zip(written)
            .for_each(|(to, from)| *to = *from);
        Ok(Self {
            prefix,
            kind,
            sequence: u64::from_le_bytes(sequence),
            len: 1 + count,
        })
    }
}

/// A connection request, as far as it can be read without the key.
#[derive(Debug)]
pub(super) struct Request<'d> {
    pub(super) expires: UnixTime,
    pub(super) nonce: [u8; 24],
    /// The encrypted private connect token; decrypted where it lies.
    pub(super) private: &'d mut [u8; 1024],
}

impl<'d> Request<'d> {
    /// The cheap checks of the standard's "Processing Connection Requests", in its order.
    pub(super) fn read(
        datagram: &'d mut [u8],
        protocol_id: u64,
        now: UnixTime,
    ) -> Result<Self, Rejection> {
        if datagram.len() != REQUEST_LEN {
            return Err(Rejection::RequestSize);
        }
        let (head, private) = datagram
            .split_last_chunk_mut::<1024>()
            .ok_or(Rejection::RequestSize)?;
        let mut head = ByteReader::new(head);
        let mut field = || -> Option<_> {
            head.u8()?;
            Some((
                head.array::<13>()?,
                head.u64()?,
                head.u64()?,
                head.array::<24>()?,
            ))
        };
        let (version, protocol, expires, nonce) = field().ok_or(Rejection::RequestSize)?;
        if version != *VERSION {
            return Err(Rejection::RequestVersion);
        }
        if protocol != protocol_id {
            return Err(Rejection::RequestProtocol);
        }
        let expires = UnixTime(expires);
        if expires <= now {
            return Err(Rejection::TokenExpired);
        }
        Ok(Self {
            expires,
            nonce,
            private,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sequence_number_takes_one_to_eight_bytes() {
        let lengths = [
            (0, 1),
            (255, 1),
            (256, 2),
            (1_000, 2),
            (u64::MAX >> 8, 7),
            (1 << 63, 8),
            (u64::MAX, 8),
        ];
        for (sequence, len) in lengths {
            assert_eq!(sequence_len(sequence), len, "{sequence}");
        }
    }

    #[test]
    fn the_checks_come_in_the_order_of_the_standard() {
        let read = |bytes: &[u8]| Header::read(Reader::Server, bytes).unwrap_err();
        assert_eq!(read(&[0x1f; 17]), Rejection::TooSmall);
        assert_eq!(read(&[0x17; 18]), Rejection::UnknownType);
        assert_eq!(read(&[0x02; 18]), Rejection::WrongDirection);
        assert_eq!(read(&[0x05; 18]), Rejection::SequenceBytes);
        assert_eq!(read(&[0x95; 18]), Rejection::SequenceBytes);
        assert_eq!(read(&[0x25; 18]), Rejection::Truncated);
        assert_eq!(read(&[0x15; 1_226]), Rejection::TooLarge);
        let client = |bytes: &[u8]| Header::read(Reader::Client, bytes).unwrap_err();
        assert_eq!(client(&[0x13; 400]), Rejection::WrongDirection);
        assert_eq!(client(&[0x00; 1_078]), Rejection::WrongDirection);
    }

    #[test]
    fn sequence_bytes_are_reversed() {
        let mut datagram = [0; 40];
        datagram[..3].copy_from_slice(&[0x25, 0xE8, 0x03]);
        let header = Header::read(Reader::Server, &datagram).expect("a payload");
        assert_eq!((header.sequence, header.len), (1_000, 3));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..1_400)) {
            if let Ok(header) = Header::read(Reader::Server, &bytes) {
                prop_assert!(header.len + MAC_LEN <= bytes.len());
            }
        }
    }
}
