//! Tables for any game, from what holds of most: things go on as they went, the more surely the
//! steadier they were; small surprises are more frequent than large ones; what rests, rests.
//!
//! ```text
//! habit     how far a group goes on, and how far off that is
//! masks     how often which groups differ together
//! ```
//!
//! Whole numbers only, so that both ends make the same ones; of the steps of fields one quotient, which
//! is the same everywhere. Knows shapes. Has seen no world.

mod habit;
mod masks;

use super::super::quantity::{Coding, Quantity};
use super::super::schema::Kind;
use super::file;
use super::motion::{AGES, SPEEDS, TURNS, WEIGHT_CLASSES};
use super::prefix::{PrefixCode, lengths_for};
use super::residual::{self, RESIDUALS};
use super::shape::{self, Group, Manner, PlainForm, VALUE_BITS, plain_form};
use super::tables::{
    FIRSTS, GroupTables, KindTables, LEVELS, Lags, Piece, RESIDUAL_CONTEXTS, Stream, Tables, pieces,
};
use habit::Habit;
use masks::{Form, Pieces};

/// Two snapshots apart: far enough to see a speed, near enough to be acknowledged.
const LAGS: Lags = Lags {
    earlier: 2,
    earliest: 4,
};
/// Small pieces: their codes are computed for every schema.
const MASKS: usize = 512;
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

/// The scale of a number that jumps: near where it was, or anywhere.
const JUMP: usize = 7;

