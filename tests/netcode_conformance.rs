//! netcode 1.02 from its text: every layout byte by byte, every number, every licensed transition.
//!
//! The expectations are written down from STANDARD.md, section by section, and built here a second time with plain
//! offsets; the cipher below is used directly, not through the library's own sealing.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test: a broken promise ends it"
)]

mod netcode_kit;

use std::net::SocketAddr;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use netcode_kit::*;
use tickwire::id::ClientSlot;
use tickwire::proto::netcode::{
    ClientReceived, ClientState, ConnectToken, MAX_DATAGRAM, NetcodeClient, NetcodeServer,
    Received, Rejection, SessionEvent, TokenError,
};
use tickwire::time::{Timestamp, UnixTime};

const VERSION: &[u8; 13] = b"NETCODE 1.02\0";

// "Packets"
const DENIED: u8 = 1;
const CHALLENGE: u8 = 2;
const RESPONSE: u8 = 3;
const KEEP_ALIVE: u8 = 4;
const PAYLOAD: u8 = 5;
const DISCONNECT: u8 = 6;

/// A public connect token taken apart by the offsets of the section "Connect Token".
struct Taken {
    bytes: Box<[u8; 2048]>,
    private: Vec<u8>,
}

impl Taken {
    fn apart(token: &ConnectToken) -> Self {
        let bytes = token.to_bytes();
        let mut data = VERSION.to_vec();
        data.extend(&bytes[13..21]);
        data.extend(&bytes[29..37]);
        let mut private = bytes[61..1085].to_vec();
        let tag = private.split_off(1008);
        XChaCha20Poly1305::new(&KEY.into())
            .decrypt_inout_detached(
                bytes[37..61].try_into().expect("24 bytes"),
                &data,
                private.as_mut_slice().into(),
                tag.as_slice().try_into().expect("16 bytes"),
            )
            .expect("sealed with the shared key, over version, protocol id and expiry");
        Self { bytes, private }
    }

    fn keys(&self) -> Keys {
        let servers = u32::from_le_bytes(self.bytes[1089..1093].try_into().expect("4"));
        assert_eq!(servers, 1, "these offsets are for one IPv4 server");
        Keys {
            up: self.bytes[1100..1132].try_into().expect("32"),
            down: self.bytes[1132..1164].try_into().expect("32"),
        }
    }
}

#[derive(Clone, Copy)]
struct Keys {
    up: [u8; 32],
    down: [u8; 32],
}

/// "Packets": the 96 bit nonce.
fn nonce(sequence: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_le_bytes());
    nonce
}

fn associated(prefix: u8) -> Vec<u8> {
    [&VERSION[..], &PROTOCOL.to_le_bytes(), &[prefix]].concat()
}

/// Seals any body as any type, ill-sized ones too, with as many sequence bytes as wanted.
fn seal_wide(key: &[u8; 32], kind: u8, sequence: u64, count: usize, body: &[u8]) -> Vec<u8> {
    let prefix = (count as u8) << 4 | kind;
    let mut sealed = body.to_vec();
    let tag = ChaCha20Poly1305::new(&(*key).into())
        .encrypt_inout_detached(
            &nonce(sequence).into(),
            &associated(prefix),
            sealed.as_mut_slice().into(),
        )
        .expect("short");
    let number = sequence.to_le_bytes();
    [&[prefix], &number[..count], &sealed, tag.as_slice()].concat()
}

fn seal(key: &[u8; 32], kind: u8, sequence: u64, body: &[u8]) -> Vec<u8> {
    let count = (1..8)
        .find(|count| sequence >> (8 * count) == 0)
        .unwrap_or(8);
    seal_wide(key, kind, sequence, count as usize, body)
}

/// Type, sequence number and body of a packet.
fn open(key: &[u8; 32], packet: &[u8]) -> (u8, u64, Vec<u8>) {
    let count = usize::from(packet[0] >> 4);
    let mut number = [0; 8];
    number[..count].copy_from_slice(&packet[1..=count]);
    let sequence = u64::from_le_bytes(number);
    let (sealed, tag) = packet[1 + count..].split_last_chunk::<16>().expect("a mac");
    let mut body = sealed.to_vec();
    ChaCha20Poly1305::new(&(*key).into())
        .decrypt_inout_detached(
            &nonce(sequence).into(),
            &associated(packet[0]),
            body.as_mut_slice().into(),
            &(*tag).into(),
        )
        .expect("sealed as the standard says");
    (packet[0] & 0x0f, sequence, body)
}

