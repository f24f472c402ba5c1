//! The datagrams of the document's worked examples, made by the library itself.
//!
//! A client endpoint speaks to a bare session, which shows its payload; and a server endpoint answers a bare
//! session that was handed exactly the bytes of the document.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use tickwire::id::{ClientId, ClientSlot, EntityId, UserData};
use tickwire::proto::channel::header::{Header, WireNumber};
use tickwire::proto::channel::{ChannelId, LinkConfig};
use tickwire::proto::client::{ClientEndpoint, ClientEndpointConfig};
use tickwire::proto::control::BlockKind;
use tickwire::proto::event::ServerEvent;
use tickwire::proto::input::InputBytes;
use tickwire::proto::netcode::{
    ClientReceived, ClientState, ConnectToken, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient,
    NetcodeServer, Received, ServerConfig, TokenSpec,
};
use tickwire::proto::server::{ServerEndpoint, ServerEndpointConfig};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema, Scratch,
    TickFrame, ViewConfig, Viewpoint,
};
use tickwire::time::{Tick, TickRate, Timestamp, UnixTime};

const WALL: UnixTime = UnixTime(1_700_000_000);
const PROTOCOL: u64 = 1;
const SNAPSHOT_EVERY: u16 = 2;

const METRES: Quantity = Quantity::Ranged {
    min: -100.0,
    max: 100.0,
    step: 0.01,
};
const HEADING: Quantity = Quantity::Angle { bits: 8 };
const SHIELD: Quantity = Quantity::Signed { bits: 4 };
const LAMPS: Quantity = Quantity::Flags { bits: 2 };

/// The schema of section 7.4.
pub(crate) fn schema() -> Arc<Schema> {
    let ship = vec![
        Field::new("x", METRES, Blend::Linear),
        Field::new("heading", HEADING, Blend::Angle),
        Field::new("shield", SHIELD, Blend::Step),
    ];
    let buoy = vec![Field::new("lamps", LAMPS, Blend::Step)];
    let schema = Schema::new(vec![Kind::new("ship", ship), Kind::new("buoy", buoy)])
        .and_then(|schema| schema.with_max_entities(100));
    Arc::new(schema.expect("a good schema"))
}

/// The world of the examples: a ship and a buoy at tick 600, and from tick 602 on the ship alone.
pub(crate) fn frames() -> [Arc<TickFrame>; 3] {
    let config = FrameConfig {
        snapshot_every: u32::from(SNAPSHOT_EVERY),
        ..FrameConfig::default()
    };
    let mut history = FrameHistory::new(schema(), config).expect("good limits");
    let ship = EntityId {
        slot: 3,
        generation: 1,
    };
    let buoy = EntityId {
        slot: 9,
        generation: 0,
    };
    [(600, 12.5, 250), (602, 13.73, 0), (604, 13.73, 0)].map(|(tick, x, heading)| {
        let mut frame = history.begin(Tick(tick)).expect("ticks grow");
        let values = [METRES.quantise(x), heading, -2];
        frame
            .put(ship, KindId(0), [0.0; 3], &values)
            .expect("a ship");
        if tick == 600 {
            frame
                .put(buoy, KindId(1), [0.0; 3], &[0b10])
                .expect("a buoy");
        }
        let viewpoint = Viewpoint::at([0.0; 3]);
        frame.view(client_slot(), viewpoint);
        history.publish(frame)
    })
}

fn client_slot() -> ClientSlot {
    ClientSlot {
        index: 0,
        generation: 0,
    }
}

/// The two parts of the examples: from nothing, and from the one before.
pub(crate) fn parts() -> [Vec<u8>; 2] {
    let mut view = ClientView::new(client_slot(), ViewConfig::default());
    let mut scratch = Scratch::new();
    let mut number = 0;
    let [first, second, _] = frames();
    [first, second].map(|frame| {
        let mut out = [0; 1_200];
        view.begin(&frame, &mut scratch);
        let len = view.write_part(number, &mut out, &mut scratch);
        view.acked(number);
        number += 1;
        out[..len].to_vec()
    })
}

fn server_address() -> SocketAddr {
    "10.0.0.1:7777".parse().expect("an address")
}

fn client_address() -> SocketAddr {
    "10.0.0.2:40000".parse().expect("an address")
}

struct Keys {
    key: Key,
    token: ConnectToken,
    rng: ChaCha8Rng,
}

fn keys() -> Keys {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let key = Key::generate(&mut rng);
    let spec = TokenSpec {
        protocol_id: PROTOCOL,
        client: ClientId(7),
        servers: vec![server_address()],
        created: WALL,
        expires: WALL.plus_seconds(30),
        timeout_seconds: 5,
        user_data: UserData::default(),
    };
    let token = spec.issue(&key, &mut rng).expect("a good token");
    Keys { key, token, rng }
}

/// A client endpoint with a bare session for a server, which shows what the client says.
struct Overheard {
    client: ClientEndpoint,
    server: NetcodeServer,
}

impl Overheard {
    fn connecting() -> Self {
        let Keys {
            key,
            token,
            mut rng,
        } = keys();
        let config = ServerConfig::new(PROTOCOL, key, server_address(), 4);
        let registry = Arc::new(LocalRegistry::new(4));
        let server = NetcodeServer::new(config, &mut rng, WALL.0 * 1_000_000, registry)
            .expect("a good configuration");
        let config = ClientEndpointConfig {
            link: Arc::new(LinkConfig::default()),
            schema: schema(),
            protocol_id: None,
            server: None,
        };
        let client = ClientEndpoint::new(config, token, Timestamp::ZERO, WALL);
        Self { client, server }
    }

