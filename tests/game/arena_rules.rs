//! The arena's rules as scenes: somebody stands here, somebody does that, and this comes of it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tickwire::game::arena::rules::{HALF_BODY, HEALTH_MAX, METRE, TILE};
use tickwire::game::arena::{
    ArenaConfig, ArenaEvent, ArenaInput, Body, PickupKind, Rules, Walls, WallsSpec, Weapon, World,
};
use tickwire::game::{Inputs, Outbox, Outgoing, Recipients};
use tickwire::id::{ClientId, ClientSlot};
use tickwire::time::{Tick, TickRate};

use crate::slot;

const EAST: u16 = 0;
const WEST: u16 = 2_048;

/// An open field of 16 by 16 tiles, players who stand where they are put, and what was said.
struct Scene {
    world: World,
    tick: Tick,
    inputs: Vec<(ClientSlot, ArenaInput)>,
    out: Outbox,
}

impl Scene {
    /// Players at places in metres, each with nothing near to pick up.
    fn new(places: &[(i32, i32)]) -> Self {
        Self::on(Walls::empty(WallsSpec { seed: 1, side: 16 }), places)
    }

    fn on(walls: Walls, places: &[(i32, i32)]) -> Self {
        let config = ArenaConfig {
            seed: 1,
            players: 8,
            rate: TickRate::HZ_60,
        };
        let mut world = World::with_walls(config, walls);
        let mut inputs = Vec::new();
        for pickup in world.pickups_mut() {
            pickup.back_at = Some(Tick(u32::MAX));
        }
        for (index, (x, y)) in (0..).zip(places) {
            world
                .join(slot(index), ClientId(u64::from(index)))
                .expect("there is room");
            world
                .fighter_mut(slot(index))
                .expect("just joined")
                .stand_up(x * METRE, y * METRE);
            inputs.push((slot(index), ArenaInput::default()));
        }
        Self {
            world,
            tick: Tick(0),
            inputs,
            out: Outbox::default(),
        }
    }

    fn input(&mut self, who: usize) -> &mut ArenaInput {
        &mut self.inputs[who].1
    }

