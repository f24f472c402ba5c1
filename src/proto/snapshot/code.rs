//! Small whole numbers in few bits: exponential Golomb codes.
//!
//! A number `v` of order `k` is split into `q = (v >> k) + 1` and its `k` low bits. If `q` has `n`
//! bits, the code is `n - 1` zeros, a one, the `n - 1` lower bits of `q`, and the `k` low bits: `2n
//! - 1 + k` bits. (J. Teuhola, "A compression method for clustered bit-vectors", 1978.)
//!
//! Knows numbers. Has no idea what they count.

use crate::proto::wire::{BitBuffer, BitReader};

/// The order travels in three bits.
pub(super) const ORDER_BITS: u32 = 3;
/// The highest order.
const MAX_ORDER: u32 = (1 << ORDER_BITS) - 1;
/// No number here is larger: slots, ranks and their differences are below 2^16.
const MAX_PREFIX: u32 = 16;

/// How many bits a number takes.
#[cfg(test)]
pub(super) const fn number_len(value: u32, order: u32) -> u32 {
    let q = (value >> order) + 1;
    2 * (32 - q.leading_zeros()) - 1 + order
}

/// Appends a number below 2^16.
#[inline]
pub(super) fn push_number(bits: &mut BitBuffer, value: u32, order: u32) {
    debug_assert!(value <= u32::from(u16::MAX), "a number is below 2^16");
    let q = u64::from(value >> order) + 1;
    let lower = q.ilog2();
    // One string of bits, from the lowest: `lower` zeros, the one, what is below it, the low bits of the number.
    let below = q ^ 1 << lower;
    let low = u64::from(value) & ((1 << order) - 1);
    let code = (below << 1 | 1) << lower | low << (2 * lower + 1);
    bits.push_long(code, 2 * lower + 1 + order);
}

/// The next number; `None` when the bits end or it is not below 2^17.
pub(super) fn read_number(reader: &mut BitReader<'_>, order: u32) -> Option<u32> {
    let mut lower = 0;
    while !reader.read_bit()? {
        lower += 1;
        if lower > MAX_PREFIX {
            return None;
        }
    }
    let q = (1 << lower) | reader.read(lower)?;
    let low = reader.read(order)?;
    Some(((q - 1) << order) | low)
}

/// A good order for `count` gaps that add up to about `span`.
pub(super) const fn order_for(count: usize, span: usize) -> u32 {
    if count == 0 || span <= count {
        return 0;
    }
    let mean = (span - count) / count;
    let order = usize::BITS - mean.leading_zeros();
    // A little below the mean: short gaps are more frequent than long ones.
    let order = order.saturating_sub(1);
    if order > MAX_ORDER { MAX_ORDER } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_in_the_promised_length(value in 0_u32..65_536, order in 0_u32..=7) {
            let mut bits = BitBuffer::new();
            push_number(&mut bits, value, order);
            prop_assert_eq!(bits.len() as u32, number_len(value, order));
            let mut bytes = vec![0; bits.byte_len()];
            bits.copy_to(&mut bytes).expect("the buffer has the length");
            prop_assert_eq!(read_number(&mut BitReader::new(&bytes), order), Some(value));
        }

        #[test]
        fn any_bits_give_a_bounded_number_or_none(bytes in prop::collection::vec(any::<u8>(), 0..8), order in 0_u32..=7) {
            if let Some(value) = read_number(&mut BitReader::new(&bytes), order) {
                prop_assert!(value < 1 << 24);
            }
        }
    }

    #[test]
    fn zero_is_one_bit() {
        assert_eq!(number_len(0, 0), 1);
        assert_eq!(number_len(0, 2), 3);
        assert_eq!(order_for(10, 10), 0);
        assert_eq!(order_for(10, 100), 3);
        assert_eq!(order_for(1, 60_000), 7);
    }
}
