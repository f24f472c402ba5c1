//! Datagrams that were read for a client and wait for its turn, in one piece of memory that is used again.
//!
//! Knows bytes. Has no socket and no address.

/// What a client may leave lying: more than the kernel joins at most (64 KiB), and two full snapshots of a large world.
const ROOM: usize = 128 * 1024;

/// Datagrams in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    ends: Vec<usize>,
    /// So many were taken.
    taken: usize,
}

impl Inbox {
    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// Keeps a datagram; says whether there was room.
    pub(super) fn push(&mut self, datagram: &[u8]) -> bool {
        let has_room = self.bytes.len() + datagram.len() <= ROOM && self.ends.len() < ROOM;
        if has_room {
            self.bytes.extend_from_slice(datagram);
            self.ends.push(self.bytes.len());
        }
        has_room
    }

    /// Takes the oldest and gives its length in `buffer`; what is longer is cut, as by any socket.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let end = *self.ends.get(self.taken)?;
        let before = self.taken.checked_sub(1);
        let start = before.and_then(|it| self.ends.get(it)).map_or(0, |it| *it);
        let datagram = self.bytes.get(start..end).unwrap_or_default();
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        self.taken += 1;
        if self.is_empty() {
            self.clear();
        }
        Some(length)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in(
            steps in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 0..200),
        ) {
            let (mut inbox, mut plain) = (Inbox::default(), VecDeque::new());
            for step in steps {
                if let Some(datagram) = step {
                    prop_assert!(inbox.push(&datagram));
                    plain.push_back(datagram);
                } else {
                    let mut buffer = [0; 32];
                    let taken = inbox.take(&mut buffer).map(|length| buffer[..length].to_vec());
                    let mut expected: Option<Vec<u8>> = plain.pop_front();
                    if let Some(datagram) = &mut expected {
                        datagram.truncate(32);
                    }
                    prop_assert_eq!(taken, expected);
                }
                prop_assert_eq!(inbox.is_empty(), plain.is_empty());
            }
        }
    }

    #[test]
    fn who_never_takes_any_fills_only_so_much() {
        let mut inbox = Inbox::default();
        let kept = (0..1_000).filter(|_| inbox.push(&[7; 1_000])).count();
        assert_eq!(kept, ROOM / 1_000);
        inbox.clear();
        assert!(inbox.is_empty() && inbox.push(&[7; 1_000]));
    }
}
