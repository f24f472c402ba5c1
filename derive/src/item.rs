//! A struct as its fields say it is, or everything that is wrong with it at once.
//!
//! Knows the order of the fields and their names on the wire. Writes no code.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Fields, Lit, Result, Type};

use crate::attributes::{At, Blend, Motion, Options, StructOptions};
use crate::measure::{Class, Measure, Scalar, measure, pick, shown};
use crate::number;

/// As many fields as a kind may have: `Schema::MAX_FIELDS`.
const MAX_FIELDS: usize = 32;

/// A struct that travels.
pub(crate) struct Item {
    pub(crate) ident: Ident,
    pub(crate) kind: String,
    pub(crate) fields: Vec<Field>,
}

/// A field of the struct: none, one or more fields of the kind.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) blend: Blend,
    pub(crate) motion: Motion,
    pub(crate) group: Option<String>,
    /// The name on the wire of the field that says how fast this one moves; of an array without the
    /// numbers. Until all fields are read, the name in the struct.
    pub(crate) velocity: Option<At<String>>,
    /// In how many snapshots it goes as far as that one says.
    pub(crate) velocity_per: Option<Expr>,
    /// Only the entity's owner is told it.
    pub(crate) owner_only: bool,
}

/// What it is made of.
pub(crate) enum Shape {
    One(Measure),
    Array(Measure, usize),
    Quaternion(Expr),
    /// A struct whose fields stand here as its own.
    Flatten(Type),
}

