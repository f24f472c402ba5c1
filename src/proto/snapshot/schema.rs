//! What the things in a world are made of: kinds, their fields, and the limits both ends hold each
//! other to.
//!
//! Knows names and numbers. Has no entity and no tick. Section 7 of `docs/protocol.md`, the hash byte by byte.

use std::num::NonZeroU16;
use std::sync::{Arc, OnceLock};

use super::codec::{Tables, TablesError, builtin_tables};
use super::owner::OwnerFields;
use super::packed::Layout;
use super::quantity::{Blend, Coding, Motion, Quantity};
use crate::proto::wire::bits_for;

/// A kind of entity: its position in [`Schema::kinds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(pub u8);

/// One number of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What errors, tools and reports call it.
    pub name: String,
    /// What it measures.
    pub quantity: Quantity,
    /// How it is shown between two snapshots.
    pub blend: Blend,
    /// The fields of a kind that have one group usually change together: the codec tells them
    /// together.
    pub group: Option<String>,
    /// How it usually moves: the codec guesses accordingly.
    pub motion: Motion,
    /// The field of the same kind that says how fast this one changes, if there is one.
    pub velocity: Option<String>,
    /// How many snapshots it takes to go as far as that one says, if that is known.
    pub velocity_per: Option<NonZeroU16>,
    /// Whether it is one of the four of [`Field::unit_quaternion`].
    pub rotation: bool,
    /// Whether only its owner is told it: the client whose [`Viewpoint::always`] the entity is.
    /// Everybody else reads zero, or the nearest to it that the field can be.
    ///
    /// [`Viewpoint::always`]: super::Viewpoint::always
    pub owner_only: bool,
}

impl Field {
    /// A field.
    #[must_use]
    pub fn new(name: impl Into<String>, quantity: Quantity, blend: Blend) -> Self {
        Self {
            name: name.into(),
            quantity,
            blend,
            group: None,
            motion: Motion::Any,
            velocity: None,
            velocity_per: None,
            rotation: false,
            owner_only: false,
        }
    }

    /// The same field with the name of the one that says how fast it changes.
    #[must_use]
    pub fn with_velocity(mut self, field: impl Into<String>) -> Self {
        self.velocity = Some(field.into());
        self
    }

    /// The same field with the name of the one that says how fast it changes: how far in so many
    /// snapshots. A velocity per second is one per 30 snapshots when 30 are sent in a second.
    ///
    /// A velocity with a range is in the unit of this field, radians for an angle; a whole number
    /// counts this field's steps. 0 snapshots say no more than [`with_velocity`](Self::with_velocity).
    #[must_use]
    pub fn with_velocity_per(mut self, field: impl Into<String>, snapshots: u16) -> Self {
        self.velocity_per = NonZeroU16::new(snapshots);
        self.with_velocity(field)
    }

    /// The same field as one of those that change together.
    #[must_use]
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The same field as one that only the entity's owner is told: see [`Field::owner_only`].
    #[must_use]
    pub const fn for_owner_only(mut self) -> Self {
        self.owner_only = true;
        self
    }

    /// The same field with a word on how it moves.
    #[must_use]
    pub const fn moving(mut self, motion: Motion) -> Self {
        self.motion = motion;
        self
    }
}

/// One kind of entity: what all its entities are made of, in the order of their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// What errors, tools and reports call it.
    pub name: String,
    /// 1 to 32 fields.
    pub fields: Vec<Field>,
}

impl Kind {
    /// A kind.
    #[must_use]
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        Self {
            name: name.into(),
            fields,
        }
    }
}

/// Why a description of a world is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A schema has 1 to 64 kinds.
    #[error("a schema has 1 to {max} kinds, this one has {0}", max = Schema::MAX_KINDS)]
    Kinds(usize),
    /// A kind has 1 to 32 fields.
    #[error("kind `{kind}` has {fields} fields; a kind has 1 to {max}", max = Schema::MAX_FIELDS)]
    Fields {
        /// The kind.
        kind: String,
        /// How many it has.
        fields: usize,
    },
    /// Two kinds have one name.
    #[error("two kinds are named `{0}`")]
    KindTwice(String),
    /// Two fields of a kind have one name.
    #[error("kind `{kind}` has two fields named `{field}`")]
    FieldTwice {
        /// The kind.
        kind: String,
        /// The field.
        field: String,
    },
    /// A quantity cannot be coded.
    #[error("field `{field}` of kind `{kind}` {fault}")]
    Quantity {
        /// The kind.
        kind: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A world has 1 to 65,000 entity slots.
    #[error("a world has 1 to {max} entities, not {0}", max = Schema::MAX_ENTITIES)]
    Entities(u32),
}