    /// Lets both ends send what they have to; the payloads that the client sent.
    fn turn(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let mut bytes = [0; MAX_DATAGRAM];
        let mut payloads = Vec::new();
        while let Some(transmit) = self.client.poll_transmit(now, &mut bytes) {
            let datagram = &mut bytes[..transmit.len];
            let received = self.server.receive(now, client_address(), datagram);
            if let Received::Payload { payload, .. } = received {
                payloads.push(payload.to_vec());
            }
        }
        while let Some(transmit) = self.server.poll_transmit(now, &mut bytes) {
            let datagram = &mut bytes[..transmit.len];
            self.client.handle_datagram(now, server_address(), datagram);
        }
        payloads
    }

    /// Says something to the client.
    fn say(&mut self, now: Timestamp, payload: &[u8]) {
        let mut bytes = [0; MAX_DATAGRAM];
        let slot = self.server.session_at(client_address());
        let sealed = self.server.seal(
            now,
            slot.expect("the session is open"),
            &mut bytes,
            write(payload),
        );
        let len = sealed.expect("the session is open").len;
        let datagram = &mut bytes[..len];
        self.client.handle_datagram(now, server_address(), datagram);
    }

    fn hello(&mut self) -> Vec<u8> {
        let first = (0..10).find_map(|_| self.turn(Timestamp::ZERO).pop());
        first.expect("the client says hello")
    }
}

fn write(payload: &[u8]) -> impl FnOnce(&mut [u8]) -> usize + '_ {
    |room| {
        room[..payload.len()].copy_from_slice(payload);
        payload.len()
    }
}

/// The first payload of a client.
pub(crate) fn client_hello() -> Vec<u8> {
    Overheard::connecting().hello()
}

/// The payload of section 13.5, from a client that got this welcome.
pub(crate) fn client_inputs(welcome: &[u8]) -> Vec<u8> {
    let mut overheard = Overheard::connecting();
    overheard.hello();
    overheard.say(Timestamp::from_millis(10), welcome);
    let seven = InputBytes::new(&[7]).expect("a short input");
    assert!(overheard.client.send_input(Tick(609), seven));
    assert_eq!(overheard.turn(Timestamp::from_millis(20)).len(), 1);

    // Datagram 1 of the server is lost; number 2 asks for an ack and carries a part.
    let header = Header {
        number: WireNumber::Short(2),
        acks: None,
        asks: true,
        messages: false,
    };
    let mut payload = vec![0; 64];
    let len = header.write(&mut payload).expect("there is room");
    payload.truncate(len);
    payload.push(BlockKind::Snapshot.code());
    payload.extend(&parts()[1]);
    overheard.say(Timestamp::from_millis(77), &payload);

    let sent = overheard.client.send(ChannelId(0), b"hi");
    sent.expect("there is room");
    assert!(overheard.client.send_input(Tick(610), seven));
    let mut said = overheard.turn(Timestamp::from_millis(79));
    said.pop().expect("the client has something to say")
}

/// A server endpoint with a bare session for a client, through which any payload can be said.
pub(crate) struct Table {
    server: ServerEndpoint,
    client: NetcodeClient,
    now: Timestamp,
}

impl Table {
    /// A session that is open and in which nothing was said.
    pub(crate) fn laid() -> Self {
        let Keys {
            key,
            token,
            mut rng,
        } = keys();
        let config = ServerEndpointConfig {
            netcode: ServerConfig::new(PROTOCOL, key, server_address(), 4),
            link: Arc::new(LinkConfig::default()),
            view: ViewConfig::default(),
            schema: schema(),
            tick_rate: TickRate::HZ_60,
            snapshot_every: SNAPSHOT_EVERY,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
        };
        let registry = Arc::new(LocalRegistry::new(4));
        let server = ServerEndpoint::new(config, &mut rng, WALL.0 * 1_000_000, registry)
            .expect("a good configuration");
        let now = Timestamp::ZERO;
        let client = NetcodeClient::new(token, now);
        let mut table = Self {
            server,
            client,
            now,
        };
        for _ in 0..10 {
            table.turn();
        }
        assert_eq!(table.client.state(), ClientState::Connected);
        table
    }

    /// Lets both ends send what they have to; the payloads that the server sent.
    fn turn(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = [0; MAX_DATAGRAM];
        let mut payloads = Vec::new();
        while let Some(transmit) = self.client.poll_transmit(self.now, &mut bytes) {
            let datagram = &mut bytes[..transmit.len];
            self.server
                .handle_datagram(self.now, client_address(), datagram);
        }
        while let Some(transmit) = self.server.poll_transmit(self.now, &mut bytes) {
            let datagram = &mut bytes[..transmit.len];
            if let ClientReceived::Payload(payload) =
                self.client.receive(self.now, server_address(), datagram)
            {
                payloads.push(payload.to_vec());
            }
        }
        payloads
    }

    /// Says something to the server.
    pub(crate) fn say(&mut self, payload: &[u8]) {
        let mut bytes = [0; MAX_DATAGRAM];
        let sealed = self.client.seal(self.now, &mut bytes, write(payload));
        let len = sealed.expect("the session is open").len;
        self.server
            .handle_datagram(self.now, client_address(), &mut bytes[..len]);
    }

    /// Ten milliseconds later one of the frames is published: what the server says.
    pub(crate) fn publish(&mut self, frame: usize) -> Vec<Vec<u8>> {
        self.now += Duration::from_millis(10);
        self.server.publish(self.now, Arc::clone(&frames()[frame]));
        self.turn()
    }

    pub(crate) fn events(&mut self) -> Vec<ServerEvent> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    /// The names of what the server refused.
    pub(crate) fn rejections(&self) -> Vec<&'static str> {
        let rejections = self.server.stats().rejections.iter();
        let counted = rejections.filter(|(_, _, count)| *count > 0);
        counted.map(|(_, name, _)| name).collect()
    }
}
