//! A recorder beside a running world: a queue that the world never waits for, and a thread that writes.
//!
//! When the queue is full a frame is dropped and counted, and the recording goes on with a keyframe. When the output fails,
//! the recording ends with one line in the log, and the world goes on.

use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

use tracing::{error, info, warn};

use super::{RecordingError, RecordingSummary, RecordingWriter};
use crate::game::recording::Header;
use crate::proto::snapshot::TickFrame;

/// Frames that wait for the recorder at most: two seconds at 30 Hz. The largest block takes a tenth of a second to compress;
/// a disk that is slower than this for longer costs frames.
pub const QUEUE: usize = 64;

/// What the recorder's thread is told.
#[derive(Debug)]
enum Message {
    /// A frame, and how many were dropped directly before it.
    Frame(Arc<TickFrame>, u32),
    /// There are no more.
    End,
}

/// The world's end of the queue.
#[derive(Debug)]
pub struct Feed {
    queue: SyncSender<Message>,
    /// Dropped since the last frame that was taken.
    missed: u32,
    dropped: Arc<AtomicU64>,
    has_ended: bool,
}

impl Feed {
    /// Hands over a frame, or drops it when the recorder is behind. Never waits.
    pub fn record(&mut self, frame: &Arc<TickFrame>) {
        if self.has_ended {
            return;
        }
        let message = Message::Frame(Arc::clone(frame), self.missed);
        match self.queue.try_send(message) {
            Ok(()) => self.missed = 0,
            Err(TrySendError::Full(_)) => {
                self.missed = self.missed.saturating_add(1);
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            // It was said why.
            Err(TrySendError::Disconnected(_)) => self.has_ended = true,
        }
    }
}

/// A recording that is being written.
#[derive(Debug)]
pub struct Recorder {
    queue: SyncSender<Message>,
    thread: JoinHandle<Result<RecordingSummary, RecordingError>>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// Begins a recording in a new file. Call [`Feed::record`] with every frame, for example from the server's
    /// [`on_frame`](crate::server::Server::on_frame).
    ///
    /// # Errors
    ///
    /// [`RecordingError::Exists`] and [`RecordingError::Create`]; a header that describes no recording; a thread that the
    /// system refuses.
    pub fn create(path: &Path, header: Header) -> Result<(Self, Feed), RecordingError> {
        let options = OpenOptions::new().write(true).create_new(true).open(path);
        let file = options.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => RecordingError::Exists,
            _ => RecordingError::Create(error),
        })?;
        let name = path.display().to_string();
        Self::start(file, header, name, |file: File| file.sync_all())
    }

    /// Begins a recording into anything; `name` is what log lines call it.
    ///
    /// # Errors
    ///
    /// As [`Self::create`], and whatever the output says.
    pub fn to_output<W: Write + Send + 'static>(
        output: W,
        header: Header,
        name: &str,
    ) -> Result<(Self, Feed), RecordingError> {
        Self::start(output, header, name.to_owned(), |_| Ok(()))
    }

    fn start<W: Write + Send + 'static>(
        output: W,
        header: Header,
        name: String,
        close: impl FnOnce(W) -> io::Result<()> + Send + 'static,
    ) -> Result<(Self, Feed), RecordingError> {
        let writer = RecordingWriter::new(output, header)?;
        let (queue, messages) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let all_dropped = Arc::clone(&dropped);
        let thread = Builder::new().name("recorder".to_owned()).spawn(move || {
            let outcome = record(writer, &messages, &all_dropped, close);
            // Only now may the feed see that nobody listens any more.
            drop(messages);
            tell(&name, &outcome);
            outcome
        })?;
        let recorder = Self {
            queue: queue.clone(),
            thread,
            dropped: Arc::clone(&dropped),
        };
        let feed = Feed {
            queue,
            missed: 0,
            dropped,
            has_ended: false,
        };
        Ok((recorder, feed))
    }

    /// Frames dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is in the queue and the index, and closes the recording; the feed does nothing from now on.
    ///
    /// # Errors
    ///
    /// What ended the recording before; the log has it already.
    pub fn finish(self) -> Result<RecordingSummary, RecordingError> {
        // A recorder that has ended by itself hears nothing.
        let _ = self.queue.send(Message::End);
        self.thread.join().unwrap_or(Err(RecordingError::Panicked))
    }
}

/// The recorder's thread: until the end is told, or everybody who could tell it is gone.
fn record<W: Write>(
    mut writer: RecordingWriter<W>,
    messages: &Receiver<Message>,
    all_dropped: &AtomicU64,
    close: impl FnOnce(W) -> io::Result<()>,
) -> Result<RecordingSummary, RecordingError> {
    let mut noted = 0;
    while let Ok(Message::Frame(frame, missed)) = messages.recv() {
        writer.note_dropped(missed)?;
        noted += u64::from(missed);
        writer.push(&frame)?;
    }
    // Those that no later frame could tell of.
    let rest = all_dropped.load(Ordering::Relaxed).saturating_sub(noted);
    writer.note_dropped(u32::try_from(rest).unwrap_or(u32::MAX))?;
    let (output, summary) = writer.finish()?;
    close(output)?;
    Ok(summary)
}

fn tell(name: &str, outcome: &Result<RecordingSummary, RecordingError>) {
    match outcome {
        Ok(summary) => {
            let RecordingSummary {
                frames,
                blocks,
                dropped,
                bytes,
                ..
            } = *summary;
            if dropped > 0 {
                warn!(
                    file = name,
                    dropped, "frames are missing from the recording: the recorder was too slow"
                );
            }
            info!(file = name, frames, blocks, dropped, bytes, "recorded");
        }
        Err(error) => {
            error!(file = name, %error, "the recording ended early; the world goes on");
        }
    }
}
