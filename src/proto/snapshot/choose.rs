//! Which snapshots a part builds on: rule 11 of the model.
//!
//! A client joins the newest cohort whose history it has acknowledged before it opens a new one, as
//! long as that costs at most two snapshots of age. When few cells are left it takes the nearest
//! older one. Only when it has acknowledged none of the eight its chunks are encoded for it alone.
//! Knows what a client holds and which cohorts there are.

use super::MAX_AGE;
use super::baselines::Baselines;
use super::codec::Lags;
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

/// Which snapshots a client has acknowledged for a range, of those that the frame still has: bit `n`
/// is the one `n` intervals ago.
#[derive(Debug, Clone, Copy)]
struct Held(u64);

impl Held {
    fn of(baselines: &Baselines, frame: &TickFrame, range: SlotRange) -> Self {
        let ages = baselines
            .covering(range)
            .filter_map(|view| frame.intervals_since(view.tick))
            .fold(0, |ages, age| ages | 1 << age);
        Self(ages & frame.ages)
    }

    const fn has(self, age: u32) -> bool {
        age < u64::BITS && self.0 >> age & 1 == 1
    }

    /// Whether all of a history is held whose baseline is so old.
    const fn holds(self, age: u32, code: HistoryCode, lags: Lags) -> bool {
        self.has(age)
            && match code {
                HistoryCode::Alone => true,
                HistoryCode::One => self.has(age + lags.earlier),
                HistoryCode::Two => self.has(age + lags.earlier) && self.has(age + lags.earliest),
            }
    }

    /// The cheapest history of those whose baseline can be named, and what it costs.
    fn best(self, lags: Lags) -> Option<(u32, u32, HistoryCode)> {
        let mut best = None::<(u32, u32, HistoryCode)>;
        let mut rest = self.0;
        while rest != 0 {
            let age = rest.trailing_zeros();
            rest &= rest - 1;
            if age > MAX_AGE || best.is_some_and(|(cost, ..)| cost <= age) {
                break;
            }
            let longest = [HistoryCode::Two, HistoryCode::One]
                .into_iter()
                .find(|code| self.holds(age, *code, lags));
            let code = longest.unwrap_or(HistoryCode::Alone);
            let cost = age + penalty(code);
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, age, code));
            }
        }
        best
    }
}

/// The best that a client has acknowledged for a range, or a cohort that is hardly worse; `None`
/// when nothing it has acknowledged is of use.
pub(super) fn history(
    baselines: &Baselines,
    frame: &TickFrame,
    range: SlotRange,
) -> Option<Choice> {
    let lags = frame.schema.tables().lags;
    let held = Held::of(baselines, frame, range);
    let (least, age, code) = held.best(lags)?;
    let base = frame.tick().minus(age * frame.snapshot_every);
    let best = History { base, code };
    // Whoever lacks an earlier tick can still share what is told from the baseline alone.
    let of_cohort = |cohort: History| {
        let age = frame.age_of(cohort.base)?;
        let codes = [cohort.code, HistoryCode::Alone];
        let code = codes
            .into_iter()
            .find(|code| held.holds(age, *code, lags))?;
        Some((age + penalty(code), History { code, ..cohort }))
    };
    let joinable = frame.cohorts.histories().filter_map(of_cohort);
    let joinable = joinable.min_by_key(|(cost, _)| *cost);
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
    if joined > least + JOIN
        && frame.cohorts.histories().count() + SPARE <= COHORTS
        && let Some(choice) = open()
    {
        return Some(choice);
    }
    let cell = frame.cohorts.claim(history);
    Some(Choice { history, cell })
}
