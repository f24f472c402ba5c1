//! The server on real loopback sockets: clients come, get their snapshots, and are told why it ends.
//!
//! Everything here waits for something to happen, at most [`PATIENCE`], and never for a time to pass.
#![cfg(feature = "server")]
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tickwire::game::arena::{Arena, ArenaConfig, ArenaInput, schema};
use tickwire::game::{Game, Inputs, Outbox, Player};
use tickwire::id::{ClientId, ClientSlot, UserData};
use tickwire::proto::channel::LinkConfig;
use tickwire::proto::client::{ClientEndpoint, ClientEndpointConfig};
use tickwire::proto::event::{ClientEvent, DisconnectReason, Warning};
use tickwire::proto::input::InputBytes;
use tickwire::proto::netcode::{Key, TokenSpec};
use tickwire::proto::snapshot::{FrameBuilder, FrameError, Schema};
use tickwire::server::admission::Allowance;
use tickwire::server::clock::{ServerClock, calendar};
use tickwire::server::metrics::Counter;
use tickwire::server::{Server, ServerConfig, ServerError, ServerHandle};
use tickwire::time::Tick;

const PROTOCOL: u64 = 0x7157;
const KEY: [u8; 32] = [7; 32];

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(10);

fn config() -> ServerConfig {
    let mut config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY));
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.max_clients = 64;
    config
}

fn arena() -> Arena {
    Arena::new(ArenaConfig::default())
}

fn start(config: ServerConfig) -> ServerHandle {
    Server::bind(config, arena())
        .expect("binds")
        .start()
        .expect("starts")
}

/// A client on a socket of its own.
struct Client {
    endpoint: ClientEndpoint,
    socket: UdpSocket,
    clock: ServerClock,
    events: Vec<ClientEvent>,
}

impl Client {
    fn new(server: SocketAddr, id: u64) -> Self {
        let spec = TokenSpec {
            protocol_id: PROTOCOL,
            client: ClientId(id),
            servers: vec![server],
            created: calendar(),
            expires: calendar().plus_seconds(60),
            timeout_seconds: 5,
            user_data: UserData::default(),
        };
        let mut rng = ChaCha20Rng::seed_from_u64(id);
        let token = spec
            .issue(&Key::from_bytes(KEY), &mut rng)
            .expect("a good token");
        let config = ClientEndpointConfig {
            link: Arc::new(LinkConfig::default()),
            schema: schema(),
            protocol_id: Some(PROTOCOL),
            server: Some(server),
        };
        let clock = ServerClock::start();
        #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        socket
            .set_read_timeout(Some(Duration::from_millis(2)))
            .expect("a timeout");
        Self {
            endpoint: ClientEndpoint::new(config, token, clock.now(), calendar()),
            socket,
            clock,
            events: Vec::new(),
        }
    }

    /// Sends what is due.
    fn send(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(transmit) = self.endpoint.poll_transmit(self.clock.now(), &mut buffer) {
            self.socket
                .send_to(&buffer[..transmit.len], transmit.to)
                .expect("sent");
        }
    }

    /// Sends what is due, and receives for about two milliseconds.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        self.endpoint.handle_timeout(self.clock.now());
        self.send();
        match self.socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                self.endpoint
                    .handle_datagram(self.clock.now(), from, &mut buffer[..length]);
            }
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ),
                "{error}"
            ),
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
    }

    fn whole_snapshots(&self) -> usize {
        let is_whole =
            |event: &&ClientEvent| matches!(event, ClientEvent::Snapshot { whole: true, .. });
        self.events.iter().filter(is_whole).count()
    }

    fn is_connected(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, ClientEvent::Connected(_)))
    }

    /// Why it ended, and what the server had to say about it.
    fn end(&self) -> Option<(DisconnectReason, &str)> {
        self.events.iter().find_map(|event| match event {
            ClientEvent::Disconnected { reason, text } => Some((*reason, text.as_str())),
            _ => None,
        })
    }
}

