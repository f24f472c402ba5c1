//! Attacks of those who have no session: forged requests, genuine tokens that lead nowhere, junk of every size.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::kit::echo::{Company, Echo};
use crate::kit::eyes::{cpu_us, quantile, report, resident_kib};
use crate::kit::guns::{Guns, Shots, forge, request};
use crate::kit::hall::{Hall, config};
use crate::kit::{HONEST, alone, dose};

/// How long honest traffic alone is measured, to subtract what it costs.
const IDLE: Duration = Duration::from_millis(250);

const fn per_second() -> u64 {
    1_000 / IDLE.as_millis() as u64
}

/// What an attack cost.
struct Cost {
    cpu_us: u64,
    resident_kib: u64,
}

impl Cost {
    fn now(pid: &str, thread: &str) -> Self {
        Self {
            cpu_us: cpu_us(pid, thread),
            resident_kib: resident_kib(pid),
        }
    }

    fn since(&self, before: &Self) -> (u64, u64) {
        (
            self.cpu_us - before.cpu_us,
            self.resident_kib.saturating_sub(before.resident_kib),
        )
    }
}

/// Plays an attack on the echo server and says what it did to it and to the honest.
fn against_echo(
    name: &str,
    least_delivery: f64,
    attack: impl FnOnce(&Echo) -> Shots,
) -> (Shots, u64) {
    let mut echo = Echo::start();
    let company = Company::join(echo.address, 1);
    // What honest traffic costs, to subtract it.
    let before = Cost::now(&echo.pid(), "");
    std::thread::sleep(IDLE);
    let idle = Cost::now(&echo.pid(), "").since(&before).0 * per_second();
    let before = Cost::now(&echo.pid(), "");
    let shots = attack(&echo);
    let (cpu, kib) = Cost::now(&echo.pid(), "").since(&before);
    let mut fare = company.leave();
    let per_packet = (cpu as f64 - idle as f64 * shots.seconds) / (shots.sent as f64).max(1.0);
    report(
        &format!("echo: {name}"),
        &[
            (
                "sent",
                format!(
                    "{} at {:.0}/s",
                    shots.sent,
                    shots.sent as f64 / shots.seconds
                ),
            ),
            (
                "answered",
                format!(
                    "{:.3} of the bytes",
                    shots.answer_bytes as f64 / (shots.bytes as f64).max(1.0)
                ),
            ),
            (
                "honest",
                format!("{:.2} % of {}", fare.delivery() * 100.0, fare.sent),
            ),
            (
                "p50",
                format!(
                    "{:.1} ms",
                    f64::from(quantile(&mut fare.round_trips, 0.5)) / 1e3
                ),
            ),
            (
                "p99",
                format!(
                    "{:.1} ms",
                    f64::from(quantile(&mut fare.round_trips, 0.99)) / 1e3
                ),
            ),
            ("cpu", format!("{per_packet:.2} us a packet")),
            ("memory", format!("+{kib} KiB")),
        ],
    );
    assert!(echo.is_running());
    assert_eq!(fare.connected, HONEST, "nobody is lost");
    assert_eq!(fare.wrong, 0);
    assert!(fare.delivery() >= least_delivery, "{}", fare.delivery());
    (shots, kib)
}

/// The same against the whole server.
fn against_hall(
    name: &str,
    least_delivery: f64,
    attack: impl FnOnce(&Hall) -> Shots,
) -> (Shots, crate::kit::hall::Fare, u64) {
    let hall = Hall::open(config());
    let before = Cost::now("self", "shard-");
    std::thread::sleep(IDLE);
    let idle = Cost::now("self", "shard-").since(&before).0 * per_second();
    let before = Cost::now("self", "shard-");
    let shots = attack(&hall);
    let (cpu, kib) = Cost::now("self", "shard-").since(&before);
    let fare = hall.close();
    let per_packet = (cpu as f64 - idle as f64 * shots.seconds) / (shots.sent as f64).max(1.0);
    report(
        &format!("server: {name}"),
        &[
            (
                "sent",
                format!(
                    "{} at {:.0}/s",
                    shots.sent,
                    shots.sent as f64 / shots.seconds
                ),
            ),
            (
                "answered",
                format!(
                    "{:.3} of the bytes",
                    shots.answer_bytes as f64 / (shots.bytes as f64).max(1.0)
                ),
            ),
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
            ("p99", format!("{:.1} ms", fare.p99_ms())),
            ("cpu", format!("{per_packet:.2} us a packet")),
            ("memory", format!("+{kib} KiB")),
            ("refused", format!("{:?}", fare.stats.total.rejections)),
            (
                "counters",
                format!(
                    "{:?}",
                    fare.stats
                        .total
                        .counters
                        .iter()
                        .filter(|(_, n)| *n > 0)
                        .map(|(c, n)| format!("{}={n}", c.name()))
                        .collect::<Vec<_>>()
                ),
            ),
        ],
    );
    fare.assert_undisturbed(least_delivery);
    (shots, fare, kib)
}

