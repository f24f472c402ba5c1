//! The connect token: what a backend issues, a client carries and a server believes.
//!
//! Standard, "Connect Token". This file has the public form and the issuing; the part that only backend and
//! server can read is in `private.rs`. Knows calendar time as a number. Has no part in handshakes.

use core::fmt;
use core::net::SocketAddr;

use rand::CryptoRng;

use super::aead;
use super::packet::VERSION;
use super::private::PrivateToken;
use super::{Key, address};
use crate::id::{ClientId, UserData};
use crate::proto::wire::{ByteReader, ByteWriter};
use crate::time::UnixTime;

/// The most server addresses a token can name.
pub const MAX_SERVERS: usize = 32;
/// Bytes in a public connect token.
pub const TOKEN_LEN: usize = 2048;

/// Why a connect token cannot be issued or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A public connect token has exactly 2048 bytes.
    #[error("a connect token has 2048 bytes, this has {0}")]
    Length(usize),
    /// It is not for netcode 1.02.
    #[error("the connect token is not for netcode 1.02")]
    Version,
    /// It names no server, or more than 32.
    #[error("a connect token names 1 to 32 server addresses, this names {0}")]
    ServerCount(usize),
    /// An address is neither IPv4 (1) nor IPv6 (2).
    #[error("a server address in the connect token is neither IPv4 nor IPv6")]
    AddressType,
    /// It was created after it expires.
    #[error("the connect token expires before it was created")]
    ExpiresBeforeCreated,
    /// A timeout of zero seconds would end every session at once; a negative one disables the timeout.
    #[error("the timeout of a connect token is at least one second, or negative for none")]
    NoTimeout,
}

/// What a backend decides about a session before it exists.
///
/// ```
/// use rand::SeedableRng;
/// use tickwire::id::{ClientId, UserData};
/// use tickwire::proto::netcode::{ConnectToken, Key, TokenSpec};
/// use tickwire::time::UnixTime;
///
/// let mut rng = rand::rngs::ChaCha20Rng::seed_from_u64(1); // a real backend asks its operating system
/// let spec = TokenSpec {
///     protocol_id: 0x1122_3344_5566_7788,
///     client: ClientId(7),
///     servers: vec!["192.0.2.1:40000".parse().unwrap()],
///     created: UnixTime(1_000),
///     expires: UnixTime(1_030),
///     timeout_seconds: 5,
///     user_data: UserData::default(),
/// };
/// let token = spec.issue(&Key::generate(&mut rng), &mut rng).unwrap();
/// let bytes = token.to_bytes(); // these go to the client, over HTTPS
/// assert_eq!(ConnectToken::from_bytes(&bytes[..]).unwrap().expires(), UnixTime(1_030));
/// ```
#[derive(Debug, Clone)]
pub struct TokenSpec {
    /// The number of this game and version; both ends must agree.
    pub protocol_id: u64,
    /// Who the client is, globally.
    pub client: ClientId,
    /// 1 to 32 addresses, tried in this order.
    pub servers: Vec<SocketAddr>,
    /// When the token was made.
    pub created: UnixTime,
    /// From this second on no server accepts it.
    pub expires: UnixTime,
    /// After how many silent seconds a handshake step or a session ends; negative: never (development only).
    pub timeout_seconds: i32,
    /// For the game.
    pub user_data: UserData,
}

impl TokenSpec {
    /// Makes the token: fresh keys and nonce from `rng`, the private part sealed with the `key` that the
    /// servers share.
    ///
    /// # Errors
    ///
    /// No or too many servers, an expiry before the creation, a timeout of zero.
    pub fn issue<R: CryptoRng + ?Sized>(
        &self,
        key: &Key,
        rng: &mut R,
    ) -> Result<ConnectToken, TokenError> {
        check_count(self.servers.len())?;
        if self.expires < self.created {
            return Err(TokenError::ExpiresBeforeCreated);
        }
        if self.timeout_seconds == 0 {
            return Err(TokenError::NoTimeout);
        }
        let client_to_server = Key::generate(rng);
        let server_to_client = Key::generate(rng);
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let mut private = Box::new([0; 1024]);
        PrivateToken::write(self, &client_to_server, &server_to_client, &mut private)
            .and_then(|()| {
                aead::seal_token(key, &nonce, self.protocol_id, self.expires.0, &mut private)
            })
            // 32 addresses of the longer kind, two keys and the user data are 952 bytes of 1008.
            .ok_or(TokenError::ServerCount(self.servers.len()))?;
        Ok(ConnectToken {
            protocol_id: self.protocol_id,
            created: self.created,
            expires: self.expires,
            nonce,
            private,
            timeout_seconds: self.timeout_seconds,
            servers: self.servers.clone(),
            client_to_server,
            server_to_client,
        })
    }
}

fn check_count(count: usize) -> Result<(), TokenError> {
    if (1..=MAX_SERVERS).contains(&count) {
        Ok(())
    } else {
        Err(TokenError::ServerCount(count))
    }
}

/// A connect token as the client holds it: where to go, with which keys, and a sealed part for the server.
///
/// One token is for one session. It contains the session's keys: it travels over HTTPS and is shown to nobody.
#[derive(Clone)]
pub struct ConnectToken {
    pub(super) protocol_id: u64,
    pub(super) created: UnixTime,
    pub(super) expires: UnixTime,
    pub(super) nonce: [u8; 24],
    pub(super) private: Box<[u8; 1024]>,
    pub(super) timeout_seconds: i32,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) client_to_server: Key,
    pub(super) server_to_client: Key,
}

