//! One life of the server process: endpoint, admission, world and pace, wired as the threads wire them.
//!
//! Knows what a shard and the tick loop know. Knows nothing of faults and of what is being checked.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use tickwire::game::arena::{Arena, ArenaConfig};
use tickwire::game::{Outgoing, Pace, Player, Recipients, Simulation, SimulationConfig};
use tickwire::id::ClientSlot;
use tickwire::proto::channel::{ChannelId, LinkConfig};
use tickwire::proto::event::{DisconnectReason, ServerEvent, Warning};
use tickwire::proto::netcode::{Key, LocalRegistry, Registry, ServerConfig};
use tickwire::proto::server::{ServerEndpoint, ServerEndpointConfig};
use tickwire::proto::snapshot::{FrameConfig, TickFrame, ViewConfig};
use tickwire::server::admission::{Admission, AdmissionConfig, Charge, PrefixCells};
use tickwire::server::directory::Directory;
use tickwire::time::{Tick, TickRate, Timestamp, UnixTime};

use crate::air::server_address;

pub(crate) const PROTOCOL: u64 = 0x7157;

/// Frames that are kept to hold replicas against.
const ARCHIVE: usize = 1_024;

/// How the server runs.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) rate: TickRate,
    pub(crate) snapshot_every: u16,
    pub(crate) seats: u32,
    pub(crate) view: ViewConfig,
    /// The process-wide directory instead of the plain registry.
    pub(crate) directory: bool,
}

/// A message the game or an operator asked for, or the end of a session.
pub(crate) enum Wish {
    Message(ClientSlot, ChannelId, Vec<u8>),
    Kick(ClientSlot),
}

pub(crate) struct Host {
    pub(crate) endpoint: ServerEndpoint,
    pub(crate) simulation: Simulation<Arena>,
    pub(crate) pace: Pace,
    admission: Admission,
    pub(crate) frames: BTreeMap<Tick, Arc<TickFrame>>,
    /// What the tick loop has not taken yet.
    inbox: VecDeque<ServerEvent>,
    /// Ticks in the order in which they were played.
    played: Option<Tick>,
    pub(crate) expelled: Vec<ClientSlot>,
    slots: Vec<ClientSlot>,
}

impl Host {
    pub(crate) fn start(
        setup: &Setup,
        link: Arc<LinkConfig>,
        key: Key,
        now: Timestamp,
        started: u64,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let arena = Arena::new(ArenaConfig {
            seed: setup.seed,
            players: setup.seats,
            rate: setup.rate,
        });
        let frames = FrameConfig {
            snapshot_every: u32::from(setup.snapshot_every),
            ..FrameConfig::default()
        };
        let simulation = Simulation::new(
            arena,
            SimulationConfig {
                rate: setup.rate,
                frames,
                max_clients: setup.seats,
            },
        )
        .expect("good frames");
        let config = ServerEndpointConfig {
            netcode: ServerConfig {
                pending_entries: 1_024,
                ..ServerConfig::new(PROTOCOL, key, server_address(), setup.seats)
            },
            link,
            view: setup.view,
            schema: tickwire::game::arena::schema(),
            tick_rate: setup.rate,
            snapshot_every: setup.snapshot_every,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
        };
        let registry: Arc<dyn Registry> = if setup.directory {
            Arc::new(Directory::new(setup.seats))
        } else {
            Arc::new(LocalRegistry::new(setup.seats))
        };
        let cells = PrefixCells::new(rng);
        Self {
            endpoint: ServerEndpoint::new(config, rng, started, registry).expect("a good server"),
            pace: Pace::new(setup.rate, now, simulation.next_tick()),
            simulation,
            admission: Admission::new(AdmissionConfig::default(), cells),
            frames: BTreeMap::new(),
            inbox: VecDeque::new(),
            played: None,
            expelled: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Admits a datagram or drops it unread, and charges the player it proved to be from.
    pub(crate) fn receive(&mut self, now: Timestamp, from: SocketAddr, datagram: &mut [u8]) {
        let sender = self.endpoint.sender(from);
        let is_admitted = match sender.session() {
            None => self.admission.admit_stranger(now, from.ip()).is_ok(),
            Some(slot) => self.admission.admits_player(now, slot),
        };
        if !is_admitted {
            return;
        }
        if let Some(slot) = self.endpoint.handle_datagram_from(now, sender, datagram) {
            match self.admission.charge(now, slot, datagram.len()) {
                Charge::Within | Charge::Over(_) => {}
                Charge::Warn(_) => {
                    self.endpoint
                        .warn(slot, Warning::RateLimited, Duration::ZERO);
                }
                Charge::Expel => {
                    self.expelled.push(slot);
                    self.endpoint
                        .disconnect(now, slot, DisconnectReason::RateLimited, "");
                }
            }
        }
    }

    /// Runs the timers that are due.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_timeout(now);
        }
    }

