//! What a load must not break, and whether it was the server that broke it.
//!
//! Knows figures and limits. Has no idea how they were measured.

use std::time::Duration;

use serde::Serialize;

/// What players must get at the least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objectives {
    /// The share of snapshots that arrive, at least.
    pub delivery: f64,
    /// The share of ticks that come too late, at most.
    pub overruns: f64,
    /// The age that 99 of 100 looks find at most.
    pub age: Duration,
}

/// So many of the clients that were asked for must be in the game, whatever else is wanted.
const CLIENTS_IN: f64 = 0.99;

/// What the objectives are held against.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Clients in the game over clients asked for.
    pub clients: f64,
    /// Snapshots that arrived over those there were.
    pub delivery: Option<f64>,
    /// Overruns over ticks; `None` when the server's figures are not known.
    pub overruns: Option<f64>,
    /// The 99th percentile of the age, in milliseconds.
    pub age_ms: Option<f64>,
}

/// One objective, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Its name.
    pub objective: &'static str,
    /// What is allowed, in words.
    pub allowed: String,
    /// What was measured; `None`: nothing, which breaks it unless it cannot be known.
    pub measured: Option<f64>,
    /// Whether it was kept.
    pub holds: bool,
}

impl Objectives {
    /// Judges each.
    #[must_use]
    pub fn judge(&self, measured: &Measured) -> Vec<Judged> {
        let percent = |share: f64| format!("{}%", round(share * 100.0));
        let age = self.age.as_secs_f64() * 1e3;
        vec![
            Judged {
                objective: "clients",
                allowed: format!(
                    "at least {} of those asked for in the game",
                    percent(CLIENTS_IN)
                ),
                measured: Some(round(measured.clients)),
                holds: measured.clients >= CLIENTS_IN,
            },
            Judged {
                objective: "delivery",
                allowed: format!("at least {}", percent(self.delivery)),
                measured: measured.delivery.map(round),
                holds: measured
                    .delivery
                    .is_some_and(|share| share >= self.delivery),
            },
            Judged {
                objective: "overruns",
                allowed: format!("at most {} of the ticks", percent(self.overruns)),
                measured: measured.overruns.map(round),
                holds: measured.overruns.is_none_or(|share| share <= self.overruns),
            },
            Judged {
                objective: "age",
                allowed: format!("p99 at most {} ms", round(age)),
                measured: measured.age_ms.map(round),
                holds: measured.age_ms.is_some_and(|ms| ms <= age),
            },
        ]
    }
}

/// Four decimals are enough for everybody.
#[must_use]
pub(super) fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// What the load test itself was like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Strain {
    /// How late its threads came to their turns: the 99th percentile, in milliseconds.
    pub lateness_ms: Option<f64>,
    /// The share of inputs that left late.
    pub late_inputs: f64,
    /// How busy its threads were, 0 to 1 each, the mean.
    pub busy: f64,
    /// The share of datagrams to it that its own sockets had no room for.
    pub dropped: f64,
}

/// Threads that come later than this to one turn of a hundred distort what they measure: half a tick at 60 Hz.
const LATENESS_MS: f64 = 8.0;
/// So many late inputs do too. Fewer show in the highest percentiles of what an input takes, which counts from when it was
/// due, and nowhere else: a guest that its host stops for some milliseconds now and then has two or three of a hundred.
const LATE_INPUTS: f64 = 0.05;
/// A thread that is busier than this has no room for what comes unevenly.
const BUSY: f64 = 0.85;
/// What its own sockets drop is missing in the server's delivery: a tenth of what that may lack.
const DROPPED: f64 = 0.001;

impl Strain {
    /// Why the load test, and not the server, was the bottleneck; empty when it was not.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(late) = self.lateness_ms.filter(|late| *late > LATENESS_MS) {
            reasons.push(format!(
                "its threads came {} ms late to one turn of a hundred (allowed {LATENESS_MS} ms)",
                round(late)
            ));
        }
        if self.late_inputs > LATE_INPUTS {
            reasons.push(format!(
                "{}% of its inputs left late (allowed {}%)",
                round(self.late_inputs * 100.0),
                LATE_INPUTS * 100.0
            ));
        }
        if self.busy > BUSY {
            reasons.push(format!(
                "its threads were busy for {}% of the time (allowed {}%)",
                round(self.busy * 100.0),
                BUSY * 100.0
            ));
        }
        if self.dropped > DROPPED {
            reasons.push(format!(
                "its sockets dropped {}% of what came (allowed {}%): more room for it takes net.core.rmem_max",
                round(self.dropped * 100.0),
                DROPPED * 100.0
            ));
        }
        reasons
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::tools::bench) const OBJECTIVES: Objectives = Objectives {
        delivery: 0.99,
        overruns: 0.01,
        age: Duration::from_millis(100),
    };

    const GOOD: Measured = Measured {
        clients: 1.0,
        delivery: Some(0.999),
        overruns: Some(0.001),
        age_ms: Some(40.0),
    };

    fn broken(measured: &Measured) -> Vec<&'static str> {
        let judged = OBJECTIVES.judge(measured);
        judged
            .iter()
            .filter(|it| !it.holds)
            .map(|it| it.objective)
            .collect()
    }

    #[test]
    fn each_objective_breaks_alone_and_is_named() {
        assert!(broken(&GOOD).is_empty());
        assert_eq!(
            broken(&Measured {
                clients: 0.98,
                ..GOOD
            }),
            ["clients"]
        );
        assert_eq!(
            broken(&Measured {
                delivery: Some(0.98),
                ..GOOD
            }),
            ["delivery"]
        );
        assert_eq!(
            broken(&Measured {
                overruns: Some(0.02),
                ..GOOD
            }),
            ["overruns"]
        );
        assert_eq!(
            broken(&Measured {
                age_ms: Some(100.1),
                ..GOOD
            }),
            ["age"]
        );
    }

    #[test]
    fn what_the_server_does_not_tell_breaks_nothing_but_silence_does() {
        assert!(
            broken(&Measured {
                overruns: None,
                ..GOOD
            })
            .is_empty()
        );
        let silence = Measured {
            delivery: None,
            age_ms: None,
            ..GOOD
        };
        assert_eq!(broken(&silence), ["delivery", "age"]);
    }

    #[test]
    fn a_strained_load_test_says_why() {
        assert!(Strain::default().reasons().is_empty());
        let strained = Strain {
            lateness_ms: Some(12.5),
            late_inputs: 0.2,
            busy: 0.99,
            dropped: 0.02,
        };
        let reasons = strained.reasons();
        assert_eq!(reasons.len(), 4);
        for (reason, part) in reasons.iter().zip([
            "12.5 ms late",
            "20% of its inputs",
            "99% of the time",
            "dropped 2%",
        ]) {
            assert!(reason.contains(part), "{reason}");
        }
    }
}
