//! What tick it is at the server, which tick an input sent now is for, and which moment to draw.
//!
//! Knows arrival times of snapshots, the link's round trip, and what the server says about our inputs. Has no
//! clock of its own and no idea what a snapshot contains.
//!
//! Three lines run through time, one tick per tick period, each at a distance of its own from the
//! local clock:
//!
//! ```text
//!            2 snapshots + p95 of the lateness            rtt/2        rtt/2 + jitter + 1 tick
//!    render <---------------------------- newest arrival ------> server ---------------------> input
//!    what is drawn                                               the tick          the tick that an
//!                                                                it is there       input sent now is for
//! ```
//!
//! None of them ever runs backwards. A line that is off is brought back by running at most 5% faster or slower,
//! which nobody sees; one that is off by more than 250 ms would need five seconds for that, so all
//! three step, once, and say so. A step back is a stop: the line stands until the server has caught up.
//!
//! The distances follow Gaffer on Games ("Snapshot Interpolation") for drawing, and the usual practice of
//! "command frames" for inputs (Overwatch, GDC 2017): measure how early inputs arrive, and run that much
//! less ahead.

mod line;
mod margin;
mod window;

use core::time::Duration;

use crate::time::{Tick, TickRate, Timestamp};

use line::Line;
use margin::Margin;
use window::Window;

/// A line that is off by more than this steps instead of slewing.
///
/// At 5% a quarter of a second takes five to make good, about as long as a player puts up with.
pub const STEP_THRESHOLD: Duration = Duration::from_millis(STEP_MICROS as u64 / 1_000);
const STEP_MICROS: i64 = 250_000;

/// Snapshots that are all late for this long mean that the server's clock is behind; before, that the
/// network is slow. Most stalls of a radio are over sooner.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many snapshot intervals are drawn behind: with two, one snapshot may be lost and motion goes on.
const INTERVALS_BEHIND: i64 = 2;

/// A moment of world time: a tick, and how much of it is over.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct TickTime {
    /// The tick that has begun.
    pub tick: Tick,
    /// The part of it that is over: 0 <= fraction < 1.
    pub fraction: f32,
}

/// All lines were moved at once: they were off by more than [`STEP_THRESHOLD`].
///
/// A game may want to drop its predictions; the ticks it is asked for stay in order either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStep {
    /// Jumped ahead by this much: the ticks between are skipped.
    Ahead(Duration),
    /// Stands still for this long, until the server has caught up with what we already counted.
    Held(Duration),
}

/// The client's idea of the server's time. See the head of this file.
///
/// Feed it with [`observe`](Self::observe) for each snapshot and [`observe_margin`](Self::observe_margin) for each word
/// of the server about our inputs; ask it at any time. `now` must not run backwards (an earlier
/// one counts as the last one). Until the first snapshot every answer is `None`.
///
/// ```
/// use std::time::Duration;
/// use tickwire::client::TickClock;
/// use tickwire::time::{Tick, TickRate, Timestamp};
///
/// let mut clock = TickClock::new(TickRate::HZ_60, 2);
/// let now = Timestamp::from_millis(500);
/// assert_eq!(clock.input_tick(now), None);
/// clock.observe(now, Tick(600), Duration::from_millis(100), Duration::ZERO);
/// // 50 ms = 3 ticks down, 3 ticks up, and one to be on time.
/// assert_eq!(clock.server_tick(now).map(|at| at.tick), Some(Tick(603)));
/// assert_eq!(clock.input_tick(now), Some(Tick(607)));
/// assert_eq!(clock.render_tick(now).map(|at| at.tick), Some(Tick(596)));
/// ```
#[derive(Debug, Clone)]
pub struct TickClock {
    rate: TickRate,
    /// Nanoseconds from one snapshot to the next.
    interval: i64,
    window: Window,
    newest: Tick,
    rtt: i64,
    jitter: i64,
    margin: Margin,
    /// How much older than the newest the oldest input of a datagram usually is.
    batch: i64,
    /// Since when every snapshot has been far too late.
    late_since: Option<Timestamp>,
    lines: Option<Lines>,
}

#[derive(Debug, Clone, Copy)]
struct Lines {
    server: Line,
    input: Line,
    render: Line,
}

