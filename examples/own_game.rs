//! A game of your own on the library's server and client: boats that row to a buoy and start again.
//!
//! ```text
//! cargo run --release --example own_game
//! ```
//!
//! A game brings **state** for snapshots (`Replicate`), **inputs** by tick (`GameInput`), **messages** both ways
//! (serde and `Message`) and its rules (`Game`). Ends by itself after three laps, about four seconds.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "driver")]
#![expect(clippy::expect_used, reason = "a schema that is a constant")]

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, error::Error, sync::Arc, thread::sleep, time::Duration};
use tickwire::prelude::*;

const TALK: ChannelId = ChannelId(0); // reliable, in order
const BUOY: f32 = 6.0;

/// State: what travels in snapshots, here the whole boat.
#[derive(Default)]
struct Boat {
    x: f32,
    laps: u32,
}

impl Replicate for Boat {
    fn kind() -> Kind {
        let (min, max, step) = (-32.0, 32.0, 1.0 / 64.0); // metres
        let x = Field::new("x", Quantity::Ranged { min, max, step }, Blend::Linear);
        let laps = Field::new("laps", Quantity::Unsigned { bits: 8 }, Blend::Step);
        Kind::new("boat", vec![x, laps])
    }
    fn write(&self, row: &mut RowWriter<'_>) {
        row.number(self.x);
        row.unsigned(self.laps);
    }
    fn read(row: &mut RowReader<'_>) -> Self {
        let (x, laps) = (row.number(), row.unsigned());
        Self { x, laps }
    }
}

/// Input: what a player wants at one tick. The default is to drift.
#[derive(Clone, Default, PartialEq)]
struct Row(i8);

impl GameInput for Row {
    const MAX_LEN: usize = 1;
    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        out.u8(self.0.cast_unsigned())
    }
    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
        let pull = bytes.u8()?.cast_signed();
        // A stranger wrote this: what the game cannot live with is no input.
        (-1..=1).contains(&pull).then_some(Self(pull))
    }
}

/// Messages: what happens once.
#[derive(Serialize, Deserialize)]
enum Said {
    IAm(String),                    // client to server
    Lap { name: String, lap: u32 }, // server to everybody
}
impl Message for Said {}

/// The rules, and everybody's name and boat.
#[derive(Default)]
struct Regatta(BTreeMap<ClientSlot, (String, Boat)>);

impl Game for Regatta {
    type Input = Row;

    fn schema(&self) -> Arc<Schema> {
        Arc::new(Schema::new(vec![Boat::kind()]).expect("one small kind"))
    }
    fn join(&mut self, player: &Player, _: &mut Outbox) {
        self.0.insert(player.slot, Default::default());
    }
    fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
        self.0.remove(&slot);
    }
    fn message(&mut self, from: ClientSlot, _: u8, message: &[u8], _: &mut Outbox) {
        let said = Said::from_bytes(message);
        if let (Some(boat), Ok(Said::IAm(name))) = (self.0.get_mut(&from), said) {
            boat.0 = name.chars().take(20).collect();
        }
    }
    fn step(&mut self, _: Tick, inputs: &Inputs<'_, Row>, out: &mut Outbox) {
        for (slot, Row(pull)) in inputs.iter() {
            let (name, boat) = self.0.entry(slot).or_default();
            boat.x = (boat.x + 0.1 * f32::from(*pull)).max(-BUOY);
            if boat.x >= BUOY {
                (boat.x, boat.laps) = (0.0, boat.laps + 1);
                let (name, lap) = (name.clone(), boat.laps);
                if let Ok(bytes) = (Said::Lap { name, lap }).to_bytes() {
                    out.send(Recipients::All, TALK.0, &bytes);
                }
            }
        }
    }
    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        for (slot, (_, boat)) in &self.0 {
            let (id, center) = (EntityId::of_client(*slot), [boat.x, 0.0, 0.0]);
            frame.replicate(id, KindId(0), center, boat)?;
            frame.view(*slot, Viewpoint::at(center).always(id));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind(ServerConfig::local(8)?, Regatta::default())?.start()?;
    let token = server.issue_token(ClientId(1))?;
    let mut client = Client::connect(ClientConfig::new(Regatta::default().schema()), token)?;
    let mut laps = 0;
    while laps < 3 {
        client.update();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Connected(_) => client.send_typed(TALK, &Said::IAm("Ada".into()))?,
                Event::Message { message, .. } => {
                    if let Said::Lap { name, lap } = Said::from_bytes(&message)? {
                        println!("{name} was at the buoy: lap {lap}");
                        laps = lap;
                    }
                }
                Event::Disconnected { reason, .. } => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        for boat in client.scene().entities().map(|drawn| drawn.read::<Boat>()) {
            println!("{:.2} m, {} laps", boat.x, boat.laps);
        }
        while client.input_due().is_some() {
            client.send_typed_input(&Row(1))?;
        }
        sleep(Duration::from_millis(16));
    }
    client.disconnect();
    server.shutdown("the regatta is over")?;
    Ok(())
}
