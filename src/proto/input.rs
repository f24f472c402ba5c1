//! Inputs on the wire: what a client wants to do at a tick, sent with the last few repeated.
//!
//! Knows ticks and lengths. The content is the game's. An input is never retransmitted: the next
//! datagram repeats it, and after its tick it is worth nothing. Section 5.3 of `docs/protocol.md`.
//!
//! ```text
//! inputs   := newest tick (u32) count (u8, 1..=8) entry*count      newest first, one per tick downwards
//! entry    := 255                    the same bytes as the entry before it (never the first)
//!           | length (u8, 0..=63) bytes
//! ```

use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::Tick;

/// The bytes of one input: at most 63, held in place so that no input ever asks the allocator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InputBytes {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl InputBytes {
    /// The longest input. Sixty of them a second, repeated eight times, still fit a slow uplink.
    pub const MAX: usize = 63;

    /// An input of these bytes; `None` when there are more than [`Self::MAX`].
    #[must_use]
    pub fn new(input: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..input.len())?.copy_from_slice(input);
        Some(Self {
            len: u8::try_from(input.len()).ok()?,
            bytes,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::fmt::Debug for InputBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("InputBytes").field(&self.as_slice()).finish()
    }
}

/// How many inputs one datagram carries at most.
pub const MAX_REPEATED: usize = 8;

/// Of so many ticks it is known which inputs were heard: of all that a datagram carries, also when it is as many ticks late.
const HEARD: usize = 2 * MAX_REPEATED;

/// Stands for "the same bytes as the entry before".
const SAME: u8 = 255;

/// The client's last few inputs, newest last, one for each tick without gaps.
///
/// Starts anew when ticks are skipped: a gap on the wire would cost more than the repetition is worth.
#[derive(Debug, Default)]
pub(crate) struct RecentInputs {
    newest: Option<Tick>,
    ring: [Option<InputBytes>; MAX_REPEATED],
    len: usize,
}

impl RecentInputs {
    /// Adds the input of `tick`; `false` when that tick, or a later one, has its input already.
    pub(crate) fn push(&mut self, tick: Tick, input: InputBytes) -> bool {
        match self.newest {
            Some(newest) if tick <= newest => return false,
            Some(newest) if tick == newest.next() => self.len = (self.len + 1).min(MAX_REPEATED),
            _ => self.len = 1,
        }
        self.newest = Some(tick);
        self.ring[tick.0 as usize % MAX_REPEATED] = Some(input);
        true
    }

    /// Writes the block as told at the head of this file, with as many old inputs as have room;
    /// `None`, and nothing written, when there is no input or no room for one.
    pub(crate) fn write(&self, writer: &mut ByteWriter<'_>) -> Option<()> {
        let newest = self.newest?;
        let start = writer.len();
        let written = self.write_entries(newest, writer);
        if written.is_none() {
            writer.truncate(start);
        }
        written
    }

    fn write_entries(&self, newest: Tick, writer: &mut ByteWriter<'_>) -> Option<()> {
        let count = (0..self.len)
            .scan(5_usize, |room, back| {
                let len = self.entry(newest, back).map_or(usize::MAX, |(_, len)| len);
                *room = room.saturating_add(len);
                Some(*room)
            })
            .take_while(|room| *room <= writer.remaining())
            .count();
        if count == 0 {
            return None;
        }
        writer.u32(newest.0)?;
        writer.u8(count as u8)?;
        for back in 0..count {
            match self.entry(newest, back)? {
                (None, _) => writer.u8(SAME)?,
                (Some(input), _) => {
                    writer.u8(input.len)?;
                    writer.bytes(input.as_slice())?;
                }
            }
        }
        Some(())
    }

    /// The entry so many ticks before the newest (`None`: the same as the one after it in time), and its
    /// length on the wire.
    fn entry(&self, newest: Tick, back: usize) -> Option<(Option<&InputBytes>, usize)> {
        let at = |back: usize| {
            let tick = newest.0.checked_sub(u32::try_from(back).ok()?)?;
            self.ring[tick as usize % MAX_REPEATED].as_ref()
        };
        let input = at(back)?;
        if back > 0 && at(back - 1) == Some(input) {
            return Some((None, 1));
        }
        Some((Some(input), 1 + input.as_slice().len()))
    }
}

/// An input as it lies in a datagram. Most are repetitions and go no further: only what is news is copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WireInput<'p> {
    /// At most [`InputBytes::MAX`].
    bytes: &'p [u8],
    /// What [`HeardInputs`] remembers of it.
    mark: u32,
}

impl<'p> WireInput<'p> {
    fn new(bytes: &'p [u8]) -> Option<Self> {
        (bytes.len() <= InputBytes::MAX).then(|| Self {
            bytes,
            // An empty place of `HeardInputs` is marked zero.
            mark: fnv1a(bytes) | 1,
        })
    }

    /// A copy of it.
    pub(crate) fn to_input(self) -> Option<InputBytes> {
        InputBytes::new(self.bytes)
    }
}

