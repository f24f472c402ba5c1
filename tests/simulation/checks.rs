//! What is held against the promises: each client's news as they come, everybody's queues now and then, and
//! the state of all of them when it is over.

use std::time::Duration;

use tickwire::client::Event;
use tickwire::game::arena::ArenaEvent;
use tickwire::netsim::Profile;
use tickwire::proto::snapshot::verify::check_replica;
use tickwire::time::{Tick, Timestamp};

use crate::player::Seat;
use crate::universe::{Sabotage, Universe, Verdict};

/// A replica keeps 64 snapshots; this is far more than those of the largest worlds here.
const REPLICA_MEMORY: usize = 4 << 20;

/// After the trouble every snapshot is complete within this time, and everybody is back in this time.
const COMPLETE_WITHIN: Duration = Duration::from_secs(3);
const BACK_WITHIN: Duration = Duration::from_secs(13);

/// How long inputs and clocks are watched in the end.
const WATCH: Duration = Duration::from_secs(3);

/// On a quiet home line with symmetric delays the client's idea of the server's tick is off by less than
/// this: jitter, the game's own frame, and rounding.
const CLOCK_ERROR_MS: f64 = 50.0;

/// What a client did in the time of watching.
pub(crate) struct Watched {
    index: usize,
    played: u64,
    applied: u64,
}

