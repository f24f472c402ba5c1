//! What the tests of the session layer share: a backend, a server, clients, and a network that is a queue.
#![allow(dead_code, reason = "each test file uses its own part of the kit")]
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    reason = "a kit for tests: a broken promise ends the test"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, ClientSlot, UserData};
use tickwire::proto::netcode::{
    ClientEvent, ClientReceived, ClientState, ConnectToken, Key, LocalRegistry, MAX_DATAGRAM,
    NetcodeClient, NetcodeServer, Received, Registry, Rejection, ServerConfig, SessionEvent,
    TokenSpec,
};
use tickwire::time::{Timestamp, UnixTime};

pub const PROTOCOL: u64 = 0x1122_3344_5566_7788;
pub const WALL: u64 = 1_800_000_000;
pub const KEY: [u8; 32] = [0x60; 32];

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address in a test")
}

/// The address of the server in all tests with one.
pub fn here() -> SocketAddr {
    address("192.0.2.1:40000")
}

/// The address of the client with this number: hosts of one network, so that no test thinks of ports only.
pub fn there(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 5_000))
}

pub fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Who issues tokens.
pub struct Backend {
    pub rng: ChaCha20Rng,
    pub spec: TokenSpec,
}

impl Backend {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            spec: TokenSpec {
                protocol_id: PROTOCOL,
                client: ClientId(0),
                servers: vec![here()],
                created: UnixTime(WALL),
                expires: UnixTime(WALL + 30),
                timeout_seconds: 5,
                user_data: UserData::from_slice(b"a knight").expect("short"),
            },
        }
    }

    pub fn token(&mut self, client: u64) -> ConnectToken {
        self.spec.client = ClientId(client);
        let key = Key::from_bytes(KEY);
        self.spec
            .issue(&key, &mut self.rng)
            .expect("a good specification")
    }
}

pub fn config(max_clients: u32) -> ServerConfig {
    let mut config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY), here(), max_clients);
    config.pending_entries = 4_096;
    config
}

pub fn server_with(
    config: ServerConfig,
    started: u64,
    registry: Arc<dyn Registry>,
) -> NetcodeServer {
    let mut rng = ChaCha20Rng::seed_from_u64(started);
    NetcodeServer::new(config, &mut rng, started, registry).expect("a good configuration")
}

pub fn server(max_clients: u32) -> NetcodeServer {
    let registry = Arc::new(LocalRegistry::new(max_clients));
    server_with(config(max_clients), WALL * 1_000_000, registry)
}

/// Everything that a server wants to send now, in order.
pub fn drain_server(server: &mut NetcodeServer, now: Timestamp) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut out = [0; MAX_DATAGRAM];
    std::iter::from_fn(|| {
        let transmit = server.poll_transmit(now, &mut out)?;
        Some((transmit.to, out[..transmit.len].to_vec()))
    })
    .collect()
}

/// Everything that a client wants to send now, in order.
pub fn drain_client(client: &mut NetcodeClient, now: Timestamp) -> Vec<Vec<u8>> {
    let mut out = [0; MAX_DATAGRAM];
    std::iter::from_fn(|| {
        let transmit = client.poll_transmit(now, &mut out)?;
        assert_eq!(transmit.to, client.server_address());
        Some(out[..transmit.len].to_vec())
    })
    .collect()
}

pub fn events(server: &mut NetcodeServer) -> Vec<SessionEvent> {
    std::iter::from_fn(|| server.poll_event()).collect()
}

/// Gives one datagram to the server and answers why it was refused, if it was.
pub fn refusal(
    server: &mut NetcodeServer,
    now: Timestamp,
    from: SocketAddr,
    datagram: &[u8],
) -> Option<Rejection> {
    match server.receive(now, from, &mut datagram.to_vec()) {
        Received::Rejected(rejection) => Some(rejection),
        Received::Handled | Received::KeepAlive { .. } | Received::Payload { .. } => None,
    }
}

/// Exchanges datagrams between a server and one client until both are quiet at this moment, or the client has turned to
/// another server.
pub fn settle(
    server: &mut NetcodeServer,
    client: &mut NetcodeClient,
    from: SocketAddr,
    now: Timestamp,
) {
    let at = client.server_address();
    while client.server_address() == at {
        let up = drain_client(client, now);
        for mut datagram in up.clone() {
            server.receive(now, from, &mut datagram);
        }
        let down = drain_server(server, now);
        for (to, mut datagram) in down.clone() {
            if to == from {
                client.receive(now, at, &mut datagram);
            }
        }
        if up.is_empty() && down.is_empty() {
            return;
        }
    }
}

