//! Prefix codes: symbols in as many bits as they are rare.
//!
//! A code is told by the lengths of its words alone; the words follow in canonical order (E. S.
//! Schwartz and B. Kallick, "Generating a canonical prefix encoding", 1964). Words are sent lowest bit first, so
//! they are kept reversed, and one look into a table of at most 2^8 entries reads a symbol, two those with a longer
//! word. Hundreds of codes are in use at once: what counts is how many fit a cache.
//!
//! Knows lengths, words and symbols. Has no idea what a symbol stands for.

/// No word is longer: what is rarer than one in two thousand costs little.
pub(in super::super) const MAX_LENGTH: u32 = 11;
/// No alphabet is larger: a symbol is one byte.
pub(in super::super) const MAX_SYMBOLS: usize = 256;
/// Words up to this length are read in one look.
const FIRST_LOOK: u32 = 8;
/// The entry of longer words; the low byte is the number of their table.
const LONGER: u16 = 1 << 15;

/// A prefix code, ready for both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct PrefixCode {
    lengths: Box<[u8]>,
    /// By symbol: the word, lowest bit first, and its length in the high half.
    words: Box<[u32]>,
    /// By the next bits: symbol in the low byte, length of its word in the high one; or [`LONGER`].
    /// Then the tables of longer words, by the bits that follow.
    symbols: Box<[u16]>,
    /// How many bits the first look takes, and how many the second.
    looks: (u32, u32),
}

impl PrefixCode {
    /// The code of these lengths; `None` unless they make a complete code: every string of bits
    /// begins with exactly one word. One symbol alone has a word of no bits.
    pub(in super::super) fn new(lengths: &[u8]) -> Option<Self> {
        let longest = u32::from(*lengths.iter().max()?);
        if lengths.len() > MAX_SYMBOLS || longest > MAX_LENGTH {
            return None;
        }
        if lengths.len() > 1 && lengths.contains(&0) {
            return None;
        }
        let places = 1_usize << longest;
        let taken: usize = lengths.iter().map(|length| places >> length).sum();
        if taken != places {
            return None;
        }
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|symbol| (lengths[*symbol], *symbol));
        let looks = (longest.min(FIRST_LOOK), longest.saturating_sub(FIRST_LOOK));
        let mut words = vec![0; lengths.len()];
        let mut symbols = vec![0; 1 << looks.0];
        let mut first = 0;
        for symbol in order {
            let length = u32::from(lengths[symbol]);
            // `first` counts in units of the longest word.
            let word = reversed(first >> (longest - length), length);
            words[symbol] = u32::from(word) | length << 16;
            let entry = symbol as u16 | (length as u16) << 8;
            let (table, word, length) = if length <= FIRST_LOOK {
                (0..1 << looks.0, usize::from(word), length)
            } else {
                let place = usize::from(word) & ((1 << FIRST_LOOK) - 1);
                let tables = (symbols.len() - (1 << FIRST_LOOK)) >> looks.1;
                if symbols[place] == 0 {
                    symbols[place] = LONGER | tables as u16;
                    symbols.resize(symbols.len() + (1 << looks.1), 0);
                }
                let start = second_look(symbols[place], looks.1);
                let table = start..start + (1 << looks.1);
                (table, usize::from(word) >> FIRST_LOOK, length - FIRST_LOOK)
            };
            for place in (table.start + word..table.end).step_by(1 << length) {
                symbols[place] = entry;
            }
            first += 1 << (longest - u32::from(lengths[symbol]));
        }
        Some(Self {
            lengths: lengths.into(),
            words: words.into(),
            symbols: symbols.into(),
            looks,
        })
    }

    /// How long the word of each symbol is.
    pub(in super::super) const fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// The word of a symbol and its length; of a symbol beyond the alphabet, that of no symbol.
    #[inline]
    pub(in super::super) fn word(&self, symbol: u32) -> (u32, u32) {
        let word = self.words.get(symbol as usize).copied().unwrap_or(0);
        (word & 0xffff, word >> 16)
    }

    /// The symbol that the next bits begin with, and how many of them are its word.
    #[inline]
    pub(in super::super) fn symbol(&self, next: u64) -> (u32, u32) {
        let (first, second) = self.looks;
        let at = |place: usize| self.symbols.get(place).copied().unwrap_or(0);
        let mut entry = at((next & ((1 << first) - 1)) as usize);
        if entry & LONGER != 0 {
            let rest = next >> first & ((1 << second) - 1);
            entry = at(second_look(entry, second) + rest as usize);
        }
        (u32::from(entry & 0xff), u32::from(entry >> 8))
    }
}

