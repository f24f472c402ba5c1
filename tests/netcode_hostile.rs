//! The session layer among enemies: strangers, thieves, echoes, and clients with valid tokens and bad manners.
//!
//! All randomness is seeded and printed; all time is virtual.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test: a broken promise ends it"
)]

mod netcode_kit;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use netcode_kit::*;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use tickwire::id::ClientId;
use tickwire::proto::netcode::{
    Claim, ClientReceived, ClientState, LocalRegistry, MAX_DATAGRAM, NetcodeClient, NetcodeServer,
    Received, Registry, Rejection, SeatRefusal, ServerConfig, TokenMac,
};
use tickwire::time::UnixTime;

/// All packets of one session's life, by direction, in order.
struct Recording {
    up: Vec<Vec<u8>>,
    down: Vec<Vec<u8>>,
}

/// A server with one connected client, and a recording of how it came to be.
fn recorded(seed: u64) -> (NetcodeServer, NetcodeClient, Recording) {
    let (mut server, mut backend) = (server(8), Backend::new(seed));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let mut recording = Recording {
        up: Vec::new(),
        down: Vec::new(),
    };
    for _ in 0..3 {
        for datagram in drain_client(&mut client, ms(0)) {
            server.receive(ms(0), there(1), &mut datagram.clone());
            recording.up.push(datagram);
        }
        for (_, datagram) in drain_server(&mut server, ms(0)) {
            client.receive(ms(0), here(), &mut datagram.clone());
            recording.down.push(datagram);
        }
    }
    assert_eq!(client.state(), ClientState::Connected);
    (server, client, recording)
}

/// Whether both ends still work, which they would not after a forged goodbye or a poisoned window.
fn assert_alive(server: &mut NetcodeServer, client: &mut NetcodeClient, millis: u64) {
    let up = client_payload(client, ms(millis), b"up");
    assert_eq!(
        deliver(server, ms(millis), there(1), &up),
        Ok(b"up".to_vec())
    );
    let slot = server.session_at(there(1)).expect("a session");
    let down = server_payload(server, ms(millis), slot, b"down");
    assert_eq!(
        deliver_down(client, ms(millis), &down),
        Ok(b"down".to_vec())
    );
}

/// Row 9.
#[test]
fn no_flipped_bit_of_any_packet_has_an_effect() {
    let (mut server, mut client, mut recording) = recorded(1);
    let slot = server.session_at(there(1)).expect("a session");
    // Not delivered yet: fresh to the window, so that only the cipher stands between them and an effect.
    recording
        .up
        .push(client_payload(&mut client, ms(1), b"a payload"));
    recording
        .down
        .push(server_payload(&mut server, ms(1), slot, b"a payload"));
    let mut twin = recorded(1);
    twin.1.disconnect(ms(1));
    recording.up.extend(drain_client(&mut twin.1, ms(1)).pop());
    twin.0.disconnect(ms(1), slot);
    recording
        .down
        .extend(drain_server(&mut twin.0, ms(1)).pop().map(|it| it.1));

    let mut refused = 0;
    let mut newcomer = server_with(config(8), WALL * 1_000_000, Arc::new(LocalRegistry::new(8)));
    for packet in &recording.up {
        for bit in 0..packet.len() * 8 {
            let mut bytes = packet.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                refusal(&mut server, ms(2), there(1), &bytes).is_some(),
                "bit {bit}"
            );
            assert!(
                refusal(&mut newcomer, ms(2), there(1), &bytes).is_some(),
                "bit {bit}"
            );
            refused += 1;
        }
    }
    assert_eq!(drain_server(&mut newcomer, ms(2)), []);
    for packet in &recording.down {
        for bit in 0..packet.len() * 8 {
            let mut bytes = packet.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let received = client.receive(ms(2), here(), &mut bytes);
            assert!(matches!(received, ClientReceived::Rejected(_)), "bit {bit}");
            refused += 1;
        }
    }
    assert!(refused > 12_500, "{refused}");
    assert_alive(&mut server, &mut client, 3);
}

/// Row 9: what one end sent comes back to it.
#[test]
fn reflected_packets_have_no_effect() {
    let (mut server, mut client, recording) = recorded(2);
    for packet in recording.down {
        assert!(refusal(&mut server, ms(1), there(1), &packet).is_some());
    }
    for mut packet in recording.up {
        let received = client.receive(ms(1), here(), &mut packet);
        assert!(matches!(received, ClientReceived::Rejected(_)));
    }
    assert_alive(&mut server, &mut client, 2);
}