/// The tables that every schema has unless it is given others.
pub(in super::super) fn tables(kinds: &[Kind], codings: &[Box<[Coding]>], schema: u64) -> Tables {
    let mut codes = Codes::default();
    let scales: Vec<u8> = (0..SCALES)
        .map(|scale| codes.add(&residual_frequencies(scale)) as u8)
        .collect();
    let flags = codes.add(&flag_frequencies());
    let turns = codes.add(&[6, 1, 3]);
    let counts = codes.add(&count_frequencies());
    let values: Vec<u16> = (1..=VALUE_BITS)
        .map(|bits| codes.add(&vec![1; 1 << bits]))
        .collect();
    let shapes: Vec<Vec<Group>> = kinds.iter().map(shape::groups).collect();
    // What is in no group has nothing to say.
    let silent = |kind: &Kind| kind.fields.iter().any(|field| field.owner_only);
    let nothing = kinds.iter().any(silent).then(|| codes.add(&[1]));
    let mut known = Pieces::new(kinds, &shapes);
    let kinds = kinds
        .iter()
        .zip(codings)
        .zip(shapes)
        .map(|((kind, codings), shapes)| {
            let zeros = zeros(kind, codings);
            let groups: Vec<_> = shapes
                .iter()
                .cloned()
                .map(|of| group(of, kind, codings, &zeros))
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
                        map: residual_map(
                            of.group.fields.len() as u64,
                            finer(kind, of, codings, field),
                            &scales,
                        ),
                    },
                    (Manner::Plain, PlainForm::Value) => one(values[coding.bits as usize - 1]),
                    (Manner::Plain, PlainForm::Distance)
                        if matches!(kind.fields[field].quantity, Quantity::Counter { .. }) =>
                    {
                        one(counts)
                    }
                    (Manner::Plain, PlainForm::Distance) => one(u16::from(scales[JUMP])),
                    (Manner::Plain, PlainForm::Flags) => one(flags),
                }
            };
            let streams = (0..codings.len()).map(stream).collect();
            let ranges = pieces(&shapes, MASKS);
            let pieces = ranges.iter().enumerate().map(|(place, (range, _))| {
                let groups = &shapes[range.clone()];
                let form = Form::new(kind, groups, place, ranges.len());
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
fn group(group: Group, kind: &Kind, codings: &[Coding], zeros: &[i64]) -> GroupTables {
    let Some(habit) = Habit::of(&group, kind) else {
        return GroupTables::new(group, 1, codings, zeros);
    };
    let velocities = habit::velocities(&group, kind);
    let (mut weights, mut levels) = (Vec::new(), Vec::new());
    for age in AGE {
        for class in 0..WEIGHT_CLASSES {
            weights.extend(velocities.iter().map(|velocity| match velocity {
                Some(weight) => habit::by_velocity(*weight),
                None => habit.weights(class, LAGS),
            }));
        }
        for speed in 0..SPEEDS {
            for turn in 0..TURNS {
                levels.push(level(habit.error(age, speed, turn)));
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
        ..GroupTables::new(group, velocities.len(), codings, zeros)
    }
}

/// A number of so many bits, in sixteenths.
const fn size(bits: usize) -> u64 {
    if bits == 0 { 0 } else { 24 << (bits - 1) }
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
        let tail = (ONE << 7) / (64 + distance * 4);
        *frequency = share * run + tail + 1;
    }
    frequencies
}

/// By how many scales the residuals of a field are smaller than those of others of its group: what
/// has a smaller range moves by fewer steps.
fn finer(kind: &Kind, of: &GroupTables, codings: &[Coding], field: usize) -> u8 {
    if of.group.manner == Manner::Rotation {
        return 0;
    }
    // A velocity is told as what it moves.
    let bits = |field: usize| codings[habit::moved_by(kind, field).unwrap_or(field)].bits;
    let widest = of.group.fields.iter().map(|field| bits(*field)).max();
    let less = widest.unwrap_or(0).saturating_sub(bits(field));
    (less / 2).min(3) as u8
}

/// The code of a residual in each context.
fn residual_map(members: u64, finer: u8, scales: &[u8]) -> Box<[u8]> {
    let mut map = vec![0; RESIDUAL_CONTEXTS];
    for (context, code) in map.iter_mut().enumerate() {
        let (level, before, largest) = (context / 128, context / 16 % 8, context / 2 % 8);
        let of_group = ERRORS[level] / members.max(1);
        let mean = if before == 6 {
            of_group * 5 / 4
        } else {
            (of_group + size(before)) * 5 / 7
        };
        // Whoever was pushed in one way was in others.
        let mean = mean + size(largest) / 7;
        let scale = scale_of(mean.max(8)).saturating_sub(finer);
        *code = scales.get(usize::from(scale)).copied().unwrap_or(0);
    }
    map.into()
}

/// A counter counts: on by one, or by a few.
fn count_frequencies() -> Vec<u64> {
    let frequency = |symbol| match residual::join(symbol, 0) {
        on @ 1..=12 => ONE << 6 >> on,
        _ => 1,
    };
    (0..RESIDUALS as u32).map(frequency).collect()
}

/// Flags that change: mostly one.
fn flag_frequencies() -> Vec<u64> {
    let frequency = |flags: u32| 4096 >> (3 * flags.count_ones().min(4));
    (0..1 << VALUE_BITS).map(frequency).collect()
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

    fn table_of(fields: Vec<Field>) -> Schema {
        Schema::new(vec![Kind::new("k", fields)]).expect("a good schema")
    }

    fn signed(name: &str) -> Field {
        Field::new(name, Quantity::Signed { bits: 16 }, Blend::Linear)
    }

    /// The bits of a symbol in the first context of a field's stream.
    fn length(tables: &Tables, field: usize, distance: i64) -> u32 {
        let code = tables.code(&tables.kinds[0].streams[field], 0);
        code.expect("a code").word(residual::split(distance).0).1
    }

    /// Two scales may have one code, and then there are fewer codes than scales.
    #[test]
    fn a_residual_has_the_code_of_its_scale() {
        let schema = table_of(vec![signed("x")]);
        let tables = schema.tables();
        let context = 15 * 128 + 6 * 16;
        let code = tables.code(&tables.kinds[0].streams[0], context);
        let scale = usize::from(scale_of(ERRORS[15] * 5 / 4));
        let lengths = lengths_for(&residual_frequencies(scale));
        assert_eq!(code.map(PrefixCode::lengths), Some(&lengths[..]));
    }

    #[test]
    fn a_counter_that_counts_on_by_one_is_cheap() {
        let counter = Field::new("shots", Quantity::Counter { bits: 8 }, Blend::Step);
        let number = Field::new("target", Quantity::Unsigned { bits: 8 }, Blend::Step);
        let schema = table_of(vec![counter, number]);
        let tables = schema.tables();
        assert_eq!(length(tables, 0, 1), 1);
        assert!(length(tables, 0, 2) < length(tables, 0, -1));
        // Other numbers jump up and down.
        assert_eq!(length(tables, 1, 1), length(tables, 1, -1));
    }

    #[test]
    fn a_field_goes_where_its_velocity_takes_it_if_the_schema_says_how_far() {
        let of = |x: Field| {
            let schema = table_of(vec![x.in_group("place"), signed("vx").in_group("velocity")]);
            let tables = schema.tables();
            let group = &tables.kinds[0].groups[0];
            (*group.weights(2, 4 * 3, 0), group.level(2, 8, 4))
        };
        let (alone, level) = of(signed("x").with_velocity("vx"));
        assert_eq!((alone[0], alone[2]), (ONE as i32 / 2, 0));
        // Fifteen snapshots: a fifteenth of a step in one.
        let (guided, guided_level) = of(signed("x").with_velocity_per("vx", 15));
        assert_eq!((guided[0], guided[2]), (0, (ONE as i32 + 7) / 15));
        assert!(guided_level < level, "and is nearer");
    }

    #[test]
    fn a_velocity_is_in_the_unit_of_what_it_moves() {
        let ranged = |name: &str, step| {
            let quantity = Quantity::Ranged {
                min: -64.0,
                max: 64.0,
                step,
            };
            Field::new(name, quantity, Blend::Linear)
        };
        let place = |name: &str, step| ranged(name, step).in_group("place");
        let schema = table_of(vec![
            place("x", 0.5).with_velocity_per("vx", 2),
            place("y", 0.25).with_velocity_per("vy", 2),
            ranged("vx", 0.25),
            ranged("vy", 0.25),
        ]);
        let group = &schema.tables().kinds[0].groups[0];
        let steps = [0, 1].map(|axis| group.weights(0, 12, axis)[2]);
        assert_eq!(steps, [ONE as i32 / 4, ONE as i32 / 2]);
    }

    #[test]
    fn what_has_a_smaller_range_has_smaller_residuals() {
        let field = |name: &str, bits| {
            Field::new(name, Quantity::Signed { bits }, Blend::Linear).in_group("place")
        };
        let schema = table_of(vec![field("x", 18), field("y", 18), field("z", 12)]);
        let streams = &schema.tables().kinds[0].streams;
        let context = 9 * 128 + 6 * 16;
        let scale = |field: usize| streams[field].code(context);
        assert_eq!(scale(0), scale(1));
        assert_eq!(scale(2) + 3, scale(0));
    }
}
