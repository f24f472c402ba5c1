//! The session layer as its two ends meet: conversations in virtual time, through the public names only.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test: a broken promise ends it"
)]

mod netcode_kit;

use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use netcode_kit::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{
    ClientEvent, ClientState, ConfigError, End, LocalRegistry, MAX_DATAGRAM, MAX_PAYLOAD,
    NetcodeClient, NetcodeServer, Received, Rejection, ServerConfig, SessionEvent,
};
use tickwire::time::{Timestamp, UnixTime};

#[test]
fn a_client_with_a_token_gets_a_place_and_both_ends_know_it() {
    let (mut server, mut backend) = (server(8), Backend::new(1));
    let mut client = NetcodeClient::new(backend.token(7), ms(0));
    assert_eq!(client.state(), ClientState::SendingConnectionRequest);
    settle(&mut server, &mut client, there(1), ms(0));
    assert_eq!(client.state(), ClientState::Connected);
    let slot = server.session_at(there(1)).expect("a session");
    assert_eq!(
        client_events(&mut client),
        [ClientEvent::Connected {
            client_index: slot.index,
            max_clients: 8
        }]
    );
    assert_eq!(
        events(&mut server),
        [SessionEvent::Connected {
            slot,
            client: ClientId(7),
            user_data: UserData::from_slice(b"a knight").expect("short"),
            address: there(1),
            timeout: Some(Duration::from_secs(5)),
        }]
    );
    assert!(
        server.is_confirmed(slot),
        "the client's first keep-alive has arrived"
    );
    assert_eq!(server.len(), 1);
    assert_eq!(server.sessions().collect::<Vec<_>>(), [slot]);
}

#[test]
fn payloads_of_every_size_arrive_unchanged_in_both_directions() {
    let (mut server, mut backend) = (server(1), Backend::new(2));
    let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
    for len in [1, 2, 40, 1_199, MAX_PAYLOAD] {
        let payload: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        let up = client_payload(&mut client, ms(1), &payload);
        assert_eq!(deliver(&mut server, ms(1), from, &up), Ok(payload.clone()));
        let down = server_payload(&mut server, ms(1), slot, &payload);
        assert_eq!(deliver_down(&mut client, ms(1), &down), Ok(payload));
    }
}

#[test]
fn saying_nothing_sends_nothing_and_uses_nothing_up() {
    let (mut server, mut backend) = (server(1), Backend::new(2));
    let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
    let mut out = [0; MAX_DATAGRAM];
    for _ in 0..3 {
        assert_eq!(client.seal(ms(1), &mut out, |_| 0), None);
        assert_eq!(server.seal(ms(1), slot, &mut out, |_| 0), None);
    }
    // Prefix, one byte of sequence: the keep-alive of the handshake had the number before.
    let up = client_payload(&mut client, ms(1), b"x");
    assert_eq!(deliver(&mut server, ms(1), from, &up), Ok(b"x".to_vec()));
    let down = server_payload(&mut server, ms(1), slot, b"y");
    assert_eq!(down[1], 1, "0 was the keep-alive");
}

#[test]
fn a_client_that_missed_the_first_keep_alive_is_told_again() {
    let (mut server, mut backend) = (server(1), Backend::new(3));
    let mut client = NetcodeClient::new(backend.token(7), ms(0));
    for datagram in drain_client(&mut client, ms(0)) {
        assert_eq!(refusal(&mut server, ms(0), there(1), &datagram), None);
    }
    for (_, mut datagram) in drain_server(&mut server, ms(0)) {
        client.receive(ms(0), here(), &mut datagram);
    }
    for datagram in drain_client(&mut client, ms(0)) {
        assert_eq!(refusal(&mut server, ms(0), there(1), &datagram), None);
    }
    let slot = server.session_at(there(1)).expect("a session");
    let lost = drain_server(&mut server, ms(0));
    assert_eq!(lost.len(), 1);
    assert!(!server.is_confirmed(slot));

    // A payload overtakes the next keep-alive: discarded, the client is not connected yet.
    let early = server_payload(&mut server, ms(1), slot, b"early");
    assert_eq!(
        deliver_down(&mut client, ms(1), &early),
        Err(Rejection::Unexpected)
    );
    let mut out = [0; MAX_DATAGRAM];
    let told = server
        .seal_keep_alive(ms(2), slot, &mut out)
        .expect("a session");
    client.receive(ms(2), here(), &mut out[..told.len]);
    assert_eq!(client.state(), ClientState::Connected);
    assert_eq!(
        deliver_down(&mut client, ms(2), &early),
        Err(Rejection::Replayed),
        "what was discarded does not come back"
    );
    settle(&mut server, &mut client, there(1), ms(2));
    assert!(server.is_confirmed(slot));
}

