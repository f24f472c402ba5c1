//! Half-open handshakes: the keys of connect tokens that were presented and are not proven yet.
//!
//! A fixed table that strangers with valid tokens fill as fast as they like: four ways by a keyed hash of the address,
//! the oldest is overwritten, there is no timer, and a repeated request extends nothing. Knows addresses and
//! time. Decrypts nothing and answers nobody.

use core::hash::{BuildHasher, Hash, Hasher};
use core::time::Duration;

use rand::CryptoRng;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::address::{Address, KeyedHash};
use super::private::{PrivateToken, timeout};
use super::registry::TokenMac;
use super::{Key, Rejection};
use crate::time::{Timestamp, UnixTime};

/// How many entries share a bucket.
const WAYS: usize = 4;

/// The longest a handshake may stay half open, whatever its token says: so long can a thief who was
/// quicker keep the owner of a token waiting.
const MAX_LIFETIME: Duration = Duration::from_secs(10);

/// One half-open handshake.
#[derive(Debug)]
pub(super) struct Entry {
    address: Address,
    timeout_seconds: i32,
    pub(super) token: TokenMac,
    pub(super) token_expires: UnixTime,
    pub(super) client_to_server: Key,
    pub(super) server_to_client: Key,
    created: Timestamp,
}

const _: () = assert!(
    size_of::<Option<Entry>>() <= 128,
    "65,536 entries are at most 8 MiB"
);

impl Entry {
    pub(super) fn new(
        now: Timestamp,
        address: Address,
        mac: TokenMac,
        expires: UnixTime,
        token: &PrivateToken<'_>,
    ) -> Self {
        Self {
            address,
            timeout_seconds: token.timeout_seconds,
            token: mac,
            token_expires: expires,
            client_to_server: token.client_to_server.clone(),
            server_to_client: token.server_to_client.clone(),
            created: now,
        }
    }

    /// The session's timeout; `None` when the token disables it.
    pub(super) fn timeout(&self) -> Option<Duration> {
        timeout(self.timeout_seconds)
    }

    /// Standard: the mapping ends when no session comes of it within the token's timeout.
    fn is_alive(&self, now: Timestamp) -> bool {
        let lifetime = self
            .timeout()
            .map_or(MAX_LIFETIME, |it| it.min(MAX_LIFETIME));
        now.since(self.created) < lifetime
    }
}

/// The place of an entry in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryNumber(u32);

/// A mac over everything that a challenge is good for: one address, one token, one entry, its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding(pub(super) [u8; 16]);

/// The table.
///
/// Buckets are allocated when they are first used, and given back when their last handshake becomes a session: a quiet server holds
/// almost nothing, and no attack makes it hold more than all of them.
pub(super) struct Pending {
    buckets: Vec<Option<Box<[Option<Entry>; WAYS]>>>,
    /// For each token, by a keyed hash and four ways as well, the number of its entry plus one. May be stale; the
    /// entry decides.
    claims: Vec<[u32; WAYS]>,
    hash: KeyedHash,
    binding_key: [u8; 16],
}

impl Pending {
    /// A table for at least `entries` handshakes; their number is rounded up to a power of two.
    pub(super) fn new<R: CryptoRng + ?Sized>(entries: usize, rng: &mut R) -> Self {
        let buckets = entries.div_ceil(WAYS).next_power_of_two();
        let mut binding_key = [0; 16];
        rng.fill_bytes(&mut binding_key);
        Self {
            buckets: core::iter::repeat_with(|| None).take(buckets).collect(),
            claims: vec![[0; WAYS]; buckets],
            hash: KeyedHash::generate(rng),
            binding_key,
        }
    }

    /// The living handshakes of an address: several tokens may be pending there.
    pub(super) fn at(
        &self,
        now: Timestamp,
        address: Address,
    ) -> impl Iterator<Item = (EntryNumber, &Entry)> {
        let bucket = self.bucket_of(&address);
        let ways = self.buckets.get(bucket).and_then(Option::as_deref);
        ways.into_iter()
            .flatten()
            .enumerate()
            .filter_map(move |(way, entry)| Some((number_of(bucket, way), entry.as_ref()?)))
            .filter(move |(_, entry)| entry.address == address && entry.is_alive(now))
    }

