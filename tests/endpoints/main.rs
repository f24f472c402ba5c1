//! The two endpoints in conversation, in virtual time: who gets in, what travels, and how it ends.
#![expect(
    clippy::expect_used,
    reason = "a kit that cannot be set up fails its test"
)]

mod kit;

use std::time::Duration;

use kit::{Kit, Setup};
use tickwire::id::{ClientId, EntityId};
use tickwire::proto::channel::ChannelId;
use tickwire::proto::event::{ClientEvent, DisconnectReason, SendError, ServerEvent, Warning};
use tickwire::proto::input::InputBytes;
use tickwire::proto::netcode::{ClientState, MAX_DATAGRAM};
use tickwire::time::Tick;

#[test]
fn a_client_is_welcomed_and_sees_the_world() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(7);
    kit.run(Duration::from_millis(500));

    let welcome = *kit
        .client(ada)
        .welcome()
        .expect("the server said how it runs");
    assert_eq!(welcome.tick_rate.hz(), 60);
    assert_eq!(welcome.snapshot_every, 2);
    assert!(matches!(
        kit.server_events.first(),
        Some(ServerEvent::Connected {
            client: ClientId(7),
            ..
        })
    ));
    let newest = kit.client(ada).replica().newest().expect("snapshots came");
    assert!(newest.is_complete());
    assert!(kit.tick().since(newest.tick()) <= 4, "and they are fresh");
    let ball = newest
        .get(EntityId {
            slot: 3,
            generation: 0,
        })
        .expect("the ball is in sight");
    assert_eq!(ball.values, kit.ball_at(newest.tick()));
    let whole = kit.client(ada).snapshot_counts();
    let span = whole
        .newest
        .expect("some")
        .since(whole.first.expect("some"));
    assert_eq!(whole.whole, u64::from(span / 2 + 1), "not one was lost");
    assert_eq!(kit.rejections(), "", "a clean network refuses nothing");
}

/// The ticks of the snapshots that a client heard of.
fn ticks_heard(kit: &Kit, client: kit::Handle) -> Vec<Tick> {
    let events = kit.events(client).iter();
    let ticks = events.filter_map(|event| match event {
        ClientEvent::Snapshot { tick, .. } => Some(*tick),
        _ => None,
    });
    ticks.collect()
}

#[test]
fn a_client_without_a_replica_hears_the_same_ticks_and_acknowledges_them() {
    let mut kit = Kit::new(Setup::default());
    let (whole, light) = (kit.join(1), kit.join_without_replica(2));
    // Beyond the 16 bits of a tick that a part with a baseline carries.
    kit.run(Duration::from_secs(65_600 / 60 + 1));

    let heard = ticks_heard(&kit, light);
    assert!(heard.last() > Some(&Tick(1 << 16)), "{:?}", heard.last());
    assert_eq!(heard, ticks_heard(&kit, whole));
    assert!(kit.client(light).replica().newest().is_none());
    // What is not acknowledged is told without a baseline again: here only the first snapshots of each are.
    let views = kit.server.stats().views;
    assert!(views.parts as usize >= 2 * heard.len());
    assert!(views.without_baseline < 20, "{views:?}");
    assert_eq!(kit.rejections(), "");
}

#[test]
fn everybody_is_welcomed_although_the_first_datagrams_are_lost() {
    // The first snapshot of a large world takes several datagrams. Once only the first of them carried the welcome,
    // and an ack of any other passed for its arrival: who lost the first and got another was never
    // welcomed, and never sent away either.
    let mut kit = Kit::new(Setup {
        loss: 0.3,
        resting: 1_000,
        ..Setup::default()
    });
    let clients: Vec<_> = (1..=40).map(|client| kit.join(client)).collect();
    kit.run(Duration::from_secs(4));
    let welcomed = clients
        .iter()
        .filter(|client| kit.client(**client).welcome().is_some())
        .count();
    assert_eq!(welcomed, clients.len());
    let rejections = kit.rejections();
    assert!(!rejections.contains("not_welcome"), "{rejections}");
}

#[test]
fn a_world_that_stands_still_sends_nobody_away() {
    // Once the time since the last ack decided, also when there was nothing to acknowledge; or when all that was
    // never acknowledged had been lost on the way.
    let mut kit = Kit::new(Setup {
        loss: 0.2,
        ..Setup::default()
    });
    let clients: Vec<_> = (1..=20).map(|client| kit.join(client)).collect();
    kit.run(Duration::from_secs(2));
    kit.pause_the_world();
    kit.run(Duration::from_secs(30));
    for client in clients {
        assert_eq!(kit.reason(client), None);
    }
}

