//! `tickwire bots` as a program: its report, and one line with the right exit code for everything that is wrong.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::kit::{PROTOCOL, Service, answer, key_in_hex, nobody, server};

fn bots(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tickwire"))
        .arg("bots")
        .args(arguments)
        .env("RUST_LOG", "error")
        .output()
        .expect("the program starts")
}

/// Expects an exit code, nothing on stdout, and a single line of complaint with these parts.
#[track_caller]
fn complains(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = bots(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    // Status lines come before the complaint.
    let line = complaint.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert!(output.stdout.is_empty(), "stdout is for reports");
    assert!(line.starts_with("tickwire: "), "{complaint}");
    for part in parts {
        assert!(line.contains(part), "{part}: {complaint}");
    }
}

/// A file of this test alone, with this text.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}

#[test]
fn values_that_cannot_be_are_named_with_what_is_allowed() {
    let to = ["--server", "127.0.0.1:7777"];
    let with = |more: &[&'static str]| [&to[..], more].concat();
    complains(
        &with(&["--loss", "180%"]),
        2,
        &["--loss", "180%", "0% to 100%"],
    );
    complains(
        &with(&["--rtt", "120"]),
        2,
        &["--rtt", "the unit is missing"],
    );
    complains(&with(&["--ramp", "0/s"]), 2, &["--ramp", "1/s to 100000/s"]);
    complains(&with(&["--clients", "0"]), 2, &["--clients", "1..=16384"]);
    complains(&with(&["--seconds", "0"]), 2, &["--seconds", "0.1"]);
    complains(
        &with(&["--protocol-id", "0xG"]),
        2,
        &["--protocol-id", "0x1234"],
    );
    complains(&with(&["--client", "3"]), 2, &["'--client'", "--clients"]);
    complains(
        &with(&["--token-url", "https://x/"]),
        2,
        &["--token-url", "https is not spoken"],
    );
    complains(
        &["--server", "127.0.0.1"],
        2,
        &["--server", "127.0.0.1:7777"],
    );
    complains(
        &["--server", "0.0.0.0:7777"],
        2,
        &["--server", "nobody can be there"],
    );
    let both = with(&["--token-url", "http://h/", "--private-key-file", "k"]);
    complains(&both, 2, &["--token-url", "--private-key-file"]);
}

#[test]
fn a_key_file_that_is_missing_or_wrong_is_named_and_never_shown() {
    let run = |path: &str, parts: &[&str]| {
        complains(
            &["--server", "127.0.0.1:7777", "--private-key-file", path],
            1,
            parts,
        );
    };
    run(
        "/nowhere/server.key",
        &["--private-key-file /nowhere/server.key", "No such file"],
    );
    let short = file("short.key", &"60".repeat(31));
    let short = short.to_str().expect("a path");
    run(short, &["short.key", "64 hexadecimal digits, this has 62"]);
    let output = bots(&["--server", "127.0.0.1:7777", "--private-key-file", short]);
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("6060"),
        "keys are secret"
    );
}

#[test]
fn without_anybody_who_gives_tokens_it_says_whom_it_asked() {
    let url = format!("http://{}/connect-token", nobody());
    let to = ["--server", "127.0.0.1:7777", "--token-url", &url];
    complains(
        &to,
        1,
        &[
            "no bot could set out for 127.0.0.1:7777",
            &url,
            "cannot connect",
        ],
    );
    let service = Service::answering(answer("403 Forbidden", b"not for you"));
    let to = ["--server", "127.0.0.1:7777", "--token-url", &service.url];
    complains(&to, 1, &[&service.url, "403: not for you"]);
}

/// The port is taken, so that nobody else answers, and silent.
#[test]
fn a_server_that_is_not_there_is_told_as_no_answer() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let address = silent.local_addr().expect("it is bound").to_string();
    let key = file("silent.key", &key_in_hex());
    let key = key.to_str().expect("a path");
    let to = [
        "--server",
        &address,
        "--private-key-file",
        key,
        "--clients",
        "3",
        "--json",
    ];
    complains(&to, 1, &[&address, "no_answer", "for 3"]);
}

#[test]
fn a_token_for_another_server_is_told_by_name() {
    let server = server(4);
    let other = crate::kit::issuer(server.local_addr());
    let bytes = {
        use tickwire::tools::tokens::TokenSource as _;
        let mut other = other;
        let token = other.token(tickwire::id::ClientId(1)).expect("a token");
        token.to_bytes()
    };
    let service = Service::answering(answer("200 OK", &bytes[..]));
    let arguments = [
        "--server",
        "127.0.0.1:9",
        "--clients",
        "1",
        "--token-url",
        &service.url,
    ];
    complains(
        &arguments,
        1,
        &["127.0.0.1:9", "token_for_other_server", "for 1"],
    );
    let service = Service::answering(answer("200 OK", &bytes[..]));
    let address = server.local_addr().to_string();
    let arguments = [
        "--server",
        &address,
        "--clients",
        "1",
        "--token-url",
        &service.url,
        "--protocol-id",
        "9",
    ];
    complains(&arguments, 1, &[&address, "token_for_other_protocol"]);
}

#[test]
fn bots_with_a_key_play_and_report_in_json() {
    let server = server(10);
    let key = file("server.key", &format!("{}\n", key_in_hex()));
    let address = server.local_addr().to_string();
    let protocol = format!("{PROTOCOL:#x}");
    let output = bots(&[
        "--server",
        &address,
        "--clients",
        "10",
        "--seconds",
        "1",
        "--json",
        "--private-key-file",
        key.to_str().expect("a path"),
        "--protocol-id",
        &protocol,
    ]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    let report = String::from_utf8_lossy(&output.stdout);
    for field in [
        "\"bots\": 10,",
        "\"joined\": 10,",
        "\"connected\": 10,",
        "\"connect_ms\": {",
        "\"rtt_ms\": {",
        "\"snapshots\": {",
        "\"delivery\": ",
        "\"bytes_per_client_per_second\": {",
        "\"sent\": ",
        "\"no_token\": 0,",
        "\"disconnects\": {}",
        "\"rejections\": {",
    ] {
        assert!(report.contains(field), "{field}: {report}");
    }
}

/// Ctrl-C is a wish like any other: the report comes, and the exit code is 0.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_with_the_report() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let server = server(4);
    let key = file("signal.key", &key_in_hex());
    let mut bots = Command::new(env!("CARGO_BIN_EXE_tickwire"))
        .args([
            "bots",
            "--clients",
            "4",
            "--json",
            "--server",
            &server.local_addr().to_string(),
        ])
        .args(["--protocol-id", &PROTOCOL.to_string(), "--private-key-file"])
        .arg(key)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(bots.stderr.take().expect("a pipe")).lines();
    let all_in = lines
        .map_while(Result::ok)
        .find(|line| line.contains("clients 4/4"));
    assert!(all_in.is_some(), "it says when they are in");
    let kill = Command::new("kill")
        .args(["-INT", &bots.id().to_string()])
        .status();
    assert!(kill.expect("there is kill").success());
    let output = bots.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("\"connected\": 4,"), "{report}");
}
