//! The session layer as its two ends meet: conversations in virtual time, through the public names only.

mod netcode_kit;

use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use netcode_kit::*;
use proptest::prelude::*;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{
    ClientEvent, ClientState, ConfigError, End, LocalRegistry, MAX_DATAGRAM, MAX_PAYLOAD,
    NetcodeClient, NetcodeServer, Received, Rejection, SessionEvent,
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
