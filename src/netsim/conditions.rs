//! What is wrong with one direction of a network, as plain values.
//!
//! Knows the vocabulary only; [`super::path`] makes it happen.

use core::time::Duration;

use super::chance::Chance;

/// What one direction of a network does to datagrams.
///
/// The default and [`Self::PERFECT`] do nothing at all; a test names what it wants to be different.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkConditions {
    /// How long every datagram is under way at least.
    pub delay: Duration,
    /// Up to this much more, drawn evenly and anew for each datagram. Jitter wider than the
    /// gap between two datagrams lets the later one overtake, as on a real network of many paths.
    pub jitter: Duration,
    /// Which datagrams vanish.
    pub loss: Loss,
    /// How likely a datagram arrives twice; each copy has a delay of its own.
    pub duplicate: Chance,
    /// Which datagrams are held back so that later ones overtake them.
    pub reorder: Reorder,
    /// How likely a datagram arrives with between one and eight bits of one byte flipped.
    pub corrupt: Chance,
    /// The narrowest place on the way; `None`: as wide as needed.
    pub bottleneck: Option<Bottleneck>,
    /// Times of complete silence; `None`: none.
    pub outage: Option<Outage>,
}

impl LinkConditions {
    /// Everything arrives at once, once, unharmed and in order.
    pub const PERFECT: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: Loss::Even(Chance::NEVER),
        duplicate: Chance::NEVER,
        reorder: Reorder {
            chance: Chance::NEVER,
            by: Duration::ZERO,
        },
        corrupt: Chance::NEVER,
        bottleneck: None,
        outage: None,
    };

    /// Nothing arrives.
    pub const CUT: Self = Self {
        loss: Loss::Even(Chance::ALWAYS),
        ..Self::PERFECT
    };
}

/// Which datagrams vanish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Each one by the same chance, whatever happened to the one before.
    Even(Chance),
    /// The model of Gilbert and Elliott: two states, each with a loss of its own, and a chance per datagram
    /// to go from one to the other. Radio and full queues lose like this.
    ///
    /// E. N. Gilbert, "Capacity of a burst-noise channel", 1960; E. O. Elliott, 1963.
    Bursts {
        /// From the good state to the bad one.
        worsen: Chance,
        /// From the bad state to the good one.
        recover: Chance,
        /// Loss in the good state.
        when_good: Chance,
        /// Loss in the bad state.
        when_bad: Chance,
    },
}

impl Loss {
    /// Bursts in which everything is lost: `share` of all datagrams in the long run, `length` of
    /// them in a row on average. A `length` below 1 counts as 1.
    ///
    /// A share of 1 is loss of everything. Lengths so short that the share cannot be reached
    /// (`share` / (1 - `share`) > `length`) lose as much as they can.
    #[must_use]
    pub fn in_bursts(share: Chance, length: f64) -> Self {
        if share == Chance::ALWAYS {
            return Self::Even(share);
        }
        let recover = 1.0 / length.max(1.0);
        // The chain is in its bad state for worsen / (worsen + recover) of the time.
        let worsen = share.as_f64() * recover / (1.0 - share.as_f64());
        Self::Bursts {
            worsen: Chance::new(worsen.min(1.0)).unwrap_or(Chance::ALWAYS),
            recover: Chance::new(recover).unwrap_or(Chance::ALWAYS),
            when_good: Chance::NEVER,
            when_bad: Chance::ALWAYS,
        }
    }

    /// The share of datagrams lost in the long run.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::Even(chance) => chance.as_f64(),
            Self::Bursts {
                worsen,
                recover,
                when_good,
                when_bad,
            } => {
                let (worsen, recover) = (worsen.as_f64(), recover.as_f64());
                // A chain that never moves stays where it starts: in the good state.
                let bad = if worsen > 0.0 {
                    worsen / (worsen + recover)
                } else {
                    0.0
                };
                bad * when_bad.as_f64() + (1.0 - bad) * when_good.as_f64()
            }
        }
    }
}

impl Default for Loss {
    fn default() -> Self {
        Self::Even(Chance::NEVER)
    }
}

/// Which datagrams are held back, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reorder {
    /// How likely a datagram is held back.
    pub chance: Chance,
    /// How much later it then arrives. Later ones overtake it if they follow within this time.
    pub by: Duration,
}

/// A link of limited width with a queue before it that drops at its tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bottleneck {
    /// Bytes a second, counted with [`Self::HEADER_BYTES`] for every datagram. 0 lets nothing through.
    pub bytes_per_second: u64,
    /// How long a datagram may wait for its turn: who would have to wait longer is dropped.
    pub queue: Duration,
}

impl Bottleneck {
    /// What IPv4 (20) and UDP (8) add to each datagram on the real link.
    pub const HEADER_BYTES: usize = 28;

    /// A link of so many kilobits (1,000 bits) a second.
    #[must_use]
    pub const fn kilobits(kilobits_per_second: u64, queue: Duration) -> Self {
        Self {
            bytes_per_second: kilobits_per_second.saturating_mul(125),
            queue,
        }
    }
}

/// Regular times of complete silence, counted on the driver's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From the start of one silence to the start of the next; zero: it is silent for good.
    pub every: Duration,
    /// How long each one lasts; they stand at the end of their period, so the first one comes at `every - lasts`.
    pub lasts: Duration,
}
