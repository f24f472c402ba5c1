//! What a packet costs. One question each: seal or open a payload packet of 40, 200, 1000 bytes; reject one forged
//! connection request; a whole handshake.
//!
//! `cargo bench --bench netcode --no-default-features`
#![expect(
    clippy::expect_used,
    reason = "a benchmark: criterion writes its functions"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{
    ClientState, ConnectToken, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient, NetcodeServer,
    Received, Rejection, ServerConfig, TokenSpec,
};
use tickwire::time::{Timestamp, UnixTime};

const NOW: Timestamp = Timestamp::ZERO;
const WALL: u64 = 1_800_000_000;

fn here() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

fn there() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 5_000))
}

struct Bench {
    rng: ChaCha20Rng,
    key: Key,
    server: NetcodeServer,
    clients: u64,
}

impl Bench {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Key::generate(&mut rng);
        let config = ServerConfig::new(1, key.clone(), here(), 64);
        let registry = Arc::new(LocalRegistry::new(64));
        let server = NetcodeServer::new(config, &mut rng, WALL * 1_000_000, registry);
        Self {
            rng,
            key,
            server: server.expect("a good configuration"),
            clients: 0,
        }
    }

    fn token(&mut self) -> ConnectToken {
        self.clients += 1;
        let spec = TokenSpec {
            protocol_id: 1,
            client: ClientId(self.clients),
            servers: vec![here()],
            created: UnixTime(WALL),
            expires: UnixTime(WALL + 3_600),
            timeout_seconds: 5,
            user_data: UserData::default(),
        };
        spec.issue(&self.key, &mut self.rng)
            .expect("a good specification")
    }

    fn handshake(&mut self, token: ConnectToken) -> NetcodeClient {
        let mut client = NetcodeClient::new(token, NOW);
        let mut bytes = [0; MAX_DATAGRAM];
        while client.state() != ClientState::Connected {
            if let Some(transmit) = client.poll_transmit(NOW, &mut bytes) {
                self.server
                    .receive(NOW, there(), &mut bytes[..transmit.len]);
            }
            if let Some(transmit) = self.server.poll_transmit(NOW, &mut bytes) {
                client.receive(NOW, here(), &mut bytes[..transmit.len]);
            }
        }
        client
    }
}

fn payloads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("payload");
    for size in [40, 200, 1_000] {
        let mut bench = Bench::new();
        let token = bench.token();
        let mut client = bench.handshake(token);
        let mut out = [0; MAX_DATAGRAM];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("seal/{size}"), |bencher| {
            bencher.iter(|| client.seal(NOW, black_box(&mut out), |_| size));
        });
        group.bench_function(format!("open/{size}"), |bencher| {
            let seal = || {
                let mut out = [0; MAX_DATAGRAM];
                let len = client.seal(NOW, &mut out, |_| size).expect("connected").len;
                (out, len)
            };
            bencher.iter_batched_ref(
                seal,
                |(bytes, len)| {
                    let received = bench.server.receive(NOW, there(), &mut bytes[..*len]);
                    assert!(matches!(received, Received::Payload { .. }));
                },
                BatchSize::SmallInput,
            );
        });
        let mut forged = out;
        group.bench_function(format!("reject/{size}"), |bencher| {
            let len = 1 + 8 + size + 16;
            forged[0] = 0x85;
            forged[1..9].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
            bencher.iter(|| {
                let received = bench
                    .server
                    .receive(NOW, there(), black_box(&mut forged[..len]));
                assert_eq!(received, Received::Rejected(Rejection::Forged));
            });
        });
    }
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut request = [0; MAX_DATAGRAM];
    let token = bench.token();
    let mut client = NetcodeClient::new(token, NOW);
    let len = client
        .poll_transmit(NOW, &mut request)
        .expect("a request")
        .len;
    request[600] ^= 1;
    criterion.bench_function("request/forged", |bencher| {
        bencher.iter(|| {
            let received = bench
                .server
                .receive(NOW, there(), black_box(&mut request[..len]));
            assert_eq!(received, Received::Rejected(Rejection::TokenForged));
        });
    });
    criterion.bench_function("handshake/both ends", |bencher| {
        bencher.iter_custom(|count| {
            let tokens: Vec<_> = (0..count).map(|_| bench.token()).collect();
            #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
            let start = std::time::Instant::now();
            for token in tokens {
                bench.handshake(token);
                let slot = bench.server.session_at(there()).expect("a session");
                bench.server.disconnect(NOW, slot);
                let mut bytes = [0; MAX_DATAGRAM];
                while bench.server.poll_transmit(NOW, &mut bytes).is_some() {}
                while bench.server.poll_event().is_some() {}
            }
            start.elapsed()
        });
    });
}

criterion_group!(benches, payloads, handshakes);
criterion_main!(benches);
