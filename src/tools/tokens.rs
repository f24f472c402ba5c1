//! Where bots get their connect tokens: from a key that we hold, or from whoever holds it and answers HTTP.
//!
//! Knows what a token is for. Has no idea of bots and when they set out.
#![expect(
    clippy::disallowed_types,
    reason = "a driver: a token's keys come from the operating system"
)]

mod http;
mod url;

use std::net::SocketAddr;

use rand::SeedableRng as _;
use rand::rngs::{ChaCha20Rng, SysRng};

use crate::id::{ClientId, UserData};
use crate::proto::netcode::{ConnectToken, Key, TokenError, TokenSpec};
use crate::server::clock::calendar;

pub use http::{FetchError, TokenService};
pub use url::{HttpUrl, UrlError};

/// From a token's making to the last moment at which a session can begin with it: a minute, in seconds.
const EXPIRES_AFTER: u64 = 60;

/// Seconds of silence after which a step of the handshake, or a session, ends.
const TIMEOUT: i32 = 5;

/// Somebody who has a connect token for each client that asks.
pub trait TokenSource: Send {
    /// A fresh token for a client. May wait, for seconds at the most.
    ///
    /// # Errors
    ///
    /// Whatever the source met; the text names the source.
    fn token(&mut self, client: ClientId) -> Result<ConnectToken, NoToken>;
}

impl<S: TokenSource + ?Sized> TokenSource for Box<S> {
    fn token(&mut self, client: ClientId) -> Result<ConnectToken, NoToken> {
        (**self).token(client)
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoToken {
    /// It could not be made here.
    #[error("cannot issue a connect token: {0}")]
    Issue(#[from] TokenError),
    /// The operating system gave no randomness for keys.
    #[error("cannot issue a connect token: the operating system gave no randomness: {0}")]
    Randomness(String),
    /// The service that was asked has none for us.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Makes tokens itself, with the key that the server has too.
#[derive(Debug)]
pub struct Issuer {
    key: Key,
    protocol_id: u64,
    servers: Vec<SocketAddr>,
    rng: ChaCha20Rng,
}

impl Issuer {
    /// An issuer of tokens for these servers, of which there are 1 to 32.
    ///
    /// # Errors
    ///
    /// [`NoToken::Randomness`] when the operating system has none.
    pub fn new(key: Key, protocol_id: u64, servers: Vec<SocketAddr>) -> Result<Self, NoToken> {
        let rng = ChaCha20Rng::try_from_rng(&mut SysRng)
            .map_err(|error| NoToken::Randomness(error.to_string()))?;
        Ok(Self {
            key,
            protocol_id,
            servers,
            rng,
        })
    }
}

impl TokenSource for Issuer {
    fn token(&mut self, client: ClientId) -> Result<ConnectToken, NoToken> {
        let created = calendar();
        let spec = TokenSpec {
            protocol_id: self.protocol_id,
            client,
            servers: self.servers.clone(),
            created,
            expires: created.plus_seconds(EXPIRES_AFTER),
            timeout_seconds: TIMEOUT,
            user_data: UserData::default(),
        };
        Ok(spec.issue(&self.key, &mut self.rng)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_gives_everybody_a_token_of_their_own() {
        let server = SocketAddr::from(([127, 0, 0, 1], 7777));
        let mut issuer =
            Issuer::new(Key::from_bytes([7; 32]), 3, vec![server]).expect("randomness");
        let (ada, bob) = (issuer.token(ClientId(1)), issuer.token(ClientId(2)));
        let (ada, bob) = (ada.expect("a token"), bob.expect("a token"));
        assert_eq!((ada.protocol_id(), ada.servers()), (3, &[server][..]));
        assert_ne!(ada.to_bytes(), bob.to_bytes());
    }

    #[test]
    fn an_issuer_without_a_server_says_so() {
        let mut issuer = Issuer::new(Key::from_bytes([7; 32]), 3, Vec::new()).expect("randomness");
        let error = issuer.token(ClientId(1)).expect_err("nowhere to go");
        assert!(
            error.to_string().contains("1 to 32 server addresses"),
            "{error}"
        );
    }
}
