//! What differs together, which field tells how the others behave, and who is worth listing.

use std::collections::BTreeMap;

use super::super::chunk::Chunker;
use super::super::context::{PLAIN_SHIFT, Past};
use super::super::file::piece_contexts;
use super::super::shape::{Manner, VALUE_BITS};
use super::super::tables::{
    KindTables, MASK_SYMBOLS, MODES, Mode, Piece, Stream, Tables, pieces, radices,
};
use super::world::World;

/// Contexts of a piece, at most; levels are told apart more coarsely until they fit.
const CONTEXTS: usize = 4096;
/// Whoever differs more often than this is not listed, but coded.
const CODED: f64 = 0.35;
/// Whoever differs less often than this is quiet.
const QUIET: f64 = 0.03;
/// A mode must save this share of what the masks take.
const WORTH: f64 = 0.02;

/// Learns masks, modes and classes of all kinds.
pub(super) fn learn(tables: &mut Tables, world: &World) {
    for kind in &mut tables.kinds {
        open_pieces(kind);
    }
    count_masks(tables, world);
    for kind in &mut tables.kinds {
        size_contexts(kind);
    }
    classes(tables, world);
}

/// Pieces of which only the groups are known.
fn open_pieces(kind: &mut KindTables) {
    let groups: Vec<_> = kind.groups.iter().map(|of| of.group.clone()).collect();
    let pieces = pieces(&groups, kind.masks_limit).into_iter();
    kind.pieces = pieces
        .map(|(range, masks_len)| Piece {
            groups: range,
            masks_len,
            shift: 0,
            radices: Box::new([]),
            contexts: 0,
            masks: Box::new([]),
            symbols: vec![0; masks_len].into(),
            stream: Stream::default(),
            classes: Box::new([]),
        })
        .collect();
}

type Counts = BTreeMap<u32, f64>;

/// Which masks there are, and the field that says most about them.
fn count_masks(tables: &mut Tables, world: &World) {
    let mut seen: BTreeMap<(usize, usize), Counts> = BTreeMap::new();
    let mut by_value: BTreeMap<(usize, usize), BTreeMap<u32, Counts>> = BTreeMap::new();
    let mut chunker = Chunker::default();
    let of = &*tables;
    world.each(of, |sample| {
        let kind = &of.kinds[sample.kind];
        chunker.context.expect(kind, of.lags, &sample.past);
        let base = sample.past.base(kind);
        chunker.differs(kind, base, sample.now);
        for (place, piece) in kind.pieces.iter().enumerate() {
            let mask = chunker.mask(kind, piece);
            *seen
                .entry((sample.kind, place))
                .or_default()
                .entry(mask)
                .or_default() += 1.0;
            if place > 0 || !matches!(sample.past, Past::Full { .. }) {
                continue;
            }
            for field in mode_candidates(kind) {
                let value = kind.codings[field].raw(base[field]).min(63);
                let values = by_value.entry((sample.kind, field)).or_default();
                *values.entry(value).or_default().entry(mask).or_default() += 1.0;
            }
        }
    });
    for (number, kind) in tables.kinds.iter_mut().enumerate() {
        for (place, piece) in kind.pieces.iter_mut().enumerate() {
            let counts = seen.remove(&(number, place)).unwrap_or_default();
            let mut order: Vec<_> = counts.into_iter().collect();
            order.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
            // That all is as expected can always be said.
            order.retain(|(mask, _)| *mask != 0);
            order.insert(0, (0, 0.0));
            order.truncate(MASK_SYMBOLS);
            for (symbol, (mask, _)) in order.iter().enumerate() {
                piece.symbols[*mask as usize] = symbol as u8 + 1;
            }
            piece.masks = order.into_iter().map(|(mask, _)| mask as u16).collect();
        }
        kind.mode = mode_candidates(kind)
            .filter_map(|field| {
                let values = by_value.remove(&(number, field))?;
                let all = values.values().fold(Counts::new(), |mut all, of| {
                    for (mask, count) in of {
                        *all.entry(*mask).or_default() += count;
                    }
                    all
                });
                let (before, after) = (bits(&all), values.values().map(bits).sum::<f64>());
                (after < before * (1.0 - WORTH)).then_some((after, field, values))
            })
            .min_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, field, values)| Mode {
                field,
                classes: mode_classes(&values),
            });
    }
}

