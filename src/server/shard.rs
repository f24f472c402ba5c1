//! One shard: a thread, a socket, an endpoint and every session behind them.
//!
//! It carries: datagrams to the endpoint and back, events to the tick loop, the newest frame and the
//! game's messages to the clients. It decides only what a driver must decide: who is admitted, what is dropped
//! when somebody is slow, and when the end has come.
//!
//! [`Core`] is that work without a socket and without waiting; [`Shard`] adds both.

mod core;
mod pause;
#[cfg(test)]
mod tests;

use std::io;
use std::net::UdpSocket as StdSocket;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::warn;

pub(super) use self::core::{Command, Core};
pub(super) use self::pause::Pause;
use super::admission::AdmissionConfig;
use super::clock::{ServerClock, calendar};
use super::metrics::Counter;
use super::socket::{Batch, Mechanisms, SendQueue, ShardSocket};
use crate::proto::snapshot::TickFrame;
use crate::time::Timestamp;

/// How long a shard rests at most: timers of sessions are due to about this.
const TIMER: Duration = Duration::from_millis(5);

/// How long it rests where there is no session: what remains is to look at the calendar and to show counters.
const IDLE_TIMER: Duration = Duration::from_millis(100);

/// Every client's figures are shown once in so many timers: once a second.
const SURVEY_TIMERS: usize = 200;

/// Commands that are carried out before datagrams get a turn.
const COMMANDS_AT_ONCE: usize = 256;

/// Datagrams that are read before a frame is served: what each session may send in a tick (see
/// [`AdmissionConfig::player_datagrams`]), and some of strangers.
const fn heard_before_a_frame(sessions: usize) -> u64 {
    4 * sessions as u64 + 1_024
}

/// That the server stops, and what clients are told; `None` while it runs.
pub(super) type Stop = Option<Arc<str>>;

/// A shard that is ready to run.
pub(super) struct Shard {
    pub(super) core: Core,
    pub(super) socket: StdSocket,
    pub(super) mechanisms: Mechanisms,
    pub(super) clock: ServerClock,
    pub(super) frames: watch::Receiver<Option<Arc<TickFrame>>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) limits: watch::Receiver<AdmissionConfig>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) drain_timeout: Duration,
    pub(super) pause: Pause,
}

/// What woke a shard.
enum Wake {
    Stop,
    Limits,
    Command(Command),
    Timer,
    Frame,
    Socket,
}

