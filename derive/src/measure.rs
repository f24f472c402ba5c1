//! What one value of a field is on the wire: from its type and its words to a `Quantity` and the
//! code between the two, or to an error that says what is allowed.
//!
//! Knows types by their names. Has no struct around the field.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, GenericArgument, PathArguments, Result, Type};

use crate::attributes::{At, Blend, Ends, Motion, Options};
use crate::number;

/// What a value is made of, by the name of its type.
pub(crate) enum Scalar {
    Bool,
    Float,
    /// An unsigned integer of so many bits.
    Unsigned(Ident, u32),
    /// A signed integer of so many bits.
    Signed(Ident, u32),
    /// A type of the game: an enum, or a struct to flatten.
    Other(Box<Type>),
}

/// One value on the wire.
pub(crate) struct Measure {
    /// An expression of type `Quantity`.
    pub(crate) quantity: TokenStream,
    pub(crate) access: Access,
    pub(crate) class: Class,
    /// What only the compiler can evaluate: a condition, and what it means when it is false.
    pub(crate) check: Option<(TokenStream, String)>,
}

/// How the value of the struct becomes the field of a row, and back.
pub(crate) enum Access {
    Number,
    Flag,
    Unsigned(Ident),
    Signed(Ident),
    /// Unsigned; what does not fit keeps its lower bits.
    Masked(Ident),
    /// A signed number of steps, none of which is below zero.
    Steps(Ident),
    Enum(Box<Type>),
}

/// What a difference of two values means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A distance, between numbers with a precision.
    Measured,
    /// A distance, between whole numbers.
    Whole,
    /// A distance on a circle.
    Circle,
    /// Nothing.
    Discrete,
}

const SNAPSHOT: fn() -> TokenStream = || quote!(::tickwire::proto::snapshot);

impl Scalar {
    /// The value that a type holds, or why it cannot travel.
    pub(crate) fn of(ty: &Type) -> Result<Self> {
        let refused = |why: &str| {
            let text = format!("`{}` {why}", shown(ty));
            Err(Error::new(ty.span(), text))
        };
        let path = match ty {
            Type::Group(group) => return Self::of(&group.elem),
            Type::Paren(paren) => return Self::of(&paren.elem),
            Type::Path(path) if path.qself.is_none() => path,
            _ => return refused(CANNOT),
        };
        let Some(name) = path.path.get_ident() else {
            let has_types = path.path.segments.iter().any(|segment| {
                let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                    return false;
                };
                arguments
                    .args
                    .iter()
                    .any(|argument| matches!(argument, GenericArgument::Type(_)))
            });
            return if has_types {
                refused(CANNOT)
            } else {
                Ok(Self::Other(Box::new(ty.clone())))
            };
        };
        let word = name.to_string();
        match word.as_str() {
            "bool" => Ok(Self::Bool),
            "f32" => Ok(Self::Float),
            "u8" | "u16" | "u32" => Ok(Self::Unsigned(name.clone(), width(&word))),
            "i8" | "i16" | "i32" => Ok(Self::Signed(name.clone(), width(&word))),
            "f64" => refused("is more than travels: take `f32`"),
            "u64" | "u128" | "usize" => refused("is more than travels: take `u32`, or two of them"),
            "i64" | "i128" | "isize" => refused("is more than travels: take `i32`, or two of them"),
            "char" | "str" | "String" => refused("is text, which travels in messages"),
            _ => Ok(Self::Other(Box::new(ty.clone()))),
        }
    }

    /// What errors call it, and the words that go with it.
    fn help(&self) -> String {
        match self {
            Self::Bool => "a `bool` is one flag and takes no such word".into(),
            Self::Float => "an `f32` takes `range = -512.0..=512.0, step = 0.01`, or \
                 `angle(bits = 12)` if it is radians"
                .into(),
            Self::Unsigned(name, width) => format!(
                "`{name}` takes `bits = 1..={width}`, alone or with `flags` or with `counter`; or \
                 `angle(bits = ..)`; or `steps(range = .., step = ..)` if it counts steps"
            ),
            Self::Signed(name, width) => format!(
                "`{name}` takes `bits = 1..={width}`, or `steps(range = .., step = ..)` if it counts \
                 steps above the start of the range"
            ),
            Self::Other(ty) => format!(
                "`{}` takes `flatten` if it is a struct that derives `Replicate`, and nothing if it is \
                 an enum that derives `ReplicateEnum`",
                shown(ty)
            ),
        }
    }
}

