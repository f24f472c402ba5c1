//! The books about every session: who may have ended it and why, and what each side is owed.
//!
//! A *life* is one start of one player's client: one token, one address, at most one session at the server.
//! Knows what happened and the rules about it. Calls nothing of the product.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire::id::{ClientId, ClientSlot};
use tickwire::proto::event::DisconnectReason;
use tickwire::time::Timestamp;

use crate::model::Mailbox;
use crate::plan::TIMEOUT;

/// How long a datagram can be under way at most, and one that is replayed after it arrived.
pub(crate) const FLIGHT: Duration = Duration::from_millis(1_200);

/// Slots of the dead are free this long after the timeout at the latest.
pub(crate) const SLACK: Duration = Duration::from_secs(1);

/// One start of one client.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) client: ClientId,
    pub(crate) is_hostile: bool,
    /// The life of the server that it set out for.
    pub(crate) server: u32,
    pub(crate) slot: Option<ClientSlot>,
    pub(crate) joined_at: Option<Timestamp>,
    pub(crate) ended_by_server: Option<DisconnectReason>,
    pub(crate) ended_by_client: Option<DisconnectReason>,
    /// The client knows that it is in.
    pub(crate) is_welcome: bool,
    pub(crate) said_goodbye: bool,
    pub(crate) crashed_at: Option<Timestamp>,
    pub(crate) was_kicked: bool,
    /// Something stood in the way of its handshake.
    pub(crate) was_hindered: bool,
    pub(crate) up: Mailbox,
    pub(crate) down: Mailbox,
}

impl Life {
    pub(crate) fn new(client: ClientId, server: u32, is_hostile: bool) -> Self {
        Self {
            client,
            is_hostile,
            server,
            slot: None,
            joined_at: None,
            ended_by_server: None,
            ended_by_client: None,
            is_welcome: false,
            said_goodbye: false,
            crashed_at: None,
            was_kicked: false,
            was_hindered: false,
            up: Mailbox::default(),
            down: Mailbox::default(),
        }
    }

    /// Both ends hold the session to be alive.
    pub(crate) fn is_mutual(&self, server: u32) -> bool {
        self.is_welcome
            && self.is_seated(server)
            && self.crashed_at.is_none()
            && !self.said_goodbye
            && self.ended_by_client.is_none()
    }

    /// The server holds the session to be alive.
    pub(crate) fn is_seated(&self, server: u32) -> bool {
        self.server == server && self.slot.is_some() && self.ended_by_server.is_none()
    }
}

/// All lives, by address, and who sits where.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The server's life: 1, 2, ...
    pub(crate) server: u32,
    pub(crate) lives: BTreeMap<SocketAddr, Life>,
    seated: BTreeMap<ClientSlot, SocketAddr>,
    draining: bool,
}

impl Ledger {
    /// A server began to run.
    pub(crate) fn server_started(&mut self) {
        self.server += 1;
        self.seated.clear();
        self.draining = false;
        for life in self.lives.values_mut() {
            life.was_hindered = true;
        }
    }

    pub(crate) fn server_drains(&mut self) {
        self.draining = true;
        self.hinder_all();
    }

    pub(crate) fn hinder_all(&mut self) {
        for life in self.lives.values_mut() {
            life.was_hindered = true;
        }
    }

    pub(crate) fn life(&mut self, address: SocketAddr) -> Result<&mut Life, String> {
        let life = self.lives.get_mut(&address);
        life.ok_or_else(|| format!("nobody ever lived at {address}"))
    }

    pub(crate) fn address_in(&self, slot: ClientSlot) -> Option<SocketAddr> {
        self.seated.get(&slot).copied()
    }

    fn life_in(&mut self, slot: ClientSlot) -> Result<&mut Life, String> {
        let address = self.seated.get(&slot).copied();
        let address = address.ok_or_else(|| format!("nobody sits in {slot}"))?;
        self.life(address)
    }

    /// Whether this client id has a place now.
    pub(crate) fn has_seat(&self, client: ClientId) -> bool {
        let mut addresses = self.seated.values();
        addresses.any(|address| {
            self.lives
                .get(address)
                .is_some_and(|it| it.client == client)
        })
    }

