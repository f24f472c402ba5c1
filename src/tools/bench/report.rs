//! What a load test found: the JSON that `bench --json` prints and `report.json` holds.
//!
//! Names and meanings are fixed, because scripts read them; `docs/operating.md` explains them. Turns books into
//! figures and figures into a report. Has no clock and no socket.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::exposition::Work;
use super::gauges::{Gauges, millis_below};
use super::machine::Machine;
use super::objective::{Judged, Measured, Objectives, Strain, round};
use super::sockets::Sockets;

/// The report of a load test.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The program's version.
    pub version: &'static str,
    /// The commit that it was made from.
    pub commit: &'static str,
    /// The command line, without the path of the program.
    pub command: String,
    /// Where the load test ran.
    pub machine: Machine,
    /// What was tested.
    pub server: ServerSheet,
    /// With what.
    pub load: LoadSheet,
    /// Whether somebody ended it before its time.
    pub interrupted: bool,
    /// The figures of the hold; of a search, those of the largest load that held.
    pub result: Figures,
    /// The objectives, held against the result.
    pub objectives: Vec<Judged>,
    /// The search, if there was one.
    pub find_max: Option<Found>,
    /// Sessions that ended although it was not their turn, of the whole run, by reason.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// What clients refused, of the whole run, as `client.room.name`.
    pub rejections: BTreeMap<String, u64>,
    /// Clients that never set out, and what the first of them met.
    pub not_started: NotStarted,
    /// One row for each second of the whole run.
    pub timeline: Vec<Row>,
}

/// What was tested.
#[derive(Debug, Clone, Serialize)]
pub struct ServerSheet {
    /// Where it listens.
    pub address: String,
    /// Started for this load test, in a second process of the same program.
    pub own: bool,
    /// The game: `arena` or `cubes`.
    pub world: &'static str,
    /// Ticks a second.
    pub tick_rate: u16,
    /// Snapshots a second.
    pub snapshot_rate: u16,
    /// Threads that serve the network, where that is known.
    pub shards: Option<u16>,
    /// How datagrams were to cross the kernel, where that is known.
    pub packet_io: Option<&'static str>,
}

/// With what it was tested.
#[derive(Debug, Clone, Serialize)]
pub struct LoadSheet {
    /// Clients that were asked for; of a search, the most.
    pub clients: u32,
    /// Of these, clients that decode the world and compare it with each other.
    pub whole: u32,
    /// Of these, clients that open, acknowledge and count snapshots.
    pub light: u32,
    /// The share of clients that leaves each second and comes back.
    pub churn: f64,
    /// Datagrams lost on purpose, each way.
    pub loss: f64,
    /// Round trip added.
    pub rtt_ms: f64,
    /// Delay added, up to this, each way.
    pub jitter_ms: f64,
    /// Where walks and networks began.
    pub seed: u64,
    /// How long it was held, in seconds.
    pub seconds: u64,
    /// Clients that set out in a second.
    pub ramp: u32,
    /// Threads of the load test.
    pub threads: usize,
    /// Whose the sockets were: `own`, one for each client, or `shared`.
    pub sockets: &'static str,
}

impl LoadSheet {
    /// Whose the sockets were, in words.
    #[must_use]
    pub fn whose_sockets(&self) -> &'static str {
        if self.sockets == Sockets::Shared.name() {
            "many share a socket"
        } else {
            "a socket for each"
        }
    }
}

/// Clients that never set out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NotStarted {
    /// There was no connect token for them.
    pub no_token: u32,
    /// There was no socket for them.
    pub no_socket: u32,
    /// What the first of them met.
    pub first: Option<String>,
}

/// What players felt and what it cost, over one hold.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// For how long it was held, in seconds.
    pub seconds: f64,
    /// Clients that were asked for.
    pub asked: u32,
    /// Clients in the game, the mean.
    pub clients: f64,
    /// Snapshots.
    pub snapshots: Deliveries,
    /// The age of the newest state, sixty looks a second at each client.
    pub age_ms: Spread,
    /// From an input that was due to the first snapshot that played it.
    pub input_to_state_ms: Spread,
    /// How far arrivals of snapshots were from their rhythm.
    pub arrival_jitter_ms: Spread,
    /// From setting out to the welcome, of those that came in meanwhile.
    pub connect_ms: Spread,
    /// UDP payload of one client in one second.
    pub bytes_per_client_per_second: Bytes,
    /// Inputs.
    pub inputs: Inputs,
    /// Whole clients' replicas against each other.
    pub replicas: Replicas,
    /// What the server did, where it tells.
    pub server: Option<ServerFigures>,
    /// What the load test itself was like.
    pub generator: Generator,
}

