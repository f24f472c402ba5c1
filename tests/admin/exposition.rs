//! A strict reader of both Prometheus text formats: what it accepts, a scraper does.

use std::collections::{BTreeMap, BTreeSet};

/// A family of samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|label| label.0 == name);
        label.map(|label| label.1.as_str())
    }
}

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    OpenMetrics,
}

/// Reads a page; panics with the line that is wrong.
pub(crate) fn parse(text: &str, format: Format) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'), "the last line must end");
    let body = match format {
        Format::Plain => text,
        Format::OpenMetrics => text.strip_suffix("# EOF\n").expect("an end mark"),
    };
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, name, rest) = (
                words.next().expect("a keyword"),
                words.next().unwrap_or_else(|| panic!("no name: {line}")),
                words
                    .next()
                    .unwrap_or_else(|| panic!("nothing said: {line}")),
            );
            match keyword {
                "HELP" => {
                    assert!(!families.contains_key(name), "twice: {line}");
                    families.entry(name.to_owned()).or_default().help = rest.to_owned();
                    current = name.to_owned();
                }
                "TYPE" => {
                    assert_eq!(name, current, "a type must follow its help: {line}");
                    families.entry(name.to_owned()).or_default().kind = rest.to_owned();
                }
                _ => panic!("unknown comment: {line}"),
            }
        } else {
            let sample = sample(line);
            let family = families.get_mut(&current).expect("a family comes first");
            check_name(&sample, &current, &family.kind, format);
            family.samples.push(sample);
        }
    }
    for (name, family) in &families {
        check_family(name, family);
    }
    families
}

fn check_name(sample: &Sample, family: &str, kind: &str, format: Format) {
    let endings: &[&str] = match (kind, format) {
        ("counter", Format::OpenMetrics) => &["_total"],
        ("info", Format::OpenMetrics) => &["_info"],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        ("counter" | "gauge", _) => &[""],
        _ => panic!("{family}: unknown type {kind}"),
    };
    let ending = sample.name.strip_prefix(family);
    assert!(
        ending.is_some_and(|ending| endings.contains(&ending)),
        "{} in the family {family} of type {kind}",
        sample.name
    );
}

fn sample(line: &str) -> Sample {
    let at = line
        .find(['{', ' '])
        .unwrap_or_else(|| panic!("no value: {line}"));
    let name = &line[..at];
    assert!(is_name(name), "{line}");
    let (labels, value) = match line[at..].strip_prefix('{') {
        None => (Vec::new(), &line[at..]),
        Some(rest) => {
            let end = rest
                .find('}')
                .unwrap_or_else(|| panic!("open braces: {line}"));
            (labels(&rest[..end]), &rest[end + 1..])
        }
    };
    let value = value
        .strip_prefix(' ')
        .unwrap_or_else(|| panic!("no space: {line}"));
    Sample {
        name: name.to_owned(),
        labels,
        value: value
            .parse()
            .unwrap_or_else(|_| panic!("not a number: {line}")),
    }
}

/// Our label values have no quotes, commas or backslashes, so that none has to be escaped.
fn labels(text: &str) -> Vec<(String, String)> {
    let labels: Vec<_> = text
        .split(',')
        .map(|label| {
            let (name, value) = label.split_once('=').expect("name=value");
            let value = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .unwrap_or_else(|| panic!("no quotes: {label}"));
            assert!(is_name(name) && !value.contains(['"', '\\']), "{label}");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    assert!(!labels.is_empty(), "empty braces");
    labels
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check_family(name: &str, family: &Family) {
    assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
    assert!(!family.samples.is_empty(), "{name} has no samples");
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        assert!(
            seen.insert((&sample.name, &sample.labels)),
            "{name}: twice {sample:?}"
        );
        assert!(sample.value.is_finite(), "{name}: {sample:?}");
        if family.kind != "gauge" {
            assert!(sample.value >= 0.0, "{name}: {sample:?}");
        }
    }
    if family.kind == "histogram" {
        check_histogram(name, family);
    }
}

/// Buckets rise, the last is endless, and holds what the count says.
fn check_histogram(name: &str, family: &Family) {
    let buckets: Vec<_> = family
        .samples
        .iter()
        .filter(|sample| sample.name.ends_with("_bucket"))
        .map(|sample| {
            (
                sample.label("le").expect("a bound").to_owned(),
                sample.value,
            )
        })
        .collect();
    let bounds: Vec<f64> = buckets
        .iter()
        .map(|bucket| match bucket.0.as_str() {
            "+Inf" => f64::INFINITY,
            bound => bound.parse().expect("a number"),
        })
        .collect();
    assert!(bounds.is_sorted_by(|a, b| a < b), "{name}: {bounds:?}");
    assert!(
        buckets.is_sorted_by(|a, b| a.1 <= b.1),
        "{name}: {buckets:?}"
    );
    let count = family
        .samples
        .iter()
        .find(|sample| sample.name.ends_with("_count"));
    let last = buckets.last().expect("buckets");
    assert_eq!(last.0, "+Inf", "{name}");
    assert_eq!(Some(last.1), count.map(|sample| sample.value), "{name}");
}

#[test]
fn a_good_page_is_read() {
    let text = "# HELP a Help.\n# TYPE a counter\na_total{x=\"1\",y=\"b c\"} 7\n# EOF\n";
    let page = parse(text, Format::OpenMetrics);
    assert_eq!(page["a"].samples[0].label("y"), Some("b c"));
    let text = "# HELP a_total Help.\n# TYPE a_total counter\na_total 7.5\n";
    assert!((parse(text, Format::Plain)["a_total"].samples[0].value - 7.5).abs() < 1e-9);
}

/// The alarm rings: each of these has one mistake.
#[test]
fn a_bad_page_is_refused() {
    for text in [
        "a 1\n",
        "# HELP a Help.\n# TYPE a gauge\na 1",
        "# HELP a Help.\n# TYPE a gauge\n",
        "# HELP a Help.\n# TYPE a gauge\nb 1\n",
        "# HELP a Help.\n# TYPE a gauge\na one\n",
        "# HELP a Help.\n# TYPE a gauge\na{} 1\n",
        "# HELP a Help.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a Help.\n# TYPE a counter\na -1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a Help.\n# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\n",
        "# HELP a Help.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\n",
    ] {
        let outcome = std::panic::catch_unwind(|| parse(text, Format::Plain));
        assert!(outcome.is_err(), "{text}");
    }
}