#[test]
fn section_connect_token_the_public_part() {
    let mut backend = Backend::new(1);
    backend.spec.timeout_seconds = -2;
    backend.spec.servers = vec![
        address("1.2.3.4:513"),
        address("[1:203:405:607:809:a0b:c0d:e0f]:40000"),
    ];
    let token = backend.token(9);
    let bytes = token.to_bytes();
    assert_eq!(&bytes[0..13], VERSION);
    assert_eq!(bytes[13..21], PROTOCOL.to_le_bytes());
    assert_eq!(bytes[21..29], WALL.to_le_bytes(), "create timestamp");
    assert_eq!(bytes[29..37], (WALL + 30).to_le_bytes(), "expire timestamp");
    assert_ne!(bytes[37..61], [0; 24], "nonce");
    assert_eq!(bytes[1085..1089], (-2_i32).to_le_bytes(), "timeout");
    assert_eq!(
        bytes[1089..1093],
        2_u32.to_le_bytes(),
        "number of addresses"
    );
    assert_eq!(
        bytes[1093..1100],
        [1, 1, 2, 3, 4, 0x01, 0x02],
        "IPv4, port 513"
    );
    let six = [
        2, 0x01, 0x00, 0x03, 0x02, 0x05, 0x04, 0x07, 0x06, 0x09, 0x08, 0x0b, 0x0a, 0x0d, 0x0c,
        0x0f, 0x0e, 0x40, 0x9c,
    ];
    assert_eq!(
        bytes[1100..1119],
        six,
        "IPv6, words little-endian, port 40000"
    );
    assert_ne!(bytes[1119..1151], bytes[1151..1183], "two keys");
    assert!(bytes[1183..].iter().all(|byte| *byte == 0), "zero pad");
    assert_eq!(
        ConnectToken::from_bytes(&bytes[..])
            .expect("ours")
            .to_bytes(),
        bytes
    );
}

#[test]
fn section_connect_token_the_private_part() {
    let taken = Taken::apart(&Backend::new(2).token(0x0102_0304_0506_0708));
    let private = &taken.private;
    assert_eq!(private[0..8], [8, 7, 6, 5, 4, 3, 2, 1], "client id");
    assert_eq!(private[8..12], 5_u32.to_le_bytes(), "timeout");
    assert_eq!(private[12..16], 1_u32.to_le_bytes(), "number of addresses");
    assert_eq!(
        private[16..23],
        [1, 192, 0, 2, 1, 0x40, 0x9c],
        "192.0.2.1:40000"
    );
    assert_eq!(private[23..55], taken.keys().up, "client to server key");
    assert_eq!(private[55..87], taken.keys().down, "server to client key");
    assert_eq!(&private[87..95], b"a knight");
    assert!(
        private[95..1008].iter().all(|byte| *byte == 0),
        "user data and zero pad"
    );
}

#[test]
fn section_connect_token_what_makes_one_invalid() {
    let good = Backend::new(3).token(1).to_bytes();
    let read = |at: usize, bytes: &[u8]| {
        let mut token = good.clone();
        token[at..at + bytes.len()].copy_from_slice(bytes);
        ConnectToken::from_bytes(&token[..]).map(|_| ())
    };
    assert_eq!(read(0, b"NETCODE 1.02\0"), Ok(()));
    assert_eq!(read(11, b"1"), Err(TokenError::Version));
    assert_eq!(
        read(12, b" "),
        Err(TokenError::Version),
        "the zero is part of it"
    );
    for count in [0_u32, 33, u32::MAX] {
        let error = TokenError::ServerCount(count as usize);
        assert_eq!(read(1089, &count.to_le_bytes()), Err(error));
    }
    for kind in [0, 3, 255] {
        assert_eq!(read(1093, &[kind]), Err(TokenError::AddressType));
    }
    let later = (WALL + 31).to_le_bytes();
    assert_eq!(read(21, &later), Err(TokenError::ExpiresBeforeCreated));
    assert_eq!(
        read(21, &(WALL + 30).to_le_bytes()),
        Ok(()),
        "not more recent"
    );
    for len in [0, 2047, 2049] {
        let bytes = vec![0; len];
        assert_eq!(
            ConnectToken::from_bytes(&bytes).map(|_| ()),
            Err(TokenError::Length(len))
        );
    }
    assert_eq!(
        ClientState::from(TokenError::Version),
        ClientState::InvalidConnectToken
    );
}