/// What a world is made of. Both ends hold the same one: compare [`Schema::hash`] before anything
/// is sent.
///
/// ```
/// use tickwire::proto::snapshot::{Blend, Field, Kind, Quantity, Schema};
/// let meters = Quantity::Ranged { min: -512.0, max: 512.0, step: 1.0 / 64.0 };
/// let player = Kind::new("player", vec![
///     Field::new("x", meters, Blend::Linear),
///     Field::new("y", meters, Blend::Linear),
///     Field::new("yaw", Quantity::Angle { bits: 12 }, Blend::Angle),
///     Field::new("health", Quantity::Unsigned { bits: 7 }, Blend::Step),
/// ]);
/// let schema = Schema::new(vec![player])?;
/// assert_eq!(schema.max_entities(), 65_000);
/// # Ok::<(), tickwire::proto::snapshot::SchemaError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schema {
    kinds: Vec<Kind>,
    codings: Vec<Box<[Coding]>>,
    /// How rows lie in history, by kind.
    layouts: Vec<Layout>,
    /// By kind.
    owner_fields: Vec<OwnerFields>,
    max_entities: u32,
    /// Learnt ones; else built-in ones, made when somebody first asks: who only describes a world needs none.
    tables: OnceLock<Arc<Tables>>,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let alike = (&self.kinds, self.max_entities) == (&other.kinds, other.max_entities);
        let unasked = self.tables.get().is_none() && other.tables.get().is_none();
        alike && (unasked || self.tables() == other.tables())
    }
}

impl Schema {
    /// As many kinds as there may be.
    pub const MAX_KINDS: usize = 64;
    /// As many fields as a kind may have: a mask of them is one word.
    pub const MAX_FIELDS: usize = 32;
    /// As many entity slots as there may be.
    pub const MAX_ENTITIES: u32 = 65_000;

    /// A schema with [`Self::MAX_ENTITIES`] entity slots.
    ///
    /// # Errors
    ///
    /// When a limit is broken: the error names kind and field.
    pub fn new(kinds: Vec<Kind>) -> Result<Self, SchemaError> {
        if !(1..=Self::MAX_KINDS).contains(&kinds.len()) {
            return Err(SchemaError::Kinds(kinds.len()));
        }
        for (index, kind) in kinds.iter().enumerate() {
            if kinds
                .iter()
                .take(index)
                .any(|other| other.name == kind.name)
            {
                return Err(SchemaError::KindTwice(kind.name.clone()));
            }
            check_fields(kind)?;
        }
        let coding_of = |kind: &Kind| kind.fields.iter().map(|f| f.quantity.coding()).collect();
        let codings: Vec<Box<[Coding]>> = kinds.iter().map(coding_of).collect();
        let owner_fields = kinds.iter().zip(&codings);
        let owner_fields = owner_fields.map(|(kind, codings)| OwnerFields::new(kind, codings));
        Ok(Self {
            owner_fields: owner_fields.collect(),
            tables: OnceLock::new(),
            layouts: codings.iter().map(|of| Layout::new(of)).collect(),
            codings,
            kinds,
            max_entities: Self::MAX_ENTITIES,
        })
    }

    /// The same schema with tables that were learnt for it from recorded traffic. Both ends need
    /// the same ones.
    ///
    /// # Errors
    ///
    /// [`TablesError::Schema`] when they were made for another schema.
    pub fn with_tables(mut self, tables: Tables) -> Result<Self, TablesError> {
        let ours = self.shape_hash();
        if tables.schema() != ours {
            return Err(TablesError::Schema {
                made: tables.schema(),
                ours,
            });
        }
        self.tables = OnceLock::from(Arc::new(tables));
        Ok(self)
    }