#[test]
fn who_has_nothing_to_say_says_so_ten_times_a_second() {
    let (mut server, mut backend) = (server(1), Backend::new(4));
    let (mut client, from, _) = connect(&mut server, &mut backend, 1, ms(0));
    let (mut up, mut down) = (0, 0);
    for now in (1..=1_000).map(|step| ms(step * 10)) {
        server.handle_timeout(now);
        client.handle_timeout(now);
        for (_, mut datagram) in drain_server(&mut server, now) {
            down += 1;
            client.receive(now, here(), &mut datagram);
        }
        for mut datagram in drain_client(&mut client, now) {
            up += 1;
            server.receive(now, from, &mut datagram);
        }
    }
    assert!(
        (90..=115).contains(&down),
        "{down} from the server in ten seconds"
    );
    assert!(
        (90..=115).contains(&up),
        "{up} from the client in ten seconds"
    );
    assert_eq!(client.state(), ClientState::Connected);
    assert_eq!(server.len(), 1);
}

#[test]
fn who_sends_payloads_sends_no_keep_alives() {
    let (mut server, mut backend) = (server(1), Backend::new(4));
    let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
    for now in (1..=300).map(|step| ms(step * 16)) {
        let up = client_payload(&mut client, now, b"input");
        assert!(deliver(&mut server, now, from, &up).is_ok());
        let down = server_payload(&mut server, now, slot, b"state");
        assert!(deliver_down(&mut client, now, &down).is_ok());
        server.handle_timeout(now);
        client.handle_timeout(now);
        assert_eq!(drain_server(&mut server, now), []);
        assert!(drain_client(&mut client, now).is_empty());
    }
}

#[test]
fn a_payload_that_was_quicker_makes_the_keep_alive_unnecessary() {
    let (mut server, mut backend) = (server(1), Backend::new(25));
    let (_, _, slot) = connect(&mut server, &mut backend, 1, ms(0));
    server.handle_timeout(ms(100));
    let _ = server_payload(&mut server, ms(101), slot, b"state");
    assert_eq!(drain_server(&mut server, ms(101)), []);
    server.handle_timeout(ms(201));
    assert_eq!(drain_server(&mut server, ms(201)).len(), 1);
}

#[test]
fn every_one_of_a_thousand_sessions_is_visited_in_time() {
    let (mut server, mut backend) = (server(1_000), Backend::new(5));
    let mut last = Vec::new();
    for number in 0..1_000 {
        let (_, from, _) = connect(&mut server, &mut backend, number, ms(0));
        last.push((from, ms(0)));
    }
    for now in (1..=100).map(|step| ms(step * 10)) {
        server.handle_timeout(now);
        for (to, _) in drain_server(&mut server, now) {
            let entry = last
                .iter_mut()
                .find(|(from, _)| *from == to)
                .expect("one of ours");
            let gap = now.since(entry.1);
            assert!(gap <= Duration::from_millis(160), "{to} waited {gap:?}");
            entry.1 = now;
        }
    }
    for (from, at) in last {
        assert!(
            ms(1_000).since(at) <= Duration::from_millis(160),
            "{from} was forgotten"
        );
    }
}

