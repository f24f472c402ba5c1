//! What to draw: the world between two snapshots, as plain numbers.
//!
//! Knows the replica and how each field is blended. Has no clock: [`interpolation`](super::interpolation) says between which
//! snapshots the moment lies.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::id::EntityId;
use crate::proto::snapshot::{
    Blend, Entity, Field, KindId, Quantity, Replica, Replicate, RowReader, Schema, Snapshot,
};

use super::clock::TickTime;
use super::interpolation::Span;

/// An entity at the drawn moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn<'s> {
    /// Which entity.
    pub id: EntityId,
    /// Its kind.
    pub kind: KindId,
    /// Its fields, in the order of its kind, in the schema's units; angles in radians, 0 to a full turn.
    pub values: &'s [f32],
    fields: &'s [Field],
}

impl Drawn<'_> {
    /// The entity as a struct of the game, which should be the one of its [`kind`](Self::kind).
    #[must_use]
    pub fn read<T: Replicate>(&self) -> T {
        T::read(&mut RowReader::measured(self.fields, self.values))
    }
}

/// All entities at one moment. Its memory is used again from frame to frame.
///
/// An entity is there from the first snapshot that has it until the first one that has it not. One that the server had
/// no room for stands for that long, and makes up for it on the way to the next snapshot.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    span: Option<Span>,
    /// Of the replica that was shown last.
    schema: Option<Arc<Schema>>,
    /// By slot.
    entities: Vec<(EntityId, KindId, Range<usize>)>,
    values: Vec<f32>,
}

impl Scene {
    /// Sets the scene for a moment. Snapshots that have not arrived whole are passed over, as if they were lost; without any
    /// that has, the scene is empty.
    pub fn set(&mut self, replica: &Replica, at: TickTime) {
        self.clear();
        let Some(newest) = replica.newest_whole() else {
            return;
        };
        let whole = |tick| {
            replica
                .snapshot(tick)
                .filter(|snapshot| snapshot.parts_complete())
        };
        let span = Span::around(at, newest.tick(), |tick| whole(tick).is_some());
        let Some(span) = span else { return };
        let (Some(from), Some(to)) = (whole(span.from), whole(span.to)) else {
            return;
        };
        self.span = Some(span);
        self.schema = Some(Arc::clone(replica.schema()));
        self.fill(replica.schema(), from, to, span.fraction());
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.span = None;
        self.entities.clear();
        self.values.clear();
    }

    /// Between which snapshots the moment lies; `None` while there is nothing to see.
    #[must_use]
    pub const fn span(&self) -> Option<Span> {
        self.span
    }

    /// All entities, by slot.
    pub fn entities(&self) -> impl ExactSizeIterator<Item = Drawn<'_>> {
        self.entities.iter().map(|entity| self.drawn(entity))
    }

    /// One entity; `None` when it is not there at this moment.
    #[must_use]
    pub fn entity(&self, id: EntityId) -> Option<Drawn<'_>> {
        let index = self
            .entities
            .binary_search_by_key(&id.slot, |(id, ..)| id.slot)
            .ok()?;
        self.entities
            .get(index)
            .filter(|(here, ..)| *here == id)
            .map(|entity| self.drawn(entity))
    }

    fn drawn(&self, (id, kind, values): &(EntityId, KindId, Range<usize>)) -> Drawn<'_> {
        Drawn {
            id: *id,
            kind: *kind,
            values: self.values.get(values.clone()).unwrap_or(&[]),
            fields: self
                .schema
                .as_ref()
                .and_then(|schema| schema.kind(*kind))
                .map_or(&[], |kind| &kind.fields),
        }
    }

    /// Both snapshots are in the order of slots: one walk over the two.
    fn fill(&mut self, schema: &Schema, from: &Snapshot, to: &Snapshot, fraction: f32) {
        let mut later = to.entities().peekable();
        for earlier in from.entities() {
            while later
                .next_if(|l| l.id.slot.cmp(&earlier.id.slot) == Ordering::Less)
                .is_some()
            {}
            // Another generation in the same slot is somebody else.
            let goal = later
                .peek()
                .filter(|l| l.id == earlier.id && l.kind == earlier.kind);
            self.put(schema, &earlier, goal.unwrap_or(&earlier), fraction);
        }
    }

    fn put(&mut self, schema: &Schema, from: &Entity<'_>, to: &Entity<'_>, fraction: f32) {
        let fields = schema.kind(from.kind).map_or(&[][..], |kind| &kind.fields);
        let start = self.values.len();
        let pairs = from.values.iter().zip(to.values);
        let blended = fields
            .iter()
            .zip(pairs)
            .map(|(field, (a, b))| blend(field, *a, *b, fraction));
        self.values.extend(blended);
        self.entities
            .push((from.id, from.kind, start..self.values.len()));
    }
}

