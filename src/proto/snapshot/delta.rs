//! The chunk of one entity: its values now, from its values at an earlier tick or from nothing.
//!
//! A chunk is a function of these two rows and of nothing else, so the same bits serve every client
//! that holds the same earlier tick, and any client can read them that holds it. Knows values and
//! bits. Has no idea of clients, ticks or neighbours. Section 8.5 of `docs/protocol.md`.
//!
//! ```text
//! chunk     mask: one bit per field, set when it differs (absolute: when it is not the zero of its range)
//!           then per set bit, in field order:
//! absolute  the raw number, in the bits of the field
//! delta     flags, or a field of at most 4 bits: the raw number
//!           a field of 5 to 10 bits:  1 bit: 0 a residual of 4 bits, 1 the raw number
//!           a wider field:            2 bits: 0, 1, 2 a residual of 4, 7, 10 bits, 3 the raw number
//! residual  zigzag(now - base) - 1, where zigzag(d) is 2d for d >= 0 and -2d - 1 below
//! ```
//!
//! The raw number of a value is its distance from the lowest value of the field; differences of
//! angles are taken the short way around.

use super::quantity::{Coding, Form};
use super::rejection::Rejection;
use crate::proto::wire::{BitBuffer, BitReader};

/// The residual sizes of wide fields, smallest first.
const WIDE: [u32; 3] = [4, 7, 10];
/// The residual size of middling fields.
const MIDDLE: u32 = 4;

/// Appends the chunk of `now` from nothing.
pub(super) fn encode_absolute(codings: &[Coding], now: &[i32], bits: &mut BitBuffer) {
    let zero = |coding: &Coding| coding.clamp(0);
    let pairs = || codings.iter().zip(now);
    let mask = mask_of(pairs().map(|(coding, value)| *value != zero(coding)));
    bits.push(mask, codings.len() as u32);
    for (coding, value) in pairs() {
        if *value != zero(coding) {
            bits.push(coding.raw(*value), coding.bits);
        }
    }
}

/// Appends the chunk of `now` from `base`; nothing at all when they are equal.
pub(super) fn encode_delta(codings: &[Coding], base: &[i32], now: &[i32], bits: &mut BitBuffer) {
    let mask = mask_of(base.iter().zip(now).map(|(base, now)| base != now));
    if mask == 0 {
        return;
    }
    bits.push(mask, codings.len() as u32);
    for ((coding, base), now) in codings.iter().zip(base).zip(now) {
        if base != now {
            encode_field(*coding, coding.raw(*base), coding.raw(*now), bits);
        }
    }
}

fn mask_of(differs: impl Iterator<Item = bool>) -> u32 {
    differs
        .take(32)
        .enumerate()
        .fold(0, |mask, (field, differs)| {
            mask | u32::from(differs) << field
        })
}

fn encode_field(coding: Coding, base: u32, now: u32, bits: &mut BitBuffer) {
    if is_plain(coding) {
        bits.push(now, coding.bits);
        return;
    }
    let residual = residual(coding, base, now);
    if coding.bits <= 10 {
        let small = residual < 1 << MIDDLE;
        bits.push_bit(!small);
        push_either(bits, small, (residual as u32, MIDDLE), (now, coding.bits));
        return;
    }
    let class = WIDE.iter().position(|size| residual < 1 << size);
    bits.push(class.unwrap_or(WIDE.len()) as u32, 2);
    let size = class.and_then(|class| WIDE.get(class)).copied();
    let small = (residual as u32, size.unwrap_or(0));
    push_either(bits, size.is_some(), small, (now, coding.bits));
}

/// Fields too small for a residual to be shorter, and fields whose differences mean nothing.
fn is_plain(coding: Coding) -> bool {
    coding.form == Form::Flags || coding.bits <= 4
}

fn push_either(bits: &mut BitBuffer, small: bool, residual: (u32, u32), raw: (u32, u32)) {
    let (value, size) = if small { residual } else { raw };
    bits.push(value, size);
}

/// `zigzag(now - base) - 1` of two numbers that differ.
fn residual(coding: Coding, base: u32, now: u32) -> u64 {
    let mut difference = i64::from(now) - i64::from(base);
    if coding.form == Form::Circle {
        let turn = i64::from(coding.max) + 1;
        difference = (difference + turn / 2).rem_euclid(turn) - turn / 2;
    }
    let zigzag = ((difference << 1) ^ (difference >> 63)) as u64;
    zigzag.saturating_sub(1)
}

/// The raw number that is a residual away from `base`; `None` outside of the field's range.
fn apply(coding: Coding, base: u32, residual: u32) -> Option<u32> {
    let zigzag = i64::from(residual) + 1;
    let difference = if zigzag & 1 == 0 {
        zigzag >> 1
    } else {
        -((zigzag + 1) >> 1)
    };
    let mut now = i64::from(base) + difference;
    if coding.form == Form::Circle {
        now = now.rem_euclid(i64::from(coding.max) + 1);
    }
    u32::try_from(now).ok().filter(|now| *now <= coding.max)
}

/// Appends the values of an absolute chunk to `values`.
pub(super) fn decode_absolute(
    codings: &[Coding],
    reader: &mut BitReader<'_>,
    values: &mut Vec<i32>,
) -> Result<(), Rejection> {
    let mask = read(reader, codings.len() as u32)?;
    for (field, coding) in codings.iter().enumerate() {
        let value = if mask >> field & 1 == 1 {
            coding.value(read_raw(*coding, reader)?)
        } else {
            coding.clamp(0)
        };
        values.push(value);
    }
    Ok(())
}

