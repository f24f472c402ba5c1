//! What one client wants, by tick: which inputs count, which stand in when one is missing.
//!
//! Knows ticks and one client's inputs. Has no idea what an input means, who the client is, or how
//! its bytes arrived.
//!
//! The rules, from the point of view of the tick that is played next:
//!
//! 1. One input a tick, and it is played at its tick.
//! 2. An input for a tick that was already played is *late*: dropped and counted, once per tick.
//! 3. A tick without an input repeats the last one for at most [`REPEAT`], because a lost datagram
//!    is shorter than a change of mind; after that the input is neutral, because a client that
//!    fell silent should stop running.
//! 4. An input for a tick to come is kept for at most [`LEAD`] ticks. Further ahead it is refused.
//! 5. A second, different input for the same tick is refused: the first word counts. The same input
//!    again is redundancy, which is how clients survive loss, and is not worth a counter.
//!
//! All of it is a fixed table per client: nothing a client sends makes it grow.

mod plain;

use core::time::Duration;

use crate::id::ClientSlot;
use crate::names::named;
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::{Tick, TickRate};

/// How many ticks an input may be ahead of the tick that is played next: 32, about half a second at
/// 60 Hz, which is more than a client with 400 ms of jitter needs and little enough that nobody
/// can commit to a whole round.
pub const LEAD: u32 = 32;

/// How long the last input stands in for missing ones. A burst of loss is rarely longer, and
/// nobody sees that a player ran on for a tenth of a second.
pub const REPEAT: Duration = Duration::from_millis(100);

/// Played ticks that are remembered, to tell redundancy from lateness: as many as may be ahead.
const MEMORY: u32 = LEAD;
/// Entries of the table, one per tick of the window.
const WINDOW: usize = (LEAD + MEMORY) as usize;
const _: () = assert!(WINDOW.is_power_of_two());

/// The longest input in bytes: its length travels in six bits.
pub const MAX_INPUT_LEN: usize = 63;

/// What a client wants to do at one tick. `Default` is the neutral input: hands off.
///
/// Whole numbers are inputs already, and `()` is that of clients who only look on.
///
/// Say *states* ("fire is held", "weapon 2 is wanted"), not *events* ("fire was pressed"): a
/// state survives being repeated when an input is lost.
pub trait GameInput: Clone + PartialEq + Default + Send + 'static {
    /// The longest encoding in bytes, at most [`MAX_INPUT_LEN`]; checked when the game is built.
    const MAX_LEN: usize;

    /// Writes this input; `None` when there is no room.
    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()>;

    /// Reads an input that a stranger wrote: `None` unless every number in it is one that the
    /// game can live with (a NaN is not, neither is an enum value that does not exist).
    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self>;

    /// What to play when the next input is missing: this one again, unless part of it must not
    /// happen twice.
    #[must_use]
    fn repeated(&self) -> Self {
        self.clone()
    }
}

named! {
    /// What became of an input that arrived.
    pub enum InputOutcome {
        Accepted = 0, "accepted", "kept for its tick";
        Duplicate = 1, "duplicate", "known already: redundancy at work";
        Late = 2, "late", "its tick was already played";
        TooEarly = 3, "too_early", "its tick is too far ahead";
        Conflicting = 4, "conflicting", "another input for this tick came first";
        Malformed = 5, "malformed", "the bytes are not an input of this game";
    }
}

/// Where the input that is played comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSource {
    /// From the client, for this very tick.
    Client,
    /// From the client, for an earlier tick.
    Repeated,
    /// From nobody.
    Neutral,
}

/// Counters of one client's inputs, or of many clients' together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InputStats {
    /// Ticks played with the client's own input for that tick.
    pub applied: u64,
    /// Ticks played with the last input again.
    pub repeated: u64,
    /// Ticks played with the neutral input.
    pub neutral: u64,
    /// Ticks whose input came after they were played.
    pub late: u64,
    /// Inputs refused: too far ahead.
    pub too_early: u64,
    /// Inputs refused: unlike the one that came first for the same tick.
    pub conflicting: u64,
    /// Inputs refused: not readable.
    pub malformed: u64,
}

