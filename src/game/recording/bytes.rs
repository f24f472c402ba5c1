//! Bytes into a growing buffer, and the two shapes of a number that
//! [`ByteReader`](crate::proto::wire::ByteReader) has no verb for.

use super::FormatError;
use crate::proto::wire::ByteReader;

/// Appends a number in the form that [`ByteReader::varint`] reads.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small ones of either sign short.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i32) {
    put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a text, its length first.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A number of at most 32 bits.
pub(super) fn varint(bytes: &mut ByteReader<'_>) -> Result<u32, FormatError> {
    let value = bytes.varint().ok_or(FormatError::Cut)?;
    u32::try_from(value).map_err(|_| FormatError::Number(value))
}

/// A number as [`put_signed`] writes it.
pub(super) fn signed(bytes: &mut ByteReader<'_>) -> Result<i32, FormatError> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// A text as [`put_text`] writes it.
pub(super) fn text(bytes: &mut ByteReader<'_>) -> Result<String, FormatError> {
    let len = varint(bytes)? as usize;
    let text = bytes.take(len).ok_or(FormatError::Cut)?;
    let text = core::str::from_utf8(text).map_err(|_| FormatError::Text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn signed_numbers_come_back_and_small_ones_are_short(value: i32) {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            prop_assert!(value.unsigned_abs() >= 64 || bytes.len() == 1);
            prop_assert_eq!(signed(&mut ByteReader::new(&bytes)), Ok(value));
        }
    }

    #[test]
    fn what_is_too_large_or_no_text_is_named() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, 1 << 32);
        let large = varint(&mut ByteReader::new(&bytes));
        assert_eq!(large, Err(FormatError::Number(1 << 32)));
        assert_eq!(
            text(&mut ByteReader::new(&[2, 0xc3, 0x28])),
            Err(FormatError::Text)
        );
        assert_eq!(
            text(&mut ByteReader::new(&[3, b'a'])),
            Err(FormatError::Cut)
        );
    }
}
