//! A server, several clients, and a link per client with weather: time is the number of the
//! snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::verify::{Checked, Mismatch, check_replica};
use tickwire::proto::snapshot::{
    ClientView, FrameBuilder, FrameConfig, FrameHistory, KindId, MAX_AGE, Rejection, Relevance,
    Replica, Schema, Scratch, Snapshot, Team, TickFrame, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

use crate::world::{AREA, EVERY, Plain, World, hide, schema, secret_schema};

/// What a link does to what is sent over it, in both directions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) double: f64,
    /// In snapshots.
    pub(crate) delay: (u32, u32),
}

pub(crate) const CLEAR: Weather = Weather {
    loss: 0.0,
    double: 0.0,
    delay: (3, 3),
};

/// One client: its view at the server, its replica, and what is on its way between the two.
pub(crate) struct Client {
    pub(crate) slot: ClientSlot,
    pub(crate) view: ClientView,
    pub(crate) replica: Replica,
    pub(crate) number: u64,
    /// By arrival (in snapshots): number and bytes.
    pub(crate) down: Vec<(u32, u64, Vec<u8>)>,
    pub(crate) up: Vec<(u32, u64)>,
    pub(crate) received: Vec<u64>,
    /// Everything it was sent, if that is kept.
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) center: [f32; 3],
    pub(crate) always: Option<EntityId>,
    pub(crate) team: Option<Team>,
    /// What the game shows to it (`false`) or hides from it (`true`), by slot.
    pub(crate) exceptions: BTreeMap<u16, bool>,
    /// By tick: the entity it owned.
    owned: BTreeMap<Tick, Option<EntityId>>,
    /// Until when nothing comes through downwards, upwards.
    pub(crate) silent: (u32, u32),
    pub(crate) complete: u32,
    pub(crate) rejected: BTreeMap<&'static str, u32>,
}

/// A server with a world and its clients.
pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) schema: Arc<Schema>,
    pub(crate) history: FrameHistory,
    pub(crate) frames: BTreeMap<Tick, Arc<TickFrame>>,
    pub(crate) plain: Plain,
    pub(crate) clients: Vec<Client>,
    pub(crate) scratch: Scratch,
    pub(crate) rng: ChaCha8Rng,
    /// How often a client comes to own another entity, and of how many.
    pub(crate) hands: (f64, usize),
    /// Whether there is something that only owners are told.
    secret: bool,
    pub(crate) weather: Weather,
    pub(crate) room: (usize, usize),
    /// Keep the frames, for `verify`; otherwise their memory goes in a circle.
    pub(crate) keep: bool,
    pub(crate) keep_sent: bool,
    /// Whether the game shows and hides, besides what is near; and what it says, by slot.
    pub(crate) partial: bool,
    pub(crate) relevance: BTreeMap<u16, Relevance>,
    pub(crate) beat: u32,
    pub(crate) checked: Checked,
    pub(crate) parts: u64,
    pub(crate) multi: u64,
    /// Whether all clients look from where the first one does, and are of its team.
    pub(crate) together: bool,
    /// Every part that was written, and for whom, if anybody wants them.
    pub(crate) written: Option<Vec<(usize, Vec<u8>)>>,
    /// Parts without baseline, and by history code.
    pub(crate) histories: [u64; 4],
}

impl Sim {
    pub(crate) fn new(
        seed: u64,
        entities: usize,
        clients: u32,
        config: ViewConfig,
        weather: Weather,
    ) -> Self {
        println!("seed {seed}: {entities} entities, {clients} clients, {config:?}, {weather:?}");
        let slots = entities + entities / 4 + 1;
        let world = World::new(seed, slots, entities);
        Self::of(seed, world, schema(slots as u32), clients, config, weather)
    }