/// Row 10.
#[test]
fn any_size_with_any_first_byte_is_refused_in_silence() {
    let seed = 3;
    println!("seed {seed}");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut server, mut client, _) = recorded(seed);
    let mut noise = vec![0; 65_507];
    rng.fill_bytes(&mut noise);
    let edges = [
        0, 1, 2, 16, 17, 18, 19, 24, 25, 26, 317, 325, 333, 1_077, 1_078, 1_079, 1_224, 1_225,
        1_226, 1_400, 2_048, 9_000, 65_507,
    ];
    let mut bytes = noise.clone();
    for first in 0..=255_u8 {
        let random: Vec<_> = (0..16).map(|_| rng.random_range(0..1_300)).collect();
        for len in edges.into_iter().chain(random) {
            for from in [there(1), there(9)] {
                bytes[..len].copy_from_slice(&noise[..len]);
                if len > 0 {
                    bytes[0] = first;
                }
                let received = server.receive(ms(1), from, &mut bytes[..len]);
                assert!(
                    matches!(received, Received::Rejected(_)),
                    "{first:#x} x {len}"
                );
            }
            bytes[..len].copy_from_slice(&noise[..len]);
            if len > 0 {
                bytes[0] = first;
            }
            let received = client.receive(ms(1), here(), &mut bytes[..len]);
            assert!(
                matches!(received, ClientReceived::Rejected(_)),
                "{first:#x} x {len}"
            );
        }
    }
    assert_eq!(drain_server(&mut server, ms(1)), []);
    assert_alive(&mut server, &mut client, 2);
}

/// Row 10: whatever is cut from or added to real packets.
#[test]
fn cut_and_padded_packets_are_refused() {
    let (mut server, mut client, recording) = recorded(4);
    let fresh = client_payload(&mut client, ms(1), &[5; 600]);
    for packet in recording.up.iter().chain([&fresh]) {
        for len in 0..packet.len() {
            assert!(refusal(&mut server, ms(1), there(1), &packet[..len]).is_some());
            assert!(refusal(&mut server, ms(1), there(2), &packet[..len]).is_some());
        }
        for more in 1..20 {
            let long = [&packet[..], &vec![0; more]].concat();
            assert!(refusal(&mut server, ms(1), there(1), &long).is_some());
            assert!(refusal(&mut server, ms(1), there(2), &long).is_some());
        }
    }
    assert_eq!(drain_server(&mut server, ms(1)), []);
    assert_alive(&mut server, &mut client, 2);
}

/// Row 6.
#[test]
fn a_storm_of_replays_delivers_each_payload_once() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut server, mut client, _) = recorded(seed);
        let packets: Vec<_> = (0..250_u32)
            .map(|number| client_payload(&mut client, ms(1), &number.to_le_bytes()))
            .collect();
        let mut storm: Vec<_> = packets.iter().cycle().take(3 * packets.len()).collect();
        match seed % 3 {
            0 => storm.reverse(),
            _ => storm.shuffle(&mut rng),
        }
        let mut delivered = BTreeSet::new();
        for packet in storm {
            if let Ok(payload) = deliver(&mut server, ms(2), there(1), packet) {
                assert!(delivered.insert(payload), "delivered twice");
            }
        }
        assert_eq!(delivered.len(), 250, "all are within the window");
    }
}

/// Row 7.
#[test]
fn a_whole_recorded_session_is_worth_nothing() {
    let (mut server, mut client, recording) = recorded(5);
    for packet in recording.up.iter().chain(recording.up.iter()) {
        assert!(refusal(&mut server, ms(1), there(1), packet).is_some());
    }
    assert_alive(&mut server, &mut client, 2);
    client.disconnect(ms(3));
    for mut goodbye in drain_client(&mut client, ms(3)) {
        server.receive(ms(3), there(1), &mut goodbye);
    }
    while server.poll_event().is_some() {}
    for from in [there(1), there(2)] {
        for packet in &recording.up {
            let refused = refusal(&mut server, ms(4), from, packet);
            assert!(
                matches!(refused, Some(Rejection::TokenUsed | Rejection::NoSession)),
                "{refused:?}"
            );
        }
    }
    assert_eq!(drain_server(&mut server, ms(4)), []);
    assert_eq!(server.poll_event(), None);
}

