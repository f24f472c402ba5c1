//! `tickwire demo`: a server and its bots in one process.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::network::NetworkArguments;
use super::screen::{Figures, Screen};
use super::{Failure, log, tables, value};
use crate::server::signal::stop_requested;
use crate::time::TickRate;
use crate::tools::Bundled;
use crate::tools::bots::Meter;
use crate::tools::demo::{Demo, DemoConfig, Picture};
use crate::tools::report::DemoReport;

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
    /// New file into which every frame of the world is recorded
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    record: Option<PathBuf>,
    /// File with tables that 'tickwire train' learnt [default: the built-in ones]
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    tables: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArguments,
    /// Print one JSON object at the end, and nothing else, on stdout
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn config(&self) -> anyhow::Result<DemoConfig> {
        Ok(DemoConfig {
            bots: self.bots,
            length: self.seconds,
            tick_rate: self.tick_rate,
            snapshot_rate: self.snapshot_rate,
            seed: self.seed,
            network: self.network.conditions(),
            record: self.record.clone(),
            tables: tables::read(self.tables.as_deref(), Bundled::Arena)?,
        })
    }
}

/// The picture is drawn this often.
const PICTURE: Duration = Duration::from_millis(100);

/// A line is printed this often where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// Runs the demo.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::check_rates(arguments.tick_rate, arguments.snapshot_rate)?;
    log::install().map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(play(arguments))?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        writeln!(io::stdout(), "{text}").context("cannot write to stdout")?;
    } else {
        let _ = writeln!(io::stdout(), "{}", summary(&report));
    }
    Ok(())
}

async fn play(arguments: &Arguments) -> anyhow::Result<DemoReport> {
    let demo = Demo::start(arguments.config()?)?;
    let screen = if arguments.json {
        None
    } else {
        Screen::open(demo.walls().clone())
    };
    let show_every = if screen.is_some() { PICTURE } else { LINE };
    let mut display = Display {
        bots: arguments.bots,
        json: arguments.json,
        screen,
        figures: Figures::default(),
        meter: Meter::default(),
    };
    Ok(demo
        .play(stop_requested(), show_every, |picture| {
            display.show(&picture)
        })
        .await?)
}

/// Shows a demo: as a picture where there is a terminal, and as a line a second elsewhere.
struct Display {
    bots: u32,
    json: bool,
    screen: Option<Screen>,
    figures: Figures,
    meter: Meter,
}

impl Display {
    fn show(&mut self, picture: &Picture<'_>) {
        if let Some(rates) = self.meter.read(picture.live, picture.at) {
            self.figures = Figures::new(self.bots, &picture.stats, rates);
        }
        self.figures.live = *picture.live;
        let _ = match &self.screen {
            Some(screen) => screen.draw(picture.frame.as_deref(), &self.figures),
            // With --json stdout belongs to the report.
            None if self.json => writeln!(io::stderr(), "{}", self.figures.line()),
            None => writeln!(io::stdout(), "{}", self.figures.line()),
        };
    }
}

/// The report in a few lines, for people.
fn summary(report: &DemoReport) -> String {
    let DemoReport {
        bots,
        connected,
        ticks,
        tick_ms,
        snapshots,
        replica,
        inputs,
        ..
    } = report;
    format!(
        "{connected} of {bots} bots in the game after {ticks} ticks (p99 {:.2} ms). \
         Snapshots: {:.2}% of {} arrived whole; {} compared with the server's world, {} differed. \
         Inputs: {} of {} applied in time.",
        tick_ms.p99,
        snapshots.delivery * 100.0,
        snapshots.expected,
        replica.checked,
        replica.mismatches,
        inputs.applied,
        inputs.sent,
    )
}
