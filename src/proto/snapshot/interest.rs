//! What a client may see: everything within the inner radius, what it already saw until that is
//! beyond the outer one, and what the game shows it; less what the game hides.
//!
//! The two radii keep an entity on the border from coming and going. What the game says is combined
//! by the word, and whom that settles is not measured. Knows one viewpoint and one frame. Has no
//! idea what was sent.

use super::frame::TickFrame;
use super::grid::{Circles, distance_squared};
use super::plan::Scratch;
use super::slots::{SlotSet, slots_of};
use super::view_config::ViewConfig;
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

/// What one client sees from one snapshot to the next.
///
/// [`ClientView`](super::ClientView) has one. By itself it is for whoever wants to know who sees whom, or what that costs.
#[derive(Debug, Default)]
pub struct Interest {
    /// What it could see at `seen_at`.
    visible: SlotSet,
    seen_at: Tick,
}

impl Interest {
    /// One that has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the next frame: sees whoever is near, and whoever it saw before and is not yet far.
    pub fn look(
        &mut self,
        frame: &TickFrame,
        client: ClientSlot,
        config: &ViewConfig,
        scratch: &mut Scratch,
    ) {
        // What it saw is of use for this once: whoever looks next sees into that memory.
        core::mem::swap(&mut self.visible, &mut scratch.before);
        let before = (&scratch.before, self.seen_at);
        let visible_now = (&mut self.visible, &mut scratch.circles);
        visible(frame, client, config.radii(), before, visible_now);
        self.seen_at = frame.tick();
    }

    /// The slots of those it sees, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.visible.iter()
    }

    pub(super) const fn visible(&self) -> &SlotSet {
        &self.visible
    }

    /// Heap memory in bytes.
    pub(super) const fn memory(&self) -> usize {
        self.visible.memory()
    }
}

/// Fills `visible` with what a client may see in `frame`.
///
/// From weak to strong: who is near, or was seen and is not yet far, or is shown to everyone or to
/// the client's team; less who is kept for another team; with whom the game shows to this client,
/// without whom it hides from it; with its own avatar.
///
/// `before` is what it could see at the snapshot of tick `then`. When that is no longer in the
/// history, nobody can say who these were, and they are not held on to.
pub(super) fn visible(
    frame: &TickFrame,
    client: ClientSlot,
    radii: Radii,
    (before, then): (&SlotSet, Tick),
    (visible, circles): (&mut SlotSet, &mut Vec<Circles>),
) {
    visible.clear(frame.columns.slots());
    let Some(viewpoint) = frame.viewpoint(client) else {
        return;
    };
    let side = frame.relevances.side(viewpoint.team);
    if !side.settles_all(frame.columns.used()) {
        let before = (before, then);
        add_near(frame, viewpoint.center, radii, before, (visible, circles));
    }
    if !side.is_silent() {
        for (index, word) in visible.words_mut().iter_mut().enumerate() {
            *word = side.seen(index) | (*word & !side.hidden(index));
        }
    }
    for (id, hidden) in frame.exceptions(client) {
        match (frame.columns.holds(id), hidden) {
            (true, false) => visible.add(id.slot),
            (true, true) => visible.remove(id.slot),
            (false, _) => {}
        }
    }
    if let Some(always) = present(frame, viewpoint.always) {
        visible.add(always.slot);
    }
}

/// Adds who is within the inner radius; and within the outer one who was seen at `then` and is the same.
fn add_near(
    frame: &TickFrame,
    center: [f32; 3],
    radii: Radii,
    (before, then): (&SlotSet, Tick),
    (visible, circles): (&mut SlotSet, &mut Vec<Circles>),
) {
    let (grid, inner) = (&frame.grid, radii.inner);
    let Some(earlier) = frame.columns_at(then) else {
        let nobody = SlotSet::default();
        return grid.add_near(center, (inner, inner), &nobody, (visible, circles));
    };
    let radii = (inner, radii.outer.max(inner));
    grid.add_near(center, radii, before, (visible, circles));
    // Somebody came to a slot that was seen: it may be another one.
    for columns in frame.between(then, frame.tick()) {
        let words = visible.words_mut().iter_mut().zip(columns.born().words());
        for (index, (word, born)) in words.enumerate().filter(|(_, (_, born))| **born != 0) {
            for slot in slots_of(index, *word & *born & before.word(index)) {
                let is_other = earlier.who(slot) != frame.columns.who(slot);
                if is_other && !within(frame, slot, center, inner) {
                    *word &= !(1 << (slot % 64));
                }
            }
        }
    }
}

fn within(frame: &TickFrame, slot: u16, center: [f32; 3], radius: f32) -> bool {
    let position = frame.position(slot);
    position.is_some_and(|at| distance_squared(at, center) <= radius * radius)
}

