//! Inputs that are one number: for games whose players want one thing, and for those who only look on.
//!
//! Fractions are left out on purpose: an input with a NaN in it is a stranger's favourite.

use super::GameInput;
use crate::proto::wire::{ByteReader, ByteWriter};

/// The input of those who only look on: no bytes.
impl GameInput for () {
    const MAX_LEN: usize = 0;

    fn encode(&self, _: &mut ByteWriter<'_>) -> Option<()> {
        Some(())
    }

    fn decode(_: &mut ByteReader<'_>) -> Option<Self> {
        Some(())
    }
}

/// Whole numbers, little-endian. Every value is allowed; zero is neutral.
macro_rules! numbers {
    ($($number:ty),+) => { $(
        impl GameInput for $number {
            const MAX_LEN: usize = size_of::<$number>();

            fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
                out.bytes(&self.to_le_bytes())
            }

            fn decode(bytes: &mut ByteReader<'_>) -> Option<Self> {
                bytes.array().map(<$number>::from_le_bytes)
            }
        }
    )+ };
}

numbers!(u8, i8, u16, i16, u32, i32, u64, i64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::{InputOutcome, InputQueue};
    use crate::time::{Tick, TickRate};

    /// What a queue plays after these bytes arrived for its first tick.
    fn played<I: GameInput>(bytes: &[u8]) -> Option<I> {
        let mut queue = InputQueue::<I>::new(TickRate::HZ_60, Tick(1));
        let outcome = queue.receive(Tick(1), bytes);
        (outcome == InputOutcome::Accepted).then(|| queue.take().0)
    }

    #[test]
    fn a_number_is_an_input_of_exactly_its_bytes() {
        for number in [i16::MIN, -1, 0, 258, i16::MAX] {
            let mut room = [0; i16::MAX_LEN];
            let mut writer = ByteWriter::new(&mut room);
            number.encode(&mut writer).expect("room for two bytes");
            assert_eq!(played(writer.written()), Some(number));
        }
        assert_eq!(played::<i16>(&[1]), None);
        assert_eq!(played::<i16>(&[1, 2, 3]), None);
    }

    #[test]
    fn who_looks_on_says_nothing() {
        assert_eq!(played(&[]), Some(()));
        assert_eq!(played::<()>(&[0]), None);
    }
}
