//! `#[replicate(...)]` as it was written: every word with its place, nothing judged yet but its
//! spelling.
//!
//! Knows which words there are. Does not know which of them go with which type.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Error, Expr, LitStr, Result, Token};

/// The words of a field, for the error that lists them.
const FIELD_WORDS: &str = "`range`, `step`, `angle(bits = ..)`, `bits`, `flags`, `counter`, \
     `steps(range = .., step = ..)`, `unit_quaternion(bits = ..)`, `flatten`, `blend`, `group`, \
     `moves`, `velocity`, `velocity_per`, `owner_only`, `name`";

/// Something, and where it was written.
#[derive(Clone)]
pub(crate) struct At<T> {
    pub(crate) span: Span,
    pub(crate) value: T,
}

/// The two ends of a range.
#[derive(Clone)]
pub(crate) struct Ends {
    pub(crate) min: Expr,
    pub(crate) max: Expr,
}

/// How a field is shown between two snapshots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blend {
    Linear,
    Angle,
    Step,
}

/// How a field usually moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Motion {
    Still,
    Linear,
    Spinning,
    Any,
}

/// What a struct says about itself.
#[derive(Default)]
pub(crate) struct StructOptions {
    pub(crate) kind: Option<At<String>>,
}

/// What a field says about itself.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) range: Option<At<Ends>>,
    pub(crate) step: Option<At<Expr>>,
    pub(crate) bits: Option<At<Expr>>,
    pub(crate) angle: Option<At<Expr>>,
    pub(crate) unit_quaternion: Option<At<Expr>>,
    pub(crate) steps: Option<At<(Ends, Expr)>>,
    pub(crate) flags: Option<At<()>>,
    pub(crate) counter: Option<At<()>>,
    pub(crate) flatten: Option<At<()>>,
    pub(crate) blend: Option<At<Blend>>,
    pub(crate) moves: Option<At<Motion>>,
    pub(crate) group: Option<At<String>>,
    /// The field of the struct that says how fast this one moves.
    pub(crate) velocity: Option<At<String>>,
    /// In how many snapshots it goes as far as that one says.
    pub(crate) velocity_per: Option<At<Expr>>,
    pub(crate) owner_only: Option<At<()>>,
    pub(crate) name: Option<At<String>>,
}

impl StructOptions {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        each_word(attributes, |meta, word, span| match word {
            "kind" => set(&mut options.kind, word, span, text(meta)?),
            _ => Err(Error::new(
                span,
                format!("a struct has no `{word}`; it has `kind = \"..\"`"),
            )),
        })?;
        Ok(options)
    }
}

impl Options {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        each_word(attributes, |meta, word, span| {
            options.word(meta, word, span)
        })?;
        Ok(options)
    }

    fn word(&mut self, meta: &ParseNestedMeta<'_>, word: &str, at: Span) -> Result<()> {
        match word {
            "range" => set(&mut self.range, word, at, ends(meta.value()?)?),
            "step" => set(&mut self.step, word, at, meta.value()?.parse()?),
            "bits" => set(&mut self.bits, word, at, meta.value()?.parse()?),
            "angle" => set(&mut self.angle, word, at, nested_bits(meta, word, at)?),
            "unit_quaternion" => set(
                &mut self.unit_quaternion,
                word,
                at,
                nested_bits(meta, word, at)?,
            ),
            "steps" => set(&mut self.steps, word, at, nested_range(meta, at)?),
            "flags" => set(&mut self.flags, word, at, ()),
            "counter" => set(&mut self.counter, word, at, ()),
            "flatten" => set(&mut self.flatten, word, at, ()),
            "blend" => set(&mut self.blend, word, at, one_of(meta, &BLENDS)?),
            "moves" => set(&mut self.moves, word, at, one_of(meta, &MOTIONS)?),
            "group" => set(&mut self.group, word, at, text(meta)?),
            "velocity" => {
                let named: LitStr = meta.value()?.parse()?;
                set(&mut self.velocity, word, named.span(), named.value())
            }
            "velocity_per" => set(&mut self.velocity_per, word, at, meta.value()?.parse()?),
            "name" => set(&mut self.name, word, at, text(meta)?),
            "owner_only" => {
                if meta.input.peek(Token![=]) || meta.input.peek(syn::token::Paren) {
                    return Err(Error::new(at, "`owner_only` stands without a value"));
                }
                set(&mut self.owner_only, word, at, ())
            }
            _ => Err(Error::new(
                at,
                format!("there is no `{word}`; there are {FIELD_WORDS}"),
            )),
        }
    }

    /// The words that say what the field is on the wire, with their places.
    pub(crate) fn measures(&self) -> Vec<(&'static str, Span)> {
        let of = |word, span: Option<Span>| span.map(|span| (word, span));
        let words = [
            of("range", self.range.as_ref().map(|at| at.span)),
            of("step", self.step.as_ref().map(|at| at.span)),
            of("bits", self.bits.as_ref().map(|at| at.span)),
            of("angle", self.angle.as_ref().map(|at| at.span)),
            of(
                "unit_quaternion",
                self.unit_quaternion.as_ref().map(|at| at.span),
            ),
            of("steps", self.steps.as_ref().map(|at| at.span)),
            of("flags", self.flags.as_ref().map(|at| at.span)),
            of("counter", self.counter.as_ref().map(|at| at.span)),
            of("flatten", self.flatten.as_ref().map(|at| at.span)),
        ];
        words.into_iter().flatten().collect()
    }
}

