//! Who is who: the names of clients, of their places at the server, and of things in the world.

use core::fmt;

/// A client's identity as the backend knows it: the `client id` of netcode's connect token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A client's place at the server, unique in the whole process and through time.
///
/// The index is small and dense, so that tables by client are arrays; it is netcode's `client index`. The
/// generation grows whenever the place is given away again, so that a late event for somebody who
/// left finds nobody instead of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientSlot {
    /// The place: `0..max_clients`.
    pub index: u32,
    /// How often the place was given away before.
    pub generation: u32,
}

impl fmt::Display for ClientSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// A thing in the world: its row in the frame, and which thing of all that ever had that row.
///
/// The game hands these out. A slot may be used again at once, with a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// The row in every frame: `0..65_000`.
    pub slot: u16,
    /// Which thing in this row; wraps after 65,536 of them.
    pub generation: u16,
}

impl EntityId {
    /// The thing that a client steers, in a game where each client has exactly one: the row is the client's index, so that
    /// all other things need rows from `max_clients` on.
    ///
    /// ```
    /// use tickwire::id::{ClientSlot, EntityId};
    /// let ada = ClientSlot { index: 3, generation: 1 };
    /// assert_eq!(EntityId::of_client(ada), EntityId { slot: 3, generation: 1 });
    /// ```
    #[must_use]
    pub const fn of_client(client: ClientSlot) -> Self {
        // A server has at most 16,384 places, and generations of things wrap as it is.
        Self {
            slot: client.index as u16,
            generation: client.generation as u16,
        }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// The 256 bytes that a backend put into the connect token for the game: a name, a team, a rank.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(pub Box<[u8; Self::LEN]>);

impl UserData {
    /// Netcode fixes the length.
    pub const LEN: usize = 256;

    /// User data from up to 256 bytes, zero padded; `None` when there are more.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut data = Self::default();
        data.0.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(data)
    }
}

impl Default for UserData {
    fn default() -> Self {
        Self(Box::new([0; Self::LEN]))
    }
}

impl fmt::Debug for UserData {
    /// The content is the application's and may be private: only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserData(256 bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_padded_and_never_cut() {
        let data = UserData::from_slice(b"ada").expect("three bytes fit");
        assert_eq!(&data.0[..4], b"ada\0");
        assert!(UserData::from_slice(&[1; 256]).is_some());
        assert!(UserData::from_slice(&[1; 257]).is_none());
        assert!(!format!("{data:?}").contains("ada"));
    }
}
