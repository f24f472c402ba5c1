//! `tickwire bench`: a load test against its own second process, what it writes, and that nothing is left behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::kit::{Scratch, Serving, outcome, says, tickwire};

/// Runs a load test to its end, and gives its report.
fn report(arguments: &[&str]) -> Value {
    let outcome = outcome(tickwire(["bench", "--json"].iter().chain(arguments)));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).expect("one object, and nothing else")
}

/// A number of the report, by its path.
fn number(report: &Value, path: &str) -> f64 {
    let found = report.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path} in {report:#}"))
}

#[test]
fn twenty_clients_for_two_seconds_are_measured_from_all_sides() {
    let scratch = Scratch::new("bench");
    let folder = scratch.path().join("a/report").display().to_string();
    let arguments = ["--clients", "20", "--duration", "2s", "--whole", "50%"];
    let report = report(&[&arguments[..], &["--churn", "10%", "--out", &folder]].concat());

    assert_eq!(report["load"]["whole"], 10);
    assert_eq!(report["load"]["light"], 10);
    assert_eq!(report["server"]["own"], true);
    assert_eq!(report["server"]["world"], "arena");
    let sockets = if cfg!(target_os = "linux") {
        "shared"
    } else {
        "own"
    };
    assert_eq!(report["load"]["sockets"], sockets);
    assert_eq!(number(&report, "/server/tick_rate"), 60.0);
    assert_eq!(number(&report, "/server/snapshot_rate"), 30.0);
    // However busy the machine is: something arrived, and every look that was due was taken, sixty a second at each client
    // that was in the game.
    assert!(number(&report, "/result/snapshots/received") > 0.0);
    let in_game = number(&report, "/result/clients") * number(&report, "/result/seconds");
    let looks = number(&report, "/result/age_ms/count");
    assert!(
        (looks / in_game - 60.0).abs() < 6.0,
        "{looks} looks in {in_game} client-seconds"
    );
    for path in [
        "/result/inputs/sent",
        "/result/input_to_state_ms/p50",
        "/result/arrival_jitter_ms/count",
        "/result/bytes_per_client_per_second/down",
        "/result/bytes_per_client_per_second/up",
        "/result/replicas/compared",
    ] {
        assert!(number(&report, path) > 0.0, "{path}: {report:#}");
    }
    assert_eq!(report["result"]["replicas"]["differing"], 0);
    // The other process tells what it costs there.
    assert!(number(&report, "/result/server/cpu_us_per_client_tick") > 0.0);
    assert!(number(&report, "/result/server/work/ticks") > 0.0);
    assert!(report["result"]["server"]["work"]["tick_ms_p99"].is_number());
    assert_eq!(report["disconnects"], serde_json::json!({}));
    let stages: Vec<_> = report["timeline"]
        .as_array()
        .expect("rows")
        .iter()
        .collect();
    let held = stages.iter().filter(|row| row["stage"] == "hold").count();
    assert_eq!(held, 2);
    files_say_the_same(&folder, &report);
}

fn files_say_the_same(folder: &str, report: &Value) {
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).expect("a file");
    let json: Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(json, *report);
    let page = read("report.html");
    for path in [
        "result.age_ms.p99",
        "result.snapshots.delivery",
        "result.generator.busy",
    ] {
        let value = report
            .pointer(&format!("/{}", path.replace('.', "/")))
            .expect("it is there");
        let row = format!("<tr><td>{path}</td><td class=\"n\">{value}</td></tr>");
        assert!(page.contains(&row), "{row}");
    }
    let timeline = read("timeline.csv");
    let mut lines = timeline.lines();
    let names: Vec<_> = lines.next().expect("names").split(',').collect();
    let rows: Vec<Vec<_>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows.len(),
        report["timeline"].as_array().expect("rows").len()
    );
    assert!(rows.iter().all(|row| row.len() == names.len()));
    assert_eq!(names[..2], ["second", "stage"]);
}

