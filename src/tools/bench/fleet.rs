//! The clients of a load test: threads that each drive a share of them, and a recruiter who sends them out, calls
//! them back and lets them come and go.
//!
//! Knows how many clients there should be. What they play against may be anywhere.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: clients live in real time, on threads of their own"
)]

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::crew::{Crew, Order, Page};
use super::gauges::{Gauges, Rates};
use super::line::Line;
use super::sockets::{Readiness, Sockets};
use crate::client::ClientConfig;
use crate::id::ClientId;
use crate::netsim::ProfileConditions;
use crate::server::clock::ServerClock;
use crate::time::{Tick, Timestamp};
use crate::tools::Bundled;
use crate::tools::bots::Missed;
use crate::tools::descriptors::{self, TooFewDescriptors};
use crate::tools::tokens::TokenSource;

/// The recruiter looks this often what is due.
const NAP: Duration = Duration::from_millis(2);

/// How the clients are to be.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The most there will ever be at a time.
    pub most: u32,
    /// The identity of the first; those that follow count on.
    pub first_client: ClientId,
    /// How many set out in a second.
    pub ramp: NonZeroU32,
    /// The share of whole clients, 0 to 1.
    pub whole: f64,
    /// The game that they play.
    pub world: Bundled,
    /// What every client is told about the game.
    pub client: ClientConfig,
    /// The network under each client.
    pub conditions: ProfileConditions,
    /// Where walks, networks and the choice of who leaves begin.
    pub seed: u64,
    /// Threads that the clients share.
    pub threads: usize,
    /// Whose the sockets are. Shared ones need [`ClientConfig::server`].
    pub sockets: Sockets,
}

impl FleetConfig {
    /// Whether a client is a whole one: evenly spread over the numbers.
    #[must_use]
    pub fn is_whole(&self, number: u32) -> bool {
        self.whole_of(number.saturating_add(1)) > self.whole_of(number)
    }

    /// How many of so many clients are whole.
    #[must_use]
    pub fn whole_of(&self, clients: u32) -> u32 {
        // Rounded up: of a few clients one looks at the world at least.
        (f64::from(clients) * self.whole.clamp(0.0, 1.0)).ceil() as u32
    }
}

/// Why there is no load test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// There cannot be as many sockets.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The system has no thread, or no way to watch sockets.
    #[error("no thread for the clients: {0}")]
    Thread(#[from] io::Error),
}

/// How the clients fare at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Live {
    /// In the game.
    pub in_game: u32,
    /// Over, and not because it was their turn to leave.
    pub over: u32,
    /// Never set out: there was no token, or no socket.
    pub missed: u32,
    /// The newest snapshot tick that anybody saw.
    pub newest: Option<Tick>,
    /// How the server runs, once it has told somebody.
    pub rates: Option<Rates>,
}

impl Live {
    /// Clients of which it is known whether they got in.
    #[must_use]
    pub const fn settled(&self) -> u32 {
        self.in_game + self.over + self.missed
    }
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    /// How many clients there should be.
    wanted: AtomicU32,
    /// Of a million clients so many leave in a second and come back.
    churn: AtomicU32,
    pub(super) newest: AtomicU32,
    pub(super) line: Mutex<Line>,
    pub(super) live: Vec<Mutex<Live>>,
    pub(super) missed: Mutex<Missed>,
    /// The smallest receive buffer of any socket.
    pub(super) receive_buffer: AtomicU64,
}

/// One second of all clients together.
#[derive(Debug)]
pub struct Second {
    /// Which one, counted from the start.
    pub index: u64,
    /// What was counted and timed in it.
    pub gauges: Gauges,
}

/// Clients that play.
#[derive(Debug)]
#[must_use = "clients play until they are finished"]
pub struct Fleet {
    shared: Arc<Shared>,
    clock: ServerClock,
    started: Timestamp,
    threads: Vec<JoinHandle<()>>,
    pages: Receiver<Page>,
    desk: Desk,
}

