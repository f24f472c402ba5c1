//! The facts that are true of the whole process: which connect tokens were used, which clients are seated, which
//! places are taken.
//!
//! Several servers (shards) can share one [`Registry`]; every call is atomic, and only handshakes and goodbyes make one.
//! [`LocalRegistry`] is the form in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{ClientId, ClientSlot};
use crate::time::UnixTime;

/// The mac at the end of a private connect token: the token's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenMac(pub [u8; 16]);

/// Somebody with a valid connect token wants a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub client: ClientId,
    /// With which connect token.
    pub token: TokenMac,
    /// When that token expires.
    pub token_expires: UnixTime,
    /// The calendar time at the server.
    pub now: UnixTime,
}

/// Why there is no place for a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeatRefusal {
    /// A session was opened with this token before, from whatever address.
    #[error("the connect token was used before")]
    TokenUsed,
    /// No more used tokens can be remembered, and forgetting one would let it be used again.
    #[error("no more used connect tokens can be remembered")]
    TokenStoreFull,
    /// The client has a session.
    #[error("the client is already seated")]
    ClientSeated,
    /// Every place is taken.
    #[error("every place is taken")]
    ServerFull,
}

/// Who sits where, and which tokens are spent, for all servers of a process.
pub trait Registry: Send + Sync {
    /// Whether the claim could be seated now. Changes nothing.
    ///
    /// # Errors
    ///
    /// The reason why not. [`SeatRefusal::ServerFull`] only when it is the only one: it is answered.
    fn check(&self, claim: &Claim) -> Result<(), SeatRefusal>;

    /// Seats the client: its token is used until it expires, its id is taken, and so is a place.
    ///
    /// # Errors
    ///
    /// As [`Self::check`], and then nothing has changed.
    fn seat(&self, claim: &Claim) -> Result<ClientSlot, SeatRefusal>;

    /// Frees the place and the client id. The next to sit there gets a higher generation. A slot that is
    /// not taken, or not in this generation, changes nothing.
    fn release(&self, slot: ClientSlot);
}

/// How many used tokens are remembered at most: about 100 MB when full.
const MAX_USED_TOKENS: usize = 1_000_000;

/// How long an expired token is remembered nevertheless, in seconds.
///
/// The calendar can be set back. A token that came back to life that way must still be known as used.
const KEEP_EXPIRED: u64 = 3_600;

/// A [`Registry`] in the memory of this process.
///
/// It forgets at a restart: a server that keeps its key over restarts and uses this registry accepts a
/// token twice, once per life, and seals two sessions with the same keys. Give such a server a registry that persists.
#[derive(Debug)]
pub struct LocalRegistry {
    state: Mutex<State>,
}