/// Reads one block and hands each input to `each`, newest first; `None` when it is malformed (what was
/// handed out before that is good).
pub(crate) fn read_inputs<'p>(
    reader: &mut ByteReader<'p>,
    mut each: impl FnMut(Tick, WireInput<'p>),
) -> Option<Tick> {
    let newest = Tick(reader.u32()?);
    let count = usize::from(reader.u8()?);
    if count == 0 || count > MAX_REPEATED {
        return None;
    }
    let mut last = None;
    for back in 0..count {
        let tick = Tick(newest.0.checked_sub(back as u32)?);
        let input = match reader.u8()? {
            SAME => last?,
            len => WireInput::new(reader.take(usize::from(len))?)?,
        };
        each(tick, input);
        last = Some(input);
    }
    Some(newest)
}

/// Knows which inputs of one client were heard before, so that their repetitions go no further.
///
/// Remembers a hash for each of the last [`HEARD`] ticks and not the inputs: a different input for a tick that was heard
/// passes (the game's rules refuse and count it), and one in 2^32 of those is taken for a
/// repetition, which refuses it just as well.
#[derive(Debug, Default)]
pub(crate) struct HeardInputs {
    ring: [(u32, u32); HEARD],
}

impl HeardInputs {
    /// Whether this input was heard before; from now on it was.
    pub(crate) fn is_repetition(&mut self, tick: Tick, input: WireInput<'_>) -> bool {
        let heard = (tick.0, input.mark);
        let entry = &mut self.ring[tick.0 as usize % HEARD];
        if *entry == heard {
            return true;
        }
        // An old tick does not push out a newer one.
        if tick.0 >= entry.0 {
            *entry = heard;
        }
        false
    }
}

/// FNV-1a, 32 bits: small, and not a defence (a client that collides with itself harms itself).
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(bytes: &[u8]) -> InputBytes {
        InputBytes::new(bytes).expect("a short input")
    }

    fn through_the_wire(inputs: &RecentInputs, room: usize) -> Option<Vec<(Tick, InputBytes)>> {
        let mut buffer = vec![0; room];
        let mut writer = ByteWriter::new(&mut buffer);
        inputs.write(&mut writer)?;
        let mut reader = ByteReader::new(writer.written());
        let mut heard = Vec::new();
        let push =
            |tick, input: WireInput<'_>| heard.push((tick, input.to_input().expect("short")));
        read_inputs(&mut reader, push).expect("our own block");
        assert!(reader.is_empty());
        Some(heard)
    }

    #[test]
    fn the_last_few_are_repeated_newest_first() {
        let mut recent = RecentInputs::default();
        for tick in 10..30 {
            assert!(recent.push(Tick(tick), input(&[tick as u8 / 4])));
        }
        let heard = through_the_wire(&recent, 100).expect("there is room");
        let expected: Vec<_> = (22..30)
            .rev()
            .map(|tick| (Tick(tick), input(&[tick as u8 / 4])))
            .collect();
        assert_eq!(heard, expected);
    }

    #[test]
    fn one_input_per_tick_and_none_for_the_past() {
        let mut recent = RecentInputs::default();
        assert!(recent.push(Tick(5), input(b"a")));
        assert!(!recent.push(Tick(5), input(b"b")));
        assert!(!recent.push(Tick(4), input(b"c")));
        assert_eq!(
            through_the_wire(&recent, 100),
            Some(vec![(Tick(5), input(b"a"))])
        );
    }

    #[test]
    fn a_gap_in_time_starts_anew() {
        let mut recent = RecentInputs::default();
        recent.push(Tick(1), input(b"a"));
        recent.push(Tick(3), input(b"b"));
        assert_eq!(
            through_the_wire(&recent, 100),
            Some(vec![(Tick(3), input(b"b"))])
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_oldest_first() {
        let mut recent = RecentInputs::default();
        recent.push(Tick(1), input(b"aaaa"));
        recent.push(Tick(2), input(b"bbbb"));
        assert_eq!(
            through_the_wire(&recent, 12),
            Some(vec![(Tick(2), input(b"bbbb"))])
        );
        assert_eq!(through_the_wire(&recent, 9), None);
    }

    #[test]
    fn repetitions_are_known_and_contradictions_pass() {
        let mut heard = HeardInputs::default();
        let mut repeats = |tick, bytes| {
            heard.is_repetition(Tick(tick), WireInput::new(bytes).expect("a short input"))
        };
        assert!(!repeats(0, b"a"));
        assert!(repeats(0, b"a"));
        assert!(!repeats(0, b"b"));
        let later = HEARD as u32;
        assert!(!repeats(later, b"c"));
        assert!(!repeats(0, b"a"), "forgotten, and harmless");
        assert!(repeats(later, b"c"), "the newer one stays");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut count = 0;
            let _ = read_inputs(&mut ByteReader::new(&bytes), |_, _| count += 1);
            prop_assert!(count <= MAX_REPEATED);
        }
    }
}
