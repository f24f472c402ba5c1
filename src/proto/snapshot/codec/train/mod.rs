//! Learns tables from a world that was recorded: how it moves, what surprises, and how often.
//!
//! ```text
//! world     the recorded rows, and samples of them: an entity, its past, what became of it
//! motion    weights by least squares, levels by how far off these are
//! masks     what differs together, what tells how an entity behaves, who is worth listing
//! symbols   how often each symbol comes in each context; contexts that are alike share a code
//! ```
//!
//! Runs before a game is shipped, never in it: here numbers may be broken. What comes out is whole.
//! Knows rows. Has no idea of files.

mod masks;
mod motion;
mod symbols;
mod world;

pub use symbols::Share;
pub use world::TrainError;

use world::World;

use super::super::schema::{KindId, Schema};
use super::builtin::zeros;
use super::file;
use super::shape::{self, Manner};
use super::tables::{GroupTables, KindTables, Lags, MAX_MASKS, Stream, Tables};
use crate::id::EntityId;
use crate::time::Tick;

/// The histories that are tried; the one with the smallest snapshots is taken.
const HISTORIES: [Lags; 2] = [
    Lags {
        earlier: 1,
        earliest: 4,
    },
    Lags {
        earlier: 2,
        earliest: 4,
    },
];

/// Takes a recorded world, snapshot by snapshot, and learns tables for it.
///
/// ```
/// use tickwire::Replicate;
/// use tickwire::id::EntityId;
/// use tickwire::proto::snapshot::{KindId, Replicate as _, Schema, train::Trainer};
/// use tickwire::time::Tick;
///
/// #[derive(Replicate)]
/// struct Ball {
///     #[replicate(range = 0.0..=64.0, step = 0.25, moves = "linear")]
///     x: f32,
/// }
///
/// let schema = Schema::new(vec![Ball::kind()])?;
/// let mut trainer = Trainer::new(&schema);
/// for tick in 0..100 {
///     trainer.begin(Tick(tick));
///     trainer.put(EntityId { slot: 0, generation: 0 }, KindId(0), &[tick as i32]);
/// }
/// let tables = trainer.learn()?;
/// let schema = schema.with_tables(tables)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'s> {
    schema: &'s Schema,
    world: World,
}

impl<'s> Trainer<'s> {
    /// A trainer that has seen nothing.
    #[must_use]
    pub fn new(schema: &'s Schema) -> Self {
        Self {
            schema,
            world: World::default(),
        }
    }

    /// Begins the next snapshot. They come at the rate at which they will be sent, in order.
    pub fn begin(&mut self, tick: Tick) {
        self.world.begin(tick);
    }

    /// An entity of the snapshot, with its quantised values. One that the schema does not have is
    /// ignored.
    pub fn put(&mut self, id: EntityId, kind: KindId, values: &[i32]) {
        if self.schema.codings(kind.0).len() == values.len() {
            self.world.put(id, kind.0, values);
        }
    }

    /// How many snapshots it has seen.
    #[must_use]
    pub const fn snapshots(&self) -> usize {
        self.world.snapshots()
    }

    /// Learns tables. Takes seconds for a minute of a thousand entities.
    ///
    /// # Errors
    ///
    /// [`TrainError`] when there is too little to learn from.
    pub fn learn(&self) -> Result<Tables, TrainError> {
        self.world.check()?;
        let learnt = HISTORIES.map(|lags| self.learn_with(lags));
        let best = learnt
            .into_iter()
            .min_by(|one, other| one.1.total_cmp(&other.1));
        best.map(|(tables, _)| tables).ok_or(TrainError::TooShort)
    }

    /// Where the bits of changes go with these tables, by kind and field: what was recorded, at ages
    /// of 1 to 24 snapshots.
    #[must_use]
    pub fn explain(&self, tables: &Tables) -> Vec<Share> {
        let names: Vec<_> = self
            .schema
            .kinds()
            .iter()
            .map(|kind| {
                let fields = kind.fields.iter().map(|field| field.name.clone());
                (kind.name.clone(), fields.collect())
            })
            .collect();
        symbols::explain(tables, &names, &self.world)
    }

    /// Tables for one choice of earlier ticks, and how many bits the samples take with them.
    fn learn_with(&self, lags: Lags) -> (Tables, f64) {
        let kinds = self.schema.kinds().iter().enumerate();
        let kinds = kinds.map(|(number, kind)| {
            let codings = self.schema.codings(number as u8);
            let zeros = zeros(kind, codings);
            let groups = shape::groups(kind).into_iter().map(|group| {
                let axes = match group.manner {
                    Manner::Line => group.fields.len(),
                    Manner::Rotation | Manner::Plain => 1,
                };
                GroupTables::new(group, axes, codings, &zeros)
            });
            KindTables {
                codings: codings.into(),
                defaults: self.world.defaults(number as u8, codings),
                mode: None,
                groups: groups.collect(),
                zeros,
                masks_limit: MAX_MASKS,
                pieces: Vec::new(),
                streams: vec![Stream::default(); codings.len()],
            }
        });
        let mut tables = Tables {
            schema: self.schema.shape_hash(),
            lags,
            kinds: kinds.collect(),
            codes: Vec::new(),
            hash: 0,
        };
        motion::learn(&mut tables, &self.world);
        masks::learn(&mut tables, &self.world);
        let bits = symbols::learn(&mut tables, &self.world);
        tables.hash = file::hash(&tables);
        (tables, bits)
    }
}
