//! The world's thread: inputs in, one step a tick, frames and messages out.
//!
//! A thread of its own, and not a task, because nothing on it may wait for anything but the next tick. When
//! it is due is told by [`Pace`]; what a step is, by [`Simulation`]; this file carries events from the shards'
//! inboxes and the game's wishes back to them.

mod outlet;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::watch;
use tracing::error;

pub(super) use self::outlet::{Outlet, QUEUE};
use super::clock::ServerClock;
use super::histogram::Histogram;
use super::metrics::{CohortCounts, InputCounts, ShardMetrics, TICK_BOUNDS_US, TickStats};
use super::shard::Command;
use crate::game::{Game, InputStats, Outgoing, Pace, Player, Recipients, Simulation};
use crate::id::ClientSlot;
use crate::proto::channel::ChannelId;
use crate::proto::event::{DisconnectReason, ServerEvent};
use crate::proto::snapshot::{CohortStats, FrameError, TickFrame};
use crate::time::{Tick, Timestamp};

/// Called with every frame, on the world's thread: keep it short.
pub type FrameHook = Box<dyn FnMut(&Arc<TickFrame>) + Send>;

/// What the world's thread counts; it writes, others read.
#[derive(Debug, Default)]
pub(super) struct TickMetrics {
    work: Histogram,
    tick: AtomicU32,
    overruns: AtomicU64,
    bad_frames: AtomicU64,
    skipped_us: AtomicU64,
    /// When the last tick was played, in microseconds of the server's clock.
    played_at: AtomicU64,
    inputs: InputMetrics,
    cohorts: CohortMetrics,
    pub(super) commands_delayed: AtomicU64,
    pub(super) commands_lost: AtomicU64,
}

impl TickMetrics {
    /// A frame that the game's own schema does not allow: said once, counted always.
    fn note_bad_frame(&self, tick: Tick, error: &FrameError) {
        if self.bad_frames.fetch_add(1, Ordering::Relaxed) == 0 {
            error!(%tick, %error, "the game described an entity that its schema does not allow");
        }
    }

    /// When the last tick was played; the origin of the clock before the first.
    pub(super) fn played_at(&self) -> Timestamp {
        Timestamp::from_micros(self.played_at.load(Ordering::Relaxed))
    }

    pub(super) fn read(&self) -> TickStats {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        TickStats {
            tick: self.tick.load(Ordering::Relaxed),
            played: self.work.count(),
            p50_us: micros(self.work.quantile(0.5)),
            p99_us: micros(self.work.quantile(0.99)),
            max_us: micros(self.work.max()),
            work: self.work.distribution(&TICK_BOUNDS_US),
            cohorts: self.cohorts.read(),
            overruns: self.overruns.load(Ordering::Relaxed),
            skipped_us: self.skipped_us.load(Ordering::Relaxed),
            inputs: self.inputs.read(),
            bad_frames: self.bad_frames.load(Ordering::Relaxed),
            commands_delayed: self.commands_delayed.load(Ordering::Relaxed),
            commands_lost: self.commands_lost.load(Ordering::Relaxed),
        }
    }
}

/// What became of inputs, copied from the simulation once a tick.
#[derive(Debug, Default)]
struct InputMetrics {
    applied: AtomicU64,
    repeated: AtomicU64,
    neutral: AtomicU64,
    late: AtomicU64,
    rejected: AtomicU64,
}

impl InputMetrics {
    fn mirror(&self, inputs: &InputStats) {
        self.applied.store(inputs.applied, Ordering::Relaxed);
        self.repeated.store(inputs.repeated, Ordering::Relaxed);
        self.neutral.store(inputs.neutral, Ordering::Relaxed);
        self.late.store(inputs.late, Ordering::Relaxed);
        self.rejected.store(inputs.rejected(), Ordering::Relaxed);
    }

    fn read(&self) -> InputCounts {
        InputCounts {
            applied: self.applied.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            neutral: self.neutral.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}

/// How often the frames' shared encodings were built, added up when a frame is replaced.
#[derive(Debug, Default)]
struct CohortMetrics {
    built: AtomicU64,
    plain: AtomicU64,
    absolute: AtomicU64,
    waited: AtomicU64,
}

impl CohortMetrics {
    fn add(&self, frame: CohortStats) {
        self.built.fetch_add(frame.built.into(), Ordering::Relaxed);
        self.plain.fetch_add(frame.plain.into(), Ordering::Relaxed);
        self.absolute
            .fetch_add(frame.absolute.into(), Ordering::Relaxed);
        self.waited
            .fetch_add(frame.waited.into(), Ordering::Relaxed);
    }

    fn read(&self) -> CohortCounts {
        CohortCounts {
            built: self.built.load(Ordering::Relaxed),
            plain: self.plain.load(Ordering::Relaxed),
            absolute: self.absolute.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
        }
    }
}

/// The world and its roads to the shards.
pub(super) struct TickLoop<G: Game> {
    pub(super) simulation: Simulation<G>,
    pub(super) clock: ServerClock,
    /// One for each shard, in their order, and how much of it is taken a tick.
    pub(super) inboxes: Vec<Receiver<ServerEvent>>,
    pub(super) inbox_size: usize,
    /// Where each inbox's depth is shown.
    pub(super) shards: Vec<Arc<ShardMetrics>>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) frames: watch::Sender<Option<Arc<TickFrame>>>,
    pub(super) hook: Option<FrameHook>,
    pub(super) metrics: Arc<TickMetrics>,
    pub(super) stop: Arc<AtomicBool>,
    /// Who plays, and at which shard, by slot index.
    pub(super) seats: Vec<Option<(ClientSlot, usize)>>,
}

impl<G: Game> TickLoop<G> {
    /// Plays until `stop` is set and the thread woken.
    pub(super) fn run(mut self) {
        let mut pace = Pace::new(
            self.simulation.rate(),
            self.clock.now(),
            self.simulation.next_tick(),
        );
        while !self.stop.load(Ordering::Acquire) {
            let now = self.clock.now();
            let rest = pace.next_wake().since(now);
            if !rest.is_zero() {
                std::thread::park_timeout(rest);
                continue;
            }
            self.take_events();
            for tick in pace.wake(now) {
                self.play(tick);
            }
            let late = pace.stats();
            self.metrics
                .overruns
                .store(late.overruns, Ordering::Relaxed);
            let skipped = u64::try_from(late.skipped_time.as_micros()).unwrap_or(u64::MAX);
            self.metrics.skipped_us.store(skipped, Ordering::Relaxed);
        }
    }

