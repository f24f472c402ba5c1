//! A server from its first line to its exit code, with a client at its side.
#![cfg(unix)]

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use tickwire::client::{Client, ClientConfig, Event};
use tickwire::game::arena;
use tickwire::proto::channel::LinkConfig;
use tickwire::proto::event::{DisconnectReason, Warning};
use tickwire::proto::netcode::ConnectToken;

use crate::kit::{PATIENCE, Scratch, Serving};

/// A client with a token from the admin port.
fn client(server: &Serving) -> Client {
    let (status, token) = server.ask("POST", "/connect-token", "");
    assert_eq!(status, 200);
    let token = ConnectToken::from_bytes(&token).expect("a token");
    let config = ClientConfig {
        link: LinkConfig::default().into(),
        schema: arena::schema(),
        protocol_id: None,
        server: None,
    };
    Client::connect(config, token).expect("a socket")
}

/// Plays until an event answers the question.
fn wait_for<T>(client: &mut Client, mut answer: impl FnMut(Event) -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        client.update();
        while let Some(event) = client.poll_event() {
            if let Some(found) = answer(event) {
                return found;
            }
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    panic!("the event did not come");
}

fn connected(server: &Serving) -> Client {
    let mut client = client(server);
    wait_for(&mut client, |event| {
        matches!(event, Event::Connected(_)).then_some(())
    });
    client
}

#[test]
fn a_server_that_is_asked_to_end_ends_well() {
    for signal in ["TERM", "INT"] {
        let server = Serving::start(&[], &[]);
        assert_eq!(server.ask("GET", "/readyz", "").0, 200);
        server.signal(signal);
        assert_eq!(server.ended(), Some(0), "{signal}");
    }
}

#[test]
fn clients_are_warned_and_told_why_and_probes_hear_of_it() {
    let server = Serving::start(&["--shutdown-grace", "1s"], &[]);
    let mut client = connected(&server);
    server.signal("TERM");
    let grace = wait_for(&mut client, |event| match event {
        Event::Warned {
            warning: Warning::ShutdownSoon,
            grace_ms,
        } => Some(grace_ms),
        _ => None,
    });
    // What is left of it when the warning leaves.
    assert!((900..=1_000).contains(&grace), "{grace}");
    let (status, reason) = server.ask("GET", "/readyz", "");
    assert_eq!(status, 503);
    assert!(String::from_utf8_lossy(&reason).contains("draining"));
    let (reason, text) = wait_for(&mut client, |event| match event {
        Event::Disconnected { reason, text } => Some((reason, text)),
        _ => None,
    });
    assert_eq!(reason, DisconnectReason::ServerShutdown);
    assert_eq!(text, "the server shuts down");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let arguments = ["--shutdown-grace", "10min", "--drain-timeout", "20min"];
        let server = Serving::start(&arguments, &[]);
        let _client = connected(&server);
        server.signal("TERM");
        server.line("shutting down");
        server.signal(signal);
        assert_eq!(server.ended(), Some(code));
    }
}

#[test]
fn an_operator_who_drains_by_http_ends_it_too() {
    let server = Serving::start(&[], &[]);
    let (status, _) = server.ask("POST", "/drain", r#"{"grace_seconds": 0}"#);
    assert_eq!(status, 200);
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_reload_applies_what_can_change_and_says_what_waits() {
    let scratch = Scratch::new("reload");
    let path = scratch.file("server.toml", "player_patience = 5\nmax_clients = 50");
    let server = Serving::start(&["--config", &path], &[]);
    scratch.file(
        "server.toml",
        "player_patience = 9\nmax_clients = 60\nlog = 'info,tickwire::cli=debug'",
    );
    server.signal("HUP");
    let waiting = server.line("these changed and wait for a restart");
    assert_eq!(waiting["options"], r#"["max_clients"]"#);
    // The new filter counts already: before, this line was not logged.
    let applied = server.line("applied");
    assert_eq!(applied["options"], r#"["player_patience", "log"]"#);
    scratch.file("server.toml", "player_patience = 0");
    server.signal("HUP");
    let refused = server.line("nothing was reloaded");
    let problem = refused["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("player_patience = 0"), "{problem}");
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
}

/// What the service manager hears, in order, repeated words once.
fn heard(manager: &UnixDatagram, until: &str) -> Vec<String> {
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut heard: Vec<String> = Vec::new();
    while heard.last().map(String::as_str) != Some(until) {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("a word");
        let word = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if heard.last() != Some(&word) {
            heard.push(word);
        }
    }
    heard
}

#[test]
fn the_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    let scratch = Scratch::new("notify");
    let path = scratch.path().join("notify").display().to_string();
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let environment = [
        ("NOTIFY_SOCKET", path.as_str()),
        ("WATCHDOG_USEC", "200000"),
    ];
    let server = Serving::start(&[], &environment);
    assert_eq!(heard(&manager, "WATCHDOG=1"), ["READY=1", "WATCHDOG=1"]);
    server.signal("TERM");
    assert_eq!(
        heard(&manager, "STOPPING=1").last().map(String::as_str),
        Some("STOPPING=1")
    );
    assert_eq!(server.ended(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_service_manager_may_listen_in_the_abstract_namespace() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    let name = format!("tickwire-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    let at = format!("@{name}");
    let server = Serving::start(&[], &[("NOTIFY_SOCKET", &at)]);
    assert_eq!(heard(&manager, "READY=1"), ["READY=1"]);
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
}
