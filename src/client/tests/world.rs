//! A server, a network and a client's game loop in one thread, a millisecond at a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::ms;
use crate::client::{Client, ClientConfig, DatagramSocket, Event};
use crate::id::{ClientId, ClientSlot, EntityId, UserData};
use crate::netsim::{LinkConditions, Network, ProfileConditions};
use crate::proto::channel::{ChannelConfig, ChannelId, LinkConfig};
use crate::proto::event::{DisconnectReason, ServerEvent};
use crate::proto::netcode::{Key, LocalRegistry, ServerConfig, TokenSpec};
use crate::proto::server::{ServerEndpoint, ServerEndpointConfig};
use crate::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema, ViewConfig, Viewpoint,
};
use crate::time::{Tick, TickRate, Timestamp, UnixTime};

pub(super) const CHAT: ChannelId = ChannelId(0);
pub(super) const RATE: TickRate = TickRate::HZ_60;
const FIRST_TICK: u32 = 1_000;
const PROTOCOL: u64 = 7;

pub(super) type Inbox = Rc<RefCell<VecDeque<(Vec<u8>, SocketAddr)>>>;

/// The client's place at a simulated network.
#[derive(Debug)]
pub(super) struct NetworkSocket {
    network: Rc<RefCell<Network>>,
    inbox: Inbox,
    address: SocketAddr,
    now: Timestamp,
    pub(super) breaks: u32,
    pub(super) rebinds: u32,
}

impl DatagramSocket for NetworkSocket {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.network
            .borrow_mut()
            .send(self.now, self.address, to, datagram);
        Ok(datagram.len())
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        if self.breaks > 0 {
            self.breaks -= 1;
            return Err(io::Error::other("out of order"));
        }
        Ok(self.inbox.borrow_mut().pop_front().map(|(datagram, from)| {
            let len = datagram.len().min(buffer.len());
            buffer[..len].copy_from_slice(&datagram[..len]);
            (len, from)
        }))
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = now;
    }

    fn rebind(&mut self) -> io::Result<()> {
        self.rebinds += 1;
        Ok(())
    }
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) network: Rc<RefCell<Network>>,
    pub(super) inbox: Inbox,
    pub(super) server: ServerEndpoint,
    pub(super) frames: FrameHistory,
    pub(super) server_address: SocketAddr,
    pub(super) tick: Tick,
    pub(super) client: Client<NetworkSocket>,
    /// Milliseconds from one frame of the game to the next.
    pub(super) frame_ms: u64,
    pub(super) next_frame: Timestamp,
    pub(super) events: Vec<Event>,
    pub(super) heard: Vec<ServerEvent>,
    pub(super) slot: Option<ClientSlot>,
    /// Inputs heard by the server: tick, and how many ticks before it was due.
    pub(super) inputs: Vec<(Tick, i64)>,
    pub(super) plays: bool,
}

impl World {
    pub(super) fn new(conditions: ProfileConditions, seed: u64) -> Self {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (ada, server_address) = (at(1), at(2));
        let mut network = Network::new(LinkConditions::PERFECT, seed);
        network.set_host(ada, conditions);
        let network = Rc::new(RefCell::new(network));
        let inbox = Inbox::default();
        let key = Key::generate(&mut rng);
        let token = TokenSpec {
            protocol_id: PROTOCOL,
            client: ClientId(9),
            servers: vec![server_address],
            created: UnixTime(1_000),
            expires: UnixTime(1_030),
            timeout_seconds: 5,
            user_data: UserData::default(),
        };
        let token = token.issue(&key, &mut rng).expect("a good specification");
        let socket = NetworkSocket {
            network: Rc::clone(&network),
            inbox: Rc::clone(&inbox),
            address: ada,
            now: Timestamp::ZERO,
            breaks: 0,
            rebinds: 0,
        };
        let client = Client::with_socket(
            client_config(),
            token,
            socket,
            Timestamp::ZERO,
            UnixTime(1_000),
        );
        let mut server = ServerEndpoint::new(
            server_config(key, server_address),
            &mut rng,
            1,
            Arc::new(LocalRegistry::new(4)),
        )
        .expect("a good configuration");
        server.set_wall_clock(UnixTime(1_000));
        Self {
            now: Timestamp::ZERO,
            network,
            inbox,
            server,
            frames: FrameHistory::new(schema(), FrameConfig::default()).expect("good"),
            server_address,
            tick: Tick(FIRST_TICK),
            client,
            frame_ms: 7,
            next_frame: Timestamp::ZERO,
            events: Vec::new(),
            heard: Vec::new(),
            slot: None,
            inputs: Vec::new(),
            plays: true,
        }
    }