/// Reads a struct.
pub(crate) fn read(input: &DeriveInput) -> Result<Item> {
    let fields = named_fields(input)?;
    let options = StructOptions::read(&input.attrs)?;
    let kind = options.kind.map(|kind| kind.value);
    let kind = kind.unwrap_or_else(|| snake_case(&input.ident.unraw().to_string()));
    let mut read = Vec::new();
    let mut errors: Option<Error> = None;
    for field in fields {
        match read_field(field) {
            Ok(field) => read.push(field),
            Err(error) => {
                let error = naming(field, &error);
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    find_velocities(&mut read)?;
    check_names(&input.ident, &read)?;
    Ok(Item {
        ident: input.ident.clone(),
        kind,
        fields: read,
    })
}

/// The same error, with the field's name in front.
fn naming(field: &syn::Field, error: &Error) -> Error {
    let name = field.ident.as_ref().map(IdentExt::unraw);
    let name = name.map(|name| name.to_string()).unwrap_or_default();
    Error::new(error.span(), format!("field `{name}`: {error}"))
}

/// The fields of a plain struct with names.
fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &syn::Field>> {
    let refused = |why: &str| Err(Error::new(input.ident.span(), why));
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(_) => {
            return refused(
                "`Replicate` is for structs; an enum is a field of one: derive `ReplicateEnum`",
            );
        }
        Data::Union(_) => return refused("`Replicate` is for structs; a union cannot travel"),
    };
    if !input.generics.params.is_empty() {
        let text = "a generic struct cannot derive `Replicate`: each kind of entity is one type. Derive it \
                    for a struct of its own, or implement the trait by hand";
        return Err(Error::new(input.generics.span(), text));
    }
    match &data.fields {
        Fields::Named(named) if !named.named.is_empty() => Ok(named.named.iter()),
        Fields::Unnamed(_) => refused(
            "`Replicate` needs fields with names, which schema and tools show: write `struct Name { x: .. }`",
        ),
        Fields::Named(_) | Fields::Unit => {
            refused("`Replicate` needs at least one field: a kind has 1 to 32")
        }
    }
}

fn read_field(field: &syn::Field) -> Result<Field> {
    let Some(ident) = field.ident.clone() else {
        return Err(Error::new(field.span(), "a field needs a name"));
    };
    let spoken = ident.unraw().to_string();
    let options = Options::read(&field.attrs)?;
    if let (Some(per), None) = (&options.velocity_per, &options.velocity) {
        let text =
            "`velocity_per` says in how many snapshots it goes as far as its `velocity` says";
        return Err(Error::new(per.span, text));
    }
    if options.flatten.is_some() {
        return flattened(ident, spoken, &field.ty, &options);
    }
    if options.unit_quaternion.is_some() {
        return quaternion(ident, spoken, &field.ty, &options);
    }
    let (element, count) = element_of(&field.ty)?;
    let scalar = Scalar::of(element)?;
    let measure = measure(&spoken, ident.span(), &scalar, &options)?;
    let class = measure.class;
    Ok(Field {
        blend: class.blend(options.blend.as_ref(), options.counter.is_some())?,
        motion: class.motion(options.moves.as_ref())?,
        group: options.group.map(|group| group.value),
        velocity: options.velocity,
        velocity_per: options.velocity_per.map(|per| per.value),
        owner_only: options.owner_only.is_some(),
        name: options.name.map_or(spoken, |name| name.value),
        shape: match count {
            None => Shape::One(measure),
            Some(count) => Shape::Array(measure, count),
        },
        ident,
    })
}

fn flattened(ident: Ident, spoken: String, ty: &Type, options: &Options) -> Result<Field> {
    let alone = options.measures().len() == 1
        && options.blend.is_none()
        && options.moves.is_none()
        && options.group.is_none()
        && options.velocity.is_none()
        && options.name.is_none();
    let is_struct = match Scalar::of(ty) {
        Ok(Scalar::Other(_)) => true,
        // A struct with type arguments is no value, but may be a struct.
        Err(_) => matches!(ty, Type::Path(_)),
        Ok(_) => false,
    };
    if !is_struct {
        let text = "`flatten` is for structs that derive `Replicate`";
        return Err(Error::new(ty.span(), text));
    }
    if !alone {
        let text = "`flatten` stands alone, or with `owner_only`; what it holds says the rest";
        return Err(Error::new(ident.span(), text));
    }
    Ok(Field {
        ident,
        name: spoken,
        shape: Shape::Flatten(ty.clone()),
        blend: Blend::Step,
        motion: Motion::Any,
        group: None,
        velocity: None,
        velocity_per: None,
        owner_only: options.owner_only.is_some(),
    })
}

fn quaternion(ident: Ident, spoken: String, ty: &Type, options: &Options) -> Result<Field> {
    let refused = |span: Span, text: &str| Err(Error::new(span, text));
    let (element, count) = element_of(ty)?;
    if count != Some(4) || !matches!(Scalar::of(element)?, Scalar::Float) {
        return refused(ty.span(), "`unit_quaternion` is for `[f32; 4]`");
    }
    let Some(bits) = options
        .unit_quaternion
        .as_ref()
        .filter(|_| options.measures().len() == 1)
    else {
        return refused(
            ident.span(),
            "beside `unit_quaternion` nothing else says what it is",
        );
    };
    match number::whole(&bits.value)? {
        Some(4..=20) => {}
        _ => {
            return refused(
                bits.value.span(),
                "each part of a quaternion takes 4 to 20 bits, written out",
            );
        }
    }
    if let Some(velocity) = &options.velocity {
        return refused(
            velocity.span,
            "a unit quaternion turns, and has no `velocity`",
        );
    }
    let step = [(Blend::Step, "step")];
    Ok(Field {
        blend: pick("blend", options.blend.as_ref(), &step)?,
        motion: Class::Circle.motion(options.moves.as_ref())?,
        group: options.group.as_ref().map(|group| group.value.clone()),
        velocity: None,
        velocity_per: None,
        owner_only: options.owner_only.is_some(),
        name: options
            .name
            .as_ref()
            .map_or(spoken.clone(), |name| name.value.clone()),
        shape: Shape::Quaternion(bits.value.clone()),
        ident,
    })
}

/// The type of an array's elements and their number, or the type itself.
fn element_of(ty: &Type) -> Result<(&Type, Option<usize>)> {
    let array = match ty {
        Type::Group(group) => return element_of(&group.elem),
        Type::Paren(paren) => return element_of(&paren.elem),
        Type::Array(array) => array,
        _ => return Ok((ty, None)),
    };
    if let Expr::Lit(literal) = &array.len
        && let Lit::Int(int) = &literal.lit
        && let Ok(count @ 1..=MAX_FIELDS) = int.base10_parse()
    {
        return Ok((&array.elem, Some(count)));
    }
    let text = format!(
        "the length of `{}` is to be a number from 1 to {MAX_FIELDS}, written out: each \
         element is a field with a name",
        shown(ty)
    );
    Err(Error::new(array.len.span(), text))
}

impl Field {
    /// Its name in the struct.
    fn spoken(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// What a difference of two values means; `None` if it is no value.
    const fn class(&self) -> Option<Class> {
        match &self.shape {
            Shape::One(measure) | Shape::Array(measure, _) => Some(measure.class),
            Shape::Quaternion(_) | Shape::Flatten(_) => None,
        }
    }

    /// Of an array: how many elements it has.
    const fn len(&self) -> Option<usize> {
        match &self.shape {
            Shape::Array(_, count) => Some(*count),
            _ => None,
        }
    }

    /// The names of the kind's fields that it stands for; `None` if another type has them.
    fn names(&self) -> Option<Vec<String>> {
        let name = &self.name;
        Some(match &self.shape {
            Shape::One(_) => vec![name.clone()],
            Shape::Array(_, count) => (0..*count).map(|at| format!("{name}_{at}")).collect(),
            Shape::Quaternion(_) => ["largest", "a", "b", "c"]
                .map(|part| format!("{name}_{part}"))
                .into(),
            Shape::Flatten(_) => return None,
        })
    }
}

/// Names velocities as the wire does, all that are wrong in one error.
fn find_velocities(fields: &mut [Field]) -> Result<()> {
    let mut errors: Option<Error> = None;
    for at in 0..fields.len() {
        let Some(named) = fields[at].velocity.clone() else {
            continue;
        };
        match velocity_of(fields, at, &named.value) {
            Ok(name) => {
                fields[at].velocity = Some(At {
                    value: name,
                    ..named
                });
            }
            Err(why) => {
                let error = Error::new(
                    named.span,
                    format!("field `{}`: {why}", fields[at].spoken()),
                );
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
    }
    errors.map_or(Ok(()), Err)
}

/// The name on the wire of the field that says how fast another one moves, or why it cannot.
fn velocity_of(fields: &[Field], at: usize, named: &str) -> core::result::Result<String, String> {
    let of = fields
        .iter()
        .enumerate()
        .find(|(_, of)| of.spoken() == named);
    let (place, of) =
        of.ok_or_else(|| format!("there is no field `{named}` in this struct to be its velocity"))?;
    let field = &fields[at];
    if place == at {
        return Err("cannot be its own velocity".into());
    }
    if !field.class().is_some_and(|class| class != Class::Discrete) {
        return Err("has no `velocity`: its values are no numbers that move".into());
    }
    if !matches!(of.class(), Some(Class::Measured | Class::Whole)) {
        return Err(format!(
            "`{named}` cannot be a velocity: take an `f32` with `range`, or an integer that is no \
             angle, counter or flags"
        ));
    }
    if field.len() != of.len() {
        return Err(format!(
            "`{named}` cannot be its velocity: an array takes one of the same length, and a single \
             field a single one"
        ));
    }
    if of.owner_only && !field.owner_only {
        return Err(format!(
            "`{named}` cannot be its velocity: it is `owner_only`, and others could not guess by it"
        ));
    }
    Ok(of.name.clone())
}

/// What `Schema::new` would refuse, as far as it can be seen from here.
fn check_names(item: &Ident, fields: &[Field]) -> Result<()> {
    let mut names = BTreeSet::new();
    for field in fields {
        for name in field.names().unwrap_or_default() {
            if names.contains(&name) {
                let text = format!("`{item}` has two fields named `{name}` on the wire");
                return Err(Error::new(field.ident.span(), text));
            }
            names.insert(name);
        }
    }
    if names.len() > MAX_FIELDS {
        let text = format!(
            "`{item}` has {} fields on the wire, counting each element of an array; a kind has 1 to {MAX_FIELDS}",
            names.len()
        );
        return Err(Error::new(item.span(), text));
    }
    Ok(())
}

/// `PlayerView` as `player_view`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let ends_word = letters
                    .get(at + 1)
                    .is_some_and(|after| after.is_lowercase());
                *before != '_' && (!before.is_uppercase() || ends_word)
            });
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_words() {
        for (name, snake) in [
            ("Player", "player"),
            ("PlayerView", "player_view"),
            ("HTTPDoor", "http_door"),
            ("Door2D", "door2_d"),
            ("Already_snake", "already_snake"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
