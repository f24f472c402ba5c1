//! `tickwire demo`: a server and its bots in one process.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::{Failure, log, screen, value};
use crate::time::TickRate;

/// A server and its bots in one process: see it live
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tickwire demo                                     64 bots until Ctrl-C, with a map of the arena
  tickwire demo --bots 200 --loss 5% --rtt 120ms    the same on a bad network
  tickwire demo --seconds 10 --json                 one JSON object at the end")]
pub(super) struct Arguments {
    /// How many bots play
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=2000))]
    bots: u32,
    /// Ends after this time, counted from when all bots are in the game [default: at Ctrl-C]
    #[arg(long, value_name = "S", value_parser = value::seconds)]
    seconds: Option<Duration>,
    /// Ticks a second
    #[arg(long, value_name = "HZ", default_value = "60", value_parser = value::rate)]
    tick_rate: TickRate,
    /// Snapshots a second; must divide the tick rate
    #[arg(long, value_name = "HZ", default_value = "30", value_parser = value::rate)]
    snapshot_rate: TickRate,
    /// Where the world, the bots and the network begin
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::number)]
    seed: u64,
    /// Datagrams lost, each way, independently
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = value::percent)]
    loss: f64,
    /// Round trip added, half each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = value::duration)]
    rtt: Duration,
    /// Delay added to each datagram, uniformly from nothing to this, each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = value::duration)]
    jitter: Duration,
    /// Print one JSON object at the end, and nothing else, on stdout
    #[arg(long)]
    json: bool,
}