/// A handshake taken step by step, every packet kept.
struct Handshake {
    server: NetcodeServer,
    client: NetcodeClient,
    keys: Keys,
    token: Taken,
    request: Vec<u8>,
    challenge: Vec<u8>,
    response: Vec<u8>,
    keep_alive: Vec<u8>,
    confirmation: Vec<u8>,
}

fn handshake(seed: u64) -> Handshake {
    let (mut server, mut backend) = (server(300), Backend::new(seed));
    let token = backend.token(77);
    let taken = Taken::apart(&token);
    let mut client = NetcodeClient::new(token, ms(0));
    let request = one(drain_client(&mut client, ms(0)));
    assert_eq!(refusal(&mut server, ms(0), there(1), &request), None);
    let challenge = one(drain_server(&mut server, ms(0))).1;
    client.receive(ms(0), here(), &mut challenge.clone());
    let response = one(drain_client(&mut client, ms(0)));
    assert_eq!(refusal(&mut server, ms(0), there(1), &response), None);
    let keep_alive = one(drain_server(&mut server, ms(0))).1;
    client.receive(ms(0), here(), &mut keep_alive.clone());
    let confirmation = one(drain_client(&mut client, ms(0)));
    Handshake {
        server,
        client,
        keys: taken.keys(),
        token: taken,
        request,
        challenge,
        response,
        keep_alive,
        confirmation,
    }
}

fn one<T>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "one packet");
    all.remove(0)
}

impl Handshake {
    fn slot(&self) -> ClientSlot {
        self.server.session_at(there(1)).expect("a session")
    }

    fn up(&mut self, packet: &[u8]) -> Result<Option<Vec<u8>>, Rejection> {
        match self.server.receive(ms(1), there(1), &mut packet.to_vec()) {
            Received::Payload { payload, .. } => Ok(Some(payload.to_vec())),
            Received::KeepAlive { .. } | Received::Handled => Ok(None),
            Received::Rejected(rejection) => Err(rejection),
        }
    }

    fn down(&mut self, packet: &[u8]) -> Result<Option<Vec<u8>>, Rejection> {
        match self.client.receive(ms(1), here(), &mut packet.to_vec()) {
            ClientReceived::Payload(payload) => Ok(Some(payload.to_vec())),
            ClientReceived::Handled => Ok(None),
            ClientReceived::Rejected(rejection) => Err(rejection),
        }
    }
}

#[test]
fn section_packets_connection_request() {
    let Handshake { request, token, .. } = handshake(4);
    assert_eq!(request.len(), 1078);
    assert_eq!(request[0], 0);
    assert_eq!(&request[1..14], VERSION);
    assert_eq!(request[14..22], PROTOCOL.to_le_bytes());
    assert_eq!(request[22..30], token.bytes[29..37], "expire timestamp");
    assert_eq!(request[30..54], token.bytes[37..61], "nonce");
    assert_eq!(request[54..], token.bytes[61..1085], "private data");
}

#[test]
fn section_packets_challenge_and_response() {
    let Handshake {
        challenge,
        response,
        keys,
        ..
    } = handshake(5);
    assert_eq!(challenge.len(), 1 + 8 + 308 + 16);
    assert_eq!(challenge[0], 0x82);
    let (_, sequence, body) = open(&keys.down, &challenge);
    assert_eq!(
        sequence,
        (1 << 63) + (WALL * 1_000_000) * 2_048,
        "the server's own numbers"
    );
    assert_eq!(body.len(), 308);
    assert_eq!(body[..8], [0; 8], "the challenge sequence starts at zero");
    assert_eq!(response.len(), 1 + 1 + 308 + 16);
    assert_eq!(response[0], 0x13);
    let (_, sequence, echoed) = open(&keys.up, &response);
    assert_eq!(
        sequence, 0,
        "a session's numbers start at zero, which takes one byte"
    );
    assert_eq!(echoed, body, "the challenge, unchanged");
}

#[test]
fn section_challenge_token_sequence_increases_with_each() {
    let (mut server, mut backend) = (server(8), Backend::new(6));
    let token = backend.token(1);
    let down = Taken::apart(&token).keys().down;
    let mut client = NetcodeClient::new(token, ms(0));
    let request = one(drain_client(&mut client, ms(0)));
    for expected in 0..5_u64 {
        assert_eq!(refusal(&mut server, ms(0), there(1), &request), None);
        let (_, packet) = one(drain_server(&mut server, ms(0)));
        let (_, _, body) = open(&down, &packet);
        assert_eq!(body[..8], expected.to_le_bytes());
    }
}

