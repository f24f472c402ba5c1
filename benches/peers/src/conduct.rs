//! One run: a server's process, a clients' process, the window that both measure.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::job::{Job, Loaded, Served, Window, Word};
use crate::machine;
use crate::peers::{Outcome, Peer};

/// From the last client's connection to the window.
const WARM_UP: u64 = 1_000_000_000;

/// A process that has said nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one run measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) job: Job,
    pub(crate) served: Served,
    pub(crate) loaded: Loaded,
}

/// Runs the job once.
pub(crate) fn run(peer: &dyn Peer, job: Job, seconds: f64) -> Outcome<Run> {
    let mut server = Process::start("serve", peer, &job, &[])?;
    let Word::Listening(port) = server.next()? else {
        return Err("the server should have said where it listens".into());
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut load = Process::start("load", peer, &job, &["--server", &address.to_string()])?;
    let Word::Connected = load.next()? else {
        return Err("not all clients connected".into());
    };
    let begin = machine::now() + WARM_UP;
    let end = begin + (seconds * 1e9) as u64;
    let window = Window { begin, end };
    server.tell(window)?;
    load.tell(window)?;
    let (Word::Served(served), Word::Loaded(loaded)) = (server.next()?, load.next()?) else {
        return Err("the wrong report".into());
    };
    Ok(Run {
        job,
        served,
        loaded,
    })
}

/// A process of the run. It is ended when this is dropped.
struct Process {
    child: Child,
    orders: ChildStdin,
    words: Receiver<Word>,
}

impl Process {
    /// This program once more, in another role.
    fn start(role: &str, peer: &dyn Peer, job: &Job, more: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([role, "--peer", peer.name()])
            .args(["--clients", &job.clients.to_string()])
            .args(["--bytes", &job.bytes.to_string()])
            .args(["--input", &job.input.to_string()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, output) = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(output)) = (orders, output) else {
            return Err("a process without pipes".into());
        };
        let (sender, words) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(word) = serde_json::from_str(&line) {
                    let _ = sender.send(word);
                }
            }
        });
        Ok(Self {
            child,
            orders,
            words,
        })
    }

    fn next(&self) -> Outcome<Word> {
        let word = self.words.recv_timeout(PATIENCE);
        Ok(word.map_err(|error| format!("a process says nothing: {error}"))?)
    }

    fn tell(&mut self, window: Window) -> Outcome<()> {
        writeln!(self.orders, "{}", window.line())?;
        Ok(self.orders.flush()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
