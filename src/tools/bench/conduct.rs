//! Leads a load test: clients come in, the load is held and measured, a search goes on to the next load.
//!
//! Measures in whole seconds, which is how the threads keep their books: a second belongs to the hold or it does not.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitStatus;
use std::time::Duration;

use super::child::OwnServer;
use super::drops::Drops;
use super::exposition::Work;
use super::fleet::{Fleet, Live};
use super::gauges::Gauges;
use super::machine::{Busy, Machine};
use super::objective::Objectives;
use super::probe::Probe;
use super::report::{Figures, Found, Hold, NotStarted, Row, Step};
use super::search::Search;

/// How often it is looked what is new.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When all have come in, everything gets so long to settle.
const WARM_UP: Duration = Duration::from_secs(1);

/// When nobody has come in and so many have failed, the others would fail too.
const HOPELESS: u32 = 32;

/// What a run is to be.
#[derive(Debug, Clone)]
pub struct Course {
    /// Clients; of a search, the most.
    pub clients: u32,
    /// For how long each load is held, in whole seconds.
    pub seconds: u64,
    /// How many set out in a second.
    pub ramp: u32,
    /// The share of clients that leaves each second and comes back.
    pub churn: f64,
    /// What must hold.
    pub objectives: Objectives,
    /// Search for the largest load that holds, from this one on.
    pub find_from: Option<u32>,
    /// How late clients may come in when all have set out: the network under them may be slow.
    pub patience: Duration,
    /// Threads of the load test.
    pub threads: usize,
}

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The own server is gone.
    #[error("the server ended ({0}) while it was tested")]
    ServerEnded(ExitStatus),
    /// Nobody got in.
    #[error("no client got in")]
    NobodyIn(Box<Rest>),
    /// It was ended before there was anything to tell.
    #[error("ended before anything was measured")]
    Interrupted,
}

/// What is known beside the figures of a hold.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// Sessions that ended although it was not their turn, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// What clients refused.
    pub rejections: BTreeMap<String, u64>,
    /// Clients that never set out.
    pub not_started: NotStarted,
}

