//! One thread of the load test: its share of the clients, a turn every millisecond, a page of books every second.
//!
//! Open loop: turns, looks and inputs are due at their own times, whatever the server does and however late this
//! thread comes to them; how late it comes is in the books as well.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: this thread lives in real time"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::agreement::Agreement;
use super::fleet::{FleetConfig, Live, Shared, lock};
use super::gauges::{Gauges, Ledger, record};
use super::light::Light;
use super::machine::thread_cpu;
use super::sockets::{
    Hub, IS_READINESS_KNOWN, OWN_AT_ONCE, Opened, Readiness, Road, SHARED_AT_ONCE, Sockets, Told,
    open,
};
use super::turns::Turns;
use super::whole::{self, Whole};
use crate::client::Client;
use crate::proto::netcode::ConnectToken;
use crate::server::clock::{ServerClock, calendar};
use crate::time::{Tick, Timestamp};

/// How often a thread looks what is due: a sixteenth of a tick at 60 Hz.
const TURN: Duration = Duration::from_millis(1);

/// Clients to whom something has come that get their turns before it is looked again what is due: a snapshot comes to all at
/// once, and nobody's input should wait until all have read it.
const READY_AT_ONCE: usize = 32;

/// A thread says how its clients fare, and learns what others know, this often.
const SHARE_EVERY: Duration = Duration::from_millis(100);

/// What the recruiter wants of a thread.
pub(super) enum Order {
    /// This client sets out.
    Join {
        /// Its place among all.
        number: u32,
        /// Boxed: two kilobytes.
        token: Box<ConnectToken>,
    },
    /// This client leaves.
    Leave {
        /// Its place among all.
        number: u32,
    },
}

/// A page of a thread's books.
pub(super) struct Page {
    pub(super) thread: usize,
    /// The second that it is about, counted from the start.
    pub(super) second: u64,
    pub(super) gauges: Gauges,
}

/// A client of either sort.
enum Player {
    Light(Box<Light<Road>>),
    Whole(Box<Whole<Road>>),
}

impl Player {
    fn is_in_game(&self) -> bool {
        match self {
            Self::Light(client) => client.is_in_game(),
            Self::Whole(client) => client.is_in_game(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Light(client) => client.is_over(),
            Self::Whole(client) => client.is_over(),
        }
    }

    fn newest(&self) -> Option<Tick> {
        match self {
            Self::Light(client) => client.newest(),
            Self::Whole(client) => client.newest(),
        }
    }

    fn look(&mut self, now: Timestamp, ledger: &mut Ledger) {
        match self {
            Self::Light(client) => client.look(now, ledger),
            Self::Whole(client) => client.look(now, ledger),
        }
    }

    fn close_books(&mut self, newest: Option<Tick>, ledger: &mut Ledger) {
        match self {
            Self::Light(client) => client.close_books(newest, ledger),
            Self::Whole(client) => client.close_books(newest, ledger),
        }
    }

    /// When it wants its next turn; never, when it is over.
    fn wake_at(&self, now: Timestamp) -> Timestamp {
        const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);
        if self.is_over() {
            return NEVER;
        }
        let (wants, road) = match self {
            Self::Light(client) => (client.wake_at(now), client.socket()),
            Self::Whole(client) => (Some(now + whole::TURN_EVERY), client.socket()),
        };
        let polled = (!IS_READINESS_KNOWN).then_some(now);
        let wants = [wants, road.next_arrival(), polled];
        wants.into_iter().flatten().min().unwrap_or(NEVER)
    }
}

/// A thread's share of the clients.
pub(super) struct Crew {
    pub(super) config: Arc<FleetConfig>,
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) clock: ServerClock,
    pub(super) started: Timestamp,
    pub(super) orders: Receiver<Order>,
    pub(super) pages: Sender<Page>,
    pub(super) readiness: Readiness,
}

impl Crew {
    /// Gives turns until it is over.
    pub(super) fn run(self) {
        let hub = match (self.config.sockets, self.config.client.server) {
            (Sockets::Shared, Some(server)) => Some(Hub::new(server, self.config.threads)),
            _ => None,
        };
        let shift = Shift {
            hub,
            places: BTreeMap::new(),
            free: Vec::new(),
            players: Vec::new(),
            wakes: Vec::new(),
            told: Told::default(),
            ready: Vec::new(),
            readable: Vec::new(),
            ledger: Ledger::default(),
            agreement: Agreement::default(),
            buffer: Box::new([0; BUFFER]),
            live: Live::default(),
            second: 0,
            last_turn: self.started,
            share_at: self.started,
            cpu: thread_cpu(),
            opened: self.started,
            crew: self,
        };
        shift.run();
    }
}

