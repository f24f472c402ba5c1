//! What both ends know beforehand of how a world moves: weights of the predictions, what to expect
//! in which context, and the prefix codes for it.
//!
//! Bound to one schema. Knows kinds, groups and contexts by number. Has no idea of values and bits;
//! what the numbers are used for is in [`super::context`] and [`super::chunk`].

use super::super::quantity::Coding;
use super::context::{PLAIN_SHIFT, features};
use super::motion::{AGES, Ball, SPEEDS, TURNS, WEIGHT_CLASSES, Weights};
use super::prefix::PrefixCode;
use super::shape::{Group, Manner};

/// How far off a prediction usually is, in classes of about 2^(1/1.6).
pub(in super::super) const LEVELS: usize = 16;
/// Ages of a baseline, and one more for what comes from nothing.
pub(in super::super) const FIRSTS: usize = AGES + 1;
/// The place of what comes from nothing among the [`FIRSTS`].
pub(in super::super) const FROM_NOTHING: usize = AGES;
/// Values of the mode field are sorted into so many classes.
pub(in super::super) const MODES: usize = 4;
/// The contexts of a residual: by level, by the residual before it in the group, by the largest one
/// of the groups before, and by one bit.
pub(in super::super) const RESIDUAL_CONTEXTS: usize = LEVELS * 8 * 8 * 2;
/// Groups are told together as long as there are at most so many ways in which they can differ.
pub(in super::super) const MAX_MASKS: usize = 1 << 14;
/// As many of these have a symbol of their own; symbol 0 introduces any other.
pub(in super::super) const MASK_SYMBOLS: usize = 255;

/// Which earlier snapshots predictions use besides the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Lags {
    /// The earlier tick is so many snapshots before the baseline: at least 1.
    pub(in super::super) earlier: u32,
    /// The earliest is so many before it: more, at most [`Lags::MAX`].
    pub(in super::super) earliest: u32,
}

impl Lags {
    /// A history that reaches back further is seldom acknowledged whole.
    pub(in super::super) const MAX: u32 = 4;

    pub(in super::super) const fn is_valid(self) -> bool {
        1 <= self.earlier && self.earlier < self.earliest && self.earliest <= Self::MAX
    }
}

/// Which code a symbol has in which context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Stream {
    /// The number of the first of its codes.
    pub(in super::super) first: u16,
    /// By context: which code after the first. Contexts beyond the end have the first.
    pub(in super::super) map: Box<[u8]>,
}

impl Stream {
    /// The number of the code of a context.
    #[inline]
    pub(in super::super) fn code(&self, context: usize) -> usize {
        let local = self.map.get(context).copied().unwrap_or(0);
        usize::from(self.first) + usize::from(local)
    }
}

/// A field of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Member {
    pub(in super::super) field: usize,
    pub(in super::super) coding: Coding,
    /// The field that says how fast it moves, its coding, and the raw number of standing still.
    pub(in super::super) velocity: Option<(usize, Coding, i64)>,
}

impl Member {
    /// Its raw number in a row.
    #[inline]
    pub(in super::super) fn raw(&self, row: &[i32]) -> u32 {
        self.coding.raw(row.get(self.field).copied().unwrap_or(0))
    }
}

/// A group of fields and what is known of its motion; of a plain group nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct GroupTables {
    pub(in super::super) group: Group,
    pub(in super::super) members: Box<[Member]>,
    /// Of a rotation: what its numbers stand for.
    pub(in super::super) ball: Ball,
    /// Members that have weights of their own: all, or 1, which serves all.
    pub(in super::super) axes: usize,
    /// By age class, weight class and axis.
    pub(in super::super) weights: Box<[Weights]>,
    /// By age class, speed and turn: the level.
    pub(in super::super) levels: Box<[u8]>,
    /// The level when nothing is known but the baseline, by age class; and from nothing.
    pub(in super::super) first: [u8; FIRSTS],
}