    /// One tick: step, show, deliver.
    fn play(&mut self, tick: Tick) {
        let start = self.clock.now();
        match self.simulation.advance() {
            Ok(Some(frame)) => self.show(frame),
            Ok(None) => {}
            Err(error) => self.metrics.note_bad_frame(tick, &error),
        }
        self.deliver();
        self.metrics.inputs.mirror(&self.simulation.stats().inputs);
        self.metrics.tick.store(tick.0, Ordering::Relaxed);
        let end = self.clock.now();
        self.metrics.work.record(end.since(start));
        self.metrics
            .played_at
            .store(end.as_micros(), Ordering::Relaxed);
    }

    fn show(&mut self, frame: Arc<TickFrame>) {
        // Before the shards have it: who holds a snapshot against its frame finds the frame.
        if let Some(hook) = &mut self.hook {
            hook(&frame);
        }
        // A slow shard finds the newest frame, never a queue of them.
        let last = self.frames.send_replace(Some(frame));
        if let Some(last) = last {
            self.metrics.cohorts.add(last.cohort_stats());
        }
    }

    /// Takes what the shards brought, at most one inbox full from each, so that a flood cannot stop time.
    fn take_events(&mut self) {
        for shard in 0..self.inboxes.len() {
            let mut taken = 0;
            for _ in 0..self.inbox_size {
                let Some(event) = self
                    .inboxes
                    .get(shard)
                    .and_then(|inbox| inbox.try_recv().ok())
                else {
                    break;
                };
                taken += 1;
                self.take_event(shard, event);
            }
            if let Some(metrics) = self.shards.get(shard) {
                metrics.note_inbox(taken);
            }
        }
    }

    fn take_event(&mut self, shard: usize, event: ServerEvent) {
        match event {
            ServerEvent::Connected {
                slot,
                client,
                user_data,
                ..
            } => {
                // With several shards the goodbye of whoever sat here before may still be on its way.
                self.vacate(slot.index);
                self.seat(slot, shard);
                self.simulation.join(&Player {
                    slot,
                    client,
                    user_data,
                });
            }
            ServerEvent::Disconnected { slot, .. } => {
                if self.simulation.is_seated(slot) {
                    self.vacate(slot.index);
                }
            }
            // What comes in the name of somebody who left, the simulation counts and drops.
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
        }
    }

    fn seat(&mut self, slot: ClientSlot, shard: usize) {
        let index = slot.index as usize;
        if self.seats.len() <= index {
            self.seats.resize(index + 1, None);
        }
        self.seats[index] = Some((slot, shard));
    }

    fn vacate(&mut self, index: u32) {
        if let Some((slot, _)) = self.seats.get_mut(index as usize).and_then(Option::take) {
            self.simulation.leave(slot);
        }
    }

    /// Hands the game's messages and kicks to the shards of those they are for.
    fn deliver(&mut self) {
        let Self {
            simulation,
            outlets,
            seats,
            metrics,
            ..
        } = self;
        for outlet in outlets.iter_mut() {
            outlet.flush(metrics);
        }
        simulation.drain_outbox(|outgoing| {
            let (whom, command) = command_for(&outgoing);
            let Recipients::One(slot) = whom else {
                for outlet in outlets.iter_mut() {
                    outlet.push(command.clone(), metrics);
                }
                return;
            };
            if let Some(Some((seated, shard))) = seats.get(slot.index as usize)
                && *seated == slot
                && let Some(outlet) = outlets.get_mut(*shard)
            {
                outlet.push(command, metrics);
            }
        });
    }
}

/// What a shard has to do, and for whom.
fn command_for(outgoing: &Outgoing<'_>) -> (Recipients, Command) {
    match *outgoing {
        Outgoing::Message {
            to,
            channel,
            message,
        } => {
            let channel = ChannelId(channel);
            (
                to,
                Command::Message {
                    to,
                    channel,
                    message: message.into(),
                },
            )
        }
        Outgoing::Kick { slot, reason } => {
            let (whom, text) = (Recipients::One(slot), reason.into());
            (
                whom,
                Command::Disconnect {
                    whom,
                    reason: DisconnectReason::Kicked,
                    text,
                },
            )
        }
    }
}
