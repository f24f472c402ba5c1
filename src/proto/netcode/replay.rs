//! The replay window: which sequence numbers of a session have been received. Knows numbers. Has no key, no clock.
//!
//! The order of operations is held by types: anybody may ask whether a number is fresh, but only a
//! [`Proof`], which only a successful decryption makes, can mark it as received. A forged packet can therefore
//! never move the window.

use super::aead::Proof;

/// How far behind the newest number a packet may arrive and still be judged.
///
/// The standard's "Replay Protection" calls 256 sufficient: more than four seconds at 60 packets a second.
pub(super) const WINDOW: u64 = 256;

const WORDS: usize = (WINDOW / 64) as usize;

/// The last [`WINDOW`] sequence numbers of one direction of a session.
#[derive(Debug, Clone, Default)]
pub(super) struct ReplayWindow {
    /// The highest number received. Every number is a possible one, so "none yet" is not a number.
    newest: Option<u64>,
    /// One bit for each of the numbers `newest - 255 ..= newest`, at its value modulo 256.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Whether a packet with this number may be new. Asked before decrypting.
    pub(super) fn is_fresh(&self, sequence: u64) -> bool {
        let Some(newest) = self.newest else {
            return true;
        };
        // Subtract, never add: `sequence + WINDOW` would wrap at the top of the number space.
        match newest.checked_sub(sequence) {
            None => true,
            Some(age) => age < WINDOW && !self.is_set(sequence),
        }
    }

    /// Marks a number as received. Done after decrypting, with the proof that it was.
    pub(super) fn advance(&mut self, proof: &Proof) {
        let sequence = proof.sequence();
        match self.newest {
            None => self.newest = Some(sequence),
            Some(newest) if sequence > newest => {
                self.forget(newest, sequence);
                self.newest = Some(sequence);
            }
            Some(_) => {}
        }
        if let Some(word) = self.seen.get_mut(word_of(sequence)) {
            *word |= bit_of(sequence);
        }
    }

    /// Clears the places of the numbers after `newest` up to `sequence`.
    fn forget(&mut self, newest: u64, sequence: u64) {
        if sequence - newest >= WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        for number in newest + 1..=sequence {
            if let Some(word) = self.seen.get_mut(word_of(number)) {
                *word &= !bit_of(number);
            }
        }
    }

    fn is_set(&self, sequence: u64) -> bool {
        self.seen
            .get(word_of(sequence))
            .is_some_and(|word| word & bit_of(sequence) != 0)
    }
}

const fn word_of(sequence: u64) -> usize {
    (sequence % WINDOW / 64) as usize
}

const fn bit_of(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The standard's three rules with a set that forgets nothing.
    #[derive(Default)]
    struct Model {
        received: BTreeSet<u64>,
    }

    impl Model {
        fn receive(&mut self, sequence: u64) -> bool {
            let too_old = self.received.last().is_some_and(|newest| {
                u128::from(sequence) + u128::from(WINDOW) <= u128::from(*newest)
            });
            !too_old && self.received.insert(sequence)
        }
    }

    fn receive(window: &mut ReplayWindow, sequence: u64) -> bool {
        let fresh = window.is_fresh(sequence);
        if fresh {
            window.advance(&Proof::for_test(sequence));
        }
        fresh
    }

    fn agree(numbers: impl IntoIterator<Item = u64>) {
        let (mut window, mut model) = (ReplayWindow::default(), Model::default());
        for number in numbers {
            assert_eq!(
                receive(&mut window, number),
                model.receive(number),
                "{number}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(steps in prop::collection::vec((0_u64..700, 0_u64..4), 1..400)) {
            agree(steps.iter().scan(0_u64, |base, (offset, stride)| {
                *base += stride * 60;
                Some((*base + 350).saturating_sub(*offset))
            }));
        }

        #[test]
        fn it_agrees_at_the_top_of_the_number_space(offsets in prop::collection::vec(0_u64..600, 1..300)) {
            agree(offsets.iter().map(|offset| u64::MAX - offset));
        }
    }

    #[test]
    fn the_largest_number_is_a_number_like_any_other() {
        let mut window = ReplayWindow::default();
        assert!(receive(&mut window, u64::MAX));
        assert!(!receive(&mut window, u64::MAX));
        assert!(receive(&mut window, u64::MAX - 255));
        assert!(!receive(&mut window, u64::MAX - 256));
    }

    #[test]
    fn a_packet_exactly_one_window_behind_is_too_old() {
        let mut window = ReplayWindow::default();
        assert!(receive(&mut window, 1_000));
        assert!(receive(&mut window, 1_000 - 255));
        assert!(!receive(&mut window, 1_000 - 256));
    }

    #[test]
    fn asking_changes_nothing() {
        let window = ReplayWindow::default();
        assert!(window.is_fresh(5) && window.is_fresh(5));
    }
}