#[test]
fn section_packets_keep_alive_payload_and_disconnect() {
    let mut it = handshake(7);
    let index = it.slot().index;
    let place = [index.to_le_bytes(), 300_u32.to_le_bytes()].concat();
    assert_eq!(
        open(&it.keys.down, &it.keep_alive),
        (KEEP_ALIVE, 0, place.clone())
    );
    assert_eq!(open(&it.keys.up, &it.confirmation), (KEEP_ALIVE, 1, place));
    let slot = it.slot();
    let payload = server_payload(&mut it.server, ms(1), slot, b"abc");
    assert_eq!(payload.len(), 1 + 1 + 3 + 16);
    assert_eq!(payload[..2], [0x15, 1]);
    assert_eq!(open(&it.keys.down, &payload), (PAYLOAD, 1, b"abc".to_vec()));
    it.server.disconnect(ms(1), slot);
    for (number, (_, goodbye)) in drain_server(&mut it.server, ms(1)).iter().enumerate() {
        assert_eq!(goodbye.len(), 18);
        assert_eq!(
            open(&it.keys.down, goodbye),
            (DISCONNECT, 2 + number as u64, vec![])
        );
    }
}

#[test]
fn section_packets_denied() {
    let (mut server, mut backend) = (server(1), Backend::new(8));
    connect(&mut server, &mut backend, 1, ms(0));
    let token = backend.token(2);
    let down = Taken::apart(&token).keys().down;
    let mut client = NetcodeClient::new(token, ms(0));
    let request = one(drain_client(&mut client, ms(0)));
    let full = refusal(&mut server, ms(0), there(2), &request);
    assert_eq!(full, Some(Rejection::ServerFull));
    let (_, denied) = one(drain_server(&mut server, ms(0)));
    assert_eq!(denied.len(), 1 + 8 + 16);
    let (kind, sequence, body) = open(&down, &denied);
    assert_eq!((kind, body), (DENIED, vec![]));
    assert!(sequence > 1 << 63);
}

#[test]
fn section_packets_sequence_numbers_omit_their_high_zero_bytes() {
    let mut it = handshake(9);
    let slot = it.slot();
    // Keep-alive 0 went before; these are 1, 2, ...
    let packets: Vec<_> = (1..=300_u32)
        .map(|_| server_payload(&mut it.server, ms(1), slot, b"x"))
        .collect();
    assert_eq!(packets[254][..2], [0x15, 255]);
    assert_eq!(packets[255][..3], [0x25, 0, 1], "256 reversed");
    let thousand = seal(&it.keys.up, PAYLOAD, 1_000, b"x");
    assert_eq!(thousand[..3], [0x25, 0xE8, 0x03], "the standard's example");
    assert_eq!(it.up(&thousand), Ok(Some(b"x".to_vec())));
}

#[test]
fn section_reading_encrypted_packets_every_step() {
    let mut it = handshake(10);
    let up = it.keys.up;
    let packet = |kind, sequence, body: &[u8]| seal(&up, kind, sequence, body);
    assert_eq!(
        it.up(&[0x15; 17]),
        Err(Rejection::TooSmall),
        "less than 18 bytes"
    );
    for kind in 7..16 {
        assert_eq!(it.up(&packet(kind, 60, b"x")), Err(Rejection::UnknownType));
    }
    let challenge = packet(CHALLENGE, 61, &[0; 308]);
    assert_eq!(it.up(&challenge), Err(Rejection::WrongDirection));
    let down = it.keys.down;
    let response = seal(&down, RESPONSE, 61, &[0; 308]);
    assert_eq!(it.down(&response), Err(Rejection::WrongDirection));
    assert_eq!(it.down(&[0; 1078]), Err(Rejection::WrongDirection));
    for count in [0x0, 0x9, 0xa, 0xf] {
        let mut bytes = packet(PAYLOAD, 62, b"x");
        bytes[0] = count << 4 | PAYLOAD;
        assert_eq!(it.up(&bytes), Err(Rejection::SequenceBytes));
    }
    assert_eq!(
        it.up(&[0x85; 24]),
        Err(Rejection::Truncated),
        "1 + 8 + 16 is 25"
    );
    assert_eq!(
        it.up(&[0x85; 25]),
        Err(Rejection::Forged),
        "long enough to be tried"
    );
    // Decrypted sizes, one below and one above each; the number is used up all the same.
    let sizes: [(u8, &[usize]); 3] = [
        (KEEP_ALIVE, &[0, 7, 9, 308]),
        (PAYLOAD, &[0]),
        (DISCONNECT, &[1, 8]),
    ];
    let mut sequence = 70;
    for (kind, ill) in sizes {
        for size in ill {
            sequence += 1;
            let bytes = packet(kind, sequence, &vec![0; *size]);
            assert_eq!(it.up(&bytes), Err(Rejection::BodySize), "{kind} of {size}");
            assert_eq!(it.up(&bytes), Err(Rejection::Replayed), "{kind} of {size}");
        }
    }
    let over = packet(PAYLOAD, 90, &[0; 1201]);
    assert_eq!(it.up(&over), Err(Rejection::BodySize));
    assert_eq!(
        it.up(&packet(PAYLOAD, 91, &[7; 1200])),
        Ok(Some(vec![7; 1200]))
    );
    assert_eq!(it.up(&packet(PAYLOAD, 92, &[7])), Ok(Some(vec![7])));
}

