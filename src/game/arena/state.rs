//! What the arena consists of: fighters, bolts and pickups, and how each of them moves by itself.
//!
//! Knows one thing at a time. What things do to each other is in `step`.

use crate::id::{ClientId, ClientSlot, EntityId};
use crate::proto::snapshot::{Replicate, ReplicateEnum};
use crate::time::Tick;

use super::input::ArenaInput;
use super::rules::{HALF_BODY, HEALTH_MAX, Rules, Weapon};
use super::schema::{FAR, GRAIN};
use super::walls::Walls;

/// Where somebody is, how they move and where they look. All that a client needs to predict
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Replicate)]
pub struct Body {
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), group = "walk", moves = "linear")]
    pub x: i32,
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), group = "walk", moves = "linear")]
    pub y: i32,
    /// Velocity, in 1/256 m per tick: below half a tile.
    #[replicate(bits = 9, group = "walk", moves = "still")]
    pub vx: i32,
    /// Velocity, in 1/256 m per tick: below half a tile.
    #[replicate(bits = 9, group = "walk", moves = "still")]
    pub vy: i32,
    /// Where they look: 0 to 4,095.
    #[replicate(angle(bits = 12))]
    pub yaw: u16,
}

impl Body {
    /// One tick of looking and walking. The very function that the server plays: from the same
    /// body, input and walls a client gets the same body, to the last bit.
    pub fn walk(&mut self, input: &ArenaInput, rules: &Rules, walls: &Walls) {
        self.yaw = input.aim;
        let (want_x, want_y) = wanted_velocity(input, rules.walk);
        self.vx = approach(self.vx, want_x, rules.acceleration);
        self.vy = approach(self.vy, want_y, rules.acceleration);
        let (x, stopped) = walls.slide_x(self.x, self.y, HALF_BODY, self.vx);
        self.x = x;
        if stopped {
            self.vx = 0;
        }
        let (y, stopped) = walls.slide_y(self.x, self.y, HALF_BODY, self.vy);
        self.y = y;
        if stopped {
            self.vy = 0;
        }
    }
}

/// The velocity that an input asks for: walking askew is not faster than walking straight.
fn wanted_velocity(input: &ArenaInput, walk: i32) -> (i32, i32) {
    let (x, y) = (i32::from(input.move_x), i32::from(input.move_y));
    let length = (x * x + y * y).isqrt().max(i32::from(i8::MAX));
    (x * walk / length, y * walk / length)
}

/// `from`, moved toward `to` by at most `step`.
fn approach(from: i32, to: i32, step: i32) -> i32 {
    from + (to - from).clamp(-step, step)
}

/// A player in the arena, alive or waiting to stand up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fighter {
    /// The row in the frame; stays the same through all deaths.
    pub id: EntityId,
    /// Whose fighter it is.
    pub slot: ClientSlot,
    /// Who that is.
    pub client: ClientId,
    /// Where and how.
    pub body: Body,
    /// What is played this tick.
    pub input: ArenaInput,
    /// 0: dead.
    pub health: u8,
    /// In hand.
    pub weapon: Weapon,
    /// By weapon.
    pub ammo: [u8; Weapon::ALL.len()],
    /// Shots ever fired; a view shows a flash whenever it changes.
    pub shots: u16,
    /// Others killed.
    pub score: u16,
    /// Own deaths.
    pub deaths: u16,
    /// When the weapon in hand can fire.
    pub ready_at: Tick,
    /// When a dead fighter stands up.
    pub respawn_at: Tick,
    /// When the next sentence may be spoken.
    pub speak_at: Tick,
}

impl Fighter {
    /// Somebody new, who stands nowhere yet.
    #[must_use]
    pub fn new(id: EntityId, slot: ClientSlot, client: ClientId) -> Self {
        Self {
            id,
            slot,
            client,
            body: Body::default(),
            input: ArenaInput::default(),
            health: 0,
            weapon: Weapon::default(),
            ammo: [0; Weapon::ALL.len()],
            shots: 0,
            score: 0,
            deaths: 0,
            ready_at: Tick(0),
            respawn_at: Tick(0),
            speak_at: Tick(0),
        }
    }