impl InputStats {
    /// All inputs that were refused.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.too_early + self.conflicting + self.malformed
    }

    /// Counts one arrival.
    pub(super) fn arrived(&mut self, outcome: InputOutcome) {
        match outcome {
            InputOutcome::Accepted | InputOutcome::Duplicate => {}
            InputOutcome::Late => self.late += 1,
            InputOutcome::TooEarly => self.too_early += 1,
            InputOutcome::Conflicting => self.conflicting += 1,
            InputOutcome::Malformed => self.malformed += 1,
        }
    }

    /// Counts one played tick.
    pub(super) fn played(&mut self, source: InputSource) {
        match source {
            InputSource::Client => self.applied += 1,
            InputSource::Repeated => self.repeated += 1,
            InputSource::Neutral => self.neutral += 1,
        }
    }
}

/// What is known about one tick of the window.
#[derive(Debug, Clone, PartialEq)]
enum Entry<I> {
    /// Nothing arrived (yet).
    Empty,
    /// The input for a tick to come, or the one a past tick was played with.
    Known(I),
    /// The tick was played without it, and that was counted.
    Late,
}

/// One client's inputs around the tick that is played next.
///
/// ```
/// use tickwire::game::{GameInput, InputOutcome, InputQueue, InputSource};
/// use tickwire::proto::wire::{ByteReader, ByteWriter};
/// use tickwire::time::{Tick, TickRate};
///
/// #[derive(Clone, PartialEq, Default)]
/// struct Steer(u8);
/// impl GameInput for Steer {
///     const MAX_LEN: usize = 1;
///     fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
///         out.u8(self.0)
///     }
///     fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
///         bytes.u8().map(Steer)
///     }
/// }
///
/// let mut queue = InputQueue::<Steer>::new(TickRate::HZ_60, Tick(100));
/// assert_eq!(queue.receive(Tick(100), &[7]), InputOutcome::Accepted);
/// assert_eq!(queue.take().1, InputSource::Client); // tick 100
/// assert_eq!(queue.take().1, InputSource::Repeated); // tick 101: nothing came
/// assert_eq!(queue.receive(Tick(101), &[8]), InputOutcome::Late);
/// ```
#[derive(Debug, Clone)]
pub struct InputQueue<I> {
    /// By tick modulo the window: `next - MEMORY .. next + LEAD`.
    window: Box<[Entry<I>; WINDOW]>,
    next: Tick,
    last: I,
    /// Ticks since `last` was played; saturates once it may not stand in any more.
    silence: u32,
    repeat_limit: u32,
    stats: InputStats,
}

impl<I: GameInput> InputQueue<I> {
    /// A queue of somebody whose first tick is `first`.
    #[must_use]
    pub fn new(rate: TickRate, first: Tick) -> Self {
        const { assert!(I::MAX_LEN <= MAX_INPUT_LEN, "an input has at most 63 bytes") };
        let repeat_limit = rate.ticks_in(REPEAT);
        Self {
            window: Box::new([const { Entry::Empty }; WINDOW]),
            next: first,
            last: I::default(),
            silence: repeat_limit,
            repeat_limit,
            stats: InputStats::default(),
        }
    }

    /// Forgets everything: the memory now serves somebody else, from tick `first` on.
    pub fn reset(&mut self, first: Tick) {
        self.window.fill_with(|| Entry::Empty);
        self.next = first;
        self.last = I::default();
        self.silence = self.repeat_limit;
        self.stats = InputStats::default();
    }

    /// The tick that [`Self::take`] answers next.
    #[must_use]
    pub const fn next_tick(&self) -> Tick {
        self.next
    }

    /// What has happened here so far.
    #[must_use]
    pub const fn stats(&self) -> &InputStats {
        &self.stats
    }

