//! From one frame to the next: rows that went, came and changed.
//!
//! ```text
//! varint                 ticks since the frame before
//! varint, ...            changes by ascending slot: (slots passed over << 2) | what
//!                          0  the row is gone
//!                          1  a row is placed, whatever was there: varint generation, kind, all values
//!                          2  the row has other values: varint mask of fields, the differences of those
//!                          3  no more changes
//! u64                    hash of the whole frame
//! ```
//!
//! A keyframe is the way from an empty world. Differences wrap at 32 bits.

use super::FormatError;
use super::bytes::{put_signed, put_varint, signed, varint};
use super::frame::{RecordedFrame, RecordedRow};
use super::values::ValueRanges;
use crate::id::EntityId;
use crate::proto::snapshot::{KindId, Schema};
use crate::proto::wire::ByteReader;
use crate::time::Tick;

const GONE: u32 = 0;
const PLACED: u32 = 1;
const CHANGED: u32 = 2;
const END: u32 = 3;

/// Appends what leads from one frame to the next.
pub(super) fn put_delta(out: &mut Vec<u8>, before: &RecordedFrame, now: &RecordedFrame) {
    put_varint(out, now.tick().since(before.tick()).into());
    let mut next_slot = 0;
    let (mut old, mut new) = (before.rows().peekable(), now.rows().peekable());
    loop {
        let slot = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.id.slot.min(new.id.slot),
            (Some(row), None) | (None, Some(row)) => row.id.slot,
            (None, None) => break,
        };
        let was = old.next_if(|row| row.id.slot == slot);
        let is = new.next_if(|row| row.id.slot == slot);
        let passed_over = u32::from(slot) - next_slot;
        if put_change(out, passed_over, was, is) {
            next_slot = u32::from(slot) + 1;
        }
    }
    put_varint(out, END.into());
    out.extend_from_slice(&now.hash().to_le_bytes());
}

/// Appends what became of one slot; `false` when nothing did.
fn put_change(
    out: &mut Vec<u8>,
    passed_over: u32,
    was: Option<RecordedRow<'_>>,
    is: Option<RecordedRow<'_>>,
) -> bool {
    let mut put_what = |what| {
        put_varint(out, u64::from((passed_over << 2) | what));
    };
    match (was, is) {
        (_, None) => put_what(GONE),
        (Some(was), Some(is)) if (was.id, was.kind) == (is.id, is.kind) => {
            let mask = mask_of(was.values, is.values);
            if mask == 0 {
                return false;
            }
            put_what(CHANGED);
            put_varint(out, mask.into());
            for (old, new) in was.values.iter().zip(is.values) {
                if old != new {
                    put_signed(out, new.wrapping_sub(*old));
                }
            }
        }
        (_, Some(is)) => {
            put_what(PLACED);
            put_varint(out, is.id.generation.into());
            out.push(is.kind.0);
            is.values.iter().for_each(|value| put_signed(out, *value));
        }
    }
    true
}

/// Which values differ, the first one being the lowest bit.
fn mask_of(old: &[i32], new: &[i32]) -> u32 {
    let mut differ = old.iter().zip(new).map(|(old, new)| u32::from(old != new));
    (0..32).fold(0, |mask, field| {
        mask | (differ.next().unwrap_or(0) << field)
    })
}

/// Reads the next frame.
pub(super) fn delta(
    bytes: &mut ByteReader<'_>,
    before: &RecordedFrame,
    ranges: &ValueRanges,
) -> Result<RecordedFrame, FormatError> {
    let step = varint(bytes)?;
    let tick = before.tick().0.checked_add(step).map(Tick);
    let tick = tick.ok_or(FormatError::Number(u64::from(u32::MAX) + 1))?;
    let mut now = RecordedFrame::default();
    now.begin(tick);
    let mut old = before.rows().peekable();
    let mut next_slot = 0_u32;
    loop {
        let change = varint(bytes)?;
        if change == END {
            break;
        }
        let slot = next_slot + (change >> 2);
        if slot >= ranges.max_entities() {
            return Err(FormatError::Slot(slot));
        }
        next_slot = slot + 1;
        // A schema has at most 65,000 slots.
        let slot = slot as u16;
        while let Some(row) = old.next_if(|row| row.id.slot < slot) {
            now.push(row);
        }
        let was = old.next_if(|row| row.id.slot == slot);
        read_change(bytes, &mut now, (slot, change & 3), was, ranges)?;
    }
    old.for_each(|row| now.push(row));
    let hash = bytes.u64().ok_or(FormatError::Cut)?;
    if now.hash() == hash {
        Ok(now)
    } else {
        Err(FormatError::Mismatch(tick))
    }
}

/// Reads what became of one slot.
fn read_change(
    bytes: &mut ByteReader<'_>,
    now: &mut RecordedFrame,
    (slot, what): (u16, u32),
    was: Option<RecordedRow<'_>>,
    ranges: &ValueRanges,
) -> Result<(), FormatError> {
    let was = || was.ok_or(FormatError::Empty(slot.into()));
    let (entity, kind) = match what {
        GONE => return was().map(drop),
        PLACED => read_row(bytes, now, slot, ranges)?,
        CHANGED => {
            let was = was()?;
            now.push(was);
            read_differences(bytes, now.last_values())?;
            (was.id, was.kind)
        }
        number => {
            let what = "change";
            return Err(FormatError::Unknown { what, number });
        }
    };
    let values = now.last_values();
    match ranges.first_wrong(kind, values) {
        None => Ok(()),
        Some(field) => Err(FormatError::Value {
            entity,
            field,
            value: values.get(field).copied().unwrap_or_default(),
        }),
    }
}

fn read_row(
    bytes: &mut ByteReader<'_>,
    now: &mut RecordedFrame,
    slot: u16,
    ranges: &ValueRanges,
) -> Result<(EntityId, KindId), FormatError> {
    let generation = varint(bytes)?;
    let generation =
        u16::try_from(generation).map_err(|_| FormatError::Number(generation.into()))?;
    let (id, kind) = (
        EntityId { slot, generation },
        KindId(bytes.u8().ok_or(FormatError::Cut)?),
    );
    let fields = ranges.fields(kind).ok_or(FormatError::Unknown {
        what: "kind",
        number: kind.0.into(),
    })?;
    let mut all = [0; Schema::MAX_FIELDS];
    let values = all.get_mut(..fields).unwrap_or_default();
    for value in &mut *values {
        *value = signed(bytes)?;
    }
    now.push(RecordedRow { id, kind, values });
    Ok((id, kind))
}

fn read_differences(bytes: &mut ByteReader<'_>, values: &mut [i32]) -> Result<(), FormatError> {
    let mask = varint(bytes)?;
    if u64::from(mask) >> values.len() != 0 || mask == 0 {
        let what = "set of fields";
        return Err(FormatError::Unknown { what, number: mask });
    }
    for (field, value) in values.iter_mut().enumerate() {
        if (mask >> field) & 1 == 1 {
            *value = value.wrapping_add(signed(bytes)?);
        }
    }
    Ok(())
}