impl ConnectToken {
    /// Reads the 2048 public bytes.
    ///
    /// # Errors
    ///
    /// Everything that makes a client enter the standard's state *invalid connect token*, and bytes
    /// that are no token of this version at all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() != TOKEN_LEN {
            return Err(TokenError::Length(bytes.len()));
        }
        // The fixed fields and 32 addresses end long before byte 2048, so "too short" cannot happen below.
        let short = TokenError::Length(bytes.len());
        let mut reader = ByteReader::new(bytes);
        if reader.array::<13>().ok_or(short)? != *VERSION {
            return Err(TokenError::Version);
        }
        let protocol_id = reader.u64().ok_or(short)?;
        let created = UnixTime(reader.u64().ok_or(short)?);
        let expires = UnixTime(reader.u64().ok_or(short)?);
        if expires < created {
            return Err(TokenError::ExpiresBeforeCreated);
        }
        let nonce = reader.array().ok_or(short)?;
        let private = Box::new(reader.array::<1024>().ok_or(short)?);
        let timeout_seconds = reader.u32().ok_or(short)?.cast_signed();
        let count = reader.u32().ok_or(short)? as usize;
        check_count(count)?;
        let servers = (0..count)
            .map(|_| address::read(&mut reader).ok_or(TokenError::AddressType))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            protocol_id,
            created,
            expires,
            nonce,
            private,
            timeout_seconds,
            servers,
            client_to_server: Key::from_bytes(reader.array().ok_or(short)?),
            server_to_client: Key::from_bytes(reader.array().ok_or(short)?),
        })
    }

    /// The 2048 public bytes, zero padded.
    #[must_use]
    pub fn to_bytes(&self) -> Box<[u8; TOKEN_LEN]> {
        let mut bytes = Box::new([0; TOKEN_LEN]);
        // The fields of a token that exists fit (at most 1785 bytes): writing cannot fail.
        let written = self.write(&mut ByteWriter::new(&mut bytes[..]));
        debug_assert!(written.is_some(), "a token fits into its bytes");
        bytes
    }

    fn write(&self, writer: &mut ByteWriter<'_>) -> Option<()> {
        writer.bytes(VERSION)?;
        writer.u64(self.protocol_id)?;
        writer.u64(self.created.0)?;
        writer.u64(self.expires.0)?;
        writer.bytes(&self.nonce)?;
        writer.bytes(&self.private[..])?;
        writer.u32(self.timeout_seconds.cast_unsigned())?;
        write_servers(writer, &self.servers)?;
        writer.bytes(self.client_to_server.as_bytes())?;
        writer.bytes(self.server_to_client.as_bytes())
    }

    /// The number of the game and version it is for.
    #[must_use]
    pub const fn protocol_id(&self) -> u64 {
        self.protocol_id
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> UnixTime {
        self.created
    }

    /// From this second on no server accepts it.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// The silent seconds after which a step of the handshake or the session ends; negative: never.
    #[must_use]
    pub const fn timeout_seconds(&self) -> i32 {
        self.timeout_seconds
    }

    /// The servers, in the order in which they are tried: 1 to 32.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }
}

impl fmt::Debug for ConnectToken {
    /// Without the keys and the sealed part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectToken")
            .field("protocol_id", &self.protocol_id)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .field("timeout_seconds", &self.timeout_seconds)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// The number of addresses and the addresses, as both parts of a token carry them.
pub(super) fn write_servers(writer: &mut ByteWriter<'_>, servers: &[SocketAddr]) -> Option<()> {
    writer.u32(u32::try_from(servers.len()).ok()?)?;
    servers
        .iter()
        .try_for_each(|server| address::write(writer, *server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn spec(servers: usize) -> TokenSpec {
        TokenSpec {
            protocol_id: 1,
            client: ClientId(2),
            servers: vec!["[2001:db8::1]:7".parse().expect("an address"); servers],
            created: UnixTime(10),
            expires: UnixTime(20),
            timeout_seconds: 5,
            user_data: UserData::default(),
        }
    }

    fn issue(spec: &TokenSpec) -> Result<ConnectToken, TokenError> {
        let mut rng = rand::rngs::ChaCha20Rng::seed_from_u64(3);
        spec.issue(&Key::from_bytes([1; 32]), &mut rng)
    }

    #[test]
    fn thirty_two_servers_fit_and_thirty_three_are_refused() {
        let token = issue(&spec(32)).expect("32 is the limit");
        let read = ConnectToken::from_bytes(&token.to_bytes()[..]).expect("our own bytes");
        assert_eq!(read.servers().len(), 32);
        assert_eq!(read.to_bytes(), token.to_bytes());
        for count in [0, 33] {
            let error = issue(&spec(count)).unwrap_err();
            assert_eq!(error, TokenError::ServerCount(count));
        }
    }

    #[test]
    fn a_token_that_could_never_work_is_not_issued() {
        let mut backwards = spec(1);
        backwards.expires = UnixTime(9);
        assert_eq!(
            issue(&backwards).unwrap_err(),
            TokenError::ExpiresBeforeCreated
        );
        let mut hasty = spec(1);
        hasty.timeout_seconds = 0;
        assert_eq!(issue(&hasty).unwrap_err(), TokenError::NoTimeout);
    }

    #[test]
    fn keys_do_not_show() {
        let token = issue(&spec(1)).expect("a token");
        assert!(!format!("{token:?}").contains("key"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_token_or_an_error(
            start in prop::collection::vec(any::<u8>(), 0..2048),
            count in 0_u32..40,
        ) {
            let mut bytes = issue(&spec(1)).expect("a token").to_bytes();
            bytes[1089..1093].copy_from_slice(&count.to_le_bytes());
            bytes[1093..][..start.len().min(955)].copy_from_slice(&start[..start.len().min(955)]);
            let _ = ConnectToken::from_bytes(&bytes[..]);
            let _ = ConnectToken::from_bytes(&start);
        }
    }
}
