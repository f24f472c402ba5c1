//! Faults as they strike: each does to the run what its name says, and tells the books what it excuses.
//!
//! Knows the universe. When something strikes is the plan's to say.

use std::time::Duration;

use tickwire::netsim::ProfileConditions;
use tickwire::proto::event::DisconnectReason;

use crate::hostile::forgery;
use crate::plan::Fault;
use crate::universe::{Universe, Verdict};

/// A stranger's forgery comes this often.
const FORGE_EVERY: Duration = Duration::from_millis(15);

impl Universe {
    pub(crate) fn run_faults(&mut self) -> Verdict {
        while let Some((_, fault)) = self.faults.pop_front_if(|(at, _)| *at <= self.now) {
            self.strike(&fault)?;
        }
        Ok(())
    }

    pub(crate) fn strike(&mut self, fault: &Fault) -> Verdict {
        self.tell("fault", 0, || format!("{fault:?}"));
        match *fault {
            Fault::Outage { player, up, down } => self.set_cut(player, (up, down)),
            Fault::OutageOver { player } => self.set_cut(player, (false, false)),
            Fault::Roam {
                player,
                ref network,
            } => self.set_network(player, **network),
            Fault::Leave { player, back_after } => self.leave(player, back_after)?,
            Fault::Crash { player, back_after } => self.crash(player, back_after)?,
            Fault::Kick { player } => self.kick_player(player)?,
            Fault::Hitch { player, lasts } => self.players[player].hold(self.now, lasts),
            Fault::Burst {
                player,
                messages,
                up,
            } => self.burst(player, messages, up),
            Fault::Stall { lasts } => self.stalled_until = self.now + lasts,
            Fault::Freeze { lasts } => {
                self.frozen_until = self.now + lasts;
                self.frozen_time = self.frozen_time.max(lasts);
            }
            Fault::Drain => self.drain(),
            Fault::Kill { down } => {
                self.host = None;
                self.up_at = Some(self.now + down);
                self.ledger.hinder_all();
            }
            Fault::Wall { off } => {
                self.wall_off = off;
                self.ledger.hinder_all();
            }
        }
        Ok(())
    }

    fn set_cut(&mut self, index: usize, is_cut: (bool, bool)) {
        self.players[index].is_cut = is_cut;
        self.apply_network(index);
    }

    pub(crate) fn set_network(&mut self, index: usize, network: ProfileConditions) {
        self.players[index].network = network;
        self.apply_network(index);
    }

    pub(crate) fn apply_network(&mut self, index: usize) {
        let player = &self.players[index];
        if let Some(seat) = &player.seat {
            let mut air = self.air.borrow_mut();
            air.set_host(seat.address, player.conditions());
        }
    }

    fn leave(&mut self, index: usize, back_after: Duration) -> Verdict {
        if let Some(seat) = &mut self.players[index].seat {
            self.ledger.life(seat.address)?.said_goodbye = true;
            seat.client.disconnect();
            // The next frame hears of the end, and plans the return.
            self.players[index].hold(self.now, back_after);
        }
        Ok(())
    }

    pub(crate) fn crash(&mut self, index: usize, back_after: Duration) -> Verdict {
        if let Some(seat) = self.players[index].seat.take() {
            self.ledger.life(seat.address)?.crashed_at = Some(self.now);
            self.players[index].back_at = Some(self.now + back_after);
        }
        Ok(())
    }

    fn kick_player(&mut self, index: usize) -> Verdict {
        let Some(address) = self.players[index].seat.as_ref().map(|seat| seat.address) else {
            return Ok(());
        };
        let Some(slot) = self.ledger.life(address)?.slot else {
            return Ok(());
        };
        let Some(mut host) = self.host.take() else {
            return Ok(());
        };
        let mine = self.ledger.address_in(slot) == Some(address);
        let verdict = if mine {
            self.kick(&mut host, slot)
        } else {
            Ok(())
        };
        self.host = Some(host);
        verdict
    }

    fn burst(&mut self, index: usize, messages: u32, up: bool) {
        if up {
            self.players[index].burst += messages;
            return;
        }
        let address = self.players[index].seat.as_ref().map(|seat| seat.address);
        let seated = self.ledger.slots().find(|(_, at)| Some(*at) == address);
        if let Some((slot, address)) = seated
            && let Some(mut host) = self.host.take()
        {
            self.say_down(&mut host, slot, address, messages);
            self.host = Some(host);
        }
    }

    fn drain(&mut self) {
        self.ledger.server_drains();
        if let Some(host) = &mut self.host {
            host.endpoint.refuse_newcomers();
            let reason = DisconnectReason::ServerShutdown;
            host.endpoint.disconnect_all(self.now, reason, "see you");
        }
    }

    pub(crate) fn forge(&mut self) {
        if self.forge_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.forge_at = Some(self.now + FORGE_EVERY);
        let mut air = self.air.borrow_mut();
        let forged = {
            let heard: Vec<_> = air.tap.iter().collect();
            forgery(&heard, &mut self.rng)
        };
        if let Some(forged) = forged {
            air.send(forged.from, forged.to, &forged.bytes);
        }
    }

    pub(crate) const fn frozen_time(&self) -> Duration {
        self.frozen_time
    }

    /// Everything that goes wrong stops going wrong.
    pub(crate) fn end_trouble(&mut self, network: ProfileConditions) {
        self.tell("calm", 0, String::new);
        self.faults.clear();
        self.hostiles.clear();
        self.forge_at = None;
        self.chatter = 0;
        self.wall_off = 0;
        for index in 0..self.players.len() {
            self.players[index].burst = 0;
            self.players[index].is_cut = (false, false);
            self.set_network(index, network);
        }
    }
}
