//! What does one snapshot cost the server? Per frame: building it with 1,000 entities, encoding one
//! cohort. Per client: planning and writing its part, 100 of the 1,000 in sight, its cohort already
//! encoded.
//!
//! `cargo bench --no-default-features --bench snapshot_frame`; times are per frame or per client.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "the case is part of the result")]
#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to answer to")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema,
    Scratch, TickFrame, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

const ENTITIES: usize = 1_000;
const AREA: f32 = 200.0;
/// About 100 of 1,000 are this near to the middle.
const RADIUS: f32 = 71.0;
const METERS: Quantity = Quantity::Ranged {
    min: -256.0,
    max: 256.0,
    step: 1.0 / 64.0,
};

fn schema() -> Arc<Schema> {
    let field = |name: &str, quantity, blend| Field::new(name, quantity, blend);
    let fields = vec![
        field("x", METERS, Blend::Linear),
        field("y", METERS, Blend::Linear),
        field("z", METERS, Blend::Linear),
        field("yaw", Quantity::Angle { bits: 12 }, Blend::Angle),
        field("pitch", Quantity::Angle { bits: 10 }, Blend::Angle),
        field("vx", Quantity::Signed { bits: 12 }, Blend::Linear),
        field("vy", Quantity::Signed { bits: 12 }, Blend::Linear),
        field("health", Quantity::Unsigned { bits: 7 }, Blend::Step),
        field("ammo", Quantity::Unsigned { bits: 8 }, Blend::Step),
        field("flags", Quantity::Flags { bits: 8 }, Blend::Step),
    ];
    Arc::new(
        Schema::new(vec![Kind::new("walker", fields)])
            .unwrap()
            .with_max_entities(1_024)
            .unwrap(),
    )
}

struct World {
    rng: Xoshiro256PlusPlus,
    positions: Vec<[f32; 3]>,
    rows: Vec<[i32; 10]>,
    history: FrameHistory,
    tick: u32,
    client: ClientSlot,
}

impl World {
    fn new() -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut place = || {
            [
                rng.random_range(-AREA..AREA),
                rng.random_range(-AREA..AREA),
                0.0,
            ]
        };
        Self {
            positions: (0..ENTITIES).map(|_| place()).collect(),
            rows: vec![[0; 10]; ENTITIES],
            history: FrameHistory::new(
                schema(),
                FrameConfig {
                    snapshot_every: 2,
                    cell_size: 36.0,
                },
            )
            .unwrap(),
            tick: 0,
            client: ClientSlot {
                index: 0,
                generation: 0,
            },
            rng,
        }
    }

    /// Two of three entities move.
    fn step(&mut self) {
        for (position, row) in self.positions.iter_mut().zip(&mut self.rows) {
            if self.rng.random_range(0..3) > 0 {
                position[0] = (position[0] + self.rng.random_range(-0.2..0.2)).clamp(-AREA, AREA);
                position[1] = (position[1] + self.rng.random_range(-0.2..0.2)).clamp(-AREA, AREA);
                row[3] = (row[3] + self.rng.random_range(-20..20)) & 0xFFF;
                row[5] = self.rng.random_range(-200..200);
            }
            for axis in 0..3 {
                row[axis] = METERS.quantise(position[axis]);
            }
        }
    }

    fn publish(&mut self) -> Arc<TickFrame> {
        self.tick += 2;
        let mut builder = self.history.begin(Tick(self.tick)).unwrap();
        for (slot, (position, row)) in self.positions.iter().zip(&self.rows).enumerate() {
            let id = EntityId {
                slot: slot as u16,
                generation: 0,
            };
            builder.put(id, KindId(0), *position, row).unwrap();
        }
        builder.view(self.client, Viewpoint::at([0.0; 3]));
        self.history.publish(builder)
    }
}