    /// Any world, of any schema.
    pub(crate) fn of(
        seed: u64,
        world: World,
        schema: Arc<Schema>,
        clients: u32,
        config: ViewConfig,
        weather: Weather,
    ) -> Self {
        let frame_config = FrameConfig {
            snapshot_every: EVERY,
            cell_size: 20.0,
        };
        let client = |index| {
            let slot = ClientSlot {
                index,
                generation: index,
            };
            Client {
                slot,
                view: ClientView::new(slot, config),
                replica: Replica::new(Arc::clone(&schema), EVERY),
                number: 0,
                down: Vec::new(),
                up: Vec::new(),
                received: Vec::new(),
                sent: Vec::new(),
                center: [0.0; 3],
                always: None,
                team: None,
                exceptions: BTreeMap::new(),
                owned: BTreeMap::new(),
                silent: (0, 0),
                complete: 0,
                rejected: BTreeMap::new(),
            }
        };
        Self {
            hands: (0.05, world.things.len()),
            world,
            history: FrameHistory::new(Arc::clone(&schema), frame_config).expect("a valid config"),
            frames: BTreeMap::new(),
            plain: Plain::new(),
            clients: (0..clients).map(client).collect(),
            scratch: Scratch::new(),
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xFACE),
            secret: false,
            weather,
            room: (1_100, 1_100),
            keep: true,
            keep_sent: false,
            partial: false,
            relevance: BTreeMap::new(),
            beat: 0,
            checked: Checked::default(),
            parts: 0,
            multi: 0,
            together: false,
            written: None,
            histories: [0; 4],
            schema,
        }
    }

    /// The same with things that keep secrets, which `key` makes different ones.
    pub(crate) fn with_secrets(
        (seed, key): (u64, i32),
        entities: usize,
        clients: u32,
        config: ViewConfig,
        weather: Weather,
    ) -> Self {
        let mut sim = Self::new(seed, entities, clients, config, weather);
        sim.schema = secret_schema(sim.schema.max_entities());
        sim.world.keep_secrets(key);
        sim.secret = true;
        let frame_config = FrameConfig {
            snapshot_every: EVERY,
            cell_size: 20.0,
        };
        let history = FrameHistory::new(Arc::clone(&sim.schema), frame_config);
        sim.history = history.expect("a valid config");
        for client in &mut sim.clients {
            client.replica = Replica::new(Arc::clone(&sim.schema), EVERY);
        }
        sim
    }

    pub(crate) fn publish(&mut self) -> Arc<TickFrame> {
        self.beat += 1;
        let tick = Tick(self.beat * EVERY);
        self.world.step();
        let mut builder = self.history.begin(tick).expect("ticks ascend");
        for (slot, thing) in self.world.things.iter().enumerate() {
            if let Some(thing) = thing {
                let id = EntityId {
                    slot: slot as u16,
                    generation: thing.generation,
                };
                let kind = KindId(thing.kind);
                builder
                    .put(id, kind, thing.position, &thing.values)
                    .expect("a valid row");
            }
        }
        let mut first = None;
        for client in &mut self.clients {
            for axis in &mut client.center {
                *axis = (*axis + self.rng.random_range(-2.0..2.0_f32)).clamp(-AREA, AREA);
            }
            if self.rng.random_bool(0.02) {
                client.center = [self.rng.random_range(-AREA..AREA); 3];
            }
            if self.rng.random_bool(self.hands.0) {
                let slot = self.rng.random_range(0..self.hands.1);
                client.always = self.world.id(slot);
            }
            if let Some((center, always, team)) = first.filter(|_| self.together) {
                (client.center, client.always, client.team) = (center, always, team);
            }
            first.get_or_insert((client.center, client.always, client.team));
            client.owned.insert(tick, client.always);
            let viewpoint = Viewpoint::at(client.center)
                .always(client.always)
                .of_team(client.team);
            builder.view(client.slot, viewpoint);
        }
        if self.partial {
            self.take_sides(&mut builder);
        }
        let frame = self.history.publish(builder);
        if self.keep {
            self.frames.insert(tick, Arc::clone(&frame));
        }
        self.plain.insert(tick, self.world.plain());
        frame
    }

    /// Entities become relevant to others, and clients are shown or denied some, at random. Whoever
    /// takes over a slot takes over what was said of it. Clients change sides with the next frame.
    fn take_sides(&mut self, builder: &mut FrameBuilder) {
        let rng = &mut self.rng;
        let slots = self.world.things.len();
        let team = |rng: &mut ChaCha8Rng| {
            let number = rng.random_range(0..3_u8);
            rng.random_bool(0.4).then_some(Team(number))
        };
        for _ in 0..=slots / 50 {
            let slot = rng.random_range(0..slots) as u16;
            let relevance = Relevance {
                everyone: rng.random_bool(0.2),
                team: team(rng),
                team_only: team(rng),
            };
            self.relevance.insert(slot, relevance);
            self.relevance.remove(&(rng.random_range(0..slots) as u16));
        }
        for (slot, relevance) in &self.relevance {
            if let Some(id) = self.world.id(usize::from(*slot)) {
                builder.relevance(id, *relevance);
            }
        }
        for client in &mut self.clients {
            if rng.random_bool(0.05) {
                client.team = team(rng);
            }
            let slot = rng.random_range(0..slots) as u16;
            client.exceptions.insert(slot, rng.random_bool(0.5));
            let slot = rng.random_range(0..slots) as u16;
            client.exceptions.remove(&slot);
            for (slot, hidden) in &client.exceptions {
                match (self.world.id(usize::from(*slot)), hidden) {
                    (Some(id), true) => builder.hide(client.slot, id),
                    (Some(id), false) => builder.show(client.slot, id),
                    (None, _) => {}
                }
            }
        }
    }

    /// One snapshot: everything that arrives, then everything that is sent.
    pub(crate) fn step(&mut self) {
        let frame = self.publish();
        for index in 0..self.clients.len() {
            self.arrivals(index);
            self.send(index, &frame);
        }
    }

    pub(crate) fn send(&mut self, index: usize, frame: &Arc<TickFrame>) {
        let client = &mut self.clients[index];
        client.view.begin(frame, &mut self.scratch);
        let mut out = [0; 1_200];
        let mut parts = 0;
        loop {
            let room = self.rng.random_range(self.room.0..=self.room.1);
            client.number += self.rng.random_range(1..3_u64);
            let number = client.number;
            let len = client
                .view
                .write_part(number, &mut out[..room], &mut self.scratch);
            if len == 0 {
                break;
            }
            assert!(len <= room);
            parts += 1;
            self.histories[history_of(&out[..len])] += 1;
            if let Some(written) = &mut self.written {
                written.push((index, out[..len].to_vec()));
            }
            if self.keep_sent {
                client.sent.push(out[..len].to_vec());
            }
            for _ in 0..copies(&mut self.rng, &self.weather, client.silent.0 > self.beat) {
                let delay = self
                    .rng
                    .random_range(self.weather.delay.0..=self.weather.delay.1);
                client
                    .down
                    .push((self.beat + delay, number, out[..len].to_vec()));
            }
        }
        self.parts += parts;
        self.multi += u64::from(parts > 1);
    }

    pub(crate) fn arrivals(&mut self, index: usize) {
        let beat = self.beat;
        loop {
            let client = &mut self.clients[index];
            let due = |arrival: &u32| *arrival <= beat;
            let Some(next) = client.down.iter().position(|(arrival, ..)| due(arrival)) else {
                break;
            };
            let (_, number, part) = client.down.swap_remove(next);
            let result = client.replica.receive(&part);
            // The channel acknowledges every datagram once, whatever the replica says to its
            // content.
            if !client.received.contains(&number) {
                client.received.push(number);
                for _ in 0..copies(&mut self.rng, &self.weather, client.silent.1 > beat) {
                    let delay = self
                        .rng
                        .random_range(self.weather.delay.0..=self.weather.delay.1);
                    client.up.push((beat + delay / 2, number));
                }
            }
            match result {
                Ok(applied) => {
                    client.complete += u32::from(applied.complete);
                    let snapshot = client.replica.snapshot(applied.tick).expect("just applied");
                    assert_eq!(snapshot.is_complete(), applied.complete);
                    let checked = self.check(index).unwrap_or_else(|mismatch| {
                        panic!("beat {beat}, client {index}: {mismatch}");
                    });
                    self.checked.entities += checked.entities;
                    self.checked.stale += checked.stale;
                }
                Err(rejection) => {
                    *client.rejected.entry(rejection.name()).or_default() += 1;
                }
            }
        }
        let client = &mut self.clients[index];
        while let Some(next) = client.up.iter().position(|(arrival, _)| *arrival <= beat) {
            let (_, number) = client.up.swap_remove(next);
            client.view.acked(number);
        }
        if self.rng.random_bool(self.weather.loss) {
            // The channel gives up on something; perhaps too early.
            client
                .view
                .lost(client.number.saturating_sub(self.rng.random_range(0..20)));
        }
    }

    /// Holds the newest snapshot of a client against the plain copy and, if there are frames,
    /// against these.
    pub(crate) fn check(&self, index: usize) -> Result<Checked, Mismatch> {
        let client = &self.clients[index];
        let mut checked = Checked::default();
        for snapshot in client.replica.snapshots().rev().take(3) {
            for entity in snapshot.entities() {
                let mut truth = self.plain[&entity.as_of][usize::from(entity.id.slot)].clone();
                if let Some((_, kind, values)) = truth.as_mut().filter(|_| self.secret)
                    && client.owned[&entity.as_of] != Some(entity.id)
                {
                    hide(*kind, values);
                }
                let held = Some((entity.id.generation, entity.kind.0, entity.values.to_vec()));
                assert_eq!(held, truth, "tick {}: {}", snapshot.tick(), entity.id);
            }
            if self.keep {
                let frames = |tick| self.frames.get(&tick).cloned();
                let found = check_replica(snapshot, frames, client.slot, client.view.config())?;
                checked.entities += found.entities;
                checked.stale += found.stale;
            }
        }
        Ok(checked)
    }

    pub(crate) fn run(&mut self, beats: u32) {
        for _ in 0..beats {
            self.step();
        }
    }

    /// The weather clears, and then every client's newest snapshot is soon complete and stays so.
    pub(crate) fn heals(&mut self, config: ViewConfig) {
        self.weather = CLEAR;
        self.room = (1_100, 1_100);
        for client in &mut self.clients {
            client.silent = (0, 0);
            client.view.configure(config);
        }
        self.run(3 * MAX_AGE);
        for client in &mut self.clients {
            client.complete = 0;
        }
        self.run(10);
        for (index, client) in self.clients.iter().enumerate() {
            assert!(
                client.complete >= 9,
                "client {index}: {} of 10 complete",
                client.complete
            );
            assert!(client.replica.newest().is_some_and(Snapshot::is_complete));
            assert!(!client.replica.needs_resync());
        }
    }

    pub(crate) fn only_rejected(&self, allowed: &[Rejection]) {
        for client in &self.clients {
            for name in client.rejected.keys() {
                assert!(
                    allowed.iter().any(|allowed| allowed.name() == *name),
                    "{:?}",
                    client.rejected
                );
            }
        }
    }
}

/// What a part is told from, by its head (section 8.3 of `docs/protocol.md`): 0, nothing; else its
/// history code and one.
fn history_of(part: &[u8]) -> usize {
    let head = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
    let (age, code) = (head >> 16 & 31, head >> 21 & 3);
    if age == 0 { 0 } else { code as usize + 1 }
}

pub(crate) fn copies(rng: &mut ChaCha8Rng, weather: &Weather, silent: bool) -> u32 {
    if silent || rng.random_bool(weather.loss) {
        0
    } else {
        1 + u32::from(rng.random_bool(weather.double))
    }
}

pub(crate) fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => vec![seed],
        None => (1..=count).collect(),
    }
}

pub(crate) fn view(radius: f32, bytes: usize) -> ViewConfig {
    ViewConfig {
        inner_radius: radius,
        outer_radius: radius * 1.15,
        bytes_per_snapshot: bytes,
    }
}

pub(crate) const STORM: Weather = Weather {
    loss: 0.2,
    double: 0.1,
    delay: (1, 9),
};

/// What doubles and stragglers are refused with; nothing else may be refused when nobody forges.
pub(crate) const LATE: [Rejection; 2] = [Rejection::Duplicate, Rejection::TooOld];
