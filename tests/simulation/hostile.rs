//! Those who mean no good: clients with a good token and garbage inside the encryption, and strangers who forge.
//!
//! Know the formats by heart and the keys not, except their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, RngExt as _};
use tickwire::game::arena::schema;
use tickwire::proto::channel::{ChannelId, Link, LinkConfig};
use tickwire::proto::control::PROTOCOL_VERSION;
use tickwire::proto::netcode::{ConnectToken, MAX_DATAGRAM, NetcodeClient};
use tickwire::time::Timestamp;

use crate::air::{SharedAir, Tapped, server_address};

/// An authenticated client that sends what it likes.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    netcode: NetcodeClient,
    link: Link,
    pub(crate) next: Timestamp,
    /// Payloads in each of its frames; `None`: it says hello, and never that it heard anything.
    eager: Option<u32>,
}

/// How often a hostile client acts.
const EVERY: Duration = Duration::from_millis(20);

impl Hostile {
    pub(crate) fn new(
        address: SocketAddr,
        token: ConnectToken,
        link: Arc<LinkConfig>,
        now: Timestamp,
        eager: Option<u32>,
    ) -> Self {
        Self {
            address,
            netcode: NetcodeClient::new(token, now),
            link: Link::new(link),
            next: now,
            eager,
        }
    }

    pub(crate) fn hear(&mut self, now: Timestamp, from: SocketAddr, datagram: &mut [u8]) {
        use tickwire::proto::netcode::ClientReceived;
        let received = self.netcode.receive(now, from, datagram);
        if let (ClientReceived::Payload(payload), Some(_)) = (received, self.eager) {
            let _ = self.link.receive(now, payload);
            while self.link.poll_message().is_some() {}
            while self.link.poll_delivery().is_some() {}
        }
    }

    pub(crate) fn act(&mut self, now: Timestamp, air: &SharedAir, rng: &mut Xoshiro256PlusPlus) {
        self.next = now + EVERY;
        let mut buffer = [0; MAX_DATAGRAM];
        self.netcode.handle_timeout(now);
        while self.netcode.poll_event().is_some() {}
        while let Some(transmit) = self.netcode.poll_transmit(now, &mut buffer) {
            let datagram = &buffer[..transmit.len];
            air.borrow_mut().send(self.address, transmit.to, datagram);
        }
        let payloads = self.eager.map_or(1, |most| rng.random_range(0..=most));
        for _ in 0..payloads {
            let Self {
                netcode,
                link,
                eager,
                ..
            } = self;
            let sealed = netcode.seal(now, &mut buffer, |payload| match eager {
                Some(_) => garbage(now, link, payload, rng),
                None => link.fill(now, payload, 0, |_, room| say_hello(room)),
            });
            if let Some(transmit) = sealed {
                let datagram = &buffer[..transmit.len];
                air.borrow_mut().send(self.address, transmit.to, datagram);
            }
        }
    }
}

/// One payload: noise, or something that is right up to a point.
fn garbage(
    now: Timestamp,
    link: &mut Link,
    payload: &mut [u8],
    rng: &mut Xoshiro256PlusPlus,
) -> usize {
    if rng.random_bool(0.2) {
        let len = rng.random_range(1..=payload.len());
        rng.fill_bytes(&mut payload[..len]);
        return len;
    }
    if rng.random_bool(0.5) {
        let mut message = [0; 200];
        rng.fill_bytes(&mut message);
        let len = rng.random_range(0..message.len());
        let _ = link.send(ChannelId(rng.random_range(0..4)), &message[..len]);
    }
    let len = link.fill(now, payload, 600, |_, room| blocks(room, rng));
    if rng.random_bool(0.3) && len > 0 {
        for _ in 0..rng.random_range(1..5) {
            payload[rng.random_range(0..len)] ^= 1 << rng.random_range(0..8);
        }
    }
    len
}

fn say_hello(room: &mut [u8]) -> usize {
    let hello = hello();
    room[..hello.len()].copy_from_slice(&hello);
    hello.len()
}

fn hello() -> Vec<u8> {
    let mut hello = vec![1];
    hello.extend(PROTOCOL_VERSION.to_le_bytes());
    hello.extend(schema().hash().to_le_bytes());
    hello
}

/// A hello that is right most of the time, and then blocks of every kind with anything inside.
fn blocks(room: &mut [u8], rng: &mut Xoshiro256PlusPlus) -> usize {
    let mut body = Vec::new();
    if rng.random_bool(0.5) {
        body.extend(hello());
    }
    for _ in 0..rng.random_range(0..4) {
        // No goodbye: it would be over too soon.
        body.push([0, 2, 3, 3, 3, 4, 6, 7, 8, 9][rng.random_range(0..10)]);
        let mut noise = vec![0; rng.random_range(0..40)];
        rng.fill_bytes(&mut noise);
        if rng.random_bool(0.7) && noise.len() > 5 {
            // An input for a tick that is not far away.
            noise[..4].copy_from_slice(&rng.random_range(0..2_000_u32).to_le_bytes());
            noise[4] %= 9;
        }
        body.extend(noise);
    }
    let len = body.len().min(room.len());
    room[..len].copy_from_slice(&body[..len]);
    len
}

/// A datagram that nobody sent: made up, or heard and changed, or heard and sent again.
pub(crate) fn forgery(heard: &[&Tapped], rng: &mut Xoshiro256PlusPlus) -> Option<Tapped> {
    let original = *heard.get(rng.random_range(0..heard.len().max(1)))?;
    let mut forged = original.clone();
    match rng.random_range(0..6) {
        // As it was, from where it was.
        0 | 1 => {}
        // As it was, from somewhere else.
        2 => forged.from = SocketAddr::from(([172, 16, 0, rng.random_range(1..9)], 666)),
        3 => {
            if let Some(byte) = pick(&mut forged.bytes, rng) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
        4 => {
            let len = rng.random_range(0..=forged.bytes.len());
            forged.bytes.truncate(len);
        }
        // Noise in somebody's name.
        _ => rng.fill_bytes(&mut forged.bytes),
    }
    if forged.to != server_address() && original.from != server_address() {
        return None;
    }
    Some(forged)
}

fn pick<'b>(bytes: &'b mut [u8], rng: &mut Xoshiro256PlusPlus) -> Option<&'b mut u8> {
    let at = rng.random_range(0..bytes.len().max(1));
    bytes.get_mut(at)
}