/// A world, and a client that has been told sixty snapshots, each acknowledged six later: 200 ms.
fn warm() -> (World, ClientView, Scratch, String) {
    let mut world = World::new();
    let config = ViewConfig {
        inner_radius: RADIUS,
        outer_radius: RADIUS * 1.1,
        bytes_per_snapshot: 1_200,
    };
    let (mut view, mut scratch) = (ClientView::new(world.client, config), Scratch::new());
    let mut replica = Replica::new(schema(), 2);
    let mut out = vec![0; 1_200];
    let mut number = 0_u64;
    let mut part = Vec::new();
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..60 {
        world.step();
        let frame = world.publish();
        view.begin(&frame, &mut scratch);
        loop {
            number += 1;
            let len = view.write_part(number, &mut out, &mut scratch);
            if len == 0 {
                break;
            }
            part = out[..len].to_vec();
            waiting.push_back((number, part.clone()));
        }

        while waiting.len() > 6 {
            let (number, part) = waiting.pop_front().unwrap();
            replica.receive(&part).unwrap();
            view.acked(number);
        }
    }
    let seen = replica.newest().unwrap().len();
    let case = format!(
        "{seen} entities in sight, {} bytes a part, {} bytes of memory per client",
        part.len(),
        view.memory()
    );
    (world, view, scratch, case)
}

fn frames(criterion: &mut Criterion) {
    let (mut world, .., case) = warm();
    println!("{case}");
    world.step();
    criterion.bench_function("frame/build_1000", |bencher| {
        bencher.iter(|| black_box(world.publish()))
    });

    criterion.bench_function("frame/encode_cohort_1000", |bencher| {
        let (mut world, mut view, mut scratch, _) = warm();
        let mut out = vec![0; 1_200];
        let mut number = 1_000_000;
        // What one client alone costs: the cohort, and its part.
        bencher.iter_batched(
            || {
                world.step();
                world.publish()
            },
            |frame| {
                number += 1;
                view.begin(&frame, &mut scratch);
                let len = view.write_part(number, &mut out, &mut scratch);
                view.acked(number);
                len
            },
            BatchSize::PerIteration,
        );
    });
}

fn clients(criterion: &mut Criterion) {
    let mut world = warm().0;
    let config = ViewConfig {
        inner_radius: RADIUS,
        outer_radius: RADIUS * 1.1,
        bytes_per_snapshot: 1_200,
    };
    let mut scratch = Scratch::new();
    let mut views: Vec<_> = (0..256)
        .map(|_| ClientView::new(world.client, config))
        .collect();
    let mut out = vec![0; 1_200];
    let mut number = 0_u64;
    let mut beat = |views: &mut [ClientView], scratch: &mut Scratch, out: &mut [u8], time: bool| {
        world.step();
        let frame = world.publish();
        number += 1;
        // The first one builds the cohort.
        let (first, others) = views.split_at_mut(1);
        first[0].begin(&frame, scratch);
        first[0].write_part(number, out, scratch);
        let acked = (number > 6).then(|| number - 6);
        let start = std::time::Instant::now();
        for view in others.iter_mut() {
            if let Some(acked) = acked {
                view.acked(acked);
            }
            view.begin(&frame, scratch);
            black_box(view.write_part(number, out, scratch));
            view.write_part(number, out, scratch);
        }
        let took = start.elapsed();
        if let Some(acked) = acked {
            first[0].acked(acked);
        }
        if time {
            took
        } else {
            std::time::Duration::ZERO
        }
    };
    for _ in 0..40 {
        beat(&mut views, &mut scratch, &mut out, false);
    }
    criterion.bench_function("client/part_100_of_1000", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = std::time::Duration::ZERO;
            for _ in 0..iterations.div_ceil(255) {
                took += beat(&mut views, &mut scratch, &mut out, true);
            }
            took.mul_f64(iterations as f64 / (iterations.div_ceil(255) * 255) as f64)
        });
    });
}

criterion_group!(benches, frames, clients);
criterion_main!(benches);
