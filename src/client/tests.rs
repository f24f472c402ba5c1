//! A game's loop against a real server endpoint, over a network whose faults are known, in virtual time.

mod world;

use super::*;
use crate::netsim::{LinkConditions, Profile, ProfileConditions};
use crate::proto::event::{DisconnectReason, ServerEvent};
use world::{CHAT, RATE, RUNNER, World, at, place_of_runner};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn delayed(ms: u64) -> ProfileConditions {
    let delay = Duration::from_millis(ms);
    ProfileConditions::symmetric(LinkConditions {
        delay,
        ..LinkConditions::PERFECT
    })
}

#[test]
fn a_client_connects_hears_the_world_and_says_goodbye() {
    let mut world = World::new(delayed(30), 1);
    world.run(ms(1_000));
    assert!(matches!(world.events[0], Event::Connected(welcome) if welcome.tick_rate == RATE));
    let snapshots = world
        .events
        .iter()
        .filter(|e| matches!(e, Event::Snapshot { .. }))
        .count();
    assert!((20..31).contains(&snapshots), "{snapshots}");
    world.client.disconnect();
    world.run(ms(100));
    assert_eq!(world.ended(), Some(DisconnectReason::ClosedByClient));
    assert!(matches!(
        world.heard.last(),
        Some(ServerEvent::Disconnected {
            reason: DisconnectReason::ClosedByClient,
            ..
        })
    ));
}

#[test]
fn every_tick_has_one_input_and_it_arrives_in_time() {
    for frame_ms in [2, 7, 16, 33, 50] {
        let mut world = World::new(delayed(40), 2);
        world.frame_ms = frame_ms;
        world.run(ms(4_000));
        world.inputs.clear();
        world.run(ms(4_000));
        let mut ticks: Vec<u32> = world.inputs.iter().map(|(tick, _)| tick.0).collect();
        ticks.sort_unstable();
        assert!(
            ticks.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "frames of {frame_ms} ms"
        );
        assert!(
            (236..=245).contains(&ticks.len()),
            "{} in four seconds",
            ticks.len()
        );
        // A slow frame plays a tick up to a frame late; the clock cannot know that before it happens.
        let allowed = if frame_ms > 16 {
            -(frame_ms as i64 / 16)
        } else {
            1
        };
        assert!(
            world.inputs.iter().all(|(_, early)| *early >= allowed),
            "frames of {frame_ms} ms"
        );
    }
}

#[test]
fn an_input_is_one_datagram_whatever_the_frame_rate() {
    for frame_ms in [2, 7, 16] {
        let mut world = World::new(delayed(20), 3);
        world.frame_ms = frame_ms;
        world.run(ms(2_000));
        let before = world.client.stats().up.datagrams;
        world.run(ms(10_000));
        let sent = world.client.stats().up.datagrams - before;
        assert!(
            (590..=615).contains(&sent),
            "frames of {frame_ms} ms: {sent} in ten seconds"
        );
    }
    // A slow game gives several inputs a frame: they share one datagram, and messages travel with them.
    let mut world = World::new(delayed(20), 3);
    world.frame_ms = 33;
    world.run(ms(2_000));
    let before = world.client.stats().up.datagrams;
    for _ in 0..100 {
        world.client.send(CHAT, b"hello").expect("there is room");
        world.run(ms(100));
    }
    let sent = world.client.stats().up.datagrams - before;
    assert!((295..=310).contains(&sent), "{sent} in ten seconds");
}

#[test]
fn a_game_without_inputs_keeps_its_session_and_its_acks() {
    let mut world = World::new(delayed(20), 12);
    world.run(ms(1_000));
    world.plays = false;
    world.run(ms(10_000));
    assert_eq!(world.ended(), None);
    assert!(world.client.stats().snapshot_age < Some(ms(80)));
    let slot = world.slot.expect("connected");
    assert!(world.server.link_stats(slot).expect("here").loss < 0.01);
}

#[test]
fn a_pause_of_the_game_skips_ticks_and_asks_for_the_last_eight() {
    let mut world = World::new(delayed(20), 4);
    world.run(ms(2_000));
    world.next_frame = world.now + ms(500);
    world.run(ms(499));
    world.plays = false;
    world.run(ms(2));
    let current = world.client.input_tick().expect("connected");
    assert_eq!(world.client.input_due(), Some(current.minus(7)));
    for back in (0..8).rev() {
        assert_eq!(world.client.send_input(b"x"), Ok(current.minus(back)));
    }
    assert_eq!(world.client.input_due(), None);
    assert_eq!(world.client.send_input(b"x"), Err(InputError::NotDue));
    assert_eq!(world.client.send_input(&[0; 64]), Err(InputError::TooLong));
}

