//! Tables as bytes: what `tickwire train` writes, and both ends read.
//!
//! Knows the layout, and refuses whatever is not within its limits. Has no idea how tables are made
//! or used. Section 8.5.5 of `docs/protocol.md`.

use super::super::schema::{Fnv, Kind, Schema};
use super::builtin;
use super::context::PLAIN_SHIFT;
use super::motion::{MAX_WEIGHT, Weights};
use super::prefix::{MAX_SYMBOLS, PrefixCode};
use super::residual::RESIDUALS;
use super::shape::{self, Group, Manner, PlainForm, VALUE_BITS, plain_form};
use super::tables::{
    FIRSTS, GroupTables, KindTables, LEVELS, Lags, MASK_SYMBOLS, MAX_MASKS, MODES, Mode, Piece,
    RESIDUAL_CONTEXTS, Stream, Tables, pieces, radices,
};
use crate::proto::wire::ByteReader;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"TICKTAB\x01";
/// More codes than any schema needs, and fewer than would hurt.
pub(in super::super) const MAX_CODES: usize = 4096;
/// No map is longer: that of a piece with all its contexts.
const MAX_MAP: usize = (MAX_MASKS + FIRSTS) * MODES;

/// Why bytes are no tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TablesError {
    /// They begin otherwise.
    #[error("these are no tables: the file does not begin as `tickwire train` begins it")]
    Magic,
    /// They were learnt for another world.
    #[error(
        "the tables were made for another schema ({made:#018x}, ours is {ours:#018x}): learn them again from a recording of this game"
    )]
    Schema {
        /// The schema they were made for.
        made: u64,
        /// The schema they were to serve.
        ours: u64,
    },
    /// They end too early.
    #[error("the tables end in the middle")]
    Truncated,
    /// Something follows their end.
    #[error("the tables go on after their end")]
    TrailingBytes,
    /// A number is beyond its limit.
    #[error("the tables are damaged: {0}")]
    Damaged(&'static str),
}

impl Tables {
    /// Tables from the bytes that [`Self::to_bytes`] made for the same schema.
    ///
    /// # Errors
    ///
    /// [`TablesError`]: bytes of unknown origin are refused, whatever they are.
    pub fn from_bytes(schema: &Schema, bytes: &[u8]) -> Result<Self, TablesError> {
        let mut reader = Reader(ByteReader::new(bytes));
        if reader.0.array() != Some(MAGIC) {
            return Err(TablesError::Magic);
        }
        let made = reader.0.u64().ok_or(TablesError::Truncated)?;
        let ours = schema.shape_hash();
        if made != ours {
            return Err(TablesError::Schema { made, ours });
        }
        let lags = Lags {
            earlier: u32::from(reader.byte()?),
            earliest: u32::from(reader.byte()?),
        };
        ensure(
            lags.is_valid(),
            "the earlier ticks of a history are not in order",
        )?;
        let codes = reader.codes()?;
        let mut kinds = Vec::new();
        for (number, kind) in schema.kinds().iter().enumerate() {
            let codings = schema.codings(number as u8);
            let groups = shape::groups(kind);
            let mut of = KindTables {
                codings: codings.into(),
                zeros: builtin::zeros(kind, codings),
                defaults: reader.defaults(codings.len())?,
                mode: reader.mode(kind)?,
                groups: Vec::new(),
                masks_limit: 0,
                pieces: Vec::new(),
                streams: Vec::new(),
            };
            for (default, coding) in of.defaults.iter_mut().zip(codings) {
                *default = coding.clamp(*default);
            }
            of.masks_limit =
                reader.number(MAX_MASKS, "a piece may have more masks than there can be")?;
            of.pieces = reader.pieces(&groups, of.masks_limit, of.modes(), &codes)?;
            for group in groups {
                let tables = GroupTables::new(group, 1, codings, &of.zeros);
                of.groups.push(reader.group(tables)?);
            }
            for field in 0..codings.len() {
                let (contexts, symbols) = alphabet(&of, field);
                of.streams.push(reader.stream(contexts, symbols, &codes)?);
            }
            kinds.push(of);
        }
        if !reader.0.is_empty() {
            return Err(TablesError::TrailingBytes);
        }
        let mut tables = Self {
            schema: ours,
            lags,
            kinds,
            codes,
            hash: 0,
        };
        tables.hash = hash(&tables);
        Ok(tables)
    }

    /// The tables as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.schema.to_le_bytes());
        write(self, &mut out);
        out
    }
}

/// The number that tells tables from others: FNV-1a over their bytes.
pub(in super::super) fn hash(tables: &Tables) -> u64 {
    let mut out = Vec::new();
    write(tables, &mut out);
    let mut hash = Fnv::new();
    hash.bytes(&out);
    hash.finish()
}