    fn play(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.tick = self.tick.next();
            self.world
                .step(self.tick, &Inputs::new(&self.inputs), &mut self.out);
        }
    }

    fn body(&self, who: u32) -> Body {
        self.world.fighter(slot(who)).expect("is in").body
    }

    fn health(&self, who: u32) -> u8 {
        self.world.fighter(slot(who)).expect("is in").health
    }

    fn score(&self, who: u32) -> u16 {
        self.world.fighter(slot(who)).expect("is in").score
    }

    /// What a client was told, and forgets it.
    fn heard(&mut self, who: u32) -> Vec<String> {
        let told = self.out.iter().filter_map(|outgoing| match outgoing {
            Outgoing::Message {
                to: Recipients::One(to),
                message,
                ..
            } if to == slot(who) => Some(format!(
                "{:?}",
                ArenaEvent::decode(message).expect("an event")
            )),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn a_walker_covers_seven_metres_a_second_in_every_direction() {
    for (x, y) in [(127, 0), (-127, 0), (0, 127), (127, 127), (-90, 90)] {
        let mut scene = Scene::new(&[(16, 16)]);
        (scene.input(0).move_x, scene.input(0).move_y) = (x, y);
        scene.play(60);
        let body = scene.body(0);
        let (dx, dy) = (
            f64::from(body.x) / 256.0 - 16.0,
            f64::from(body.y) / 256.0 - 16.0,
        );
        let way = dx.hypot(dy);
        assert!((6.2..7.0).contains(&way), "{way} m toward ({x}, {y})");
    }
}

#[test]
fn walls_stop_and_let_slide() {
    let mut walls = Walls::empty(WallsSpec { seed: 1, side: 16 });
    walls.fill(10, 1, 1, 14);
    let mut scene = Scene::on(walls, &[(16, 8)]);
    (scene.input(0).move_x, scene.input(0).move_y) = (127, 127);
    scene.play(90);
    let body = scene.body(0);
    assert_eq!(
        (body.x, body.vx),
        (10 * TILE - HALF_BODY, 0),
        "shoulder at the wall"
    );
    assert!(body.y > 14 * METRE, "and on along it");
}

#[test]
fn nobody_who_runs_wild_ends_up_in_a_wall() {
    let walls = Walls::new(WallsSpec { seed: 3, side: 40 });
    for hz in [20, 30, 60, 128, 240] {
        let rules = Rules::at(TickRate::new(hz).unwrap());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(u64::from(hz));
        let mut body = Body {
            x: TILE + TILE / 2,
            y: TILE + TILE / 2,
            ..Body::default()
        };
        let mut input = ArenaInput::default();
        for tick in 0..20_000 {
            if rng.random_range(0..10) == 0 {
                input.move_x = rng.random_range(-127..=127);
                input.move_y = rng.random_range(-127..=127);
            }
            body.walk(&input, &rules, &walls);
            let low = -HALF_BODY;
            let high = HALF_BODY - 1;
            for (dx, dy) in [(low, low), (low, high), (high, low), (high, high)] {
                let solid = walls.is_solid_at(body.x + dx, body.y + dy);
                assert!(!solid, "{hz} Hz, tick {tick}: {body:?}");
            }
        }
    }
}

#[test]
fn a_rail_hits_at_once_and_two_kill() {
    let mut scene = Scene::new(&[(8, 8), (20, 8)]);
    *scene.input(0) = ArenaInput {
        aim: EAST,
        fire: true,
        weapon: Some(Weapon::Rail),
        ..ArenaInput::default()
    };
    // The weapon is raised for a quarter of a second first.
    scene.play(15);
    assert_eq!(scene.health(1), HEALTH_MAX);
    scene.play(1);
    assert_eq!(scene.health(1), HEALTH_MAX - 60);
    scene.play(71);
    assert_eq!(
        scene.health(1),
        HEALTH_MAX - 60,
        "it reloads for 1.2 seconds"
    );
    scene.play(1);
    assert_eq!((scene.health(1), scene.score(0)), (0, 1));
    let death = "Death { victim: EntityId { slot: 1, generation: 0 }, \
                 by: EntityId { slot: 0, generation: 0 } }";
    assert_eq!(scene.heard(0), [death]);
    assert_eq!(scene.heard(1), [death]);
}

#[test]
fn a_bolt_takes_its_time_and_can_be_dodged() {
    let mut scene = Scene::new(&[(4, 8), (16, 8), (4, 20), (16, 20)]);
    for shooter in [0, 2] {
        scene.input(shooter).fire = true;
    }
    scene.play(1);
    for shooter in [0, 2] {
        scene.input(shooter).fire = false;
    }
    // One of the two steps aside.
    scene.input(3).move_y = 127;
    scene.play(28);
    assert_eq!(
        (scene.health(1), scene.world.bolts().count()),
        (HEALTH_MAX, 2)
    );
    scene.play(3);
    assert_eq!(
        (scene.health(1), scene.health(3)),
        (HEALTH_MAX - 20, HEALTH_MAX)
    );
    scene.play(60);
    assert_eq!(scene.world.bolts().count(), 0, "the other one fell");
}

#[test]
fn a_wall_between_two_keeps_both_alive() {
    for weapon in Weapon::ALL {
        let mut walls = Walls::empty(WallsSpec { seed: 1, side: 16 });
        walls.fill(6, 1, 1, 14);
        let mut scene = Scene::on(walls, &[(8, 8), (18, 8)]);
        *scene.input(0) = ArenaInput {
            aim: EAST,
            fire: true,
            weapon: Some(weapon),
            ..ArenaInput::default()
        };
        scene.play(200);
        assert_eq!(scene.health(1), HEALTH_MAX, "{weapon:?}");
    }
}

#[test]
fn who_stands_in_front_is_hit_and_not_who_stands_behind() {
    let mut scene = Scene::new(&[(4, 8), (20, 8), (12, 8)]);
    *scene.input(0) = ArenaInput {
        aim: EAST,
        fire: true,
        weapon: Some(Weapon::Rail),
        ..ArenaInput::default()
    };
    scene.play(30);
    assert_eq!(
        (scene.health(1), scene.health(2)),
        (HEALTH_MAX, HEALTH_MAX - 60)
    );
}

#[test]
fn two_who_shoot_at_the_same_tick_both_fall() {
    let mut scene = Scene::new(&[(8, 8), (20, 8)]);
    for (who, aim) in [(0, EAST), (1, WEST)] {
        *scene.input(who) = ArenaInput {
            aim,
            fire: true,
            weapon: Some(Weapon::Rail),
            ..ArenaInput::default()
        };
    }
    scene.play(16 + 72);
    assert_eq!((scene.health(0), scene.health(1)), (0, 0));
    assert_eq!((scene.score(0), scene.score(1)), (1, 1));
}

#[test]
fn who_is_shot_twice_at_once_dies_once() {
    let mut scene = Scene::new(&[(4, 8), (28, 8), (16, 8)]);
    for (who, aim) in [(0, EAST), (1, WEST)] {
        let rail = Some(Weapon::Rail);
        *scene.input(who) = ArenaInput {
            aim,
            fire: true,
            weapon: rail,
            ..ArenaInput::default()
        };
    }
    scene.world.fighter_mut(slot(2)).unwrap().health = 60;
    scene.play(16);
    assert_eq!(scene.world.fighter(slot(2)).unwrap().deaths, 1);
    // Who came first in the list of hits: a rule like any other, but one kill is one point.
    assert_eq!((scene.score(0), scene.score(1)), (1, 0));
}

#[test]
fn the_dead_stand_up_after_two_seconds_elsewhere_whole_and_armed() {
    let mut scene = Scene::new(&[(8, 8), (20, 8)]);
    scene.world.fighter_mut(slot(1)).unwrap().health = 10;
    scene.input(0).fire = true;
    scene.input(1).move_y = 1;
    let mut fallen = None;
    while fallen.is_none() {
        scene.play(1);
        fallen = (scene.health(1) == 0).then_some(scene.tick);
        assert!(scene.tick < Tick(60), "a bolt needs half a second");
    }
    let place = scene.body(1);
    scene.input(0).fire = false;
    scene.input(1).move_x = 127;
    scene.input(1).fire = true;
    let shots = scene.world.fighter(slot(1)).unwrap().shots;
    scene.play(119);
    assert_eq!(
        scene.body(1),
        Body {
            vx: 0,
            vy: 0,
            ..place
        },
        "the dead do not walk"
    );
    assert_eq!(
        scene.world.fighter(slot(1)).unwrap().shots,
        shots,
        "nor shoot"
    );
    scene.input(1).move_x = 0;
    scene.input(1).fire = false;
    scene.play(1);
    let fighter = scene.world.fighter(slot(1)).unwrap();
    assert_eq!((fighter.health, fighter.deaths), (HEALTH_MAX, 1));
    assert_eq!(fighter.ammo, Weapon::ALL.map(|weapon| weapon.rule().ammo));
    assert_eq!(scene.score(0), 1);
}

#[test]
fn without_ammunition_nothing_flies() {
    let mut scene = Scene::new(&[(8, 8)]);
    scene.world.fighter_mut(slot(0)).unwrap().ammo = [2, 0];
    scene.input(0).fire = true;
    scene.play(120);
    let fighter = scene.world.fighter(slot(0)).unwrap();
    assert_eq!((fighter.shots, fighter.ammo), (2, [0, 0]));
}

#[test]
fn a_pickup_is_taken_by_who_needs_it_and_lies_there_again() {
    let mut scene = Scene::new(&[(8, 8), (8, 8)]);
    let pickup = &mut scene.world.pickups_mut()[0];
    (pickup.x, pickup.y, pickup.back_at) = (8 * METRE, 8 * METRE + 100, None);
    assert_eq!(pickup.kind, PickupKind::Health);
    let first = pickup.id;
    scene.play(10);
    assert_eq!(scene.world.pickups()[0].back_at, None, "nobody is hurt");
    scene.world.fighter_mut(slot(1)).unwrap().health = 30;
    scene.play(1);
    assert_eq!((scene.health(0), scene.health(1)), (HEALTH_MAX, 70));
    scene.play(479);
    assert_eq!(scene.health(1), 70);
    scene.play(1);
    assert_eq!(
        scene.health(1),
        HEALTH_MAX,
        "40 are not lost on somebody who needs 30"
    );
    let again = scene.world.pickups()[0].id;
    assert_eq!(
        (again.slot, again.generation),
        (first.slot, first.generation + 1)
    );
}

#[test]
fn ammunition_has_a_limit() {
    let mut scene = Scene::new(&[(8, 8)]);
    let pickup = &mut scene.world.pickups_mut()[1];
    assert_eq!(pickup.kind, PickupKind::Ammo);
    (pickup.x, pickup.y, pickup.back_at) = (8 * METRE, 8 * METRE, None);
    scene.world.fighter_mut(slot(0)).unwrap().ammo = [95, 0];
    scene.play(1);
    assert_eq!(scene.world.fighter(slot(0)).unwrap().ammo, [99, 3]);
}

#[test]
fn a_late_shot_for_somebody_who_left_scores_for_nobody() {
    let mut scene = Scene::new(&[(8, 8), (16, 8)]);
    scene.world.fighter_mut(slot(1)).unwrap().health = 20;
    scene.input(0).fire = true;
    scene.play(1);
    scene.world.leave(slot(0));
    let again = ClientSlot {
        index: 0,
        generation: 1,
    };
    let id = scene
        .world
        .join(again, ClientId(77))
        .expect("the place is free");
    assert_eq!((id.slot, id.generation), (0, 1));
    scene.inputs.remove(0);
    scene.play(30);
    assert_eq!(scene.health(1), 0);
    assert_eq!(scene.world.fighter(again).unwrap().score, 0);
    assert!(scene.world.fighter(slot(0)).is_none());
}

#[test]
fn a_voice_carries_to_those_near_and_not_too_often() {
    let mut scene = Scene::on(
        Walls::empty(WallsSpec { seed: 1, side: 64 }),
        &[(8, 8), (30, 8), (80, 80)],
    );
    scene.play(1);
    for text in ["hello", "hello", "\x07"] {
        scene.world.speak(slot(0), text.as_bytes(), &mut scene.out);
    }
    let voice = "Voice { from: EntityId { slot: 0, generation: 0 }, text: \"hello\" }";
    assert_eq!(scene.heard(0), [voice]);
    assert_eq!(scene.heard(1), [voice]);
    assert!(scene.heard(2).is_empty());
}

#[test]
fn whoever_predicts_with_the_same_walls_is_never_corrected() {
    let mut scene = Scene::new(&[(8, 8)]);
    let (rules, walls) = (*scene.world.rules(), scene.world.walls().clone());
    let mut predicted = scene.body(0);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for _ in 0..600 {
        let input = ArenaInput {
            move_x: rng.random_range(-127..=127),
            move_y: rng.random_range(-127..=127),
            aim: rng.random_range(0..4_096),
            ..ArenaInput::default()
        };
        *scene.input(0) = input;
        scene.play(1);
        predicted.walk(&input, &rules, &walls);
        assert_eq!(scene.body(0), predicted);
    }
}
