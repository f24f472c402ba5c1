//! What a client should hear first when not everything fits.
//!
//! Urgency is nearness times waiting. How long something has waited is not a counter of its own:
//! for an entity that the client holds it is how old the value is that the baseline has of it, for
//! one that it lacks how long it has been visible. So it grows until the client is *known* to have
//! it, nobody starves however near the others are, and snapshots that build on the same baseline
//! choose alike: what is on its way is not traded against something else.
//!
//! Knows distances and ages. Has no idea of bits and budgets.

/// What is sent before everything else: goodbyes, which are short and free a slot, and the client's
/// own avatar.
pub(super) const FIRST: u32 = u32::MAX;

/// A thing that is missing is worse than one that is a little late: it counts as waiting this many
/// snapshots longer.
const MISSING: u32 = 8;
/// The weight of what is at the center; at the outer radius it is 1.
const NEAREST: f32 = 16.0;

/// How urgent a change is whose last told value is `age` ticks old. `distance` is the square of the
/// distance and `outer` the outer radius.
pub(super) fn of_change(distance: f32, outer: f32, age: u32) -> u32 {
    nearness(distance, outer)
        .saturating_mul(age.max(1))
        .min(FIRST - 1)
}

/// How urgent an entity is that the client lacks, and that has been visible for so many snapshots.
pub(super) fn of_entering(distance: f32, outer: f32, waited: u32, snapshot_every: u32) -> u32 {
    let age = waited
        .saturating_add(MISSING)
        .saturating_mul(snapshot_every);
    of_change(distance, outer, age)
}

/// 256 at the outer radius and beyond, 16 times that at the center.
fn nearness(distance_squared: f32, outer: f32) -> u32 {
    let part = (distance_squared.sqrt() / outer.max(f32::MIN_POSITIVE)).min(1.0);
    // The cast sends NaN, which two infinities can make, to 0: as far as can be.
    (((NEAREST - (NEAREST - 1.0) * part) * 256.0) as u32).max(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_comes_first_and_far_comes_some_day() {
        let far = |age| of_change(100.0 * 100.0, 100.0, age);
        assert!(of_change(1.0, 100.0, 6) > far(6));
        assert!(of_change(1.0, 100.0, 6) < far(100));
        assert!(of_entering(100.0, 100.0, 0, 2) > far(6));
        assert!(of_entering(1.0, 100.0, 0, 2) > of_entering(9.0, 100.0, 0, 2));
        assert!(of_change(f32::INFINITY, f32::INFINITY, 1) < FIRST);
        assert!(of_change(0.0, 1.0, u32::MAX) < FIRST);
    }
}
