//! The rules of inputs, held against a plain list of everything that ever happened.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickwire::game::{GameInput, InputOutcome, InputQueue, InputSource, InputStats, LEAD};
use tickwire::proto::wire::{ByteReader, ByteWriter};
use tickwire::time::{Tick, TickRate};

/// An input that is a number below 200; 0 is neutral.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Key(u8);

impl GameInput for Key {
    const MAX_LEN: usize = 1;

    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        out.u8(self.0)
    }

    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
        bytes.u8().filter(|key| *key < 200).map(Key)
    }
}

fn queue_at(first: u32) -> InputQueue<Key> {
    InputQueue::new(TickRate::HZ_60, Tick(first))
}

#[test]
fn an_input_is_played_at_its_tick_and_not_before() {
    let mut queue = queue_at(10);
    assert_eq!(queue.receive(Tick(12), &[5]), InputOutcome::Accepted);
    assert_eq!(queue.take(), (Key(0), InputSource::Neutral));
    assert_eq!(queue.take(), (Key(0), InputSource::Neutral));
    assert_eq!(queue.take(), (Key(5), InputSource::Client));
    assert_eq!(queue.next_tick(), Tick(13));
}

#[test]
fn silence_repeats_the_last_input_for_a_tenth_of_a_second_and_then_lets_go() {
    for (hz, repeats) in [(60, 6), (30, 3), (128, 12), (5, 0)] {
        let mut queue = InputQueue::<Key>::new(TickRate::new(hz).unwrap(), Tick(0));
        queue.receive(Tick(0), &[9]);
        assert_eq!(queue.take(), (Key(9), InputSource::Client));
        for _ in 0..repeats {
            assert_eq!(queue.take(), (Key(9), InputSource::Repeated));
        }
        assert_eq!(queue.take(), (Key(0), InputSource::Neutral), "at {hz} Hz");
        let stats = queue.stats();
        assert_eq!(
            (stats.applied, stats.repeated, stats.neutral),
            (1, repeats, 1)
        );
    }
}

#[test]
fn redundant_sends_are_silent_before_and_after_the_tick() {
    let mut queue = queue_at(0);
    assert_eq!(queue.receive(Tick(0), &[9]), InputOutcome::Accepted);
    assert_eq!(queue.receive(Tick(0), &[9]), InputOutcome::Duplicate);
    queue.take();
    assert_eq!(queue.receive(Tick(0), &[9]), InputOutcome::Duplicate);
    let applied = InputStats {
        applied: 1,
        ..InputStats::default()
    };
    assert_eq!(queue.stats(), &applied);
}

#[test]
fn a_late_input_counts_once_however_often_it_is_sent() {
    let mut queue = queue_at(0);
    queue.take();
    assert_eq!(queue.receive(Tick(0), &[9]), InputOutcome::Late);
    assert_eq!(queue.receive(Tick(0), &[9]), InputOutcome::Duplicate);
    assert_eq!(queue.stats().late, 1);
    // It changes nothing: the tick was played, and the input does not stand in for others.
    assert_eq!(queue.take(), (Key(0), InputSource::Neutral));
}

#[test]
fn the_first_word_for_a_tick_counts() {
    let mut queue = queue_at(0);
    queue.receive(Tick(0), &[1]);
    assert_eq!(queue.receive(Tick(0), &[2]), InputOutcome::Conflicting);
    assert_eq!(queue.take().0, Key(1));
    assert_eq!(queue.receive(Tick(0), &[3]), InputOutcome::Conflicting);
    assert_eq!(queue.stats().conflicting, 2);
}

#[test]
fn nobody_commits_further_ahead_than_the_lead() {
    let mut queue = queue_at(100);
    assert_eq!(
        queue.receive(Tick(100 + LEAD - 1), &[1]),
        InputOutcome::Accepted
    );
    assert_eq!(
        queue.receive(Tick(100 + LEAD), &[1]),
        InputOutcome::TooEarly
    );
    assert_eq!(queue.receive(Tick(u32::MAX), &[1]), InputOutcome::TooEarly);
    assert_eq!(queue.receive(Tick(0), &[1]), InputOutcome::Late);
    assert_eq!(queue.stats().too_early, 2);
}

