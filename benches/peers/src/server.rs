//! The server's half of the job: ticks at 60 Hz, and what they cost.
//!
//! [`Meter`] keeps the account of the window for any loop; [`run`] is the loop of the libraries that have none of their own.

use crate::job::{Phase, Schedule, Served, TICK, Word};
use crate::machine;

/// A library's server, as far as the job needs it.
pub(crate) trait TickServer {
    /// Takes in everything that has arrived and answers how many inputs there were.
    fn drain(&mut self, now: u64) -> u64;

    /// Sends a snapshot to every client, and answers to how many.
    fn broadcast(&mut self, now: u64, tick: u64) -> u64;
}

/// How long after the window's end the server still listens: the last inputs are under way.
const LISTENS_ON: u64 = 100_000_000;

/// Serves until the run is over.
pub(crate) fn run(server: &mut impl TickServer, port: u16) -> Served {
    let mut meter = Meter::new();
    Word::Listening(port).say();
    let start = machine::now();
    for tick in 1.. {
        let due = start + tick * TICK;
        machine::sleep_until(due);
        let now = machine::now();
        let phase = meter.begin(now);
        meter.served.inputs += server.drain(now);
        if phase != Phase::After {
            meter.served.snapshots += server.broadcast(now, tick);
        }
        meter.end(due);
        if meter.is_over() {
            break;
        }
    }
    meter.served
}

/// The account of a server's window.
pub(crate) struct Meter {
    schedule: Schedule,
    phase: Phase,
    began: u64,
    at_begin: (u64, u64),
    pub(crate) served: Served,
}

impl Meter {
    /// Before the first client.
    pub(crate) fn new() -> Self {
        Self {
            schedule: Schedule::new(),
            phase: Phase::Before,
            began: 0,
            at_begin: (0, 0),
            served: Served {
                resident: (0, machine::resident()),
                ..Served::default()
            },
        }
    }

    /// A tick begins: the window opens or closes here, between two ticks.
    pub(crate) fn begin(&mut self, now: u64) -> Phase {
        let phase = self.schedule.phase(now);
        if phase != self.phase {
            let (clock, used) = (machine::now(), machine::processor_time());
            if phase == Phase::Measured {
                self.at_begin = (clock, used);
            } else {
                self.served.elapsed = clock - self.at_begin.0;
                self.served.processor_time = used - self.at_begin.1;
                self.served.resident.0 = machine::resident();
            }
        }
        (self.phase, self.began) = (phase, now);
        phase
    }

    /// The work of the tick that was due at `due` is done.
    pub(crate) fn end(&mut self, due: u64) {
        if self.phase != Phase::Measured {
            return;
        }
        let now = machine::now();
        self.served.ticks += 1;
        self.served.overruns += u64::from(now > due + TICK);
        self.served.longest = self.served.longest.max(now - self.began);
    }

    /// Whether what was under way has arrived.
    pub(crate) fn is_over(&self) -> bool {
        let over_for = self.schedule.over_for(machine::now());
        over_for.is_some_and(|passed| passed > LISTENS_ON)
    }
}
