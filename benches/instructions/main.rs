//! How many instructions the hot paths take: numbers that a noisy machine does not change, against a committed baseline.
//!
//! `cargo bench --bench instructions` counts; `--check` fails when something takes a tenth more than the baseline;
//! `--canary` makes sure that it would; `--renew` writes a new baseline. `README.md` beside this file says what the
//! numbers are and what they are not.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it prints what it found, and has nobody to answer to"
)]

mod baseline;
mod counting;
mod crowd;
mod scenarios;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::baseline::{Baseline, Maker, RENEW, Verdict, judge};
use self::counting::{CHILD, Waste, count};
use self::scenarios::{ALL, Scenario};

/// What is asked for.
enum Task {
    Show,
    Check,
    Renew,
    Canary,
    /// To be the program that is counted.
    Run(&'static Scenario, u32),
}

fn main() -> ExitCode {
    match task().and_then(|task| perform(&task)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn task() -> anyhow::Result<Task> {
    // Cargo says --bench to every benchmark.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments
        .iter()
        .map(String::as_str)
        .filter(|it| *it != "--bench")
        .collect();
    Ok(match arguments[..] {
        [] => Task::Show,
        ["--check"] => Task::Check,
        ["--renew"] => Task::Renew,
        ["--canary"] => Task::Canary,
        [CHILD, name, times] => Task::Run(find(name)?, times.parse()?),
        _ => bail!("{arguments:?}: allowed is nothing, --check, --canary or --renew"),
    })
}

fn find(name: &str) -> anyhow::Result<&'static Scenario> {
    const SCENARIOS: &[Scenario] = &ALL;
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let names = || SCENARIOS.iter().map(|it| it.name).collect::<Vec<_>>();
    found.with_context(|| format!("{name}: there are {}", names().join(", ")))
}

/// Says whether all is well.
fn perform(task: &Task) -> anyhow::Result<bool> {
    match task {
        Task::Run(scenario, times) => {
            let mut work = (scenario.prepare)();
            (0..*times).for_each(|_| work());
            Ok(true)
        }
        Task::Renew => {
            let instructions = ALL
                .iter()
                .map(|scenario| Ok((scenario.name.to_owned(), count(scenario, Waste(0))?)))
                .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
            Baseline {
                made_by: Maker::here(),
                instructions,
            }
            .write()?;
            show()
        }
        Task::Show => show(),
        Task::Check => check(),
        Task::Canary => canary(),
    }
}

/// Prints a table of counts and of the baseline's.
fn show() -> anyhow::Result<bool> {
    let baseline = Baseline::read()?;
    compare(&baseline)?;
    Ok(true)
}

fn check() -> anyhow::Result<bool> {
    let baseline = Baseline::read()?;
    let here = Maker::here();
    if baseline.made_by != here {
        println!(
            "NOT COMPARED: the baseline is of {:?}, this is {here:?}. Renew it: `{RENEW}`",
            baseline.made_by
        );
        return Ok(true);
    }
    let verdicts = compare(&baseline)?;
    let has = |what| verdicts.contains(&what);
    if has(Verdict::Better) {
        println!("something takes a tenth less than before: keep it so with `{RENEW}`");
    }
    if has(Verdict::New) {
        println!("the baseline lacks a scenario: add it with `{RENEW}`");
    }
    if has(Verdict::Worse) {
        println!(
            "something takes a tenth more than before. If it must, say why in the commit, and `{RENEW}`"
        );
    }
    Ok(!has(Verdict::Worse) && !has(Verdict::New))
}

fn compare(baseline: &Baseline) -> anyhow::Result<Vec<Verdict>> {
    println!("| scenario | instructions | baseline | ratio | |\n|---|---|---|---|---|");
    ALL.iter()
        .map(|scenario| {
            let now = count(scenario, Waste(0))?;
            let before = baseline.instructions.get(scenario.name).copied();
            let verdict = judge(before, now);
            let ratio = before.map_or(f64::NAN, |before| now as f64 / before as f64);
            let before = before.map_or("-".to_owned(), |before| before.to_string());
            println!(
                "| {} | {now} | {before} | {ratio:.3} | {verdict:?} |",
                scenario.name
            );
            Ok(verdict)
        })
        .collect()
}

/// The check must notice a quarter more work, and nothing when there is none.
fn canary() -> anyhow::Result<bool> {
    let scenario = find("channel")?;
    let [first, again, wasteful] = [0, 0, 25].map(|waste| count(scenario, Waste(waste)));
    let (first, again, wasteful) = (first?, again?, wasteful?);
    let verdicts = [again, wasteful].map(|now| judge(Some(first), now));
    println!(
        "{}: {first}, again {again}, with a quarter more work {wasteful}: {verdicts:?}",
        scenario.name
    );
    Ok(verdicts == [Verdict::Same, Verdict::Worse])
}
