//! What the server counts: one named number for each thing that can happen, per shard.
//!
//! A shard writes its own cells and nobody else's; readers fold them into a plain [`ServerStats`]. Nothing
//! here is ever reset: rates are the reader's subtraction.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::histogram::{Distribution, Histogram};
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
        PayloadsAcked = 20, "payloads_acked", "datagrams with payloads that clients acknowledged";
        PayloadsLost = 21, "payloads_lost", "datagrams with payloads that were given up";
        SnapshotParts = 22, "snapshot_parts", "parts of snapshots written, each in a datagram";
        SnapshotBytes = 23, "snapshot_bytes", "bytes of these parts";
        PartsAlone = 24, "parts_alone", "parts whose deltas no cohort could share";
        PartsWithoutBaseline = 25, "parts_without_baseline", "parts that built on no snapshot the client was known to hold";
        EntitiesChanged = 26, "entities_changed", "entities told with a delta";
        EntitiesEntered = 27, "entities_entered", "entities told from nothing";
        EntitiesDeferred = 28, "entities_deferred", "entities whose change did not fit into a client's budget";
        EntitiesWithheld = 29, "entities_withheld", "entities that could not enter a view yet";
        CrowdLimited = 30, "crowd_limited", "datagrams of addresses without a session dropped unread: all of them together were too many";
        ReceiveCalls = 31, "receive_calls", "system calls to read from the socket, those included that found nothing";
        SendCalls = 32, "send_calls", "system calls to write to the socket, those included that it refused";
        DatagramsCoalesced = 33, "datagrams_coalesced", "datagrams read that the kernel had joined with others of the same client";
        DatagramsSegmented = 34, "datagrams_segmented", "datagrams sent as parts of one piece that the kernel cut for one client";
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

/// Where the buckets of tick times end, in microseconds: around the budgets of 120, 60 and 30 Hz.
pub const TICK_BOUNDS_US: [u64; 14] = [
    64, 128, 256, 512, 1_024, 2_048, 4_096, 6_144, 8_192, 12_288, 16_384, 24_576, 32_768, 65_536,
];

/// Where the buckets of round trips end, in microseconds: from one machine to the other side of the world.
pub const ROUND_TRIP_BOUNDS_US: [u64; 15] = [
    1_024, 2_048, 4_096, 8_192, 16_384, 24_576, 32_768, 49_152, 65_536, 98_304, 131_072, 196_608,
    262_144, 524_288, 1_048_576,
];

/// The cells of one shard.
#[derive(Debug)]
pub struct ShardMetrics {
    counters: [AtomicU64; Counter::COUNT],
    sessions: AtomicU64,
    /// The tick loop writes this one: what it found in the shard's inbox the last time.
    inbox: AtomicU64,
    /// The round trip of each client, looked at once a second.
    round_trips: Histogram,
    /// In the order of [`Rejections::iter`].
    rejections: Box<[AtomicU64]>,
}

