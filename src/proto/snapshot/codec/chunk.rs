//! The chunk of one entity: what it is, from what it was expected to be.
//!
//! ```text
//! chunk     per piece: the symbol of its mask, or symbol 0 and the mask in plain bits
//!           then per group, in order, that is neither as expected nor as in the baseline:
//! line      per field that its mask names: a residual from the prediction
//! rotation  if its mask names the largest component: which one, 1 to 3 places after the predicted;
//!           per other component that it names: a residual from the prediction
//! plain     per field that it names: a value, a residual from the baseline, or flags six at a time
//! residual  a symbol, and plain bits as it says
//! ```
//!
//! A function of the entity's own rows and of the tables, so the same bits serve every client that
//! holds these rows, and any client can read them. Knows rows and symbols. Has no idea of clients,
//! ticks or neighbours. Section 8.5 of `docs/protocol.md`.

use super::super::quantity::{Coding, Form};
use super::super::rejection::Rejection;
use super::context::{Context, Expected, Past};
use super::motion::{self, way};
use super::residual::{self, Trail};
use super::shape::{MAX_MEMBERS, Manner, PlainForm, VALUE_BITS, plain_form};
use super::tables::{GroupTables, KindTables, Member, Piece, Stream, Tables, mask_bits};
use crate::proto::wire::{BitBuffer, BitReader};

/// Where symbols go: into bits, or into the counts of whoever learns.
pub(in super::super) trait Sink {
    /// A symbol of a stream in a context.
    fn symbol(&mut self, stream: &Stream, context: usize, symbol: u32);
    /// Plain bits, 0 to 32.
    fn bits(&mut self, value: u32, bits: u32);

    /// A symbol and the plain bits that follow it.
    #[inline]
    fn symbol_and_bits(
        &mut self,
        stream: &Stream,
        context: usize,
        symbol: u32,
        (value, bits): (u32, u32),
    ) {
        self.symbol(stream, context, symbol);
        self.bits(value, bits);
    }
}

/// Writes symbols as the words of their codes.
pub(in super::super) struct Words<'a> {
    pub(in super::super) tables: &'a Tables,
    pub(in super::super) bits: &'a mut BitBuffer,
}

impl Sink for Words<'_> {
    #[inline]
    fn symbol(&mut self, stream: &Stream, context: usize, symbol: u32) {
        if let Some(code) = self.tables.code(stream, context) {
            let (word, length) = code.word(symbol);
            self.bits.push(word, length);
        }
    }

    #[inline]
    fn bits(&mut self, value: u32, bits: u32) {
        self.bits.push(value, bits);
    }

    #[inline]
    fn symbol_and_bits(
        &mut self,
        stream: &Stream,
        context: usize,
        symbol: u32,
        (value, bits): (u32, u32),
    ) {
        if let Some(code) = self.tables.code(stream, context) {
            let (word, length) = code.word(symbol);
            let both = u64::from(word) | u64::from(value) << length;
            self.bits.push_long(both, length + bits);
        }
    }
}

/// In what a group differs from what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// One bit per field that is off: none is set when all is as expected.
    Off(u32),
    /// In the prediction, and not in the baseline.
    AsBefore,
}

impl State {
    const fn number(self, members: usize) -> u32 {
        match self {
            Self::Off(pattern) => pattern,
            Self::AsBefore => 1 << members,
        }
    }

    const fn from_number(number: u32, members: usize) -> Self {
        if number >> members == 1 {
            Self::AsBefore
        } else {
            Self::Off(number)
        }
    }
}

/// Compares and writes; keeps its memory.
#[derive(Debug, Default)]
pub(in super::super) struct Chunker {
    pub(in super::super) context: Context,
    states: Vec<State>,
}

