//! Everything that is wrong is one helpful line on stderr and nothing on stdout: 2 for what was written, 1 for what is
//! outside.

use std::net::{TcpListener, UdpSocket};

use crate::kit::{Scratch, outcome, tickwire};

/// Runs the program, which must refuse with this code, in one line that has all these parts.
pub(crate) fn refused(arguments: &[&str], environment: &[(&str, &str)], code: i32, parts: &[&str]) {
    let mut command = tickwire(arguments);
    command.envs(environment.iter().copied());
    let outcome = outcome(command);
    let shown = format!("{arguments:?} {environment:?}: {outcome:?}");
    assert_eq!(outcome.code, Some(code), "{shown}");
    assert_eq!(outcome.stdout, "", "{shown}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{shown}");
    assert!(outcome.stderr.starts_with("tickwire: "), "{shown}");
    for part in parts {
        assert!(outcome.stderr.contains(part), "{part:?} is not in {shown}");
    }
}

#[test]
fn a_command_line_that_is_wrong_is_refused_as_it_was_written() {
    for (arguments, parts) in [
        (&["demo", "--bot", "3"][..], &["'--bot'", "--bots"][..]),
        (&["dema"], &["'dema'", "demo"]),
        (
            &["demo", "--loss", "180%"],
            &["180%", "--loss", "0% to 100%"],
        ),
        (
            &["demo", "--snapshot-rate", "25"],
            &["--snapshot-rate 25", "60", "20, 30"],
        ),
        (
            &["demo", "--tick-rate", "0"],
            &["--tick-rate", "'0'", "1 to 240"],
        ),
        (&["demo", "--bots", "0"], &["--bots", "'0'", "1..=2000"]),
        (&["demo", "--rtt", "120"], &["--rtt", "120ms"]),
        (
            &["bench", "--clients", "0"],
            &["--clients", "'0'", "1 to 16384"],
        ),
        (
            &["bench", "--duration", "1500ms"],
            &["--duration", "whole seconds"],
        ),
        (
            &["bench", "--whole", "101%"],
            &["--whole", "101%", "0% to 100%"],
        ),
        (
            &["bench", "--snapshot-rate", "25"],
            &["--snapshot-rate 25", "60", "20, 30"],
        ),
        (
            &["bench", "--find-max", "--clients", "50", "--from", "60"],
            &["--from 60", "at most --clients 50"],
        ),
        (
            &["bench", "--admin", "http://127.0.0.1:7780"],
            &["--server"],
        ),
        (
            &["bench", "--server", "127.0.0.1:7777", "--shards", "2"],
            &["--shards", "--server"],
        ),
        (
            &["bench", "--server", "127.0.0.1"],
            &["--server", "127.0.0.1:7777"],
        ),
        (
            &["bench", "--server", "127.0.0.1:7777", "--server-cores", "0"],
            &["--server-cores", "--server"],
        ),
        (
            &["bench", "--server-cores", "one"],
            &["--server-cores", "'one'", "0, 0-1 or 0,2-3"],
        ),
        (&["bench", "--from", "20"], &["--find-max"]),
        (
            &["bench", "--world", "chess"],
            &["--world", "'chess'", "arena or cubes"],
        ),
        (
            &["serve", "--world", "chess"],
            &["--world chess", "arena or cubes"],
        ),
        (
            &["bench", "--sockets", "one"],
            &["--sockets", "'one'", "own or shared"],
        ),
        (
            &["bench", "--sockets", "shared", "--server", "192.0.2.7:7777"],
            &["--sockets shared", "192.0.2.7:7777", "127.0.0.0/8", "own"],
        ),
        (
            &["serve", "--tick-rate", "0"],
            &["--tick-rate 0", "1 to 240"],
        ),
        (
            &["serve", "--snapshot-rate", "25"],
            &["--snapshot-rate 25", "60 Hz", "20, 30"],
        ),
        (
            &["serve", "--tick-rat", "30"],
            &["'--tick-rat'", "--tick-rate"],
        ),
        (
            &["serve", "--private-key", "00"],
            &["'--private-key'", "--private-key-file"],
        ),
        (
            &["serve", "--listen", "0.0.0.0:0"],
            &["--public", "0.0.0.0:0", "connect tokens"],
        ),
        (
            &["serve", "--public", "0.0.0.0:7777"],
            &["--public 0.0.0.0:7777", "real address"],
        ),
        (
            &["serve", "--listen", "localhost:7777"],
            &["--listen localhost:7777", "0.0.0.0:7777"],
        ),
        (
            &["serve", "--max-clients", "16385"],
            &["--max-clients 16385", "1 to 16384"],
        ),
        (
            &["serve", "--admin", "0.0.0.0:0"],
            &["--admin 0.0.0.0:0", "--admin-token-file"],
        ),
        (&["serve", "--log", "a=b=c"], &["--log a=b=c", "info"]),
        (
            &["serve", "--shutdown-grace", "25s"],
            &["--shutdown-grace 25s", "--drain-timeout 25s"],
        ),
        (
            &["serve", "--tick-rate", "240", "--player-datagrams", "240"],
            &["--player-datagrams 240", "at least 480"],
        ),
        (&["completions", "dosh"], &["'dosh'", "bash"]),
        (&["man", "dema"], &["'dema'", "demo"]),
        (
            &[
                "token",
                "--protocol-id",
                "1",
                "--server",
                "127.0.0.1:1",
                "--client-id",
                "1",
                "--out",
                "t",
            ],
            &["--private-key-file", "TICKWIRE_PRIVATE_KEY"],
        ),
    ] {
        refused(arguments, &[], 2, parts);
    }
}

