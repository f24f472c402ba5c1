//! Two links over bad networks, in virtual time, and against peers that mean harm.
//!
//! The network is a few lines of its own, so that this room's promises do not rest on another room.
//! Every random test prints its seed; `SEED=n` runs it with another one.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers speak and fail like the test"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use tickwire::proto::channel::header::CLEAN_LEN;
use tickwire::proto::channel::{
    ChannelConfig, ChannelId, Delivered, Link, LinkConfig, Rejection, SendError,
};
use tickwire::time::Timestamp;

const ORDERED: ChannelId = ChannelId(0);
const CASUAL: ChannelId = ChannelId(7);
/// A send slot every 16 ms: about 60 Hz.
const SLOT_MS: u64 = 16;
/// Message bytes in one payload.
const BUDGET: usize = 600;

fn config() -> Arc<LinkConfig> {
    let channels = vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(7)];
    Arc::new(LinkConfig::new(channels).expect("the configuration is good"))
}

fn seed(default: u64) -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(default);
    println!("SEED={seed}");
    seed
}

/// What a network does to a payload on its way.
#[derive(Debug, Clone, Copy)]
struct Weather {
    loss: f64,
    duplicate: f64,
    /// The share of payloads that take `late` longer.
    reorder: f64,
    late: u64,
    /// The way takes between these, in milliseconds.
    delay: (u64, u64),
}

const CLEAR: Weather = Weather {
    loss: 0.0,
    duplicate: 0.0,
    reorder: 0.0,
    late: 0,
    delay: (30, 30),
};
const STORM: Weather = Weather {
    loss: 0.3,
    duplicate: 0.1,
    reorder: 0.1,
    late: 20,
    delay: (20, 40),
};

/// One end, and what its application saw.
struct End {
    link: Link,
    /// Whether the application takes its messages.
    polls: bool,
    inbox: Vec<(u64, ChannelId, Vec<u8>)>,
    verdicts: BTreeMap<u64, Delivered>,
    /// The numbers of the peer's datagrams that `receive` took, and those whose bodies it lent.
    taken: BTreeSet<u64>,
    /// Bytes of body in each slot.
    body: usize,
}

/// A payload on its way: when it arrives, a tie-breaker, at which end, its bytes.
type Flight = Reverse<(u64, u64, usize, Vec<u8>)>;

/// Two ends, the network between them and the time, in milliseconds.
struct World {
    rng: ChaCha8Rng,
    weather: Weather,
    ends: [End; 2],
    air: BinaryHeap<Flight>,
    sent: u64,
    now: u64,
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let end = || End {
            link: Link::new(config()),
            polls: true,
            inbox: Vec::new(),
            verdicts: BTreeMap::new(),
            taken: BTreeSet::new(),
            body: 50,
        };
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            weather,
            ends: [end(), end()],
            air: BinaryHeap::new(),
            sent: 0,
            now: 0,
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn launch(&mut self, to: usize, payload: &[u8]) {
        self.sent += 1;
        let copies = 1 + u64::from(self.rng.random_bool(self.weather.duplicate));
        for _ in 0..copies {
            if self.rng.random_bool(self.weather.loss) {
                continue;
            }
            let (least, most) = self.weather.delay;
            let late = self.rng.random_bool(self.weather.reorder);
            let delay =
                self.rng.random_range(least..=most) + if late { self.weather.late } else { 0 };
            let tie = self.rng.next_u64();
            self.air
                .push(Reverse((self.now + delay, tie, to, payload.to_vec())));
        }
    }

    fn fill(&mut self, from: usize, body: usize) {
        let mut payload = [0; 1200];
        let now = self.time();
        let len = (self.ends[from].link).fill(now, &mut payload, BUDGET, |number, room| {
            room[..body].fill(number.0 as u8);
            body
        });
        if len > 0 {
            self.launch(1 - from, &payload[..len]);
        }
    }