impl Chunker {
    /// Appends the chunk of a row, unless it is what was to be expected. Says whether it was not.
    pub(in super::super) fn chunk(
        &mut self,
        tables: &Tables,
        kind: &KindTables,
        past: &Past<'_>,
        now: &[i32],
        bits: &mut BitBuffer,
    ) -> bool {
        self.context.expect(kind, tables.lags, past);
        let base = past.base(kind);
        let differs = self.differs(kind, base, now);
        if differs || matches!(past, Past::Nothing) {
            self.write(kind, base, now, &mut Words { tables, bits });
        }
        differs
    }

    /// Whether a row is anything else than what the context expects. Says what, for [`Self::write`].
    pub(in super::super) fn differs(
        &mut self,
        kind: &KindTables,
        base: &[i32],
        now: &[i32],
    ) -> bool {
        self.states.clear();
        let mut differs = false;
        for (tables, expected) in kind.groups.iter().zip(&mut self.context.groups) {
            let state = compare(tables, expected, base, now);
            differs |= state != State::Off(0);
            self.states.push(state);
        }
        differs
    }

    /// Writes what [`Self::differs`] found.
    pub(in super::super) fn write(
        &self,
        kind: &KindTables,
        base: &[i32],
        now: &[i32],
        sink: &mut impl Sink,
    ) {
        for piece in &kind.pieces {
            self.write_mask(kind, piece, sink);
        }
        let mut trail = Trail::default();
        let turned = self.context.mode > 0;
        let groups = kind.groups.iter().zip(&self.context.groups);
        for ((tables, expected), state) in groups.zip(&self.states) {
            let State::Off(pattern @ 1..) = *state else {
                continue;
            };
            let group = Told {
                kind,
                tables,
                expected,
                pattern,
            };
            match tables.group.manner {
                Manner::Line => group.write_line(now, turned, &mut trail, sink),
                Manner::Rotation => group.write_rotation(now, &mut trail, sink),
                Manner::Plain => group.write_plain(base, now, sink),
            }
        }
    }

    /// What [`Self::differs`] found of the groups of a piece, as one number.
    pub(in super::super) fn mask(&self, kind: &KindTables, piece: &Piece) -> u32 {
        let mut mask = 0_u32;
        for place in piece.groups.clone() {
            if let (Some(tables), Some(state)) = (kind.groups.get(place), self.states.get(place)) {
                let members = tables.group.fields.len();
                mask = mask * tables.group.states() + state.number(members);
            }
        }
        mask
    }

    fn write_mask(&self, kind: &KindTables, piece: &Piece, sink: &mut impl Sink) {
        let mask = self.mask(kind, piece);
        let symbol = piece.symbols.get(mask as usize).copied().unwrap_or(0);
        let context = self.context.of_piece(kind, piece);
        sink.symbol(&piece.stream, context, u32::from(symbol));
        if symbol == 0 {
            sink.bits(mask, mask_bits(piece.masks_len));
        }
    }
}

/// In what a group differs. Of one that rests and differs, fills in what was expected.
#[inline]
fn compare(tables: &GroupTables, expected: &mut Expected, base: &[i32], now: &[i32]) -> State {
    let same = |member: &Member| base.get(member.field) == now.get(member.field);
    if expected.rests {
        if tables.members.iter().all(same) {
            return State::Off(0);
        }
        *expected = expected.filled(tables, base);
    }
    let mut pattern = 0;
    if tables.group.manner == Manner::Rotation {
        let mut raw = [0; MAX_MEMBERS];
        for (raw, member) in raw.iter_mut().zip(&tables.members) {
            *raw = member.raw(now);
        }
        let [a, b, c] = expected.parts(tables, raw[0]);
        let wanted = [expected.raw[0], a, b, c];
        for (place, (raw, wanted)) in raw.iter().zip(wanted).enumerate() {
            pattern |= u32::from(*raw != wanted) << place;
        }
    } else {
        for (place, (member, wanted)) in tables.members.iter().zip(expected.raw).enumerate() {
            pattern |= u32::from(member.raw(now) != wanted) << place;
        }
    }
    let is_predicted = tables.group.manner != Manner::Plain;
    if pattern != 0 && is_predicted && tables.members.iter().all(same) {
        State::AsBefore
    } else {
        State::Off(pattern)
    }
}

