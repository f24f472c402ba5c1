//! A server with an arena on the loopback, and services that answer HTTP as they are told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tickwire::client::ClientConfig;
use tickwire::game::arena::{self, Arena, ArenaConfig};
use tickwire::id::ClientId;
use tickwire::netsim::ProfileConditions;
use tickwire::proto::netcode::Key;
use tickwire::server::{Server, ServerConfig, ServerHandle, TokenIssuer};
use tickwire::time::TickRate;
use tickwire::tools::bots::{Ramp, SwarmConfig};

pub(crate) const PROTOCOL: u64 = 0xB075;

pub(crate) fn key() -> Key {
    Key::from_bytes([0x60; 32])
}

pub(crate) fn key_in_hex() -> String {
    "60".repeat(32)
}

/// A server with so many places.
pub(crate) fn server(places: u32) -> ServerHandle {
    let mut config = ServerConfig::new(PROTOCOL, key());
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.max_clients = places;
    let arena = Arena::new(ArenaConfig {
        seed: 1,
        players: places,
        rate: TickRate::HZ_60,
    });
    let server = Server::bind(config, arena).expect("a port is free");
    server.start().expect("there are threads")
}

pub(crate) fn issuer(server: SocketAddr) -> TokenIssuer {
    TokenIssuer::new(PROTOCOL, key(), vec![server])
}

/// So many bots for a server.
pub(crate) fn swarm(bots: u32, server: SocketAddr) -> SwarmConfig {
    SwarmConfig {
        bots,
        first_client: ClientId(1),
        ramp: Ramp::FAST,
        client: ClientConfig {
            link: Arc::default(),
            schema: arena::schema(),
            protocol_id: Some(PROTOCOL),
            server: Some(server),
        },
        conditions: ProfileConditions::default(),
        seed: 1,
        check: None,
        threads: 2,
    }
}

/// An address of the loopback at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// A service that takes one request, answers what it is told, and gives the request back.
pub(crate) struct Service {
    pub(crate) url: String,
    thread: JoinHandle<String>,
}

impl Service {
    pub(crate) fn answering(answer: Vec<u8>) -> Self {
        Self::with(move |stream| {
            let _ = stream.write_all(&answer);
        })
    }

    pub(crate) fn with(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let request = read_request(&mut stream);
            answer(&mut stream);
            request
        });
        Self {
            url: format!("http://{address}/connect-token"),
            thread,
        }
    }

    /// What was asked.
    pub(crate) fn request(self) -> String {
        self.thread.join().expect("the service did its work")
    }
}

/// Reads up to the closing brace of the request's body.
fn read_request(stream: &mut TcpStream) -> String {
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a timeout");
    let (mut request, mut byte) = (String::new(), [0]);
    while !request.ends_with('}') {
        stream.read_exact(&mut byte).expect("a whole request");
        request.push(char::from(byte[0]));
    }
    request
}

/// An answer with a body.
pub(crate) fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}