    /// The entry of this token at this address, made now if there is none.
    ///
    /// The first request wins: a living entry stays as it is, and while it lives the token is claimed.
    ///
    /// # Errors
    ///
    /// [`Rejection::TokenClaimed`] when another address presented the token first.
    pub(super) fn claim(
        &mut self,
        now: Timestamp,
        address: Address,
        token: TokenMac,
        make: impl FnOnce() -> Entry,
    ) -> Result<EntryNumber, Rejection> {
        if let Some(claimed) = self.claimed_by(now, token)
            && claimed != address
        {
            return Err(Rejection::TokenClaimed);
        }
        let known = self
            .at(now, address)
            .find(|(_, entry)| entry.token == token)
            .map(|(number, _)| number);
        Ok(known.unwrap_or_else(|| self.insert(now, make())))
    }

    /// Takes an entry out of the table: it has become a session.
    pub(super) fn take(&mut self, number: EntryNumber) -> Option<Entry> {
        let (bucket, way) = place_of(number);
        let bucket = self.buckets.get_mut(bucket)?;
        let ways = bucket.as_mut()?;
        let entry = ways.get_mut(way)?.take();
        if ways.iter().all(Option::is_none) {
            *bucket = None;
        }
        entry
    }

    /// What a challenge for this entry is bound to; `None` if there is no entry any more.
    pub(super) fn binding(&self, number: EntryNumber) -> Option<Binding> {
        let entry = self.get(number)?;
        let mut hasher = SipHasher13::new_with_key(&self.binding_key);
        entry.address.hash(&mut hasher);
        hasher.write(&entry.token.0);
        hasher.write(&number.0.to_le_bytes());
        hasher.write(&entry.created.as_micros().to_le_bytes());
        Some(Binding(hasher.finish128().as_bytes()))
    }

    /// The address whose living entry holds the token.
    fn claimed_by(&self, now: Timestamp, token: TokenMac) -> Option<Address> {
        let ways = self.claims.get(self.bucket_of(&token))?;
        ways.iter()
            .filter_map(|claim| self.get(EntryNumber(claim.checked_sub(1)?)))
            .find(|entry| entry.token == token && entry.is_alive(now))
            .map(|entry| entry.address)
    }

    fn insert(&mut self, now: Timestamp, entry: Entry) -> EntryNumber {
        let token = entry.token;
        let bucket = self.bucket_of(&entry.address);
        let Some(ways) = self.buckets.get_mut(bucket) else {
            return EntryNumber(0);
        };
        let ways = ways.get_or_insert_with(|| Box::new([const { None }; WAYS]));
        let way = oldest(ways.iter().map(|way| age(now, way.as_ref())));
        if let Some(place) = ways.get_mut(way) {
            *place = Some(entry);
        }
        let number = number_of(bucket, way);
        self.remember_claim(now, token, number);
        number
    }

    fn remember_claim(&mut self, now: Timestamp, token: TokenMac, number: EntryNumber) {
        let bucket = self.bucket_of(&token);
        let Some(ways) = self.claims.get(bucket) else {
            return;
        };
        let way = oldest(ways.map(|claim| {
            let entry = claim
                .checked_sub(1)
                .and_then(|it| self.get(EntryNumber(it)));
            // An entry that has been given to a token of another bucket leaves its claim behind.
            age(now, entry.filter(|it| self.bucket_of(&it.token) == bucket))
        }));
        if let Some(claim) = self
            .claims
            .get_mut(bucket)
            .and_then(|ways| ways.get_mut(way))
        {
            *claim = number.0.saturating_add(1);
        }
    }

    pub(super) fn get(&self, number: EntryNumber) -> Option<&Entry> {
        let (bucket, way) = place_of(number);
        self.buckets.get(bucket)?.as_ref()?.get(way)?.as_ref()
    }

    fn bucket_of(&self, key: &impl Hash) -> usize {
        self.hash.hash_one(key) as usize & (self.buckets.len() - 1)
    }
}

const fn number_of(bucket: usize, way: usize) -> EntryNumber {
    EntryNumber((bucket * WAYS + way) as u32)
}

const fn place_of(number: EntryNumber) -> (usize, usize) {
    (number.0 as usize / WAYS, number.0 as usize % WAYS)
}

/// How much a place deserves to be overwritten: an empty or dead one most of all, then the oldest.
fn age(now: Timestamp, entry: Option<&Entry>) -> Duration {
    entry
        .filter(|entry| entry.is_alive(now))
        .map_or(Duration::MAX, |entry| now.since(entry.created))
}