/// Snapshots that there were, and that arrived.
#[derive(Debug, Clone, Serialize)]
pub struct Deliveries {
    /// That there were to get.
    pub expected: u64,
    /// That arrived.
    pub received: u64,
    /// Received over expected.
    pub delivery: Option<f64>,
}

/// Times in milliseconds; `null` where there were none.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Spread {
    /// Half are not above.
    pub p50: Option<f64>,
    /// 99 of 100 are not above.
    pub p99: Option<f64>,
    /// 999 of 1000 are not above.
    pub p999: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
    /// How many there were.
    pub count: u64,
    /// More shares (0 to 1), each with the time that it is not above: the curve of the report.
    pub distribution: Vec<(f64, f64)>,
}

/// The shares of the curve.
const SHARES: [f64; 14] = [
    0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0,
];

impl Spread {
    /// The spread of a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let below = |share| millis_below(histogram, share);
        let points = SHARES
            .iter()
            .filter_map(|share| Some((*share, below(*share)?)));
        Self {
            p50: below(0.5),
            p99: below(0.99),
            p999: below(0.999),
            max: below(1.0),
            count: histogram.len(),
            distribution: points.collect(),
        }
    }
}

/// Bytes of one client in one second.
#[derive(Debug, Clone, Serialize)]
pub struct Bytes {
    /// From the server to the client.
    pub down: f64,
    /// From the client to the server.
    pub up: f64,
}

/// Inputs, as far as their senders know.
#[derive(Debug, Clone, Serialize)]
pub struct Inputs {
    /// Sent, one a tick.
    pub sent: u64,
    /// Given up because no snapshot answered them.
    pub unanswered: u64,
}

/// What the comparison of replicas found.
#[derive(Debug, Clone, Serialize)]
pub struct Replicas {
    /// Entities that two clients had of the same tick.
    pub compared: u64,
    /// Those that differed, which must be 0.
    pub differing: u64,
}

/// What the server did.
#[derive(Debug, Clone, Serialize)]
pub struct ServerFigures {
    /// Processor time for one client and one tick, in microseconds.
    pub cpu_us_per_client_tick: Option<f64>,
    /// Processors in use.
    pub cores: Option<f64>,
    /// Memory of one client: what came with the clients, divided by them.
    pub memory_bytes_per_client: Option<f64>,
    /// The share of ticks that came too late.
    pub overrun_share: Option<f64>,
    /// All the rest.
    pub work: Work,
}

/// What the load test itself was like.
#[derive(Debug, Clone, Serialize)]
pub struct Generator {
    /// Whether it, and not the server, was the bottleneck: then the figures say little about the server.
    pub is_bottleneck: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// How late its threads came to their turns.
    pub lateness_ms: Spread,
    /// The share of inputs that left late.
    pub late_inputs: f64,
    /// How busy its threads were, the mean, 0 to 1.
    pub busy: f64,
    /// Processors in use.
    pub cores: f64,
    /// The share of all processors of this machine that was busy, with whatever.
    pub machine_busy: Option<f64>,
    /// Processors that neither the load test nor a server of its own used, on this machine: neighbours, and the
    /// kernel on behalf of nobody. `null` where the server's share is not known.
    pub others_cores: Option<f64>,
    /// Errors of its sockets.
    pub socket_errors: u64,
    /// Datagrams that its sockets had no room for. `null` where the system does not tell.
    pub socket_drops: Option<u64>,
    /// The smallest receive buffer that one of its sockets was granted.
    pub socket_buffer_bytes: Option<u64>,
}

impl Generator {
    /// Others that use more of the machine than this, in processors, disturb what is measured on it.
    const DISTURBING: f64 = 0.5;

    /// Whether others disturbed the measurement.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.others_cores
            .is_some_and(|cores| cores > Self::DISTURBING)
    }
}

/// A search for the largest load.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The largest load that held all objectives.
    pub held: Option<u32>,
    /// The smallest that did not.
    pub broke: Option<u32>,
    /// What broke there; `generator` means that the load test did, and the server may hold more.
    pub objectives: Vec<String>,
    /// Every load that was measured, in order.
    pub steps: Vec<Step>,
}

/// One load of a search.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Clients that were asked for.
    pub clients: u32,
    /// Whether all objectives held.
    pub holds: bool,
    /// Those that did not.
    pub broken: Vec<String>,
    /// The figures.
    pub figures: Figures,
}

