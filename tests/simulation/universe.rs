//! The whole product without sockets and threads, in virtual time: one server, its clients, the network.
//!
//! Jumps from one moment at which something is due to the next. What is promised is checked where it happens;
//! the first broken promise ends the run, with its words.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{RngExt as _, SeedableRng as _};
use tickwire::client::{Client, ClientConfig};
use tickwire::id::{ClientId, UserData};
use tickwire::proto::channel::LinkConfig;
use tickwire::proto::netcode::{ConnectToken, Key, TokenSpec};
use tickwire::time::{Timestamp, UnixTime};

use crate::air::{Air, AirSocket, SharedAir, Tapped, server_address};
use crate::host::{Host, PROTOCOL};
use crate::hostile::Hostile;
use crate::ledger::{Ledger, Life};
use crate::model::{BULK, LOOSE, channels};
use crate::plan::{Fault, Plan, TIMEOUT};
use crate::player::{Player, Seat};

pub(crate) type Verdict = Result<(), String>;

/// The calendar when a run begins.
const EPOCH: u64 = 1_700_000_000;

/// The slow checks (queues, memory, zombies) come this often.
const AUDIT_EVERY: Duration = Duration::from_millis(250);

/// What a test breaks on purpose, to see that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// One value of one replica is changed before it is looked at.
    Value,
    /// One entity is missing from one complete replica.
    Omission,
    /// A message that arrived is not passed on.
    SwallowedMessage,
    /// A message that arrived is passed on twice.
    DoubledMessage,
    /// A client's network is cut for good, and the books do not know.
    SilentCut,
}

pub(crate) struct Universe {
    pub(crate) plan: Plan,
    pub(crate) now: Timestamp,
    pub(crate) air: SharedAir,
    pub(crate) host: Option<Host>,
    pub(crate) players: Vec<Player>,
    pub(crate) ledger: Ledger,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) hostiles: Vec<Hostile>,
    pub(crate) link: Arc<LinkConfig>,
    pub(crate) key: Key,
    pub(crate) rng: Xoshiro256PlusPlus,
    pub(crate) secrets: ChaCha8Rng,
    /// The server's calendar is off by so many seconds.
    pub(crate) wall_off: i64,
    pub(crate) faults: VecDeque<(Timestamp, Fault)>,
    /// When a killed server is started again.
    pub(crate) up_at: Option<Timestamp>,
    pub(crate) stalled_until: Timestamp,
    pub(crate) frozen_until: Timestamp,
    pub(crate) frozen_time: Duration,
    /// What reached the socket of a server that stands still.
    pub(crate) socket_queue: VecDeque<Tapped>,
    pub(crate) forge_at: Option<Timestamp>,
    pub(crate) audit_at: Timestamp,
    pub(crate) chatter: u32,
    /// A player whose client ends starts another.
    pub(crate) players_return: bool,
}

