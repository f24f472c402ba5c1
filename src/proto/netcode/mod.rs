//! The session layer: [netcode 1.02](https://github.com/mas-bandwidth/netcode/blob/main/STANDARD.md), both ends, usable alone.
//!
//! A backend signs a [`ConnectToken`] with a [`Key`] that it shares with the servers and gives it to a client over
//! HTTPS. The client presents it to a server, proves that it can hear the answer, and has a session: payloads of
//! 1 to 1200 bytes, encrypted, each delivered at most once, in no particular order and with no promise to arrive.
//!
//! ```text
//!   NetcodeClient                                NetcodeServer
//!   request: the sealed token, 1078 bytes  --->  remembers the token's keys for a short time
//!                                          <---  challenge, 333 bytes: sealed for whoever has the token
//!   response: the challenge again          --->  asks the Registry for a place
//!                                          <---  keep-alive: your index, how many can be here
//!   payloads, keep-alives at 10 Hz         <-->  payloads, keep-alives at 10 Hz
//!   disconnect, ten times                  <-->  disconnect, ten times
//! ```
//!
//! Both ends are pure: time, datagrams and randomness are arguments, and what they want to send is polled. The whole
//! way in memory:
//!
//! ```
//! use std::sync::Arc;
//! use rand::SeedableRng;
//! use tickwire::id::{ClientId, UserData};
//! use tickwire::proto::netcode::{
//!     ClientState, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient, NetcodeServer, Received,
//!     ServerConfig, TokenSpec,
//! };
//! use tickwire::time::{Timestamp, UnixTime};
//!
//! let mut rng = rand::rngs::ChaCha20Rng::seed_from_u64(7); // yours comes from the operating system
//! let now = Timestamp::ZERO;
//! let (here, there) = ("192.0.2.1:40000".parse()?, "198.51.100.9:5000".parse()?);
//!
//! // The backend: who may play, where, until when.
//! let key = Key::generate(&mut rng);
//! let token = TokenSpec {
//!     protocol_id: 1,
//!     client: ClientId(42),
//!     servers: vec![here],
//!     created: UnixTime(1_800_000_000),
//!     expires: UnixTime(1_800_000_030),
//!     timeout_seconds: 5,
//!     user_data: UserData::default(),
//! }
//! .issue(&key, &mut rng)?;
//!
//! // The two ends.
//! let started = 1_800_000_000_000_000; // microseconds
//! let config = ServerConfig::new(1, key, here, 64);
//! let mut server = NetcodeServer::new(config, &mut rng, started, Arc::new(LocalRegistry::new(64)))?;
//! let mut client = NetcodeClient::new(token, now);
//!
//! // A network that loses nothing.
//! let mut bytes = [0; MAX_DATAGRAM];
//! while client.state() != ClientState::Connected {
//!     if let Some(transmit) = client.poll_transmit(now, &mut bytes) {
//!         server.receive(now, there, &mut bytes[..transmit.len]);
//!     }
//!     if let Some(transmit) = server.poll_transmit(now, &mut bytes) {
//!         client.receive(now, here, &mut bytes[..transmit.len]);
//!     }
//! }
//!
//! // A payload.
//! let write = |room: &mut [u8]| {
//!     room[..5].copy_from_slice(b"hello");
//!     5
//! };
//! let transmit = client.seal(now, &mut bytes, write).ok_or("not connected")?;
//! let slot = server.session_at(there).ok_or("no session")?;
//! let received = server.receive(now, there, &mut bytes[..transmit.len]);
//! assert_eq!(received, Received::Payload { slot, payload: b"hello" });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is stricter than the standard
//!
//! One token opens one session: once its session exists it is refused from every address, its own too, until it
//! expires. A handshake may stay half open for the token's timeout, but at most ten seconds. A challenge is good for the
//! address, the token and the time that it was made for. Several tokens may be pending at one address. Everything else
//! is the standard's, so that other implementations are welcome at both ends.

mod address;
mod aead;
mod answers;
mod challenge;
mod client;
mod handshake;
mod key;
mod packet;
mod pending;
mod private;
mod registry;
mod rejection;
mod replay;
mod server;
mod session;
mod sessions;
mod state;
mod token;

use core::net::SocketAddr;

pub use client::{ClientEvent, ClientReceived, NetcodeClient};
pub use key::{Key, KeyError};
pub use registry::{Claim, LocalRegistry, Registry, SeatRefusal, TokenMac};
pub use rejection::Rejection;
pub use server::{ConfigError, End, NetcodeServer, Received, Sender, ServerConfig, SessionEvent};
pub use state::ClientState;
pub use token::{ConnectToken, MAX_SERVERS, TOKEN_LEN, TokenError, TokenSpec};

/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1200;

/// The longest datagram: a payload packet with a sequence number of eight bytes.
pub const MAX_DATAGRAM: usize = packet::MAX_HEADER + MAX_PAYLOAD + packet::MAC_LEN;

/// The length of a connection request, the only packet that a stranger's address can make a server answer.
pub const REQUEST_LEN: usize = 1078;

const _: () = assert!(MAX_DATAGRAM == 1225);

/// A datagram to send: the first `len` bytes of the buffer that was given to whoever answered this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// How many bytes.
    pub len: usize,
}
