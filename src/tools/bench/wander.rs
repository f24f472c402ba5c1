//! What a light client wants: to walk about. It sees nothing, so it neither aims nor looks for anything.
//!
//! Seeded: the same seed walks the same way.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::game::GameInput as _;
use crate::game::arena::ArenaInput;
use crate::proto::input::InputBytes;
use crate::proto::wire::ByteWriter;

/// It takes another direction after so many inputs, at the least and at the most.
const TURN_AFTER: std::ops::Range<u32> = 30..150;

/// Somebody who walks about.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    rng: Xoshiro256PlusPlus,
    left: u32,
    input: ArenaInput,
}

impl Wander {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            left: 0,
            input: ArenaInput::default(),
        }
    }

    /// The next tick's input: always one, because five bytes are below 63.
    pub(super) fn wish(&mut self) -> Option<InputBytes> {
        if self.left == 0 {
            self.left = self.rng.random_range(TURN_AFTER);
            let heading = self.rng.random_range(0.0..std::f32::consts::TAU);
            self.input.move_x = (heading.cos() * 127.0) as i8;
            self.input.move_y = (heading.sin() * 127.0) as i8;
        }
        self.left -= 1;
        let mut bytes = [0; ArenaInput::MAX_LEN];
        let mut writer = ByteWriter::new(&mut bytes);
        // There is room for the longest.
        let _ = self.input.encode(&mut writer);
        InputBytes::new(writer.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::ByteReader;

    #[test]
    fn the_arena_understands_every_wish_and_it_walks() {
        let mut wander = Wander::new(7);
        let mut walked = 0;
        for _ in 0..1_000 {
            let bytes = wander.wish().expect("five bytes");
            let input =
                ArenaInput::decode(&mut ByteReader::new(bytes.as_slice())).expect("a good input");
            walked += u32::from(input.move_x != 0 || input.move_y != 0);
        }
        assert!(walked > 990, "{walked}");
    }
}