    fn land(&mut self) {
        while let Some(Reverse((at, ..))) = self.air.peek()
            && *at <= self.now
            && let Some(Reverse((_, _, to, payload))) = self.air.pop()
        {
            let now = self.time();
            let end = &mut self.ends[to];
            match end.link.receive(now, &payload) {
                Ok(received) => {
                    let number = received.number.0;
                    assert!(received.body.iter().all(|byte| *byte == number as u8));
                    assert!(end.taken.insert(number), "datagram {number} came twice");
                }
                Err(Rejection::Duplicate | Rejection::TooOld) => {}
                Err(other) => panic!("an honest payload was refused: {other}"),
            }
        }
    }

    fn poll(&mut self) {
        for end in &mut self.ends {
            while end.polls
                && let Some((channel, message)) = end.link.poll_message()
            {
                end.inbox.push((self.now, channel, message.to_vec()));
            }
            while let Some(delivered) = end.link.poll_delivery() {
                let (Delivered::Acked(number) | Delivered::Lost(number)) = delivered;
                let before = end.verdicts.insert(number.0, delivered);
                assert_eq!(before, None, "a second verdict about {number:?}");
            }
        }
    }

    /// One millisecond: `slots` says whether bodies are sent in send slots; between them only what is
    /// due leaves.
    fn step(&mut self, slots: bool) {
        self.now += 1;
        self.land();
        for from in [0, 1] {
            let slot = slots && (self.now + from as u64 * 5).is_multiple_of(SLOT_MS);
            let due = (self.ends[from].link.poll_timeout()).is_some_and(|at| at <= self.time());
            if slot {
                self.fill(from, self.ends[from].body);
            } else if due {
                self.fill(from, 0);
            }
        }
        self.poll();
    }

    /// Every ack that was believed is of a datagram that the peer took.
    fn check_acks(&self) {
        for (end, peer) in [
            (&self.ends[0], &self.ends[1]),
            (&self.ends[1], &self.ends[0]),
        ] {
            for delivered in end.verdicts.values() {
                if let Delivered::Acked(number) = delivered {
                    assert!(peer.taken.contains(&number.0), "{number:?} never arrived");
                }
            }
        }
    }
}

/// A message that says which it is and when it was sent.
fn message(id: u64, now: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..].copy_from_slice(&now.to_le_bytes());
    bytes
}

fn read(bytes: &[u8]) -> (u64, u64) {
    let number = |part: &[u8]| u64::from_le_bytes(part.try_into().expect("eight bytes"));
    (number(&bytes[..8]), number(&bytes[8..16]))
}

/// What is wrong with a sequence that should be `0..count`, each once and in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Faults {
    lost: u64,
    doubled: u64,
    out_of_order: u64,
}

fn faults(ids: impl IntoIterator<Item = u64>, count: u64) -> Faults {
    let (mut faults, mut seen, mut newest) = (Faults::default(), BTreeSet::new(), None);
    for id in ids {
        if !seen.insert(id) {
            faults.doubled += 1;
        } else if newest.is_some_and(|newest| id < newest) {
            faults.out_of_order += 1;
        }
        newest = newest.max(Some(id));
    }
    faults.lost = (0..count).filter(|id| !seen.contains(id)).count() as u64;
    faults
}

