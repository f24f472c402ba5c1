//! `tickwire demo`: a server and its bots in one process.
#![expect(
    clippy::disallowed_types,
    reason = "a program: the demo's key comes from the operating system"
)]

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use super::screen::{Figures, Screen};
use super::{Failure, log, value};
use crate::client::ClientConfig;
use crate::game::Game as _;
use crate::game::arena::{Arena, ArenaConfig};
use crate::id::{ClientId, UserData};
use crate::netsim::{Chance, LinkConditions, Loss, ProfileConditions};
use crate::proto::netcode::{ConnectToken, Key, TokenSpec};
use crate::proto::snapshot::ViewConfig;
use crate::server::clock::calendar;
use crate::server::metrics::ServerStats;
use crate::server::signal::stop_requested;
use crate::server::{Server, ServerConfig, ServerHandle};
use crate::time::{Tick, TickRate};
use crate::tools::archive::FrameArchive;
use crate::tools::bots::{Check, Phase, Swarm, SwarmConfig, Tally};
use crate::tools::report::{
    BytesPerSecond, DemoReport, Inputs, Replicas, RoundTrips, Snapshots, TickTimes, millis_at,
};

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

impl Arguments {
    /// What is wrong with the values together, in the words of the command line.
    fn check(&self) -> Result<(), Failure> {
        if self.tick_rate.is_multiple_of(self.snapshot_rate) {
            return Ok(());
        }
        let hz = self.tick_rate.hz();
        let allowed: Vec<_> = (1..=hz).filter(|rate| hz.is_multiple_of(*rate)).collect();
        let allowed = allowed
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        Err(Failure::Usage(format!(
            "--snapshot-rate {}: must divide --tick-rate {hz}; allowed is {allowed}",
            self.snapshot_rate.hz(),
        )))
    }

    fn conditions(&self) -> LinkConditions {
        LinkConditions {
            delay: self.rtt / 2,
            jitter: self.jitter,
            loss: Loss::Even(Chance::new(self.loss).unwrap_or(Chance::NEVER)),
            ..LinkConditions::PERFECT
        }
    }

    /// A bad network needs longer until all bots are in.
    fn patience(&self) -> Duration {
        let bad = self.loss > 0.0 || !(self.rtt + self.jitter).is_zero();
        Duration::from_secs(if bad { 10 } else { 5 })
    }

    /// After the last snapshot that counts, what is under way gets so long to arrive and inputs to be applied.
    fn aftermath(&self) -> Duration {
        self.rtt + self.jitter * 2 + Duration::from_millis(400)
    }
}

/// The protocol id of the arena in the demo: nobody else speaks to it.
const PROTOCOL_ID: u64 = 0x7469_636b_6465_6d6f;

/// The picture is drawn this often.
const PICTURE: Duration = Duration::from_millis(100);

/// A line is printed this often where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// Runs the demo.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.check()?;
    log::install().map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(Demo::start(arguments)?.play())?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        writeln!(io::stdout(), "{text}").context("cannot write to stdout")?;
    } else {
        let _ = writeln!(io::stdout(), "{}", summary(&report));
    }
    Ok(())
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

/// A server and its bots.
struct Demo<'a> {
    arguments: &'a Arguments,
    server: ServerHandle,
    swarm: Swarm,
    archive: Arc<FrameArchive>,
    screen: Option<Screen>,
}

impl<'a> Demo<'a> {
    fn start(arguments: &'a Arguments) -> Result<Self, Failure> {
        let bots = arguments.bots;
        let mut rng = ChaCha20Rng::try_from_rng(&mut SysRng)
            .context("the operating system gave no randomness")?;
        let key = Key::generate(&mut rng);
        let mut config = ServerConfig::new(PROTOCOL_ID, key.clone());
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.max_clients = bots;
        config.set_rates(arguments.tick_rate, arguments.snapshot_rate);
        config.view = view();
        let (view, link) = (config.view, Arc::clone(&config.link));

        let arena = Arena::new(ArenaConfig {
            seed: arguments.seed,
            players: bots,
            rate: arguments.tick_rate,
        });
        let (walls, schema) = (arena.world().walls().clone(), arena.schema());
        let archive = Arc::new(FrameArchive::default());
        let keeper = Arc::clone(&archive);
        let server = Server::bind(config, arena)
            .map_err(anyhow::Error::from)?
            .on_frame(Box::new(move |frame| keeper.keep(frame)))
            .start()
            .map_err(anyhow::Error::from)?;

        let address = server.local_addr();
        let tokens = (0..u64::from(bots))
            .map(|number| token(ClientId(number + 1), address, &key, &mut rng))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let client = ClientConfig {
            link,
            schema,
            protocol_id: Some(PROTOCOL_ID),
            server: Some(address),
        };
        let swarm = SwarmConfig {
            client,
            conditions: ProfileConditions::symmetric(arguments.conditions()),
            seed: arguments.seed,
            check: Some(Check {
                archive: Arc::clone(&archive),
                view,
            }),
            threads: 2,
        };
        let swarm = Swarm::start(&swarm, tokens).context("cannot start the bots")?;
        let screen = if arguments.json {
            None
        } else {
            Screen::open(walls)
        };
        Ok(Self {
            arguments,
            server,
            swarm,
            archive,
            screen,
        })
    }

