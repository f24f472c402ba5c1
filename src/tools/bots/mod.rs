//! Bots by the hundred in one process: each a whole client, all of them on a few threads.
//!
//! A [`Swarm`] starts them, says how they fare while it runs, and adds up their books in the end.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: bots live in real time, on threads of their own"
)]

mod bot;
mod brain;
mod tally;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::{Client, ClientConfig, StdSocket};
use crate::netsim::ProfileConditions;
use crate::proto::netcode::ConnectToken;
use crate::server::clock::{ServerClock, calendar};
use crate::time::Timestamp;
use crate::tools::ConditionedSocket;
use crate::tools::report::microseconds;

pub use bot::{Bot, Check, Phase};
pub use brain::Brain;
pub use tally::Tally;

/// How long a thread of bots rests between two rounds: a fifth of a tick at 60 Hz, so that inputs leave
/// when they are due, give or take.
const REST: Duration = Duration::from_millis(3);

/// Bots set out one after the other, so that a thousand of them are not a flood.
const SET_OUT_EVERY: Duration = Duration::from_millis(2);

/// A thread says how its bots fare this often.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// How bots are to be.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
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

/// How the bots fare at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Live {
    /// In the game.
    pub in_game: u32,
    /// Over, for whatever reason.
    pub over: u32,
    /// The sum of their smoothed round trips, in milliseconds.
    rtt_ms: f64,
    /// The sum of their shares of lost datagrams.
    loss: f64,
    /// All bytes up and down so far.
    pub bytes: (u64, u64),
}

impl Live {
    /// The mean round trip in milliseconds.
    #[must_use]
    pub fn rtt_ms(&self) -> f64 {
        self.rtt_ms / f64::from(self.in_game.max(1))
    }

    /// The mean share of lost datagrams.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss / f64::from(self.in_game.max(1))
    }

    fn of(bots: &[Bot<ConditionedSocket<StdSocket>>]) -> Self {
        let mut live = Self::default();
        for bot in bots {
            let stats = bot.client().stats();
            live.bytes.0 += stats.up.bytes;
            live.bytes.1 += stats.down.bytes;
            live.over += u32::from(bot.client().is_over());
            if bot.is_in_game() {
                live.in_game += 1;
                live.rtt_ms += stats.rtt.unwrap_or_default().as_secs_f64() * 1e3;
                live.loss += f64::from(stats.loss);
            }
        }
        live
    }

    fn merge(&mut self, other: Self) {
        self.in_game += other.in_game;
        self.over += other.over;
        self.rtt_ms += other.rtt_ms;
        self.loss += other.loss;
        self.bytes.0 += other.bytes.0;
        self.bytes.1 += other.bytes.1;
    }
}

/// What the threads and their owner share.
#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    stop: AtomicBool,
    live: Vec<Mutex<Live>>,
}

/// Bots that play.
#[derive(Debug)]
pub struct Swarm {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<(Tally, Histogram<u64>)>>,
}

impl Swarm {
    /// Starts one bot for each token.
    ///
    /// # Errors
    ///
    /// When the system has no socket or no thread to give.
    pub fn start(config: &SwarmConfig, tokens: Vec<ConnectToken>) -> io::Result<Self> {
        let count = config.threads.clamp(1, tokens.len().max(1));
        let shared = Arc::new(Shared {
            phase: Mutex::new(Phase::Joining),
            stop: AtomicBool::new(false),
            live: (0..count).map(|_| Mutex::default()).collect(),
        });
        let mut shares: Vec<Vec<(u64, ConnectToken)>> = vec![Vec::new(); count];
        for (number, token) in (0_u64..).zip(tokens) {
            shares[number as usize % count].push((number, token));
        }
        let clock = ServerClock::start();
        let mut threads = Vec::with_capacity(count);
        for (index, share) in shares.into_iter().enumerate() {
            let (config, shared) = (config.clone(), Arc::clone(&shared));
            let name = format!("bots-{index}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || {
                Crew {
                    config,
                    shared,
                    index,
                    clock,
                    waiting: share.into(),
                    bots: Vec::new(),
                }
                .run()
            })?);
        }
        Ok(Self { shared, threads })
    }

    /// How they fare.
    #[must_use]
    pub fn live(&self) -> Live {
        let mut live = Live::default();
        for crew in &self.shared.live {
            live.merge(*lock(crew));
        }
        live
    }

    /// Enters the next part of the run, within a few milliseconds.
    pub fn enter(&self, phase: Phase) {
        *lock(&self.shared.phase) = phase;
    }

    /// Ends them all, and adds up their books.
    #[must_use]
    pub fn finish(self) -> (Tally, Histogram<u64>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let (mut tally, mut round_trips) = (Tally::default(), microseconds());
        for thread in self.threads {
            // A thread that panicked has told so on stderr; its books are lost, and the counts show it.
            if let Ok((books, trips)) = thread.join() {
                tally.merge(books);
                let _ = round_trips.add(&trips);
            }
        }
        (tally, round_trips)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bots of one thread.
struct Crew {
    config: SwarmConfig,
    shared: Arc<Shared>,
    index: usize,
    clock: ServerClock,
    waiting: std::collections::VecDeque<(u64, ConnectToken)>,
    bots: Vec<Bot<ConditionedSocket<StdSocket>>>,
}

impl Crew {
    fn run(mut self) -> (Tally, Histogram<u64>) {
        let started = self.clock.now();
        let mut phase = Phase::Joining;
        let mut report_at = started;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.set_out(started, now);
            let wanted = *lock(&self.shared.phase);
            if wanted != phase {
                phase = wanted;
                self.bots.iter_mut().for_each(|bot| bot.enter(phase));
            }
            for bot in &mut self.bots {
                bot.update(now);
            }
            if now >= report_at {
                report_at = now + REPORT_EVERY;
                *lock(&self.shared.live[self.index]) = Live::of(&self.bots);
            }
            std::thread::sleep(REST);
        }
        let (mut tally, mut round_trips) = (Tally::default(), microseconds());
        for bot in self.bots {
            bot.finish(&mut tally, &mut round_trips);
        }
        (tally, round_trips)
    }

    /// Sends out the bots whose turn has come.
    fn set_out(&mut self, started: Timestamp, now: Timestamp) {
        while let Some((number, _)) = self.waiting.front()
            && now >= started + SET_OUT_EVERY.saturating_mul(u32::try_from(*number).unwrap_or(0))
            && let Some((number, token)) = self.waiting.pop_front()
        {
            let seed = self
                .config
                .seed
                .wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let Some(server) = token.servers().first().copied() else {
                continue;
            };
            match StdSocket::for_server(server) {
                Ok(socket) => {
                    let socket = ConditionedSocket::new(socket, self.config.conditions, seed);
                    let config = self.config.client.clone();
                    let client = Client::with_socket(config, token, socket, now, calendar());
                    self.bots
                        .push(Bot::new(client, seed, self.config.check.clone()));
                }
                Err(error) => tracing::error!(number, %error, "no socket for a bot"),
            }
        }
    }
}
