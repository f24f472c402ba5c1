//! Which values the fields of a schema can have: what a file says is held against it.

use crate::proto::snapshot::{KindId, Quantity, Schema};

/// The values that one field can have.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// From 0 to this, as an unsigned number.
    UpTo(u32),
    /// Signed numbers of so many bits.
    Signed(u32),
}

impl Range {
    fn of(quantity: &Quantity) -> Self {
        match *quantity {
            Quantity::Ranged { max, .. } => Self::UpTo(quantity.quantise(max) as u32),
            Quantity::Signed { bits } => Self::Signed(bits),
            Quantity::Angle { bits }
            | Quantity::Unsigned { bits }
            | Quantity::Flags { bits }
            | Quantity::Counter { bits } => Self::UpTo(u32::MAX >> (32 - bits.clamp(1, 32))),
        }
    }

    const fn holds(self, value: i32) -> bool {
        match self {
            Self::UpTo(max) => value as u32 <= max,
            Self::Signed(bits) if bits >= 32 => true,
            Self::Signed(bits) => {
                let limit = 1_i32 << (bits - 1);
                -limit <= value && value < limit
            }
        }
    }
}

/// The values that all fields of a schema can have, worked out once.
#[derive(Debug, Clone)]
pub struct ValueRanges {
    kinds: Vec<Box<[Range]>>,
    max_entities: u32,
}

impl ValueRanges {
    /// Those of a schema.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let kinds = schema.kinds().iter();
        Self {
            kinds: kinds
                .map(|kind| kind.fields.iter().map(|f| Range::of(&f.quantity)).collect())
                .collect(),
            max_entities: schema.max_entities(),
        }
    }

    /// How many fields a kind has; `None` when there is no such kind.
    pub(super) fn fields(&self, kind: KindId) -> Option<usize> {
        self.kinds.get(usize::from(kind.0)).map(|kind| kind.len())
    }

    /// Entity slots are `0..max_entities`.
    pub(super) const fn max_entities(&self) -> u32 {
        self.max_entities
    }

    /// The first field that cannot have its value.
    pub(super) fn first_wrong(&self, kind: KindId, values: &[i32]) -> Option<usize> {
        let ranges = self.kinds.get(usize::from(kind.0))?;
        let mut fields = values.iter().zip(ranges);
        fields.position(|(value, range)| !range.holds(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::snapshot::{Blend, Field, FrameConfig, FrameHistory, Kind};
    use crate::{id::EntityId, time::Tick};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn quantity() -> impl Strategy<Value = Quantity> {
        let ranged = (-100.0_f32..0.0, 1.0_f32..100.0, 0.01_f32..0.5)
            .prop_map(|(min, max, step)| Quantity::Ranged { min, max, step });
        prop_oneof![
            ranged,
            (1_u32..=32).prop_map(|bits| Quantity::Angle { bits }),
            (1_u32..=32).prop_map(|bits| Quantity::Unsigned { bits }),
            (1_u32..=32).prop_map(|bits| Quantity::Signed { bits }),
            (1_u32..=32).prop_map(|bits| Quantity::Flags { bits }),
            (1_u32..=32).prop_map(|bits| Quantity::Counter { bits }),
        ]
    }

    proptest! {
        /// Against the plainest statement there is: a frame leaves alone what a field can have, and nothing else.
        #[test]
        fn a_value_is_in_range_exactly_when_a_frame_keeps_it(quantity in quantity(), value in prop_oneof![any::<i32>(), -300_i32..300]) {
            let kind = Kind::new("thing", vec![Field::new("value", quantity, Blend::Step)]);
            let schema = Arc::new(Schema::new(vec![kind]).expect("valid"));
            let config = FrameConfig { snapshot_every: 1, ..FrameConfig::default() };
            let mut history = FrameHistory::new(Arc::clone(&schema), config).expect("valid");
            let mut builder = history.begin(Tick(1)).expect("in order");
            let id = EntityId { slot: 0, generation: 0 };
            builder.put(id, KindId(0), [0.0; 3], &[value]).expect("it fits");
            let frame = history.publish(builder);
            let kept = frame.entity(0).expect("put").values == [value];
            let wrong = ValueRanges::new(&schema).first_wrong(KindId(0), &[value]);
            prop_assert_eq!(wrong.is_none(), kept, "{:?} {}", quantity, value);
        }
    }
}
