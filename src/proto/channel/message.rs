//! Typed messages as bytes, and back. Knows serde and the limits; the one file that names bincode. Has
//! no idea on which channel they travel.
//!
//! The bytes are those of bincode 2 with its standard configuration: little-endian, integers of more
//! than a byte as its own variable-length form, lengths and enum variants as such integers, fields in
//! the order of declaration, no names. Integers have more than one accepted form, so encoded bytes are
//! never compared, hashed or signed.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::{DecodeError as BincodeDecodeError, EncodeError as BincodeEncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_MESSAGE;

/// A type that travels as a message.
///
/// Anything with serde's derives can be one, but a peer may be hostile, and some types let it do harm or
/// do not survive the trip. Types must avoid:
///
/// | avoid | because |
/// |---|---|
/// | recursion (`Box<Self>`, trees) | nesting is stack; only the byte limit stops it |
/// | containers of zero-sized elements (`Vec<()>`) | a few bytes can ask for 2^60 elements; no limit stops that loop |
/// | maps and sets, in messages from clients | the sender chooses the keys and so the cost of inserting them |
/// | `#[serde(flatten)]`, `skip`, `skip_serializing`, `skip_deserializing`, `skip_serializing_if`, `tag`, `untagged` | the format has no names: fields are silently lost or shifted |
/// | `&str`, `&[u8]` fields | a message owns its data |
/// | renumbering of variants, reordering of fields | both change the bytes: new ones go to the end, with a new protocol version |
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tickwire::proto::channel::message::{DecodeError, Message};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum Chat {
///     Said { by: u32, text: String },
///     Left { who: u32 },
/// }
/// impl Message for Chat {}
///
/// let said = Chat::Said { by: 7, text: "hello".to_owned() };
/// let mut bytes = said.to_bytes()?;
/// assert_eq!(Chat::from_bytes(&bytes)?, said);
///
/// bytes.push(0);
/// assert_eq!(Chat::from_bytes(&bytes), Err(DecodeError::TrailingBytes));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Message: Serialize + DeserializeOwned {
    /// The message as bytes of its own, at most [`MAX_MESSAGE`]. Where many are written, [`encode`] uses the same
    /// memory again.
    ///
    /// # Errors
    ///
    /// [`EncodeError`].
    fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        encode(self, &mut bytes)?;
        Ok(bytes)
    }

    /// The message that `bytes`, all of them, are.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the peer sent something else.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

/// Why a message could not be written: the caller's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Longer than the limit.
    #[error("the message takes more than {0} bytes: split it, or send less")]
    TooLong(usize),
    /// The type cannot be written in a format without names and marks.
    #[error("the message's type cannot be encoded: {0}")]
    Unsupported(String),
}

/// Why bytes are not a message: the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It claims to be longer than the limit.
    #[error("the message is, or claims to be, longer than its limit")]
    TooLong,
    /// It ends too early.
    #[error("the message ends too early")]
    Truncated,
    /// It goes on after its end.
    #[error("bytes follow the end of the message")]
    TrailingBytes,
    /// Its bytes are no value of the type.
    #[error("the bytes are no value of the message's type")]
    Malformed,
}

/// Encodes and decodes messages of at most `LIMIT` bytes, 65,536 at most.
///
/// ```compile_fail
/// # use tickwire::proto::channel::message::{Codec, Message};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Chat(String);
/// # impl Message for Chat {}
/// let _ = Codec::<65_537>.decode::<Chat>(b"");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Codec<const LIMIT: usize = MAX_MESSAGE>;

impl<const LIMIT: usize> Codec<LIMIT> {
    /// A limit above 64 KiB would let nesting and claimed lengths do harm: it does not compile.
    const CHECKED: Configuration<LittleEndian, Varint, Limit<LIMIT>> = {
        assert!(LIMIT <= 65_536, "a message has at most 64 KiB");
        bincode::config::standard().with_limit::<LIMIT>()
    };

