//! The arena as whoever reads a snapshot sees it: players, projectiles and pickups, every field with its
//! range. One screen, the whole format.
//!
//! For clients, bots and pictures. Knows what travels; has no world and no replica.

use crate::id::EntityId;
use crate::proto::snapshot::{KindId, Replicate, RowReader, Schema, TickFrame};

use super::rules::{METRE, Weapon};
use super::schema::{FAR, GRAIN, PICKUP, PLAYER, PROJECTILE};
use super::state::{Body, Bolt, Fighter, Pickup, PickupKind};

/// A player as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Replicate)]
#[replicate(kind = "player")]
pub struct PlayerView {
    /// Where and how; what a client continues its own prediction from.
    #[replicate(flatten)]
    pub body: Body,
    /// 0: dead, and lies where it fell.
    #[replicate(bits = 7)]
    pub health: u8,
    /// In hand.
    pub weapon: Weapon,
    /// For the weapon in hand.
    #[replicate(bits = 7)]
    pub ammo: u8,
    /// Shots fired, modulo 64: a view shows a flash whenever it differs.
    #[replicate(bits = 6)]
    pub shots: u8,
    /// Others killed, at most 4,095.
    #[replicate(bits = 12)]
    pub score: u16,
}

/// A bolt in the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Replicate)]
#[replicate(kind = "projectile")]
pub struct ProjectileView {
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), group = "flight", moves = "linear")]
    pub x: i32,
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), group = "flight", moves = "linear")]
    pub y: i32,
    /// Velocity, in 1/256 m per tick, at any tick rate.
    #[replicate(bits = 14, group = "flight", moves = "still")]
    pub vx: i32,
    /// Velocity, in 1/256 m per tick, at any tick rate.
    #[replicate(bits = 14, group = "flight", moves = "still")]
    pub vy: i32,
    /// The row of the player who fired it.
    #[replicate(moves = "still")]
    pub owner: u16,
}

/// A pickup that lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Replicate)]
#[replicate(kind = "pickup")]
pub struct PickupView {
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), blend = "step", moves = "still")]
    pub x: i32,
    /// Position, in 1/256 m.
    #[replicate(steps(range = 0.0..=FAR, step = GRAIN), blend = "step", moves = "still")]
    pub y: i32,
    /// What it gives.
    #[replicate(name = "gives", moves = "still")]
    pub kind: PickupKind,
}

/// Whatever a row of a snapshot is.
///
/// ```
/// use tickwire::game::arena::{PICKUP, PickupKind, Thing, schema};
/// let Some(Thing::Pickup(pickup)) = Thing::read(&schema(), PICKUP, &[512, 256, 1]) else {
///     unreachable!()
/// };
/// assert_eq!((pickup.x, pickup.kind), (512, PickupKind::Ammo));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// Somebody.
    Player(PlayerView),
    /// A bolt.
    Projectile(ProjectileView),
    /// A pickup.
    Pickup(PickupView),
}

impl Thing {
    /// Reads the values of a row; `None` when the arena has no such kind.
    #[must_use]
    pub fn read(schema: &Schema, kind: KindId, values: &[i32]) -> Option<Self> {
        let mut row = RowReader::new(schema.kind(kind)?, values);
        match kind {
            PLAYER => Some(Self::Player(PlayerView::read(&mut row))),
            PROJECTILE => Some(Self::Projectile(ProjectileView::read(&mut row))),
            PICKUP => Some(Self::Pickup(PickupView::read(&mut row))),
            _ => None,
        }
    }

    /// Where it is, in 1/256 m.
    #[must_use]
    pub const fn place(&self) -> (i32, i32) {
        match self {
            Self::Player(player) => (player.body.x, player.body.y),
            Self::Projectile(projectile) => (projectile.x, projectile.y),
            Self::Pickup(pickup) => (pickup.x, pickup.y),
        }
    }

    /// Where it is in metres, as frames and pictures want it.
    #[must_use]
    pub fn position(&self) -> [f32; 3] {
        let (x, y) = self.place();
        // Exact: 18 bits divided by a power of two.
        let metres = |at: i32| at as f32 / METRE as f32;
        [metres(x), metres(y), 0.0]
    }
}

/// Everything in a frame, in the order of its rows.
pub fn things_of(frame: &TickFrame) -> impl Iterator<Item = (EntityId, Thing)> + '_ {
    frame.iter().filter_map(|row| {
        let thing = Thing::read(frame.schema(), row.kind, row.values)?;
        Some((row.id, thing))
    })
}

impl PlayerView {
    /// Whether it is on its feet.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.health > 0
    }
}

impl From<&Fighter> for PlayerView {
    fn from(fighter: &Fighter) -> Self {
        Self {
            body: fighter.body,
            health: fighter.health,
            weapon: fighter.weapon,
            ammo: fighter.ammo[fighter.weapon as usize],
            shots: (fighter.shots % 64) as u8,
            score: fighter.score.min(4_095),
        }
    }
}

impl From<&Bolt> for ProjectileView {
    fn from(bolt: &Bolt) -> Self {
        let Bolt {
            x,
            y,
            vx,
            vy,
            owner_id,
            ..
        } = *bolt;
        Self {
            x,
            y,
            vx,
            vy,
            owner: owner_id.slot,
        }
    }
}

impl From<&Pickup> for PickupView {
    fn from(pickup: &Pickup) -> Self {
        let Pickup { x, y, kind, .. } = *pickup;
        Self { x, y, kind }
    }
}
