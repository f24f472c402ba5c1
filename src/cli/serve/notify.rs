//! What a service manager is told (systemd's `sd_notify(3)`): ready, stopping, still alive.
//!
//! One datagram to the socket that `NOTIFY_SOCKET` names; nothing where it names none. "Alive" is said only when the
//! world's tick has advanced since the last time, so that a stuck world is restarted and a waiting one is not.

use std::io;
use std::time::Duration;

use tracing::warn;

/// The manager, if there is one.
#[derive(Debug)]
pub(super) struct Notifier {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    watchdog: Option<Duration>,
    last_tick: Option<u64>,
}

impl Notifier {
    /// The manager that the environment names.
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let socket = variable("NOTIFY_SOCKET").and_then(|name| {
            connect(&name)
                .inspect_err(
                    |error| warn!(socket = %name, %error, "cannot reach the service manager"),
                )
                .ok()
        });
        let period = period(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        let watchdog = socket.as_ref().and(period);
        Self {
            #[cfg(unix)]
            socket,
            watchdog,
            last_tick: None,
        }
    }

    /// How often to say that the world lives: half of what the manager allows.
    pub(super) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Clients can come.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Tells the manager that the world lives, if it has played since the last time. Gives whether it has.
    pub(super) fn alive(&mut self, ticks_played: u64) -> bool {
        let has_advanced = self.last_tick.is_none_or(|last| ticks_played > last);
        self.last_tick = Some(ticks_played);
        if has_advanced {
            self.send("WATCHDOG=1");
        }
        has_advanced
    }

    #[cfg(unix)]
    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            warn!(state, %error, "cannot tell the service manager");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) {}
}

/// Half of the watchdog's time, if it is meant for us.
fn period(micros: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own_pid)) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros) / 2)
}

/// A name with `@` in front is in the abstract namespace of Linux.
#[cfg(unix)]
fn connect(name: &str) -> io::Result<std::os::unix::net::UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    match name.strip_prefix('@') {
        None => socket.connect(name)?,
        Some(name) => connect_abstract(&socket, name)?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &std::os::unix::net::UnixDatagram, name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn connect_abstract(_: &std::os::unix::net::UnixDatagram, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn connect(_: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_in_its_time_and_only_if_it_is_ours() {
        let half = Some(Duration::from_secs(5));
        assert_eq!(period(Some("10000000"), None, 7), half);
        assert_eq!(period(Some("10000000"), Some("7"), 7), half);
        assert_eq!(period(Some("10000000"), Some("8"), 7), None);
        assert_eq!(period(Some("0"), None, 7), None);
        assert_eq!(period(Some("soon"), None, 7), None);
        assert_eq!(period(None, None, 7), None);
    }

    #[test]
    fn a_world_that_stands_still_is_not_reported_alive() {
        let mut notifier = Notifier {
            #[cfg(unix)]
            socket: None,
            watchdog: None,
            last_tick: None,
        };
        assert!(notifier.alive(0));
        assert!(!notifier.alive(0));
        assert!(notifier.alive(3));
        assert!(!notifier.alive(3));
    }
}