    /// Replaces what is in `out` by the message's bytes; a warm `out` is not reallocated.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]; `out` is empty then.
    pub fn encode<M: Message>(self, message: &M, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.clear();
        out.resize(LIMIT, 0);
        let written = bincode::serde::encode_into_slice(message, out, Self::CHECKED);
        out.truncate(written.as_ref().map_or(0, |len| *len));
        written.map(|_| ()).map_err(|error| match error {
            BincodeEncodeError::UnexpectedEnd => EncodeError::TooLong(LIMIT),
            other => EncodeError::Unsupported(other.to_string()),
        })
    }

    /// The message that `bytes`, all of them, are.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]. What was claimed is never allocated beyond the limit.
    pub fn decode<M: Message>(self, bytes: &[u8]) -> Result<M, DecodeError> {
        if bytes.len() > LIMIT {
            return Err(DecodeError::TooLong);
        }
        let (message, len) = bincode::serde::decode_from_slice(bytes, Self::CHECKED).map_err(
            |error| match error {
                BincodeDecodeError::UnexpectedEnd { .. } => DecodeError::Truncated,
                BincodeDecodeError::LimitExceeded => DecodeError::TooLong,
                _ => DecodeError::Malformed,
            },
        )?;
        if len != bytes.len() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(message)
    }
}

/// Replaces what is in `out` by a message of at most [`MAX_MESSAGE`] bytes.
///
/// # Errors
///
/// [`EncodeError`]; `out` is empty then.
pub fn encode<M: Message>(message: &M, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    Codec::<MAX_MESSAGE>.encode(message, out)
}

/// The message of at most [`MAX_MESSAGE`] bytes that `bytes`, all of them, are.
///
/// # Errors
///
/// [`DecodeError`].
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    Codec::<MAX_MESSAGE>.decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Nothing,
        Words(Vec<String>),
        Numbers {
            a: u64,
            b: i32,
            c: f32,
            d: Option<bool>,
        },
    }
    impl Message for Sample {}

    fn samples() -> impl Strategy<Value = Sample> {
        prop_oneof![
            Just(Sample::Nothing),
            prop::collection::vec(".{0,20}", 0..8).prop_map(Sample::Words),
            (
                any::<u64>(),
                any::<i32>(),
                -1e9_f32..1e9,
                any::<Option<bool>>()
            )
                .prop_map(|(a, b, c, d)| Sample::Numbers { a, b, c, d }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back_and_every_other_length_is_refused(sample in samples()) {
            let mut bytes = vec![1, 2, 3];
            encode(&sample, &mut bytes).expect("short enough");
            prop_assert_eq!(decode::<Sample>(&bytes), Ok(sample));
            for cut in 0..bytes.len() {
                prop_assert!(decode::<Sample>(&bytes[..cut]).is_err());
            }
            bytes.push(0);
            prop_assert_eq!(decode::<Sample>(&bytes), Err(DecodeError::TrailingBytes));
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..1_100),
        ) {
            let _ = decode::<Sample>(&bytes);
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused_before_it_is_allocated() {
        // Variant 1, one word, of 2^40 bytes.
        let bytes = [1, 1, 253, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(decode::<Sample>(&bytes), Err(DecodeError::TooLong));
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_at_both_ends() {
        let long = Sample::Words(vec!["x".repeat(2_000)]);
        let mut bytes = Vec::new();
        let refused = encode(&long, &mut bytes);
        assert_eq!(refused, Err(EncodeError::TooLong(MAX_MESSAGE)));
        assert!(bytes.is_empty());
        Codec::<4_000>
            .encode(&long, &mut bytes)
            .expect("the limit is higher");
        assert_eq!(decode::<Sample>(&bytes), Err(DecodeError::TooLong));
        assert_eq!(Codec::<4_000>.decode::<Sample>(&bytes), Ok(long));
    }
}
