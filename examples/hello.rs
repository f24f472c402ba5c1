//! A server and a client in one file: a dot on a line for every player, and one player who pushes it.
//!
//! ```text
//! cargo run --release --example hello
//! ```
//!
//! Ends by itself after about two seconds, when the client has seen its dot at 100. After
//! this, `own_game` has several kinds of things and messages both ways, and `game_loop` a client that shows how it is doing.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a driver that talks to a terminal and sleeps between two frames; a schema that is a constant"
)]

use std::{collections::BTreeMap, error::Error, sync::Arc, thread::sleep, time::Duration};
use tickwire::prelude::*;

/// Where everybody's dot is.
#[derive(Default)]
struct Dots(BTreeMap<ClientSlot, i32>);

impl Game for Dots {
    type Input = i8; // what a player wants at one tick: how far to go

    fn schema(&self) -> Arc<Schema> {
        let x = Field::new("x", Quantity::Signed { bits: 16 }, Blend::Linear);
        Arc::new(Schema::new(vec![Kind::new("dot", vec![x])]).expect("one kind, one field"))
    }
    fn join(&mut self, player: &Player, out: &mut Outbox) {
        self.0.insert(player.slot, 0);
        out.send_to(player.slot, 0, b"push!");
    }
    fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
        self.0.remove(&slot);
    }
    fn step(&mut self, _: Tick, inputs: &Inputs<'_, i8>, _: &mut Outbox) {
        for (slot, push) in inputs.iter() {
            let x = self.0.entry(slot).or_default();
            *x = (*x + i32::from(*push)).clamp(-1_000, 1_000);
        }
    }
    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        for (slot, x) in &self.0 {
            let (id, center) = (EntityId::of_client(*slot), [*x as f32, 0.0, 0.0]);
            frame.put(id, KindId(0), center, &[*x])?;
            let always = Some(id); // wherever it is
            frame.view(*slot, Viewpoint::at(center).always(always));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The server: threads of its own, on this machine, with a port and a key that nobody else has.
    let server = Server::bind(ServerConfig::local(7)?, Dots::default())?.start()?;
    let token = server.issue_token(ClientId(1))?; // a backend does that after a login

    // The client: no thread, nothing that waits. One turn of this loop is a frame of a game.
    let mut client = Client::connect(ClientConfig::new(Dots::default().schema()), token)?;
    let mut seen = 0.0;
    while seen < 100.0 {
        client.update();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Message { message, .. } => println!("{}", String::from_utf8(message)?),
                Event::Disconnected { reason, .. } => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        while client.input_due().is_some() {
            client.send_typed_input(&1_i8)?;
        }
        for dot in client.scene().entities() {
            seen = dot.values[0]; // interpolated between two snapshots
            println!("dot {} is at {seen:.2}", dot.id);
        }
        sleep(Duration::from_millis(16));
    }
    client.disconnect();
    server.shutdown("that was all")?;
    Ok(())
}
