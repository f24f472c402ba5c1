//! One direction of a network: bytes go in, and later, perhaps, come out.
//!
//! Knows one [`LinkConditions`], its dice, and what is under way. Two of them make a connection.

use crate::time::Timestamp;

use super::conditions::LinkConditions;
use super::flight::Flight;
use super::path::{Copies, Path};
use super::stats::LinkStats;

/// One direction of a network, with a label `L` per datagram where one is needed (an address).
///
/// Four verbs: [`send`](Self::send), [`receive`](Self::receive) until it gives nothing,
/// [`next_arrival`](Self::next_arrival) to know when to come back, [`set_conditions`](Self::set_conditions)
/// when the weather changes. `now` must not run backwards.
#[derive(Debug, Clone)]
pub struct Link<L = ()> {
    path: Path,
    flight: Flight<L>,
    stats: LinkStats,
}

impl<L: Copy> Link<L> {
    /// So many datagrams may be under way at once: three seconds of a saturated 40 Mbit/s in full datagrams,
    /// and below 16 MB. More are dropped and counted as overflowed.
    pub const CAPACITY: usize = 12_288;

    /// A direction under these conditions. The same seed and the same sends give the same arrivals.
    #[must_use]
    pub fn new(conditions: LinkConditions, seed: u64) -> Self {
        Self {
            path: Path::new(conditions, seed),
            flight: Flight::new(Self::CAPACITY),
            stats: LinkStats::default(),
        }
    }

    /// As it is now.
    #[must_use]
    pub fn conditions(&self) -> &LinkConditions {
        self.path.conditions()
    }

    /// From now on it is like this; what is under way arrives as was decided when it was sent.
    pub fn set_conditions(&mut self, conditions: LinkConditions) {
        self.path.set_conditions(conditions);
    }

    /// Sends a datagram with a label that comes out with it.
    pub fn send_labelled(&mut self, now: Timestamp, label: L, datagram: &[u8]) {
        let copies = self.path.carry(now, datagram.len(), &mut self.stats);
        launch(&mut self.flight, copies, label, datagram, &mut self.stats);
    }

    /// The next datagram that has arrived by `now`, with its label.
    ///
    /// The bytes are the caller's to change (decryption works in place) until the next call.
    pub fn receive_labelled(&mut self, now: Timestamp) -> Option<(L, &mut [u8])> {
        let (label, datagram) = self.flight.land(now)?;
        self.stats.delivered += 1;
        self.stats.bytes_delivered += datagram.len() as u64;
        Some((label, datagram))
    }

    /// When the next datagram arrives; `None`: nothing is under way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.flight.next_arrival()
    }

    /// How many datagrams are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }
}

impl Link {
    /// Sends a datagram.
    pub fn send(&mut self, now: Timestamp, datagram: &[u8]) {
        self.send_labelled(now, (), datagram);
    }

    /// The next datagram that has arrived by `now`.
    ///
    /// The bytes are the caller's to change (decryption works in place) until the next call.
    pub fn receive(&mut self, now: Timestamp) -> Option<&mut [u8]> {
        self.receive_labelled(now).map(|((), datagram)| datagram)
    }
}

/// Puts the copies of a datagram under way.
pub(super) fn launch<L: Copy>(
    flight: &mut Flight<L>,
    copies: Copies,
    label: L,
    datagram: &[u8],
    stats: &mut LinkStats,
) {
    for copy in copies.into_iter().flatten() {
        let Some(bytes) = flight.launch(copy.arrives, label, datagram) else {
            stats.overflowed += 1;
            continue;
        };
        if let Some((byte, flips)) = copy.damage {
            bytes[byte] ^= flips;
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
