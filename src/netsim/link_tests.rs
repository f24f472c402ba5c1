//! What a link promises, measured over many datagrams: every bound stands beside the figure asked for.

use super::*;
use crate::netsim::{Bottleneck, Chance, Loss, Outage, Profile, Reorder};
use core::time::Duration;
use std::collections::BTreeSet;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Sends `count` numbered datagrams, one each `gap`, and gives (number, sent, arrived, bytes) in order of arrival.
fn run(link: &mut Link, count: u32, gap: Duration) -> Vec<(u32, Timestamp, Timestamp, Vec<u8>)> {
    let sent_at = |number: u32| Timestamp::ZERO + gap * number;
    let mut arrived = Vec::new();
    let mut collect = |link: &mut Link, until: Timestamp| {
        while let Some(at) = link.next_arrival().filter(|at| *at <= until) {
            let bytes = link.receive(at).expect("it is due").to_vec();
            // The number stands twice: damage reaches one byte.
            let half = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().expect("four"));
            let number = if half(0) < count { half(0) } else { half(4) };
            arrived.push((number, sent_at(number), at, bytes));
        }
    };
    for number in 0..count {
        collect(link, sent_at(number));
        link.send(sent_at(number), &datagram(number));
    }
    collect(link, Timestamp::from_micros(u64::MAX));
    arrived
}