/// Lets everybody take turns until all of them are `done`.
fn until(clients: &mut [Client], what: &str, done: impl Fn(&Client) -> bool) {
    let clock = ServerClock::start();
    let start = clock.now();
    while !clients.iter().all(&done) {
        assert!(
            clock.now().since(start) < PATIENCE,
            "gave up waiting until {what}"
        );
        clients.iter_mut().for_each(Client::turn);
    }
}

fn crowd(server: SocketAddr, count: u64) -> Vec<Client> {
    (1..=count).map(|id| Client::new(server, id)).collect()
}

#[test]
fn a_client_connects_plays_and_learns_why_it_ends() {
    let server = start(config());
    let mut clients = crowd(server.local_addr(), 1);
    until(&mut clients, "ten whole snapshots came", |client| {
        client.whole_snapshots() >= 10
    });
    let stats = server.stats();
    assert_eq!(
        (stats.seated, stats.total.sessions, stats.used_tokens),
        (1, 1, 1)
    );
    assert!(stats.tick.played > 10);
    assert_eq!(server.control().roster()[0].client, ClientId(1));

    let ending = std::thread::scope(|scope| {
        let ending = scope.spawn(|| server.shutdown("back at noon"));
        until(&mut clients, "the end came", |client| {
            client.end().is_some()
        });
        ending.join().expect("no panic")
    });
    let last = ending.expect("every thread ended well");
    assert_eq!(
        clients[0].end(),
        Some((DisconnectReason::ServerShutdown, "back at noon"))
    );
    assert_eq!((last.seated, last.total.sessions), (0, 0));
    assert_eq!(last.total.get(Counter::Connects), 1);
    assert_eq!(last.total.get(Counter::Disconnects), 1);
}

#[test]
fn two_shards_share_the_port_the_places_and_the_world() {
    let mut config = config();
    config.shards = 2;
    config.max_clients = 12;
    let server = start(config);
    let mut clients = crowd(server.local_addr(), 12);
    until(&mut clients, "everybody plays", |client| {
        client.whole_snapshots() >= 3
    });
    let stats = server.stats();
    assert_eq!(
        stats.shards.iter().map(|shard| shard.sessions).sum::<u64>(),
        12
    );
    assert!(
        stats.shards.iter().all(|shard| shard.sessions > 0),
        "{:?}",
        stats.shards
    );
    let mut slots: Vec<_> = server
        .control()
        .roster()
        .iter()
        .map(|it| it.slot.index)
        .collect();
    slots.dedup();
    assert_eq!(slots, (0..12).collect::<Vec<_>>());
    // The thirteenth is told that there is no room, whichever shard it asks.
    let mut late = vec![Client::new(server.local_addr(), 13)];
    until(&mut late, "the late one was refused", |client| {
        client.end().is_some()
    });
    assert_eq!(
        late[0].end().expect("ended").0,
        DisconnectReason::ServerFull
    );
    server.shutdown("").expect("ends well");
}

#[test]
fn a_token_works_once_in_the_whole_process() {
    let mut config = config();
    config.shards = 2;
    let server = start(config);
    let mut first = vec![Client::new(server.local_addr(), 1)];
    until(&mut first, "the first plays", |client| {
        client.whole_snapshots() >= 1
    });
    // The same seed makes the same token; another socket may well reach the other shard.
    let mut copies: Vec<_> = (0..4)
        .map(|_| Client::new(server.local_addr(), 1))
        .collect();
    for _ in 0..100 {
        copies.iter_mut().for_each(Client::turn);
        first.iter_mut().for_each(Client::turn);
    }
    assert!(copies.iter().all(|copy| !copy.is_connected()));
    assert_eq!(first[0].end(), None);
    assert_eq!(server.stats().total.get(Counter::Connects), 1);
    server.shutdown("").expect("ends well");
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let first = Server::bind(config(), arena()).expect("binds");
    let mut second = config();
    second.listen = first.local_addr();
    let error = Server::bind(second, arena()).expect_err("in use");
    let ServerError::System(inner) = &error else {
        panic!("{error}")
    };
    assert_eq!(inner.kind(), io::ErrorKind::AddrInUse);
    assert!(
        error.to_string().contains(&first.local_addr().to_string()),
        "{error}"
    );
}