    /// What both ends know beforehand of how this world moves.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        self.tables.get_or_init(|| {
            let tables = builtin_tables(&self.kinds, &self.codings, self.shape_hash());
            Arc::new(tables)
        })
    }

    /// What tables are made for: kinds and fields, with everything that the codec goes by.
    pub(super) fn shape_hash(&self) -> u64 {
        shape_hash(&self.kinds)
    }

    /// The same schema for a world of at most so many entity slots: `0..max_entities`. Slot numbers
    /// then take fewer bits, and a peer that names a higher one is refused.
    ///
    /// # Errors
    ///
    /// Outside `1..=65_000`.
    pub fn with_max_entities(mut self, max_entities: u32) -> Result<Self, SchemaError> {
        if !(1..=Self::MAX_ENTITIES).contains(&max_entities) {
            return Err(SchemaError::Entities(max_entities));
        }
        self.max_entities = max_entities;
        Ok(self)
    }

    /// The kinds, in the order of their [`KindId`].
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// One kind.
    #[must_use]
    pub fn kind(&self, id: KindId) -> Option<&Kind> {
        self.kinds.get(usize::from(id.0))
    }

    /// The kind of this name.
    #[must_use]
    pub fn kind_named(&self, name: &str) -> Option<KindId> {
        let index = self.kinds.iter().position(|kind| kind.name == name)?;
        u8::try_from(index).ok().map(KindId)
    }

    /// Entity slots are `0..max_entities`.
    #[must_use]
    pub const fn max_entities(&self) -> u32 {
        self.max_entities
    }

    /// A number that is the same at both ends exactly when their schemas mean the same: FNV-1a with
    /// 64 bits over names, quantities, blends, groups, motions, limits and tables, in order. It
    /// guards against mistakes, not against malice.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv::new();
        hash.number(2); // The version of this list.
        hash.number(self.max_entities);
        hash.bytes(&self.shape_hash().to_le_bytes());
        hash.bytes(&self.tables().hash().to_le_bytes());
        hash.finish()
    }

    /// How the values of a kind are coded.
    #[inline]
    pub(super) fn codings(&self, kind: u8) -> &[Coding] {
        self.codings
            .get(usize::from(kind))
            .map_or(&[], |codings| codings)
    }

    /// How rows of a kind lie in history.
    #[inline]
    pub(super) fn layout(&self, kind: u8) -> Option<&Layout> {
        self.layouts.get(usize::from(kind))
    }

    /// The fields of a kind that only an owner is told, if it has any.
    #[inline]
    pub(super) fn owner_fields(&self, kind: u8) -> Option<&OwnerFields> {
        let fields = self.owner_fields.get(usize::from(kind))?;
        Some(fields).filter(|fields| !fields.is_empty())
    }

    /// Whether any kind has such fields: then parts end with a section for the owner.
    #[inline]
    pub(super) fn has_owner_fields(&self) -> bool {
        self.owner_fields.iter().any(|fields| !fields.is_empty())
    }

    /// How many bits a kind takes on the wire.
    pub(super) fn kind_bits(&self) -> u32 {
        bits_for(self.kinds.len() as u32)
    }

    /// How many bits a slot takes on the wire.
    pub(super) const fn slot_bits(&self) -> u32 {
        bits_for(self.max_entities)
    }

    /// The highest slot.
    pub(super) const fn last_slot(&self) -> u16 {
        (self.max_entities - 1) as u16
    }
}

/// What the codec goes by, as a number.
fn shape_hash(kinds: &[Kind]) -> u64 {
    let mut hash = Fnv::new();
    hash.number(kinds.len() as u32);
    for kind in kinds {
        hash.text(&kind.name);
        hash.number(kind.fields.len() as u32);
        for field in &kind.fields {
            hash.text(&field.name);
            hash.quantity(&field.quantity);
            hash.number(match field.blend {
                Blend::Linear => 0,
                Blend::Angle => 1,
                Blend::Step => 2,
            });
            hash.text(field.group.as_deref().unwrap_or(""));
            hash.number(match field.motion {
                Motion::Still => 0,
                Motion::Linear => 1,
                Motion::Spinning => 2,
                Motion::Any => 3,
            });
            hash.text(field.velocity.as_deref().unwrap_or(""));
            let per = field.velocity_per.map_or(0, NonZeroU16::get);
            let marks = u32::from(field.rotation) | u32::from(field.owner_only) << 1;
            hash.number(marks | u32::from(per) << 2);
        }
    }
    hash.finish()
}

