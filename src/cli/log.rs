//! Logs: to stderr, by `RUST_LOG`, quiet at `info`, without colour where nobody sees it.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Installs the subscriber; only the program does this, never the library.
///
/// # Errors
///
/// When `RUST_LOG` is no filter; the error says which part and what a filter looks like.
pub(super) fn install() -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            format!("RUST_LOG is '{text}': {error}; allowed is for example info or info,tickwire::server=debug")
        })?,
        _ => EnvFilter::new("info"),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .finish();
    // A second one (a test that runs two commands) keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