impl Default for ShardMetrics {
    fn default() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            sessions: AtomicU64::new(0),
            inbox: AtomicU64::new(0),
            round_trips: Histogram::default(),
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
        self.store(Counter::PayloadsAcked, endpoint.verdicts.acked);
        self.store(Counter::PayloadsLost, endpoint.verdicts.lost);
        let views = &endpoint.views;
        self.store(Counter::SnapshotParts, views.parts);
        self.store(Counter::SnapshotBytes, views.bytes);
        self.store(Counter::PartsAlone, views.alone);
        self.store(Counter::PartsWithoutBaseline, views.without_baseline);
        self.store(Counter::EntitiesChanged, views.changed);
        self.store(Counter::EntitiesEntered, views.entered);
        self.store(Counter::EntitiesDeferred, views.deferred);
        self.store(Counter::EntitiesWithheld, views.withheld);
        for (cell, (_, _, count)) in self.rejections.iter().zip(endpoint.rejections.iter()) {
            cell.store(count, Ordering::Relaxed);
        }
    }

    /// Notes a client's round trip.
    pub fn note_round_trip(&self, round_trip: Duration) {
        self.round_trips.record(round_trip);
    }

    /// Notes how many events the tick loop found waiting.
    pub fn note_inbox(&self, events: u64) {
        self.inbox.store(events, Ordering::Relaxed);
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
            inbox: self.inbox.load(Ordering::Relaxed),
            commands: 0,
            round_trips: self.round_trips.distribution(&ROUND_TRIP_BOUNDS_US),
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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShardStats {
    /// Sessions now.
    pub sessions: u64,
    /// Events that waited for the tick loop when it last looked.
    pub inbox: u64,
    /// Commands that wait for the shard now.
    pub commands: u64,
    /// The smoothed round trip of each client, once a second.
    pub round_trips: Distribution,
    /// Everything by name.
    pub counters: Counters,
    /// Dropped datagrams by `room.reason`, those that happened.
    pub rejections: BTreeMap<String, u64>,
}

impl ShardStats {
    /// Adds what another shard counted.
    pub fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.inbox += other.inbox;
        self.commands += other.commands;
        self.round_trips.merge(&other.round_trips);
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

/// How often deltas were encoded for all clients of a cohort at once.
///
/// Counted when a frame is replaced: a shard that is late may still add to it afterwards, which is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CohortCounts {
    /// Cohorts that were encoded.
    pub built: u64,
    /// Entities that were encoded from a baseline alone.
    pub plain: u64,
    /// Entities that were encoded from nothing.
    pub absolute: u64,
    /// Times a shard waited for another one that was encoding.
    pub waited: u64,
}

/// How the world's thread is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    /// What ticks' work took, in buckets.
    pub work: Distribution,
    /// Shared encodings.
    pub cohorts: CohortCounts,
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
///
/// A plain value for an embedder to print, compare or export: nothing in it changes any more, and reading it
/// costs the server nothing but the loads of some hundred counters. All counters only grow; a rate is the
/// difference of two readings over the difference of their `uptime_seconds`. The parts are read one
/// after the other, so that a sum may miss what happened in between.
///
/// Serialised it is one object: `tick` and `total` by name, `shards` as a list. The admin port's metrics
/// ([`crate::server::admin::metrics`]) are these numbers.
///
/// ```
/// use tickwire::server::metrics::{Counter, ServerStats};
///
/// /// Bytes sent in a second between two readings.
/// fn bytes_per_second(before: &ServerStats, after: &ServerStats) -> f64 {
///     let bytes = after.total.get(Counter::BytesSent) - before.total.get(Counter::BytesSent);
///     bytes as f64 / (after.uptime_seconds - before.uptime_seconds)
/// }
/// ```
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
    use crate::proto::netcode;
    use crate::proto::stats::Rejection;
    use crate::server::histogram::is_exact;

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

    /// Whoever reads the numbers as JSON reads these names.
    #[test]
    fn as_json_everything_has_a_name() {
        let shard = ShardMetrics::default();
        let mut endpoint = EndpointStats {
            connects: 3,
            ..EndpointStats::default()
        };
        endpoint.verdicts.lost = 2;
        endpoint.views.bytes = 1_100;
        endpoint
            .rejections
            .count(Rejection::Netcode(netcode::Rejection::Forged));
        shard.mirror(&endpoint, 1);
        let mut stats = ServerStats {
            capacity: 8,
            shards: vec![shard.read()],
            ..ServerStats::default()
        };
        stats.total.merge(&shard.read());
        let json = serde_json::to_value(&stats).expect("it can be written");
        assert_eq!(json["capacity"], 8);
        assert_eq!(json["tick"]["inputs"]["late"], 0);
        assert_eq!(json["tick"]["cohorts"]["built"], 0);
        for part in [&json["total"], &json["shards"][0]] {
            assert_eq!(part["sessions"], 1);
            assert_eq!(part["counters"]["connects"], 3);
            assert_eq!(part["counters"]["payloads_lost"], 2);
            assert_eq!(part["counters"]["snapshot_bytes"], 1_100);
            assert_eq!(part["rejections"]["netcode.forged"], 1);
            assert_eq!(
                part["counters"].as_object().map(|it| it.len()),
                Some(Counter::COUNT)
            );
        }
    }

    #[test]
    fn bounds_are_ends_of_buckets_so_that_nothing_is_counted_on_the_wrong_side() {
        for bounds in [&TICK_BOUNDS_US[..], &ROUND_TRIP_BOUNDS_US] {
            assert!(bounds.is_sorted());
            assert!(bounds.iter().all(|micros| is_exact(*micros)), "{bounds:?}");
        }
    }

    #[test]
    fn round_trips_and_queues_are_summed_over_shards() {
        let (left, right) = (ShardMetrics::default(), ShardMetrics::default());
        left.note_round_trip(Duration::from_millis(20));
        right.note_round_trip(Duration::from_millis(300));
        right.note_inbox(3);
        let mut total = ShardStats::default();
        total.merge(&left.read());
        total.merge(&right.read());
        assert_eq!((total.inbox, total.round_trips.count), (3, 2));
        assert!((total.round_trips.sum_seconds - 0.32).abs() < 1e-9);
        let filled = total.round_trips.buckets.iter().filter(|it| it.1 > 0);
        let bounds: Vec<_> = filled.map(|it| it.0).collect();
        assert_eq!(bounds, [0.024_576, 0.524_288]);
    }

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Counter::COUNT);
    }
}
