//! The report as one page: everything is in it, nothing is fetched, nothing runs.
//!
//! Turns a report into text. Every figure of `report.json` stands in the tables at the end, under the same name.

use std::fmt::Write as _;

use serde_json::Value;

use super::plot::{Line, Mark, plot};
use super::report::{Figures, Report, Row, Spread};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    td,th{border-bottom:1px solid #ddd;padding:.2rem .7rem;text-align:left}td.n{text-align:right}.plots{display:flex;flex-wrap:wrap}\
    svg{width:min(100%,34rem);margin:.4rem}.grid{stroke:#e4e4e4}.scale{font-size:11px}.title{font-size:13px;font-weight:600}\
    .warn{background:#fff1d6;border-left:4px solid #d55e00;padding:.5rem 1rem}.good{color:#00694d}.bad{color:#b03a00;font-weight:600}code{background:#f3f3f3}";

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>\
         <title>Tickwire load test</title><style>{STYLE}</style></head><body>\n<h1>Tickwire load test</h1>\n"
    );
    page += &head(report);
    page += &warnings(report);
    page += &objectives(report);
    page += &search(report);
    page += "<h2>What players felt</h2>\n";
    page += &felt(&report.result);
    page += "<h2>The run, second by second</h2>\n<div class=\"plots\">\n";
    page += &over_time(&report.timeline);
    page += "</div>\n<h2>Distributions over the hold</h2>\n<div class=\"plots\">\n";
    page += &distributions(&report.result);
    page += "</div>\n<h2>Every figure of report.json</h2>\n<table>\n";
    if let Ok(value) = serde_json::to_value(report) {
        every_figure(&mut page, "", &value);
    }
    page + "</table>\n</body></html>\n"
}

fn head(report: &Report) -> String {
    let Report {
        machine,
        server,
        load,
        ..
    } = report;
    let whose = if server.own {
        "its own, in a second process"
    } else {
        "running elsewhere"
    };
    let mut text = format!(
        "<p><code>tickwire {}</code></p>\n<table>\n",
        escape(&report.command)
    );
    let rows = [
        ("program", format!("{} ({})", report.version, report.commit)),
        (
            "machine",
            format!(
                "{}, {} processors, {}",
                machine.cpu, machine.cores, machine.kernel
            ),
        ),
        (
            "server",
            format!(
                "{} ({whose}), {}, {} Hz, {} snapshots a second",
                server.address, server.world, server.tick_rate, server.snapshot_rate
            ),
        ),
        (
            "clients",
            format!(
                "{}: {} whole ones, whose replicas are decoded and compared, and {} light ones; {}",
                load.clients,
                load.whole,
                load.light,
                load.whose_sockets()
            ),
        ),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    text + "</table>\n"
}

fn warnings(report: &Report) -> String {
    let mut text = String::new();
    let generator = &report.result.generator;
    if generator.is_bottleneck {
        let reasons = generator.reasons.join("; ");
        let _ = writeln!(
            text,
            "<p class=\"warn\"><strong>The load generator, not the server, was the bottleneck</strong>: {}. \
             The figures say little about the server.</p>",
            escape(&reasons),
        );
    }
    if generator.is_disturbed() {
        let _ = writeln!(
            text,
            "<p class=\"warn\">Other processes used {} of this machine's {} processors meanwhile: ages and late ticks may be theirs.</p>",
            number(generator.others_cores),
            report.machine.cores,
        );
    }
    if report.interrupted {
        text += "<p class=\"warn\">The run was ended before its time.</p>\n";
    }
    if report.result.replicas.differing > 0 {
        text += "<p class=\"warn\"><strong>Replicas differed from each other.</strong></p>\n";
    }
    text
}

fn objectives(report: &Report) -> String {
    let mut text = "<h2>Objectives</h2>\n<table>\n".to_owned();
    for judged in &report.objectives {
        let (class, word) = if judged.holds {
            ("good", "holds")
        } else {
            ("bad", "breaks")
        };
        let _ = writeln!(
            text,
            "<tr><th>{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"{class}\">{word}</td></tr>",
            judged.objective,
            escape(&judged.allowed),
            number(judged.measured),
        );
    }
    text + "</table>\n"
}

fn search(report: &Report) -> String {
    let Some(found) = &report.find_max else {
        return String::new();
    };
    let clients =
        |load: Option<u32>| load.map_or_else(|| "none".to_owned(), |load| load.to_string());
    let mut text = format!(
        "<h2>The largest load</h2>\n<p>Held: {}. Broke: {}{}.</p>\n<table>\n<tr><th>clients</th><th>delivery</th>\
         <th>overruns</th><th>age p99 ms</th><th>server \u{b5}s per client-tick</th><th>verdict</th></tr>\n",
        clients(found.held),
        clients(found.broke),
        if found.objectives.is_empty() {
            String::new()
        } else {
            format!(" ({})", found.objectives.join(", "))
        },
    );
    for step in &found.steps {
        let server = step.figures.server.as_ref();
        let verdict = if step.holds {
            "holds".to_owned()
        } else {
            step.broken.join(", ")
        };
        let _ = writeln!(
            text,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{verdict}</td></tr>",
            step.clients,
            number(step.figures.snapshots.delivery),
            number(server.and_then(|server| server.overrun_share)),
            number(step.figures.age_ms.p99),
            number(server.and_then(|server| server.cpu_us_per_client_tick)),
        );
    }
    text + "</table>\n"
}

fn felt(figures: &Figures) -> String {
    let mut text = "<table>\n<tr><th>milliseconds</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th></tr>\n".to_owned();
    for (name, spread) in spreads(figures) {
        let _ = writeln!(
            text,
            "<tr><th>{name}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            number(spread.p50),
            number(spread.p99),
            number(spread.p999),
            number(spread.max),
        );
    }
    text + "</table>\n"
}

const fn spreads(figures: &Figures) -> [(&'static str, &Spread); 3] {
    [
        ("age of the newest state", &figures.age_ms),
        ("input to state", &figures.input_to_state_ms),
        ("jitter of arrivals", &figures.arrival_jitter_ms),
    ]
}

fn over_time(rows: &[Row]) -> String {
    type Column = fn(&Row) -> Option<f64>;
    let line = |name, column: Column| Line {
        name,
        points: rows
            .iter()
            .map(|row| (row.second as f64, column(row)))
            .collect(),
    };
    let last = rows.last().map_or(0, |row| row.second);
    let marks: Vec<Mark> = (0..=4)
        .map(|step| last * step / 4)
        .map(|at| (at as f64, format!("{at} s")))
        .collect();
    let plots = [
        plot(
            "Clients in the game",
            "",
            &[line("clients", |row| Some(row.clients))],
            &marks,
        ),
        plot(
            "Snapshots delivered",
            "",
            &[line("share", |row| row.delivery)],
            &marks,
        ),
        plot(
            "Age of the newest state",
            " ms",
            &[
                line("p50", |row| row.age_p50_ms),
                line("p99", |row| row.age_p99_ms),
            ],
            &marks,
        ),
        plot(
            "Input to state",
            " ms",
            &[
                line("p50", |row| row.input_p50_ms),
                line("p99", |row| row.input_p99_ms),
            ],
            &marks,
        ),
        plot(
            "Bytes of one client in a second",
            "",
            &[
                line("down", |row| Some(row.bytes_down)),
                line("up", |row| Some(row.bytes_up)),
            ],
            &marks,
        ),
        plot(
            "Server's ticks",
            " ms",
            &[line("p99", |row| row.tick_p99_ms)],
            &marks,
        ),
        plot(
            "Processors in use",
            "",
            &[
                line("server", |row| row.server_cores),
                line("a thread of the load", |row| Some(row.generator_busy)),
            ],
            &marks,
        ),
        plot(
            "How late the load test's turns were",
            " ms",
            &[line("p99", |row| row.generator_late_p99_ms)],
            &marks,
        ),
    ];
    plots.concat()
}

/// The scale below is that of nines: as far from 90% to 99% as from 99% to 99.9%.
fn distributions(figures: &Figures) -> String {
    let nines = |share: f64| -(1.0 - share.min(0.999_95)).log10();
    let marks = [0.0, 0.9, 0.99, 0.999, 0.9999];
    let marks: Vec<Mark> = marks
        .iter()
        .map(|share| (nines(*share), format!("{}%", share * 100.0)))
        .collect();
    let plots = spreads(figures).map(|(name, spread)| {
        let points = spread
            .distribution
            .iter()
            .map(|(share, ms)| (nines(*share), Some(*ms)));
        plot(
            name,
            " ms",
            &[Line {
                name: "not above, of so many",
                points: points.collect(),
            }],
            &marks,
        )
    });
    plots.concat()
}

/// A row for each value, under the path that leads to it.
fn every_figure(page: &mut String, path: &str, value: &Value) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                every_figure(page, &below(name), value);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                every_figure(page, &below(&place.to_string()), value);
            }
        }
        value => {
            let text = match value {
                Value::String(text) => escape(text),
                other => other.to_string(),
            };
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{text}</td></tr>",
                escape(path)
            );
        }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| format!("{value:.3}"))
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::bench::report::tests::report;

    /// What is wrong with the nesting of a page's elements, if anything.
    fn fault(page: &str) -> Option<String> {
        let mut open = Vec::new();
        for piece in page.split('<').skip(1) {
            let (tag, _) = piece.split_once('>')?;
            let name = tag
                .split([' ', '/'])
                .find(|it| !it.is_empty())
                .unwrap_or("");
            if tag.starts_with('!') || tag.ends_with('/') {
                continue;
            }
            if tag.starts_with('/') {
                let last = open.pop();
                if last != Some(name) {
                    return Some(format!("</{name}> closes {last:?}"));
                }
            } else {
                open.push(name);
            }
        }
        (!open.is_empty()).then(|| format!("{open:?} are open at the end"))
    }

    /// What a page would fetch or run.
    fn foreign(page: &str) -> Vec<&'static str> {
        let words = [
            "http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link",
            "<iframe", "onload",
        ];
        words
            .into_iter()
            .filter(|word| page.contains(word))
            .collect()
    }

    #[test]
    fn the_page_is_well_formed_and_fetches_nothing() {
        let page = page(&report());
        assert_eq!(fault(&page), None);
        assert!(foreign(&page).is_empty(), "{:?}", foreign(&page));
        assert!(page.contains("a &lt;fine&gt; CPU") && page.contains("&amp; b"));
        assert!(page.matches("<svg").count() >= 10);
    }

    #[test]
    fn the_checks_can_fail() {
        assert!(fault("<p><b>x</p></b>").is_some());
        assert!(fault("<p>").is_some());
        assert_eq!(
            foreign("<img src=\"https://x\"/>"),
            ["https:", "//", "src="]
        );
    }

    fn each_leaf(path: String, value: &Value, found: &mut Vec<(String, String)>) {
        let join = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, it)| each_leaf(join(name), it, found)),
            Value::Array(all) => all
                .iter()
                .enumerate()
                .for_each(|(at, it)| each_leaf(join(&at.to_string()), it, found)),
            leaf => found.push((path, leaf.to_string())),
        }
    }

    #[test]
    fn every_number_of_the_json_stands_in_the_page_under_its_name() {
        let report = report();
        let page = page(&report);
        let json = serde_json::to_string(&report).expect("JSON");
        let (mut leaves, mut numbers) = (Vec::new(), 0);
        each_leaf(
            String::new(),
            &serde_json::from_str(&json).expect("JSON"),
            &mut leaves,
        );
        for (path, value) in leaves.iter().filter(|(_, value)| !value.starts_with('"')) {
            let row = format!(
                "<tr><td>{}</td><td class=\"n\">{value}</td></tr>",
                escape(path)
            );
            assert!(page.contains(&row), "{row}");
            numbers += 1;
        }
        assert!(numbers > 100, "{numbers}");
    }

    #[test]
    fn a_strained_load_test_is_said_first() {
        let mut report = report();
        assert!(!page(&report).contains("was the bottleneck"));
        report.result.generator.is_bottleneck = true;
        report.result.generator.reasons = vec!["it was late".to_owned()];
        let page = page(&report);
        let warned = page
            .find("not the server, was the bottleneck")
            .expect("it is said");
        assert!(warned < page.find("Objectives").expect("they follow"));
        assert!(page.contains("it was late"));
    }
}
