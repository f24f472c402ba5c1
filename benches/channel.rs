//! What one datagram costs above the session: nanoseconds a datagram, both ends warm.
//!
//! `cargo bench --no-default-features --bench channel`

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark stops where it cannot begin, and looks at the clock"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickwire::proto::channel::{ChannelConfig, ChannelId, Link, LinkConfig};
use tickwire::time::Timestamp;

const ORDERED: ChannelId = ChannelId(0);

/// Two links and the datagrams between them, one each way every 16 ms.
struct Pair {
    links: [Link; 2],
    payload: [u8; 1200],
    slot: u64,
    /// Every so many datagrams one is lost; 0: none is.
    lost_every: u64,
}

impl Pair {
    fn new(lost_every: u64) -> Self {
        let channels = vec![ChannelConfig::reliable(0), ChannelConfig::unreliable(1)];
        let config = Arc::new(LinkConfig::new(channels).expect("the configuration is good"));
        let mut pair = Self {
            links: [Link::new(config.clone()), Link::new(config)],
            payload: [0; 1200],
            slot: 0,
            lost_every,
        };
        (0..2_000).for_each(|_| pair.exchange(3, 20));
        pair
    }

    /// One datagram, with so many messages of so many bytes and a body of 300; ends take turns.
    fn exchange(&mut self, messages: usize, len: usize) {
        self.slot += 1;
        let now = Timestamp::from_millis(self.slot * 8);
        let from = (self.slot % 2) as usize;
        for _ in 0..messages {
            let _ = self.links[from].send(ORDERED, &[7; 256][..len]);
        }
        let len = self.links[from].fill(now, &mut self.payload, 600, |_, _| 300);
        if self.lost_every > 0 && self.slot.is_multiple_of(self.lost_every) {
            return;
        }
        let to = &mut self.links[1 - from];
        let _ = black_box(to.receive(now, &self.payload[..len]));
        while black_box(to.poll_message()).is_some() {}
        while black_box(to.poll_delivery()).is_some() {}
    }

    /// So many datagrams one way, and how long the answer to all of them takes to be received.
    fn acknowledge(&mut self, datagrams: u64, messages: usize) -> Duration {
        self.slot += 1;
        let now = Timestamp::from_millis(self.slot * 8);
        let [one, other] = &mut self.links;
        for _ in 0..datagrams {
            for _ in 0..messages {
                let _ = one.send(ORDERED, &[7; 20]);
            }
            let len = one.fill(now, &mut self.payload, 600, |_, _| 300);
            let _ = other.receive(now, &self.payload[..len]);
            while other.poll_message().is_some() {}
        }
        let len = other.fill(now, &mut self.payload, 600, |_, _| 300);
        let started = Instant::now();
        let _ = black_box(one.receive(now, &self.payload[..len]));
        while black_box(one.poll_delivery()).is_some() {}
        started.elapsed()
    }
}

fn datagram(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel/one datagram filled and received");
    group.throughput(Throughput::Elements(1));
    for (name, messages, lost_every) in [
        ("body only", 0, 0),
        ("body only, 1 in 5 lost", 0, 5),
        ("body and 3 reliable messages", 3, 0),
        ("body and 3 reliable messages, 1 in 5 lost", 3, 5),
    ] {
        let mut pair = Pair::new(lost_every);
        group.bench_function(name, |bencher| bencher.iter(|| pair.exchange(messages, 20)));
    }
    group.finish();
}

/// What an answer costs that acknowledges so many datagrams, each of which may carry messages.
fn acks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel/an answer received");
    for (name, datagrams, messages) in [
        ("acknowledges 1", 1, 0),
        ("acknowledges 8", 8, 0),
        ("acknowledges 8 with 3 reliable messages each", 8, 3),
    ] {
        let mut pair = Pair::new(0);
        group.throughput(Throughput::Elements(datagrams));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                (0..times)
                    .map(|_| pair.acknowledge(datagrams, messages))
                    .sum()
            });
        });
    }
    group.finish();
}

fn refused(criterion: &mut Criterion) {
    let mut pair = Pair::new(0);
    let now = Timestamp::from_millis(pair.slot * 8);
    let copy = pair.payload;
    criterion.bench_function("channel/a duplicate refused", |bencher| {
        bencher.iter(|| black_box(pair.links[1].receive(now, black_box(&copy[..400]))).is_err());
    });
}

fn waiting(criterion: &mut Criterion) {
    let pair = Pair::new(0);
    let now = Timestamp::from_millis(pair.slot * 8);
    criterion.bench_function("channel/poll_timeout and wants_to_send", |bencher| {
        bencher.iter(|| {
            let link = black_box(&pair.links[0]);
            (link.poll_timeout(), link.wants_to_send(now))
        });
    });
}

criterion_group!(benches, datagram, acks, refused, waiting);
criterion_main!(benches);
