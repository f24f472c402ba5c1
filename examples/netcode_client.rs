//! The session layer alone: a client that sends numbered payloads to an echo server and counts what comes back.
//!
//! ```text
//! cargo run --release --example netcode_client -- --token token.bin --seconds 10 --send-rate 60 --size 100
//! ```
//!
//! `--token` names a file with the 2048 bytes of a connect token, which `netcode_token` writes. Prints one JSON object:
//! `state` is the standard's name of the client's state just before its goodbye, `echoed` counts payloads that came back
//! whole and for the first time, `rtt_ms` is of those.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: reads a clock, owns a socket, talks to a terminal"
)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

mod flags;
mod tally;

use flags::{Flags, fail, within};
use tally::{Tally, write_payload};
use tickwire::proto::netcode::{
    ClientReceived, ClientState, ConnectToken, MAX_DATAGRAM, MAX_PAYLOAD, NetcodeClient,
};
use tickwire::time::Timestamp;

const USAGE: &str = "--token FILE --seconds S --send-rate HZ --size BYTES";

/// A socket of the server's family.
fn socket_for(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).unwrap_or_else(|error| fail(1, &format!("{any}: {error}")))
}

fn main() {
    let flags = Flags::parse(USAGE);
    let file = flags.required("--token", "a file", |it| Some(it.to_owned()));
    let seconds = flags.required("--seconds", "0 to 1000000", |it| within(it, 0.0, 1e6));
    let send_rate = flags.required("--send-rate", "0.1 to 100000 Hz", |it| within(it, 0.1, 1e5));
    let size = flags.required("--size", "1 to 1200 bytes", |it| {
        it.parse().ok().filter(|it| (1..=MAX_PAYLOAD).contains(it))
    });
    let bytes =
        std::fs::read(&file).unwrap_or_else(|error| fail(1, &format!("--token {file}: {error}")));
    let mut tally = Tally::default();
    let token = ConnectToken::from_bytes(&bytes).unwrap_or_else(|error| {
        tally.report(ClientState::from(error).name(), Some(&error.to_string()));
        std::process::exit(0)
    });
    let clock = Instant::now();
    let time = || Timestamp::from_micros(clock.elapsed().as_micros() as u64);
    let mut client = NetcodeClient::new(token, time());
    let mut socket = socket_for(client.server_address());
    let mut family = client.server_address().is_ipv4();
    let (mut input, mut out) = ([0; 2_048], [0; MAX_DATAGRAM]);
    let end = Timestamp::ZERO + Duration::from_secs_f64(seconds);
    // The last echoes may still be under way when the last payload has been sent.
    let grace = end + Duration::from_millis(500);
    let mut next = None;
    while !client.state().is_end() {
        let now = time();
        if now >= grace || (now >= end && tally.is_complete()) {
            break;
        }
        client.handle_timeout(now);
        if client.server_address().is_ipv4() != family {
            family = !family;
            socket = socket_for(client.server_address());
        }
        while let Some(transmit) = client.poll_transmit(now, &mut out) {
            let _ = socket.send_to(&out[..transmit.len], transmit.to);
        }
        if client.state() == ClientState::Connected && now < end {
            let due = next.get_or_insert(now);
            while *due <= now {
                *due += Duration::from_secs_f64(1.0 / send_rate);
                let number = tally.sent();
                let sealed = client.seal(now, &mut out, |room| {
                    write_payload(number, &mut room[..size]);
                    size
                });
                if let Some(transmit) = sealed {
                    tally.send(now);
                    let _ = socket.send_to(&out[..transmit.len], transmit.to);
                }
            }
        }
        let wake = [
            next.filter(|_| now < end),
            client.poll_timeout(),
            Some(grace),
        ];
        let wait = wake
            .into_iter()
            .flatten()
            .min()
            .map_or(Duration::ZERO, |at| at.since(time()));
        let _ = socket.set_read_timeout(Some(
            wait.clamp(Duration::from_micros(100), Duration::from_millis(20)),
        ));
        // An error is a silent moment, or a server that is not there yet (ICMP): time decides what that means.
        if let Ok((len, from)) = socket.recv_from(&mut input) {
            let now = time();
            if let ClientReceived::Payload(payload) = client.receive(now, from, &mut input[..len]) {
                tally.receive(now, payload, size);
            }
        }
        while client.poll_event().is_some() {}
    }
    let state = client.state();
    client.disconnect(time());
    while let Some(transmit) = client.poll_transmit(time(), &mut out) {
        let _ = socket.send_to(&out[..transmit.len], transmit.to);
    }
    let reason = state.is_end().then(|| state.to_string());
    tally.report(state.name(), reason.as_deref());
}