/// Row 3.
#[test]
fn every_answer_is_smaller_than_its_request_and_none_comes_unasked() {
    let (mut server, mut backend) = (server(1), Backend::new(6));
    let mut bytes_in = 0;
    let mut bytes_out = 0;
    for number in 0..200 {
        let mut client = NetcodeClient::new(backend.token(number), ms(0));
        let request = drain_client(&mut client, ms(0)).remove(0);
        for _ in 0..3 {
            bytes_in += request.len();
            server.receive(ms(0), there(number as u32), &mut request.clone());
            let answers = drain_server(&mut server, ms(0));
            assert!(answers.len() <= 1, "one at most");
            bytes_out += answers.iter().map(|(_, it)| it.len()).sum::<usize>();
        }
    }
    let ratio = bytes_out as f64 / bytes_in as f64;
    assert!(ratio < 0.31, "{ratio}");
    for second in 1..60 {
        server.handle_timeout(ms(second * 1_000));
        assert_eq!(
            drain_server(&mut server, ms(second * 1_000)),
            [],
            "no timer towards strangers"
        );
    }
}

#[test]
fn answers_that_nobody_collects_do_not_pile_up() {
    let (mut server, mut backend) = (server(1), Backend::new(7));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let request = drain_client(&mut client, ms(0)).remove(0);
    let mut last = None;
    for _ in 0..1_000 {
        last = refusal(&mut server, ms(0), there(1), &request);
    }
    assert_eq!(last, Some(Rejection::AnswersFull));
    assert!(drain_server(&mut server, ms(0)).len() <= 256);
    settle(&mut server, &mut client, there(1), ms(100));
    assert_eq!(client.state(), ClientState::Connected);
}

/// Row 4.
#[test]
fn eight_thousand_half_open_handshakes_do_not_lock_newcomers_out() {
    let mut backend = Backend::new(8);
    let config = ServerConfig {
        pending_entries: ServerConfig::PENDING_ENTRIES,
        ..config(64)
    };
    let mut server = server_with(config, 5, Arc::new(LocalRegistry::new(64)));
    let requests: Vec<_> = (0..8_000_u32)
        .map(|number| {
            let mut client = NetcodeClient::new(backend.token(1_000 + u64::from(number)), ms(0));
            (
                there(1_000 + number),
                drain_client(&mut client, ms(0)).remove(0),
            )
        })
        .collect();
    let mut newcomers: Vec<_> = (0..16)
        .map(|number| NetcodeClient::new(backend.token(number), ms(0)))
        .collect();
    // 5 ms each way, and between any two steps of a newcomer a thousand requests of the others.
    let mut flood = requests.iter().cycle();
    let mut connected_at = 0;
    for step in 0..20 {
        let now = ms(step * 100);
        for (from, request) in flood.by_ref().take(1_000) {
            server.receive(now, *from, &mut request.clone());
            drain_server(&mut server, now);
        }
        for (number, client) in newcomers.iter_mut().enumerate() {
            let from = there(number as u32);
            for mut datagram in drain_client(client, now) {
                server.receive(now, from, &mut datagram);
            }
            for (to, mut datagram) in drain_server(&mut server, now) {
                assert_eq!(to, from);
                client.receive(now, here(), &mut datagram);
            }
        }
        server.handle_timeout(now);
        drain_server(&mut server, now);
        if newcomers
            .iter()
            .all(|it| it.state() == ClientState::Connected)
        {
            connected_at = step * 100;
            break;
        }
    }
    assert!(
        newcomers
            .iter()
            .all(|it| it.state() == ClientState::Connected)
    );
    assert!(connected_at <= 2_000, "{connected_at} ms");
}

/// Row 5, at the registry, which decides it for all servers of a process.
#[test]
fn a_used_token_is_refused_after_a_hundred_thousand_others() {
    let registry = LocalRegistry::new(4);
    let claim = |number: u64| {
        let mut mac = [7; 16];
        mac[..8].copy_from_slice(&number.to_le_bytes());
        Claim {
            client: ClientId(number),
            token: TokenMac(mac),
            token_expires: UnixTime(WALL + 600),
            now: UnixTime(WALL),
        }
    };
    for number in 0..100_001 {
        let slot = registry.seat(&claim(number)).expect("a fresh token");
        registry.release(slot);
    }
    let first = claim(0);
    assert_eq!(registry.check(&first), Err(SeatRefusal::TokenUsed));
    assert_eq!(registry.seat(&first), Err(SeatRefusal::TokenUsed));
}

