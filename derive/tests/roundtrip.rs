//! A struct with every kind of field: its schema is the one that a hand would write, and what goes into a
//! frame comes out of it.

// What the derives write must not care what a game calls its own things.
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    dead_code,
    reason = "names that the derives must not stumble over"
)]
#![allow(clippy::expect_used, reason = "a test may say what it relies on")]

use std::num::NonZeroU16;
use std::sync::Arc;

use proptest::prelude::*;
use tickwire::id::EntityId;
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Motion, Quantity, RowReader, Schema,
};
use tickwire::time::Tick;
use tickwire::{Replicate, ReplicateEnum};

const SIDE: f32 = 64.0;
const GRAIN: f32 = 0.25;
const BITS: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Replicate)]
struct Body {
    #[replicate(range = -SIDE..=SIDE, step = GRAIN, group = "place", moves = "linear")]
    x: f32,
    #[replicate(steps(range = 0.0..=1_000.0, step = 0.5), blend = "step")]
    height: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, ReplicateEnum)]
enum Weapon {
    Hands,
    Bow,
    Sword = 5,
    Axe,
}

#[derive(Debug, Clone, PartialEq, Replicate)]
#[replicate(kind = "everything")]
struct EveryKindOfField {
    #[replicate(flatten)]
    body: Body,
    #[replicate(angle(bits = 12), moves = "spinning")]
    yaw: f32,
    #[replicate(angle(bits = 10))]
    pitch: u16,
    #[replicate(bits = BITS)]
    level: u8,
    all: u32,
    #[replicate(bits = 12, blend = "linear")]
    speed: i16,
    low: i8,
    #[replicate(flags, bits = 3)]
    flags: u8,
    #[replicate(counter, bits = 6)]
    shots: u16,
    #[replicate(name = "in_hand")]
    weapon: Weapon,
    r#true: bool,
    #[replicate(range = 0.0..=1.0, step = 0.125)]
    levers: [f32; 3],
    held: [Weapon; 2],
    lamps: [bool; 2],
    #[replicate(unit_quaternion(bits = 10), moves = "spinning")]
    rotation: [f32; 4],
}

fn by_hand() -> Kind {
    let bits = |bits| Quantity::Unsigned { bits };
    let lever = Quantity::Ranged {
        min: 0.0,
        max: 1.0,
        step: 0.125,
    };
    let place = Quantity::Ranged {
        min: -64.0,
        max: 64.0,
        step: 0.25,
    };
    let height = Quantity::Ranged {
        min: 0.0,
        max: 1_000.0,
        step: 0.5,
    };
    let flag = Quantity::Flags { bits: 1 };
    let step = |name: &str, quantity| Field::new(name, quantity, Blend::Step);
    let mut fields = vec![
        Field::new("x", place, Blend::Linear)
            .in_group("place")
            .moving(Motion::Linear),
        step("height", height),
        Field::new("yaw", Quantity::Angle { bits: 12 }, Blend::Angle).moving(Motion::Spinning),
        Field::new("pitch", Quantity::Angle { bits: 10 }, Blend::Angle),
        step("level", bits(5)),
        step("all", bits(32)),
        Field::new("speed", Quantity::Signed { bits: 12 }, Blend::Linear),
        step("low", Quantity::Signed { bits: 8 }),
        step("flags", Quantity::Flags { bits: 3 }),
        step("shots", Quantity::Counter { bits: 6 }),
        step("in_hand", bits(3)),
        step("true", flag),
        Field::new("levers_0", lever, Blend::Linear),
        Field::new("levers_1", lever, Blend::Linear),
        Field::new("levers_2", lever, Blend::Linear),
        step("held_0", bits(3)),
        step("held_1", bits(3)),
        step("lamps_0", flag),
        step("lamps_1", flag),
    ];
    let rotation = Field::unit_quaternion("rotation", 10);
    fields.extend(rotation.map(|field| field.moving(Motion::Spinning)));
    Kind::new("everything", fields)
}