impl Fleet {
    /// Starts the threads; nobody sets out before [`Self::set_clients`].
    ///
    /// # Errors
    ///
    /// When there cannot be so many sockets, or the system has no thread to give.
    pub fn start(
        config: FleetConfig,
        source: impl TokenSource + 'static,
    ) -> Result<Self, FleetError> {
        let count = config.threads.max(1);
        let sockets = config.sockets.count(config.most, count);
        descriptors::make_room(sockets + 4 * count as u64)?;
        let clock = ServerClock::start();
        let started = clock.now();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            wanted: AtomicU32::new(0),
            churn: AtomicU32::new(0),
            newest: AtomicU32::new(0),
            line: Mutex::default(),
            live: (0..count).map(|_| Mutex::default()).collect(),
            missed: Mutex::default(),
            receive_buffer: AtomicU64::new(u64::MAX),
        });
        let config = Arc::new(config);
        let (out, pages) = mpsc::channel();
        let mut fleet = Self {
            shared: Arc::clone(&shared),
            clock,
            started,
            threads: Vec::with_capacity(count),
            pages,
            desk: Desk::new(count),
        };
        let mut roads = Vec::with_capacity(count);
        for index in 0..count {
            let (road, orders) = mpsc::channel();
            roads.push(road);
            let crew = Crew {
                config: Arc::clone(&config),
                shared: Arc::clone(&shared),
                index,
                clock,
                started,
                orders,
                pages: out.clone(),
                readiness: Readiness::new()?,
            };
            let thread = Builder::new().name(format!("bench-{index}"));
            fleet.threads.push(thread.spawn(|| crew.run())?);
        }
        let recruiter = Recruiter::new(config, shared, clock, source, roads);
        // Nobody waits for its end: it may be waiting itself, for an answer that takes seconds.
        Builder::new()
            .name("recruiter".to_owned())
            .spawn(|| recruiter.run())?;
        Ok(fleet)
    }

    /// From now on there should be so many clients: they set out at the pace of the ramp, and leave at once.
    pub fn set_clients(&self, clients: u32) {
        self.shared.wanted.store(clients, Ordering::Relaxed);
    }

    /// From now on this share of the clients (0 to 1) leaves in each second and comes back.
    pub fn set_churn(&self, share: f64) {
        let millionths = (share.clamp(0.0, 1.0) * 1e6) as u32;
        self.shared.churn.store(millionths, Ordering::Relaxed);
    }

    /// How they fare, as of the last tenth of a second.
    #[must_use]
    pub fn live(&self) -> Live {
        let mut live = Live::default();
        for of_thread in &self.shared.live {
            let of_thread = *lock(of_thread);
            live.in_game += of_thread.in_game;
            live.over += of_thread.over;
            live.newest = live.newest.max(of_thread.newest);
            live.rates = live.rates.or(of_thread.rates);
        }
        live.missed = self.missed().total();
        live
    }

    /// Clients that never set out, and why.
    #[must_use]
    pub fn missed(&self) -> Missed {
        lock(&self.shared.missed).clone()
    }

    /// The smallest receive buffer that a socket was granted, in bytes; `None` before there is one.
    #[must_use]
    pub fn receive_buffer(&self) -> Option<u64> {
        let bytes = self.shared.receive_buffer.load(Ordering::Relaxed);
        (bytes < u64::MAX).then_some(bytes)
    }

    /// The time since the start.
    #[must_use]
    pub fn running_for(&self) -> Duration {
        self.clock.now().since(self.started)
    }

    /// The clock that seconds are counted on, and its reading at the start.
    #[must_use]
    pub const fn clock(&self) -> (ServerClock, Timestamp) {
        (self.clock, self.started)
    }

    /// The seconds that are over for all threads and were not taken yet, in order.
    pub fn take_seconds(&mut self) -> Vec<Second> {
        while let Ok(page) = self.pages.try_recv() {
            self.desk.add(page);
        }
        self.desk.take()
    }

    /// Sends everybody home, and gives what was not taken yet, all in one.
    #[must_use]
    pub fn finish(mut self) -> Gauges {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so on stderr; its books are lost, and the counts show it.
            let _ = thread.join();
        }
        let mut rest = Gauges::default();
        for second in self.take_seconds() {
            rest.merge(&second.gauges);
        }
        for (_, gauges) in std::mem::take(&mut self.desk.open) {
            rest.merge(&gauges);
        }
        rest
    }
}

impl Drop for Fleet {
    /// A fleet that nobody finished ends by itself, in a moment.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Puts the pages of all threads together.
#[derive(Debug)]
struct Desk {
    open: BTreeMap<u64, Gauges>,
    /// The last second of which each thread has told.
    told: Vec<Option<u64>>,
}

impl Desk {
    fn new(threads: usize) -> Self {
        Self {
            open: BTreeMap::new(),
            told: vec![None; threads],
        }
    }

    fn add(&mut self, page: Page) {
        self.open
            .entry(page.second)
            .or_default()
            .merge(&page.gauges);
        if let Some(told) = self.told.get_mut(page.thread) {
            *told = (*told).max(Some(page.second));
        }
    }