#[test]
fn who_was_sent_away_is_silent_from_then_on() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_millis(500));
    let slot = kit.slot_of(1);
    let now = kit.now;
    kit.server
        .disconnect(now, slot, DisconnectReason::Kicked, "");
    kit.run(Duration::from_secs(1));
    assert_eq!(kit.reason(ada), Some(DisconnectReason::Kicked));
    let mut buffer = [0; MAX_DATAGRAM];
    let later = kit.now + Duration::from_secs(1);
    assert_eq!(kit.client_mut(ada).poll_transmit(later, &mut buffer), None);
}

#[test]
fn messages_arrive_once_and_in_order_both_ways() {
    let mut kit = Kit::new(Setup {
        loss: 0.2,
        ..Setup::default()
    });
    let ada = kit.join(1);
    kit.run(Duration::from_millis(800));
    let slot = kit.slot_of(1);
    for number in 0..50_u8 {
        kit.client_mut(ada)
            .send(ChannelId(0), &[number])
            .expect("there is room");
        kit.server
            .send(slot, ChannelId(0), &[100 + number])
            .expect("there is room");
    }
    kit.run(Duration::from_secs(5));

    let up: Vec<u8> = kit
        .server_events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Message { message, .. } => Some(message[0]),
            _ => None,
        })
        .collect();
    let down: Vec<u8> = kit
        .events(ada)
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Message { message, .. } => Some(message[0]),
            _ => None,
        })
        .collect();
    assert_eq!(up, (0..50).collect::<Vec<_>>());
    assert_eq!(down, (100..150).collect::<Vec<_>>());
}

#[test]
fn each_input_is_heard_once_although_it_is_sent_eight_times() {
    let mut kit = Kit::new(Setup {
        loss: 0.1,
        ..Setup::default()
    });
    let ada = kit.join(1);
    kit.run(Duration::from_millis(500));
    let first = kit.tick().next();
    for ahead in 0..60 {
        let tick = first.plus(ahead);
        let input = InputBytes::new(&[ahead as u8]).expect("short");
        assert!(kit.client_mut(ada).send_input(tick, input));
        assert!(
            !kit.client_mut(ada).send_input(tick, input),
            "one for each tick"
        );
        kit.run(Duration::from_micros(16_667));
    }
    kit.run(Duration::from_millis(200));
    let mut heard: Vec<Tick> = kit
        .server_events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Input { tick, input, .. } => {
                assert_eq!(input.as_slice(), [(tick.0 - first.0) as u8]);
                Some(*tick)
            }
            _ => None,
        })
        .collect();
    heard.sort();
    assert_eq!(
        heard,
        (0..60).map(|ahead| first.plus(ahead)).collect::<Vec<_>>()
    );
}

#[test]
fn the_server_says_how_early_inputs_arrive() {
    let mut kit = Kit::new(Setup {
        delay: Duration::from_millis(20),
        ..Setup::default()
    });
    let ada = kit.join(1);
    kit.run(Duration::from_millis(500));
    for _ in 0..60 {
        // Six ticks are 100 ms, and the way takes 20.
        let tick = kit.tick().plus(6);
        kit.client_mut(ada)
            .send_input(tick, InputBytes::new(b"x").expect("short"));
        kit.run(Duration::from_micros(16_667));
    }
    let margins: Vec<i64> = kit
        .events(ada)
        .iter()
        .filter_map(|event| match event {
            ClientEvent::InputMargin { micros } => Some(*micros),
            _ => None,
        })
        .collect();
    assert!(margins.len() > 3, "now and then: {margins:?}");
    assert!(
        margins
            .iter()
            .all(|micros| (60_000..=85_000).contains(micros)),
        "{margins:?}"
    );
}

