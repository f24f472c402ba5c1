//! What happened, twice: as a number that two runs must agree on, and as lines for whoever replays a seed.
//!
//! Knows words and numbers. Decides nothing.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use tickwire::time::Timestamp;

/// Lines that are kept: what led to a failure is rarely further back.
const LINES: usize = 200;

/// The trace of one run.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) now: Timestamp,
    hash: u64,
    /// `None`: nobody listens, and nothing is written down.
    lines: Option<VecDeque<String>>,
}

impl Story {
    pub(crate) fn new(is_told: bool) -> Self {
        Self {
            now: Timestamp::ZERO,
            // FNV-1a, 64 bits.
            hash: 0xCBF2_9CE4_8422_2325,
            lines: is_told.then(VecDeque::new),
        }
    }

    /// Everything so far as one number.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    fn take_in(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// A datagram is sent or arrives: part of the number, too many for the lines.
    pub(crate) fn datagram(&mut self, from: SocketAddr, to: SocketAddr, len: usize) {
        self.take_in(self.now.as_micros());
        for address in [from, to] {
            if let IpAddr::V4(ip) = address.ip() {
                self.take_in(u64::from(ip.to_bits()) << 16 | u64::from(address.port()));
            }
        }
        self.take_in(len as u64);
    }

    /// Something happened that is worth a line.
    pub(crate) fn event(&mut self, name: &'static str, who: u64, what: impl FnOnce() -> String) {
        self.take_in(self.now.as_micros());
        self.take_in(name.len() as u64);
        self.take_in(u64::from(name.as_bytes()[0]));
        self.take_in(who);
        let seconds = self.now.as_micros() as f64 / 1e6;
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(format!("{seconds:10.6} s  {name} {who} {}", what()));
        }
    }

    /// The newest lines, oldest first.
    pub(crate) fn lines(&self) -> String {
        let lines = self.lines.iter().flatten();
        lines.map(|line| format!("{line}\n")).collect()
    }
}