fn oldest(ages: impl IntoIterator<Item = Duration>) -> usize {
    let first = (0, Duration::ZERO);
    let longest = |best: (usize, Duration), next: (usize, Duration)| {
        if next.1 > best.1 { next } else { best }
    };
    ages.into_iter().enumerate().fold(first, longest).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;
    use rand::SeedableRng;

    fn table(entries: usize) -> Pending {
        Pending::new(entries, &mut rand::rngs::ChaCha20Rng::seed_from_u64(1))
    }

    fn address(port: u16) -> Address {
        Address::new(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    fn mac(number: u16) -> TokenMac {
        let mut mac = [0; 16];
        mac[..2].copy_from_slice(&number.to_le_bytes());
        TokenMac(mac)
    }

    fn claim(
        table: &mut Pending,
        now: Timestamp,
        port: u16,
        token: u16,
    ) -> Result<(EntryNumber, Binding), Rejection> {
        let make = || Entry {
            address: address(port),
            timeout_seconds: 5,
            token: mac(token),
            token_expires: UnixTime(0),
            client_to_server: Key::from_bytes([1; 32]),
            server_to_client: Key::from_bytes([2; 32]),
            created: now,
        };
        let number = table.claim(now, address(port), mac(token), make)?;
        Ok((number, table.binding(number).expect("just claimed")))
    }

    #[test]
    fn the_first_address_holds_the_token_until_its_entry_has_aged_out() {
        let mut table = table(64);
        let start = Timestamp::from_millis(0);
        let first = claim(&mut table, start, 1, 9).expect("the first");
        assert_eq!(claim(&mut table, start, 2, 9), Err(Rejection::TokenClaimed));
        let late = Timestamp::from_millis(4_999);
        assert_eq!(
            claim(&mut table, late, 1, 9),
            Ok(first),
            "a repeat changes nothing"
        );
        assert_eq!(claim(&mut table, late, 2, 9), Err(Rejection::TokenClaimed));
        let over = Timestamp::from_millis(5_000);
        assert!(claim(&mut table, over, 2, 9).is_ok());
        assert_eq!(claim(&mut table, over, 1, 9), Err(Rejection::TokenClaimed));
    }

    #[test]
    fn an_entry_made_again_has_another_binding() {
        let mut table = table(64);
        let (_, first) = claim(&mut table, Timestamp::from_millis(0), 1, 9).expect("free");
        let (_, second) = claim(&mut table, Timestamp::from_millis(6_000), 1, 9).expect("aged out");
        assert_ne!(first, second);
    }

    #[test]
    fn several_tokens_may_be_pending_at_one_address() {
        let mut table = table(64);
        for token in 0..WAYS as u16 {
            claim(&mut table, Timestamp::ZERO, 1, token).expect("free");
        }
        assert_eq!(table.at(Timestamp::ZERO, address(1)).count(), WAYS);
    }

    #[test]
    fn a_full_bucket_loses_its_oldest() {
        let mut table = table(4);
        for token in 0..5_u16 {
            let now = Timestamp::from_millis(u64::from(token));
            claim(&mut table, now, token, token).expect("nothing is full for ever");
        }
        let now = Timestamp::from_millis(5);
        assert_eq!(table.at(now, address(0)).count(), 0, "the oldest is gone");
        for token in 1..5 {
            assert_eq!(table.at(now, address(token)).count(), 1);
        }
    }

    #[test]
    fn a_bucket_is_given_back_with_its_last_handshake_and_not_before() {
        let mut table = table(4);
        let (first, _) = claim(&mut table, Timestamp::ZERO, 1, 1).expect("free");
        let (second, _) = claim(&mut table, Timestamp::ZERO, 2, 2).expect("free");
        let held = |table: &Pending| table.buckets.iter().flatten().count();
        assert!(table.take(first).is_some());
        assert_eq!(held(&table), 1);
        assert!(table.take(first).is_none() && table.get(second).is_some());
        assert!(table.take(second).is_some());
        assert_eq!(held(&table), 0);
        assert!(table.take(second).is_none());
        assert!(claim(&mut table, Timestamp::ZERO, 1, 1).is_ok());
    }

    #[test]
    fn half_a_table_of_claims_is_remembered_nearly_completely() {
        let mut table = table(65_536);
        for port in 0..32_000 {
            claim(&mut table, Timestamp::ZERO, port, port).expect("free");
        }
        let now = Timestamp::from_millis(1);
        let held = (0..32_000).filter(|it| table.claimed_by(now, mac(*it)).is_some());
        // Buckets of four at half load lose 4% by the address and 4% by the token (Poisson, mean 2).
        assert!(held.count() > 29_000);
    }
}
