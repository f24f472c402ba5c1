//! What a recording holds, frame by frame verified: the JSON that `replay --json` prints.
//!
//! Names and meanings are fixed, because scripts read them; `docs/recording.md` explains them.

use std::io::{Read, Seek};
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::game::recording::{FORMAT_VERSION, RecordedFrame};
use crate::recording::{Ending, Recording, RecordingError};
use crate::time::Tick;

/// Problems that are told in words; the others are only counted.
const PROBLEMS: usize = 16;

/// What a recording holds.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayReport {
    /// The version of the format.
    pub format: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether it was closed (`clean`) or the recorder was killed (`torn`).
    pub ending: &'static str,
    /// Bytes at a torn end that are no whole block.
    pub torn_bytes: u64,
    /// Blocks that were found.
    pub blocks: u64,
    /// Bytes of a frame, on the average of the whole file.
    pub bytes_per_frame: f64,
    /// Frames that are missing because the recorder could not keep up.
    pub dropped: u64,
    /// Ticks a second.
    pub tick_rate: u16,
    /// Ticks from one frame to the next.
    pub snapshot_every: u32,
    /// What the world is made of.
    pub schema: SchemaReport,
    /// The ticks of the first and the last frame that was verified.
    pub ticks: Option<Ticks>,
    /// The time from the first to the last of them.
    pub duration_seconds: f64,
    /// Frames that were verified.
    pub frames: u64,
    /// Frames that are not what was recorded, with those that build on them.
    pub mismatches: u64,
    /// How many entities there were in a frame.
    pub entities: Spread,
    /// The same for each kind, in the order of the schema.
    pub kinds: Vec<KindReport>,
    /// What is wrong, in words: the first few.
    pub problems: Vec<String>,
}

/// What the world of a recording is made of.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaReport {
    /// The schema's hash as the recorder computed it.
    pub hash: String,
    /// Whether this program computes the same one, so that its clients and those of the recorder could talk.
    pub is_current: bool,
    /// Entity slots.
    pub max_entities: u32,
}

/// From where to where.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ticks {
    /// The first one.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

/// A number of each frame, over all frames.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The average.
    pub mean: f64,
    /// The largest.
    pub max: u64,
}

/// One kind of entity.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// What the schema calls it.
    pub name: String,
    /// How many fields it has.
    pub fields: usize,
    /// How many entities of it there were in a frame.
    pub entities: Spread,
}

impl ReplayReport {
    /// Whether everything that can be read is what was recorded. A torn end is nothing wrong.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.mismatches == 0 && self.problems.is_empty()
    }
}

/// Reads the frames of these ticks and verifies each.
///
/// # Errors
///
/// What the system says when it cannot read. What is wrong with the recording is in the report.
pub fn replay<R: Read + Seek>(
    recording: &mut Recording<R>,
    ticks: RangeInclusive<Tick>,
) -> Result<ReplayReport, RecordingError> {
    let mut counts = Counts::new(recording.schema().kinds().len());
    let mut mismatches = 0;
    let mut problems: Vec<_> = recording
        .damage()
        .iter()
        .map(|damage| match damage.bytes {
            0 => format!("byte {}: blocks are missing here", damage.at),
            bytes => format!("byte {}: {bytes} bytes are not what was written", damage.at),
        })
        .take(PROBLEMS)
        .collect();
    for frame in recording.seek(*ticks.start()) {
        match frame {
            Ok(frame) if frame.tick() > *ticks.end() => break,
            Ok(frame) => counts.add(&frame),
            Err(error @ RecordingError::Block { lost, .. }) => {
                mismatches += u64::from(lost);
                if problems.len() < PROBLEMS {
                    problems.push(error.to_string());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report(recording, &counts, mismatches, problems))
}

fn report<R: Read + Seek>(
    recording: &Recording<R>,
    counts: &Counts,
    mismatches: u64,
    problems: Vec<String>,
) -> ReplayReport {
    let (header, blocks) = (recording.header(), recording.blocks());
    let all: u64 = blocks.iter().map(|block| u64::from(block.frames)).sum();
    let (ending, torn_bytes) = match recording.ending() {
        Ending::Clean => ("clean", 0),
        Ending::Torn { bytes, .. } => ("torn", bytes),
    };
    let whole = recording.bytes().saturating_sub(torn_bytes);
    let rate = header.tick_rate;
    let duration = counts.ticks.map_or(0.0, |(first, last)| {
        (rate.offset_of(last) - rate.offset_of(first)).as_secs_f64()
    });
    let kinds = header.schema.kinds().iter().zip(&counts.kinds);
    ReplayReport {
        format: FORMAT_VERSION,
        bytes: recording.bytes(),
        ending,
        torn_bytes,
        blocks: blocks.len() as u64,
        bytes_per_frame: if all == 0 {
            0.0
        } else {
            whole as f64 / all as f64
        },
        dropped: recording.dropped(),
        tick_rate: rate.hz(),
        snapshot_every: header.snapshot_every,
        schema: SchemaReport {
            hash: format!("0x{:016x}", header.schema_hash),
            is_current: header.schema_hash == header.schema.hash(),
            max_entities: header.schema.max_entities(),
        },
        ticks: counts.ticks.map(|(first, last)| Ticks {
            first: first.0,
            last: last.0,
        }),
        duration_seconds: duration,
        frames: counts.frames,
        mismatches,
        entities: counts.entities.spread(counts.frames),
        kinds: kinds
            .map(|(kind, entities)| KindReport {
                name: kind.name.clone(),
                fields: kind.fields.len(),
                entities: entities.spread(counts.frames),
            })
            .collect(),
        problems,
    }
}

/// What is counted while frames go by.
struct Counts {
    frames: u64,
    ticks: Option<(Tick, Tick)>,
    entities: Tally,
    kinds: Vec<Tally>,
    /// Entities of each kind in one frame.
    in_frame: Vec<u64>,
}

impl Counts {
    fn new(kinds: usize) -> Self {
        Self {
            frames: 0,
            ticks: None,
            entities: Tally::default(),
            kinds: vec![Tally::default(); kinds],
            in_frame: vec![0; kinds],
        }
    }

    fn add(&mut self, frame: &RecordedFrame) {
        self.frames += 1;
        let first = self.ticks.map_or(frame.tick(), |(first, _)| first);
        self.ticks = Some((first, frame.tick()));
        self.entities.add(frame.len() as u64);
        self.in_frame.fill(0);
        for row in frame.rows() {
            if let Some(count) = self.in_frame.get_mut(usize::from(row.kind.0)) {
                *count += 1;
            }
        }
        for (kind, count) in self.kinds.iter_mut().zip(&self.in_frame) {
            kind.add(*count);
        }
    }
}

/// Smallest, sum and largest of a number.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    min: Option<u64>,
    sum: u64,
    max: u64,
}

impl Tally {
    fn add(&mut self, number: u64) {
        self.min = Some(self.min.map_or(number, |min| min.min(number)));
        self.sum += number;
        self.max = self.max.max(number);
    }

    fn spread(&self, count: u64) -> Spread {
        Spread {
            min: self.min.unwrap_or(0),
            mean: if count == 0 {
                0.0
            } else {
                self.sum as f64 / count as f64
            },
            max: self.max,
        }
    }
}
