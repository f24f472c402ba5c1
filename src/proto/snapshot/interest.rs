//! What a client may see: everything within the inner radius, and what it already saw until that is beyond the
//! outer one.
//!
//! The two radii keep an entity on the border from coming and going. Knows one viewpoint and one frame. Has no idea what was
//! sent.

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
/// `before` is what it could see at the snapshot of tick `then`. When that is no longer in the history, nobody
/// can say who these were, and they are not held on to.
pub(super) fn visible(
    frame: &TickFrame,
    client: ClientSlot,
    radii: Radii,
    (before, then): (&[u16], Tick),
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
        for slot in before.iter().copied() {
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
