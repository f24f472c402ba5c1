//! The same inputs make the same world: held by a hash that was written down.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tickwire::game::arena::{ArenaConfig, ArenaInput, Weapon, World};
use tickwire::game::{Inputs, Outbox};
use tickwire::id::{ClientId, ClientSlot};
use tickwire::time::{Tick, TickRate};

use crate::slot;

/// Plays 2,000 ticks of 48 players who do what a generator says, and some who come and go. At tick 1,000
/// `change` may change one input.
fn history(change: impl Fn(&mut ArenaInput)) -> Vec<u64> {
    let config = ArenaConfig {
        seed: 42,
        players: 64,
        rate: TickRate::HZ_60,
    };
    let mut world = World::new(config);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(43);
    let mut out = Outbox::default();
    let mut inputs: Vec<(ClientSlot, ArenaInput)> = Vec::new();
    for index in 0..48 {
        world.join(slot(index), ClientId(index.into()));
        inputs.push((
            slot(index),
            ArenaInput {
                fire: true,
                ..ArenaInput::default()
            },
        ));
    }
    let mut hashes = Vec::new();
    for tick in 1..=2_000 {
        for (who, input) in &mut inputs {
            if rng.random_range(0..20) == 0 {
                input.move_x = rng.random_range(-127..=127);
                input.move_y = rng.random_range(-127..=127);
                input.aim = rng.random_range(0..4_096);
                input.weapon = Weapon::from_code(rng.random_range(0..3));
            }
            if tick == 1_000 && who.index == 7 {
                change(input);
            }
        }
        if tick % 100 == 0 {
            let (who, _) = &mut inputs[tick as usize / 100 % 48];
            world.leave(*who);
            who.generation += 1;
            world.join(*who, ClientId(tick.into()));
        }
        world.step(Tick(tick), &Inputs::new(&inputs), &mut out);
        out.clear();
        hashes.push(world.hash());
    }
    let score: u32 = world
        .fighters()
        .map(|fighter| u32::from(fighter.score))
        .sum();
    assert!(
        score > 20,
        "something must happen for this to mean anything: {score} kills"
    );
    hashes
}

#[test]
fn the_same_inputs_make_the_same_world_today_and_on_every_machine() {
    let first = history(|_| {});
    assert_eq!(first, history(|_| {}));
    // Written down on x86-64 Linux. It changes only with the rules: then write down the new one.
    assert_eq!(
        first[1_999], 0xce1b_ae60_f488_3089,
        "{:#018x}",
        first[1_999]
    );
}

#[test]
fn one_other_input_makes_another_world() {
    let plain = history(|_| {});
    let other = history(|input| input.aim ^= 1_024);
    assert_eq!(plain[..999], other[..999]);
    assert!(
        plain[999..]
            .iter()
            .zip(&other[999..])
            .all(|(one, other)| one != other)
    );
}
