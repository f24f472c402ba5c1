//! A server endpoint, its clients and the wire between them, moved one millisecond at a time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tickwire::id::{ClientId, ClientSlot, EntityId, UserData};
use tickwire::proto::channel::{ChannelConfig, Link, LinkConfig};
use tickwire::proto::client::{ClientEndpoint, ClientEndpointConfig};
use tickwire::proto::control::PROTOCOL_VERSION;
use tickwire::proto::event::{ClientEvent, DisconnectReason, ServerEvent};
use tickwire::proto::netcode::{
    self, ConnectToken, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient, TokenSpec,
};
use tickwire::proto::server::{ServerEndpoint, ServerEndpointConfig};
use tickwire::proto::snapshot::{
    Blend, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema, ViewConfig, Viewpoint,
};
use tickwire::time::{Tick, TickRate, Timestamp, UnixTime};

const PROTOCOL: u64 = 0x7157;
const WALL: UnixTime = UnixTime(1_700_000_000);
const STEP: Duration = Duration::from_millis(1);

pub(crate) struct Setup {
    pub(crate) max_clients: u32,
    pub(crate) loss: f64,
    pub(crate) delay: Duration,
    /// Balls that lie still: a thousand of them take several datagrams.
    pub(crate) resting: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            max_clients: 64,
            loss: 0.0,
            delay: Duration::from_millis(5),
            resting: 0,
        }
    }
}

/// A client of the kit, by its place in it.
#[derive(Clone, Copy)]
pub(crate) struct Handle(usize);

struct Peer {
    address: SocketAddr,
    endpoint: ClientEndpoint,
    events: Vec<ClientEvent>,
}

/// Somebody with a good token who speaks netcode and does as they like above it.
struct Stranger {
    address: SocketAddr,
    netcode: NetcodeClient,
    link: Link,
    manners: Manners,
}

enum Manners {
    /// Four random payloads each millisecond.
    Garbage(Xoshiro256PlusPlus),
    /// Says these bodies, one after the other, and never acknowledges anything.
    Deaf { says: VecDeque<Vec<u8>> },
}

pub(crate) struct Kit {
    pub(crate) now: Timestamp,
    pub(crate) server: ServerEndpoint,
    pub(crate) server_events: Vec<ServerEvent>,
    /// Datagrams that a driver would charge to a player.
    pub(crate) charged: u64,
    setup: Setup,
    schema: Arc<Schema>,
    key: Key,
    history: FrameHistory,
    tick: Tick,
    peers: Vec<Peer>,
    strangers: Vec<Stranger>,
    wire: BTreeMap<(Timestamp, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    cut_until: Timestamp,
    is_paused: bool,
    rng: ChaCha8Rng,
}

fn server_address() -> SocketAddr {
    "10.0.0.1:7777".parse().expect("an address")
}

fn client_address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 1, (index / 200) as u8, (index % 200) as u8], 40_000))
}

fn schema(name: &str) -> Arc<Schema> {
    let metres = Quantity::Ranged {
        min: -100.0,
        max: 100.0,
        step: 0.01,
    };
    let fields = vec![
        Field::new("x", metres, Blend::Linear),
        Field::new("y", metres, Blend::Linear),
    ];
    Arc::new(Schema::new(vec![Kind::new(name, fields)]).expect("a good schema"))
}

fn link() -> Arc<LinkConfig> {
    Arc::new(LinkConfig::new(vec![ChannelConfig::reliable(0)]).expect("a good configuration"))
}

