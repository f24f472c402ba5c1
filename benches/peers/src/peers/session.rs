//! Tickwire's session layer alone: netcode 1.02, each datagram sealed and opened, on the same socket loop as the raw one.
//!
//! Don't-fragment is set, as Tickwire's server sets it.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::rngs::ChaCha20Rng;
use tickwire::id::ClientSlot;
use tickwire::proto::netcode::{
    Key, LocalRegistry, NetcodeServer, Received, ServerConfig, SessionEvent,
};

use super::{Outcome, Peer};
use crate::bytes::Template;
use crate::job::{Job, Loaded, Served};
use crate::load;
use crate::netcode_crowd::{App, KEY, NetcodeCrowd, PROTOCOL, calendar, timestamp};
use crate::server::{self, TickServer};
use crate::sockets::{ROOM, ServerSocket};

pub(crate) struct Session;

impl Peer for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn title(&self) -> &'static str {
        "Tickwire, session layer"
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let socket = ServerSocket::open(true)?;
        let local = socket.local()?;
        let places = job.clients as u32;
        let config = ServerConfig::new(PROTOCOL, Key::from_bytes(KEY), local, places);
        let registry = Arc::new(LocalRegistry::new(places));
        let mut rng: ChaCha20Rng = rand::make_rng();
        let started = calendar().as_micros() as u64;
        let mut server = Server {
            netcode: NetcodeServer::new(config, &mut rng, started, registry)?,
            socket,
            clients: Vec::new(),
            snapshot: Template::new(job.bytes),
            input: job.input,
        };
        Ok(server::run(&mut server, local.port()))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut crowd = NetcodeCrowd::new(job.clients, server, |_| PlainPayloads::new(job))?;
        Ok(load::run(&mut crowd, job))
    }
}

struct Server {
    netcode: NetcodeServer,
    socket: ServerSocket,
    clients: Vec<ClientSlot>,
    snapshot: Template,
    input: usize,
}

impl Server {
    fn hear_sessions(&mut self) {
        while let Some(event) = self.netcode.poll_event() {
            match event {
                SessionEvent::Connected { slot, .. } => self.clients.push(slot),
                SessionEvent::Disconnected { slot, .. } => self.clients.retain(|it| *it != slot),
            }
        }
    }
}

impl TickServer for Server {
    fn drain(&mut self, now: u64) -> u64 {
        let now = timestamp(now);
        let mut inputs = 0;
        let mut buffer = [0; ROOM];
        while let Some((from, datagram)) = self.socket.receive(&mut buffer) {
            if let Received::Payload { payload, .. } = self.netcode.receive(now, from, datagram) {
                inputs += u64::from(payload.len() == self.input);
            }
        }
        if self.netcode.poll_timeout().is_some_and(|due| due <= now) {
            self.netcode.handle_timeout(now);
        }
        self.hear_sessions();
        let netcode = &mut self.netcode;
        while self.socket.push(|room| {
            let transmit = netcode.poll_transmit(now, room)?;
            Some((transmit.to, transmit.len))
        }) {}
        inputs
    }

    fn broadcast(&mut self, now: u64, tick: u64) -> u64 {
        let now = timestamp(now);
        let mut sent = 0;
        for slot in &self.clients {
            let (netcode, snapshot) = (&mut self.netcode, &self.snapshot);
            let number = slot.index as usize;
            let is_sent = self.socket.push(|room| {
                let write = |room: &mut [u8]| snapshot.write(room, number, tick);
                let transmit = netcode.seal(now, *slot, room, write)?;
                Some((transmit.to, transmit.len))
            });
            sent += u64::from(is_sent);
        }
        self.socket.flush();
        sent
    }
}

/// Inputs and snapshots as they are.
pub(super) struct PlainPayloads {
    input: Template,
    snapshot: usize,
}

impl PlainPayloads {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            input: Template::new(job.input),
            snapshot: job.bytes,
        }
    }
}

impl App for PlainPayloads {
    fn write_input(&mut self, client: usize, tick: u64, room: &mut [u8]) -> usize {
        self.input.write(room, client, tick)
    }

    fn hear(&mut self, payload: &[u8]) -> u64 {
        u64::from(payload.len() == self.snapshot)
    }
}
