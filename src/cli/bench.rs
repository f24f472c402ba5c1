//! `tickwire bench`: a load test of a server of its own, or of one that runs somewhere else.
//!
//! This file has the options and arranges the parts; what people read is in `summary.rs`, what is written to disk in
//! `files.rs`.

mod files;
mod summary;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::network::NetworkArguments;
use super::ticker::Ticker;
use super::{DEFAULT_ADMIN, Failure, log, secret, value};
use crate::client::ClientConfig;
use crate::id::ClientId;
use crate::netsim::ProfileConditions;
use crate::server::clock::calendar_micros;
use crate::server::signal::Signals;
use crate::server::{PacketIo, TokenIssuer, random_key};
use crate::time::TickRate;
use crate::tools::Bundled;
use crate::tools::bench::conduct::{Course, Ran, Rest, RunError, conduct};
use crate::tools::bench::machine::Machine;
use crate::tools::bench::objective::Objectives;
use crate::tools::bench::report::{LoadSheet, Report, ServerSheet};
use crate::tools::bench::{Cores, Fleet, FleetConfig, OwnServer, Probe, ServerOrder, Sockets};
use crate::tools::tokens::{HttpUrl, TokenService, TokenSource};

/// The most clients there can be: a server has no more places.
const MOST: u64 = 16_384;

/// The first load of a search, unless told otherwise.
const FROM: u32 = 100;

/// Where a server of the load test's own listens, but for the port.
const OWN_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// When all have set out, the last ones get so long to come in: more than a token's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// A load test: what players feel, and what it costs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tickwire bench                                      1000 clients for 10 s on a server of its own
  tickwire bench --clients 2000 --duration 30s --out report
  tickwire bench --world cubes --clients 200          where everybody sees everything
  tickwire bench --find-max --clients 6000            how many it can serve
  tickwire bench --server 192.0.2.7:7777 --private-key-file server.key --admin http://192.0.2.7:7780")]
pub(super) struct Arguments {
    /// Clients; with --find-max the most that are tried
    #[arg(long, value_name = "N", default_value = "1000", value_parser = value::within::<u32>(1, MOST))]
    clients: u32,
    /// The game that is played: arena or cubes; with --server what is played there
    #[arg(long, value_name = "NAME", default_value = "arena", value_parser = str::parse::<Bundled>)]
    world: Bundled,
    /// How long the load is held, in whole seconds, counted from when all are in and a second of rest
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::whole_seconds)]
    duration: Duration,
    /// Clients that set out in a second
    #[arg(long, value_name = "N/s", default_value = "200/s", value_parser = value::per_second)]
    ramp: NonZeroU32,
    /// The share of clients that decode the world and compare it with each other; the others open, acknowledge and count
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = value::percent)]
    whole: f64,
    /// The share of clients that leaves in each second and comes back
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = value::percent)]
    churn: f64,
    #[command(flatten)]
    network: NetworkArguments,
    /// Where walks, networks, the own server's world and the choice of who leaves begin
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::number)]
    seed: u64,
    /// Threads of the load test [default: one less than there are processors, 1 at least, 8 at most]
    #[arg(long, value_name = "N", value_parser = value::within::<u16>(1, 64))]
    threads: Option<u16>,
    /// Whether each client has a socket: own or shared [default: shared with a server on 127.0.0.0/8, where the system allows it]
    #[arg(long, value_name = "WHOSE", value_parser = str::parse::<Sockets>)]
    sockets: Option<Sockets>,
    /// Print one JSON object at the end, and nothing else, on stdout
    #[arg(long)]
    json: bool,
    /// Write report.json, report.html and timeline.csv into this folder
    #[arg(long, value_name = "DIR", value_parser = value::path)]
    out: Option<PathBuf>,
    #[command(flatten)]
    own: OwnArguments,
    #[command(flatten)]
    elsewhere: ElsewhereArguments,
    #[command(flatten)]
    objectives: ObjectiveArguments,
}

