//! Which snapshots a part builds on: rule 11 of the model.
//!
//! A client joins the newest cohort whose history it has acknowledged before it opens a new one, as
//! long as that costs at most two snapshots of age. When few cells are left it takes the nearest
//! older one. Only when it has acknowledged none of the eight its chunks are encoded for it alone.
//! Knows what a client holds and which cohorts there are.

use super::baselines::{Baselines, View};
use super::cohort::{COHORTS, History, HistoryCode};
use super::frame::TickFrame;
use super::slots::SlotRange;

/// A cohort may be so many snapshots worse than the client's own best.
pub(super) const JOIN: u32 = 2;

/// The last cells are kept for those who could not join anybody.
const SPARE: usize = 3;

/// What a range is told from, and the cohort cell of its chunks if they can be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) history: History,
    pub(super) cell: Option<usize>,
}

/// What a missing earlier tick costs, in snapshots of age: without any, speeds are unknown.
const fn penalty(code: HistoryCode) -> u32 {
    match code {
        HistoryCode::Two => 0,
        HistoryCode::One => 1,
        HistoryCode::Alone => 4,
    }
}

/// The best that a client has acknowledged for a range, or a cohort that is hardly worse; `None`
/// when nothing it has acknowledged is of use.
pub(super) fn history(
    baselines: &Baselines,
    frame: &TickFrame,
    range: SlotRange,
) -> Option<Choice> {
    let cost = |history: History| -> Option<u32> {
        Some(frame.age_of(history.base)? + penalty(history.code))
    };
    let usable = baselines
        .covering(range)
        .filter(|view| frame.age_of(view.tick).is_some() && frame.columns_at(view.tick).is_some());
    let best = usable
        .map(|view| best_of(baselines, frame, range, view))
        .min_by_key(|history| cost(*history))?;
    // Whoever lacks an earlier tick can still share what is told from the baseline alone.
    let of_cohort = |cohort: History| {
        let alone = History {
            base: cohort.base,
            code: HistoryCode::Alone,
        };
        let held = |history: &History| holds(baselines, frame, range, *history);
        Some(cohort).filter(held).or(Some(alone).filter(held))
    };
    let joinable = frame.cohorts.histories().filter_map(of_cohort);
    let joinable = joinable
        .filter_map(|history| Some((cost(history)?, history)))
        .min_by_key(|(cost, _)| *cost);
    let limit = cost(best)? + JOIN;
    let open = || {
        let cell = frame.cohorts.claim(best)?;
        let cell = Some(cell);
        Some(Choice {
            history: best,
            cell,
        })
    };
    let Some((joined, history)) = joinable else {
        // Nobody to join: even without a cell of its own it is told from its best.
        let alone = Choice {
            history: best,
            cell: None,
        };
        return open().or(Some(alone));
    };
    if joined > limit
        && frame.cohorts.histories().count() + SPARE <= COHORTS
        && let Some(choice) = open()
    {
        return Some(choice);
    }
    let cell = frame.cohorts.claim(history);
    Some(Choice { history, cell })
}

/// The longest history that ends in this snapshot.
fn best_of(baselines: &Baselines, frame: &TickFrame, range: SlotRange, view: &View) -> History {
    let with = |code| History {
        base: view.tick,
        code,
    };
    [HistoryCode::Two, HistoryCode::One]
        .map(with)
        .into_iter()
        .find(|history| holds(baselines, frame, range, *history))
        .unwrap_or(with(HistoryCode::Alone))
}

/// Whether a client has acknowledged all of a history for a range, and the frame still has it.
fn holds(baselines: &Baselines, frame: &TickFrame, range: SlotRange, history: History) -> bool {
    let held = |tick| {
        let view = baselines.view(tick).filter(|view| view.covers(range));
        view.is_some() && frame.columns_at(tick).is_some()
    };
    let needed = match history.code {
        HistoryCode::Alone => 0,
        HistoryCode::One => 1,
        HistoryCode::Two => 2,
    };
    let earlier = history.earlier(frame.schema.tables(), frame.snapshot_every);
    held(history.base)
        && earlier.iter().flatten().count() == needed
        && earlier.into_iter().flatten().all(held)
}