/// What is wrong with how a field refers to others of its kind, as the end of a sentence.
fn misfit(kind: &Kind, index: usize) -> Option<&'static str> {
    let field = kind.fields.get(index)?;
    if let Some(velocity) = &field.velocity {
        match kind.fields.iter().find(|of| of.name == *velocity) {
            None => return Some("names a velocity that its kind does not have"),
            Some(of) if of.owner_only && !field.owner_only => {
                return Some("names a velocity that only owners are told");
            }
            Some(_) => {}
        }
    }
    if field.velocity.is_none() && field.velocity_per.is_some() {
        return Some("says per how many snapshots its velocity is, and names none");
    }
    if !field.rotation {
        return None;
    }
    // The fours of a kind follow one another; the first of each run begins one.
    let before = kind.fields.iter().take(index).rev();
    let place = before.take_while(|of| of.rotation).count() % 4;
    let Some(four) = kind.fields.get(index - place..index - place + 4) else {
        return Some("is part of a unit quaternion that is not whole");
    };
    let part = four[1].quantity;
    let symmetric =
        matches!(part, Quantity::Ranged { min, max, .. } if min == -max && part.bits() <= 20);
    let fits = four.iter().all(|of| of.rotation)
        && four[0].quantity == (Quantity::Unsigned { bits: 2 })
        && symmetric
        && four[1..].iter().all(|of| of.quantity == part)
        && four.iter().all(|of| of.owner_only == four[0].owner_only);
    (!fits)
        .then_some("is part of a unit quaternion that is not as `Field::unit_quaternion` makes it")
}

