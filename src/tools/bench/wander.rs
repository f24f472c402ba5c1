//! What a client wants that sees nothing: to move about. It neither aims nor looks for anything.
//!
//! Seeded: the same seed goes the same way. Knows what the games in the box take for an input.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::game::arena::ArenaInput;
use crate::game::cubes::CubesInput;
use crate::game::{GameInput, MAX_INPUT_LEN};
use crate::proto::input::InputBytes;
use crate::proto::wire::ByteWriter;
use crate::tools::Bundled;

/// It takes another direction after so many inputs, at the least and at the most.
const TURN_AFTER: std::ops::Range<u32> = 30..150;

/// Somebody who moves about.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    world: Bundled,
    rng: Xoshiro256PlusPlus,
    left: u32,
    heading: (i8, i8),
}

impl Wander {
    pub(super) fn new(world: Bundled, seed: u64) -> Self {
        Self {
            world,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            left: 0,
            heading: (0, 0),
        }
    }

    /// The next tick's input: always one, because no input has more than 63 bytes.
    pub(super) fn wish(&mut self) -> Option<InputBytes> {
        if self.left == 0 {
            self.left = self.rng.random_range(TURN_AFTER);
            let heading = self.rng.random_range(0.0..std::f32::consts::TAU);
            self.heading = ((heading.cos() * 127.0) as i8, (heading.sin() * 127.0) as i8);
        }
        self.left -= 1;
        let (move_x, move_y) = self.heading;
        match self.world {
            Bundled::Arena => bytes(&ArenaInput {
                move_x,
                move_y,
                ..ArenaInput::default()
            }),
            Bundled::Cubes => bytes(&CubesInput {
                move_x,
                move_y,
                // Once for each direction.
                hop: self.left == 0,
            }),
        }
    }
}

/// An input as it travels.
pub(super) fn bytes(input: &impl GameInput) -> Option<InputBytes> {
    let mut bytes = [0; MAX_INPUT_LEN];
    let mut writer = ByteWriter::new(&mut bytes);
    // There is room for the longest.
    let _ = input.encode(&mut writer);
    InputBytes::new(writer.written())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::ByteReader;

    fn moves(world: Bundled, does_move: impl Fn(&mut ByteReader<'_>) -> Option<bool>) -> usize {
        let mut wander = Wander::new(world, 7);
        let wishes = (0..1_000).map(|_| wander.wish().expect("a few bytes"));
        let moving = wishes.filter(|it| {
            let moves = does_move(&mut ByteReader::new(it.as_slice()));
            moves.expect("a good input")
        });
        moving.count()
    }

    #[test]
    fn each_game_understands_every_wish_and_it_moves() {
        let arena = moves(Bundled::Arena, |bytes| {
            let input = ArenaInput::decode(bytes)?;
            Some(input.move_x != 0 || input.move_y != 0)
        });
        let cubes = moves(Bundled::Cubes, |bytes| {
            let input = CubesInput::decode(bytes)?;
            Some(input.move_x != 0 || input.move_y != 0)
        });
        assert!(arena > 990 && cubes > 990, "{arena} {cubes}");
    }
}