/// The server that is started for the load test.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A server of its own")]
struct OwnArguments {
    /// Ticks a second
    #[arg(long, value_name = "HZ", default_value = "60", value_parser = value::rate, conflicts_with = "server")]
    tick_rate: TickRate,
    /// Snapshots a second; must divide the tick rate
    #[arg(long, value_name = "HZ", default_value = "30", value_parser = value::rate, conflicts_with = "server")]
    snapshot_rate: TickRate,
    /// Threads that serve the network, each with a socket
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::within::<u16>(1, 64), conflicts_with = "server")]
    shards: u16,
    /// How datagrams cross the kernel: auto, batch or portable
    #[arg(long, value_name = "WAY", default_value = "auto", value_parser = str::parse::<PacketIo>, conflicts_with = "server")]
    packet_io: PacketIo,
    /// How long a shard lets what a crowd says gather before it reads on; 0s is not at all
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = value::duration, conflicts_with = "server")]
    gather: Duration,
    /// Processors that are the server's alone; the load test keeps to the others [default: all are everybody's]
    #[arg(long, value_name = "LIST", value_parser = str::parse::<Cores>, conflicts_with = "server")]
    server_cores: Option<Cores>,
}

/// A server that runs already.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A server elsewhere")]
struct ElsewhereArguments {
    /// Test this server instead: its address, as it stands in the connect tokens
    #[arg(long, value_name = "ADDR", value_parser = super::bots::server_address)]
    server: Option<SocketAddr>,
    /// Its admin port, for what it costs there [default: not asked]
    #[arg(long, value_name = "URL", requires = "server")]
    admin: Option<HttpUrl>,
    /// Who gives connect tokens [default: http://127.0.0.1:7780/connect-token]
    #[arg(
        long,
        value_name = "URL",
        requires = "server",
        conflicts_with = "private_key_file"
    )]
    token_url: Option<HttpUrl>,
    /// Make the tokens here, with the key of the server: a file with 64 hexadecimal digits
    #[arg(long, value_name = "FILE", requires = "server")]
    private_key_file: Option<PathBuf>,
    /// The game and version that tokens must be for [default: what they say; with a key, that of --world]
    #[arg(long, value_name = "N", value_parser = value::number, requires = "server")]
    protocol_id: Option<u64>,
}

/// What must hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Objectives")]
struct ObjectiveArguments {
    /// Raise the load until an objective breaks, and say which and the last load that held
    #[arg(long)]
    find_max: bool,
    /// The first load of --find-max [default: 100, or all of --clients if that is less]
    #[arg(long, value_name = "N", value_parser = value::within::<u32>(1, MOST), requires = "find_max")]
    from: Option<u32>,
    /// Snapshots that arrive, at least
    #[arg(long, value_name = "PERCENT", default_value = "99%", value_parser = value::percent)]
    min_delivery: f64,
    /// Ticks that come too late, at most
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = value::percent)]
    max_overruns: f64,
    /// Age of the newest state at the clients, p99, at most
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = value::duration)]
    max_age: Duration,
}

impl Arguments {
    /// What is wrong with the values together, in the words of the command line.
    fn check(&self) -> Result<(), Failure> {
        let own = &self.own;
        super::check_rates(own.tick_rate, own.snapshot_rate)?;
        if let Some(cores) = &own.server_cores {
            cores
                .others()
                .map_err(|error| Failure::Usage(format!("--server-cores {cores}: {error}")))?;
        }
        if self.sockets == Some(Sockets::Shared) {
            let server = self.elsewhere.server.unwrap_or(OWN_SERVER);
            Sockets::try_sharing(server).map_err(|error| {
                Failure::Usage(format!(
                    "--sockets shared: {error}; allowed is --sockets own"
                ))
            })?;
        }
        match self.objectives.from {
            Some(from) if from > self.clients => Err(Failure::Usage(format!(
                "--from {from}: allowed is at most --clients {}",
                self.clients
            ))),
            _ => Ok(()),
        }
    }

    fn threads(&self) -> usize {
        let usual =
            || std::thread::available_parallelism().map_or(1, |it| (it.get() - 1).clamp(1, 8));
        self.threads.map_or_else(usual, usize::from)
    }

    /// Shared, unless something speaks against it.
    fn sockets(&self, server: SocketAddr) -> Sockets {
        self.sockets
            .unwrap_or_else(|| match Sockets::try_sharing(server) {
                Ok(()) => Sockets::Shared,
                Err(_) => Sockets::Own,
            })
    }

