//! A small server with its admin port, and a client that got its token there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tickwire::client::{Client, ClientConfig, Event};
use tickwire::game::arena::{Arena, ArenaConfig, schema};
use tickwire::proto::channel::LinkConfig;
use tickwire::proto::event::DisconnectReason;
use tickwire::proto::netcode::{ConnectToken, Key};
use tickwire::server::admin::{Admin, AdminConfig, AdminHandle, TokenIssuer};
use tickwire::server::clock::ServerClock;
use tickwire::server::{FrameHook, Server, ServerConfig, ServerControl, ServerHandle};

use crate::PATIENCE;
use crate::http;

pub(crate) const PROTOCOL: u64 = 0xad;
pub(crate) const TOKEN: &str = "not-very-secret-0123456789";
const KEY: [u8; 32] = [9; 32];

/// A running server and its admin port.
pub(crate) struct House {
    // First, so that it closes first.
    pub(crate) admin: AdminHandle,
    pub(crate) server: ServerHandle,
}

impl House {
    /// A server for so many clients, whose admin port needs this bearer token.
    pub(crate) fn new(max_clients: u32, shards: u16, token: Option<&str>) -> Self {
        Self::with(max_clients, shards, token, Box::new(|_| {}))
    }

    /// The same, with something to do on the world's thread at every frame.
    pub(crate) fn with(
        max_clients: u32,
        shards: u16,
        token: Option<&str>,
        hook: FrameHook,
    ) -> Self {
        let mut config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY));
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.max_clients = max_clients;
        config.shards = shards;
        let server = Server::bind(config, Arena::new(ArenaConfig::default()))
            .expect("binds")
            .on_frame(hook);
        let admin = Admin::bind(AdminConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: token.map(str::to_owned),
            issuer: Some(issuer(server.local_addr())),
        });
        let server = server.start().expect("starts");
        let admin = admin.expect("binds").start(server.control());
        Self { admin, server }
    }

    pub(crate) fn open() -> Self {
        Self::new(8, 1, None)
    }

    pub(crate) fn port(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    pub(crate) fn control(&self) -> ServerControl {
        self.server.control()
    }

    /// A client with a token that the admin port made.
    pub(crate) fn client(&self, body: &str) -> Player {
        let answer = http::post(self.port(), "/connect-token", body);
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        Player::new(&answer.body)
    }
}

pub(crate) fn issuer(server: SocketAddr) -> TokenIssuer {
    TokenIssuer {
        key: Key::from_bytes(KEY),
        protocol_id: PROTOCOL,
        public: vec![server],
        timeout_seconds: 5,
        expires_seconds: 30,
        loopback_only: true,
    }
}

/// Asks until this is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = ServerClock::start();
    let start = clock.now();
    while !is_so() {
        assert!(
            clock.now().since(start) < PATIENCE,
            "gave up waiting until {what}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A client as a game has it.
pub(crate) struct Player {
    client: Client,
    events: Vec<Event>,
}

impl Player {
    pub(crate) fn new(token: &[u8]) -> Self {
        let token = ConnectToken::from_bytes(token).expect("a connect token");
        let config = ClientConfig {
            link: Arc::new(LinkConfig::default()),
            schema: schema(),
            protocol_id: Some(PROTOCOL),
            server: None,
        };
        Self {
            client: Client::connect(config, token).expect("a socket"),
            events: Vec::new(),
        }
    }

    /// Plays until this is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let clock = ServerClock::start();
        let start = clock.now();
        while !is_so(self) {
            assert!(
                clock.now().since(start) < PATIENCE,
                "gave up waiting until {what}"
            );
            self.client.update();
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn connect(&mut self) {
        self.until("the server took us in", |player| {
            player
                .events
                .iter()
                .any(|event| matches!(event, Event::Connected(_)))
        });
    }

    /// Why the server ended it, and its words.
    pub(crate) fn end(&mut self) -> (DisconnectReason, String) {
        self.until("the end came", |player| player.ending().is_some());
        self.ending().expect("it came")
    }

    fn ending(&self) -> Option<(DisconnectReason, String)> {
        self.events.iter().find_map(|event| match event {
            Event::Disconnected { reason, text } => Some((*reason, text.clone())),
            _ => None,
        })
    }
}
