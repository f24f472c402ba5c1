//! The session layer alone: a server that sends every payload back to whoever sent it.
//!
//! ```text
//! export KEY=$(openssl rand -hex 32)
//! cargo run --release --example netcode_echo -- --listen 127.0.0.1:40000 --key $KEY \
//!     --protocol-id 0x1122334455667788 --max-clients 64
//! ```
//!
//! Runs until it is stopped. The key is shared with `netcode_token`, which lets `netcode_client` in. (A real server reads its
//! key from a file: command lines are seen by everybody on the machine.)
//!
//! `--public ADDR`, as often as needed, names the addresses that tokens use, where that is not the one listened on.
//! It reads the clocks, owns the socket and decides nothing: all that is netcode is in `tickwire::proto::netcode`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a driver: reads clocks, owns a socket, talks to a terminal"
)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

mod flags;

use flags::{Flags, fail, number};
use rand::rngs::ChaCha20Rng;
use tickwire::proto::netcode::{
    Key, LocalRegistry, MAX_DATAGRAM, NetcodeServer, Received, ServerConfig,
};
use tickwire::time::{Timestamp, UnixTime};

const USAGE: &str = "--listen ADDR --key HEX64 --protocol-id N --max-clients N [--public ADDR]";
const ADDRESS: &str = "IP:PORT, like 127.0.0.1:40000 or [::1]:40000";

/// A socket with a buffer for the bursts of a flood. Reads end after a few milliseconds, so that time passes.
fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        None,
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&address.into())?;
    socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    Ok(socket.into())
}

fn unix_time() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Nothing came; or a peer is gone (ICMP says so), which is its business and not the socket's.
fn is_harmless(kind: ErrorKind) -> bool {
    use ErrorKind as E;
    let silence = matches!(kind, E::WouldBlock | E::TimedOut | E::Interrupted);
    silence
        || matches!(
            kind,
            E::ConnectionRefused | E::ConnectionReset | E::HostUnreachable | E::NetworkUnreachable
        )
}

fn main() {
    let flags = Flags::parse(USAGE);
    let listen = flags.required("--listen", ADDRESS, |it| it.parse().ok());
    let key = flags.required("--key", "64 hexadecimal digits", |it| {
        Key::from_hex(it).ok()
    });
    let protocol_id = flags.required(
        "--protocol-id",
        "a number below 2^64, decimal or 0x-hexadecimal",
        number,
    );
    let max_clients = flags.required("--max-clients", "1 to 65536", |it| {
        it.parse().ok().filter(|it| (1..=65_536).contains(it))
    });
    let mut public: Vec<SocketAddr> = flags.each("--public", ADDRESS, |it| it.parse().ok());
    let socket =
        bind(listen).unwrap_or_else(|error| fail(1, &format!("--listen {listen}: {error}")));
    let local = socket.local_addr().unwrap_or(listen);
    if public.is_empty() {
        public.push(local);
        if local.ip().is_unspecified() {
            public.push((Ipv4Addr::LOCALHOST, local.port()).into());
            public.push((Ipv6Addr::LOCALHOST, local.port()).into());
        }
    }
    let mut config = ServerConfig::new(protocol_id, key, local, max_clients);
    config.addresses = public;
    let started = unix_time().as_micros() as u64;
    let registry = Arc::new(LocalRegistry::new(max_clients));
    let mut server = NetcodeServer::new(
        config,
        &mut rand::make_rng::<ChaCha20Rng>(),
        started,
        registry,
    )
    .unwrap_or_else(|error| fail(2, &error.to_string()));
    eprintln!("listening on {local}");

    let clock = Instant::now();
    let (mut input, mut out) = ([0; 2_048], [0; MAX_DATAGRAM]);
    loop {
        let received = socket.recv_from(&mut input);
        let now = Timestamp::from_micros(clock.elapsed().as_micros() as u64);
        match received {
            Ok((len, from)) => {
                if let Received::Payload { slot, payload } =
                    server.receive(now, from, &mut input[..len])
                {
                    if !server.is_confirmed(slot)
                        && let Some(told) = server.seal_keep_alive(now, slot, &mut out)
                    {
                        let _ = socket.send_to(&out[..told.len], told.to);
                    }
                    let echo = server.seal(now, slot, &mut out, |room| {
                        room[..payload.len()].copy_from_slice(payload);
                        payload.len()
                    });
                    if let Some(echo) = echo {
                        let _ = socket.send_to(&out[..echo.len], echo.to);
                    }
                }
            }
            Err(error) if is_harmless(error.kind()) => {}
            Err(error) => fail(1, &format!("{local}: {error}")),
        }
        if server.poll_timeout().is_none_or(|due| due <= now) {
            server.set_wall_clock(UnixTime(unix_time().as_secs()));
            server.handle_timeout(now);
        }
        while let Some(transmit) = server.poll_transmit(now, &mut out) {
            let _ = socket.send_to(&out[..transmit.len], transmit.to);
        }
        while server.poll_event().is_some() {}
    }
}
