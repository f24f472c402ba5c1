//! The network between everybody, and a client's socket on it.
//!
//! Knows addresses and true time. Clients have clocks of their own, which the air does not ask.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tickwire::client::DatagramSocket;
use tickwire::netsim::{LinkConditions, Network, ProfileConditions};
use tickwire::time::Timestamp;

use crate::story::Story;

/// Where the server is.
pub(crate) fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_777))
}

/// Datagrams that somebody who listens has written down.
const TAPPED: usize = 256;

/// A datagram as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Tapped {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What all of them share: the time, the network and the story.
#[derive(Debug)]
pub(crate) struct Air {
    pub(crate) now: Timestamp,
    pub(crate) network: Network,
    pub(crate) story: Story,
    /// The newest arrivals, for those who replay what they have heard.
    pub(crate) tap: VecDeque<Tapped>,
}

pub(crate) type SharedAir = Rc<RefCell<Air>>;

impl Air {
    pub(crate) fn new(seed: u64, is_told: bool) -> SharedAir {
        Rc::new(RefCell::new(Self {
            now: Timestamp::ZERO,
            network: Network::new(LinkConditions::PERFECT, seed),
            story: Story::new(is_told),
            tap: VecDeque::new(),
        }))
    }

    pub(crate) fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        self.story.now = now;
    }

    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.story.datagram(from, to, datagram.len());
        self.network.send(self.now, from, to, datagram);
    }

    /// How the network around a client's address is from now on.
    pub(crate) fn set_host(&mut self, host: SocketAddr, conditions: ProfileConditions) {
        self.network.set_host(host, conditions);
    }

    /// The next arrival by now; it is heard by whoever listens.
    pub(crate) fn deliver(&mut self) -> Option<Tapped> {
        let delivery = self.network.deliver(self.now)?;
        let arrival = Tapped {
            from: delivery.from,
            to: delivery.to,
            bytes: delivery.datagram.to_vec(),
        };
        self.story
            .datagram(arrival.from, arrival.to, arrival.bytes.len());
        if self.tap.len() == TAPPED {
            self.tap.pop_front();
        }
        self.tap.push_back(arrival.clone());
        Some(arrival)
    }
}

pub(crate) type Inbox = Rc<RefCell<VecDeque<(SocketAddr, Vec<u8>)>>>;

/// A client's place on the network.
#[derive(Debug)]
pub(crate) struct AirSocket {
    pub(crate) air: SharedAir,
    pub(crate) address: SocketAddr,
    pub(crate) inbox: Inbox,
}

impl DatagramSocket for AirSocket {
    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.air.borrow_mut().send(self.address, to, datagram);
        Ok(datagram.len())
    }

    fn receive_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let next = self.inbox.borrow_mut().pop_front();
        Ok(next.map(|(from, datagram)| {
            let len = datagram.len().min(buffer.len());
            buffer[..len].copy_from_slice(&datagram[..len]);
            (len, from)
        }))
    }
}