    /// An event on its way to the tick loop.
    pub(crate) fn forward(&mut self, event: ServerEvent) {
        self.inbox.push_back(event);
    }

    pub(crate) fn waiting_events(&self) -> usize {
        self.inbox.len()
    }

    /// When something is due by itself.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.endpoint.poll_timeout()
    }

    /// What time it is in ticks, exactly.
    pub(crate) fn true_tick(&self, now: Timestamp) -> f64 {
        let left = self.pace.next_wake().since(now).as_secs_f64();
        let owed = now.since(self.pace.next_wake()).as_secs_f64();
        f64::from(self.pace.next_tick().0) + (owed - left) * f64::from(self.pace.rate().hz())
    }

    /// One wake of the tick loop. `said` hears of what the game wants said, in order.
    ///
    /// # Errors
    ///
    /// When ticks are out of order.
    pub(crate) fn wake(&mut self, now: Timestamp, wall: UnixTime) -> Result<Vec<Wish>, String> {
        self.endpoint.set_wall_clock(wall);
        while let Some(event) = self.inbox.pop_front() {
            self.take(event);
        }
        let mut wishes = Vec::new();
        for tick in self.pace.wake(now) {
            if self.played.is_some_and(|played| tick != played.next()) {
                return Err(format!("tick {tick} was played after {:?}", self.played));
            }
            self.played = Some(tick);
            match self.simulation.advance() {
                Ok(Some(frame)) => self.publish(now, frame),
                Ok(None) => {}
                Err(error) => return Err(format!("tick {tick}: {error}")),
            }
            self.collect(&mut wishes);
        }
        Ok(wishes)
    }

    fn publish(&mut self, now: Timestamp, frame: Arc<TickFrame>) {
        if self.frames.len() == ARCHIVE {
            self.frames.pop_first();
        }
        self.frames.insert(frame.tick(), Arc::clone(&frame));
        self.endpoint.publish(now, frame);
    }

    fn take(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Connected {
                slot,
                client,
                user_data,
                ..
            } => {
                self.slots.push(slot);
                self.simulation.join(&Player {
                    slot,
                    client,
                    user_data,
                });
            }
            ServerEvent::Disconnected { slot, .. } => {
                self.slots.retain(|known| *known != slot);
                self.simulation.leave(slot);
            }
            ServerEvent::Input { slot, tick, input } => {
                self.simulation.input(slot, tick, input.as_slice());
            }
            ServerEvent::Message {
                slot,
                channel,
                message,
            } => {
                self.simulation.message(slot, channel.0, &message);
            }
            _ => {}
        }
    }

    fn collect(&mut self, wishes: &mut Vec<Wish>) {
        let slots = &self.slots;
        self.simulation.drain_outbox(|outgoing| match outgoing {
            Outgoing::Message {
                to,
                channel,
                message,
            } => {
                let whom = slots.iter().copied().filter(|slot| match to {
                    Recipients::One(one) => *slot == one,
                    Recipients::All => true,
                    Recipients::AllBut(but) => *slot != but,
                });
                wishes.extend(
                    whom.map(|slot| Wish::Message(slot, ChannelId(channel), message.to_vec())),
                );
            }
            Outgoing::Kick { slot, .. } => wishes.push(Wish::Kick(slot)),
        });
    }
}
