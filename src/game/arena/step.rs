//! One tick of the arena: what the things in it do to each other, and in which order.
//!
//! The order is the rule: walk, fly, shoot, pay for all hits, pick up. Bolts fly before new ones are
//! fired, so a bolt is first seen where it left the muzzle. Hits are judged at the world's present.

use crate::game::{Inputs, Outbox};
use crate::id::ClientSlot;
use crate::proto::wire::ByteWriter;
use crate::time::Tick;

use super::angle::along;
use super::event::{ArenaEvent, EVENT_MAX, EVENTS, sentence};
use super::input::ArenaInput;
use super::rules::{HALF_BODY, REACH, VOICE_RANGE, Weapon};
use super::state::{Bolt, Fighter, PickupKind};
use super::walls::WAY;
use super::world::{Hit, World};

impl World {
    /// Plays one tick.
    pub fn step(&mut self, tick: Tick, inputs: &Inputs<'_, ArenaInput>, out: &mut Outbox) {
        self.tick = tick;
        for (slot, input) in inputs.iter() {
            if let Some(fighter) = self.fighter_mut(slot) {
                fighter.input = *input;
            }
        }
        self.stand_up_the_dead();
        self.walk();
        self.fly();
        self.shoot();
        self.pay(out);
        self.pick_up();
    }

    fn stand_up_the_dead(&mut self) {
        for index in 0..self.fighters.len() {
            let due = self.fighters[index]
                .as_ref()
                .is_some_and(|fighter| !fighter.is_alive() && fighter.respawn_at <= self.tick);
            if due {
                let (x, y) = self.quiet_tile();
                if let Some(fighter) = &mut self.fighters[index] {
                    fighter.stand_up(x, y);
                }
            }
        }
    }

    fn walk(&mut self) {
        for fighter in self
            .fighters
            .iter_mut()
            .flatten()
            .filter(|fighter| fighter.is_alive())
        {
            fighter.choose_weapon(self.tick, &self.rules);
            fighter.body.walk(&fighter.input, &self.rules, &self.walls);
        }
        let living = self
            .fighters
            .iter()
            .flatten()
            .filter(|fighter| fighter.is_alive());
        self.cells
            .rebuild(living.map(|fighter| (fighter.id.slot, fighter.body.x, fighter.body.y)));
    }

    fn fly(&mut self) {
        for place in 0..self.bolts.len() {
            let Some(bolt) = self.bolts[place] else {
                continue;
            };
            if bolt.ends_at <= self.tick {
                self.drop_bolt(place);
                continue;
            }
            let ray = Ray {
                x: bolt.x,
                y: bolt.y,
                dx: bolt.vx,
                dy: bolt.vy,
            };
            let struck = self.first_struck(&ray, bolt.owner);
            if let Struck::Fighter(to) = struck {
                let damage = Weapon::Bolt.rule().damage;
                self.hits.push(Hit {
                    from: bolt.owner,
                    from_id: bolt.owner_id,
                    to,
                    damage,
                });
            }
            if struck == Struck::Nothing {
                let (x, y) = (bolt.x + bolt.vx, bolt.y + bolt.vy);
                self.bolts[place] = Some(Bolt { x, y, ..bolt });
            } else {
                self.drop_bolt(place);
            }
        }
    }

    fn shoot(&mut self) {
        for index in 0..self.fighters.len() {
            let Some(fighter) = &mut self.fighters[index] else {
                continue;
            };
            let Some(weapon) = fighter.pull_trigger(self.tick, &self.rules) else {
                continue;
            };
            let (slot, id, body) = (fighter.slot, fighter.id, fighter.body);
            match weapon {
                Weapon::Bolt => {
                    let Some((place, row)) = self.take_bolt_row() else {
                        continue;
                    };
                    let (vx, vy) = along(body.yaw, self.rules.bolt_speed);
                    self.bolts[place] = Some(Bolt {
                        id: row,
                        owner: slot,
                        owner_id: id,
                        x: body.x,
                        y: body.y,
                        vx,
                        vy,
                        ends_at: self.tick.plus(self.rules.bolt_life),
                    });
                }
                Weapon::Rail => {
                    let rule = weapon.rule();
                    let (dx, dy) = along(body.yaw, rule.range);
                    let ray = Ray {
                        x: body.x,
                        y: body.y,
                        dx,
                        dy,
                    };
                    if let Struck::Fighter(to) = self.first_struck(&ray, slot) {
                        self.hits.push(Hit {
                            from: slot,
                            from_id: id,
                            to,
                            damage: rule.damage,
                        });
                    }
                }
            }
        }
    }

    /// What a ray meets first. Its own shooter is not in its way.
    fn first_struck(&self, ray: &Ray, shooter: ClientSlot) -> Struck {
        let free = self.walls.free_way(ray.x, ray.y, ray.dx, ray.dy);
        let low = (
            ray.x.min(ray.x + ray.dx) - HALF_BODY,
            ray.y.min(ray.y + ray.dy) - HALF_BODY,
        );
        let high = (
            ray.x.max(ray.x + ray.dx) + HALF_BODY,
            ray.y.max(ray.y + ray.dy) + HALF_BODY,
        );
        let nearest = self
            .cells
            .around(low, high)
            .filter(|(who, _, _)| u32::from(*who) != shooter.index)
            .filter_map(|(who, x, y)| Some((ray.way_to_box(x, y)?, who)))
            // Of two at the same distance the lower row is hit: any rule, but always the same.
            .min();
        match nearest {
            Some((way, who)) if way <= free => Struck::Fighter(who),
            _ if free < WAY => Struck::Wall,
            _ => Struck::Nothing,
        }
    }

