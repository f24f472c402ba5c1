//! `tickwire bots`: bots against a server that runs somewhere else.

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::network::NetworkArguments;
use super::ticker::{Ticker, bar};
use super::{DEFAULT_ADMIN, DEFAULT_LISTEN, Failure, log, secret, tables, value};
use crate::client::ClientConfig;
use crate::id::ClientId;
use crate::netsim::{LinkConditions, ProfileConditions};
use crate::proto::event::DisconnectReason;
use crate::proto::snapshot::Schema;
use crate::server::TokenIssuer;
use crate::server::clock::calendar_micros;
use crate::server::signal::stop_requested;
use crate::time::Tick;
use crate::tools::Bundled;
use crate::tools::bots::{
    Books, Course, Ending, Live, Meter, Phase, Ramp, Rates, Swarm, SwarmConfig, aftermath, conduct,
};
use crate::tools::report::BotsReport;
use crate::tools::tokens::{HttpUrl, TokenService, TokenSource};

/// Bots that play on a server elsewhere: a small load test
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tickwire bots                                   64 bots on 'tickwire serve' on this machine, until Ctrl-C
  tickwire bots --clients 200 --seconds 8 --json
  tickwire bots --server 192.0.2.7:7777 --private-key-file server.key --loss 2% --rtt 80ms")]
pub(super) struct Arguments {
    /// The server's address, as it stands in the connect tokens
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN, value_parser = server_address)]
    server: SocketAddr,
    /// How many bots play
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    clients: u32,
    /// Ends after this time, counted from when all bots are in the game [default: at Ctrl-C]
    #[arg(long, value_name = "S", value_parser = value::seconds)]
    seconds: Option<Duration>,
    /// Who gives connect tokens [default: the server's admin address, http://127.0.0.1:7780/connect-token]
    #[arg(long, value_name = "URL", conflicts_with = "private_key_file")]
    token_url: Option<HttpUrl>,
    /// Make the tokens here, with the key of the server: a file with 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
    /// The game and version that tokens must be for [default: what they say; with a key, the arena's]
    #[arg(long, value_name = "N", value_parser = value::number)]
    protocol_id: Option<u64>,
    /// Bots that set out in a second
    #[arg(long, value_name = "N/s", default_value = "100/s", value_parser = value::per_second)]
    ramp: std::num::NonZeroU32,
    /// Where the bots and the network begin
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::number)]
    seed: u64,
    /// File with the tables that the server has [default: the built-in ones]
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    tables: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArguments,
    /// Print one JSON object at the end, and nothing else, on stdout
    #[arg(long)]
    json: bool,
}

/// When all bots have set out, the last ones get so long to come in: more than a token's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Characters of the progress bar.
const BAR: usize = 24;

/// An address with a port; of a name the first IPv4 address, which is what servers listen on unless told otherwise.
pub(super) fn server_address(text: &str) -> Result<SocketAddr, String> {
    const ALLOWED: &str = "allowed is an address with a port, for example 127.0.0.1:7777";
    let found: Vec<_> = text
        .to_socket_addrs()
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => ALLOWED.to_owned(),
            _ => format!("{error}; {ALLOWED}"),
        })?
        .collect();
    let first = found.iter().find(|address| address.is_ipv4());
    let address = first.or(found.first()).ok_or(ALLOWED)?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err(format!("nobody can be there; {ALLOWED}"));
    }
    Ok(*address)
}

/// Runs the bots.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::install().map_err(Failure::Usage)?;
    let swarm = Swarm::start(swarm_config(arguments)?, token_source(arguments)?)
        .map_err(anyhow::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (ending, measured, books) = runtime.block_on(play(arguments, swarm))?;
    if books.tally.joined == 0 && ending == Ending::Done {
        return Err(Failure::Outside(nobody(arguments, &books)));
    }
    let report = BotsReport::new(arguments.clients, measured, books);
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
        writeln!(io::stdout(), "{text}").context("cannot write to stdout")?;
    } else {
        let _ = writeln!(io::stdout(), "{}", summary(&report));
    }
    Ok(())
}

fn token_source(arguments: &Arguments) -> Result<Box<dyn TokenSource>, Failure> {
    if let Some(path) = &arguments.private_key_file {
        let key = secret::read_key(path, &format!("--private-key-file {}", path.display()))?;
        let protocol_id = arguments
            .protocol_id
            .unwrap_or(Bundled::Arena.protocol_id());
        let issuer = TokenIssuer::new(protocol_id, key, vec![arguments.server]);
        return Ok(Box::new(issuer));
    }
    let url = match &arguments.token_url {
        Some(url) => url.clone(),
        None => format!("http://{DEFAULT_ADMIN}/connect-token")
            .parse()
            .map_err(anyhow::Error::from)?,
    };
    Ok(Box::new(TokenService::new(url)))
}

fn swarm_config(arguments: &Arguments) -> anyhow::Result<SwarmConfig> {
    let mut schema = Bundled::Arena.schema();
    if let Some(tables) = tables::read(arguments.tables.as_deref(), Bundled::Arena)? {
        schema = std::sync::Arc::new(Schema::clone(&schema).with_tables(tables)?);
    }
    Ok(SwarmConfig {
        bots: arguments.clients,
        // Two swarms on one server must not be the same clients. 52 bits: any JSON reader holds that.
        first_client: ClientId(calendar_micros()),
        ramp: Ramp(arguments.ramp),
        client: ClientConfig {
            link: std::sync::Arc::default(),
            schema,
            protocol_id: arguments.protocol_id,
            server: Some(arguments.server),
        },
        conditions: ProfileConditions::symmetric(arguments.network.conditions()),
        seed: arguments.seed,
        check: None,
        threads: SwarmConfig::usual_threads(),
    })
}