#[test]
fn section_reading_encrypted_packets_sizes_at_the_client() {
    let mut backend = Backend::new(11);
    let token = backend.token(1);
    let down = Taken::apart(&token).keys().down;
    let ill: [(u8, usize); 6] = [
        (DENIED, 1),
        (CHALLENGE, 307),
        (CHALLENGE, 309),
        (KEEP_ALIVE, 7),
        (PAYLOAD, 0),
        (DISCONNECT, 1),
    ];
    let mut client = NetcodeClient::new(token, ms(0));
    for (number, (kind, size)) in ill.into_iter().enumerate() {
        let mut bytes = seal_wide(&down, kind, number as u64, 8, &vec![0; size]);
        let received = client.receive(ms(0), here(), &mut bytes);
        assert_eq!(
            received,
            ClientReceived::Rejected(Rejection::BodySize),
            "{kind} {size}"
        );
    }
    assert_eq!(client.state(), ClientState::SendingConnectionRequest);
}

#[test]
fn section_reading_encrypted_packets_zero_in_no_bytes_does_not_exist() {
    let mut it = handshake(12);
    let nothing = seal_wide(&it.keys.down, KEEP_ALIVE, 0, 0, &[0; 8]);
    assert_eq!(it.down(&nothing), Err(Rejection::SequenceBytes));
    let wide = seal_wide(&it.keys.down, PAYLOAD, 5, 8, b"five in eight bytes");
    assert_eq!(it.down(&wide), Ok(Some(b"five in eight bytes".to_vec())));
}

#[test]
fn section_replay_protection_up_to_the_top_of_the_number_space() {
    let mut it = handshake(13);
    let (up, down) = (it.keys.up, it.keys.down);
    // Neither end has received number 1 yet; the window is 256.
    let steps = [
        (2, true),
        (2, false),
        (1, true),
        (1, false),
        (300, true),
        (45, true),
        (44, false),
        (299, true),
        (299, false),
        (u64::MAX, true),
        (u64::MAX, false),
        (u64::MAX - 255, true),
        (u64::MAX - 256, false),
        (u64::MAX - 255, false),
        (301, false),
    ];
    for (sequence, fresh) in steps {
        let expected = if fresh {
            Ok(Some(b"x".to_vec()))
        } else {
            Err(Rejection::Replayed)
        };
        assert_eq!(
            it.up(&seal(&up, PAYLOAD, sequence, b"x")),
            expected,
            "{sequence}"
        );
        assert_eq!(
            it.down(&seal(&down, PAYLOAD, sequence, b"x")),
            expected,
            "{sequence}"
        );
    }
}

#[test]
fn section_replay_protection_applies_to_three_types() {
    let mut backend = Backend::new(14);
    let token = backend.token(1);
    let down = Taken::apart(&token).keys().down;
    let mut client = NetcodeClient::new(token, ms(0));
    // A challenge from the upper half must not move the window away from the session's own numbers.
    let mut challenge = seal(&down, CHALLENGE, 1 << 63, &[7; 308]);
    let mut first = challenge.clone();
    assert_eq!(
        client.receive(ms(0), here(), &mut first),
        ClientReceived::Handled
    );
    let again = client.receive(ms(0), here(), &mut challenge);
    assert_eq!(
        again,
        ClientReceived::Rejected(Rejection::Unexpected),
        "opened, and not needed"
    );
    let mut keep_alive = seal(&down, KEEP_ALIVE, 0, &[0; 8]);
    client.receive(ms(0), here(), &mut keep_alive.clone());
    assert_eq!(client.state(), ClientState::Connected);
    let replay = client.receive(ms(0), here(), &mut keep_alive);
    assert_eq!(replay, ClientReceived::Rejected(Rejection::Replayed));
}

