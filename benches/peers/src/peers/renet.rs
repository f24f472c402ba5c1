//! renet over renet_netcode with secure tokens: messages on its unreliable channel, as its users run it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use renet::{ConnectionConfig, DefaultChannel, RenetClient, RenetServer};
use renet_netcode::NetcodeServerTransport;

use super::renetcode::{Heard, MOST, config};
use super::{Outcome, Peer};
use crate::bytes::Template;
use crate::job::{Job, Loaded, Served, TICK};
use crate::netcode_crowd::{App, NetcodeCrowd};
use crate::server::{self, TickServer};
use crate::{load, machine, sockets};

pub(crate) struct Renet;

impl Peer for Renet {
    fn name(&self) -> &'static str {
        "renet"
    }

    fn title(&self) -> &'static str {
        "renet 2.0.1"
    }

    fn most_clients(&self) -> usize {
        MOST
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let socket = sockets::open(Ipv4Addr::LOCALHOST)?;
        let local = socket.local_addr()?;
        let mut server = Server {
            renet: RenetServer::new(ConnectionConfig::default()),
            transport: NetcodeServerTransport::new(config(job, local), socket)?,
            clients: Heard::default(),
            snapshot: Template::new(job.bytes),
            input: job.input,
            updated: machine::now(),
        };
        Ok(server::run(&mut server, local.port()))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut crowd = NetcodeCrowd::new(job.clients, server, |_| {
            let mut renet = RenetClient::new(ConnectionConfig::default());
            renet.set_connected();
            Messages {
                renet,
                input: Template::new(job.input),
                snapshot: job.bytes,
                waiting: VecDeque::new(),
            }
        })?;
        Ok(load::run(&mut crowd, job))
    }
}

struct Server {
    renet: RenetServer,
    transport: NetcodeServerTransport,
    clients: Heard,
    snapshot: Template,
    input: usize,
    updated: u64,
}

impl TickServer for Server {
    fn drain(&mut self, now: u64) -> u64 {
        let passed = Duration::from_nanos(now - self.updated);
        self.updated = now;
        self.renet.update(passed);
        // An error of one peer's is nothing to the others.
        let _ = self.transport.update(passed, &mut self.renet);
        while self.renet.get_event().is_some() {}
        let mut inputs = 0;
        for client in self.renet.clients_id() {
            while let Some(message) = self
                .renet
                .receive_message(client, DefaultChannel::Unreliable)
            {
                inputs += u64::from(message.len() == self.input);
                self.clients.heard(client);
            }
        }
        inputs
    }

    fn broadcast(&mut self, _: u64, tick: u64) -> u64 {
        for client in &self.clients.0 {
            let snapshot = self.snapshot.to_vec(*client as usize, tick);
            self.renet
                .send_message(*client, DefaultChannel::Unreliable, snapshot);
        }
        self.transport.send_packets(&mut self.renet);
        self.clients.0.len() as u64
    }
}

/// One client above its session.
struct Messages {
    renet: RenetClient,
    input: Template,
    snapshot: usize,
    waiting: VecDeque<Vec<u8>>,
}

impl App for Messages {
    fn write_input(&mut self, client: usize, tick: u64, room: &mut [u8]) -> usize {
        self.renet.update(Duration::from_nanos(TICK));
        let input = self.input.to_vec(client, tick);
        self.renet.send_message(DefaultChannel::Unreliable, input);
        self.waiting.extend(self.renet.get_packets_to_send());
        self.write_more(room)
    }

    fn write_more(&mut self, room: &mut [u8]) -> usize {
        let Some(packet) = self.waiting.pop_front() else {
            return 0;
        };
        room[..packet.len()].copy_from_slice(&packet);
        packet.len()
    }

    fn hear(&mut self, payload: &[u8]) -> u64 {
        self.renet.process_packet(payload);
        let mut snapshots = 0;
        while let Some(message) = self.renet.receive_message(DefaultChannel::Unreliable) {
            snapshots += u64::from(message.len() == self.snapshot);
        }
        snapshots
    }
}
