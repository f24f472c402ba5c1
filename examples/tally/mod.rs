//! What an echo client counts: numbered payloads out, numbered payloads back, and the time between.
#![allow(clippy::print_stdout, reason = "its report is the program's output")]

use std::time::Duration;

use tickwire::proto::netcode::MAX_PAYLOAD;
use tickwire::time::Timestamp;

/// The payload of a number: as many of its bytes as fit, then a pattern that depends on it.
pub(crate) fn write_payload(number: u64, room: &mut [u8]) {
    for (at, byte) in room.iter_mut().enumerate() {
        let pattern = number.wrapping_mul(31).wrapping_add(at as u64) as u8;
        *byte = number.to_le_bytes().get(at).copied().unwrap_or(pattern);
    }
}

/// The numbers sent, when, and which came back.
#[derive(Default)]
pub(crate) struct Tally {
    sent_at: Vec<Option<Timestamp>>,
    received: u64,
    corrupt: u64,
    round_trips: Vec<Duration>,
}

impl Tally {
    /// How many were sent: the next one's number.
    pub(crate) fn sent(&self) -> u64 {
        self.sent_at.len() as u64
    }

    /// One was sent.
    pub(crate) fn send(&mut self, now: Timestamp) {
        self.sent_at.push(Some(now));
    }

    /// Whether everything came back.
    pub(crate) fn is_complete(&self) -> bool {
        self.sent_at.len() == self.round_trips.len()
    }

    /// One came back, perhaps.
    pub(crate) fn receive(&mut self, now: Timestamp, payload: &[u8], size: usize) {
        self.received += 1;
        // A payload of less than eight bytes has the low bytes of its number only: the newest such number is meant.
        let mut low = [0; 8];
        low.iter_mut()
            .zip(payload)
            .for_each(|(to, from)| *to = *from);
        let step = 256_u64.checked_pow(size.min(8) as u32).unwrap_or(u64::MAX);
        let last = (self.sent_at.len() as u64).saturating_sub(1);
        let low = u64::from_le_bytes(low);
        let number = if low > last {
            low
        } else {
            low + (last - low) / step * step
        };
        let mut expected = [0; MAX_PAYLOAD];
        write_payload(number, &mut expected[..size]);
        match self.sent_at.get_mut(number as usize) {
            Some(sent_at) if *payload == expected[..size] => {
                self.round_trips
                    .extend(sent_at.take().map(|at| now.since(at)));
            }
            _ => self.corrupt += 1,
        }
    }

    /// Prints the JSON object.
    pub(crate) fn report(&mut self, state: &str, reason: Option<&str>) {
        self.round_trips.sort_unstable();
        let last = self.round_trips.len().saturating_sub(1);
        let quantile = |q: f64| self.round_trips.get((last as f64 * q).round() as usize);
        let [p50, p99] = [0.5, 0.99].map(|q| match quantile(q) {
            Some(time) => format!("{:.3}", time.as_secs_f64() * 1e3),
            None => "null".to_owned(),
        });
        let reason = reason.map_or("null".to_owned(), |reason| format!("\"{reason}\""));
        let (sent, echoed) = (self.sent_at.len(), self.round_trips.len());
        let (received, corrupt) = (self.received, self.corrupt);
        println!(
            r#"{{"state":"{state}","sent":{sent},"received":{received},"echoed":{echoed},"corrupt":{corrupt},"disconnect_reason":{reason},"rtt_ms":{{"p50":{p50},"p99":{p99}}}}}"#
        );
    }
}