#[test]
fn section_processing_connection_requests_every_step() {
    let (mut server, mut backend) = (server(8), Backend::new(15));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let good = one(drain_client(&mut client, ms(0)));
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let mut refuse = |bytes: &[u8]| refusal(&mut server, ms(0), there(1), bytes);
    assert_eq!(refuse(&good[..1077]), Some(Rejection::RequestSize));
    assert_eq!(
        refuse(&[&good[..], &[0]].concat()),
        Some(Rejection::RequestSize)
    );
    assert_eq!(refuse(&[0]), Some(Rejection::RequestSize));
    assert_eq!(refuse(&changed(13, b'x')), Some(Rejection::RequestVersion));
    assert_eq!(refuse(&changed(14, 0)), Some(Rejection::RequestProtocol));
    assert_eq!(
        refuse(&changed(29, 1)),
        Some(Rejection::TokenForged),
        "a later expiry"
    );
    assert_eq!(
        refuse(&changed(30, good[30] ^ 1)),
        Some(Rejection::TokenForged),
        "nonce"
    );
    assert_eq!(
        refuse(&changed(500, good[500] ^ 1)),
        Some(Rejection::TokenForged)
    );
    assert_eq!(
        refuse(&changed(0, 0x10)),
        Some(Rejection::UnknownType),
        "the whole byte is 0"
    );
    let elsewhere = {
        backend.spec.servers = vec![address("192.0.2.1:40001")];
        NetcodeClient::new(backend.token(2), ms(0))
    };
    let mut elsewhere = elsewhere;
    let request = one(drain_client(&mut elsewhere, ms(0)));
    assert_eq!(refuse(&request), Some(Rejection::WrongServer));
    server.set_wall_clock(UnixTime(WALL + 30));
    assert_eq!(
        refusal(&mut server, ms(0), there(1), &good),
        Some(Rejection::TokenExpired),
        "expired means <="
    );
    assert_eq!(drain_server(&mut server, ms(0)), [], "nobody is answered");
    server.set_wall_clock(UnixTime(WALL + 29));
    assert_eq!(refusal(&mut server, ms(0), there(1), &good), None);
}

#[test]
fn section_client_state_machine_numbers_and_names() {
    let table = [
        (-6, "connect_token_expired"),
        (-5, "invalid_connect_token"),
        (-4, "connection_timed_out"),
        (-3, "connection_response_timed_out"),
        (-2, "connection_request_timed_out"),
        (-1, "connection_denied"),
        (0, "disconnected"),
        (1, "sending_connection_request"),
        (2, "sending_connection_response"),
        (3, "connected"),
    ];
    let ours = ClientState::ALL.map(|state| (state.number(), state.name()));
    assert_eq!(ours, table);
    assert_eq!(
        ClientState::ConnectTokenExpired.to_string(),
        "connect token expired"
    );
}

/// Everything that can happen to a client.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happening {
    Packet(u8),
    Silence,
    TokenAge,
    OwnGoodbye,
}

/// A client in one of its states, with one server, or with a second one to try.
fn client_in(state: ClientState, servers: &[SocketAddr]) -> (NetcodeClient, Keys, Timestamp) {
    let mut backend = Backend::new(16);
    let single = Taken::apart(&backend.token(1)).keys();
    // The same generator gives the same keys: they do not depend on the addresses.
    let mut backend = Backend::new(16);
    backend.spec.servers = servers.to_vec();
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let mut feed = |kind, body: &[u8]| {
        let mut bytes = seal(&single.down, kind, 0, body);
        client.receive(ms(0), servers[0], &mut bytes);
    };
    match state {
        ClientState::SendingConnectionRequest => {}
        ClientState::SendingConnectionResponse => feed(CHALLENGE, &[0; 308]),
        ClientState::Connected => {
            feed(CHALLENGE, &[0; 308]);
            feed(KEEP_ALIVE, &[0; 8]);
        }
        ClientState::ConnectionDenied => feed(DENIED, &[]),
        ClientState::Disconnected => client.disconnect(ms(0)),
        ClientState::ConnectionRequestTimedOut => client.handle_timeout(ms(5_000)),
        ClientState::ConnectionResponseTimedOut => {
            feed(CHALLENGE, &[0; 308]);
            client.handle_timeout(ms(5_000));
        }
        ClientState::ConnectionTimedOut => {
            feed(CHALLENGE, &[0; 308]);
            feed(KEEP_ALIVE, &[0; 8]);
            client.handle_timeout(ms(5_000));
        }
        ClientState::ConnectTokenExpired => client.handle_timeout(ms(30_000)),
        ClientState::InvalidConnectToken => unreachable!("there is no client without a token"),
    }
    assert_eq!(client.state(), state);
    (client, single, ms(0))
}

