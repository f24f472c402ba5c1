//! Tables for any game, from what holds of most: things go on as they went, the more surely the
//! steadier they were; small surprises are more frequent than large ones; what rests, rests.
//!
//! Whole numbers only, so that both ends make the same ones. Knows shapes. Has seen no world.

use super::super::quantity::{Coding, Motion};
use super::super::schema::Kind;
use super::motion::{AGES, MAX_WEIGHT, SPEEDS, TURNS, WEIGHT_CLASSES, Weights};
use super::prefix::{PrefixCode, lengths_for};
use super::residual::{self, RESIDUALS};
use super::shape::{self, Group, Manner, PlainForm, VALUE_BITS, plain_form};
use super::tables::{
    FIRSTS, GroupTables, KindTables, LEVELS, Lags, MASK_SYMBOLS, Piece, RESIDUAL_CONTEXTS, Stream,
    Tables, pieces, radices,
};
use super::{context, file};

/// Two snapshots apart: far enough to see a speed, near enough to be acknowledged.
const LAGS: Lags = Lags {
    earlier: 2,
    earliest: 4,
};
/// Small pieces: their codes are computed for every schema.
const MASKS: usize = 512;
/// Levels four by four, so that a piece has few contexts.
const SHIFT: u32 = 2;
/// The codes of a piece are counted by a byte.
const MAX_LOCAL: usize = 256;
/// An age of each class.
const AGE: [u64; AGES] = [1, 2, 3, 4, 6, 9, 13, 22];
/// Shares are whole numbers of this part of one.
const ONE: u64 = 1 << 16;
/// By level: how far off a group of that level is, all members together, in sixteenths of a step;
/// 16 × (2^(level / 1.6) - 1).
const ERRORS: [u64; LEVELS] = [
    0, 9, 22, 43, 75, 124, 199, 316, 496, 774, 1202, 1861, 2880, 4450, 6872, 10_606,
];
/// Scales of residuals, likewise in sixteenths: one code each.
const SCALES: usize = 24;

/// The tables that every schema has unless it is given others.
pub(in super::super) fn tables(kinds: &[Kind], codings: &[Box<[Coding]>], schema: u64) -> Tables {
    let mut codes = Codes::default();
    for scale in 0..SCALES {
        codes.add(&residual_frequencies(scale));
    }
    let flags = codes.add(&flag_frequencies());
    let turns = codes.add(&[6, 1, 3]);
    let values: Vec<u16> = (1..=VALUE_BITS)
        .map(|bits| codes.add(&vec![1; 1 << bits]))
        .collect();
    let kinds = kinds.iter().zip(codings).map(|(kind, codings)| {
        let zeros = zeros(kind, codings);
        let groups = shape::groups(kind).into_iter();
        let groups: Vec<_> = groups.map(|of| group(of, kind, codings, &zeros)).collect();
        let stream = |field: usize| -> Stream {
            let Some(of) = groups.iter().find(|of| of.group.fields.contains(&field)) else {
                return Stream::default();
            };
            let coding = codings[field];
            match (of.group.manner, plain_form(coding)) {
                (Manner::Rotation, _) if of.group.fields.first() == Some(&field) => one(turns),
                (Manner::Line | Manner::Rotation, _) => Stream {
                    first: 0,
                    map: residual_map(of.group.fields.len() as u64),
                },
                (Manner::Plain, PlainForm::Value) => one(values[coding.bits as usize - 1]),
                // About a quarter of what the field can hold.
                (Manner::Plain, PlainForm::Distance) => {
                    one((2 * coding.bits as u16).saturating_sub(4).clamp(6, 16))
                }
                (Manner::Plain, PlainForm::Flags) => one(flags),
            }
        };
        let streams = (0..codings.len()).map(stream).collect();
        let shapes: Vec<Group> = groups.iter().map(|of| of.group.clone()).collect();
        let pieces = pieces(&shapes, MASKS).into_iter().enumerate();
        let pieces = pieces
            .map(|(place, (range, masks))| piece(&groups, range, masks, place == 0, &mut codes));
        let pieces = pieces.collect();
        KindTables {
            codings: codings.clone(),
            zeros,
            defaults: codings.iter().map(|coding| coding.clamp(0)).collect(),
            mode: None,
            groups,
            masks_limit: MASKS,
            pieces,
            streams,
        }
    });
    let kinds = kinds.collect();
    let mut tables = Tables {
        schema,
        lags: LAGS,
        kinds,
        codes: codes.codes,
        hash: 0,
    };
    tables.hash = file::hash(&tables);
    tables
}

