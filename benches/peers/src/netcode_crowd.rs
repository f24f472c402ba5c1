//! Clients of netcode 1.02, the same for every server that speaks it: Tickwire's session layer at this end.
//!
//! What a library puts into the payloads above that is an [`App`] for each client.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{
    ClientReceived, ClientState, ConnectToken, Key, MAX_DATAGRAM, NetcodeClient, TokenSpec,
};
use tickwire::time::{Timestamp, UnixTime};

use crate::load::Crowd;
use crate::peers::Outcome;
use crate::sockets::{CrowdSocket, Traffic};

/// The protocol id of the job.
pub(crate) const PROTOCOL: u64 = 0x7069_6c6c_6172_7321;

/// The key of the job. It guards nothing.
pub(crate) const KEY: [u8; 32] = *b"a key for the loopback, a minute";

/// Since 1970.
pub(crate) fn calendar() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The moment in Tickwire's terms.
pub(crate) const fn timestamp(now: u64) -> Timestamp {
    Timestamp::from_micros(now / 1_000)
}

/// A token that lets client `number` in.
pub(crate) fn token(number: usize, server: SocketAddr) -> Outcome<ConnectToken> {
    let created = UnixTime(calendar().as_secs());
    let spec = TokenSpec {
        protocol_id: PROTOCOL,
        client: ClientId(number as u64 + 1),
        servers: vec![server],
        created,
        expires: UnixTime(created.0 + 600),
        timeout_seconds: 20,
        user_data: UserData::default(),
    };
    let key = Key::from_bytes(KEY);
    Ok(spec.issue(&key, &mut rand::make_rng::<ChaCha20Rng>())?)
}

/// What a client says and hears above the session.
pub(crate) trait App {
    /// Writes the payload with the input of `tick`, and answers its length.
    fn write_input(&mut self, client: usize, tick: u64, room: &mut [u8]) -> usize;

    /// Takes a payload and answers how many snapshots were in it.
    fn hear(&mut self, payload: &[u8]) -> u64;

    /// The next payload that it wants sent besides its input.
    fn write_more(&mut self, _: &mut [u8]) -> usize {
        0
    }
}

struct Client<A> {
    session: NetcodeClient,
    app: A,
    is_connected: bool,
}

/// All of them, behind one socket.
pub(crate) struct NetcodeCrowd<A> {
    socket: CrowdSocket,
    clients: Vec<Client<A>>,
    connected: usize,
}

impl<A: App> NetcodeCrowd<A> {
    pub(crate) fn new(count: usize, server: SocketAddr, app: impl Fn(usize) -> A) -> Outcome<Self> {
        let clients = (0..count)
            .map(|number| {
                let token = token(number, server)?;
                Ok(Client {
                    session: NetcodeClient::new(token, timestamp(crate::machine::now())),
                    app: app(number),
                    is_connected: false,
                })
            })
            .collect::<Outcome<_>>()?;
        Ok(Self {
            socket: CrowdSocket::open(server)?,
            clients,
            connected: 0,
        })
    }
}

impl<A: App> Crowd for NetcodeCrowd<A> {
    fn tend(&mut self, now: u64, clients: Range<usize>) {
        let now = timestamp(now);
        let mut out = [0; MAX_DATAGRAM];
        for number in clients {
            let client = &mut self.clients[number];
            if client.session.poll_timeout().is_some_and(|due| due <= now) {
                client.session.handle_timeout(now);
            }
            while let Some(transmit) = client.session.poll_transmit(now, &mut out) {
                self.socket.send(number, &out[..transmit.len]);
            }
            if !client.is_connected && client.session.state() == ClientState::Connected {
                client.is_connected = true;
                self.connected += 1;
            }
        }
    }

    fn send_inputs(&mut self, now: u64, clients: Range<usize>, tick: u64) -> u64 {
        let now = timestamp(now);
        let mut out = [0; MAX_DATAGRAM];
        let mut sent = 0;
        for number in clients {
            let Client {
                session,
                app,
                is_connected: true,
            } = &mut self.clients[number]
            else {
                continue;
            };
            if let Some(transmit) =
                session.seal(now, &mut out, |room| app.write_input(number, tick, room))
            {
                self.socket.send(number, &out[..transmit.len]);
                sent += 1;
            }
            while let Some(transmit) = session.seal(now, &mut out, |room| app.write_more(room)) {
                self.socket.send(number, &out[..transmit.len]);
            }
        }
        sent
    }

    fn drain(&mut self, now: u64) -> u64 {
        let (now, server) = (timestamp(now), self.socket.server());
        let clients = &mut self.clients;
        let mut snapshots = 0;
        self.socket.drain(|number, datagram| {
            if let Some(client) = clients.get_mut(number)
                && let ClientReceived::Payload(payload) =
                    client.session.receive(now, server, datagram)
            {
                snapshots += client.app.hear(payload);
            }
        });
        snapshots
    }

    fn connected(&self) -> usize {
        self.connected
    }

    fn traffic(&self) -> Traffic {
        self.socket.traffic
    }
}
