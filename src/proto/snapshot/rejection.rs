//! Why a part of a snapshot was not applied. Each reason has a name, a number and a sentence;
//! nothing of a refused part stays behind.

use crate::names::named;

named! {
    /// Why a part of a snapshot was not applied: the server's doing, or the network's.
    pub enum Rejection {
        Truncated = 1, "truncated", "the part ended before its content did";
        TrailingBytes = 2, "trailing_bytes", "the part went on after its end";
        UnknownBaseline = 3, "unknown_baseline", "the part builds on a snapshot that is not here";
        TooOld = 4, "too_old", "the part speaks of a tick that is long past";
        Duplicate = 5, "duplicate", "this range of this tick has already been told";
        HistoryCode = 6, "history_code", "the part names a history that this version does not know";
        Range = 7, "range", "the range of slots is empty or beyond the world";
        Rank = 8, "rank", "a list names an entity that the baseline does not hold";
        Slot = 9, "slot", "an entity enters outside of the range of the part";
        Occupied = 10, "occupied", "an entity enters a slot that another one has not left";
        Kind = 11, "kind", "an entity enters with a kind that the schema does not have";
        Value = 12, "value", "a value is outside of its field's range";
        Contradiction = 13, "contradiction", "the part says that it is done and defers something";
        TooFarAhead = 14, "too_far_ahead", "the part names a tick beyond the end of time";
        Mask = 15, "mask", "a chunk differs in a way that there is not";
        Own = 16, "own", "the own section is of an entity that the part does not tell";
    }
}

impl core::error::Error for Rejection {}