impl GroupTables {
    /// A group of which nothing is known yet.
    pub(in super::super) fn new(
        group: Group,
        axes: usize,
        codings: &[Coding],
        zeros: &[i64],
    ) -> Self {
        let fields = group.fields.iter().zip(&group.velocities);
        let members = fields.filter_map(|(field, velocity)| {
            let velocity = velocity
                .and_then(|of| Some((of, *codings.get(of)?, zeros.get(of).copied().unwrap_or(0))));
            Some(Member {
                field: *field,
                coding: *codings.get(*field)?,
                velocity,
            })
        });
        let members: Box<[Member]> = members.collect();
        let part = members.get(1).filter(|_| group.manner == Manner::Rotation);
        Self {
            ball: part.map_or(Ball::default(), |part| Ball::new(part.coding.max)),
            members,
            axes,
            weights: vec![[0; 4]; Self::weights_len(axes)].into(),
            levels: vec![0; Self::LEVELS_LEN].into(),
            first: [0; FIRSTS],
            group,
        }
    }

    /// How many weights there are.
    pub(in super::super) const fn weights_len(axes: usize) -> usize {
        AGES * WEIGHT_CLASSES * axes
    }

    /// How many levels there are.
    pub(in super::super) const LEVELS_LEN: usize = AGES * SPEEDS * TURNS;

    #[inline]
    pub(in super::super) fn weights(&self, age: usize, class: usize, axis: usize) -> &Weights {
        const NONE: &Weights = &[0; 4];
        let axis = axis.min(self.axes.saturating_sub(1));
        let place = (age * WEIGHT_CLASSES + class) * self.axes + axis;
        self.weights.get(place).unwrap_or(NONE)
    }

    #[inline]
    pub(in super::super) fn level(&self, age: usize, speed: usize, turn: usize) -> u8 {
        let place = (age * SPEEDS + speed) * TURNS + turn;
        self.levels.get(place).copied().unwrap_or(0)
    }
}

/// Groups that are told to be as expected, or not, in one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Piece {
    /// The groups, as places among those of the kind.
    pub(in super::super) groups: core::ops::Range<usize>,
    /// In how many ways they can differ.
    pub(in super::super) masks_len: usize,
    /// Levels are told apart in steps of 2^this.
    pub(in super::super) shift: u32,
    /// By group: its shift, and how many features it tells apart.
    pub(in super::super) radices: Box<[(u32, usize)]>,
    /// Contexts with a full history; after them come those of the [`FIRSTS`].
    pub(in super::super) contexts: usize,
    /// The mask of each symbol from 1 on.
    pub(in super::super) masks: Box<[u16]>,
    /// By mask: its symbol, or 0.
    pub(in super::super) symbols: Box<[u8]>,
    pub(in super::super) stream: Stream,
    /// By context with a full history, of the first piece only: how an entity is told that there
    /// is nothing to tell of.
    pub(in super::super) classes: Box<[u8]>,
}

/// How the entities are told whose whole history is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Class {
    /// Each has a chunk, which says so if it is as predicted.
    Coded,
    /// Only those have a chunk that are not as predicted; they are listed.
    Busy,
    /// The same; they seldom are.
    Quiet,
}

impl Class {
    pub(in super::super) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Coded,
            1 => Self::Busy,
            _ => Self::Quiet,
        }
    }
}

/// A small field whose value says how the others behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Mode {
    pub(in super::super) field: usize,
    /// By raw number, the last for all above it: the class, below [`MODES`].
    pub(in super::super) classes: [u8; 64],
}

/// One kind, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct KindTables {
    pub(in super::super) codings: Box<[Coding]>,
    /// The raw number of zero, by field.
    pub(in super::super) zeros: Box<[i64]>,
    /// What an entity is taken to be that comes from nothing.
    pub(in super::super) defaults: Box<[i32]>,
    pub(in super::super) mode: Option<Mode>,
    pub(in super::super) groups: Vec<GroupTables>,
    /// Groups were put together in pieces as long as there were at most so many masks.
    pub(in super::super) masks_limit: usize,
    pub(in super::super) pieces: Vec<Piece>,
    /// By field.
    pub(in super::super) streams: Vec<Stream>,
}