/// Small fields that jump may say how the others behave.
fn mode_candidates(kind: &KindTables) -> impl Iterator<Item = usize> {
    let plain = kind
        .groups
        .iter()
        .filter(|of| of.group.manner == Manner::Plain);
    let fields = plain.flat_map(|of| of.group.fields.iter().copied());
    let small = |field: &usize| kind.codings[*field].bits <= VALUE_BITS;
    fields.filter(small).collect::<Vec<_>>().into_iter()
}

/// How many bits an ideal code needs.
fn bits(counts: &Counts) -> f64 {
    let all: f64 = counts.values().sum();
    counts
        .values()
        .map(|count| -count * (count / all).log2())
        .sum()
}

/// Values whose masks are alike have one class: the two that cost least to join are joined, until
/// few enough are left.
fn mode_classes(values: &BTreeMap<u32, Counts>) -> [u8; 64] {
    let mut classes: Vec<(Vec<u32>, Counts)> = values
        .iter()
        .map(|(value, counts)| (vec![*value], counts.clone()))
        .collect();
    while classes.len() > MODES {
        let mut best = (f64::INFINITY, 0, 1);
        for one in 0..classes.len() {
            for other in one + 1..classes.len() {
                let joined = joined(&classes[one].1, &classes[other].1);
                let more = bits(&joined) - bits(&classes[one].1) - bits(&classes[other].1);
                if more < best.0 {
                    best = (more, one, other);
                }
            }
        }
        let (values, counts) = classes.remove(best.2);
        let class = &mut classes[best.1];
        class.1 = joined(&class.1, &counts);
        class.0.extend(values);
    }
    let mut of_value = [0; 64];
    for (class, (values, _)) in classes.iter().enumerate() {
        for value in values {
            of_value[*value as usize] = class as u8;
        }
    }
    of_value
}

fn joined(one: &Counts, other: &Counts) -> Counts {
    let mut joined = one.clone();
    for (mask, count) in other {
        *joined.entry(*mask).or_default() += count;
    }
    joined
}

/// Tells levels apart as finely as there are not too many contexts.
fn size_contexts(kind: &mut KindTables) {
    let modes = kind.modes();
    let groups: Vec<_> = kind.groups.iter().map(|of| of.group.clone()).collect();
    for piece in &mut kind.pieces {
        let of = &groups[piece.groups.clone()];
        let fits = |shift: &u32| piece_contexts(of, *shift, modes) <= CONTEXTS * modes;
        piece.shift = (0..PLAIN_SHIFT).find(fits).unwrap_or(PLAIN_SHIFT);
        piece.radices = radices(of, piece.shift);
        piece.contexts = piece_contexts(of, piece.shift, modes);
        piece.classes = Box::new([]);
    }
}

/// Who is coded, who is listed.
fn classes(tables: &mut Tables, world: &World) {
    let mut seen: Vec<Vec<(f64, f64)>> = tables
        .kinds
        .iter()
        .map(|kind| vec![(0.0, 0.0); kind.pieces.first().map_or(0, |piece| piece.contexts)])
        .collect();
    let mut chunker = Chunker::default();
    let of = &*tables;
    world.each_full(of.lags, |sample| {
        let kind = &of.kinds[sample.kind];
        chunker.context.expect(kind, of.lags, &sample.past);
        let base = sample.past.base(kind);
        let differs = chunker.differs(kind, base, sample.now);
        let Some(piece) = kind.pieces.first() else {
            return;
        };
        let context = chunker.context.of_piece(kind, piece);
        if let Some((all, of)) = seen[sample.kind].get_mut(context) {
            *all += 1.0;
            *of += f64::from(u8::from(differs));
        }
    });
    for (kind, seen) in tables.kinds.iter_mut().zip(seen) {
        let modes = kind.modes();
        let class = |(context, (all, of)): (usize, (f64, f64))| -> u8 {
            let share = of / all;
            match context < modes {
                true if all < 8.0 || share < QUIET => 2,
                true => 1,
                false if all < 8.0 || share > CODED => 0,
                false if share > QUIET => 1,
                false => 2,
            }
        };
        if let Some(piece) = kind.pieces.first_mut() {
            piece.classes = seen.into_iter().enumerate().map(class).collect();
        }
    }
}
