//! The server's half of the handshake: a request becomes a pending entry and a challenge, a response becomes a session.
//!
//! The order of the checks is the standard's ("Processing Connection Requests", "Processing Connection Response
//! Packets") wherever it can be seen from outside; what is free of cryptography comes first. One datagram causes at most one
//! answer, and the answer is smaller.

use core::net::SocketAddr;

use super::address::Address;
use super::packet::{CHALLENGE_BODY, Header, MAC_LEN, MAX_HEADER, PacketKind, Reader, Request};
use super::pending::{Binding, Entry, EntryNumber};
use super::private::PrivateToken;
use super::registry::{Claim, SeatRefusal, TokenMac};
use super::server::{NetcodeServer, SessionEvent};
use super::session::Session;
use super::{Key, Rejection, aead};
use crate::id::{ClientId, UserData};
use crate::time::Timestamp;

/// The longest response packet.
const RESPONSE_LEN: usize = MAX_HEADER + CHALLENGE_BODY + MAC_LEN;

impl From<SeatRefusal> for Rejection {
    fn from(refusal: SeatRefusal) -> Self {
        match refusal {
            SeatRefusal::TokenUsed => Self::TokenUsed,
            SeatRefusal::TokenStoreFull => Self::TokenStoreFull,
            SeatRefusal::ClientSeated => Self::ClientSeated,
            SeatRefusal::ServerFull => Self::ServerFull,
        }
    }
}

impl NetcodeServer {
    /// A connection request.
    pub(super) fn receive_request(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), Rejection> {
        let request = Request::read(datagram, self.protocol_id, self.wall)?;
        let address = Address::new(from);
        if self.sessions.at(address).is_some() {
            return Err(Rejection::AddressSeated);
        }
        if self.answers.is_full() {
            return Err(Rejection::AnswersFull);
        }
        let Request {
            expires,
            nonce,
            private,
        } = request;
        let mac = private.last_chunk().map(|mac| TokenMac(*mac));
        let mac = mac.ok_or(Rejection::RequestSize)?;
        let opened = aead::open_token(&self.key, &nonce, self.protocol_id, expires.0, private)
            .ok_or(Rejection::TokenForged)?;
        let token = PrivateToken::read(opened).ok_or(Rejection::TokenMalformed)?;
        if !token.names_one_of(&self.addresses) {
            return Err(Rejection::WrongServer);
        }
        let claim = Claim {
            client: token.client,
            token: mac,
            token_expires: expires,
            now: self.wall,
        };
        self.answer_request(now, from, &claim, &token)
    }

    /// A request with a token that is genuine and for this server.
    fn answer_request(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        claim: &Claim,
        token: &PrivateToken<'_>,
    ) -> Result<(), Rejection> {
        let full = match self.registry.check(claim) {
            Ok(()) => false,
            Err(SeatRefusal::ServerFull) => true,
            Err(refusal) => return Err(refusal.into()),
        };
        let address = Address::new(from);
        // The token is claimed before the server looks for a place, as the standard wants: only
        // the address that came first is told that the server is full.
        let make = || Entry::new(now, address, claim.token, claim.token_expires, token);
        let number = self.pending.claim(now, address, claim.token, make)?;
        if full {
            self.deny(from, &token.server_to_client);
            return Err(Rejection::ServerFull);
        }
        let binding = self.pending.binding(number).ok_or(Rejection::NoSession)?;
        self.challenge(from, token, binding)
    }

    fn challenge(
        &mut self,
        to: SocketAddr,
        token: &PrivateToken<'_>,
        binding: Binding,
    ) -> Result<(), Rejection> {
        let key = &token.server_to_client;
        let Self {
            answers,
            challenger,
            counter,
            protocol,
            ..
        } = self;
        answers
            .push(to, |out| {
                let body = challenger.issue(token.client, token.user_data, binding)?;
                aead::seal_packet(
                    key,
                    counter.take()?,
                    protocol,
                    PacketKind::Challenge,
                    &body,
                    out,
                )
            })
            .ok_or(Rejection::AnswersFull)
    }

    /// Tells an address that the server is full, if there is room to say so.
    fn deny(&mut self, to: SocketAddr, key: &Key) {
        let Self {
            answers,
            counter,
            protocol,
            ..
        } = self;
        answers.push(to, |out| {
            aead::seal_packet(key, counter.take()?, protocol, PacketKind::Denied, &[], out)
        });
    }

    /// Anything sealed from an address without a session: only a response can mean something.
    pub(super) fn receive_response(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), Rejection> {
        let header = Header::read(Reader::Server, datagram)?;
        let address = Address::new(from);
        if header.kind != PacketKind::Response {
            return Err(Rejection::NoSession);
        }
        if datagram.len() != header.len + CHALLENGE_BODY + MAC_LEN {
            return Err(Rejection::BodySize);
        }
        let mut body = [0; RESPONSE_LEN];
        let (number, body) = self
            .open_response(now, address, &header, datagram, &mut body)
            .ok_or(Rejection::NoSession)?;
        let challenge = self
            .challenger
            .open(body)
            .ok_or(Rejection::ChallengeForged)?;
        if self.pending.binding(number) != Some(challenge.binding) {
            return Err(Rejection::ChallengeForeign);
        }
        self.seat(now, from, number, challenge.client, challenge.user_data)
    }

    /// Tries the keys of every handshake that is pending at this address: at most the four of a bucket.
    ///
    /// Each on a copy, because a failed decryption leaves nothing to try again.
    fn open_response<'s>(
        &self,
        now: Timestamp,
        address: Address,
        header: &Header,
        datagram: &[u8],
        scratch: &'s mut [u8; RESPONSE_LEN],
    ) -> Option<(EntryNumber, &'s mut [u8])> {
        let number = self.pending.at(now, address).find_map(|(number, entry)| {
            let copy = scratch.get_mut(..datagram.len())?;
            copy.copy_from_slice(datagram);
            aead::open_packet(&entry.client_to_server, &self.protocol, header, copy).ok()?;
            Some(number)
        })?;
        let body = scratch.get_mut(header.len..header.len + CHALLENGE_BODY)?;
        Some((number, body))
    }

    /// The client has proved its address: a place, a session, a keep-alive, an event.
    fn seat(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        number: EntryNumber,
        client: ClientId,
        user_data: &[u8; UserData::LEN],
    ) -> Result<(), Rejection> {
        let entry = self.pending.get(number).ok_or(Rejection::NoSession)?;
        let claim = Claim {
            client,
            token: entry.token,
            token_expires: entry.token_expires,
            now: self.wall,
        };
        let slot = match self.registry.seat(&claim) {
            Ok(slot) => slot,
            Err(SeatRefusal::ServerFull) => {
                let key = entry.server_to_client.clone();
                self.deny(from, &key);
                return Err(Rejection::ServerFull);
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let entry = self.pending.take(number).ok_or(Rejection::NoSession)?;
        let session = Session::new(now, slot, client, from, entry);
        self.events.push_back(SessionEvent::Connected {
            slot,
            client,
            user_data: UserData(Box::new(*user_data)),
            address: session.address.canonical(),
            timeout: session.timeout,
        });
        self.enter(session);
        Ok(())
    }
}
