//! Bits, lowest first within each byte. Knows numbers of 0 to 32 bits. Has no idea what they stand for.
//!
//! A [`BitBuffer`] can append any range of another one, which is how a change that was encoded once is
//! sent to many clients.

/// How many bits a number of `0..count` needs: 0 for one value, 1 for two, 16 for 65,536.
#[must_use]
pub const fn bits_for(count: u32) -> u32 {
    if count <= 1 {
        0
    } else {
        32 - (count - 1).leading_zeros()
    }
}

/// A growing string of bits. Keeps its memory when cleared, so a warm one allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct BitBuffer {
    /// Bit `i` of the string is bit `i % 64` of word `i / 64`; bits past the end are zero.
    words: Vec<u64>,
    len: usize,
}

impl BitBuffer {
    /// An empty string.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: Vec::new(),
            len: 0,
        }
    }

    /// An empty string with memory for so many bits.
    #[must_use]
    pub fn with_capacity(bits: usize) -> Self {
        Self {
            words: Vec::with_capacity(bits.div_ceil(64)),
            len: 0,
        }
    }

    /// How many bits there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The bits by the word, the first being the lowest of the first; after the last there are zeros.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many bytes they fill.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.len.div_ceil(8)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all bits and keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    /// Goes back to a length it had before.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        self.words.truncate(len.div_ceil(64));
        if let (Some(last), used @ 1..) = (self.words.last_mut(), len % 64) {
            *last &= (1 << used) - 1;
        }
    }

    /// Appends the lowest `bits` bits of `value`, 0 to 32; higher ones are ignored.
    #[inline]
    pub fn push(&mut self, value: u32, bits: u32) {
        debug_assert!(bits <= 32, "a number has at most 32 bits");
        let bits = bits.min(32);
        self.push_word(u64::from(value) & ((1 << bits) - 1), bits);
    }

    /// Appends the lowest `bits` bits of `value`, 0 to 64; higher ones are zero.
    #[inline]
    pub fn push_long(&mut self, value: u64, bits: u32) {
        debug_assert!(bits >= 64 || value >> bits == 0, "higher bits are zero");
        self.push_word(value, bits.min(64));
    }

    /// Appends one bit.
    #[inline]
    pub fn push_bit(&mut self, bit: bool) {
        self.push(u32::from(bit), 1);
    }

    /// Appends `bits` (0..=64) bits of a word whose higher bits are zero.
    #[inline]
    fn push_word(&mut self, value: u64, bits: u32) {
        if bits == 0 {
            return;
        }
        let used = (self.len % 64) as u32;
        match self.words.last_mut() {
            Some(last) if used > 0 => {
                *last |= value << used;
                if used + bits > 64 {
                    self.words.push(value >> (64 - used));
                }
            }
            _ => self.words.push(value),
        }
        self.len += bits as usize;
    }

    /// Appends bits `start..end` of `other`.
    ///
    /// # Panics
    ///
    /// When the range is not within `other`: ranges are our own, never a peer's.
    pub fn append(&mut self, other: &Self, start: usize, end: usize) {
        assert!(
            start <= end && end <= other.len,
            "a range of bits lies within its buffer"
        );
        let mut at = start;
        while at < end {
            let bits = (end - at).min(64);
            self.push_word(other.word_at(at, bits), bits as u32);
            at += bits;
        }
    }

    /// Up to 64 bits from position `at`.
    #[inline]
    fn word_at(&self, at: usize, bits: usize) -> u64 {
        let (index, offset) = (at / 64, at % 64);
        let mut word = self.words[index] >> offset;
        if offset > 0
            && let Some(next) = self.words.get(index + 1)
        {
            word |= next << (64 - offset);
        }
        if bits < 64 {
            word & ((1 << bits) - 1)
        } else {
            word
        }
    }

    /// Copies the bits into `out` as bytes, the last one padded with zeros, and says how many bytes
    /// that were; `None`, and nothing copied, when there is no room.
    pub fn copy_to(&self, out: &mut [u8]) -> Option<usize> {
        let bytes = self.byte_len();
        let out = out.get_mut(..bytes)?;
        for (chunk, word) in out.chunks_mut(8).zip(&self.words) {
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Some(bytes)
    }
}