fn datagram(number: u32) -> [u8; 100] {
    let mut bytes = [0; 100];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn loss(loss: Loss) -> LinkConditions {
    LinkConditions {
        loss,
        ..LinkConditions::PERFECT
    }
}

#[test]
fn a_perfect_link_gives_everything_at_once_and_in_order() {
    let mut link = Link::new(LinkConditions::PERFECT, 1);
    let arrived = run(&mut link, 1_000, MS(1));
    assert!(arrived.iter().map(|a| a.0).eq(0..1_000));
    assert!(arrived.iter().all(|(_, sent, at, _)| sent == at));
}

#[test]
fn even_loss_is_the_loss_asked_for() {
    for percent in [1, 5, 30, 70] {
        let mut link = Link::new(loss(Loss::Even(Chance::percent(percent))), 11);
        let arrived = run(&mut link, 100_000, MS(1)).len() as f64;
        let lost = 100.0 * (1.0 - arrived / 100_000.0);
        // Five standard deviations of 100,000 draws are at most 0.8 points.
        assert!(
            (lost - f64::from(percent)).abs() < 0.8,
            "asked for {percent}%, lost {lost}%"
        );
        assert_eq!(link.stats().lost + arrived as u64, 100_000);
    }
}

#[test]
fn bursty_loss_has_the_share_and_the_length_asked_for() {
    let asked = Loss::in_bursts(Chance::percent(10), 4.0);
    assert!((asked.mean() - 0.1).abs() < 1e-6);
    let mut link = Link::new(loss(asked), 12);
    let here: BTreeSet<u32> = run(&mut link, 200_000, MS(1)).iter().map(|a| a.0).collect();
    let lost = 200_000 - here.len();
    let bursts = (1..200_000)
        .filter(|n| !here.contains(n) && here.contains(&(n - 1)))
        .count();
    let share = lost as f64 / 200_000.0;
    let length = lost as f64 / bursts as f64;
    assert!((0.09..0.11).contains(&share), "{share}");
    assert!((3.8..4.2).contains(&length), "{length}");
}

#[test]
fn jitter_stays_in_its_range_and_fills_it() {
    let conditions = LinkConditions {
        delay: MS(20),
        jitter: MS(20),
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(conditions, 13);
    let delays: Vec<u128> = run(&mut link, 20_000, MS(1))
        .iter()
        .map(|(_, sent, at, _)| at.since(*sent).as_micros())
        .collect();
    let (least, most) = (delays.iter().min().copied(), delays.iter().max().copied());
    assert!(
        (20_000..20_100).contains(&least.expect("some")),
        "{least:?}"
    );
    assert!((39_900..=40_000).contains(&most.expect("some")), "{most:?}");
    let mean = delays.iter().sum::<u128>() / delays.len() as u128;
    assert!((29_700..30_300).contains(&mean), "{mean}");
}

#[test]
fn nobody_overtakes_unless_it_was_asked_for() {
    let steady = LinkConditions {
        delay: MS(50),
        loss: Loss::Even(Chance::percent(10)),
        bottleneck: Some(Bottleneck::kilobits(2_000, MS(100))),
        ..LinkConditions::PERFECT
    };
    let numbers = |conditions| -> Vec<u32> {
        run(&mut Link::new(conditions, 14), 10_000, MS(1))
            .iter()
            .map(|a| a.0)
            .collect()
    };
    assert!(numbers(steady).is_sorted());
    let reorder = Reorder {
        chance: Chance::percent(10),
        by: MS(5),
    };
    let overtaken = numbers(LinkConditions { reorder, ..steady });
    let late = overtaken
        .windows(2)
        .filter(|pair| pair[1] < pair[0])
        .count();
    assert!(
        (700..1_000).contains(&late),
        "{late} of 9,000 arrived after a later one"
    );
}

#[test]
fn a_duplicate_is_the_same_datagram_once_more() {
    let conditions = LinkConditions {
        duplicate: Chance::percent(10),
        jitter: MS(5),
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(conditions, 15);
    let arrived = run(&mut link, 10_000, MS(1));
    let extra = arrived.len() - 10_000;
    assert!((850..1_150).contains(&extra), "{extra}");
    assert_eq!(link.stats().duplicated, extra as u64);
    assert!(
        arrived
            .iter()
            .all(|(number, _, _, bytes)| bytes[..] == datagram(*number))
    );
}

#[test]
fn damage_flips_at_least_one_bit_and_never_the_length() {
    let conditions = LinkConditions {
        corrupt: Chance::ALWAYS,
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(conditions, 16);
    for len in [1, 2, 100, 1_225] {
        for _ in 0..1_000 {
            link.send(Timestamp::ZERO, &vec![0; len]);
            let bytes = link.receive(Timestamp::ZERO).expect("damaged, not lost");
            let flipped: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert!(
                bytes.len() == len && (1..=8).contains(&flipped),
                "{flipped}"
            );
        }
    }
    // There is nothing to damage in nothing.
    link.send(Timestamp::ZERO, &[]);
    assert_eq!(link.receive(Timestamp::ZERO), Some(&mut [][..]));
    assert_eq!(link.stats().corrupted, 4_000);
}

#[test]
fn damage_comes_as_often_as_asked_for() {
    let conditions = LinkConditions {
        corrupt: Chance::percent(2),
        ..LinkConditions::PERFECT
    };
    let arrived = run(&mut Link::new(conditions, 17), 50_000, MS(1));
    let damaged = arrived
        .iter()
        .filter(|(n, _, _, bytes)| bytes[..] != datagram(*n))
        .count();
    assert!((850..1_150).contains(&damaged), "{damaged}");
}

#[test]
fn a_bottleneck_passes_its_width_and_no_more() {
    // 128 kbit/s are 16,000 bytes a second: 125 datagrams of 100 and 28. Offered are 1,000.
    let bottleneck = Bottleneck::kilobits(128, MS(200));
    let conditions = LinkConditions {
        bottleneck: Some(bottleneck),
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(conditions, 18);
    let arrived = run(&mut link, 10_000, MS(1));
    let in_ten_seconds = arrived
        .iter()
        .filter(|a| a.2 <= Timestamp::from_millis(10_000))
        .count();
    assert!(
        (1_249..=1_251).contains(&in_ten_seconds),
        "{in_ten_seconds}"
    );
    let waited = arrived.iter().map(|a| a.2.since(a.1)).max().expect("some");
    // The queue, and its own 8 ms on the line.
    assert!(waited > MS(195) && waited <= MS(208), "{waited:?}");
    assert_eq!(link.stats().overflowed as usize + arrived.len(), 10_000);
}

#[test]
fn a_bottleneck_that_is_not_full_costs_only_the_time_on_the_line() {
    let bottleneck = Bottleneck {
        bytes_per_second: 128_000,
        queue: Duration::ZERO,
    };
    let conditions = LinkConditions {
        bottleneck: Some(bottleneck),
        ..LinkConditions::PERFECT
    };
    let arrived = run(&mut Link::new(conditions, 19), 1_000, MS(2));
    assert_eq!(arrived.len(), 1_000);
    assert!(arrived.iter().all(|a| a.2.since(a.1) == MS(1)));
}

#[test]
fn a_bottleneck_of_width_zero_is_a_wall() {
    let bottleneck = Bottleneck {
        bytes_per_second: 0,
        queue: MS(100),
    };
    let conditions = LinkConditions {
        bottleneck: Some(bottleneck),
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(conditions, 20);
    assert!(run(&mut link, 100, MS(1)).is_empty());
    assert_eq!(link.stats().overflowed, 100);
}

#[test]
fn an_outage_silences_one_second_in_five() {
    let outage = Outage {
        every: MS(5_000),
        lasts: MS(1_000),
    };
    let conditions = LinkConditions {
        outage: Some(outage),
        ..LinkConditions::PERFECT
    };
    let here: Vec<u32> = run(&mut Link::new(conditions, 21), 10_000, MS(1))
        .iter()
        .map(|a| a.0)
        .collect();
    assert!(here.iter().copied().eq((0..4_000).chain(5_000..9_000)));
}

#[test]
fn the_same_seed_is_the_same_link_and_another_seed_another() {
    for profile in Profile::ALL {
        let trace = |seed| run(&mut Link::new(profile.conditions().up, seed), 2_000, MS(3));
        assert_eq!(trace(5), trace(5), "{profile:?}");
        if *profile != Profile::Perfect {
            assert_ne!(trace(5), trace(6), "{profile:?}");
        }
    }
}

#[test]
fn a_link_nobody_empties_stops_growing() {
    let mut link = Link::new(LinkConditions::PERFECT, 22);
    for _ in 0..Link::<()>::CAPACITY + 10 {
        link.send(Timestamp::ZERO, b"x");
    }
    assert_eq!(link.in_flight(), Link::<()>::CAPACITY);
    assert_eq!(link.stats().overflowed, 10);
}

#[test]
fn when_the_weather_changes_what_is_under_way_arrives_as_it_was_sent() {
    let slow = LinkConditions {
        delay: MS(100),
        ..LinkConditions::PERFECT
    };
    let mut link = Link::new(slow, 23);
    link.send(Timestamp::ZERO, b"slow");
    link.set_conditions(LinkConditions::PERFECT);
    link.send(Timestamp::from_millis(1), b"fast");
    assert_eq!(
        link.receive(Timestamp::from_millis(1)),
        Some(&mut b"fast".to_owned()[..])
    );
    assert_eq!(link.next_arrival(), Some(Timestamp::from_millis(100)));
}
