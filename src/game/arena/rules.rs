//! The numbers of the arena, in the units that the world is made of, each with its reason.
//!
//! Knows lengths and times. Has no state.
//!
//! All arithmetic is on integers. A length is a number of 1/256 metres, a velocity is lengths
//! *per tick*, an angle is one of 4,096. Nothing is rounded between the world, the wire and a
//! client's prediction: whoever runs [`Body::walk`](super::Body::walk) on the same numbers gets
//! the same numbers, and whoever moves on straight ahead is predicted exactly.

use core::time::Duration;

use crate::proto::snapshot::ReplicateEnum;
use crate::time::{Tick, TickRate};

/// Lengths in a metre. At 60 Hz a walking player covers 30 of them a tick, enough for smooth
/// acceleration and directions; 512 m of world need 17 bits.
pub const METRE: i32 = 256;

/// Edge of a tile, the grain of walls: two metres, a door's width. A power of two, so that the tile
/// of a position is a shift.
pub const TILE: i32 = 2 * METRE;

/// Half the edge of a player's box: 0.4 m, shoulders.
pub const HALF_BODY: i32 = 102;

/// How far from a pickup's middle a player's middle may be to take it: 0.8 m on both axes.
pub const REACH: i32 = 205;

/// Ground per player: 64 m^2, an 8 m square. Bolts fly three of these squares far, so
/// everybody is in somebody's range, and a view of 40 m holds about eighty players.
pub const TILES_PER_PLAYER: u32 = 16;

/// The smallest arena: 16 tiles, 32 m, room to hide for two.
pub const TILES_MIN: u32 = 16;

/// Players an arena can be built for. With their bolts and pickups they stay below the 65,000
/// rows of a frame; see [`entities_for`].
pub const PLAYERS_MAX: u32 = 8_192;

/// Full health.
pub const HEALTH_MAX: u8 = 100;
/// What a health pickup gives back: two hits.
pub const HEALTH_PICKUP: u8 = 40;

/// How long the dead lie before they stand up elsewhere: long enough to see who it was.
pub const RESPAWN_AFTER: Duration = Duration::from_millis(2_000);
/// How long a place stays empty after its pickup was taken.
pub const PICKUP_AFTER: Duration = Duration::from_millis(8_000);
/// How long a weapon is raised before it can fire: a change of weapon has a price.
pub const RAISE_TIME: Duration = Duration::from_millis(250);
/// How far a voice carries, on both axes.
pub const VOICE_RANGE: i32 = 24 * METRE;
/// A player speaks at most this often: nobody can drown a crowd.
pub const VOICE_EVERY: Duration = Duration::from_millis(500);
/// The longest sentence in bytes of UTF-8.
pub const VOICE_MAX: usize = 120;

/// Metres a second on foot; a brisk run, so that 8 m are about a second.
const WALK_SPEED: i32 = 7;
/// Metres a second squared: full speed after an eighth of a second, crisp and not instant.
const WALK_ACCELERATION: i32 = 56;
/// Metres a second of a bolt: three times a runner, so that it can be dodged from afar.
const BOLT_SPEED: i32 = 24;
/// How long a bolt flies. One second at four bolts a second: never more than four in the air.
const BOLT_LIFE: Duration = Duration::from_millis(1_000);
/// Bolts of one player in the air at a time, at most.
pub const BOLTS_PER_PLAYER: u32 = 4;

/// What a player can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ReplicateEnum)]
#[repr(u8)]
pub enum Weapon {
    /// Throws bolts that fly and can be dodged.
    #[default]
    Bolt = 0,
    /// Hits at once, seldom, and at the world's present: what the server sees is what is hit.
    Rail = 1,
}

/// What there is to know about a weapon.
#[derive(Debug, Clone, Copy)]
pub struct WeaponRule {
    /// Time between two shots.
    pub cadence: Duration,
    /// Health a hit takes.
    pub damage: u8,
    /// Ammunition of somebody who stands up.
    pub ammo: u8,
    /// The most that can be carried.
    pub ammo_max: u8,
    /// What an ammunition pickup adds.
    pub ammo_pickup: u8,
    /// How far it carries, as a length.
    pub range: i32,
}

impl Weapon {
    /// Both of them, by number.
    pub const ALL: [Self; 2] = [Self::Bolt, Self::Rail];

    /// The weapon of a number on the wire.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Bolt),
            1 => Some(Self::Rail),
            _ => None,
        }
    }

    /// Its rule. Five bolts or two rails kill; rails are scarce.
    #[must_use]
    pub const fn rule(self) -> WeaponRule {
        match self {
            Self::Bolt => WeaponRule {
                cadence: Duration::from_millis(250),
                damage: 20,
                ammo: 40,
                ammo_max: 99,
                ammo_pickup: 20,
                range: BOLT_SPEED * METRE,
            },
            Self::Rail => WeaponRule {
                cadence: Duration::from_millis(1_200),
                damage: 60,
                ammo: 5,
                ammo_max: 15,
                ammo_pickup: 3,
                range: 28 * METRE,
            },
        }
    }
}

