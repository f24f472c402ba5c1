//! What a link measured and counted. Knows numbers. Has no part in any decision.

use core::time::Duration;

/// Running counts of a link, from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Payloads written.
    pub datagrams_sent: u64,
    /// Of those, payloads with nothing but acks.
    pub acks_sent: u64,
    /// Payloads taken, duplicates and refused ones not counted.
    pub datagrams_received: u64,
    /// Payloads refused with a [`super::Rejection`].
    pub datagrams_rejected: u64,
    /// Of the payloads sent, those known to have arrived.
    pub datagrams_acked: u64,
    /// Of the payloads sent, those given up.
    pub datagrams_lost: u64,
    /// Of those given up, the ones that had arrived after all.
    pub datagrams_lost_wrongly: u64,
    /// Messages sent for the first time.
    pub messages_sent: u64,
    /// Reliable messages sent again.
    pub messages_resent: u64,
    /// Messages that reached the application's queue or wait for an earlier one.
    pub messages_received: u64,
    /// Copies of reliable messages that were recognised.
    pub messages_duplicate: u64,
    /// Unreliable messages dropped because the application did not poll.
    pub messages_dropped: u64,
    /// Reliable messages not taken, and not acknowledged, because the application did not poll.
    pub messages_refused: u64,
    /// Verdicts about datagrams that were never polled and had to go.
    pub deliveries_dropped: u64,
}

/// The state of a link at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkStats {
    /// The smoothed round trip; `None` before the first ack.
    pub rtt: Option<Duration>,
    /// The newest sample of it.
    pub rtt_latest: Option<Duration>,
    /// The smallest sample of it.
    pub rtt_min: Option<Duration>,
    /// Its mean deviation.
    pub rtt_variance: Duration,
    /// The mean change from one sample to the next.
    pub jitter: Duration,
    /// The share of datagrams lost lately, 0 to 1: a moving mean over about 64 verdicts.
    pub loss: f32,
    /// Messages that wait to be sent or acknowledged.
    pub messages_queued: usize,
    /// Their bytes.
    pub bytes_queued: usize,
    /// Messages that wait for the application.
    pub messages_ready: usize,
    /// Running counts.
    pub counters: LinkCounters,
}

/// A moving mean of verdicts: each counts 1/64.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LossMeter(f32);

impl LossMeter {
    pub(super) fn verdict(&mut self, lost: bool) {
        let target = if lost { 1.0 } else { 0.0 };
        self.0 += (target - self.0) / 64.0;
    }

    pub(super) fn ratio(self) -> f32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_meter_settles_at_the_share_of_losses() {
        let mut meter = LossMeter::default();
        for verdict in 0..1_000 {
            meter.verdict(verdict % 4 == 0);
        }
        assert!((meter.ratio() - 0.25).abs() < 0.02, "{}", meter.ratio());
    }
}
