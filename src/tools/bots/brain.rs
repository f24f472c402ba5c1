//! The small mind of a bot: wander, look for what it needs, chase and shoot.
//!
//! Knows what a player would see: the things in its replica. Has no socket, no clock and no access to
//! the server's world. Seeded: the same sights give the same wishes.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::game::arena::ArenaInput;
use crate::game::arena::PickupKind;
use crate::game::arena::angle::TURN;
use crate::game::arena::rules::{METRE, Weapon};
use crate::game::arena::{PlayerView, Thing};
use crate::id::EntityId;

/// A wandering bot takes another direction after so many ticks, at the least and at the most.
const WANDER: std::ops::Range<u32> = 30..150;

/// Bots see as far as this, and lose interest beyond.
const SIGHT: i32 = 20 * METRE;

/// At this distance a bot walks around its enemy instead of towards it.
const NEAR: i32 = 5 * METRE;

/// Below this health a bot goes for health before it goes for anybody.
const HURT: u8 = 45;

/// One bot's mind.
#[derive(Debug, Clone)]
pub struct Brain {
    rng: Xoshiro256PlusPlus,
    heading: f32,
    until: u32,
    /// Which way round it circles its enemy.
    side: f32,
    last_place: (i32, i32),
    sight: Sight,
}

impl Brain {
    /// A mind of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let heading = rng.random_range(0.0..std::f32::consts::TAU);
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        Self {
            rng,
            heading,
            until: 0,
            side,
            last_place: (0, 0),
            sight: Sight::default(),
        }
    }

    /// Looks at the world: which of the things it is, and all that is there. Worth the effort when there is
    /// something new to see.
    pub fn look(&mut self, me: Option<EntityId>, things: impl Iterator<Item = (EntityId, Thing)>) {
        let sight = &mut self.sight;
        sight.me = None;
        sight.players.clear();
        sight.pickups.clear();
        for (id, thing) in things {
            match thing {
                Thing::Player(player) if Some(id) == me => sight.me = Some(player),
                Thing::Player(player) if player.is_alive() => sight.players.push(player),
                Thing::Pickup(pickup) => sight.pickups.push((pickup.kind, (pickup.x, pickup.y))),
                Thing::Player(_) | Thing::Projectile(_) => {}
            }
        }
    }

    /// What it wants at this tick, given what it saw last.
    pub fn decide(&mut self) -> ArenaInput {
        self.until = self.until.saturating_sub(1);
        let Some(player) = self.sight.me.filter(PlayerView::is_alive) else {
            return ArenaInput::default();
        };
        let here = (player.body.x, player.body.y);
        if player.health < HURT
            && let Some(there) = self.sight.pickup(PickupKind::Health, here)
        {
            return self.walk(direction(here, there), player, None);
        }
        if player.ammo == 0
            && let Some(there) = self.sight.pickup(PickupKind::Ammo, here)
        {
            return self.walk(direction(here, there), player, None);
        }
        match self.sight.enemy(here) {
            Some(enemy) => self.fight(player, enemy),
            None => self.wander(player),
        }
    }

    fn fight(&mut self, me: PlayerView, enemy: PlayerView) -> ArenaInput {
        let here = (me.body.x, me.body.y);
        // Where a bolt will find it, roughly: a moment ahead on its way.
        let lead = 8;
        let there = (
            enemy.body.x + enemy.body.vx * lead,
            enemy.body.y + enemy.body.vy * lead,
        );
        let towards = direction(here, there);
        if self.until == 0 {
            self.until = self.rng.random_range(WANDER);
            self.side = -self.side;
        }
        let around = if distance(here, there) < NEAR {
            1.4 * self.side
        } else {
            0.4 * self.side
        };
        self.walk(towards + around, me, Some(towards))
    }

    fn wander(&mut self, me: PlayerView) -> ArenaInput {
        let here = (me.body.x, me.body.y);
        let stuck = distance(here, self.last_place) < METRE / 64;
        self.last_place = here;
        if self.until == 0 || stuck {
            self.until = self.rng.random_range(WANDER);
            self.heading = self.rng.random_range(0.0..std::f32::consts::TAU);
        }
        self.walk(self.heading, me, None)
    }

    /// Walks one way and, if there is something to aim at, shoots another.
    fn walk(&mut self, heading: f32, me: PlayerView, target: Option<f32>) -> ArenaInput {
        let (sin, cos) = heading.sin_cos();
        // A hand that trembles: nobody hits every time.
        let aim = target.map(|target| target + self.rng.random_range(-0.08..0.08));
        let other = match me.weapon {
            Weapon::Bolt => Weapon::Rail,
            Weapon::Rail => Weapon::Bolt,
        };
        ArenaInput {
            move_x: (cos * 127.0) as i8,
            move_y: (sin * 127.0) as i8,
            aim: angle(aim.unwrap_or(heading)),
            fire: aim.is_some() && self.rng.random_bool(0.8),
            weapon: (me.ammo == 0).then_some(other),
        }
    }
}

