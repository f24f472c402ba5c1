//! The server's own frames, kept for a while so that bots can compare their replicas with them.
//!
//! Knows ticks. Has no idea of clients: what each of them should see is recomputed from a frame by the
//! checker ([`verify`](crate::proto::snapshot::verify)).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::proto::snapshot::TickFrame;
use crate::time::Tick;

/// Frames that are kept: four seconds at 60 Hz. The oldest value that a replica can hold is as old as the
/// client's history, 64 snapshots, and a datagram is under way for a second at the most.
const KEPT: usize = 256;

/// The last frames, oldest first.
#[derive(Debug, Default)]
pub struct FrameArchive {
    frames: Mutex<VecDeque<Arc<TickFrame>>>,
}

impl FrameArchive {
    /// Keeps one more frame.
    pub fn keep(&self, frame: &Arc<TickFrame>) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        while frames.len() >= KEPT {
            frames.pop_front();
        }
        frames.push_back(Arc::clone(frame));
    }

    /// The frame of a tick, if it is still kept.
    #[must_use]
    pub fn at(&self, tick: Tick) -> Option<Arc<TickFrame>> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let index = frames
            .binary_search_by_key(&tick, |frame| frame.tick())
            .ok()?;
        frames.get(index).map(Arc::clone)
    }

    /// The newest frame.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<TickFrame>> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.back().map(Arc::clone)
    }
}
