//! What is counted: each scenario does one thing, the same every time, and nothing in it looks at a clock.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::channel::{ChannelConfig, Link, LinkConfig};
use tickwire::proto::netcode::{
    ClientState, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient, NetcodeServer, Received,
    ServerConfig, TokenSpec,
};
use tickwire::proto::snapshot::Replica;
use tickwire::time::{Timestamp, UnixTime};

use crate::crowd::{Crowd, World, schema};

/// Something that is done over and over.
pub(crate) type Work = Box<dyn FnMut()>;

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How often it is done for one count.
    pub(crate) times: u32,
    pub(crate) prepare: fn() -> Work,
}

/// All of them.
pub(crate) const ALL: [Scenario; 7] = [
    Scenario {
        name: "session-40",
        times: 1_000,
        prepare: || session(40),
    },
    Scenario {
        name: "session-1000",
        times: 500,
        prepare: || session(1_000),
    },
    Scenario {
        name: "channel",
        times: 2_000,
        prepare: channel,
    },
    Scenario {
        name: "frame-1000",
        times: 20,
        prepare: frame,
    },
    Scenario {
        name: "crowd-1",
        times: 20,
        prepare: || crowd(1),
    },
    Scenario {
        name: "crowd-100",
        times: 10,
        prepare: || crowd(100),
    },
    Scenario {
        name: "replica",
        times: 50,
        prepare: replica,
    },
];

const NOW: Timestamp = Timestamp::ZERO;

/// A payload of so many bytes is sealed by a client, and opened by the server.
fn session(size: usize) -> Work {
    let wall = UnixTime(1_800_000_000);
    let here = SocketAddr::from(([192, 0, 2, 1], 40_000));
    let there = SocketAddr::from(([198, 51, 100, 1], 5_000));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = Key::generate(&mut rng);
    let config = ServerConfig::new(1, key.clone(), here, 64);
    let registry = Arc::new(LocalRegistry::new(64));
    let server = NetcodeServer::new(config, &mut rng, wall.0 * 1_000_000, registry);
    let mut server = server.expect("a good configuration");
    let spec = TokenSpec {
        protocol_id: 1,
        client: ClientId(1),
        servers: vec![here],
        created: wall,
        expires: UnixTime(wall.0 + 3_600),
        timeout_seconds: 5,
        user_data: UserData::default(),
    };
    let token = spec.issue(&key, &mut rng).expect("a good specification");
    let mut client = NetcodeClient::new(token, NOW);
    let mut bytes = [0; MAX_DATAGRAM];
    while client.state() != ClientState::Connected {
        if let Some(transmit) = client.poll_transmit(NOW, &mut bytes) {
            server.receive(NOW, there, &mut bytes[..transmit.len]);
        }
        if let Some(transmit) = server.poll_transmit(NOW, &mut bytes) {
            client.receive(NOW, here, &mut bytes[..transmit.len]);
        }
    }
    Box::new(move || {
        let sealed = client.seal(NOW, &mut bytes, |_| size).expect("connected");
        let received = server.receive(NOW, there, &mut bytes[..sealed.len]);
        assert!(matches!(received, Received::Payload { .. }));
    })
}

/// A datagram is filled, arrives, and acknowledges one of the other end.
fn channel() -> Work {
    let channels = vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(1)];
    let config = Arc::new(LinkConfig::new(channels).expect("a good configuration"));
    let mut links = [Link::new(Arc::clone(&config)), Link::new(config)];
    let (mut payload, mut turn) = ([0; 1_200], 0_u64);
    let mut exchange = move || {
        turn += 1;
        let now = Timestamp::from_millis(turn * 8);
        let from = (turn % 2) as usize;
        let len = links[from].fill(now, &mut payload, 600, |_, _| 300);
        let to = &mut links[1 - from];
        to.receive(now, &payload[..len]).expect("a good payload");
        let mut verdicts = 0;
        while to.poll_delivery().is_some() {
            verdicts += 1;
        }
        assert!(turn < 100 || verdicts == 1, "each acknowledges one");
    };
    (0..1_000).for_each(|_| exchange());
    Box::new(exchange)
}

/// A frame of 1000 entities that nobody looks at.
fn frame() -> Work {
    let mut world = World::new(1_000);
    (0..80).for_each(|_| drop(world.publish(0)));
    Box::new(move || drop(black_box(world.publish(0))))
}

/// A frame of 1000 entities, and a part of it for each of so many clients.
fn crowd(clients: usize) -> Work {
    let mut crowd = Crowd::new(1_000, clients);
    Box::new(move || {
        let bytes = crowd.snapshot(|_| {});
        assert!((clients..clients * 1_200).contains(&bytes), "{bytes}");
    })
}

/// A client takes in its part.
fn replica() -> Work {
    // From the first snapshot on, so that the replica holds what the others build on.
    let mut crowd = Crowd::cold(1_000, 1);
    let (mut replica, mut parts) = (Replica::new(schema(), 2), Vec::new());
    for _ in 0..160 {
        crowd.snapshot(|part| parts.push(part.to_vec()));
    }
    let mut parts = parts.into_iter();
    for part in parts.by_ref().take(40) {
        replica.receive(&part).expect("a good part");
    }
    Box::new(move || {
        let part = parts.next().expect("as many as are taken in");
        replica.receive(&part).expect("a good part");
        assert!(replica.newest().is_some());
    })
}