#[test]
fn forged_requests_from_everywhere_are_silence_and_cost_nobody_a_payload() {
    let _alone = alone();
    let time = Duration::from_millis(dose(500, 30_000));
    let (shots, _) = against_echo("forged requests", 0.98, |echo| {
        let genuine = request(echo.address, 1_000);
        Guns::new(echo.address, 256, 1).fire(20_000, time, forge(&genuine))
    });
    assert_eq!(shots.answers, 0, "not one answer");
    let (shots, fare, _) = against_hall("forged requests", 0.98, |hall| {
        let genuine = request(hall.address(), 1_000);
        Guns::new(hall.address(), 256, 1).fire(20_000, time, forge(&genuine))
    });
    assert_eq!(shots.answers, 0, "not one answer");
    assert!(fare.refused("netcode.token_forged") > 0);
}

#[test]
fn a_hundred_thousand_forged_requests_a_second() {
    let _alone = alone();
    let time = Duration::from_millis(dose(500, 10_000));
    // A build without optimisation is not what is promised.
    let rate = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    let (shots, _) = against_echo("forged requests, fast", 0.9, |echo| {
        let genuine = request(echo.address, 1_000);
        Guns::new(echo.address, 512, 1).fire(rate, time, forge(&genuine))
    });
    assert_eq!(shots.answers, 0);
    let (shots, ..) = against_hall("forged requests, fast", 0.9, |hall| {
        let genuine = request(hall.address(), 1_000);
        Guns::new(hall.address(), 512, 1).fire(rate, time, forge(&genuine))
    });
    assert_eq!(shots.answers, 0);
}

#[test]
fn genuine_tokens_that_lead_nowhere_are_answered_with_less_and_remembered_within_bounds() {
    let _alone = alone();
    let time = Duration::from_millis(dose(500, 10_000));
    for (rate, least) in dose(&[(20_000, 0.95)][..], &[(20_000, 0.99), (90_000, 0.9)]) {
        let (rate, least) = (*rate, *least);
        let count = dose(8_000, 60_000);
        let (shots, kib) = against_echo(&format!("genuine tokens, {rate}/s"), least, |echo| {
            let requests: Vec<_> = (0..count)
                .map(|it| request(echo.address, 1_000 + it))
                .collect();
            let mut next = 0;
            Guns::new(echo.address, 250, 1).fire(rate, time, |_, _, bytes| {
                let request = &requests[next % requests.len()];
                next += 1;
                bytes[..request.len()].copy_from_slice(request);
                request.len()
            })
        });
        assert!(shots.answers > 0 && shots.answer_bytes * 100 <= shots.bytes * 31);
        assert!(kib <= 16 * 1024, "{kib} KiB");
        let (shots, ..) = against_hall(&format!("genuine tokens, {rate}/s"), least, |hall| {
            let requests: Vec<_> = (0..count)
                .map(|it| request(hall.address(), 1_000 + it))
                .collect();
            let mut next = 0;
            Guns::new(hall.address(), 250, 1).fire(rate, time, |_, _, bytes| {
                let request = &requests[next % requests.len()];
                next += 1;
                bytes[..request.len()].copy_from_slice(request);
                request.len()
            })
        });
        assert!(shots.answer_bytes * 100 <= shots.bytes * 31);
    }
}

#[test]
fn junk_of_every_size_is_silence() {
    let _alone = alone();
    let time = Duration::from_millis(dose(500, 8_000));
    let mut size = 0_usize;
    let mut junk = move |rng: &mut rand::rngs::Xoshiro256PlusPlus, _: usize, bytes: &mut [u8]| {
        // All sizes around the limits, and every size in the end.
        size = (size + dose(13, 1)) % 65_508;
        let len = if rng.random_bool(0.5) {
            rng.random_range(0..1_300)
        } else {
            size
        };
        let head = len.min(64);
        rng.fill_bytes(&mut bytes[..head]);
        len
    };
    let (shots, _) = against_echo("junk of every size", 0.98, |echo| {
        Guns::new(echo.address, 64, 1).fire(10_000, time, &mut junk)
    });
    assert_eq!(shots.answers, 0);
    let (shots, ..) = against_hall("junk of every size", 0.98, |hall| {
        Guns::new(hall.address(), 64, 1).fire(10_000, time, &mut junk)
    });
    assert_eq!(shots.answers, 0);
}