/// One second of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Which one, from the start.
    pub second: u64,
    /// What it was for: `ramp`, `hold` or `end`.
    pub stage: &'static str,
    /// Clients in the game, the mean.
    pub clients: f64,
    /// Snapshots that arrived over those there were.
    pub delivery: Option<f64>,
    /// Ages of the newest state.
    pub age_p50_ms: Option<f64>,
    /// 99 of 100.
    pub age_p99_ms: Option<f64>,
    /// From input to state.
    pub input_p50_ms: Option<f64>,
    /// 99 of 100.
    pub input_p99_ms: Option<f64>,
    /// Jitter of arrivals, 99 of 100.
    pub jitter_p99_ms: Option<f64>,
    /// Bytes to one client.
    pub bytes_down: f64,
    /// Bytes from one client.
    pub bytes_up: f64,
    /// Clients that came in.
    pub joined: u64,
    /// Clients that left because it was their turn.
    pub left: u64,
    /// Sessions that ended otherwise.
    pub ended: u64,
    /// Processors that the server used.
    pub server_cores: Option<f64>,
    /// Its ticks, 99 of 100.
    pub tick_p99_ms: Option<f64>,
    /// Its late ticks.
    pub overruns: Option<f64>,
    /// Datagrams that its socket dropped.
    pub socket_drops: Option<f64>,
    /// How busy the load test's threads were, 0 to 1.
    pub generator_busy: f64,
    /// How late they came, 99 of 100.
    pub generator_late_p99_ms: Option<f64>,
}

/// What a hold was, beside its books.
#[derive(Debug, Clone, Copy)]
pub struct Hold<'a> {
    /// For how long.
    pub time: Duration,
    /// Clients that were asked for.
    pub asked: u32,
    /// Ticks a second.
    pub tick_rate: u16,
    /// Threads of the load test.
    pub threads: usize,
    /// What the server did.
    pub work: Option<&'a Work>,
    /// The server's memory before the first client.
    pub memory_before: Option<f64>,
    /// Whether it was a server of the load test's own, on this machine.
    pub is_own: bool,
    /// Processors of this machine.
    pub machine_cores: usize,
    /// The share of them that was busy.
    pub machine_busy: Option<f64>,
    /// Datagrams that the load test's sockets dropped.
    pub socket_drops: Option<u64>,
    /// The smallest of their receive buffers.
    pub receive_buffer: Option<u64>,
}

impl Figures {
    /// Makes figures of the books of a hold.
    #[must_use]
    pub fn new(gauges: &Gauges, hold: &Hold<'_>) -> Self {
        let counts = &gauges.counts;
        let playing = (counts.playing_us as f64 / 1e6).max(1e-9);
        let clients = gauges.clients(hold.time);
        Self {
            seconds: hold.time.as_secs_f64(),
            asked: hold.asked,
            clients: round(clients),
            snapshots: Deliveries {
                expected: counts.expected,
                received: counts.received,
                delivery: gauges.delivery(),
            },
            age_ms: Spread::of(&gauges.ages),
            input_to_state_ms: Spread::of(&gauges.latencies),
            arrival_jitter_ms: Spread::of(&gauges.jitters),
            connect_ms: Spread::of(&gauges.connects),
            bytes_per_client_per_second: Bytes {
                down: round(counts.bytes_down as f64 / playing),
                up: round(counts.bytes_up as f64 / playing),
            },
            inputs: Inputs {
                sent: counts.inputs,
                unanswered: counts.inputs_unanswered,
            },
            replicas: Replicas {
                compared: counts.compared,
                differing: counts.differing,
            },
            server: hold
                .work
                .map(|work| ServerFigures::new(work, clients, hold)),
            generator: Generator::new(gauges, hold),
        }
    }

    /// What the objectives are held against.
    #[must_use]
    pub fn measured(&self) -> Measured {
        Measured {
            clients: self.clients / f64::from(self.asked.max(1)),
            delivery: self.snapshots.delivery,
            overruns: self.server.as_ref().and_then(|server| server.overrun_share),
            age_ms: self.age_ms.p99,
        }
    }

    /// The names of what did not hold: objectives, and the load test itself.
    #[must_use]
    pub fn broken(&self, objectives: &Objectives) -> Vec<String> {
        let judged = objectives.judge(&self.measured());
        let broken = judged.iter().filter(|judged| !judged.holds);
        let mut broken: Vec<_> = broken.map(|judged| judged.objective.to_owned()).collect();
        if self.generator.is_bottleneck {
            broken.push("generator".to_owned());
        }
        broken
    }
}

