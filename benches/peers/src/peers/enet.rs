//! ENet, by its port to Rust: unreliable packets on one channel, not encrypted, its throttle off.
//!
//! The throttle drops unreliable packets when the round trip varies. All clients are one host of ENet's with a peer for each:
//! the server sees one address.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use rusty_enet::{Event, Host, HostSettings, Packet, Peer as EnetPeer, PeerID};

use super::{Outcome, Peer};
use crate::bytes::Template;
use crate::job::{Job, Loaded, Served};
use crate::load::{self, Crowd};
use crate::server::{self, TickServer};
use crate::{machine, sockets};

pub(crate) struct Enet;

impl Peer for Enet {
    fn name(&self) -> &'static str {
        "enet"
    }

    fn title(&self) -> &'static str {
        "ENet (rusty_enet 0.4.1), not encrypted"
    }

    fn most_clients(&self) -> usize {
        4_095
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let (host, port) = host(job)?;
        let mut server = Server {
            host,
            clients: Vec::new(),
            snapshot: Template::new(job.bytes),
            input: job.input,
        };
        Ok(server::run(&mut server, port))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut crowd = Clients {
            host: host(job)?.0,
            server,
            born: machine::now(),
            peers: Vec::new(),
            connected: 0,
            input: Template::new(job.input),
            snapshot: job.bytes,
        };
        Ok(load::run(&mut crowd, job))
    }
}

fn host(job: &Job) -> Outcome<(Host<UdpSocket>, u16)> {
    let socket = sockets::open(Ipv4Addr::LOCALHOST)?;
    let (port, buffers) = (socket.local_addr()?.port(), socket.try_clone()?);
    let settings = HostSettings {
        peer_limit: job.clients,
        channel_limit: 1,
        ..HostSettings::default()
    };
    let host = Host::new(socket, settings).map_err(|error| format!("no host: {error}"))?;
    // It has set buffers of its own.
    sockets::enlarge(&buffers);
    Ok((host, port))
}

/// Never lowers the share of unreliable packets that are sent.
fn stop_throttle(peer: &mut EnetPeer<UdpSocket>) {
    peer.set_throttle(5_000, 32, 0);
}

struct Server {
    host: Host<UdpSocket>,
    clients: Vec<PeerID>,
    snapshot: Template,
    input: usize,
}

impl TickServer for Server {
    fn drain(&mut self, _: u64) -> u64 {
        let mut inputs = 0;
        while let Ok(Some(event)) = self.host.service() {
            match event {
                Event::Connect { peer, .. } => {
                    stop_throttle(peer);
                    self.clients.push(peer.id());
                }
                Event::Disconnect { peer, .. } => {
                    let gone = peer.id();
                    self.clients.retain(|it| *it != gone);
                }
                Event::Receive { packet, .. } => {
                    inputs += u64::from(packet.data().len() == self.input);
                }
            }
        }
        inputs
    }

    fn broadcast(&mut self, _: u64, tick: u64) -> u64 {
        let mut sent = 0;
        for client in &self.clients {
            let packet = Packet::unreliable(self.snapshot.to_vec(client.0, tick));
            sent += u64::from(self.host.peer_mut(*client).send(0, &packet).is_ok());
        }
        self.host.flush();
        sent
    }
}

struct Clients {
    host: Host<UdpSocket>,
    server: SocketAddr,
    born: u64,
    peers: Vec<PeerID>,
    connected: usize,
    input: Template,
    snapshot: usize,
}

impl Crowd for Clients {
    fn tend(&mut self, now: u64, _: Range<usize>) {
        // One host: whoever's turn it is, all that have set out do.
        let most = load::set_out(now - self.born).min(self.host.peer_limit());
        while self.peers.len() < most {
            let Ok(peer) = self.host.connect(self.server, 1, 0) else {
                return;
            };
            self.peers.push(peer.id());
        }
    }

    fn send_inputs(&mut self, _: u64, clients: Range<usize>, tick: u64) -> u64 {
        let mut sent = 0;
        for client in clients {
            let Some(peer) = self.peers.get(client) else {
                break;
            };
            let peer = self.host.peer_mut(*peer);
            if peer.connected() {
                let packet = Packet::unreliable(self.input.to_vec(client, tick));
                sent += u64::from(peer.send(0, &packet).is_ok());
            }
        }
        self.host.flush();
        sent
    }

    fn drain(&mut self, _: u64) -> u64 {
        let mut snapshots = 0;
        while let Ok(Some(event)) = self.host.service() {
            match event {
                Event::Connect { peer, .. } => {
                    stop_throttle(peer);
                    self.connected += 1;
                }
                Event::Receive { packet, .. } => {
                    snapshots += u64::from(packet.data().len() == self.snapshot);
                }
                Event::Disconnect { .. } => {}
            }
        }
        snapshots
    }

    fn connected(&self) -> usize {
        self.connected
    }
}
