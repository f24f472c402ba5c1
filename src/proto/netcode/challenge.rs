//! The challenge token: proves that whoever answers can read what was sent to its address.
//!
//! Standard, "Challenge Token": client id, user data, and 20 bytes that the standard leaves zero. The client
//! never looks inside, so the first 16 of them carry a mac that binds the challenge to one entry of the
//! pending table: to an address, a connect token and a time. A challenge that was given to
//! somebody else is worth nothing.

use rand::CryptoRng;

use super::Key;
use super::aead::{self, Counter};
use super::packet::{CHALLENGE_BODY, CHALLENGE_LEN};
use super::pending::Binding;
use crate::id::{ClientId, UserData};
use crate::proto::wire::{ByteReader, ByteWriter};

/// Makes and checks the challenges of one server between its start and its end.
#[derive(Debug)]
pub(super) struct Challenger {
    key: Key,
    counter: Counter,
}

/// What an answered challenge says.
#[derive(Debug)]
pub(super) struct Challenge<'c> {
    pub(super) client: ClientId,
    pub(super) user_data: &'c [u8; UserData::LEN],
    pub(super) binding: Binding,
}

impl Challenger {
    /// With a random key, as the standard wants: challenges end with the server that gave them.
    pub(super) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            key: Key::generate(rng),
            counter: Counter::of_session(),
        }
    }

    /// The body of a challenge packet: the challenge's number and the sealed token.
    pub(super) fn issue(
        &mut self,
        client: ClientId,
        user_data: &[u8; UserData::LEN],
        binding: Binding,
    ) -> Option<[u8; CHALLENGE_BODY]> {
        let fresh = self.counter.take()?;
        let mut body = [0; CHALLENGE_BODY];
        let (number, token) = body.split_first_chunk_mut::<8>()?;
        *number = fresh.number().to_le_bytes();
        let token: &mut [u8; CHALLENGE_LEN] = token.first_chunk_mut()?;
        let mut writer = ByteWriter::new(token);
        writer.u64(client.0)?;
        writer.bytes(user_data)?;
        writer.bytes(&binding.0)?;
        aead::seal_challenge(&self.key, fresh, token)?;
        Some(body)
    }

    /// Reads the body of a response packet; `None` when the token in it is not one of ours.
    pub(super) fn open<'b>(&self, body: &'b mut [u8]) -> Option<Challenge<'b>> {
        let (number, token) = body.split_first_chunk_mut::<8>()?;
        let opened = aead::open_challenge(&self.key, u64::from_le_bytes(*number), token)?;
        let mut reader = ByteReader::new(opened);
        Some(Challenge {
            client: ClientId(reader.u64()?),
            user_data: reader.take(UserData::LEN)?.first_chunk()?,
            binding: Binding(reader.array()?),
        })
    }
}