#[test]
fn a_variable_that_is_wrong_is_refused_by_its_name() {
    for (name, value, parts) in [
        (
            "TICKWIRE_SHARDS",
            "65",
            &["TICKWIRE_SHARDS=65", "1 to 64"][..],
        ),
        (
            "TICKWIRE_PUBLIC",
            "192.0.2.1:1,nowhere",
            &["TICKWIRE_PUBLIC", "'nowhere'"],
        ),
        ("RUST_LOG", "a=b=c", &["RUST_LOG=a=b=c"]),
        (
            "TICKWIRE_LOG_FORMAT",
            "xml",
            &["TICKWIRE_LOG_FORMAT=xml", "text or json"],
        ),
    ] {
        refused(&["serve"], &[(name, value)], 2, parts);
        // Also where a flag has the last word.
        refused(
            &["serve", "--shards", "1", "--log", "info"],
            &[(name, value)],
            2,
            parts,
        );
    }
}

#[test]
fn a_secret_that_is_wrong_is_refused_and_not_repeated() {
    let secret = "5ec2e7";
    for (name, arguments) in [
        ("TICKWIRE_PRIVATE_KEY", &["serve"][..]),
        ("TICKWIRE_ADMIN_TOKEN", &["serve"]),
    ] {
        refused(arguments, &[(name, secret)], 2, &[name]);
        let mut command = tickwire(arguments);
        command.env(name, secret);
        assert!(!outcome(command).stderr.contains(secret));
    }
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line() {
    let scratch = Scratch::new("wrong-file");
    for (text, parts) in [
        (
            "\n# rates\ntick-rate = 30",
            &[":3: ", "'tick-rate'", "'tick_rate'"][..],
        ),
        (
            "colour = \"red\"",
            &[":1: ", "'colour'", "allowed are", "tick_rate"],
        ),
        (
            "shards = 1\ntick_rate = 0\n",
            &[":2: ", "tick_rate = 0", "1 to 240"],
        ),
        (
            "snapshot_rate = 25",
            &[":1: ", "snapshot_rate = 25", "20, 30"],
        ),
        ("shards = true", &[":1: ", "shards", "boolean"]),
        ("shards = 1\nshards = 2", &[":2: "]),
        (
            "private_key = \"5ec2e7\"",
            &[":1: ", "private_key_file", "TICKWIRE_PRIVATE_KEY"],
        ),
        ("tick_rate 30", &[":1: "]),
    ] {
        let path = scratch.file("server.toml", text);
        let mut all = vec![path.as_str()];
        all.extend(parts);
        refused(&["serve", "--config", &path], &[], 2, &all);
        refused(
            &["serve", "--check-config"],
            &[("TICKWIRE_CONFIG", &path)],
            2,
            &all,
        );
    }
}

#[test]
fn what_is_outside_and_not_as_needed_is_named() {
    let scratch = Scratch::new("outside");
    let missing = scratch.path().join("missing").display().to_string();
    let no_such = "No such file";
    refused(
        &["serve", "--config", &missing],
        &[],
        1,
        &[&missing, no_such],
    );
    let said = format!("--private-key-file {missing}");
    refused(
        &["serve", "--private-key-file", &missing],
        &[],
        1,
        &[&said, no_such],
    );
    refused(
        &["serve", "--admin-token-file", &missing],
        &[],
        1,
        &[&missing, no_such],
    );

    let short = scratch.file("short.key", "60606060\n");
    let parts = [short.as_str(), "64 hexadecimal digits", "8 characters"];
    refused(&["serve", "--private-key-file", &short], &[], 1, &parts);
    let weak = scratch.file("weak.token", "hunter2");
    refused(
        &["serve", "--admin-token-file", &weak],
        &[],
        1,
        &[&weak, "16"],
    );

    let mut token = vec![
        "token",
        "--protocol-id",
        "1",
        "--server",
        "127.0.0.1:1",
        "--client-id",
        "1",
    ];
    token.extend(["--out", &missing, "--private-key-file"]);
    token.push(&short);
    refused(&token, &[], 1, &parts);
    refused(&["key", "--out", &short], &[], 1, &[&short, "exists"]);
}

#[test]
fn a_load_test_that_cannot_be_is_refused_before_it_begins() {
    let scratch = Scratch::new("bench-outside");
    let file = scratch.file("a-file", "");
    let under = format!("{file}/report");
    refused(&["bench", "--out", &under], &[], 1, &["--out", &under]);
    let missing = scratch.path().join("missing").display().to_string();
    let to = ["bench", "--server", "127.0.0.1:7777", "--private-key-file"];
    let said = format!("--private-key-file {missing}");
    refused(
        &[&to[..], &[&missing]].concat(),
        &[],
        1,
        &[&said, "No such file"],
    );

    let tcp = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let nobody = format!("http://{}", tcp.local_addr().expect("an address"));
    drop(tcp);
    let key = scratch.file("server.key", &"60".repeat(32));
    let arguments = [&to[..], &[&key, "--admin", &nobody]].concat();
    refused(&arguments, &[], 1, &[&nobody, "cannot connect"]);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let taken = udp.local_addr().expect("an address").to_string();
    let arguments = ["serve", "--admin", "off", "--listen", &taken];
    refused(&arguments, &[], 1, &[&taken, "in use"]);
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let taken = tcp.local_addr().expect("an address").to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin", &taken];
    refused(&arguments, &[], 1, &[&taken, "in use"]);
}

#[test]
fn a_key_given_twice_is_refused() {
    let scratch = Scratch::new("two-keys");
    let file = scratch.file("server.key", &"60".repeat(32));
    let key = "61".repeat(32);
    let both = [
        ("TICKWIRE_PRIVATE_KEY", key.as_str()),
        ("TICKWIRE_PRIVATE_KEY_FILE", &file),
    ];
    refused(
        &["serve"],
        &both,
        2,
        &["TICKWIRE_PRIVATE_KEY_FILE", "not both"],
    );
}
