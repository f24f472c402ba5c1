//! Strangers: the `renetcode` crate, another implementation of netcode 1.02, at either end.
//!
//! Two of its habits are not the standard's, and both ends live with them here. It writes sequence number 0 into
//! no bytes at all (the standard says 1 to 8), so that its first packet is ignored and its second counts. And it writes
//! the words of IPv6 addresses in big-endian order, so that tokens for both must name addresses that
//! read the same either way.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test: a broken promise ends it"
)]

mod netcode_kit;

use std::net::SocketAddr;
use std::time::Duration;

use netcode_kit::*;
use tickwire::id::{ClientId, ClientSlot};
use tickwire::proto::netcode::{
    ClientState, ConnectToken, End, MAX_DATAGRAM, NetcodeClient, NetcodeServer, Received,
    ServerConfig, SessionEvent, TOKEN_LEN,
};

const CLIENTS: u32 = 64;
const STEP: Duration = Duration::from_millis(50);
/// Thirty seconds.
const STEPS: u64 = 600;

/// IPv4, and an IPv6 address whose words are the same in both byte orders.
fn servers() -> [SocketAddr; 2] {
    [here(), address("[fdfd:1111::2222]:40000")]
}

fn client_at(server: SocketAddr, number: u32) -> SocketAddr {
    if server.is_ipv4() {
        return there(number);
    }
    format!("[2001:db8::{number:x}]:5000")
        .parse()
        .expect("an address")
}

/// Who issues the token must not matter.
#[derive(Clone, Copy, Debug)]
enum Issuer {
    Ours,
    Theirs,
}

/// The 2048 public bytes.
fn issue(issuer: Issuer, server: SocketAddr, client: u64) -> Vec<u8> {
    match issuer {
        Issuer::Ours => {
            let mut backend = Backend::new(client);
            backend.spec.servers = vec![server];
            backend.spec.expires.0 += 300;
            backend.token(client).to_bytes().to_vec()
        }
        Issuer::Theirs => {
            let now = Duration::from_secs(WALL);
            let token = renetcode::ConnectToken::generate(
                now,
                PROTOCOL,
                330,
                client,
                5,
                vec![server],
                None,
                &KEY,
            )
            .expect("a token");
            let mut bytes = Vec::new();
            token.write(&mut bytes).expect("memory");
            // Theirs are stored with the client id in front and without the padding.
            bytes.drain(..8);
            bytes.resize(TOKEN_LEN, 0);
            bytes
        }
    }
}

fn their_token(public: &[u8], client: u64) -> renetcode::ConnectToken {
    let stored = [&client.to_le_bytes(), public].concat();
    renetcode::ConnectToken::read(&mut &stored[..]).expect("a token")
}

fn our_server(at: SocketAddr) -> NetcodeServer {
    let config = ServerConfig {
        addresses: vec![at],
        ..config(CLIENTS)
    };
    let registry = std::sync::Arc::new(tickwire::proto::netcode::LocalRegistry::new(CLIENTS));
    server_with(config, WALL * 1_000_000, registry)
}

fn their_client(token: renetcode::ConnectToken) -> renetcode::NetcodeClient {
    let authentication = renetcode::ClientAuthentication::Secure {
        connect_token: token,
    };
    renetcode::NetcodeClient::new(Duration::from_secs(WALL), authentication).expect("a client")
}

/// Their clients at our server: all connect, every payload is echoed, a goodbye is understood.
fn their_clients_at_our_server(issuer: Issuer, at: SocketAddr) {
    let mut server = our_server(at);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let id = u64::from(number) + 1;
            their_client(their_token(&issue(issuer, at, id), id))
        })
        .collect();
    let (mut sent, mut echoed) = (0_u64, 0_u64);
    let mut out = [0; MAX_DATAGRAM];
    for step in 1..=STEPS {
        let now = ms(step * STEP.as_millis() as u64);
        for (number, client) in clients.iter_mut().enumerate() {
            let from = client_at(at, number as u32);
            let mut datagrams = Vec::new();
            if let Some((bytes, to)) = client.update(STEP) {
                assert_eq!(to, at);
                datagrams.push(bytes.to_vec());
            }
            // The last payloads have time to come back.
            if client.is_connected() && step < STEPS {
                let payload = sent.to_le_bytes();
                let (_, bytes) = client.generate_payload_packet(&payload).expect("connected");
                datagrams.push(bytes.to_vec());
                sent += 1;
            }
            for mut bytes in datagrams {
                let echo = match server.receive(now, from, &mut bytes) {
                    Received::Payload { slot, payload } => Some((slot, payload.to_vec())),
                    Received::KeepAlive { .. } | Received::Handled | Received::Rejected(_) => None,
                };
                if let Some((slot, payload)) = echo {
                    for mut bytes in echoes(&mut server, now, slot, &payload, &mut out) {
                        let echoed_payload = client.process_packet(&mut bytes);
                        echoed += u64::from(echoed_payload == Some(&payload[..]));
                    }
                }
            }
        }
        server.handle_timeout(now);
        for (to, mut bytes) in drain_server(&mut server, now) {
            let number = (0..CLIENTS).position(|it| client_at(at, it) == to);
            clients[number.expect("one of ours")].process_packet(&mut bytes);
        }
    }
    assert!(clients.iter().all(renetcode::NetcodeClient::is_connected));
    assert_eq!(server.len(), CLIENTS as usize);
    assert!(sent > u64::from(CLIENTS) * 580, "{sent}");
    assert_eq!(echoed, sent, "all echoed");
    goodbyes_at_our_server(server, clients, at);
}