    /// Stands up at a place, whole and freshly armed.
    pub fn stand_up(&mut self, x: i32, y: i32) {
        let yaw = self.body.yaw;
        self.body = Body {
            x,
            y,
            yaw,
            ..Body::default()
        };
        self.health = HEALTH_MAX;
        self.weapon = Weapon::default();
        self.ammo = Weapon::ALL.map(|weapon| weapon.rule().ammo);
    }

    /// Lies down at once.
    pub fn die(&mut self, respawn_at: Tick) {
        self.health = 0;
        (self.body.vx, self.body.vy) = (0, 0);
        self.deaths = self.deaths.saturating_add(1);
        self.respawn_at = respawn_at;
    }

    /// Whether they are on their feet.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.health > 0
    }

    /// Takes the wanted weapon in hand, which takes a moment.
    pub fn choose_weapon(&mut self, tick: Tick, rules: &Rules) {
        let Some(weapon) = self.input.weapon.filter(|weapon| *weapon != self.weapon) else {
            return;
        };
        self.weapon = weapon;
        // Changing hands does not shorten the wait for the next shot.
        self.ready_at = self.ready_at.max(rules.raised(tick));
    }

    /// Fires if the trigger is held and the weapon can; uses up the ammunition.
    pub fn pull_trigger(&mut self, tick: Tick, rules: &Rules) -> Option<Weapon> {
        let ammo = &mut self.ammo[self.weapon as usize];
        let can = self.health > 0 && self.input.fire && self.ready_at <= tick && *ammo > 0;
        if !can {
            return None;
        }
        *ammo -= 1;
        self.shots = self.shots.wrapping_add(1);
        self.ready_at = rules.reloaded(self.weapon, tick);
        Some(self.weapon)
    }
}

/// A bolt in the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bolt {
    /// The row in the frame.
    pub id: EntityId,
    /// Who gets the credit, and is not hit by it.
    pub owner: ClientSlot,
    /// The owner's row.
    pub owner_id: EntityId,
    /// Position, in 1/256 m.
    pub x: i32,
    /// Position, in 1/256 m.
    pub y: i32,
    /// Velocity, in 1/256 m per tick.
    pub vx: i32,
    /// Velocity, in 1/256 m per tick.
    pub vy: i32,
    /// The tick at which it is gone.
    pub ends_at: Tick,
}

/// What a pickup gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ReplicateEnum)]
#[repr(u8)]
pub enum PickupKind {
    /// Health for the wounded.
    Health = 0,
    /// Ammunition for both weapons.
    Ammo = 1,
}

impl PickupKind {
    /// The kind of a number on the wire.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Health),
            1 => Some(Self::Ammo),
            _ => None,
        }
    }

    /// Gives it to somebody; `false` when they have no use for it.
    pub fn give(self, fighter: &mut Fighter) -> bool {
        match self {
            Self::Health => {
                let health = fighter.health.saturating_add(super::rules::HEALTH_PICKUP);
                let health = health.min(HEALTH_MAX);
                core::mem::replace(&mut fighter.health, health) != health
            }
            Self::Ammo => {
                let mut used = false;
                for (weapon, ammo) in Weapon::ALL.iter().zip(&mut fighter.ammo) {
                    let rule = weapon.rule();
                    let more = ammo.saturating_add(rule.ammo_pickup).min(rule.ammo_max);
                    used |= core::mem::replace(ammo, more) != more;
                }
                used
            }
        }
    }
}

/// A place where a pickup lies, or will lie again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pickup {
    /// The row in the frame; a new generation whenever it lies there again.
    pub id: EntityId,
    /// What it gives.
    pub kind: PickupKind,
    /// Position, in 1/256 m.
    pub x: i32,
    /// Position, in 1/256 m.
    pub y: i32,
    /// When it lies there again; `None` while it does.
    pub back_at: Option<Tick>,
}
