//! How many inputs leave together: one a tick, but a game gives them once a frame.
//!
//! Knows counts. Has no clock.

/// So many frames are remembered: half a second at 30 frames a second.
const LEN: usize = 16;

/// The sizes of the last batches of inputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Batches {
    sizes: [u8; LEN],
    next: usize,
    open: u8,
}

impl Batches {
    /// One more input in the batch that is being given.
    pub(super) const fn add(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    /// The batch leaves. Says how many are usual by now: three of four batches are no larger. A single slow frame does not
    /// change it.
    pub(super) fn close(&mut self) -> u32 {
        self.sizes[self.next] = std::mem::take(&mut self.open);
        self.next = (self.next + 1) % LEN;
        let mut sizes = self.sizes;
        sizes.sort_unstable();
        u32::from(sizes[LEN * 3 / 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(batches: &[u8]) -> u32 {
        let mut all = Batches::default();
        let mut usual = 0;
        for size in batches {
            (0..*size).for_each(|_| all.add());
            usual = all.close();
        }
        usual
    }

    #[test]
    fn a_slow_game_is_told_from_a_slow_frame() {
        assert_eq!(usual(&[1; 20]), 1);
        assert_eq!(usual(&[2; 20]), 2);
        assert_eq!(usual(&[1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]), 2);
        let mut one_hitch = [1; 20];
        one_hitch[15] = 8;
        assert_eq!(usual(&one_hitch), 1);
    }
}