/// An echo as the standard wants it: a keep-alive before it while the client is unconfirmed.
fn echoes(
    server: &mut NetcodeServer,
    now: tickwire::time::Timestamp,
    slot: ClientSlot,
    payload: &[u8],
    out: &mut [u8],
) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    if !server.is_confirmed(slot) {
        let keep_alive = server.seal_keep_alive(now, slot, out).expect("a session");
        datagrams.push(out[..keep_alive.len].to_vec());
    }
    datagrams.push(server_payload(server, now, slot, payload));
    datagrams
}

fn goodbyes_at_our_server(
    mut server: NetcodeServer,
    mut clients: Vec<renetcode::NetcodeClient>,
    at: SocketAddr,
) {
    let now = ms(STEPS * STEP.as_millis() as u64);
    while server.poll_event().is_some() {}
    let (to, goodbye) = clients[0].disconnect().expect("a goodbye");
    assert_eq!(to, at);
    server.receive(now, client_at(at, 0), &mut goodbye.to_vec());
    let events = events(&mut server);
    let [SessionEvent::Disconnected { client, end, .. }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((*client, *end), (ClientId(1), End::Goodbye));

    let slot = server.session_at(client_at(at, 1)).expect("a session");
    server.disconnect(now, slot);
    for (_, mut bytes) in drain_server(&mut server, now) {
        clients[1].process_packet(&mut bytes);
    }
    let reason = clients[1].disconnect_reason();
    assert_eq!(
        reason,
        Some(renetcode::DisconnectReason::DisconnectedByServer)
    );
}

/// Our clients at their server.
fn our_clients_at_their_server(issuer: Issuer, at: SocketAddr) {
    let mut server = renetcode::NetcodeServer::new(renetcode::ServerConfig {
        current_time: Duration::from_secs(WALL),
        max_clients: CLIENTS as usize,
        protocol_id: PROTOCOL,
        public_addresses: vec![at],
        authentication: renetcode::ServerAuthentication::Secure { private_key: KEY },
    });
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let token = issue(issuer, at, u64::from(number) + 1);
            let token = ConnectToken::from_bytes(&token).expect("a token");
            NetcodeClient::new(token, ms(0))
        })
        .collect();
    let (mut sent, mut echoed) = (0_u64, 0_u64);
    for step in 1..=STEPS {
        let now = ms(step * STEP.as_millis() as u64);
        server.update(STEP);
        let mut down: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let from = client_at(at, number as u32);
            client.handle_timeout(now);
            let mut datagrams = drain_client(client, now);
            if client.state() == ClientState::Connected && step < STEPS {
                datagrams.push(client_payload(client, now, &sent.to_le_bytes()));
                sent += 1;
            }
            for mut bytes in datagrams {
                down.extend(their_answer(&mut server, from, &mut bytes));
            }
        }
        for id in server.clients_id() {
            if let renetcode::ServerResult::PacketToSend { addr, payload } =
                server.update_client(id)
            {
                down.push((addr, payload.to_vec()));
            }
        }
        for (to, bytes) in down {
            let number = (0..CLIENTS).position(|it| client_at(at, it) == to);
            let client = &mut clients[number.expect("one of ours")];
            echoed += u64::from(deliver_if_payload(client, now, bytes));
        }
    }
    let connected = |it: &&NetcodeClient| it.state() == ClientState::Connected;
    assert_eq!(clients.iter().filter(connected).count(), CLIENTS as usize);
    assert!(sent > u64::from(CLIENTS) * 580, "{sent}");
    assert_eq!(echoed, sent, "all echoed");

    let now = ms(STEPS * STEP.as_millis() as u64);
    clients[0].disconnect(now);
    for mut bytes in drain_client(&mut clients[0], now) {
        server.process_packet(client_at(at, 0), &mut bytes);
    }
    assert!(!server.is_client_connected(1));
    let renetcode::ServerResult::ClientDisconnected {
        payload: Some(goodbye),
        ..
    } = server.disconnect(2)
    else {
        panic!("a goodbye");
    };
    clients[1].receive(now, at, &mut goodbye.to_vec());
    assert_eq!(clients[1].state(), ClientState::Disconnected);
}

