//! Attacks of those who are in: an authenticated client can say anything, as often as it likes, or nothing at all.

use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use tickwire::proto::channel::ChannelId;
use tickwire::proto::event::DisconnectReason;
use tickwire::server::admission::Allowance;
use tickwire::server::metrics::Counter;

use crate::kit::eyes::{cpu_us, report, resident_kib};
use crate::kit::hall::{Hall, config};
use crate::kit::insider::{INPUTS, Insider, RESYNC};
use crate::kit::{HONEST, alone, dose, until};

/// What all clients share grows once to its full size, whoever makes it: the chunks of eight cohorts in each
/// frame that is kept for use again. 7 MiB were seen.
const SHARED_KIB: u64 = 12 * 1024;

/// Runs `shoot` so often a second; it gets the number of the shot.
fn paced(rate: u32, time: Duration, mut shoot: impl FnMut(u64)) -> u64 {
    let (started, mut fired) = (Instant::now(), 0);
    while started.elapsed() < time {
        let due = (started.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if fired >= due {
            std::thread::sleep(Duration::from_micros(500));
        }
        while fired < due {
            shoot(fired);
            fired += 1;
        }
    }
    fired
}

/// A payload as an honest client would send it: a message or two and a block of inputs.
fn lively(insider: &mut Insider, tick: u32, rng: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let message: [u8; 40] = rng.random();
    let _ = insider.link.send(
        ChannelId(tick as u8 % 2),
        &message[..rng.random_range(0..40)],
    );
    let mut body = vec![INPUTS];
    body.extend_from_slice(&tick.to_le_bytes());
    body.extend_from_slice(&[4, 2, 1, 2, 255, 255, 1, 9]);
    insider.payload(&body)
}

/// Damages a payload: bits, bytes, its length, or its first bytes, where the numbers and acks are.
fn damage(payload: &mut Vec<u8>, rng: &mut Xoshiro256PlusPlus) {
    for _ in 0..rng.random_range(1..4) {
        let near = rng
            .random_range(0..payload.len().max(1))
            .min(payload.len().saturating_sub(1));
        match rng.random_range(0..5) {
            0 => payload[near] ^= 1 << rng.random_range(0..8),
            1 => payload[near] = 0xFF,
            2 => payload.truncate(near.max(1)),
            3 => payload.resize(rng.random_range(1..=1_200), 0xFF),
            _ => {
                let head = payload.len().min(12);
                rng.fill_bytes(&mut payload[..head]);
            }
        }
    }
}

#[test]
fn garbage_inside_the_encryption_is_refused_by_name_and_nobody_else_notices() {
    let _alone = alone();
    let mut config = config();
    // Nothing is limited: what a payload costs is what is asked here.
    config.admission.player_datagrams = Allowance::new(1_000_000, 1_000_000);
    config.admission.player_bytes = Allowance::new(1_000_000_000, 1_000_000_000);
    let hall = Hall::open(config);
    let address = hall.address();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(13);
    let mut next = 1_000;
    let mut crew: Vec<_> = (0..4).map(|it| Insider::join(address, 900 + it)).collect();
    let (cpu, kib) = (cpu_us("self", "shard-"), resident_kib("self"));
    std::thread::sleep(Duration::from_secs(1));
    let idle = cpu_us("self", "shard-") - cpu;
    let cpu = cpu_us("self", "shard-");
    let time = Duration::from_secs(dose(1, 30));
    let mut garbage = vec![0; 1_200];
    let fired = paced(20_000, time, |number| {
        let insider = &mut crew[number as usize % 4];
        if number % 64 < 4 {
            insider.turn();
            if insider.is_over() {
                next += 1;
                *insider = Insider::join(address, next);
            }
        }
        if number % 8 < 4 {
            let len = rng.random_range(1..=1_200);
            rng.fill_bytes(&mut garbage[..len]);
            insider.send(&garbage[..len]);
        } else {
            let mut payload = lively(insider, number as u32, &mut rng);
            damage(&mut payload, &mut rng);
            insider.send(&payload);
        }
    });
    let cost = (cpu_us("self", "shard-") - cpu) as f64 - idle as f64 * time.as_secs_f64();
    let grown = resident_kib("self").saturating_sub(kib);
    drop(crew);
    let fare = hall.close();
    report(
        "server: authenticated garbage",
        &[
            ("sent", format!("{fired} at 20000/s by 4 clients")),
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
            ("p99", format!("{:.1} ms", fare.p99_ms())),
            ("cpu", format!("{:.2} us a packet", cost / fired as f64)),
            ("memory", format!("+{grown} KiB")),
            ("refused", format!("{:?}", fare.stats.total.rejections)),
        ],
    );
    fare.assert_undisturbed(0.9);
    let refused: u64 = fare.stats.total.rejections.values().sum();
    assert!(refused > fired / 4, "{refused} of {fired}");
    assert!(grown <= 16 * 1024, "{grown} KiB");
}

#[test]
fn a_hundred_times_the_allowance_is_limited_told_and_ended() {
    let _alone = alone();
    let mut config = config();
    config.admission.patience_seconds = 1;
    let hall = Hall::open(config);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(15);
    let mut flooder = Insider::join(hall.address(), 900);
    let mut sent = 0;
    let started = Instant::now();
    while !flooder.is_over() && started.elapsed() < Duration::from_secs(10) {
        sent += paced(24_000, Duration::from_millis(20), |number| {
            let payload = lively(&mut flooder, number as u32, &mut rng);
            flooder.send(&payload);
        });
        flooder.turn();
    }
    let goodbye = flooder.goodbye.and_then(DisconnectReason::from_code);
    let fare = hall.close();
    report(
        "server: 100 times the allowance",
        &[
            ("sent", sent.to_string()),
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
            ("p99", format!("{:.1} ms", fare.p99_ms())),
            (
                "dropped unread",
                fare.stats.total.get(Counter::PlayersLimited).to_string(),
            ),
        ],
    );
    assert_eq!(goodbye, Some(DisconnectReason::RateLimited));
    assert!(fare.stats.total.get(Counter::PlayersWarned) >= 1);
    assert_eq!(fare.stats.total.get(Counter::PlayersExpelled), 1);
    fare.assert_undisturbed(0.9);
}

#[test]
fn crammed_payloads_within_the_allowance_cost_nobody_an_input() {
    let _alone = alone();
    let hall = Hall::open(config());
    let address = hall.address();
    let mut crew: Vec<_> = (0..8).map(|it| Insider::join(address, 900 + it)).collect();
    let mut tick = 0;
    let inputs = |tick: &mut u32| {
        let mut body = Vec::new();
        while body.len() < 380 {
            *tick += 8;
            body.push(INPUTS);
            body.extend_from_slice(&tick.to_le_bytes());
            body.extend_from_slice(&[8, 0, 255, 255, 255, 255, 255, 255, 255]);
        }
        body
    };
    let fired = paced(8 * 230, Duration::from_secs(dose(1, 10)), |number| {
        let insider = &mut crew[number as usize % 8];
        insider.turn();
        let body = match number / 8 % 3 {
            0 => inputs(&mut tick),
            1 => vec![RESYNC; 380],
            _ => {
                // As many empty messages as fit.
                for _ in 0..120 {
                    let _ = insider.link.send(ChannelId(1), &[]);
                }
                vec![RESYNC]
            }
        };
        insider.say(&body);
    });
    let gone = crew.iter().filter(|insider| insider.is_over()).count();
    drop(crew);
    let fare = hall.close();
    report(
        "server: crammed payloads",
        &[
            ("sent", fired.to_string()),
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
            ("p99", format!("{:.1} ms", fare.p99_ms())),
            ("tick p99", format!("{} us", fare.stats.tick.p99_us)),
            ("offenders gone", gone.to_string()),
            ("refused", format!("{:?}", fare.stats.total.rejections)),
        ],
    );
    fare.assert_undisturbed(0.9);
    assert_eq!(fare.stats.total.get(Counter::InputsDropped), 0);
    assert!(fare.refused("session.repeated_block") > 0);
}

#[test]
fn who_never_listens_and_who_is_dead_hold_neither_memory_nor_a_place() {
    let _alone = alone();
    let mut config = config();
    config.unresponsive_after = Duration::from_secs(2);
    let hall = Hall::open_unchecked(config);
    let address = hall.address();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(16);
    let server = hall.server.control();
    // Honest memory first: the server's history and the bots' replicas fill in the first seconds.
    until("everything honest has its memory", || {
        server.stats().tick.tick >= 250
    });
    // Eight read nothing, their socket's buffers fill; four are dead, and a stranger speaks in their name.
    let mut offend = |first: u64| {
        let before = resident_kib("self");
        let join = |it| Insider::join(address, it);
        let mut deaf: Vec<_> = (first..first + 8).map(join).collect();
        let mut dead: Vec<_> = (first + 50..first + 54).map(join).collect();
        let old: Vec<Vec<u8>> = dead.iter_mut().map(|it| it.seal(&[1, 2, 3])).collect();
        until("all are in", || {
            server.stats().seated == HONEST as usize + 12
        });
        let mut junk = [0; 400];
        until("their places are free", || {
            for insider in &mut deaf {
                // An unacknowledging payload: it lives, but it does not listen.
                insider.send(&[1, 0, 0, INPUTS]);
            }
            for (insider, old) in dead.iter().zip(&old) {
                rng.fill_bytes(&mut junk);
                let _ = insider.socket.send_to(&junk, address);
                let _ = insider.socket.send_to(old, address);
            }
            server.stats().seated == HONEST as usize
        });
        resident_kib("self").saturating_sub(before)
    };
    // The first make everybody's shared memory grow, once: frames get chunks for the cohorts they open.
    let once = offend(900);
    let again = offend(1_000);
    let fare = hall.close();
    report(
        "server: deaf and dead clients",
        &[
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
            ("memory", format!("+{once} KiB, then +{again} KiB")),
            ("refused", format!("{:?}", fare.stats.total.rejections)),
        ],
    );
    fare.assert_undisturbed(0.9);
    assert!(once <= SHARED_KIB, "{once} KiB");
    // Whoever comes after them finds it: a place, and no more.
    assert!(again <= 12 * 256, "{again} KiB");
}

#[test]
fn a_storm_of_replays_on_a_real_wire_delivers_nothing_twice() {
    let _alone = alone();
    let mut config = config();
    config.admission.player_datagrams = Allowance::new(100_000, 100_000);
    config.admission.player_bytes = Allowance::new(100_000_000, 100_000_000);
    let hall = Hall::open(config);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
    let mut insider = Insider::join(hall.address(), 900);
    let mut sent = 0;
    for round in 0..dose(100, 2_000_u32) {
        insider.turn();
        let mut storm = Vec::new();
        for number in 0..50 {
            let payload = lively(&mut insider, round * 50 + number, &mut rng);
            let sealed = insider.seal(&payload);
            storm.extend([sealed.clone(), sealed.clone(), sealed]);
        }
        storm.shuffle(&mut rng);
        for datagram in &storm {
            sent += 1;
            let _ = insider.socket.send_to(datagram, hall.address());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_over = insider.is_over();
    let fare = hall.close();
    report(
        "server: replay storm",
        &[
            ("sent", sent.to_string()),
            ("refused", format!("{:?}", fare.stats.total.rejections)),
            (
                "honest",
                format!(
                    "{:.2} % of {} snapshots",
                    fare.delivery() * 100.0,
                    fare.tally.expected
                ),
            ),
        ],
    );
    assert!(!is_over);
    assert_eq!(fare.refused("netcode.replayed"), sent / 3 * 2);
    fare.assert_undisturbed(0.9);
}

#[test]
fn the_end_comes_in_time_and_is_told_under_fire() {
    let _alone = alone();
    let hall = Hall::open(config());
    let (address, control) = (hall.address(), hall.server.control());
    let gunner = std::thread::spawn(move || {
        let genuine = crate::kit::guns::request(address, 5_000);
        let mut guns = crate::kit::guns::Guns::new(address, 128, 27);
        let forged = crate::kit::guns::forge(&genuine);
        guns.fire(20_000, Duration::from_secs(2), forged)
    });
    // Somebody connects again and again and says nothing.
    let mut silent: Vec<_> = (0..8)
        .map(|it| Insider::connect(address, 900 + it))
        .collect();
    control.stop("goodbye");
    silent.iter_mut().for_each(Insider::turn);
    until("every place is free", || control.stats().seated == 0);
    gunner.join().expect("the gunner does not panic");
    let fare = hall.close();
    let told = fare
        .tally
        .disconnects
        .get(DisconnectReason::ServerShutdown.name());
    assert_eq!(
        told,
        Some(&u64::from(HONEST)),
        "{:?}",
        fare.tally.disconnects
    );
}