impl LocalRegistry {
    /// A registry of `max_clients` places, all free.
    #[must_use]
    pub const fn new(max_clients: u32) -> Self {
        Self {
            state: Mutex::new(State {
                used: UsedTokens::new(MAX_USED_TOKENS),
                seats: Seats::new(max_clients),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry for LocalRegistry {
    fn check(&self, claim: &Claim) -> Result<(), SeatRefusal> {
        self.state().check(claim)
    }

    fn seat(&self, claim: &Claim) -> Result<ClientSlot, SeatRefusal> {
        let mut state = self.state();
        state.check(claim)?;
        let slot = state
            .seats
            .take(claim.client)
            .ok_or(SeatRefusal::ServerFull)?;
        state.used.insert(claim);
        Ok(slot)
    }

    fn release(&self, slot: ClientSlot) {
        self.state().seats.release(slot);
    }
}

#[derive(Debug)]
struct State {
    used: UsedTokens,
    seats: Seats,
}

impl State {
    /// In the standard's order: client, token, places.
    fn check(&mut self, claim: &Claim) -> Result<(), SeatRefusal> {
        if self.seats.by_client.contains_key(&claim.client) {
            return Err(SeatRefusal::ClientSeated);
        }
        if self.used.contains(claim) {
            return Err(SeatRefusal::TokenUsed);
        }
        if !self.used.has_room(claim.now) {
            return Err(SeatRefusal::TokenStoreFull);
        }
        if self.seats.is_full() {
            return Err(SeatRefusal::ServerFull);
        }
        Ok(())
    }
}

/// Tokens that opened a session.
#[derive(Debug)]
struct UsedTokens {
    limit: usize,
    tokens: BTreeSet<TokenMac>,
    by_expiry: BTreeSet<(UnixTime, TokenMac)>,
    /// Tokens that expired up to here may have been forgotten.
    forgotten: UnixTime,
}

impl UsedTokens {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            tokens: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            forgotten: UnixTime(0),
        }
    }

    /// Whether the token was used, or whether that can no longer be told.
    fn contains(&self, claim: &Claim) -> bool {
        claim.token_expires <= self.forgotten || self.tokens.contains(&claim.token)
    }

    fn has_room(&mut self, now: UnixTime) -> bool {
        self.forget(UnixTime(now.0.saturating_sub(KEEP_EXPIRED)), 2);
        if self.tokens.len() >= self.limit {
            self.forget(now, 2);
        }
        self.tokens.len() < self.limit
    }

    /// Forgets up to `count` tokens that expired at `until` or before: two leave for each that may come,
    /// so that nobody waits for a great cleaning.
    fn forget(&mut self, until: UnixTime, count: usize) {
        for _ in 0..count {
            let Some(&(expires, token)) = self.by_expiry.first() else {
                return;
            };
            if expires > until {
                return;
            }
            self.by_expiry.pop_first();
            self.tokens.remove(&token);
            self.forgotten = self.forgotten.max(expires);
        }
    }

    fn insert(&mut self, claim: &Claim) {
        self.tokens.insert(claim.token);
        self.by_expiry.insert((claim.token_expires, claim.token));
    }
}

/// The places, and who sits where.
#[derive(Debug)]
struct Seats {
    limit: u32,
    by_client: BTreeMap<ClientId, ClientSlot>,
    /// Of each place ever taken: its generation, and who sits there.
    places: Vec<(u32, Option<ClientId>)>,
    free: Vec<u32>,
}

impl Seats {
    const fn new(limit: u32) -> Self {
        Self {
            limit,
            by_client: BTreeMap::new(),
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.by_client.len() >= self.limit as usize
    }

    fn take(&mut self, client: ClientId) -> Option<ClientSlot> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.open_place()?,
        };
        let (generation, sitter) = self.places.get_mut(index as usize)?;
        *sitter = Some(client);
        let slot = ClientSlot {
            index,
            generation: *generation,
        };
        self.by_client.insert(client, slot);
        Some(slot)
    }

    fn open_place(&mut self) -> Option<u32> {
        let index = u32::try_from(self.places.len()).ok()?;
        if index >= self.limit {
            return None;
        }
        self.places.push((0, None));
        Some(index)
    }

    fn release(&mut self, slot: ClientSlot) {
        let Some((generation, sitter)) = self.places.get_mut(slot.index as usize) else {
            return;
        };
        if *generation != slot.generation {
            return;
        }
        if let Some(client) = sitter.take() {
            *generation = generation.wrapping_add(1);
            self.by_client.remove(&client);
            self.free.push(slot.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(number: u64) -> Claim {
        let mut mac = [0; 16];
        mac[..8].copy_from_slice(&number.to_le_bytes());
        Claim {
            client: ClientId(number),
            token: TokenMac(mac),
            token_expires: UnixTime(100),
            now: UnixTime(50),
        }
    }

    #[test]
    fn a_place_is_given_again_with_the_next_generation() {
        let registry = LocalRegistry::new(1);
        let first = registry.seat(&claim(1)).expect("it is free");
        assert_eq!(registry.seat(&claim(2)), Err(SeatRefusal::ServerFull));
        registry.release(first);
        let second = registry.seat(&claim(2)).expect("it is free again");
        assert_eq!((second.index, second.generation), (0, 1));
        registry.release(first);
        assert_eq!(registry.check(&claim(3)), Err(SeatRefusal::ServerFull));
    }

    #[test]
    fn a_used_token_stays_used_when_its_session_is_over() {
        let registry = LocalRegistry::new(9);
        let slot = registry.seat(&claim(1)).expect("free");
        assert_eq!(registry.check(&claim(1)), Err(SeatRefusal::ClientSeated));
        registry.release(slot);
        assert_eq!(registry.check(&claim(1)), Err(SeatRefusal::TokenUsed));
    }

    #[test]
    fn a_full_store_refuses_and_forgets_only_what_has_expired() {
        let mut used = UsedTokens::new(2);
        for number in 0..2 {
            assert!(used.has_room(UnixTime(50)));
            used.insert(&claim(number));
        }
        assert!(!used.has_room(UnixTime(99)));
        assert!(used.contains(&claim(0)));
        assert!(used.has_room(UnixTime(100)));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_revive_a_token() {
        let mut used = UsedTokens::new(10);
        used.insert(&claim(1));
        assert!(used.has_room(UnixTime(100 + KEEP_EXPIRED - 1)));
        assert!(used.contains(&claim(1)), "remembered for an hour");
        assert!(used.has_room(UnixTime(100 + KEEP_EXPIRED)));
        assert!(used.tokens.is_empty());
        assert!(
            used.contains(&claim(1)),
            "forgotten, so nobody can tell any more"
        );
    }
}
