//! Tokens, state, and what an operator can do to players.

use tickwire::proto::event::DisconnectReason;

use crate::http::{ask, get, post};
use crate::kit::{House, TOKEN};

#[test]
fn a_client_connects_with_a_token_from_the_admin_port_and_shows_in_the_state() {
    let house = House::open();
    let mut player = house.client(r#"{"client_id": 7}"#);
    player.connect();
    let state = || get(house.port(), "/state").json();
    player.until("its round trip is known", |_| {
        state()["clients"][0]["round_trip_ms"].is_number()
    });
    let state = state();
    assert_eq!(
        (&state["seated"], &state["capacity"]),
        (&1.into(), &8.into())
    );
    let client = &state["clients"][0];
    assert_eq!(client["client_id"], 7);
    assert_eq!(client["slot"], "0.0");
    assert_eq!(client["shard"], 0);
    assert!(client["bytes_sent"].as_u64() > client["snapshot_bytes"].as_u64());
    assert!(client["snapshot_bytes"].as_u64() > Some(0));
    assert!(client["bytes_received"].as_u64() > Some(0));
    assert!(
        client["loss"]
            .as_f64()
            .is_some_and(|loss| (0.0..=1.0).contains(&loss))
    );
    assert!(client.get("address").is_none(), "addresses need the token");
}

#[test]
fn a_token_is_2048_bytes_and_a_client_without_an_id_gets_one() {
    let house = House::open();
    let named = post(house.port(), "/connect-token", r#"{"client_id": 7}"#);
    assert_eq!(named.body.len(), 2048);
    assert_eq!(
        named.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(named.header("tickwire-client-id"), Some("7"));
    let ids: Vec<_> = ["", "{}"]
        .iter()
        .map(|body| post(house.port(), "/connect-token", body))
        .map(|answer| answer.header("tickwire-client-id").map(str::to_owned))
        .collect();
    assert!(ids.iter().all(Option::is_some));
    assert_ne!(ids[0], ids[1]);
    house.client("").connect();
}

#[test]
fn who_is_kicked_is_told_why_and_may_come_back() {
    let house = House::open();
    let mut player = house.client(r#"{"client_id": 7}"#);
    player.connect();
    let body = r#"{"client_id": 7, "text": "time for bed"}"#;
    assert_eq!(post(house.port(), "/kick", body).json()["kicked"], 7);
    assert_eq!(
        player.end(),
        (DisconnectReason::Kicked, "time for bed".to_owned())
    );
    player.until("the place is free", |_| {
        house.control().standing().seated == 0
    });
    let again = post(house.port(), "/kick", body);
    assert_eq!(again.status, 404);
    assert!(again.error().contains("client 7 is not connected"));
    house.client(r#"{"client_id": 7}"#).connect();
}

#[test]
fn who_is_banned_goes_and_stays_away_until_it_is_lifted() {
    let house = House::open();
    let body = r#"{"client_id": 7}"#;
    let mut player = house.client(body);
    player.connect();
    assert_eq!(post(house.port(), "/ban", body).json()["banned"], 7);
    assert_eq!(player.end().0, DisconnectReason::Banned);
    player.until("the place is free", |_| {
        house.control().standing().seated == 0
    });
    assert_eq!(house.client(body).end().0, DisconnectReason::Banned);

    assert_eq!(post(house.port(), "/unban", body).json()["unbanned"], 7);
    assert_eq!(post(house.port(), "/unban", body).status, 404);
    player.until("the place is free", |_| {
        house.control().standing().seated == 0
    });
    house.client(body).connect();
}

#[test]
fn draining_ends_readiness_and_with_a_grace_the_server() {
    let house = House::open();
    assert_eq!(post(house.port(), "/drain", "").json()["draining"], true);
    assert!(house.admin.is_draining());
    assert_eq!(get(house.port(), "/readyz").status, 503);
    assert!(!house.control().is_stopping());

    let house = House::open();
    let mut player = house.client("");
    player.connect();
    let body = r#"{"grace_seconds": 0, "text": "back at noon"}"#;
    assert_eq!(
        post(house.port(), "/drain", body).json()["ends_in_seconds"],
        0
    );
    assert_eq!(
        player.end(),
        (DisconnectReason::ServerShutdown, "back at noon".to_owned())
    );
    let House { admin, server } = house;
    server.join().expect("ends well");
    admin.stop();
}

#[test]
fn with_a_token_commands_need_it_and_the_state_keeps_names_to_itself() {
    let house = House::new(8, 1, Some(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    let with = [("Authorization", bearer.as_str())];
    for (path, body) in [
        ("/connect-token", ""),
        ("/kick", r#"{"client_id": 7}"#),
        ("/ban", r#"{"client_id": 7}"#),
        ("/unban", r#"{"client_id": 7}"#),
        ("/drain", ""),
    ] {
        for wrong in [
            &[][..],
            &[("Authorization", "Bearer wrong-but-long-enough")],
        ] {
            let refused = ask(house.port(), &format!("POST {path}"), wrong, body);
            assert_eq!(refused.status, 401, "{path}");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            assert!(refused.error().contains("Authorization: Bearer"));
        }
    }
    assert!(!house.control().is_stopping() && !house.admin.is_draining());

    let token = ask(
        house.port(),
        "POST /connect-token",
        &with,
        r#"{"client_id": 7}"#,
    );
    assert_eq!(token.status, 200);
    let mut player = crate::kit::Player::new(&token.body);
    player.connect();
    let anonymous = get(house.port(), "/state").json();
    let client = &anonymous["clients"][0];
    assert_eq!(client["slot"], "0.0");
    assert!(client.get("client_id").is_none() && client.get("address").is_none());
    let full = ask(house.port(), "GET /state", &with, "").json();
    let client = &full["clients"][0];
    assert_eq!(client["client_id"], 7);
    assert!(
        client["address"]
            .as_str()
            .is_some_and(|it| it.starts_with("127.0.0.1:"))
    );
    // Monitoring needs no token.
    assert_eq!(get(house.port(), "/metrics").status, 200);
    assert_eq!(get(house.port(), "/livez").status, 200);
    let kicked = ask(house.port(), "POST /kick", &with, r#"{"client_id": 7}"#);
    assert_eq!(kicked.status, 200);
    assert_eq!(player.end().0, DisconnectReason::Kicked);
}

#[test]
fn the_state_shows_as_many_clients_as_asked_for() {
    let house = House::open();
    let mut players: Vec<_> = (1..=3)
        .map(|id| house.client(&format!(r#"{{"client_id": {id}}}"#)))
        .collect();
    players.iter_mut().for_each(crate::kit::Player::connect);
    let state = get(house.port(), "/state?limit=2").json();
    assert_eq!(state["clients"].as_array().map(Vec::len), Some(2));
    assert_eq!(state["clients_total"], 3);
    assert_eq!(get(house.port(), "/state?limit=many").status, 400);
    assert_eq!(get(house.port(), "/state?verbose=1").status, 400);
}
