//! The arena as it is told and drawn: frames give back what the world is, and the picture is exact.

use tickwire::game::arena::map::{Area, Canvas, draw};
use tickwire::game::arena::rules::{METRE, TILE};
use tickwire::game::arena::{
    Arena, ArenaConfig, ArenaEvent, ArenaInput, PickupView, PlayerView, ProjectileView, Thing,
    Walls, WallsSpec, Weapon, World, things_of,
};
use tickwire::game::{GameInput, Inputs, Outbox, Outgoing, Player, Simulation, SimulationConfig};
use tickwire::id::{ClientId, EntityId, UserData};
use tickwire::proto::snapshot::{FrameConfig, TickFrame};
use tickwire::proto::wire::ByteWriter;
use tickwire::time::{Tick, TickRate};

use crate::slot;

fn simulation(config: ArenaConfig) -> Simulation<Arena> {
    let run = SimulationConfig {
        rate: config.rate,
        frames: FrameConfig {
            snapshot_every: 1,
            ..FrameConfig::default()
        },
        max_clients: config.players,
    };
    Simulation::new(Arena::new(config), run).unwrap()
}

#[test]
fn a_frame_holds_the_world_to_the_last_bit() {
    let mut simulation = simulation(ArenaConfig {
        players: 8,
        ..ArenaConfig::default()
    });
    for index in 0..8 {
        let client = ClientId(u64::from(index));
        simulation.join(&Player {
            slot: slot(index),
            client,
            user_data: UserData::default(),
        });
    }
    for tick in 1..=300 {
        for index in 0..8 {
            let input = ArenaInput {
                move_x: [127, -127][index as usize % 2],
                move_y: (tick % 100) as i8,
                aim: (tick * 37 % 4_096) as u16,
                fire: true,
                weapon: None,
            };
            let mut bytes = [0; ArenaInput::MAX_LEN];
            input.encode(&mut ByteWriter::new(&mut bytes)).unwrap();
            simulation.input(slot(index), Tick(tick), &bytes);
        }
        let frame = simulation
            .advance()
            .unwrap()
            .expect("every tick has a frame");
        let world = simulation.game().world();
        let mut expected: Vec<(EntityId, Thing)> = Vec::new();
        for fighter in world.fighters() {
            expected.push((fighter.id, Thing::Player(PlayerView::from(fighter))));
            let viewpoint = frame.viewpoint(fighter.slot).expect("looks from somewhere");
            assert_eq!(viewpoint.always, Some(fighter.id));
            assert_eq!(viewpoint.center[0] * 256.0, fighter.body.x as f32);
        }
        for pickup in world
            .pickups()
            .iter()
            .filter(|pickup| pickup.back_at.is_none())
        {
            expected.push((pickup.id, Thing::Pickup(PickupView::from(pickup))));
        }
        for bolt in world.bolts() {
            expected.push((bolt.id, Thing::Projectile(ProjectileView::from(bolt))));
        }
        assert_eq!(
            things_of(&frame).collect::<Vec<_>>(),
            expected,
            "tick {tick}"
        );
    }
    assert_eq!(simulation.stats().inputs.applied, 2_400);
}

#[test]
fn a_view_is_the_fighter_within_the_limits_of_the_fields() {
    let mut world = World::new(ArenaConfig::default());
    world.join(slot(0), ClientId(0)).unwrap();
    let fighter = world.fighter_mut(slot(0)).unwrap();
    (fighter.health, fighter.weapon, fighter.ammo) = (33, Weapon::Rail, [7, 4]);
    (fighter.shots, fighter.score) = (65, 5_000);
    let view = PlayerView::from(&*fighter);
    let (health, weapon, ammo, shots, score) = (33, Weapon::Rail, 4, 1, 4_095);
    let body = fighter.body;
    assert_eq!(
        view,
        PlayerView {
            body,
            health,
            weapon,
            ammo,
            shots,
            score
        }
    );
}

#[test]
fn a_guest_is_welcomed_with_what_it_needs_to_build_the_same_walls() {
    let mut simulation = simulation(ArenaConfig {
        players: 100,
        ..ArenaConfig::default()
    });
    simulation.join(&Player {
        slot: slot(3),
        client: ClientId(5),
        user_data: UserData::default(),
    });
    let mut welcomed = None;
    simulation.drain_outbox(|outgoing| {
        let Outgoing::Message { message, .. } = outgoing else {
            panic!("{outgoing:?}")
        };
        let Some(ArenaEvent::Welcome { walls, you }) = ArenaEvent::decode(message) else {
            panic!("{message:?}")
        };
        welcomed = Some((Walls::new(walls), you));
    });
    let (walls, you) = welcomed.expect("a welcome");
    assert_eq!(&walls, simulation.game().world().walls());
    assert_eq!(you, simulation.game().world().fighter(slot(3)).unwrap().id);
}

