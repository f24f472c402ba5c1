//! Long numbers that travel short.

/// The number whose low 16 bits are `low` and which is nearest to `reference`.
///
/// Right as long as the true number is less than 2^15 away from the reference. Numbers below zero and
/// above `u64::MAX` do not exist: there the nearest one that does is taken.
///
/// ```
/// use tickwire::proto::wire::widen;
/// assert_eq!(widen(0x0001, 0x1_FFFF), 0x2_0001);
/// assert_eq!(widen(0xFFFF, 0x2_0001), 0x1_FFFF);
/// assert_eq!(widen(0xFFFF, 3), 0xFFFF);
/// ```
#[must_use]
pub const fn widen(low: u16, reference: u64) -> u64 {
    let ahead = low.wrapping_sub(reference as u16);
    if ahead < 0x8000 {
        match reference.checked_add(ahead as u64) {
            Some(value) => value,
            None => reference - (0x1_0000 - ahead as u64),
        }
    } else {
        let behind = 0x1_0000 - ahead as u64;
        match reference.checked_sub(behind) {
            Some(value) => value,
            None => reference + ahead as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_near_the_reference_comes_back(reference: u64, distance in -32_767_i64..=32_767) {
            if let Some(value) = reference.checked_add_signed(distance) {
                prop_assert_eq!(widen(value as u16, reference), value);
            }
        }

        #[test]
        fn the_low_bits_are_always_kept(low: u16, reference: u64) {
            prop_assert_eq!(widen(low, reference) as u16, low);
        }
    }
}