impl Shard {
    /// Serves until the server stops and every client was told, on the thread of the caller.
    ///
    /// # Errors
    /// When the thread gets no runtime. Nothing that a peer does is an error.
    pub(super) fn run(self) -> io::Result<()> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.serve())
    }

    async fn serve(mut self) -> io::Result<()> {
        let mut socket = ShardSocket::new(self.socket.try_clone()?, self.mechanisms).await?;
        let mut queue = SendQueue::new(socket.local_addr()?);
        let mut timer = pin!(sleep(TIMER));
        let mut is_idle = false;
        self.core.set_wall_clock(calendar());
        let mut deadline = None;
        loop {
            let wake = tokio::select! {
                biased;
                _ = self.stop.changed(), if deadline.is_none() => Wake::Stop,
                Ok(()) = self.limits.changed() => Wake::Limits,
                Some(command) = self.commands.recv() => Wake::Command(command),
                () = &mut timer => Wake::Timer,
                // Behind what is rare: to a shard that is late there is always a next frame.
                changed = self.frames.changed(), if deadline.is_none() => {
                    // Without a tick loop there is nothing to serve.
                    if changed.is_ok() { Wake::Frame } else { Wake::Stop }
                }
                _ = socket.writable(), if !queue.is_empty() => Wake::Socket,
                _ = socket.readable() => Wake::Socket,
            };
            let now = self.clock.now();
            let is_timer = matches!(wake, Wake::Timer);
            if matches!(wake, Wake::Stop) {
                deadline = Some(now + self.drain_timeout);
            }
            let heard_all = self.attend(wake, now, &mut socket);
            self.core.settle(now);
            let has_work = !self.core.is_empty();
            if is_timer || (is_idle && has_work) {
                is_idle = !has_work;
                let rest = if is_idle { IDLE_TIMER } else { TIMER };
                timer.as_mut().reset(Instant::now() + rest);
            }
            self.transmit(now, &mut socket, &mut queue);
            if heard_all && queue.is_empty() && deadline.is_none() {
                self.let_gather();
            }
            if deadline.is_some_and(|deadline| self.is_over(now, deadline, &queue)) {
                self.core.mirror();
                return Ok(());
            }
        }
    }

    /// Does what a wake asks for; what is to be sent for it is sent later. Says whether that was to read the socket, and
    /// nothing was left in it.
    fn attend(&mut self, wake: Wake, now: Timestamp, socket: &mut ShardSocket) -> bool {
        match wake {
            Wake::Stop => {
                let text = self.stop.borrow_and_update().clone();
                self.core.stop(now, text.as_deref().unwrap_or(""));
            }
            Wake::Limits => self.core.set_limits(*self.limits.borrow_and_update()),
            Wake::Command(command) => self.carry_out(now, command),
            Wake::Timer => {
                self.core.set_wall_clock(calendar());
                self.core.mirror();
                self.core.survey();
            }
            Wake::Frame => {
                self.hear(now, socket);
                let frame = self.frames.borrow_and_update().clone();
                if let Some(frame) = frame {
                    self.core.publish(now, frame);
                    self.pause.frame(now);
                }
            }
            Wake::Socket => return self.receive(now, socket).would_block,
        }
        false
    }

    /// Sleeps for a moment, if it may. The thread sleeps and not only this task, because a runtime that waits for its
    /// sockets is woken by each datagram, whoever waits for it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver pauses, and a runtime's pause would not keep the socket from waking it"
    )]
    fn let_gather(&self) {
        if let Some(length) = self.pause.now(self.clock.now(), self.core.len()) {
            std::thread::sleep(length);
        }
    }

    /// Takes in what clients said while the last frame was served.
    ///
    /// A shard for which a frame is as much work as a tick is long would otherwise never read again. Without
    /// acknowledgements every snapshot is told from nothing, which is the most work there is: it would stay late for ever.
    fn hear(&mut self, now: Timestamp, socket: &mut ShardSocket) {
        let most = heard_before_a_frame(self.core.len());
        let mut heard = 0;
        while heard < most {
            let batch = self.receive(now, socket);
            heard += batch.datagrams + batch.errors;
            if batch.would_block {
                return;
            }
        }
    }

    fn receive(&mut self, now: Timestamp, socket: &mut ShardSocket) -> Batch {
        let batch = socket.receive(|from, datagram| {
            self.core.receive(now, from, datagram);
        });
        self.count_received(batch);
        batch
    }

    /// Carries out a command and those behind it, some at a time.
    fn carry_out(&mut self, now: Timestamp, command: Command) {
        self.core.carry_out(now, command);
        for _ in 1..COMMANDS_AT_ONCE {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.core.carry_out(now, command);
        }
    }

    /// Sends what is due until there is no more or the socket takes no more.
    ///
    /// Between two batches it hears what came meanwhile: a frame for a thousand clients takes longer to send than the
    /// kernel has room for what they say. As much as [before a frame](heard_before_a_frame) at most, so that answers to
    /// strangers cannot keep it here.
    fn transmit(&mut self, mut now: Timestamp, socket: &mut ShardSocket, queue: &mut SendQueue) {
        let most = heard_before_a_frame(self.core.len());
        let mut heard = 0;
        loop {
            let mut is_dry = false;
            while queue.has_room() && !is_dry {
                is_dry = queue
                    .push(|buffer| self.core.poll_transmit(now, buffer))
                    .is_none();
            }
            let batch = socket.flush(queue);
            self.count_sent(batch);
            if is_dry || batch.would_block {
                return;
            }
            now = self.clock.now();
            if heard < most {
                let batch = self.receive(now, socket);
                heard += batch.datagrams + batch.errors;
                self.core.settle(now);
            }
        }
    }

    fn is_over(&self, now: Timestamp, deadline: Timestamp, queue: &SendQueue) -> bool {
        let is_done = self.core.is_empty() && queue.is_empty();
        if !is_done && now >= deadline {
            warn!(
                sessions = self.core.len(),
                "the drain timeout passed before every client was told"
            );
        }
        is_done || now >= deadline
    }

    fn count_received(&self, batch: Batch) {
        let metrics = self.core.metrics();
        metrics.add(Counter::DatagramsReceived, batch.datagrams);
        metrics.add(Counter::BytesReceived, batch.bytes);
        metrics.add(Counter::ReceiveErrors, batch.errors);
        metrics.add(Counter::ReceiveCalls, batch.calls);
        metrics.add(Counter::DatagramsCoalesced, batch.joined);
    }

    fn count_sent(&self, batch: Batch) {
        if batch == Batch::default() {
            return;
        }
        let metrics = self.core.metrics();
        metrics.add(Counter::DatagramsSent, batch.datagrams);
        metrics.add(Counter::BytesSent, batch.bytes);
        metrics.add(Counter::SendErrors, batch.errors);
        metrics.add(Counter::SendStalls, u64::from(batch.would_block));
        metrics.add(Counter::SendCalls, batch.calls);
        metrics.add(Counter::DatagramsSegmented, batch.joined);
    }
}