/// One field, `fraction` of the way from one value to another.
fn blend(field: &Field, from: i32, to: i32, fraction: f32) -> f32 {
    let start = field.quantity.value(from);
    if from == to {
        return start;
    }
    let end = field.quantity.value(to);
    match field.blend {
        Blend::Step if fraction < 1.0 => start,
        Blend::Step => end,
        Blend::Angle => turn(start, end, fraction),
        Blend::Linear if matches!(field.quantity, Quantity::Flags { .. }) => start,
        Blend::Linear => start + (end - start) * fraction,
    }
}

/// Along the shorter way around, from 0 to a full turn.
fn turn(start: f32, end: f32, fraction: f32) -> f32 {
    use core::f32::consts::{PI, TAU};
    let way = (end - start + PI).rem_euclid(TAU) - PI;
    let angle = (start + way * fraction).rem_euclid(TAU);
    // Rounding may end exactly at a full turn, which is none.
    if angle < TAU { angle } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClientSlot;
    use crate::proto::snapshot::{
        ClientView, FrameConfig, FrameHistory, Kind, RowWriter, Scratch, ViewConfig, Viewpoint,
    };
    use crate::time::Tick;
    use std::sync::Arc;

    const METERS: Quantity = Quantity::Ranged {
        min: -512.0,
        max: 512.0,
        step: 1.0 / 64.0,
    };
    const YAW: Quantity = Quantity::Angle { bits: 12 };
    const HEALTH: Quantity = Quantity::Unsigned { bits: 7 };

    fn schema() -> Arc<Schema> {
        let fields = vec![
            Field::new("x", METERS, Blend::Linear),
            Field::new("yaw", YAW, Blend::Angle),
            Field::new("health", HEALTH, Blend::Step),
        ];
        Arc::new(Schema::new(vec![Kind::new("player", fields)]).expect("a good schema"))
    }

    fn id(slot: u16, generation: u16) -> EntityId {
        EntityId { slot, generation }
    }

    /// An entity with its x, yaw and health.
    type Player = (EntityId, f32, f32, f32);

    /// A replica that was told these worlds, each with its tick.
    fn replica(worlds: &[(u32, &[Player])]) -> Replica {
        let client = ClientSlot {
            index: 0,
            generation: 0,
        };
        let mut history =
            FrameHistory::new(schema(), FrameConfig::default()).expect("a good configuration");
        let (mut view, mut scratch) = (
            ClientView::new(client, ViewConfig::default()),
            Scratch::new(),
        );
        let mut replica = Replica::new(schema(), 2);
        for (number, (tick, entities)) in (1..).zip(worlds) {
            let mut builder = history.begin(Tick(*tick)).expect("ticks ascend");
            for (id, x, yaw, health) in *entities {
                let values = [
                    METERS.quantise(*x),
                    YAW.quantise(*yaw),
                    HEALTH.quantise(*health),
                ];
                builder
                    .put(*id, KindId(0), [0.0; 3], &values)
                    .expect("a good entity");
            }
            builder.view(client, Viewpoint::at([0.0; 3]));
            let mut part = [0; 1_200];
            view.begin(&history.publish(builder), &mut scratch);
            let len = view.write_part(number, &mut part, &mut scratch);
            replica.receive(&part[..len]).expect("our own part");
            view.acked(number);
        }
        replica
    }

    fn at(tick: u32, fraction: f32) -> TickTime {
        TickTime {
            tick: Tick(tick),
            fraction,
        }
    }

    fn scene(replica: &Replica, at: TickTime) -> Scene {
        let mut scene = Scene::default();
        scene.set(replica, at);
        scene
    }

    #[test]
    fn every_field_is_blended_as_its_schema_says() {
        let ada = id(3, 0);
        let replica = replica(&[
            (10, &[(ada, 1.0, 6.0, 100.0)]),
            (12, &[(ada, 2.0, 0.5, 40.0)]),
        ]);
        let scene = scene(&replica, at(10, 0.5));
        let drawn = scene.entity(ada).expect("she is there");
        assert!((drawn.values[0] - 1.25).abs() < 1e-4, "{drawn:?}");
        // The shorter way from 6.0 to 0.5 leads through a full turn.
        let way = 0.5 + std::f32::consts::TAU - 6.0;
        assert!(
            (drawn.values[1] - (6.0 + way / 4.0)).abs() < 0.01,
            "{drawn:?}"
        );
        assert!((drawn.values[2] - 100.0).abs() < 1e-4, "{drawn:?}");
    }

    #[test]
    fn an_entity_comes_and_goes_with_the_snapshots_that_have_it() {
        let (ada, bob, eve) = (id(3, 0), id(4, 0), id(3, 1));
        let replica = replica(&[
            (10, &[(ada, 1.0, 0.0, 1.0)]),
            (12, &[(ada, 2.0, 0.0, 1.0), (bob, 7.0, 0.0, 1.0)]),
            (14, &[(eve, 9.0, 0.0, 1.0), (bob, 8.0, 0.0, 1.0)]),
        ]);
        let ids = |at| {
            scene(&replica, at)
                .entities()
                .map(|drawn| drawn.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(at(11, 0.0)), [ada]);
        assert_eq!(ids(at(13, 0.0)), [ada, bob]);
        assert_eq!(ids(at(14, 0.0)), [eve, bob]);
        // Who has the slot now is somebody else: ada does not fly to eve.
        let before = scene(&replica, at(13, 0.9));
        assert!((before.entity(ada).expect("still there").values[0] - 2.0).abs() < 1e-4);
        assert_eq!(before.entity(eve), None);
    }

    #[test]
    fn what_is_drawn_can_be_a_struct_of_the_game() {
        struct Who {
            x: f32,
            health: u32,
        }
        impl Replicate for Who {
            fn kind() -> Kind {
                schema().kinds()[0].clone()
            }
            fn write(&self, _: &mut RowWriter<'_>) {}
            fn read(row: &mut RowReader<'_>) -> Self {
                let (x, _yaw) = (row.number(), row.number());
                let health = row.unsigned();
                Self { x, health }
            }
        }
        let ada = id(3, 0);
        let replica = replica(&[(10, &[(ada, 1.0, 0.0, 9.0)]), (12, &[(ada, 2.0, 0.0, 8.0)])]);
        let scene = scene(&replica, at(11, 0.0));
        let who: Who = scene.entity(ada).expect("she is there").read();
        assert!((who.x - 1.5).abs() < 1e-4, "{}", who.x);
        assert_eq!(who.health, 9);
    }

    #[test]
    fn beyond_the_newest_snapshot_the_world_stands() {
        let ada = id(3, 0);
        let replica = replica(&[(10, &[(ada, 1.0, 0.0, 1.0)]), (12, &[(ada, 2.0, 0.0, 9.0)])]);
        let scene = scene(&replica, at(40, 0.0));
        assert!(scene.span().expect("something").is_dry());
        assert_eq!(
            scene.entity(ada).expect("still there").values,
            [2.0, 0.0, 9.0]
        );
    }

    #[test]
    fn nothing_told_is_nothing_to_see() {
        let scene = scene(&Replica::new(schema(), 2), at(10, 0.0));
        assert_eq!((scene.span(), scene.entities().len()), (None, 0));
    }

    #[test]
    fn an_angle_stays_below_a_full_turn_whatever_the_way() {
        for (start, end) in [(0.1, 6.2), (6.2, 0.1), (0.0, 3.2), (3.2, 0.0)] {
            for step in 0..=100 {
                let angle = turn(start, end, step as f32 / 100.0);
                assert!((0.0..std::f32::consts::TAU).contains(&angle), "{angle}");
            }
            assert!((turn(start, end, 1.0) - end).abs() < 1e-5);
        }
    }
}