/// Row 5, through the whole server, its own address and another.
#[test]
fn a_used_token_is_refused_from_every_address() {
    let (mut server, mut backend) = (server(300), Backend::new(9));
    let token = backend.token(1);
    let mut client = NetcodeClient::new(token.clone(), ms(0));
    settle(&mut server, &mut client, there(1), ms(0));
    let slot = server.session_at(there(1)).expect("a session");
    server.disconnect(ms(1), slot);
    drain_server(&mut server, ms(1));
    for number in 2..200 {
        connect(&mut server, &mut backend, number, ms(2));
    }
    for from in [there(1), there(900)] {
        let mut again = NetcodeClient::new(token.clone(), ms(3));
        let request = drain_client(&mut again, ms(3)).remove(0);
        let refused = refusal(&mut server, ms(3), from, &request);
        assert_eq!(refused, Some(Rejection::TokenUsed));
    }
    assert_eq!(drain_server(&mut server, ms(3)), []);
}

/// Opens no packet: sees what a listener on the wire sees, plus whose key it was.
#[derive(Default)]
struct NonceRecorder {
    pairs: BTreeSet<(u64, bool, u64)>,
}

impl NonceRecorder {
    /// `key` names the token whose key of that direction sealed the packet.
    fn record(&mut self, key: u64, up: bool, datagram: &[u8]) {
        if datagram[0] == 0 {
            return;
        }
        let count = usize::from(datagram[0] >> 4);
        let mut number = [0; 8];
        number[..count].copy_from_slice(&datagram[1..=count]);
        let sequence = u64::from_le_bytes(number);
        assert!(
            self.pairs.insert((key, up, sequence)),
            "token {key}, up {up}: {sequence} was sealed twice"
        );
    }
}

/// Row 8: handshakes with repeats, sessions, goodbyes, reconnects, a full server, failover, shards, restarts.
#[test]
fn no_key_ever_seals_two_packets_with_one_number() {
    let mut recorder = NonceRecorder::default();
    let mut backend = Backend::new(10);
    backend.spec.servers = vec![here(), here()];
    let registry = Arc::new(LocalRegistry::new(3));
    let tokens: Vec<_> = (0..6).map(|client| backend.token(client)).collect();
    let mut clients: Vec<_> = tokens
        .iter()
        .map(|token| NetcodeClient::new(token.clone(), ms(0)))
        .collect();
    for life in 0..4 {
        // A restart half a millisecond later, with two shards of one start.
        let started = WALL * 1_000_000 + life * 500;
        let mut shards = [0, 1].map(|shard| {
            let config = ServerConfig {
                shard: (shard, 2),
                ..config(3)
            };
            server_with(config, started, registry.clone())
        });
        for step in 0..40 {
            let now = ms(life * 1_000 + step * 25);
            for (number, client) in clients.iter_mut().enumerate() {
                let from = there(number as u32);
                client.handle_timeout(now);
                let mut up = drain_client(client, now);
                if client.state() == ClientState::Connected {
                    up.push(client_payload(client, now, b"payload"));
                }
                for datagram in up {
                    recorder.record(number as u64, true, &datagram);
                    // Everybody hears everything twice, at both shards.
                    for shard in &mut shards {
                        shard.receive(now, from, &mut datagram.clone());
                        shard.receive(now, from, &mut datagram.clone());
                    }
                }
            }
            for shard in &mut shards {
                shard.handle_timeout(now);
                let slots: Vec<_> = shard.sessions().collect();
                let mut down = Vec::new();
                for slot in slots {
                    let to = (0..6)
                        .map(there)
                        .find(|it| shard.session_at(*it) == Some(slot))
                        .expect("one of ours");
                    down.push((to, server_payload(shard, now, slot, b"state")));
                    if step == 30 {
                        shard.disconnect(now, slot);
                    }
                }
                down.extend(drain_server(shard, now));
                for (to, datagram) in down {
                    let number = (0..6).position(|it| there(it) == to).expect("one of ours");
                    recorder.record(number as u64, false, &datagram);
                    clients[number].receive(now, here(), &mut datagram.clone());
                }
            }
        }
        // The process ends without a goodbye; its registry is the kind that persists.
        for shard in &shards {
            for slot in shard.sessions() {
                registry.release(slot);
            }
        }
    }
    assert!(recorder.pairs.len() > 200, "{}", recorder.pairs.len());
}

