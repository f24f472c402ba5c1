//! The facts that are true of the whole process: the one home of `dashmap`.
//!
//! Which connect tokens were used, who is seated where, who is banned, and which shard an address talks to. Shards
//! ask here when somebody comes or goes and never for a datagram. No guard of a map leaves this file, and
//! every call is atomic: it happens wholly or not at all, whatever the other shards do meanwhile.
//!
//! Locks are always taken in one order, which is why none of them can wait for another in a circle:
//! a client's entry, then a token's entry, then the places, and last the roster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dashmap::{DashMap, Entry};

use super::figures::FigureTable;
use crate::id::{ClientId, ClientSlot};
use crate::proto::netcode::{Claim, Registry, SeatRefusal, TokenMac};
use crate::time::{Timestamp, UnixTime};

/// How many used connect tokens are remembered at most: one million, about 100 MB when all of them are there.
///
/// At thirty minutes of life a token that is 555 newcomers a second. When it is full newcomers are refused: a
/// token that is forgotten before it expires could be used a second time.
pub const MAX_USED_TOKENS: usize = 1_000_000;

/// Used tokens are remembered this long after they expired, unless room is needed.
///
/// A calendar that is set back by up to an hour then brings no used token back to life, and one that was
/// set forward by mistake costs no newcomer anything.
pub const GRACE_SECONDS: u64 = 3_600;

/// The number of a shard, from 0.
pub type ShardIndex = u16;

/// Somebody who is seated: what an operator sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// The place.
    pub slot: ClientSlot,
    /// Who has it.
    pub client: ClientId,
    /// Where the client speaks from.
    pub address: SocketAddr,
    /// The shard that serves it.
    pub shard: ShardIndex,
    /// When the session began.
    pub since: Timestamp,
}

/// The facts of the process.
#[derive(Debug)]
pub struct Directory {
    used_tokens: DashMap<TokenMac, ()>,
    clients: DashMap<ClientId, ClientSlot>,
    banned: DashMap<ClientId, ()>,
    /// By the slot's index.
    roster: DashMap<u32, Resident>,
    addresses: DashMap<SocketAddr, (ShardIndex, ClientSlot)>,
    places: Mutex<Places>,
    figures: FigureTable,
}

/// What has to be counted exactly.
#[derive(Debug)]
struct Places {
    /// Free indices; the last of them is given away next.
    free: Vec<u32>,
    /// By index: how often it was given away, and to whom it belongs now.
    seats: Vec<Seat>,
    used_tokens: usize,
    max_used_tokens: usize,
    /// Used tokens by the second they expire at, so that forgetting costs no search.
    expiring: BTreeMap<UnixTime, Vec<TokenMac>>,
    /// Tokens that expired up to here are forgotten: whether they were used is not known any more.
    forgotten_until: UnixTime,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    /// The generation of the next one to sit here.
    next_generation: u32,
    /// Who sits here.
    taken_by: Option<(ClientSlot, ClientId)>,
}

impl Directory {
    /// An empty directory with so many places.
    #[must_use]
    pub fn new(max_clients: u32) -> Self {
        Self::with_token_limit(max_clients, MAX_USED_TOKENS)
    }

    fn with_token_limit(max_clients: u32, max_used_tokens: usize) -> Self {
        Self {
            used_tokens: DashMap::new(),
            clients: DashMap::new(),
            banned: DashMap::new(),
            roster: DashMap::new(),
            addresses: DashMap::new(),
            places: Mutex::new(Places {
                free: (0..max_clients).rev().collect(),
                seats: vec![Seat::default(); max_clients as usize],
                used_tokens: 0,
                max_used_tokens,
                expiring: BTreeMap::new(),
                forgotten_until: UnixTime(0),
            }),
            figures: FigureTable::new(max_clients),
        }
    }

    /// Every update of the places is complete before anything in it could panic, so a poisoned lock still
    /// guards the truth.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many places are taken.
    #[must_use]
    pub fn seated(&self) -> usize {
        let places = self.places();
        places.seats.len() - places.free.len()
    }

