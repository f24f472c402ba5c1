//! Holds a replica against the server's frames: rule 10 of the model, field by field.
//!
//! Every value must be the frame's at its `as_of`; and a complete snapshot must be what the client
//! may see. What that is is found here by asking of every entity what the game said and how far it is,
//! without the grid, the sets and the encoder. Knows both ends, and is therefore for tests and demonstrations: in
//! production the two are not in one process.

use std::sync::Arc;

use super::frame::{Row, TickFrame, Viewpoint};
use super::held::{Entity, Snapshot};
use super::relevance::Team;
use super::schema::KindId;
use super::view_config::ViewConfig;
use crate::id::{ClientSlot, EntityId};
use crate::time::Tick;

/// What was found to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Entities whose identity and values are the frame's.
    pub entities: usize,
    /// Single values of these.
    pub values: usize,
    /// Entities whose value is older than the snapshot.
    pub stale: usize,
    /// Whether the snapshot was complete, and so was compared with what the client may see.
    pub complete: bool,
}

/// What is wrong with a replica, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// There is no frame to hold it against.
    #[error("tick {0} is not among the frames")]
    NoFrame(Tick),
    /// An entity that the frame does not have.
    #[error("tick {tick}: entity {entity} was not in the world at tick {as_of}")]
    NotThere {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// When it should have been there.
        as_of: Tick,
    },
    /// An entity of another kind.
    #[error("tick {tick}: entity {entity} has kind {held:?}, the frame says {truth:?}")]
    Kind {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// The kind in the replica.
        held: KindId,
        /// The kind in the frame.
        truth: KindId,
    },
    /// A value that is not the frame's; of a field that only an owner is told and this client is not,
    /// one that is not zero.
    #[error(
        "tick {tick}: field `{field}` of entity {entity} is {held:?}, the frame of tick {as_of} says {truth:?}"
    )]
    Value {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// The tick that the value claims to be true at.
        as_of: Tick,
        /// The name of the field.
        field: String,
        /// The value in the replica.
        held: Option<i32>,
        /// The value in the frame, or zero.
        truth: Option<i32>,
    },
    /// A value that claims to be from after its snapshot, or an old one in a complete snapshot.
    #[error("tick {tick}: entity {entity} claims to be as of tick {as_of}")]
    AsOf {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// What it claims.
        as_of: Tick,
    },
    /// A complete snapshot lacks an entity that is within the inner radius, or is shown.
    #[error("tick {tick}: entity {entity} should be seen, {distance} away, and is missing")]
    Missing {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// Its distance from the viewpoint.
        distance: f64,
    },
    /// A complete snapshot has an entity that is beyond the outer radius, or is hidden.
    #[error("tick {tick}: entity {entity} should not be seen, {distance} away, and is there")]
    Unseen {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// Its distance from the viewpoint; infinite when the client looks from nowhere.
        distance: f64,
    },
    /// An entity is said to be destroyed and is not, or the other way round.
    #[error(
        "tick {tick}: entity {entity} is said to be destroyed: {said}, and the frame says otherwise"
    )]
    Destroyed {
        /// The tick of the snapshot.
        tick: Tick,
        /// The entity.
        entity: EntityId,
        /// What the snapshot says.
        said: bool,
    },
}

/// Distances are computed in another way than the encoder does: within this share of the radius
/// both may be right.
const TOLERANCE: f64 = 1e-5;

/// Holds one snapshot of a replica against the frames. `frames` finds the frame of a tick.
///
/// # Errors
///
/// The first [`Mismatch`], with tick, entity and field.
pub fn check_replica(
    snapshot: &Snapshot,
    frames: impl Fn(Tick) -> Option<Arc<TickFrame>>,
    client: ClientSlot,
    config: &ViewConfig,
) -> Result<Checked, Mismatch> {
    let tick = snapshot.tick();
    let now = frames(tick).ok_or(Mismatch::NoFrame(tick))?;
    let mut checked = Checked {
        complete: snapshot.is_complete(),
        ..Checked::default()
    };
    for entity in snapshot.entities() {
        let as_of = entity.as_of;
        if as_of > tick || (checked.complete && as_of != tick) {
            return Err(Mismatch::AsOf {
                tick,
                entity: entity.id,
                as_of,
            });
        }
        if as_of == tick {
            check_entity(tick, &entity, &now, client)?;
        } else {
            let frame = frames(as_of).ok_or(Mismatch::NoFrame(as_of))?;
            check_entity(tick, &entity, &frame, client)?;
            checked.stale += 1;
        }
        checked.entities += 1;
        checked.values += entity.values.len();
    }
    check_departed(snapshot, &now)?;
    if checked.complete {
        check_sight(snapshot, &now, client, config)?;
    }
    Ok(checked)
}

