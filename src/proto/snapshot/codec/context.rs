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
    /// It has not moved: it will be as in the baseline. What follows is only there once it is
    /// [`Self::fill`]ed.
    pub(in super::super) rests: bool,
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
    rests: true,
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
        let Past::Full {
            earlier, earliest, ..
        } = *past
        else {
            let first = first.unwrap_or(0);
            self.groups
                .extend(kind.groups.iter().map(|tables| Expected {
                    level: tables.first.get(first).copied().unwrap_or(0),
                    ..REST
                }));
            return;
        };
        let span = lags.earliest - lags.earlier;
        let times = Times {
            age,
            earlier: lags.earlier,
            earliest: earliest.map_or(0, |_| span),
            usual: span,
        };
        let rows = [base, earlier, earliest.unwrap_or(earlier)];
        let groups = kind.groups.iter();
        self.groups
            .extend(groups.map(|tables| full(tables, rows, &times)));
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
        let groups = self.groups.get(piece.groups.clone()).unwrap_or(&[]);
        for (expected, (shift, radix)) in groups.iter().zip(&piece.radices) {
            context = context * radix + grouped(usize::from(expected.feature), *shift);
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

impl Expected {
    /// The same with all that a resting group has in its baseline.
    #[inline]
    pub(in super::super) fn filled(&self, tables: &GroupTables, base: &[i32]) -> Self {
        let mut expected = *self;
        if !self.rests {
            return expected;
        }
        for (raw, member) in expected.raw.iter_mut().zip(&tables.members) {
            *raw = member.raw(base);
        }
        if tables.group.manner == Manner::Rotation {
            expected.whole = motion::fine(&motion::unpack(&tables.ball, expected.raw));
            expected.length = motion::length(&expected.whole);
        }
        expected
    }
}

/// What is expected of a group whose history is known.
#[inline]
fn full(tables: &GroupTables, rows: [&[i32]; 3], times: &Times) -> Expected {
    let [base, earlier, earliest] = rows;
    let at = |row: &[i32], field: usize| row.get(field).copied().unwrap_or(0);
    let moved = tables.members.iter().any(|member| {
        let now = at(base, member.field);
        now != at(earlier, member.field) || now != at(earliest, member.field)
    });
    if !moved {
        return Expected {
            level: tables.level(age_class(times.age), 0, 0),
            ..REST
        };
    }
    match tables.group.manner {
        Manner::Plain => Expected {
            feature: 16,
            ..REST
        },
        Manner::Line => line(tables, rows, times),
        Manner::Rotation => rotation(tables, rows, times),
    }
}

#[inline]
fn line(tables: &GroupTables, [base, earlier, earliest]: [&[i32]; 3], times: &Times) -> Expected {
    let mut expected = Expected {
        rests: false,
        ..REST
    };
    let mut ways = [Ways::default(); MAX_MEMBERS];
    let all = tables.members.iter().zip(&mut ways).zip(&mut expected.raw);
    for ((member, ways), raw) in all {
        *raw = member.raw(base);
        let past = (*raw, member.raw(earlier), member.raw(earliest));
        *ways = Ways::new(member.coding, past, times);
    }
    // Ways of members that there are not are none.
    let pace = motion::pace(&ways, times);
    let age = age_class(times.age);
    let class = pace.weight_class();
    let all = tables.members.iter().zip(&ways).zip(&mut expected.raw);
    for (axis, ((member, ways), raw)) in all.enumerate() {
        let velocity = member.velocity.map_or((0, 0), |(field, coding, zero)| {
            let at = |row: &[i32]| i64::from(coding.raw(row.get(field).copied().unwrap_or(0)));
            let now = at(base);
            (now - zero, now - at(earlier))
        });
        let weights = tables.weights(age, class, axis);
        *raw = motion::predict(member.coding, *raw, times.age, weights, *ways, velocity);
    }
    foresee(&mut expected, tables, age, pace);
    expected
}

#[inline]
fn rotation(tables: &GroupTables, rows: [&[i32]; 3], times: &Times) -> Expected {
    let ball = &tables.ball;
    let [base, earlier, earliest] = rows.map(|row| {
        let mut raw = [0; MAX_MEMBERS];
        for (raw, member) in raw.iter_mut().zip(&tables.members) {
            *raw = member.raw(row);
        }
        motion::unpack(ball, raw)
    });
    let earlier = motion::aligned(earlier, &base);
    let earliest = motion::aligned(earliest, &base);
    let (pace, ways) = motion::rotation_pace([&base, &earlier, &earliest], times);
    let age = age_class(times.age);
    let weights = tables.weights(age, pace.weight_class(), 0);
    let whole = motion::predict_rotation(ball, &base, times.age, weights, &ways);
    let (length, largest) = (motion::length(&whole), motion::largest(&whole));
    let [a, b, c] = motion::pack(ball, &whole, length, largest);
    let mut expected = Expected {
        rests: false,
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