impl Expected {
    /// The three other components when this one is the largest.
    #[inline]
    fn parts(&self, tables: &GroupTables, largest: u32) -> [u32; 3] {
        if largest == self.raw[0] {
            return [self.raw[1], self.raw[2], self.raw[3]];
        }
        motion::pack(&tables.ball, &self.whole, self.length, largest as usize)
    }
}

/// A group that is told.
struct Told<'a> {
    kind: &'a KindTables,
    tables: &'a GroupTables,
    expected: &'a Expected,
    pattern: u32,
}

impl Told<'_> {
    const fn names(&self, member: usize) -> bool {
        self.pattern >> member & 1 == 1
    }

    /// The fields of the group with their places in it and their streams.
    #[inline]
    fn members(&self) -> impl Iterator<Item = (usize, &Member, &Stream)> {
        let members = self.tables.members.iter().enumerate();
        members.filter_map(|(place, member)| {
            let stream = self.kind.streams.get(member.field)?;
            Some((place, member, stream))
        })
    }

    fn write_line(&self, now: &[i32], turned: bool, trail: &mut Trail, sink: &mut impl Sink) {
        for (place, member, stream) in self.members() {
            if !self.names(place) {
                trail.pass();
                continue;
            }
            let expected = self.expected.raw.get(place).copied().unwrap_or(0);
            let distance = way(member.coding, expected, member.raw(now));
            let context = trail.context(self.expected.level, turned);
            write_residual(stream, context, distance, sink);
            trail.add(distance);
        }
        trail.end_group();
    }

    fn write_rotation(&self, now: &[i32], trail: &mut Trail, sink: &mut impl Sink) {
        let turned = self.names(0);
        let mut others = [0; 3];
        for (place, member, stream) in self.members() {
            let raw = member.raw(now);
            if place == 0 {
                if turned {
                    let further = raw.wrapping_sub(self.expected.raw[0]) & 3;
                    let level = usize::from(self.expected.level);
                    sink.symbol(stream, level, further.wrapping_sub(1) & 3);
                }
                others = self.expected.parts(self.tables, raw);
                continue;
            }
            if !self.names(place) {
                trail.pass();
                continue;
            }
            let expected = others.get(place - 1).copied().unwrap_or(0);
            let distance = i64::from(raw) - i64::from(expected);
            let context = trail.context(self.expected.level, turned);
            write_residual(stream, context, distance, sink);
            trail.add(distance);
        }
        trail.end_group();
    }

    fn write_plain(&self, base: &[i32], now: &[i32], sink: &mut impl Sink) {
        for (place, member, stream) in self.members() {
            if !self.names(place) {
                continue;
            }
            let coding = member.coding;
            let (was, is) = (member.raw(base), member.raw(now));
            match plain_form(coding) {
                PlainForm::Value => sink.symbol(stream, value_context(coding, was), is),
                PlainForm::Distance => write_residual(stream, 0, way(coding, was, is), sink),
                PlainForm::Flags => {
                    for at in (0..coding.bits).step_by(VALUE_BITS as usize) {
                        let (was, is) = (was >> at & FLAGS, is >> at & FLAGS);
                        sink.symbol(stream, was as usize, was ^ is);
                    }
                }
            }
        }
    }
}

/// So many flags are told at once.
const FLAGS: u32 = (1 << VALUE_BITS) - 1;

/// The context of a value: what it was, when there are few.
#[inline]
const fn value_context(coding: Coding, was: u32) -> usize {
    if coding.bits <= 4 { was as usize } else { 0 }
}

#[inline]
fn write_residual(stream: &Stream, context: usize, distance: i64, sink: &mut impl Sink) {
    let (symbol, plain, bits) = residual::split(distance);
    sink.symbol_and_bits(stream, context, symbol, (plain, bits));
}