/// The canary of the test above: the recorder can fail.
#[test]
#[should_panic(expected = "was sealed twice")]
fn two_clients_with_one_token_are_what_the_recorder_finds() {
    let mut recorder = NonceRecorder::default();
    let (mut server, mut backend) = (server(8), Backend::new(11));
    let token = backend.token(1);
    for host in 1..3 {
        let mut client = NetcodeClient::new(token.clone(), ms(0));
        for _ in 0..2 {
            for datagram in drain_client(&mut client, ms(0)) {
                recorder.record(1, true, &datagram);
                server.receive(ms(0), there(host), &mut datagram.clone());
            }
            for (_, mut datagram) in drain_server(&mut server, ms(0)) {
                client.receive(ms(0), here(), &mut datagram);
            }
        }
        server = server_with(config(8), 5, Arc::new(LocalRegistry::new(8)));
    }
}

/// Row 8: the server's own numbers of two lives do not meet, even if the clock moved by a microsecond only.
#[test]
fn a_restarted_server_does_not_repeat_the_numbers_of_its_challenges() {
    let mut recorder = NonceRecorder::default();
    let mut backend = Backend::new(12);
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let request = drain_client(&mut client, ms(0)).remove(0);
    for life in 0..3 {
        let mut server = server_with(
            config(8),
            WALL * 1_000_000 + life,
            Arc::new(LocalRegistry::new(8)),
        );
        for _ in 0..2_048 {
            server.receive(ms(0), there(1), &mut request.clone());
            for (_, datagram) in drain_server(&mut server, ms(0)) {
                recorder.record(1, false, &datagram);
            }
        }
    }
    assert_eq!(recorder.pairs.len(), 3 * 2_048);
}

/// Row 11.
#[test]
fn nothing_keeps_a_dead_clients_place_beyond_its_timeout_and_a_second() {
    let (mut server, mut client, recording) = recorded(13);
    let mut backend = Backend::new(14);
    let stale: Vec<_> = (0..50)
        .map(|number: u8| client_payload(&mut client, ms(1), &[number]))
        .collect();
    for packet in &stale {
        assert!(deliver(&mut server, ms(1), there(1), packet).is_ok());
    }
    let mut other = NetcodeClient::new(backend.token(99), ms(0));
    let forged = drain_client(&mut other, ms(0)).remove(0);
    let mut freed = None;
    for step in 1..700 {
        let now = ms(step * 10);
        for packet in stale.iter().chain(&recording.up).chain([&forged]) {
            server.receive(now, there(1), &mut packet.clone());
        }
        server.handle_timeout(now);
        drain_server(&mut server, now);
        if server.session_at(there(1)).is_none() {
            freed = Some(step * 10);
            break;
        }
    }
    let freed = freed.expect("the place becomes free");
    assert!((5_000..=6_000).contains(&freed), "{freed} ms");
}

/// Row 7: a thief who overheard a request sends it from his own address, before or after the owner.
#[test]
fn a_stolen_request_opens_nothing_and_delays_its_owner_at_most_ten_seconds() {
    let (mut server, mut backend) = (server(8), Backend::new(15));
    backend.spec.timeout_seconds = 20;
    let mut owner = NetcodeClient::new(backend.token(1), ms(0));
    let request = drain_client(&mut owner, ms(0)).remove(0);

    // The owner was first: the thief is met with silence, and the owner's handshake goes on.
    assert_eq!(refusal(&mut server, ms(0), there(1), &request), None);
    let challenge = drain_server(&mut server, ms(0)).remove(0).1;
    assert_eq!(
        refusal(&mut server, ms(1), there(666), &request),
        Some(Rejection::TokenClaimed)
    );
    assert_eq!(drain_server(&mut server, ms(1)), []);
    owner.receive(ms(2), here(), &mut challenge.clone());
    let response = drain_client(&mut owner, ms(2)).remove(0);
    // He cannot hijack the answer either: it is worth nothing at his address.
    assert_eq!(
        refusal(&mut server, ms(2), there(666), &response),
        Some(Rejection::NoSession)
    );
    assert_eq!(refusal(&mut server, ms(2), there(1), &response), None);
    assert!(server.session_at(there(1)).is_some());

    // The thief was first: he cannot answer, and the owner gets in when the claim has aged out.
    let mut owner = NetcodeClient::new(backend.token(2), ms(0));
    let request = drain_client(&mut owner, ms(0)).remove(0);
    assert_eq!(refusal(&mut server, ms(0), there(666), &request), None);
    assert_eq!(
        refusal(&mut server, ms(9_999), there(2), &request),
        Some(Rejection::TokenClaimed)
    );
    drain_server(&mut server, ms(9_999));
    settle(&mut server, &mut owner, there(2), ms(10_000));
    assert_eq!(owner.state(), ClientState::Connected);
}

