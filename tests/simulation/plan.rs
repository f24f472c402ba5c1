//! What will happen in a run: who plays over which network, and which faults strike when.
//!
//! Drawn from a seed as a whole, before anything runs, so that a fault never depends on what the product did.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use tickwire::netsim::{Chance, LinkConditions, Loss, Profile, ProfileConditions, Reorder};
use tickwire::proto::snapshot::ViewConfig;
use tickwire::time::{TickRate, Timestamp};

use crate::host::Setup;

/// Every session and every handshake step ends after this much silence.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Nothing passes in these directions.
    Outage { player: usize, up: bool, down: bool },
    /// The outage is over.
    OutageOver { player: usize },
    /// The player says goodbye, and may come back.
    Leave { player: usize, back_after: Duration },
    /// The player's process is gone, and may be started again.
    Crash { player: usize, back_after: Duration },
    /// The operator ends the player's session.
    Kick { player: usize },
    /// The game draws no frame for so long.
    Hitch { player: usize, lasts: Duration },
    /// The player's network becomes another one.
    Roam {
        player: usize,
        network: Box<ProfileConditions>,
    },
    /// The player, or the server to the player, has much to say at once.
    Burst {
        player: usize,
        messages: u32,
        up: bool,
    },
    /// The tick loop plays nothing for so long.
    Stall { lasts: Duration },
    /// The whole server process stands still.
    Freeze { lasts: Duration },
    /// The server tells everybody goodbye; a kill follows.
    Drain,
    /// The server process is gone; another one starts after so long.
    Kill { down: Duration },
    /// The server's calendar is off by so many seconds from now on.
    Wall { off: i64 },
}

#[derive(Debug, Clone)]
pub(crate) struct PlayerPlan {
    pub(crate) network: ProfileConditions,
    pub(crate) joins_at: Timestamp,
    /// From one frame of the game to the next.
    pub(crate) frame: Duration,
    /// What its clock showed when the run began, and how much it gains in a million.
    pub(crate) clock: Duration,
    pub(crate) gains: i64,
}

impl PlayerPlan {
    /// A player at 60 frames a second with a good clock.
    pub(crate) fn over(network: ProfileConditions) -> Self {
        Self {
            network,
            joins_at: Timestamp::ZERO,
            frame: Duration::from_micros(16_667),
            clock: Duration::ZERO,
            gains: 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) setup: Setup,
    pub(crate) players: Vec<PlayerPlan>,
    /// Clients with good tokens and bad intentions.
    pub(crate) hostiles: u32,
    /// Whether strangers forge and replay.
    pub(crate) forgers: bool,
    /// In a thousand frames of a player, and ticks of the server, so many bring a message of our own.
    pub(crate) chatter: u32,
    pub(crate) faults: Vec<(Timestamp, Fault)>,
    /// When all of it is over.
    pub(crate) trouble: Duration,
    /// Whether the budget is so small that a snapshot may never be complete.
    pub(crate) is_tight: bool,
}

impl Plan {
    /// Nothing goes wrong unless it is added.
    pub(crate) fn quiet(seed: u64, players: Vec<PlayerPlan>) -> Self {
        Self {
            setup: Setup {
                seed,
                rate: TickRate::HZ_60,
                snapshot_every: 2,
                seats: players.len().max(1) as u32 + 4,
                view: ViewConfig::default(),
                directory: false,
            },
            players,
            hostiles: 0,
            forgers: false,
            chatter: 10,
            faults: Vec::new(),
            trouble: Duration::ZERO,
            is_tight: false,
        }
    }

    /// The run that this seed means.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let most = [4, 8, 8, 16, 16, 32, 64][rng.random_range(0..7)];
        let count = rng.random_range(2..=most);
        let trouble = Duration::from_secs(rng.random_range(8..=20));
        let players = (0..count).map(|_| player(&mut rng)).collect();
        let mut plan = Self::quiet(seed, players);
        plan.trouble = trouble;
        plan.hostiles = rng.random_range(0..3);
        plan.forgers = rng.random_bool(0.5);
        plan.chatter = [0, 5, 20, 100][rng.random_range(0..4)];
        plan.setup.directory = rng.random_bool(0.5);
        let rates = [(60, 2), (60, 2), (60, 1), (60, 3), (30, 1), (20, 1)];
        let (rate, every) = rates[rng.random_range(0..rates.len())];
        plan.setup.rate = TickRate::new(rate).expect("a rate");
        plan.setup.snapshot_every = every;
        // A house with exactly a place for everybody: who comes back too early finds it taken by the former self.
        plan.setup.seats = count as u32 + plan.hostiles;
        plan.draw_view(&mut rng);
        plan.draw_faults(&mut rng);
        plan
    }

    fn draw_view(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let bytes = [300, 1_100, 1_100, 3_000][rng.random_range(0..4)];
        self.setup.view.bytes_per_snapshot = bytes;
        self.is_tight = bytes < 1_100 && self.players.len() > 4 || self.players.len() > 40;
        if rng.random_bool(0.3) {
            (self.setup.view.inner_radius, self.setup.view.outer_radius) = (14.0, 17.0);
        }
    }

