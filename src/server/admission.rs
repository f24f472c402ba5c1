//! Who may talk to us at all, and how much: the one home of `governor`.
//!
//! Two kinds of limits, because there are two kinds of sender. *Strangers* (an address without a session) have
//! proved nothing and can write any source address they like, so they are counted by the
//! network they claim to come from, before any cryptography, in a fixed number of cells that no flood can
//! grow; and all together, because a flood can claim to come from everywhere. *Players* have proved who they are, so each is counted alone, and only by what was
//! authenticated: nobody can spend a player's allowance by forging the player's address.
//!
//! Knows addresses, lengths and the time it is told. Has no socket, no clock, no session and no key.

mod clock;

use core::num::NonZeroU32;
use std::net::IpAddr;
use std::sync::Arc;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use rand::Rng;
use siphasher::sip::SipHasher13;

use crate::id::ClientSlot;
use crate::time::{TickRate, Timestamp};
use clock::{Moment, ToldClock};

/// How much may come in a second, and how much of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Units a second in the long run.
    pub per_second: NonZeroU32,
    /// Units that may come together after a rest.
    pub burst: NonZeroU32,
}

impl Allowance {
    /// An allowance; a zero becomes a one, which is the least a limiter can hold.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// The limits of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Datagrams a second from all strangers of one IPv4 /24 or IPv6 /48 together: 2,000, burst 4,000.
    ///
    /// A newcomer needs two to four datagrams on a clean network and sends ten a second while it waits,
    /// so 500 newcomers a second come through one prefix, and 200 can wait there together.
    pub strangers: Allowance,
    /// Datagrams a second from all strangers together that one shard looks at: 40,000, burst 10,000.
    ///
    /// A request with a genuine token costs a shard 5 us, most of it the answer; one that is dropped unread
    /// costs 1 us. Whatever a flood from everywhere costs beyond that, the players keep four fifths of the shard.
    /// Newcomers share what is admitted with the flood, and ask ten times a second.
    pub all_strangers: Allowance,
    /// Datagrams a second from one player: 240, burst 240. Four times what a 60 Hz client sends; see
    /// [`for_rate`](Self::for_rate).
    pub player_datagrams: Allowance,
    /// Bytes a second from one player, headers of UDP not counted: 96 KiB, burst 96 KiB.
    pub player_bytes: Allowance,
    /// A player who exceeds an allowance in each of so many seconds in a row is told why and dropped: 5.
    pub patience_seconds: u32,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self::for_rate(TickRate::HZ_60)
    }
}

impl AdmissionConfig {
    /// The usual limits for a world of this tick rate: a player may send four datagrams a tick, and 240 a second in
    /// any case.
    #[must_use]
    pub fn for_rate(rate: TickRate) -> Self {
        let datagrams = (4 * u32::from(rate.hz())).max(240);
        Self {
            strangers: Allowance::new(2_000, 4_000),
            all_strangers: Allowance::new(40_000, 10_000),
            player_datagrams: Allowance::new(datagrams, datagrams),
            player_bytes: Allowance::new(96 * 1024, 96 * 1024),
            patience_seconds: 5,
        }
    }
}

/// The cells of all prefixes: fixed in number, shared by all shards, 8 bytes each.
///
/// Two prefixes may fall into one cell. Which ones cannot be foretold without the hash key, so
/// nobody can aim at the cell of somebody else's network.
#[derive(Debug, Clone)]
pub struct PrefixCells {
    cells: Arc<[InMemoryState]>,
    key: [u8; 16],
}

impl PrefixCells {
    /// How many cells there are: 128 KiB of memory, whatever is sent.
    pub const COUNT: usize = 16_384;

    /// Fresh cells under a random hash key.
    pub fn new(rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        Self {
            cells: (0..Self::COUNT).map(|_| InMemoryState::default()).collect(),
            key,
        }
    }

    fn cell(&self, address: &IpAddr) -> Option<&InMemoryState> {
        let hash = SipHasher13::new_with_key(&self.key).hash(&prefix(*address));
        // The remainder of a number below 16,384 fits everywhere.
        self.cells.get((hash % Self::COUNT as u64) as usize)
    }
}

/// The network an address claims to be in: IPv4 /24 or IPv6 /48, with the family in front.
///
/// A dual-stack socket shows IPv4 senders as `::ffff:a.b.c.d`; they are counted as what they are, or all
/// of IPv4 would share one prefix.
fn prefix(address: IpAddr) -> [u8; 7] {
    let mut prefix = [0; 7];
    match address.to_canonical() {
        IpAddr::V4(address) => {
            prefix[0] = 4;
            prefix[1..4].copy_from_slice(&address.octets()[..3]);
        }
        IpAddr::V6(address) => {
            prefix[0] = 6;
            prefix[1..7].copy_from_slice(&address.octets()[..6]);
        }
    }
    prefix
}

impl StateStore for PrefixCells {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, address: &IpAddr, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match self.cell(address) {
            Some(cell) => cell.measure_and_replace(&NotKeyed::NonKey, f),
            // Not reachable: every hash has a cell. An untouched cell decides.
            None => InMemoryState::default().measure_and_replace(&NotKeyed::NonKey, f),
        }
    }
}

type Limiter<K, S> = RateLimiter<K, S, ToldClock, NoOpMiddleware<Moment>>;

/// Whose datagrams are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Those of all strangers in one network.
    Network,
    /// Those of all strangers everywhere.
    Everybody,
}

/// Which allowance is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Datagrams a second.
    Datagrams,
    /// Bytes a second.
    Bytes,
}

/// What admission says of a player's authenticated datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Within the allowance.
    Within,
    /// Over it; what comes next is dropped unread for a moment.
    Over(Limit),
    /// Over it for the first time in this second: a good moment to say so.
    Warn(Limit),
    /// Over it for longer than we are patient: tell why and drop.
    Expel,
}

