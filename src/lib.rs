//! Tickwire: an authoritative game server and an embeddable client over UDP.
//!
//! There is no connection to the network: a client is an **address** with a session behind it, proven by a signed connect
//! token and a challenge, kept alive by heartbeats, ended by a timeout or a goodbye. Every tick the server turns the inputs it
//! received into a new state of the world, and sends each client what changed since the last state that this client is known
//! to hold.
//!
//! # A server and a client
//!
//! The whole of it, in one process. `cargo run --release --example hello` is this program.
//!
#![cfg_attr(all(feature = "client", feature = "server"), doc = "```")]
#![cfg_attr(not(all(feature = "client", feature = "server")), doc = "```ignore")]
//! use std::{collections::BTreeMap, error::Error, sync::Arc, thread::sleep, time::Duration};
//! use tickwire::prelude::*;
//!
//! /// Where everybody's dot is.
//! #[derive(Default)]
//! struct Dots(BTreeMap<ClientSlot, i32>);
//!
//! impl Game for Dots {
//!     type Input = i8; // what a player wants at one tick: how far to go
//!
//!     fn schema(&self) -> Arc<Schema> {
//!         let x = Field::new("x", Quantity::Signed { bits: 16 }, Blend::Linear);
//!         Arc::new(Schema::new(vec![Kind::new("dot", vec![x])]).expect("one kind, one field"))
//!     }
//!     fn join(&mut self, player: &Player, out: &mut Outbox) {
//!         self.0.insert(player.slot, 0);
//!         out.send_to(player.slot, 0, b"push!");
//!     }
//!     fn leave(&mut self, slot: ClientSlot, _: &mut Outbox) {
//!         self.0.remove(&slot);
//!     }
//!     fn step(&mut self, _: Tick, inputs: &Inputs<'_, i8>, _: &mut Outbox) {
//!         for (slot, push) in inputs.iter() {
//!             let x = self.0.entry(slot).or_default();
//!             *x = (*x + i32::from(*push)).clamp(-1_000, 1_000);
//!         }
//!     }
//!     fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
//!         for (slot, x) in &self.0 {
//!             let (id, center) = (EntityId::of_client(*slot), [*x as f32, 0.0, 0.0]);
//!             frame.put(id, KindId(0), center, &[*x])?;
//!             let always = Some(id); // wherever it is
//!             frame.view(*slot, Viewpoint::at(center).always(always));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     // The server: threads of its own, on this machine, with a port and a key that nobody else has.
//!     let server = Server::bind(ServerConfig::local(7)?, Dots::default())?.start()?;
//!     let token = server.issue_token(ClientId(1))?; // a backend does that after a login
//!
//!     // The client: no thread, nothing that waits. One turn of this loop is a frame of a game.
//!     let mut client = Client::connect(ClientConfig::new(Dots::default().schema()), token)?;
//!     let mut seen = 0.0;
//!     while seen < 100.0 {
//!         client.update();
//!         while let Some(event) = client.poll_event() {
//!             match event {
//!                 Event::Message { message, .. } => println!("{}", String::from_utf8(message)?),
//!                 Event::Disconnected { reason, .. } => return Err(reason.to_string().into()),
//!                 _ => {}
//!             }
//!         }
//!         while client.input_due().is_some() {
//!             client.send_typed_input(&1_i8)?;
//!         }
//!         for dot in client.scene().entities() {
//!             seen = dot.values[0]; // interpolated between two snapshots
//!             println!("dot {} is at {seen:.2}", dot.id);
//!         }
//!         sleep(Duration::from_millis(16));
//!     }
//!     client.disconnect();
//!     server.shutdown("that was all")?;
//!     Ok(())
//! }
//! ```
//!
//! # Who needs what
//!
//! | you | start at |
//! |---|---|
//! | embed the client in a game loop | [`client::Client`]: std only, no runtime, no thread, nothing that waits |
//! | write a game | [`game::Game`] and [`game::GameInput`]; [`proto::snapshot::Replicate`] for structs that travel |
//! | run a server | `server::ServerConfig` and `server::Server`: it owns its threads |
//! | want typed messages | [`proto::channel::Message`]: serde in, bytes out |
//! | issue connect tokens | [`proto::netcode::TokenSpec`], anywhere; `server::TokenIssuer` with the system's clock and randomness |
//! | want sessions and nothing else | [`proto::netcode`]: netcode 1.02, both ends |
//! | record a world and read it again | `recording::Recorder` beside a server, `recording::Recording` |
//! | test under bad networks | `netsim`, and `tools::bots` for headless clients |
//!
//! [`prelude`] has the names that most games use.
//!
//! # The journey of a datagram
//!
//! Up, an input: `client::Client` asks for one per tick ([`client::Client::input_due`]) and sends it with the last few
//! repeated. The server's shard receives a batch of datagrams, asks *admission* whether this source may talk to us at all
//! (before any cryptography), opens the packet in place ([`proto::netcode`]), reads acknowledgements and messages
//! ([`proto::channel`]) and hands the input to the tick loop, whose queue ([`game::InputQueue`]) plays it at its tick.
//!
//! Down, a snapshot: [`game::Game::step`] moves the world, [`game::Game::publish`] fills a frame, which is shared by all
//! shards and never changes again. For each client the shard picks what it may see, subtracts what it holds already, puts first
//! what matters most, and splices changes (encoded once per tick for everybody) until the budget is spent
//! ([`proto::snapshot`]). The client's replica applies the datagram; [`client::Client::scene`] is the world between two
//! snapshots, to draw.
//!
//! # Floors
//!
//! `proto`, `game` and `netsim` are pure: time, bytes and randomness are arguments, so that a whole evening can be replayed
//! from a seed. `client`, `server` and `tools` are the drivers that own clocks, sockets and threads. The map of rooms is
//! `docs/architecture.md`; a test holds it.
//!
//! # Features
//!
//! | feature | gives | brings |
//! |---|---|---|
//! | none | [`proto`], [`game`], [`time`], [`id`] | no socket, no thread, no runtime |
//! | `client` | [`client`] | the standard library's socket |
//! | `server` | `server`, `recording`, `netsim`, `game::arena` | tokio, zstd |
//! | `tools` | `tools`: headless bots, the load test and their reports | `client` and `server` |
//! | `cli` (default) | `cli`, the program `tickwire` | all of it |
//!
//! A game that embeds the client writes
//! `tickwire = { version = "0.1", default-features = false, features = ["client"] }`. Features add rooms; none changes what a
//! room does.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// What the derives write says `::tickwire::`, in here as anywhere else.
extern crate self as tickwire;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(any(test, feature = "client"))]
pub mod client;
pub mod game;
pub mod id;
mod names;
#[cfg(any(test, feature = "server", feature = "tools"))]
pub mod netsim;
pub mod proto;
#[cfg(feature = "server")]
pub mod recording;
#[cfg(feature = "server")]
pub mod server;
pub mod time;
#[cfg(feature = "tools")]
pub mod tools;

