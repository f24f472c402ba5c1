//! A 32-byte key. Knows how to be read, made and forgotten. Never shows itself.

use core::fmt;

use rand::CryptoRng;
use zeroize::Zeroize;

/// A symmetric key of 32 bytes: the one that backend and server share, or one direction of a session.
///
/// Wiped from memory when dropped, and silent in `Debug`.
///
/// ```
/// use tickwire::proto::netcode::Key;
/// let key = Key::from_hex(&"60".repeat(32)).unwrap();
/// assert_eq!(key, Key::from_bytes([0x60; 32]));
/// assert_eq!(format!("{key:?}"), "Key(..)");
/// ```
#[derive(Clone)]
pub struct Key([u8; Self::LEN]);

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key is written in 64 hexadecimal digits, two a byte.
    #[error("a key has 64 hexadecimal digits, this has {0} characters")]
    Length(usize),
    /// A character is not one of `0-9`, `a-f`, `A-F`.
    #[error("a key has hexadecimal digits only, character {0} is something else")]
    NotHexadecimal(usize),
}

impl Key {
    /// Bytes in a key.
    pub const LEN: usize = 32;

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The key written as 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Any other length, any other character. The error never repeats the text, which is nearly a secret.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        if text.len() != 2 * Self::LEN {
            return Err(KeyError::Length(text.chars().count()));
        }
        let mut key = Self([0; Self::LEN]);
        for (at, digit) in text.bytes().enumerate() {
            let value = char::from(digit)
                .to_digit(16)
                .ok_or(KeyError::NotHexadecimal(at + 1))?;
            if let Some(byte) = key.0.get_mut(at / 2) {
                *byte = *byte << 4 | value as u8;
            }
        }
        Ok(key)
    }

    /// A fresh key from a cryptographic generator.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut key = Self([0; Self::LEN]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The bytes, for whoever has to write them down.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for Key {
    /// Takes the same time wherever the keys differ.
    fn eq(&self, other: &Self) -> bool {
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        difference == 0
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_digits_are_a_key_and_nothing_else_is() {
        let digits = "000102030405060708090a0B0c0D0e0f101112131415161718191a1b1c1d1e1F";
        let key = Key::from_hex(digits).expect("64 digits");
        assert!(key.as_bytes().iter().copied().eq(0..32));
        assert_eq!(Key::from_hex("00"), Err(KeyError::Length(2)));
        let stranger = format!("{}g0", "0".repeat(62));
        assert_eq!(Key::from_hex(&stranger), Err(KeyError::NotHexadecimal(63)));
        assert!(Key::from_hex(&"é".repeat(32)).is_err());
    }
}
