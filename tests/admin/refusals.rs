//! What the admin port does not do, and the words it has for it.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use tickwire::server::admin::{Admin, AdminConfig, AdminError, ENDPOINTS, TokenIssuer};

use crate::http::{ask, ask_as, get, post, send};
use crate::kit::{House, TOKEN, issuer};

#[test]
fn what_does_not_exist_is_a_404_that_lists_what_does() {
    let house = House::open();
    for path in ["/", "/livez/", "/metrics/x", "/STATE", "/..%2fstate"] {
        let answer = get(house.port(), path);
        assert_eq!(answer.status, 404, "{path}");
        let json = answer.json();
        let listed = json["endpoints"].as_array().expect("a list");
        assert_eq!(listed.len(), ENDPOINTS.len());
    }
}

#[test]
fn every_endpoint_of_the_table_exists_and_the_wrong_method_is_a_405() {
    let house = House::open();
    for endpoint in ENDPOINTS {
        let other = if endpoint.method == "GET" {
            "POST"
        } else {
            "GET"
        };
        let answer = ask(house.port(), &format!("{other} {}", endpoint.path), &[], "");
        assert_eq!(answer.status, 405, "{}", endpoint.path);
        assert!(!answer.error().is_empty());
        let allow = answer.header("allow").expect("an Allow header");
        assert!(allow.contains(endpoint.method), "{allow}");
    }
}