    fn course(&self) -> Course {
        let wanted = &self.objectives;
        let network = self.network.conditions();
        Course {
            clients: self.clients,
            seconds: self.duration.as_secs(),
            ramp: self.ramp.get(),
            churn: self.churn,
            objectives: Objectives {
                delivery: wanted.min_delivery,
                overruns: wanted.max_overruns,
                age: wanted.max_age,
            },
            find_from: wanted
                .find_max
                .then(|| wanted.from.unwrap_or(FROM.min(self.clients))),
            patience: PATIENCE + (network.delay + network.jitter) * 8,
            threads: self.threads(),
        }
    }

    fn fleet(&self, target: &Target) -> FleetConfig {
        FleetConfig {
            most: self.clients,
            // Two load tests on one server must not be the same clients. 52 bits: any JSON reader holds that.
            first_client: ClientId(calendar_micros()),
            ramp: self.ramp,
            whole: self.whole,
            world: self.world,
            client: ClientConfig {
                link: Arc::default(),
                schema: self.world.schema(),
                protocol_id: target.protocol_id,
                server: Some(target.address),
            },
            conditions: ProfileConditions::symmetric(self.network.conditions()),
            seed: self.seed,
            threads: self.threads(),
            sockets: self.sockets(target.address),
        }
    }
}

/// What is tested, and how one gets in.
struct Target {
    address: SocketAddr,
    protocol_id: Option<u64>,
    source: Box<dyn TokenSource>,
    admin: Option<HttpUrl>,
    /// Ended when this is dropped.
    own: Option<OwnServer>,
}

impl Target {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        match arguments.elsewhere.server {
            Some(address) => Self::elsewhere(address, arguments.world, &arguments.elsewhere),
            None => Ok(Self::own(arguments)?),
        }
    }

    fn elsewhere(
        address: SocketAddr,
        world: Bundled,
        arguments: &ElsewhereArguments,
    ) -> Result<Self, Failure> {
        let source: Box<dyn TokenSource> = if let Some(path) = &arguments.private_key_file {
            let said = format!("--private-key-file {}", path.display());
            let key = secret::read_key(path, &said)?;
            let protocol_id = arguments.protocol_id.unwrap_or_else(|| world.protocol_id());
            Box::new(TokenIssuer::new(protocol_id, key, vec![address]))
        } else {
            let url = match &arguments.token_url {
                Some(url) => url.clone(),
                None => url(&format!("http://{DEFAULT_ADMIN}/connect-token"))?,
            };
            Box::new(TokenService::new(url))
        };
        let admin = arguments.admin.as_ref().map(metrics_of).transpose()?;
        Ok(Self {
            address,
            protocol_id: arguments.protocol_id,
            source,
            admin,
            own: None,
        })
    }

    fn own(arguments: &Arguments) -> anyhow::Result<Self> {
        let key = random_key().context("cannot make a key")?;
        let protocol_id = arguments.world.protocol_id();
        let order = ServerOrder {
            world: arguments.world,
            // Who leaves and comes back may come back before the goodbye has arrived.
            places: arguments
                .clients
                .saturating_add(arguments.clients / 8 + 16)
                .min(MOST as u32),
            tick_rate: arguments.own.tick_rate,
            snapshot_rate: arguments.own.snapshot_rate,
            shards: arguments.own.shards,
            packet_io: arguments.own.packet_io,
            gather: arguments.own.gather,
            seed: arguments.seed,
            key: key.clone(),
            cores: arguments.own.server_cores.clone(),
        };
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let own = OwnServer::start(&program, &order)?;
        let address = own.address();
        Ok(Self {
            address,
            protocol_id: Some(protocol_id),
            source: Box::new(TokenIssuer::new(protocol_id, key, vec![address])),
            admin: Some(url(&format!("http://{}/metrics", own.admin()))?),
            own: Some(own),
        })
    }
}

fn url(text: &str) -> anyhow::Result<HttpUrl> {
    Ok(text.parse()?)
}

/// Where the metrics of an admin port are: at the port's own path when it names none.
fn metrics_of(admin: &HttpUrl) -> anyhow::Result<HttpUrl> {
    if admin.target() == "/" {
        return url(&format!(
            "{}/metrics",
            admin.to_string().trim_end_matches('/')
        ));
    }
    Ok(admin.clone())
}