/// What the last look brought in. Its memory is used again.
#[derive(Debug, Clone, Default)]
struct Sight {
    me: Option<PlayerView>,
    players: Vec<PlayerView>,
    pickups: Vec<(PickupKind, (i32, i32))>,
}

impl Sight {
    fn enemy(&self, here: (i32, i32)) -> Option<PlayerView> {
        let away = |player: &PlayerView| distance(here, (player.body.x, player.body.y));
        let players = self.players.iter().copied();
        players
            .filter(|player| away(player) < SIGHT)
            .min_by_key(away)
    }

    fn pickup(&self, kind: PickupKind, here: (i32, i32)) -> Option<(i32, i32)> {
        let places = self
            .pickups
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, place)| *place);
        places
            .filter(|place| distance(here, *place) < SIGHT)
            .min_by_key(|place| distance(here, *place))
    }
}

fn direction(from: (i32, i32), to: (i32, i32)) -> f32 {
    ((to.1 - from.1) as f32).atan2((to.0 - from.0) as f32)
}

/// The distance along the longer axis plus half the shorter one: within 12% of the truth, and whole.
fn distance(from: (i32, i32), to: (i32, i32)) -> i32 {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    dx.max(dy) + dx.min(dy) / 2
}

/// Radians as the arena's angle.
fn angle(radians: f32) -> u16 {
    let turns = (radians / std::f32::consts::TAU).rem_euclid(1.0);
    ((turns * f32::from(TURN)) as u16) % TURN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::arena::Body;
    use crate::game::arena::PickupView;

    fn id(slot: u16) -> EntityId {
        EntityId {
            slot,
            generation: 0,
        }
    }

    fn player(x: i32, y: i32, health: u8) -> Thing {
        let body = Body {
            x: x * METRE,
            y: y * METRE,
            vx: 0,
            vy: 0,
            yaw: 0,
        };
        Thing::Player(PlayerView {
            body,
            health,
            weapon: Weapon::Bolt,
            ammo: 10,
            shots: 0,
            score: 0,
        })
    }

    #[test]
    fn it_shoots_at_whom_it_sees() {
        let mut brain = Brain::new(1);
        let things = [(id(0), player(10, 10, 100)), (id(1), player(10, 14, 100))];
        brain.look(Some(id(0)), things.into_iter());
        let inputs: Vec<_> = (0..20).map(|_| brain.decide()).collect();
        assert!(inputs.iter().any(|input| input.fire));
        for input in inputs {
            let error = i32::from(input.aim) - i32::from(TURN / 4);
            assert!(error.abs() < i32::from(TURN) / 32, "aims at +y: {input:?}");
        }
    }

    #[test]
    fn it_walks_to_health_when_hurt() {
        let mut brain = Brain::new(1);
        let pickup = PickupView {
            x: 15 * METRE,
            y: 10 * METRE,
            kind: PickupKind::Health,
        };
        let things = [(id(0), player(10, 10, 20)), (id(9), Thing::Pickup(pickup))];
        brain.look(Some(id(0)), things.into_iter());
        let input = brain.decide();
        assert!(input.move_x > 120 && input.move_y.abs() < 10, "{input:?}");
    }

    #[test]
    fn the_dead_and_the_blind_want_nothing() {
        let mut brain = Brain::new(1);
        let dead = [(id(0), player(10, 10, 0))];
        assert_eq!(
            brain.decide(),
            ArenaInput::default(),
            "before the first look"
        );
        brain.look(Some(id(0)), dead.into_iter());
        assert_eq!(brain.decide(), ArenaInput::default());
        brain.look(None, dead.into_iter());
        assert_eq!(brain.decide(), ArenaInput::default());
    }

    #[test]
    fn the_same_seed_and_sights_give_the_same_wishes() {
        let things = [(id(0), player(10, 10, 100)), (id(1), player(12, 10, 100))];
        let wishes = |seed| {
            let mut brain = Brain::new(seed);
            brain.look(Some(id(0)), things.into_iter());
            (0..50).map(|_| brain.decide()).collect::<Vec<_>>()
        };
        assert_eq!(wishes(7), wishes(7));
        assert_ne!(wishes(7), wishes(8));
    }
}