impl ServerFigures {
    fn new(work: &Work, clients: f64, hold: &Hold<'_>) -> Self {
        let client_ticks = clients * f64::from(hold.tick_rate);
        let cores = work.cores();
        let grown = work.resident_bytes.zip(hold.memory_before);
        let per = |number: f64, of: f64| (of > 0.0).then(|| round(number / of));
        Self {
            cpu_us_per_client_tick: cores.and_then(|cores| per(cores * 1e6, client_ticks)),
            cores: cores.map(round),
            memory_bytes_per_client: grown.and_then(|(now, before)| per(now - before, clients)),
            overrun_share: work.overrun_share().map(round),
            work: work.clone(),
        }
    }
}

impl Generator {
    fn new(gauges: &Gauges, hold: &Hold<'_>) -> Self {
        let counts = &gauges.counts;
        let busy = counts.cpu_us as f64 / (counts.wall_us as f64).max(1.0);
        let late_inputs = counts.inputs_late as f64 / (counts.inputs as f64).max(1.0);
        let lateness_ms = Spread::of(&gauges.lateness);
        let strain = Strain {
            lateness_ms: lateness_ms.p99,
            late_inputs,
            busy,
            dropped: hold.socket_drops.map_or(0.0, |drops| {
                let drops = drops as f64;
                drops / (counts.received as f64 + drops).max(1.0)
            }),
        };
        let reasons = strain.reasons();
        let cores = busy * hold.threads as f64;
        let server = hold
            .work
            .filter(|_| hold.is_own)
            .and_then(|work| work.cores());
        let others = hold
            .machine_busy
            .zip(server)
            .map(|(share, server)| (share * hold.machine_cores as f64 - server - cores).max(0.0));
        Self {
            is_bottleneck: !reasons.is_empty(),
            reasons,
            lateness_ms,
            late_inputs: round(late_inputs),
            busy: round(busy),
            cores: round(cores),
            machine_busy: hold.machine_busy.map(round),
            others_cores: others.map(round),
            socket_errors: counts.socket_errors,
            socket_drops: hold.socket_drops,
            socket_buffer_bytes: hold.receive_buffer,
        }
    }
}

impl Row {
    /// The row of a second.
    #[must_use]
    pub fn new(second: u64, stage: &'static str, gauges: &Gauges) -> Self {
        let counts = &gauges.counts;
        let playing = (counts.playing_us as f64 / 1e6).max(1e-9);
        let per = |bytes: u64| round(bytes as f64 / playing);
        Self {
            second,
            stage,
            clients: round(gauges.clients(Duration::from_secs(1))),
            delivery: gauges.delivery(),
            age_p50_ms: millis_below(&gauges.ages, 0.5),
            age_p99_ms: millis_below(&gauges.ages, 0.99),
            input_p50_ms: millis_below(&gauges.latencies, 0.5),
            input_p99_ms: millis_below(&gauges.latencies, 0.99),
            jitter_p99_ms: millis_below(&gauges.jitters, 0.99),
            bytes_down: if counts.playing_us == 0 {
                0.0
            } else {
                per(counts.bytes_down)
            },
            bytes_up: if counts.playing_us == 0 {
                0.0
            } else {
                per(counts.bytes_up)
            },
            joined: counts.joined,
            left: counts.left,
            ended: gauges.disconnects.values().sum(),
            server_cores: None,
            tick_p99_ms: None,
            overruns: None,
            socket_drops: None,
            generator_busy: round(counts.cpu_us as f64 / (counts.wall_us as f64).max(1.0)),
            generator_late_p99_ms: millis_below(&gauges.lateness, 0.99),
        }
    }

    /// Adds what the server did in that second, which is known a moment later.
    #[must_use]
    pub fn with_work(mut self, work: &Work) -> Self {
        self.server_cores = work.cores().map(round);
        self.tick_p99_ms = work.tick_ms_p99.map(round);
        self.overruns = Some(work.overruns);
        self.socket_drops = work.socket_drops;
        self
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tools::bench::gauges::record;
    use crate::tools::bench::objective::tests::OBJECTIVES;

    /// A hold of two seconds with a hundred clients.
    pub(in crate::tools::bench) fn gauges() -> Gauges {
        let mut gauges = Gauges::default();
        for ms in 20..60 {
            record(&mut gauges.ages, Duration::from_millis(ms));
            record(&mut gauges.latencies, Duration::from_millis(ms + 20));
            record(&mut gauges.jitters, Duration::from_micros(ms * 10));
            record(&mut gauges.lateness, Duration::from_micros(80));
        }
        gauges.counts.playing_us = 200_000_000;
        gauges.counts.expected = 6_000;
        gauges.counts.received = 5_970;
        gauges.counts.inputs = 12_000;
        gauges.counts.bytes_down = 2_000_000;
        gauges.counts.bytes_up = 400_000;
        gauges.counts.cpu_us = 400_000;
        gauges.counts.wall_us = 4_000_000;
        gauges
    }

    fn hold(work: Option<&Work>) -> Hold<'_> {
        Hold {
            time: Duration::from_secs(2),
            asked: 100,
            tick_rate: 60,
            threads: 2,
            work,
            memory_before: Some(1e6),
            is_own: true,
            machine_cores: 2,
            machine_busy: Some(0.5),
            socket_drops: Some(0),
            receive_buffer: Some(4_194_304),
        }
    }

