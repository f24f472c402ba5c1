//! What a snapshot costs the server when many look at the world from different places: a frame of 1000 entities, who sees whom,
//! and a part for each client, acknowledged four snapshots later. Time is for all clients together.
//!
//! `cargo bench --no-default-features --bench crowd`

#![expect(clippy::expect_used, reason = "a benchmark has nobody to answer to")]

#[path = "instructions/crowd.rs"]
mod crowd;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use self::crowd::{Crowd, World};

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

criterion_group!(benches, snapshots);
criterion_main!(benches);