#[test]
fn the_buffer_is_what_lies_ready_without_a_gap() {
    let mut queue = queue_at(0);
    for tick in [0, 1, 2, 4] {
        queue.receive(Tick(tick), &[1]);
    }
    assert_eq!(queue.buffered(), 3);
    queue.take();
    assert_eq!(queue.buffered(), 2);
}

#[test]
fn bytes_that_are_not_exactly_one_input_are_refused() {
    let mut queue = queue_at(0);
    for bytes in [&[][..], &[200], &[1, 1], &[1; 64]] {
        assert_eq!(queue.receive(Tick(0), bytes), InputOutcome::Malformed);
    }
    assert_eq!(queue.stats().rejected(), 4);
    assert_eq!(queue.take().1, InputSource::Neutral);
}

#[test]
fn a_reset_queue_remembers_nobody() {
    let mut queue = queue_at(0);
    queue.receive(Tick(0), &[1]);
    queue.receive(Tick(1), &[1]);
    queue.take();
    queue.reset(Tick(1));
    assert_eq!(queue.take(), (Key(0), InputSource::Neutral));
    let neutral = InputStats {
        neutral: 1,
        ..InputStats::default()
    };
    assert_eq!(queue.stats(), &neutral);
}

/// The rules again, said with a map of everything instead of a window.
struct Plain {
    next: u32,
    /// What was heard of each tick; `None` when it came too late.
    heard: BTreeMap<u32, Option<u8>>,
    last: Option<(u32, u8)>,
    stats: InputStats,
}

impl Plain {
    fn receive(&mut self, tick: u32, key: u8) -> InputOutcome {
        let outcome = self.judge(tick, key);
        match outcome {
            InputOutcome::Late => self.stats.late += 1,
            InputOutcome::TooEarly => self.stats.too_early += 1,
            InputOutcome::Malformed => self.stats.malformed += 1,
            InputOutcome::Conflicting => self.stats.conflicting += 1,
            _ => {}
        }
        outcome
    }

    fn judge(&mut self, tick: u32, key: u8) -> InputOutcome {
        if tick >= self.next + LEAD {
            return InputOutcome::TooEarly;
        }
        if key >= 200 {
            return InputOutcome::Malformed;
        }
        let late = tick < self.next;
        if tick + LEAD < self.next {
            return InputOutcome::Late;
        }
        match self.heard.get(&tick) {
            Some(None) => InputOutcome::Duplicate,
            Some(Some(first)) if *first == key => InputOutcome::Duplicate,
            Some(Some(_)) => InputOutcome::Conflicting,
            None => {
                self.heard.insert(tick, (!late).then_some(key));
                if late {
                    InputOutcome::Late
                } else {
                    InputOutcome::Accepted
                }
            }
        }
    }

    fn take(&mut self) -> (Key, InputSource) {
        let tick = self.next;
        self.next += 1;
        if let Some(Some(key)) = self.heard.get(&tick) {
            self.last = Some((tick, *key));
            self.stats.applied += 1;
            return (Key(*key), InputSource::Client);
        }
        match self.last {
            Some((heard, key)) if tick - heard <= 6 => {
                self.stats.repeated += 1;
                (Key(key), InputSource::Repeated)
            }
            _ => {
                self.stats.neutral += 1;
                (Key(0), InputSource::Neutral)
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Arrives { offset: i32, key: u8 },
    Plays,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        // Few different keys, so that duplicates and conflicts happen.
        4 => (-45..40_i32, 198..202_u8).prop_map(|(offset, key)| Event::Arrives { offset, key }),
        4 => (-3..5_i32, 1..3_u8).prop_map(|(offset, key)| Event::Arrives { offset, key }),
        6 => Just(Event::Plays),
    ]
}

proptest! {
    #[test]
    fn the_window_says_what_a_list_of_everything_says(
        first in 0..200_u32,
        events in prop::collection::vec(event(), 1..600),
    ) {
        let mut queue = queue_at(first);
        let mut plain = Plain {
            next: first,
            heard: BTreeMap::new(),
            last: None,
            stats: InputStats::default(),
        };
        for event in events {
            match event {
                Event::Arrives { offset, key } => {
                    let tick = plain.next.saturating_add_signed(offset);
                    prop_assert_eq!(queue.receive(Tick(tick), &[key]), plain.receive(tick, key));
                }
                Event::Plays => prop_assert_eq!(queue.take(), plain.take()),
            }
        }
        prop_assert_eq!(*queue.stats(), plain.stats);
    }
}
