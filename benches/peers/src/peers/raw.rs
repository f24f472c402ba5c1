//! The raw loop: the same datagrams and nothing else. No session, no key, no reliability; whoever speaks is heard.
//!
//! What the kernel costs, and so what every library is compared with.

use std::net::SocketAddr;
use std::ops::Range;

use super::{Outcome, Peer};
use crate::bytes::{Template, client_of};
use crate::job::{Job, Loaded, Served};
use crate::load::{self, Crowd};
use crate::server::{self, TickServer};
use crate::sockets::{CrowdSocket, ROOM, ServerSocket, Traffic};

pub(crate) struct Raw {
    pub(crate) dont_fragment: bool,
}

impl Peer for Raw {
    fn name(&self) -> &'static str {
        if self.dont_fragment { "raw-df" } else { "raw" }
    }

    fn title(&self) -> &'static str {
        if self.dont_fragment {
            "raw loop, don't-fragment set"
        } else {
            "raw loop"
        }
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let socket = ServerSocket::open(self.dont_fragment)?;
        let port = socket.local()?.port();
        let mut server = Server {
            socket,
            clients: Vec::new(),
            snapshot: Template::new(job.bytes),
            input: job.input,
        };
        Ok(server::run(&mut server, port))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut clients = Clients {
            socket: CrowdSocket::open(server)?,
            has_heard: vec![false; job.clients],
            connected: 0,
            input: Template::new(job.input),
            snapshot: job.bytes,
        };
        Ok(load::run(&mut clients, job))
    }
}

struct Server {
    socket: ServerSocket,
    /// By the number that an input carries.
    clients: Vec<Option<SocketAddr>>,
    snapshot: Template,
    input: usize,
}

impl TickServer for Server {
    fn drain(&mut self, _: u64) -> u64 {
        let mut inputs = 0;
        let mut buffer = [0; ROOM];
        while let Some((from, datagram)) = self.socket.receive(&mut buffer) {
            if datagram.len() != self.input {
                continue;
            }
            let Some(client) = client_of(datagram) else {
                continue;
            };
            if client >= self.clients.len() {
                self.clients.resize(client + 1, None);
            }
            self.clients[client] = Some(from);
            inputs += 1;
        }
        inputs
    }

    fn broadcast(&mut self, _: u64, tick: u64) -> u64 {
        let mut sent = 0;
        for (number, client) in self.clients.iter().enumerate() {
            if let Some(to) = *client {
                let snapshot = &self.snapshot;
                self.socket
                    .push(|room| Some((to, snapshot.write(room, number, tick))));
                sent += 1;
            }
        }
        self.socket.flush();
        sent
    }
}

struct Clients {
    socket: CrowdSocket,
    has_heard: Vec<bool>,
    connected: usize,
    input: Template,
    snapshot: usize,
}

impl Crowd for Clients {
    fn tend(&mut self, _: u64, _: Range<usize>) {}

    fn send_inputs(&mut self, _: u64, clients: Range<usize>, tick: u64) -> u64 {
        let count = clients.len() as u64;
        let mut datagram = [0; ROOM];
        for client in clients {
            let len = self.input.write(&mut datagram, client, tick);
            self.socket.send(client, &datagram[..len]);
        }
        count
    }

    fn drain(&mut self, _: u64) -> u64 {
        let mut snapshots = 0;
        let (has_heard, connected, len) = (&mut self.has_heard, &mut self.connected, self.snapshot);
        self.socket.drain(|client, datagram| {
            if datagram.len() != len || client_of(datagram) != Some(client) {
                return;
            }
            snapshots += 1;
            if !std::mem::replace(&mut has_heard[client], true) {
                *connected += 1;
            }
        });
        snapshots
    }

    fn connected(&self) -> usize {
        self.connected
    }

    fn traffic(&self) -> Traffic {
        self.socket.traffic
    }
}