#[test]
fn a_configuration_that_cannot_be_names_the_field() {
    let mut wrong = config();
    wrong.snapshot_rate = tickwire::time::TickRate::new(45).expect("a rate");
    let error = Server::bind(wrong, arena()).expect_err("45 does not divide 60");
    assert!(
        error
            .to_string()
            .starts_with("snapshot_rate: 45 Hz does not divide"),
        "{error}"
    );
}

#[test]
fn a_kick_a_ban_and_a_warning_reach_the_client() {
    let server = start(config());
    let control = server.control();
    let mut clients = crowd(server.local_addr(), 2);
    until(&mut clients, "both play", |client| {
        client.whole_snapshots() >= 1
    });
    control.announce_shutdown(Duration::from_secs(60));
    until(&mut clients, "both were warned", |client| {
        client.events.iter().any(|event| {
            matches!(
                event,
                ClientEvent::Warned {
                    warning: Warning::ShutdownSoon,
                    grace_ms: 60_000
                }
            )
        })
    });
    assert!(control.kick(ClientId(1), "be nice"));
    control.ban(ClientId(2));
    until(&mut clients, "both are out", |client| {
        client.end().is_some()
    });
    assert_eq!(
        clients[0].end(),
        Some((DisconnectReason::Kicked, "be nice"))
    );
    assert_eq!(clients[1].end(), Some((DisconnectReason::Banned, "")));
    server.shutdown("").expect("ends well");
}

#[test]
fn the_hook_sees_every_frame_in_order() {
    let newest = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&newest);
    let server = Server::bind(config(), arena())
        .expect("binds")
        .on_frame(Box::new(move |frame| {
            let before = seen.swap(frame.tick().0, Ordering::SeqCst);
            assert!(
                before == 0 || frame.tick() == Tick(before + 2),
                "30 Hz of 60"
            );
        }));
    let server = server.start().expect("starts");
    let mut clients = crowd(server.local_addr(), 1);
    until(&mut clients, "some snapshots came", |client| {
        client.whole_snapshots() >= 5
    });
    let last = server.shutdown("").expect("the hook did not panic");
    assert!(newest.load(Ordering::SeqCst) + 2 > last.tick.tick);
}

#[test]
fn a_client_far_over_its_allowance_is_warned_and_dropped_and_nobody_else_notices() {
    let mut config = config();
    config.admission.patience_seconds = 1;
    config.admission.player_datagrams = Allowance::new(120, 120);
    let server = start(config);
    let mut clients = crowd(server.local_addr(), 2);
    until(&mut clients, "both play", |client| {
        client.whole_snapshots() >= 1
    });
    let clock = ServerClock::start();
    let start = clock.now();
    let mut tick = server.stats().tick.tick;
    let input = InputBytes::new(&[]).expect("short");
    while clients[0].end().is_none() {
        assert!(
            clock.now().since(start) < PATIENCE,
            "the flooder was never dropped"
        );
        for _ in 0..20 {
            tick += 1;
            clients[0].endpoint.send_input(Tick(tick), input);
            // All at once: one that rests between its datagrams is hardly over its allowance where the machine is slow.
            clients[0].send();
        }
        clients[0].turn();
        clients[1].turn();
    }
    assert_eq!(
        clients[0].end().expect("ended").0,
        DisconnectReason::RateLimited
    );
    assert!(clients[0].events.iter().any(|event| {
        matches!(
            event,
            ClientEvent::Warned {
                warning: Warning::RateLimited,
                ..
            }
        )
    }));
    assert_eq!(clients[1].end(), None);
    let stats = server.stats();
    assert_eq!(stats.total.get(Counter::PlayersExpelled), 1);
    assert!(stats.total.get(Counter::PlayersLimited) > 0);
    server.shutdown("").expect("ends well");
}

#[test]
fn run_ends_when_its_future_is_ready_and_can_be_spawned() {
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let server = Server::bind(config(), arena()).expect("binds");
    let running = is_send(server.run(async { "enough" }));
    let last = runtime
        .expect("a runtime")
        .block_on(running)
        .expect("ends well");
    assert_eq!(last.seated, 0);
}

