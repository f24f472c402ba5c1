//! One player: a real client with a small mind, started again and again.
//!
//! Knows its own clock, which is wrong. Knows nothing of the server but what its client tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire::client::{Client, TickTime};
use tickwire::game::GameInput as _;
use tickwire::game::arena::Thing;
use tickwire::id::{ClientId, EntityId};
use tickwire::netsim::{LinkConditions, ProfileConditions};
use tickwire::time::{Tick, Timestamp};
use tickwire::tools::bots::Brain;

use crate::air::{AirSocket, Inbox};
use crate::plan::PlayerPlan;

/// A client that runs.
pub(crate) struct Seat {
    pub(crate) client: Client<AirSocket>,
    pub(crate) address: SocketAddr,
    pub(crate) inbox: Inbox,
    pub(crate) me: Option<EntityId>,
    /// The newest tick of which a snapshot was complete.
    pub(crate) complete: Option<Tick>,
    pub(crate) newest: Option<Tick>,
    /// What the three lines of its clock showed last.
    lines: Option<[TickTime; 2]>,
}

pub(crate) struct Player {
    pub(crate) id: ClientId,
    pub(crate) plan: PlayerPlan,
    pub(crate) network: ProfileConditions,
    pub(crate) is_cut: (bool, bool),
    pub(crate) brain: Brain,
    pub(crate) seat: Option<Seat>,
    /// How many clients it has started.
    pub(crate) lives: u16,
    pub(crate) next_frame: Timestamp,
    /// When it starts a client if it has none.
    pub(crate) back_at: Option<Timestamp>,
    pub(crate) burst: u32,
}

impl Player {
    pub(crate) fn new(index: usize, plan: PlayerPlan, seed: u64) -> Self {
        Self {
            id: ClientId(1_000 + index as u64),
            network: plan.network,
            is_cut: (false, false),
            brain: Brain::new(seed ^ index as u64),
            seat: None,
            lives: 0,
            next_frame: plan.joins_at,
            back_at: Some(plan.joins_at),
            burst: 0,
            plan,
        }
    }

    /// The address of its next life: a network of its own, and a new port each time.
    pub(crate) fn next_address(&mut self) -> SocketAddr {
        self.lives += 1;
        let index = self.id.0 - 1_000;
        let host = [10, 1 + (index / 200) as u8, (index % 200) as u8, 7];
        SocketAddr::from((host, 40_000 + self.lives))
    }

    /// What its own clock shows.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        let micros = now.as_micros().cast_signed();
        let gained = micros * self.plan.gains / 1_000_000;
        Timestamp::from_micros((micros + gained).cast_unsigned()) + self.plan.clock
    }

    /// Its network as it is now.
    pub(crate) fn conditions(&self) -> ProfileConditions {
        let cut = |is_cut, conditions| {
            if is_cut {
                LinkConditions::CUT
            } else {
                conditions
            }
        };
        ProfileConditions {
            up: cut(self.is_cut.0, self.network.up),
            down: cut(self.is_cut.1, self.network.down),
        }
    }

    pub(crate) fn hold(&mut self, now: Timestamp, lasts: Duration) {
        self.next_frame = self.next_frame.max(now + lasts);
    }
}

impl Seat {
    pub(crate) fn new(client: Client<AirSocket>, address: SocketAddr, inbox: Inbox) -> Self {
        Self {
            client,
            address,
            inbox,
            me: None,
            complete: None,
            newest: None,
            lines: None,
        }
    }

    pub(crate) fn inbox() -> Inbox {
        Inbox::new(VecDeque::new().into())
    }

    /// Gives every tick that is due its input.
    pub(crate) fn play(&mut self, brain: &mut Brain) {
        while self.client.input_due().is_some() {
            let replica = self.client.replica();
            let (schema, newest) = (replica.schema(), replica.newest_whole());
            let things = newest
                .into_iter()
                .flat_map(|snapshot| snapshot.entities())
                .filter_map(|entity| {
                    Some((entity.id, Thing::read(schema, entity.kind, entity.values)?))
                });
            brain.look(self.me, things);
            let input = brain.decide();
            if self
                .client
                .send_input_with(|writer| input.encode(writer))
                .is_err()
            {
                return;
            }
        }
    }

    /// Time at the server, as the client sees it, never runs backwards.
    pub(crate) fn check_lines(&mut self) -> Result<(), String> {
        let (Some(server), Some(render)) = (self.client.server_tick(), self.client.render_tick())
        else {
            return Ok(());
        };
        let now = [server, render];
        if let Some(before) = self.lines.replace(now)
            && (now[0] < before[0] || now[1] < before[1])
        {
            return Err(format!("its clock ran backwards: {before:?} -> {now:?}"));
        }
        Ok(())
    }
}