const BLENDS: [(&str, Blend); 3] = [
    ("linear", Blend::Linear),
    ("angle", Blend::Angle),
    ("step", Blend::Step),
];

const MOTIONS: [(&str, Motion); 4] = [
    ("still", Motion::Still),
    ("linear", Motion::Linear),
    ("spinning", Motion::Spinning),
    ("any", Motion::Any),
];

/// Calls `take` with each word of every `#[replicate(...)]`.
fn each_word(
    attributes: &[Attribute],
    mut take: impl FnMut(&ParseNestedMeta<'_>, &str, Span) -> Result<()>,
) -> Result<()> {
    let ours = |attribute: &&Attribute| attribute.path().is_ident("replicate");
    for attribute in attributes.iter().filter(ours) {
        attribute.parse_nested_meta(|meta| {
            let Some(word) = meta.path.get_ident() else {
                return Err(meta.error("a single word is needed"));
            };
            take(&meta, &word.to_string(), word.span())
        })?;
    }
    Ok(())
}

fn set<T>(place: &mut Option<At<T>>, word: &str, span: Span, value: T) -> Result<()> {
    if place.is_some() {
        return Err(Error::new(span, format!("`{word}` is said twice")));
    }
    *place = Some(At { span, value });
    Ok(())
}

/// `= "something"`, not empty.
fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let literal: LitStr = meta.value()?.parse()?;
    if literal.value().is_empty() {
        return Err(Error::new(literal.span(), "a name is needed"));
    }
    Ok(literal.value())
}

/// `= "one of these"`.
fn one_of<T: Copy>(meta: &ParseNestedMeta<'_>, choices: &[(&str, T)]) -> Result<T> {
    let literal: LitStr = meta.value()?.parse()?;
    let said = literal.value();
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == said) {
        return Ok(*value);
    }
    let names: Vec<_> = choices
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let text = format!("there is no \"{said}\"; there are {}", names.join(", "));
    Err(Error::new(literal.span(), text))
}

/// `word(bits = N)`.
fn nested_bits(meta: &ParseNestedMeta<'_>, word: &str, at: Span) -> Result<Expr> {
    let shape = || Error::new(at, format!("write `{word}(bits = 12)`"));
    let mut bits = None;
    if !meta.input.peek(syn::token::Paren) {
        return Err(shape());
    }
    meta.parse_nested_meta(|inner| {
        if !inner.path.is_ident("bits") {
            return Err(shape());
        }
        bits = Some(inner.value()?.parse()?);
        Ok(())
    })?;
    bits.ok_or_else(shape)
}

/// `steps(range = .., step = ..)`.
fn nested_range(meta: &ParseNestedMeta<'_>, at: Span) -> Result<(Ends, Expr)> {
    let shape = || Error::new(at, "write `steps(range = 0.0..=100.0, step = 0.5)`");
    let (mut range, mut step) = (None, None);
    if !meta.input.peek(syn::token::Paren) {
        return Err(shape());
    }
    meta.parse_nested_meta(|inner| {
        if inner.path.is_ident("range") {
            range = Some(ends(inner.value()?)?);
        } else if inner.path.is_ident("step") {
            step = Some(inner.value()?.parse()?);
        } else {
            return Err(shape());
        }
        Ok(())
    })?;
    range.zip(step).ok_or_else(shape)
}

/// `a..=b`, up to the next comma. Split by hand: whether `Expr` takes in a range depends on features of
/// `syn` that other crates of a build may turn on.
fn ends(input: ParseStream<'_>) -> Result<Ends> {
    let at = input.span();
    let mut tokens = Vec::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.push(input.parse::<TokenTree>()?);
    }
    let is = |token: &TokenTree, sign| matches!(token, TokenTree::Punct(p) if p.as_char() == sign);
    let dots = tokens
        .windows(3)
        .position(|three| is(&three[0], '.') && is(&three[1], '.') && is(&three[2], '='));
    let halves = dots.filter(|dots| *dots > 0 && dots + 3 < tokens.len());
    let Some(dots) = halves else {
        return Err(Error::new(
            at,
            "a range has both of its ends: write `-512.0..=512.0`",
        ));
    };
    let half = |tokens: &[TokenTree]| syn::parse2(tokens.iter().cloned().collect::<TokenStream>());
    Ok(Ends {
        min: half(&tokens[..dots])?,
        max: half(&tokens[dots + 3..])?,
    })
}
