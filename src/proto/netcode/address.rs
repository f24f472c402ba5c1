//! Addresses: as the key of a look-up, and as bytes in a token. Knows IPv4, IPv6 and their mixture. Has no
//! part in who may talk.

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::CryptoRng;
use siphasher::sip::SipHasher13;

use crate::proto::wire::{ByteReader, ByteWriter};

/// An address reduced to what identifies a peer: 16 bytes of IP and a port.
///
/// A socket that serves both families reports an IPv4 peer as `::ffff:a.b.c.d`, and IPv6 addresses come with
/// a flow label and a scope that say how a packet travelled, not who sent it. Here the two
/// spellings of one peer are one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    ip: [u8; 16],
    port: u16,
}

impl Address {
    pub(super) fn new(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: address.port(),
        }
    }

    /// The address as people write it: IPv4 where it is one, no flow label, no scope.
    pub(super) fn canonical(self) -> SocketAddr {
        SocketAddr::new(Ipv6Addr::from(self.ip).to_canonical(), self.port)
    }
}

impl Hash for Address {
    /// Whole words: a keyed hash is quickest when no bytes are left over.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (high, low) = self.ip.split_at(8);
        for half in [high, low] {
            let word = half
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word));
            state.write_u64(word);
        }
        state.write_u64(self.port.into());
    }
}

/// A keyed hash: whoever chooses the addresses cannot choose which of them collide.
#[derive(Clone)]
pub(super) struct KeyedHash([u8; 16]);

impl KeyedHash {
    pub(super) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        Self(key)
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// Standard, "Connect Token": the value of `address type`.
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Writes one server address as tokens carry it. IPv6 words are little-endian like every number.
pub(super) fn write(writer: &mut ByteWriter<'_>, address: SocketAddr) -> Option<()> {
    match address.ip() {
        IpAddr::V4(ip) => {
            writer.u8(IPV4)?;
            writer.bytes(&ip.octets())?;
        }
        IpAddr::V6(ip) => {
            writer.u8(IPV6)?;
            for word in ip.segments() {
                writer.u16(word)?;
            }
        }
    }
    writer.u16(address.port())
}

/// Reads what [`write`] wrote; `None` for any other address type and at the end of the bytes.
pub(super) fn read(reader: &mut ByteReader<'_>) -> Option<SocketAddr> {
    let ip = match reader.u8()? {
        IPV4 => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        IPV6 => {
            let mut words = [0; 8];
            for word in &mut words {
                *word = reader.u16()?;
            }
            IpAddr::V6(Ipv6Addr::from(words))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, reader.u16()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddrV6;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn two_spellings_of_one_peer_are_one_address() {
        let plain = Address::new(address("192.0.2.7:4000"));
        assert_eq!(Address::new(address("[::ffff:192.0.2.7]:4000")), plain);
        assert_eq!(plain.canonical(), address("192.0.2.7:4000"));
        let ip = "fe80::1".parse().expect("an address");
        let scoped = SocketAddr::V6(SocketAddrV6::new(ip, 9, 7, 3));
        assert_eq!(Address::new(scoped), Address::new(address("[fe80::1]:9")));
        assert_ne!(plain, Address::new(address("192.0.2.7:4001")));
    }

    #[test]
    fn addresses_come_back_from_their_bytes() {
        for text in ["127.0.0.1:1", "[2001:db8::1:2]:65535", "[::ffff:1.2.3.4]:5"] {
            let mut buffer = [0; 19];
            let mut writer = ByteWriter::new(&mut buffer);
            write(&mut writer, address(text)).expect("19 bytes are enough");
            let mut reader = ByteReader::new(writer.written());
            assert_eq!(read(&mut reader), Some(address(text)));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn types_zero_and_three_are_no_addresses() {
        for kind in [0, 3, 255] {
            assert_eq!(read(&mut ByteReader::new(&[kind; 19])), None);
        }
    }
}
