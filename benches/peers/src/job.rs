//! The job: who sends what, how often, for how long; and how a process that does a part of it is told and reports.

use std::sync::mpsc::Receiver;

use serde::{Deserialize, Serialize};

use crate::machine;

/// Ticks a second.
pub(crate) const HZ: u64 = 60;

/// One tick, in nanoseconds.
pub(crate) const TICK: u64 = 1_000_000_000 / HZ;

/// An input unless it is said otherwise, in bytes.
pub(crate) const INPUT: usize = 40;

/// The size of the job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// How many clients.
    pub(crate) clients: usize,
    /// Bytes of a client's input.
    pub(crate) input: usize,
    /// Bytes of a snapshot.
    pub(crate) bytes: usize,
}

/// The window in which the server's work is measured, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

impl Window {
    /// As the conductor writes it.
    pub(crate) fn line(self) -> String {
        format!("{} {}", self.begin, self.end)
    }

    fn read(line: &str) -> Option<Self> {
        let (begin, end) = line.trim().split_once(' ')?;
        Some(Self {
            begin: begin.parse().ok()?,
            end: end.parse().ok()?,
        })
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients connect; then everything warms up.
    Before,
    /// What is done now counts.
    Measured,
    /// No new inputs and snapshots: what is under way arrives.
    After,
}

/// The window, once the conductor has set it.
pub(crate) struct Schedule {
    orders: Receiver<String>,
    window: Option<Window>,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self {
            orders: machine::orders(),
            window: None,
        }
    }

    /// How far the run is at `now`.
    pub(crate) fn phase(&mut self, now: u64) -> Phase {
        if self.window.is_none() {
            self.window = self
                .orders
                .try_recv()
                .ok()
                .and_then(|line| Window::read(&line));
        }
        match self.window {
            Some(window) if now >= window.end => Phase::After,
            Some(window) if now >= window.begin => Phase::Measured,
            _ => Phase::Before,
        }
    }

    /// How long ago the window ended, in nanoseconds.
    pub(crate) fn over_for(&self, now: u64) -> Option<u64> {
        now.checked_sub(self.window?.end)
    }
}

/// What a process says: a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The server listens on this port.
    Listening(u16),
    /// All clients are connected.
    Connected,
    /// What the server did.
    Served(Served),
    /// What the clients did.
    Loaded(Loaded),
}

impl Word {
    /// Tells the conductor.
    pub(crate) fn say(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            println!("{line}");
        }
    }
}

/// What the server's process did.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Served {
    /// In the window: ticks.
    pub(crate) ticks: u64,
    /// In the window: ticks whose work ended after the next one was due.
    pub(crate) overruns: u64,
    /// In the window: processor time in nanoseconds.
    pub(crate) processor_time: u64,
    /// In the window: nanoseconds on the clock.
    pub(crate) elapsed: u64,
    /// The longest tick of the window, in nanoseconds.
    pub(crate) longest: u64,
    /// Since the start: inputs read.
    pub(crate) inputs: u64,
    /// Since the start: snapshots sent.
    pub(crate) snapshots: u64,
    /// Memory at the end of the window and before the first client, in bytes.
    pub(crate) resident: (u64, u64),
}

/// What the clients' process did.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// Since the start: inputs sent.
    pub(crate) inputs: u64,
    /// Since the start: snapshots received.
    pub(crate) snapshots: u64,
    /// In the window: processor time and time on the clock, in nanoseconds.
    pub(crate) processor_time: u64,
    pub(crate) elapsed: u64,
    /// In the window: datagrams and bytes of UDP payload, received and sent. 0 where the library keeps the socket to itself.
    pub(crate) received: (u64, u64),
    pub(crate) sent: (u64, u64),
    /// The window's slots that began more than a millisecond late.
    pub(crate) late: u64,
}
