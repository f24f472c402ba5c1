//! The flags that make a network bad, the same for every command with bots.

use std::time::Duration;

use super::value;
use crate::netsim::{Chance, LinkConditions, Loss};

/// A bad network between bots and server.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NetworkArguments {
    /// Datagrams lost, each way, independently
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = value::percent)]
    loss: f64,
    /// Round trip added, half each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = value::duration)]
    rtt: Duration,
    /// Delay added to each datagram, uniformly from nothing to this, each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = value::duration)]
    jitter: Duration,
}

impl NetworkArguments {
    /// Each of the two ways.
    pub(super) fn conditions(&self) -> LinkConditions {
        LinkConditions {
            delay: self.rtt / 2,
            jitter: self.jitter,
            loss: Loss::Even(Chance::new(self.loss).unwrap_or(Chance::NEVER)),
            ..LinkConditions::PERFECT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_half_each_way_and_nothing_is_perfect() {
        let network = |loss, rtt, jitter| NetworkArguments {
            loss,
            rtt: Duration::from_millis(rtt),
            jitter: Duration::from_millis(jitter),
        };
        assert_eq!(network(0.0, 0, 0).conditions(), LinkConditions::PERFECT);
        let conditions = network(0.25, 120, 10).conditions();
        assert_eq!(conditions.delay, Duration::from_millis(60));
        assert_eq!(conditions.jitter, Duration::from_millis(10));
        assert!((conditions.loss.mean() - 0.25).abs() < 1e-9);
    }
}
