//! Logs: to stderr, by `RUST_LOG`, quiet at `info`, without colour where nobody sees it.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::settings::LogFormat;

/// The running program's filter, which can be replaced.
#[derive(Debug)]
pub(super) struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    ///
    /// When the text is no filter.
    pub(super) fn set_filter(&self, text: &str) -> Result<(), String> {
        let filter = EnvFilter::try_new(filter(text)?).map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Installs the subscriber by `RUST_LOG`, as text; only the program does this, never the library.
///
/// # Errors
///
/// When `RUST_LOG` is no filter; the error says which part and what a filter looks like.
pub(super) fn install() -> Result<(), String> {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let text = if text.trim().is_empty() {
        "info"
    } else {
        text.as_str()
    };
    install_as(LogFormat::Text, text)
        .map(drop)
        .map_err(|problem| format!("RUST_LOG={text}: {problem}"))
}

/// Installs the subscriber with a format and a filter.
///
/// # Errors
///
/// When the filter is none.
pub(super) fn install_as(format: LogFormat, text: &str) -> Result<LogControl, String> {
    let filter = EnvFilter::try_new(filter(text)?).map_err(|error| error.to_string())?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            install_subscriber(registry.with(lines.with_ansi(colour)));
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            install_subscriber(registry.with(lines.with_span_list(false)));
        }
    }
    Ok(LogControl(handle))
}

fn install_subscriber(subscriber: impl Subscriber + Send + Sync) {
    // A second one (a test that runs two commands) keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A filter that can be one, unchanged.
///
/// # Errors
///
/// Says which part is wrong and what a filter looks like.
pub(super) fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| {
            format!("{error}; allowed is for example info or info,tickwire::server=debug")
        })
}
