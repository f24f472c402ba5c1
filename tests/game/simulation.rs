//! A game at its ticks: who is in it, which frames there are, what is handed to the driver.

use std::sync::Arc;

use tickwire::game::{
    Game, GameInput, InputOutcome, Inputs, Outbox, Outgoing, Player, Recipients, Simulation,
    SimulationConfig,
};
use tickwire::id::{ClientId, ClientSlot, EntityId, UserData};
use tickwire::proto::snapshot::{
    Blend, Field, FrameBuilder, FrameConfig, FrameError, Kind, KindId, Quantity, Schema,
};
use tickwire::proto::wire::{ByteReader, ByteWriter};
use tickwire::time::{Tick, TickRate};

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Key(u8);

impl GameInput for Key {
    const MAX_LEN: usize = 1;

    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        out.u8(self.0)
    }

    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
        bytes.u8().map(Key)
    }
}

/// Writes down what it is called with, and publishes the last key of each player.
#[derive(Default)]
struct Diary {
    lines: Vec<String>,
    keys: Vec<(ClientSlot, u8)>,
    breaks_schema: bool,
}

impl Game for Diary {
    type Input = Key;

    fn schema(&self) -> Arc<Schema> {
        let key = Field::new("key", Quantity::Unsigned { bits: 8 }, Blend::Step);
        Arc::new(Schema::new(vec![Kind::new("player", vec![key])]).unwrap())
    }

    fn join(&mut self, player: &Player, out: &mut Outbox) {
        self.lines
            .push(format!("join {} {}", player.slot, player.client));
        out.send_to(player.slot, 3, b"welcome");
    }

    fn leave(&mut self, slot: ClientSlot, out: &mut Outbox) {
        self.lines.push(format!("leave {slot}"));
        out.send(Recipients::AllBut(slot), 3, b"bye");
    }

    fn message(&mut self, from: ClientSlot, channel: u8, message: &[u8], out: &mut Outbox) {
        self.lines
            .push(format!("message {from} {channel} {message:?}"));
        out.kick(from, "no talking");
    }

    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, Key>, _: &mut Outbox) {
        self.keys = inputs.iter().map(|(slot, key)| (slot, key.0)).collect();
        self.lines.push(format!(
            "step {tick} {:?}",
            self.keys.iter().map(|(_, key)| *key).collect::<Vec<_>>()
        ));
    }

    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        for (slot, key) in &self.keys {
            let id = EntityId {
                slot: slot.index as u16,
                generation: slot.generation as u16,
            };
            let kind = KindId(u8::from(self.breaks_schema));
            frame.put(id, kind, [0.0; 3], &[i32::from(*key)])?;
        }
        Ok(())
    }
}

fn slot(index: u32, generation: u32) -> ClientSlot {
    ClientSlot { index, generation }
}

fn player(slot: ClientSlot) -> Player {
    Player {
        slot,
        client: ClientId(u64::from(slot.index) + 100),
        user_data: UserData::default(),
    }
}

fn simulation(game: Diary) -> Simulation<Diary> {
    let config = SimulationConfig {
        rate: TickRate::HZ_60,
        frames: FrameConfig {
            snapshot_every: 2,
            ..FrameConfig::default()
        },
        max_clients: 4,
    };
    Simulation::new(game, config).unwrap()
}