    pub(in crate::tools::bench) fn report() -> Report {
        let work = Work {
            seconds: 2.0,
            cpu_seconds: Some(0.06),
            resident_bytes: Some(3e6),
            ticks: 120.0,
            overruns: 1.0,
            tick_ms_p50: Some(0.25),
            rejections: BTreeMap::from([("netcode.<odd>".to_owned(), 2.0)]),
            ..Work::default()
        };
        let gauges = gauges();
        let result = Figures::new(&gauges, &hold(Some(&work)));
        Report {
            version: "0.0.0",
            commit: "unknown",
            command: "bench --out 'a & b'".to_owned(),
            machine: Machine {
                cpu: "a <fine> CPU".to_owned(),
                cores: 2,
                kernel: "Linux 6".to_owned(),
            },
            server: ServerSheet {
                address: "127.0.0.1:7777".to_owned(),
                own: true,
                world: "arena",
                tick_rate: 60,
                snapshot_rate: 30,
                shards: Some(1),
                packet_io: Some("auto"),
            },
            load: LoadSheet {
                clients: 100,
                whole: 5,
                light: 95,
                churn: 0.0,
                loss: 0.0,
                rtt_ms: 0.0,
                jitter_ms: 0.0,
                seed: 1,
                seconds: 2,
                ramp: 500,
                threads: 2,
                sockets: "shared",
            },
            interrupted: false,
            objectives: OBJECTIVES.judge(&result.measured()),
            find_max: Some(Found {
                held: Some(100),
                broke: Some(150),
                objectives: vec!["age".to_owned()],
                steps: vec![Step {
                    clients: 100,
                    holds: true,
                    broken: Vec::new(),
                    figures: result.clone(),
                }],
            }),
            result,
            disconnects: BTreeMap::from([("timed_out", 1)]),
            rejections: BTreeMap::new(),
            not_started: NotStarted::default(),
            timeline: vec![
                Row::new(0, "ramp", &Gauges::default()),
                Row::new(1, "hold", &gauges).with_work(&work),
            ],
        }
    }

    #[test]
    fn figures_are_what_the_books_say_by_hand() {
        let report = report();
        let result = &report.result;
        assert_eq!(result.clients, 100.0);
        assert_eq!(result.snapshots.delivery, Some(0.995));
        assert_eq!(result.bytes_per_client_per_second.down, 10_000.0);
        assert_eq!(result.bytes_per_client_per_second.up, 2_000.0);
        let server = result.server.as_ref().expect("it told");
        // 0.06 s in 2 s is 0.03 processors; 100 clients at 60 Hz are 6,000 client-ticks a second.
        assert_eq!(
            (server.cores, server.cpu_us_per_client_tick),
            (Some(0.03), Some(5.0))
        );
        assert_eq!(server.memory_bytes_per_client, Some(20_000.0));
        assert_eq!(result.generator.busy, 0.1);
        // Half of two processors was busy: 0.03 for the server, 0.2 for two threads, and the rest for others.
        assert_eq!(result.generator.others_cores, Some(0.77));
        assert!(result.generator.is_disturbed());
        assert!(!result.generator.is_bottleneck);
        assert!(result.broken(&OBJECTIVES).is_empty());
    }

    #[test]
    fn a_strained_load_test_is_no_limit_of_the_server() {
        let mut gauges = gauges();
        gauges.counts.inputs_late = 6_000;
        let figures = Figures::new(&gauges, &hold(None));
        assert!(figures.generator.is_bottleneck);
        assert_eq!(figures.broken(&OBJECTIVES), ["generator"]);
        assert!(figures.server.is_none());
    }

    #[test]
    fn what_the_load_tests_own_sockets_drop_is_its_own_fault() {
        let dropping = |socket_drops| {
            let hold = Hold {
                socket_drops,
                ..hold(None)
            };
            Figures::new(&gauges(), &hold).generator.is_bottleneck
        };
        // Of 5,970 that arrived.
        assert!(!dropping(None) && !dropping(Some(5)));
        assert!(dropping(Some(7)));
    }
}