impl Rest {
    fn add(&mut self, gauges: &Gauges) {
        for (reason, count) in &gauges.disconnects {
            *self.disconnects.entry(reason).or_default() += count;
        }
        for (name, count) in &gauges.rejections {
            *self.rejections.entry(name.clone()).or_default() += count;
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The figures of the hold; of a search, those of the largest load that held, or else of the last one.
    pub result: Figures,
    /// The search.
    pub found: Option<Found>,
    /// How the server runs: ticks a second, snapshots a second.
    pub rates: (u16, u16),
    /// Ended before its time.
    pub interrupted: bool,
    /// One row for each second.
    pub timeline: Vec<Row>,
    /// Of the whole run.
    pub rest: Rest,
}

/// How it goes: what a status line shows.
#[derive(Debug, Clone)]
pub struct Status {
    /// The time since the start.
    pub at: Duration,
    /// Clients asked for at the moment.
    pub asked: u32,
    /// How they fare.
    pub live: Live,
    /// What is left of the hold, once it has begun.
    pub left: Option<Duration>,
    /// The last second.
    pub last: Option<Row>,
    /// Steps of the search that are done.
    pub steps: usize,
}

/// A run in progress.
struct Run<'a, S, F> {
    course: &'a Course,
    fleet: Fleet,
    probe: Option<&'a Probe>,
    server: Option<&'a mut OwnServer>,
    stop: std::pin::Pin<Box<S>>,
    show: F,
    interrupted: bool,
    asked: u32,
    steps: usize,
    rows: Vec<Row>,
    rest: Rest,
    /// The seconds of the hold.
    window: Option<std::ops::Range<u64>>,
    held: Gauges,
    held_seconds: u64,
}

/// Leads the fleet through the course until it is over or `stop` is ready, and ends it. Needs a tokio runtime with time.
///
/// # Errors
///
/// When nobody got in, the own server died, or it was ended before anything was measured.
pub async fn conduct<S: Future>(
    course: &Course,
    fleet: Fleet,
    (server, probe): (Option<&mut OwnServer>, Option<&Probe>),
    stop: S,
    show: impl FnMut(&Status),
) -> Result<Ran, RunError> {
    let mut run = Run {
        course,
        fleet,
        probe,
        server,
        stop: Box::pin(stop),
        show,
        interrupted: false,
        asked: 0,
        steps: 0,
        rows: Vec::new(),
        rest: Rest::default(),
        window: None,
        held: Gauges::default(),
        held_seconds: 0,
    };
    let (result, found) = match course.find_from {
        None => (run.hold(course.clients).await?, None),
        Some(from) => {
            let (result, found) = run.search(from).await?;
            (result, Some(found))
        }
    };
    Ok(run.end(result, found))
}

impl<S: Future, F: FnMut(&Status)> Run<'_, S, F> {
    /// Holds one load and gives its figures.
    async fn hold(&mut self, clients: u32) -> Result<Figures, RunError> {
        let is_more = clients.saturating_sub(self.asked);
        (self.asked, self.window) = (clients, None);
        (self.held, self.held_seconds) = (Gauges::default(), 0);
        self.fleet.set_churn(0.0);
        self.fleet.set_clients(clients);
        let pace = Duration::from_secs(is_more.into()) / self.course.ramp.max(1);
        let deadline = self.fleet.running_for() + pace + self.course.patience;
        loop {
            let live = self.fleet.live();
            let is_hopeless =
                live.in_game == 0 && (live.settled() >= clients || live.settled() >= HOPELESS);
            if is_hopeless || (live.in_game == 0 && self.fleet.running_for() > deadline) {
                return Err(self.nobody().await);
            }
            if live.settled() >= clients || self.fleet.running_for() > deadline {
                break;
            }
            self.pause().await?;
        }
        self.fleet.set_churn(self.course.churn);
        let from = (self.fleet.running_for() + WARM_UP).as_secs() + 1;
        let until = from + self.course.seconds;
        self.window = Some(from..until);
        while self.fleet.running_for().as_secs() < from {
            self.pause().await?;
        }
        let before = (Busy::read(), Drops::read(&Drops::default()));
        // The last page comes a moment after its second.
        while self.held_seconds < self.course.seconds
            && self.fleet.running_for().as_secs() < until + 2
        {
            if let Err(error) = self.pause().await {
                // What was measured so far is worth a report.
                if self.held_seconds == 0 || !matches!(error, RunError::Interrupted) {
                    return Err(error);
                }
                break;
            }
        }
        Ok(self.figures(from, before))
    }

    fn figures(&self, from: u64, (busy, drops): (Option<Busy>, Option<Drops>)) -> Figures {
        let until = from + self.held_seconds;
        let work = self
            .probe
            .and_then(|probe| probe.work(from as f64, until as f64));
        let rates = self.fleet.live().rates;
        let hold = Hold {
            time: Duration::from_secs(self.held_seconds),
            asked: self.asked,
            tick_rate: rates.map_or(0, |rates| rates.tick.hz()),
            threads: self.course.threads,
            work: work.as_ref(),
            memory_before: self.probe.and_then(Probe::memory_at_first),
            is_own: self.server.is_some(),
            machine_cores: Machine::read().cores,
            machine_busy: busy.and_then(|busy| Busy::read()?.share_since(busy)),
            socket_drops: drops.and_then(|drops| Some(Drops::read(&drops)?.since(&drops))),
            receive_buffer: self.fleet.receive_buffer(),
        };
        Figures::new(&self.held, &hold)
    }