async fn play(
    arguments: &Arguments,
    swarm: Swarm,
) -> Result<(Ending, Duration, Books), anyhow::Error> {
    let network: LinkConditions = arguments.network.conditions();
    let patience = Ramp(arguments.ramp).turn_of(arguments.clients) + PATIENCE;
    let course = Course::new(arguments.clients, patience, arguments.seconds);
    let mut ticker = Ticker::new(arguments.json);
    let (mut meter, mut rates) = (Meter::default(), Rates::default());
    let every = ticker.every();
    let (ending, measured) = conduct(
        &swarm,
        course,
        every,
        stop_requested(),
        |live, course, at| {
            rates = meter.read(live, at).unwrap_or(rates);
            ticker.show(&line(arguments.clients, live, course.left(at), rates));
        },
    )
    .await;
    drop(ticker);
    let live = swarm.live();
    swarm.enter(Phase::Ending(live.newest.unwrap_or(Tick(0))));
    if live.in_game > 0 {
        tokio::time::sleep(aftermath(&network)).await;
    }
    let books = tokio::task::spawn_blocking(move || swarm.finish()).await?;
    Ok((ending, measured, books))
}

/// The status line.
fn line(clients: u32, live: &Live, left: Option<Duration>, rates: Rates) -> String {
    let mut text = String::new();
    if live.settled() < clients {
        let share = f64::from(live.settled()) / f64::from(clients);
        text = format!("{} ", bar(share, BAR));
    }
    text += &format!("clients {}/{clients}", live.in_game);
    if live.over + live.missed > 0 {
        text += &format!(" ({} over)", live.over + live.missed);
    }
    if let Some(left) = left.filter(|_| live.settled() >= clients) {
        text += &format!(" | {:.0} s to go", left.as_secs_f64().ceil());
    }
    text + &format!(
        " | round trip {:.1} ms | loss {:.1}% | per client {:.1} kB/s down, {:.1} kB/s up",
        live.rtt_ms(),
        live.loss() * 100.0,
        rates.down / 1e3,
        rates.up / 1e3,
    )
}

/// Why nobody got in, in one line.
fn nobody(arguments: &Arguments, books: &Books) -> anyhow::Error {
    let server = arguments.server;
    if let Some(first) = &books.missed.first {
        let is_default = arguments.token_url.is_none() && arguments.private_key_file.is_none();
        let hint = if is_default && books.missed.no_token > 0 {
            "; start one with 'tickwire serve', or say who gives tokens with --token-url or --private-key-file"
        } else {
            ""
        };
        return anyhow!("no bot could set out for {server}: {first}{hint}");
    }
    let reasons = books.tally.disconnects.iter();
    let reasons: Vec<_> = reasons
        .map(|(name, count)| {
            let sentence = DisconnectReason::ALL
                .iter()
                .find(|reason| reason.name() == *name)
                .map_or_else(String::new, |reason| format!(" ({reason})"));
            format!("{name}{sentence} for {count}")
        })
        .collect();
    let reasons = if reasons.is_empty() {
        "none of them had an answer in time".to_owned()
    } else {
        reasons.join(", ")
    };
    anyhow!("no bot got into {server}: {reasons}")
}

/// The report in a few lines, for people.
fn summary(report: &BotsReport) -> String {
    let BotsReport {
        bots,
        connected,
        joined,
        connect_ms,
        rtt_ms,
        snapshots,
        disconnects,
        ..
    } = report;
    let mut text = format!(
        "{connected} of {bots} bots in the game at the end, {joined} at some time (connecting took {:.0} ms, p99 {:.0} ms). \
         Round trip {:.1} ms, p99 {:.1} ms. Snapshots: {:.2}% of {} arrived whole.",
        connect_ms.p50,
        connect_ms.p99,
        rtt_ms.p50,
        rtt_ms.p99,
        snapshots.delivery * 100.0,
        snapshots.expected,
    );
    for (reason, count) in disconnects {
        text += &format!(" {reason}: {count}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port_and_somebody_who_can_be_there() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7777));
        assert_eq!(server_address("127.0.0.1:7777"), Ok(address));
        assert_eq!(
            server_address("localhost:7777").map(|found| found.port()),
            Ok(7777)
        );
        for wrong in [
            "127.0.0.1",
            "",
            ":",
            "127.0.0.1:0",
            "0.0.0.0:7777",
            "127.0.0.1:70000",
        ] {
            let error = server_address(wrong).expect_err(wrong);
            assert!(error.contains("127.0.0.1:7777"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_default_token_url_is_one() {
        let url: HttpUrl = format!("http://{DEFAULT_ADMIN}/connect-token")
            .parse()
            .expect("a URL");
        assert_eq!(url.target(), "/connect-token");
        let help = <Arguments as clap::Args>::augment_args(clap::Command::new("bots"));
        let help = help.get_arguments().find(|arg| arg.get_id() == "token_url");
        let help = help
            .and_then(|arg| arg.get_help())
            .expect("it has help")
            .to_string();
        assert!(help.contains(&url.to_string()), "{help}");
    }

    #[test]
    fn the_status_line_shows_a_bar_until_all_have_come() {
        let live = |in_game, over| Live {
            in_game,
            over,
            ..Live::default()
        };
        let left = Some(Duration::from_millis(4_100));
        let joining = line(100, &live(50, 0), left, Rates::default());
        assert!(
            joining.starts_with("[############------------] clients 50/100 |"),
            "{joining}"
        );
        let playing = line(100, &live(97, 3), left, Rates::default());
        assert!(
            playing.starts_with("clients 97/100 (3 over) | 5 s to go | round trip"),
            "{playing}"
        );
    }
}