fn their_answer(
    server: &mut renetcode::NetcodeServer,
    from: SocketAddr,
    bytes: &mut [u8],
) -> Option<(SocketAddr, Vec<u8>)> {
    use renetcode::ServerResult;
    let (id, payload) = match server.process_packet(from, bytes) {
        ServerResult::PacketToSend { addr, payload } => return Some((addr, payload.to_vec())),
        ServerResult::ClientConnected { addr, payload, .. } => {
            return Some((addr, payload.to_vec()));
        }
        ServerResult::Payload { client_id, payload } => (client_id, payload.to_vec()),
        ServerResult::ClientDisconnected { .. } | ServerResult::None => return None,
    };
    let (addr, echo) = server
        .generate_payload_packet(id, &payload)
        .expect("a session");
    Some((addr, echo.to_vec()))
}

fn deliver_if_payload(
    client: &mut NetcodeClient,
    now: tickwire::time::Timestamp,
    mut bytes: Vec<u8>,
) -> bool {
    use tickwire::proto::netcode::ClientReceived;
    let from = client.server_address();
    matches!(
        client.receive(now, from, &mut bytes),
        ClientReceived::Payload(_)
    )
}

#[test]
fn their_clients_play_at_our_server() {
    for at in servers() {
        for issuer in [Issuer::Ours, Issuer::Theirs] {
            println!("{issuer:?} at {at}");
            their_clients_at_our_server(issuer, at);
        }
    }
}

#[test]
fn our_clients_play_at_their_server() {
    for at in servers() {
        for issuer in [Issuer::Ours, Issuer::Theirs] {
            println!("{issuer:?} at {at}");
            our_clients_at_their_server(issuer, at);
        }
    }
}

/// The first habit, seen from outside: their first response has no sequence bytes, and their second is good.
#[test]
fn their_packet_without_a_sequence_number_is_ignored_and_the_next_one_counts() {
    let mut server = our_server(here());
    let mut client = their_client(their_token(&issue(Issuer::Ours, here(), 1), 1));
    let mut prefixes = Vec::new();
    for step in 1..100 {
        let now = ms(step * 20);
        if let Some((bytes, _)) = client.update(STEP) {
            prefixes.push(bytes[0]);
            server.receive(now, there(1), &mut bytes.to_vec());
        }
        for (_, mut bytes) in drain_server(&mut server, now) {
            client.process_packet(&mut bytes);
        }
    }
    assert!(client.is_connected());
    assert_eq!(server.len(), 1);
    println!("{prefixes:#x?}");
}

#[test]
fn their_full_server_denies_our_client() {
    let mut server = renetcode::NetcodeServer::new(renetcode::ServerConfig {
        current_time: Duration::from_secs(WALL),
        max_clients: 1,
        protocol_id: PROTOCOL,
        public_addresses: vec![here()],
        authentication: renetcode::ServerAuthentication::Secure { private_key: KEY },
    });
    let mut states = Vec::new();
    for number in 1..3_u32 {
        let token = issue(Issuer::Ours, here(), u64::from(number));
        let token = ConnectToken::from_bytes(&token).expect("a token");
        let mut client = NetcodeClient::new(token, ms(0));
        for step in 0..100 {
            let now = ms(step * 20);
            server.update(STEP);
            for mut bytes in drain_client(&mut client, now) {
                if let Some((_, bytes)) = their_answer(&mut server, there(number), &mut bytes) {
                    deliver_if_payload(&mut client, now, bytes);
                }
            }
            for id in server.clients_id() {
                if let renetcode::ServerResult::PacketToSend { addr, payload } =
                    server.update_client(id)
                    && addr == there(number)
                {
                    deliver_if_payload(&mut client, now, payload.to_vec());
                }
            }
        }
        states.push(client.state());
    }
    assert_eq!(
        states,
        [ClientState::Connected, ClientState::ConnectionDenied]
    );
}