impl Universe {
    pub(crate) fn new(plan: Plan, is_told: bool) -> Self {
        let seed = plan.setup.seed;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7157);
        let mut secrets = ChaCha8Rng::seed_from_u64(rng.random());
        let key = Key::generate(&mut secrets);
        let air = Air::new(rng.random(), is_told);
        let numbered = plan.players.iter().cloned().enumerate();
        let players = numbered
            .map(|(index, plan)| Player::new(index, plan, seed))
            .collect();
        let mut universe = Self {
            now: Timestamp::ZERO,
            air,
            host: None,
            players,
            ledger: Ledger::default(),
            sabotage: None,
            hostiles: Vec::new(),
            link: Arc::new(channels()),
            key,
            rng,
            secrets,
            wall_off: 0,
            faults: plan.faults.iter().cloned().collect(),
            up_at: None,
            stalled_until: Timestamp::ZERO,
            frozen_until: Timestamp::ZERO,
            frozen_time: Duration::ZERO,
            socket_queue: VecDeque::new(),
            forge_at: plan.forgers.then_some(Timestamp::from_millis(500)),
            audit_at: Timestamp::ZERO,
            chatter: plan.chatter,
            players_return: true,
            plan,
        };
        universe.start_server();
        for number in 0..universe.plan.hostiles {
            // Some within their allowance, some far above.
            let eager = universe.rng.random_range(1..20);
            universe.join_hostile(number, Some(eager));
        }
        universe
    }

    /// Writes a line into the story.
    pub(crate) fn tell(&self, name: &'static str, who: u64, what: impl FnOnce() -> String) {
        self.air.borrow_mut().story.event(name, who, what);
    }

    /// The calendar of everybody but the server.
    pub(crate) fn calendar(&self) -> UnixTime {
        UnixTime(EPOCH + self.now.as_micros() / 1_000_000)
    }

    /// The server's own calendar.
    pub(crate) fn wall(&self) -> UnixTime {
        UnixTime(self.calendar().0.saturating_add_signed(self.wall_off))
    }

    pub(crate) fn start_server(&mut self) {
        let started = (EPOCH * 1_000_000 + self.now.as_micros())
            .saturating_add_signed(self.wall_off * 1_000_000);
        self.host = Some(Host::start(
            &self.plan.setup,
            Arc::clone(&self.link),
            self.key.clone(),
            self.now,
            started,
            &mut self.secrets,
        ));
        self.ledger.server_started();
        self.tell("server starts", u64::from(self.ledger.server), String::new);
    }

    pub(crate) fn token(&mut self, client: ClientId) -> ConnectToken {
        let spec = TokenSpec {
            protocol_id: PROTOCOL,
            client,
            servers: vec![server_address()],
            created: self.calendar(),
            expires: self.calendar().plus_seconds(30),
            timeout_seconds: TIMEOUT.as_secs() as i32,
            user_data: UserData::default(),
        };
        spec.issue(&self.key, &mut self.secrets)
            .expect("a good token")
    }

    pub(crate) fn join_hostile(&mut self, number: u32, eager: Option<u32>) -> SocketAddr {
        let address = SocketAddr::from(([10, 66, number as u8, 6], 666));
        let client = ClientId(666_000 + u64::from(number));
        let token = self.token(client);
        let link = Arc::clone(&self.link);
        self.hostiles
            .push(Hostile::new(address, token, link, self.now, eager));
        let life = Life::new(client, self.ledger.server, true);
        self.ledger.lives.insert(address, life);
        address
    }

    /// Starts a player's client with a new token.
    pub(crate) fn join(&mut self, index: usize) {
        let id = self.players[index].id;
        let token = self.token(id);
        self.join_with(index, token);
    }

    pub(crate) fn join_with(&mut self, index: usize, token: ConnectToken) {
        let calendar = self.calendar();
        let player = &mut self.players[index];
        let address = player.next_address();
        self.air.borrow_mut().set_host(address, player.conditions());
        let inbox = Seat::inbox();
        let socket = AirSocket {
            air: Rc::clone(&self.air),
            address,
            inbox: Rc::clone(&inbox),
        };
        let config = ClientConfig {
            link: Arc::clone(&self.link),
            schema: tickwire::game::arena::schema(),
            protocol_id: Some(PROTOCOL),
            server: Some(server_address()),
        };
        let client = Client::with_socket(config, token, socket, player.clock(self.now), calendar);
        player.seat = Some(Seat::new(client, address, inbox));
        player.back_at = None;
        let id = player.id;
        let mut life = Life::new(id, self.ledger.server, false);
        life.was_hindered = self.wall_off != 0 || self.host.is_none() || self.ledger.has_seat(id);
        self.ledger.lives.insert(address, life);
        self.tell("joins", id.0, || format!("from {address}"));
    }

    /// Runs until this moment.
    pub(crate) fn run_until(&mut self, end: Timestamp) -> Verdict {
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.step(next)?;
        }
        self.set_time(end);
        Ok(())
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> Verdict {
        self.run_until(self.now + time)
    }

    fn set_time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.air.borrow_mut().set_time(self.now);
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let server = self.host.as_ref().map(|host| {
            let tick = host.pace.next_wake().max(self.stalled_until);
            let timer = host.next_timer().unwrap_or(tick);
            tick.min(timer).max(self.frozen_until)
        });
        let players = self.players.iter().filter_map(|player| match player.seat {
            Some(_) => Some(player.next_frame),
            None => player.back_at,
        });
        let hostiles = self.hostiles.iter().map(|hostile| hostile.next);
        let arrival = self.air.borrow().network.next_arrival();
        let fault = self.faults.front().map(|(at, _)| *at);
        [
            server,
            arrival,
            fault,
            self.up_at,
            self.forge_at,
            Some(self.audit_at),
        ]
        .into_iter()
        .flatten()
        .chain(players)
        .chain(hostiles)
        .min()
    }

    fn step(&mut self, next: Timestamp) -> Verdict {
        self.set_time(next);
        self.run_faults()?;
        if self.up_at.is_some_and(|at| at <= self.now) {
            self.up_at = None;
            self.start_server();
        }
        self.deliver();
        self.serve()?;
        for index in 0..self.players.len() {
            if self.players[index].seat.is_none() {
                if self.players[index].back_at.is_some_and(|at| at <= self.now) {
                    self.join(index);
                }
            } else if self.players[index].next_frame <= self.now {
                self.frame(index)?;
            }
        }
        for hostile in &mut self.hostiles {
            if hostile.next <= self.now {
                hostile.act(self.now, &self.air, &mut self.rng);
            }
        }
        self.forge();
        if self.audit_at <= self.now {
            self.audit_at = self.now + AUDIT_EVERY;
            self.audit()?;
        }
        Ok(())
    }

    fn deliver(&mut self) {
        loop {
            let arrival = self.air.borrow_mut().deliver();
            let Some(mut arrival) = arrival else { return };
            if arrival.to == server_address() {
                // A socket's buffer, which drops what does not fit.
                if self.host.is_some() && self.socket_queue.len() < 2_048 {
                    self.socket_queue.push_back(arrival);
                }
            } else if let Some(seat) = self
                .players
                .iter()
                .filter_map(|player| player.seat.as_ref())
                .find(|seat| seat.address == arrival.to)
            {
                let mut inbox = seat.inbox.borrow_mut();
                if inbox.len() < 1_024 {
                    inbox.push_back((arrival.from, arrival.bytes));
                }
            } else if let Some(hostile) =
                self.hostiles.iter_mut().find(|it| it.address == arrival.to)
            {
                hostile.hear(self.now, arrival.from, &mut arrival.bytes);
            }
        }
    }

    /// One frame of a player's game.
    fn frame(&mut self, index: usize) -> Verdict {
        let Some(mut seat) = self.players[index].seat.take() else {
            return Ok(());
        };
        let player = &mut self.players[index];
        player.next_frame = self.now + player.plan.frame;
        let clock = player.clock(self.now);
        seat.client.update_at(clock);
        self.hear_client(index, &mut seat)?;
        if seat.client.is_over() {
            if self.players_return {
                let rest = Duration::from_millis(self.rng.random_range(100..1_000));
                self.players[index].back_at = Some(self.now + rest);
            }
            return Ok(());
        }
        seat.play(&mut self.players[index].brain);
        self.chat_with_server(index, &mut seat)?;
        let who = self.players[index].id;
        let lines = seat.check_lines();
        lines.map_err(|what| format!("{who:?}: {what}"))?;
        self.players[index].seat = Some(seat);
        Ok(())
    }

    fn chat_with_server(&mut self, index: usize, seat: &mut Seat) -> Verdict {
        let mut count = std::mem::take(&mut self.players[index].burst);
        count += u32::from(self.rng.random_range(0..1_000) < self.chatter);
        let life = self.ledger.life(seat.address)?;
        for _ in 0..count {
            let channel = if self.rng.random_bool(0.7) {
                BULK
            } else {
                LOOSE
            };
            let message = life.up.next_message(len(&mut self.rng));
            if seat.client.send(channel, &message).is_ok() {
                life.up.sent(channel, &message);
            }
        }
        Ok(())
    }
}

/// Mostly short, sometimes as long as it gets.
pub(crate) fn len(rng: &mut Xoshiro256PlusPlus) -> usize {
    if rng.random_bool(0.8) {
        rng.random_range(8..64)
    } else {
        rng.random_range(64..=1_000)
    }
}
