//! Many source addresses and a steady hand: sends datagrams at a rate, and counts what comes back.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use tickwire::proto::netcode::{MAX_DATAGRAM, NetcodeClient};
use tickwire::time::Timestamp;

use super::token;

/// Sockets on many addresses of the loopback network, each in a /24 of its own.
pub struct Guns {
    sockets: Vec<UdpSocket>,
    next: usize,
    pub rng: Xoshiro256PlusPlus,
}

/// What was sent and what came back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shots {
    pub sent: u64,
    pub bytes: u64,
    pub answers: u64,
    pub answer_bytes: u64,
    pub seconds: f64,
}

impl Guns {
    /// `count` source addresses that send to `target`, the same for the same seed.
    pub fn new(target: SocketAddr, count: usize, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let sockets = (0..count)
            .map(|_| {
                let ip = Ipv4Addr::new(127, rng.random_range(1..255), rng.random(), 1);
                let socket = UdpSocket::bind((ip, 0)).expect("a loopback address");
                socket.connect(target).expect("the target");
                socket.set_nonblocking(true).expect("non-blocking");
                socket
            })
            .collect();
        Self {
            sockets,
            next: 0,
            rng,
        }
    }

    /// Sends `rate` datagrams a second for so long; `load` writes each and says how long it is.
    pub fn fire(
        &mut self,
        rate: u32,
        time: Duration,
        mut load: impl FnMut(&mut Xoshiro256PlusPlus, usize, &mut [u8]) -> usize,
    ) -> Shots {
        let (started, mut shots) = (Instant::now(), Shots::default());
        let mut bytes = vec![0; 65_536];
        let mut fired = 0;
        while started.elapsed() < time {
            let due = (started.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            if fired >= due {
                std::thread::sleep(Duration::from_micros(500));
            }
            while fired < due {
                fired += 1;
                self.next = (self.next + 1) % self.sockets.len();
                self.listen(self.next, &mut shots);
                let len = load(&mut self.rng, self.next, &mut bytes);
                // A port that is closed, or a queue that is full: the next one may fare better.
                if self.sockets[self.next].send(&bytes[..len]).is_ok() {
                    shots.sent += 1;
                    shots.bytes += len as u64;
                }
            }
        }
        shots.seconds = started.elapsed().as_secs_f64();
        // Whatever is under way arrives.
        std::thread::sleep(Duration::from_millis(50));
        for index in 0..self.sockets.len() {
            self.listen(index, &mut shots);
        }
        shots
    }

    fn listen(&self, index: usize, shots: &mut Shots) {
        let mut bytes = [0; 2_048];
        while let Ok(len) = self.sockets[index].recv(&mut bytes) {
            shots.answers += 1;
            shots.answer_bytes += len as u64;
        }
    }
}

/// A connection request with a genuine token.
pub fn request(server: SocketAddr, number: u64) -> Vec<u8> {
    let mut client = NetcodeClient::new(token(server, number), Timestamp::ZERO);
    let mut bytes = [0; MAX_DATAGRAM];
    let transmit = client
        .poll_transmit(Timestamp::ZERO, &mut bytes)
        .expect("a client begins with a request");
    bytes[..transmit.len].to_vec()
}

/// Loads a request that is genuine up to its sealed part, which is noise.
pub fn forge(genuine: &[u8]) -> impl FnMut(&mut Xoshiro256PlusPlus, usize, &mut [u8]) -> usize {
    let genuine = genuine.to_vec();
    move |rng, _, bytes| {
        let len = genuine.len();
        bytes[..len].copy_from_slice(&genuine);
        // Version, protocol id and expiry are 30 bytes; the nonce and the sealed token follow.
        rng.fill_bytes(&mut bytes[30..100]);
        len
    }
}
