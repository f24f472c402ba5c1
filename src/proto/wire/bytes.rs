//! Little-endian bytes over a slice. Knows numbers. Has no idea what they stand for.

/// Reads numbers and slices from the front of a slice; `None` once it ends too early.
#[derive(Debug, Clone)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes, borrowed.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number in groups of seven bits, lowest first, the top bit of a byte saying that more follow
    /// (LEB128). Only the shortest form is a number: `None` for a padded one, and past 64 bits.
    pub fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return None;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                let padded = group == 0 && shift > 0;
                return (!padded).then_some(value);
            }
        }
        None
    }
}

/// How many bytes [`ByteWriter::varint`] needs for `value`: 1 to 10.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes numbers and slices into a slice. Each verb answers `None`, and writes nothing, when there is no room.
#[derive(Debug)]
pub struct ByteWriter<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> ByteWriter<'a> {
    /// A writer at the start of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// How many bytes have been written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes still fit.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// What has been written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// The room that is left, for somebody who writes by themselves and then calls [`Self::advance`].
    pub fn spare(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.len..).unwrap_or(&mut [])
    }

    /// Counts `len` bytes of [`Self::spare`] as written.
    pub fn advance(&mut self, len: usize) -> Option<()> {
        if len > self.remaining() {
            return None;
        }
        self.len += len;
        Some(())
    }

    /// Goes back to a length written before.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.spare().get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.advance(bytes.len())
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes two bytes.
    pub fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes four bytes.
    pub fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes eight bytes.
    pub fn u64(&mut self, value: u64) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes a number in the form that [`ByteReader::varint`] reads.
    pub fn varint(&mut self, mut value: u64) -> Option<()> {
        if varint_len(value) > self.remaining() {
            return None;
        }
        while value >= 0x80 {
            self.u8((value & 0x7f) as u8 | 0x80)?;
            value >>= 7;
        }
        self.u8(value as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back_and_have_the_promised_length(value: u64) {
            let mut buffer = [0; 10];
            let mut writer = ByteWriter::new(&mut buffer);
            prop_assert!(writer.varint(value).is_some());
            prop_assert_eq!(writer.len(), varint_len(value));
            let mut reader = ByteReader::new(writer.written());
            prop_assert_eq!(reader.varint(), Some(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_varint_has_one_form_only(bytes: [u8; 10]) {
            let mut reader = ByteReader::new(&bytes);
            if let Some(value) = reader.varint() {
                let mut buffer = [0; 10];
                let mut writer = ByteWriter::new(&mut buffer);
                writer.varint(value).expect("ten bytes hold every number");
                prop_assert_eq!(writer.written(), &bytes[..10 - reader.remaining()]);
            }
        }
    }

    #[test]
    fn a_short_slice_ends_in_none_and_stays_readable() {
        let mut reader = ByteReader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(0x0201));
        assert_eq!(reader.take(2), None);
        assert_eq!(reader.u8(), Some(3));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_full_writer_writes_nothing_of_what_does_not_fit() {
        let mut buffer = [0; 3];
        let mut writer = ByteWriter::new(&mut buffer);
        assert!(writer.u16(0xBBAA).is_some());
        assert!(writer.u32(1).is_none());
        assert!(writer.varint(128).is_none());
        assert!(writer.u8(0xCC).is_some());
        assert_eq!(writer.written(), &[0xAA, 0xBB, 0xCC]);
    }
}