    /// The server let somebody in.
    pub(crate) fn joined(
        &mut self,
        now: Timestamp,
        slot: ClientSlot,
        client: ClientId,
        address: SocketAddr,
    ) -> Result<(), String> {
        if let Some(other) = self.seated.keys().find(|taken| taken.index == slot.index) {
            return Err(format!("{slot} is given away while {other} is taken"));
        }
        if self.has_seat(client) {
            return Err(format!("client {client:?} sits twice"));
        }
        let server = self.server;
        let life = self.life(address)?;
        if life.client != client {
            return Err(format!(
                "{client:?} came from {address}, where {:?} lives",
                life.client
            ));
        }
        if life.slot.is_some() {
            return Err(format!("{address} connected twice with one token"));
        }
        life.slot = Some(slot);
        life.server = server;
        life.joined_at = Some(now);
        self.seated.insert(slot, address);
        Ok(())
    }

    /// The server says that a session is over.
    pub(crate) fn left(
        &mut self,
        slot: ClientSlot,
        client: ClientId,
        reason: DisconnectReason,
    ) -> Result<(), String> {
        let draining = self.draining;
        let life = self.life_in(slot)?;
        if life.client != client {
            return Err(format!(
                "{slot}: {client:?} left, {:?} sat there",
                life.client
            ));
        }
        let is_gone =
            life.crashed_at.is_some() || life.ended_by_client.is_some() || life.said_goodbye;
        let allowed = match reason {
            DisconnectReason::ClosedByClient => life.said_goodbye,
            DisconnectReason::TimedOut => is_gone,
            DisconnectReason::Kicked => life.was_kicked,
            DisconnectReason::ServerShutdown => draining,
            _ => life.is_hostile,
        };
        if !allowed && !life.is_hostile {
            return Err(format!("the server dropped {client:?} in {slot}: {reason}"));
        }
        life.ended_by_server = Some(reason);
        self.seated.remove(&slot);
        Ok(())
    }

    /// A client says that its session, or its attempt, is over.
    pub(crate) fn ended(
        &mut self,
        address: SocketAddr,
        reason: DisconnectReason,
        is_down: bool,
    ) -> Result<(), String> {
        let (server, draining) = (self.server, self.draining);
        let life = self.life(address)?;
        let dropped = life.ended_by_server;
        let other_server = life.server != server || is_down;
        let allowed = match reason {
            DisconnectReason::ClosedByClient => life.said_goodbye,
            DisconnectReason::Kicked => dropped == Some(DisconnectReason::Kicked),
            DisconnectReason::ServerShutdown => draining || other_server,
            // The farewell with the reason may be lost, and the session layer's own arrive; or all of it is lost.
            DisconnectReason::ClosedByServer => dropped.is_some() || draining || other_server,
            DisconnectReason::TimedOut => dropped.is_some() || draining || other_server,
            DisconnectReason::NoAnswer => life.was_hindered || other_server,
            _ => false,
        };
        if !allowed {
            return Err(format!(
                "the session of {:?} at {address} ended at the client: {reason} (server: {dropped:?})",
                life.client
            ));
        }
        life.ended_by_client = Some(reason);
        Ok(())
    }

    /// A message came out at the server.
    pub(crate) fn heard(
        &mut self,
        slot: ClientSlot,
        channel: tickwire::proto::channel::ChannelId,
        message: &[u8],
    ) -> Result<(), String> {
        let life = self.life_in(slot)?;
        if life.is_hostile {
            return Ok(());
        }
        let heard = life.up.received(channel, message);
        heard.map_err(|what| format!("from {:?} in {slot}: {what}", life.client))
    }

    /// An input came out at the server.
    pub(crate) fn wanted(&mut self, slot: ClientSlot) -> Result<(), String> {
        self.life_in(slot).map(|_| ())
    }

    /// Those whose slot should have been free by now.
    pub(crate) fn zombies(&self, now: Timestamp, frozen: Duration) -> Option<String> {
        let limit = TIMEOUT + SLACK + frozen;
        self.seated.iter().find_map(|(slot, address)| {
            let life = self.lives.get(address)?;
            let last_word = (life.crashed_at? + FLIGHT).max(life.joined_at?);
            (now > last_word + limit)
                .then(|| format!("{slot} of {:?}, which crashed, is still taken", life.client))
        })
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (ClientSlot, SocketAddr)> + '_ {
        self.seated.iter().map(|(slot, address)| (*slot, *address))
    }
}
