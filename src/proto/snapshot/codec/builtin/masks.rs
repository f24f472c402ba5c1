//! How often which groups of a piece differ together.
//!
//! Groups do not surprise one by one. An entity goes on as it went, as a whole, or is disturbed: then
//! most of what moves is off, and what rested sets out. So masks are those of two states, mixed.
//!
//! Knows groups, levels and shares. Has no idea of values.

use super::super::super::quantity::Quantity;
use super::super::super::schema::Kind;
use super::super::context;
use super::super::prefix::{MAX_LENGTH, lengths_for};
use super::super::shape::{Group, Manner};
use super::super::tables::{FIRSTS, LEVELS, MASK_SYMBOLS, Piece, pieces, radices};
use super::{Codes, ERRORS, MASKS, ONE, habit};

/// Levels four by four, so that a piece has few contexts.
const SHIFT: u32 = 2;
/// The codes of a piece are counted by a byte.
const MAX_LOCAL: usize = 256;
/// A piece with more contexts tells levels apart less finely.
const MAX_CONTEXTS: usize = 1024;

/// How a field of a group differs when the group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// As any other.
    Any,
    /// It is measured otherwise than the two others of three, as a height is, and moves apart from them.
    Apart,
    /// The largest component of a rotation: it seldom becomes another.
    Largest,
    /// A counter: it counts whatever the group tells.
    Counter,
    /// One of few values: often the same again.
    Few,
    /// Flags.
    Flags,
}

/// What the fields of a group are.
fn seats(kind: &Kind, group: &Group) -> Vec<Seat> {
    // A velocity is told as what it moves.
    let measure = |field: &usize| {
        let field = habit::moved_by(kind, *field).unwrap_or(*field);
        kind.fields.get(field).map(|field| field.quantity)
    };
    let measures: Vec<_> = group.fields.iter().map(measure).collect();
    let like = |of| measures.iter().filter(|other| **other == of).count();
    let is_pair_and_one = measures.len() == 3 && measures.iter().any(|of| like(*of) == 2);
    let seat = |(place, field): (usize, &usize)| match group.manner {
        Manner::Rotation if place == 0 => Seat::Largest,
        Manner::Line if is_pair_and_one && like(measures[place]) == 1 => Seat::Apart,
        Manner::Plain => match kind.fields.get(*field).map(|field| field.quantity) {
            Some(Quantity::Counter { .. }) => Seat::Counter,
            Some(Quantity::Unsigned { bits: ..=4 }) => Seat::Few,
            Some(Quantity::Flags { .. }) => Seat::Flags,
            _ => Seat::Any,
        },
        Manner::Rotation | Manner::Line => Seat::Any,
    };
    group.fields.iter().enumerate().map(seat).collect()
}

/// What is expected of a group, in one context.
struct Outlook<'f> {
    manner: Manner,
    seats: &'f [Seat],
    rests: bool,
    /// The share in which all is as expected.
    expected: u64,
    /// And if it is not, in which one field is off.
    off: u64,
}

impl<'f> Outlook<'f> {
    /// Shares were measured on a simulated crowd, a simulated heap of bodies and recorded matches.
    fn new(manner: Manner, seats: &'f [Seat], level: u64, rests: bool) -> Self {
        let error = ERRORS[level.min(LEVELS as u64 - 1) as usize];
        let is_flags = seats.iter().all(|seat| *seat == Seat::Flags);
        let of_one = error / (seats.len() as u64).max(1);
        let (expected, off) = match (manner, rests) {
            (Manner::Plain, true) => (ONE * 981 / 1024, ONE * 7 / 8),
            // Flags were set or cleared; what else has jumped jumps again, as shots follow one another.
            (Manner::Plain, false) if is_flags => (ONE * 31 / 32, ONE * 7 / 8),
            (Manner::Plain, false) => (ONE * 7 / 32, ONE * 7 / 8),
            (_, true) => (ONE * 63 / 64, ONE * 39 / 64),
            _ => (
                ONE * 12 / (13 + error),
                (ONE * of_one / (of_one + 14)).clamp(ONE / 16, ONE * 31 / 32),
            ),
        };
        Self {
            manner,
            seats,
            rests,
            expected,
            off,
        }
    }

    /// The share in which all is as expected while the entity goes on as it went, which it does in
    /// `calm`; and while it is disturbed. Together it is what it was.
    fn expected(&self, calm: u64, disturbed: bool) -> u64 {
        // How much of what can be told by the state is.
        let told = match (self.manner, self.rests) {
            (Manner::Plain, true) => 16,
            (Manner::Plain, false) => 48,
            (_, true) => 32,
            _ => 24,
        };
        let (most, least) = if self.expected >= calm {
            (ONE, (self.expected - calm) * ONE / (ONE - calm))
        } else {
            (self.expected * ONE / calm, 0)
        };
        if disturbed {
            self.expected - (self.expected - least) * told / 64
        } else {
            self.expected + (most - self.expected) * told / 64
        }
    }

