//! A bad network under a good socket: real datagrams, delayed and damaged on their way out and in.
//!
//! Knows a socket and two links. Time is what [`advance`](DatagramSocket::advance) said last, so one frame sees one moment, and a
//! test can run it in virtual time.

use std::io;
use std::net::SocketAddr;

use crate::client::DatagramSocket;
use crate::netsim::{Link, LinkStats, ProfileConditions};
use crate::time::Timestamp;

/// Any [`DatagramSocket`] seen through a bad network.
///
/// Datagrams leave when they have passed the way up, which is looked at on each
/// [`advance`](DatagramSocket::advance): call it often (a game loop does), for its rhythm adds to the delay.
#[derive(Debug)]
pub struct ConditionedSocket<S> {
    socket: S,
    up: Link<SocketAddr>,
    down: Link<SocketAddr>,
    now: Timestamp,
    /// Where datagrams from the real socket stand on their way into `down`.
    scratch: Box<[u8; SCRATCH]>,
    /// An error met while nobody asked; the next call tells it.
    error: Option<io::Error>,
}

/// What is longer is cut, as by any socket: nothing that a client looks at has more than 1,225 bytes, and a thousand
/// sockets need a thousand of these.
const SCRATCH: usize = 2_048;

/// So many datagrams are taken from the socket in one go, so that a flood cannot hold the frame.
const RECEIVED_AT_ONCE: usize = 1_024;

impl<S: DatagramSocket> ConditionedSocket<S> {
    /// Puts `conditions` under `socket`. The same seed gives the same fate to the same datagrams.
    pub fn new(socket: S, conditions: ProfileConditions, seed: u64) -> Self {
        Self {
            socket,
            up: Link::new(conditions.up, seed),
            // The two ways must not lose the same datagrams.
            down: Link::new(conditions.down, !seed),
            now: Timestamp::ZERO,
            scratch: Box::new([0; SCRATCH]),
            error: None,
        }
    }

    /// From now on the network is like this.
    pub fn set_conditions(&mut self, conditions: ProfileConditions) {
        self.up.set_conditions(conditions.up);
        self.down.set_conditions(conditions.down);
    }

    /// What became of the datagrams, up and down.
    pub fn link_stats(&self) -> (LinkStats, LinkStats) {
        (self.up.stats(), self.down.stats())
    }

    /// When something is due to leave or to be received, besides what the real socket brings: a driver that
    /// sleeps wakes up for it.
    pub fn next_arrival(&self) -> Option<Timestamp> {
        [self.up.next_arrival(), self.down.next_arrival()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The socket beneath.
    pub const fn inner(&self) -> &S {
        &self.socket
    }

    /// Hands what has passed the way up to the real socket.
    fn flush(&mut self) -> io::Result<()> {
        while let Some((to, datagram)) = self.up.receive_labelled(self.now) {
            self.socket.send_to(datagram, to)?;
        }
        Ok(())
    }

    /// Puts what the real socket received onto the way down.
    fn fetch(&mut self) -> io::Result<()> {
        for _ in 0..RECEIVED_AT_ONCE {
            let Some((len, from)) = self.socket.receive_from(&mut self.scratch[..])? else {
                break;
            };
            if let Some(datagram) = self.scratch.get(..len) {
                self.down.send_labelled(self.now, from, datagram);
            }
        }
        Ok(())
    }

    fn tell_error(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

impl<S: DatagramSocket> DatagramSocket for ConditionedSocket<S> {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.tell_error()?;
        self.up.send_labelled(self.now, to, datagram);
        // What meets no delay leaves at once.
        self.flush()?;
        Ok(datagram.len())
    }

    /// A datagram longer than `buffer` is cut, as by any socket.
    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        self.tell_error()?;
        let Some((from, datagram)) = self.down.receive_labelled(self.now) else {
            return Ok(None);
        };
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(Some((len, from)))
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.socket.advance(self.now);
        let moved = self.flush().and_then(|()| self.fetch());
        if let Err(error) = moved {
            self.error = Some(error);
        }
    }

    fn rebind(&mut self) -> io::Result<()> {
        self.socket.rebind()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netsim::{LinkConditions, Profile};
    use core::time::Duration;
    use std::collections::VecDeque;

    /// Everything sent comes back at once.
    #[derive(Debug, Default)]
    struct Echo {
        queue: VecDeque<(Vec<u8>, SocketAddr)>,
        broken: bool,
    }

    impl DatagramSocket for Echo {
        fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
            self.queue.push_back((datagram.to_vec(), to));
            Ok(datagram.len())
        }

        fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
            if self.broken {
                return Err(io::Error::other("broken"));
            }
            Ok(self.queue.pop_front().map(|(datagram, from)| {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                (datagram.len(), from)
            }))
        }
    }

    fn server() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 7_777))
    }

    #[test]
    fn a_datagram_takes_the_way_up_and_the_way_down() {
        let delayed = |ms| LinkConditions {
            delay: Duration::from_millis(ms),
            ..LinkConditions::PERFECT
        };
        let conditions = ProfileConditions {
            up: delayed(30),
            down: delayed(50),
        };
        let mut socket = ConditionedSocket::new(Echo::default(), conditions, 1);
        let mut buffer = [0; 16];
        socket.send_to(b"hello", server()).expect("sent");
        for ms in 0..80 {
            socket.advance(Timestamp::from_millis(ms));
            assert_eq!(
                socket.receive_from(&mut buffer).expect("works"),
                None,
                "at {ms} ms"
            );
        }
        socket.advance(Timestamp::from_millis(80));
        assert_eq!(
            socket.receive_from(&mut buffer).expect("works"),
            Some((5, server()))
        );
        assert_eq!(&buffer[..5], b"hello");
    }

    #[test]
    fn the_hostile_network_is_as_hostile_as_it_says() {
        let mut socket = ConditionedSocket::new(Echo::default(), Profile::Hostile.conditions(), 2);
        let mut back = 0;
        for ms in 0..20_000 {
            socket.advance(Timestamp::from_millis(ms));
            socket.send_to(&[7; 10], server()).expect("sent");
            while socket.receive_from(&mut [0; 16]).expect("works").is_some() {
                back += 1;
            }
        }
        // 0.7 arrive each way, and every tenth twice: 20,000 x 0.77 x 0.77 = 11,858.
        assert!((11_300..12_300).contains(&back), "{back}");
        let (up, down) = socket.link_stats();
        assert!(
            up.corrupted > 200 && down.corrupted > 150,
            "{up:?} {down:?}"
        );
    }

    #[test]
    fn an_error_met_between_calls_is_told_by_the_next_one() {
        let echo = Echo {
            broken: true,
            ..Echo::default()
        };
        let mut socket = ConditionedSocket::new(echo, ProfileConditions::default(), 3);
        socket.advance(Timestamp::ZERO);
        assert!(socket.send_to(b"x", server()).is_err());
        assert!(socket.send_to(b"x", server()).is_ok());
    }
}