/// The table of the sections "Sending Connection Request" to "Connected".
fn licensed(state: ClientState, happening: Happening, more_servers: bool) -> ClientState {
    use ClientState as S;
    use Happening as H;
    let failure = |state| {
        if more_servers {
            S::SendingConnectionRequest
        } else {
            state
        }
    };
    match (state, happening) {
        (S::SendingConnectionRequest, H::Packet(CHALLENGE)) => S::SendingConnectionResponse,
        (S::SendingConnectionRequest, H::Packet(DENIED)) => failure(S::ConnectionDenied),
        (S::SendingConnectionRequest, H::Silence) => failure(S::ConnectionRequestTimedOut),
        (S::SendingConnectionResponse, H::Packet(KEEP_ALIVE)) => S::Connected,
        (S::SendingConnectionResponse, H::Packet(DENIED)) => failure(S::ConnectionDenied),
        (S::SendingConnectionResponse, H::Silence) => failure(S::ConnectionResponseTimedOut),
        (S::Connected, H::Packet(DISCONNECT)) => S::Disconnected,
        (S::Connected, H::Silence | H::TokenAge) => S::ConnectionTimedOut,
        (S::SendingConnectionRequest | S::SendingConnectionResponse, H::TokenAge) => {
            S::ConnectTokenExpired
        }
        (state, H::OwnGoodbye) if state.number() > 0 => S::Disconnected,
        (state, _) => state,
    }
}

