//! Keys, tokens and what the command line says about itself.

use std::time::SystemTime;

use tickwire::proto::netcode::{ConnectToken, Key};

use crate::kit::{Scratch, says};

/// The permissions of a file, as `chmod` writes them.
#[cfg(unix)]
fn mode(path: &str) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).expect("a file").mode() & 0o777
}

#[test]
fn a_key_is_new_each_time_and_for_the_owner_only() {
    let scratch = Scratch::new("keys");
    let keys = ["one.key", "two.key"].map(|name| {
        let path = scratch.path().join(name).display().to_string();
        assert_eq!(says(["key", "--out", &path]), "");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        let text = std::fs::read_to_string(path).expect("a file");
        Key::from_hex(text.trim_end()).expect("a key")
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_token_says_what_it_was_told() {
    let scratch = Scratch::new("tokens");
    let key = scratch.file("server.key", &"60".repeat(32));
    let out = scratch.path().join("ada.token").display().to_string();
    let mut arguments = vec![
        "token",
        "--private-key-file",
        &key,
        "--protocol-id",
        "0x1234",
    ];
    arguments.extend([
        "--server",
        "192.0.2.1:7777",
        "[2001:db8::1]:7777",
        "--client-id",
        "7",
    ]);
    arguments.extend(["--expires", "2m", "--timeout", "9s", "--out", &out]);
    assert_eq!(says(arguments), "");
    let bytes = std::fs::read(&out).expect("a file");
    let token = ConnectToken::from_bytes(&bytes).expect("a token");
    assert_eq!(token.protocol_id(), 0x1234);
    assert_eq!(token.timeout_seconds(), 9);
    let servers: Vec<_> = token.servers().iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:7777", "[2001:db8::1]:7777"]);
    assert_eq!(token.expires().0 - token.created().0, 120);
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_secs();
    assert!(now.abs_diff(token.created().0) < 60);
    #[cfg(unix)]
    assert_eq!(mode(&out), 0o600);
}

#[test]
fn shells_and_manuals_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            says(["completions", shell]).contains("max-clients"),
            "{shell}"
        );
    }
    assert!(says(["man"]).contains("serve"));
    let page = says(["man", "serve"]);
    assert!(
        page.starts_with(".ie") && page.contains("TICKWIRE_TICK_RATE"),
        "{page}"
    );
}

#[test]
fn the_version_names_a_commit() {
    let said = says(["--version"]);
    let version = concat!("tickwire ", env!("CARGO_PKG_VERSION"), " (");
    assert!(said.starts_with(version) && said.ends_with(")\n"), "{said}");
    let commit = &said[version.len()..said.len() - 2];
    let is_commit = commit.len() == 12 && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{commit}");
}