#[test]
fn a_client_that_falls_silent_loses_its_place_to_somebody_else() {
    let (mut server, mut backend) = (server(1), Backend::new(6));
    let (_, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
    for now in (1..500).map(|step| ms(step * 10)) {
        server.handle_timeout(now);
        assert_eq!(events(&mut server), [], "at {now:?}");
    }
    for now in (500..=510).map(|step| ms(step * 10)) {
        server.handle_timeout(now);
    }
    let client = ClientId(1);
    let end = End::TimedOut;
    assert_eq!(
        events(&mut server),
        [SessionEvent::Disconnected { slot, client, end }]
    );
    assert_eq!(server.session_at(from), None);
    assert!(server.is_empty());
    let (_, _, next) = connect(&mut server, &mut backend, 2, ms(5_200));
    assert_eq!(
        (next.index, next.generation),
        (slot.index, slot.generation + 1)
    );
    let mut out = [0; MAX_DATAGRAM];
    assert_eq!(
        server.seal(ms(5_200), slot, &mut out, |_| 1),
        None,
        "a name of the past"
    );
    assert_eq!(server.seal_keep_alive(ms(5_200), slot, &mut out), None);
    assert!(!server.is_confirmed(slot));
    server.disconnect(ms(5_200), slot);
    assert_eq!(server.session_at(there(2)), Some(next));
}

#[test]
fn a_negative_timeout_is_none() {
    let (mut server, mut backend) = (server(1), Backend::new(7));
    backend.spec.timeout_seconds = -1;
    let (mut client, _, _) = connect(&mut server, &mut backend, 1, ms(0));
    for minute in 1..=60 {
        let now = ms(minute * 60_000);
        server.handle_timeout(now);
        client.handle_timeout(now);
    }
    assert_eq!(server.len(), 1);
    assert_eq!(client.state(), ClientState::Connected);
}

#[test]
fn any_one_of_ten_goodbyes_ends_the_session_at_the_server() {
    for arrives in [0, 4, 9] {
        let (mut server, mut backend) = (server(1), Backend::new(8));
        let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
        client.disconnect(ms(1));
        assert_eq!(client.state(), ClientState::Disconnected);
        assert_eq!(client.poll_event(), None, "whoever left knows");
        let goodbyes = drain_client(&mut client, ms(1));
        assert_eq!(goodbyes.len(), 10);
        assert_eq!(refusal(&mut server, ms(2), from, &goodbyes[arrives]), None);
        let client = ClientId(1);
        let end = End::Goodbye;
        assert_eq!(
            events(&mut server),
            [SessionEvent::Disconnected { slot, client, end }]
        );
        for late in &goodbyes {
            assert_eq!(
                refusal(&mut server, ms(3), from, late),
                Some(Rejection::NoSession)
            );
        }
        assert_eq!(
            drain_server(&mut server, ms(3)),
            [],
            "nobody is there to talk to"
        );
    }
}

#[test]
fn any_one_of_ten_goodbyes_ends_the_session_at_the_client() {
    for arrives in [0, 9] {
        let (mut server, mut backend) = (server(1), Backend::new(9));
        let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(0));
        server.disconnect(ms(1), slot);
        assert_eq!(server.session_at(from), None, "free at once");
        assert_eq!(events(&mut server), [], "the caller knows");
        let mut goodbyes = drain_server(&mut server, ms(1));
        assert_eq!(goodbyes.len(), 10);
        assert!(goodbyes.iter().all(|(to, _)| *to == from));
        client.receive(ms(2), here(), &mut goodbyes[arrives].1);
        assert_eq!(
            client_events(&mut client),
            [ClientEvent::Ended(ClientState::Disconnected)]
        );
        assert!(drain_client(&mut client, ms(500)).is_empty());
        assert_eq!(client.poll_timeout(), None);
    }
}

#[test]
fn a_full_server_says_so_and_takes_the_next_when_somebody_leaves() {
    let (mut server, mut backend) = (server(1), Backend::new(10));
    let (_, _, slot) = connect(&mut server, &mut backend, 1, ms(0));
    let mut late = NetcodeClient::new(backend.token(2), ms(1));
    settle(&mut server, &mut late, there(2), ms(1));
    assert_eq!(late.state(), ClientState::ConnectionDenied);
    server.disconnect(ms(2), slot);
    connect(&mut server, &mut backend, 3, ms(2));
}

