//! What the driver of a cube wants at one tick: three bytes.

use crate::game::GameInput;
use crate::proto::wire::{ByteReader, ByteWriter};

/// One tick's wishes. All of them are states, so repeating one for a lost input is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CubesInput {
    /// Where to roll along x: -127 to 127, 127 is full speed.
    pub move_x: i8,
    /// Where to roll along y.
    pub move_y: i8,
    /// Whether to hop, when on the floor.
    pub hop: bool,
}

impl CubesInput {
    /// Whether it asks for anything.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        *self == Self::default()
    }
}

impl GameInput for CubesInput {
    const MAX_LEN: usize = 3;

    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        out.u8(self.move_x.cast_unsigned())?;
        out.u8(self.move_y.cast_unsigned())?;
        out.u8(u8::from(self.hop))
    }

    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
        let move_x = bytes.u8()?.cast_signed();
        let move_y = bytes.u8()?.cast_signed();
        let hop = match bytes.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        // -128 has no opposite: nobody may be faster to the left than to the right.
        let is_valid = move_x != i8::MIN && move_y != i8::MIN;
        is_valid.then_some(Self {
            move_x,
            move_y,
            hop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_three_bytes_are_one_input_or_none() {
        let mut accepted = 0;
        for move_x in 0..=u8::MAX {
            for rest in [[0, 0], [129, 1], [128, 0], [7, 2]] {
                let bytes = [move_x, rest[0], rest[1]];
                let Some(input) = CubesInput::decode(&mut ByteReader::new(&bytes)) else {
                    continue;
                };
                accepted += 1;
                let mut room = [0; CubesInput::MAX_LEN];
                let mut writer = ByteWriter::new(&mut room);
                input.encode(&mut writer).unwrap();
                assert_eq!(writer.written(), bytes);
            }
        }
        assert_eq!(accepted, 255 * 2);
    }
}
