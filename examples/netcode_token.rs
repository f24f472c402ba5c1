//! A backend in one command: writes a connect token for the other two `netcode_` examples.
//!
//! ```text
//! cargo run --release --example netcode_token -- --key <64 hex digits> --protocol-id 0x1122334455667788 \
//!     --client 1 --server 127.0.0.1:40000 --seconds 60 --timeout 5 --out token.bin
//! ```

mod flags;

use std::time::SystemTime;

use flags::{Flags, fail, number};
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{Key, TokenSpec};
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
    let seconds = flags.required("--seconds", "how long the token lives", number);
    let spec = TokenSpec {
        protocol_id: flags.required("--protocol-id", "a number below 2^64", number),
        client: ClientId(flags.required("--client", "a number below 2^64", number)),
        servers: flags.each("--server", "IP:PORT", |it| it.parse().ok()),
        created,
        expires: created.plus_seconds(seconds),
        timeout_seconds: flags
            .required("--timeout", "seconds; negative: none", |it| it.parse().ok()),
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