    /// How many inputs lie ready for ticks to come, without a gap: 0 to [`LEAD`]. A client that
    /// sees this near zero sends too late.
    #[must_use]
    pub fn buffered(&self) -> u32 {
        (0..LEAD)
            .take_while(|ahead| {
                matches!(self.window[index(self.next.plus(*ahead))], Entry::Known(_))
            })
            .count() as u32
    }

    /// An input for `tick` arrived as `bytes`.
    pub fn receive(&mut self, tick: Tick, bytes: &[u8]) -> InputOutcome {
        let outcome = self.judge(tick, bytes);
        self.stats.arrived(outcome);
        outcome
    }

    fn judge(&mut self, tick: Tick, bytes: &[u8]) -> InputOutcome {
        if tick.since(self.next) >= LEAD {
            return InputOutcome::TooEarly;
        }
        let Some(input) = decode_whole::<I>(bytes) else {
            return InputOutcome::Malformed;
        };
        let played = tick < self.next;
        if self.next.since(tick) > MEMORY {
            return InputOutcome::Late;
        }
        let entry = &mut self.window[index(tick)];
        match entry {
            Entry::Known(first) if *first == input => InputOutcome::Duplicate,
            Entry::Known(_) => InputOutcome::Conflicting,
            Entry::Late => InputOutcome::Duplicate,
            Entry::Empty if played => {
                *entry = Entry::Late;
                InputOutcome::Late
            }
            Entry::Empty => {
                *entry = Entry::Known(input);
                InputOutcome::Accepted
            }
        }
    }

    /// The input to play at [`Self::next_tick`], which is then over.
    pub fn take(&mut self) -> (I, InputSource) {
        let tick = self.next;
        let (input, source) = match &self.window[index(tick)] {
            Entry::Known(input) => {
                self.last = input.clone();
                self.silence = 0;
                (input.clone(), InputSource::Client)
            }
            _ if self.silence < self.repeat_limit => {
                self.silence += 1;
                (self.last.repeated(), InputSource::Repeated)
            }
            _ => (I::default(), InputSource::Neutral),
        };
        self.stats.played(source);
        // The table turns by one: the oldest tick it remembers makes room for the newest ahead.
        self.window[index(tick.plus(LEAD))] = Entry::Empty;
        self.next = tick.next();
        (input, source)
    }
}

/// Where a tick stands in the table.
const fn index(tick: Tick) -> usize {
    tick.0 as usize % WINDOW
}

/// An input that is exactly these bytes.
fn decode_whole<I: GameInput>(bytes: &[u8]) -> Option<I> {
    if bytes.len() > I::MAX_LEN {
        return None;
    }
    let mut reader = ByteReader::new(bytes);
    let input = I::decode(&mut reader)?;
    reader.is_empty().then_some(input)
}

/// What everybody wants at one tick: one input for each client in the game, by client index.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'t, I> {
    turns: &'t [(ClientSlot, I)],
}

impl<'t, I> Inputs<'t, I> {
    /// Inputs of one tick, in ascending order of the client's index.
    #[must_use]
    pub fn new(turns: &'t [(ClientSlot, I)]) -> Self {
        debug_assert!(turns.is_sorted_by(|one, other| one.0.index < other.0.index));
        Self { turns }
    }

    /// Everybody's input, by client index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ClientSlot, &'t I)> + use<'t, I> {
        self.turns.iter().map(|(slot, input)| (*slot, input))
    }

    /// The input of one client; `None` when it is not in the game.
    #[must_use]
    pub fn get(&self, slot: ClientSlot) -> Option<&'t I> {
        let at = self
            .turns
            .binary_search_by_key(&slot.index, |(slot, _)| slot.index)
            .ok()?;
        self.turns
            .get(at)
            .filter(|(found, _)| *found == slot)
            .map(|(_, input)| input)
    }

    /// How many clients are in the game.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether nobody is in the game.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}