    /// Raises the load until something breaks.
    async fn search(&mut self, from: u32) -> Result<(Figures, Found), RunError> {
        let mut search = Search::new(from, self.course.clients);
        let mut steps: Vec<Step> = Vec::new();
        while let Some(clients) = search.next() {
            let figures = match self.hold(clients).await {
                Ok(figures) => figures,
                // The loads before are worth a report.
                Err(RunError::Interrupted) if !steps.is_empty() => break,
                Err(error) => return Err(error),
            };
            let broken = figures.broken(&self.course.objectives);
            if !self.interrupted {
                search.record(broken.is_empty());
            }
            let holds = broken.is_empty();
            steps.push(Step {
                clients,
                holds,
                broken,
                figures,
            });
            self.steps = steps.len();
            if self.interrupted {
                break;
            }
        }
        let of = |load: Option<u32>, holds| {
            let mut steps = steps.iter().rev();
            steps.find(|step| Some(step.clients) == load && step.holds == holds)
        };
        let broke = of(search.broke(), false).map(|step| step.broken.clone());
        let result = of(search.held(), true).or(steps.last());
        let Some(result) = result.map(|step| step.figures.clone()) else {
            return Err(RunError::Interrupted);
        };
        let found = Found {
            held: search.held(),
            broke: search.broke(),
            objectives: broke.unwrap_or_default(),
            steps,
        };
        Ok((result, found))
    }

    /// Waits a moment, and takes in what is new.
    async fn pause(&mut self) -> Result<(), RunError> {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = &mut self.stop => self.interrupted = true,
        }
        self.take_seconds();
        let ended = self.server.as_mut().and_then(|server| server.ended());
        if let Some(status) = ended {
            return Err(RunError::ServerEnded(status));
        }
        let now = self.fleet.running_for();
        let left = self
            .window
            .as_ref()
            .filter(|window| window.start <= now.as_secs());
        let status = Status {
            at: now,
            asked: self.asked,
            live: self.fleet.live(),
            left: left.map(|window| Duration::from_secs(window.end).saturating_sub(now)),
            last: self.rows.last().cloned(),
            steps: self.steps,
        };
        (self.show)(&status);
        if self.interrupted {
            return Err(RunError::Interrupted);
        }
        Ok(())
    }

    fn take_seconds(&mut self) {
        for second in self.fleet.take_seconds() {
            let window = self.window.as_ref();
            let is_held = window.is_some_and(|window| window.contains(&second.index));
            if is_held {
                self.held.merge(&second.gauges);
                self.held_seconds += 1;
            } else if window.is_none_or(|window| second.index < window.start) {
                // Who came in for this hold belongs to it.
                let _ = self.held.connects.add(&second.gauges.connects);
            }
            let stage = if is_held { "hold" } else { "ramp" };
            self.note(second.index, stage, &second.gauges);
        }
    }

    fn note(&mut self, second: u64, stage: &'static str, gauges: &Gauges) {
        self.rest.add(gauges);
        self.rows.push(Row::new(second, stage, gauges));
    }

    /// Why nobody is in, as soon as the threads have told: a refusal stands in the page of its second.
    async fn nobody(&mut self) -> RunError {
        let told_at = Duration::from_secs(self.fleet.running_for().as_secs() + 1) + 2 * LOOK_EVERY;
        while self.fleet.running_for() < told_at {
            if let Err(error) = self.pause().await {
                return error;
            }
        }
        self.take_seconds();
        let mut rest = std::mem::take(&mut self.rest);
        rest.not_started = not_started(&self.fleet);
        RunError::NobodyIn(Box::new(rest))
    }

    /// Sends everybody home and puts together what is known.
    fn end(mut self, result: Figures, found: Option<Found>) -> Ran {
        self.take_seconds();
        let rates = self.fleet.live().rates.map_or((0, 0), |rates| {
            let hz = rates.tick.hz();
            (hz, hz / rates.snapshot_every.max(1))
        });
        let not_started = not_started(&self.fleet);
        let Self {
            fleet,
            probe,
            rows,
            interrupted,
            mut rest,
            ..
        } = self;
        rest.not_started = not_started;
        rest.add(&fleet.finish());
        let work = |second: u64| -> Option<Work> {
            probe.and_then(|probe| probe.work(second as f64, second as f64 + 1.0))
        };
        let timeline = rows.into_iter().map(|row| match work(row.second) {
            Some(work) => row.with_work(&work),
            None => row,
        });
        Ran {
            result,
            found,
            rates,
            interrupted,
            timeline: timeline.collect(),
            rest,
        }
    }
}

fn not_started(fleet: &Fleet) -> NotStarted {
    let missed = fleet.missed();
    NotStarted {
        no_token: missed.no_token,
        no_socket: missed.no_socket,
        first: missed.first,
    }
}
