//! Sealing and opening: ChaCha20-Poly1305 for packets and challenges, XChaCha20-Poly1305 for connect tokens.
//!
//! Holds the one rule that must never break: no pair of key and sequence number is sealed twice. A [`Counter`] gives
//! every number away once, as a [`Fresh`] that can be neither copied nor made by anybody else, and sealing consumes
//! it. Knows nothing of handshakes or sessions.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::packet::{Header, MAC_LEN, PacketKind, VERSION, sequence_len};
use super::replay::ReplayWindow;
use super::{Key, MAX_PAYLOAD, Rejection};

/// The first number of the upper half, where the server numbers its own packets (challenge, denied).
///
/// They are sealed with the key of a session whose own numbers start at zero.
pub(super) const UPPER_HALF: u64 = 1 << 63;

/// A sequence number that nobody has sealed with.
#[derive(Debug)]
pub(super) struct Fresh(u64);

impl Fresh {
    pub(super) const fn number(&self) -> u64 {
        self.0
    }
}

/// Gives out each number of a range once.
#[derive(Debug)]
pub(super) struct Counter {
    /// `None` when the range is used up: then nothing is sealed any more.
    next: Option<u64>,
    last: u64,
    step: u64,
}

impl Counter {
    /// The numbers of one direction of one session: from zero, and never in the upper half.
    pub(super) const fn of_session() -> Self {
        Self {
            next: Some(0),
            last: UPPER_HALF - 1,
            step: 1,
        }
    }

    /// The numbers `first`, `first + step`, ... in the upper half.
    pub(super) const fn of_server(first: u64, step: u64) -> Self {
        Self {
            next: Some(first | UPPER_HALF),
            last: u64::MAX,
            step,
        }
    }

    const fn peek(&self) -> Option<u64> {
        self.next
    }

    pub(super) fn take(&mut self) -> Option<Fresh> {
        let number = self.next?;
        self.next = number
            .checked_add(self.step)
            .filter(|next| *next <= self.last);
        Some(Fresh(number))
    }
}

/// The witness that a packet with this sequence number was opened. Only opening one makes it.
#[derive(Debug)]
pub(super) struct Proof(u64);

impl Proof {
    pub(super) const fn sequence(&self) -> u64 {
        self.0
    }

    #[cfg(test)]
    pub(super) const fn for_test(sequence: u64) -> Self {
        Self(sequence)
    }
}

/// The associated data of packets, complete but for the prefix byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol {
    head: [u8; 22],
}

impl Protocol {
    pub(super) fn new(protocol_id: u64) -> Self {
        let mut head = [0; 22];
        head[..13].copy_from_slice(VERSION);
        head[13..21].copy_from_slice(&protocol_id.to_le_bytes());
        Self { head }
    }

    const fn with_prefix(mut self, prefix: u8) -> [u8; 22] {
        self.head[21] = prefix;
        self.head
    }
}

/// Four zero bytes, then the sequence number, little-endian.
fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The key in `ring`'s form.
///
/// ChaCha20 has no key schedule. `ring`'s form is the 32 bytes in a shape made for AES, 544 bytes large: filling it in
/// takes 30 of the 420 ns that opening a small packet takes, and two of them would double the size of a session.
fn cipher(key: &Key) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes())
        .ok()
        .map(LessSafeKey::new)
}

/// Seals `body` where it lies and answers its mac.
fn seal_body(key: &Key, fresh: Fresh, aad: &[u8], body: &mut [u8]) -> Option<[u8; MAC_LEN]> {
    let tag = cipher(key)?
        .seal_in_place_separate_tag(nonce(fresh.0), Aad::from(aad), body)
        .ok()?;
    tag.as_ref().try_into().ok()
}

/// Opens `sealed` (body and mac) where it lies.
fn open_body<'d>(
    key: &Key,
    sequence: u64,
    aad: &[u8],
    sealed: &'d mut [u8],
) -> Option<&'d mut [u8]> {
    cipher(key)?
        .open_in_place(nonce(sequence), Aad::from(aad), sealed)
        .ok()
}

/// Writes a packet with the body that `write` puts into the room it is given, and answers the packet's length.
///
/// `write` gets as much room as the type's longest body may have, at most what `out` has left.
pub(super) fn seal_packet(
    key: &Key,
    fresh: Fresh,
    protocol: &Protocol,
    kind: PacketKind,
    body: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let start = 1 + sequence_len(fresh.0);
    out.get_mut(start..start + body.len())?
        .copy_from_slice(body);
    seal_written(key, fresh, protocol, kind, body.len(), out)
}

