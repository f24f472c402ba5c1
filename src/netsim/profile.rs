//! Networks by name, so that a test, a demo and a report mean the same by "wifi".
//!
//! The figures are of the order that players meet, chosen round; each says where it comes from. They are fixed: a
//! profile that changes makes reports incomparable.

use core::str::FromStr;
use core::time::Duration;

use crate::names::named;

use super::chance::Chance;
use super::conditions::{Bottleneck, LinkConditions, Loss, Reorder};

named! {
    /// A network by name, from a player's seat to the server and back.
    pub enum Profile {
        Perfect = 0, "perfect", "no network at all: everything arrives at once";
        Lan = 1, "lan", "the same building";
        Home = 2, "home", "a cable at home, a server in the same country";
        Wifi = 3, "wifi", "the same home over a busy Wi-Fi";
        Mobile = 4, "mobile", "a phone on LTE, moving";
        Satellite = 5, "satellite", "a geostationary satellite";
        Hostile = 6, "hostile", "everything that can go wrong, all the time";
    }
}

/// The two directions of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProfileConditions {
    /// From the client to the server.
    pub up: LinkConditions,
    /// From the server to the client.
    pub down: LinkConditions,
}

impl ProfileConditions {
    /// The same both ways.
    #[must_use]
    pub const fn symmetric(conditions: LinkConditions) -> Self {
        Self {
            up: conditions,
            down: conditions,
        }
    }
}

impl Profile {
    /// What it does to datagrams in each direction.
    #[must_use]
    pub fn conditions(self) -> ProfileConditions {
        match self {
            Self::Perfect => ProfileConditions::symmetric(LinkConditions::PERFECT),
            Self::Lan => ProfileConditions::symmetric(lan()),
            Self::Home => widths(home(), 20_000, 100_000, 50),
            Self::Wifi => widths(wifi(), 20_000, 50_000, 100),
            Self::Mobile => widths(mobile(), 5_000, 20_000, 300),
            Self::Satellite => widths(satellite(), 2_000, 10_000, 500),
            Self::Hostile => ProfileConditions::symmetric(hostile()),
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|profile| profile.name() == name)
    }
}

/// The same weather both ways over lines of different width (kbit/s), with so long a queue (ms) before each.
fn widths(conditions: LinkConditions, up: u64, down: u64, queue_ms: u64) -> ProfileConditions {
    let queue = Duration::from_millis(queue_ms);
    let of = |kilobits| LinkConditions {
        bottleneck: Some(Bottleneck::kilobits(kilobits, queue)),
        ..conditions
    };
    ProfileConditions {
        up: of(up),
        down: of(down),
    }
}

/// Switches take microseconds; what is left is the operating systems at both ends.
fn lan() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_micros(200),
        jitter: Duration::from_micros(100),
        ..LinkConditions::PERFECT
    }
}

/// 25 ms round trip: 500 km of fibre are 5 ms, the rest is the access network. Wires lose little, and evenly.
fn home() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(12),
        jitter: Duration::from_millis(2),
        loss: Loss::Even(Chance::per_mille(1)),
        ..LinkConditions::PERFECT
    }
}

/// The home above, behind a radio that is shared: sending again costs up to some ten milliseconds, and what is
/// lost after that is lost together, a few frames in a row.
fn wifi() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(15),
        jitter: Duration::from_millis(15),
        loss: Loss::in_bursts(Chance::percent(1), 3.0),
        reorder: Reorder {
            chance: Chance::per_mille(5),
            by: Duration::from_millis(20),
        },
        ..LinkConditions::PERFECT
    }
}

/// LTE schedules in steps of milliseconds and repairs its radio with up to four retransmissions of 8 ms (HARQ);
/// handovers lose several in a row, and the base station buffers deeply.
fn mobile() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(35),
        jitter: Duration::from_millis(32),
        loss: Loss::in_bursts(Chance::percent(2), 4.0),
        duplicate: Chance::per_mille(1),
        reorder: Reorder {
            chance: Chance::percent(1),
            by: Duration::from_millis(40),
        },
        ..LinkConditions::PERFECT
    }
}

/// Up and down again are 2 x 36,000 km at the speed of light: 240 ms one way, and the ground stations.
fn satellite() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(270),
        jitter: Duration::from_millis(30),
        loss: Loss::in_bursts(Chance::percent(1), 5.0),
        ..LinkConditions::PERFECT
    }
}

/// Beyond what players meet, and what reliable messages must survive without losing or doubling one: 30% loss, 10%
/// duplicates, 10% held back past three later snapshots, 20 to 40 ms, 2% damaged, each way.
fn hostile() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        loss: Loss::Even(Chance::percent(30)),
        duplicate: Chance::percent(10),
        reorder: Reorder {
            chance: Chance::percent(10),
            by: Duration::from_millis(100),
        },
        corrupt: Chance::percent(2),
        ..LinkConditions::PERFECT
    }
}

/// There is no profile of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no network profile {0:?}; there are: {list}", list = names())]
pub struct UnknownProfile(pub String);

fn names() -> String {
    let names: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
    names.join(", ")
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_an_unknown_one_names_the_others() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(*profile));
        }
        let error = "dialup".parse::<Profile>().expect_err("not in the table");
        assert!(
            error.to_string().contains("perfect, lan, home, wifi"),
            "{error}"
        );
    }

    #[test]
    fn perfect_is_perfect_and_the_others_are_worse_from_row_to_row() {
        assert_eq!(Profile::Perfect.conditions(), ProfileConditions::default());
        let order = [
            Profile::Perfect,
            Profile::Lan,
            Profile::Home,
            Profile::Wifi,
            Profile::Mobile,
        ];
        for pair in order.windows(2) {
            let (better, worse) = (pair[0].conditions().up, pair[1].conditions().up);
            assert!(better.delay < worse.delay, "{pair:?}");
            assert!(better.loss.mean() <= worse.loss.mean(), "{pair:?}");
        }
    }
}
