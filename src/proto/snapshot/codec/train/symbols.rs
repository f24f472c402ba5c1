//! How often each symbol comes in each context; contexts that are alike share a code.

use std::collections::BTreeMap;

use super::super::chunk::{Chunker, Sink};
use super::super::context::Past;
use super::super::file::alphabet;
use super::super::prefix::{PrefixCode, lengths_for};
use super::super::tables::{Class, FIRSTS, Stream, Tables};
use super::world::{Sample, World};

/// A stream has at most so many codes.
const CODES: usize = 24;
/// A code of its own must save so many bits.
const WORTH: f64 = 160.0;
/// Contexts find their codes, and codes their contexts, so many times.
const ROUNDS: usize = 12;

/// By context: how often each symbol came.
type Contexts = BTreeMap<usize, Vec<f64>>;

/// Counts symbols: streams are known by their `first`, while there are no codes.
struct Counter {
    streams: Vec<Contexts>,
    symbols: Vec<usize>,
    plain: f64,
}

impl Sink for Counter {
    fn symbol(&mut self, stream: &Stream, context: usize, symbol: u32) {
        let place = usize::from(stream.first);
        let symbols = self.symbols[place];
        let counts = self.streams[place].entry(context);
        let counts = counts.or_insert_with(|| vec![0.0; symbols]);
        if let Some(count) = counts.get_mut(symbol as usize) {
            *count += 1.0;
        }
    }

    fn bits(&mut self, _value: u32, bits: u32) {
        self.plain += f64::from(bits);
    }
}

/// Learns the codes of all streams, and says how many bits the samples take.
pub(super) fn learn(tables: &mut Tables, world: &World) -> f64 {
    let mut shapes = Vec::new();
    for kind in &mut tables.kinds {
        for piece in &mut kind.pieces {
            piece.stream.first = shapes.len() as u16;
            shapes.push((piece.contexts + FIRSTS, piece.masks.len() + 1));
        }
        for field in 0..kind.streams.len() {
            let shape = alphabet(kind, field);
            kind.streams[field].first = shapes.len() as u16;
            shapes.push(shape);
        }
    }
    let mut counter = Counter {
        streams: vec![Contexts::new(); shapes.len()],
        symbols: shapes.iter().map(|(_, symbols)| *symbols).collect(),
        plain: 0.0,
    };
    let mut chunker = Chunker::default();
    world.each(tables, |sample| {
        count(tables, &mut chunker, &sample, &mut counter)
    });
    let mut bits = counter.plain;
    let mut codes: Vec<PrefixCode> = Vec::new();
    let learnt: Vec<Stream> = counter
        .streams
        .iter()
        .zip(&shapes)
        .map(|(contexts, (len, symbols))| {
            let (of, stream, cost) = share(contexts, *len, *symbols, codes.len());
            codes.extend(of);
            bits += cost;
            stream
        })
        .collect();
    for kind in &mut tables.kinds {
        let pieces = kind.pieces.iter_mut().map(|piece| &mut piece.stream);
        for stream in pieces.chain(&mut kind.streams) {
            *stream = learnt[usize::from(stream.first)].clone();
        }
    }
    tables.codes = codes;
    bits
}

/// Counts the chunk of a sample, if it would be sent.
fn count(tables: &Tables, chunker: &mut Chunker, sample: &Sample<'_>, counter: &mut impl Sink) {
    let kind = &tables.kinds[sample.kind];
    chunker.context.expect(kind, tables.lags, &sample.past);
    let base = sample.past.base(kind);
    let differs = chunker.differs(kind, base, sample.now);
    let sent = match sample.past {
        Past::Nothing => true,
        Past::First { .. } => differs,
        Past::Full { .. } => differs || chunker.context.class(kind, base) == Class::Coded,
    };
    if sent {
        chunker.write(kind, base, sample.now, counter);
    }
}

/// Bits that samples take, by what they tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The kind.
    pub kind: String,
    /// The field; or `None` for what says which fields differ.
    pub field: Option<String>,
    /// How many bits, of all samples together.
    pub bits: f64,
}

/// Adds up bits by stream, by the codes of finished tables.
struct Scales<'t> {
    tables: &'t Tables,
    /// By kind: of the masks, then of each field.
    bits: Vec<f64>,
    at: usize,
    /// What was told last: plain bits belong to it.
    last: usize,
}

impl Sink for Scales<'_> {
    fn symbol(&mut self, stream: &Stream, context: usize, symbol: u32) {
        let code = self.tables.code(stream, context);
        let bits = code.map_or(0, |code| code.word(symbol).1);
        if let Some(kind) = self.tables.kinds.get(self.at) {
            let field = kind.streams.iter().position(|of| core::ptr::eq(of, stream));
            self.last = field.map_or(0, |field| field + 1);
            self.bits[self.last] += f64::from(bits);
        }
    }

    fn bits(&mut self, _value: u32, bits: u32) {
        self.bits[self.last] += f64::from(bits);
    }
}