    /// The seconds of which everybody has told: a thread that slept through one has told of a later one.
    fn take(&mut self) -> Vec<Second> {
        let Some(all_told) = self.told.iter().copied().min().flatten() else {
            return Vec::new();
        };
        let rest = self.open.split_off(&(all_told + 1));
        let over = std::mem::replace(&mut self.open, rest);
        let seconds = over.into_iter();
        seconds
            .map(|(index, gauges)| Second { index, gauges })
            .collect()
    }
}

/// Sends clients out, calls them back, lets them come and go.
struct Recruiter<S> {
    config: Arc<FleetConfig>,
    shared: Arc<Shared>,
    clock: ServerClock,
    source: S,
    crews: Vec<Sender<Order>>,
    rng: Xoshiro256PlusPlus,
    /// How many have been sent out and not called back.
    out: u32,
    /// How many tokens were asked for.
    tokens: u64,
    has_one: bool,
}

impl<S: TokenSource> Recruiter<S> {
    fn new(
        config: Arc<FleetConfig>,
        shared: Arc<Shared>,
        clock: ServerClock,
        source: S,
        crews: Vec<Sender<Order>>,
    ) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(config.seed),
            config,
            shared,
            clock,
            source,
            crews,
            out: 0,
            tokens: 0,
            has_one: false,
        }
    }

    fn run(mut self) {
        let (mut before, mut ramp, mut leaving) = (self.clock.now(), 0.0, 0.0);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            let passed = now.since(before).as_secs_f64();
            before = now;
            let wanted = self
                .shared
                .wanted
                .load(Ordering::Relaxed)
                .min(self.config.most);
            while self.out > wanted {
                self.out -= 1;
                self.order(self.out, |number| Order::Leave { number });
            }
            ramp += passed * f64::from(self.config.ramp.get());
            while ramp >= 1.0 && self.out < wanted {
                ramp -= 1.0;
                self.send(self.out);
                self.out += 1;
            }
            // What is not used is not saved up, or the next ones would come all at once.
            ramp = ramp.min(1.0);
            let churn = f64::from(self.shared.churn.load(Ordering::Relaxed)) / 1e6;
            leaving += passed * churn * f64::from(self.out);
            while leaving >= 1.0 && self.out > 0 {
                leaving -= 1.0;
                let number = self.rng.random_range(0..self.out);
                self.order(number, |number| Order::Leave { number });
                self.send(number);
            }
            std::thread::sleep(NAP);
        }
    }

    /// Gets a token for a client and sends it out.
    fn send(&mut self, number: u32) {
        let client = ClientId(self.config.first_client.0.wrapping_add(self.tokens));
        self.tokens += 1;
        match self.source.token(client) {
            Ok(token) => {
                self.has_one = true;
                let token = Box::new(token);
                self.order(number, |number| Order::Join { number, token });
            }
            Err(error) if self.has_one => lock(&self.shared.missed).count_tokens(1, &error),
            // The first request says whether there is anybody to ask.
            Err(error) => {
                lock(&self.shared.missed).count_tokens(self.config.most, &error);
                self.shared.wanted.store(0, Ordering::Relaxed);
            }
        }
    }

    fn order(&self, number: u32, order: impl FnOnce(u32) -> Order) {
        if let Some(crew) = self.crews.get(number as usize % self.crews.len().max(1)) {
            // A thread that is gone has been told to stop.
            let _ = crew.send(order(number));
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(whole: f64) -> FleetConfig {
        FleetConfig {
            most: 1_000,
            first_client: ClientId(1),
            ramp: NonZeroU32::MIN,
            whole,
            world: Bundled::Arena,
            client: ClientConfig::new(Bundled::Arena.schema()),
            conditions: ProfileConditions::default(),
            seed: 1,
            threads: 2,
            sockets: Sockets::Own,
        }
    }

    #[test]
    fn whole_clients_are_spread_over_the_numbers() {
        for (share, of_100, of_1) in [(0.0, 0, 0), (0.05, 5, 1), (0.5, 50, 1), (1.0, 100, 1)] {
            let config = config(share);
            let whole = |clients: u32| (0..clients).filter(|it| config.is_whole(*it)).count();
            assert_eq!(whole(100), of_100, "{share}");
            assert_eq!(whole(1), of_1, "{share}");
            assert_eq!(config.whole_of(100) as usize, of_100);
        }
    }

    fn page(thread: usize, second: u64, joined: u64) -> Page {
        let mut gauges = Gauges::default();
        gauges.counts.joined = joined;
        Page {
            thread,
            second,
            gauges,
        }
    }

    #[test]
    fn a_second_is_over_when_every_thread_has_told_of_it_or_of_a_later_one() {
        let mut desk = Desk::new(2);
        desk.add(page(0, 0, 1));
        desk.add(page(0, 1, 2));
        assert!(desk.take().is_empty(), "the other thread has not told yet");
        // It slept through second 0.
        desk.add(page(1, 1, 40));
        let taken = desk.take();
        let told: Vec<_> = taken
            .iter()
            .map(|it| (it.index, it.gauges.counts.joined))
            .collect();
        assert_eq!(told, [(0, 1), (1, 42)]);
        assert!(desk.take().is_empty(), "each is taken once");
    }
}