    /// How many places there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.places().seats.len()
    }

    /// What each place's client was last seen at.
    #[must_use]
    pub const fn figures(&self) -> &FigureTable {
        &self.figures
    }

    /// How many used tokens are remembered.
    #[must_use]
    pub fn used_tokens(&self) -> usize {
        self.places().used_tokens
    }

    /// Writes down who speaks from where; the place must have been given by [`Registry::seat`]. What
    /// [`Registry::release`] frees leaves the roster by itself.
    pub fn enter(&self, resident: Resident) {
        // Under the lock, so that it cannot come after the release of the same place.
        let places = self.places();
        if places.seated(resident.slot).is_some() {
            self.roster.insert(resident.slot.index, resident);
            self.addresses
                .insert(resident.address, (resident.shard, resident.slot));
        }
    }

    /// The shard that serves an address, if a session belongs to it.
    #[must_use]
    pub fn shard_of(&self, address: SocketAddr) -> Option<ShardIndex> {
        Some(self.addresses.get(&address)?.0)
    }

    /// The place of a client, if it is seated.
    #[must_use]
    pub fn slot_of(&self, client: ClientId) -> Option<ClientSlot> {
        self.clients.get(&client).map(|slot| *slot)
    }

    /// Who is in a place, if it is still the same one.
    #[must_use]
    pub fn resident(&self, slot: ClientSlot) -> Option<Resident> {
        self.roster
            .get(&slot.index)
            .map(|resident| *resident)
            .filter(|it| it.slot == slot)
    }

    /// Everybody, by place. Not one moment: who comes or goes meanwhile may be in it or not.
    #[must_use]
    pub fn roster(&self) -> Vec<Resident> {
        let mut roster: Vec<_> = self.roster.iter().map(|resident| *resident).collect();
        roster.sort_unstable_by_key(|resident| resident.slot);
        roster
    }

    /// Bans a client from this process. Returns where it is seated now, so that the caller can end that
    /// session.
    ///
    /// A banned client is still seated by [`Registry::seat`]: only a session can carry the reason to
    /// it. The shard ends that session in the moment it begins. Of a ban and a seat that race, one sees the
    /// other: the shard asks after the seat is taken, and this looks for the seat after the ban is written.
    pub fn ban(&self, client: ClientId) -> Option<ClientSlot> {
        self.banned.insert(client, ());
        self.slot_of(client)
    }

    /// Lifts a ban; `false` when there was none.
    pub fn lift_ban(&self, client: ClientId) -> bool {
        self.banned.remove(&client).is_some()
    }

    /// Whether a client is banned.
    #[must_use]
    pub fn is_banned(&self, client: ClientId) -> bool {
        self.banned.contains_key(&client)
    }

    /// Forgets what nobody needs to know any more: long expired tokens, and when there is no room, expired ones.
    fn make_room(&self, now: UnixTime) {
        let (is_full, next) = {
            let places = self.places();
            let next = places
                .expiring
                .first_key_value()
                .map(|(expires, _)| *expires);
            (places.used_tokens >= places.max_used_tokens, next)
        };
        let grace = if is_full { 0 } else { GRACE_SECONDS };
        let until = UnixTime(now.0.saturating_sub(grace));
        if next.is_some_and(|next| next <= until) {
            self.forget_tokens(until);
        }
    }

    /// Forgets tokens that expired up to `until`.
    fn forget_tokens(&self, until: UnixTime) {
        let expired = self.places().take_expired(until);
        for mac in &expired {
            self.used_tokens.remove(mac);
        }
        // Only now is there room: the count never says less than the map holds.
        self.places().used_tokens -= expired.len();
    }
}

impl Places {
    fn seated(&self, slot: ClientSlot) -> Option<ClientId> {
        let (taken, client) = self.seats.get(slot.index as usize)?.taken_by?;
        (taken == slot).then_some(client)
    }

    /// What stands against one more, apart from the client itself and its token.
    fn room(&self, claim: &Claim) -> Result<(), SeatRefusal> {
        if claim.token_expires <= self.forgotten_until {
            // It may have been used; it certainly expired.
            return Err(SeatRefusal::TokenUsed);
        }
        if self.used_tokens >= self.max_used_tokens {
            return Err(SeatRefusal::TokenStoreFull);
        }
        if self.free.is_empty() {
            return Err(SeatRefusal::ServerFull);
        }
        Ok(())
    }

    /// Gives away the place that was freed last, whose memory is warm, and counts the token as used.
    fn take(&mut self, claim: &Claim) -> Result<ClientSlot, SeatRefusal> {
        self.room(claim)?;
        let index = self.free.pop().ok_or(SeatRefusal::ServerFull)?;
        let seat = &mut self.seats[index as usize];
        let slot = ClientSlot {
            index,
            generation: seat.next_generation,
        };
        seat.next_generation = seat.next_generation.wrapping_add(1);
        seat.taken_by = Some((slot, claim.client));
        self.used_tokens += 1;
        self.expiring
            .entry(claim.token_expires)
            .or_default()
            .push(claim.token);
        Ok(slot)
    }

    /// Frees a place; `false` when it belongs to somebody else by now, or to nobody.
    fn free(&mut self, slot: ClientSlot) -> bool {
        if self.seated(slot).is_none() {
            return false;
        }
        self.seats[slot.index as usize].taken_by = None;
        self.free.push(slot.index);
        true
    }

    fn take_expired(&mut self, until: UnixTime) -> Vec<TokenMac> {
        if until <= self.forgotten_until {
            return Vec::new();
        }
        self.forgotten_until = until;
        let later = self.expiring.split_off(&until.plus_seconds(1));
        core::mem::replace(&mut self.expiring, later)
            .into_values()
            .flatten()
            .collect()
    }
}

impl Registry for Directory {
    fn check(&self, claim: &Claim) -> Result<(), SeatRefusal> {
        if self.clients.contains_key(&claim.client) {
            return Err(SeatRefusal::ClientSeated);
        }
        if self.used_tokens.contains_key(&claim.token) {
            return Err(SeatRefusal::TokenUsed);
        }
        self.places().room(claim)
    }

    fn seat(&self, claim: &Claim) -> Result<ClientSlot, SeatRefusal> {
        self.make_room(claim.now);
        // Both entries stay locked until the decision is written down, so that no other shard can see,
        // or take, a half of it.
        let Entry::Vacant(client) = self.clients.entry(claim.client) else {
            return Err(SeatRefusal::ClientSeated);
        };
        let Entry::Vacant(token) = self.used_tokens.entry(claim.token) else {
            return Err(SeatRefusal::TokenUsed);
        };
        let slot = self.places().take(claim)?;
        client.insert(slot);
        token.insert(());
        Ok(slot)
    }

    fn release(&self, slot: ClientSlot) {
        let Some(client) = self.places().seated(slot) else {
            return;
        };
        let Entry::Occupied(entry) = self.clients.entry(client) else {
            return;
        };
        let mut places = self.places();
        if !places.free(slot) {
            return;
        }
        if let Some((_, resident)) = self.roster.remove(&slot.index) {
            self.addresses
                .remove_if(&resident.address, |_, (_, theirs)| *theirs == slot);
        }
        drop(places);
        entry.remove();
    }
}

#[cfg(test)]
mod tests;
