//! What is known of one entity before anything is said of its change: where its groups are
//! expected, and how surprising a difference would be.
//!
//! A function of the entity's own values at the ticks of the history, and of the ages: what both ends
//! have, whatever else they know. Knows rows and tables. Has no bits. Section 8.5.2 of
//! `docs/protocol.md`.

use super::motion::{self, Pace, Quaternion, Times, Ways, age_class};
use super::shape::{MAX_MEMBERS, Manner};
use super::tables::{Class, FROM_NOTHING, GroupTables, KindTables, Lags, Piece};

/// What both ends hold of an entity.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Past<'a> {
    /// Nothing: it has just come.
    Nothing,
    /// Its row so many snapshots ago, 1 to 31.
    First {
        /// The row.
        base: &'a [i32],
        /// How long ago.
        age: u32,
    },
    /// Its row at the baseline, and at one or two earlier ticks.
    Full {
        /// The row of the baseline.
        base: &'a [i32],
        /// The row of the earlier tick.
        earlier: &'a [i32],
        /// The row of the earliest tick, if the history has it.
        earliest: Option<&'a [i32]>,
        /// How long ago the baseline was.
        age: u32,
    },
}

impl<'a> Past<'a> {
    /// What the entity is taken to be when nothing is said.
    #[inline]
    pub(in super::super) fn base(&self, kind: &'a KindTables) -> &'a [i32] {
        match *self {
            Past::Nothing => &kind.defaults,
            Past::First { base, .. } | Past::Full { base, .. } => base,
        }
    }
}

/// What is expected of one group.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Expected {
    /// How far off it may be.
    pub(in super::super) level: u8,
    /// 0: it rests; else 1 more than the level.
    pub(in super::super) feature: u8,
    /// The raw numbers that it will have; of a rotation the largest component and the others.
    pub(in super::super) raw: [u32; MAX_MEMBERS],
    /// Of a rotation: all four components, of any length, and that length.
    pub(in super::super) whole: Quaternion,
    pub(in super::super) length: i64,
}

const REST: Expected = Expected {
    level: 0,
    feature: 0,
    raw: [0; MAX_MEMBERS],
    whole: [0; 4],
    length: 1,
};

/// The expectations of one entity, in memory that the next one uses again.
#[derive(Debug, Default)]
pub(in super::super) struct Context {
    pub(in super::super) groups: Vec<Expected>,
    /// Of [`super::tables::FIRSTS`], when there is no full history.
    pub(in super::super) first: Option<usize>,
    pub(in super::super) mode: usize,
}

impl Context {
    /// Expects what `past` lets expect.
    #[inline]
    pub(in super::super) fn expect(&mut self, kind: &KindTables, lags: Lags, past: &Past<'_>) {
        let base = past.base(kind);
        self.mode = kind.mode(base);
        self.groups.clear();
        let (first, age) = match *past {
            Past::Nothing => (Some(FROM_NOTHING), 0),
            Past::First { age, .. } => (Some(age_class(age)), age),
            Past::Full { age, .. } => (None, age),
        };
        self.first = first;
        for tables in &kind.groups {
            let expected = match (*past, first) {
                (
                    Past::Full {
                        earlier, earliest, ..
                    },
                    _,
                ) => {
                    let times = Times {
                        age,
                        earlier: lags.earlier,
                        earliest: earliest.map_or(0, |_| lags.earliest - lags.earlier),
                        usual: lags.earliest - lags.earlier,
                    };
                    let rows = [base, earlier, earliest.unwrap_or(earlier)];
                    full(kind, tables, rows, &times)
                }
                (_, first) => unmoved(kind, tables, base, first.unwrap_or(0)),
            };
            self.groups.push(expected);
        }
    }

    /// How an entity is told whose full history is known.
    #[inline]
    pub(in super::super) fn class(&self, kind: &KindTables, base: &[i32]) -> Class {
        if self.groups.iter().all(|expected| expected.feature == 0) {
            return kind.resting_class(base);
        }
        let first = kind.pieces.first();
        first.map_or(Class::Coded, |piece| kind.class(self.of_piece(kind, piece)))
    }

    /// The context of a piece's mask.
    #[inline]
    pub(in super::super) fn of_piece(&self, kind: &KindTables, piece: &Piece) -> usize {
        if let Some(first) = self.first {
            return piece.contexts + first;
        }
        let mut context = 0;
        for place in piece.groups.clone() {
            let (Some(tables), Some(expected)) = (kind.groups.get(place), self.groups.get(place))
            else {
                continue;
            };
            let plain = tables.group.manner == Manner::Plain;
            let shift = if plain { PLAIN_SHIFT } else { piece.shift };
            context =
                context * features(shift) + grouped(usize::from(expected.feature), shift);
        }
        context * kind.modes() + self.mode
    }
}

/// Of plain groups it is only told apart whether they have changed of late.
pub(in super::super) const PLAIN_SHIFT: u32 = 4;

/// How many features are told apart in steps of 2^`shift`, 0 to 4: rest is one of its own.
pub(in super::super) const fn features(shift: u32) -> usize {
    (16 >> shift) + 1
}

const fn grouped(feature: usize, shift: u32) -> usize {
    (feature + (1 << shift) - 1) >> shift
}

/// What is expected of a group when only its baseline is known, if that.
#[inline]
fn unmoved(kind: &KindTables, tables: &GroupTables, base: &[i32], first: usize) -> Expected {
    let mut expected = resting(kind, tables, base);
    expected.level = tables.first[first];
    expected.feature = 0;
    expected
}

