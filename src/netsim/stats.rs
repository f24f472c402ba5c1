//! What became of the datagrams, counted.

/// Counters of one direction (or of a whole network) since its start. All in datagrams unless named bytes.
///
/// `sent = lost + silenced + overflowed + (what went under way)`, and what goes under way arrives once,
/// or twice for each `duplicated`. What was dropped because too much was under way at once counts as overflowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Handed in.
    pub sent: u64,
    /// Bytes handed in.
    pub bytes_sent: u64,
    /// Vanished by chance.
    pub lost: u64,
    /// Sent into an outage.
    pub silenced: u64,
    /// Dropped at a full queue.
    pub overflowed: u64,
    /// Copied.
    pub duplicated: u64,
    /// Held back, so that later ones could overtake.
    pub reordered: u64,
    /// Damaged (of two copies, each counts).
    pub corrupted: u64,
    /// Handed out, copies included.
    pub delivered: u64,
    /// Bytes handed out, copies included.
    pub bytes_delivered: u64,
}
