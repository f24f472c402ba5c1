//! renetcode alone: the session layer under renet, over the standard library's socket.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use renetcode::{NetcodeServer, ServerAuthentication, ServerConfig, ServerResult};

use super::session::PlainPayloads;
use super::{Outcome, Peer};
use crate::bytes::Template;
use crate::job::{Job, Loaded, Served};
use crate::netcode_crowd::{KEY, NetcodeCrowd, PROTOCOL, calendar};
use crate::server::{self, TickServer};
use crate::sockets::{self, ROOM};
use crate::{load, machine};

/// The most clients it takes.
pub(super) const MOST: usize = 1024;

pub(crate) struct Renetcode;

impl Peer for Renetcode {
    fn name(&self) -> &'static str {
        "renetcode"
    }

    fn title(&self) -> &'static str {
        "renetcode 2.0.0"
    }

    fn most_clients(&self) -> usize {
        MOST
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let socket = sockets::open(Ipv4Addr::LOCALHOST)?;
        let local = socket.local_addr()?;
        let mut server = Server {
            netcode: NetcodeServer::new(config(job, local)),
            socket,
            clients: Heard::default(),
            snapshot: Template::new(job.bytes),
            input: job.input,
            updated: machine::now(),
        };
        Ok(server::run(&mut server, local.port()))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut crowd = NetcodeCrowd::new(job.clients, server, |_| PlainPayloads::new(job))?;
        Ok(load::run(&mut crowd, job))
    }
}

/// The same for renet.
pub(super) fn config(job: &Job, local: SocketAddr) -> ServerConfig {
    ServerConfig {
        current_time: calendar(),
        max_clients: job.clients,
        protocol_id: PROTOCOL,
        public_addresses: vec![local],
        authentication: ServerAuthentication::Secure { private_key: KEY },
    }
}

/// The ids of the clients that have spoken in their session.
///
/// Nobody else is sent a snapshot: the first packet of a session, which tells the client that it is connected, has a sequence number of
/// no bytes and is ignored by implementations that keep to the standard. The next one comes after a silence.
#[derive(Default)]
pub(super) struct Heard(pub(super) Vec<u64>, Vec<bool>);

impl Heard {
    pub(super) fn heard(&mut self, client: u64) {
        let place = client as usize;
        if place >= self.1.len() {
            self.1.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.1[place], true) {
            self.0.push(client);
        }
    }
}

struct Server {
    netcode: NetcodeServer,
    socket: UdpSocket,
    clients: Heard,
    snapshot: Template,
    input: usize,
    updated: u64,
}

impl TickServer for Server {
    fn drain(&mut self, now: u64) -> u64 {
        self.netcode
            .update(Duration::from_nanos(now - self.updated));
        self.updated = now;
        let mut inputs = 0;
        let mut buffer = [0; ROOM];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            match self.netcode.process_packet(from, &mut buffer[..len]) {
                ServerResult::Payload { client_id, payload } => {
                    inputs += u64::from(payload.len() == self.input);
                    self.clients.heard(client_id);
                }
                ServerResult::PacketToSend { addr, payload }
                | ServerResult::ClientConnected { addr, payload, .. } => {
                    let _ = self.socket.send_to(payload, addr);
                }
                _ => {}
            }
        }
        for client in self.netcode.clients_id() {
            if let ServerResult::PacketToSend { addr, payload } = self.netcode.update_client(client)
            {
                let _ = self.socket.send_to(payload, addr);
            }
        }
        inputs
    }

    fn broadcast(&mut self, _: u64, tick: u64) -> u64 {
        let mut sent = 0;
        let mut snapshot = [0; ROOM];
        for client in &self.clients.0 {
            let len = self.snapshot.write(&mut snapshot, *client as usize, tick);
            if let Ok((to, packet)) = self
                .netcode
                .generate_payload_packet(*client, &snapshot[..len])
            {
                sent += u64::from(self.socket.send_to(packet, to).is_ok());
            }
        }
        sent
    }
}