#[test]
fn every_answer_ends_its_connection_and_is_kept_by_nobody() {
    let house = House::open();
    for answer in [
        get(house.port(), "/livez"),
        get(house.port(), "/metrics"),
        get(house.port(), "/nothing"),
        ask_as(house.port(), "GET /livez", &[("Host", "evil.example")], ""),
    ] {
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn a_name_that_is_not_ours_is_refused_everywhere() {
    let house = House::open();
    for endpoint in ENDPOINTS {
        let line = format!("{} {}", endpoint.method, endpoint.path);
        let answer = ask_as(house.port(), &line, &[("Host", "rebind.example:9090")], "");
        assert_eq!(answer.status, 403, "{line}");
        assert!(answer.error().contains("Host"));
    }
    let named = ask_as(house.port(), "GET /livez", &[("Host", "localhost")], "");
    assert_eq!(named.status, 200);
    assert!(!house.admin.is_draining());
}

#[test]
fn a_page_of_another_site_cannot_command() {
    let house = House::open();
    for origin in ["http://evil.example", "null"] {
        let answer = ask(house.port(), "POST /drain", &[("Origin", origin)], "");
        assert_eq!(answer.status, 403);
    }
    assert!(!house.admin.is_draining());
    let own = format!("http://{}", house.port());
    let answer = ask(house.port(), "POST /drain", &[("Origin", &own)], "");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_body_that_is_not_understood_is_refused_with_a_word_about_it() {
    let house = House::open();
    for (path, body, says) in [
        ("/connect-token", "7", "expected struct"),
        ("/connect-token", r#"{"client_id": -1}"#, "u64"),
        (
            "/connect-token",
            r#"{"client": 7}"#,
            "unknown field `client`",
        ),
        ("/kick", "", "missing field `client_id`"),
        ("/kick", "{", "EOF"),
        ("/ban", r#"{"client_id": "seven"}"#, "u64"),
        ("/drain", r#"{"grace_seconds": 3601}"#, "at most 3600"),
    ] {
        let answer = post(house.port(), path, body);
        assert_eq!(answer.status, 400, "{path} {body}");
        let error = answer.error();
        assert!(error.contains(says), "{error}");
    }
    assert!(!house.admin.is_draining());
    let long = format!(r#"{{"client_id": 7, "text": "{}"}}"#, "x".repeat(5_000));
    assert_eq!(post(house.port(), "/kick", &long).status, 413);
}

#[test]
fn nonsense_is_answered_or_closed_and_harms_nobody() {
    let house = House::open();
    assert_eq!(
        send(house.port(), b"GET / HTTP/1.1\r\nnonsense\r\n\r\n").status,
        400
    );
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 17));
    assert_eq!(send(house.port(), endless.as_bytes()).status, 414);
    assert_eq!(get(house.port(), "/livez").status, 200);
}

#[test]
fn silent_connections_are_closed_and_do_not_shut_out_others_for_long() {
    let house = House::open();
    let mut silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(house.port()).expect("connects"))
        .collect();
    // Half of them have begun to speak.
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(b"GET /livez HT").expect("sent");
    }
    assert_eq!(get(house.port(), "/livez").status, 200);
}

fn bind(
    listen: &str,
    token: Option<&str>,
    issuer: Option<TokenIssuer>,
) -> Result<Admin, AdminError> {
    Admin::bind(AdminConfig {
        listen: listen.parse().expect("an address"),
        token: token.map(str::to_owned),
        issuer,
    })
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9090"] {
        let error = bind(listen, None, None).expect_err("refused").to_string();
        assert!(
            error.contains("set an admin token, or listen on 127.0.0.1"),
            "{error}"
        );
    }
    let _ = bind("0.0.0.0:0", Some(TOKEN), None).expect("with a token it may");
    for token in ["", "short", "with spaces in it, but long"] {
        let error = bind("127.0.0.1:0", Some(token), None).expect_err("refused");
        assert!(error.to_string().contains("openssl rand"), "{error}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("an address").to_string();
    let error = bind(&address, None, None).expect_err("taken").to_string();
    assert!(
        error.starts_with(&format!("cannot open the admin address {address}: ")),
        "{error}"
    );
}

#[test]
fn an_issuer_that_cannot_issue_is_refused_before_it_starts() {
    let good = issuer(SocketAddr::from(([192, 0, 2, 1], 7777)));
    let refused = |change: fn(&mut TokenIssuer)| {
        let mut issuer = good.clone();
        change(&mut issuer);
        bind("127.0.0.1:0", None, Some(issuer))
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(|it| it.public.clear()).contains("1 to 32 addresses, not 0"));
    assert!(refused(|it| it.public[0].set_port(0)).contains("no client can reach 192.0.2.1:0"));
    assert!(refused(|it| it.timeout_seconds = 0).contains("timeout of 0"));
    assert!(refused(|it| it.expires_seconds = 0).contains("expires after 0"));
}

#[test]
fn without_an_issuer_there_are_no_tokens() {
    let house = House::open();
    let admin = bind("127.0.0.1:0", None, None)
        .expect("binds")
        .start(house.control());
    let answer = post(admin.local_addr(), "/connect-token", "");
    assert_eq!(answer.status, 404);
    assert!(answer.error().contains("does not issue"));
}

/// An address of this machine that is not loopback, if it has one: nothing is sent to find out.
fn outer_address() -> Option<IpAddr> {
    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    let socket = UdpSocket::bind("0.0.0.0:0").expect("binds");
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn from_elsewhere_tokens_need_the_bearer_and_a_key_that_lasts() {
    let Some(outer) = outer_address() else {
        println!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let house = House::open();
    let bearer = format!("Bearer {TOKEN}");
    let with = [("Authorization", bearer.as_str())];
    for (loopback_only, from_elsewhere) in [(true, 403), (false, 200)] {
        let issuer = TokenIssuer {
            loopback_only,
            ..issuer(house.server.local_addr())
        };
        let admin = bind("0.0.0.0:0", Some(TOKEN), Some(issuer)).expect("binds");
        let admin = admin.start(house.control());
        let port = admin.local_addr().port();
        let (near, far) = (
            SocketAddr::from(([127, 0, 0, 1], port)),
            SocketAddr::new(outer, port),
        );
        let line = "POST /connect-token";
        assert_eq!(ask(far, line, &[], "").status, 401);
        assert_eq!(ask(near, line, &[], "").status, 401);
        assert_eq!(ask(far, line, &with, "").status, from_elsewhere);
        assert_eq!(ask(near, line, &with, "").status, 200);
        // Any name may be ours here, and probes call us by our address.
        assert_eq!(get(far, "/livez").status, 200);
        assert_eq!(
            ask_as(far, "GET /readyz", &[("Host", "game-7.internal")], "").status,
            200
        );
    }
}