/// Seals a packet whose body already lies behind the room for its header.
fn seal_written(
    key: &Key,
    fresh: Fresh,
    protocol: &Protocol,
    kind: PacketKind,
    body_len: usize,
    out: &mut [u8],
) -> Option<usize> {
    let sequence = fresh.0;
    let start = 1 + sequence_len(sequence);
    let prefix = kind.prefix(sequence);
    let (head, rest) = out.split_at_mut_checked(start)?;
    let (body, rest) = rest.split_at_mut_checked(body_len)?;
    let mac = rest.first_chunk_mut::<MAC_LEN>()?;
    let (first, number) = head.split_first_mut()?;
    *first = prefix;
    number.copy_from_slice(sequence.to_le_bytes().get(..start - 1)?);
    *mac = seal_body(key, fresh, &protocol.with_prefix(prefix), body)?;
    Some(start + body_len + MAC_LEN)
}

/// Opens a packet where it lies and answers its body, of whatever size it is.
pub(super) fn open_packet<'d>(
    key: &Key,
    protocol: &Protocol,
    header: &Header,
    datagram: &'d mut [u8],
) -> Result<(Proof, &'d mut [u8]), Rejection> {
    let sealed = datagram.get_mut(header.len..).ok_or(Rejection::Truncated)?;
    let aad = protocol.with_prefix(header.prefix);
    let body = open_body(key, header.sequence, &aad, sealed).ok_or(Rejection::Forged)?;
    Ok((Proof(header.sequence), body))
}

/// The sending half of a session: a key together with the numbers that were not used with it yet.
///
/// Not `Clone`: two of it would be the end of the rule.
#[derive(Debug)]
pub(super) struct Sealer {
    key: Key,
    counter: Counter,
}

impl Sealer {
    pub(super) const fn new(key: Key) -> Self {
        Self {
            key,
            counter: Counter::of_session(),
        }
    }

    /// Writes a packet with this body.
    pub(super) fn seal(
        &mut self,
        protocol: &Protocol,
        kind: PacketKind,
        body: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let fresh = self.counter.take()?;
        seal_packet(&self.key, fresh, protocol, kind, body, out)
    }

    /// Writes a payload packet whose payload `write` puts, in place, into the up to 1200 bytes it is given.
    ///
    /// Answers the packet's length; `None`, with no number used, when `write` wrote nothing.
    pub(super) fn seal_payload(
        &mut self,
        protocol: &Protocol,
        out: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Option<usize> {
        let start = 1 + sequence_len(self.counter.peek()?);
        let room = out.len().checked_sub(start + MAC_LEN)?.min(MAX_PAYLOAD);
        let len = write(out.get_mut(start..start + room)?).min(room);
        if len == 0 {
            return None;
        }
        let fresh = self.counter.take()?;
        seal_written(&self.key, fresh, protocol, PacketKind::Payload, len, out)
    }
}

/// The receiving half of a session: a key and what was received with it.
#[derive(Debug)]
pub(super) struct Opener {
    key: Key,
    window: ReplayWindow,
}

impl Opener {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            window: ReplayWindow::default(),
        }
    }

    /// The second half of the standard's "Reading Encrypted Packets": replay test, decryption, advance, size.
    pub(super) fn open<'d>(
        &mut self,
        protocol: &Protocol,
        header: &Header,
        datagram: &'d mut [u8],
    ) -> Result<&'d mut [u8], Rejection> {
        let guarded = header.kind.is_replay_protected();
        if guarded && !self.window.is_fresh(header.sequence) {
            return Err(Rejection::Replayed);
        }
        let (proof, body) = open_packet(&self.key, protocol, header, datagram)?;
        if guarded {
            self.window.advance(&proof);
        }
        if !header.kind.accepts_body(body.len()) {
            return Err(Rejection::BodySize);
        }
        Ok(body)
    }
}

/// Seals a challenge token: no associated data, the server's own key and numbers.
pub(super) fn seal_challenge<const N: usize>(
    key: &Key,
    fresh: Fresh,
    token: &mut [u8; N],
) -> Option<()> {
    let (body, mac) = token.split_last_chunk_mut::<MAC_LEN>()?;
    *mac = seal_body(key, fresh, &[], body)?;
    Some(())
}

/// Opens a challenge token where it lies.
pub(super) fn open_challenge<'t>(
    key: &Key,
    sequence: u64,
    token: &'t mut [u8],
) -> Option<&'t mut [u8]> {
    open_body(key, sequence, &[], token)
}

/// The associated data of a private connect token.
fn token_data(protocol_id: u64, expires: u64) -> [u8; 29] {
    let mut data = [0; 29];
    data[..13].copy_from_slice(VERSION);
    data[13..21].copy_from_slice(&protocol_id.to_le_bytes());
    data[21..].copy_from_slice(&expires.to_le_bytes());
    data
}

/// XChaCha20-Poly1305 is ChaCha20-Poly1305 under a key derived from the first 16 bytes of the nonce, with the
/// last 8 as its nonce (draft-irtf-cfrg-xchacha, section 2.3).
///
/// Done in these two steps so that the long part is `ring`'s: a forged request, of which a flood consists, is
/// found out in less than half the time.
fn token_cipher(key: &Key, nonce: &[u8; 24]) -> (Key, u64) {
    let (head, tail) = (nonce.first_chunk::<16>(), nonce.last_chunk::<8>());
    let subkey = hchacha::<R20>(key.as_bytes().into(), head.unwrap_or(&[0; 16]).into());
    let sequence = u64::from_le_bytes(*tail.unwrap_or(&[0; 8]));
    (Key::from_bytes(subkey.into()), sequence)
}