impl KindTables {
    /// The class of the mode that a row is in.
    #[inline]
    pub(in super::super) fn mode(&self, row: &[i32]) -> usize {
        let Some(mode) = &self.mode else {
            return 0;
        };
        let (Some(coding), Some(value)) = (self.codings.get(mode.field), row.get(mode.field))
        else {
            return 0;
        };
        let raw = (coding.raw(*value) as usize).min(mode.classes.len() - 1);
        usize::from(mode.classes[raw])
    }

    /// How many modes contexts tell apart.
    #[inline]
    pub(in super::super) const fn modes(&self) -> usize {
        if self.mode.is_some() { MODES } else { 1 }
    }

    /// How an entity is told that rests.
    #[inline]
    pub(in super::super) fn resting_class(&self, row: &[i32]) -> Class {
        // The context of a first piece in which nothing moves is the mode.
        match self.class(self.mode(row)) {
            Class::Coded => Class::Busy,
            class => class,
        }
    }

    #[inline]
    pub(in super::super) fn class(&self, context: usize) -> Class {
        let classes = self.pieces.first().map(|piece| &piece.classes);
        let class = classes.and_then(|classes| classes.get(context)).copied();
        Class::from_number(class.unwrap_or(0))
    }
}

/// What both ends know beforehand of how a world moves, for one schema.
///
/// Every schema comes with built-in tables that suit any game. [`super::super::Schema::with_tables`] replaces them by
/// tables that were learnt from recorded traffic (`tickwire train`), which makes snapshots
/// smaller. Both ends must have the same ones: their hash is part of the schema's.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// What they were made for.
    pub(in super::super) schema: u64,
    pub(in super::super) lags: Lags,
    pub(in super::super) kinds: Vec<KindTables>,
    pub(in super::super) codes: Vec<PrefixCode>,
    pub(in super::super) hash: u64,
}

impl Tables {
    #[inline]
    pub(in super::super) fn kind(&self, kind: u8) -> Option<&KindTables> {
        self.kinds.get(usize::from(kind))
    }

    /// The code of a stream in a context.
    #[inline]
    pub(in super::super) fn code(&self, stream: &Stream, context: usize) -> Option<&PrefixCode> {
        self.codes.get(stream.code(context))
    }

    /// The shape of the schema they were made for.
    pub(in super::super) const fn schema(&self) -> u64 {
        self.schema
    }

    /// The number that tells these tables from others.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }
}

/// By group: in which steps levels are told apart, and how many features that makes.
pub(in super::super) fn radices(groups: &[Group], shift: u32) -> Box<[(u32, usize)]> {
    let of = |group: &Group| {
        // Of plain groups it is only told apart whether they have changed of late.
        let plain = group.manner == Manner::Plain;
        let shift = if plain { PLAIN_SHIFT } else { shift };
        (shift, features(shift))
    };
    groups.iter().map(of).collect()
}

/// Bits that say one of so many masks.
pub(in super::super) const fn mask_bits(masks: usize) -> u32 {
    if masks <= 1 {
        0
    } else {
        usize::BITS - (masks - 1).leading_zeros()
    }
}

/// The groups cut into pieces: as many of them together as have at most `masks` ways to differ. Each
/// piece as its groups and how many ways there are.
pub(in super::super) fn pieces(
    groups: &[Group],
    masks: usize,
) -> Vec<(core::ops::Range<usize>, usize)> {
    let mut pieces: Vec<(core::ops::Range<usize>, usize)> = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let states = group.states() as usize;
        match pieces.last_mut() {
            Some((range, count)) if *count * states <= masks => {
                range.end = place + 1;
                *count *= states;
            }
            _ => pieces.push((place..place + 1, states)),
        }
    }
    pieces
}