#[test]
fn nobody_shuts_out_an_orderly_end_not_even_a_client_that_vanished() {
    let mut config = config();
    config.drain_timeout = Duration::from_secs(2);
    let server = start(config);
    let mut clients = crowd(server.local_addr(), 1);
    until(&mut clients, "it plays", |client| {
        client.whole_snapshots() >= 1
    });
    drop(clients);
    let clock = ServerClock::start();
    let start = clock.now();
    server.shutdown("").expect("ends well");
    assert!(clock.now().since(start) < Duration::from_secs(3));
}

/// An arena whose ticks take twice their time while it is told to be heavy.
struct Heavy {
    arena: Arena,
    is_heavy: Arc<AtomicBool>,
}

impl Game for Heavy {
    type Input = ArenaInput;

    fn schema(&self) -> Arc<Schema> {
        self.arena.schema()
    }

    fn join(&mut self, player: &Player, out: &mut Outbox) {
        self.arena.join(player, out);
    }

    fn leave(&mut self, slot: ClientSlot, out: &mut Outbox) {
        self.arena.leave(slot, out);
    }

    fn step(&mut self, tick: Tick, inputs: &Inputs<'_, ArenaInput>, out: &mut Outbox) {
        if self.is_heavy.load(Ordering::Relaxed) {
            #[expect(clippy::disallowed_methods, reason = "work that takes this long")]
            std::thread::sleep(Duration::from_millis(33));
        }
        self.arena.step(tick, inputs, out);
    }

    fn publish(&self, frame: &mut FrameBuilder) -> Result<(), FrameError> {
        self.arena.publish(frame)
    }
}

#[test]
fn a_world_that_is_too_heavy_slows_down_visibly_and_recovers() {
    let is_heavy = Arc::new(AtomicBool::new(true));
    let game = Heavy {
        arena: arena(),
        is_heavy: Arc::clone(&is_heavy),
    };
    let newest = AtomicU32::new(0);
    let server = Server::bind(config(), game)
        .expect("binds")
        .on_frame(Box::new(move |frame| {
            let before = newest.swap(frame.tick().0, Ordering::SeqCst);
            assert!(
                before == 0 || frame.tick() == Tick(before + 2),
                "ticks stay in order"
            );
        }));
    let server = server.start().expect("starts");
    let mut clients = crowd(server.local_addr(), 4);
    until(&mut clients, "wall time was given up", |_| {
        server.stats().tick.skipped_us > 0
    });
    let heavy = server.stats().tick;
    assert!(heavy.overruns > 0 && heavy.p50_us >= 33_000, "{heavy:?}");
    is_heavy.store(false, Ordering::Relaxed);
    until(&mut clients, "the world runs again", |client| {
        client.whole_snapshots() >= 60
    });
    assert!(clients.iter().all(|client| client.end().is_none()));
    server
        .shutdown("")
        .expect("the hook saw every tick in order");
}

#[test]
fn a_flood_of_strangers_is_limited_and_no_player_notices() {
    let server = start(config());
    let mut clients = crowd(server.local_addr(), 4);
    until(&mut clients, "everybody plays", |client| {
        client.whole_snapshots() >= 1
    });
    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let junk = [0; 1_078];
    for _ in 0..200 {
        for _ in 0..100 {
            // Whatever the kernel drops is dropped.
            let _ = stranger.send_to(&junk, server.local_addr());
        }
        clients.iter_mut().for_each(Client::turn);
    }
    let before = clients[0].whole_snapshots();
    until(&mut clients, "the game goes on", |client| {
        client.whole_snapshots() >= before + 10
    });
    assert!(clients.iter().all(|client| client.end().is_none()));
    let stats = server.stats().total;
    assert!(stats.get(Counter::StrangersLimited) > 0, "{stats:?}");
    assert_eq!(stats.get(Counter::PlayersLimited), 0);
    server.shutdown("").expect("ends well");
}
