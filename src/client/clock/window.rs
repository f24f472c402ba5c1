//! The last few arrivals of snapshots, and what they say together.
//!
//! Knows offsets in nanoseconds (server's time minus local time: the later an arrival, the smaller). No allocation.

/// Two seconds of snapshots at 30 Hz: enough for a 95th percentile, short enough to follow a change of network,
/// and clocks that drift apart by 200 ppm move less than half a millisecond in it.
const LEN: usize = 64;

/// A ring of arrival offsets.
#[derive(Debug, Clone)]
pub(super) struct Window {
    offsets: [i64; LEN],
    len: usize,
    next: usize,
    /// The 5th percentile (one in twenty comes later), the median and the maximum, kept from push to push.
    slow: i64,
    median: i64,
    fastest: i64,
    lateness_p95: i64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            offsets: [0; LEN],
            len: 0,
            next: 0,
            slow: 0,
            median: 0,
            fastest: 0,
            lateness_p95: 0,
        }
    }
}

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, offset: i64) {
        self.offsets[self.next] = offset;
        self.next = (self.next + 1) % LEN;
        self.len = (self.len + 1).min(LEN);
        self.summarize();
    }

    fn summarize(&mut self) {
        // The ring fills from its start; once it is full, the oldest is the next to go.
        let mut offsets = self.offsets;
        let offsets = &mut offsets[..self.len];
        if self.len == LEN {
            offsets.rotate_left(self.next);
        }
        // A way that becomes longer or shorter at one moment looks like jitter in a window that spans that moment. Of
        // two halves only one can span it, so the steadier one tells the jitter.
        let halves = (self.len > LEN / 2).then(|| {
            let (older, newer) = offsets.split_at_mut(self.len / 2);
            lateness_p95(older).min(lateness_p95(newer))
        });
        self.lateness_p95 = halves.unwrap_or_else(|| lateness_p95(offsets));
        offsets.sort_unstable();
        self.slow = offsets[self.len / 20];
        self.median = offsets[self.len / 2];
        self.fastest = offsets[self.len - 1];
    }

    /// The offset that all but one in twenty arrivals reach.
    pub(super) const fn slow(&self) -> i64 {
        self.slow
    }

    /// The offset of the usual arrival.
    pub(super) const fn median(&self) -> i64 {
        self.median
    }

    /// The offset of the arrival that was delayed least.
    pub(super) const fn fastest(&self) -> i64 {
        self.fastest
    }

    /// By how much one arrival in twenty is later than the fastest, at least.
    pub(super) const fn lateness_p95(&self) -> i64 {
        self.lateness_p95
    }
}

/// The same of some arrivals, which are sorted on the way.
fn lateness_p95(offsets: &mut [i64]) -> i64 {
    offsets.sort_unstable();
    match (offsets.last(), offsets.get(offsets.len() / 20)) {
        (Some(fastest), Some(slow)) => fastest.saturating_sub(*slow),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_last_sixty_four() {
        let mut window = Window::default();
        for offset in 0..1_000 {
            // In no order: 389 and 1,000 have no common factor.
            window.push(offset * 389 % 1_000);
            let from = usize::try_from(offset)
                .expect("small")
                .saturating_sub(LEN - 1);
            let mut plain: Vec<i64> = (from as i64..=offset).map(|n| n * 389 % 1_000).collect();
            plain.sort_unstable();
            assert_eq!(window.slow(), plain[plain.len() / 20]);
            assert_eq!(window.median(), plain[plain.len() / 2]);
            assert_eq!(Some(&window.fastest()), plain.last());
        }
    }

    #[test]
    fn a_way_that_changes_its_length_is_not_jitter() {
        let mut window = Window::default();
        for arrival in 0..1_000 {
            window.push(if arrival < 500 { 0 } else { 200 } + arrival % 5);
            assert!(window.lateness_p95() <= 4, "{}", window.lateness_p95());
        }
        // Jitter is: both halves see it.
        for arrival in 0..64 {
            window.push(arrival * 7 % 32);
        }
        assert_eq!(window.lateness_p95(), 30);
    }
}
