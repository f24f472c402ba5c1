//! Every metric there is: its name, type, labels and meaning, and where its numbers come from. One table.
//!
//! `docs/operating.md` shows the same table, and what `deploy/` names must stand here; tests hold both.

use super::Reading;
use crate::proto::netcode;
use crate::proto::stats::Rejections;
use crate::server::admin::{COMMIT, VERSION};
use crate::server::clock::calendar;
use crate::server::histogram::Distribution;
use crate::server::metrics::{Counter, ShardStats};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// A number of this moment.
    Gauge,
    /// Durations in buckets, each counter of its own.
    Histogram,
    /// Always 1; what it says is in its labels.
    Info,
}

impl Kind {
    /// As the document calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The whole name, as queries spell it; a histogram's has its `_bucket`, `_sum` and `_count` behind it.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The labels of its samples, in their order.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
    read: fn(&Reading) -> Vec<Sample>,
}

impl Metric {
    /// The name without the ending that its kind brings along.
    pub(super) fn family(&self) -> &'static str {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }

    pub(super) fn read(&self, reading: &Reading) -> Vec<Sample> {
        let samples = (self.read)(reading);
        debug_assert!(samples.iter().all(|Sample(labels, _)| {
            labels
                .iter()
                .map(|label| label.0)
                .eq(self.labels.iter().copied())
        }));
        samples
    }
}

/// A number with its labels.
pub(super) struct Sample(pub(super) Vec<(&'static str, String)>, pub(super) Value);

/// A number.
pub(super) enum Value {
    /// Things are counted in whole numbers.
    Whole(u64),
    /// Seconds and shares are not whole.
    Number(f64),
    /// Many durations.
    Durations(Distribution),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&Distribution> for Value {
    fn from(value: &Distribution) -> Self {
        Self::Durations(value.clone())
    }
}

/// A metric without labels.
fn one(value: impl Into<Value>) -> Vec<Sample> {
    vec![Sample(Vec::new(), value.into())]
}

/// A metric that this system may not know.
fn known(value: Option<impl Into<Value>>) -> Vec<Sample> {
    value.map(one).unwrap_or_default()
}

/// A metric with one label.
fn by<V: Into<Value>>(
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, V)>,
) -> Vec<Sample> {
    let samples = values
        .into_iter()
        .map(|(name, value)| Sample(vec![(label, name.to_owned())], value.into()));
    samples.collect()
}

/// A metric for each shard.
fn by_shard(reading: &Reading, value: impl Fn(&ShardStats) -> u64) -> Vec<Sample> {
    let shards = reading.stats.shards.iter().enumerate();
    shards
        .map(|(index, shard)| {
            let labels = vec![("shard", index.to_string())];
            Sample(labels, Value::Whole(value(shard)))
        })
        .collect()
}

/// A metric for each shard and each of a few counters.
fn by_shard_and(
    reading: &Reading,
    label: &'static str,
    counters: &[(&'static str, Counter)],
) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (index, shard) in reading.stats.shards.iter().enumerate() {
        for (name, counter) in counters {
            let labels = vec![(label, (*name).to_owned()), ("shard", index.to_string())];
            samples.push(Sample(labels, Value::Whole(shard.get(*counter))));
        }
    }
    samples
}

/// A counter of all shards together.
fn total(reading: &Reading, counter: Counter) -> u64 {
    reading.stats.total.get(counter)
}

/// From here on the codes of [`netcode::Rejection`] are about handshakes.
const FIRST_HANDSHAKE_CODE: u8 = netcode::Rejection::RequestSize.code();

/// How connection attempts ended. Repetitions of a refused request count each time.
fn handshakes(reading: &Reading) -> Vec<Sample> {
    let banned = total(reading, Counter::BannedRefused);
    let began = total(reading, Counter::Connects);
    let refused = netcode::Rejection::ALL
        .iter()
        .filter(|rejection| rejection.code() >= FIRST_HANDSHAKE_CODE)
        .map(|rejection| {
            (
                rejection.name(),
                rejected(reading, "netcode", rejection.name()),
            )
        });
    let results = [
        ("accepted", began.saturating_sub(banned)),
        ("banned", banned),
    ];
    by("result", results.into_iter().chain(refused))
}

fn rejected(reading: &Reading, room: &str, name: &str) -> u64 {
    let rejections = &reading.stats.total.rejections;
    rejections
        .get(&format!("{room}.{name}"))
        .copied()
        .unwrap_or(0)
}

/// All reasons, those that never happened too, so that a rate is known from the first one on.
fn rejections(reading: &Reading) -> Vec<Sample> {
    Rejections::default()
        .iter()
        // Replicas live in clients.
        .filter(|(room, ..)| *room != "snapshot")
        .map(|(room, name, _)| {
            let labels = vec![("room", room.to_owned()), ("name", name.to_owned())];
            Sample(labels, Value::Whole(rejected(reading, room, name)))
        })
        .collect()
}

fn queues(reading: &Reading) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (index, shard) in reading.stats.shards.iter().enumerate() {
        for (queue, depth) in [("inbox", shard.inbox), ("commands", shard.commands)] {
            let labels = vec![("queue", queue.to_owned()), ("shard", index.to_string())];
            samples.push(Sample(labels, Value::Whole(depth)));
        }
    }
    samples
}

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Reading) -> Vec<Sample>,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
        read,
    }
}