#[test]
fn a_server_that_fills_up_between_request_and_response_denies_too() {
    let (mut server, mut backend) = (server(1), Backend::new(11));
    let mut slow = NetcodeClient::new(backend.token(1), ms(0));
    for mut datagram in drain_client(&mut slow, ms(0)) {
        server.receive(ms(0), there(1), &mut datagram);
    }
    for (_, mut datagram) in drain_server(&mut server, ms(0)) {
        slow.receive(ms(0), here(), &mut datagram);
    }
    connect(&mut server, &mut backend, 2, ms(1));
    assert_eq!(slow.state(), ClientState::SendingConnectionResponse);
    settle(&mut server, &mut slow, there(1), ms(2));
    assert_eq!(slow.state(), ClientState::ConnectionDenied);
}

#[test]
fn a_client_id_sits_once_wherever_it_comes_from() {
    let (mut server, mut backend) = (server(8), Backend::new(12));
    connect(&mut server, &mut backend, 1, ms(0));
    let mut double = NetcodeClient::new(backend.token(1), ms(1));
    for datagram in drain_client(&mut double, ms(1)) {
        assert_eq!(
            refusal(&mut server, ms(1), there(2), &datagram),
            Some(Rejection::ClientSeated)
        );
    }
    assert_eq!(drain_server(&mut server, ms(1)), []);
}

#[test]
fn two_handshakes_of_one_client_end_in_one_session() {
    let (mut server, mut backend) = (server(8), Backend::new(13));
    let mut clients = [1, 2].map(|host| (there(host), NetcodeClient::new(backend.token(5), ms(0))));
    for (from, client) in &mut clients {
        for mut datagram in drain_client(client, ms(0)) {
            server.receive(ms(0), *from, &mut datagram);
        }
    }
    for (to, mut datagram) in drain_server(&mut server, ms(0)) {
        for (from, client) in &mut clients {
            if *from == to {
                client.receive(ms(0), here(), &mut datagram);
            }
        }
    }
    for (from, client) in &mut clients {
        settle(&mut server, client, *from, ms(0));
    }
    assert_eq!(clients[0].1.state(), ClientState::Connected);
    assert_eq!(clients[1].1.state(), ClientState::SendingConnectionResponse);
    assert_eq!(server.len(), 1);
}

#[test]
fn a_silent_server_is_followed_by_the_next_in_the_token() {
    let (mut server, mut backend) = (server(8), Backend::new(14));
    let first = address("[2001:db8::1]:9");
    backend.spec.servers = vec![first, here()];
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    assert_eq!(client.server_address(), first);
    let mut out = [0; MAX_DATAGRAM];
    let transmit = client.poll_transmit(ms(0), &mut out).expect("a request");
    assert_eq!((transmit.to, transmit.len), (first, 1_078));
    client.handle_timeout(ms(4_999));
    assert_eq!(client.server_address(), first);
    client.handle_timeout(ms(5_000));
    assert_eq!(client.server_address(), here());
    assert_eq!(client.state(), ClientState::SendingConnectionRequest);
    assert_eq!(client.poll_event(), None, "it is not over yet");
    settle(&mut server, &mut client, there(1), ms(5_000));
    assert_eq!(client.state(), ClientState::Connected);
}

#[test]
fn a_full_server_is_followed_by_the_next_in_the_token() {
    let mut backend = Backend::new(15);
    let second = address("192.0.2.2:40000");
    let mut full = server(1);
    connect(&mut full, &mut backend, 9, ms(0));
    let mut empty = {
        let config = ServerConfig {
            addresses: vec![second],
            ..config(1)
        };
        server_with(config, 5, Arc::new(LocalRegistry::new(1)))
    };
    backend.spec.servers = vec![here(), second];
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    settle(&mut full, &mut client, there(1), ms(0));
    assert_eq!(client.server_address(), second);
    settle(&mut empty, &mut client, there(1), ms(100));
    assert_eq!(client.state(), ClientState::Connected);
}