    /// Takes the health of all hits, and writes down who killed whom.
    fn pay(&mut self, out: &mut Outbox) {
        for at in 0..self.hits.len() {
            let hit = self.hits[at];
            let Some(victim) = self
                .fighters
                .get_mut(usize::from(hit.to))
                .and_then(Option::as_mut)
            else {
                continue;
            };
            if !victim.is_alive() {
                continue;
            }
            victim.health = victim.health.saturating_sub(hit.damage);
            if victim.is_alive() {
                continue;
            }
            victim.die(self.rules.respawned(self.tick));
            let (fallen, id) = (victim.slot, victim.id);
            let death = ArenaEvent::Death {
                victim: id,
                by: hit.from_id,
            };
            say(out, fallen, &death);
            if let Some(killer) = self.fighter_mut(hit.from) {
                killer.score = killer.score.saturating_add(1);
                say(out, hit.from, &death);
            }
        }
        self.hits.clear();
    }

    fn pick_up(&mut self) {
        for at in 0..self.pickups.len() {
            let pickup = &mut self.pickups[at];
            match pickup.back_at {
                Some(tick) if tick <= self.tick => {
                    pickup.back_at = None;
                    pickup.id.generation = pickup.id.generation.wrapping_add(1);
                }
                Some(_) => continue,
                None => {}
            }
            if taker(
                pickup.kind,
                &mut self.fighters,
                self.cells.near(pickup.x, pickup.y, REACH),
            ) {
                pickup.back_at = Some(self.rules.restocked(self.tick));
            }
        }
    }

    /// A client says something: whoever is near hears it, the speaker too.
    pub fn speak(&mut self, from: ClientSlot, message: &[u8], out: &mut Outbox) {
        let (tick, again) = (self.tick, self.rules.may_speak(self.tick));
        let Some(text) = sentence(message) else {
            return;
        };
        let Some(speaker) = self.fighter_mut(from) else {
            return;
        };
        if tick < speaker.speak_at {
            return;
        }
        speaker.speak_at = again;
        let (id, x, y) = (speaker.id, speaker.body.x, speaker.body.y);
        let voice = ArenaEvent::Voice { from: id, text };
        for (who, _, _) in self.cells.near(x, y, VOICE_RANGE) {
            if let Some(Some(listener)) = self.fighters.get(usize::from(who)) {
                say(out, listener.slot, &voice);
            }
        }
    }
}

/// Gives a pickup to the first of those near who lives and has a use for it; lower rows first.
fn taker(
    kind: PickupKind,
    fighters: &mut [Option<Fighter>],
    near: impl Iterator<Item = (u16, i32, i32)>,
) -> bool {
    // More than eight do not fit around one pickup in any way that matters.
    let mut rows = [u16::MAX; 8];
    let mut count = 0;
    for (who, _, _) in near.take(rows.len()) {
        rows[count] = who;
        count += 1;
    }
    rows[..count].sort_unstable();
    rows[..count].iter().any(|who| {
        fighters
            .get_mut(usize::from(*who))
            .and_then(Option::as_mut)
            .is_some_and(|fighter| fighter.is_alive() && kind.give(fighter))
    })
}

/// Sends an event to one client.
pub(super) fn say(out: &mut Outbox, to: ClientSlot, event: &ArenaEvent<'_>) {
    let mut room = [0; EVENT_MAX];
    let mut writer = ByteWriter::new(&mut room);
    if event.encode(&mut writer).is_some() {
        out.send_to(to, EVENTS, writer.written());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Struck {
    Nothing,
    Wall,
    Fighter(u16),
}

/// A straight way from a point.
#[derive(Debug, Clone, Copy)]
struct Ray {
    x: i32,
    y: i32,
    dx: i32,
    dy: i32,
}

impl Ray {
    /// The part of the way, 0 to [`WAY`], at which it enters the box of a body; `None` if it misses.
    fn way_to_box(&self, x: i32, y: i32) -> Option<i64> {
        let (enter_x, leave_x) = slab(self.x, self.dx, x)?;
        let (enter_y, leave_y) = slab(self.y, self.dy, y)?;
        let (enter, leave) = (enter_x.max(enter_y), leave_x.min(leave_y));
        (enter <= leave).then_some(enter)
    }
}

/// The parts of a way between which one axis is within half a body of `middle`.
fn slab(from: i32, length: i32, middle: i32) -> Option<(i64, i64)> {
    let low = i64::from(middle - HALF_BODY - from);
    let high = i64::from(middle + HALF_BODY - from);
    if length == 0 {
        return (low <= 0 && high >= 0).then_some((0, WAY));
    }
    let length = i64::from(length);
    let (one, other) = (low * WAY / length, high * WAY / length);
    let (enter, leave) = (one.min(other).max(0), one.max(other).min(WAY));
    (enter <= leave).then_some((enter, leave))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_meets_a_box_in_front_and_none_behind() {
        let ray = Ray {
            x: 0,
            y: 0,
            dx: 1_000,
            dy: 0,
        };
        assert_eq!(ray.way_to_box(602, 0), Some(WAY / 2));
        assert_eq!(ray.way_to_box(50, 50), Some(0));
        assert_eq!(ray.way_to_box(-300, 0), None);
        assert_eq!(ray.way_to_box(1_200, 0), None);
        assert_eq!(ray.way_to_box(600, HALF_BODY + 1), None);
        let askew = Ray { dy: 1_000, ..ray };
        assert!(askew.way_to_box(500, 500).is_some());
        assert_eq!(askew.way_to_box(800, 300), None);
    }
}
