//! A network of many addresses, for simulations: every pair of them has a direction of its own.
//!
//! Knows addresses and conditions. Does not know who is a server: whatever is sent to an address arrives
//! there, from wherever it claims to come.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::time::Timestamp;

use super::conditions::LinkConditions;
use super::flight::Flight;
use super::link::launch;
use super::path::Path;
use super::profile::ProfileConditions;
use super::stats::LinkStats;

/// A datagram that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery<'n> {
    /// The address it was sent from.
    pub from: SocketAddr,
    /// The address it was sent to.
    pub to: SocketAddr,
    /// Its bytes, the caller's to change until the next call.
    pub datagram: &'n mut [u8],
}

/// Datagrams between any number of addresses, each pair's two directions judged on their own.
///
/// ```
/// # #[cfg(feature = "tools")] {
/// use tickwire::netsim::{Network, LinkConditions, Profile};
/// use tickwire::time::Timestamp;
///
/// let (ada, server) = ("10.0.0.1:9".parse().unwrap(), "10.0.0.2:7777".parse().unwrap());
/// let mut network = Network::new(LinkConditions::PERFECT, 1);
/// network.set_host(ada, Profile::Wifi.conditions());
/// network.send(Timestamp::ZERO, ada, server, b"hello");
/// let arrives = network.next_arrival().unwrap();
/// assert_eq!(network.deliver(arrives).unwrap().datagram, b"hello");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    usual: LinkConditions,
    hosts: BTreeMap<SocketAddr, ProfileConditions>,
    paths: BTreeMap<(SocketAddr, SocketAddr), Path>,
    /// Serves every pair beyond [`Self::MAX_PATHS`].
    crowd: Path,
    seeds: Xoshiro256PlusPlus,
    flight: Flight<(SocketAddr, SocketAddr)>,
    stats: LinkStats,
}

impl Network {
    /// So many datagrams may be under way at once, 80 MB of full ones; more are dropped as overflowed.
    pub const CAPACITY: usize = 65_536;
    /// So many pairs of addresses have a direction of their own. A flood from invented addresses
    /// shares one more, under the usual conditions.
    pub const MAX_PATHS: usize = 16_384;

