//! Holds the map of rooms against the source.
//!
//! What a failure means: `src/proto/netcode/server.rs:12: proto/netcode -> proto/channel` says that
//! line 12 names something of a room its own room may not know; `-> tokio` that it names a
//! crate away from home. Either the line belongs elsewhere, or the map (`map.rs` here, and the same
//! tables in `docs/architecture.md`) has to change, with a reason.

mod house;
mod lex;
mod map;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use house::{House, MAX_LINES, circle};
use map::{HOMES, ROOMS};

/// The rooms of the source are as the map says, and every file opens by saying what it is.
#[test]
fn the_source_keeps_to_the_map() {
    let house = house_of_this_crate();
    assert!(house.len() > 5, "the source was not found");
    let violations = house.violations();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn no_rooms_use_each_other_in_a_circle() {
    let table: Vec<_> = ROOMS
        .iter()
        .map(|room| (room.name, room.uses().collect()))
        .collect();
    assert_eq!(circle(&table), None);
}

#[test]
fn a_room_uses_only_rooms_on_the_map() {
    for room in ROOMS {
        for word in room.may_use.split(' ').filter(|word| !word.is_empty()) {
            let folder = word.trim_end_matches('*');
            assert!(
                ROOMS.iter().any(|other| other.name.starts_with(folder)),
                "{word}?"
            );
        }
    }
    let expanded: Vec<_> = ROOMS.iter().flat_map(|room| room.uses()).collect();
    assert!(expanded.contains(&"proto/snapshot") && expanded.contains(&"game/arena"));
}

#[test]
fn every_dependency_has_a_home_and_every_home_a_dependency() {
    let mut declared = dependencies(&read("Cargo.toml"));
    let mut homes: Vec<_> = HOMES.iter().map(|home| home.package.to_owned()).collect();
    declared.sort();
    homes.sort();
    assert_eq!(
        declared, homes,
        "left: Cargo.toml; right: tests/architecture/map.rs"
    );
}

#[test]
fn the_document_shows_the_same_tables() {
    let document = read("docs/architecture.md");
    for (name, table) in [
        ("rooms", map::rooms_as_markdown()),
        ("dependencies", map::homes_as_markdown()),
    ] {
        let begin = format!("<!-- table: {name} -->\n");
        let shown = document
            .split_once(&begin)
            .and_then(|(_, rest)| rest.split_once("<!-- end -->"));
        let shown = shown.map_or("", |(table, _)| table);
        assert!(
            shown.trim() == table.trim(),
            "docs/architecture.md, table `{name}`, should read:\n\n{table}"
        );
    }
}

// The canaries: proof that the alarms can ring.

#[test]
fn a_forbidden_import_is_caught_however_it_is_written() {
    let ways = [
        "use crate::proto::channel::Link;",
        "use crate::proto::{wire::ByteReader, channel::{self as c, Link}};",
        "use super::channel::Link;",
        "use super::super::proto::channel as other;",
        "fn f() -> crate::proto::channel::Link { todo!() }",
        "fn f() { matches!(x, crate::proto::channel::Link { .. }) }",
        "macro_rules! m { () => { $crate::proto::channel::Link }; }",
        "use crate::proto::Link;",
        "use crate::Link;",
        "use crate::proto; fn f(_: proto::channel::Link) {}",
        "pub use tickwire::proto::channel::*;",
    ];
    for way in ways {
        let found = violations(&[("proto/netcode/mod.rs", way)]);
        let wall = "src/proto/netcode/mod.rs:2: proto/netcode -> proto/channel";
        assert!(found.contains(&wall.to_owned()), "{way}: {found:?}");
    }
}

#[test]
fn a_wall_is_reported_once_where_the_name_came_in() {
    let text = "use crate::proto::channel::Link;\nfn f() { Link::new(); Link::new(); }";
    let found = violations(&[("proto/snapshot/view.rs", text)]);
    assert_eq!(
        found,
        ["src/proto/snapshot/view.rs:2: proto/snapshot -> proto/channel"]
    );
}

#[test]
fn client_and_server_do_not_know_each_other() {
    let found = violations(&[
        ("client/mod.rs", "use crate::server::Server;"),
        ("server/mod.rs", "\nuse crate::client::Client;"),
    ]);
    assert_eq!(
        found,
        [
            "src/client/mod.rs:2: client -> server",
            "src/server/mod.rs:3: server -> client"
        ]
    );
}

#[test]
fn a_crate_away_from_home_is_caught() {
    let cases = [
        (
            "client/mod.rs",
            "use tokio::net::UdpSocket;",
            "client -> tokio",
        ),
        (
            "server/shard.rs",
            "use dashmap::DashMap;",
            "server -> dashmap",
        ),
        (
            "server/directory.rs",
            "use ::governor::Quota;",
            "server -> governor",
        ),
        (
            "proto/server.rs",
            "#[derive(serde::Serialize)] struct S;",
            "proto -> serde",
        ),
        (
            "proto/channel/mod.rs",
            "fn f() { bincode::serde::encode() }",
            "proto/channel -> bincode",
        ),
        ("cli/mod.rs", "use ring as r;", "cli -> ring"),
    ];
    for (file, text, wall) in cases {
        assert_eq!(
            violations(&[(file, text)]),
            [format!("src/{file}:2: {wall}")]
        );
    }
}

#[test]
fn what_may_be_used_is_not_reported() {
    let found = violations(&[
        (
            "proto/netcode/mod.rs",
            "use crate::{Tick, time::Timestamp}; use ring::aead; mod replay;",
        ),
        (
            "proto/channel/message.rs",
            "use bincode::config; use serde::{Serialize, de};",
        ),
        (
            "proto/server.rs",
            "use super::{channel::Link, netcode, Link as L}; use netcode::Key;",
        ),
        (
            "proto/snapshot/mod.rs",
            "mod ring; use ring::Ring; pub(in crate::proto) fn f() {}",
        ),
        (
            "server/directory.rs",
            "use dashmap::DashMap; use std::sync::Arc;",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn comments_strings_and_tests_are_not_source_but_what_follows_them_is() {
    let text = r##"
        // use crate::proto::channel::Link;
        /* use crate::proto::channel::Link; /* and */ */
        const S: &str = "use crate::proto::channel::Link; \" ";
        const R: &str = r#"crate::proto::channel::Link" "#;
        fn f<'a>(c: &'a char) -> bool { *c == '"' || *c == '\'' }
        #[cfg(test)]
        #[allow(unused)]
        mod tests { use crate::proto::channel::Link; fn g() { Link::new(); } }
        #[cfg(test)]
        use crate::proto::channel::Link;
        struct T { #[cfg(test)] link: crate::proto::channel::Link, other: u8 }
        #[cfg(all(test, feature = "tools"))]
        use crate::proto::channel::Link;
        #[cfg(not(test))]
        use crate::client::Client;
        #[cfg(any(test, feature = "tools"))]
        use crate::server::Server;"##;
    let found = violations(&[("proto/netcode/mod.rs", text)]);
    assert_eq!(
        found,
        [
            "src/proto/netcode/mod.rs:17: proto/netcode -> client",
            "src/proto/netcode/mod.rs:19: proto/netcode -> server",
        ]
    );
}

#[test]
fn a_file_of_tests_is_test_code() {
    let found = violations(&[
        ("proto/netcode/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("proto/netcode/tests.rs", "use crate::proto::channel::Link;"),
        (
            "proto/netcode/session.rs",
            "#[cfg(test)]\n#[path = \"session_tests.rs\"]\nmod tests;",
        ),
        (
            "proto/netcode/session_tests.rs",
            "use crate::proto::channel::Link;",
        ),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_file_owes_its_reader_an_opening_a_length_and_a_room() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(MAX_LINES));
    let files = [
        ("attic/mod.rs", "//! Where things are kept."),
        ("game/mod.rs", "fn f() {}"),
        ("netsim/mod.rs", long.as_str()),
        (
            "tools/mod.rs",
            "//! Bots.\n#[path = \"../client/mod.rs\"]\nmod client;",
        ),
    ];
    let files = files.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let house = House::new("tickwire", files, []);
    assert_eq!(
        house.violations(),
        [
            "src/attic/mod.rs:1: belongs to no room of the map",
            "src/game/mod.rs:1: does not open with `//!`: what it holds, what it knows",
            "src/netsim/mod.rs:901: is longer than 900 lines",
            "src/tools/mod.rs:2: `#[path]` would hide a room from the map",
        ]
    );
}

#[test]
fn a_circle_is_caught() {
    let table = [
        ("wire", vec![]),
        ("netcode", vec!["wire", "channel"]),
        ("channel", vec!["wire", "proto"]),
        ("proto", vec!["netcode"]),
    ];
    let way = circle(&table);
    assert_eq!(
        way.as_deref(),
        Some("netcode -> channel -> proto -> netcode")
    );
}

/// The violations of a small house: its rooms' doors, and the files given (each gets an opening
/// line of its own, so that the text starts on line 2).
fn violations(files: &[(&str, &str)]) -> Vec<String> {
    let doors = [
        (
            "lib.rs",
            "pub mod client; pub mod proto; pub mod server; pub mod time; \
                    pub use proto::channel::Link; pub use time::Tick;",
        ),
        ("time.rs", "pub struct Tick;"),
        (
            "proto/mod.rs",
            "pub mod channel; pub mod netcode; pub mod snapshot; pub mod wire; pub use channel::Link;",
        ),
        ("proto/channel/mod.rs", "pub struct Link;"),
        ("proto/netcode/mod.rs", "pub struct Key;"),
        ("proto/snapshot/mod.rs", "pub struct Replica;"),
        ("proto/wire/mod.rs", "pub struct ByteReader;"),
        ("client/mod.rs", "pub struct Client;"),
        ("server/mod.rs", "pub struct Server;"),
    ];
    let all = doors.iter().chain(files);
    let texts = all.map(|(file, text)| ((*file).to_owned(), format!("//! A room.\n{text}")));
    let packages = HOMES.iter().map(|home| map::identifier(home.package));
    House::new("tickwire", texts, packages).violations()
}

fn house_of_this_crate() -> House {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    let packages = dependencies(&read("Cargo.toml"));
    House::new(
        "tickwire",
        files,
        packages.iter().map(|package| map::identifier(package)),
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_default()
}

/// Every Rust file below `folder`, named from `src/`.
fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root().join("src")).unwrap_or(&path);
            let name = name.to_string_lossy().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).unwrap_or_default()));
        }
    }
}

/// The packages named in the dependency tables of a manifest (not the development ones).
fn dependencies(manifest: &str) -> Vec<String> {
    let mut packages = Vec::new();
    let mut listed = false;
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            listed = header == "dependencies" || header.ends_with(".dependencies");
            packages.extend(header.strip_prefix("dependencies.").map(String::from));
        } else if let (true, Some((key, _))) = (listed, line.split_once('='))
            && !key.starts_with('#')
        {
            packages.extend(key.trim().split('.').next().map(String::from));
        }
    }
    packages
}
