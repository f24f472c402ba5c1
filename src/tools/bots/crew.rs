//! The two kinds of threads behind a swarm: crews, each with its share of bots, and the recruiter, who gets a token for
//! each bot when its turn comes.
//!
//! Knows turns and rounds. What a bot does in its round is its own affair.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::tally::{Books, Times};
use super::{Bot, Live, Phase, Shared, SwarmConfig, lock};
use crate::client::{Client, StdSocket};
use crate::id::ClientId;
use crate::proto::netcode::ConnectToken;
use crate::server::clock::{ServerClock, calendar};
use crate::time::Timestamp;
use crate::tools::ConditionedSocket;
use crate::tools::tokens::TokenSource;

/// How long a thread of bots rests between two rounds: a fifth of a tick at 60 Hz, so that inputs leave
/// when they are due, give or take.
const REST: Duration = Duration::from_millis(3);

/// A thread says how its bots fare this often.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The recruiter looks this often whether it should stop.
const NAP: Duration = Duration::from_millis(20);

/// A bot's number and its token.
pub(super) type Recruit = (u32, ConnectToken);

/// Gets a token for each bot when its turn comes, and hands it to its crew.
pub(super) fn recruit(
    config: &SwarmConfig,
    shared: &Shared,
    clock: ServerClock,
    source: &mut dyn TokenSource,
    crews: &[Sender<Recruit>],
) {
    let started = clock.now();
    let mut has_one = false;
    for number in 0..config.bots {
        let due = started + config.ramp.turn_of(number);
        if !wait_until(due, shared, clock) {
            return;
        }
        let client = ClientId(config.first_client.0.wrapping_add(number.into()));
        match source.token(client) {
            Ok(token) => {
                has_one = true;
                if let Some(crew) = crews.get(number as usize % crews.len().max(1)) {
                    // A crew that is gone has been told to stop.
                    let _ = crew.send((number, token));
                }
            }
            Err(error) if has_one => lock(&shared.missed).count_tokens(1, &error),
            // The first request says whether there is anybody to ask.
            Err(error) => {
                return lock(&shared.missed).count_tokens(config.bots - number, &error);
            }
        }
    }
}

/// Sleeps until a moment; `false` when it is over before.
fn wait_until(due: Timestamp, shared: &Shared, clock: ServerClock) -> bool {
    loop {
        if shared.stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.since(clock.now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(NAP));
    }
}

/// The bots of one thread.
pub(super) struct Crew {
    pub(super) config: SwarmConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) clock: ServerClock,
    pub(super) recruits: Receiver<Recruit>,
    pub(super) bots: Vec<Bot<ConditionedSocket<StdSocket>>>,
    pub(super) times: Times,
    pub(super) phase: Phase,
}

impl Crew {
    /// Plays rounds until it is over, and adds up the books.
    pub(super) fn run(mut self) -> Books {
        let mut report_at = self.clock.now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.set_out(now);
            self.follow_phase(now);
            for bot in &mut self.bots {
                bot.update(now, &mut self.times);
            }
            if now >= report_at {
                report_at = now + REPORT_EVERY;
                *lock(&self.shared.live[self.index]) = Live::of(&self.bots);
            }
            std::thread::sleep(REST);
        }
        // Whatever it was busy with: the last phase is entered, or bots that played would not be counted.
        self.follow_phase(self.clock.now());
        let mut books = Books {
            times: self.times,
            ..Books::default()
        };
        for bot in self.bots {
            bot.finish(&mut books.tally);
        }
        books
    }

    fn follow_phase(&mut self, now: Timestamp) {
        let wanted = *lock(&self.shared.phase);
        if wanted != self.phase {
            self.phase = wanted;
            self.bots.iter_mut().for_each(|bot| bot.enter(wanted, now));
        }
    }

    /// Sends out the bots that have got their tokens.
    fn set_out(&mut self, now: Timestamp) {
        while let Ok((number, token)) = self.recruits.try_recv() {
            let seed = self
                .config
                .seed
                .wrapping_add(u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            // A token names a server at least: without one it is none.
            let Some(server) = token.servers().first().copied() else {
                continue;
            };
            match StdSocket::for_server(server) {
                Ok(socket) => {
                    let socket = ConditionedSocket::new(socket, self.config.conditions, seed);
                    let config = self.config.client.clone();
                    let client = Client::with_socket(config, token, socket, now, calendar());
                    let mut bot = Bot::new(client, seed, self.config.check.clone());
                    bot.enter(self.phase, now);
                    self.bots.push(bot);
                }
                Err(error) => lock(&self.shared.missed).count_socket(&error),
            }
        }
    }
}
