//! A link's behaviour at single moments; whole conversations are in `tests/channel.rs`.

use super::super::header::CLEAN_LEN;
use super::super::{ChannelConfig, MAX_MESSAGE};
use super::*;

const CHANNEL: ChannelId = ChannelId(0);

fn link() -> Link {
    let channels = vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(1)];
    Link::new(Arc::new(LinkConfig::new(channels).expect("it is good")))
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// One payload with a body of `body` bytes.
fn fill(link: &mut Link, now: Timestamp, body: usize) -> Vec<u8> {
    let mut payload = vec![0; 1200];
    let len = link.fill(now, &mut payload, 1200, |_, _| body);
    payload.truncate(len);
    payload
}

#[test]
fn an_ack_waits_for_company_and_leaves_alone_when_it_is_due() {
    let (mut one, mut other) = (link(), link());
    let payload = fill(&mut one, at(0), 10);
    other.receive(at(30), &payload).expect("honest");
    assert_eq!(other.poll_timeout(), Some(at(55)));
    assert!(!other.wants_to_send(at(54)));
    assert!(fill(&mut other, at(54), 0).is_empty());
    assert!(other.wants_to_send(at(55)));
    let ack = fill(&mut other, at(55), 0);
    assert_eq!(ack.len(), CLEAN_LEN);
    assert!(!other.wants_to_send(at(1_000)));
    one.receive(at(85), &ack).expect("honest");
    assert!(!one.wants_to_send(at(1_000)), "nothing acknowledges acks");
    assert_eq!(one.poll_timeout(), None);
}

#[test]
fn a_fill_with_nothing_to_say_uses_nothing_up() {
    let mut link = link();
    assert!(fill(&mut link, at(0), 0).is_empty());
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let mut payload = [0; 1200];
        link.fill(at(1), &mut payload, 0, |number, _| {
            numbers.push(number.0);
            1
        });
    }
    assert_eq!(numbers, [0, 1]);
    assert_eq!(link.stats().counters.datagrams_sent, 2);
}

#[test]
fn a_body_that_claims_more_than_its_room_is_cut_to_it() {
    assert_eq!(fill(&mut link(), at(0), usize::MAX).len(), 1200);
}

#[test]
fn the_last_message_goes_again_when_no_ack_comes_within_a_probe_timeout() {
    let mut link = link();
    link.send(CHANNEL, b"alone").expect("there is room");
    let first = fill(&mut link, at(0), 0);
    let mut sent = Vec::new();
    while sent.len() < 5 {
        let due = link.poll_timeout().expect("a message is in flight");
        link.handle_timeout(due);
        if link.wants_to_send(due) {
            assert_eq!(fill(&mut link, due, 0).len(), first.len());
            sent.push(due.as_micros() / 1_000);
        }
    }
    // Without a sample: 100 ms + 4 x 50 ms + 25 ms, doubled up to a second.
    assert_eq!(sent, [325, 975, 1_975, 2_975, 3_975]);
    assert_eq!(link.stats().counters.messages_resent, 5);
}

#[test]
fn a_late_ack_ends_the_resending_but_changes_no_verdict() {
    let (mut one, mut other) = (link(), link());
    one.send(CHANNEL, b"late").expect("there is room");
    let late = fill(&mut one, at(0), 10);
    for millis in 1..=4 {
        let payload = fill(&mut one, at(millis), 10);
        other.receive(at(30 + millis), &payload).expect("honest");
    }
    let ack = fill(&mut other, at(40), 10);
    one.receive(at(70), &ack).expect("honest");
    assert_eq!(
        one.poll_delivery(),
        Some(Delivered::Acked(DatagramNumber(4)))
    );
    let verdicts: Vec<_> = core::iter::from_fn(|| one.poll_delivery()).collect();
    assert!(
        verdicts.contains(&Delivered::Lost(DatagramNumber(0))),
        "{verdicts:?}"
    );
    assert!(one.wants_to_send(at(70)), "the message is to go again");
    other.receive(at(71), &late).expect("late, but honest");
    let ack = fill(&mut other, at(72), 10);
    one.receive(at(80), &ack).expect("honest");
    assert!(!one.wants_to_send(at(80)), "it arrived after all");
    assert_eq!(one.poll_delivery(), None);
    assert_eq!(one.stats().messages_queued, 0);
    assert_eq!(one.stats().counters.datagrams_lost_wrongly, 1);
}