/// How many contexts a field's symbols have, and how many symbols there are.
pub(in super::super) fn alphabet(of: &KindTables, field: usize) -> (usize, usize) {
    let group = of
        .groups
        .iter()
        .find(|group| group.group.fields.contains(&field));
    let (Some(tables), Some(coding)) = (group, of.codings.get(field)) else {
        return (1, 1);
    };
    let group = &tables.group;
    match (group.manner, plain_form(*coding)) {
        (Manner::Rotation, _) if group.fields.first() == Some(&field) => (LEVELS, 3),
        (Manner::Line | Manner::Rotation, _) => (RESIDUAL_CONTEXTS, RESIDUALS),
        (Manner::Plain, PlainForm::Value) => {
            let contexts = if coding.bits <= 4 {
                1 << coding.bits
            } else {
                1
            };
            (contexts, 1 << coding.bits)
        }
        (Manner::Plain, PlainForm::Distance) => (1, RESIDUALS),
        (Manner::Plain, PlainForm::Flags) => (1 << VALUE_BITS, 1 << VALUE_BITS),
    }
}

/// How many contexts with a full history a piece has.
pub(in super::super) fn piece_contexts(groups: &[Group], shift: u32, modes: usize) -> usize {
    let radices = radices(groups, shift);
    // A file may claim more than a small machine can count.
    radices.iter().fold(modes, |contexts, (_, radix)| {
        contexts.saturating_mul(*radix)
    })
}

fn ensure(holds: bool, fault: &'static str) -> Result<(), TablesError> {
    if holds {
        Ok(())
    } else {
        Err(TablesError::Damaged(fault))
    }
}

