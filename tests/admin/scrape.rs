//! `/metrics`: both formats are valid, the numbers are true, and Prometheus' own tool has nothing to complain about.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tickwire::server::admin::metrics::{CATALOGUE, Kind, Metric};

use crate::exposition::{Family, Format, parse};
use crate::http::{ask, get};
use crate::kit::House;

const OPENMETRICS: &str =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

/// The sum of the samples of a metric that have these labels.
fn sum(family: &Family, labels: &[(&str, &str)]) -> f64 {
    let matches = family.samples.iter().filter(|sample| {
        labels
            .iter()
            .all(|(name, value)| sample.label(name) == Some(value))
    });
    matches.map(|sample| sample.value).sum()
}

#[test]
fn the_page_has_exactly_what_the_catalogue_says_in_both_formats() {
    let house = House::new(8, 2, None);
    let plain = get(house.port(), "/metrics");
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let open = ask(house.port(), "GET /metrics", &[("Accept", OPENMETRICS)], "");
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let plain = parse(plain.text(), Format::Plain);
    let open = parse(open.text(), Format::OpenMetrics);
    assert_eq!(plain.len(), CATALOGUE.len());
    assert_eq!(open.len(), CATALOGUE.len());
    for Metric {
        name,
        kind,
        labels,
        help,
        ..
    } in CATALOGUE
    {
        let family = &plain[*name];
        let told = if *kind == Kind::Info {
            "gauge"
        } else {
            kind.name()
        };
        assert_eq!((family.kind.as_str(), family.help.as_str()), (told, *help));
        for sample in &family.samples {
            let names: Vec<_> = sample.labels.iter().map(|label| label.0.as_str()).collect();
            let names: Vec<_> = names.into_iter().filter(|name| *name != "le").collect();
            assert_eq!(names, *labels, "{name}");
        }
        let ending = match kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        let family = &open[name.strip_suffix(ending).expect("the ending of its kind")];
        assert_eq!(
            (family.kind.as_str(), family.help.as_str()),
            (kind.name(), *help)
        );
    }
}

#[test]
fn the_numbers_are_those_of_the_server() {
    let house = House::open();
    let mut player = house.client(r#"{"client_id": 7}"#);
    player.connect();
    let page = || parse(get(house.port(), "/metrics").text(), Format::Plain);
    player.until("its round trip was noted", |_| {
        page()["tickwire_round_trip_seconds"].samples[0].value > 0.0
    });
    let page = page();
    let of = |name: &str, labels: &[(&str, &str)]| sum(&page[name], labels);
    let stats = house.server.stats();
    assert_eq!(of("tickwire_clients", &[]) as usize, stats.seated);
    assert_eq!(of("tickwire_clients_max", &[]) as usize, stats.capacity);
    assert_eq!(of("tickwire_sessions", &[("shard", "0")]) as usize, 1);
    assert_eq!(
        of("tickwire_handshakes_total", &[("result", "accepted")]) as u64,
        1
    );
    assert_eq!(of("tickwire_used_tokens", &[]) as u64, 1);
    let ticks = of("tickwire_ticks_total", &[]);
    assert!(ticks > 0.0 && ticks <= stats.tick.played as f64);
    for (name, labels) in [
        (
            "tickwire_network_datagrams_total",
            &[("direction", "received")][..],
        ),
        ("tickwire_network_bytes_total", &[("direction", "sent")]),
        ("tickwire_snapshot_parts_total", &[]),
        ("tickwire_snapshot_bytes_total", &[]),
        (
            "tickwire_snapshot_entities_total",
            &[("outcome", "entered")],
        ),
        ("tickwire_snapshot_frames_total", &[("outcome", "served")]),
        ("tickwire_cohorts_built_total", &[]),
        ("tickwire_payloads_total", &[("outcome", "acked")]),
        ("tickwire_uptime_seconds", &[]),
        ("process_cpu_seconds_total", &[]),
    ] {
        assert!(of(name, labels) > 0.0, "{name} {labels:?}");
    }
    assert!(
        of("tickwire_snapshot_bytes_total", &[])
            < of("tickwire_network_bytes_total", &[("direction", "sent")])
    );
    assert!(of("tickwire_tick_age_seconds", &[]) < 1.0);
    // Nobody is named: neither the client's id nor its address.
    let text = get(house.port(), "/metrics");
    assert!(!text.text().contains("127.0.0.1"));
}

#[test]
fn a_forged_datagram_is_seen_by_its_name() {
    let house = House::open();
    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket
        .send_to(&[0; 1078], house.server.local_addr())
        .expect("sent");
    let labels = [("room", "netcode"), ("name", "request_version")];
    house.client("").until("it was counted", |_| {
        let page = parse(get(house.port(), "/metrics").text(), Format::Plain);
        sum(&page["tickwire_rejections_total"], &labels) == 1.0
            && sum(
                &page["tickwire_handshakes_total"],
                &[("result", "request_version")],
            ) == 1.0
    });
}

#[test]
fn draining_shows() {
    let house = House::open();
    house.admin.set_draining(true);
    let page = parse(get(house.port(), "/metrics").text(), Format::Plain);
    assert_eq!(page["tickwire_draining"].samples[0].value as u64, 1);
}

/// Runs `promtool` with this on its standard input; `None` when it is not installed.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), said))
}

#[test]
fn promtool_has_no_complaint() {
    let house = House::new(8, 2, None);
    house.client("").connect();
    let page = get(house.port(), "/metrics");
    let Some((is_good, said)) = promtool(&["check", "metrics"], page.text()) else {
        println!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    assert!(is_good && said.trim().is_empty(), "{said}");
    // The canary: it does complain when there is something.
    let bad = "# TYPE tickwire_ticks counter\ntickwire_ticks 1\n";
    assert_eq!(
        promtool(&["check", "metrics"], bad).map(|it| it.0),
        Some(false)
    );
    for arguments in [
        ["check", "rules", "deploy/prometheus/alerts.yml"],
        ["check", "config", "deploy/prometheus/prometheus.yml"],
    ] {
        let (is_good, said) = promtool(&arguments, "").expect("it is there");
        assert!(is_good, "{arguments:?}: {said}");
    }
}
