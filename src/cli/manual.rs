//! `tickwire completions` and `tickwire man`: what the definition of the command line says, for shells and for `man`.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;

use super::Failure;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tickwire completions bash > /etc/bash_completion.d/tickwire")]
pub(super) struct CompletionsArguments {
    /// For this shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Print the manual page, of a command or of all of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tickwire man serve | man -l -")]
pub(super) struct ManArguments {
    /// The command; without one, the page of the program
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the script.
pub(super) fn complete(mut tree: Command, arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut tree, "tickwire", &mut script);
    print(&script)
}

/// Prints the page.
pub(super) fn man(mut tree: Command, arguments: &ManArguments) -> Result<(), Failure> {
    tree.build();
    let page = match &arguments.command {
        None => tree,
        Some(name) => find(&tree, name)?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .context("cannot write the page")?;
    print(&text)
}

fn find(tree: &Command, name: &str) -> Result<Command, Failure> {
    let command = tree.find_subcommand(name).cloned();
    command
        .map(|command| {
            let title = format!("tickwire-{name}");
            command.name(title)
        })
        .ok_or_else(|| {
            let names: Vec<_> = tree.get_subcommands().map(Command::get_name).collect();
            Failure::Usage(format!(
                "unknown command '{name}'; allowed are {}",
                names.join(", ")
            ))
        })
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    io::stdout()
        .write_all(bytes)
        .context("cannot write to stdout")?;
    Ok(())
}