#[test]
fn a_shutdown_is_told_to_everybody_even_on_a_bad_network() {
    let mut kit = Kit::new(Setup {
        loss: 0.2,
        ..Setup::default()
    });
    let clients: Vec<_> = (0..16).map(|client| kit.join(client)).collect();
    kit.run(Duration::from_secs(2));
    kit.server
        .warn_all(Warning::ShutdownSoon, Duration::from_secs(3));
    kit.run(Duration::from_millis(300));
    let now = kit.now;
    kit.server
        .disconnect_all(now, DisconnectReason::ServerShutdown, "back in an hour");
    kit.run(Duration::from_millis(500));

    for client in clients {
        let warned = ClientEvent::Warned {
            warning: Warning::ShutdownSoon,
            grace_ms: 3_000,
        };
        assert!(kit.events(client).contains(&warned));
        assert_eq!(
            kit.events(client).last(),
            Some(&ClientEvent::Disconnected {
                reason: DisconnectReason::ServerShutdown,
                text: "back in an hour".into(),
            })
        );
        assert_eq!(kit.client(client).poll_timeout(), None, "silent for ever");
    }
    assert_eq!(kit.server.session_count(), 0);
    let left = kit.server_events.iter().filter(|event| {
        matches!(
            event,
            ServerEvent::Disconnected {
                reason: DisconnectReason::ServerShutdown,
                ..
            }
        )
    });
    assert_eq!(left.count(), 16, "the game hears of each one, once");
}

#[test]
fn a_client_that_says_goodbye_is_gone_at_once() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_millis(300));
    kit.client_mut(ada).disconnect();
    kit.run(Duration::from_millis(50));
    let reason = DisconnectReason::ClosedByClient;
    assert_eq!(kit.reason(ada), Some(reason));
    assert!(matches!(
        kit.server_events.last(),
        Some(ServerEvent::Disconnected {
            reason: DisconnectReason::ClosedByClient,
            ..
        })
    ));
    assert_eq!(kit.server.session_count(), 0);
    assert_eq!(
        kit.client_mut(ada).send(ChannelId(0), b"too late"),
        Err(SendError::NotConnected)
    );
}

#[test]
fn who_falls_silent_is_timed_out_at_both_ends() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_millis(300));
    kit.cut_the_wire();
    kit.run(Duration::from_millis(6_100));
    assert_eq!(kit.reason(ada), Some(DisconnectReason::TimedOut));
    assert!(matches!(
        kit.server_events.last(),
        Some(ServerEvent::Disconnected {
            reason: DisconnectReason::TimedOut,
            ..
        })
    ));
}

#[test]
fn a_client_that_acknowledges_nothing_is_dropped_by_name() {
    let mut kit = Kit::new(Setup::default());
    kit.join_deaf(1);
    kit.run(Duration::from_secs(9));
    assert_eq!(kit.server.session_count(), 1, "its keep-alives arrive");
    kit.run(Duration::from_secs(2));
    assert_eq!(kit.server.session_count(), 0);
    assert!(matches!(
        kit.server_events.last(),
        Some(ServerEvent::Disconnected {
            reason: DisconnectReason::Unresponsive,
            ..
        })
    ));
}

/// A server whose world stood still for ten seconds used to drop everybody: nothing was sent to them, so
/// nothing was acknowledged, and that was taken for deafness.
#[test]
fn a_world_that_stands_still_loses_nobody() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_millis(500));
    kit.pause_the_world();
    kit.run(Duration::from_secs(30));
    assert_eq!(kit.reason(ada), None);
    let slot = kit.slot_of(1);
    kit.server
        .send(slot, ChannelId(0), b"still there?")
        .expect("there is room");
    kit.run(Duration::from_millis(500));
    assert!(
        kit.events(ada)
            .iter()
            .any(|event| matches!(event, ClientEvent::Message { .. }))
    );
}

#[test]
fn a_client_with_another_idea_of_the_world_is_refused_by_name() {
    let mut kit = Kit::new(Setup::default());
    let stranger = kit.join_with_other_schema(1);
    kit.run(Duration::from_millis(500));
    assert_eq!(kit.reason(stranger), Some(DisconnectReason::WrongSchema));
    assert!(kit.server_events.is_empty(), "the game never heard of it");
    assert_eq!(kit.server.session_count(), 0);
}

#[test]
fn what_is_wrong_with_a_token_is_told_before_anything_is_sent() {
    let mut kit = Kit::new(Setup::default());
    for (client, reason) in [
        (kit.join_expired(1), DisconnectReason::TokenExpired),
        (
            kit.join_for_other_protocol(2),
            DisconnectReason::TokenForOtherProtocol,
        ),
        (
            kit.join_for_other_server(3),
            DisconnectReason::TokenForOtherServer,
        ),
    ] {
        kit.run(Duration::from_millis(50));
        assert_eq!(kit.reason(client), Some(reason));
        assert_eq!(kit.client(client).stats().sent.datagrams, 0);
    }
}