/// A client's packets with somebody else's challenge in them, made with the help of a second server that
/// has the same keys but not the same secrets.
struct Swapped {
    server: NetcodeServer,
    clients: [NetcodeClient; 2],
    challenges: [Vec<u8>; 2],
}

fn swapped(seed: u64, froms: [SocketAddr; 2]) -> Swapped {
    let (mut server, mut backend) = (server(8), Backend::new(seed));
    let mut clients = [1, 2].map(|number| NetcodeClient::new(backend.token(number), ms(0)));
    let mut challenges = [Vec::new(), Vec::new()];
    for (number, client) in clients.iter_mut().enumerate() {
        for mut datagram in drain_client(client, ms(0)) {
            server.receive(ms(0), froms[number], &mut datagram);
        }
        challenges[number] = drain_server(&mut server, ms(0)).remove(0).1;
    }
    Swapped {
        server,
        clients,
        challenges,
    }
}

/// Row 7: a challenge sealed for one client does not even open at another.
#[test]
fn a_challenge_on_the_wire_is_for_one_client() {
    let mut it = swapped(16, [there(1), there(2)]);
    for number in 0..2 {
        let received = it.clients[number].receive(ms(1), here(), &mut it.challenges[1 - number]);
        assert_eq!(received, ClientReceived::Rejected(Rejection::Forged));
    }
    assert!(it.server.is_empty());
}

/// Row 7: an accomplice hands his challenge, decrypted, to another holder of a token.
#[test]
fn a_challenge_handed_on_is_refused() {
    for froms in [[there(1), there(2)], [there(1), there(1)]] {
        let mut it = swapped(17, froms);
        let bodies = [1, 2].map(|number| {
            // The same generator gives the same tokens, so the test knows their keys.
            let mut backend = Backend::new(17);
            let mut token = backend.token(1);
            for client in 2..=number {
                token = backend.token(client);
            }
            Body::open(&token.to_bytes()[..], &it.challenges[number as usize - 1])
        });
        for number in 0..2 {
            let forged = bodies[number].respond(&bodies[1 - number].challenge);
            assert_eq!(
                refusal(&mut it.server, ms(1), froms[number], &forged),
                Some(Rejection::ChallengeForeign)
            );
        }
        assert!(it.server.is_empty());
        let honest = bodies[0].respond(&bodies[0].challenge);
        assert_eq!(refusal(&mut it.server, ms(2), froms[0], &honest), None);
        assert_eq!(it.server.len(), 1);
    }
}

/// A challenge as its owner reads it, with the keys of the owner's token.
struct Body {
    up: [u8; 32],
    challenge: Vec<u8>,
}

impl Body {
    fn open(token: &[u8], packet: &[u8]) -> Self {
        use chacha20poly1305::aead::AeadInOut;
        use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
        let down: [u8; 32] = token[1132..1164].try_into().expect("32");
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&packet[1..9]);
        let (sealed, tag) = packet[9..].split_last_chunk::<16>().expect("a mac");
        let mut challenge = sealed.to_vec();
        ChaCha20Poly1305::new(&down.into())
            .decrypt_inout_detached(
                &nonce.into(),
                &associated(packet[0]),
                challenge.as_mut_slice().into(),
                &(*tag).into(),
            )
            .expect("ours");
        Self {
            up: token[1100..1132].try_into().expect("32"),
            challenge,
        }
    }

    fn respond(&self, challenge: &[u8]) -> Vec<u8> {
        use chacha20poly1305::aead::AeadInOut;
        use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
        let mut sealed = challenge.to_vec();
        let tag = ChaCha20Poly1305::new(&self.up.into())
            .encrypt_inout_detached(
                &[0; 12].into(),
                &associated(0x13),
                sealed.as_mut_slice().into(),
            )
            .expect("short");
        [&[0x13, 0], &sealed[..], tag.as_slice()].concat()
    }
}

fn associated(prefix: u8) -> Vec<u8> {
    [b"NETCODE 1.02\0", &PROTOCOL.to_le_bytes()[..], &[prefix]].concat()
}