/// The keys stay the same from server to server: the client must not number its packets from the start again, and must
/// not hold the first server's numbers against the second.
#[test]
fn a_client_that_moves_on_numbers_on_and_listens_afresh() {
    let mut backend = Backend::new(24);
    let second = address("192.0.2.2:40000");
    backend.spec.servers = vec![here(), second];
    let mut silent = server(1);
    let config = ServerConfig {
        addresses: vec![second],
        ..config(1)
    };
    let mut talking = server_with(config, 5, Arc::new(LocalRegistry::new(1)));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let mut sent = Vec::new();
    for mut datagram in drain_client(&mut client, ms(0)) {
        silent.receive(ms(0), there(1), &mut datagram);
    }
    for (_, mut datagram) in drain_server(&mut silent, ms(0)) {
        client.receive(ms(0), here(), &mut datagram);
    }
    for mut datagram in drain_client(&mut client, ms(0)) {
        sent.push(datagram.clone());
        silent.receive(ms(0), there(1), &mut datagram);
    }
    // The keep-alive is lost; three hundred payloads are not, and are discarded.
    let slot = silent.session_at(there(1)).expect("a session");
    drain_server(&mut silent, ms(0));
    for _ in 0..300 {
        let payload = server_payload(&mut silent, ms(1), slot, b"x");
        assert_eq!(
            deliver_down(&mut client, ms(1), &payload),
            Err(Rejection::Unexpected)
        );
    }
    client.handle_timeout(ms(5_000));
    assert_eq!(client.server_address(), second);
    for _ in 0..3 {
        for mut datagram in drain_client(&mut client, ms(5_000)) {
            sent.push(datagram.clone());
            talking.receive(ms(5_000), there(1), &mut datagram);
        }
        for (_, mut datagram) in drain_server(&mut talking, ms(5_000)) {
            client.receive(ms(5_000), second, &mut datagram);
        }
    }
    assert_eq!(client.state(), ClientState::Connected);
    sent.retain(|datagram| datagram[0] != 0);
    let numbers: Vec<_> = sent.iter().map(|datagram| datagram[1]).collect();
    assert_eq!(numbers, [0, 1, 2], "two responses and a keep-alive");
}

#[test]
fn only_the_server_in_question_is_listened_to() {
    let (mut server, mut backend) = (server(8), Backend::new(16));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    for mut datagram in drain_client(&mut client, ms(0)) {
        server.receive(ms(0), there(1), &mut datagram);
    }
    for (_, mut datagram) in drain_server(&mut server, ms(0)) {
        let stranger = address("192.0.2.1:40001");
        client.receive(ms(0), stranger, &mut datagram);
    }
    assert_eq!(client.state(), ClientState::SendingConnectionRequest);
}

#[test]
fn ipv6_works_and_a_mapped_ipv4_address_is_the_ipv4_address() {
    let mut backend = Backend::new(17);
    let (six, four) = (address("[2001:db8::1]:40000"), here());
    let config = ServerConfig {
        addresses: vec![six, address("[::ffff:192.0.2.1]:40000")],
        ..config(8)
    };
    let mut server = server_with(config, 5, Arc::new(LocalRegistry::new(8)));
    backend.spec.servers = vec![six];
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    let from = address("[2001:db8::99]:5000");
    settle(&mut server, &mut client, from, ms(0));
    assert_eq!(client.state(), ClientState::Connected);

    // The dual-stack socket reports the peer as mapped; what is sent goes back in the same spelling.
    backend.spec.servers = vec![four];
    let mut client = NetcodeClient::new(backend.token(2), ms(0));
    let mapped = address("[::ffff:198.51.100.7]:5000");
    settle(&mut server, &mut client, mapped, ms(0));
    assert_eq!(client.state(), ClientState::Connected);
    let slot = server
        .session_at(address("198.51.100.7:5000"))
        .expect("the same peer");
    let mut out = [0; MAX_DATAGRAM];
    let transmit = server
        .seal_keep_alive(ms(1), slot, &mut out)
        .expect("a session");
    assert_eq!(transmit.to, mapped);
}