    /// The share of each way to differ, when it does.
    fn patterns(&self) -> Vec<u64> {
        let together = self.independent(|seat| match seat {
            Seat::Any | Seat::Apart | Seat::Flags => self.off,
            Seat::Largest => ONE / 64,
            Seat::Counter => ONE * 62 / 64,
            Seat::Few => ONE * 40 / 64,
        });
        let Some(apart) = self.seats.iter().position(|seat| *seat == Seat::Apart) else {
            return together;
        };
        // Three in eight times it is the two, or the third.
        let mut pair = self.independent(|seat| match seat {
            Seat::Apart => 0,
            _ => self.off,
        });
        for share in &mut pair {
            *share = *share * 2 / 3;
        }
        pair[(1 << apart) - 1] += ONE / 3;
        let both = together.iter().zip(pair);
        both.map(|(one, other)| one * 5 / 8 + other * 3 / 8)
            .collect()
    }

    /// The share of each way to differ, from those of single fields: of all ways but none.
    fn independent(&self, off: impl Fn(Seat) -> u64) -> Vec<u64> {
        let mut patterns = vec![ONE];
        for off in self.seats.iter().map(|seat| off(*seat)) {
            let named: Vec<u64> = patterns.iter().map(|share| share * off / ONE).collect();
            for share in &mut patterns {
                *share = *share * (ONE - off) / ONE;
            }
            patterns.extend(named);
        }
        let all = (ONE - patterns[0]).max(1);
        let patterns = patterns.iter().skip(1);
        patterns.map(|share| share * ONE / all).collect()
    }

    /// The share of each state of the group, when it is as expected in so many.
    fn states(&self, expected: u64) -> Vec<u64> {
        let before = match (self.manner, self.rests) {
            (Manner::Plain, _) => 0,
            (_, true) => 1,
            _ => (ONE - expected) / 48 + 1,
        };
        let rest = ONE.saturating_sub(expected + before);
        let mut shares = vec![expected];
        let patterns = self.patterns().into_iter();
        shares.extend(patterns.map(|share| (share * rest / ONE).max(1)));
        if self.manner != Manner::Plain {
            shares.push(before);
        }
        shares
    }
}

/// How frequent the masks of groups are.
fn masks(groups: &[Outlook<'_>]) -> Vec<u64> {
    let moving = groups.iter().filter(|of| of.manner != Manner::Plain);
    let calmest = moving.map(|of| of.expected).max();
    // Who only has what jumps is disturbed as often as the least steady of it jumps.
    let calm = calmest.or_else(|| groups.iter().map(|of| of.expected).min());
    let calm = calm.unwrap_or(ONE / 2).clamp(ONE / 64, ONE - ONE / 64);
    let joined = |disturbed: bool, share: u64| {
        groups.iter().fold(vec![share << 16], |masks, of| {
            let states = of.states(of.expected(calm, disturbed));
            let each = masks
                .iter()
                .flat_map(|mask| states.iter().map(move |state| mask * state / ONE));
            each.collect()
        })
    };
    let (one, other) = (joined(false, calm), joined(true, ONE - calm));
    let both = one.iter().zip(&other);
    both.map(|(one, other)| (one + other).max(1)).collect()
}

/// What a piece is made from: how its groups are told and what their fields are, and where in its
/// kind it stands. Pieces that are alike have the same codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    groups: Vec<(Manner, Vec<Seat>)>,
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
    pub(super) fn new(kind: &Kind, groups: &[Group], place: usize, pieces: usize) -> Self {
        let place = match (place, pieces) {
            (0, 1) => Place::Only,
            (0, _) => Place::First,
            _ => Place::Later,
        };
        let groups = groups.iter().map(|of| (of.manner, seats(kind, of)));
        Self {
            groups: groups.collect(),
            place,
        }
    }
}

