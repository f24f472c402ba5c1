//! `/metrics`: what the server counts, as Prometheus reads it.
//!
//! A scrape reads everything once and encodes one [`catalogue`] row after the other. Nothing is kept
//! between scrapes and nothing is counted here: the numbers are those of [`ServerStats`], of the process
//! and of its socket. No label ever holds a player's id or address.
//!
//! Two forms of the same text: OpenMetrics 1.0 for those who ask for it, and the older Prometheus text
//! format 0.0.4 for everybody else.

pub mod catalogue;
mod host;

use std::fmt;

use axum::http::HeaderValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

pub use self::catalogue::{CATALOGUE, Kind, Metric};
use self::catalogue::{Sample, Value};
use self::host::{Process, Socket};
use crate::server::ServerControl;
use crate::server::metrics::ServerStats;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything there is to say at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    stats: ServerStats,
    tick_age_seconds: f64,
    is_draining: bool,
    process: Option<Process>,
    socket: Option<Socket>,
}

/// Reads the server and writes the page.
#[derive(Debug)]
pub(super) struct Scrape {
    control: ServerControl,
}

impl Scrape {
    pub(super) const fn new(control: ServerControl) -> Self {
        Self { control }
    }

    /// The page in the form that `Accept` asks for, and that form's content type.
    pub(super) fn answer(
        &self,
        accept: Option<&HeaderValue>,
        is_draining: bool,
    ) -> (&'static str, String) {
        let reading = Reading {
            stats: self.control.stats(),
            tick_age_seconds: self.control.tick_age().as_secs_f64(),
            is_draining,
            process: Process::read(),
            socket: Socket::read(self.control.local_addr()),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(reading));
        let mut text = String::with_capacity(32 * 1024);
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        let wants_openmetrics = accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if wants_openmetrics {
            (OPENMETRICS, text)
        } else {
            (PLAIN, plain(&text))
        }
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in CATALOGUE {
            let samples = metric.read(self);
            // What this system cannot know is left out, not zero.
            if samples.is_empty() {
                continue;
            }
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut family = encoder.encode_descriptor(metric.family(), metric.help, None, kind)?;
            for Sample(labels, value) in samples {
                if matches!(metric.kind, Kind::Info) {
                    family.encode_info(&labels)?;
                } else if labels.is_empty() {
                    value.encode(metric.kind, &mut family)?;
                } else {
                    value.encode(metric.kind, &mut family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Nothing here has exemplars; their types have to be named all the same.
type NoExemplar<'e, V> = Option<&'e Exemplar<[(&'static str, &'static str); 0], V>>;

impl Value {
    fn encode(&self, kind: Kind, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match (self, kind) {
            (Self::Whole(value), Kind::Counter) => {
                let none: NoExemplar<'_, u64> = None;
                encoder.encode_counter(value, none)
            }
            (Self::Number(value), Kind::Counter) => {
                let none: NoExemplar<'_, f64> = None;
                encoder.encode_counter(value, none)
            }
            (Self::Whole(value), _) => encoder.encode_gauge(value),
            (Self::Number(value), _) => encoder.encode_gauge(value),
            (Self::Durations(it), _) => {
                let mut buckets = it.buckets.clone();
                let below: u64 = buckets.iter().map(|bucket| bucket.1).sum();
                buckets.push((f64::INFINITY, it.count - below));
                encoder.encode_histogram::<[(&str, &str); 0]>(
                    it.sum_seconds,
                    it.count,
                    &buckets,
                    None,
                )
            }
        }
    }
}

/// OpenMetrics in the older format.
///
/// There a counter's family has the full name of its samples, an info is a gauge, and there is no end mark.
fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 1_024);
    let mut help = None;
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // The name depends on the type, which comes after the help.
            (Some("#"), Some("HELP"), Some(_), words) => help = words,
            (Some("#"), Some("TYPE"), Some(family), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    _ => ("", kind),
                };
                let help = help.take().unwrap_or_default();
                text +=
                    &format!("# HELP {family}{suffix} {help}\n# TYPE {family}{suffix} {kind}\n");
            }
            (Some("#"), ..) => {}
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_families_like_their_samples() {
        let openmetrics = "# HELP a_b Help with words.\n# TYPE a_b counter\na_b_total{x=\"1\"} 7\n\
            # HELP c Now.\n# TYPE c gauge\nc 1\n# HELP d What.\n# TYPE d info\nd_info{v=\"2\"} 1\n# EOF\n";
        assert_eq!(
            plain(openmetrics),
            "# HELP a_b_total Help with words.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 7\n\
             # HELP c Now.\n# TYPE c gauge\nc 1\n\
             # HELP d_info What.\n# TYPE d_info gauge\nd_info{v=\"2\"} 1\n"
        );
    }
}
