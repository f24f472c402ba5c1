//! Tables for any game, from what holds of most: things go on as they went, the more surely the
//! steadier they were; small surprises are more frequent than large ones; what rests, rests.
//!
//! Whole numbers only, so that both ends make the same ones. Knows shapes. Has seen no world.

use super::super::quantity::Coding;
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
/// A piece with more contexts tells levels apart less finely.
const MAX_CONTEXTS: usize = 1024;
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
    let shapes: Vec<Vec<Group>> = kinds.iter().map(shape::groups).collect();
    // What is in no group has nothing to say.
    let silent = |kind: &Kind| kind.fields.iter().any(|field| field.owner_only);
    let nothing = kinds.iter().any(silent).then(|| codes.add(&[1]));
    let mut known = Pieces {
        made: Vec::new(),
        left: forms(&shapes).len(),
    };
    let kinds = kinds
        .iter()
        .zip(codings)
        .zip(shapes)
        .map(|((kind, codings), shapes)| {
            let zeros = zeros(kind, codings);
            let groups: Vec<_> = shapes
                .iter()
                .cloned()
                .map(|of| group(of, codings, &zeros))
                .collect();
            let stream = |field: usize| -> Stream {
                let Some(of) = groups.iter().find(|of| of.group.fields.contains(&field)) else {
                    return nothing.map(one).unwrap_or_default();
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
            let ranges = pieces(&shapes, MASKS);
            let pieces = ranges.iter().enumerate().map(|(place, (range, _))| {
                let groups = &shapes[range.clone()];
                let form = Form::new(groups, place, ranges.len());
                Piece {
                    groups: range.clone(),
                    ..known.get(form, groups, &mut codes)
                }
            });
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

    /// How many more there may be.
    const fn left(&self) -> usize {
        file::MAX_CODES.saturating_sub(self.codes.len())
    }

    /// The codes of these lengths, by context, as one stream of at most `share` codes. When there
    /// would be more, the contexts that come last share one `for_all`.
    fn stream(
        &mut self,
        by_context: &[Vec<u8>],
        share: usize,
        for_all: impl FnOnce() -> Vec<u8>,
    ) -> Stream {
        let mut local: Vec<Vec<u8>> = Vec::new();
        for lengths in by_context {
            if !local.contains(lengths) {
                local.push(lengths.clone());
            }
        }
        if local.len() > share {
            local.insert(0, for_all());
            local.truncate(share);
        }
        let place = |lengths: &Vec<u8>| local.iter().position(|of| of == lengths).unwrap_or(0);
        let map = by_context
            .iter()
            .map(|lengths| place(lengths) as u8)
            .collect();
        // A stream's codes follow one another.
        let first = self.codes.len() as u16;
        self.codes
            .extend(local.iter().filter_map(|lengths| PrefixCode::new(lengths)));
        Stream { first, map }
    }
}

/// What is known of a group's motion.
fn group(group: Group, codings: &[Coding], zeros: &[i64]) -> GroupTables {
    if group.manner == Manner::Plain {
        return GroupTables::new(group, 1, codings, zeros);
    }
    let (mut weights, mut levels) = (Vec::new(), Vec::new());
    for age in AGE {
        for class in 0..WEIGHT_CLASSES {
            weights.push(weight(class));
        }
        for speed in 0..SPEEDS {
            for turn in 0..TURNS {
                levels.push(level(error(age, speed, turn)));
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

/// How far it goes on: all the way when steady, half when it turns.
fn weight(class: usize) -> Weights {
    let (speed, steadiness) = (class / 3, class % 3);
    let share = match (speed, steadiness) {
        (0 | 1, _) => 0,
        (_, 0) => 64,
        (_, 1) => 48,
        _ => 24,
    };
    let late = (ONE * share / 64) as i32 / LAGS.earlier as i32;
    [late.min(MAX_WEIGHT), 0, 0, 0]
}

/// A number of so many bits, in sixteenths.
const fn size(bits: usize) -> u64 {
    if bits == 0 { 0 } else { 24 << (bits - 1) }
}

/// How far off a prediction may be, in sixteenths of a step.
const fn error(age: u64, speed: usize, turn: usize) -> u64 {
    if speed == 0 && turn == 0 {
        return 16;
    }
    10 + age * size(turn) / 4 + age * size(speed) / 16
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
fn states(manner: Manner, members: u64, level: u64, rests: bool) -> Vec<u64> {
    let error = ERRORS[level.min(LEVELS as u64 - 1) as usize];
    // That all is as expected; and if it is not, that one field is off.
    let (expected, off) = match (manner, rests) {
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
    let before = match (manner, rests) {
        (Manner::Plain, _) => 0,
        (_, true) => 1,
        _ => (ONE - expected) / 24 + 1,
    };
    let rotation = manner == Manner::Rotation;
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
    if manner != Manner::Plain {
        shares.push(before);
    }
    shares
}

/// What a piece is made from: how its groups are told and how many fields each has, and where in its
/// kind it stands. Pieces that are alike have the same codes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    groups: Vec<(Manner, usize)>,
    place: Place,
}

/// Where in its kind a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// There is no other.
    Only,
    /// Others follow.
    First,
    /// It follows others.
    Later,
}

impl Form {
    fn new(groups: &[Group], place: usize, pieces: usize) -> Self {
        let place = match (place, pieces) {
            (0, 1) => Place::Only,
            (0, _) => Place::First,
            _ => Place::Later,
        };
        let groups = groups.iter().map(|of| (of.manner, of.fields.len()));
        Self {
            groups: groups.collect(),
            place,
        }
    }
}

/// The forms of all pieces there will be, each once.
fn forms(kinds: &[Vec<Group>]) -> Vec<Form> {
    let mut forms = Vec::new();
    for groups in kinds {
        let of_kind = pieces(groups, MASKS);
        for (place, (range, _)) in of_kind.iter().enumerate() {
            let form = Form::new(&groups[range.clone()], place, of_kind.len());
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    forms
}

/// Pieces, each form once.
struct Pieces {
    made: Vec<(Form, Piece)>,
    /// Forms that have no codes yet.
    left: usize,
}

impl Pieces {
    fn get(&mut self, form: Form, groups: &[Group], codes: &mut Codes) -> Piece {
        if let Some((_, piece)) = self.made.iter().find(|(made, _)| *made == form) {
            return piece.clone();
        }
        let share = codes.left() / self.left.max(1);
        self.left = self.left.saturating_sub(1);
        let piece = piece(&form, groups, share.clamp(1, MAX_LOCAL), codes);
        self.made.push((form, piece.clone()));
        piece
    }
}

/// The finest steps of levels that make no more contexts than are worth a code.
fn shift_of(groups: &[Group]) -> u32 {
    let few = |shift: &u32| {
        let radices = radices(groups, *shift);
        radices.iter().map(|(_, radix)| radix).product::<usize>() <= MAX_CONTEXTS
    };
    (SHIFT..context::PLAIN_SHIFT)
        .find(few)
        .unwrap_or(context::PLAIN_SHIFT)
}

/// How frequent the masks of a piece are: in each context with a full history, and from less.
fn mask_frequencies(form: &Form, radices: &[(u32, usize)]) -> Vec<Vec<u64>> {
    let joined = |shares: &[Vec<u64>]| -> Vec<u64> {
        let mut masks = vec![1_u64 << 32];
        for states in shares {
            let each = masks
                .iter()
                .flat_map(|mask| states.iter().map(move |state| mask * state / ONE));
            masks = each.map(|share| share.max(1)).collect();
        }
        masks
    };
    let of_group = |(manner, members): (Manner, usize), (shift, feature): (u32, usize)| {
        // The middle of the levels that share the feature.
        let level = ((feature as u64) << shift).saturating_sub((1 << shift) / 2);
        states(manner, members as u64, level, feature == 0)
    };
    let contexts: usize = radices.iter().map(|(_, radix)| radix).product();
    let mut frequencies: Vec<Vec<u64>> = (0..contexts)
        .map(|context| {
            let mut rest = context;
            let groups = form.groups.iter().zip(radices).rev();
            let mut shares: Vec<Vec<u64>> = groups
                .map(|(of, (shift, radix))| {
                    let feature = rest % radix;
                    rest /= radix;
                    of_group(*of, (*shift, feature))
                })
                .collect();
            shares.reverse();
            joined(&shares)
        })
        .collect();
    let unknown = |(manner, members): &(Manner, usize)| {
        states(*manner, *members as u64, 7, *manner == Manner::Plain)
    };
    let unknown: Vec<Vec<u64>> = form.groups.iter().map(unknown).collect();
    frequencies.extend(core::iter::repeat_n(joined(&unknown), FIRSTS));
    frequencies
}

/// A piece with the code of each of its contexts: at most `share` codes.
fn piece(form: &Form, groups: &[Group], share: usize, codes: &mut Codes) -> Piece {
    let shift = shift_of(groups);
    let radices = radices(groups, shift);
    let contexts: usize = radices.iter().map(|(_, radix)| radix).product();
    let frequencies = mask_frequencies(form, &radices);
    let masks_len = frequencies.first().map_or(0, Vec::len);
    let mut total = vec![0_u64; masks_len];
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
    let by_symbol = |masks: &[u64]| {
        let mut by_symbol = vec![1];
        by_symbol.extend(order.iter().map(|mask| masks[*mask]));
        let listed: u64 = by_symbol.iter().sum();
        by_symbol[0] += masks.iter().sum::<u64>().saturating_sub(listed);
        by_symbol
    };
    let mut classes = Vec::new();
    let mut lengths = Vec::new();
    for (context, masks) in frequencies.iter().enumerate() {
        let mut by_symbol = by_symbol(masks);
        if context < contexts && form.place != Place::Later {
            let (expected, all) = (masks[0], masks.iter().sum::<u64>());
            let class = match context {
                0 => 2,
                _ if expected * 4 > all * 3 => 1,
                _ => 0,
            };
            classes.push(class);
            if class > 0 {
                // Then a chunk says that something is off, here or in a piece to come.
                by_symbol[usize::from(symbols[0])] = match form.place {
                    Place::Only => 1,
                    _ => all - expected,
                };
            }
        }
        lengths.push(lengths_for(&by_symbol));
    }
    Piece {
        groups: 0..groups.len(),
        masks_len,
        shift,
        radices,
        contexts,
        masks: order.iter().map(|mask| *mask as u16).collect(),
        symbols: symbols.into(),
        stream: codes.stream(&lengths, share, || lengths_for(&by_symbol(&total))),
        classes: classes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Blend, Field, Kind, Motion, Quantity, Schema};
    use super::*;
    use proptest::prelude::*;

    fn quantity() -> impl Strategy<Value = Quantity> {
        let bits = 1_u32..=32;
        prop_oneof![
            Just(Quantity::Ranged {
                min: -100.0,
                max: 100.0,
                step: 0.01
            }),
            bits.clone().prop_map(|bits| Quantity::Angle { bits }),
            bits.clone().prop_map(|bits| Quantity::Unsigned { bits }),
            bits.clone().prop_map(|bits| Quantity::Flags { bits }),
            bits.prop_map(|bits| Quantity::Counter { bits }),
        ]
    }

    fn kinds() -> impl Strategy<Value = Vec<Kind>> {
        let field = (
            quantity(),
            0_u8..6,
            any::<bool>(),
            prop::bool::weighted(0.2),
        );
        let fields = prop::collection::vec(field, 1..=28);
        let kind = (fields, any::<bool>()).prop_map(|(fields, turns)| {
            let field = |(place, (quantity, group, still, owner_only))| {
                let mut field = Field::new(format!("f{place}"), quantity, Blend::Step);
                field.owner_only = owner_only;
                let motion = if still { Motion::Still } else { Motion::Any };
                let field = field.moving(motion);
                if group < 3 {
                    field.in_group(format!("g{group}"))
                } else {
                    field
                }
            };
            let mut fields: Vec<Field> = fields.into_iter().enumerate().map(field).collect();
            if turns {
                fields.extend(Field::unit_quaternion("q", 10));
            }
            fields
        });
        prop::collection::vec(kind, 1..6).prop_map(|kinds| {
            let kinds = kinds.into_iter().enumerate();
            kinds
                .map(|(place, fields)| Kind::new(format!("k{place}"), fields))
                .collect()
        })
    }

    fn come_back(kinds: Vec<Kind>) {
        let schema = Schema::new(kinds).expect("a good schema");
        let tables = schema.tables();
        let read = Tables::from_bytes(&schema, &tables.to_bytes());
        assert!(read.as_ref() == Ok(tables), "{:?}", read.err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_tables_of_any_schema_come_back_from_their_bytes(kinds in kinds()) {
            come_back(kinds);
        }
    }

    /// Codes are numbered by 16 bits, and a file has 4096: the largest schemas must not need more.
    #[test]
    fn the_largest_schema_has_tables_that_fit_a_file() {
        // As many fields as there can be, in groups that differ from kind to kind.
        let kind = |kind: usize| {
            let field = |field: usize| {
                let bits = if (field * 7 + kind * 5).is_multiple_of(3) {
                    1
                } else {
                    12
                };
                let quantity = match (field * (kind + 1) / 5) % 3 {
                    0 => Quantity::Flags { bits },
                    1 => Quantity::Angle { bits },
                    _ => Quantity::Signed { bits },
                };
                let of = Field::new(format!("f{field}"), quantity, Blend::Step);
                of.in_group(format!("g{}", field * (kind % 11 + 3) % 17))
            };
            Kind::new(
                format!("k{kind}"),
                (0..Schema::MAX_FIELDS).map(field).collect(),
            )
        };
        come_back((0..Schema::MAX_KINDS).map(kind).collect());
    }

    /// What is as expected is frequent in every piece but the only one of somebody who is listed.
    #[test]
    fn a_later_piece_says_cheaply_that_it_rests() {
        let field = |place| {
            Field::new(
                format!("f{place}"),
                Quantity::Flags { bits: 8 },
                Blend::Step,
            )
        };
        let kind = Kind::new("k", (0..12).map(field).collect());
        let schema = Schema::new(vec![kind]).expect("a good schema");
        let tables = schema.tables();
        let [first, later] = &tables.kinds[0].pieces[..] else {
            panic!("twelve fields are two pieces");
        };
        let length = |piece: &Piece| {
            let code = tables.code(&piece.stream, 0).expect("a code");
            code.word(u32::from(piece.symbols[0])).1
        };
        assert_eq!((length(first), length(later)), (1, 1));
    }
}