    fn draw_faults(&mut self, rng: &mut Xoshiro256PlusPlus) {
        for player in 0..self.players.len() {
            self.draw_outages(player, rng);
            // From hardly ever to every few seconds.
            let mean = [2.0, 6.0, 20.0][rng.random_range(0..3)];
            let mut at = 1.0;
            loop {
                at += rng.random_range(0.1..2.0 * mean);
                let fault = player_fault(player, rng);
                if at >= self.trouble.as_secs_f64() {
                    break;
                }
                self.faults.push((seconds(at), fault));
            }
        }
        self.draw_server_faults(rng);
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// Silences of one to three seconds, far enough apart that none of them adds up to a timeout.
    fn draw_outages(&mut self, player: usize, rng: &mut Xoshiro256PlusPlus) {
        let mut at = rng.random_range(0.0..20.0);
        while at + 3.0 < self.trouble.as_secs_f64() {
            let (up, down) = [(true, true), (true, false), (false, true)][rng.random_range(0..3)];
            let lasts = rng.random_range(1.0..3.0);
            let outage = Fault::Outage { player, up, down };
            self.faults.push((seconds(at), outage));
            let over = Fault::OutageOver { player };
            self.faults.push((seconds(at + lasts), over));
            at += lasts + rng.random_range(5.0..20.0);
        }
    }

    fn draw_server_faults(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let whole = self.trouble.as_secs_f64();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(1.0..whole);
            let lasts = Duration::from_millis(rng.random_range(20..1_000));
            let fault = if rng.random_bool(0.5) {
                Fault::Stall { lasts: lasts * 2 }
            } else {
                Fault::Freeze { lasts }
            };
            self.faults.push((seconds(at), fault));
        }
        if rng.random_bool(0.3) {
            let at = rng.random_range(1.0..whole);
            let down = Duration::from_millis(rng.random_range(0..2_000));
            if rng.random_bool(0.3) {
                self.faults.push((seconds(at - 0.3), Fault::Drain));
            }
            self.faults.push((seconds(at), Fault::Kill { down }));
        }
        if rng.random_bool(0.4) {
            let at = rng.random_range(0.0..whole);
            let off = [3_600, -3_600, 5, -5][rng.random_range(0..4)];
            self.faults.push((seconds(at), Fault::Wall { off }));
            let back = rng.random_range(at..whole);
            self.faults.push((seconds(back), Fault::Wall { off: 0 }));
        }
    }
}

fn seconds(at: f64) -> Timestamp {
    Timestamp::from_micros((at.max(0.0) * 1e6) as u64)
}

fn player(rng: &mut Xoshiro256PlusPlus) -> PlayerPlan {
    let frame = [7_000, 16_667, 16_667, 33_333][rng.random_range(0..4)];
    PlayerPlan {
        network: network(rng),
        joins_at: Timestamp::from_millis(rng.random_range(0..2_000)),
        frame: Duration::from_micros(frame),
        clock: Duration::from_millis(rng.random_range(0..1_000_000)),
        gains: rng.random_range(-100..=100),
    }
}

/// A network by name, or a bad one made of several evils.
fn network(rng: &mut Xoshiro256PlusPlus) -> ProfileConditions {
    if rng.random_bool(0.6) {
        return Profile::ALL[rng.random_range(0..Profile::ALL.len())].conditions();
    }
    ProfileConditions {
        up: conditions(rng),
        down: conditions(rng),
    }
}

fn conditions(rng: &mut Xoshiro256PlusPlus) -> LinkConditions {
    let share = Chance::percent(rng.random_range(0..30));
    let often = |rng: &mut Xoshiro256PlusPlus, most: u32| {
        Chance::percent(if rng.random_bool(0.5) {
            rng.random_range(0..most)
        } else {
            0
        })
    };
    LinkConditions {
        delay: Duration::from_millis(rng.random_range(0..150)),
        jitter: Duration::from_millis(rng.random_range(0..60)),
        loss: if rng.random_bool(0.5) {
            Loss::Even(share)
        } else {
            Loss::in_bursts(share, rng.random_range(1.0..8.0))
        },
        duplicate: often(rng, 20),
        reorder: Reorder {
            chance: often(rng, 20),
            by: Duration::from_millis(rng.random_range(0..200)),
        },
        corrupt: often(rng, 5),
        ..LinkConditions::PERFECT
    }
}

fn player_fault(player: usize, rng: &mut Xoshiro256PlusPlus) -> Fault {
    let back_after = Duration::from_millis(rng.random_range(0..4_000));
    match rng.random_range(0..10) {
        0..2 => Fault::Leave { player, back_after },
        2..4 => Fault::Crash { player, back_after },
        4 => Fault::Kick { player },
        5 => Fault::Roam {
            player,
            network: Box::new(network(rng)),
        },
        6..8 => Fault::Hitch {
            player,
            lasts: Duration::from_millis(rng.random_range(50..1_000)),
        },
        _ => Fault::Burst {
            player,
            messages: rng.random_range(1..60),
            up: rng.random_bool(0.5),
        },
    }
}
