//! One client's session at the server: its keys, its sequence numbers, its timers. Knows one peer. Has no part in
//! how it came to be or who else there is.

use core::net::SocketAddr;
use core::time::Duration;

use super::Rejection;
use super::address::Address;
use super::aead::{Opener, Protocol, Sealer};
use super::packet::{Header, PacketKind};
use super::pending::Entry;
use crate::id::{ClientId, ClientSlot};
use crate::time::Timestamp;

/// How long an end stays silent before it sends a keep-alive packet: the standard's "like 10HZ".
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(100);

/// A driver calls every few milliseconds and not on the microsecond: a keep-alive goes out this much early
/// rather than a whole round late.
const SLACK: Duration = Duration::from_millis(10);

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) slot: ClientSlot,
    pub(super) client: ClientId,
    pub(super) address: Address,
    /// The address as the socket spells it, for sending.
    pub(super) peer: SocketAddr,
    pub(super) sealer: Sealer,
    opener: Opener,
    pub(super) timeout: Option<Duration>,
    last_received: Timestamp,
    last_sent: Timestamp,
    /// The client has sent something in this session: it knows that it is connected.
    pub(super) confirmed: bool,
    /// A keep-alive waits in the server's queue.
    pub(super) keep_alive_queued: bool,
}

const _: () = assert!(size_of::<Session>() <= 1024, "a session is small");

impl Session {
    pub(super) fn new(
        now: Timestamp,
        slot: ClientSlot,
        client: ClientId,
        peer: SocketAddr,
        entry: Entry,
    ) -> Self {
        Self {
            slot,
            client,
            address: Address::new(peer),
            peer,
            timeout: entry.timeout(),
            sealer: Sealer::new(entry.server_to_client),
            opener: Opener::new(entry.client_to_server),
            last_received: now,
            last_sent: now,
            confirmed: false,
            keep_alive_queued: false,
        }
    }

    /// Opens a packet of this session. Payloads and keep-alives show that the client lives.
    pub(super) fn open<'d>(
        &mut self,
        now: Timestamp,
        protocol: &Protocol,
        header: &Header,
        datagram: &'d mut [u8],
    ) -> Result<&'d mut [u8], Rejection> {
        let body = self.opener.open(protocol, header, datagram)?;
        if matches!(header.kind, PacketKind::KeepAlive | PacketKind::Payload) {
            self.last_received = self.last_received.max(now);
            self.confirmed = true;
        }
        Ok(body)
    }

    pub(super) fn has_timed_out(&self, now: Timestamp) -> bool {
        self.timeout
            .is_some_and(|timeout| now.since(self.last_received) >= timeout)
    }

    pub(super) fn is_silent(&self, now: Timestamp) -> bool {
        now.since(self.last_sent) + SLACK >= KEEP_ALIVE_EVERY
    }

    pub(super) fn sent(&mut self, now: Timestamp) {
        self.last_sent = self.last_sent.max(now);
    }
}