/// The raw number of zero, by field.
pub(in super::super) fn zeros(kind: &Kind, codings: &[Coding]) -> Box<[i64]> {
    let fields = kind.fields.iter().zip(codings);
    fields
        .map(|(field, coding)| i64::from(coding.raw(field.quantity.quantise(0.0))))
        .collect()
}

fn one(code: u16) -> Stream {
    Stream {
        first: code,
        map: Box::new([0]),
    }
}

/// Codes, each once.
#[derive(Default)]
struct Codes {
    codes: Vec<PrefixCode>,
}

impl Codes {
    fn add(&mut self, frequencies: &[u64]) -> u16 {
        let lengths = lengths_for(frequencies);
        let known = self.codes.iter().position(|code| code.lengths() == lengths);
        let place = known.or_else(|| {
            self.codes.push(PrefixCode::new(&lengths)?);
            Some(self.codes.len() - 1)
        });
        place.unwrap_or(0) as u16
    }
}

/// How a group moves, as its fields say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pull {
    /// It does not.
    None,
    /// It goes on.
    Steady,
    /// It may go anywhere.
    Loose,
}

/// What is known of a group's motion.
fn group(group: Group, kind: &Kind, codings: &[Coding], zeros: &[i64]) -> GroupTables {
    let (mut weights, mut levels) = (Vec::new(), Vec::new());
    let goes_on = |field: &usize| {
        let motion = kind.fields.get(*field).map(|field| field.motion);
        motion == Some(Motion::Linear)
    };
    let pull = match group.manner {
        Manner::Plain => Pull::None,
        Manner::Rotation => Pull::Steady,
        Manner::Line if group.fields.iter().all(goes_on) => Pull::Steady,
        Manner::Line => Pull::Loose,
    };
    for age in AGE {
        for class in 0..WEIGHT_CLASSES {
            weights.push(weight(class, pull));
        }
        for speed in 0..SPEEDS {
            for turn in 0..TURNS {
                levels.push(level(error(age, speed, turn, pull)));
            }
        }
    }
    let mut first = [LEVELS as u8 - 1; FIRSTS];
    for (first, age) in first.iter_mut().zip(AGE) {
        *first = level(40 + age * 24);
    }
    GroupTables {
        weights: weights.into(),
        levels: levels.into(),
        first,
        ..GroupTables::new(group, 1, codings, zeros)
    }
}

/// How far it goes on: all the way when steady, part of it when it turns.
fn weight(class: usize, pull: Pull) -> Weights {
    let (speed, steadiness) = (class / 3, class % 3);
    let share = match (pull, speed, steadiness) {
        (Pull::None, ..) | (_, 0 | 1, _) => 0,
        (Pull::Steady, _, 0) => 64,
        (Pull::Steady, _, 1) => 52,
        (Pull::Steady, ..) => 32,
        (Pull::Loose, _, 0) => 48,
        (Pull::Loose, _, 1) => 24,
        (Pull::Loose, ..) => 16,
    };
    let late = (ONE * share / 64) as i32 / LAGS.earlier as i32;
    [late.min(MAX_WEIGHT), 0, 0, 0]
}

/// A number of so many bits, in sixteenths.
const fn size(bits: usize) -> u64 {
    if bits == 0 { 0 } else { 24 << (bits - 1) }
}

/// How far off a prediction may be, in sixteenths of a step.
const fn error(age: u64, speed: usize, turn: usize, pull: Pull) -> u64 {
    if speed == 0 && turn == 0 {
        return 16;
    }
    match pull {
        // What was not foreseen adds up twice: in the speed, then in the way.
        Pull::None | Pull::Steady => {
            10 + age * age * speed as u64 * 2 + age * (size(turn) / 5 + size(speed) / 32)
        }
        Pull::Loose => 20 * age + age * (size(speed) + size(turn)) / 12,
    }
}

fn level(error: u64) -> u8 {
    let level = ERRORS.iter().rposition(|of| *of <= error);
    level.unwrap_or(0) as u8
}

