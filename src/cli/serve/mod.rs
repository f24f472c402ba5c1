//! `tickwire serve`: a game of the box, for clients from elsewhere, until somebody ends it.
//!
//! This file asks for the settings and does what was asked with them. What they mean is in `plan.rs`, a server's life in
//! `life.rs`, and what the service manager is told in `notify.rs`.

mod life;
mod notify;
mod plan;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::settings::Sources;
use super::{Failure, log, value};
use plan::Plan;

const EXAMPLES: &str = "\
Examples:
  tickwire serve                                           for this machine, tokens from http://127.0.0.1:7780
  tickwire serve --listen 0.0.0.0:7777 --public 203.0.113.7:7777 --private-key-file server.key
  tickwire serve --world cubes                             the other game in the box
  tickwire serve --config server.toml --print-config       what it would run with, and why

Each option is also a variable and a key of the file: --tick-rate 30, TICKWIRE_TICK_RATE=30, tick_rate = 30. The first of
flag, variable, file and default counts. Secrets come from files, or from TICKWIRE_PRIVATE_KEY and TICKWIRE_ADMIN_TOKEN.

SIGTERM and SIGINT end the server: clients are told, and it exits with 0 within --drain-timeout. A second one ends
it at once, with 143 or 130. SIGHUP reads the file again and applies limits and the log filter.";

/// What to do with the settings.
#[derive(Debug, Clone, Copy)]
enum Action {
    Run,
    Check,
    Print,
}

/// What the command line and the environment said.
#[derive(Debug)]
pub(super) struct Arguments {
    sources: Sources,
    action: Action,
}

impl clap::Args for Arguments {
    fn augment_args(command: Command) -> Command {
        let files = "Configuration";
        let switch = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .help(help)
                .help_heading(files)
                .action(ArgAction::SetTrue)
        };
        command
            .about("Run a game for clients from elsewhere")
            .after_help(EXAMPLES)
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .value_parser(value::path)
                    .help_heading(files)
                    .help("TOML file with options [env: TICKWIRE_CONFIG]"),
            )
            .arg(
                switch(
                    "print-config",
                    "Print every option, its value and where it came from, and do nothing else",
                )
                .conflicts_with("check-config"),
            )
            .arg(switch(
                "check-config",
                "Say whether the server could run like this, and do nothing else",
            ))
            .args(Sources::arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Arguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::new(matches, std::env::vars_os())
            .map_err(|problem| clap::Error::raw(clap::error::ErrorKind::ValueValidation, problem))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Arguments {
    fn new(
        matches: &ArgMatches,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, String> {
        let action = match (
            matches.get_flag("print-config"),
            matches.get_flag("check-config"),
        ) {
            (true, _) => Action::Print,
            (_, true) => Action::Check,
            (false, false) => Action::Run,
        };
        let config = matches.get_one::<PathBuf>("config").cloned();
        let sources = Sources::new(matches, config, environment)?;
        Ok(Self { sources, action })
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = arguments.sources.resolve()?;
    if let Action::Print = arguments.action {
        print(&settings.to_toml())?;
    }
    let plan = Plan::new(&settings)?;
    match arguments.action {
        Action::Print => Ok(ExitCode::SUCCESS),
        Action::Check => {
            print("the configuration is good\n")?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Run => {
            let values = &settings.values;
            let logs = log::install_as(values.log_format, &values.log).map_err(Failure::Usage)?;
            life::run(&arguments.sources, settings, plan, &logs)
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(())
}
