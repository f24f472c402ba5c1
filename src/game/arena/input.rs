//! What an arena player wants at one tick: five bytes.

use crate::game::GameInput;
use crate::proto::wire::{ByteReader, ByteWriter};

use super::angle::TURN;
use super::rules::Weapon;

/// One tick's wishes. All of them are states, so repeating one for a lost input is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ArenaInput {
    /// Where to walk along x: -127 to 127, 127 is full speed.
    pub move_x: i8,
    /// Where to walk along y.
    pub move_y: i8,
    /// Where to look: 0 to 4,095, see [`super::angle`].
    pub aim: u16,
    /// Whether the trigger is held.
    pub fire: bool,
    /// The weapon to hold; `None` keeps the one in hand.
    pub weapon: Option<Weapon>,
}

const FIRE: u8 = 1;
const WEAPON_SHIFT: u8 = 1;

impl GameInput for ArenaInput {
    const MAX_LEN: usize = 5;

    fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        let weapon = self.weapon.map_or(0, |weapon| weapon as u8 + 1);
        out.u8(self.move_x.cast_unsigned())?;
        out.u8(self.move_y.cast_unsigned())?;
        out.u16(self.aim)?;
        out.u8(u8::from(self.fire) | weapon << WEAPON_SHIFT)
    }

    fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
        let move_x = bytes.u8()?.cast_signed();
        let move_y = bytes.u8()?.cast_signed();
        let aim = bytes.u16()?;
        let buttons = bytes.u8()?;
        let weapon = match buttons >> WEAPON_SHIFT {
            0 => None,
            code => Some(Weapon::from_code(code - 1)?),
        };
        // -128 has no opposite: nobody may run faster to the left than to the right.
        let valid = move_x != i8::MIN && move_y != i8::MIN && aim < TURN;
        valid.then_some(Self {
            move_x,
            move_y,
            aim,
            fire: buttons & FIRE != 0,
            weapon,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_five_bytes_are_one_input_or_none() {
        let mut accepted = 0;
        for buttons in 0..=u8::MAX {
            for bytes in [
                [0, 0, 0, 0, buttons],
                [128, 0, 0, 0, buttons],
                [5, 251, 255, 15, buttons],
                [5, 251, 0, 16, buttons],
            ] {
                let Some(input) = ArenaInput::decode(&mut ByteReader::new(&bytes)) else {
                    continue;
                };
                accepted += 1;
                let mut room = [0; ArenaInput::MAX_LEN];
                let mut writer = ByteWriter::new(&mut room);
                input.encode(&mut writer).unwrap();
                assert_eq!(writer.written(), bytes);
            }
        }
        // Fire or not, three wishes for a weapon, two of the four beginnings.
        assert_eq!(accepted, 2 * 3 * 2);
    }
}
