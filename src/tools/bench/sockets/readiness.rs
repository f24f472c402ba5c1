//! The one question which of thousands of sockets have something to read.

use std::io;

/// Whether [`Readiness`] knows anything; where it does not, every socket is asked at every turn.
pub(in crate::tools::bench) const IS_READINESS_KNOWN: bool = cfg!(target_os = "linux");

/// Which sockets have something to read.
#[derive(Debug)]
pub(in crate::tools::bench) struct Readiness {
    #[cfg(target_os = "linux")]
    epoll: rustix::fd::OwnedFd,
}

/// What was told last: memory that is used again. It stays with its thread.
#[derive(Default)]
pub(in crate::tools::bench) struct Told {
    #[cfg(target_os = "linux")]
    events: Vec<rustix::event::epoll::Event>,
}

#[cfg(target_os = "linux")]
impl Readiness {
    /// Watches nothing yet.
    pub(in crate::tools::bench) fn new() -> io::Result<Self> {
        use rustix::event::epoll::{CreateFlags, create};
        Ok(Self {
            epoll: create(CreateFlags::CLOEXEC)?,
        })
    }

    /// A socket that is closed is not watched any more.
    pub(super) fn watch(&self, socket: impl rustix::fd::AsFd, place: usize) -> io::Result<()> {
        use rustix::event::epoll::{EventData, EventFlags, add};
        let data = EventData::new_u64(place as u64);
        Ok(add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Tells `most` places whose sockets have something to read, without waiting, and says whether there may be more:
    /// those are told of the next time, in turn.
    pub(in crate::tools::bench) fn each(
        &self,
        most: usize,
        told: &mut Told,
        mut ready: impl FnMut(usize),
    ) -> bool {
        use rustix::buffer::spare_capacity;
        use rustix::event::{Timespec, epoll::wait};
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        told.events.clear();
        told.events.reserve_exact(most);
        // A signal that interrupts it costs one turn.
        let _ = wait(&self.epoll, spare_capacity(&mut told.events), Some(&NOW));
        for event in &told.events {
            ready(usize::try_from(event.data.u64()).unwrap_or(usize::MAX));
        }
        told.events.len() >= most
    }
}

/// Elsewhere every socket is asked.
#[cfg(not(target_os = "linux"))]
impl Readiness {
    pub(in crate::tools::bench) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) fn watch<S>(&self, _: S, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::tools::bench) fn each(
        &self,
        _: usize,
        _: &mut Told,
        _: impl FnMut(usize),
    ) -> bool {
        false
    }
}