#[test]
fn messages_arrive_once_and_in_order_on_a_hostile_network() {
    let mut world = World::new(Profile::Hostile.conditions(), 5);
    world.run(ms(5_000));
    for number in 0..200_u32 {
        world
            .client
            .send(CHAT, &number.to_le_bytes())
            .expect("there is room");
        let slot = world.slot.expect("connected");
        world
            .server
            .send(slot, CHAT, &number.to_le_bytes())
            .expect("there is room");
        world.run(ms(20));
    }
    world.run(ms(5_000));
    let sent: Vec<Vec<u8>> = (0..200_u32)
        .map(|number| number.to_le_bytes().to_vec())
        .collect();
    let down = world.events.iter().filter_map(|event| match event {
        Event::Message { message, .. } => Some(message.clone()),
        _ => None,
    });
    let up = world.heard.iter().filter_map(|event| match event {
        ServerEvent::Message { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(down.collect::<Vec<_>>(), sent);
    assert_eq!(up.collect::<Vec<_>>(), sent);
    assert_eq!(world.ended(), None);
    let stats = world.client.stats();
    assert!((0.1..0.6).contains(&stats.loss), "{stats:?}");
    assert!(
        (ms(40)..ms(200)).contains(&stats.rtt.expect("measured")),
        "{stats:?}"
    );
    assert!(stats.rejected > 0, "damage is refused: {stats:?}");
}

#[test]
fn what_is_drawn_is_the_world_a_moment_ago_and_moves_steadily() {
    for profile in [Profile::Home, Profile::Wifi, Profile::Mobile] {
        let mut world = World::new(profile.conditions(), 13);
        world.run(ms(6_000));
        let (mut before, mut leaps) = (None, 0);
        for _ in 0..2_000 {
            world.frame_ms = 1;
            world.run(ms(5));
            let at = world.client.render_tick().expect("connected");
            let scene = world.client.scene();
            let x = scene.entity(RUNNER).expect("in sight").values[0];
            if !scene.span().expect("something").is_dry() {
                let truth = place_of_runner(at.tick.0 as f32 + at.fraction);
                assert!((x - truth).abs() < 0.02, "{profile:?}: {x} for {truth}");
            }
            // 5 ms are 0.3 ticks are 0.03 m, 5% more or less, and the step of the quantity.
            leaps += u32::from(before.is_some_and(|before: f32| x < before || x - before > 0.05));
            before = Some(x);
        }
        assert!(leaps <= 40, "{profile:?}: {leaps} leaps in ten seconds");
    }
}

#[test]
fn the_figures_are_those_of_the_network() {
    let mut world = World::new(delayed(40), 6);
    world.run(ms(5_000));
    let stats = world.client.stats();
    // The way there and back, up to one frame here, and up to a millisecond there.
    assert!(
        (ms(78)..ms(100)).contains(&stats.rtt.expect("measured")),
        "{stats:?}"
    );
    assert!(
        (ms(35)..ms(100)).contains(&stats.snapshot_age.expect("there is one")),
        "{stats:?}"
    );
    assert!(stats.loss < 0.01 && stats.socket_failures == 0, "{stats:?}");
    assert!(stats.up.bytes > stats.up.datagrams * 30, "{stats:?}");
    let server = world.client.server_tick().expect("connected");
    let error = f64::from(server.tick.0) - f64::from(world.tick.0);
    assert!(error.abs() <= 1.0, "{error} ticks off");
}

#[test]
fn silence_of_a_second_is_survived_and_the_state_is_current_soon_after() {
    let mut world = World::new(delayed(30), 7);
    world.run(ms(3_000));
    world
        .network
        .borrow_mut()
        .set_host(at(1), ProfileConditions::symmetric(LinkConditions::CUT));
    world.run(ms(1_000));
    assert!(world.client.stats().snapshot_age > Some(ms(900)));
    world.network.borrow_mut().set_host(at(1), delayed(30));
    world.run(ms(200));
    assert!(world.client.stats().snapshot_age < Some(ms(100)));
    assert_eq!(world.ended(), None);
    assert!(
        !world
            .events
            .iter()
            .any(|event| matches!(event, Event::ClockStepped(_)))
    );
}

#[test]
fn a_server_that_is_gone_is_noticed_at_the_tokens_timeout() {
    let mut world = World::new(delayed(30), 8);
    world.run(ms(2_000));
    world
        .network
        .borrow_mut()
        .set_host(at(1), ProfileConditions::symmetric(LinkConditions::CUT));
    world.run(ms(4_800));
    assert_eq!(world.ended(), None);
    world.run(ms(400));
    assert_eq!(world.ended(), Some(DisconnectReason::TimedOut));
    assert_eq!(world.client.poll_event(), None);
    assert!(world.client.is_over() && world.client.input_due().is_none());
    assert!(world.client.send(CHAT, b"hello?").is_err());
}

#[test]
fn junk_is_refused_and_costs_nothing_else() {
    let mut world = World::new(delayed(10), 9);
    world.run(ms(1_000));
    for round in 0..2_000_u32 {
        let junk = vec![round as u8; round as usize % 1_300];
        let from = if round % 2 == 0 {
            world.server_address
        } else {
            at(66)
        };
        world
            .network
            .borrow_mut()
            .send(world.now, from, at(1), &junk);
        world.step();
    }
    assert_eq!(world.ended(), None);
    assert!(world.client.stats().snapshot_age < Some(ms(60)));
    assert!(world.client.stats().rejected >= 1_900);
}

#[test]
fn a_flood_does_not_hold_a_frame() {
    let mut world = World::new(delayed(10), 10);
    world.run(ms(1_000));
    let before = world.client.stats().down.datagrams;
    for _ in 0..10_000 {
        world.inbox.borrow_mut().push_back((vec![7; 100], at(66)));
    }
    world.client.update_at(world.now);
    assert_eq!(
        world.client.stats().down.datagrams - before,
        RECEIVED_AT_ONCE as u64
    );
}

#[test]
fn a_socket_that_fails_is_replaced_and_the_session_goes_on() {
    let mut world = World::new(delayed(10), 11);
    world.run(ms(1_000));
    world.client.socket_mut().breaks = 20;
    world.run(ms(1_000));
    assert_eq!(world.client.stats().socket_failures, 20);
    assert_eq!(
        world.client.socket().rebinds,
        1,
        "not more than one a second"
    );
    assert_eq!(world.ended(), None);
}
