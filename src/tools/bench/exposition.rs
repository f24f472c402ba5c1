//! What a server's `/metrics` says, and what lies between two readings of it.
//!
//! Knows the text format 0.0.4 as far as our own server writes it, and the names of its metrics
//! (`docs/operating.md`). Has no socket.

use std::collections::BTreeMap;

use serde::Serialize;

/// The page of one moment: values by name and labels, as they stand there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition(BTreeMap<String, f64>);

impl Exposition {
    /// Reads a page. Lines that are none of ours are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(pairs.collect())
    }

    /// Whether this is a page of our server.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.sum("tickwire_ticks_total").is_some()
    }

    /// The sum over all labels; `None` when there is no such metric.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self.series(name).map(|(_, value)| value).peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// Every series of a metric: its labels without the braces, its value.
    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let all = self.0.range(name.to_owned()..);
        let ours = all.take_while(move |(series, _)| series.starts_with(name));
        ours.filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            let labels = match labels.strip_prefix('{') {
                Some(labels) => labels.strip_suffix('}')?,
                None if labels.is_empty() => "",
                None => return None,
            };
            Some((labels, *value))
        })
    }

    /// Sums by the value of one label.
    fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.series(name) {
            if let Some(key) = label_of(labels, label) {
                *sums.entry(key.to_owned()).or_default() += value;
            }
        }
        sums
    }

    /// The rejections, as `room.name`.
    fn rejections(&self) -> BTreeMap<String, f64> {
        let series = self.series("tickwire_rejections_total");
        let named = series.filter_map(|(labels, value)| {
            let (room, name) = (label_of(labels, "room")?, label_of(labels, "name")?);
            Some((format!("{room}.{name}"), value))
        });
        named.collect()
    }

    /// The buckets of the tick times: upper bound in seconds, how many are not above it.
    fn tick_buckets(&self) -> Vec<(f64, f64)> {
        let buckets = self.by("tickwire_tick_duration_seconds_bucket", "le");
        let mut buckets: Vec<_> = buckets
            .into_iter()
            .filter_map(|(bound, count)| Some((bound.replace("+Inf", "inf").parse().ok()?, count)))
            .collect();
        buckets.sort_by(|a: &(f64, f64), b| a.0.total_cmp(&b.0));
        buckets
    }
}

/// The value of a label in `a="1",b="2"`. Ours have neither quotes nor commas in them.
fn label_of<'a>(labels: &'a str, label: &str) -> Option<&'a str> {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == label)?;
    value.strip_prefix('"')?.strip_suffix('"')
}

/// What the server did between two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Work {
    /// Seconds between the two.
    pub seconds: f64,
    /// Processor seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory in use at the end, in bytes.
    pub resident_bytes: Option<f64>,
    /// Ticks made.
    pub ticks: f64,
    /// Wakes that found more than one tick due.
    pub overruns: f64,
    /// World time given up, in seconds.
    pub skipped_seconds: f64,
    /// The work of one tick in milliseconds, from the buckets of the histogram: half are not above.
    pub tick_ms_p50: Option<f64>,
    /// 99 of 100 are not above.
    pub tick_ms_p99: Option<f64>,
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub socket_drops: Option<f64>,
    /// Times that the send buffer was full.
    pub send_stalls: f64,
    /// Datagrams dropped unread because their sender sent too much.
    pub rate_limited: f64,
    /// What became of inputs.
    pub inputs: BTreeMap<String, f64>,
    /// Inputs dropped because the tick loop's inbox was full.
    pub inputs_dropped: f64,
    /// Frames sent to clients, and frames that a newer one overtook.
    pub frames: BTreeMap<String, f64>,
    /// Sessions that ended.
    pub disconnects: f64,
    /// Datagrams, or parts of them, that were refused, by name.
    pub rejections: BTreeMap<String, f64>,
}

impl Work {
    /// What lies between two readings that are so many seconds apart.
    #[must_use]
    pub fn between(before: &Exposition, after: &Exposition, seconds: f64) -> Self {
        let grown = |name: &str| {
            let before = before.sum(name).unwrap_or_default();
            after.sum(name).map(|after| after - before)
        };
        let counted = |name| grown(name).unwrap_or_default();
        let by = |name, label| difference(&before.by(name, label), after.by(name, label));
        let old = before.tick_buckets();
        let mut buckets = after.tick_buckets();
        for (bucket, old) in buckets.iter_mut().zip(old) {
            bucket.1 -= old.1;
        }
        let tick_ms = |share| percentile(&buckets, share).map(|seconds| seconds * 1e3);
        let rejections = difference(&before.rejections(), after.rejections());
        Self {
            seconds,
            cpu_seconds: grown("process_cpu_seconds_total"),
            resident_bytes: after.sum("process_resident_memory_bytes"),
            ticks: counted("tickwire_ticks_total"),
            overruns: counted("tickwire_tick_overruns_total"),
            skipped_seconds: counted("tickwire_tick_skipped_seconds_total"),
            tick_ms_p50: tick_ms(0.5),
            tick_ms_p99: tick_ms(0.99),
            socket_drops: grown("tickwire_socket_drops_total"),
            send_stalls: counted("tickwire_send_stalls_total"),
            rate_limited: counted("tickwire_rate_limited_total"),
            inputs: by("tickwire_inputs_total", "outcome"),
            inputs_dropped: counted("tickwire_inputs_dropped_total"),
            frames: by("tickwire_snapshot_frames_total", "outcome"),
            disconnects: counted("tickwire_disconnects_total"),
            rejections: rejections
                .into_iter()
                .filter(|(_, count)| *count > 0.0)
                .collect(),
        }
    }