impl Kit {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0x5EED);
        let key = Key::generate(&mut rng);
        let schema = schema("ball");
        let config = ServerEndpointConfig {
            netcode: netcode::ServerConfig {
                pending_entries: 256,
                ..netcode::ServerConfig::new(
                    PROTOCOL,
                    key.clone(),
                    server_address(),
                    setup.max_clients,
                )
            },
            link: link(),
            view: ViewConfig {
                bytes_per_snapshot: 8_000,
                ..ViewConfig::default()
            },
            schema: Arc::clone(&schema),
            tick_rate: TickRate::HZ_60,
            snapshot_every: 2,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
        };
        let registry = Arc::new(LocalRegistry::new(setup.max_clients));
        let server = ServerEndpoint::new(config, &mut rng, WALL.0 * 1_000_000, registry)
            .expect("a good configuration");
        let frames = FrameConfig {
            snapshot_every: 2,
            ..FrameConfig::default()
        };
        Self {
            now: Timestamp::ZERO,
            server,
            server_events: Vec::new(),
            charged: 0,
            setup,
            history: FrameHistory::new(Arc::clone(&schema), frames).expect("good limits"),
            schema,
            key,
            tick: Tick(0),
            peers: Vec::new(),
            strangers: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            cut_until: Timestamp::ZERO,
            is_paused: false,
            rng,
        }
    }

    fn token(&mut self, client: u64, change: impl FnOnce(&mut TokenSpec)) -> ConnectToken {
        let mut spec = TokenSpec {
            protocol_id: PROTOCOL,
            client: ClientId(client),
            servers: vec![server_address()],
            created: WALL,
            expires: WALL.plus_seconds(30),
            timeout_seconds: 5,
            user_data: UserData::default(),
        };
        change(&mut spec);
        spec.issue(&self.key, &mut self.rng).expect("a good token")
    }

    fn start(&mut self, token: ConnectToken, wall: UnixTime, schema: Arc<Schema>) -> Handle {
        let config = ClientEndpointConfig {
            link: link(),
            schema,
            protocol_id: Some(PROTOCOL),
            server: Some(server_address()),
        };
        self.peers.push(Peer {
            address: client_address(self.peers.len()),
            endpoint: ClientEndpoint::new(config, token, self.now, wall),
            events: Vec::new(),
        });
        Handle(self.peers.len() - 1)
    }

    pub(crate) fn join(&mut self, client: u64) -> Handle {
        let token = self.token(client, |_| {});
        self.start(token, WALL, Arc::clone(&self.schema))
    }

    /// A client that acknowledges what it is told of the world, and does not look at it.
    pub(crate) fn join_without_replica(&mut self, client: u64) -> Handle {
        let handle = self.join(client);
        if let Some(peer) = self.peers.pop() {
            let endpoint = peer.endpoint.without_replica();
            self.peers.push(Peer { endpoint, ..peer });
        }
        handle
    }

    pub(crate) fn join_with_other_schema(&mut self, client: u64) -> Handle {
        let token = self.token(client, |_| {});
        self.start(token, WALL, schema("cube"))
    }

    pub(crate) fn join_expired(&mut self, client: u64) -> Handle {
        let token = self.token(client, |_| {});
        self.start(token, WALL.plus_seconds(30), Arc::clone(&self.schema))
    }

    pub(crate) fn join_for_other_protocol(&mut self, client: u64) -> Handle {
        let token = self.token(client, |spec| spec.protocol_id = PROTOCOL + 1);
        self.start(token, WALL, Arc::clone(&self.schema))
    }

    pub(crate) fn join_for_other_server(&mut self, client: u64) -> Handle {
        let other = "10.0.0.9:7777".parse().expect("an address");
        let token = self.token(client, |spec| spec.servers = vec![other]);
        self.start(token, WALL, Arc::clone(&self.schema))
    }

    /// Somebody with a good token who connects and then sends random payloads.
    pub(crate) fn join_garbler(&mut self, client: u64, seed: u64) {
        self.join_stranger(
            client,
            Manners::Garbage(Xoshiro256PlusPlus::seed_from_u64(seed)),
        );
    }

    /// Somebody who comes in as everybody does and then only keeps the session alive.
    pub(crate) fn join_deaf(&mut self, client: u64) {
        self.join_saying(client, &[]);
    }

    /// Somebody who comes in as everybody does, says these bodies, and then only keeps the session alive.
    pub(crate) fn join_saying(&mut self, client: u64, bodies: &[&[u8]]) {
        let mut hello = vec![1];
        hello.extend(PROTOCOL_VERSION.to_le_bytes());
        hello.extend(self.schema.hash().to_le_bytes());
        let mut says = VecDeque::from([hello]);
        says.extend(bodies.iter().map(|body| body.to_vec()));
        self.join_stranger(client, Manners::Deaf { says });
    }

    /// Somebody with a good token who connects and never says a word.
    pub(crate) fn join_mute(&mut self, client: u64) {
        let says = VecDeque::new();
        self.join_stranger(client, Manners::Deaf { says });
    }

    fn join_stranger(&mut self, client: u64, manners: Manners) {
        let token = self.token(client, |_| {});
        self.strangers.push(Stranger {
            address: client_address(1_000 + self.strangers.len()),
            netcode: NetcodeClient::new(token, self.now),
            link: Link::new(link()),
            manners,
        });
    }

    pub(crate) fn client(&self, handle: Handle) -> &ClientEndpoint {
        &self.peers[handle.0].endpoint
    }

    pub(crate) fn client_mut(&mut self, handle: Handle) -> &mut ClientEndpoint {
        &mut self.peers[handle.0].endpoint
    }

    pub(crate) fn events(&self, handle: Handle) -> &[ClientEvent] {
        &self.peers[handle.0].events
    }

    pub(crate) fn reason(&self, handle: Handle) -> Option<DisconnectReason> {
        self.events(handle).iter().find_map(|event| match event {
            ClientEvent::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn slot_of(&self, client: u64) -> ClientSlot {
        let slot = self
            .server_events
            .iter()
            .rev()
            .find_map(|event| match event {
                ServerEvent::Connected {
                    slot,
                    client: ClientId(id),
                    ..
                } if *id == client => Some(*slot),
                _ => None,
            });
        slot.expect("it has connected")
    }

    pub(crate) fn tick(&self) -> Tick {
        self.tick
    }

    pub(crate) fn silence(&mut self, duration: Duration) {
        self.cut_until = self.now + duration;
        self.run(duration);
    }

    pub(crate) fn cut_the_wire(&mut self) {
        self.cut_until = Timestamp::from_micros(u64::MAX);
    }

    /// No frame is published any more.
    pub(crate) fn pause_the_world(&mut self) {
        self.is_paused = true;
    }

    /// Every rejection that anybody counted, by name; empty when there is none.
    pub(crate) fn rejections(&self) -> String {
        let mut text = String::new();
        let clients = self
            .peers
            .iter()
            .map(|peer| &peer.endpoint.stats().rejections);
        for rejections in clients.chain([&self.server.stats().rejections]) {
            for (room, name, count) in rejections.iter().filter(|(_, _, count)| *count > 0) {
                let _ = write!(text, "{room}.{name}={count} ");
            }
        }
        text
    }

    /// Where the ball is at a tick, as the schema's integers.
    pub(crate) fn ball_at(&self, tick: Tick) -> [i32; 2] {
        let metres = Quantity::Ranged {
            min: -100.0,
            max: 100.0,
            step: 0.01,
        };
        let angle = tick.0 as f32 / 40.0;
        [
            metres.quantise(angle.cos() * 5.0),
            metres.quantise(angle.sin() * 5.0),
        ]
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += STEP;
            self.deliver();
            self.step_world();
            self.server.handle_timeout(self.now);
            self.drain();
        }
    }

    fn step_world(&mut self) {
        let due = TickRate::HZ_60.ticks_in(self.now.since(Timestamp::ZERO));
        while self.tick.0 < due {
            self.tick = self.tick.next();
            if self.tick.0.is_multiple_of(2) && !self.is_paused {
                self.publish();
            }
        }
    }

    fn publish(&mut self) {
        let values = self.ball_at(self.tick);
        let slots: Vec<ClientSlot> = self.server.slots().collect();
        let mut frame = self.history.begin(self.tick).expect("ticks grow");
        let ball = EntityId {
            slot: 3,
            generation: 0,
        };
        frame
            .put(ball, KindId(0), [0.0; 3], &values)
            .expect("the ball fits");
        for slot in 10..10 + self.setup.resting {
            let id = EntityId {
                slot,
                generation: 0,
            };
            let values = [i32::from(slot), i32::from(slot) * 7];
            frame
                .put(id, KindId(0), [1.0; 3], &values)
                .expect("a ball that lies still fits");
        }
        for slot in slots {
            frame.view(slot, Viewpoint::at([0.0; 3]));
        }
        let frame = self.history.publish(frame);
        self.server.publish(self.now, frame);
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (from, to, mut datagram) = entry.remove();
            if to == server_address() {
                let sender = self.server.handle_datagram(self.now, from, &mut datagram);
                self.charged += u64::from(sender.is_some());
            } else if let Some(peer) = self.peers.iter_mut().find(|peer| peer.address == to) {
                peer.endpoint.handle_datagram(self.now, from, &mut datagram);
            } else if let Some(stranger) = self.strangers.iter_mut().find(|by| by.address == to) {
                let _ = stranger.netcode.receive(self.now, from, &mut datagram);
            }
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.server.poll_transmit(self.now, &mut buffer) {
            self.send(server_address(), transmit.to, &buffer[..transmit.len]);
        }
        while let Some(event) = self.server.poll_event() {
            self.server_events.push(event);
        }
        for index in 0..self.peers.len() {
            self.peers[index].endpoint.handle_timeout(self.now);
            while let Some(transmit) = self.peers[index]
                .endpoint
                .poll_transmit(self.now, &mut buffer)
            {
                let from = self.peers[index].address;
                self.send(from, transmit.to, &buffer[..transmit.len]);
            }
            while let Some(event) = self.peers[index].endpoint.poll_event() {
                self.peers[index].events.push(event);
            }
        }
        for index in 0..self.strangers.len() {
            self.hear_stranger(index, &mut buffer);
        }
    }

    fn hear_stranger(&mut self, index: usize, buffer: &mut [u8]) {
        let (now, stranger) = (self.now, &mut self.strangers[index]);
        stranger.netcode.handle_timeout(now);
        let mut out = Vec::new();
        while let Some(transmit) = stranger.netcode.poll_transmit(now, buffer) {
            out.push((transmit.to, buffer[..transmit.len].to_vec()));
        }
        while stranger.netcode.poll_event().is_some() {}
        for _ in 0..4 {
            let (link, manners) = (&mut stranger.link, &mut stranger.manners);
            let sealed = stranger.netcode.seal(now, buffer, |payload| match manners {
                Manners::Garbage(rng) => {
                    let len = rng.random_range(1..=payload.len());
                    rng.fill_bytes(&mut payload[..len]);
                    len
                }
                Manners::Deaf { says } => link.fill(now, payload, 0, |_, room| {
                    let body = says.pop_front().unwrap_or_default();
                    room[..body.len()].copy_from_slice(&body);
                    body.len()
                }),
            });
            if let Some(transmit) = sealed {
                out.push((transmit.to, buffer[..transmit.len].to_vec()));
            }
        }
        let from = stranger.address;
        for (to, datagram) in out {
            self.send(from, to, &datagram);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.sent += 1;
        if self.now < self.cut_until || self.rng.random_bool(self.setup.loss) {
            return;
        }
        let arrives = self.now + self.setup.delay;
        self.wire
            .insert((arrives, self.sent), (from, to, datagram.to_vec()));
    }
}