#[test]
fn a_game_hears_everything_in_the_order_in_which_it_happened() {
    let mut simulation = simulation(Diary::default());
    let (ada, bob) = (slot(2, 0), slot(0, 5));
    assert!(simulation.join(&player(ada)));
    simulation.advance().unwrap();
    assert!(simulation.join(&player(bob)));
    simulation.input(ada, Tick(2), &[7]);
    simulation.input(bob, Tick(3), &[8]);
    simulation.advance().unwrap();
    assert!(simulation.message(bob, 3, b"!"));
    simulation.advance().unwrap();
    assert!(simulation.leave(ada));
    simulation.advance().unwrap();
    let expected = [
        "join 2.0 102",
        "step 1 [0]",
        "join 0.5 100",
        // By client index; bob's input is for the next tick.
        "step 2 [0, 7]",
        "message 0.5 3 [33]",
        // Ada's input stands in for the missing one.
        "step 3 [8, 7]",
        "leave 2.0",
        "step 4 [8]",
    ];
    assert_eq!(simulation.game().lines, expected);
    let mut asked = Vec::new();
    simulation.drain_outbox(|outgoing| asked.push(format!("{outgoing:?}")));
    assert_eq!(asked.len(), 4);
    assert!(asked[2].contains("no talking") && asked[3].contains("AllBut"));
    simulation.drain_outbox(|outgoing: Outgoing<'_>| panic!("said twice: {outgoing:?}"));
}

#[test]
fn frames_come_on_snapshot_ticks_and_show_the_tick_just_played() {
    let mut simulation = simulation(Diary::default());
    simulation.join(&player(slot(1, 9)));
    for tick in 1..=4 {
        simulation.input(slot(1, 9), Tick(tick), &[tick as u8]);
    }
    let frames: Vec<_> = (1..=4).map(|_| simulation.advance().unwrap()).collect();
    let seen: Vec<_> = frames
        .iter()
        .flatten()
        .map(|frame| (frame.tick(), frame.entity(1).unwrap().values.to_vec()))
        .collect();
    assert_eq!(seen, [(Tick(2), vec![2]), (Tick(4), vec![4])]);
    assert_eq!(
        (simulation.stats().ticks, simulation.stats().frames),
        (4, 2)
    );
}

#[test]
fn a_seat_has_one_occupant_and_a_late_word_finds_nobody() {
    let mut simulation = simulation(Diary::default());
    let (ada, eve) = (slot(1, 0), slot(1, 1));
    assert!(simulation.join(&player(ada)));
    assert!(!simulation.join(&player(eve)), "ada sits there");
    assert!(
        !simulation.join(&player(slot(4, 0))),
        "there are four seats"
    );
    assert_eq!(
        simulation.input(ada, Tick(1), &[1]),
        Some(InputOutcome::Accepted)
    );
    assert!(simulation.leave(ada));
    assert!(!simulation.leave(ada));
    assert!(simulation.join(&player(eve)));
    assert_eq!(simulation.input(ada, Tick(1), &[1]), None);
    assert!(!simulation.message(ada, 0, b"still here"));
    simulation.advance().unwrap();
    assert_eq!(simulation.game().keys, [(eve, 0)], "eve inherits nothing");
    assert!(simulation.inputs_of(ada).is_none());
    assert_eq!(simulation.inputs_of(eve).unwrap().next_tick(), Tick(2));
    let stats = simulation.stats();
    assert_eq!((stats.clients, stats.strangers), (1, 2));
}

#[test]
fn the_totals_outlive_the_clients() {
    let mut simulation = simulation(Diary::default());
    let ada = slot(0, 0);
    simulation.join(&player(ada));
    simulation.input(ada, Tick(1), &[1]);
    simulation.input(ada, Tick(1), &[2]);
    simulation.input(ada, Tick(99), &[2]);
    simulation.input(ada, Tick(2), &[]);
    simulation.advance().unwrap();
    simulation.advance().unwrap();
    simulation.leave(ada);
    let inputs = simulation.stats().inputs;
    assert_eq!(
        (inputs.applied, inputs.repeated, inputs.rejected()),
        (1, 1, 3)
    );
}

#[test]
fn a_game_that_breaks_its_own_schema_is_told_and_plays_on() {
    let mut simulation = simulation(Diary {
        breaks_schema: true,
        ..Diary::default()
    });
    simulation.join(&player(slot(0, 0)));
    assert!(simulation.advance().unwrap().is_none());
    assert!(simulation.advance().is_err());
    assert!(simulation.advance().unwrap().is_none());
    assert_eq!(simulation.next_tick(), Tick(4));
}
