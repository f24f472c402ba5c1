//! What an attack needs: somebody to attack, honest company, guns, an insider, and eyes.
//!
//! Everything happens on real sockets of the loopback interface. No test asserts how long anything took; what is
//! measured is printed, and the tables of `docs/reliability.md` are made of it.

pub mod echo;
pub mod eyes;
pub mod guns;
pub mod hall;
pub mod insider;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use tickwire::id::{ClientId, UserData};
use tickwire::proto::netcode::{ConnectToken, Key, TokenSpec};
use tickwire::server::clock::calendar;

/// The game's number and the backend's key in all of these tests.
pub const PROTOCOL: u64 = 0xA77A_C4ED;
pub const KEY: [u8; 32] = [0x5A; 32];

/// How many honest clients there are.
pub const HONEST: u32 = 16;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How much of an attack there is: a short one for every day, and what the promise says for the measurements
/// (`TICKWIRE_ATTACKS=full`).
pub fn dose<T>(daily: T, full: T) -> T {
    let is_full = std::env::var_os("TICKWIRE_ATTACKS").is_some_and(|value| value == "full");
    if is_full { full } else { daily }
}

/// Attacks are measured one at a time: two at once would each be the other's noise.
pub fn alone() -> impl Drop {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    struct Alone(#[expect(dead_code, reason = "held")] std::sync::MutexGuard<'static, ()>);
    impl Drop for Alone {
        fn drop(&mut self) {}
    }
    Alone(
        ONE.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    )
}

/// A connect token for `server`, different with every number.
pub fn token(server: SocketAddr, number: u64) -> ConnectToken {
    let spec = TokenSpec {
        protocol_id: PROTOCOL,
        client: ClientId(number),
        servers: vec![server],
        created: calendar(),
        expires: calendar().plus_seconds(300),
        timeout_seconds: 5,
        user_data: UserData::default(),
    };
    let mut rng = ChaCha20Rng::seed_from_u64(number ^ 0xBAC4);
    spec.issue(&Key::from_bytes(KEY), &mut rng)
        .expect("a good token")
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never came to be: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