use Kind::{Counter as Count, Gauge, Histogram, Info};

/// Every metric, in the order of the page.
#[rustfmt::skip]
pub const CATALOGUE: &[Metric] = &[
    metric(Info, "tickwire_build_info", &["version", "commit"],
        "What is running",
        |_| vec![Sample(vec![("version", VERSION.to_owned()), ("commit", COMMIT.to_owned())], Value::Whole(1))]),
    metric(Gauge, "tickwire_uptime_seconds", &[],
        "Time since the server started",
        |it| one(it.stats.uptime_seconds)),
    metric(Gauge, "tickwire_draining", &[],
        "1 when the server is about to end and nobody new should come, else 0",
        |it| one(u64::from(it.is_draining))),

    // The world.
    metric(Count, "tickwire_ticks_total", &[],
        "Ticks the world has made",
        |it| one(it.stats.tick.played)),
    metric(Histogram, "tickwire_tick_duration_seconds", &[],
        "The work of one tick: step, frame, messages",
        |it| one(&it.stats.tick.work)),
    metric(Count, "tickwire_tick_overruns_total", &[],
        "Wakes that found more than one tick due",
        |it| one(it.stats.tick.overruns)),
    metric(Count, "tickwire_tick_skipped_seconds_total", &[],
        "World time given up because the world was too far behind",
        |it| one(it.stats.tick.skipped_us as f64 / 1e6)),
    metric(Gauge, "tickwire_tick_age_seconds", &[],
        "Time since the world last moved",
        |it| one(it.tick_age_seconds)),
    metric(Count, "tickwire_bad_frames_total", &[],
        "Ticks without a frame because the game broke its own schema",
        |it| one(it.stats.tick.bad_frames)),
    metric(Count, "tickwire_inputs_total", &["outcome"],
        "What became of the clients' inputs, each tick of each client once",
        |it| { let of = it.stats.tick.inputs; by("outcome", [
            ("applied", of.applied), ("repeated", of.repeated), ("neutral", of.neutral),
            ("late", of.late), ("rejected", of.rejected)]) }),
    metric(Count, "tickwire_inputs_dropped_total", &["shard"],
        "Inputs dropped because the tick loop's inbox was full",
        |it| by_shard(it, |shard| shard.get(Counter::InputsDropped))),

    // Sessions.
    metric(Gauge, "tickwire_clients", &[],
        "Places taken",
        |it| one(it.stats.seated)),
    metric(Gauge, "tickwire_clients_max", &[],
        "Places there are",
        |it| one(it.stats.capacity)),
    metric(Gauge, "tickwire_sessions", &["shard"],
        "Sessions, those included that are about to end",
        |it| by_shard(it, |shard| shard.sessions)),
    metric(Count, "tickwire_handshakes_total", &["result"],
        "Connection attempts by how they ended; every repetition of a refused request counts",
        handshakes),
    metric(Count, "tickwire_disconnects_total", &[],
        "Sessions that ended",
        |it| one(total(it, Counter::Disconnects))),
    metric(Gauge, "tickwire_used_tokens", &[],
        "Connect tokens that are remembered as used",
        |it| one(it.stats.used_tokens)),
    metric(Count, "tickwire_clients_overrun_total", &[],
        "Clients dropped because a reliable message did not fit their buffer",
        |it| one(total(it, Counter::ClientsOverrun))),

    // The network.
    metric(Count, "tickwire_network_datagrams_total", &["direction", "shard"],
        "Datagrams the socket gave or took",
        |it| by_shard_and(it, "direction", &[
            ("received", Counter::DatagramsReceived), ("sent", Counter::DatagramsSent)])),
    metric(Count, "tickwire_network_bytes_total", &["direction", "shard"],
        "Bytes of these datagrams, without the headers of UDP",
        |it| by_shard_and(it, "direction", &[
            ("received", Counter::BytesReceived), ("sent", Counter::BytesSent)])),
    metric(Count, "tickwire_network_errors_total", &["direction", "shard"],
        "Errors of the socket, each of one peer",
        |it| by_shard_and(it, "direction", &[
            ("received", Counter::ReceiveErrors), ("sent", Counter::SendErrors)])),
    metric(Count, "tickwire_network_calls_total", &["direction", "shard"],
        "System calls for these datagrams, those included that moved none",
        |it| by_shard_and(it, "direction", &[
            ("received", Counter::ReceiveCalls), ("sent", Counter::SendCalls)])),
    metric(Count, "tickwire_network_joined_total", &["direction", "shard"],
        "Datagrams that the kernel had joined with others of the same client (GRO), or cut from one piece (GSO)",
        |it| by_shard_and(it, "direction", &[
            ("received", Counter::DatagramsCoalesced), ("sent", Counter::DatagramsSegmented)])),
    metric(Count, "tickwire_send_stalls_total", &["shard"],
        "Times the socket's send buffer was full",
        |it| by_shard(it, |shard| shard.get(Counter::SendStalls))),
    metric(Count, "tickwire_socket_drops_total", &[],
        "Datagrams the kernel dropped because the receive buffer was full (Linux)",
        |it| known(it.socket.map(|socket| socket.drops))),
    metric(Gauge, "tickwire_socket_queue_bytes", &["direction"],
        "Kernel memory of datagrams that wait in the socket (Linux)",
        |it| it.socket.map(|socket| by("direction", [
            ("received", socket.receive_queue), ("sent", socket.send_queue)])).unwrap_or_default()),
    metric(Count, "tickwire_payloads_total", &["outcome"],
        "Datagrams with payloads to clients: acknowledged, or given up as lost",
        |it| by("outcome", [
            ("acked", total(it, Counter::PayloadsAcked)), ("lost", total(it, Counter::PayloadsLost))])),
    metric(Histogram, "tickwire_round_trip_seconds", &[],
        "Smoothed round trips, of each client about once a second",
        |it| one(&it.stats.total.round_trips)),

    // What was not believed, and what was too much.
    metric(Count, "tickwire_rejections_total", &["room", "name"],
        "Datagrams, or parts of them, that were dropped, by the reason",
        rejections),
    metric(Count, "tickwire_rate_limited_total", &["kind"],
        "Datagrams dropped unread because their sender sent too much",
        |it| by("kind", [
            ("strangers", total(it, Counter::StrangersLimited)), ("players", total(it, Counter::PlayersLimited))])),
    metric(Count, "tickwire_rate_warnings_total", &[],
        "Warnings to players who sent too much",
        |it| one(total(it, Counter::PlayersWarned))),
    metric(Count, "tickwire_rate_expelled_total", &[],
        "Players dropped because they kept sending too much",
        |it| one(total(it, Counter::PlayersExpelled))),

    // Snapshots.
    metric(Count, "tickwire_snapshot_frames_total", &["outcome", "shard"],
        "Frames that were sent to clients, and frames that a newer one overtook",
        |it| by_shard_and(it, "outcome", &[
            ("served", Counter::FramesServed), ("skipped", Counter::FramesSkipped)])),
    metric(Count, "tickwire_snapshot_parts_total", &["shard"],
        "Parts of snapshots written, each in a datagram",
        |it| by_shard(it, |shard| shard.get(Counter::SnapshotParts))),
    metric(Count, "tickwire_snapshot_bytes_total", &["shard"],
        "Bytes of these parts",
        |it| by_shard(it, |shard| shard.get(Counter::SnapshotBytes))),
    metric(Count, "tickwire_snapshot_parts_alone_total", &[],
        "Parts whose deltas no cohort could share",
        |it| one(total(it, Counter::PartsAlone))),
    metric(Count, "tickwire_snapshot_parts_without_baseline_total", &[],
        "Parts that built on no snapshot the client was known to hold",
        |it| one(total(it, Counter::PartsWithoutBaseline))),
    metric(Count, "tickwire_snapshot_entities_total", &["outcome"],
        "Entities told with a delta or from nothing, deferred for want of room, or not yet let in",
        |it| by("outcome", [
            ("changed", total(it, Counter::EntitiesChanged)), ("entered", total(it, Counter::EntitiesEntered)),
            ("deferred", total(it, Counter::EntitiesDeferred)), ("withheld", total(it, Counter::EntitiesWithheld))])),
    metric(Count, "tickwire_cohorts_built_total", &[],
        "Cohorts whose deltas were encoded, once for all their clients",
        |it| one(it.stats.tick.cohorts.built)),
    metric(Count, "tickwire_cohorts_plain_total", &[],
        "Entities that were encoded from a baseline alone, each at most once a frame and cohort",
        |it| one(it.stats.tick.cohorts.plain)),
    metric(Count, "tickwire_cohorts_absolute_total", &[],
        "Entities that were encoded from nothing, each at most once a frame",
        |it| one(it.stats.tick.cohorts.absolute)),
    metric(Count, "tickwire_cohorts_waited_total", &[],
        "Times a shard waited for another one that was encoding a cohort",
        |it| one(it.stats.tick.cohorts.waited)),

    // Between threads.
    metric(Gauge, "tickwire_queue_depth", &["queue", "shard"],
        "Events that the tick loop last found in a shard's inbox, and commands that wait for the shard",
        queues),
    metric(Count, "tickwire_inbox_stalls_total", &["shard"],
        "Times a join, a goodbye or a message had to wait for room in the inbox",
        |it| by_shard(it, |shard| shard.get(Counter::InboxStalls))),
    metric(Count, "tickwire_commands_delayed_total", &[],
        "Commands to shards that waited for room",
        |it| one(it.stats.tick.commands_delayed)),
    metric(Count, "tickwire_commands_lost_total", &[],
        "Reliable messages lost because a shard took none for too long; their clients were dropped",
        |it| one(it.stats.tick.commands_lost)),
    metric(Count, "tickwire_messages_refused_total", &["shard"],
        "Messages of the game that a channel did not take",
        |it| by_shard(it, |shard| shard.get(Counter::MessagesRefused))),

    // The process, under the names that every exporter uses.
    metric(Count, "process_cpu_seconds_total", &[],
        "Processor time of all threads",
        |it| known(it.process.as_ref().map(|process| process.cpu_seconds))),
    metric(Gauge, "process_resident_memory_bytes", &[],
        "Memory that is in use (Linux)",
        |it| known(it.process.as_ref().and_then(|process| process.resident_bytes))),
    metric(Gauge, "process_open_fds", &[],
        "File descriptors in use (Linux)",
        |it| known(it.process.as_ref().and_then(|process| process.open_fds))),
    metric(Gauge, "process_max_fds", &[],
        "File descriptors the process may use (Linux)",
        |it| known(it.process.as_ref().and_then(|process| process.max_fds))),
    metric(Gauge, "process_threads", &[],
        "Threads (Linux)",
        |it| known(it.process.as_ref().and_then(|process| process.threads))),
    metric(Gauge, "process_start_time_seconds", &[],
        "When the server started, in seconds since 1970",
        |it| one(calendar().0 as f64 - it.stats.uptime_seconds.floor())),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        for (at, metric) in CATALOGUE.iter().enumerate() {
            let Metric { name, kind, .. } = metric;
            assert!(
                name.starts_with("tickwire_") || name.starts_with("process_"),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), *kind == Kind::Info, "{name}");
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.'),
                "{name}"
            );
            assert!(
                CATALOGUE[..at].iter().all(|other| other.name != *name),
                "{name} twice"
            );
        }
    }

    #[test]
    fn no_label_can_hold_a_player() {
        let allowed = [
            "version",
            "commit",
            "outcome",
            "shard",
            "result",
            "direction",
            "room",
            "name",
            "kind",
            "queue",
        ];
        for metric in CATALOGUE {
            assert!(
                metric.labels.iter().all(|it| allowed.contains(it)),
                "{}",
                metric.name
            );
        }
    }
}