#[test]
fn section_client_state_machine_only_the_licensed_transitions() {
    let packets = (0..16).map(Happening::Packet);
    let others = [
        Happening::Silence,
        Happening::TokenAge,
        Happening::OwnGoodbye,
    ];
    let happenings: Vec<_> = packets.chain(others).collect();
    let mut seen = 0;
    for state in ClientState::ALL {
        if state == ClientState::InvalidConnectToken {
            continue;
        }
        for servers in [vec![here()], vec![here(), address("192.0.2.2:1")]] {
            // With a second server these are not ends but steps to it.
            let failed = [
                ClientState::ConnectionDenied,
                ClientState::ConnectionRequestTimedOut,
                ClientState::ConnectionResponseTimedOut,
            ];
            if servers.len() > 1 && failed.contains(&state) {
                continue;
            }
            for happening in &happenings {
                let (mut client, keys, now) = client_in(state, &servers);
                match happening {
                    Happening::Packet(kind) => {
                        let size = match *kind {
                            CHALLENGE | RESPONSE => 308,
                            KEEP_ALIVE => 8,
                            PAYLOAD => 20,
                            _ => 0,
                        };
                        let mut bytes = seal(&keys.down, *kind, 9, &vec![0; size]);
                        client.receive(now, servers[0], &mut bytes);
                    }
                    Happening::Silence => client.handle_timeout(ms(5_000)),
                    Happening::TokenAge => client.handle_timeout(ms(30_000)),
                    Happening::OwnGoodbye => client.disconnect(now),
                }
                let expected = licensed(state, *happening, servers.len() > 1);
                assert_eq!(client.state(), expected, "{state}: {happening:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, (9 + 6) * 19);
}

#[test]
fn section_connect_token_expired_is_measured_on_the_monotonic_clock() {
    let mut backend = Backend::new(17);
    backend.spec.servers = vec![here(); 32];
    let mut client = NetcodeClient::new(backend.token(1), ms(500));
    let mut at = 500;
    while !client.state().is_end() {
        at += 10;
        client.handle_timeout(ms(at));
    }
    assert_eq!(client.state(), ClientState::ConnectTokenExpired);
    assert_eq!(
        at, 30_500,
        "expire - create, from the beginning, over six servers"
    );
}

#[test]
fn section_client_side_requests_and_responses_go_out_at_ten_hertz() {
    let (mut client, _, _) = client_in(ClientState::SendingConnectionResponse, &[here()]);
    let mut times = Vec::new();
    for now in 0..1_000 {
        for packet in drain_client(&mut client, ms(now)) {
            assert_eq!(packet[0] & 0x0f, RESPONSE);
            times.push(now);
        }
    }
    assert_eq!(times, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
}

#[test]
fn section_connected_the_client_says_goodbye_redundantly() {
    let (mut client, keys, now) = client_in(ClientState::Connected, &[here()]);
    client.disconnect(now);
    let goodbyes = drain_client(&mut client, now);
    let numbers: Vec<_> = goodbyes.iter().map(|it| open(&keys.up, it)).collect();
    let expected: Vec<_> = (0..10).map(|number| (DISCONNECT, number, vec![])).collect();
    assert_eq!(numbers, expected);
    let mut out = [0; MAX_DATAGRAM];
    assert_eq!(client.seal(now, &mut out, |_| 1), None, "nothing follows");
}

/// The golden conversation, made by `tests/golden/netcode.py` from the standard's text with other ciphers.
fn golden(name: &str) -> Vec<u8> {
    let lines = include_str!("golden/netcode.txt").lines();
    let line = lines
        .filter_map(|line| line.split_once(' '))
        .find(|it| it.0 == name);
    let digits = line.expect("in the file").1.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16);
    digits
        .chunks(2)
        .map(|pair| byte(pair).expect("digits"))
        .collect()
}

#[test]
fn golden_a_client_says_exactly_these_bytes() {
    let token = ConnectToken::from_bytes(&golden("token")).expect("a token");
    assert_eq!(token.to_bytes()[..], golden("token"));
    assert_eq!(token.servers(), [here(), address("[2001:db8::1]:40001")]);
    let mut client = NetcodeClient::new(token, ms(0));
    let hear = |client: &mut NetcodeClient, name: &str| {
        let mut bytes = golden(name);
        assert!(
            !matches!(
                client.receive(ms(0), here(), &mut bytes),
                ClientReceived::Rejected(_)
            ),
            "{name}"
        );
    };
    assert_eq!(one(drain_client(&mut client, ms(0))), golden("request"));
    hear(&mut client, "challenge");
    assert_eq!(one(drain_client(&mut client, ms(0))), golden("response"));
    hear(&mut client, "keep_alive_down");
    assert_eq!(client.state(), ClientState::Connected);
    assert_eq!(
        one(drain_client(&mut client, ms(0))),
        golden("keep_alive_up")
    );
    assert_eq!(
        client_payload(&mut client, ms(0), b"hello"),
        golden("payload_up")
    );
    let heard = deliver_down(&mut client, ms(0), &golden("payload_down"));
    assert_eq!(heard, Ok(b"hello yourself".to_vec()));
    hear(&mut client, "disconnect_down");
    assert_eq!(client.state(), ClientState::Disconnected);
}

#[test]
fn golden_a_client_leaves_or_is_denied_with_exactly_these_bytes() {
    let token = ConnectToken::from_bytes(&golden("token")).expect("a token");
    let mut client = NetcodeClient::new(token.clone(), ms(0));
    for name in ["challenge", "keep_alive_down"] {
        drain_client(&mut client, ms(0));
        client.receive(ms(0), here(), &mut golden(name));
    }
    drain_client(&mut client, ms(0));
    client_payload(&mut client, ms(0), b"hello");
    client.disconnect(ms(0));
    assert_eq!(drain_client(&mut client, ms(0))[0], golden("disconnect_up"));
    let mut client = NetcodeClient::new(token, ms(0));
    client.receive(ms(0), here(), &mut golden("denied"));
    assert_eq!(
        client.server_address(),
        address("[2001:db8::1]:40001"),
        "the next one"
    );
}

#[test]
fn golden_a_server_believes_these_bytes() {
    let mut server = server(64);
    assert_eq!(
        refusal(&mut server, ms(0), there(1), &golden("request")),
        None
    );
    let token = ConnectToken::from_bytes(&golden("token")).expect("a token");
    let mut client = NetcodeClient::new(token, ms(0));
    settle(&mut server, &mut client, there(1), ms(0));
    let connected = events(&mut server);
    let [
        SessionEvent::Connected {
            client, user_data, ..
        },
    ] = connected.as_slice()
    else {
        panic!("{connected:?}");
    };
    assert_eq!(client.0, 0x0102_0304_0506_0708);
    assert_eq!(&user_data.0[..9], b"a knight\0");
    // Sequence numbers 0 and 1 were the response and the keep-alive.
    let heard = deliver(&mut server, ms(0), there(1), &golden("payload_up"));
    assert_eq!(heard, Ok(b"hello".to_vec()));
    assert_eq!(
        refusal(&mut server, ms(0), there(1), &golden("disconnect_up")),
        None
    );
    assert!(server.is_empty());
}
