//! Which snapshot a part builds on: rule 11 of the model.
//!
//! A client joins the newest cohort it has acknowledged before it opens a new one, as long as that
//! costs at most two snapshots of age. When all cells are taken it takes the nearest older one.
//! Only when it has acknowledged none of the eight its deltas are encoded for it alone. Knows what
//! a client holds and which cohorts there are.

use super::baselines::{Baselines, View};
use super::frame::TickFrame;
use super::slots::SlotRange;
use crate::time::Tick;

/// A cohort may be so many snapshots older than the client's own best.
pub(super) const JOIN: u32 = 2;

/// The baseline of a range, and the cohort cell of its deltas if they can be shared.
pub(super) fn baseline<'a>(
    baselines: &'a Baselines,
    frame: &TickFrame,
    range: SlotRange,
) -> (Option<&'a View>, Option<usize>) {
    let usable =
        |view: &&View| frame.age_of(view.tick).is_some() && frame.columns_at(view.tick).is_some();
    let views = || baselines.covering(range).filter(usable);
    let Some(best) = views().next() else {
        return (None, None);
    };
    let in_use = |tick: Tick| frame.cohorts.baselines().any(|baseline| baseline == tick);
    let near = |view: &&View| view.tick.plus(JOIN * frame.snapshot_every) >= best.tick;
    let joined = views().take_while(near).find(|view| in_use(view.tick));
    if let Some(view) = joined {
        return (Some(view), frame.cohorts.claim(view.tick));
    }
    if let Some(cell) = frame.cohorts.claim(best.tick) {
        return (Some(best), Some(cell));
    }
    match views().find(|view| in_use(view.tick)) {
        Some(view) => (Some(view), frame.cohorts.claim(view.tick)),
        None => (Some(best), None),
    }
}
