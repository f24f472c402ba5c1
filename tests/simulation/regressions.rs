//! What the simulation has found, each as a short story with the seed that told it first.

use std::time::Duration;

use tickwire::netsim::{Profile, ProfileConditions};
use tickwire::time::Timestamp;

use crate::plan::{Fault, Plan, PlayerPlan};
use crate::universe::Universe;

fn over(profile: Profile) -> ProfileConditions {
    profile.conditions()
}

fn stalled(millis: u64) -> Fault {
    Fault::Stall {
        lasts: Duration::from_millis(millis),
    }
}

/// A player on a satellite link (300 ms one way) is told by a server that stalled for 1.1 s that its inputs come a
/// second too early, and takes 250 ms off its lead. Then it comes home, where the whole lead is 50 ms: the correction
/// was still 250 ms, the lead stayed at zero, and each report gave back only what that input was late, every few
/// seconds. For 15 s nothing that the player did reached its tick. SEED=4, and 1 in another way.
#[test]
fn inputs_are_in_time_again_soon_after_a_long_way_became_a_short_one() {
    let players = (0..8).map(|index| PlayerPlan {
        joins_at: Timestamp::from_millis(2_600 + index * 53),
        ..PlayerPlan::over(over(Profile::Satellite))
    });
    let mut plan = Plan::quiet(4, players.collect());
    plan.faults = vec![
        (Timestamp::from_millis(3_658), stalled(1_112)),
        (Timestamp::from_millis(8_474), stalled(649)),
    ];
    plan.faults.extend((0..8).map(|player| {
        let network = Box::new(over(Profile::Home));
        (
            Timestamp::from_millis(11_200),
            Fault::Roam { player, network },
        )
    }));
    let mut universe = Universe::new(plan, false);
    let verdict = universe
        .run_until(Timestamp::from_millis(22_000))
        .and_then(|()| {
            let before = universe.watch();
            universe.run_for(Duration::from_secs(3))?;
            universe.check_inputs(&before)
        });
    assert_eq!(verdict, Ok(()));
}

/// A game that draws 30 frames a second gives two inputs at once, for two ticks of 60 Hz. The server's word is about the
/// newer one, so the clock made that one arrive in time, and every second input was late for ever. SEED=5.
#[test]
fn a_game_at_thirty_frames_a_second_loses_no_inputs() {
    // Each with another phase between its frames and the ticks, and a clock that moves it slowly.
    let players = (0..24).map(|index| PlayerPlan {
        frame: Duration::from_micros(33_333),
        joins_at: Timestamp::from_micros(index * 1_400),
        gains: 4 * index as i64 - 50,
        ..PlayerPlan::over(over(Profile::Mobile))
    });
    let mut plan = Plan::quiet(5, players.collect());
    plan.faults.extend((0..24).map(|player| {
        let network = Box::new(over(Profile::Home));
        (
            Timestamp::from_millis(5_000),
            Fault::Roam { player, network },
        )
    }));
    let mut universe = Universe::new(plan, false);
    let verdict = universe
        .run_until(Timestamp::from_millis(15_000))
        .and_then(|()| {
            let before = universe.watch();
            universe.run_for(Duration::from_secs(5))?;
            universe.check_inputs(&before)
        });
    assert_eq!(verdict, Ok(()));
}
