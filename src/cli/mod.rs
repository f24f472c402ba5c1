//! The command line: each command is a page that arranges parts which exist without it.
//!
//! Exit codes: 0 all went well; 1 something outside was not as needed (a port in use, a missing file, a damaged recording);
//! 2 the command line itself, a variable or the configuration is wrong; 128 and a signal's number: it
//! came twice.

mod bench;
mod bots;
mod demo;
mod key;
mod log;
mod manual;
mod network;
mod replay;
mod screen;
mod secret;
mod serve;
mod settings;
mod tables;
mod ticker;
mod token;
mod train;
mod value;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::time::TickRate;

/// The version and the commit it was made from.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("TICKWIRE_COMMIT"),
    ")"
);

/// Tickwire: an authoritative game server and its clients over UDP.
#[derive(Debug, clap::Parser)]
#[command(
    name = "tickwire",
    version = VERSION,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// A server and its bots in one process: see it live
    Demo(demo::Arguments),
    /// Bots that play on a server elsewhere: a small load test
    Bots(bots::Arguments),
    /// A load test: what players feel, and what it costs
    Bench(Box<bench::Arguments>),
    /// Run a game for clients from elsewhere
    Serve(serve::Arguments),
    /// Verify a recording frame by frame, and say what it holds
    Replay(replay::Arguments),
    /// Learn from recordings how a world moves, for smaller snapshots
    Train(train::Arguments),
    /// Issue one connect token, as a backend would
    Token(token::Arguments),
    /// Make a private key for servers and the backend that issues tokens
    Key(key::Arguments),
    /// Print a completion script for a shell
    Completions(manual::CompletionsArguments),
    /// Print the manual page, of a command or of all of it
    Man(manual::ManArguments),
}

impl Command {
    fn run(&self) -> Result<ExitCode, Failure> {
        let done = |()| ExitCode::SUCCESS;
        match self {
            Self::Demo(arguments) => demo::run(arguments).map(done),
            Self::Bots(arguments) => bots::run(arguments).map(done),
            Self::Bench(arguments) => bench::run(arguments).map(done),
            Self::Serve(arguments) => serve::run(arguments),
            Self::Replay(arguments) => replay::run(arguments),
            Self::Train(arguments) => train::run(arguments).map(done),
            Self::Token(arguments) => token::run(arguments).map(done),
            Self::Key(arguments) => key::run(arguments).map(done),
            Self::Completions(arguments) => {
                manual::complete(Arguments::command(), arguments).map(done)
            }
            Self::Man(arguments) => manual::man(Arguments::command(), arguments).map(done),
        }
    }
}

/// Where a server that was told nothing else answers its operator, and gives tokens to this machine.
const DEFAULT_ADMIN: &str = "127.0.0.1:7780";

/// Where a server that was told nothing else listens.
const DEFAULT_LISTEN: &str = "127.0.0.1:7777";

/// Why a command could not do its work.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong: what, and what is allowed.
    Usage(String),
    /// Something outside is not as needed.
    Outside(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Outside(error)
    }
}

/// Refuses a snapshot rate that does not divide the tick rate, and says which ones do.
fn check_rates(tick: TickRate, snapshot: TickRate) -> Result<(), Failure> {
    if tick.is_multiple_of(snapshot) {
        return Ok(());
    }
    let hz = tick.hz();
    let allowed = (1..=hz).filter(|rate| hz.is_multiple_of(*rate));
    let allowed = allowed.map(|rate| rate.to_string()).collect::<Vec<_>>();
    Err(Failure::Usage(format!(
        "--snapshot-rate {}: must divide --tick-rate {hz}; allowed is {}",
        snapshot.hz(),
        allowed.join(", "),
    )))
}

/// Runs the command that the arguments name (the first one is the program's own name).
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let matches = match Arguments::command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    let result = match Arguments::from_arg_matches(&matches) {
        Ok(Arguments { command }) => command.run(),
        Err(error) => return refuse(&error),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Usage(what)) => {
            complain(&what);
            ExitCode::from(2)
        }
        Err(Failure::Outside(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to stdout; anything wrong is one line on stderr.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    complain(&one_line(&error.render().to_string()));
    ExitCode::from(2)
}

fn complain(what: &str) {
    let _ = writeln!(std::io::stderr(), "tickwire: {what}");
}

/// The parser's message as one line: without its prefix, its usage and its pointer to `--help`.
fn one_line(message: &str) -> String {
    let useful = message
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let joined = useful.collect::<Vec<_>>().join(" ");
    let joined = joined.replace(" tip: ", "; ");
    joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let error = Arguments::command()
            .try_get_matches_from(arguments)
            .expect_err("these arguments are wrong");
        one_line(&error.render().to_string())
    }

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_is_one_line_with_the_flag_and_what_is_allowed() {
        let line = complaint(&["tickwire", "demo", "--loss", "180%"]);
        assert!(!line.contains('\n'));
        assert!(line.contains("--loss") && line.contains("180%"), "{line}");
        assert!(line.contains("0% to 100%"), "{line}");
    }

    #[test]
    fn an_unknown_flag_is_named_as_it_was_written() {
        let line = complaint(&["tickwire", "demo", "--bot", "3"]);
        assert!(
            line.contains("'--bot'") && line.contains("--bots"),
            "{line}"
        );
    }

    #[test]
    fn an_unknown_command_is_named_as_it_was_written() {
        let line = complaint(&["tickwire", "dema"]);
        assert!(line.contains("'dema'") && line.contains("demo"), "{line}");
    }
}