impl TickClock {
    /// A clock for a server that runs at `rate` and sends a snapshot every so many ticks (0 counts as 1).
    #[must_use]
    pub fn new(rate: TickRate, snapshot_every: u32) -> Self {
        Self {
            rate,
            // Rounded down where ticks are rounded up, so that whole intervals before a tick is still a tick.
            interval: start_of(Tick(snapshot_every.max(1)), rate) - 1,
            window: Window::default(),
            newest: Tick(0),
            rtt: 0,
            jitter: 0,
            margin: Margin::default(),
            batch: 0,
            late_since: None,
            lines: None,
        }
    }

    /// A snapshot of `tick` arrived at `now`, on a link with this smoothed round trip and jitter.
    ///
    /// Further parts of the newest snapshot are not counted again. Returns the step, if the clock had to make one.
    pub fn observe(
        &mut self,
        now: Timestamp,
        tick: Tick,
        rtt: Duration,
        jitter: Duration,
    ) -> Option<ClockStep> {
        if self.lines.is_some() && tick == self.newest {
            return None;
        }
        self.newest = self.newest.max(tick);
        self.rtt = nanos(rtt);
        self.jitter = nanos(jitter);
        let offset = start_of(tick, self.rate).saturating_sub(local(now));
        self.take_in(now, offset).then(|| self.aim(now))?
    }

    /// The server's word about an input of ours: it arrived so many microseconds before (negative: after) its tick began.
    ///
    /// Without any, inputs are sent as early as the round trip and the jitter make prudent. With them the distance
    /// follows what really happens on the way up.
    pub fn observe_margin(&mut self, now: Timestamp, micros: i64) -> Option<ClockStep> {
        let lines = self.lines.as_ref()?;
        let (at, tick) = (local(now), start_of(Tick(1), self.rate));
        // A word about a line that is on its way, or about a clock that the arrivals contradict, teaches nothing
        // about the lead.
        let error = lines.input.error(at, self.input_target());
        if self.late_since.is_some() || error.saturating_abs() > tick {
            self.margin
                .ignore_until(at.saturating_add(self.rtt).saturating_add(tick));
            return None;
        }
        let oldest = micros.saturating_sub(self.batch / 1_000);
        let base = self.lead_without_correction();
        if self.margin.observe(at, oldest, tick, self.rtt, base) {
            return self.aim(now);
        }
        None
    }

    /// So many inputs usually leave together (0 counts as 1): a game that draws 30 frames a second gives the inputs of two
    /// ticks of 60 Hz at once, and the older one must be in time as well.
    pub fn observe_batch(&mut self, inputs: u32) {
        self.batch = start_of(Tick(inputs.saturating_sub(1)), self.rate);
    }

    /// What time it is at the server.
    #[must_use]
    pub fn server_tick(&self, now: Timestamp) -> Option<TickTime> {
        self.read(now, |lines| &lines.server)
    }

    /// The tick that an input sent now is for.
    #[must_use]
    pub fn input_tick(&self, now: Timestamp) -> Option<Tick> {
        self.input_time(now).map(|at| at.tick)
    }

    /// The same with the part of the tick that is over: how far to draw what is predicted beyond the last step.
    #[must_use]
    pub fn input_time(&self, now: Timestamp) -> Option<TickTime> {
        self.read(now, |lines| &lines.input)
    }

    /// The moment of the world to draw from snapshots.
    #[must_use]
    pub fn render_tick(&self, now: Timestamp) -> Option<TickTime> {
        self.read(now, |lines| &lines.render)
    }

    /// How much later than the fastest the slowest of 20 snapshots came, over the last 64.
    #[must_use]
    pub fn jitter_p95(&self) -> Duration {
        duration(self.window.lateness_p95())
    }

    /// How far the inputs run ahead of the server's time, once the lines have settled.
    #[must_use]
    pub fn input_lead(&self) -> Duration {
        duration(self.lead())
    }

    /// How far the drawing is behind the fastest arrivals, once the lines have settled.
    #[must_use]
    pub fn interpolation_delay(&self) -> Duration {
        duration(
            self.window
                .lateness_p95()
                .saturating_add(self.interval * INTERVALS_BEHIND),
        )
    }

    fn read(&self, now: Timestamp, line: impl Fn(&Lines) -> &Line) -> Option<TickTime> {
        let lines = self.lines.as_ref()?;
        Some(tick_time(line(lines).at(local(now)), self.rate))
    }

