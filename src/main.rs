//! Parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tickwire::cli::run(std::env::args_os())
}