/// The mean size of residuals of a scale, in sixteenths of a step: powers of √2.
const fn scale_size(scale: usize) -> u64 {
    let size = 8_u64 << (scale / 2);
    if scale % 2 == 1 {
        size * 181 / 128
    } else {
        size
    }
}

fn scale_of(size: u64) -> u8 {
    let scale = (0..SCALES).rposition(|scale| scale_size(scale) <= size);
    scale.unwrap_or(0) as u8
}

/// How frequent residuals are whose mean size is that of a scale: two-sided geometric, with a long tail.
fn residual_frequencies(scale: usize) -> Vec<u64> {
    let size = scale_size(scale);
    // The share of each size to the one before.
    let ratio = ONE * size / (size + 16);
    let mut frequencies = vec![0; RESIDUALS];
    for (symbol, frequency) in frequencies.iter_mut().enumerate() {
        let bits = residual::plain_bits(symbol as u32);
        let distance = residual::join(symbol as u32, 0).unsigned_abs();
        if distance == 0 {
            // What is where it was expected is not told.
            *frequency = 1;
            continue;
        }
        let (mut share, mut left, mut factor) = (ONE << 8, distance - 1, ratio);
        while left > 0 && share > 0 {
            if left & 1 == 1 {
                share = share * factor / ONE;
            }
            factor = factor * factor / ONE;
            left >>= 1;
        }
        // As many numbers as share the symbol, as long as the share lasts.
        let run = (1_u64 << bits.min(20)).min(ONE / (ONE - ratio).max(1));
        let tail = (ONE << 8) / (64 + distance * 4);
        *frequency = share * run + tail + 1;
    }
    frequencies
}

/// The code of a residual in each context.
fn residual_map(members: u64) -> Box<[u8]> {
    let mut map = vec![0; RESIDUAL_CONTEXTS];
    for (context, code) in map.iter_mut().enumerate() {
        let (level, before) = (context / 128, context / 16 % 8);
        let of_group = ERRORS[level] / members.max(1);
        let mean = if before == 6 {
            of_group
        } else {
            (of_group + size(before)) / 2
        };
        *code = scale_of(mean.max(12));
    }
    map.into()
}

/// Flags that change: mostly one.
fn flag_frequencies() -> Vec<u64> {
    let frequency = |flags: u32| 4096 >> (3 * flags.count_ones().min(4));
    (0..1 << VALUE_BITS).map(frequency).collect()
}

/// The share of each state of a group. Measured on a simulated crowd, a simulated heap of bodies and recorded matches.
fn states(of: &GroupTables, level: u64, rests: bool) -> Vec<u64> {
    let members = of.group.fields.len() as u64;
    let error = ERRORS[level.min(LEVELS as u64 - 1) as usize];
    // That all is as expected; and if it is not, that one field is off.
    let (expected, off) = match (of.group.manner, rests) {
        (Manner::Plain, true) => (ONE * 23 / 24, ONE * 7 / 8),
        (Manner::Plain, false) => (ONE / 2, ONE * 7 / 8),
        (_, true) => (ONE * 15 / 16, ONE * 9 / 16),
        _ => {
            let of_one = error / members.max(1);
            let off = ONE * of_one / (of_one + 30);
            (
                ONE * 12 / (12 + error),
                off.clamp(ONE * 2 / 5, ONE * 9 / 10),
            )
        }
    };
    let before = match (of.group.manner, rests) {
        (Manner::Plain, _) => 0,
        (_, true) => 1,
        _ => (ONE - expected) / 24 + 1,
    };
    let rotation = of.group.manner == Manner::Rotation;
    let patterns = (1_u32..1 << members).map(|pattern| {
        (0..members).fold(ONE, |share, member| {
            // The largest component seldom becomes another.
            let off = if rotation && member == 0 {
                ONE / 64
            } else {
                off
            };
            let named = pattern >> member & 1 == 1;
            share * if named { off } else { ONE - off } / ONE
        })
    });
    let patterns: Vec<u64> = patterns.collect();
    let all: u64 = patterns.iter().sum::<u64>().max(1);
    let rest = ONE.saturating_sub(expected + before);
    let mut shares = vec![expected];
    shares.extend(patterns.iter().map(|share| (share * rest / all).max(1)));
    if of.group.manner != Manner::Plain {
        shares.push(before);
    }
    shares
}