    /// Lets them play until the time is over or somebody presses Ctrl-C.
    async fn play(self) -> Result<DemoReport, Failure> {
        if self.screen.is_some() {
            let _ = Screen::clear();
        }
        let mut figures = Figures::default();
        let measured = tokio::select! {
            measured = self.run(&mut figures) => measured,
            _ = stop_requested() => Measured::default(),
        };
        if self.screen.is_some() {
            Screen::close();
        }
        Ok(self.end(measured).await?)
    }

    /// Waits until all bots are in, and then as long as was asked for, showing how it goes.
    async fn run(&self, figures: &mut Figures) -> Measured {
        let started = tokio::time::Instant::now();
        let mut measured = Measured::default();
        let mut show = tokio::time::interval(if self.screen.is_some() { PICTURE } else { LINE });
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let (mut before, mut before_at) = (self.swarm.live(), started);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                at = show.tick() => {
                    let live = self.swarm.live();
                    if at.duration_since(before_at) >= LINE {
                        let seconds = at.duration_since(before_at).as_secs_f64();
                        let stats = self.server.stats();
                        *figures = Figures::new(self.arguments.bots, live, &stats, &before, seconds);
                        (before, before_at) = (live, at);
                        self.print_line(figures);
                    }
                    figures.live = live;
                    self.draw(figures);
                }
            }
            let now = tokio::time::Instant::now();
            match measured.since {
                None => {
                    let live = self.swarm.live();
                    let all = live.in_game + live.over >= self.arguments.bots;
                    if all || now.duration_since(started) > self.arguments.patience() {
                        self.swarm.enter(Phase::Measuring);
                        measured.since = Some(now);
                    }
                }
                Some(since) => {
                    measured.time = now.duration_since(since);
                    if self
                        .arguments
                        .seconds
                        .is_some_and(|seconds| measured.time >= seconds)
                    {
                        return measured;
                    }
                }
            }
        }
    }

    fn print_line(&self, figures: &Figures) {
        if self.screen.is_some() {
            return;
        }
        // With --json stdout belongs to the report.
        let _ = if self.arguments.json {
            writeln!(io::stderr(), "{}", figures.line())
        } else {
            writeln!(io::stdout(), "{}", figures.line())
        };
    }

    fn draw(&self, figures: &Figures) {
        if let Some(screen) = &self.screen {
            let _ = screen.draw(self.archive.newest().as_deref(), figures);
        }
    }

    /// Lets what is under way arrive, ends everything and writes the report.
    async fn end(self, measured: Measured) -> anyhow::Result<DemoReport> {
        let last = self.archive.newest().map_or(Tick(0), |frame| frame.tick());
        self.swarm.enter(Phase::Ending(last));
        tokio::time::sleep(self.arguments.aftermath()).await;
        let stats = self.server.stats();
        let (tally, round_trips) = tokio::task::spawn_blocking(move || self.swarm.finish()).await?;
        tokio::task::spawn_blocking(move || self.server.shutdown("the demo is over")).await??;
        Ok(report(
            self.arguments.bots,
            measured,
            &stats,
            tally,
            &round_trips,
        ))
    }
}

/// How long the measured part was.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    since: Option<tokio::time::Instant>,
    time: Duration,
}

/// How far arena players see, in metres, and what they may be told: a screen and a bit, one datagram.
fn view() -> ViewConfig {
    ViewConfig {
        inner_radius: 32.0,
        outer_radius: 36.0,
        bytes_per_snapshot: 1_100,
    }
}

fn token(
    client: ClientId,
    server: SocketAddr,
    key: &Key,
    rng: &mut ChaCha20Rng,
) -> anyhow::Result<ConnectToken> {
    let created = calendar();
    let spec = TokenSpec {
        protocol_id: PROTOCOL_ID,
        client,
        servers: vec![server],
        created,
        expires: created.plus_seconds(60),
        timeout_seconds: 5,
        user_data: UserData::default(),
    };
    spec.issue(key, rng).context("cannot issue a connect token")
}

fn report(
    bots: u32,
    measured: Measured,
    stats: &ServerStats,
    tally: Tally,
    round_trips: &Histogram<u64>,
) -> DemoReport {
    let millis = |micros: u64| micros as f64 / 1e3;
    let clients = f64::from(tally.connected.max(1)) * measured.time.as_secs_f64().max(1e-3);
    let mut rejections = tally.rejections;
    for (name, count) in &stats.total.rejections {
        *rejections.entry(name.clone()).or_default() += count;
    }
    DemoReport {
        bots,
        connected: tally.connected,
        ticks: stats.tick.played,
        overruns: stats.tick.overruns,
        tick_ms: TickTimes {
            p50: millis(stats.tick.p50_us),
            p99: millis(stats.tick.p99_us),
            max: millis(stats.tick.max_us),
        },
        rtt_ms: RoundTrips {
            p50: millis_at(round_trips, 0.5),
            p99: millis_at(round_trips, 0.99),
        },
        snapshots: Snapshots::new(tally.expected, tally.whole),
        bytes_per_client_per_second: BytesPerSecond {
            down: tally.bytes_down as f64 / clients,
            up: tally.bytes_up as f64 / clients,
        },
        inputs: Inputs {
            sent: tally.inputs,
            applied: stats.tick.inputs.applied,
            late: stats.tick.inputs.late,
            rejected: stats.tick.inputs.rejected,
        },
        replica: Replicas {
            checked: tally.checked,
            mismatches: tally.mismatches,
            complete: tally.complete,
        },
        disconnects: tally.disconnects,
        rejections,
    }
}