impl Universe {
    /// Takes a client's news, and checks each of them.
    pub(crate) fn hear_client(&mut self, index: usize, seat: &mut Seat) -> Verdict {
        let who = self.players[index].id;
        let mut last = None;
        while let Some(event) = seat.client.poll_event() {
            match event {
                Event::Connected(_) => {
                    self.tell("is in", who.0, String::new);
                    self.ledger.life(seat.address)?.is_welcome = true;
                }
                Event::Disconnected { reason, text } => {
                    self.tell("has ended", who.0, || format!("{reason} {text}"));
                    let is_down = self.host.is_none();
                    self.ledger.ended(seat.address, reason, is_down)?;
                }
                Event::Message { channel, message } => {
                    if let Some(ArenaEvent::Welcome { you, .. }) = ArenaEvent::decode(&message) {
                        seat.me = Some(you);
                    }
                    self.hear_message(seat, channel, &message)
                        .map_err(|what| format!("to {who:?}: {what}"))?;
                }
                // Several parts of one snapshot in one frame are one state.
                Event::Snapshot { tick, .. } if last != Some(tick) => {
                    last = Some(tick);
                    self.check_snapshot(seat, tick)
                        .map_err(|what| format!("{who:?} holds a wrong world: {what}"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn hear_message(
        &mut self,
        seat: &Seat,
        channel: tickwire::proto::channel::ChannelId,
        message: &[u8],
    ) -> Verdict {
        let down = &mut self.ledger.life(seat.address)?.down;
        let late = self.now > Timestamp::from_millis(2_000);
        match self.sabotage {
            Some(Sabotage::SwallowedMessage) if late => {
                self.sabotage = None;
                return Ok(());
            }
            Some(Sabotage::DoubledMessage) if late => {
                self.sabotage = None;
                down.received(channel, message)?;
            }
            _ => {}
        }
        down.received(channel, message)
    }

    fn check_snapshot(&mut self, seat: &mut Seat, tick: Tick) -> Verdict {
        let (Some(host), Some(welcome)) = (&self.host, seat.client.welcome()) else {
            return Ok(());
        };
        // The last words of a server that is gone cannot be held against anything.
        if self.ledger.life(seat.address)?.server != self.ledger.server {
            return Ok(());
        }
        let Some(snapshot) = seat.client.replica().snapshot(tick) else {
            return Ok(());
        };
        let mut spoiled = None;
        if self.now > Timestamp::from_millis(2_000) {
            let first = snapshot.entities().next().map(|entity| entity.id);
            match (self.sabotage, first) {
                (Some(Sabotage::Value), Some(first)) => {
                    self.sabotage = None;
                    let mut copy = snapshot.clone();
                    copy.corrupt(first, 0, 123_456);
                    spoiled = Some(copy);
                }
                (Some(Sabotage::Omission), Some(first)) if snapshot.is_complete() => {
                    self.sabotage = None;
                    let mut copy = snapshot.clone();
                    copy.omit(first);
                    spoiled = Some(copy);
                }
                _ => {}
            }
        }
        let checked = check_replica(
            spoiled.as_ref().unwrap_or(snapshot),
            |tick| host.frames.get(&tick).cloned(),
            welcome.slot,
            &self.plan.setup.view,
        )
        .map_err(|mismatch| mismatch.to_string())?;
        seat.newest = seat.newest.max(Some(tick));
        if checked.complete {
            seat.complete = seat.complete.max(Some(tick));
        }
        Ok(())
    }

    /// What is not looked at in every step: queues, memory, zombies.
    pub(crate) fn audit(&mut self) -> Verdict {
        if let Some(zombie) = self.ledger.zombies(self.now, self.frozen_time())
            && self.host.is_some()
        {
            return Err(zombie);
        }
        if let Some(host) = &self.host {
            if host.waiting_events() > 16_384 {
                return Err(format!("{} events wait", host.waiting_events()));
            }
            if host.endpoint.session_count() > self.plan.setup.seats as usize {
                return Err(format!("{} sessions", host.endpoint.session_count()));
            }
            let limit: usize = self.link.channels().iter().map(|it| it.send_buffer).sum();
            for (slot, _) in self.ledger.slots() {
                let Some(stats) = host.endpoint.link_stats(slot) else {
                    return Err(format!("{slot} is taken and has no link"));
                };
                if stats.bytes_queued > limit {
                    return Err(format!("{} bytes wait for {slot}", stats.bytes_queued));
                }
            }
        }
        for player in &self.players {
            let Some(seat) = &player.seat else { continue };
            let memory = seat.client.replica().memory();
            if memory > REPLICA_MEMORY {
                return Err(format!("{:?}: a replica of {memory} bytes", player.id));
            }
        }
        Ok(())
    }

    /// Why the server refused what it refused, for the end of a story.
    pub(crate) fn rejections(&self) -> String {
        let rejections = self.host.iter().flat_map(|host| {
            let stats = host.endpoint.stats();
            stats.rejections.iter().filter(|(_, _, count)| *count > 0)
        });
        rejections
            .map(|(room, name, count)| format!("the server refused {count} x {room}.{name}\n"))
            .collect()
    }

    /// A whole run of a plan: the trouble, and what must be true after it.
    pub(crate) fn run_plan(&mut self) -> Verdict {
        self.run_until(Timestamp::ZERO + self.plan.trouble)?;
        self.end_trouble(Profile::Home.conditions());
        let calm = self.now;
        self.run_until(calm + COMPLETE_WITHIN)?;
        self.check_complete(calm)?;
        self.run_until(calm + BACK_WITHIN)?;
        self.check_back()?;
        let watched = self.watch();
        for _ in 0..30 {
            self.run_for(WATCH / 30)?;
            self.check_clocks()?;
        }
        self.check_inputs(&watched)?;
        self.check_mail()
    }

    /// Who was in when the trouble ended has had a complete snapshot since.
    fn check_complete(&self, calm: Timestamp) -> Verdict {
        let Some(host) = self.host.as_ref().filter(|_| !self.plan.is_tight) else {
            return Ok(());
        };
        for player in &self.players {
            let Some(seat) = &player.seat else { continue };
            let life = self.ledger.lives.get(&seat.address);
            let was_in = life.is_some_and(|life| {
                life.is_mutual(self.ledger.server) && life.joined_at.is_some_and(|at| at < calm)
            });
            let late = host.true_tick(self.now) - f64::from(seat.complete.map_or(0, |tick| tick.0));
            if was_in && late > f64::from(host.pace.rate().hz()) * 1.0 {
                return Err(format!(
                    "{:?}: newest {:?}, complete {:?}, at the server {:.1}",
                    player.id,
                    seat.newest,
                    seat.complete,
                    host.true_tick(self.now)
                ));
            }
        }
        Ok(())
    }

    /// Everybody is in the game, at both ends.
    fn check_back(&self) -> Verdict {
        for player in &self.players {
            let life = player
                .seat
                .as_ref()
                .and_then(|seat| self.ledger.lives.get(&seat.address));
            if !life.is_some_and(|life| life.is_mutual(self.ledger.server)) {
                return Err(format!("{:?} is not back: {life:?}", player.id));
            }
        }
        Ok(())
    }

    pub(crate) fn watch(&self) -> Vec<Watched> {
        let indices = 0..self.players.len();
        indices.filter_map(|index| self.look_at(index)).collect()
    }

    fn look_at(&self, index: usize) -> Option<Watched> {
        let address = self.players[index].seat.as_ref()?.address;
        let slot = self.ledger.lives.get(&address)?.slot?;
        let stats = self.host.as_ref()?.simulation.inputs_of(slot)?.stats();
        Some(Watched {
            index,
            played: stats.applied + stats.repeated + stats.neutral,
            applied: stats.applied,
        })
    }

    /// Nineteen of twenty ticks are played with the client's own input.
    pub(crate) fn check_inputs(&self, before: &[Watched]) -> Verdict {
        for watched in before {
            let Some(now) = self.look_at(watched.index) else {
                return Err(format!("{:?} is gone", self.players[watched.index].id));
            };
            let (played, applied) = (now.played - watched.played, now.applied - watched.applied);
            if applied * 100 < played * 95 {
                return Err(format!(
                    "{:?}: {applied} of {played} inputs were in time; {}",
                    self.players[watched.index].id,
                    self.clocks_of(watched.index)
                ));
            }
        }
        Ok(())
    }

    /// What one client believes about time, beside the truth.
    fn clocks_of(&self, index: usize) -> String {
        let (player, host) = (&self.players[index], self.host.as_ref());
        let Some((seat, host)) = player.seat.as_ref().zip(host) else {
            return String::new();
        };
        format!(
            "its inputs are for {:?}, it believes {:?}, at the server it is {:.1}; a frame every {:?}, {:?}",
            seat.client.input_tick(),
            seat.client.server_tick(),
            host.true_tick(self.now),
            player.plan.frame,
            seat.client.stats()
        )
    }

    /// Everybody knows what time it is at the server.
    fn check_clocks(&self) -> Verdict {
        let Some(host) = &self.host else {
            return Ok(());
        };
        let truth = host.true_tick(self.now);
        let per_tick = 1_000.0 / f64::from(host.pace.rate().hz());
        for player in &self.players {
            let Some(seat) = &player.seat else { continue };
            let Some(estimate) = seat.client.server_tick() else {
                return Err(format!("{:?} has no idea of the time", player.id));
            };
            // What it said was for the moment of its last frame.
            let age = self.now.since(player.next_frame.before(player.plan.frame));
            let estimate = f64::from(estimate.tick.0) + f64::from(estimate.fraction);
            let error = (estimate - truth) * per_tick + age.as_secs_f64() * 1_000.0;
            if error.abs() > CLOCK_ERROR_MS {
                return Err(format!(
                    "{:?}: its clock is off by {error:.1} ms",
                    player.id
                ));
            }
        }
        Ok(())
    }

    /// Nothing that was promised to arrive is still on its way.
    fn check_mail(&self) -> Verdict {
        for life in self.ledger.lives.values() {
            if !life.is_mutual(self.ledger.server) || life.is_hostile {
                continue;
            }
            let (up, down) = (life.up.outstanding(), life.down.outstanding());
            // What the game itself said in the last moment may be under way.
            if up > 0 || down > 4 {
                return Err(format!(
                    "{:?}: {up} messages up and {down} down never came",
                    life.client
                ));
            }
        }
        Ok(())
    }
}
