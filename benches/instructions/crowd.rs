//! A world that many clients look at from different places: a frame, who sees whom, a part for each, and what they
//! acknowledge of the snapshots before.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Schema, Scratch,
    TickFrame, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

/// Half the side of the world. About a tenth of all entities are within [`RADIUS`] of a place in its middle.
const AREA: f32 = 200.0;
const RADIUS: f32 = 71.0;
/// A part is acknowledged so many snapshots later.
const LATE: usize = 4;
/// How far a client sees.
pub(crate) const VIEW: ViewConfig = ViewConfig {
    inner_radius: RADIUS,
    outer_radius: RADIUS * 1.1,
    bytes_per_snapshot: 1_200,
};
const SNAPSHOT_EVERY: u32 = 2;
/// After so many snapshots everybody holds what is in sight, and no memory grows any more.
const WARM: usize = 30;

const METERS: Quantity = Quantity::Ranged {
    min: -256.0,
    max: 256.0,
    step: 1.0 / 64.0,
};

/// What everybody in the world is.
pub(crate) fn schema() -> Arc<Schema> {
    let fields = vec![
        Field::new("x", METERS, Blend::Linear),
        Field::new("y", METERS, Blend::Linear),
        Field::new("yaw", Quantity::Angle { bits: 12 }, Blend::Angle),
        Field::new("health", Quantity::Unsigned { bits: 7 }, Blend::Step),
    ];
    let schema = Schema::new(vec![Kind::new("walker", fields)]).expect("a good schema");
    Arc::new(schema.with_max_entities(4_096).expect("a good number"))
}

/// The walkers.
pub(crate) struct World {
    rng: Xoshiro256PlusPlus,
    /// Where each is, and where it goes in a tick.
    walkers: Vec<([f32; 2], [f32; 2])>,
    history: FrameHistory,
    tick: u32,
}

impl World {
    pub(crate) fn new(walkers: usize) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut between = |most: f32| [0; 2].map(|_| rng.random_range(-most..most));
        let walkers = (0..walkers).map(|_| (between(AREA), between(0.2)));
        let config = FrameConfig {
            snapshot_every: SNAPSHOT_EVERY,
            cell_size: 36.0,
        };
        Self {
            walkers: walkers.collect(),
            history: FrameHistory::new(schema(), config).expect("a good configuration"),
            tick: 0,
            rng,
        }
    }

    /// Everybody walks on, one in twenty another way; then a frame, with a viewpoint for each client at a walker.
    pub(crate) fn publish(&mut self, clients: usize) -> Arc<TickFrame> {
        for (at, way) in &mut self.walkers {
            if self.rng.random_range(0..20) == 0 {
                *way = [0; 2].map(|_| self.rng.random_range(-0.2..0.2));
            }
            for axis in 0..2 {
                at[axis] = (at[axis] + way[axis]).clamp(-AREA, AREA);
            }
        }
        self.tick += SNAPSHOT_EVERY;
        let mut builder = self.history.begin(Tick(self.tick)).expect("in order");
        for (slot, ([x, y], [along, across])) in (0..).zip(&self.walkers) {
            let id = EntityId {
                slot,
                generation: 0,
            };
            let yaw = across.atan2(*along);
            let row = [
                METERS.quantise(*x),
                METERS.quantise(*y),
                Quantity::Angle { bits: 12 }.quantise(yaw),
                100,
            ];
            let put = builder.put(id, KindId(0), [*x, *y, 0.0], &row);
            put.expect("a good row");
        }
        for client in 0..clients {
            let ([x, y], _) = self.walkers[client % self.walkers.len()];
            builder.view(slot_of(client), Viewpoint::at([x, y, 0.0]));
        }
        self.history.publish(builder)
    }
}

/// The place of a client at the server.
pub(crate) fn slot_of(client: usize) -> ClientSlot {
    ClientSlot {
        index: client as u32,
        generation: 0,
    }
}

/// A world and the clients that look at it.
pub(crate) struct Crowd {
    world: World,
    views: Vec<ClientView>,
    /// The datagrams of each snapshot on its way, by client: numbers from, and to.
    flight: VecDeque<Vec<(u64, u64)>>,
    number: u64,
    scratch: Scratch,
    datagram: Vec<u8>,
}

impl Crowd {
    /// One in which everybody holds what is in sight.
    pub(crate) fn new(walkers: usize, clients: usize) -> Self {
        let mut crowd = Self::cold(walkers, clients);
        for _ in 0..WARM {
            crowd.snapshot(|_| {});
        }
        crowd
    }

    /// One in which nobody holds anything.
    pub(crate) fn cold(walkers: usize, clients: usize) -> Self {
        let view = |client| ClientView::new(slot_of(client), VIEW);
        Self {
            world: World::new(walkers),
            views: (0..clients).map(view).collect(),
            flight: VecDeque::new(),
            number: 0,
            scratch: Scratch::new(),
            datagram: vec![0; 1_200],
        }
    }

    /// A snapshot for everybody; `told` is shown each part. Says how many bytes it took.
    pub(crate) fn snapshot(&mut self, told: impl FnMut(&[u8])) -> usize {
        let frame = self.publish();
        let numbers = self.hear();
        self.tell(&frame, numbers, told)
    }

    /// The world a snapshot later.
    pub(crate) fn publish(&mut self) -> Arc<TickFrame> {
        self.world.publish(self.views.len())
    }

    /// Everybody acknowledges the oldest snapshot that is late enough. Its numbers come back, to be written anew.
    pub(crate) fn hear(&mut self) -> Vec<(u64, u64)> {
        let arrived = (self.flight.len() >= LATE).then(|| self.flight.pop_front());
        let mut numbers = arrived.flatten().unwrap_or_default();
        numbers.resize(self.views.len(), (0, 0));
        for (view, (first, end)) in self.views.iter_mut().zip(&numbers) {
            (*first..*end).for_each(|number| view.acked(number));
        }
        numbers
    }

    /// Everybody is told a frame.
    pub(crate) fn tell(
        &mut self,
        frame: &Arc<TickFrame>,
        mut numbers: Vec<(u64, u64)>,
        mut told: impl FnMut(&[u8]),
    ) -> usize {
        let mut bytes = 0;
        for (view, (first, end)) in self.views.iter_mut().zip(&mut numbers) {
            *first = self.number;
            view.begin(frame, &mut self.scratch);
            loop {
                let len = view.write_part(self.number, &mut self.datagram, &mut self.scratch);
                if len == 0 {
                    break;
                }
                self.number += 1;
                bytes += len;
                told(&self.datagram[..len]);
            }
            *end = self.number;
        }
        self.flight.push_back(numbers);
        bytes
    }
}
