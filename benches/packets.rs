//! What a datagram costs on its way through the socket, one way beside the other, in nanoseconds.
//!
//! `cargo bench --bench packets`
//!
//! A server's socket and 64 clients on loopback, each client with a socket of its own. All ways take their turn in every round, in
//! an order that rotates; shown is the median of the rounds. What the clients do is not counted, except that on
//! loopback the sender pays for much of what the receiver's kernel does. Pin it to one core (`taskset -c 1`) to compare calls
//! and nothing else.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and says what it found"
)]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tickwire::server::PacketIo;
use tickwire::server::socket::{BATCH, Mechanisms, SendQueue, ShardSocket, open};

const ROUNDS: usize = 9;
const TURNS: u32 = 400;
const WAYS: [PacketIo; 3] = PacketIo::ALL;

/// One question: 64 datagrams each time.
#[derive(Clone, Copy)]
enum Question {
    /// From as many clients, each this long.
    Receive(usize),
    /// To clients, so many one after the other to each, each this long.
    Send { each: usize, length: usize },
}

const QUESTIONS: [(&str, Question); 6] = [
    ("receive 60 B, one of each client", Question::Receive(60)),
    ("send 60 B, one to each client", send(1, 60)),
    ("send 1000 B, one to each client", send(1, 1000)),
    ("send 1000 B, two to each client", send(2, 1000)),
    ("send 1000 B, four to each client", send(4, 1000)),
    ("send 1000 B, 16 to each client", send(16, 1000)),
];

const fn send(each: usize, length: usize) -> Question {
    Question::Send { each, length }
}

struct Stage {
    server: ShardSocket,
    queue: SendQueue,
    clients: Vec<UdpSocket>,
}

impl Stage {
    async fn new(way: PacketIo) -> io::Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let one = |_| Ok(open(loopback, 1)?.remove(0));
        let clients = (0..BATCH).map(one).collect::<io::Result<_>>()?;
        let server = ShardSocket::new(one(0)?, Mechanisms::detect(way)).await?;
        Ok(Self {
            queue: SendQueue::new(server.local_addr()?),
            server,
            clients,
        })
    }

    /// Nanoseconds for one datagram.
    async fn ask(&mut self, question: Question) -> io::Result<f64> {
        let mut spent = Duration::ZERO;
        for _ in 0..TURNS {
            spent += match question {
                Question::Receive(length) => self.receive(length).await?,
                Question::Send { each, length } => self.send(each, length)?,
            };
        }
        Ok(spent.as_nanos() as f64 / f64::from(TURNS) / BATCH as f64)
    }

    async fn receive(&mut self, length: usize) -> io::Result<Duration> {
        let to = self.server.local_addr()?;
        for client in &self.clients {
            client.send_to(&[7; 1200][..length], to)?;
        }
        self.server.readable().await?;
        let (begin, mut received) = (Instant::now(), 0);
        while received < BATCH as u64 {
            received += self.server.receive(|_, _| {}).datagrams;
        }
        Ok(begin.elapsed())
    }

    fn send(&mut self, each: usize, length: usize) -> io::Result<Duration> {
        for number in 0..BATCH {
            let to = self.clients[number / each].local_addr()?;
            self.queue.push(|buffer| {
                buffer[..length].fill(number as u8);
                Some((to, length))
            });
        }
        let begin = Instant::now();
        let sent = self.server.flush(&mut self.queue);
        let spent = begin.elapsed();
        assert_eq!(sent.datagrams, BATCH as u64);
        for client in &self.clients {
            while client.recv_from(&mut [0; 2048]).is_ok() {}
        }
        Ok(spent)
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

async fn run() -> io::Result<()> {
    let mut stages = Vec::new();
    for way in WAYS {
        stages.push(Stage::new(way).await?);
    }
    for (name, question) in QUESTIONS {
        let mut found = [const { Vec::new() }; WAYS.len()];
        for round in 0..ROUNDS {
            for turn in 0..WAYS.len() {
                let way = (round + turn) % WAYS.len();
                found[way].push(stages[way].ask(question).await?);
            }
        }
        println!("{name}");
        for (way, found) in WAYS.iter().zip(found) {
            println!("    {:10} {:6.0} ns", way.name(), median(found));
        }
    }
    Ok(())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(run()));
    outcome.expect("sockets on loopback");
}