/// Where the table of an entry of longer words starts, of so many bits.
const fn second_look(entry: u16, bits: u32) -> usize {
    (1 << FIRST_LOOK) + ((entry as usize & 0xff) << bits)
}

/// The lowest `length` bits, the other way round.
const fn reversed(word: u32, length: u32) -> u16 {
    if length == 0 {
        0
    } else {
        (word.reverse_bits() >> (32 - length)) as u16
    }
}

/// Lengths of a complete code for symbols that are this frequent, none above [`MAX_LENGTH`]:
/// Huffman's code, and where that is too deep, that of flattened frequencies. A symbol that was
/// never seen has a word as well.
pub(in super::super) fn lengths_for(frequencies: &[u64]) -> Vec<u8> {
    let count = frequencies.len().min(MAX_SYMBOLS);
    if count <= 1 {
        return vec![0; count];
    }
    let mut weights: Vec<u64> = frequencies.iter().take(count).copied().collect();
    loop {
        let lengths = huffman(&weights);
        if lengths
            .iter()
            .all(|length| u32::from(*length) <= MAX_LENGTH)
        {
            return lengths;
        }
        // Adding the same to all brings them closer; at last all are equal, and 2^8 equals fit.
        let floor = weights.iter().sum::<u64>() >> (MAX_LENGTH + 2);
        for weight in &mut weights {
            *weight = *weight / 2 + floor / 2 + 1;
        }
    }
}

/// Huffman's code by two queues (J. van Leeuwen, "On the construction of Huffman trees", 1976): the
/// lengths of at least two symbols.
fn huffman(weights: &[u64]) -> Vec<u8> {
    let count = weights.len();
    let mut leaves: Vec<usize> = (0..count).collect();
    leaves.sort_by_key(|leaf| (weights[*leaf], *leaf));
    // Nodes: the leaves, then the inner ones in the order in which they were made.
    let mut weight: Vec<u64> = weights.to_vec();
    let mut parent = vec![0_usize; 2 * count - 1];
    let (mut next_leaf, mut next_inner) = (0, count);
    for node in count..2 * count - 1 {
        let mut sum = 0_u64;
        for _ in 0..2 {
            let leaf = leaves.get(next_leaf).copied();
            let inner = (next_inner < node).then_some(next_inner);
            let child = match (leaf, inner) {
                (Some(leaf), Some(inner)) if weight[leaf] <= weight[inner] => leaf,
                (Some(leaf), None) => leaf,
                (_, Some(inner)) => inner,
                // There are always two left.
                (None, None) => break,
            };
            if child < count {
                next_leaf += 1;
            } else {
                next_inner += 1;
            }
            sum = sum.saturating_add(weight[child]);
            parent[child] = node;
        }
        weight.push(sum);
    }
    let mut depth = vec![0_u8; 2 * count - 1];
    for node in (0..2 * count - 2).rev() {
        depth[node] = depth[parent[node]].saturating_add(1);
    }
    depth.truncate(count);
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_symbol_comes_back(frequencies in prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..10, 0_u64..1_000_000_000], 1..=256)) {
            let lengths = lengths_for(&frequencies);
            let code = PrefixCode::new(&lengths).expect("a complete code");
            for symbol in 0..frequencies.len() as u32 {
                let (word, length) = code.word(symbol);
                prop_assert!(length <= MAX_LENGTH);
                // Whatever follows the word.
                for rest in [0, u64::MAX] {
                    let next = u64::from(word) | rest << length;
                    prop_assert_eq!(code.symbol(next), (symbol, length));
                }
            }
        }

        #[test]
        fn lengths_that_are_no_code_are_refused(lengths in prop::collection::vec(0_u8..14, 0..40)) {
            let longest = lengths.iter().max().copied().unwrap_or(0);
            let kraft: f64 = lengths.iter().map(|length| 0.5_f64.powi(i32::from(*length))).sum();
            let complete = !lengths.is_empty() && kraft == 1.0 && u32::from(longest) <= MAX_LENGTH;
            prop_assert_eq!(PrefixCode::new(&lengths).is_some(), complete);
        }
    }

    #[test]
    fn frequent_symbols_are_short() {
        assert_eq!(lengths_for(&[8, 4, 2, 1, 1]), [1, 2, 3, 4, 4]);
        assert_eq!(lengths_for(&[5]), [0]);
        assert_eq!(lengths_for(&[0, 7]), [1, 1]);
    }
}