/// What the samples of a world take with these tables, by kind and field.
pub(super) fn explain(
    tables: &Tables,
    names: &[(String, Vec<String>)],
    world: &World,
) -> Vec<Share> {
    let mut shares = Vec::new();
    for (number, (kind, fields)) in names.iter().enumerate() {
        let mut scales = Scales {
            tables,
            bits: vec![0.0; fields.len() + 1],
            at: number,
            last: 0,
        };
        let mut chunker = Chunker::default();
        world.each_full(tables.lags, |sample| {
            if sample.kind == number {
                count(tables, &mut chunker, &sample, &mut scales);
            }
        });
        let fields = core::iter::once(None).chain(fields.iter().map(|field| Some(field.clone())));
        shares.extend(fields.zip(scales.bits).map(|(field, bits)| Share {
            kind: kind.clone(),
            field,
            bits,
        }));
    }
    shares
}

/// What each symbol costs when symbols are this frequent, drawn a little towards `all`.
fn costs(counts: &[f64], all: &[f64]) -> Vec<f64> {
    let (sum, total): (f64, f64) = (counts.iter().sum(), all.iter().sum::<f64>().max(1.0));
    let symbols = counts.len() as f64;
    let share =
        |(count, all): (&f64, &f64)| (count + all / total + 0.02) / (sum + 1.0 + 0.02 * symbols);
    counts.iter().zip(all).map(|of| -share(of).log2()).collect()
}

fn cost(counts: &[f64], costs: &[f64]) -> f64 {
    counts
        .iter()
        .zip(costs)
        .map(|(count, cost)| count * cost)
        .sum()
}

fn nearest(counts: &[f64], codes: &[Vec<f64>]) -> usize {
    let costs = codes.iter().map(|code| cost(counts, code)).enumerate();
    costs
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map_or(0, |(place, _)| place)
}

/// Codes for the contexts of a stream, few enough and each worth it; the stream that says which has
/// which; and how many bits all takes.
fn share(
    contexts: &Contexts,
    len: usize,
    symbols: usize,
    first: usize,
) -> (Vec<PrefixCode>, Stream, f64) {
    let mut all = vec![0.0; symbols];
    for (sum, count) in contexts.values().flat_map(|counts| all_places(counts)) {
        all[sum] += count;
    }
    let counts: Vec<&Vec<f64>> = contexts.values().collect();
    let own: Vec<f64> = counts.iter().map(|of| cost(of, &costs(of, &all))).collect();
    let mut codes = vec![costs(&all, &all)];
    // The context that is served worst gets the next code.
    while codes.len() < CODES {
        let loss =
            |place: usize| cost(counts[place], &codes[nearest(counts[place], &codes)]) - own[place];
        let worst = (0..counts.len()).map(|place| (loss(place), place));
        let worst = worst.max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)));
        let Some((_, place)) = worst.filter(|(loss, _)| *loss > WORTH) else {
            break;
        };
        codes.push(costs(counts[place], &all));
    }
    let mut sums = Vec::new();
    for _ in 0..ROUNDS {
        sums = vec![vec![0.0; symbols]; codes.len()];
        for of in &counts {
            let sum = &mut sums[nearest(of, &codes)];
            for (sum, count) in sum.iter_mut().zip(of.iter()) {
                *sum += count;
            }
        }
        codes = sums.iter().map(|sum| costs(sum, &all)).collect();
    }
    sums.retain(|sum| sum.iter().sum::<f64>() > 0.0);
    if sums.is_empty() {
        sums.push(vec![0.0; symbols]);
    }
    let total = all.iter().sum::<f64>().max(1.0);
    let prefix: Vec<PrefixCode> = sums
        .iter()
        .filter_map(|sum| {
            let frequency =
                |(count, all): (&f64, &f64)| (count * 1024.0 + all / total * 1024.0 + 51.0) as u64;
            let frequencies: Vec<u64> = sum.iter().zip(&all).map(frequency).collect();
            PrefixCode::new(&lengths_for(&frequencies))
        })
        .collect();
    let lengths: Vec<Vec<f64>> = prefix
        .iter()
        .map(|code| {
            code.lengths()
                .iter()
                .map(|length| f64::from(*length))
                .collect()
        })
        .collect();
    // Whoever was never seen has the code of most.
    let most = nearest(&all, &lengths) as u8;
    let mut map = vec![most; len];
    let mut bits = 0.0;
    for (context, of) in contexts {
        let place = nearest(of, &lengths);
        bits += cost(of, &lengths[place]);
        if let Some(code) = map.get_mut(*context) {
            *code = place as u8;
        }
    }
    let stream = Stream {
        first: first as u16,
        map: map.into(),
    };
    (prefix, stream, bits)
}

fn all_places(counts: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    counts.iter().copied().enumerate()
}