#[test]
fn a_full_server_says_so() {
    let mut kit = Kit::new(Setup {
        max_clients: 2,
        ..Setup::default()
    });
    for client in 0..2 {
        kit.join(client);
    }
    kit.run(Duration::from_millis(300));
    let third = kit.join(2);
    kit.run(Duration::from_millis(500));
    assert_eq!(kit.client(third).state(), ClientState::ConnectionDenied);
    assert_eq!(kit.reason(third), Some(DisconnectReason::ServerFull));
}

#[test]
fn nobody_is_there_to_answer() {
    let mut kit = Kit::new(Setup::default());
    kit.cut_the_wire();
    let ada = kit.join(1);
    kit.run(Duration::from_secs(6));
    assert_eq!(kit.reason(ada), Some(DisconnectReason::NoAnswer));
}

#[test]
fn a_server_that_drains_takes_nobody_in() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_millis(300));
    kit.server.refuse_newcomers();
    let late = kit.join(2);
    kit.run(Duration::from_millis(500));
    assert_eq!(kit.reason(late), Some(DisconnectReason::ServerShutdown));
    assert_eq!(kit.reason(ada), None, "who is in stays in");
}

#[test]
fn who_connects_to_a_draining_server_and_says_nothing_does_not_hold_up_the_end() {
    let mut kit = Kit::new(Setup::default());
    kit.server.refuse_newcomers();
    kit.join_mute(1);
    kit.run(Duration::from_secs(1));
    assert_eq!(kit.server.stats().connects, 1);
    assert_eq!(kit.server.session_count(), 0);
}

#[test]
fn keep_alives_are_charged_to_whoever_sends_them() {
    let mut kit = Kit::new(Setup::default());
    kit.join_mute(1);
    kit.run(Duration::from_secs(2));
    assert!((18..=21).contains(&kit.charged), "{}", kit.charged);
}

#[test]
fn a_late_word_to_somebody_who_left_reaches_nobody() {
    let mut kit = Kit::new(Setup {
        max_clients: 1,
        ..Setup::default()
    });
    let ada = kit.join(1);
    kit.run(Duration::from_millis(300));
    let old = kit.slot_of(1);
    kit.client_mut(ada).disconnect();
    kit.run(Duration::from_millis(300));
    let bob = kit.join(2);
    kit.run(Duration::from_millis(300));
    let new = kit.slot_of(2);
    assert_eq!(old.index, new.index, "the place is used again");
    assert_eq!(
        kit.server.send(old, ChannelId(0), b"psst, Ada"),
        Err(SendError::NotConnected)
    );
    let now = kit.now;
    kit.server
        .disconnect(now, old, DisconnectReason::Kicked, "");
    kit.run(Duration::from_millis(300));
    assert_eq!(kit.reason(bob), None);
}

#[test]
fn a_replica_that_lost_its_ground_asks_and_heals() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.run(Duration::from_secs(1));
    // Longer than any history, shorter than the timeout.
    kit.silence(Duration::from_secs(3));
    kit.run(Duration::from_millis(300));
    let tick = kit.tick();
    let newest = kit.client(ada).replica().newest().expect("snapshots came");
    assert!(newest.is_complete() && tick.since(newest.tick()) <= 4);
}

#[test]
fn hostile_payloads_of_a_seated_client_change_nothing_for_others() {
    let mut kit = Kit::new(Setup::default());
    let ada = kit.join(1);
    kit.join_garbler(2, 0xBAD);
    kit.run(Duration::from_secs(3));
    let newest = kit.client(ada).replica().newest().expect("snapshots came");
    assert!(newest.is_complete() && kit.tick().since(newest.tick()) <= 4);
    assert_ne!(kit.rejections(), "", "each kind of garbage has a name");
}

#[test]
fn one_payload_brings_one_block_of_inputs_however_many_are_crammed_into_it() {
    let mut kit = Kit::new(Setup::default());
    kit.run(Duration::from_millis(100));
    // A block: newest tick, eight entries, the first empty and the others the same.
    let block = |tick: u32| {
        let mut block = vec![3];
        block.extend(tick.to_le_bytes());
        block.extend([8, 0, 255, 255, 255, 255, 255, 255, 255]);
        block
    };
    let crammed: Vec<u8> = (1..=60).flat_map(|number| block(number * 8)).collect();
    kit.join_saying(1, &[&crammed]);
    kit.run(Duration::from_millis(500));
    let inputs = (kit.server_events.iter()).filter(|it| matches!(it, ServerEvent::Input { .. }));
    assert_eq!(inputs.count(), 8);
    assert_eq!(kit.rejections(), "session.repeated_block=1 ");
}