    /// A network where every direction is as `usual` unless said otherwise.
    #[must_use]
    pub fn new(usual: LinkConditions, seed: u64) -> Self {
        let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            usual,
            hosts: BTreeMap::new(),
            paths: BTreeMap::new(),
            crowd: Path::new(usual, seeds.next_u64()),
            seeds,
            flight: Flight::new(Self::CAPACITY),
            stats: LinkStats::default(),
        }
    }

    /// How `host` is connected: `up` for what it sends, `down` for what is sent to it. Between two such
    /// hosts the sender's `up` decides.
    ///
    /// Directions set with [`Self::set_path`] lose that.
    pub fn set_host(&mut self, host: SocketAddr, conditions: ProfileConditions) {
        self.hosts.insert(host, conditions);
        let pairs: Vec<_> = self
            .paths
            .keys()
            .copied()
            .filter(|(from, to)| *from == host || *to == host)
            .collect();
        for (from, to) in pairs {
            let conditions = self.conditions_between(from, to);
            if let Some(path) = self.paths.get_mut(&(from, to)) {
                path.set_conditions(conditions);
            }
        }
    }

    /// How the direction from one address to another is from now on.
    pub fn set_path(&mut self, from: SocketAddr, to: SocketAddr, conditions: LinkConditions) {
        self.path(from, to).set_conditions(conditions);
    }

    /// Sends a datagram. Both addresses are taken as given: a forged sender is a sender.
    pub fn send(&mut self, now: Timestamp, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let mut stats = self.stats;
        let copies = self.path(from, to).carry(now, datagram.len(), &mut stats);
        launch(&mut self.flight, copies, (from, to), datagram, &mut stats);
        self.stats = stats;
    }

    /// The next datagram that has arrived anywhere by `now`, in order of arrival.
    pub fn deliver(&mut self, now: Timestamp) -> Option<Delivery<'_>> {
        let ((from, to), datagram) = self.flight.land(now)?;
        self.stats.delivered += 1;
        self.stats.bytes_delivered += datagram.len() as u64;
        Some(Delivery { from, to, datagram })
    }

    /// When the next datagram arrives somewhere; `None`: nothing is under way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.flight.next_arrival()
    }

    /// How many datagrams are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// What became of all datagrams so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    fn conditions_between(&self, from: SocketAddr, to: SocketAddr) -> LinkConditions {
        match (self.hosts.get(&from), self.hosts.get(&to)) {
            (Some(sender), _) => sender.up,
            (None, Some(receiver)) => receiver.down,
            (None, None) => self.usual,
        }
    }

    fn path(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Path {
        if !self.paths.contains_key(&(from, to)) && self.paths.len() >= Self::MAX_PATHS {
            return &mut self.crowd;
        }
        let conditions = self.conditions_between(from, to);
        let seeds = &mut self.seeds;
        self.paths
            .entry((from, to))
            .or_insert_with(|| Path::new(conditions, seeds.next_u64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netsim::Profile;
    use core::time::Duration;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn delayed(millis: u64) -> LinkConditions {
        LinkConditions {
            delay: Duration::from_millis(millis),
            ..LinkConditions::PERFECT
        }
    }

    #[test]
    fn everybody_has_a_connection_of_their_own() {
        let (near, far, server) = (address(1), address(2), address(3));
        let mut network = Network::new(LinkConditions::PERFECT, 1);
        network.set_host(
            far,
            ProfileConditions {
                up: delayed(50),
                down: delayed(70),
            },
        );
        network.send(Timestamp::ZERO, far, server, b"late");
        network.send(Timestamp::ZERO, near, server, b"soon");
        network.send(Timestamp::ZERO, server, far, b"down");
        let mut arrivals = Vec::new();
        while let Some(next) = network.next_arrival() {
            let delivery = network.deliver(next).expect("it is due");
            arrivals.push((
                next.as_micros() / 1_000,
                delivery.from.port(),
                delivery.to.port(),
            ));
        }
        assert_eq!(arrivals, [(0, 1, 3), (50, 2, 3), (70, 3, 2)]);
    }

    #[test]
    fn a_direction_can_be_cut_while_the_other_goes_on() {
        let (ada, server) = (address(1), address(2));
        let mut network = Network::new(LinkConditions::PERFECT, 1);
        network.set_path(ada, server, LinkConditions::CUT);
        network.send(Timestamp::ZERO, ada, server, b"up");
        network.send(Timestamp::ZERO, server, ada, b"down");
        assert_eq!(network.deliver(Timestamp::ZERO).map(|d| d.to), Some(ada));
        assert!(network.deliver(Timestamp::ZERO).is_none());
    }

    #[test]
    fn a_host_that_moves_to_another_network_takes_its_open_directions_along() {
        let (ada, server) = (address(1), address(2));
        let mut network = Network::new(LinkConditions::PERFECT, 1);
        network.send(Timestamp::ZERO, ada, server, b"first");
        network.set_host(
            ada,
            ProfileConditions {
                up: delayed(50),
                down: delayed(70),
            },
        );
        network.send(Timestamp::ZERO, ada, server, b"second");
        assert!(network.deliver(Timestamp::ZERO).is_some());
        assert_eq!(network.next_arrival(), Some(Timestamp::from_millis(50)));
    }

    #[test]
    fn a_flood_from_invented_addresses_uses_bounded_memory() {
        let mut network = Network::new(LinkConditions::PERFECT, 1);
        for source in 0..2 * Network::MAX_PATHS as u32 {
            let from = SocketAddr::from((source.to_be_bytes(), 1));
            network.send(Timestamp::ZERO, from, address(9), b"x");
            assert_eq!(network.deliver(Timestamp::ZERO).map(|d| d.from), Some(from));
        }
        assert_eq!(network.paths.len(), Network::MAX_PATHS);
    }

    #[test]
    fn the_same_seed_is_the_same_network() {
        let run = |seed| {
            let mut network = Network::new(Profile::Hostile.conditions().up, seed);
            let mut trace = Vec::new();
            for step in 0..2_000_u64 {
                let now = Timestamp::from_millis(step);
                let from = address(u16::try_from(step % 16).expect("small"));
                network.send(now, from, address(99), &step.to_le_bytes());
                while let Some(delivery) = network.deliver(now) {
                    trace.push((now, delivery.from, delivery.datagram.to_vec()));
                }
            }
            (trace, network.stats())
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
    }
}
