//! All sessions of a server: by slot, by address, and in turn. Knows where a session is. Has no part in what it says.

use std::collections::HashMap;

use core::time::Duration;

use rand::CryptoRng;

use super::address::{Address, KeyedHash};
use super::session::Session;
use crate::id::ClientSlot;
use crate::time::Timestamp;

/// In this time every session has been visited once.
const ROUND: Duration = Duration::from_millis(50);

/// How often the visiting wants to go on while there are sessions.
const STEP: Duration = Duration::from_millis(10);

/// Sessions in the places that the registry gave them.
///
/// With several servers in a process each holds some of the places, so places may be empty here for ever; an empty one
/// costs eight bytes and nearly no time.
pub(super) struct Sessions {
    places: Vec<Option<Box<Session>>>,
    by_address: HashMap<Address, u32, KeyedHash>,
    cursor: usize,
    visited_at: Timestamp,
}

impl Sessions {
    pub(super) fn new<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            places: Vec::new(),
            by_address: HashMap::with_hasher(KeyedHash::generate(rng)),
            cursor: 0,
            visited_at: Timestamp::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.places.iter().flatten().map(|session| &**session)
    }

    pub(super) fn get(&self, slot: ClientSlot) -> Option<&Session> {
        let session = self.places.get(slot.index as usize)?.as_deref()?;
        (session.slot == slot).then_some(session)
    }

    pub(super) fn get_mut(&mut self, slot: ClientSlot) -> Option<&mut Session> {
        let session = self.places.get_mut(slot.index as usize)?.as_deref_mut()?;
        (session.slot == slot).then_some(session)
    }

    pub(super) fn at(&self, address: Address) -> Option<&Session> {
        let index = *self.by_address.get(&address)?;
        self.places.get(index as usize)?.as_deref()
    }

    pub(super) fn insert(&mut self, session: Session) {
        let index = session.slot.index as usize;
        if index >= self.places.len() {
            self.places.resize_with(index + 1, || None);
        }
        self.by_address.insert(session.address, session.slot.index);
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Box::new(session));
        }
    }

    pub(super) fn remove(&mut self, slot: ClientSlot) -> Option<Session> {
        self.get(slot)?;
        let session = self.places.get_mut(slot.index as usize)?.take()?;
        self.by_address.remove(&session.address);
        Some(*session)
    }

    /// Visits the places whose turn has come since the last call: all of them within [`ROUND`], each call its share.
    pub(super) fn visit(&mut self, now: Timestamp, mut each: impl FnMut(&mut Session)) {
        let turns = self.turns(now);
        self.visited_at = self.visited_at.max(now);
        for _ in 0..turns {
            if self.cursor >= self.places.len() {
                self.cursor = 0;
            }
            if let Some(Some(session)) = self.places.get_mut(self.cursor) {
                each(session);
            }
            self.cursor += 1;
        }
    }

    /// How many places have had no visit for too long at `now`.
    fn turns(&self, now: Timestamp) -> usize {
        let passed = now.since(self.visited_at).min(ROUND).as_micros() as usize;
        (self.places.len() * passed).div_ceil(ROUND.as_micros() as usize)
    }

    pub(super) fn next_visit(&self) -> Option<Timestamp> {
        (self.len() > 0).then(|| self.visited_at + STEP)
    }
}
