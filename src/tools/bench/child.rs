//! A server of the load test's own: the same program in a second process, ended with it.
//!
//! Knows how `tickwire serve` is started and what it says when it serves. The key travels in the environment, which
//! only the same user can read, and never on a command line.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: a process is started, listened to and waited for in real time"
)]

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::cores::{Cores, CoresError};
use crate::proto::netcode::Key;
use crate::server::PacketIo;
use crate::time::TickRate;
use crate::tools::Bundled;

/// A server that does not serve after this time will not.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that was asked to end has so long before it is made to.
const FAREWELL: Duration = Duration::from_secs(6);

/// So many of its last lines are told when it fails.
const LAST_LINES: usize = 4;

/// What the server is told.
#[derive(Debug, Clone)]
pub struct ServerOrder {
    /// The game.
    pub world: Bundled,
    /// Places for clients.
    pub places: u32,
    /// Ticks a second.
    pub tick_rate: TickRate,
    /// Snapshots a second.
    pub snapshot_rate: TickRate,
    /// Threads that serve the network.
    pub shards: u16,
    /// How datagrams cross the kernel.
    pub packet_io: PacketIo,
    /// How long a shard lets what comes gather.
    pub gather: Duration,
    /// Where the world begins.
    pub seed: u64,
    /// The key of this run.
    pub key: Key,
    /// The processors that are the server's alone; `None`: it shares all of them with the load test.
    pub cores: Option<Cores>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The program cannot be started once more.
    #[error("cannot start the server: {0}")]
    Start(#[from] io::Error),
    /// It cannot have processors of its own.
    #[error("cannot keep the server and the load test apart: {0}")]
    Cores(#[from] CoresError),
    /// It ended before it served.
    #[error("the server ended ({status}) before it served: {last}")]
    Ended {
        /// How.
        status: String,
        /// What it said last.
        last: String,
    },
    /// It says nothing.
    #[error("the server did not serve within {PATIENCE:?}: {last}")]
    Silent {
        /// What it said last.
        last: String,
    },
}

/// A server in a process of its own. It is ended when this is dropped, whatever else happens.
#[derive(Debug)]
pub struct OwnServer {
    child: Child,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl OwnServer {
    /// Starts `program serve` on free ports of the loopback, and waits until it serves. When it has processors of its own, the
    /// calling thread, and what it starts from then on, keeps to the others.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends, or does not serve.
    pub fn start(program: &Path, order: &ServerOrder) -> Result<Self, ChildError> {
        let mut command = command(program, order);
        let child = match &order.cores {
            Some(cores) => cores.keep_apart(|| command.spawn())?,
            None => command.spawn(),
        };
        let mut own = Self {
            child: child?,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let lines = own.lines();
        let deadline = Instant::now() + PATIENCE;
        let mut last = VecDeque::with_capacity(LAST_LINES);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some((listen, admin)) = serving(&line) {
                        (own.listen, own.admin) = (listen, admin);
                        return Ok(own);
                    }
                    if last.len() == LAST_LINES {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
                Err(reason) => {
                    let last = Vec::from(last).join(" | ");
                    return Err(own.failed(reason, last));
                }
            }
        }
    }

    /// What it says, line by line. Somebody reads to the end, or a full pipe would hold the server up.
    fn lines(&mut self) -> Receiver<String> {
        let (sender, lines) = channel();
        if let Some(stderr) = self.child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        lines
    }

    fn failed(&mut self, reason: RecvTimeoutError, last: String) -> ChildError {
        match reason {
            RecvTimeoutError::Timeout => ChildError::Silent { last },
            RecvTimeoutError::Disconnected => {
                let status = self.child.wait().map(|status| status.to_string());
                let status = status.unwrap_or_else(|error| error.to_string());
                ChildError::Ended { status, last }
            }
        }
    }

    /// Where clients find it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where it tells its figures.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has: a server that ends before the load test is an event.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, and sees to it.
    fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.ask_to_end();
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[cfg(unix)]
    fn ask_to_end(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The command line of the server, in an environment in which nothing else has a word.
fn command(program: &Path, order: &ServerOrder) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TICKWIRE_") || text.starts_with("WATCHDOG_") {
            command.env_remove(&name);
        }
    }
    let key: String = order
        .key
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    command
        .env_remove("NOTIFY_SOCKET")
        .env("RUST_LOG", "info")
        .env("TICKWIRE_PRIVATE_KEY", key)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--world", order.world.name()])
        .args(["--max-clients", &order.places.to_string()])
        .args(["--tick-rate", &order.tick_rate.hz().to_string()])
        .args(["--snapshot-rate", &order.snapshot_rate.hz().to_string()])
        .args(["--shards", &order.shards.to_string()])
        .args(["--packet-io", order.packet_io.name()])
        .args(["--gather", &format!("{}us", order.gather.as_micros())])
        .args(["--seed", &order.seed.to_string()])
        .args([
            "--log-format",
            "json",
            "--shutdown-grace",
            "0ms",
            "--drain-timeout",
            "3s",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // Ctrl-C in a terminal goes to the whole group: the server is to end after the load test has its report.
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
    }
    command
}

/// The addresses in the line that says that it serves.
fn serving(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line.get("message")? != "serving" {
        return None;
    }
    let address = |field: &str| line.get(field)?.as_str()?.parse().ok();
    Some((address("listen")?, address("admin")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> ServerOrder {
        ServerOrder {
            world: Bundled::Arena,
            places: 7,
            tick_rate: TickRate::HZ_60,
            snapshot_rate: TickRate::HZ_30,
            shards: 1,
            packet_io: PacketIo::Auto,
            gather: Duration::from_millis(1),
            seed: 1,
            key: Key::from_bytes([0x5e; 32]),
            cores: None,
        }
    }

    #[test]
    fn the_key_is_in_the_environment_and_not_on_the_command_line() {
        let command = command(Path::new("tickwire"), &order());
        let arguments: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
        let arguments = arguments.join(" ");
        assert!(
            arguments.contains("--max-clients 7") && !arguments.contains("5e5e"),
            "{arguments}"
        );
        let mut variables = command.get_envs();
        let key = variables.find(|(name, _)| *name == "TICKWIRE_PRIVATE_KEY");
        let key = key.and_then(|(_, value)| value).expect("it is there");
        assert_eq!(key.to_string_lossy(), "5e".repeat(32));
    }

    #[test]
    fn only_the_line_that_says_so_says_so() {
        let line = r#"{"message":"serving","listen":"127.0.0.1:5","admin":"127.0.0.1:6"}"#;
        let (listen, admin) = serving(line).expect("it serves");
        assert_eq!((listen.port(), admin.port()), (5, 6));
        for other in [
            "",
            "serving",
            r#"{"message":"stopping"}"#,
            r#"{"message":"serving"}"#,
        ] {
            assert_eq!(serving(other), None, "{other}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_server_that_ends_at_once_is_told_with_what_it_said() {
        let error = OwnServer::start(Path::new("/bin/false"), &order()).expect_err("it ends");
        assert!(error.to_string().contains("exit status: 1"), "{error}");
        let error =
            OwnServer::start(Path::new("/nowhere/tickwire"), &order()).expect_err("nothing");
        assert!(
            error.to_string().contains("cannot start the server"),
            "{error}"
        );
    }
}