/// Reads chunks; keeps its memory.
#[derive(Debug, Default)]
pub(in super::super) struct Unchunker {
    pub(in super::super) context: Context,
    states: Vec<State>,
}

impl Unchunker {
    /// Appends the row that the context expects.
    pub(in super::super) fn expected(
        &self,
        kind: &KindTables,
        base: &[i32],
        values: &mut Vec<i32>,
    ) {
        let start = values.len();
        values.extend_from_slice(base);
        let Some(row) = values.get_mut(start..) else {
            return;
        };
        for (tables, expected) in kind.groups.iter().zip(&self.context.groups) {
            expected.put(tables, row);
        }
    }

    /// Appends the row that a chunk tells.
    pub(in super::super) fn read(
        &mut self,
        tables: &Tables,
        kind: &KindTables,
        base: &[i32],
        reader: &mut BitReader<'_>,
        values: &mut Vec<i32>,
    ) -> Result<(), Rejection> {
        self.states.clear();
        for piece in &kind.pieces {
            self.read_mask(tables, kind, piece, reader)?;
        }
        let start = values.len();
        values.extend_from_slice(base);
        let row = values.get_mut(start..).unwrap_or(&mut []);
        let mut trail = Trail::default();
        let turned = self.context.mode > 0;
        let groups = kind.groups.iter().zip(&self.context.groups);
        for ((of_group, expected), state) in groups.zip(&self.states) {
            let pattern = match *state {
                State::AsBefore => continue,
                State::Off(0) => {
                    expected.put(of_group, row);
                    continue;
                }
                State::Off(pattern) => pattern,
            };
            let group = Told {
                kind,
                tables: of_group,
                expected: &expected.filled(of_group, base),
                pattern,
            };
            let mut source = Source { tables, reader };
            match of_group.group.manner {
                Manner::Line => group.read_line(row, turned, &mut trail, &mut source)?,
                Manner::Rotation => group.read_rotation(row, &mut trail, &mut source)?,
                Manner::Plain => group.read_plain(row, &mut source)?,
            }
        }
        Ok(())
    }

    fn read_mask(
        &mut self,
        tables: &Tables,
        kind: &KindTables,
        piece: &Piece,
        reader: &mut BitReader<'_>,
    ) -> Result<(), Rejection> {
        let context = self.context.of_piece(kind, piece);
        let mut source = Source { tables, reader };
        let symbol = source.symbol(&piece.stream, context)?;
        let mut mask = match symbol.checked_sub(1) {
            Some(place) => piece.masks.get(place as usize).copied().map(u32::from),
            None => Some(source.bits(mask_bits(piece.masks_len))?),
        }
        .filter(|mask| (*mask as usize) < piece.masks_len)
        .ok_or(Rejection::Mask)?;
        let first = self.states.len();
        for place in piece.groups.clone().rev() {
            let group = kind.groups.get(place).map(|tables| &tables.group);
            let (states, members) =
                group.map_or((1, 0), |group| (group.states(), group.fields.len()));
            self.states.push(State::from_number(mask % states, members));
            mask /= states;
        }
        if let Some(states) = self.states.get_mut(first..) {
            states.reverse();
        }
        Ok(())
    }
}

impl Expected {
    /// Puts what is expected of a group into a row of its baseline.
    #[inline]
    fn put(&self, tables: &GroupTables, row: &mut [i32]) {
        if self.rests {
            return;
        }
        for (member, raw) in tables.members.iter().zip(self.raw) {
            put(row, member, raw);
        }
    }
}

/// Where symbols come from.
struct Source<'s, 'b> {
    tables: &'s Tables,
    reader: &'s mut BitReader<'b>,
}

