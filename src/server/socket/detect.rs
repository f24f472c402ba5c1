//! Which ways of moving datagrams are wanted, and which of them this system allows.

use std::io;
use std::str::FromStr;

use tracing::{debug, warn};

/// How a shard moves datagrams between itself and the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PacketIo {
    /// Whatever is cheapest where the system allows it: many datagrams a call, several to one client as one.
    #[default]
    Auto,
    /// All there is: as `Auto`, and the kernel joins datagrams of one client that arrive together. Reading is
    /// dearer for all others then; see `docs/performance.md`.
    Batch,
    /// One datagram a call.
    Portable,
}

impl PacketIo {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Batch, Self::Portable];

    /// As users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Batch => "batch",
            Self::Portable => "portable",
        }
    }
}

impl FromStr for PacketIo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| "allowed is auto, batch or portable".to_owned())
    }
}

/// Ways of moving datagrams, each to be used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms {
    /// Reads many datagrams a call (`recvmmsg`).
    pub receive_many: bool,
    /// Lets the kernel join datagrams of one client (GRO). Means nothing without `receive_many`.
    pub receive_joined: bool,
    /// Sends many datagrams a call (`sendmmsg`).
    pub send_many: bool,
    /// Lets the kernel cut a piece into datagrams to one client (GSO).
    pub send_segments: bool,
}

impl Mechanisms {
    /// One datagram a call.
    pub const NONE: Self = Self {
        receive_many: false,
        receive_joined: false,
        send_many: false,
        send_segments: false,
    };

    /// What of `wanted` this system has. What it refuses is said in one line of the log; none of it is needed.
    #[must_use]
    pub fn detect(wanted: PacketIo) -> Self {
        let mut refused = String::new();
        let mut found = match wanted {
            PacketIo::Portable => Self::NONE,
            PacketIo::Auto | PacketIo::Batch => detect(&mut |name, error| {
                let separator = if refused.is_empty() { "" } else { ", " };
                refused += &format!("{separator}{name} ({error})");
            }),
        };
        if wanted == PacketIo::Auto {
            found.receive_joined = false;
        }
        if refused.is_empty() {
            debug!(?wanted, ?found, "packet I/O");
        } else {
            warn!(?wanted, %refused, "this system lacks faster ways to move datagrams: the server goes on without them");
        }
        found
    }
}

#[cfg(target_os = "linux")]
fn detect(refused: &mut dyn FnMut(&'static str, io::Error)) -> Mechanisms {
    super::linux::detect(refused)
}

/// No other system is known to have any of it.
#[cfg(not(target_os = "linux"))]
fn detect(_: &mut dyn FnMut(&'static str, io::Error)) -> Mechanisms {
    Mechanisms::NONE
}
