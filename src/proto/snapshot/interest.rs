//! What a client may see: everything within the inner radius, and what it already saw until that is
//! beyond the outer one.
//!
//! The two radii keep an entity on the border from coming and going. Knows one viewpoint and one
//! frame. Has no idea what was sent.

use super::frame::TickFrame;
use super::grid::distance_squared;
use super::slots::SlotSet;
use crate::id::{ClientSlot, EntityId};
use crate::time::Tick;

/// How far a client sees, in the unit of positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Radii {
    /// Closer than this, or as close: seen.
    pub(super) inner: f32,
    /// Farther than this: not seen. Between the two: seen if it was seen at the snapshot before.
    pub(super) outer: f32,
}

/// Fills `visible` with what a client may see in `frame`.
///
/// `before` is what it could see at the snapshot of tick `then`. When that is no longer in the
/// history, nobody can say who these were, and they are not held on to.
pub(super) fn visible(
    frame: &TickFrame,
    client: ClientSlot,
    radii: Radii,
    (before, then): (&SlotSet, Tick),
    visible: &mut SlotSet,
) {
    visible.clear(frame.columns.slots());
    let Some(viewpoint) = frame.viewpoint(client) else {
        return;
    };
    let columns = &*frame.columns;
    let within = |slot: u16, radius: f32| {
        let position = columns.position(slot);
        position.is_some_and(|at| distance_squared(at, viewpoint.center) <= radius * radius)
    };
    frame.grid.near(viewpoint.center, radii.inner, |slot| {
        if within(slot, radii.inner) {
            visible.add(slot);
        }
    });
    if let Some(earlier) = frame.columns_at(then) {
        for slot in before.iter() {
            let same = earlier.who(slot).is_some() && earlier.who(slot) == columns.who(slot);
            if same && within(slot, radii.outer) {
                visible.add(slot);
            }
        }
    }
    if let Some(always) = present(frame, viewpoint.always) {
        visible.add(always.slot);
    }
}

/// The entity a client is always told about, if it exists.
pub(super) fn present(frame: &TickFrame, always: Option<EntityId>) -> Option<EntityId> {
    always.filter(|always| frame.columns.holds(*always))
}

#[cfg(test)]
mod tests {
    use super::super::history::{FrameConfig, FrameHistory};
    use super::super::schema::{Field, Kind, KindId, Schema};
    use super::super::{Blend, Quantity, Viewpoint};
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const CLIENT: ClientSlot = ClientSlot {
        index: 3,
        generation: 1,
    };
    const RADII: Radii = Radii {
        inner: 20.0,
        outer: 30.0,
    };

    fn history() -> FrameHistory {
        let field = Field::new("f", Quantity::Flags { bits: 1 }, Blend::Step);
        let schema = Schema::new(vec![Kind::new("k", vec![field])]).expect("valid");
        FrameHistory::new(
            Arc::new(schema),
            FrameConfig {
                snapshot_every: 1,
                cell_size: 8.0,
            },
        )
        .expect("valid")
    }

    /// A frame with these entities by slot: generation and place on the x axis.
    fn frame(
        history: &mut FrameHistory,
        tick: u32,
        things: &[(u16, f32)],
        always: Option<EntityId>,
    ) -> Arc<TickFrame> {
        let mut builder = history.begin(Tick(tick)).expect("in order");
        for (slot, (generation, x)) in things.iter().enumerate() {
            let id = EntityId {
                slot: slot as u16,
                generation: *generation,
            };
            builder
                .put(id, KindId(0), [*x, 0.0, 0.0], &[0])
                .expect("valid");
        }
        builder.view(
            CLIENT,
            Viewpoint {
                center: [0.0; 3],
                always,
            },
        );
        history.publish(builder)
    }

    fn seen(frame: &TickFrame, client: ClientSlot, before: (&[u16], Tick)) -> Vec<u16> {
        let (mut seen, mut set) = (SlotSet::default(), SlotSet::default());
        seen.clear(1_000);
        before.0.iter().for_each(|slot| seen.add(*slot));
        visible(frame, client, RADII, (&seen, before.1), &mut set);
        set.iter().collect()
    }

    proptest! {
        #[test]
        fn what_is_seen_is_what_measuring_everybody_says(
            then in prop::collection::vec((0_u16..3, -50.0_f32..50.0), 0..60),
            now in prop::collection::vec((0_u16..3, -50.0_f32..50.0), 0..60),
        ) {
            let mut history = history();
            let first = frame(&mut history, 1, &then, None);
            let before = seen(&first, CLIENT, (&[], Tick(0)));
            let second = frame(&mut history, 2, &now, None);
            let found = seen(&second, CLIENT, (&before, Tick(1)));
            let mut measured = Vec::new();
            for (slot, (generation, x)) in now.iter().enumerate() {
                let earlier = then.get(slot).filter(|(before, _)| before == generation);
                let held = earlier.is_some_and(|(_, x)| x.abs() <= RADII.inner);
                if x.abs() <= RADII.inner || held && x.abs() <= RADII.outer {
                    measured.push(slot as u16);
                }
            }
            prop_assert_eq!(found, measured);
        }
    }

    #[test]
    fn the_avatar_is_seen_wherever_it_is_and_a_stranger_sees_nothing() {
        let mut history = history();
        let avatar = EntityId {
            slot: 1,
            generation: 4,
        };
        let things = [(0, 1.0), (4, 900.0)];
        let frame = frame(&mut history, 1, &things, Some(avatar));
        assert_eq!(seen(&frame, CLIENT, (&[], Tick(0))), [0, 1]);
        let stranger = ClientSlot {
            generation: 2,
            ..CLIENT
        };
        assert!(seen(&frame, stranger, (&[], Tick(0))).is_empty());
    }
}
