//! What the server counts: one named number for each thing that can happen, per shard.
//!
//! A shard writes its own cells and nobody else's; readers fold them into a plain [`ServerStats`]. Nothing
//! here is ever reset: rates are the reader's subtraction.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::names::named;
use crate::proto::stats::{EndpointStats, Rejections};

named! {
    /// What a shard counts.
    pub enum Counter {
        DatagramsReceived = 0, "datagrams_received", "datagrams read from the socket";
        BytesReceived = 1, "bytes_received", "bytes read from the socket, without the headers of UDP";
        DatagramsSent = 2, "datagrams_sent", "datagrams the socket took";
        BytesSent = 3, "bytes_sent", "bytes the socket took, without the headers of UDP";
        ReceiveErrors = 4, "receive_errors", "errors while reading, each of one peer";
        SendErrors = 5, "send_errors", "datagrams that could not be sent to their peer";
        SendStalls = 6, "send_stalls", "times the socket's send buffer was full";
        StrangersLimited = 7, "strangers_limited", "datagrams of addresses without a session dropped unread: their network sent too many";
        PlayersLimited = 8, "players_limited", "datagrams of players dropped unread: the player sent too much";
        PlayersWarned = 9, "players_warned", "warnings to players who sent too much";
        PlayersExpelled = 10, "players_expelled", "players dropped because they kept sending too much";
        BannedRefused = 11, "banned_refused", "sessions of banned clients ended as they began";
        InputsDropped = 12, "inputs_dropped", "inputs dropped because the tick loop's inbox was full";
        InboxStalls = 13, "inbox_stalls", "times a join, a goodbye or a message had to wait for room in the inbox";
        FramesServed = 14, "frames_served", "snapshot frames that were sent to clients";
        FramesSkipped = 15, "frames_skipped", "snapshot frames that a newer one overtook";
        MessagesRefused = 16, "messages_refused", "messages of the game that a channel did not take";
        ClientsOverrun = 17, "clients_overrun", "clients dropped because a reliable message did not fit their buffer";
        Connects = 18, "connects", "sessions that began";
        Disconnects = 19, "disconnects", "sessions that ended";
        CrowdLimited = 20, "crowd_limited", "datagrams of addresses without a session dropped unread: all of them together were too many";
    }
}

// Cells are found by the number, so the numbers must be the places in the table.
const _: () = {
    let mut place = 0;
    while place < Counter::COUNT {
        assert!(Counter::ALL[place] as usize == place);
        place += 1;
    }
};

/// The cells of one shard.
#[derive(Debug)]
pub struct ShardMetrics {
    counters: [AtomicU64; Counter::COUNT],
    sessions: AtomicU64,
    /// In the order of [`Rejections::iter`].
    rejections: Box<[AtomicU64]>,
}

impl Default for ShardMetrics {
    fn default() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            sessions: AtomicU64::new(0),
            rejections: Rejections::default()
                .iter()
                .map(|_| AtomicU64::new(0))
                .collect(),
        }
    }
}

impl ShardMetrics {
    /// Counts so many more.
    pub fn add(&self, counter: Counter, more: u64) {
        self.counters[counter as usize].fetch_add(more, Ordering::Relaxed);
    }

    /// Counts one more.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Copies what the endpoint counted for itself.
    pub fn mirror(&self, endpoint: &EndpointStats, sessions: usize) {
        self.sessions.store(sessions as u64, Ordering::Relaxed);
        self.store(Counter::Connects, endpoint.connects);
        self.store(Counter::Disconnects, endpoint.disconnects);
        for (cell, (_, _, count)) in self.rejections.iter().zip(endpoint.rejections.iter()) {
            cell.store(count, Ordering::Relaxed);
        }
    }

    fn store(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    /// What the cells hold now. Not one moment: each number is right, their sums may differ by what
    /// happened meanwhile.
    #[must_use]
    pub fn read(&self) -> ShardStats {
        let mut rejections = BTreeMap::new();
        for (cell, (room, name, _)) in self.rejections.iter().zip(Rejections::default().iter()) {
            let count = cell.load(Ordering::Relaxed);
            if count > 0 {
                rejections.insert(format!("{room}.{name}"), count);
            }
        }
        ShardStats {
            sessions: self.sessions.load(Ordering::Relaxed),
            counters: Counters(
                self.counters
                    .each_ref()
                    .map(|cell| cell.load(Ordering::Relaxed)),
            ),
            rejections,
        }
    }
}

/// One number for each [`Counter`]; as JSON an object by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters([u64; Counter::COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::COUNT])
    }
}

impl Counters {
    /// One of them.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// All of them, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().copied().zip(self.0)
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(counter, value)| (counter.name(), value)))
    }
}

/// What one shard, or all together, counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardStats {
    /// Sessions now.
    pub sessions: u64,
    /// Everything by name.
    pub counters: Counters,
    /// Dropped datagrams by `room.reason`, those that happened.
    pub rejections: BTreeMap<String, u64>,
}

impl ShardStats {
    /// Adds what another shard counted.
    pub fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        for (ours, theirs) in self.counters.0.iter_mut().zip(other.counters.0) {
            *ours += theirs;
        }
        for (name, count) in &other.rejections {
            *self.rejections.entry(name.clone()).or_default() += count;
        }
    }

    /// One counter.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }
}

/// What became of the clients' inputs, each tick of each client counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InputCounts {
    /// Applied at their tick.
    pub applied: u64,
    /// Ticks without one that repeated the last.
    pub repeated: u64,
    /// Ticks without one that did nothing.
    pub neutral: u64,
    /// Came after their tick.
    pub late: u64,
    /// Too early, contradicting an earlier one, or malformed.
    pub rejected: u64,
}

/// How the world's thread is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TickStats {
    /// The newest tick that was played.
    pub tick: u32,
    /// Ticks that were played since the start.
    pub played: u64,
    /// What a tick's work took: half of them at most this, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 at most this, in microseconds.
    pub p99_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// Wakes that found more than one tick due.
    pub overruns: u64,
    /// Wall time that was given up because the world was too far behind, in microseconds.
    pub skipped_us: u64,
    /// What became of the clients' inputs.
    pub inputs: InputCounts,
    /// Frames that the game's own schema does not allow: none were made for those ticks.
    pub bad_frames: u64,
    /// Commands to shards that waited for room.
    pub commands_delayed: u64,
    /// Reliable messages that were lost because a shard took none for too long; their clients were dropped.
    pub commands_lost: u64,
}

/// Everything the server knows about itself, at about one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerStats {
    /// Since the start.
    pub uptime_seconds: f64,
    /// Places taken.
    pub seated: usize,
    /// Places there are.
    pub capacity: usize,
    /// Connect tokens that are remembered as used.
    pub used_tokens: usize,
    /// The world's thread.
    pub tick: TickStats,
    /// All shards together.
    pub total: ShardStats,
    /// Each shard.
    pub shards: Vec<ShardStats>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read_and_summed() {
        let (left, right) = (ShardMetrics::default(), ShardMetrics::default());
        left.add(Counter::BytesSent, 1_000);
        left.count(Counter::StrangersLimited);
        right.add(Counter::BytesSent, 234);
        let mut total = ShardStats::default();
        total.merge(&left.read());
        total.merge(&right.read());
        assert_eq!(total.get(Counter::BytesSent), 1_234);
        assert_eq!(total.get(Counter::StrangersLimited), 1);
        assert_eq!(total.get(Counter::Connects), 0);
    }

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::COUNT);
    }
}