/// A few clients among cubes, each with a socket of its own, on a bad network: what the first test leaves out.
#[test]
fn the_other_world_the_other_sockets_and_a_bad_network_are_measured_too() {
    let world = ["--world", "cubes", "--clients", "6", "--whole", "50%"];
    let network = [
        "--sockets",
        "own",
        "--loss",
        "5%",
        "--rtt",
        "20ms",
        "--duration",
        "2s",
    ];
    let report = report(&[&world[..], &network].concat());
    assert_eq!(report["server"]["world"], "cubes");
    assert_eq!(report["load"]["sockets"], "own");
    for path in ["/result/snapshots/received", "/result/replicas/compared"] {
        assert!(number(&report, path) > 0.0, "{path}: {report:#}");
    }
    assert_eq!(report["result"]["replicas"]["differing"], 0);
    assert_eq!(report["disconnects"], serde_json::json!({}));
}

/// Behind shared sockets a network can be as bad, and clients come and go.
#[test]
fn clients_that_share_sockets_come_and_go_on_a_bad_network() {
    let arguments = ["--world", "cubes", "--clients", "6", "--churn", "30%"];
    let network = ["--loss", "5%", "--rtt", "20ms", "--duration", "2s"];
    let report = report(&[&arguments[..], &network].concat());
    assert!(number(&report, "/result/snapshots/received") > 0.0);
    assert_eq!(report["result"]["replicas"]["differing"], 0);
    assert_eq!(report["rejections"], serde_json::json!({}));
}

#[test]
fn a_server_that_plays_another_world_is_not_measured() {
    let scratch = Scratch::new("bench-world");
    let key = scratch.file("server.key", &"60".repeat(32));
    let server = Serving::start(&["--world", "cubes", "--private-key-file", &key], &[]);
    let address = server.listen.to_string();
    let to = [
        "bench",
        "--clients",
        "1",
        "--server",
        &address,
        "--private-key-file",
        &key,
    ];
    let refusal = |more: &[&str]| {
        let arguments = to.iter().chain(more).chain(&["--json"]).copied();
        let outcome = outcome(tickwire(arguments));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
        let last = outcome.stderr.lines().next_back().expect("why").to_owned();
        assert!(
            last.contains(&format!("no client got into {address}")),
            "{last}"
        );
        last
    };
    // A token for the arena is none for the cubes, and whoever has none hears nothing.
    let silence = refusal(&[]);
    assert!(silence.contains("answer"), "{silence}");
    // With the number of the cubes and the schema of the arena the server says what is wrong.
    let said = refusal(&["--protocol-id", "0x7469636b63756265"]);
    assert!(said.contains("schema"), "{said}");
}

#[test]
fn the_search_says_what_it_tried_and_what_broke() {
    // No state is as young as this: the very first load breaks, and then half of it, down to one.
    let arguments = [
        "--find-max",
        "--clients",
        "4",
        "--from",
        "2",
        "--duration",
        "1s",
    ];
    let report = report(&[&arguments[..], &["--max-age", "1us"]].concat());
    let found = &report["find_max"];
    assert_eq!(found["held"], Value::Null);
    assert_eq!(found["broke"], 1);
    let broke = found["objectives"].as_array().expect("names");
    assert!(broke.contains(&"age".into()), "{broke:?}");
    let steps = found["steps"].as_array().expect("steps").iter();
    let tried: Vec<_> = steps.map(|step| step["clients"].as_u64()).collect();
    assert_eq!(tried, [Some(2), Some(2), Some(1), Some(1)]);
    let age = report["objectives"].as_array().expect("rows").iter();
    let age = age
        .into_iter()
        .find(|row| row["objective"] == "age")
        .expect("it is judged");
    assert_eq!(age["holds"], false);
}

