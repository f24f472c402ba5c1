//! The session layer alone: the `netcode_echo` example in a process of its own, and honest clients that count what
//! comes back.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tickwire::proto::netcode::{ClientReceived, ClientState, MAX_DATAGRAM, NetcodeClient};
use tickwire::time::Timestamp;

use super::{HONEST, KEY, PROTOCOL, token, until};

/// The example as a child process; ends with this value.
pub struct Echo {
    child: Child,
    pub address: SocketAddr,
}

impl Echo {
    /// Builds the example as these tests are built, and starts it.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub fn start_at(listen: &str) -> Self {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_tickwire"));
        let folder = program.parent().expect("a folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "netcode_echo"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().expect("cargo runs");
        assert!(built.success(), "the example builds");
        let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut child = Command::new(folder.join("examples/netcode_echo"))
            .args(["--listen", listen, "--key", &key, "--max-clients", "256"])
            .args(["--protocol-id", &PROTOCOL.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stderr = child.stderr.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stderr)
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("not an address: {line}"));
        Self { child, address }
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the honest clients saw.
#[derive(Debug, Clone, Default)]
pub struct Fare {
    pub connected: u32,
    pub sent: u64,
    pub back: u64,
    /// Payloads that came back twice or as somebody else's.
    pub wrong: u64,
    /// Round trips in microseconds.
    pub round_trips: Vec<u32>,
}

impl Fare {
    pub fn delivery(&self) -> f64 {
        self.back as f64 / (self.sent as f64).max(1.0)
    }
}

/// Sixteen honest clients on a thread of their own, sixty payloads a second each.
pub struct Company {
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicU32>,
    thread: JoinHandle<Fare>,
}

struct Honest {
    netcode: NetcodeClient,
    socket: UdpSocket,
    sent: Vec<Instant>,
    back: Vec<bool>,
}

const RATE: f64 = 60.0;
const LENGTH: usize = 100;

impl Company {
    /// They connect; numbers of their tokens begin with `first`.
    pub fn join(server: SocketAddr, first: u64) -> Self {
        let (stop, connected) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&connected));
        let thread = std::thread::spawn(move || {
            let crew = (0..HONEST).map(|number| Honest::new(server, first + u64::from(number)));
            work(crew.collect(), &stopped, &count)
        });
        let company = Self {
            stop,
            connected,
            thread,
        };
        until("the honest clients connect", || {
            company.connected.load(Ordering::Relaxed) == HONEST
        });
        company
    }

    /// They stop sending, wait for what is under way, and tell.
    pub fn leave(self) -> Fare {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("honest clients do not panic")
    }
}

fn work(mut crew: Vec<Honest>, stop: &AtomicBool, connected: &AtomicU32) -> Fare {
    let started = Instant::now();
    let mut fare = Fare::default();
    let mut end = None;
    let mut turn = 0_u64;
    loop {
        let now = Timestamp::ZERO + started.elapsed();
        let is_due = started.elapsed().as_secs_f64() * RATE >= turn as f64;
        turn += u64::from(is_due);
        for honest in &mut crew {
            honest.serve(now, is_due && end.is_none(), &mut fare);
        }
        let here = |honest: &&Honest| honest.netcode.state() == ClientState::Connected;
        fare.connected = crew.iter().filter(here).count() as u32;
        connected.store(fare.connected, Ordering::Relaxed);
        match end {
            None if stop.load(Ordering::Relaxed) => end = Some(Instant::now()),
            Some(end) if end.elapsed() > Duration::from_millis(500) => return fare,
            _ => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}

impl Honest {
    fn new(server: SocketAddr, number: u64) -> Self {
        let any = if server.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.set_nonblocking(true).expect("non-blocking");
        Self {
            netcode: NetcodeClient::new(token(server, number), Timestamp::ZERO),
            socket,
            sent: Vec::new(),
            back: Vec::new(),
        }
    }

    fn serve(&mut self, now: Timestamp, is_due: bool, fare: &mut Fare) {
        let mut bytes = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut bytes) {
            if let ClientReceived::Payload(payload) =
                self.netcode.receive(now, from, &mut bytes[..len])
            {
                let number = payload
                    .first_chunk()
                    .map_or(usize::MAX, |it| u64::from_le_bytes(*it) as usize);
                let port = self
                    .socket
                    .local_addr()
                    .expect("bound")
                    .port()
                    .to_le_bytes();
                if payload.len() == LENGTH
                    && payload[8..10] == port
                    && self.back.get(number) == Some(&false)
                {
                    self.back[number] = true;
                    fare.back += 1;
                    fare.round_trips
                        .push(self.sent[number].elapsed().as_micros() as u32);
                } else {
                    fare.wrong += 1;
                }
            }
        }
        self.netcode.handle_timeout(now);
        let mut out = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.netcode.poll_transmit(now, &mut out) {
            let _ = self.socket.send_to(&out[..transmit.len], transmit.to);
        }
        while self.netcode.poll_event().is_some() {}
        if is_due && self.netcode.state() == ClientState::Connected {
            let port = self
                .socket
                .local_addr()
                .expect("bound")
                .port()
                .to_le_bytes();
            let number = self.sent.len() as u64;
            let sealed = self.netcode.seal(now, &mut out, |room| {
                room[..LENGTH].fill(7);
                room[..8].copy_from_slice(&number.to_le_bytes());
                room[8..10].copy_from_slice(&port);
                LENGTH
            });
            if let Some(transmit) = sealed {
                self.sent.push(Instant::now());
                self.back.push(false);
                fare.sent += 1;
                let _ = self.socket.send_to(&out[..transmit.len], transmit.to);
            }
        }
    }
}
