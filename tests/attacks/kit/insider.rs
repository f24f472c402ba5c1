//! An authenticated client that says whatever it likes.
//!
//! It has a genuine token, a session and a link; above the session every byte is the attacker's choice.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickwire::game::arena::schema;
use tickwire::proto::channel::{Link, LinkConfig};
use tickwire::proto::control::PROTOCOL_VERSION;
use tickwire::proto::netcode::{
    ClientReceived, ClientState, MAX_DATAGRAM, MAX_PAYLOAD, NetcodeClient,
};
use tickwire::time::Timestamp;

use super::{PATIENCE, token};

/// The blocks of a body, by their first byte.
pub const HELLO: u8 = 1;
pub const INPUTS: u8 = 3;
pub const GOODBYE: u8 = 5;
pub const RESYNC: u8 = 6;

pub struct Insider {
    pub netcode: NetcodeClient,
    pub link: Link,
    pub socket: UdpSocket,
    started: Instant,
    /// Whether what the server sends is taken in, and acknowledged by what is sent.
    pub listens: bool,
    /// The newest goodbye of the server: the reason's number.
    pub goodbye: Option<u8>,
    pub datagrams_in: u64,
}

impl Insider {
    /// Connects and says hello.
    pub fn join(server: SocketAddr, number: u64) -> Self {
        let mut insider = Self::connect(server, number);
        insider.say(&hello());
        insider
    }

    /// Connects and says nothing.
    pub fn connect(server: SocketAddr, number: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        let mut insider = Self {
            netcode: NetcodeClient::new(token(server, number), Timestamp::ZERO),
            link: Link::new(Arc::new(LinkConfig::default())),
            socket,
            started: Instant::now(),
            listens: true,
            goodbye: None,
            datagrams_in: 0,
        };
        while insider.netcode.state() != ClientState::Connected {
            assert!(insider.started.elapsed() < PATIENCE, "never connected");
            insider.turn();
            std::thread::sleep(Duration::from_millis(1));
        }
        insider
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    pub fn is_over(&self) -> bool {
        self.goodbye.is_some() || self.netcode.state() != ClientState::Connected
    }

    /// Takes in what came, if it listens, and keeps the session alive.
    pub fn turn(&mut self) {
        let mut bytes = [0; 2_048];
        let now = self.now();
        while self.listens
            && let Ok((len, from)) = self.socket.recv_from(&mut bytes)
        {
            self.datagrams_in += 1;
            let ClientReceived::Payload(payload) =
                self.netcode.receive(now, from, &mut bytes[..len])
            else {
                continue;
            };
            if let Ok(received) = self.link.receive(now, payload)
                && let [GOODBYE, reason, ..] = received.body
            {
                self.goodbye = Some(*reason);
            }
        }
        while self.link.poll_message().is_some() {}
        while self.link.poll_delivery().is_some() {}
        self.netcode.handle_timeout(now);
        let mut out = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.netcode.poll_transmit(now, &mut out) {
            let _ = self.socket.send_to(&out[..transmit.len], transmit.to);
        }
        while self.netcode.poll_event().is_some() {}
    }

    /// Sends these blocks as the body of a proper payload.
    pub fn say(&mut self, body: &[u8]) {
        let payload = self.payload(body);
        self.send(&payload);
    }

    /// A proper payload with this body: numbered, with acks of what came.
    pub fn payload(&mut self, body: &[u8]) -> Vec<u8> {
        let mut payload = [0; MAX_PAYLOAD];
        let now = self.now();
        let len = self.link.fill(now, &mut payload, usize::MAX, |_, room| {
            let len = body.len().min(room.len());
            room[..len].copy_from_slice(&body[..len]);
            len
        });
        payload[..len].to_vec()
    }

    /// Seals any bytes as a payload, and sends them.
    pub fn send(&mut self, payload: &[u8]) {
        let sealed = self.seal(payload);
        let _ = self.socket.send_to(&sealed, self.netcode.server_address());
    }

    /// Seals any bytes as a payload.
    pub fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let now = self.now();
        let mut out = [0; MAX_DATAGRAM];
        let sealed = self.netcode.seal(now, &mut out, |room| {
            room[..payload.len()].copy_from_slice(payload);
            payload.len()
        });
        out[..sealed.map_or(0, |transmit| transmit.len)].to_vec()
    }
}

/// The block that every client begins with.
pub fn hello() -> Vec<u8> {
    let mut block = vec![HELLO];
    block.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
    block.extend_from_slice(&schema().hash().to_le_bytes());
    block
}
