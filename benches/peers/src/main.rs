//! The same job for different libraries, measured in one run: what a server of 60 Hz pays for each client and tick.
//!
//! `README.md` beside this says what the job is, what the figures mean and what they do not.

mod bytes;
mod conduct;
mod job;
mod load;
mod machine;
mod netcode_crowd;
mod peers;
mod server;
mod sockets;
mod table;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;

use job::{INPUT, Job, Word};
use peers::{Outcome, PEERS, Peer};
use table::Row;

const USAGE: &str = "\
tickwire-peers [--clients N] [--bytes P] [--rounds R] [--seconds S] [--peers NAME,NAME,...] [--json FILE]

Runs the job for each peer in turn, R times over, and prints one table. Defaults: 1000 clients, 1000 bytes,
3 rounds of 3 seconds, all peers. The server runs on core 0, the clients on core 1.";

/// The cores of the two processes.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("serve") => serve(&words[1..]),
        Some("load") => play(&words[1..]),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => compare(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The role of the server's process.
fn serve(words: &[String]) -> Outcome<()> {
    let options = Options::read(words)?;
    machine::settle(SERVER_CORE);
    let served = options.peer()?.serve(&options.job()?)?;
    Word::Served(served).say();
    Ok(())
}

/// The role of the clients' process.
fn play(words: &[String]) -> Outcome<()> {
    let options = Options::read(words)?;
    machine::settle(LOAD_CORE);
    let server: SocketAddr = options.text("server", "").parse()?;
    let loaded = options.peer()?.load(&options.job()?, server)?;
    Word::Loaded(loaded).say();
    Ok(())
}

/// What the user asked for.
fn compare(words: &[String]) -> Outcome<()> {
    let options = Options::read(words)?;
    let job = options.job()?;
    let (rounds, seconds) = (
        options.number("rounds", 3_usize)?,
        options.number("seconds", 3.0)?,
    );
    let peers = options.peers()?;
    let mut rows = Vec::new();
    eprintln!("{}", machine::description());
    for round in 0..rounds {
        rows.extend(one_round(&peers, round, job, seconds));
    }
    eprintln!("{}", machine::description());
    print!("{}", table::markdown(&rows));
    if let Some(file) = options.0.get("json") {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

/// Every peer once, the raw loop first; a peer that fails is named and left out.
fn one_round(peers: &[&dyn Peer], round: usize, job: Job, seconds: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    let raw = PEERS[0];
    let mut attempt = |peer: &dyn Peer, job: Job, compared_with: Option<f64>| match conduct::run(
        peer, job, seconds,
    ) {
        Ok(run) => {
            let row = Row::new(peer, round, &run, compared_with);
            eprintln!("{}", row.line());
            rows.push(row.clone());
            Some(row)
        }
        Err(error) => {
            eprintln!("{}: {error}", peer.name());
            None
        }
    };
    let plain = attempt(raw, job, None).map(|row| row.microseconds);
    for peer in peers.iter().filter(|peer| peer.name() != raw.name()) {
        if job.clients > peer.most_clients() {
            eprintln!(
                "{} takes {} clients at most",
                peer.name(),
                peer.most_clients()
            );
        } else if peer.has_own_world() {
            // It is compared with a raw loop of as many bytes: those have to be known first.
            let Some(row) = attempt(*peer, job, None) else {
                continue;
            };
            let alike = Job {
                input: row.input_bytes.round() as usize,
                bytes: row.snapshot_bytes.round() as usize,
                ..job
            };
            attempt(raw, alike, None);
        } else {
            attempt(*peer, job, plain);
        }
    }
    compare_worlds(&mut rows);
    rows
}

/// Gives each server with a world of its own the ratio to the raw loop that ran after it.
fn compare_worlds(rows: &mut [Row]) {
    for at in 1..rows.len() {
        let (before, after) = rows.split_at_mut(at);
        if let ([.., world], [raw, ..]) = (before, after)
            && peers::find(world.peer).is_some_and(Peer::has_own_world)
            && raw.peer == PEERS[0].name()
        {
            world.ratio = Some(world.microseconds / raw.microseconds);
        }
    }
}

/// `--name value`, each once.
struct Options(HashMap<String, String>);

impl Options {
    const KNOWN: &[&str] = &[
        "clients", "bytes", "rounds", "seconds", "peers", "json", "peer", "input", "server",
    ];

    fn read(words: &[String]) -> Outcome<Self> {
        let mut options = HashMap::new();
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value\n\n{USAGE}", pair[0]).into());
            };
            let known = name
                .strip_prefix("--")
                .filter(|it| Self::KNOWN.contains(it));
            let name = known.ok_or_else(|| format!("what is {name}?\n\n{USAGE}"))?;
            options.insert(name.to_owned(), value.clone());
        }
        Ok(Self(options))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        let Some(text) = self.0.get(name) else {
            return Ok(default);
        };
        Ok(text
            .parse()
            .map_err(|_| format!("--{name} {text} is not such a number"))?)
    }

    fn job(&self) -> Outcome<Job> {
        let job = Job {
            clients: self.number("clients", 1_000)?,
            input: self.number("input", INPUT)?,
            bytes: self.number("bytes", 1_000)?,
        };
        let fits = (1..=16_000).contains(&job.clients) && (8..=1_200).contains(&job.bytes);
        if fits && (8..=1_200).contains(&job.input) {
            Ok(job)
        } else {
            Err("1 to 16000 clients, 8 to 1200 bytes".into())
        }
    }

    fn peer(&self) -> Outcome<&'static dyn Peer> {
        let name = self.text("peer", "");
        Ok(peers::find(name).ok_or_else(|| format!("nobody is called {name}"))?)
    }

    fn peers(&self) -> Outcome<Vec<&'static dyn Peer>> {
        let Some(names) = self.0.get("peers") else {
            return Ok(PEERS.to_vec());
        };
        let named = |name| {
            peers::find(name).ok_or_else(|| {
                let known: Vec<_> = PEERS.iter().map(|peer| peer.name()).collect();
                format!("nobody is called {name}; there are {}", known.join(", ")).into()
            })
        };
        names.split(',').map(named).collect()
    }
}
