//! The whole arena at one tick: who and what is in it, who comes and goes, and its hash.
//!
//! Knows all things at once. What happens in a tick is in `step`; who sees it is not known here.

use core::hash::Hasher;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use siphasher::sip::SipHasher13;

use crate::game::cells::Cells;
use crate::id::{ClientId, ClientSlot, EntityId};
use crate::time::{Tick, TickRate};

use super::rules::{BOLTS_PER_PLAYER, PLAYERS_MAX, Rules, TILE, pickups_for};
use super::state::{Bolt, Fighter, Pickup, PickupKind};
use super::walls::{Walls, WallsSpec};

/// What an arena is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaConfig {
    /// Decides the ground and every place where somebody stands up.
    pub seed: u64,
    /// Places for players, at most [`PLAYERS_MAX`]; the ground grows with them.
    pub players: u32,
    /// Ticks a second.
    pub rate: TickRate,
}

impl Default for ArenaConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            players: 64,
            rate: TickRate::HZ_60,
        }
    }
}

/// Edge of a cell: 8 m, where one player stands on average.
const CELL: i32 = 4 * TILE;

/// Health taken by a shot, paid when all shots of the tick are fired: two who shoot each other at
/// the same tick both fall, whoever has the lower slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) from: ClientSlot,
    pub(super) from_id: EntityId,
    pub(super) to: u16,
    pub(super) damage: u8,
}

/// Everything there is. Rows of the frame are given out in three ranges: fighters by client index,
/// then pickups, then bolts.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) walls: Walls,
    pub(super) rng: Xoshiro256PlusPlus,
    /// The tick that was played last.
    pub(super) tick: Tick,
    /// By client index.
    pub(super) fighters: Vec<Option<Fighter>>,
    /// Of each fighter's row: how many had it before.
    generations: Vec<u16>,
    pub(super) pickups: Vec<Pickup>,
    pub(super) bolts: Vec<Option<Bolt>>,
    bolt_generations: Vec<u16>,
    /// Free places in `bolts`; the one that was freed last is used first, so that bolts stay in few rows.
    free_bolts: Vec<u16>,
    /// The living fighters, as of this tick's walk.
    pub(super) cells: Cells,
    pub(super) hits: Vec<Hit>,
}

impl World {
    /// An arena with pickups and nobody in it.
    #[must_use]
    pub fn new(config: ArenaConfig) -> Self {
        let spec = WallsSpec::for_players(config.seed, config.players.clamp(1, PLAYERS_MAX));
        Self::with_walls(config, Walls::new(spec))
    }

    /// The same on a ground of one's own.
    #[must_use]
    pub fn with_walls(config: ArenaConfig, walls: Walls) -> Self {
        let players = config.players.clamp(1, PLAYERS_MAX);
        let bolts = players * BOLTS_PER_PLAYER;
        let mut world = Self {
            rules: Rules::at(config.rate),
            rng: Xoshiro256PlusPlus::seed_from_u64(config.seed),
            tick: Tick(0),
            fighters: vec![None; players as usize],
            generations: vec![0; players as usize],
            pickups: Vec::new(),
            bolts: vec![None; bolts as usize],
            bolt_generations: vec![0; bolts as usize],
            free_bolts: (0..bolts as u16).rev().collect(),
            cells: Cells::new(walls.extent(), CELL, players as usize),
            hits: Vec::with_capacity(players as usize),
            walls,
        };
        for place in 0..pickups_for(players) {
            let kind = [PickupKind::Health, PickupKind::Ammo][place as usize % 2];
            let (x, y) = world.free_tile();
            let id = EntityId {
                slot: (players + place) as u16,
                generation: 0,
            };
            world.pickups.push(Pickup {
                id,
                kind,
                x,
                y,
                back_at: None,
            });
        }
        world
    }

    /// The ground.
    #[must_use]
    pub const fn walls(&self) -> &Walls {
        &self.walls
    }

    /// The numbers it plays by.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Everybody who is in it, by client index.
    pub fn fighters(&self) -> impl Iterator<Item = &Fighter> {
        self.fighters.iter().flatten()
    }

    /// The fighter of a client.
    #[must_use]
    pub fn fighter(&self, slot: ClientSlot) -> Option<&Fighter> {
        let fighter = self.fighters.get(slot.index as usize)?.as_ref()?;
        (fighter.slot == slot).then_some(fighter)
    }

    /// The fighter of a client, to be changed: by rules here, by scenes in tests and demos.
    pub fn fighter_mut(&mut self, slot: ClientSlot) -> Option<&mut Fighter> {
        let fighter = self.fighters.get_mut(slot.index as usize)?.as_mut()?;
        (fighter.slot == slot).then_some(fighter)
    }

    /// The bolts in the air.
    pub fn bolts(&self) -> impl Iterator<Item = &Bolt> {
        self.bolts.iter().flatten()
    }