/// Row 7: an old challenge of the same address and token, after its entry has aged out and was made again.
#[test]
fn a_challenge_does_not_outlive_its_entry() {
    let (mut server, mut backend) = (server(8), Backend::new(18));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let request = drain_client(&mut client, ms(0)).remove(0);
    assert_eq!(refusal(&mut server, ms(0), there(1), &request), None);
    let old = drain_server(&mut server, ms(0)).remove(0).1;
    client.receive(ms(0), here(), &mut old.clone());
    let response = drain_client(&mut client, ms(0)).remove(0);
    assert_eq!(
        refusal(&mut server, ms(5_000), there(1), &response),
        Some(Rejection::NoSession),
        "aged out"
    );
    assert_eq!(refusal(&mut server, ms(5_001), there(1), &request), None);
    assert_eq!(
        refusal(&mut server, ms(5_002), there(1), &response),
        Some(Rejection::ChallengeForeign)
    );
}

/// Requests from a seated address do nothing, whoever forged them.
#[test]
fn a_seated_address_answers_for_its_own_session_alone() {
    let (mut server, mut client, _) = recorded(19);
    let mut backend = Backend::new(20);
    for number in 50..150 {
        let mut other = NetcodeClient::new(backend.token(number), ms(0));
        let request = drain_client(&mut other, ms(0)).remove(0);
        assert_eq!(
            refusal(&mut server, ms(1), there(1), &request),
            Some(Rejection::AddressSeated)
        );
    }
    assert_eq!(drain_server(&mut server, ms(1)), []);
    assert_alive(&mut server, &mut client, 2);
}

/// Rows 6, 17: an ugly network, both ways, with everything at once.
#[test]
fn an_ugly_network_delivers_nothing_twice_and_nothing_wrong() {
    for seed in 0..10 {
        println!("seed {seed}");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (mut server, mut client, _) = recorded(seed);
        let slot = server.session_at(there(1)).expect("a session");
        let mut in_flight: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut delivered = [BTreeSet::new(), BTreeSet::new()];
        for number in 0..2_000_u32 {
            let now = ms(u64::from(number) * 4);
            let payload = number.to_le_bytes();
            in_flight.push((true, client_payload(&mut client, now, &payload)));
            in_flight.push((false, server_payload(&mut server, now, slot, &payload)));
            while in_flight.len() > 20 {
                let at = rng.random_range(0..in_flight.len());
                if rng.random_bool(0.1) {
                    in_flight.push(in_flight[at].clone());
                }
                let (up, mut bytes) = in_flight.swap_remove(at);
                if rng.random_bool(0.3) {
                    continue;
                }
                if rng.random_bool(0.02) {
                    let bit = rng.random_range(0..bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                let payload = if up {
                    deliver(&mut server, now, there(1), &bytes)
                } else {
                    deliver_down(&mut client, now, &bytes)
                };
                if let Ok(payload) = payload {
                    assert_eq!(payload.len(), 4);
                    assert!(delivered[usize::from(up)].insert(payload), "twice");
                }
            }
        }
        for direction in &delivered {
            assert!(direction.len() > 1_200, "{} of 2000", direction.len());
        }
    }
}

/// Row 28 as far as it goes here: what a client hears from strangers and from noise.
#[test]
fn junk_does_not_move_a_client() {
    let seed = 21;
    println!("seed {seed}");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut server, mut client, _) = recorded(seed);
    while client.poll_event().is_some() {}
    let mut bytes = [0; MAX_DATAGRAM];
    for _ in 0..20_000 {
        let len = rng.random_range(0..MAX_DATAGRAM);
        rng.fill_bytes(&mut bytes[..len]);
        if let Some(first) = bytes.first_mut() {
            *first = rng.random_range(1..=8) << 4 | rng.random_range(0..7);
        }
        let received = client.receive(ms(1), here(), &mut bytes[..len]);
        assert!(matches!(received, ClientReceived::Rejected(_)));
    }
    assert_alive(&mut server, &mut client, 2);
    assert_eq!(client.poll_event(), None);
    client.handle_timeout(ms(2) + Duration::from_millis(4_999));
    assert_eq!(client.state(), ClientState::Connected);
    client.handle_timeout(ms(2) + Duration::from_millis(5_000));
    assert_eq!(
        client.state(),
        ClientState::ConnectionTimedOut,
        "junk is no sign of life"
    );
}