    /// One millisecond of everything.
    pub(super) fn step(&mut self) {
        self.now += ms(1);
        self.deliver();
        let tick = Tick(FIRST_TICK + RATE.ticks_in(self.now.since(Timestamp::ZERO)));
        if tick > self.tick {
            self.tick = tick;
            if tick.0.is_multiple_of(2) {
                self.publish();
            }
        }
        self.server.handle_timeout(self.now);
        let mut buffer = [0; 2_048];
        while let Some(transmit) = self.server.poll_transmit(self.now, &mut buffer) {
            let datagram = &buffer[..transmit.len];
            self.network
                .borrow_mut()
                .send(self.now, self.server_address, transmit.to, datagram);
        }
        self.hear();
        if self.now >= self.next_frame {
            self.next_frame = self.now + ms(self.frame_ms);
            self.frame();
        }
    }

    fn publish(&mut self) {
        let mut builder = self.frames.begin(self.tick).expect("ticks ascend");
        let x = METERS.quantise(place_of_runner(self.tick.0 as f32));
        builder
            .put(RUNNER, KindId(0), [0.0; 3], &[x])
            .expect("a good entity");
        if let Some(slot) = self.slot {
            builder.view(slot, Viewpoint::at([0.0; 3]));
        }
        self.server.publish(self.now, self.frames.publish(builder));
    }

    fn deliver(&mut self) {
        while let Some(delivery) = self.network.borrow_mut().deliver(self.now) {
            if delivery.to == self.server_address {
                self.server
                    .handle_datagram(self.now, delivery.from, delivery.datagram);
            } else {
                self.inbox
                    .borrow_mut()
                    .push_back((delivery.datagram.to_vec(), delivery.from));
            }
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Connected { slot, .. } => self.slot = Some(slot),
                ServerEvent::Input { tick, .. } => {
                    self.inputs
                        .push((tick, i64::from(tick.0) - i64::from(self.tick.0)));
                }
                _ => {}
            }
            self.heard.push(event);
        }
    }

    /// One frame of the game.
    fn frame(&mut self) {
        self.client.update_at(self.now);
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
        while self.plays
            && let Some(tick) = self.client.input_due()
        {
            assert_eq!(self.client.send_typed_input(&tick.0), Ok(tick));
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    pub(super) fn ended(&self) -> Option<DisconnectReason> {
        self.events.iter().find_map(|event| match event {
            Event::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        })
    }
}

pub(super) fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7_777))
}

pub(super) fn client_config() -> ClientConfig {
    ClientConfig {
        link: link(),
        schema: schema(),
        protocol_id: Some(PROTOCOL),
        server: None,
    }
}

pub(super) fn server_config(key: Key, address: SocketAddr) -> ServerEndpointConfig {
    ServerEndpointConfig {
        netcode: ServerConfig::new(PROTOCOL, key, address, 4),
        link: link(),
        view: ViewConfig::default(),
        schema: schema(),
        tick_rate: RATE,
        snapshot_every: 2,
        hello_timeout: ms(5_000),
        unresponsive_after: ms(10_000),
    }
}

pub(super) fn link() -> Arc<LinkConfig> {
    Arc::new(LinkConfig::new(vec![ChannelConfig::reliable(CHAT.0)]).expect("one channel"))
}

pub(super) const METERS: Quantity = Quantity::Ranged {
    min: -512.0,
    max: 512.0,
    step: 1.0 / 64.0,
};
pub(super) const RUNNER: EntityId = EntityId {
    slot: 5,
    generation: 0,
};

pub(super) fn schema() -> Arc<Schema> {
    let runner = Kind::new("runner", vec![Field::new("x", METERS, Blend::Linear)]);
    Arc::new(Schema::new(vec![runner]).expect("a good schema"))
}

/// Where the runner is: a meter every ten ticks, around and around.
pub(super) fn place_of_runner(tick: f32) -> f32 {
    (tick / 10.0).rem_euclid(500.0)
}