/// The names that most games use: `use tickwire::prelude::*;`.
///
/// Nothing lives here: each name links to the room that does.
pub mod prelude {
    #[cfg(any(test, feature = "client"))]
    pub use crate::client::{Client, ClientConfig, ClientStats, Drawn, Event, Scene};
    pub use crate::game::{Game, GameInput, Inputs, Outbox, Player, Recipients};
    pub use crate::id::{ClientId, ClientSlot, EntityId, UserData};
    pub use crate::proto::channel::{ChannelId, Message};
    pub use crate::proto::event::{DisconnectReason, Warning, Welcome};
    pub use crate::proto::netcode::{ConnectToken, Key};
    pub use crate::proto::snapshot::{
        Blend, Field, FrameBuilder, FrameError, Kind, KindId, Quantity, Relevance, Replicate,
        RowReader, RowWriter, Schema, Team, Viewpoint,
    };
    pub use crate::proto::wire::{ByteReader, ByteWriter};
    #[cfg(feature = "server")]
    pub use crate::server::{Server, ServerConfig, ServerControl, ServerHandle, TokenIssuer};
    pub use crate::time::{Tick, TickRate};
}

/// The samples of the README are programs: each runs as a documentation test.
#[cfg(all(doctest, feature = "client", feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
pub use proto::snapshot::{Replicate, ReplicateEnum};
