//! Attacks on the client: a server that has the keys and no manners, and strangers who found the client's port.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::{ChaCha20Rng, Xoshiro256PlusPlus};
use rand::{Rng, RngExt, SeedableRng};
use tickwire::client::{Client, ClientConfig, Event};
use tickwire::game::arena::schema;
use tickwire::proto::channel::{ChannelId, Link, LinkConfig};
use tickwire::proto::control::PROTOCOL_VERSION;
use tickwire::proto::netcode::{
    Key, LocalRegistry, MAX_DATAGRAM, NetcodeServer, Received, ServerConfig,
};
use tickwire::server::clock::{calendar, calendar_micros};
use tickwire::time::Timestamp;

use crate::kit::eyes::{report, resident_kib};
use crate::kit::{KEY, PROTOCOL, alone, dose, token};

/// A server whose session layer is ours and whose payloads are what it likes.
struct Villain {
    socket: UdpSocket,
    netcode: NetcodeServer,
    link: Link,
    peer: Option<(SocketAddr, tickwire::id::ClientSlot)>,
    started: Instant,
}

impl Villain {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        let local = socket.local_addr().expect("bound");
        let config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY), local, 4);
        let mut rng = ChaCha20Rng::seed_from_u64(28);
        let registry = Arc::new(LocalRegistry::new(4));
        let mut netcode =
            NetcodeServer::new(config, &mut rng, calendar_micros(), registry).expect("good");
        netcode.set_wall_clock(calendar());
        Self {
            socket,
            netcode,
            link: Link::new(Arc::new(LinkConfig::default())),
            peer: None,
            started: Instant::now(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    /// Keeps the session alive; a client that says hello is welcomed.
    fn turn(&mut self) {
        let now = self.now();
        let mut bytes = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut bytes) {
            if let Received::Payload { slot, payload } =
                self.netcode.receive(now, from, &mut bytes[..len])
            {
                if self.peer != Some((from, slot)) {
                    self.peer = Some((from, slot));
                    self.link = Link::new(Arc::new(LinkConfig::default()));
                }
                if let Ok(received) = self.link.receive(now, payload)
                    && received.body.first() == Some(&1)
                {
                    self.say(&welcome());
                }
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

    fn payload(&mut self, body: &[u8]) -> Vec<u8> {
        let now = self.now();
        let mut payload = [0; 1_200];
        let len = self.link.fill(now, &mut payload, usize::MAX, |_, room| {
            let len = body.len().min(room.len());
            room[..len].copy_from_slice(&body[..len]);
            len
        });
        payload[..len].to_vec()
    }

    fn say(&mut self, body: &[u8]) {
        let payload = self.payload(body);
        self.send(&payload);
    }

    fn send(&mut self, payload: &[u8]) {
        let Some((_, slot)) = self.peer else { return };
        let now = self.now();
        let mut out = [0; MAX_DATAGRAM];
        let sealed = self.netcode.seal(now, slot, &mut out, |room| {
            room[..payload.len()].copy_from_slice(payload);
            payload.len()
        });
        if let Some(transmit) = sealed {
            let _ = self.socket.send_to(&out[..transmit.len], transmit.to);
        }
    }
}

fn welcome() -> Vec<u8> {
    let mut block = vec![2];
    block.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
    block.extend_from_slice(&schema().hash().to_le_bytes());
    block.extend_from_slice(&[0; 8]);
    block.extend_from_slice(&60_u16.to_le_bytes());
    block.extend_from_slice(&2_u16.to_le_bytes());
    block.extend_from_slice(&100_u32.to_le_bytes());
    block
}

fn client(server: SocketAddr, number: u64) -> Client {
    let config = ClientConfig {
        link: Arc::new(LinkConfig::default()),
        schema: schema(),
        protocol_id: Some(PROTOCOL),
        server: Some(server),
    };
    Client::connect(config, token(server, number)).expect("a socket")
}

#[test]
fn junk_from_anywhere_neither_moves_a_client_nor_reaches_the_game() {
    let _alone = alone();
    let mut villain = Villain::new();
    let mut client = client(villain.address(), 1);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(28);
    let (started, time) = (Instant::now(), Duration::from_secs(dose(1, 30)));
    let (mut said, mut heard, mut junked) = (0_u32, 0_u32, 0_u64);
    let mut junk = vec![0; 65_507];
    while started.elapsed() < time || heard < said {
        assert!(
            started.elapsed() < time * 2 + Duration::from_secs(5),
            "{heard} of {said}"
        );
        villain.turn();
        client.update();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Message { message, .. } => {
                    assert_eq!(
                        message,
                        heard.to_le_bytes(),
                        "in order, once, and nothing else"
                    );
                    heard += 1;
                }
                Event::Connected(_) | Event::ClockStepped(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let Some((peer, _)) = villain.peer else {
            continue;
        };
        if started.elapsed() < time {
            let is_queued = villain.link.send(ChannelId(0), &said.to_le_bytes()).is_ok();
            said += u32::from(is_queued);
            // Junk of every size, from a stranger and from the server's own address.
            for source in [&stranger, &villain.socket] {
                let len = match rng.random_range(0..4) {
                    0 => rng.random_range(0..=65_507),
                    _ => rng.random_range(0..1_300),
                };
                let head = len.min(1_300);
                rng.fill_bytes(&mut junk[..head]);
                junked += u64::from(source.send_to(&junk[..len], peer).is_ok());
            }
        }
        villain.say(&[]);
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused: u64 = client
        .endpoint()
        .stats()
        .rejections
        .iter()
        .map(|(.., n)| n)
        .sum();
    report(
        "client: junk from strangers and in the server's name",
        &[
            ("junk", format!("{junked}, {refused} refused")),
            ("messages", format!("{heard} of {said}, in order")),
        ],
    );
    assert!(!client.is_over());
    assert!(refused > 0 && said > 100);
}

#[test]
fn a_server_with_the_keys_and_no_manners_costs_a_client_neither_a_panic_nor_its_memory() {
    let _alone = alone();
    let mut villain = Villain::new();
    let mut number = 1;
    let mut player = client(villain.address(), number);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(29);
    let (started, time) = (Instant::now(), Duration::from_secs(dose(1, 30)));
    let (mut sent, mut welcomed, mut kib) = (0_u64, false, None);
    let mut bytes = vec![0; 1_200];
    while started.elapsed() < time {
        villain.turn();
        player.update();
        while player.poll_event().is_some() {}
        if player.is_over() {
            // It was told to go, by chance: the next one comes.
            number += 1;
            player = client(villain.address(), number);
            villain.peer = None;
            welcomed = false;
        }
        let is_in = player.welcome().is_some();
        if is_in && !welcomed {
            welcomed = true;
            kib = kib.or_else(|| Some(resident_kib("self")));
        }
        for _ in 0..if is_in { 10 } else { 0 } {
            sent += 1;
            let len = rng.random_range(1..=1_200);
            rng.fill_bytes(&mut bytes[..len]);
            match rng.random_range(0..4) {
                // Noise, noise in a proper payload, noise as a snapshot, a flood of warnings.
                0 => villain.send(&bytes[..len]),
                1 => villain.say(&bytes[..len]),
                2 => {
                    bytes[0] = 8;
                    villain.say(&bytes[..len]);
                }
                _ => villain.say(&[7, 1, 0, 0, 0, 0].repeat(150)),
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let grown = resident_kib("self").saturating_sub(kib.unwrap_or(0));
    report(
        "client: a server with keys and no manners",
        &[
            ("sent", format!("{sent} payloads")),
            ("memory", format!("+{grown} KiB")),
            ("sessions", number.to_string()),
        ],
    );
    assert!(sent > 1_000);
    assert!(grown < 8 * 1024, "{grown} KiB");
}