/// A small arena with one of everything: 16 by 16 tiles, 32 by 32 m.
fn scene() -> Arena {
    let mut walls = Walls::empty(WallsSpec { seed: 1, side: 16 });
    walls.fill(4, 4, 3, 2);
    let config = ArenaConfig {
        seed: 1,
        players: 8,
        rate: TickRate::HZ_60,
    };
    let mut world = World::with_walls(config, walls);
    let places = [
        (17, 17, 0),
        (21, 9, 1_024),
        (5, 25, 2_600),
        (27, 27, 0),
        (27, 27, 0),
        (11, 21, 0),
    ];
    for (index, (x, y, yaw)) in (0..).zip(places) {
        world.join(slot(index), ClientId(u64::from(index)));
        let fighter = world.fighter_mut(slot(index)).unwrap();
        fighter.stand_up(x * METRE, y * METRE);
        fighter.body.yaw = yaw;
        fighter.input.aim = yaw;
    }
    for (at, pickup) in world.pickups_mut().iter_mut().enumerate() {
        pickup.back_at = (at > 1).then_some(Tick(u32::MAX));
        (pickup.x, pickup.y) = (3 * METRE, (5 + 24 * at as i32) * METRE);
    }
    world.fighter_mut(slot(5)).unwrap().die(Tick(u32::MAX));
    // One shot, half a second ago, from the middle to the east.
    let mut inputs: Vec<_> = (0..5)
        .map(|index| {
            let aim = world.fighter(slot(index)).unwrap().body.yaw;
            (
                slot(index),
                ArenaInput {
                    aim,
                    ..ArenaInput::default()
                },
            )
        })
        .collect();
    inputs[0].1.fire = true;
    let mut out = Outbox::default();
    world.step(Tick(1), &Inputs::new(&inputs), &mut out);
    inputs[0].1.fire = false;
    for tick in 2..18 {
        world.step(Tick(tick), &Inputs::new(&inputs), &mut out);
    }
    Arena::with_world(world)
}

fn frame_of(arena: Arena) -> (std::sync::Arc<TickFrame>, Walls) {
    let walls = arena.world().walls().clone();
    let run = SimulationConfig {
        rate: TickRate::HZ_60,
        frames: FrameConfig {
            snapshot_every: 1,
            ..FrameConfig::default()
        },
        max_clients: 0,
    };
    let mut simulation = Simulation::new(arena, run).unwrap();
    (simulation.advance().unwrap().unwrap(), walls)
}

#[test]
fn the_picture_of_a_small_arena() {
    let (frame, walls) = frame_of(scene());
    let me = frame.entity(0).map(|row| row.id);
    let canvas = Canvas {
        rows: 16,
        me,
        ..Canvas::whole(&walls, 16)
    };
    let picture = draw(&walls, things_of(&frame), &canvas);
    let expected = [
        "████████████████",
        "█=             █",
        "█            2 █",
        "█ ↙            █",
        "█              █",
        "█    x         █",
        "█              █",
        "█       ▶  ·   █",
        "█              █",
        "█              █",
        "█   ███        █",
        "█   ███   ↑    █",
        "█              █",
        "█+             █",
        "█              █",
        "████████████████",
    ];
    assert_eq!(picture, expected, "\n{}", picture.join("\n"));
}

#[test]
fn a_window_of_the_picture_shows_what_is_near_in_large() {
    let (frame, walls) = frame_of(scene());
    let area = Area::around((7 * TILE, 7 * TILE), 4);
    let canvas = Canvas {
        columns: 16,
        rows: 8,
        area,
        me: None,
        colour: false,
    };
    let picture = draw(&walls, things_of(&frame), &canvas);
    let expected = [
        "              → ",
        "                ",
        "                ",
        "                ",
        "                ",
        "                ",
        "████████        ",
        "████████        ",
    ];
    assert_eq!(picture, expected, "\n{}", picture.join("\n"));
}

#[test]
fn colours_are_added_and_nothing_else_is_changed() {
    let (frame, walls) = frame_of(scene());
    let plain = Canvas::whole(&walls, 40);
    let colour = Canvas {
        colour: true,
        ..plain
    };
    let strip = |line: &String| {
        let mut text = String::new();
        let mut parts = line.split("\x1b[");
        text.push_str(parts.next().unwrap());
        for part in parts {
            text.push_str(part.split_once('m').unwrap().1);
        }
        text
    };
    let coloured = draw(&walls, things_of(&frame), &colour);
    assert!(coloured.iter().all(|line| line.ends_with("\x1b[0m")));
    let stripped: Vec<_> = coloured.iter().map(strip).collect();
    assert_eq!(stripped, draw(&walls, things_of(&frame), &plain));
}

#[test]
fn an_absurd_canvas_is_harmless() {
    let (frame, walls) = frame_of(scene());
    for area in [
        Area {
            x: i32::MIN,
            y: i32::MIN,
            width: i32::MAX,
            height: i32::MAX,
        },
        Area {
            x: i32::MAX,
            y: 0,
            width: 0,
            height: -5,
        },
        Area::around((0, 0), i32::MAX),
    ] {
        let canvas = Canvas {
            columns: 0,
            rows: u32::MAX,
            area,
            me: None,
            colour: false,
        };
        assert_eq!(draw(&walls, things_of(&frame), &canvas).len(), 1_000);
    }
}