/// What is expected of a group that does not move.
#[inline]
fn resting(kind: &KindTables, tables: &GroupTables, base: &[i32]) -> Expected {
    let mut expected = REST;
    for (raw, field) in expected.raw.iter_mut().zip(&tables.group.fields) {
        if let (Some(coding), Some(value)) = (kind.codings.get(*field), base.get(*field)) {
            *raw = coding.raw(*value);
        }
    }
    if tables.group.manner == Manner::Rotation {
        let max = rotation_max(kind, tables);
        expected.whole = motion::fine(&motion::unpack(max, expected.raw));
        expected.length = motion::length(&expected.whole);
    }
    expected
}

/// The largest raw number of a rotation's smaller components.
#[inline]
pub(in super::super) fn rotation_max(kind: &KindTables, tables: &GroupTables) -> u32 {
    let part = tables.group.fields.get(1);
    let coding = part.and_then(|field| kind.codings.get(*field));
    coding.map_or(1, |coding| coding.max)
}

/// What is expected of a group whose history is known.
#[inline]
fn full(
    kind: &KindTables,
    tables: &GroupTables,
    rows: [&[i32]; 3],
    times: &Times,
) -> Expected {
    let [base, earlier, earliest] = rows;
    let fields = &tables.group.fields;
    let at = |row: &[i32], field: usize| row.get(field).copied().unwrap_or(0);
    let moved = fields.iter().any(|field| {
        let now = at(base, *field);
        now != at(earlier, *field) || now != at(earliest, *field)
    });
    let age = age_class(times.age);
    if !moved {
        let mut expected = resting(kind, tables, base);
        expected.level = tables.level(age, 0, 0);
        return expected;
    }
    match tables.group.manner {
        Manner::Plain => Expected {
            feature: 16,
            ..resting(kind, tables, base)
        },
        Manner::Line => line(kind, tables, rows, times),
        Manner::Rotation => rotation(kind, tables, rows, times),
    }
}

#[inline]
fn line(
    kind: &KindTables,
    tables: &GroupTables,
    [base, earlier, earliest]: [&[i32]; 3],
    times: &Times,
) -> Expected {
    let at = |row: &[i32], field: usize| {
        let coding = kind.codings.get(field);
        coding.map_or(0, |coding| coding.raw(row.get(field).copied().unwrap_or(0)))
    };
    let fields = &tables.group.fields;
    let mut expected = REST;
    let mut ways = [Ways::default(); MAX_MEMBERS];
    let members = fields.len().min(MAX_MEMBERS);
    for (member, field) in fields.iter().enumerate().take(members) {
        let Some(coding) = kind.codings.get(*field) else {
            continue;
        };
        let raw = [at(base, *field), at(earlier, *field), at(earliest, *field)];
        expected.raw[member] = raw[0];
        ways[member] = Ways::new(*coding, (raw[0], raw[1], raw[2]), times);
    }
    let pace = motion::pace(&ways[..members], times);
    let age = age_class(times.age);
    for (member, field) in fields.iter().enumerate().take(members) {
        let Some(coding) = kind.codings.get(*field) else {
            continue;
        };
        let velocity = tables.group.velocities.get(member).copied().flatten();
        let velocity = velocity.map_or((0, 0), |field| {
            let zero = kind.zeros.get(field).copied().unwrap_or(0);
            let (now, then) = (at(base, field), at(earlier, field));
            (i64::from(now) - zero, i64::from(now) - i64::from(then))
        });
        let weights = tables.weights(age, pace.weight_class(), member);
        expected.raw[member] = motion::predict(
            *coding,
            expected.raw[member],
            times.age,
            weights,
            ways[member],
            velocity,
        );
    }
    foresee(&mut expected, tables, age, pace);
    expected
}

#[inline]
fn rotation(
    kind: &KindTables,
    tables: &GroupTables,
    rows: [&[i32]; 3],
    times: &Times,
) -> Expected {
    let max = rotation_max(kind, tables);
    let [base, earlier, earliest] = rows.map(|row| {
        let mut raw = [0; MAX_MEMBERS];
        for (raw, field) in raw.iter_mut().zip(&tables.group.fields) {
            if let (Some(coding), Some(value)) = (kind.codings.get(*field), row.get(*field)) {
                *raw = coding.raw(*value);
            }
        }
        motion::unpack(max, raw)
    });
    let earlier = motion::aligned(earlier, &base);
    let earliest = motion::aligned(earliest, &base);
    let (pace, ways) = motion::rotation_pace([&base, &earlier, &earliest], times);
    let age = age_class(times.age);
    let weights = tables.weights(age, pace.weight_class(), 0);
    let whole = motion::predict_rotation(max, &base, times.age, weights, &ways);
    let (length, largest) = (motion::length(&whole), motion::largest(&whole));
    let [a, b, c] = motion::pack(max, &whole, length, largest);
    let mut expected = Expected {
        raw: [largest as u32, a, b, c],
        whole,
        length,
        ..REST
    };
    foresee(&mut expected, tables, age, pace);
    expected
}

/// How far off a group that moved may be.
#[inline]
fn foresee(expected: &mut Expected, tables: &GroupTables, age: usize, pace: Pace) {
    expected.level = tables.level(age, pace.speed, pace.turn);
    expected.feature = expected.level + 1;
}
