//! The clients' half of the job: inputs at 60 Hz, spread over the tick, and a socket that is read as often.
//!
//! Sleeps on the clock and never on a socket, so that the server pays nobody's wake-up.

use std::ops::Range;

use crate::job::{Job, Loaded, Phase, Schedule, TICK, Word};
use crate::machine;
use crate::sockets::Traffic;

/// The clients of a tick send in so many groups.
pub(crate) const SLOTS: u64 = 16;

/// So many clients a second set out.
const SETTING_OUT: u64 = 1_000;

/// After the window what is under way has so long to arrive.
const LISTENS_ON: u64 = 300_000_000;

/// A crowd that is not connected after this time will not be.
const PATIENCE: u64 = 60_000_000_000;

/// Many clients of one library.
pub(crate) trait Crowd {
    /// Does what these clients want to do at this time besides inputs: handshakes, keep-alives. Called once a tick for
    /// each.
    fn tend(&mut self, now: u64, clients: Range<usize>);

    /// Sends the input of each of these that is connected, and answers how many.
    fn send_inputs(&mut self, now: u64, clients: Range<usize>, tick: u64) -> u64;

    /// Takes in everything that has arrived and answers how many snapshots there were.
    fn drain(&mut self, now: u64) -> u64;

    /// How many are connected.
    fn connected(&self) -> usize;

    /// What passed through the socket, where it is ours.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// Plays until the run is over.
pub(crate) fn run(crowd: &mut impl Crowd, job: &Job) -> Loaded {
    let mut ledger = Ledger::new();
    let start = machine::now();
    for turn in 0.. {
        let due = start + turn * TICK / SLOTS;
        machine::sleep_until(due);
        let now = machine::now();
        let phase = ledger.begin(now, due, crowd.traffic());
        let clients = of_slot(job.clients, turn % SLOTS, set_out(now - start));
        crowd.tend(now, clients.clone());
        if phase != Phase::After {
            ledger.loaded.inputs += crowd.send_inputs(now, clients, turn / SLOTS);
        }
        ledger.loaded.snapshots += crowd.drain(now);
        if ledger.is_over(crowd.connected(), job.clients) {
            break;
        }
    }
    ledger.loaded
}

/// How many clients have set out.
pub(crate) fn set_out(passed: u64) -> usize {
    (passed * SETTING_OUT / 1_000_000_000) as usize + 8
}

/// The clients whose turn it is, as far as they have set out.
pub(crate) fn of_slot(clients: usize, slot: u64, set_out: usize) -> Range<usize> {
    let at = |slot: u64| clients * slot as usize / SLOTS as usize;
    at(slot).min(set_out)..at(slot + 1).min(set_out)
}

/// The account of the clients' window.
pub(crate) struct Ledger {
    schedule: Schedule,
    phase: Phase,
    born: u64,
    is_connected: bool,
    at_begin: (u64, u64, Traffic),
    pub(crate) loaded: Loaded,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            schedule: Schedule::new(),
            phase: Phase::Before,
            born: machine::now(),
            is_connected: false,
            at_begin: (0, 0, Traffic::default()),
            loaded: Loaded::default(),
        }
    }

    /// A slot that was due at `due` begins.
    pub(crate) fn begin(&mut self, now: u64, due: u64, traffic: Traffic) -> Phase {
        let phase = self.schedule.phase(now);
        if phase != self.phase {
            let used = machine::processor_time();
            if phase == Phase::Measured {
                self.at_begin = (now, used, traffic);
            } else {
                self.close(now, used, traffic);
            }
        }
        if phase == Phase::Measured && now > due + 1_000_000 {
            self.loaded.late += 1;
        }
        self.phase = phase;
        phase
    }

    fn close(&mut self, now: u64, used: u64, traffic: Traffic) {
        let (clock, used_before, before) = self.at_begin;
        self.loaded.elapsed = now - clock;
        self.loaded.processor_time = used - used_before;
        let since =
            |after: (u64, u64), before: (u64, u64)| (after.0 - before.0, after.1 - before.1);
        self.loaded.received = since(traffic.received, before.received);
        self.loaded.sent = since(traffic.sent, before.sent);
    }

    /// Tells the conductor once all are connected; `true` when what was under way has arrived, or nobody comes any more.
    pub(crate) fn is_over(&mut self, connected: usize, clients: usize) -> bool {
        let now = machine::now();
        if !self.is_connected && connected >= clients {
            self.is_connected = true;
            Word::Connected.say();
        }
        if !self.is_connected && now - self.born > PATIENCE {
            eprintln!("{connected} of {clients} clients are connected after a minute");
            return true;
        }
        let over_for = self.schedule.over_for(now);
        over_for.is_some_and(|passed| passed > LISTENS_ON)
    }
}
