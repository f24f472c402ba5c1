//! The operating system's wish that the server stops: SIGINT, SIGTERM, Ctrl-C.
//!
//! Knows signals. What stopping means is told in [`Server::run`](super::Server::run).

use std::io;

/// Waits until the process is asked to stop, and names the signal.
///
/// Call it once more for the second signal, which usually means "now".
///
/// # Errors
/// When the system does not let us listen for signals.
pub async fn stop_requested() -> io::Result<&'static str> {
    wait().await
}

#[cfg(unix)]
async fn wait() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

#[cfg(not(unix))]
async fn wait() -> io::Result<&'static str> {
    tokio::signal::ctrl_c().await?;
    Ok("Ctrl-C")
}
