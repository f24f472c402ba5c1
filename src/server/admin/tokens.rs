//! Makes connect tokens for whoever may have one.
//!
//! Knows the key and the randomness. Who may ask is decided by whoever calls.
#![expect(
    clippy::disallowed_types,
    reason = "a driver: the keys in a token come from the operating system"
)]

use std::io;
use std::sync::{Mutex, PoisonError};

use rand::rngs::{ChaCha20Rng, SysRng};
use rand::{Rng as _, SeedableRng as _};

use super::{AdminError, MAX_SERVERS, TokenIssuer};
use crate::id::{ClientId, UserData};
use crate::proto::netcode::{ConnectToken, TokenError, TokenSpec};
use crate::server::clock::calendar;

/// Client ids that we make up have 53 bits: every JSON reader holds them exactly.
const MADE_UP_ID: u64 = (1 << 53) - 1;

/// An issuer that was checked.
#[derive(Debug)]
pub(super) struct Issuer {
    config: TokenIssuer,
    rng: Mutex<ChaCha20Rng>,
}

impl Issuer {
    /// Checks that tokens can be made.
    pub(super) fn new(config: TokenIssuer) -> Result<Self, AdminError> {
        let problem = if config.public.is_empty() || config.public.len() > MAX_SERVERS {
            Some(format!(
                "a token names 1 to {MAX_SERVERS} addresses, not {}",
                config.public.len()
            ))
        } else if let Some(address) = config
            .public
            .iter()
            .find(|address| address.ip().is_unspecified() || address.port() == 0)
        {
            Some(format!("no client can reach {address}"))
        } else if config.timeout_seconds == 0 {
            Some("a timeout of 0 seconds would end every session at once".to_owned())
        } else if config.expires_seconds == 0 {
            Some("a token that expires after 0 seconds is never good".to_owned())
        } else {
            None
        };
        match problem {
            Some(problem) => Err(AdminError::Issuer(problem)),
            None => Ok(Self {
                config,
                rng: Mutex::new(ChaCha20Rng::try_from_rng(&mut SysRng).map_err(io::Error::other)?),
            }),
        }
    }

    /// Whether tokens may not leave this machine.
    pub(super) const fn is_loopback_only(&self) -> bool {
        self.config.loopback_only
    }

    /// A token for this client, or for one that nobody has been yet, and who that is.
    pub(super) fn issue(
        &self,
        client: Option<u64>,
    ) -> Result<(ClientId, ConnectToken), TokenError> {
        // A generator is good after any panic: it only ever moves on.
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let client = ClientId(client.unwrap_or_else(|| rng.next_u64() & MADE_UP_ID));
        let created = calendar();
        let spec = TokenSpec {
            protocol_id: self.config.protocol_id,
            client,
            servers: self.config.public.clone(),
            created,
            expires: created.plus_seconds(self.config.expires_seconds),
            timeout_seconds: self.config.timeout_seconds,
            user_data: UserData::default(),
        };
        Ok((client, spec.issue(&self.config.key, &mut *rng)?))
    }
}