const _: () = {
    // A hit reaches from one cell of the spatial index into the next and no further per tick.
    assert!(HALF_BODY < TILE && REACH < TILE);
    // The bolts in the air at a time: every cadence one, until the first has fallen.
    assert!(
        BOLT_LIFE.as_millis() <= BOLTS_PER_PLAYER as u128 * Weapon::Bolt.rule().cadence.as_millis()
    );
    assert!(entities_for(PLAYERS_MAX) <= 65_000);
};

/// Places for pickups in an arena for so many players: one for three, at least six.
#[must_use]
pub const fn pickups_for(players: u32) -> u32 {
    let third = players.div_ceil(3);
    if third > 6 { third } else { 6 }
}

/// Rows of a frame that an arena for so many players can fill.
#[must_use]
pub const fn entities_for(players: u32) -> u32 {
    players + pickups_for(players) + players * BOLTS_PER_PLAYER
}

/// The rules at one tick rate: every time in ticks, every velocity in lengths per tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The rate they hold at.
    pub rate: TickRate,
    /// The fastest walk on either axis.
    pub walk: i32,
    /// The most that a velocity changes in a tick, on either axis.
    pub acceleration: i32,
    /// A bolt's speed.
    pub bolt_speed: i32,
    /// How many ticks a bolt flies.
    pub bolt_life: u32,
    respawn: u32,
    pickup: u32,
    raise: u32,
    voice: u32,
}

impl Rules {
    /// The rules at `rate`.
    ///
    /// Below 8 Hz a walker would step over a wall in one tick, so walkers are slower there: the
    /// arena is meant for 20 Hz and more.
    #[must_use]
    pub fn at(rate: TickRate) -> Self {
        let hz = i32::from(rate.hz());
        let per_tick = |speed: i32| (speed * METRE + hz / 2) / hz;
        Self {
            rate,
            walk: per_tick(WALK_SPEED).clamp(1, TILE / 2 - 1),
            acceleration: (WALK_ACCELERATION * METRE / (hz * hz)).clamp(1, TILE / 2 - 1),
            bolt_speed: per_tick(BOLT_SPEED),
            bolt_life: rate.ticks_in(BOLT_LIFE).max(1),
            respawn: rate.ticks_in(RESPAWN_AFTER).max(1),
            pickup: rate.ticks_in(PICKUP_AFTER).max(1),
            raise: rate.ticks_in(RAISE_TIME).max(1),
            voice: rate.ticks_in(VOICE_EVERY).max(1),
        }
    }

    /// When a weapon fired at `tick` can fire again. Rounded up: never faster than the rule.
    #[must_use]
    pub fn reloaded(&self, weapon: Weapon, tick: Tick) -> Tick {
        let cadence = weapon.rule().cadence;
        let ticks = self.rate.ticks_in(cadence);
        let exact = self.rate.offset_of(Tick(ticks)) == cadence;
        tick.plus(ticks + u32::from(!exact))
    }

    /// When a weapon taken up at `tick` can fire.
    #[must_use]
    pub const fn raised(&self, tick: Tick) -> Tick {
        tick.plus(self.raise)
    }

    /// When somebody who died at `tick` stands up.
    #[must_use]
    pub const fn respawned(&self, tick: Tick) -> Tick {
        tick.plus(self.respawn)
    }

    /// When a pickup taken at `tick` lies there again.
    #[must_use]
    pub const fn restocked(&self, tick: Tick) -> Tick {
        tick.plus(self.pickup)
    }

    /// When somebody who spoke at `tick` may speak again.
    #[must_use]
    pub const fn may_speak(&self, tick: Tick) -> Tick {
        tick.plus(self.voice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_rate_a_trigger_held_for_ever_has_rows_for_its_bolts() {
        for rate in (1..=TickRate::MAX).filter_map(TickRate::new) {
            let rules = Rules::at(rate);
            let between = rules.reloaded(Weapon::Bolt, Tick(0)).0;
            assert!(between * BOLTS_PER_PLAYER >= rules.bolt_life, "{rate}");
            let exact = Weapon::Bolt.rule().cadence;
            assert!(
                rate.offset_of(Tick(between)) >= exact,
                "faster than the rule at {rate}"
            );
            assert!(
                rate.offset_of(Tick(between)) <= exact + rate.period() * 2,
                "{rate}"
            );
        }
    }

    #[test]
    fn the_numbers_at_sixty_hertz() {
        let rules = Rules::at(TickRate::HZ_60);
        assert_eq!(
            (rules.walk, rules.acceleration, rules.bolt_speed),
            (30, 3, 102)
        );
        assert_eq!((rules.bolt_life, rules.respawned(Tick(0))), (60, Tick(120)));
        assert_eq!(rules.reloaded(Weapon::Rail, Tick(0)), Tick(72));
    }

    #[test]
    fn a_full_arena_fits_into_a_frame() {
        assert_eq!(entities_for(64), 64 + 22 + 256);
        assert!(entities_for(PLAYERS_MAX) <= 65_000);
    }
}
