//! Tickwire's whole server in this process: shard, world and arena, as `tickwire serve` runs them, with a snapshot every tick.
//!
//! Its clients are sessions that acknowledge snapshots and do not decode them, and walk about in the arena. Every datagram counts, so
//! the bytes of a tick are known afterwards only.

use std::net::SocketAddr;
use std::ops::Range;

use tickwire::game::GameInput as _;
use tickwire::game::arena::{Arena, ArenaConfig, ArenaInput, schema};
use tickwire::proto::client::{ClientEndpoint, ClientEndpointConfig};
use tickwire::proto::event::ClientEvent;
use tickwire::proto::input::InputBytes;
use tickwire::proto::netcode::{Key, MAX_DATAGRAM};
use tickwire::proto::wire::ByteWriter;
use tickwire::server::admission::Allowance;
use tickwire::server::metrics::Counter;
use tickwire::server::{Server, ServerConfig, ServerHandle};
use tickwire::time::{Tick, TickRate, UnixTime};

use super::{Outcome, Peer};
use crate::job::{HZ, Job, Loaded, Phase, Served, TICK, Word};
use crate::load::{self, Crowd};
use crate::machine;
use crate::netcode_crowd::{KEY, PROTOCOL, calendar, timestamp, token};
use crate::server::Meter;
use crate::sockets::{CrowdSocket, Traffic};

pub(crate) struct Whole;

impl Peer for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn title(&self) -> &'static str {
        "Tickwire, whole server with the arena"
    }

    fn has_own_world(&self) -> bool {
        true
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        let mut config = ServerConfig::local(PROTOCOL)?;
        config.key = Key::from_bytes(KEY);
        config.max_clients = job.clients as u32;
        config.set_rates(TickRate::HZ_60, TickRate::HZ_60);
        // All clients come from a few networks, at once.
        config.admission.strangers = Allowance::new(100_000, 100_000);
        let arena = ArenaConfig {
            players: job.clients as u32,
            ..ArenaConfig::default()
        };
        let mut meter = Meter::new();
        let server = Server::bind(config, Arena::new(arena))?.start()?;
        Word::Listening(server.local_addr().port()).say();
        let (mut phase, mut overruns) = (Phase::Before, 0);
        let start = machine::now();
        for tick in 1.. {
            let due = start + tick * TICK;
            machine::sleep_until(due);
            let now_in = meter.begin(machine::now());
            if now_in != phase {
                overruns = server.stats().tick.overruns - overruns;
                phase = now_in;
            }
            meter.end(due);
            if meter.is_over() {
                break;
            }
        }
        finish(meter, server, overruns)
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        let mut crowd = Players::new(job.clients, server)?;
        Ok(load::run(&mut crowd, job))
    }
}

/// The world's own figures in the place of this thread's, which has nothing to do.
fn finish(meter: Meter, server: ServerHandle, overruns: u64) -> Outcome<Served> {
    let mut served = meter.served;
    served.inputs = server.stats().total.get(Counter::DatagramsReceived);
    let stats = server.shutdown("the job is done")?;
    served.snapshots = stats.total.get(Counter::DatagramsSent);
    served.overruns = overruns;
    served.longest = stats.tick.max_us * 1_000;
    Ok(served)
}

struct Player {
    endpoint: ClientEndpoint,
    is_connected: bool,
    /// The newest snapshot, and when it came.
    newest: (Tick, u64),
    last_input: Tick,
}

impl Player {
    /// The input for a tick that the world has not reached yet: two ahead of what was last heard of.
    fn send_input(&mut self, number: usize, now: u64) {
        let (heard, at) = self.newest;
        let passed = (now - at) / TICK;
        let tick = Tick((heard.0 + passed as u32 + 3).max(self.last_input.0 + 1));
        // A quarter of the compass each two seconds; everybody begins at another one.
        let quarter = (u64::from(tick.0) / (2 * HZ) + number as u64) % 4;
        let (move_x, move_y) = [(127, 0), (0, 127), (-127, 0), (0, -127)][quarter as usize];
        let input = ArenaInput {
            move_x,
            move_y,
            ..ArenaInput::default()
        };
        let mut bytes = [0; ArenaInput::MAX_LEN];
        let mut writer = ByteWriter::new(&mut bytes);
        if input.encode(&mut writer).is_some()
            && let Some(input) = InputBytes::new(writer.written())
            && self.endpoint.send_input(tick, input)
        {
            self.last_input = tick;
        }
    }

    fn hear(&mut self, now: u64) {
        while let Some(event) = self.endpoint.poll_event() {
            if let ClientEvent::Snapshot { tick, .. } = event {
                self.newest = (tick, now);
            }
        }
    }
}

struct Players {
    socket: CrowdSocket,
    players: Vec<Player>,
    connected: usize,
    /// Datagrams of handshakes, which nobody has counted yet.
    uncounted: u64,
}

impl Players {
    fn new(count: usize, server: SocketAddr) -> Outcome<Self> {
        let now = machine::now();
        let wall_clock = UnixTime(calendar().as_secs());
        let schema = schema();
        let players = (0..count)
            .map(|number| {
                let config = ClientEndpointConfig::new(schema.clone());
                let token = token(number, server)?;
                Ok(Player {
                    endpoint: ClientEndpoint::new(config, token, timestamp(now), wall_clock)
                        .without_replica(),
                    is_connected: false,
                    newest: (Tick(0), now),
                    last_input: Tick(0),
                })
            })
            .collect::<Outcome<_>>()?;
        Ok(Self {
            socket: CrowdSocket::open(server)?,
            players,
            connected: 0,
            uncounted: 0,
        })
    }

    fn flush(&mut self, now: u64, number: usize) -> u64 {
        let mut out = [0; MAX_DATAGRAM];
        let mut sent = 0;
        let endpoint = &mut self.players[number].endpoint;
        while let Some(transmit) = endpoint.poll_transmit(timestamp(now), &mut out) {
            self.socket.send(number, &out[..transmit.len]);
            sent += 1;
        }
        sent
    }
}

impl Crowd for Players {
    fn tend(&mut self, now: u64, clients: Range<usize>) {
        for number in clients {
            let player = &mut self.players[number];
            if player.is_connected {
                continue;
            }
            player.endpoint.handle_timeout(timestamp(now));
            if player.endpoint.welcome().is_some() {
                player.is_connected = true;
                self.connected += 1;
            }
            self.uncounted += self.flush(now, number);
        }
    }

    fn send_inputs(&mut self, now: u64, clients: Range<usize>, _: u64) -> u64 {
        let mut sent = std::mem::take(&mut self.uncounted);
        for number in clients {
            let player = &mut self.players[number];
            if player.is_connected {
                player.send_input(number, now);
                sent += self.flush(now, number);
            }
        }
        sent
    }

    fn drain(&mut self, now: u64) -> u64 {
        let (players, server) = (&mut self.players, self.socket.server());
        let mut received = 0;
        self.socket.drain(|number, datagram| {
            received += 1;
            if let Some(player) = players.get_mut(number) {
                player
                    .endpoint
                    .handle_datagram(timestamp(now), server, datagram);
                player.hear(now);
            }
        });
        received
    }

    fn connected(&self) -> usize {
        self.connected
    }

    fn traffic(&self) -> Traffic {
        self.socket.traffic
    }
}
