//! Asks a server for its figures once a second, on a thread of its own: what takes long there delays no client here.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: this thread lives in real time"
)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

use super::exposition::{Exposition, Work};
use super::fleet::lock;
use crate::server::clock::ServerClock;
use crate::time::Timestamp;
use crate::tools::tokens::{FetchError, HttpUrl, get};

/// The longest page that is read: ten times what a server of 64 shards says.
const LONGEST: usize = 1024 * 1024;

/// An answer takes so long at most.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is looked whether it is time.
const NAP: Duration = Duration::from_millis(10);

/// The readings so far, each with the seconds since the start at which it was asked for.
type Readings = Vec<(f64, Exposition)>;

/// Reads a server's figures.
#[derive(Debug)]
pub struct Probe {
    readings: Arc<Mutex<Readings>>,
    stop: Arc<AtomicBool>,
}

impl Probe {
    /// Reads once, so that it is known that there is somebody to ask.
    ///
    /// # Errors
    ///
    /// When nobody answers.
    pub fn read(url: &HttpUrl) -> Result<Exposition, FetchError> {
        let page = get(url, TIMEOUT, LONGEST)?;
        Ok(Exposition::parse(&String::from_utf8_lossy(&page)))
    }

    /// Begins with a first reading, and reads every second of the clock from its start on.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn start(
        url: HttpUrl,
        first: Exposition,
        (clock, started): (ServerClock, Timestamp),
    ) -> io::Result<Self> {
        let probe = Self {
            readings: Arc::new(Mutex::new(vec![(0.0, first)])),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let (readings, stop) = (Arc::clone(&probe.readings), Arc::clone(&probe.stop));
        Builder::new().name("probe".to_owned()).spawn(move || {
            let mut due = Duration::from_secs(1);
            while !stop.load(Ordering::Relaxed) {
                let at = clock.now().since(started);
                if at < due {
                    std::thread::sleep((due - at).min(NAP));
                    continue;
                }
                due = Duration::from_secs(at.as_secs() + 1);
                if let Ok(page) = Self::read(&url) {
                    lock(&readings).push((at.as_secs_f64(), page));
                }
            }
        })?;
        Ok(probe)
    }

    /// What the server did between two moments, as closely as there are readings; `None` when there are not two.
    #[must_use]
    pub fn work(&self, from: f64, until: f64) -> Option<Work> {
        let readings = lock(&self.readings);
        let near = |moment: f64| {
            let distance = |reading: &&(f64, Exposition)| (reading.0 - moment).abs();
            readings
                .iter()
                .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        };
        let ((before_at, before), (after_at, after)) = (near(from)?, near(until)?);
        let seconds = after_at - before_at;
        (seconds > 0.0).then(|| Work::between(before, after, seconds))
    }

    /// The memory in use when nobody was in yet, in bytes.
    #[must_use]
    pub fn memory_at_first(&self) -> Option<f64> {
        let readings = lock(&self.readings);
        readings.first()?.1.sum("process_resident_memory_bytes")
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