/// One entity is the frame's, field by field; what only its owner is told is zero to others.
fn check_entity(
    tick: Tick,
    held: &Entity<'_>,
    frame: &TickFrame,
    client: ClientSlot,
) -> Result<(), Mismatch> {
    let (entity, as_of) = (held.id, held.as_of);
    let truth = frame.entity(entity.slot).filter(|row| row.id == entity);
    let truth = truth.ok_or(Mismatch::NotThere {
        tick,
        entity,
        as_of,
    })?;
    if truth.kind != held.kind {
        let (held, truth) = (held.kind, truth.kind);
        return Err(Mismatch::Kind {
            tick,
            entity,
            held,
            truth,
        });
    }
    let viewpoint = frame.viewpoint(client);
    let owns = viewpoint.is_some_and(|viewpoint| viewpoint.always == Some(entity));
    let kind = frame.schema().kind(truth.kind);
    for index in 0..truth.values.len().max(held.values.len()) {
        let field = kind.and_then(|kind| kind.fields.get(index));
        let zero = field.filter(|field| field.owner_only && !owns);
        let zero = zero.map(|field| field.quantity.quantise(0.0));
        let (value, true_value) = (held.values.get(index), truth.values.get(index));
        let true_value = zero.as_ref().or(true_value);
        if value != true_value {
            return Err(Mismatch::Value {
                tick,
                entity,
                as_of,
                field: field.map_or_else(|| index.to_string(), |field| field.name.clone()),
                held: value.copied(),
                truth: true_value.copied(),
            });
        }
    }
    Ok(())
}

fn check_departed(snapshot: &Snapshot, frame: &TickFrame) -> Result<(), Mismatch> {
    for departed in snapshot.departed() {
        let exists = frame
            .entity(departed.id.slot)
            .is_some_and(|row| row.id == departed.id);
        if exists == departed.destroyed {
            return Err(Mismatch::Destroyed {
                tick: snapshot.tick(),
                entity: departed.id,
                said: departed.destroyed,
            });
        }
    }
    Ok(())
}

/// A complete snapshot is what the client may see: all it must, and nobody it must not.
fn check_sight(
    snapshot: &Snapshot,
    frame: &TickFrame,
    client: ClientSlot,
    config: &ViewConfig,
) -> Result<(), Mismatch> {
    let tick = snapshot.tick();
    let viewpoint = frame.viewpoint(client);
    for row in frame.iter() {
        let entity = row.id;
        let distance = viewpoint.map_or(f64::INFINITY, |from| distance(&row, from.center));
        let sight = viewpoint.map_or(Sight::Never, |viewpoint| {
            sight_of(&row, frame, (client, viewpoint), config, distance)
        });
        match (sight, snapshot.get(entity).is_some()) {
            (Sight::Must, false) => {
                return Err(Mismatch::Missing {
                    tick,
                    entity,
                    distance,
                });
            }
            (Sight::Never, true) => {
                return Err(Mismatch::Unseen {
                    tick,
                    entity,
                    distance,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a client sees an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Must,
    /// Between the radii: if it did before.
    May,
    Never,
}

/// The rule in plain words, the strongest first.
fn sight_of(
    row: &Row<'_>,
    frame: &TickFrame,
    (client, viewpoint): (ClientSlot, Viewpoint),
    config: &ViewConfig,
    distance: f64,
) -> Sight {
    let said = frame.relevance(row.id);
    let is_of = |team: Team| viewpoint.team == Some(team);
    let excepted = |wanted| {
        frame
            .exceptions(client)
            .any(|(id, hidden)| id == row.id && hidden == wanted)
    };
    let inner = f64::from(config.inner_radius);
    let outer = f64::from(config.outer_radius).max(inner);
    if viewpoint.always == Some(row.id) {
        Sight::Must
    } else if excepted(true) {
        Sight::Never
    } else if excepted(false) {
        Sight::Must
    } else if said.team_only.is_some_and(|team| !is_of(team)) {
        Sight::Never
    } else if said.everyone || said.team.is_some_and(is_of) || distance < inner * (1.0 - TOLERANCE)
    {
        Sight::Must
    } else if distance > outer * (1.0 + TOLERANCE) {
        Sight::Never
    } else {
        Sight::May
    }
}

fn distance(row: &Row<'_>, center: [f32; 3]) -> f64 {
    let axes = row.position.iter().zip(center);
    let square = |(at, center): (&f32, f32)| (f64::from(*at) - f64::from(center)).powi(2);
    axes.map(square).sum::<f64>().sqrt()
}