/// One shard's admission: strangers by prefix, players one by one.
#[derive(Debug)]
pub struct Admission {
    clock: ToldClock,
    config: AdmissionConfig,
    cells: PrefixCells,
    strangers: Limiter<IpAddr, PrefixCells>,
    all_strangers: Limiter<NotKeyed, InMemoryState>,
    /// By slot index, each made at the first datagram; grows to the highest index that ever spoke here.
    players: Vec<Option<Player>>,
}

/// The allowance of one player.
#[derive(Debug)]
struct Player {
    slot: ClientSlot,
    datagrams: Limiter<NotKeyed, InMemoryState>,
    bytes: Limiter<NotKeyed, InMemoryState>,
    /// What comes before this moment is dropped unread.
    blocked_until: Timestamp,
    excess: Excess,
}

/// In how many seconds in a row an allowance was exceeded.
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    /// The second of the newest excess, counted from the clock's origin.
    second: u64,
    /// Seconds in a row up to that one; zero: never yet.
    in_a_row: u32,
}

impl Excess {
    /// Notes one at `now`; `true` when it is the first in its second.
    fn note(&mut self, now: Timestamp) -> bool {
        let second = now.as_micros() / 1_000_000;
        if self.in_a_row > 0 && second <= self.second {
            return false;
        }
        let goes_on = self.in_a_row > 0 && second == self.second + 1;
        self.in_a_row = if goes_on {
            self.in_a_row.saturating_add(1)
        } else {
            1
        };
        self.second = second;
        true
    }
}

impl Admission {
    /// One shard's view of the shared cells.
    ///
    /// All shards must count their timestamps from one origin, since they share what the cells hold.
    #[must_use]
    pub fn new(config: AdmissionConfig, cells: PrefixCells) -> Self {
        // Every limiter measures from the moment it was made: this one from the common origin.
        let clock = ToldClock::default();
        let strangers = RateLimiter::new(config.strangers.quota(), cells.clone(), clock.clone());
        let all_strangers =
            RateLimiter::direct_with_clock(config.all_strangers.quota(), clock.clone());
        Self {
            clock,
            config,
            cells,
            strangers,
            all_strangers,
            players: Vec::new(),
        }
    }

    /// Goes on with other limits. What strangers have spent stays spent; players start with a fresh allowance.
    pub fn set_config(&mut self, config: AdmissionConfig) {
        if config != self.config {
            *self = Self::new(config, self.cells.clone());
        }
    }

    /// Looks at a datagram of an address without a session, or says which allowance is spent.
    ///
    /// The network's own comes first: what one network sends too much of is no charge to all.
    ///
    /// # Errors
    /// [`Crowd`]: who sent too much.
    pub fn admit_stranger(&self, now: Timestamp, from: IpAddr) -> Result<(), Crowd> {
        self.clock.tell(now);
        self.strangers
            .check_key(&from)
            .map_err(|_| Crowd::Network)?;
        self.all_strangers.check().map_err(|_| Crowd::Everybody)
    }

    /// Whether a datagram of this player's address may be looked at: not while the player is over an
    /// allowance.
    #[must_use]
    pub fn admits_player(&self, now: Timestamp, slot: ClientSlot) -> bool {
        match self.players.get(slot.index as usize) {
            Some(Some(player)) if player.slot == slot => now >= player.blocked_until,
            _ => true,
        }
    }

    /// Charges a player for a datagram that was authenticated, and says what follows.
    ///
    /// Whoever speaks for the first time in a place starts with a fresh allowance.
    pub fn charge(&mut self, now: Timestamp, slot: ClientSlot, length: usize) -> Charge {
        self.clock.tell(now);
        let patience = self.config.patience_seconds;
        let player = self.player(slot);
        let (limit, until) = match player.take(length) {
            Ok(()) => return Charge::Within,
            Err(excess) => excess,
        };
        player.blocked_until = until;
        let is_first = player.excess.note(now);
        if player.excess.in_a_row > patience {
            Charge::Expel
        } else if is_first {
            Charge::Warn(limit)
        } else {
            Charge::Over(limit)
        }
    }

    /// The player of this slot, in the place of whoever had it before.
    fn player(&mut self, slot: ClientSlot) -> &mut Player {
        let index = slot.index as usize;
        if self.players.len() <= index {
            self.players.resize_with(index + 1, || None);
        }
        let place = &mut self.players[index];
        if place.as_ref().is_some_and(|player| player.slot != slot) {
            *place = None;
        }
        place.get_or_insert_with(|| Player::new(slot, &self.config, &self.clock))
    }
}

impl Player {
    fn new(slot: ClientSlot, config: &AdmissionConfig, clock: &ToldClock) -> Self {
        let limiter =
            |allowance: Allowance| Limiter::direct_with_clock(allowance.quota(), clock.clone());
        Self {
            slot,
            datagrams: limiter(config.player_datagrams),
            bytes: limiter(config.player_bytes),
            blocked_until: Timestamp::ZERO,
            excess: Excess::default(),
        }
    }

    /// Takes one datagram of `length` bytes out of the allowances, or says which is spent and until when.
    fn take(&self, length: usize) -> Result<(), (Limit, Timestamp)> {
        if let Err(not_until) = self.datagrams.check() {
            return Err((Limit::Datagrams, not_until.earliest_possible().0));
        }
        let Some(length) = u32::try_from(length).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        match self.bytes.check_n(length) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err((Limit::Bytes, not_until.earliest_possible().0)),
            // Larger than the whole burst, which validation of the configuration rules out.
            Err(_) => Err((Limit::Bytes, self.bytes.clock().now().0)),
        }
    }
}

#[cfg(test)]
mod tests;
