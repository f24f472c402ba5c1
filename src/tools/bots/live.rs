//! How bots fare while they play: what a status line shows.
//!
//! Knows sums over bots at one moment. Rates are the difference of two moments.

use std::time::Duration;

use super::Bot;
use crate::client::DatagramSocket;
use crate::time::Tick;

/// How the bots fare at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Live {
    /// In the game.
    pub in_game: u32,
    /// Were in the game at some time.
    pub joined: u32,
    /// Over, for whatever reason.
    pub over: u32,
    /// Never set out: there was no token, or no socket.
    pub missed: u32,
    /// The newest snapshot tick that anybody saw.
    pub newest: Option<Tick>,
    /// The sum of their smoothed round trips, in milliseconds.
    pub(crate) rtt_ms: f64,
    /// The sum of their shares of lost datagrams.
    pub(crate) loss: f64,
    /// All bytes up and down so far.
    pub bytes: (u64, u64),
}

impl Live {
    /// The mean round trip in milliseconds.
    #[must_use]
    pub fn rtt_ms(&self) -> f64 {
        self.rtt_ms / f64::from(self.in_game.max(1))
    }

    /// The mean share of lost datagrams.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss / f64::from(self.in_game.max(1))
    }

    /// Bots of which it is known whether they got in.
    #[must_use]
    pub const fn settled(&self) -> u32 {
        self.in_game + self.over + self.missed
    }

    pub(super) fn of<S: DatagramSocket>(bots: &[Bot<S>]) -> Self {
        let mut live = Self::default();
        for bot in bots {
            let stats = bot.client().stats();
            live.bytes.0 += stats.up.bytes;
            live.bytes.1 += stats.down.bytes;
            live.over += u32::from(bot.client().is_over());
            live.joined += bot.tally().joined;
            live.newest = live.newest.max(bot.tally().newest);
            if bot.is_in_game() {
                live.in_game += 1;
                live.rtt_ms += stats.rtt.unwrap_or_default().as_secs_f64() * 1e3;
                live.loss += f64::from(stats.loss);
            }
        }
        live
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.in_game += other.in_game;
        self.joined += other.joined;
        self.over += other.over;
        self.missed += other.missed;
        self.newest = self.newest.max(other.newest);
        self.rtt_ms += other.rtt_ms;
        self.loss += other.loss;
        self.bytes.0 += other.bytes.0;
        self.bytes.1 += other.bytes.1;
    }
}

/// Bytes of one client in one second, as they were lately.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// From the client to the server.
    pub up: f64,
    /// From the server to the client.
    pub down: f64,
}

/// Takes rates, once a second.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    before: Live,
    before_at: Duration,
}

impl Meter {
    /// Rates are taken over this time, or a little more.
    const EVERY: Duration = Duration::from_secs(1);

    /// The rates since the last ones, when it is time for new ones. `at` counts from the start.
    pub fn read(&mut self, live: &Live, at: Duration) -> Option<Rates> {
        let time = at.saturating_sub(self.before_at);
        if time < Self::EVERY {
            return None;
        }
        let clients = f64::from(live.in_game.max(1)) * time.as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / clients;
        let rates = Rates {
            up: rate(live.bytes.0, self.before.bytes.0),
            down: rate(live.bytes.1, self.before.bytes.1),
        };
        (self.before, self.before_at) = (*live, at);
        Some(rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_client_and_second_and_once_a_second() {
        let live = |bytes| Live {
            in_game: 4,
            bytes,
            ..Live::default()
        };
        let mut meter = Meter::default();
        let at = Duration::from_millis;
        assert_eq!(meter.read(&live((500, 5_000)), at(999)), None);
        assert!(meter.read(&live((1_000, 10_000)), at(1_000)).is_some());
        let rates = meter
            .read(&live((3_000, 50_000)), at(3_000))
            .expect("two seconds");
        assert!((rates.up - 250.0).abs() < 0.01, "{rates:?}");
        assert!((rates.down - 5_000.0).abs() < 0.01, "{rates:?}");
    }
}
