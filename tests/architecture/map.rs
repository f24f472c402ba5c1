//! The map of rooms, and where each dependency is at home: the two tables everything else here
//! serves. `docs/architecture.md` shows the same tables; one test keeps the two equal.
//!
//! To open a new door, change a row here and in the document, in a commit that says why.

/// One room of the house.
pub(crate) struct Room {
    /// What reports call it.
    pub(crate) name: &'static str,
    /// The files it consists of, under `src/`: `folder/` (everything below), `folder/*.rs` (the
    /// files of one folder) or a file. The longest match wins.
    pub(crate) holds: &'static str,
    /// The rooms it may name; `proto/*` stands for all rooms below `proto`, not for `proto` itself.
    pub(crate) may_use: &'static str,
}

const fn room(name: &'static str, holds: &'static str, may_use: &'static str) -> Room {
    Room {
        name,
        holds,
        may_use,
    }
}

/// Lower floors first: a room uses only rooms above its own row.
#[rustfmt::skip]
pub(crate) const ROOMS: &[Room] = &[
    //   name              holds                        may use
    room("root",           "time.rs id.rs names.rs",    ""),
    room("proto/wire",     "proto/wire/",               "root"),
    room("proto/netcode",  "proto/netcode/",            "root proto/wire"),
    room("proto/channel",  "proto/channel/",            "root proto/wire"),
    room("proto/snapshot", "proto/snapshot/",           "root proto/wire"),
    room("proto",          "proto/*.rs proto/server/",  "root proto/*"),
    room("game",           "game/",                     "root proto/wire proto/snapshot"),
    room("game/arena",     "game/arena/",               "root proto/wire proto/snapshot game"),
    room("game/cubes",     "game/cubes/",               "root proto/wire proto/snapshot game"),
    room("netsim",         "netsim/",                   "root"),
    room("recording",      "recording/",                "root proto/snapshot game"),
    room("client",         "client/",                   "root proto/* proto game"),
    room("server",         "server/",                   "root proto/* proto game"),
    room("tools",          "tools/",                    "root proto/* proto game game/* netsim recording client server"),
    room("cli",            "cli/",                      "root proto/* proto game game/* netsim recording client server tools"),
    room("program",        "main.rs",                   "cli"),
    room("tour",           "lib.rs",                    "root proto/* proto game game/* netsim recording client server tools cli"),
];

/// One dependency of `Cargo.toml`.
pub(crate) struct Home {
    /// The package, spelled as in `Cargo.toml`.
    pub(crate) package: &'static str,
    /// Where it may be named, spelled as [`Room::holds`], or `everywhere`.
    pub(crate) at: &'static str,
}

const fn home(package: &'static str, at: &'static str) -> Home {
    Home { package, at }
}

/// Every dependency a user of the crate gets. (Development dependencies live in `tests/` and
/// `benches/` and need no row.)
#[rustfmt::skip]
pub(crate) const HOMES: &[Home] = &[
    //   package               at home in
    home("anyhow",             "cli/ main.rs"),
    home("axum",               "server/admin/"),
    home("bincode",            "proto/channel/message.rs"),
    home("chacha20",           "proto/netcode/"),
    home("clap",               "cli/ main.rs"),
    home("clap_complete",      "cli/"),
    home("clap_mangen",        "cli/"),
    home("dashmap",            "server/directory.rs server/directory/"),
    home("governor",           "server/admission.rs server/admission/"),
    home("hdrhistogram",       "tools/ cli/"),
    home("prometheus-client",  "server/admin/"),
    home("quinn-udp",          "server/socket/linux.rs tools/bench/sockets/shared.rs"),
    home("rand",               "everywhere"),
    home("ring",               "proto/netcode/"),
    home("rustix",             "server/ tools/ cli/"),
    home("serde",              "proto/channel/ game/ netsim/ client/ server/ tools/ cli/"),
    home("serde_json",         "server/admin/ tools/ cli/"),
    home("siphasher",          "proto/ game/ server/"),
    home("socket2",            "server/ tools/"),
    home("thiserror",          "everywhere"),
    home("tickwire-derive",    "proto/snapshot/mod.rs"),
    home("tokio",              "server/ tools/ cli/ main.rs"),
    home("toml",               "cli/"),
    home("tracing",            "everywhere"),
    home("tracing-subscriber", "cli/ main.rs"),
    home("zeroize",            "proto/netcode/"),
    home("zstd",               "recording/pack.rs"),
];

impl Room {
    /// The rooms it may name, one by one.
    pub(crate) fn uses(&self) -> impl Iterator<Item = &'static str> {
        let words = self.may_use.split(' ').filter(|word| !word.is_empty());
        words.flat_map(|word| {
            let below = word.strip_suffix('*').filter(|folder| !folder.is_empty());
            let stands_for = move |name: &str| match below {
                Some(folder) => name.starts_with(folder),
                None => name == word,
            };
            ROOMS
                .iter()
                .map(|room| room.name)
                .filter(move |name| stands_for(name))
        })
    }
}

/// The room a file belongs to.
pub(crate) fn room_of(file: &str) -> Option<&'static Room> {
    ROOMS
        .iter()
        .filter_map(|room| Some((longest_match(room.holds, file)?, room)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, room)| room)
}

/// May `file` name `package` (spelled as an identifier)? `None`: the package has no row.
pub(crate) fn is_at_home(package: &str, file: &str) -> Option<bool> {
    let home = HOMES
        .iter()
        .find(|home| identifier(home.package) == package)?;
    Some(home.at == "everywhere" || longest_match(home.at, file).is_some())
}

/// A package's name as Rust source spells it.
pub(crate) fn identifier(package: &str) -> String {
    package.replace('-', "_")
}

/// The rooms table as `docs/architecture.md` shows it.
pub(crate) fn rooms_as_markdown() -> String {
    let mut table = String::from("| room | holds | may use |\n|---|---|---|\n");
    for room in ROOMS {
        let [holds, may_use] = [ticked(room.holds), ticked(room.may_use)];
        table += &format!("| `{}` | {holds} | {may_use} |\n", room.name);
    }
    table
}

/// The dependency table as `docs/architecture.md` shows it.
pub(crate) fn homes_as_markdown() -> String {
    let mut table = String::from("| crate | at home in |\n|---|---|\n");
    for home in HOMES {
        let at = if home.at == "everywhere" {
            home.at.into()
        } else {
            ticked(home.at)
        };
        table += &format!("| `{}` | {at} |\n", home.package);
    }
    table
}

fn ticked(words: &str) -> String {
    if words.is_empty() {
        return "nothing".into();
    }
    words
        .split(' ')
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The length of the longest pattern in `patterns` that `file` matches.
fn longest_match(patterns: &str, file: &str) -> Option<usize> {
    let folder = file.rfind('/').map_or("", |end| &file[..=end]);
    let matches = |pattern: &str| match pattern.strip_suffix("*.rs") {
        Some(of) => of == folder,
        None if pattern.ends_with('/') => file.starts_with(pattern),
        None => file == pattern,
    };
    patterns
        .split(' ')
        .filter(|pattern| matches(pattern))
        .map(str::len)
        .max()
}
