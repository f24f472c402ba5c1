//! The whole product in virtual time: one server, up to 64 clients, every fault, and a check at every step.
//!
//! `cargo test --test simulation` runs a few seeds; `SIMULATION_SEEDS=10000` more of them;
//! `SEED=n` replays one and tells its story when it fails.
#![cfg(feature = "tools")]
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test says what it found, and how fast it was"
)]

mod air;
mod checks;
mod faults;
mod host;
mod hostile;
mod ledger;
mod model;
mod plan;
mod player;
mod regressions;
mod rows;
mod serving;
mod story;
mod universe;

use std::time::{Duration, Instant};

use plan::Plan;
use universe::{Sabotage, Universe};

/// What came of one seed.
struct Outcome {
    hash: u64,
    virtual_time: Duration,
    failure: Option<String>,
}

fn run(seed: u64, sabotage: Option<Sabotage>, is_told: bool) -> Outcome {
    let mut universe = Universe::new(Plan::from_seed(seed), is_told);
    universe.sabotage = sabotage;
    let verdict = universe.run_plan();
    let air = universe.air.borrow();
    let at = universe.now.as_micros() as f64 / 1e6;
    Outcome {
        hash: air.story.hash(),
        virtual_time: universe.now.since(tickwire::time::Timestamp::ZERO),
        failure: verdict.err().map(|what| {
            let lines = air.story.lines();
            format!(
                "SEED={seed} at {at:.6} s: {what}\n{lines}{}",
                universe.rejections()
            )
        }),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seeds to run: the one that is asked for, or so many from a start.
fn seeds(few: u64) -> Vec<u64> {
    if let Some(seed) = number("SEED") {
        return vec![seed];
    }
    let from = number("SIMULATION_FROM").unwrap_or(1);
    (from..from + number("SIMULATION_SEEDS").unwrap_or(few)).collect()
}

#[test]
fn every_promise_holds_whatever_happens() {
    let start = Instant::now();
    let mut simulated = Duration::ZERO;
    let mut failures = Vec::new();
    for seed in seeds(6) {
        println!("seed {seed}");
        let outcome = run(seed, None, false);
        simulated += outcome.virtual_time;
        if let Some(failure) = outcome.failure {
            println!("{}", failure.lines().next().unwrap_or_default());
            failures.push(seed);
        }
    }
    let speed = simulated.as_secs_f64() / start.elapsed().as_secs_f64();
    println!(
        "{:.0} virtual seconds, {speed:.0} a second",
        simulated.as_secs_f64()
    );
    if let Some(first) = failures.first() {
        let story = run(*first, None, true).failure.unwrap_or_default();
        panic!("{} seeds failed: {failures:?}\n{story}", failures.len());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let one = run(7, None, false);
    let two = run(7, None, true);
    assert_eq!(one.hash, two.hash, "seed 7");
    assert_ne!(one.hash, run(8, None, false).hash);
}
