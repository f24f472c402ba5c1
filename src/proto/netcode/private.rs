//! The private part of a connect token: what the backend tells the server behind the client's back.
//!
//! Standard, "Connect Token". Read as a view over the 1008 decrypted bytes, because it is read once per connection request
//! and copied only when one succeeds.

use core::net::SocketAddr;
use core::time::Duration;

use super::Key;
use super::address::{self, Address};
use super::token::{MAX_SERVERS, TokenSpec, write_servers};
use crate::id::{ClientId, UserData};
use crate::proto::wire::{ByteReader, ByteWriter};

/// A private connect token that has been decrypted and checked.
#[derive(Debug)]
pub(super) struct PrivateToken<'t> {
    pub(super) client: ClientId,
    pub(super) timeout_seconds: i32,
    count: u32,
    /// From the first address on: whole addresses, as often as `count` says.
    addresses: &'t [u8],
    pub(super) client_to_server: Key,
    pub(super) server_to_client: Key,
    pub(super) user_data: &'t [u8; UserData::LEN],
}

impl<'t> PrivateToken<'t> {
    /// Reads the decrypted bytes; `None` for a number of addresses outside 1 to 32 or an address of
    /// unknown type.
    pub(super) fn read(bytes: &'t [u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes);
        let client = ClientId(reader.u64()?);
        let timeout_seconds = reader.u32()?.cast_signed();
        let count = reader.u32()?;
        if !(1..=MAX_SERVERS).contains(&(count as usize)) {
            return None;
        }
        let addresses = reader.rest();
        for _ in 0..count {
            address::read(&mut reader)?;
        }
        Some(Self {
            client,
            timeout_seconds,
            count,
            addresses,
            client_to_server: Key::from_bytes(reader.array()?),
            server_to_client: Key::from_bytes(reader.array()?),
            user_data: reader.take(UserData::LEN)?.first_chunk()?,
        })
    }

    /// Writes the plain bytes of `spec`, zero padded by the caller.
    pub(super) fn write(
        spec: &TokenSpec,
        client_to_server: &Key,
        server_to_client: &Key,
        out: &mut [u8; 1024],
    ) -> Option<()> {
        let mut writer = ByteWriter::new(out);
        writer.u64(spec.client.0)?;
        writer.u32(spec.timeout_seconds.cast_unsigned())?;
        write_servers(&mut writer, &spec.servers)?;
        writer.bytes(client_to_server.as_bytes())?;
        writer.bytes(server_to_client.as_bytes())?;
        writer.bytes(&spec.user_data.0[..])
    }

    fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        let mut reader = ByteReader::new(self.addresses);
        (0..self.count).map_while(move |_| address::read(&mut reader))
    }

    /// Whether one of these addresses is in the list.
    pub(super) fn names_one_of(&self, addresses: &[Address]) -> bool {
        self.servers()
            .any(|server| addresses.contains(&Address::new(server)))
    }
}

/// Seconds as a token has them: negative is none.
pub(super) fn timeout(seconds: i32) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}