/// The forms of all pieces there will be, each once.
fn forms(kinds: &[Kind], groups: &[Vec<Group>]) -> Vec<Form> {
    let mut forms = Vec::new();
    for (kind, groups) in kinds.iter().zip(groups) {
        let of_kind = pieces(groups, MASKS);
        for (place, (range, _)) in of_kind.iter().enumerate() {
            let form = Form::new(kind, &groups[range.clone()], place, of_kind.len());
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    forms
}

/// Pieces, each form once.
pub(super) struct Pieces {
    made: Vec<(Form, Piece)>,
    /// Forms that have no codes yet.
    left: usize,
}

impl Pieces {
    pub(super) fn new(kinds: &[Kind], groups: &[Vec<Group>]) -> Self {
        Self {
            made: Vec::new(),
            left: forms(kinds, groups).len(),
        }
    }

    pub(super) fn get(&mut self, form: Form, groups: &[Group], codes: &mut Codes) -> Piece {
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

/// The features of a context, added up: of plain groups that have changed of late as those of the lowest levels.
fn features(context: usize, contexts: usize, radices: &[(u32, usize)]) -> usize {
    if context >= contexts {
        return 0;
    }
    let (mut rest, mut sum) = (context, 0);
    for (shift, radix) in radices.iter().rev() {
        let feature = rest % radix;
        sum += if *shift == context::PLAIN_SHIFT {
            4 * feature
        } else {
            feature
        };
        rest /= radix;
    }
    sum
}

/// How frequent the masks of a piece are: in each context with a full history, and from less.
fn mask_frequencies(form: &Form, radices: &[(u32, usize)]) -> Vec<Vec<u64>> {
    let in_context = |context: usize| {
        let mut rest = context;
        let groups = form.groups.iter().zip(radices).rev();
        let mut groups: Vec<_> = groups
            .map(|((manner, seats), (shift, radix))| {
                let feature = rest % radix;
                rest /= radix;
                // The middle of the levels that share the feature.
                let level = ((feature as u64) << shift).saturating_sub((1 << shift) / 2);
                Outlook::new(*manner, seats, level, feature == 0)
            })
            .collect();
        groups.reverse();
        masks(&groups)
    };
    let contexts: usize = radices.iter().map(|(_, radix)| radix).product();
    let mut frequencies: Vec<Vec<u64>> = (0..contexts).map(in_context).collect();
    let unknown = form
        .groups
        .iter()
        .map(|(manner, seats)| Outlook::new(*manner, seats, 7, *manner == Manner::Plain));
    let unknown = masks(&unknown.collect::<Vec<_>>());
    frequencies.extend(core::iter::repeat_n(unknown, FIRSTS));
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
    for (context, masks) in frequencies.iter().enumerate() {
        // Whoever moves little is more frequent.
        let halvings = features(context, contexts, &radices) / 4;
        for (total, share) in total.iter_mut().zip(masks) {
            *total += share >> halvings.min(16);
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
        // No word can be longer than this is rare: to say so at once saves rounds.
        let least = by_symbol.iter().sum::<u64>() >> (MAX_LENGTH + 2);
        for share in &mut by_symbol {
            *share = (*share).max(least);
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
    use super::*;

    const ANY: &[Seat] = &[Seat::Any; 2];
    const APART: &[Seat] = &[Seat::Any, Seat::Any, Seat::Apart];

    /// What shares are of all, in 64ths.
    fn share<'a>(masks: &[u64], of: impl Iterator<Item = &'a u64>) -> u64 {
        of.sum::<u64>() * 64 / masks.iter().sum::<u64>()
    }

    /// The states of a line of two: as expected, three ways to be off, as before.
    const STATES: usize = 5;

    #[test]
    fn who_is_off_in_one_group_is_off_in_another() {
        let group = || Outlook::new(Manner::Line, ANY, 2, false);
        let masks = masks(&[group(), group()]);
        let (first, both) = (&masks[..STATES], masks[0]);
        let expected = share(&masks, first.iter());
        let second = share(first, core::iter::once(&both));
        assert!(second > expected + 4, "{second} and {expected} of 64");
    }

    #[test]
    fn how_often_a_group_is_off_does_not_depend_on_who_is_told_with_it() {
        let group = || Outlook::new(Manner::Line, ANY, 2, false);
        let alone = masks(&[group()]);
        let alone = share(&alone, alone[..1].iter());
        for (level, rests) in [(0, true), (9, false)] {
            let masks = masks(&[group(), Outlook::new(Manner::Line, ANY, level, rests)]);
            let both = share(&masks, masks[..STATES].iter());
            assert!(both.abs_diff(alone) <= 1, "{both} and {alone} of 64");
        }
    }

    #[test]
    fn a_height_moves_apart_from_the_plane() {
        let patterns = Outlook::new(Manner::Line, APART, 6, false).patterns();
        let (plane, height) = (patterns[0b011 - 1], patterns[0b100 - 1]);
        let mixed = [0b101, 0b110].map(|pattern: usize| patterns[pattern - 1]);
        assert!(mixed.iter().all(|mixed| plane > *mixed && height > *mixed));
        // As long as nothing is measured otherwise, no axis is special.
        let alike = Outlook::new(Manner::Line, &[Seat::Any; 3], 6, false).patterns();
        assert!(alike[0b011 - 1].abs_diff(alike[0b110 - 1]) <= 1);
    }

    #[test]
    fn a_counter_counts_what_its_group_tells() {
        let seats = [Seat::Counter, Seat::Any];
        let patterns = Outlook::new(Manner::Plain, &seats, 0, true).patterns();
        let counted = patterns[0b01 - 1] + patterns[0b11 - 1];
        assert!(counted > ONE * 7 / 8 && patterns[0b10 - 1] < ONE / 8);
    }
}