/// Runs the load test.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.check()?;
    log::install().map_err(Failure::Usage)?;
    if let Some(folder) = &arguments.out {
        files::prepare(folder)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(measure(arguments))?;
    if let Some(folder) = &arguments.out {
        files::write(folder, &report)?;
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        writeln!(io::stdout(), "{text}").context("cannot write to stdout")?;
    } else {
        let _ = write!(io::stdout(), "{}", summary::text(&report));
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Report, Failure> {
    // From here on a signal is a wish: whatever has been started is ended in order.
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    // Before the own server takes some of it for itself.
    let machine = Machine::read();
    let target = Target::new(arguments)?;
    let config = arguments.fleet(&target);
    let Target {
        address,
        source,
        admin,
        mut own,
        ..
    } = target;
    let first = admin.as_ref().map(first_reading).transpose()?;
    let fleet = Fleet::start(config.clone(), source).map_err(anyhow::Error::from)?;
    let probe = match admin.zip(first) {
        Some((url, first)) => Some(Probe::start(url, first, fleet.clock()).context("no thread")?),
        None => None,
    };
    let course = arguments.course();
    let mut ticker = Ticker::new(arguments.json);
    let every = ticker.every();
    let mut show_at = Duration::ZERO;
    let stop = async { signals.next().await };
    let ran = conduct(
        &course,
        fleet,
        (own.as_mut(), probe.as_ref()),
        stop,
        |status| {
            if status.at >= show_at {
                show_at = status.at + every;
                ticker.show(&summary::line(status, course.seconds));
            }
        },
    )
    .await;
    drop(ticker);
    let ran = ran.map_err(|error| explain(address, &error, arguments))?;
    Ok(report(arguments, machine, &config, address, ran))
}

/// A first look, so that a wrong URL is an error and not a report with holes.
fn first_reading(url: &HttpUrl) -> anyhow::Result<crate::tools::bench::exposition::Exposition> {
    let reading = Probe::read(url)?;
    if reading.is_ours() {
        Ok(reading)
    } else {
        Err(anyhow!(
            "--admin {url}: what answers there has no metrics of a Tickwire server"
        ))
    }
}

fn report(
    arguments: &Arguments,
    machine: Machine,
    config: &FleetConfig,
    address: SocketAddr,
    ran: Ran,
) -> Report {
    let Ran {
        result,
        found,
        rates,
        interrupted,
        timeline,
        rest,
    } = ran;
    let network = arguments.network.conditions();
    let course = arguments.course();
    let is_own = arguments.elsewhere.server.is_none();
    let whole = config.whole_of(arguments.clients);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("TICKWIRE_COMMIT"),
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        machine,
        server: ServerSheet {
            address: address.to_string(),
            own: is_own,
            world: arguments.world.name(),
            tick_rate: rates.0,
            snapshot_rate: rates.1,
            shards: is_own.then_some(arguments.own.shards),
            packet_io: is_own.then_some(arguments.own.packet_io.name()),
        },
        load: LoadSheet {
            clients: arguments.clients,
            whole,
            light: arguments.clients - whole,
            churn: arguments.churn,
            loss: network.loss.mean(),
            rtt_ms: millis(network.delay * 2),
            jitter_ms: millis(network.jitter),
            seed: arguments.seed,
            seconds: course.seconds,
            ramp: course.ramp,
            threads: course.threads,
            sockets: config.sockets.name(),
        },
        interrupted,
        objectives: course.objectives.judge(&result.measured()),
        result,
        find_max: found,
        disconnects: rest.disconnects,
        rejections: rest.rejections,
        not_started: rest.not_started,
        timeline,
    }
}

/// Why there is no result, in one line.
fn explain(address: SocketAddr, error: &RunError, arguments: &Arguments) -> anyhow::Error {
    let RunError::NobodyIn(rest) = error else {
        return anyhow!("{error}");
    };
    let Rest {
        disconnects,
        not_started,
        ..
    } = &**rest;
    if let Some(first) = &not_started.first {
        let elsewhere = &arguments.elsewhere;
        let is_default = elsewhere.token_url.is_none() && elsewhere.private_key_file.is_none();
        let hint = if is_default && not_started.no_token > 0 {
            "; say who gives tokens with --token-url or --private-key-file"
        } else {
            ""
        };
        return anyhow!("no client could set out for {address}: {first}{hint}");
    }
    let reasons: Vec<_> = disconnects
        .iter()
        .map(|(name, count)| format!("{name} for {count}"))
        .collect();
    if reasons.is_empty() {
        return anyhow!("no client got into {address}: none of them had an answer in time");
    }
    anyhow!("no client got into {address}: {}", reasons.join(", "))
}
