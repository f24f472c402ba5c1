//! The operator's documents against the code: no endpoint, metric or dashboard that does not exist, and none missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tickwire::server::admin::ENDPOINTS;
use tickwire::server::admin::metrics::{CATALOGUE, Kind, Metric};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands in `docs/operating.md` between `<!-- table: NAME -->` and `<!-- end -->`.
fn table(name: &str) -> String {
    let text = fs::read_to_string(root().join("docs/operating.md")).expect("docs/operating.md");
    let mark = format!("<!-- table: {name} -->\n");
    let start = text.find(&mark).unwrap_or_else(|| panic!("no {mark}")) + mark.len();
    let end = text[start..].find("<!-- end -->").expect("an end mark");
    text[start..start + end].to_owned()
}

#[test]
fn the_table_of_metrics_is_the_catalogue() {
    let mut ours = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for Metric {
        name,
        kind,
        labels,
        help,
        ..
    } in CATALOGUE
    {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        ours += &format!(
            "| `{name}` | {} | {} | {help} |\n",
            kind.name(),
            labels.join(", ")
        );
    }
    let theirs = table("metrics");
    assert!(
        theirs == ours,
        "docs/operating.md should have this table of metrics:\n{ours}"
    );
}

#[test]
fn the_table_of_endpoints_has_each_once_and_says_who_may_ask() {
    let rows: Vec<_> = table("endpoints")
        .lines()
        .skip(2)
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2] == "yes")
        })
        .collect();
    let ours: Vec<_> = ENDPOINTS
        .iter()
        .map(|it| (format!("`{} {}`", it.method, it.path), it.needs_token))
        .collect();
    assert_eq!(rows, ours);
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The words of a text that look like a metric of ours.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tickwire_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// A metric as queries name it: a histogram's is never without its ending.
fn exists(word: &str) -> bool {
    CATALOGUE.iter().any(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|ending| word.strip_suffix(ending) == Some(metric.name)),
        _ => metric.name == word,
    })
}

#[test]
fn every_metric_that_deploy_names_exists() {
    let mut all = Vec::new();
    files(&root().join("deploy"), &mut all);
    let mut named = 0;
    for file in &all {
        let text = fs::read_to_string(file).expect("text");
        for word in metrics_in(&text) {
            assert!(
                exists(&word),
                "{} names {word}, which is not in the catalogue",
                file.display()
            );
            named += 1;
        }
    }
    assert!(
        named > 20,
        "the dashboard and the alerts name metrics; only {named} were found"
    );
    // The canary: a name that does not exist would be found.
    assert!(
        metrics_in("rate(tickwire_nothing_total[1m])")
            .iter()
            .all(|it| !exists(it))
    );
}

#[test]
fn the_dashboard_is_json_and_every_panel_asks_for_something() {
    let path = root().join("deploy/grafana/dashboards/tickwire.json");
    let text = fs::read_to_string(path).expect("a dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "an id twice: {panel}");
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let query = target["expr"].as_str().expect("a query");
            assert!(!metrics_in(query).is_empty(), "{query}");
        }
    }
    assert!(panels.len() > 10);
}

#[test]
fn probes_and_scrapes_ask_for_endpoints_that_exist() {
    let mut all = Vec::new();
    files(&root().join("deploy"), &mut all);
    let mut asked = 0;
    for file in &all {
        let text = fs::read_to_string(file).expect("text");
        for line in text.lines() {
            let Some((key, path)) = line.trim().split_once(": ") else {
                continue;
            };
            if key == "path"
                && path.starts_with('/')
                && !path.contains("/etc")
                && !path.contains("/var")
            {
                assert!(
                    ENDPOINTS.iter().any(|it| it.path == path),
                    "{}: {line}",
                    file.display()
                );
                asked += 1;
            }
        }
    }
    assert!(asked >= 3, "start, live and ready: {asked}");
}
