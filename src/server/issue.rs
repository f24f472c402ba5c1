//! Keys and connect tokens with the randomness of the operating system: what a backend does, in one line.
//!
//! Knows the key, the calendar and where clients find the server. Has no idea who may play: whoever calls decides that.
#![expect(
    clippy::disallowed_types,
    reason = "a driver: keys come from the operating system"
)]

use std::io;
use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::{ChaCha20Rng, SysRng};

use super::clock::calendar;
use crate::id::{ClientId, UserData};
use crate::proto::netcode::{ConnectToken, Key, TokenError, TokenSpec};

/// A key that nobody else has.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn random_key() -> io::Result<Key> {
    Ok(Key::generate(&mut randomness()?))
}

/// A generator for keys, seeded by the operating system.
pub(super) fn randomness() -> io::Result<ChaCha20Rng> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|error| {
        io::Error::other(format!("the operating system gave no randomness: {error}"))
    })
}

/// Why there is no connect token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No address or too many of them, or a timeout of zero.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Issues connect tokens for servers that share a key.
///
/// For a backend in Rust, for tests and for development. A token is proof of who somebody is: issue it after a login, for one
/// session, and hand it over where nobody listens (HTTPS). A running server
/// [issues them too](super::ServerControl::issue_token), because it has the key.
///
/// ```
/// use tickwire::id::ClientId;
/// use tickwire::server::{TokenIssuer, random_key};
///
/// let issuer = TokenIssuer::new(7, random_key()?, vec!["192.0.2.1:7777".parse()?]);
/// let token = issuer.issue(ClientId(1))?;
/// let to_the_client = token.to_bytes(); // 2048 bytes
/// # assert_eq!(to_the_client.len(), 2048);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    /// The number of the game and its version.
    pub protocol_id: u64,
    /// The key shared with the servers.
    pub key: Key,
    /// Where clients find the servers: 1 to 32 addresses, tried in this order.
    pub servers: Vec<SocketAddr>,
    /// For how long a token is good for connecting. Default 60 s.
    pub lifetime_seconds: u64,
    /// After how many silent seconds a session ends; negative: never (development only). Default 5 s.
    pub timeout_seconds: i32,
}

impl TokenIssuer {
    /// An issuer with the defaults: 60 s to connect, 5 s of silence.
    #[must_use]
    pub const fn new(protocol_id: u64, key: Key, servers: Vec<SocketAddr>) -> Self {
        Self {
            protocol_id,
            key,
            servers,
            lifetime_seconds: 60,
            timeout_seconds: 5,
        }
    }

    /// A token for one session of this client, from now on.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, client: ClientId) -> Result<ConnectToken, IssueError> {
        self.issue_with(client, UserData::default())
    }

    /// The same with something for the game, which its [`join`](crate::game::Game::join) gets to see: a name, a team.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue_with(
        &self,
        client: ClientId,
        user_data: UserData,
    ) -> Result<ConnectToken, IssueError> {
        let created = calendar();
        let spec = TokenSpec {
            protocol_id: self.protocol_id,
            client,
            servers: self.servers.clone(),
            created,
            expires: created.plus_seconds(self.lifetime_seconds),
            timeout_seconds: self.timeout_seconds,
            user_data,
        };
        Ok(spec.issue(&self.key, &mut randomness()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> TokenIssuer {
        let server = SocketAddr::from(([192, 0, 2, 1], 7777));
        TokenIssuer::new(7, Key::from_bytes([1; 32]), vec![server])
    }

    #[test]
    fn no_two_keys_and_no_two_tokens_are_the_same() {
        assert!(random_key().expect("randomness") != random_key().expect("randomness"));
        let issue = || issuer().issue(ClientId(1)).expect("a good issuer");
        assert_ne!(issue().to_bytes(), issue().to_bytes());
    }

    #[test]
    fn a_token_says_what_the_issuer_says() {
        let token = issuer().issue(ClientId(1)).expect("a good issuer");
        assert_eq!(token.protocol_id(), 7);
        assert_eq!(token.servers(), issuer().servers);
        assert_eq!(token.timeout_seconds(), 5);
        assert_eq!(token.expires(), token.created().plus_seconds(60));
    }

    #[test]
    fn an_issuer_without_servers_has_no_tokens() {
        let mut issuer = issuer();
        issuer.servers.clear();
        let error = issuer.issue(ClientId(1)).expect_err("nowhere to go");
        assert!(matches!(error, IssueError::Token(_)), "{error}");
    }
}