/// The entity a client is always told about, if it exists.
pub(super) fn present(frame: &TickFrame, always: Option<EntityId>) -> Option<EntityId> {
    always.filter(|always| frame.columns.holds(*always))
}

#[cfg(test)]
mod tests {
    use super::super::history::{FrameConfig, FrameHistory};
    use super::super::schema::{Field, Kind, KindId, Schema};
    use super::super::{Blend, Quantity, Relevance, Team, Viewpoint};
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
        builder.view(CLIENT, Viewpoint::at([0.0; 3]).always(always));
        history.publish(builder)
    }

    fn seen(frame: &TickFrame, client: ClientSlot, before: (&[u16], Tick)) -> Vec<u16> {
        let (mut seen, mut set) = (SlotSet::default(), SlotSet::default());
        seen.clear(1_000);
        before.0.iter().for_each(|slot| seen.add(*slot));
        visible(
            frame,
            client,
            RADII,
            (&seen, before.1),
            (&mut set, &mut Vec::new()),
        );
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

    /// What the game says of one entity, and of it to the client.
    #[derive(Debug, Clone, Copy)]
    struct Said {
        relevance: Relevance,
        shown: bool,
        hidden: bool,
    }

    type World = (Vec<(u16, f32, Said)>, Option<Team>, Option<u16>);

    fn worlds() -> impl Strategy<Value = World> {
        let team = || prop::option::weighted(0.3, (0_u8..3).prop_map(Team));
        let rarely = || prop::bool::weighted(0.15);
        let said = (rarely(), team(), team(), rarely(), rarely()).prop_map(
            |(everyone, team, team_only, shown, hidden)| Said {
                relevance: Relevance {
                    everyone,
                    team,
                    team_only,
                },
                shown,
                hidden,
            },
        );
        let things = prop::collection::vec((0_u16..3, -50.0_f32..50.0, said), 0..150);
        (things, team(), prop::option::of(0_u16..150))
    }

    fn id_in(world: &World, slot: u16) -> Option<EntityId> {
        let (generation, ..) = world.0.get(usize::from(slot))?;
        Some(EntityId {
            slot,
            generation: *generation,
        })
    }

    fn publish(history: &mut FrameHistory, tick: u32, world: &World) -> Arc<TickFrame> {
        let mut builder = history.begin(Tick(tick)).expect("in order");
        for (slot, (_, x, said)) in world.0.iter().enumerate() {
            let id = id_in(world, slot as u16).expect("there");
            builder.relevance(id, said.relevance);
            if said.hidden {
                builder.hide(CLIENT, id);
            }
            if said.shown {
                builder.show(CLIENT, id);
            }
            builder
                .put(id, KindId(0), [*x, 0.0, 0.0], &[0])
                .expect("valid");
        }
        let always = world.2.and_then(|slot| id_in(world, slot));
        let viewpoint = Viewpoint::at([0.0; 3]).always(always).of_team(world.1);
        builder.view(CLIENT, viewpoint);
        history.publish(builder)
    }

    /// The rule, entity by entity.
    fn plainly(world: &World, was_seen: impl Fn(EntityId) -> bool) -> Vec<u16> {
        let (things, team, always) = world;
        let sees = |slot: u16| {
            let (_, x, said) = things[usize::from(slot)];
            let is_ours = |other: Option<Team>| other.is_some() && other == *team;
            let kept = said.relevance.team_only;
            let held = id_in(world, slot).is_some_and(&was_seen);
            let near = x.abs() <= RADII.inner || held && x.abs() <= RADII.outer;
            let wherever = said.relevance.everyone || is_ours(said.relevance.team);
            let open = (near || wherever) && (kept.is_none() || is_ours(kept));
            *always == Some(slot) || (open || said.shown) && !said.hidden
        };
        (0..things.len() as u16)
            .filter(|slot| sees(*slot))
            .collect()
    }

    proptest! {
        #[test]
        fn what_the_game_shows_and_hides_is_what_asking_of_everybody_says(
            then in worlds(),
            now in worlds(),
        ) {
            let mut history = history();
            let first = publish(&mut history, 1, &then);
            let before = seen(&first, CLIENT, (&[], Tick(0)));
            prop_assert_eq!(&before, &plainly(&then, |_| false));
            let second = publish(&mut history, 2, &now);
            let found = seen(&second, CLIENT, (&before, Tick(1)));
            let was_seen = |id: EntityId| before.contains(&id.slot) && id_in(&then, id.slot) == Some(id);
            prop_assert_eq!(found, plainly(&now, was_seen));
        }
    }
}