/// Seals a private connect token with a nonce that is random: the last 16 bytes become its mac.
pub(super) fn seal_token(
    key: &Key,
    nonce: &[u8; 24],
    protocol_id: u64,
    expires: u64,
    token: &mut [u8; 1024],
) -> Option<()> {
    let (body, mac) = token.split_last_chunk_mut::<MAC_LEN>()?;
    let (subkey, sequence) = token_cipher(key, nonce);
    // 192 random bits are what makes this pair fresh, not a counter.
    *mac = seal_body(
        &subkey,
        Fresh(sequence),
        &token_data(protocol_id, expires),
        body,
    )?;
    Some(())
}

/// Opens a private connect token where it lies and answers its 1008 bytes.
pub(super) fn open_token<'t>(
    key: &Key,
    nonce: &[u8; 24],
    protocol_id: u64,
    expires: u64,
    token: &'t mut [u8; 1024],
) -> Option<&'t mut [u8]> {
    let (subkey, sequence) = token_cipher(key, nonce);
    open_body(&subkey, sequence, &token_data(protocol_id, expires), token)
}

#[cfg(test)]
mod tests {
    use super::super::packet::Reader;
    use super::*;

    const KEY: Key = Key::from_bytes([7; 32]);

    fn sealed(kind: PacketKind, body: &[u8]) -> Vec<u8> {
        let mut out = [0; 1_300];
        let len = Sealer::new(KEY)
            .seal(&Protocol::new(5), kind, body, &mut out)
            .expect("the buffer is large enough");
        out[..len].to_vec()
    }

    #[test]
    fn a_counter_gives_every_number_once_and_stops_at_the_end() {
        let mut session = Counter::of_session();
        assert_eq!(session.take().map(|fresh| fresh.0), Some(0));
        assert_eq!(session.take().map(|fresh| fresh.0), Some(1));
        session.next = Some(UPPER_HALF - 1);
        assert!(session.take().is_some());
        assert!(
            session.take().is_none(),
            "the upper half belongs to the server"
        );
        let mut server = Counter::of_server(u64::MAX - 3, 2);
        assert_eq!(server.take().map(|fresh| fresh.0), Some(u64::MAX - 3));
        assert_eq!(server.take().map(|fresh| fresh.0), Some(u64::MAX - 1));
        assert!(server.take().is_none());
    }

    #[test]
    fn what_was_sealed_opens_once() {
        let mut packet = sealed(PacketKind::Payload, b"hello");
        let mut opener = Opener::new(KEY);
        let header = Header::read(Reader::Server, &packet).expect("a packet");
        let mut again = packet.clone();
        let body = opener
            .open(&Protocol::new(5), &header, &mut packet)
            .expect("ours");
        assert_eq!(body, b"hello");
        let replay = opener.open(&Protocol::new(5), &header, &mut again);
        assert_eq!(replay.unwrap_err(), Rejection::Replayed);
    }

    #[test]
    fn another_protocol_id_or_type_does_not_open() {
        let packet = sealed(PacketKind::Payload, b"hello");
        let header = Header::read(Reader::Server, &packet).expect("a packet");
        let opened = Opener::new(KEY)
            .open(&Protocol::new(6), &header, &mut packet.clone())
            .is_ok();
        assert!(!opened);
        let mut turned = packet.clone();
        turned[0] = 0x14;
        let header = Header::read(Reader::Server, &turned).expect("looks like a keep-alive");
        assert!(
            Opener::new(KEY)
                .open(&Protocol::new(5), &header, &mut turned)
                .is_err()
        );
    }

    #[test]
    fn an_ill_sized_body_uses_its_number_up() {
        let mut packet = sealed(PacketKind::KeepAlive, &[0; 9]);
        let header = Header::read(Reader::Server, &packet).expect("a packet");
        let mut opener = Opener::new(KEY);
        let mut again = packet.clone();
        let first = opener.open(&Protocol::new(5), &header, &mut packet);
        assert_eq!(first.unwrap_err(), Rejection::BodySize);
        let second = opener.open(&Protocol::new(5), &header, &mut again);
        assert_eq!(second.unwrap_err(), Rejection::Replayed);
    }

    #[test]
    fn writing_nothing_uses_no_number() {
        let mut sealer = Sealer::new(KEY);
        let mut out = [0; 1_225];
        let protocol = Protocol::new(5);
        assert_eq!(sealer.seal_payload(&protocol, &mut out, |_| 0), None);
        assert_eq!(sealer.counter.peek(), Some(0));
        let len = sealer.seal_payload(&protocol, &mut out, |room| room.len());
        assert_eq!(len, Some(2 + MAX_PAYLOAD + MAC_LEN));
        assert_eq!(sealer.seal_payload(&protocol, &mut [0; 10], |_| 1), None);
    }
}