fn write(tables: &Tables, out: &mut Vec<u8>) {
    out.extend([tables.lags.earlier as u8, tables.lags.earliest as u8]);
    number(out, tables.codes.len() as u64);
    for code in &tables.codes {
        out.push((code.lengths().len() - 1) as u8);
        run_lengths(out, code.lengths());
    }
    for kind in &tables.kinds {
        for default in &kind.defaults {
            signed(out, *default);
        }
        match &kind.mode {
            None => out.push(0),
            Some(mode) => {
                out.push(mode.field as u8 + 1);
                run_lengths(out, &mode.classes);
            }
        }
        number(out, kind.masks_limit as u64);
        for piece in &kind.pieces {
            out.push(piece.shift as u8);
            out.push(piece.masks.len() as u8);
            for mask in &piece.masks {
                out.extend(mask.to_le_bytes());
            }
            stream(out, &piece.stream);
            if !piece.classes.is_empty() {
                run_lengths(out, &piece.classes);
            }
        }
        for group in kind
            .groups
            .iter()
            .filter(|of| of.group.manner != Manner::Plain)
        {
            out.push(group.axes as u8);
            for weight in group.weights.iter().flatten() {
                signed(out, *weight);
            }
            run_lengths(out, &group.levels);
            out.extend(group.first);
        }
        for of in &kind.streams {
            stream(out, of);
        }
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn signed(out: &mut Vec<u8>, value: i32) {
    number(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Bytes as runs: how many more, and which.
fn run_lengths(out: &mut Vec<u8>, bytes: &[u8]) {
    for run in bytes.chunk_by(|one, next| one == next) {
        number(out, run.len() as u64 - 1);
        out.extend(run.first());
    }
}

fn stream(out: &mut Vec<u8>, stream: &Stream) {
    number(out, u64::from(stream.first));
    number(out, stream.map.len() as u64);
    run_lengths(out, &stream.map);
}

/// Reads what [`write`] wrote, and trusts nothing.
struct Reader<'a>(ByteReader<'a>);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, TablesError> {
        self.0.u8().ok_or(TablesError::Truncated)
    }

    fn number(&mut self, limit: usize, fault: &'static str) -> Result<usize, TablesError> {
        let value = self.0.varint().ok_or(TablesError::Truncated)?;
        let value = usize::try_from(value).ok().filter(|value| *value <= limit);
        value.ok_or(TablesError::Damaged(fault))
    }

    fn signed(&mut self) -> Result<i32, TablesError> {
        let value = self.0.varint().ok_or(TablesError::Truncated)?;
        let value = u32::try_from(value).ok();
        let value = value.ok_or(TablesError::Damaged("a number has more than 32 bits"))?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    fn run_lengths(&mut self, len: usize) -> Result<Vec<u8>, TablesError> {
        let mut bytes = Vec::with_capacity(len.min(MAX_MAP));
        while bytes.len() < len {
            let left = len - bytes.len() - 1;
            let more = self.number(left, "a run is longer than its list")?;
            let byte = self.byte()?;
            bytes.resize(bytes.len() + more + 1, byte);
        }
        Ok(bytes)
    }

    fn codes(&mut self) -> Result<Vec<PrefixCode>, TablesError> {
        let count = self.number(MAX_CODES, "there are more than 4096 codes")?;
        let mut codes = Vec::new();
        for _ in 0..count {
            let symbols = usize::from(self.byte()?) + 1;
            debug_assert!(symbols <= MAX_SYMBOLS, "a byte counts them");
            let lengths = self.run_lengths(symbols)?;
            let code = PrefixCode::new(&lengths);
            codes.push(code.ok_or(TablesError::Damaged(
                "the lengths of a code's words make no code",
            ))?);
        }
        Ok(codes)
    }

    fn defaults(&mut self, fields: usize) -> Result<Box<[i32]>, TablesError> {
        (0..fields).map(|_| self.signed()).collect()
    }

    fn mode(&mut self, kind: &Kind) -> Result<Option<Mode>, TablesError> {
        let Some(field) = usize::from(self.byte()?).checked_sub(1) else {
            return Ok(None);
        };
        let of = kind.fields.get(field);
        let of = of.ok_or(TablesError::Damaged(
            "the mode is a field that there is not",
        ))?;
        ensure(
            !of.owner_only,
            "the mode is a field that only owners are told",
        )?;
        let mut mode = Mode {
            field,
            classes: [0; 64],
        };
        mode.classes.copy_from_slice(&self.run_lengths(64)?);
        let within = mode.classes.iter().all(|class| usize::from(*class) < MODES);
        ensure(within, "a mode has a class that there is not")?;
        Ok(Some(mode))
    }

    fn pieces(
        &mut self,
        groups: &[Group],
        limit: usize,
        modes: usize,
        codes: &[PrefixCode],
    ) -> Result<Vec<Piece>, TablesError> {
        let mut made = Vec::new();
        for (range, masks_len) in pieces(groups, limit) {
            let of = groups.get(range.clone()).unwrap_or(&[]);
            ensure(masks_len <= MAX_MASKS, "a piece has too many groups")?;
            let shift = u32::from(self.byte()?);
            ensure(
                shift <= PLAIN_SHIFT,
                "a piece counts levels in steps that there are not",
            )?;
            let contexts = piece_contexts(of, shift, modes);
            ensure(
                contexts <= MAX_MASKS * MODES,
                "a piece has too many contexts",
            )?;
            let count = usize::from(self.byte()?);
            ensure(count <= MASK_SYMBOLS, "a piece has more masks than symbols")?;
            let (mut masks, mut symbols) = (Vec::new(), vec![0; masks_len]);
            for symbol in 1..=count {
                let mask = self.0.u16().ok_or(TablesError::Truncated)?;
                let place = symbols
                    .get_mut(usize::from(mask))
                    .filter(|place| **place == 0);
                *place.ok_or(TablesError::Damaged("a mask is named twice, or is none"))? =
                    symbol as u8;
                masks.push(mask);
            }
            let stream = self.stream(contexts + FIRSTS, count + 1, codes)?;
            let classes = if made.is_empty() {
                self.run_lengths(contexts)?
            } else {
                Vec::new()
            };
            made.push(Piece {
                groups: range,
                masks_len,
                shift,
                radices: radices(of, shift),
                contexts,
                masks: masks.into(),
                symbols: symbols.into(),
                stream,
                classes: classes.into(),
            });
        }
        Ok(made)
    }

    fn group(&mut self, mut tables: GroupTables) -> Result<GroupTables, TablesError> {
        if tables.group.manner == Manner::Plain {
            return Ok(tables);
        }
        tables.axes = usize::from(self.byte()?);
        let members = tables.group.fields.len();
        ensure(
            (1..=members).contains(&tables.axes),
            "a group has more axes than fields",
        )?;
        let mut weights: Vec<Weights> = Vec::new();
        for _ in 0..GroupTables::weights_len(tables.axes) {
            let mut weight = [0; 4];
            for part in &mut weight {
                *part = self.signed()?;
                let within = (-MAX_WEIGHT..=MAX_WEIGHT).contains(part);
                ensure(within, "a weight is beyond its limit")?;
            }
            weights.push(weight);
        }
        tables.weights = weights.into();
        tables.levels = self.run_lengths(GroupTables::LEVELS_LEN)?.into();
        for first in &mut tables.first {
            *first = self.byte()?;
        }
        let levels = tables.levels.iter().chain(&tables.first);
        let within = levels.into_iter().all(|level| usize::from(*level) < LEVELS);
        ensure(within, "a level is beyond the last")?;
        Ok(tables)
    }

    fn stream(
        &mut self,
        contexts: usize,
        symbols: usize,
        codes: &[PrefixCode],
    ) -> Result<Stream, TablesError> {
        let first = self.number(MAX_CODES, "a stream begins beyond the codes")?;
        let len = self.number(contexts, "a stream has more contexts than there are")?;
        let map = self.run_lengths(len)?;
        for local in map.iter().chain(&[0]) {
            let code = codes.get(first + usize::from(*local));
            let fits = code.is_some_and(|code| code.lengths().len() == symbols);
            ensure(fits, "a stream has a code for another alphabet")?;
        }
        Ok(Stream {
            first: first as u16,
            map: map.into(),
        })
    }
}