/// The longest datagram that is looked at.
const BUFFER: usize = 2_048;

/// A thread at work.
struct Shift {
    crew: Crew,
    /// Where the clients are, by number.
    places: BTreeMap<u32, usize>,
    free: Vec<usize>,
    players: Vec<Option<Player>>,
    /// When each place wants its turn: apart, because it is read a thousand times a second.
    wakes: Vec<Timestamp>,
    told: Told,
    /// The sockets, where clients share them.
    hub: Option<Hub>,
    /// Clients for which something has come.
    ready: Vec<usize>,
    /// Shared sockets that have something to read.
    readable: Vec<usize>,
    ledger: Ledger,
    agreement: Agreement,
    buffer: Box<[u8; BUFFER]>,
    live: Live,
    second: u64,
    last_turn: Timestamp,
    share_at: Timestamp,
    cpu: Duration,
    opened: Timestamp,
}

impl Shift {
    fn run(mut self) {
        let mut turns = Turns::new(TURN, self.crew.clock.now());
        while !self.crew.shared.stop.load(Ordering::Relaxed) {
            let now = self.crew.clock.now();
            if let Some(late) = turns.begin(now) {
                record(&mut self.ledger.gauges.lateness, late);
            }
            let has_more = self.turn(now);
            let left = turns.left(self.crew.clock.now());
            if !left.is_zero() && !has_more {
                std::thread::sleep(left);
            }
        }
        self.end();
    }

    /// A turn of the thread. Says whether sockets have more to read.
    fn turn(&mut self, now: Timestamp) -> bool {
        let passed = now.since(self.last_turn).as_micros();
        self.last_turn = now;
        let playing = passed.saturating_mul(self.live.in_game.into());
        self.ledger.gauges.counts.playing_us += u64::try_from(playing).unwrap_or(u64::MAX);
        self.follow_orders();
        let has_more = self.receive();
        let mut ready = std::mem::take(&mut self.ready);
        for (nth, place) in ready.drain(..).enumerate() {
            if nth > 0 && nth % READY_AT_ONCE == 0 {
                self.give_due_turns();
            }
            self.give_turn(place, true);
        }
        self.ready = ready;
        self.give_due_turns();
        if now >= self.share_at {
            self.share_at = now + SHARE_EVERY;
            self.share();
        }
        let second = now.since(self.crew.started).as_secs();
        if second > self.second {
            self.turn_page(now, second);
        }
        has_more
    }

    /// A turn for each client for whom something is due.
    fn give_due_turns(&mut self) {
        let now = self.crew.clock.now();
        for place in 0..self.wakes.len() {
            if self.wakes.get(place).is_some_and(|wake| *wake <= now) {
                self.give_turn(place, false);
            }
        }
    }

    /// Finds out for whom something has come. Says whether sockets have more to read.
    fn receive(&mut self) -> bool {
        let (readiness, told, ready) = (&self.crew.readiness, &mut self.told, &mut self.ready);
        let Some(hub) = &mut self.hub else {
            return readiness.each(OWN_AT_ONCE, told, |place| ready.push(place));
        };
        let readable = &mut self.readable;
        let mut has_more = readiness.each(SHARED_AT_ONCE, told, |at| readable.push(at));
        for at in readable.drain(..) {
            has_more |= hub.receive(at, |place| ready.push(place));
        }
        has_more
    }

    /// One client's turn, at the time at which it really is: because its socket is ready, or because something is due.
    fn give_turn(&mut self, place: usize, is_ready: bool) {
        let now = self.crew.clock.now();
        let Some(player) = self.players.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let was = (player.is_in_game(), player.is_over());
        match player {
            Player::Light(client) => {
                let most = client.socket().datagrams_in_a_turn(is_ready);
                client.turn(now, most, &mut self.ledger, &mut self.buffer[..]);
            }
            Player::Whole(client) => client.turn(now, &mut self.ledger, &mut self.agreement),
        }
        self.live.newest = self.live.newest.max(player.newest());
        let (in_game, over) = (player.is_in_game(), player.is_over());
        self.live.in_game = self.live.in_game + u32::from(in_game) - u32::from(was.0);
        self.live.over = self.live.over + u32::from(over) - u32::from(was.1);
        if let Some(wake) = self.wakes.get_mut(place) {
            *wake = player.wake_at(now);
        }
    }