/// Sends `count` reliable messages from end 0, `per_slot` each slot, and returns when all arrived.
fn send_all(world: &mut World, count: u64, per_slot: u64) {
    let (mut next, start) = (0, world.now);
    while world.ends[1].inbox.len() < count as usize {
        if world.now % SLOT_MS == SLOT_MS - 1 {
            for _ in 0..per_slot {
                if next == count {
                    break;
                }
                match world.ends[0].link.send(ORDERED, &message(next, world.now)) {
                    Ok(()) => next += 1,
                    Err(SendError::Full { .. }) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        world.step(true);
        let patience = 600_000;
        assert!(
            world.now - start < patience,
            "{} arrived",
            world.ends[1].inbox.len()
        );
    }
}

fn arrivals(end: &End) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
    end.inbox.iter().map(|(at, _, bytes)| {
        let (id, sent) = read(bytes);
        (id, sent, *at)
    })
}

#[test]
fn a_hundred_thousand_messages_cross_a_storm_once_each_and_in_order() {
    const COUNT: u64 = 100_000;
    let mut world = World::new(seed(1), STORM);
    send_all(&mut world, COUNT, 20);
    let ids = arrivals(&world.ends[1]).map(|(id, ..)| id);
    assert_eq!(faults(ids, COUNT), Faults::default());
    let mut delays: Vec<u64> = arrivals(&world.ends[1])
        .map(|(_, sent, at)| at - sent)
        .collect();
    delays.sort_unstable();
    let (median, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    let stats = world.ends[0].link.stats();
    println!(
        "median {median} ms, p99 {p99} ms after {} ms: {stats:?}",
        world.now
    );
    // The way takes 20 to 40 ms and a late tenth 20 more: 64 ms there and back.
    assert!(median <= 3 * 64, "median {median} ms");
    world.check_acks();
    assert!((0.2..0.45).contains(&stats.loss), "{}", stats.loss);
}

#[test]
fn the_checker_sees_what_it_is_there_to_see() {
    let mut world = World::new(seed(2), STORM);
    send_all(&mut world, 500, 5);
    let ids: Vec<u64> = arrivals(&world.ends[1]).map(|(id, ..)| id).collect();
    assert_eq!(faults(ids.iter().copied(), 500), Faults::default());
    let broken = |change: fn(&mut Vec<u64>)| {
        let mut ids = ids.clone();
        change(&mut ids);
        faults(ids, 500)
    };
    assert_eq!(broken(|ids| ids.swap(70, 71)).out_of_order, 1);
    assert_eq!(broken(|ids| ids.insert(80, 79)).doubled, 1);
    assert_eq!(broken(|ids| ids.truncate(499)).lost, 1);
}

#[test]
fn every_body_gets_one_true_verdict() {
    let mut world = World::new(seed(3), STORM);
    while world.now < 60_000 {
        world.step(true);
    }
    // Then nothing is said for a while, so that the last ones are judged too.
    while world.now < 65_000 {
        world.step(false);
    }
    world.check_acks();
    for (end, peer) in [(0, 1), (1, 0)] {
        let counters = world.ends[end].link.stats().counters;
        let bodies = counters.datagrams_sent - counters.acks_sent;
        let verdicts = &world.ends[end].verdicts;
        assert_eq!(verdicts.len() as u64, bodies);
        let arrived = world.ends[peer].taken.len();
        let wrongly = (verdicts.values())
            .filter(|verdict| matches!(verdict, Delivered::Lost(number) if world.ends[peer].taken.contains(&number.0)))
            .count();
        println!("end {end}: {bodies} bodies, {arrived} arrived, {wrongly} of those given up");
        // A tenth comes 20 ms late, which is longer than loss waits: some are given up too early.
        assert!(wrongly * 8 < arrived, "{wrongly} of {arrived}");
    }
}

#[test]
fn the_round_trip_is_known_within_a_tenth() {
    for (least, most) in [(2, 4), (20, 40), (95, 105), (190, 210)] {
        for slots in [true, false] {
            let delay = (least, most);
            let weather = Weather {
                loss: 0.05,
                delay,
                ..CLEAR
            };
            let mut world = World::new(seed(4), weather);
            let (mut sum, mut count) = (0.0, 0.0);
            while world.now < 60_000 {
                if !slots && world.now.is_multiple_of(100) {
                    (world.ends[0].link.send(CASUAL, b"?")).expect("there is room");
                    world.fill(0, 0);
                }
                world.step(slots);
                if world.now > 5_000 {
                    let rtt = world.ends[0].link.stats().rtt.expect("there were acks");
                    sum += rtt.as_secs_f64() * 1e3;
                    count += 1.0;
                }
            }
            let (truth, mean) = ((least + most) as f64, sum / count);
            println!("{least}-{most} ms each way, slots {slots}: {mean:.2} ms");
            assert!(
                (mean - truth).abs() <= truth / 10.0,
                "{mean} instead of {truth}"
            );
        }
    }
}

#[test]
fn unreliable_messages_arrive_once_or_not_at_all() {
    let mut world = World::new(seed(5), STORM);
    for id in 0..5_000 {
        world.ends[0]
            .link
            .send(CASUAL, &message(id, world.now))
            .expect("there is room");
        for _ in 0..SLOT_MS {
            world.step(true);
        }
    }
    let found = faults(arrivals(&world.ends[1]).map(|(id, ..)| id), 5_000);
    println!("{found:?}");
    assert_eq!(found.doubled, 0);
    // 30% of the datagrams are lost, and a tenth is sent twice.
    assert!((1_200..1_600).contains(&found.lost), "{found:?}");
}

#[test]
fn after_one_message_there_is_one_ack_and_then_silence() {
    let mut world = World::new(seed(6), CLEAR);
    world.ends[0]
        .link
        .send(ORDERED, b"hello")
        .expect("there is room");
    world.fill(0, 0);
    assert_eq!(world.sent, 1);
    while world.now < 10_000 {
        world.step(false);
    }
    assert_eq!(world.sent, 2);
    assert_eq!(world.ends[0].link.stats().messages_queued, 0);
    assert_eq!(world.ends[1].inbox, [(30, ORDERED, b"hello".to_vec())]);
    for end in &world.ends {
        assert_eq!(end.link.poll_timeout(), None, "nothing is left to wait for");
        assert!(!end.link.wants_to_send(world.time()));
    }
    // It left 25 ms after the message came.
    assert_eq!(
        world.ends[0].link.stats().rtt,
        Some(Duration::from_millis(60))
    );
}

#[test]
fn the_last_message_arrives_though_nothing_follows_it() {
    let mut worst = 0;
    for seed in 0..200 {
        let weather = Weather { loss: 0.3, ..CLEAR };
        let mut world = World::new(seed, weather);
        world.ends[0]
            .link
            .send(ORDERED, b"alone")
            .expect("there is room");
        world.fill(0, 0);
        while world.ends[1].inbox.is_empty() || world.ends[0].link.stats().messages_queued > 0 {
            world.step(false);
            assert!(world.now < 60_000, "seed {seed}");
        }
        worst = worst.max(world.ends[1].inbox[0].0);
        assert_eq!(world.ends[1].inbox.len(), 1, "seed {seed}");
    }
    println!("the slowest took {worst} ms");
}

#[test]
fn nothing_is_confused_after_forty_thousand_datagrams_into_the_void() {
    let mut world = World::new(seed(7), CLEAR);
    send_all(&mut world, 50, 5);
    world.ends[1].inbox.clear();
    let mut payload = [0; 1200];
    // End 0 hears end 1 all the time, but is not heard.
    for _ in 0..40_000 {
        world.now += SLOT_MS;
        let now = world.time();
        let len = world.ends[0].link.fill(now, &mut payload, 0, |_, _| 1);
        assert!(len > 0);
        let len = world.ends[1].link.fill(now, &mut payload, 0, |_, _| 1);
        let received = world.ends[0].link.receive(now, &payload[..len]);
        let number = received.expect("an honest payload").number.0;
        world.ends[0].taken.insert(number);
        world.poll();
    }
    world.air.clear();
    let long = world.ends[0]
        .link
        .fill(world.time(), &mut payload, 0, |_, _| 1);
    assert!(long > CLEAN_LEN, "the number travels whole now");
    send_all(&mut world, 50, 5);
    let ids = arrivals(&world.ends[1]).map(|(id, ..)| id);
    assert_eq!(faults(ids, 50), Faults::default());
    world.check_acks();
    let short = world.ends[0].link.fill(
        world.time() + Duration::from_secs(1),
        &mut payload,
        0,
        |_, _| 1,
    );
    assert_eq!(short, CLEAN_LEN + 1, "and short again");
}

#[test]
fn an_application_that_does_not_poll_keeps_its_bodies_and_loses_no_reliable_message() {
    let mut world = World::new(seed(8), CLEAR);
    world.ends[1].polls = false;
    let (mut next, mut casual) = (0, 0);
    while world.now < 30_000 {
        if world.now.is_multiple_of(SLOT_MS) {
            while (world.ends[0].link.send(ORDERED, &message(next, 0))).is_ok() {
                next += 1;
            }
            let sent = world.ends[0].link.send(CASUAL, &message(casual, 0));
            casual += u64::from(sent.is_ok());
        }
        world.step(true);
    }
    let stats = world.ends[1].link.stats();
    println!("{next} queued, at the receiver {stats:?}");
    assert!(stats.counters.messages_refused > 0);
    assert!(stats.counters.messages_dropped > 0);
    assert!(world.ends[1].link.memory() <= 256 * 1024);
    // Datagrams with refused messages are rare, so that most bodies are acknowledged.
    let acked = world.ends[0].link.stats().counters.datagrams_acked;
    assert!(acked > 1_500, "{acked} of 1875");
    assert!(world.ends[1].taken.len() > 1_850, "bodies are handed on");
    world.ends[1].polls = true;
    while world.ends[0].link.stats().messages_queued > 0 {
        world.step(true);
        assert!(world.now < 60_000);
    }
    let of = |channel| {
        (world.ends[1].inbox.iter())
            .filter(move |(_, on, _)| *on == channel)
            .map(|(.., bytes)| read(bytes).0)
    };
    assert_eq!(faults(of(ORDERED), next), Faults::default());
    assert_eq!(faults(of(CASUAL), 0).doubled, 0);
}

#[test]
fn a_peer_that_acknowledges_nothing_costs_a_bounded_amount() {
    let mut link = Link::new(config());
    let mut payload = [0; 1200];
    let mut refused = 0;
    for slot in 0..20_000 {
        let now = Timestamp::from_millis(slot * SLOT_MS);
        for _ in 0..20 {
            refused += u64::from(link.send(ORDERED, &[7; 20]).is_err());
        }
        link.fill(now, &mut payload, BUDGET, |_, _| 10);
        while link.poll_delivery().is_some() {}
    }
    println!("{} bytes", link.memory());
    assert!(refused > 0);
    assert!(link.memory() <= 256 * 1024);
}

#[test]
fn an_idle_link_is_small() {
    let fresh = Link::new(config()).memory();
    let mut world = World::new(seed(9), CLEAR);
    for _ in 0..20_000 {
        world.step(true);
    }
    let worn = world.ends[0].link.memory();
    println!("{fresh} bytes fresh, {worn} after a clean minute");
    assert!(worn <= 2 * 1024, "{worn}");
}

#[test]
fn a_warm_link_asks_for_no_more_memory() {
    // Without loss, so that no rare row of losses asks for a longer queue than any before.
    let weather = Weather {
        duplicate: 0.2,
        delay: (20, 40),
        ..CLEAR
    };
    let mut world = World::new(seed(10), weather);
    send_all(&mut world, 20_000, 10);
    world.ends[1].inbox.clear();
    let memory = |world: &World| world.ends.each_ref().map(|end| end.link.memory());
    let warm = memory(&world);
    send_all(&mut world, 5_000, 10);
    assert_eq!(memory(&world), warm);
}

#[test]
fn random_bytes_never_do_harm() {
    let mut rng = ChaCha8Rng::seed_from_u64(seed(11));
    let mut link = Link::new(config());
    let mut payload = [0; 1200];
    let (mut received, mut refused) = (0, BTreeMap::new());
    for round in 0..300_000_u64 {
        let now = Timestamp::from_micros(round * 50);
        // A lucky long number makes all others old: then the next peer's turn comes.
        if round % 50 == 0 {
            link = Link::new(config());
        }
        let len = rng.random_range(0..=if round % 8 == 0 { 1200 } else { 40 });
        rng.fill_bytes(&mut payload[..len]);
        // Half of them pass the first byte.
        if len > 0 && rng.random_bool(0.5) {
            payload[0] &= 0x1f;
        }
        match link.receive(now, &payload[..len]) {
            Ok(_) => received += 1,
            Err(rejection) => *refused.entry(rejection.name()).or_insert(0) += 1,
        }
        if round % 4 == 0 {
            link.fill(now, &mut payload, BUDGET, |_, _| 10);
        }
        assert!(link.memory() <= 256 * 1024);
    }
    println!("{received} received, {refused:?}");
    assert!(received > 1_000);
    assert!(
        refused.len() >= 8,
        "the bytes reach every check: {refused:?}"
    );
}

#[test]
fn real_payloads_with_flipped_bits_never_do_harm() {
    let mut rng = ChaCha8Rng::seed_from_u64(seed(12));
    let mut payload = [0; 1200];
    let (mut received, mut refused) = (0, BTreeMap::new());
    for pair in 0..500_u64 {
        let mut ends = [Link::new(config()), Link::new(config())];
        for round in 0..200_u64 {
            let now = Timestamp::from_millis(pair * 200 + round);
            let (from, to) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
            let channel = if round % 3 == 0 { CASUAL } else { ORDERED };
            let text = [round as u8; 30];
            let _ = ends[from].send(channel, &text[..rng.random_range(0..text.len())]);
            let len = ends[from].fill(now, &mut payload, BUDGET, |_, _| 20);
            let len = mutate(&mut rng, &mut payload[..len]);
            match ends[to].receive(now, &payload[..len]) {
                Ok(_) => received += 1,
                Err(rejection) => *refused.entry(rejection.name()).or_insert(0) += 1,
            }
            while pair % 5 != 0 && ends[to].poll_message().is_some() {}
            while pair % 7 != 0 && ends[to].poll_delivery().is_some() {}
            assert!(ends[to].memory() <= 256 * 1024, "{}", ends[to].memory());
            let rtt = ends[to].stats().rtt.unwrap_or_default();
            assert!(rtt <= Duration::from_millis(200), "{rtt:?}");
        }
    }
    println!("{received} received, {refused:?}");
    assert!(received > 10_000);
    assert!(
        refused.len() >= 10,
        "the bytes reach every check: {refused:?}"
    );
}

/// Every second payload stays as it is; in the others up to three bits flip, mostly where the header and
/// the heads of messages are, and a tenth is cut off. Returns the length.
fn mutate(rng: &mut ChaCha8Rng, payload: &mut [u8]) -> usize {
    if payload.is_empty() || rng.random_bool(0.5) {
        return payload.len();
    }
    for _ in 0..rng.random_range(1..4) {
        let front = if rng.random_bool(0.7) { 16 } else { 1200 };
        let at = rng.random_range(0..payload.len().min(front));
        payload[at] ^= 1 << rng.random_range(0..8);
    }
    if rng.random_bool(0.1) {
        return rng.random_range(0..payload.len());
    }
    payload.len()
}

#[test]
fn a_storm_of_impossible_acks_releases_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(seed(13));
    let mut link = Link::new(config());
    let mut payload = [0; 1200];
    for _ in 0..100 {
        link.send(ORDERED, b"precious").expect("there is room");
    }
    for slot in 0..10 {
        // Ten messages of 8 bytes and 4 more each.
        link.fill(Timestamp::from_millis(slot), &mut payload, 120, |_, _| 10);
    }
    let queued = link.stats().messages_queued;
    for number in 0..100_000_u64 {
        // Acks of 10 and beyond, short and long, with any mask and delay.
        let mut hostile = vec![0b0000_0010, number as u8, (number >> 8) as u8];
        if rng.random_bool(0.5) {
            hostile.extend(rng.random_range(10..=u16::MAX).to_le_bytes());
        } else {
            hostile[0] |= 0b1000;
            hostile.extend([0xff; 9]);
            hostile.push(1);
        }
        hostile.extend([rng.random::<u8>() & 0x7f, rng.random()]);
        let refused = link.receive(Timestamp::from_millis(50), &hostile);
        assert!(
            matches!(
                refused,
                Err(Rejection::AckOfNeverSent | Rejection::TooFarAhead)
            ),
            "{refused:?}"
        );
    }
    let stats = link.stats();
    assert_eq!((stats.messages_queued, stats.rtt), (queued, None));
    assert_eq!(link.poll_delivery(), None);
    // None of them used up a number: an honest ack of everything still works.
    let honest = [0b0000_0010, 0, 0, 9, 0, 0, 0];
    assert!(link.receive(Timestamp::from_millis(50), &honest).is_ok());
    assert_eq!(
        link.stats().messages_queued,
        0,
        "all hundred went out and arrived"
    );
    // And once more under a new number: stale, and nothing happens.
    let stale = [0b0000_0010, 1, 0, 9, 0, 0, 0];
    assert!(link.receive(Timestamp::from_millis(50), &stale).is_ok());
    assert_eq!(link.stats().rtt, Some(Duration::from_millis(41)));
}