/// Reads bits from the front of a slice of bytes; `None` once it ends too early.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bits have not been read yet, the padding of the last byte included.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// The next `bits` bits, 0 to 32, as a number.
    #[inline]
    pub fn read(&mut self, bits: u32) -> Option<u32> {
        debug_assert!(bits <= 32, "a number has at most 32 bits");
        let bits = bits.min(32);
        let next = self.peek();
        self.skip(bits)?;
        Some((next & ((1 << bits) - 1)) as u32)
    }

    /// At least the next 57 bits, without taking them; zeros after the end.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> u64 {
        let (byte, offset) = (self.at / 8, self.at % 8);
        let window = match self.bytes.get(byte..byte + 8) {
            Some(eight) => eight
                .first_chunk::<8>()
                .map_or(0, |eight| u64::from_le_bytes(*eight)),
            None => {
                let mut eight = [0; 8];
                let rest = self.bytes.get(byte..).unwrap_or(&[]);
                for (to, from) in eight.iter_mut().zip(rest) {
                    *to = *from;
                }
                u64::from_le_bytes(eight)
            }
        };
        window >> offset
    }

    /// Takes so many bits; `None`, and none taken, when there are fewer.
    #[inline]
    pub fn skip(&mut self, bits: u32) -> Option<()> {
        if bits as usize > self.remaining() {
            return None;
        }
        self.at += bits as usize;
        Some(())
    }

    /// The next bit.
    #[inline]
    pub fn read_bit(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    /// Whether only padding is left: fewer than eight bits, all of them zero.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let rest = self.remaining();
        rest < 8 && self.clone().read(rest as u32) == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(bits: &BitBuffer) -> Vec<u8> {
        let mut out = vec![0; bits.byte_len()];
        bits.copy_to(&mut out).expect("the buffer has the length");
        out
    }

    #[test]
    fn bits_for_counts() {
        let pairs = [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (65_536, 16),
            (65_537, 17),
        ];
        for (count, bits) in pairs {
            assert_eq!(bits_for(count), bits, "{count} values");
        }
    }

    #[test]
    fn the_first_bit_is_the_lowest_of_the_first_byte() {
        let mut bits = BitBuffer::new();
        bits.push(1, 1);
        bits.push(0, 2);
        bits.push(0b1_0110, 5);
        bits.push(1, 1);
        assert_eq!(bytes_of(&bits), [0b1011_0001, 0b1]);
    }

    #[test]
    fn what_ends_too_early_is_none() {
        let mut reader = BitReader::new(&[0xFF]);
        assert_eq!(reader.read(9), None);
        assert_eq!(reader.read(7), Some(0x7F));
        assert!(!reader.is_finished());
        assert_eq!(reader.read_bit(), Some(true));
        assert!(reader.is_finished());
        assert_eq!(reader.read_bit(), None);
        assert_eq!(reader.read(0), Some(0));
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u32>(), 0_u32..=32), 0..200)) {
            let mut bits = BitBuffer::new();
            for (value, width) in &numbers {
                bits.push(*value, *width);
            }
            let bytes = bytes_of(&bits);
            let mut reader = BitReader::new(&bytes);
            for (value, width) in numbers {
                let kept = (u64::from(value) & ((1 << width) - 1)) as u32;
                prop_assert_eq!(reader.read(width), Some(kept));
            }
            prop_assert!(reader.is_finished());
        }

        #[test]
        fn a_spliced_range_is_the_same_bits(
            flags in prop::collection::vec(any::<bool>(), 0..400),
            before in 0_usize..70,
            cuts: (prop::sample::Index, prop::sample::Index),
        ) {
            let mut source = BitBuffer::new();
            for flag in &flags {
                source.push_bit(*flag);
            }
            let (one, two) = (cuts.0.index(flags.len() + 1), cuts.1.index(flags.len() + 1));
            let (start, end) = (one.min(two), one.max(two));
            let mut target = BitBuffer::new();
            for _ in 0..before {
                target.push_bit(true);
            }
            target.append(&source, start, end);
            prop_assert_eq!(target.len(), before + end - start);
            let bytes = bytes_of(&target);
            let mut reader = BitReader::new(&bytes);
            for _ in 0..before {
                prop_assert_eq!(reader.read_bit(), Some(true));
            }
            for flag in &flags[start..end] {
                prop_assert_eq!(reader.read_bit(), Some(*flag));
            }
        }

        #[test]
        fn truncating_forgets(flags in prop::collection::vec(any::<bool>(), 1..300), cut: prop::sample::Index) {
            let keep = cut.index(flags.len());
            let mut bits = BitBuffer::new();
            for flag in &flags {
                bits.push_bit(*flag);
            }
            bits.truncate(keep);
            bits.push(0, 3);
            let mut plain = BitBuffer::new();
            for flag in &flags[..keep] {
                plain.push_bit(*flag);
            }
            plain.push(0, 3);
            prop_assert_eq!(bytes_of(&bits), bytes_of(&plain));
        }
    }
}