    /// The places of pickups, empty or not.
    #[must_use]
    pub fn pickups(&self) -> &[Pickup] {
        &self.pickups
    }

    /// The places of pickups, to be changed: a scene wants one here.
    pub fn pickups_mut(&mut self) -> &mut [Pickup] {
        &mut self.pickups
    }

    /// Lets a client in, on their feet. `None` when the arena was built for fewer, or when somebody is
    /// in that place.
    pub fn join(&mut self, slot: ClientSlot, client: ClientId) -> Option<EntityId> {
        let index = slot.index as usize;
        if self.fighters.get(index)?.is_some() {
            return None;
        }
        let generation = self.generations.get_mut(index)?;
        let id = EntityId {
            slot: index as u16,
            generation: *generation,
        };
        *generation = generation.wrapping_add(1);
        let mut fighter = Fighter::new(id, slot, client);
        let (x, y) = self.quiet_tile();
        fighter.stand_up(x, y);
        self.fighters[index] = Some(fighter);
        Some(id)
    }

    /// A client is gone, and so is the fighter. Bolts fly on, for nobody's credit.
    pub fn leave(&mut self, slot: ClientSlot) {
        if self.fighter(slot).is_some() {
            self.fighters[slot.index as usize] = None;
        }
    }

    /// The middle of some free tile.
    fn free_tile(&mut self) -> (i32, i32) {
        let side = self.walls.spec().side.cast_signed();
        let inner = side - 2;
        let first = self.rng.random_range(0..inner * inner);
        // Most tiles are free: the first or second guess is one.
        let free = (first..inner * inner)
            .chain(0..first)
            .map(|tile| (1 + tile % inner, 1 + tile / inner))
            .find(|(column, row)| !self.walls.is_solid(*column, *row));
        let (column, row) = free.unwrap_or((1, 1));
        (column * TILE + TILE / 2, row * TILE + TILE / 2)
    }

    /// A free tile with nobody within 8 m, if a few guesses find one.
    pub(super) fn quiet_tile(&mut self) -> (i32, i32) {
        const GUESSES: u32 = 6;
        let mut place = self.free_tile();
        for _ in 1..GUESSES {
            if self.cells.near(place.0, place.1, 4 * TILE).next().is_none() {
                break;
            }
            place = self.free_tile();
        }
        place
    }

    /// A bolt's row, for as long as it flies; `None` when all are in use.
    pub(super) fn take_bolt_row(&mut self) -> Option<(usize, EntityId)> {
        let place = self.free_bolts.pop()?;
        let generation = self.bolt_generations.get_mut(usize::from(place))?;
        *generation = generation.wrapping_add(1);
        let first_row = (self.fighters.len() + self.pickups.len()) as u16;
        let id = EntityId {
            slot: first_row + place,
            generation: *generation,
        };
        Some((usize::from(place), id))
    }

    /// A bolt is gone.
    pub(super) fn drop_bolt(&mut self, place: usize) {
        if self.bolts[place].take().is_some() {
            self.free_bolts.push(place as u16);
        }
    }

    /// A number for the whole state, equal on every platform: two runs with the same seed and the same
    /// inputs have the same number at every tick, and a difference shows at once.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write_u32(self.tick.0);
        // The generator's state shows in what it would say next.
        hasher.write_u64(self.rng.clone().random());
        for fighter in self.fighters() {
            hash_fighter(&mut hasher, fighter);
        }
        for bolt in self.bolts() {
            hash_numbers(&mut hasher, [bolt.x, bolt.y, bolt.vx, bolt.vy]);
            hash_id(&mut hasher, bolt.id);
            hash_id(&mut hasher, bolt.owner_id);
            hasher.write_u32(bolt.ends_at.0);
        }
        for pickup in &self.pickups {
            hash_id(&mut hasher, pickup.id);
            hasher.write_u32(pickup.back_at.map_or(u32::MAX, |tick| tick.0));
        }
        hasher.finish()
    }
}

fn hash_fighter(hasher: &mut SipHasher13, fighter: &Fighter) {
    let body = &fighter.body;
    hash_id(hasher, fighter.id);
    hash_numbers(hasher, [body.x, body.y, body.vx, body.vy]);
    hasher.write_u16(body.yaw);
    hasher.write_u8(fighter.health);
    hasher.write_u8(fighter.weapon as u8);
    fighter.ammo.iter().for_each(|ammo| hasher.write_u8(*ammo));
    for number in [fighter.shots, fighter.score, fighter.deaths] {
        hasher.write_u16(number);
    }
    for tick in [fighter.ready_at, fighter.respawn_at] {
        hasher.write_u32(tick.0);
    }
}

fn hash_numbers(hasher: &mut SipHasher13, numbers: [i32; 4]) {
    numbers.iter().for_each(|number| hasher.write_i32(*number));
}

fn hash_id(hasher: &mut SipHasher13, id: EntityId) {
    hasher.write_u16(id.slot);
    hasher.write_u16(id.generation);
}
