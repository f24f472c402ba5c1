//! The recorder beside a world: it never makes the world wait, and says what it could not keep.

use std::io::{self, Cursor, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use tickwire::game::recording::Header;
use tickwire::recording::{Ending, Feed, QUEUE, Recorder, Recording, RecordingError};
use tickwire::time::Tick;

use crate::kit::{Plain, World, read_all, shown, small_schema};

/// An output that takes nothing while it is shut.
#[derive(Clone, Default)]
struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_shut: Mutex<bool>,
    opened: Condvar,
    bytes: Mutex<Vec<u8>>,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.0.is_shut.lock().unwrap() = is_shut;
        self.0.opened.notify_all();
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.bytes.lock().unwrap().clone()
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shut = self.0.is_shut.lock().unwrap();
        drop(self.0.opened.wait_while(shut, |shut| *shut).unwrap());
        self.0.bytes.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of the frames that were shown.
#[derive(Default)]
struct Shown {
    /// Those that were not dropped.
    taken: Vec<Plain>,
    /// The ticks of those that were taken directly behind some that were not.
    behind_gaps: Vec<Tick>,
    is_gap: bool,
}

impl Shown {
    fn show(&mut self, world: &mut World, feed: &mut Feed, recorder: &Recorder) {
        let frame = world.next();
        let before = recorder.dropped();
        feed.record(&frame);
        if recorder.dropped() > before {
            self.is_gap = true;
            return;
        }
        let frame = shown(&frame);
        if core::mem::take(&mut self.is_gap) {
            self.behind_gaps.push(frame.0);
        }
        self.taken.push(frame);
    }
}

/// Shows so many frames, and gives those that were not dropped.
fn show(world: &mut World, feed: &mut Feed, recorder: &Recorder, frames: usize) -> Vec<Plain> {
    let mut all = Shown::default();
    for _ in 0..frames {
        all.show(world, feed, recorder);
    }
    all.taken
}

#[test]
fn what_a_slow_output_costs_is_missing_counted_and_followed_by_a_keyframe() {
    let mut world = World::new(&small_schema(), 11, 2);
    let gate = Gate::default();
    let (recorder, mut feed) =
        Recorder::to_output(gate.clone(), world.header(), "slow").expect("a thread");
    gate.set(true);
    // A block goes to the output, which does not take it; the queue fills; the rest is dropped. How
    // soon the recorder's thread gets on with it is the machine's affair: there may be several gaps.
    let mut all = Shown::default();
    while recorder.dropped() < 30 {
        all.show(&mut world, &mut feed, &recorder);
    }
    gate.set(false);
    // Until the queue has room again.
    let before = all.taken.len();
    while all.taken.len() < before + 100 {
        all.show(&mut world, &mut feed, &recorder);
        std::thread::yield_now();
    }
    let Shown {
        taken, behind_gaps, ..
    } = all;
    let dropped = recorder.dropped();
    let summary = recorder.finish().expect("it takes everything");
    assert_eq!(summary.dropped, dropped);
    assert_eq!(summary.frames, taken.len() as u64);

    let bytes = gate.bytes();
    let (read, errors) = read_all(&bytes).expect("a recording");
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(read, taken);
    let recording = Recording::read(Cursor::new(bytes)).expect("a recording");
    assert_eq!(recording.ending(), Ending::Clean);
    assert_eq!(recording.dropped(), dropped);
    // Behind each gap, and nowhere else, a block says that something is missing before it.
    let blocks = recording.blocks().iter();
    let blocks: Vec<Tick> = blocks
        .filter(|block| block.dropped > 0)
        .map(|block| block.first_tick)
        .collect();
    assert!(!blocks.is_empty());
    assert_eq!(blocks, behind_gaps);
}

#[test]
fn frames_dropped_at_the_very_end_are_counted_too() {
    let mut world = World::new(&small_schema(), 12, 2);
    let gate = Gate::default();
    let (recorder, mut feed) =
        Recorder::to_output(gate.clone(), world.header(), "slow").expect("a thread");
    gate.set(true);
    let taken = show(&mut world, &mut feed, &recorder, 60 + QUEUE + 5);
    let dropped = recorder.dropped();
    assert!(dropped >= 5, "{dropped}");
    gate.set(false);
    let summary = recorder.finish().expect("it takes everything");
    assert_eq!(summary.dropped, dropped);
    let recording = Recording::read(Cursor::new(gate.bytes())).expect("a recording");
    assert_eq!(recording.dropped(), dropped);
    assert_eq!(read_all(&gate.bytes()).expect("a recording").0, taken);
}

/// An output that can be seen to be let go.
struct Held {
    gate: Gate,
    /// Its other end hears when it is gone.
    _held: Sender<()>,
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gate.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_recorder_that_nobody_holds_any_more_closes_its_file() {
    let mut world = World::new(&small_schema(), 13, 2);
    let gate = Gate::default();
    let (held, let_go) = channel();
    let output = Held {
        gate: gate.clone(),
        _held: held,
    };
    let (recorder, mut feed) =
        Recorder::to_output(output, world.header(), "left").expect("a thread");
    let taken = show(&mut world, &mut feed, &recorder, 10);
    drop((recorder, feed));
    let_go.recv().expect_err("nothing is ever sent");
    let recording = Recording::read(Cursor::new(gate.bytes())).expect("a recording");
    assert_eq!(recording.ending(), Ending::Clean);
    assert_eq!(read_all(&gate.bytes()).expect("a recording").0, taken);
}

/// An output with room for so many bytes.
struct Disk {
    room: usize,
    gate: Gate,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let some = &bytes[..bytes.len().min(self.room)];
        self.room -= some.len();
        self.gate.write(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_world() {
    let mut world = World::new(&small_schema(), 14, 2);
    let gate = Gate::default();
    let disk = Disk {
        room: 4_000,
        gate: gate.clone(),
    };
    let (recorder, mut feed) = Recorder::to_output(disk, world.header(), "full").expect("a thread");
    // Many blocks more than there is room for: nothing here waits or fails.
    let taken = show(&mut world, &mut feed, &recorder, 3_000);
    let error = recorder.finish().expect_err("the disk is full");
    assert!(
        matches!(&error, RecordingError::System(error) if error.kind() == io::ErrorKind::StorageFull),
        "{error}"
    );
    let (read, errors) = read_all(&gate.bytes()).expect("a recording");
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!read.is_empty() && read == taken[..read.len()]);
    let recording = Recording::read(Cursor::new(gate.bytes())).expect("a recording");
    assert!(matches!(recording.ending(), Ending::Torn { bytes, .. } if bytes > 0));
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let folder = std::env::temp_dir().join(format!("tickwire-recorder-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (path, header) = (folder.join("world.twr"), || -> Header {
        World::new(&small_schema(), 1, 2).header()
    });
    std::fs::write(&path, "mine").expect("a file");
    let refused = Recorder::create(&path, header()).expect_err("it exists");
    assert!(matches!(refused, RecordingError::Exists), "{refused}");
    assert_eq!(std::fs::read(&path).expect("a file"), b"mine");
    let nowhere = folder.join("missing").join("world.twr");
    let refused = Recorder::create(&nowhere, header()).expect_err("no such folder");
    assert!(matches!(refused, RecordingError::Create(_)), "{refused}");
    std::fs::remove_dir_all(&folder).expect("a folder");
}