/// A piece with the code of each of its contexts.
fn piece(
    groups: &[GroupTables],
    range: core::ops::Range<usize>,
    masks_len: usize,
    is_first: bool,
    codes: &mut Codes,
) -> Piece {
    let of = &groups[range.clone()];
    let shapes: Vec<Group> = of.iter().map(|of| of.group.clone()).collect();
    let radix = |of: &GroupTables| {
        let plain = of.group.manner == Manner::Plain;
        context::features(if plain { context::PLAIN_SHIFT } else { SHIFT })
    };
    let contexts: usize = of.iter().map(radix).product();
    // Of each group, by feature: the states.
    let shares: Vec<Vec<Vec<u64>>> = of
        .iter()
        .map(|of| {
            let features = 0..radix(of) as u64;
            features
                .map(|feature| states(of, (feature << SHIFT).saturating_sub(2), feature == 0))
                .collect()
        })
        .collect();
    let all = |context: usize, known: bool| -> Vec<u64> {
        let mut features = vec![0; of.len()];
        let mut rest = context;
        for (feature, of) in features.iter_mut().zip(of).rev() {
            *feature = rest % radix(of);
            rest /= radix(of);
        }
        let mut masks = vec![1_u64 << 32];
        for (place, feature) in features.iter().enumerate() {
            let unknown;
            let states = if known {
                &shares[place][*feature]
            } else {
                unknown = states(&of[place], 7, of[place].group.manner == Manner::Plain);
                &unknown
            };
            let each = masks
                .iter()
                .flat_map(|mask| states.iter().map(move |state| mask * state / ONE));
            masks = each.map(|share| share.max(1)).collect();
        }
        masks
    };
    let mut total = vec![0_u64; masks_len];
    let mut frequencies: Vec<Vec<u64>> = (0..contexts).map(|context| all(context, true)).collect();
    for _ in 0..FIRSTS {
        frequencies.push(all(0, false));
    }
    for masks in &frequencies {
        for (total, share) in total.iter_mut().zip(masks) {
            *total += share;
        }
    }
    let mut order: Vec<usize> = (0..masks_len).collect();
    order.sort_by_key(|mask| (core::cmp::Reverse(total[*mask]), *mask));
    order.truncate(MASK_SYMBOLS);
    let mut symbols = vec![0; masks_len];
    for (place, mask) in order.iter().enumerate() {
        symbols[*mask] = place as u8 + 1;
    }
    let mut classes = Vec::new();
    let mut map = Vec::new();
    let mut local: Vec<u16> = Vec::new();
    for (context, masks) in frequencies.iter().enumerate() {
        let mut by_symbol = vec![1];
        by_symbol.extend(order.iter().map(|mask| masks[*mask]));
        let listed: u64 = by_symbol.iter().sum();
        by_symbol[0] += masks.iter().sum::<u64>().saturating_sub(listed);
        if context < contexts {
            let (expected, all) = (masks[0], masks.iter().sum::<u64>());
            let class = match context {
                0 => 2,
                _ if expected * 4 > all * 3 => 1,
                _ => 0,
            };
            classes.push(class);
            if class > 0 && is_first {
                // Then a chunk says that something is off, here or in another piece.
                by_symbol[usize::from(symbols[0])] /= 8;
            }
        }
        let code = codes.add(&by_symbol);
        let place = local.iter().position(|of| *of == code);
        map.push(match place {
            Some(place) => place as u8,
            None if local.len() < MAX_LOCAL => {
                local.push(code);
                (local.len() - 1) as u8
            }
            None => 0,
        });
    }
    // A stream's codes follow one another.
    let first = codes.codes.len() as u16;
    for code in local {
        let code = codes.codes[usize::from(code)].clone();
        codes.codes.push(code);
    }
    Piece {
        groups: range,
        masks_len,
        shift: SHIFT,
        radices: radices(&shapes, SHIFT),
        contexts,
        masks: order.into_iter().map(|mask| mask as u16).collect(),
        symbols: symbols.into(),
        stream: Stream {
            first,
            map: map.into(),
        },
        classes: if is_first {
            classes.into()
        } else {
            Box::new([])
        },
    }
}
