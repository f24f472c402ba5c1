//! Bots by the hundred in one process: each a whole client, all of them on a few threads.
//!
//! A [`Swarm`] sends them out one after the other, says how they fare while it runs, and adds up their books in the
//! end. What they play against may be in this process or anywhere.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: bots live in real time, on threads of their own"
)]

mod bot;
mod brain;
mod course;
mod crew;
mod live;
mod pilot;
mod tally;

use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::client::ClientConfig;
use crate::id::ClientId;
use crate::netsim::ProfileConditions;
use crate::server::clock::ServerClock;
use crate::time::Timestamp;
use crate::tools::descriptors::{self, TooFewDescriptors};
use crate::tools::tokens::TokenSource;

pub use bot::{Bot, Check, Phase};
pub use brain::Brain;
pub use course::{Course, Ending, Stage, aftermath, conduct};
use crew::Crew;
pub use live::{Live, Meter, Rates};
pub use pilot::Pilot;
pub use tally::{Books, Missed, Tally, Times};

/// More threads than this do not help: bots wait for the network most of the time.
const MAX_THREADS: usize = 16;

/// How many bots set out in a second, so that a thousand of them are not a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp(pub NonZeroU32);

impl Ramp {
    /// Five hundred a second: a machine that serves them can take them in.
    pub const FAST: Self = Self(NonZeroU32::MIN.saturating_add(499));

    /// When a bot's turn comes, counted from the start.
    #[must_use]
    pub fn turn_of(self, number: u32) -> Duration {
        Duration::from_secs(number.into()) / self.0.get()
    }
}

/// How bots are to be.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
    /// How many there are.
    pub bots: u32,
    /// The identity of the first; the others follow.
    pub first_client: ClientId,
    /// How fast they set out.
    pub ramp: Ramp,
    /// What every client is told about the game.
    pub client: ClientConfig,
    /// The network under each bot's socket.
    pub conditions: ProfileConditions,
    /// Where brains and networks begin.
    pub seed: u64,
    /// What replicas are held against, if they are.
    pub check: Option<Check>,
    /// Threads that the bots share.
    pub threads: usize,
}

impl SwarmConfig {
    /// As many threads as the machine has processors, and two at the least.
    #[must_use]
    pub fn usual_threads() -> usize {
        std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, MAX_THREADS))
    }
}

/// Why there is no swarm.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// There cannot be a socket for each bot.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The system has no thread to give.
    #[error("no thread for the bots: {0}")]
    Thread(#[from] io::Error),
}

/// What the threads and their owner share.
#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    stop: AtomicBool,
    live: Vec<Mutex<Live>>,
    missed: Mutex<Missed>,
}

/// Bots that play.
#[derive(Debug)]
#[must_use = "bots play until they are finished"]
pub struct Swarm {
    shared: Arc<Shared>,
    clock: ServerClock,
    started: Timestamp,
    crews: Vec<JoinHandle<Books>>,
}

impl Swarm {
    /// Starts the threads; the bots set out one after the other, each with a token from `source`.
    ///
    /// # Errors
    ///
    /// When there cannot be so many sockets, or the system has no thread to give.
    pub fn start(
        config: SwarmConfig,
        mut source: impl TokenSource + 'static,
    ) -> Result<Self, SwarmError> {
        descriptors::make_room(config.bots.into())?;
        let count = config.threads.clamp(1, (config.bots as usize).max(1));
        let clock = ServerClock::start();
        let shared = Arc::new(Shared {
            phase: Mutex::new(Phase::Joining),
            stop: AtomicBool::new(false),
            live: (0..count).map(|_| Mutex::default()).collect(),
            missed: Mutex::default(),
        });
        let mut swarm = Self {
            shared: Arc::clone(&shared),
            clock,
            started: clock.now(),
            crews: Vec::with_capacity(count),
        };
        let mut roads = Vec::with_capacity(count);
        for index in 0..count {
            let (road, recruits) = mpsc::channel();
            roads.push(road);
            let crew = Crew {
                config: config.clone(),
                shared: Arc::clone(&shared),
                index,
                clock,
                recruits,
                bots: Vec::new(),
                times: Times::default(),
                phase: Phase::Joining,
            };
            let name = format!("bots-{index}");
            swarm
                .crews
                .push(Builder::new().name(name).spawn(|| crew.run())?);
        }
        // Nobody waits for the recruiter's end: it may be waiting itself, for an answer that takes seconds.
        Builder::new().name("recruiter".to_owned()).spawn(move || {
            crew::recruit(&config, &shared, clock, &mut source, &roads);
        })?;
        Ok(swarm)
    }

    /// How they fare, as of the last fifth of a second.
    #[must_use]
    pub fn live(&self) -> Live {
        let mut live = Live::default();
        for crew in &self.shared.live {
            live.merge(*lock(crew));
        }
        live.missed = lock(&self.shared.missed).total();
        live
    }

    /// The time since the start.
    #[must_use]
    pub fn running_for(&self) -> Duration {
        self.clock.now().since(self.started)
    }

    /// Enters the next part of the run, within a few milliseconds.
    pub fn enter(&self, phase: Phase) {
        *lock(&self.shared.phase) = phase;
    }

    /// Ends them all, and adds up their books.
    #[must_use]
    pub fn finish(mut self) -> Books {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut books = Books::default();
        for crew in self.crews.drain(..) {
            // A thread that panicked has told so on stderr; its books are lost, and the counts show it.
            if let Ok(of_crew) = crew.join() {
                books.merge(of_crew);
            }
        }
        books.missed = lock(&self.shared.missed).clone();
        books
    }
}

impl Drop for Swarm {
    /// A swarm that nobody finished ends by itself, in a moment.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_as_fast_as_the_ramp_says() {
        let ramp = Ramp(NonZeroU32::new(100).expect("not zero"));
        assert_eq!(ramp.turn_of(0), Duration::ZERO);
        assert_eq!(ramp.turn_of(250), Duration::from_millis(2_500));
        assert_eq!(Ramp::FAST.turn_of(1), Duration::from_millis(2));
    }
}
