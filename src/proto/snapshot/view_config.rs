//! How far a client sees and how much it may be told; and how much it was.

use super::interest::Radii;

/// How far a client sees, and how much it may be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewConfig {
    /// Entities at most this far from the viewpoint are seen. In the unit of positions.
    pub inner_radius: f32,
    /// Entities that are seen are seen until they are farther than this. At least the inner radius.
    pub outer_radius: f32,
    /// Bytes of all parts of one snapshot, before headers and sealing; at least 256 are always
    /// allowed. More than one datagram's room means several datagrams, at most
    /// [`super::MAX_PARTS`].
    pub bytes_per_snapshot: usize,
}

impl Default for ViewConfig {
    /// Sees 64 far, loses sight at 72, one datagram.
    fn default() -> Self {
        Self {
            inner_radius: 64.0,
            outer_radius: 72.0,
            bytes_per_snapshot: 1_100,
        }
    }
}

impl ViewConfig {
    /// Less than this and the largest entity might never fit.
    const MIN_BYTES: usize = 256;

    pub(super) fn radii(&self) -> Radii {
        Radii {
            inner: self.inner_radius,
            outer: self.outer_radius.max(self.inner_radius),
        }
    }

    pub(super) fn budget(&self) -> usize {
        self.bytes_per_snapshot.max(Self::MIN_BYTES)
    }
}

/// What a client has been told so far, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewStats {
    /// Parts written.
    pub parts: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Entities told with a delta.
    pub changed: u64,
    /// Entities told from nothing.
    pub entered: u64,
    /// Entities whose change did not fit.
    pub deferred: u64,
    /// Entities that could not enter yet.
    pub withheld: u64,
    /// Parts that built on no baseline.
    pub without_baseline: u64,
    /// Parts whose deltas no cohort could share.
    pub alone: u64,
    /// Parts that another client, who held and saw just the same, was told before: copied whole.
    pub copied: u64,
}

impl ViewStats {
    /// Adds what a view counted between two of its readings.
    pub const fn add_since(&mut self, before: &Self, after: &Self) {
        self.parts += after.parts - before.parts;
        self.bytes += after.bytes - before.bytes;
        self.changed += after.changed - before.changed;
        self.entered += after.entered - before.entered;
        self.deferred += after.deferred - before.deferred;
        self.withheld += after.withheld - before.withheld;
        self.without_baseline += after.without_baseline - before.without_baseline;
        self.alone += after.alone - before.alone;
        self.copied += after.copied - before.copied;
    }
}