#[test]
fn scope_and_flow_label_go_back_but_do_not_tell_peers_apart() {
    let (mut server, mut backend) = (server(8), Backend::new(18));
    let ip = "fe80::7".parse().expect("an address");
    let scoped = SocketAddr::V6(SocketAddrV6::new(ip, 5_000, 0, 3));
    let mut client = NetcodeClient::new(backend.token(1), ms(0));
    settle(&mut server, &mut client, scoped, ms(0));
    let labelled = SocketAddr::V6(SocketAddrV6::new(ip, 5_000, 77, 3));
    let slot = server.session_at(labelled).expect("the same peer");
    let mut out = [0; MAX_DATAGRAM];
    let transmit = server
        .seal_keep_alive(ms(1), slot, &mut out)
        .expect("a session");
    assert_eq!(
        transmit.to, scoped,
        "without its scope a link-local address leads nowhere"
    );
}

#[test]
fn a_token_expires_with_the_calendar_and_a_session_does_not() {
    let (mut server, mut backend) = (server(8), Backend::new(19));
    let (mut client, from, _) = connect(&mut server, &mut backend, 1, ms(0));
    server.set_wall_clock(UnixTime(WALL + 29));
    connect(&mut server, &mut backend, 2, ms(10));
    server.set_wall_clock(UnixTime(WALL + 30));
    let mut late = NetcodeClient::new(backend.token(3), ms(20));
    for datagram in drain_client(&mut late, ms(20)) {
        assert_eq!(
            refusal(&mut server, ms(20), there(3), &datagram),
            Some(Rejection::TokenExpired)
        );
    }
    for wall in [WALL + 3_600, WALL - 3_600, u64::MAX, 0] {
        server.set_wall_clock(UnixTime(wall));
        server.handle_timeout(ms(100));
        let up = client_payload(&mut client, ms(100), b"still here");
        assert!(deliver(&mut server, ms(100), from, &up).is_ok());
    }
}

#[test]
fn time_that_goes_back_does_no_harm() {
    let (mut server, mut backend) = (server(8), Backend::new(20));
    let (mut client, from, slot) = connect(&mut server, &mut backend, 1, ms(60_000));
    server.handle_timeout(ms(60_000));
    for now in [ms(0), ms(59_000), ms(60_001)] {
        server.handle_timeout(now);
        client.handle_timeout(now);
        let up = client_payload(&mut client, now, b"x");
        assert!(deliver(&mut server, now, from, &up).is_ok());
        assert!(
            deliver_down(
                &mut client,
                now,
                &server_payload(&mut server, now, slot, b"y")
            )
            .is_ok()
        );
    }
    assert_eq!(server.session_at(from), Some(slot));
}

#[test]
fn a_configuration_with_which_nobody_could_connect_is_refused() {
    let refuse = |change: fn(&mut ServerConfig)| {
        let mut config = config(8);
        change(&mut config);
        let mut rng = rand::rngs::ChaCha20Rng::seed_from_u64(1);
        let registry = Arc::new(LocalRegistry::new(8));
        NetcodeServer::new(config, &mut rng, 0, registry).err()
    };
    assert_eq!(refuse(|_| {}), None);
    assert_eq!(
        refuse(|it| it.addresses.clear()),
        Some(ConfigError::Addresses)
    );
    assert_eq!(
        refuse(|it| it.max_clients = 0),
        Some(ConfigError::NoClients)
    );
    assert_eq!(
        refuse(|it| it.pending_entries = 0),
        Some(ConfigError::PendingEntries)
    );
    assert_eq!(refuse(|it| it.shard = (2, 2)), Some(ConfigError::Shard));
}