#[test]
fn a_refused_payload_changes_nothing() {
    let (mut one, mut other) = (link(), link());
    one.send(CHANNEL, b"first").expect("there is room");
    one.send(CHANNEL, b"second").expect("there is room");
    let honest = fill(&mut one, at(0), 0);
    let mut broken = honest.clone();
    broken.pop();
    let before = format!("{:?}", other.channels);
    assert_eq!(other.receive(at(9), &broken), Err(Rejection::Truncated));
    assert_eq!(format!("{:?}", other.channels), before);
    assert_eq!(other.poll_message(), None);
    assert!(
        other.receive(at(9), &honest).is_ok(),
        "its number is still free"
    );
    assert_eq!(other.receive(at(9), &honest), Err(Rejection::Duplicate));
    assert_eq!(other.stats().counters.datagrams_rejected, 2);
}

#[test]
fn senders_are_told_what_to_do() {
    let mut link = link();
    let unknown = link.send(ChannelId(9), b"").expect_err("there is no 9");
    assert_eq!(unknown, SendError::UnknownChannel(ChannelId(9)));
    let long = link.send(CHANNEL, &[0; 1_001]).expect_err("too long");
    assert!(long.to_string().contains("split it"), "{long}");
    let full = (0..1_000).find_map(|_| link.send(CHANNEL, &[0; 1_000]).err());
    let full = full.expect("a megabyte is more than the buffer");
    assert!(full.to_string().contains("try again later"), "{full}");
    assert_eq!(link.stats().messages_queued, 63);
}

#[test]
fn the_longest_message_leaves_whatever_the_budget_and_the_header() {
    let mut link = link();
    link.send(CHANNEL, &[7; 1_000]).expect("there is room");
    let mut payload = [0; 1200];
    let len = link.fill(at(0), &mut payload, 1, |_, room| {
        assert!(room.len() >= 1200 - MAX_LEN - 5 - 1_000);
        0
    });
    assert!(len > 1_000);
    const { assert!(MAX_LEN + 5 + MAX_MESSAGE <= 1200) };
}

#[test]
fn an_ack_makes_probes_impatient_again() {
    let (mut one, mut other) = (link(), link());
    let mut now = at(0);
    let mut waits = |one: &mut Link, now: &mut Timestamp| {
        one.send(CHANNEL, b"?").expect("there is room");
        fill(one, *now, 0);
        let mut waits = Vec::new();
        while waits.len() < 2 {
            let due = one.poll_timeout().expect("a message is in flight");
            one.handle_timeout(due);
            if one.wants_to_send(due) {
                waits.push(due.since(*now));
                *now = due;
                let payload = fill(one, due, 0);
                if waits.len() == 2 {
                    other.receive(due, &payload).expect("honest");
                }
            }
        }
        // The ack is alone: a body would have `one` owe an ack itself.
        *now += Duration::from_millis(25);
        let ack = fill(&mut other, *now, 0);
        one.receive(*now, &ack).expect("honest");
        waits
    };
    let millis = |waits: [u64; 2]| waits.map(Duration::from_millis);
    assert_eq!(waits(&mut one, &mut now), millis([325, 650]));
    // The way took no time at all and the ack 25 ms; a timer is not finer than one more.
    assert_eq!(waits(&mut one, &mut now), millis([26, 52]));
    assert_eq!(one.stats().messages_queued, 0);
}
