//! What general means make of the same job: the whole state, and the state with the baseline as a
//! dictionary.

use anyhow::Result;
use serde::Serialize;

use crate::data::{Row, World};

/// Bytes a snapshot takes on average, by way of coding.
#[derive(Debug, Default, Serialize)]
pub(crate) struct References {
    /// Every field of every entity in as many bits as it needs.
    pub(crate) quantised_bits: f64,
    /// bincode of the whole rows.
    pub(crate) bincode: f64,
    /// The same, compressed with lz4.
    pub bincode_lz4: f64,
    /// The same, with zstd, level 3.
    pub(crate) bincode_zstd: f64,
    /// The same, with the baseline as dictionary.
    pub(crate) bincode_zstd_baseline: f64,
}

/// Every so manyth snapshot is coded: it is slow, and the mean is what counts.
const EVERY: usize = 10;

pub(crate) fn measure(world: &World, age: usize, skip: usize) -> Result<References> {
    let mut sums = References::default();
    let mut count = 0.0;
    for tick in (skip.max(age)..world.ticks.len()).step_by(EVERY) {
        let (now, base) = (&world.ticks[tick], &world.ticks[tick - age]);
        let (now_bytes, base_bytes) = (encoded(now)?, encoded(base)?);
        sums.quantised_bits += (now.len() * world.raw_bits) as f64 / 8.0;
        sums.bincode += now_bytes.len() as f64;
        sums.bincode_lz4 += lz4_flex::block::compress(&now_bytes).len() as f64;
        sums.bincode_zstd += zstd::bulk::compress(&now_bytes, 3)?.len() as f64;
        let mut with_base = zstd::bulk::Compressor::with_dictionary(3, &base_bytes)?;
        sums.bincode_zstd_baseline += with_base.compress(&now_bytes)?.len() as f64;
        count += 1.0;
    }
    for sum in [
        &mut sums.quantised_bits,
        &mut sums.bincode,
        &mut sums.bincode_lz4,
        &mut sums.bincode_zstd,
        &mut sums.bincode_zstd_baseline,
    ] {
        *sum = (*sum / f64::max(count, 1.0) * 10.0).round() / 10.0;
    }
    Ok(sums)
}

/// The rows as bincode would send them: quantised numbers in variable length.
fn encoded(rows: &[Row]) -> Result<Vec<u8>> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.id.slot, row.id.generation, row.kind.0, &row.values))
        .collect();
    Ok(bincode::serde::encode_to_vec(
        rows,
        bincode::config::standard(),
    )?)
}
