//! What a snapshot costs the server when many look at the world from different places: a frame of 1000 entities, who sees whom,
//! and a part for each client, acknowledged four snapshots later. Time is for all clients together.
//!
//! `cargo bench --no-default-features --bench crowd`

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark has nobody to answer to, and looks at the clock"
)]

#[path = "instructions/crowd.rs"]
mod crowd;

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use tickwire::proto::snapshot::{Interest, Scratch};

use self::crowd::{Crowd, VIEW, World, slot_of};

fn snapshots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crowd");
    group.sample_size(20);
    for clients in [1, 100, 1_000] {
        let mut crowd = Crowd::new(1_000, clients);
        group.throughput(Throughput::Elements(clients as u64));
        group.bench_function(format!("{clients} clients of 1000 entities"), |bencher| {
            bencher.iter(|| black_box(crowd.snapshot(|_| {})));
        });
    }
    let mut world = World::new(1_000);
    group.throughput(Throughput::Elements(1));
    group.bench_function("the frame alone", |bencher| {
        bencher.iter(|| black_box(world.publish(0)));
    });
    group.finish();
}

/// Who sees whom, without a plan and a part.
fn interest(criterion: &mut Criterion) {
    const CLIENTS: usize = 1_000;
    let mut world = World::new(1_000);
    let frames: Vec<_> = (0..8).map(|_| world.publish(CLIENTS)).collect();
    let mut eyes: Vec<_> = (0..CLIENTS).map(|_| Interest::new()).collect();
    let (mut scratch, mut turn) = (Scratch::new(), 0);
    let mut group = criterion.benchmark_group("interest");
    group.throughput(Throughput::Elements(CLIENTS as u64));
    group.bench_function("1000 clients of 1000 entities", |bencher| {
        bencher.iter(|| {
            // Those who were seen in the frame before are looked for in this one; but not in the first of the eight, which
            // knows nothing of the last.
            let frame = &frames[turn % frames.len()];
            turn += 1;
            for (client, eyes) in eyes.iter_mut().enumerate() {
                eyes.look(frame, slot_of(client), &VIEW, &mut scratch);
            }
            black_box(&eyes);
        });
    });
    group.finish();
}

/// What a client is told of one snapshot is acknowledged: it becomes a baseline.
fn acks(criterion: &mut Criterion) {
    let mut crowd = Crowd::new(1_000, 1_000);
    let mut group = criterion.benchmark_group("acks");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1000 clients acknowledge a snapshot", |bencher| {
        bencher.iter_custom(|times| {
            let acknowledged = (0..times).map(|_| {
                let frame = crowd.publish();
                let started = Instant::now();
                let numbers = crowd.hear();
                let took = started.elapsed();
                crowd.tell(&frame, numbers, |_| {});
                took
            });
            acknowledged.sum()
        });
    });
    group.finish();
}

criterion_group!(benches, snapshots, interest, acks);
criterion_main!(benches);