/// The processes of which `parent` is the parent.
#[cfg(target_os = "linux")]
fn children_of(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // After the name, which may have spaces: the state, then the parent.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[cfg(target_os = "linux")]
fn signal(name: &str, process: u32) {
    let status = std::process::Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(status.expect("kill").success());
}

/// The processors that a process or thread may use, by `/proc`.
#[cfg(target_os = "linux")]
fn cores_of(task: &str) -> std::collections::BTreeSet<u32> {
    let status = std::fs::read_to_string(format!("/proc/{task}/status")).expect("it runs");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.expect("the kernel tells").trim().split(',');
    let ends = ranges.map(|it| it.split_once('-').unwrap_or((it, it)));
    let number = |text: &str| text.parse::<u32>().expect("a number");
    ends.flat_map(|(first, last)| number(first)..=number(last))
        .collect()
}

/// A load test that would go on for long, after so many lines about its hold: one a second.
#[cfg(target_os = "linux")]
fn running(lines_about_the_hold: usize, more: &[&str]) -> Child {
    let arguments = ["bench", "--clients", "10", "--duration", "300s", "--json"];
    let mut bench = tickwire([&arguments[..], more].concat())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let stderr = BufReader::new(bench.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let about_the_hold = lines.by_ref().filter(|line| line.contains("s to go"));
    let seen = about_the_hold.take(lines_about_the_hold).count();
    assert_eq!(seen, lines_about_the_hold, "it goes on");
    // What it says from here on is read too, or it would have nobody to say it to.
    std::thread::spawn(move || lines.for_each(drop));
    bench
}

/// Ctrl-C is a wish like any other: the report comes, with what was measured, and the server is gone.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_with_a_report_and_without_its_server() {
    // After three of them a second of the hold is over.
    let bench = running(3, &[]);
    let children = children_of(bench.id());
    assert_eq!(children.len(), 1, "a server in a second process");
    signal("INT", bench.id());
    let output = bench.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["interrupted"], true);
    assert!(!std::path::Path::new(&format!("/proc/{}", children[0])).exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_dies_is_told_and_nothing_is_left() {
    let bench = running(1, &[]);
    let children = children_of(bench.id());
    signal("KILL", children[0]);
    let output = bench.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(!std::path::Path::new(&format!("/proc/{}", children[0])).exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_with_processors_of_its_own_shares_none_with_the_load() {
    let usable = cores_of("self");
    let all: Vec<_> = usable.iter().map(ToString::to_string).collect();
    let all = all.join(",");
    let refused = outcome(tickwire(["bench", "--server-cores", &all]));
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("none is left"),
        "{}",
        refused.stderr
    );
    let (Some(first), true) = (usable.first(), usable.len() > 1) else {
        return;
    };
    let bench = running(3, &["--server-cores", &first.to_string()]);
    let server = children_of(bench.id())[0];
    let tasks = |process: u32| {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        let names = tasks.flatten().map(|task| task.file_name());
        let names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        let cores = names
            .into_iter()
            .map(move |task| cores_of(&format!("{process}/task/{task}")));
        cores.collect::<Vec<_>>()
    };
    let (of_server, of_load) = (tasks(server), tasks(bench.id()));
    signal("INT", bench.id());
    let output = bench.wait_with_output().expect("it ends");
    assert!(
        of_server.iter().all(|it| it.iter().eq([first])),
        "{of_server:?}"
    );
    assert!(of_load.iter().all(|it| !it.contains(first)), "{of_load:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(
        report["machine"]["cores"],
        usable.len(),
        "the whole machine"
    );
}

#[test]
fn the_operators_document_has_every_option_as_help_shows_it() {
    let document = include_str!("../../docs/operating.md");
    let (_, table) = document
        .split_once("<!-- table: bench -->\n")
        .expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let help = says(["bench", "--help"]);
    let rows: String = help.lines().filter_map(row).collect();
    let head = "| flag | default | is |\n|---|---|---|\n";
    assert_eq!(table, format!("{head}{rows}"));
}

/// A line of help about an option, as the document's table has it.
fn row(line: &str) -> Option<String> {
    let line = line.trim();
    let (flag, is) = line.split_once("  ").filter(|_| line.starts_with("--"))?;
    let (is, default) = match is.trim().split_once(" [default: ") {
        Some((is, default)) => (is, default.strip_suffix(']')?),
        None => (is.trim(), ""),
    };
    Some(format!("| `{flag}` | {default} | {is} |\n"))
}
