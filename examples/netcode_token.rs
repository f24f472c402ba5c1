//! A backend in one command: writes a connect token for the other two `netcode_` examples.
//!
//! ```text
//! cargo run --release --example netcode_token -- --key $KEY --protocol-id 0x1122334455667788 \
//!     --client 1 --server 127.0.0.1:40000 --seconds 60 --timeout 5 --out token.bin
//! ```
//!
//! `KEY` is the server's, 64 hexadecimal digits; `--server` may be given up to 32 times. The token is good for connecting
//! within `--seconds`, and for one session, which ends after `--timeout` seconds of silence.

mod flags;

use std::time::SystemTime;

use flags::{Flags, fail, number};
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{Key, MAX_SERVERS, TokenSpec};
use tickwire::time::UnixTime;

const USAGE: &str =
    "--key HEX64 --protocol-id N --client N --server ADDR [...] --seconds S --timeout S --out FILE";

fn main() {
    let flags = Flags::parse(USAGE);
    let key = flags.required("--key", "64 hexadecimal digits", |it| {
        Key::from_hex(it).ok()
    });
    let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let created = UnixTime(unix.as_secs());
    let seconds = flags.required("--seconds", "how long the token lives, in seconds", number);
    let servers = flags.each("--server", "IP:PORT", |it| it.parse().ok());
    if !(1..=MAX_SERVERS).contains(&servers.len()) {
        let given = servers.len();
        fail(
            2,
            &format!("--server given {given} times: expected IP:PORT, 1 to {MAX_SERVERS} times"),
        );
    }
    let spec = TokenSpec {
        protocol_id: flags.required("--protocol-id", "a number below 2^64", number),
        client: ClientId(flags.required("--client", "a number below 2^64", number)),
        servers,
        created,
        expires: created.plus_seconds(seconds),
        timeout_seconds: flags.required("--timeout", "seconds, not 0; negative: none", |it| {
            it.parse().ok().filter(|timeout| *timeout != 0)
        }),
        user_data: UserData::default(),
    };
    let out = flags.required("--out", "a file", |it| Some(it.to_owned()));
    let token = spec
        .issue(&key, &mut rand::make_rng::<ChaCha20Rng>())
        .unwrap_or_else(|error| fail(2, &error.to_string()));
    if let Err(error) = std::fs::write(&out, &token.to_bytes()[..]) {
        fail(1, &format!("--out {out}: {error}"));
    }
}
