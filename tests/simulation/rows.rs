//! Rows of the table of what must be survived, one by one, where a seed would only meet them by chance.

use std::net::SocketAddr;
use std::time::Duration;

use tickwire::id::ClientId;
use tickwire::netsim::{Chance, LinkConditions, Loss, Outage, Profile, ProfileConditions};
use tickwire::proto::event::DisconnectReason;
use tickwire::time::Timestamp;

use crate::plan::{Fault, Plan, PlayerPlan};
use crate::universe::{Sabotage, Universe, Verdict};

fn players(count: usize, conditions: ProfileConditions) -> Vec<PlayerPlan> {
    vec![PlayerPlan::over(conditions); count]
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Everybody who should be in the game is, at both ends.
fn seated(universe: &Universe) -> usize {
    let server = universe.ledger.server;
    let lives = universe.ledger.lives.values();
    lives.filter(|life| life.is_mutual(server)).count()
}

#[test]
fn a_hundred_clients_connect_within_five_seconds_at_thirty_percent_loss_in_bursts() {
    for seed in 1..=2 {
        let bad = LinkConditions {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(10),
            loss: Loss::in_bursts(Chance::percent(30), 4.0),
            ..LinkConditions::PERFECT
        };
        let mut plan = Plan::quiet(seed, players(100, ProfileConditions::symmetric(bad)));
        plan.chatter = 0;
        let mut universe = Universe::new(plan, false);
        assert_eq!(universe.run_until(at(5_000)), Ok(()), "seed {seed}");
        assert_eq!(seated(&universe), 100, "seed {seed}");
    }
}

/// How far behind the server each client's newest snapshot is.
fn oldest_state(universe: &Universe) -> Duration {
    let host = universe.host.as_ref().expect("it runs");
    let truth = host.true_tick(universe.now);
    let ages = universe.players.iter().map(|player| {
        let newest = player.seat.as_ref().and_then(|seat| seat.newest);
        let behind = truth - newest.map_or(0.0, |tick| f64::from(tick.0));
        Duration::from_secs_f64(behind.max(0.0) / 60.0)
    });
    ages.max().unwrap_or_default()
}

#[test]
fn silences_of_a_second_and_once_of_three_drop_nobody_and_leave_nobody_behind() {
    let home = Profile::Home.conditions();
    let silent = |conditions: LinkConditions| LinkConditions {
        outage: Some(Outage {
            every: Duration::from_secs(5),
            lasts: Duration::from_secs(1),
        }),
        ..conditions
    };
    let network = ProfileConditions {
        up: silent(home.up),
        down: silent(home.down),
    };
    let mut plan = Plan::quiet(19, players(16, network));
    // Once it is three seconds: from 17 s on, the two before the network's own one at 19 s.
    for player in 0..16 {
        let (up, down) = (true, true);
        plan.faults
            .push((at(17_000), Fault::Outage { player, up, down }));
        plan.faults.push((at(19_000), Fault::OutageOver { player }));
    }
    plan.faults.sort_by_key(|(at, _)| *at);
    plan.setup.seats = 16;
    let mut universe = Universe::new(plan, false);
    for silence in 1..=8 {
        let end = at(silence * 5_000);
        assert_eq!(universe.run_until(end + Duration::from_millis(200)), Ok(()));
        assert_eq!(seated(&universe), 16, "after the silence until {end:?}");
        let age = oldest_state(&universe);
        assert!(
            age <= Duration::from_millis(200),
            "{age:?} behind at {end:?}"
        );
    }
}

#[test]
fn a_dead_clients_slot_is_free_in_time_whatever_is_sent_in_its_name() {
    let mut plan = Plan::quiet(11, players(4, Profile::Wifi.conditions()));
    // Everything that was ever heard is sent again, changed and unchanged, all the time.
    plan.forgers = true;
    let mut universe = Universe::new(plan, false);
    assert_eq!(universe.run_until(at(3_000)), Ok(()));
    let dead = universe.players[0].id;
    assert!(universe.ledger.has_seat(dead));
    assert_eq!(universe.crash(0, Duration::from_secs(60)), Ok(()));
    let in_flight = Duration::from_millis(100);
    assert_eq!(universe.run_for(Duration::from_secs(6) + in_flight), Ok(()));
    assert!(!universe.ledger.has_seat(dead), "a zombie");
    assert_eq!(seated(&universe), 3, "the others play on");
}

#[test]
fn steps_of_the_calendar_lose_nobody_and_expiry_stays_right() {
    let mut universe = Universe::new(
        Plan::quiet(21, players(8, Profile::Home.conditions())),
        false,
    );
    let verdict: Verdict = (|| {
        universe.run_until(at(2_000))?;
        for off in [3_600, 0, -3_600, 0, 3_600, -3_600] {
            universe.strike(&Fault::Wall { off })?;
            universe.run_for(Duration::from_secs(3))?;
        }
        Ok(())
    })();
    assert_eq!(verdict, Ok(()));
    assert_eq!(seated(&universe), 8, "nobody is lost");

    // An hour ahead every token that was issued a moment ago has expired; back in time, it is good again.
    universe.wall_off = 3_600;
    let token = universe.token(ClientId(1_000));
    assert_eq!(universe.crash(0, Duration::from_secs(60)), Ok(()));
    assert_eq!(universe.run_for(Duration::from_secs(8)), Ok(()));
    universe.join_with(0, token.clone());
    assert_eq!(universe.run_for(Duration::from_secs(2)), Ok(()));
    assert_eq!(seated(&universe), 7, "expired");
    universe.wall_off = 0;
    assert_eq!(universe.run_for(Duration::from_secs(1)), Ok(()));
    assert_eq!(seated(&universe), 8, "in time");

    // What was used stays used, also when the calendar goes back.
    universe.wall_off = -3_600;
    universe.players_return = false;
    assert_eq!(universe.crash(0, Duration::from_secs(60)), Ok(()));
    assert_eq!(universe.run_for(Duration::from_secs(8)), Ok(()));
    universe.join_with(0, token);
    assert_eq!(universe.run_for(Duration::from_secs(4)), Ok(()));
    assert_eq!(seated(&universe), 7, "a used token");
}

#[test]
fn a_server_that_plays_half_its_ticks_slows_down_in_order_and_recovers() {
    let mut plan = Plan::quiet(22, players(16, Profile::Home.conditions()));
    // From 3 s to 9 s each tick takes two periods: the loop wakes every 33 ms for one of two.
    for wake in 0..180_u64 {
        let from = Timestamp::from_micros(3_000_000 + wake * 33_333);
        let lasts = Duration::from_micros(33_000);
        plan.faults.push((from, Fault::Stall { lasts }));
    }
    plan.trouble = Duration::from_secs(9);
    let mut universe = Universe::new(plan, false);
    assert_eq!(universe.run_plan(), Ok(()));
}

#[test]
fn a_client_that_acknowledges_nothing_costs_a_bounded_queue_and_is_dropped_by_name() {
    let mut plan = Plan::quiet(16, players(4, Profile::Home.conditions()));
    // The server has something to say to everybody in every tick.
    plan.chatter = 1_000;
    let mut universe = Universe::new(plan, false);
    let deaf = universe.join_hostile(0, None);
    assert_eq!(universe.run_until(at(8_000)), Ok(()));
    let slot = universe.ledger.lives[&deaf].slot.expect("it was let in");
    let host = universe.host.as_ref().expect("it runs");
    let queued = host.endpoint.link_stats(slot).map(|link| link.bytes_queued);
    let limit: usize = universe
        .link
        .channels()
        .iter()
        .map(|it| it.send_buffer)
        .sum();
    assert!(
        queued.is_some_and(|queued| queued > 10_000 && queued <= limit),
        "{queued:?}"
    );
    assert_eq!(universe.run_until(at(12_000)), Ok(()));
    let reason = universe.ledger.lives[&deaf].ended_by_server;
    assert_eq!(reason, Some(DisconnectReason::Unresponsive));
    assert_eq!(seated(&universe), 4, "nobody else notices");
}

#[test]
fn the_checks_can_fail() {
    for (sabotage, says) in [
        (Sabotage::Value, "holds a wrong world"),
        (Sabotage::Omission, "holds a wrong world"),
        (Sabotage::SwallowedMessage, "was due|never came"),
        (Sabotage::DoubledMessage, "was due|never sent|came twice"),
        (
            Sabotage::SilentCut,
            "ended at the client|the server dropped",
        ),
    ] {
        let mut plan = Plan::quiet(1, players(4, Profile::Home.conditions()));
        plan.chatter = 200;
        plan.trouble = Duration::from_secs(8);
        let mut universe = Universe::new(plan, false);
        universe.sabotage = Some(sabotage);
        let verdict = universe.run_until(at(2_000)).and_then(|()| {
            if sabotage == Sabotage::SilentCut {
                let dead = ProfileConditions::symmetric(LinkConditions::CUT);
                universe.set_network(0, dead);
            }
            universe.run_plan()
        });
        let found = verdict.expect_err("the alarm is deaf");
        let is_named = says.split('|').any(|words| found.contains(words));
        assert!(is_named, "{sabotage:?}: {found}");
    }
}

#[test]
fn a_client_nobody_knows_is_noticed() {
    let mut universe = Universe::new(Plan::quiet(2, players(2, Profile::Lan.conditions())), false);
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 9));
    assert!(universe.ledger.life(nowhere).is_err());
    assert_eq!(universe.run_until(at(1_000)), Ok(()));
    let stolen = universe.players[0].seat.as_ref().expect("in").address;
    universe.ledger.lives.remove(&stolen);
    assert!(universe.run_for(Duration::from_secs(1)).is_err());
}