    /// Processors in use.
    #[must_use]
    pub fn cores(&self) -> Option<f64> {
        Some(self.cpu_seconds? / self.seconds.max(1e-9))
    }

    /// The share of ticks that came too late; `None` when there was no tick.
    #[must_use]
    pub fn overrun_share(&self) -> Option<f64> {
        (self.ticks > 0.0).then(|| self.overruns / self.ticks)
    }
}

fn difference(
    before: &BTreeMap<String, f64>,
    after: BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let old = |name: &str| before.get(name).copied().unwrap_or_default();
    let pairs = after.into_iter();
    pairs
        .map(|(name, value)| {
            let grown = value - old(&name);
            (name, grown)
        })
        .collect()
}

/// The value that a share of all is not above, from buckets with growing bounds and counts: evenly spread within its
/// bucket, and the last bound there is when it lies beyond.
fn percentile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let all = buckets
        .last()
        .map(|bucket| bucket.1)
        .filter(|all| *all > 0.0)?;
    let rank = share * all;
    let (mut from, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank {
            if bound.is_infinite() {
                return Some(from);
            }
            let within = (rank - below) / (count - below).max(1e-9);
            return Some(from + (bound - from) * within.clamp(0.0, 1.0));
        }
        (from, below) = (*bound, *count);
    }
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# HELP tickwire_ticks_total Ticks.\n# TYPE tickwire_ticks_total counter\n\
        tickwire_ticks_total 100\nprocess_cpu_seconds_total 1.5\n\
        tickwire_tick_duration_seconds_bucket{le=\"0.001\"} 90\n\
        tickwire_tick_duration_seconds_bucket{le=\"0.002\"} 100\n\
        tickwire_tick_duration_seconds_bucket{le=\"+Inf\"} 100\n\
        tickwire_rejections_total{room=\"netcode\",name=\"replayed\"} 3\n\
        tickwire_snapshot_frames_total{outcome=\"served\",shard=\"0\"} 50\n";
    const AFTER: &str = "tickwire_ticks_total 300\nprocess_cpu_seconds_total 2.5\n\
        tickwire_tick_duration_seconds_bucket{le=\"0.001\"} 190\n\
        tickwire_tick_duration_seconds_bucket{le=\"0.002\"} 298\n\
        tickwire_tick_duration_seconds_bucket{le=\"+Inf\"} 300\n\
        tickwire_rejections_total{room=\"netcode\",name=\"replayed\"} 3\n\
        tickwire_rejections_total{room=\"channel\",name=\"old\"} 2\n\
        tickwire_snapshot_frames_total{outcome=\"served\",shard=\"0\"} 150\n\
        tickwire_snapshot_frames_total{outcome=\"served\",shard=\"1\"} 40\n\
        tickwire_tick_overruns_total 4\nnonsense\n";

    #[test]
    fn two_readings_make_a_difference() {
        let (before, after) = (Exposition::parse(BEFORE), Exposition::parse(AFTER));
        assert!(before.is_ours() && !Exposition::parse("up 1\n").is_ours());
        let work = Work::between(&before, &after, 2.0);
        assert_eq!((work.ticks, work.overruns), (200.0, 4.0));
        assert_eq!(work.overrun_share(), Some(0.02));
        assert_eq!(work.cpu_seconds, Some(1.0));
        assert_eq!(work.socket_drops, None, "not told is not zero");
        assert_eq!(work.frames.get("served"), Some(&140.0));
        assert_eq!(
            work.rejections,
            BTreeMap::from([("channel.old".to_owned(), 2.0)])
        );
        // Of 200 ticks 100 took up to 1 ms, 98 up to 2 ms and 2 longer.
        assert_eq!(work.tick_ms_p50, Some(1.0));
        let p99 = work.tick_ms_p99.expect("ticks");
        assert!((p99 - 2.0).abs() < 1e-9, "{p99}");
    }

    #[test]
    fn a_name_that_begins_like_another_is_another() {
        let page = Exposition::parse("a_total 1\na_total_b 2\na_total{x=\"1\"} 4\n");
        assert_eq!(page.sum("a_total"), Some(5.0));
        assert_eq!(page.sum("a"), None);
    }

    #[test]
    fn percentiles_lie_within_their_bucket() {
        let buckets = [(1.0, 0.0), (2.0, 10.0), (4.0, 20.0), (f64::INFINITY, 20.0)];
        assert_eq!(percentile(&buckets, 0.5), Some(2.0));
        assert_eq!(percentile(&buckets, 0.25), Some(1.5));
        assert_eq!(percentile(&buckets, 1.0), Some(4.0));
        assert_eq!(
            percentile(&[(1.0, 0.0), (f64::INFINITY, 5.0)], 0.5),
            Some(1.0),
            "beyond"
        );
        assert_eq!(percentile(&[(1.0, 0.0)], 0.5), None);
        assert_eq!(percentile(&[], 0.5), None);
    }
}