const CANNOT: &str = "cannot travel. There are `f32`, `bool`, integers of up to 32 bits, enums \
     that derive `ReplicateEnum`, arrays of these, and with `flatten` structs that derive `Replicate`";

/// The digits at the end of an integer type's name.
fn width(name: &str) -> u32 {
    name.get(1..)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(32)
}

/// A type as one reads it.
pub(crate) fn shown(ty: &Type) -> String {
    let text = quote!(#ty).to_string();
    let pairs = [
        (" :: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        (" ;", ";"),
    ];
    pairs
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

/// What a value of this type with these words is.
pub(crate) fn measure(
    field: &str,
    span: Span,
    scalar: &Scalar,
    options: &Options,
) -> Result<Measure> {
    let job = Job {
        field,
        span,
        scalar,
        options,
    };
    match scalar {
        Scalar::Bool => job.boolean(),
        Scalar::Float => job.float(),
        Scalar::Unsigned(name, width) => job.unsigned(name, *width),
        Scalar::Signed(name, width) => job.signed(name, *width),
        Scalar::Other(ty) => job.choice(ty),
    }
}

/// One field at work.
struct Job<'a> {
    field: &'a str,
    span: Span,
    scalar: &'a Scalar,
    options: &'a Options,
}

impl Job<'_> {
    /// Refuses every word that is not one of these.
    fn only(&self, words: &[&str]) -> Result<()> {
        let measures = self.options.measures();
        match measures.iter().find(|(word, _)| !words.contains(word)) {
            None => Ok(()),
            Some((word, span)) => {
                let help = self.scalar.help();
                Err(Error::new(
                    *span,
                    format!("`{word}` is out of place here; {help}"),
                ))
            }
        }
    }

    fn boolean(&self) -> Result<Measure> {
        self.only(&[])?;
        Ok(Measure::bits(
            "Flags",
            &quote!(1),
            Access::Flag,
            Class::Discrete,
        ))
    }

    fn choice(&self, ty: &Type) -> Result<Measure> {
        self.only(&[])?;
        let snapshot = SNAPSHOT();
        let bits = quote_spanned!(ty.span()=> <#ty as #snapshot::ReplicateEnum>::BITS);
        Ok(Measure::bits(
            "Unsigned",
            &bits,
            Access::Enum(Box::new(ty.clone())),
            Class::Discrete,
        ))
    }

    fn float(&self) -> Result<Measure> {
        if let Some(bits) = &self.options.angle {
            self.only(&["angle"])?;
            return self.with_bits("Angle", bits, 32, Access::Number, Class::Circle);
        }
        self.only(&["range", "step"])?;
        let (range, step) = match (&self.options.range, &self.options.step) {
            (Some(range), Some(step)) => (range, step),
            (None, None) => {
                let help = self.scalar.help();
                return Err(Error::new(
                    self.span,
                    format!("needs a range and a step: {help}"),
                ));
            }
            (Some(range), None) => {
                let text = "`range` needs a `step` beside it, the precision: `step = 0.01`";
                return Err(Error::new(range.span, text));
            }
            (None, Some(step)) => {
                let text = "`step` needs a `range` beside it: `range = -512.0..=512.0`";
                return Err(Error::new(step.span, text));
            }
        };
        self.ranged(
            range.span,
            &range.value,
            &step.value,
            u32::MAX,
            Access::Number,
        )
    }

    fn unsigned(&self, name: &Ident, width: u32) -> Result<Measure> {
        let options = self.options;
        let masked = || Access::Masked(name.clone());
        if let Some(bits) = &options.angle {
            self.only(&["angle"])?;
            return self.with_bits("Angle", bits, width, masked(), Class::Circle);
        }
        if let Some(steps) = &options.steps {
            self.only(&["steps"])?;
            let (ends, step) = &steps.value;
            let max = u32::MAX >> (32 - width);
            return self.ranged(steps.span, ends, step, max, Access::Unsigned(name.clone()));
        }
        let whole = At {
            span: self.span,
            value: literal(width),
        };
        let bits = options.bits.as_ref().unwrap_or(&whole);
        if options.flags.is_some() {
            self.only(&["flags", "bits"])?;
            return self.with_bits("Flags", bits, width, masked(), Class::Discrete);
        }
        if options.counter.is_some() {
            self.only(&["counter", "bits"])?;
            return self.with_bits("Counter", bits, width, masked(), Class::Circle);
        }
        self.only(&["bits"])?;
        self.with_bits(
            "Unsigned",
            bits,
            width,
            Access::Unsigned(name.clone()),
            Class::Whole,
        )
    }

    fn signed(&self, name: &Ident, width: u32) -> Result<Measure> {
        if let Some(steps) = &self.options.steps {
            self.only(&["steps"])?;
            let (ends, step) = &steps.value;
            let max = u32::MAX >> (33 - width);
            return self.ranged(steps.span, ends, step, max, Access::Steps(name.clone()));
        }
        self.only(&["bits"])?;
        let whole = At {
            span: self.span,
            value: literal(width),
        };
        let bits = self.options.bits.as_ref().unwrap_or(&whole);
        self.with_bits(
            "Signed",
            bits,
            width,
            Access::Signed(name.clone()),
            Class::Whole,
        )
    }

    /// A quantity of so many bits, at most `width`.
    fn with_bits(
        &self,
        quantity: &str,
        bits: &At<Expr>,
        width: u32,
        access: Access,
        class: Class,
    ) -> Result<Measure> {
        let expr = &bits.value;
        let mut measure = Measure::bits(quantity, &quote!(#expr), access, class);
        let known = number::whole(expr)?;
        let text = match known {
            Some(bits) => format!("{bits} bits cannot be: 1 to {width} are allowed"),
            None => format!("`bits` is not from 1 to {width}"),
        };
        match known {
            Some(bits) if (1..=width).contains(&bits) => {}
            Some(_) => return Err(Error::new(expr.span(), text)),
            None => {
                let quantity = &measure.quantity;
                let condition = quote!({
                    let quantity = #quantity;
                    quantity.fault().is_none() && quantity.bits() <= #width
                });
                measure.check = Some((condition, format!("field `{}`: {text}", self.field)));
            }
        }
        Ok(measure)
    }

    /// A range of at most `max` steps.
    fn ranged(
        &self,
        at: Span,
        ends: &Ends,
        step: &Expr,
        max: u32,
        access: Access,
    ) -> Result<Measure> {
        let Ends { min, max: top } = ends;
        let snapshot = SNAPSHOT();
        let quantity = quote!(#snapshot::Quantity::Ranged { min: #min, max: #top, step: #step });
        let values = (
            number::float(min)?,
            number::float(top)?,
            number::float(step)?,
        );
        let mut check = None;
        if let (Some(min), Some(top), Some(step_value)) = values {
            if let Some((on_step, fault)) = range_fault(min, top, step_value, max) {
                let span = if on_step { step.span() } else { at };
                return Err(Error::new(span, fault));
            }
        } else {
            let bits = 32 - max.leading_zeros();
            let condition = quote!({
                let quantity = #quantity;
                quantity.fault().is_none() && quantity.bits() <= #bits
            });
            let text = format!(
                "field `{}`: its range is empty, its step is not above zero or larger than the range, \
                 or there are more than {max} steps",
                self.field
            );
            check = Some((condition, text));
        }
        Ok(Measure {
            quantity,
            access,
            class: Class::Measured,
            check,
        })
    }
}

impl Measure {
    /// A quantity that has nothing but bits.
    fn bits(quantity: &str, bits: &TokenStream, access: Access, class: Class) -> Self {
        let snapshot = SNAPSHOT();
        let quantity = Ident::new(quantity, Span::call_site());
        Self {
            quantity: quote!(#snapshot::Quantity::#quantity { bits: #bits }),
            access,
            class,
            check: None,
        }
    }
}

impl Class {
    /// How a field of this class is shown between two snapshots.
    pub(crate) fn blend(self, said: Option<&At<Blend>>, counter: bool) -> Result<Blend> {
        let allowed: &[(Blend, &str)] = match self {
            Self::Measured => &[(Blend::Linear, "linear"), (Blend::Step, "step")],
            Self::Whole => &[(Blend::Step, "step"), (Blend::Linear, "linear")],
            Self::Circle if !counter => &[(Blend::Angle, "angle"), (Blend::Step, "step")],
            Self::Circle | Self::Discrete => &[(Blend::Step, "step")],
        };
        pick("blend", said, allowed)
    }

    /// What it may say of its motion.
    pub(crate) fn motion(self, said: Option<&At<Motion>>) -> Result<Motion> {
        let all = [
            (Motion::Any, "any"),
            (Motion::Still, "still"),
            (Motion::Linear, "linear"),
            (Motion::Spinning, "spinning"),
        ];
        let allowed = match self {
            Self::Measured | Self::Whole => &all[..3],
            Self::Circle => &all[..],
            Self::Discrete => &all[..2],
        };
        pick("moves", said, allowed)
    }
}

/// What was said, if it is allowed; the first of what is allowed, if nothing was.
pub(crate) fn pick<T: Copy + PartialEq>(
    word: &str,
    said: Option<&At<T>>,
    allowed: &[(T, &str)],
) -> Result<T> {
    let Some(said) = said else {
        return Ok(allowed[0].0);
    };
    if allowed.iter().any(|(value, _)| *value == said.value) {
        return Ok(said.value);
    }
    let names: Vec<_> = allowed
        .iter()
        .map(|(_, name)| format!("\"{name}\""))
        .collect();
    let text = format!("for what it is, `{word}` can be {}", names.join(" or "));
    Err(Error::new(said.span, text))
}

/// What is wrong with a range, and whether it is its step. The arithmetic is that of `Quantity`.
fn range_fault(min: f32, max: f32, step: f32, most: u32) -> Option<(bool, String)> {
    if !(min.is_finite() && max.is_finite() && step.is_finite()) {
        return Some((false, "a range and a step are finite numbers".into()));
    }
    if min >= max {
        return Some((false, format!("the range `{min:?}..={max:?}` is empty")));
    }
    if step <= 0.0 {
        return Some((true, format!("a step is above zero, `{step:?}` is not")));
    }
    let span = f64::from(max) - f64::from(min);
    let steps = (span / f64::from(step)).round();
    if steps < 1.0 {
        return Some((
            true,
            format!("the step `{step:?}` is larger than the range"),
        ));
    }
    if steps > f64::from(most) {
        let text = format!(
            "{steps:.0} steps are too many: {most} fit into {} bits. Take a step of at least {:.1e}, or a \
             smaller range",
            32 - most.leading_zeros(),
            span / f64::from(most)
        );
        return Some((true, text));
    }
    None
}

/// A number as an expression.
fn literal(value: u32) -> Expr {
    let value = proc_macro2::Literal::u32_unsuffixed(value);
    syn::parse_quote!(#value)
}
