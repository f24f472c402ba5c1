//! The books about bots, added up. Knows numbers. Has no opinion about them.

use std::collections::BTreeMap;

use crate::time::Tick;

/// What one bot, or many, sent, received and compared.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// In the game when measuring ended.
    pub connected: u32,
    /// The first snapshot tick of which anything arrived.
    pub first: Option<Tick>,
    /// The newest.
    pub newest: Option<Tick>,
    /// Snapshots that there were to get.
    pub expected: u64,
    /// Snapshots of which every part arrived.
    pub whole: u64,
    /// UDP payload sent while measuring.
    pub bytes_up: u64,
    /// UDP payload received while measuring.
    pub bytes_down: u64,
    /// Inputs sent, one a tick.
    pub inputs: u64,
    /// The tick of the last one.
    pub last_input: Option<Tick>,
    /// Snapshots compared with the server's frames.
    pub checked: u64,
    /// Comparisons that found a difference.
    pub mismatches: u64,
    /// Compared snapshots that were complete.
    pub complete: u64,
    /// Sessions that ended, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// What the clients refused, by name.
    pub rejections: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds somebody else's books.
    pub fn merge(&mut self, other: Self) {
        self.connected += other.connected;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.newest = self.newest.max(other.newest);
        self.expected += other.expected;
        self.whole += other.whole;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.inputs += other.inputs;
        self.last_input = self.last_input.max(other.last_input);
        self.checked += other.checked;
        self.mismatches += other.mismatches;
        self.complete += other.complete;
        for (reason, count) in other.disconnects {
            *self.disconnects.entry(reason).or_default() += count;
        }
        for (name, count) in other.rejections {
            *self.rejections.entry(name).or_default() += count;
        }
    }
}
