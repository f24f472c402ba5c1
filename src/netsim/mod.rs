//! Bad networks as numbers: delay, jitter, loss, duplicates, reordering, damage, a narrow bottleneck.
//!
//! Time is an argument and chance has a seed, so the same seed and the same sends give the same network,
//! datagram for datagram. Tests run the real endpoints over it in virtual time; the tools put it
//! under a real socket. Knows bytes and addresses. Has no clock, no socket and no idea what the bytes mean.
//!
//! One datagram's way through a [`Link`]:
//!
//! ```text
//! send -> outage? -> bottleneck (rate, queue) -> loss -> a second copy? -> each copy: damage, delay -> receive
//! ```
//!
//! ```
//! # #[cfg(feature = "tools")] {
//! use std::time::Duration;
//! use tickwire::netsim::{Link, LinkConditions};
//! use tickwire::time::Timestamp;
//!
//! let slow = LinkConditions { delay: Duration::from_millis(40), ..LinkConditions::PERFECT };
//! let mut link = Link::new(slow, 1);
//! link.send(Timestamp::ZERO, b"hello");
//! assert!(link.receive(Timestamp::from_millis(39)).is_none());
//! assert_eq!(link.receive(Timestamp::from_millis(40)).as_deref(), Some(&b"hello"[..]));
//! # }
//! ```

mod chance;
mod conditions;
mod flight;
mod link;
mod network;
mod path;
mod profile;
mod stats;

pub use chance::{Chance, ParseChanceError};
pub use conditions::{Bottleneck, LinkConditions, Loss, Outage, Reorder};
pub use link::Link;
pub use network::{Delivery, Network};
pub use profile::{Profile, ProfileConditions, UnknownProfile};
pub use stats::LinkStats;
