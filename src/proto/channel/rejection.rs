//! Why a payload was refused: one name per reason, for counters, logs and tests.

use crate::names::named;

named! {
    /// The peer's doing: the payload is dropped whole, counted, and not answered.
    ///
    /// A refused payload changes nothing: no number is used up, no ack is believed, no message is
    /// delivered.
    pub enum Rejection {
        Truncated = 1, "truncated", "the payload ends before its header or its messages do";
        ReservedBits = 2, "reserved_bits", "flag bits that must be zero are set, or flags contradict each other";
        BadVarint = 3, "bad_varint", "a number of variable length is cut off, padded or too large";
        Duplicate = 4, "duplicate", "the datagram number was received before";
        TooOld = 5, "too_old", "the datagram number is behind the window in which duplicates are told apart";
        TooFarAhead = 6, "too_far_ahead", "a short datagram number lies further ahead than a peer may send one";
        AckOfNeverSent = 7, "ack_of_never_sent", "acknowledges a datagram that was never sent";
        BadAckMask = 8, "bad_ack_mask", "the ack mask speaks of datagrams before the first";
        AsksForNothing = 9, "asks_for_nothing", "asks for an ack but carries neither message nor body";
        UnknownChannel = 10, "unknown_channel", "a message on a channel that does not exist here";
        MessageTooLong = 11, "message_too_long", "a message is longer than its channel allows";
        WindowExceeded = 12, "window_exceeded", "a reliable message lies beyond the reorder window";
    }
}

impl core::error::Error for Rejection {}