/// A connected client, its address and its place at the server.
pub fn connect(
    server: &mut NetcodeServer,
    backend: &mut Backend,
    number: u32,
    now: Timestamp,
) -> (NetcodeClient, SocketAddr, ClientSlot) {
    let from = there(number);
    let mut client = NetcodeClient::new(backend.token(number.into()), now);
    settle(server, &mut client, from, now);
    assert_eq!(client.state(), ClientState::Connected);
    let slot = server.session_at(from).expect("a session");
    while server.poll_event().is_some() {}
    while client.poll_event().is_some() {}
    (client, from, slot)
}

pub fn client_payload(client: &mut NetcodeClient, now: Timestamp, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let transmit = client
        .seal(now, &mut out, |room| put(room, payload))
        .expect("a connected client");
    out[..transmit.len].to_vec()
}

pub fn server_payload(
    server: &mut NetcodeServer,
    now: Timestamp,
    slot: ClientSlot,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = [0; MAX_DATAGRAM];
    let transmit = server
        .seal(now, slot, &mut out, |room| put(room, payload))
        .expect("a session");
    out[..transmit.len].to_vec()
}

pub fn put(room: &mut [u8], payload: &[u8]) -> usize {
    room[..payload.len()].copy_from_slice(payload);
    payload.len()
}

/// What a server made of a payload packet.
pub fn deliver(
    server: &mut NetcodeServer,
    now: Timestamp,
    from: SocketAddr,
    datagram: &[u8],
) -> Result<Vec<u8>, Rejection> {
    match server.receive(now, from, &mut datagram.to_vec()) {
        Received::Payload { payload, .. } => Ok(payload.to_vec()),
        Received::Rejected(rejection) => Err(rejection),
        Received::KeepAlive { .. } | Received::Handled => panic!("not a payload"),
    }
}

/// What a client made of a payload packet.
pub fn deliver_down(
    client: &mut NetcodeClient,
    now: Timestamp,
    datagram: &[u8],
) -> Result<Vec<u8>, Rejection> {
    let from = client.server_address();
    match client.receive(now, from, &mut datagram.to_vec()) {
        ClientReceived::Payload(payload) => Ok(payload.to_vec()),
        ClientReceived::Rejected(rejection) => Err(rejection),
        ClientReceived::Handled => panic!("not a payload"),
    }
}

/// A server and many clients over a network with one delay for everything and a rule for what is lost.
pub struct World {
    pub now: Timestamp,
    pub server: NetcodeServer,
    pub clients: Vec<(SocketAddr, NetcodeClient)>,
    pub delay: Duration,
    wire: VecDeque<(Timestamp, SocketAddr, SocketAddr, Vec<u8>)>,
}

impl World {
    pub fn new(server: NetcodeServer, delay: Duration) -> Self {
        Self {
            now: Timestamp::ZERO,
            server,
            clients: Vec::new(),
            delay,
            wire: VecDeque::new(),
        }
    }

    pub fn join(&mut self, from: SocketAddr, token: ConnectToken) {
        let client = NetcodeClient::new(token, self.now);
        self.clients.push((from, client));
    }

    /// Lets ten milliseconds pass. `arrives` decides about each datagram: from, to, bytes.
    pub fn step(&mut self, mut arrives: impl FnMut(SocketAddr, SocketAddr, &[u8]) -> bool) {
        self.now += Duration::from_millis(10);
        let now = self.now;
        while self.wire.front().is_some_and(|it| it.0 <= now) {
            let Some((_, from, to, mut bytes)) = self.wire.pop_front() else {
                break;
            };
            if to == here() {
                self.server.receive(now, from, &mut bytes);
            }
            for (address, client) in &mut self.clients {
                if *address == to {
                    client.receive(now, from, &mut bytes);
                }
            }
        }
        self.server.handle_timeout(now);
        let due = now + self.delay;
        for (to, bytes) in drain_server(&mut self.server, now) {
            if arrives(here(), to, &bytes) {
                self.wire.push_back((due, here(), to, bytes));
            }
        }
        for (from, client) in &mut self.clients {
            client.handle_timeout(now);
            let to = client.server_address();
            for bytes in drain_client(client, now) {
                if arrives(*from, to, &bytes) {
                    self.wire.push_back((due, *from, to, bytes));
                }
            }
        }
    }

    pub fn connected(&self) -> usize {
        let states = self.clients.iter().map(|(_, client)| client.state());
        states
            .filter(|state| *state == ClientState::Connected)
            .count()
    }
}

pub fn client_events(client: &mut NetcodeClient) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}
