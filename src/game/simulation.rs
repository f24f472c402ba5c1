//! A game, its players' inputs and its frames: what the tick loop drives.
//!
//! Knows who has which seat and which tick is next. Has no clock (see [`Pace`](super::Pace)), no session and no
//! thread: the same calls in the same order make the same world, which is how a recording is replayed and
//! how tests run a whole server in virtual time.

use std::sync::Arc;

use crate::id::ClientSlot;
use crate::proto::snapshot::{FrameConfig, FrameError, FrameHistory, TickFrame};
use crate::time::{Tick, TickRate};

use super::{Game, InputOutcome, InputQueue, InputStats, Inputs, Outbox, Outgoing, Player};

/// How a game is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulationConfig {
    /// Ticks a second.
    pub rate: TickRate,
    /// How often a frame is made, and its grid.
    pub frames: FrameConfig,
    /// Seats: client indices are `0..max_clients`.
    pub max_clients: u32,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimulationStats {
    /// Ticks played.
    pub ticks: u64,
    /// Frames published.
    pub frames: u64,
    /// Clients in the game now.
    pub clients: u32,
    /// Inputs of all clients, also of those who left.
    pub inputs: InputStats,
    /// Inputs and messages of clients who were not (or no longer) in the game.
    pub strangers: u64,
}

/// A client's place: kept when it leaves, for the next one.
#[derive(Debug)]
struct Seat<I> {
    occupant: Option<ClientSlot>,
    queue: InputQueue<I>,
}

/// A game at a tick, with everybody who plays it.
///
/// One turn of the tick loop: hand in what arrived ([`join`](Self::join), [`input`](Self::input),
/// [`message`](Self::message), [`leave`](Self::leave)), [`advance`](Self::advance), then do what the game asked
/// for ([`drain_outbox`](Self::drain_outbox)).
pub struct Simulation<G: Game> {
    game: G,
    config: SimulationConfig,
    frames: FrameHistory,
    /// By client index; `None` where nobody ever sat.
    seats: Vec<Option<Seat<G::Input>>>,
    next: Tick,
    /// This tick's inputs; kept for its memory.
    turns: Vec<(ClientSlot, G::Input)>,
    outbox: Outbox,
    stats: SimulationStats,
}

impl<G: Game> Simulation<G> {
    /// A game before its first tick, which is tick 1: tick 0 is how it was made.
    ///
    /// # Errors
    ///
    /// When `config.frames` makes no sense.
    pub fn new(game: G, config: SimulationConfig) -> Result<Self, FrameError> {
        let mut seats = Vec::new();
        seats.resize_with(config.max_clients as usize, || None);
        Ok(Self {
            frames: FrameHistory::new(game.schema(), config.frames)?,
            game,
            config,
            seats,
            next: Tick(1),
            turns: Vec::new(),
            outbox: Outbox::default(),
            stats: SimulationStats::default(),
        })
    }

    /// The game, to look at.
    #[must_use]
    pub const fn game(&self) -> &G {
        &self.game
    }

    /// The tick that [`Self::advance`] plays.
    #[must_use]
    pub const fn next_tick(&self) -> Tick {
        self.next
    }

    /// Ticks a second.
    #[must_use]
    pub const fn rate(&self) -> TickRate {
        self.config.rate
    }

    /// What has happened so far.
    #[must_use]
    pub const fn stats(&self) -> &SimulationStats {
        &self.stats
    }

    /// The inputs of one client; `None` when it is not in the game.
    #[must_use]
    pub fn inputs_of(&self, slot: ClientSlot) -> Option<&InputQueue<G::Input>> {
        let seat = self.seats.get(slot.index as usize)?.as_ref()?;
        (seat.occupant == Some(slot)).then_some(&seat.queue)
    }

    /// Whether this client is in the game.
    #[must_use]
    pub fn is_seated(&self, slot: ClientSlot) -> bool {
        self.inputs_of(slot).is_some()
    }

    /// Lets a client in; its first tick is the next one. `false`, and nothing happens, when there is no such
    /// seat or somebody is in it: `leave` comes first.
    pub fn join(&mut self, player: &Player) -> bool {
        let Some(place) = self.seats.get_mut(player.slot.index as usize) else {
            return false;
        };
        match place {
            Some(Seat {
                occupant: Some(_), ..
            }) => return false,
            Some(seat) => {
                seat.occupant = Some(player.slot);
                seat.queue.reset(self.next);
            }
            None => {
                let queue = InputQueue::new(self.config.rate, self.next);
                *place = Some(Seat {
                    occupant: Some(player.slot),
                    queue,
                });
            }
        }
        self.stats.clients += 1;
        self.game.join(player, &mut self.outbox);
        true
    }

    /// A client is gone. `false` when it was not in the game.
    pub fn leave(&mut self, slot: ClientSlot) -> bool {
        let Some(seat) = self.seat(slot) else {
            return false;
        };
        seat.occupant = None;
        self.stats.clients -= 1;
        self.game.leave(slot, &mut self.outbox);
        true
    }

    /// An input for `tick` arrived from a client; `None` when it is not in the game.
    pub fn input(&mut self, slot: ClientSlot, tick: Tick, bytes: &[u8]) -> Option<InputOutcome> {
        let Some(seat) = self.seat(slot) else {
            self.stats.strangers += 1;
            return None;
        };
        let outcome = seat.queue.receive(tick, bytes);
        self.stats.inputs.arrived(outcome);
        Some(outcome)
    }

    /// A message arrived from a client. `false` when it is not in the game.
    pub fn message(&mut self, from: ClientSlot, channel: u8, message: &[u8]) -> bool {
        if self.seat(from).is_none() {
            self.stats.strangers += 1;
            return false;
        }
        self.game.message(from, channel, message, &mut self.outbox);
        true
    }

    fn seat(&mut self, slot: ClientSlot) -> Option<&mut Seat<G::Input>> {
        let seat = self.seats.get_mut(slot.index as usize)?.as_mut()?;
        (seat.occupant == Some(slot)).then_some(seat)
    }

    /// Plays one tick. On snapshot ticks there is a frame for everybody.
    ///
    /// # Errors
    ///
    /// When the game describes an entity that its own schema does not allow: a bug in the game. The tick
    /// was played, only its frame is missing.
    pub fn advance(&mut self) -> Result<Option<Arc<TickFrame>>, FrameError> {
        let tick = self.next;
        self.next = tick.next();
        self.turns.clear();
        for seat in self.seats.iter_mut().flatten() {
            if let Some(slot) = seat.occupant {
                let (input, source) = seat.queue.take();
                self.stats.inputs.played(source);
                self.turns.push((slot, input));
            }
        }
        self.game
            .step(tick, &Inputs::new(&self.turns), &mut self.outbox);
        self.stats.ticks += 1;
        if !tick.0.is_multiple_of(self.config.frames.snapshot_every) {
            return Ok(None);
        }
        let mut frame = self.frames.begin(tick)?;
        self.game.publish(&mut frame)?;
        self.stats.frames += 1;
        Ok(Some(self.frames.publish(frame)))
    }

    /// Hands out what the game asked for since the last time, in order, and forgets it.
    pub fn drain_outbox(&mut self, mut to_do: impl FnMut(Outgoing<'_>)) {
        self.outbox.iter().for_each(&mut to_do);
        self.outbox.clear();
    }
}