    fn follow_orders(&mut self) {
        while let Ok(order) = self.crew.orders.try_recv() {
            match order {
                Order::Join { number, token } => self.join(number, *token),
                Order::Leave { number } => self.leave(number),
            }
        }
    }

    fn join(&mut self, number: u32, token: ConnectToken) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.players.push(None);
            self.wakes.push(Timestamp::ZERO);
            self.players.len() - 1
        });
        let config = &self.crew.config;
        let seed = config
            .seed
            .wrapping_add(u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let server = token.servers().first().copied();
        let opened = server.map(|server| {
            let readiness = &self.crew.readiness;
            let ends = (server, self.hub.as_mut());
            open(ends, number, readiness, place, config.conditions, seed)
        });
        let Opened {
            road,
            receive_buffer,
        } = match opened {
            Some(Ok(opened)) => opened,
            Some(Err(error)) => {
                lock(&self.crew.shared.missed).count_socket(&error);
                return self.free.push(place);
            }
            // A token names a server at least: without one it is none.
            None => return self.free.push(place),
        };
        let smallest = &self.crew.shared.receive_buffer;
        smallest.fetch_min(receive_buffer as u64, Ordering::Relaxed);
        let (now, wall_clock) = (self.crew.clock.now(), calendar());
        // Even over the numbers, and of many steps: the golden ratio's fraction.
        let phase = (f64::from(number) * 0.618_033_988_749_894_9).fract() as f32;
        let client = config.client.clone();
        let player = if config.is_whole(number) {
            let client = Client::with_socket(client, token, road, now, wall_clock);
            Player::Whole(Box::new(Whole::new(config.world, client, seed, phase)))
        } else {
            let times = (now, wall_clock);
            Player::Light(Box::new(Light::new(
                config.world,
                client,
                token,
                road,
                times,
                (seed, phase),
            )))
        };
        self.places.insert(number, place);
        if let (Some(slot), Some(wake)) = (self.players.get_mut(place), self.wakes.get_mut(place)) {
            (*slot, *wake) = (Some(player), now);
        }
    }

    fn leave(&mut self, number: u32) {
        let Some(place) = self.places.remove(&number) else {
            return;
        };
        let now = self.crew.clock.now();
        if let Some(mut player) = self.players.get_mut(place).and_then(Option::take) {
            self.live.in_game -= u32::from(player.is_in_game());
            self.live.over -= u32::from(player.is_over());
            player.look(now, &mut self.ledger);
            match &mut player {
                Player::Light(client) => client.leave(now, &mut self.ledger, &mut self.buffer[..]),
                Player::Whole(client) => client.leave(&mut self.ledger),
            }
            self.free.push(place);
        }
    }

    /// Says how the clients fare, and learns from the other threads what ages are counted from.
    fn share(&mut self) {
        let shared = &self.crew.shared;
        self.live.rates = self.ledger.rates;
        if let Some(cell) = shared.live.get(self.crew.index) {
            *lock(cell) = self.live;
        }
        if let Some(newest) = self.live.newest {
            shared.newest.fetch_max(newest.0, Ordering::Relaxed);
        }
        let mut line = lock(&shared.line);
        line.merge(&self.ledger.line);
        self.ledger.line = *line;
    }

    /// Closes the page of a second.
    fn turn_page(&mut self, now: Timestamp, second: u64) {
        let newest = self.crew.shared.newest.load(Ordering::Relaxed);
        let newest = (newest > 0).then_some(Tick(newest));
        for player in self.players.iter_mut().flatten() {
            player.look(now, &mut self.ledger);
            player.close_books(newest, &mut self.ledger);
        }
        self.send_page(now);
        self.second = second;
    }

    fn send_page(&mut self, now: Timestamp) {
        let cpu = thread_cpu();
        let counts = &mut self.ledger.gauges.counts;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        counts.cpu_us = micros(cpu.saturating_sub(self.cpu));
        counts.wall_us = micros(now.since(self.opened));
        counts.socket_errors += self.hub.as_ref().map_or(0, Hub::take_errors);
        (self.cpu, self.opened) = (cpu, now);
        // Nobody reads them any more when it is over.
        let _ = self.crew.pages.send(Page {
            thread: self.crew.index,
            second: self.second,
            gauges: std::mem::take(&mut self.ledger.gauges),
        });
    }

    fn end(mut self) {
        let numbers: Vec<_> = self.places.keys().copied().collect();
        for number in numbers {
            self.leave(number);
        }
        let now = self.crew.clock.now();
        self.send_page(now);
    }
}
