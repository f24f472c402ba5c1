//! What can be wrong with the bytes of a recording.

use crate::id::EntityId;
use crate::proto::snapshot::SchemaError;
use crate::time::Tick;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The first bytes are others.
    #[error("this is no recording of tickwire")]
    NotARecording,
    /// Another version of the format.
    #[error(
        "this is a recording of format {0}; this program reads format {known}",
        known = super::FORMAT_VERSION
    )]
    Version(u32),
    /// The bytes are not those that were written.
    #[error("the checksum of the {0} is wrong: its bytes are not those that were written")]
    Checksum(&'static str),
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Cut,
    /// There are bytes behind the end.
    #[error("there are {0} bytes more than there should be")]
    TooMany(usize),
    /// A size is beyond a limit of this format.
    #[error("the {what} has {size}; at most {max} is allowed")]
    TooLarge {
        /// Whose size.
        what: &'static str,
        /// What it is.
        size: u64,
        /// What it may be.
        max: u64,
    },
    /// A number does not fit 32 bits.
    #[error("{0} does not fit 32 bits")]
    Number(u64),
    /// A name is no UTF-8.
    #[error("a name is no UTF-8")]
    Text,
    /// A number that stands for something stands for nothing.
    #[error("there is no {what} with the number {number}")]
    Unknown {
        /// What it should stand for.
        what: &'static str,
        /// The number.
        number: u32,
    },
    /// The description of the world is none.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Rates that no server has.
    #[error(
        "a tick rate is 1 to 240 Hz and snapshot_every at least 1; here they are {hz} and {every}"
    )]
    Rates {
        /// Ticks a second.
        hz: u16,
        /// Ticks from one frame to the next.
        every: u32,
    },
    /// Ticks that do not follow each other.
    #[error("tick {tick} cannot follow tick {before}")]
    Order {
        /// The tick.
        tick: Tick,
        /// The tick before it.
        before: Tick,
    },
    /// Blocks, or an index of them, that do not follow each other.
    #[error("block {0} is not where it should be, or is another than the index says")]
    Block(u32),
    /// A slot that the schema does not have.
    #[error("slot {0} is beyond the schema's max_entities")]
    Slot(u32),
    /// A row that should be there.
    #[error("slot {0} is empty: nothing in it can change or go")]
    Empty(u32),
    /// A value that its field cannot have.
    #[error("field {field} of entity {entity} cannot be {value}")]
    Value {
        /// The entity.
        entity: EntityId,
        /// The number of the field.
        field: usize,
        /// The value.
        value: i32,
    },
    /// A frame is not the one that was written.
    #[error("the frame of tick {0} is not the one that was recorded: its hash is another")]
    Mismatch(Tick),
}
