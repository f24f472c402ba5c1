//! Distances as symbols: the small ones each their own, the large ones by size and sign, with the
//! rest as plain bits.
//!
//! Knows whole numbers. Has no idea what lies that far apart. Section 8.5.4 of `docs/protocol.md`.

use super::motion::magnitude;

/// Distances of at most this size have a symbol each.
const DIRECT: i64 = 12;
const DIRECT_SYMBOLS: u32 = 2 * DIRECT as u32 + 1;
/// The smallest number of plain bits, and the largest: a distance has at most 33.
const FEWEST: u32 = 2;
const MOST: u32 = 32;
/// How many symbols there are.
pub(in super::super) const RESIDUALS: usize = (DIRECT_SYMBOLS + 2 * (MOST - FEWEST + 1)) as usize;

/// A distance as a symbol, and the plain bits that follow it with their number.
#[inline]
pub(in super::super) const fn split(distance: i64) -> (u32, u32, u32) {
    let size = distance.unsigned_abs();
    if size <= DIRECT as u64 {
        return ((distance + DIRECT) as u32, 0, 0);
    }
    let beyond = size - DIRECT as u64 - 1 + (1 << FEWEST);
    let bits = magnitude(beyond) as u32 - 1;
    let symbol = DIRECT_SYMBOLS + 2 * (bits - FEWEST) + (distance < 0) as u32;
    (symbol, (beyond & ((1 << bits) - 1)) as u32, bits)
}

/// How many plain bits follow a symbol.
#[inline]
pub(in super::super) const fn plain_bits(symbol: u32) -> u32 {
    if symbol < DIRECT_SYMBOLS {
        0
    } else {
        FEWEST + (symbol - DIRECT_SYMBOLS) / 2
    }
}

/// The distance of a symbol and the plain bits that followed it.
#[inline]
pub(in super::super) const fn join(symbol: u32, plain: u32) -> i64 {
    if symbol < DIRECT_SYMBOLS {
        return symbol as i64 - DIRECT;
    }
    let beyond = (1_i64 << plain_bits(symbol)) | plain as i64;
    let size = beyond - (1 << FEWEST) + DIRECT + 1;
    if (symbol - DIRECT_SYMBOLS) & 1 == 1 {
        -size
    } else {
        size
    }
}

/// The residuals of an entity so far, as contexts of the next ones.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Trail {
    /// Of the group: about the size of the last ones.
    last: u64,
    /// Whether the group has had a field yet.
    begun: bool,
    /// Of all groups before: the size of the largest, in bits.
    largest: usize,
}

/// The place of a first residual among those by the size of the one before.
const NONE_BEFORE: usize = 6;

impl Trail {
    /// The context of the next residual of a group: at a level, and `turned` or not.
    #[inline]
    pub(in super::super) fn context(&self, level: u8, turned: bool) -> usize {
        let before = if self.begun {
            magnitude(self.last).min(NONE_BEFORE - 1)
        } else {
            NONE_BEFORE
        };
        ((usize::from(level & 15) * 8 + before) * 8 + self.largest) * 2 + usize::from(turned)
    }

    /// A field was this far off.
    #[inline]
    pub(in super::super) fn add(&mut self, distance: i64) {
        self.last = (self.last / 2).max(distance.unsigned_abs());
        self.begun = true;
    }

    /// A field was as expected.
    #[inline]
    pub(in super::super) fn pass(&mut self) {
        self.last /= 2;
        self.begun = true;
    }

    /// The group has ended.
    #[inline]
    pub(in super::super) fn end_group(&mut self) {
        self.largest = self.largest.max(magnitude(self.last)).min(7);
        self.last = 0;
        self.begun = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_distance_comes_back(distance in prop_oneof![-100_i64..100, -(1_i64 << 32) + 1..(1_i64 << 32)]) {
            let (symbol, plain, bits) = split(distance);
            prop_assert!((symbol as usize) < RESIDUALS);
            prop_assert_eq!(plain_bits(symbol), bits);
            prop_assert_eq!(join(symbol, plain), distance);
        }
    }

    #[test]
    fn every_symbol_has_distances() {
        let mut next = -DIRECT;
        for symbol in 0..DIRECT_SYMBOLS {
            assert_eq!(join(symbol, 0), next);
            next += 1;
        }
        for symbol in (DIRECT_SYMBOLS..RESIDUALS as u32).step_by(2) {
            assert_eq!(join(symbol, 0), next);
            next += 1 << plain_bits(symbol);
            assert_eq!(join(symbol + 1, 0), -join(symbol, 0));
        }
    }
}