/// Appends the values of a chunk from `base` to `values`.
pub(super) fn decode_delta(
    codings: &[Coding],
    base: &[i32],
    reader: &mut BitReader<'_>,
    values: &mut Vec<i32>,
) -> Result<(), Rejection> {
    let mask = read(reader, codings.len() as u32)?;
    for (field, (coding, base)) in codings.iter().zip(base).enumerate() {
        let value = if mask >> field & 1 == 1 {
            coding.value(decode_field(*coding, coding.raw(*base), reader)?)
        } else {
            *base
        };
        values.push(value);
    }
    Ok(())
}

fn decode_field(coding: Coding, base: u32, reader: &mut BitReader<'_>) -> Result<u32, Rejection> {
    if is_plain(coding) {
        return read_raw(coding, reader);
    }
    let size = if coding.bits <= 10 {
        (read(reader, 1)? == 0).then_some(MIDDLE)
    } else {
        WIDE.get(read(reader, 2)? as usize).copied()
    };
    match size {
        Some(size) => apply(coding, base, read(reader, size)?).ok_or(Rejection::Value),
        None => read_raw(coding, reader),
    }
}

fn read_raw(coding: Coding, reader: &mut BitReader<'_>) -> Result<u32, Rejection> {
    let raw = read(reader, coding.bits)?;
    if raw > coding.max {
        return Err(Rejection::Value);
    }
    Ok(raw)
}

fn read(reader: &mut BitReader<'_>, bits: u32) -> Result<u32, Rejection> {
    reader.read(bits).ok_or(Rejection::Truncated)
}

#[cfg(test)]
mod tests {
    use super::super::quantity::Quantity;
    use super::*;
    use proptest::prelude::*;

    fn any_quantity() -> impl Strategy<Value = Quantity> {
        let bits = 1_u32..=32;
        prop_oneof![
            bits.clone().prop_map(|bits| Quantity::Angle { bits }),
            bits.clone().prop_map(|bits| Quantity::Unsigned { bits }),
            bits.clone().prop_map(|bits| Quantity::Signed { bits }),
            bits.clone().prop_map(|bits| Quantity::Flags { bits }),
            bits.prop_map(|bits| Quantity::Counter { bits }),
            (1_u16..).prop_map(|steps| Quantity::Ranged {
                min: 0.0,
                max: f32::from(steps),
                step: 1.0
            }),
        ]
    }

    /// A field, a value, and another one that is often near.
    fn any_field() -> impl Strategy<Value = (Coding, i32, i32)> {
        let step = prop_oneof![Just(0), -9_i32..9, any::<i32>()];
        (any_quantity(), any::<i32>(), step).prop_map(|(quantity, base, step)| {
            let coding = quantity.coding();
            let base = coding.clamp(base);
            (coding, base, coding.clamp(base.wrapping_add(step)))
        })
    }

    fn bytes_of(bits: &BitBuffer) -> Vec<u8> {
        let mut bytes = vec![0; bits.byte_len()];
        bits.copy_to(&mut bytes).expect("the buffer has the length");
        bytes
    }

    proptest! {
        #[test]
        fn a_chunk_gives_back_the_row_from_either_side(fields in prop::collection::vec(any_field(), 1..=32)) {
            let codings: Vec<_> = fields.iter().map(|field| field.0).collect();
            let base: Vec<_> = fields.iter().map(|field| field.1).collect();
            let now: Vec<_> = fields.iter().map(|field| field.2).collect();

            let mut bits = BitBuffer::new();
            encode_absolute(&codings, &now, &mut bits);
            let mut values = vec![];
            decode_absolute(&codings, &mut BitReader::new(&bytes_of(&bits)), &mut values).expect("our own bits");
            prop_assert_eq!(&values, &now);

            bits.clear();
            encode_delta(&codings, &base, &now, &mut bits);
            prop_assert_eq!(bits.is_empty(), base == now);
            if !bits.is_empty() {
                values.clear();
                let bytes = bytes_of(&bits);
                let mut reader = BitReader::new(&bytes);
                decode_delta(&codings, &base, &mut reader, &mut values).expect("our own bits");
                prop_assert_eq!(&values, &now);
                prop_assert!(reader.is_finished());
            }
        }

        #[test]
        fn any_bits_give_values_in_range_or_a_rejection(
            fields in prop::collection::vec(any_field(), 1..=32),
            bytes in prop::collection::vec(any::<u8>(), 0..150),
        ) {
            let codings: Vec<_> = fields.iter().map(|field| field.0).collect();
            let base: Vec<_> = fields.iter().map(|field| field.1).collect();
            let mut values = vec![];
            if decode_delta(&codings, &base, &mut BitReader::new(&bytes), &mut values).is_ok() {
                prop_assert_eq!(values.len(), codings.len());
                for (coding, value) in codings.iter().zip(&values) {
                    prop_assert_eq!(coding.clamp(*value), *value);
                }
            }
        }
    }

    #[test]
    fn an_angle_crosses_zero_the_short_way() {
        let codings = [Quantity::Angle { bits: 16 }.coding()];
        let mut bits = BitBuffer::new();
        encode_delta(&codings, &[3], &[65_534], &mut bits);
        assert_eq!(bits.len(), 1 + 2 + 4);
    }
}
