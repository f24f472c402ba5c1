//! Where bots get their connect tokens: from a key that we hold, or from whoever holds it and answers HTTP.
//!
//! Knows what a token is for. Has no idea of bots and when they set out.

mod http;
mod url;

use crate::id::ClientId;
use crate::proto::netcode::ConnectToken;
use crate::server::{IssueError, TokenIssuer};

pub(in crate::tools) use http::get;
pub use http::{FetchError, TokenService};
pub use url::{HttpUrl, UrlError};

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
    Issue(#[from] IssueError),
    /// The service that was asked has none for us.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Makes tokens itself, with the key that the server has too.
impl TokenSource for TokenIssuer {
    fn token(&mut self, client: ClientId) -> Result<ConnectToken, NoToken> {
        Ok(self.issue(client)?)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::proto::netcode::Key;

    #[test]
    fn an_issuer_gives_everybody_a_token_of_their_own() {
        let server = SocketAddr::from(([127, 0, 0, 1], 7777));
        let mut issuer = TokenIssuer::new(3, Key::from_bytes([7; 32]), vec![server]);
        let (ada, bob) = (issuer.token(ClientId(1)), issuer.token(ClientId(2)));
        let (ada, bob) = (ada.expect("a token"), bob.expect("a token"));
        assert_eq!((ada.protocol_id(), ada.servers()), (3, &[server][..]));
        assert_ne!(ada.to_bytes(), bob.to_bytes());
    }

    #[test]
    fn an_issuer_without_a_server_says_so() {
        let mut issuer = TokenIssuer::new(3, Key::from_bytes([7; 32]), Vec::new());
        let error = issuer.token(ClientId(1)).expect_err("nowhere to go");
        assert!(
            error.to_string().contains("1 to 32 server addresses"),
            "{error}"
        );
    }
}
