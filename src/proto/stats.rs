//! What the endpoints count. A number here is a name in the metrics; nothing here is a log line.

use crate::names::named;
use crate::proto::{channel, netcode, snapshot};

named! {
    /// Why an endpoint ignored a block of an authenticated payload, and what came after it.
    pub enum SessionRejection {
        MalformedBlock = 1, "malformed_block", "a block of unknown kind, or one that ends too early";
        MalformedInputs = 2, "malformed_inputs", "a block of inputs with an impossible count, length or tick";
        MisplacedBlock = 3, "misplaced_block", "a block that this side never sends, or not at this stage";
        NotWelcome = 4, "not_welcome", "inputs or messages before the hello";
        InputsOverflow = 5, "inputs_overflow", "inputs dropped because the application did not take them in time";
        NoSession = 6, "no_session", "a payload for a session that has just ended";
    }
}

/// Why a datagram, or a part of one, was dropped: whichever room refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// By the session layer, before anything in it was believed.
    Netcode(netcode::Rejection),
    /// By the message layer.
    Channel(channel::Rejection),
    /// By the client's replica.
    Snapshot(snapshot::Rejection),
    /// By the endpoint.
    Session(SessionRejection),
}

/// One counter for each rejection there is.
#[derive(Debug, Clone)]
pub struct Rejections {
    netcode: [u64; netcode::Rejection::COUNT],
    channel: [u64; channel::Rejection::COUNT],
    snapshot: [u64; snapshot::Rejection::COUNT],
    session: [u64; SessionRejection::COUNT],
}

impl Default for Rejections {
    fn default() -> Self {
        Self {
            netcode: [0; netcode::Rejection::COUNT],
            channel: [0; channel::Rejection::COUNT],
            snapshot: [0; snapshot::Rejection::COUNT],
            session: [0; SessionRejection::COUNT],
        }
    }
}

impl Rejections {
    /// Counts one more.
    pub fn count(&mut self, rejection: Rejection) {
        self.add(rejection, 1);
    }

    /// Counts so many more.
    pub fn add(&mut self, rejection: Rejection, more: u64) {
        let counter = match rejection {
            Rejection::Netcode(by) => &mut self.netcode[by.index()],
            Rejection::Channel(by) => &mut self.channel[by.index()],
            Rejection::Snapshot(by) => &mut self.snapshot[by.index()],
            Rejection::Session(by) => &mut self.session[by.index()],
        };
        *counter = counter.saturating_add(more);
    }

    /// Every rejection there is: the room that refuses, its name there, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let netcode = netcode::Rejection::ALL.iter().zip(&self.netcode);
        let channel = channel::Rejection::ALL.iter().zip(&self.channel);
        let snapshot = snapshot::Rejection::ALL.iter().zip(&self.snapshot);
        let session = SessionRejection::ALL.iter().zip(&self.session);
        netcode
            .map(|(by, count)| ("netcode", by.name(), *count))
            .chain(channel.map(|(by, count)| ("channel", by.name(), *count)))
            .chain(snapshot.map(|(by, count)| ("snapshot", by.name(), *count)))
            .chain(session.map(|(by, count)| ("session", by.name(), *count)))
    }

    /// Adds the counters of another endpoint.
    pub fn merge(&mut self, other: &Self) {
        let pairs = (self.netcode.iter_mut().zip(&other.netcode))
            .chain(self.channel.iter_mut().zip(&other.channel))
            .chain(self.snapshot.iter_mut().zip(&other.snapshot))
            .chain(self.session.iter_mut().zip(&other.session));
        for (ours, theirs) in pairs {
            *ours = ours.saturating_add(*theirs);
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, _, count)| count).sum()
    }
}

/// Datagrams and their bytes (UDP payload) in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many datagrams.
    pub datagrams: u64,
    /// How many bytes they had together.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one datagram.
    pub const fn count(&mut self, len: usize) {
        self.datagrams += 1;
        self.bytes += len as u64;
    }

    /// Adds what somebody else counted.
    pub const fn merge(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
    }
}

/// What became of the payloads that were sent, as far as a verdict is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Known to have arrived.
    pub acked: u64,
    /// Given up.
    pub lost: u64,
}

/// What one endpoint counted since it began.
#[derive(Debug, Clone, Default)]
pub struct EndpointStats {
    /// What came in, refused or not.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// What was refused, by name.
    pub rejections: Rejections,
    /// Sessions that began.
    pub connects: u64,
    /// Sessions that ended.
    pub disconnects: u64,
    /// What became of payloads. (The server's endpoint counts it.)
    pub verdicts: Verdicts,
    /// What all clients were told of the world. (The server's endpoint counts it.)
    pub views: snapshot::ViewStats,
}
