//! The results: one line for each run as it ends, one table at the end, the same as JSON.

use serde::Serialize;

use crate::conduct::Run;
use crate::job::HZ;
use crate::peers::Peer;

/// One run in the units of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) peer: &'static str,
    #[serde(skip)]
    pub(crate) title: &'static str,
    pub(crate) round: usize,
    pub(crate) clients: usize,
    /// Bytes of a snapshot: as the library is given them, or, for a server with a world of its own, as they leave.
    pub(crate) snapshot_bytes: f64,
    /// Bytes of an input, likewise.
    pub(crate) input_bytes: f64,
    /// Processor time for a client and tick, in microseconds.
    pub(crate) microseconds: f64,
    /// That of the raw loop in the same round, and the ratio.
    pub(crate) ratio: Option<f64>,
    /// Inputs read of those sent, in percent.
    pub(crate) inputs_percent: f64,
    /// Snapshots received of those sent.
    pub(crate) snapshots_percent: f64,
    pub(crate) overruns_percent: f64,
    pub(crate) longest_tick_ms: f64,
    pub(crate) server_core_percent: f64,
    pub(crate) load_core_percent: f64,
    pub(crate) kib_per_client: f64,
    /// Datagrams that reached a client for each tick, where the socket is ours.
    pub(crate) datagrams_down: f64,
    pub(crate) datagrams_up: f64,
    pub(crate) load_late_slots: u64,
}

impl Row {
    pub(crate) fn new(peer: &dyn Peer, round: usize, run: &Run, raw: Option<f64>) -> Self {
        let (served, loaded) = (&run.served, &run.loaded);
        let client_ticks = served.ticks as f64 * run.job.clients as f64;
        let microseconds = served.processor_time as f64 / 1e3 / client_ticks;
        let load_ticks = loaded.elapsed as f64 / 1e9 * HZ as f64 * run.job.clients as f64;
        let each = |(count, bytes): (u64, u64)| bytes as f64 / count.max(1) as f64;
        let (snapshot_bytes, input_bytes) = if peer.has_own_world() {
            (each(loaded.received), each(loaded.sent))
        } else {
            (run.job.bytes as f64, run.job.input as f64)
        };
        let grown = served.resident.0.saturating_sub(served.resident.1);
        Self {
            peer: peer.name(),
            title: peer.title(),
            round,
            clients: run.job.clients,
            snapshot_bytes,
            input_bytes,
            microseconds,
            ratio: raw.map(|raw| microseconds / raw),
            inputs_percent: percent(served.inputs, loaded.inputs),
            snapshots_percent: percent(loaded.snapshots, served.snapshots),
            overruns_percent: percent(served.overruns, served.ticks),
            longest_tick_ms: served.longest as f64 / 1e6,
            server_core_percent: percent(served.processor_time, served.elapsed),
            load_core_percent: percent(loaded.processor_time, loaded.elapsed),
            kib_per_client: grown as f64 / 1024.0 / run.job.clients as f64,
            datagrams_down: loaded.received.0 as f64 / load_ticks,
            datagrams_up: loaded.sent.0 as f64 / load_ticks,
            load_late_slots: loaded.late,
        }
    }

    /// One line, while the others still run.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:<9} round {} N={} P={:.0}: {:.2} us a client-tick, {}, in {:.2} %, out {:.2} % ({} of those due), overruns {:.1} %, longest {:.1} ms, \
             server {:.0} %, load {:.0} %",
            self.peer,
            self.round + 1,
            self.clients,
            self.snapshot_bytes,
            self.microseconds,
            self.ratio
                .map_or("-".into(), |ratio| format!("x{ratio:.2}")),
            self.inputs_percent,
            self.snapshots_percent,
            of_due(self.datagrams_down),
            self.overruns_percent,
            self.longest_tick_ms,
            self.server_core_percent,
            self.load_core_percent,
        )
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The table: medians over the rounds, with the least and the most of what is compared.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| peer | clients | bytes down / up | us per client-tick | x raw | inputs in | snapshots out | of those due | overruns | load core | KiB per client |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        // The raw loop runs again with the bytes of each server that has a world of its own.
        let is_same = |other: &&Row| {
            other.title == row.title
                && other.clients == row.clients
                && (other.snapshot_bytes - row.snapshot_bytes).abs() < 0.1 * row.snapshot_bytes
        };
        match groups
            .iter_mut()
            .find(|group| group.first().is_some_and(is_same))
        {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    for group in groups {
        text += &line_of(&group);
    }
    text
}

fn line_of(group: &[&Row]) -> String {
    let middle = |of: fn(&Row) -> f64| median(group.iter().map(|row| of(row)).collect()).1;
    let ratios: Vec<_> = group.iter().filter_map(|row| row.ratio).collect();
    let ratio = if ratios.is_empty() {
        "1".into()
    } else {
        spread(ratios)
    };
    let first = group.first();
    format!(
        "| {} | {} | {:.0} / {:.0} | {} | {} | {:.2} % | {:.2} % | {} | {:.1} % | {:.0} % | {:.1} |\n",
        first.map_or("", |row| row.title),
        first.map_or(0, |row| row.clients),
        middle(|row| row.snapshot_bytes),
        middle(|row| row.input_bytes),
        spread(group.iter().map(|row| row.microseconds).collect()),
        ratio,
        middle(|row| row.inputs_percent),
        middle(|row| row.snapshots_percent),
        of_due(middle(|row| row.datagrams_down)),
        middle(|row| row.overruns_percent),
        middle(|row| row.load_core_percent),
        middle(|row| row.kib_per_client),
    )
}

/// Datagrams for each client and tick, where they could be counted: a server that is too late for all of them skips some.
fn of_due(datagrams_down: f64) -> String {
    if datagrams_down > 0.0 {
        format!("{:.1} %", 100.0 * datagrams_down)
    } else {
        "-".into()
    }
}

fn spread(values: Vec<f64>) -> String {
    let (least, middle, most) = median(values);
    format!("{middle:.2} ({least:.2} to {most:.2})")
}

/// The least, the one in the middle (the mean of two), the most.
fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return (f64::NAN, f64::NAN, f64::NAN);
    };
    let middle = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
    (*least, middle, *most)
}
