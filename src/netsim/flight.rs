//! The datagrams that are under way, in the order in which they will arrive.
//!
//! Knows bytes, arrival times and a label. Has no dice. Its memory is bounded, and buffers are used again:
//! after the first seconds a simulation allocates nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Timestamp;

/// Buffers and arrival order of the datagrams under way, each with a label `L`.
#[derive(Debug, Clone)]
pub(super) struct Flight<L> {
    /// The earliest on top; by number among those that arrive together, so that ties keep their order.
    order: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    /// The datagrams, by the index in `order`; those in `free` are empty buffers waiting for use.
    seats: Vec<(Option<L>, Vec<u8>)>,
    free: Vec<usize>,
    /// The seat of the datagram handed out last: the caller has borrowed it until its next call.
    handed_out: Option<usize>,
    launched: u64,
    capacity: usize,
}

impl<L: Copy> Flight<L> {
    /// Room for `capacity` datagrams at once; memory grows with use.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            order: BinaryHeap::new(),
            seats: Vec::new(),
            free: Vec::new(),
            handed_out: None,
            launched: 0,
            capacity,
        }
    }

    /// Sends a datagram on its way; `None` when there is no more room. Gives its bytes, to be damaged.
    pub(super) fn launch(
        &mut self,
        arrives: Timestamp,
        label: L,
        datagram: &[u8],
    ) -> Option<&mut [u8]> {
        self.take_back();
        let seat = match self.free.pop() {
            Some(seat) => seat,
            None if self.seats.len() < self.capacity => {
                self.seats.push((None, Vec::new()));
                self.seats.len() - 1
            }
            None => return None,
        };
        self.order.push(Reverse((arrives, self.launched, seat)));
        self.launched += 1;
        let (place, bytes) = &mut self.seats[seat];
        *place = Some(label);
        bytes.clear();
        bytes.extend_from_slice(datagram);
        Some(bytes)
    }

    /// The next datagram that has arrived by `now`; the bytes are the caller's until the next call.
    pub(super) fn land(&mut self, now: Timestamp) -> Option<(L, &mut [u8])> {
        self.take_back();
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse((_, _, seat)) = self.order.pop()?;
        self.handed_out = Some(seat);
        let (label, bytes) = &mut self.seats[seat];
        Some(((*label)?, bytes))
    }

    pub(super) fn next_arrival(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((arrives, _, _))| *arrives)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn take_back(&mut self) {
        self.free.extend(self.handed_out.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_lands_first_and_ties_keep_their_order() {
        let mut flight = Flight::new(8);
        for (millis, text) in [(3, "c"), (1, "a"), (3, "d"), (2, "b")] {
            flight
                .launch(Timestamp::from_millis(millis), (), text.as_bytes())
                .expect("room");
        }
        let mut landed = Vec::new();
        while let Some(((), bytes)) = flight.land(Timestamp::from_millis(9)) {
            landed.extend_from_slice(bytes);
        }
        assert_eq!(landed, b"abcd");
    }

    #[test]
    fn buffers_are_used_again_and_never_exceed_the_capacity() {
        let mut flight = Flight::new(2);
        for round in 0..100 {
            let now = Timestamp::from_millis(round);
            assert!(flight.launch(now, (), &[1; 1200]).is_some());
            assert!(flight.launch(now, (), &[2; 1200]).is_some());
            assert!(flight.launch(now, (), &[3; 1200]).is_none());
            assert!(flight.land(now).is_some());
            assert!(flight.land(now).is_some());
            assert!(flight.land(now).is_none());
            assert_eq!((flight.seats.len(), flight.len()), (2, 0));
        }
    }

    #[test]
    fn a_datagram_shorter_than_the_one_before_in_its_buffer_shows_nothing_of_it() {
        let mut flight = Flight::new(1);
        flight.launch(Timestamp::ZERO, (), b"secret");
        flight.land(Timestamp::ZERO);
        flight.launch(Timestamp::ZERO, (), b"ok");
        assert_eq!(
            flight
                .land(Timestamp::ZERO)
                .map(|(_, bytes)| bytes.to_vec()),
            Some(b"ok".to_vec())
        );
    }
}
