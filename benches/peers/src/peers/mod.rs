//! Who is compared, each in a file of its own behind one trait.

mod enet;
mod quinn;
mod raw;
mod renet;
mod renetcode;
mod session;
mod whole;

use std::error::Error;
use std::net::SocketAddr;

use crate::job::{Job, Loaded, Served};

/// What a part of a run answers.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// One library at the job.
pub(crate) trait Peer {
    /// What the command line calls it.
    fn name(&self) -> &'static str;

    /// What the table calls it.
    fn title(&self) -> &'static str;

    /// The most clients it takes.
    fn most_clients(&self) -> usize {
        16_000
    }

    /// Whether it sends a world of its own, so that nobody can say how many bytes that is before it is measured.
    fn has_own_world(&self) -> bool {
        false
    }

    /// Serves the job until it is over.
    fn serve(&self, job: &Job) -> Outcome<Served>;

    /// Plays all clients until the job is over.
    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded>;
}

/// Everybody, in the order of the table. The first is what the others are compared with.
pub(crate) const PEERS: &[&dyn Peer] = &[
    &raw::Raw {
        dont_fragment: false,
    },
    &raw::Raw {
        dont_fragment: true,
    },
    &session::Session,
    &whole::Whole,
    &enet::Enet,
    &renetcode::Renetcode,
    &renet::Renet,
    &quinn::Quinn,
];

/// The peer of that name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Peer> {
    PEERS.iter().copied().find(|peer| peer.name() == name)
}