/// Into a frame and out of it.
fn through(thing: &EveryKindOfField) -> EveryKindOfField {
    let schema = Arc::new(Schema::new(vec![EveryKindOfField::kind()]).expect("valid"));
    let mut history =
        FrameHistory::new(Arc::clone(&schema), FrameConfig::default()).expect("valid");
    let mut builder = history.begin(Tick(2)).expect("in order");
    let id = EntityId {
        slot: 3,
        generation: 1,
    };
    builder
        .replicate(id, KindId(0), [0.0; 3], thing)
        .expect("all fields, no more");
    let frame = history.publish(builder);
    let row = frame.entity(3).expect("it was put");
    let kind = schema.kind(row.kind).expect("in the schema");
    EveryKindOfField::read(&mut RowReader::new(kind, row.values))
}

fn any_weapon() -> impl Strategy<Value = Weapon> {
    prop::sample::select(vec![Weapon::Hands, Weapon::Bow, Weapon::Sword, Weapon::Axe])
}

prop_compose! {
    /// Anything its types can hold, within the range of its fields or not.
    fn anything()(
        (x, height, yaw, pitch) in (-100.0_f32..100.0, -10..3_000, -9.0_f32..9.0, any::<u16>()),
        (level, all, speed, low) in any::<(u8, u32, i16, i8)>(),
        (flags, shots, r#true, lamps) in any::<(u8, u16, bool, [bool; 2])>(),
        weapon in any_weapon(),
        levers in prop::array::uniform3(-0.5_f32..1.5),
        held in prop::array::uniform2(any_weapon()),
        rotation in prop::array::uniform4(-1.0_f32..1.0),
    ) -> EveryKindOfField {
        EveryKindOfField {
            body: Body { x, height },
            yaw, pitch, level, all, speed, low, flags, shots, weapon, r#true, levers, held, lamps, rotation,
        }
    }
}

#[test]
fn the_kind_is_the_one_a_hand_would_write() {
    assert_eq!(EveryKindOfField::kind(), by_hand());
    assert_eq!(Body::kind().name, "body");
    assert_eq!(<Weapon as ReplicateEnum>::BITS, 3);
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_as_near_as_its_fields_allow(thing in anything()) {
        let back = through(&thing);
        let near = |a: f32, b: f32, by: f32| (a - b).abs() <= by + 1e-4;
        prop_assert!(near(back.body.x, thing.body.x.clamp(-SIDE, SIDE), GRAIN / 2.0));
        prop_assert_eq!(back.body.height, thing.body.height.clamp(0, 2_000));
        let turn = (back.yaw - thing.yaw).cos();
        prop_assert!(turn > (core::f32::consts::TAU / 8_192.0 + 1e-3).cos(), "yaw");
        prop_assert_eq!(back.pitch, thing.pitch % 1_024);
        prop_assert_eq!(back.level, thing.level.min(31));
        prop_assert_eq!(back.all, thing.all);
        prop_assert_eq!(back.speed, thing.speed.clamp(-2_048, 2_047));
        prop_assert_eq!(back.low, thing.low);
        prop_assert_eq!(back.flags, thing.flags & 7);
        prop_assert_eq!(back.shots, thing.shots % 64);
        prop_assert_eq!(back.weapon, thing.weapon);
        prop_assert_eq!(back.r#true, thing.r#true);
        for (back, lever) in back.levers.iter().zip(thing.levers) {
            prop_assert!(near(*back, lever.clamp(0.0, 1.0), 0.0625));
        }
        prop_assert_eq!((back.held, back.lamps), (thing.held, thing.lamps));
        let length = thing.rotation.iter().map(|part| part * part).sum::<f32>().sqrt();
        let dot: f32 = back.rotation.iter().zip(thing.rotation).map(|(a, b)| a * b / length).sum();
        prop_assert!(length < 1e-3 || dot.abs() > 0.999_99, "{:?}", thing.rotation);
    }

    #[test]
    fn what_came_out_goes_through_unchanged(thing in anything()) {
        let mut once = through(&thing);
        let mut twice = through(&once);
        // But for a rotation whose two largest parts are nearly equal: which one leads may change.
        (once.rotation, twice.rotation) = ([0.0; 4], [0.0; 4]);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn any_row_can_be_read(values in prop::collection::vec(any::<i32>(), 0..40)) {
        EveryKindOfField::read(&mut RowReader::new(&EveryKindOfField::kind(), &values));
    }
}

#[test]
fn a_field_names_its_velocity_as_the_struct_does() {
    const RATE: u16 = 30;
    #[derive(Replicate)]
    struct Ship {
        #[replicate(range = -SIDE..=SIDE, step = GRAIN, velocity = "vx")]
        x: f32,
        #[replicate(range = -SIDE..=SIDE, step = GRAIN, name = "speed")]
        vx: f32,
        #[replicate(angle(bits = 12), velocity = "spin", velocity_per = 2 * RATE)]
        yaw: u16,
        spin: i8,
        #[replicate(range = -SIDE..=SIDE, step = GRAIN, velocity = "drift")]
        place: [f32; 2],
        #[replicate(bits = 9)]
        drift: [i16; 2],
        #[replicate(bits = 9, owner_only, velocity = "heating")]
        heat: u16,
        #[replicate(owner_only)]
        heating: i8,
    }
    let kind = Ship::kind();
    let named = |name: &str| {
        let field = kind.fields.iter().find(|field| field.name == name);
        field.expect("it has this field").velocity.clone()
    };
    for (name, velocity) in [
        ("x", Some("speed")),
        ("speed", None),
        ("yaw", Some("spin")),
        ("place_0", Some("drift_0")),
        ("place_1", Some("drift_1")),
        ("drift_1", None),
        ("heat", Some("heating")),
    ] {
        assert_eq!(named(name).as_deref(), velocity, "{name}");
    }
    let per = kind.fields.iter().map(|field| field.velocity_per);
    let per: Vec<_> = per.flatten().map(NonZeroU16::get).collect();
    assert_eq!(per, [60], "of yaw alone");
    assert!(Schema::new(vec![kind]).is_ok());
}

#[test]
fn whatever_a_field_stands_for_can_be_for_its_owner_only() {
    #[derive(Replicate)]
    struct Purse {
        #[replicate(bits = 7)]
        coins: u8,
        keys: bool,
    }
    #[derive(Replicate)]
    struct Secretive {
        seen: bool,
        #[replicate(owner_only)]
        ammo: u8,
        #[replicate(owner_only, bits = 3)]
        slots: [u8; 2],
        #[replicate(unit_quaternion(bits = 9), owner_only)]
        aim: [f32; 4],
        #[replicate(flatten, owner_only)]
        purse: Purse,
    }
    let kind = Secretive::kind();
    assert_eq!(kind.fields.len(), 1 + 1 + 2 + 4 + 2);
    let told: Vec<_> = kind
        .fields
        .iter()
        .filter(|field| !field.owner_only)
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].name, "seen");
    assert!(Schema::new(vec![kind]).is_ok());
    assert!(
        !Purse::kind().fields[0].owner_only,
        "by itself it is for everybody"
    );
}

#[test]
fn a_number_that_no_variant_has_is_the_first_variant() {
    for weapon in [Weapon::Hands, Weapon::Bow, Weapon::Sword, Weapon::Axe] {
        assert_eq!(Weapon::from_code(weapon.code()), weapon);
    }
    for code in [2, 7, u32::MAX] {
        assert_eq!(Weapon::from_code(code), Weapon::Hands);
    }
}

/// A game with names of its own for everything that the derives need.
mod hostile_names {
    mod core {}
    mod std {}
    struct Vec;
    struct Kind;
    struct u8;
    type f32 = ();
    const fields: i32 = 0;
    const row: i32 = 0;

    #[derive(tickwire::Replicate)]
    struct Safe {
        #[replicate(angle(bits = 4))]
        angle: u16,
        pairs: [bool; 2],
        choice: Choice,
    }

    #[derive(tickwire::ReplicateEnum)]
    enum Choice {
        Some,
        None,
    }

    #[test]
    fn are_no_trouble() {
        assert_eq!(<Safe as tickwire::Replicate>::kind().fields.len(), 4);
    }
}