#[test]
fn shards_share_the_places_of_one_process() {
    let mut backend = Backend::new(21);
    let registry = Arc::new(LocalRegistry::new(2));
    let mut shards = [0, 1].map(|shard| {
        let config = ServerConfig {
            shard: (shard, 2),
            ..config(2)
        };
        server_with(config, 77, registry.clone())
    });
    let (_, _, one) = connect(&mut shards[0], &mut backend, 1, ms(0));
    let (_, _, two) = connect(&mut shards[1], &mut backend, 2, ms(0));
    assert_ne!(one.index, two.index);
    let mut third = NetcodeClient::new(backend.token(3), ms(0));
    settle(&mut shards[0], &mut third, there(3), ms(0));
    assert_eq!(third.state(), ClientState::ConnectionDenied);
    shards[1].disconnect(ms(1), two);
    let (_, _, four) = connect(&mut shards[0], &mut backend, 4, ms(1));
    assert_eq!(
        (four.index, four.generation),
        (two.index, two.generation + 1)
    );
}

#[test]
fn a_hundred_clients_connect_through_thirty_percent_loss_in_bursts() {
    for seed in 0..3 {
        println!("seed {seed}");
        let mut rng = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut backend = Backend::new(seed);
        let mut world = World::new(server(100), Duration::from_millis(40));
        for number in 0..100 {
            world.join(there(number), backend.token(number.into()));
        }
        // Gilbert: bad spells of 4 datagrams on average, 30% of the time, for each peer and direction.
        let mut bad = std::collections::BTreeMap::<(SocketAddr, SocketAddr), bool>::new();
        for _ in 0..500 {
            world.step(|from, to, _| {
                let spell = bad.entry((from, to)).or_default();
                *spell = rng.random_bool(if *spell { 0.75 } else { 0.25 * 3.0 / 7.0 });
                !*spell
            });
        }
        assert_eq!(world.connected(), 100);
    }
}

#[test]
fn the_driver_is_told_when_to_come_back() {
    let (mut server, mut backend) = (server(8), Backend::new(22));
    assert_eq!(server.poll_timeout(), None, "nothing to wait for");
    let (mut client, _, _) = connect(&mut server, &mut backend, 1, ms(1_000));
    server.handle_timeout(ms(1_000));
    assert_eq!(server.poll_timeout(), Some(ms(1_010)));
    assert_eq!(
        client.poll_timeout(),
        Some(ms(1_100)),
        "the next keep-alive"
    );
    let _ = client_payload(&mut client, ms(1_050), b"x");
    assert_eq!(client.poll_timeout(), Some(ms(1_150)));
    // A driver that does nothing but what it is told meets every deadline.
    let mut now = Timestamp::ZERO;
    let mut alone = NetcodeClient::new(backend.token(2), now);
    let mut sent = 0;
    while let Some(next) = alone.poll_timeout() {
        now = next.max(now);
        alone.handle_timeout(now);
        sent += drain_client(&mut alone, now).len();
    }
    assert_eq!(now, ms(5_000));
    assert_eq!(alone.state(), ClientState::ConnectionRequestTimedOut);
    assert_eq!(sent, 50, "ten times a second for five seconds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a plainer statement: the set of payloads that were sent.
    #[test]
    fn payloads_arrive_at_most_once_and_unchanged(
        order in prop::collection::vec(0_usize..200, 1..600),
    ) {
        let (mut server, mut backend) = (server(1), Backend::new(23));
        let (mut client, from, _) = connect(&mut server, &mut backend, 1, ms(0));
        let packets: Vec<_> = (0..200_u32)
            .map(|number| client_payload(&mut client, ms(1), &number.to_le_bytes()))
            .collect();
        let mut delivered = std::collections::BTreeSet::new();
        for at in order {
            match server.receive(ms(2), from, &mut packets[at].clone()) {
                Received::Payload { payload, .. } => {
                    prop_assert_eq!(payload, (at as u32).to_le_bytes());
                    prop_assert!(delivered.insert(at), "twice");
                }
                Received::Rejected(rejection) => {
                    prop_assert_eq!(rejection, Rejection::Replayed);
                    prop_assert!(delivered.contains(&at), "200 packets fit the window");
                }
                Received::KeepAlive { .. } | Received::Handled => prop_assert!(false, "a payload is delivered"),
            }
        }
    }
}
