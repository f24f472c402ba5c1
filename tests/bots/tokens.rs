//! Tokens over HTTP: the one way in which it works, and each way in which it does not, told with URL and reason.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire::id::ClientId;
use tickwire::proto::netcode::ConnectToken;
use tickwire::tools::tokens::{TokenService, TokenSource};

use crate::kit::{Service, answer, issuer, nobody};

const SHORT: Duration = Duration::from_millis(200);

fn ask(url: &str, patience: Duration) -> Result<ConnectToken, String> {
    let url = url.parse().expect("a URL");
    let mut service = TokenService::new(url).with_timeout(patience);
    service
        .token(ClientId(7))
        .map_err(|error| error.to_string())
}

/// Asks a service, and expects a complaint that names its URL and this.
#[track_caller]
fn refused(service: &Service, patience: Duration, part: &str) {
    let complaint = ask(&service.url, patience).expect_err("there is no token in this");
    assert!(complaint.starts_with(&service.url), "{complaint}");
    assert!(complaint.contains(part), "{part}: {complaint}");
    assert!(!complaint.contains('\n'), "one line: {complaint}");
}

fn token() -> Box<[u8; 2048]> {
    let server = SocketAddr::from(([127, 0, 0, 1], 7777));
    let token = issuer(server).token(ClientId(7)).expect("a token");
    token.to_bytes()
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_service_is_asked_for_a_client_and_its_answer_is_the_token() {
    let bytes = token();
    let service = Service::answering(answer("200 OK", &bytes[..]));
    let url = service.url.clone();
    let got = ask(&url, LONG).expect("a token");
    assert_eq!(got.to_bytes(), bytes);
    let request = service.request();
    assert!(
        request.starts_with("POST /connect-token HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nHost: 127.0.0.1:"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"client_id\":7}"), "{request}");
}

#[test]
fn a_token_that_comes_in_chunks_and_drop_by_drop_is_a_token() {
    let bytes = token();
    let service = Service::with({
        let bytes = bytes.clone();
        move |stream| {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).expect("sent");
            for chunk in bytes.chunks(300) {
                stream
                    .write_all(format!("{:x}\r\n", chunk.len()).as_bytes())
                    .expect("sent");
                stream.write_all(chunk).expect("sent");
                stream.write_all(b"\r\n").expect("sent");
            }
            stream.write_all(b"0\r\n\r\n").expect("sent");
        }
    });
    assert_eq!(ask(&service.url, LONG).expect("a token").to_bytes(), bytes);
}

#[test]
fn nobody_there_is_told_with_the_url() {
    let url = format!("http://{}/connect-token", nobody());
    let complaint = ask(&url, LONG).expect_err("nobody is there");
    assert!(
        complaint.starts_with(&url) && complaint.contains("cannot connect"),
        "{complaint}"
    );
}

#[test]
fn a_refusal_is_told_with_what_it_says() {
    let service = Service::answering(answer("403 Forbidden", b"tokens are for the loopback\n"));
    refused(
        &service,
        LONG,
        "the answer is 403: tokens are for the loopback",
    );
}

#[test]
fn a_body_that_is_no_token_is_told_with_its_length() {
    let service = Service::answering(answer("200 OK", &[0; 100]));
    refused(
        &service,
        LONG,
        "a connect token has 2048 bytes, this has 100",
    );
}

#[test]
fn an_answer_that_is_cut_is_told() {
    let mut cut = answer("200 OK", &token()[..]);
    cut.truncate(500);
    refused(&Service::answering(cut), LONG, "ends in the middle");
}

#[test]
fn somebody_who_speaks_something_else_is_told() {
    let service = Service::answering(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec());
    refused(&service, LONG, "does not speak HTTP/1.1");
}

#[test]
fn an_answer_without_an_end_is_not_read_to_its_end() {
    let service = Service::with(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    refused(&service, LONG, "longer than");
}

#[test]
fn a_service_that_is_slow_is_not_waited_for() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let service = Service::with(move |_| {
        let _ = wait.recv();
    });
    refused(&service, SHORT, "no whole answer within 200ms");
    drop(release);
}

/// Each byte comes soon, and the whole never does: the patience is for the whole.
#[test]
fn a_service_that_answers_drop_by_drop_is_not_waited_for_either() {
    let service = Service::with(|stream| {
        let mut drops = b"HTTP/1.1 200 OK\r\ncontent-length: 2048\r\n\r\n".to_vec();
        drops.resize(2_000, b'x');
        for drop in drops {
            if stream.write_all(&[drop]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    refused(&service, SHORT, "no whole answer within 200ms");
}
