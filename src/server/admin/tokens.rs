//! Gives connect tokens to whoever may have one.
//!
//! Knows the desk that makes them, and makes up client ids for those who have none.
#![expect(
    clippy::disallowed_types,
    reason = "a driver: made-up client ids come from the operating system"
)]

use std::net::IpAddr;

use rand::TryRng as _;
use rand::rngs::SysRng;

use super::{AdminError, MAX_SERVERS, TokenDesk};
use crate::id::ClientId;
use crate::proto::netcode::ConnectToken;
use crate::server::issue::IssueError;

/// Client ids that we make up have 53 bits: every JSON reader holds them exactly.
const MADE_UP_ID: u64 = (1 << 53) - 1;

/// A desk that was checked.
#[derive(Debug)]
pub(super) struct Issuer(TokenDesk);

impl Issuer {
    /// Checks that tokens can be made.
    pub(super) fn new(desk: TokenDesk) -> Result<Self, AdminError> {
        let issuer = &desk.issuer;
        let unreachable = (issuer.servers.iter())
            .find(|address| address.ip().is_unspecified() || address.port() == 0);
        let problem = if !(1..=MAX_SERVERS).contains(&issuer.servers.len()) {
            let count = issuer.servers.len();
            Some(format!(
                "a token names 1 to {MAX_SERVERS} addresses, not {count}"
            ))
        } else if let Some(address) = unreachable {
            Some(format!("no client can reach {address}"))
        } else if issuer.timeout_seconds == 0 {
            Some("a timeout of 0 seconds would end every session at once".to_owned())
        } else if issuer.lifetime_seconds == 0 {
            Some("a token that expires after 0 seconds is never good".to_owned())
        } else {
            None
        };
        match problem {
            Some(problem) => Err(AdminError::Issuer(problem)),
            None => Ok(Self(desk)),
        }
    }

    /// Whether somebody at this address may have a token.
    pub(super) fn serves(&self, peer: IpAddr) -> bool {
        self.0.serves(peer)
    }

    /// A token for this client, or for one that nobody has been yet, and who that is.
    pub(super) fn issue(
        &self,
        client: Option<u64>,
    ) -> Result<(ClientId, ConnectToken), IssueError> {
        let client = match client {
            Some(client) => client,
            None => SysRng.try_next_u64().map_err(std::io::Error::other)? & MADE_UP_ID,
        };
        Ok((ClientId(client), self.0.issuer.issue(ClientId(client))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::netcode::Key;
    use crate::server::TokenIssuer;

    #[test]
    fn tokens_of_a_key_that_does_not_last_stay_on_this_machine() {
        let server = "127.0.0.1:7777".parse().expect("an address");
        let issuer = TokenIssuer::new(7, Key::from_bytes([1; 32]), vec![server]);
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        for loopback_only in [true, false] {
            let desk = TokenDesk {
                issuer: issuer.clone(),
                loopback_only,
            };
            let issuer = Issuer::new(desk).expect("a good desk");
            for near in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"] {
                assert!(issuer.serves(ip(near)), "{near}");
            }
            for far in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
                assert_eq!(issuer.serves(ip(far)), !loopback_only, "{far}");
            }
        }
    }
}