fn check_fields(kind: &Kind) -> Result<(), SchemaError> {
    if !(1..=Schema::MAX_FIELDS).contains(&kind.fields.len()) {
        return Err(SchemaError::Fields {
            kind: kind.name.clone(),
            fields: kind.fields.len(),
        });
    }
    for (index, field) in kind.fields.iter().enumerate() {
        let (kind_name, name) = (kind.name.clone(), field.name.clone());
        if kind
            .fields
            .iter()
            .take(index)
            .any(|other| other.name == field.name)
        {
            return Err(SchemaError::FieldTwice {
                kind: kind_name,
                field: name,
            });
        }
        if let Some(fault) = field.quantity.fault().or_else(|| misfit(kind, index)) {
            return Err(SchemaError::Quantity {
                kind: kind_name,
                field: name,
                fault,
            });
        }
    }
    Ok(())
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(super) struct Fnv(u64);

impl Fnv {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) const fn finish(&self) -> u64 {
        self.0
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    /// The length first, so that no two lists of names run together into the same bytes.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.bytes(text.as_bytes());
    }

    fn pair(&mut self, tag: u32, bits: u32) {
        self.number(tag);
        self.number(bits);
    }

    fn quantity(&mut self, quantity: &Quantity) {
        match *quantity {
            Quantity::Ranged { min, max, step } => {
                self.number(0);
                for bound in [min, max, step] {
                    self.number(bound.to_bits());
                }
            }
            Quantity::Angle { bits } => self.pair(1, bits),
            Quantity::Unsigned { bits } => self.pair(2, bits),
            Quantity::Signed { bits } => self.pair(3, bits),
            Quantity::Flags { bits } => self.pair(4, bits),
            Quantity::Counter { bits } => self.pair(5, bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, quantity: Quantity) -> Field {
        Field::new(name, quantity, Blend::Step)
    }

    fn schema(fields: Vec<Field>) -> Result<Schema, SchemaError> {
        Schema::new(vec![Kind::new("crate", fields)])
    }

    #[test]
    fn the_error_names_kind_and_field() {
        let wide = schema(vec![field("mass", Quantity::Unsigned { bits: 33 })]);
        let text = wide.expect_err("33 bits are too many").to_string();
        assert_eq!(text, "field `mass` of kind `crate` needs 1 to 32 bits");
        let ranged = |min, max, step| schema(vec![field("x", Quantity::Ranged { min, max, step })]);
        for (min, max, step) in [
            (1.0, 1.0, 0.1),
            (0.0, 1.0, 0.0),
            (0.0, 1.0, -1.0),
            (0.0, f32::NAN, 1.0),
            (0.0, 1.0, 5.0),
            (0.0, 1e9, 1e-3),
        ] {
            let text = ranged(min, max, step)
                .expect_err("cannot be coded")
                .to_string();
            assert!(text.contains("`x`") && text.contains("`crate`"), "{text}");
        }
    }

    #[test]
    fn the_limits_hold() {
        assert_eq!(Schema::new(vec![]), Err(SchemaError::Kinds(0)));
        assert!(schema(vec![]).is_err());
        let bit = |index: usize| field(&index.to_string(), Quantity::Flags { bits: 1 });
        assert!(schema((0..32).map(bit).collect()).is_ok());
        assert!(schema((0..33).map(bit).collect()).is_err());
        assert!(schema(vec![bit(1), bit(1)]).is_err());
        let kind = |index: usize| Kind::new(index.to_string(), vec![bit(0)]);
        assert!(Schema::new((0..64).map(kind).collect()).is_ok());
        assert!(Schema::new((0..65).map(kind).collect()).is_err());
        assert!(Schema::new(vec![kind(1), kind(1)]).is_err());
        let one = schema(vec![bit(0)]).expect("one bit is fine");
        assert!(one.clone().with_max_entities(0).is_err());
        assert!(one.clone().with_max_entities(65_001).is_err());
        assert!(one.with_max_entities(1).is_ok());
    }

    #[test]
    fn the_hash_is_stable_and_sees_every_difference() {
        let base = schema(vec![field("x", Quantity::Unsigned { bits: 8 })]).expect("valid");
        // Written down once: a client built last year must still agree. What is in tables is theirs.
        let shape = base.shape_hash();
        assert_eq!(shape, 0x8ed6_77da_08ce_f02f, "{shape:#x}");
        let others = [
            schema(vec![field("y", Quantity::Unsigned { bits: 8 })]).expect("valid"),
            schema(vec![field("x", Quantity::Unsigned { bits: 9 })]).expect("valid"),
            schema(vec![field("x", Quantity::Signed { bits: 8 })]).expect("valid"),
            schema(vec![field("x", Quantity::Counter { bits: 8 })]).expect("valid"),
            base.clone().with_max_entities(1000).expect("valid"),
        ];
        for other in others {
            assert_ne!(base.hash(), other.hash(), "{other:?}");
        }
    }

    #[test]
    fn what_the_codec_goes_by_is_part_of_the_hash() {
        let x = field("x", Quantity::Unsigned { bits: 8 });
        let plain = schema(vec![x.clone()]).expect("valid");
        let others = [
            x.clone().in_group("place"),
            x.clone().for_owner_only(),
            x.moving(Motion::Linear),
        ];
        for other in others {
            let other = schema(vec![other]).expect("valid");
            assert_ne!(plain.hash(), other.hash());
        }
    }

    fn x_per(snapshots: u16) -> Field {
        let x = field("x", Quantity::Signed { bits: 8 });
        x.with_velocity_per("vx", snapshots)
    }

    #[test]
    fn both_ends_must_agree_on_how_far_a_velocity_goes() {
        let vx = || field("vx", Quantity::Signed { bits: 8 });
        let hash = |x| schema(vec![x, vx()]).expect("valid").hash();
        assert_ne!(hash(x_per(30)), hash(x_per(60)));
        let unknown = field("x", Quantity::Signed { bits: 8 }).with_velocity("vx");
        assert_eq!(hash(x_per(0)), hash(unknown));
    }

    #[test]
    fn a_quaternion_is_whole_and_a_velocity_is_there() {
        let whole = Field::unit_quaternion("q", 9);
        assert!(schema(whole.to_vec()).is_ok());
        assert!(schema(whole[..3].to_vec()).is_err());
        let mut mixed = whole.to_vec();
        mixed.swap(0, 1);
        assert!(schema(mixed).is_err());
        let x = field("x", Quantity::Unsigned { bits: 8 }).with_velocity("vx");
        let text = schema(vec![x.clone()]).expect_err("no vx").to_string();
        assert!(text.contains("velocity"), "{text}");
        let vx = field("vx", Quantity::Signed { bits: 8 });
        assert!(schema(vec![x.clone(), vx.clone()]).is_ok());
        let text = schema(vec![x, vx.for_owner_only()]).expect_err("others cannot guess by it");
        assert!(text.to_string().contains("owners"), "{text}");
        let mut nameless = x_per(30);
        nameless.velocity = None;
        let text = schema(vec![nameless]).expect_err("a velocity without a name");
        assert!(text.to_string().contains("names none"), "{text}");
        let mut torn = Field::unit_quaternion("q", 9);
        torn[2].owner_only = true;
        assert!(schema(torn.to_vec()).is_err());
        assert!(schema(torn.map(Field::for_owner_only).to_vec()).is_ok());
    }
}