impl Source<'_, '_> {
    #[inline]
    fn symbol(&mut self, stream: &Stream, context: usize) -> Result<u32, Rejection> {
        let code = self.tables.code(stream, context).ok_or(Rejection::Mask)?;
        let (symbol, length) = code.symbol(self.reader.peek());
        self.reader.skip(length).ok_or(Rejection::Truncated)?;
        Ok(symbol)
    }

    #[inline]
    fn bits(&mut self, bits: u32) -> Result<u32, Rejection> {
        self.reader.read(bits).ok_or(Rejection::Truncated)
    }

    #[inline]
    fn residual(&mut self, stream: &Stream, context: usize) -> Result<i64, Rejection> {
        let symbol = self.symbol(stream, context)?;
        let plain = self.bits(residual::plain_bits(symbol))?;
        Ok(residual::join(symbol, plain))
    }
}

/// The raw number so far from another one.
#[inline]
fn beyond(coding: Coding, from: u32, distance: i64) -> Result<u32, Rejection> {
    let to = i64::from(from) + distance;
    if coding.form == Form::Circle {
        return Ok((to & i64::from(coding.max)) as u32);
    }
    let to = u32::try_from(to).ok().filter(|to| *to <= coding.max);
    to.ok_or(Rejection::Value)
}

impl Told<'_> {
    fn read_line(
        &self,
        row: &mut [i32],
        turned: bool,
        trail: &mut Trail,
        source: &mut Source<'_, '_>,
    ) -> Result<(), Rejection> {
        for (place, member, stream) in self.members() {
            let expected = self.expected.raw.get(place).copied().unwrap_or(0);
            let mut raw = expected;
            if self.names(place) {
                let context = trail.context(self.expected.level, turned);
                let distance = source.residual(stream, context)?;
                raw = beyond(member.coding, expected, distance)?;
                trail.add(distance);
            } else {
                trail.pass();
            }
            put(row, member, raw);
        }
        trail.end_group();
        Ok(())
    }

    fn read_rotation(
        &self,
        row: &mut [i32],
        trail: &mut Trail,
        source: &mut Source<'_, '_>,
    ) -> Result<(), Rejection> {
        let turned = self.names(0);
        let mut others = [0; 3];
        for (place, member, stream) in self.members() {
            let raw = if place == 0 {
                let mut largest = self.expected.raw[0];
                if turned {
                    let level = usize::from(self.expected.level);
                    largest = (largest + source.symbol(stream, level)? + 1) & 3;
                }
                others = self.expected.parts(self.tables, largest);
                largest
            } else {
                let expected = others.get(place - 1).copied().unwrap_or(0);
                if self.names(place) {
                    let context = trail.context(self.expected.level, turned);
                    let distance = source.residual(stream, context)?;
                    trail.add(distance);
                    beyond(member.coding, expected, distance)?
                } else {
                    trail.pass();
                    expected
                }
            };
            put(row, member, raw);
        }
        trail.end_group();
        Ok(())
    }

    fn read_plain(&self, row: &mut [i32], source: &mut Source<'_, '_>) -> Result<(), Rejection> {
        for (place, member, stream) in self.members() {
            if !self.names(place) {
                continue;
            }
            let coding = member.coding;
            let was = member.raw(row);
            let is = match plain_form(coding) {
                PlainForm::Value => source.symbol(stream, value_context(coding, was))?,
                PlainForm::Distance => beyond(coding, was, source.residual(stream, 0)?)?,
                PlainForm::Flags => {
                    let mut is = 0;
                    for at in (0..coding.bits).step_by(VALUE_BITS as usize) {
                        let was = was >> at & FLAGS;
                        is |= (was ^ source.symbol(stream, was as usize)?) << at;
                    }
                    is
                }
            };
            if is > coding.max {
                return Err(Rejection::Value);
            }
            put(row, member, is);
        }
        Ok(())
    }
}

#[inline]
fn put(row: &mut [i32], member: &Member, raw: u32) {
    if let Some(place) = row.get_mut(member.field) {
        *place = member.coding.value(raw);
    }
}
