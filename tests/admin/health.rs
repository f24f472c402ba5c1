//! Is it alive, is it ready, what is it?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http::{ask, get, post};
use crate::kit::{House, until};

#[test]
fn a_server_that_ticks_is_live_and_ready() {
    let house = House::open();
    for path in ["/livez", "/healthz"] {
        let answer = get(house.port(), path);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["live"], true);
    }
    assert_eq!(get(house.port(), "/readyz").json()["ready"], true);
    let head = ask(house.port(), "HEAD /readyz", &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn what_runs_is_told() {
    let house = House::open();
    let version = get(house.port(), "/version").json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(version["commit"].is_string());
}

#[test]
fn a_draining_server_lives_and_is_not_ready_and_makes_no_tokens() {
    let house = House::open();
    house.admin.set_draining(true);
    let ready = get(house.port(), "/readyz");
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (503, Some(false))
    );
    let reason = ready.json()["reason"].as_str().map(str::to_owned);
    assert!(reason.expect("a reason").starts_with("draining"));
    assert_eq!(get(house.port(), "/livez").status, 200);
    assert_eq!(post(house.port(), "/connect-token", "").status, 503);

    house.admin.set_draining(false);
    assert_eq!(get(house.port(), "/readyz").status, 200);
}

#[test]
fn a_full_server_is_not_ready_until_a_place_is_free() {
    let house = House::new(1, 1, None);
    let mut player = house.client(r#"{"client_id": 7}"#);
    player.connect();
    let ready = get(house.port(), "/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reason"], "full: 1 of 1 places are taken");
    assert!(house.control().kick(tickwire::id::ClientId(7), ""));
    player.end();
    player.until("the place is free", |_| {
        house.control().standing().seated == 0
    });
    assert_eq!(get(house.port(), "/readyz").status, 200);
}

#[test]
fn a_world_that_stands_still_is_not_live_until_it_moves_again() {
    let is_stuck = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&is_stuck);
    let hook = move |_: &_| {
        while hold.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    };
    let house = House::with(8, 1, None, Box::new(hook));
    let port = house.port();
    assert_eq!(get(port, "/livez").status, 200);
    until("the world counts as stuck", || {
        get(port, "/livez").status == 503
    });
    let age = get(port, "/livez").json()["tick_age_seconds"].as_f64();
    assert!(age >= Some(5.0), "{age:?}");
    is_stuck.store(false, Ordering::Relaxed);
    until("it moves again", || get(port, "/livez").status == 200);
}

#[test]
fn a_server_that_was_told_to_stop_is_live_and_not_ready() {
    let house = House::open();
    house.control().stop("");
    assert_eq!(get(house.port(), "/livez").status, 200);
    assert_eq!(get(house.port(), "/readyz").status, 503);
}

#[test]
fn the_port_closes_when_it_is_told_to() {
    let House { admin, server } = House::open();
    let port = admin.local_addr();
    assert_eq!(get(port, "/livez").status, 200);
    admin.stop();
    assert!(std::net::TcpStream::connect(port).is_err());
    server.shutdown("").expect("ends well");
}