    /// Puts an arrival into the window; `false` when it is too odd to be believed yet.
    fn take_in(&mut self, now: Timestamp, offset: i64) -> bool {
        let step = STEP_MICROS * 1_000;
        if self.window.is_empty() {
            self.window.push(offset);
            return true;
        }
        // The server has reached this tick: nothing on the way can make a snapshot early.
        let is_proof = offset.saturating_sub(self.window.fastest()) > step;
        let is_late = self.window.median().saturating_sub(offset) > step;
        if is_late {
            let since = *self.late_since.get_or_insert(now);
            if now.since(since) < PATIENCE {
                return false;
            }
        }
        self.late_since = None;
        if is_proof || is_late {
            self.window = Window::default();
        }
        self.window.push(offset);
        true
    }

    fn lead(&self) -> i64 {
        self.lead_without_correction()
            .saturating_add(self.margin.correction())
            .max(0)
    }

    fn lead_without_correction(&self) -> i64 {
        // The lateness is that of the way down; the link's jitter knows of the way up as well.
        let jitter = self.jitter.max(self.window.lateness_p95());
        let tick = start_of(Tick(1), self.rate);
        (self.rtt / 2)
            .saturating_add(jitter)
            .saturating_add(tick)
            .saturating_add(self.batch)
    }

    /// The offset that the server's time has from the local one, and the one that inputs should have.
    fn server_target(&self) -> i64 {
        self.window.median().saturating_add(self.rtt / 2)
    }

    fn input_target(&self) -> i64 {
        self.server_target().saturating_add(self.lead())
    }

    /// Gives all lines their new aim, by slewing or by a step.
    fn aim(&mut self, now: Timestamp) -> Option<ClockStep> {
        let now = local(now);
        let (server, input) = (self.server_target(), self.input_target());
        let render = self
            .window
            .slow()
            .saturating_sub(self.interval * INTERVALS_BEHIND);
        let Some(lines) = &mut self.lines else {
            self.lines = Some(Lines {
                server: Line::new(now, server),
                input: Line::new(now, input),
                render: Line::new(now, render),
            });
            return None;
        };
        let mut aimed = [
            (&mut lines.server, server),
            (&mut lines.input, input),
            (&mut lines.render, render),
        ];
        let error = aimed
            .iter()
            .map(|(line, target)| line.error(now, *target))
            .max_by_key(|error| error.unsigned_abs())
            .unwrap_or(0);
        let is_step = error.unsigned_abs() > STEP_MICROS.unsigned_abs() * 1_000;
        for (line, target) in &mut aimed {
            if is_step {
                line.step(now, *target);
            } else {
                line.slew(now, *target);
            }
        }
        is_step.then(|| {
            self.margin
                .start_over(now, error.saturating_neg().max(0), self.rtt);
            let by = Duration::from_nanos(error.unsigned_abs());
            if error > 0 {
                ClockStep::Ahead(by)
            } else {
                ClockStep::Held(by)
            }
        })
    }
}

/// The local clock in nanoseconds: slewing by 5% moves less than a microsecond between two fast frames.
fn local(now: Timestamp) -> i64 {
    i64::try_from(now.as_micros())
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000)
}

fn nanos(duration: Duration) -> i64 {
    // A round trip of minutes is none: kept small, sums of it stay far from the end of the scale.
    const MOST: Duration = Duration::from_secs(60);
    i64::try_from(duration.min(MOST).as_nanos()).unwrap_or(0)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// Nanoseconds from tick 0 to the start of `tick`, rounded up, so that the tick of this moment is `tick`.
fn start_of(tick: Tick, rate: TickRate) -> i64 {
    // 2^32 ticks x 10^9 / 1 Hz is below 2^62.
    (u64::from(tick.0) * 1_000_000_000)
        .div_ceil(u64::from(rate.hz()))
        .cast_signed()
}

/// The tick of a moment so many nanoseconds after tick 0; before it, tick 0.
fn tick_time(nanos: i64, rate: TickRate) -> TickTime {
    const SECOND: u128 = 1_000_000_000;
    let parts = u128::from(nanos.max(0).unsigned_abs()) * u128::from(rate.hz());
    let tick = u32::try_from(parts / SECOND).unwrap_or(u32::MAX);
    // Below one even after rounding to 24 bits: in steps of 2^-16.
    let fraction = ((parts % SECOND) << 16) / SECOND;
    TickTime {
        tick: Tick(tick),
        fraction: fraction as f32 / 65_536.0,
    }
}

#[cfg(test)]
mod tests;
