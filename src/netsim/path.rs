//! One direction's memory and dice: decides what becomes of each datagram.
//!
//! Knows lengths and times. Never sees a byte of content, and keeps no datagram.

use core::time::Duration;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use crate::time::Timestamp;

use super::chance::up_to;
use super::conditions::{Bottleneck, LinkConditions, Loss, Outage};
use super::stats::LinkStats;

/// One copy of a datagram on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    /// When it arrives.
    pub(super) arrives: Timestamp,
    /// Which byte is damaged, and the bits of it that flip (never none).
    pub(super) damage: Option<(usize, u8)>,
}

/// What became of a datagram: up to two copies of it.
pub(super) type Copies = [Option<Copy>; 2];

/// Nothing of it arrives.
const GONE: Copies = [None, None];

/// The conditions of one direction with all that they remember.
#[derive(Debug, Clone)]
pub(super) struct Path {
    conditions: LinkConditions,
    rng: Xoshiro256PlusPlus,
    /// Whether the Gilbert-Elliott chain is in its bad state.
    is_bad: bool,
    /// When the bottleneck has sent all it has accepted, in nanoseconds: short datagrams on a
    /// wide link take less than the microsecond a [`Timestamp`] can say.
    busy_until_nanos: u64,
}

impl Path {
    pub(super) fn new(conditions: LinkConditions, seed: u64) -> Self {
        Self {
            conditions,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            is_bad: false,
            busy_until_nanos: 0,
        }
    }

    pub(super) fn conditions(&self) -> &LinkConditions {
        &self.conditions
    }

    /// From now on the network is like this. What is under way stays so; dice and queue go on.
    pub(super) fn set_conditions(&mut self, conditions: LinkConditions) {
        self.conditions = conditions;
    }

    /// Decides about a datagram of `len` bytes sent at `now`.
    pub(super) fn carry(&mut self, now: Timestamp, len: usize, stats: &mut LinkStats) -> Copies {
        stats.sent += 1;
        stats.bytes_sent += len as u64;
        if self
            .conditions
            .outage
            .is_some_and(|outage| is_silent(outage, now))
        {
            stats.silenced += 1;
            return GONE;
        }
        // The bottleneck comes before chance: what the air loses has used up air all the same.
        let Some(departs) = self.pass_bottleneck(now, len) else {
            stats.overflowed += 1;
            return GONE;
        };
        if self.is_lost() {
            stats.lost += 1;
            return GONE;
        }
        let first = self.copy(departs, len, stats);
        let second = self.conditions.duplicate.happens(&mut self.rng).then(|| {
            stats.duplicated += 1;
            self.copy(departs, len, stats)
        });
        [Some(first), second]
    }

    /// When the datagram has left the bottleneck; `None`: the queue was full.
    fn pass_bottleneck(&mut self, now: Timestamp, len: usize) -> Option<Timestamp> {
        let Some(Bottleneck {
            bytes_per_second,
            queue,
        }) = self.conditions.bottleneck
        else {
            return Some(now);
        };
        let now_nanos = now.as_micros().saturating_mul(1_000);
        let starts = self.busy_until_nanos.max(now_nanos);
        if u128::from(starts - now_nanos) > queue.as_nanos() {
            return None;
        }
        let bytes = len.saturating_add(Bottleneck::HEADER_BYTES) as u64;
        let takes = bytes
            .saturating_mul(1_000_000_000)
            .checked_div(bytes_per_second)?;
        self.busy_until_nanos = starts.saturating_add(takes);
        Some(Timestamp::from_micros(
            self.busy_until_nanos.div_ceil(1_000),
        ))
    }

    fn is_lost(&mut self) -> bool {
        match self.conditions.loss {
            Loss::Even(chance) => chance.happens(&mut self.rng),
            Loss::Bursts {
                worsen,
                recover,
                when_good,
                when_bad,
            } => {
                let turn = if self.is_bad { recover } else { worsen };
                self.is_bad ^= turn.happens(&mut self.rng);
                let chance = if self.is_bad { when_bad } else { when_good };
                chance.happens(&mut self.rng)
            }
        }
    }

    fn copy(&mut self, departs: Timestamp, len: usize, stats: &mut LinkStats) -> Copy {
        let LinkConditions {
            delay,
            jitter,
            reorder,
            corrupt,
            ..
        } = self.conditions;
        let mut arrives = departs + delay + self.jitter(jitter);
        if reorder.chance.happens(&mut self.rng) {
            stats.reordered += 1;
            arrives += reorder.by;
        }
        let damage = (len > 0 && corrupt.happens(&mut self.rng)).then(|| {
            stats.corrupted += 1;
            let byte = up_to(len as u64 - 1, &mut self.rng) as usize;
            // 1..=255: at least one bit flips.
            (byte, 1 + up_to(254, &mut self.rng) as u8)
        });
        Copy { arrives, damage }
    }

    fn jitter(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(up_to(most, &mut self.rng))
    }
}

/// Whether `now` falls into the silent end of its period.
fn is_silent(outage: Outage, now: Timestamp) -> bool {
    let Some(into_period) = u128::from(now.as_micros()).checked_rem(outage.every.as_micros())
    else {
        return true;
    };
    into_period + outage.lasts.as_micros() >= outage.every.as_micros() && !outage.lasts.is_zero()
}
