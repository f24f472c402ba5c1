//! What the arena tells a client in messages: the few things that a snapshot cannot say.
//!
//! The world itself travels in snapshots. Messages carry what happens once: the welcome, a death
//! (to the two it concerns: telling everybody would cost the square of the players), a voice.

use crate::id::EntityId;
use crate::proto::wire::{ByteReader, ByteWriter};

use super::rules::VOICE_MAX;
use super::walls::WallsSpec;

/// The channel of the arena's messages, both ways; meant to be reliable and ordered.
pub const EVENTS: u8 = 0;

/// The longest event in bytes.
pub const EVENT_MAX: usize = 5 + VOICE_MAX;

/// One message of the arena to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArenaEvent<'m> {
    /// You are in: this is the ground, and this is you, for as long as you stay.
    Welcome {
        /// Build [`Walls::new`](super::Walls::new) from it.
        walls: WallsSpec,
        /// Your row in every snapshot.
        you: EntityId,
    },
    /// Somebody died; you are one of the two.
    Death {
        /// Who lies there.
        victim: EntityId,
        /// Who shot.
        by: EntityId,
    },
    /// Somebody near you said something.
    Voice {
        /// Who.
        from: EntityId,
        /// What.
        text: &'m str,
    },
}

const WELCOME: u8 = 1;
const DEATH: u8 = 2;
const VOICE: u8 = 3;

impl<'m> ArenaEvent<'m> {
    /// Writes the event; `None` when there is no room.
    pub fn encode(&self, out: &mut ByteWriter<'_>) -> Option<()> {
        match self {
            Self::Welcome { walls, you } => {
                out.u8(WELCOME)?;
                out.u64(walls.seed)?;
                out.u32(walls.side)?;
                put_id(out, *you)
            }
            Self::Death { victim, by } => {
                out.u8(DEATH)?;
                put_id(out, *victim)?;
                put_id(out, *by)
            }
            Self::Voice { from, text } => {
                out.u8(VOICE)?;
                put_id(out, *from)?;
                out.bytes(text.as_bytes())
            }
        }
    }

    /// Reads a whole message; `None` when it is not an event.
    #[must_use]
    pub fn decode(message: &'m [u8]) -> Option<Self> {
        let mut bytes = ByteReader::new(message);
        let event = match bytes.u8()? {
            WELCOME => Self::Welcome {
                walls: WallsSpec {
                    seed: bytes.u64()?,
                    side: bytes.u32()?,
                },
                you: take_id(&mut bytes)?,
            },
            DEATH => Self::Death {
                victim: take_id(&mut bytes)?,
                by: take_id(&mut bytes)?,
            },
            VOICE => {
                let from = take_id(&mut bytes)?;
                let text = bytes.take(bytes.remaining())?;
                Self::Voice {
                    from,
                    text: sentence(text)?,
                }
            }
            _ => return None,
        };
        bytes.is_empty().then_some(event)
    }
}

/// What somebody said, if it can be passed on: short, UTF-8, no control characters that would play
/// tricks on a terminal.
#[must_use]
pub fn sentence(message: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(message).ok()?;
    let short = (1..=VOICE_MAX).contains(&text.len());
    (short && !text.chars().any(char::is_control)).then_some(text)
}

fn put_id(out: &mut ByteWriter<'_>, id: EntityId) -> Option<()> {
    out.u16(id.slot)?;
    out.u16(id.generation)
}

fn take_id(bytes: &mut ByteReader<'_>) -> Option<EntityId> {
    Some(EntityId {
        slot: bytes.u16()?,
        generation: bytes.u16()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_event_comes_back_and_noise_does_no_harm(
            seed: u64, side: u32, slot: u16, generation: u16, noise: Vec<u8>,
        ) {
            let id = EntityId { slot, generation };
            let events = [
                ArenaEvent::Welcome { walls: WallsSpec { seed, side }, you: id },
                ArenaEvent::Death { victim: id, by: EntityId { slot: 1, generation: 2 } },
                ArenaEvent::Voice { from: id, text: "good game" },
            ];
            for event in events {
                let mut room = [0; EVENT_MAX];
                let mut writer = ByteWriter::new(&mut room);
                prop_assert!(event.encode(&mut writer).is_some());
                prop_assert_eq!(ArenaEvent::decode(writer.written()), Some(event));
            }
            let _ = ArenaEvent::decode(&noise);
        }
    }

    #[test]
    fn what_would_move_a_terminal_is_not_passed_on() {
        assert_eq!(sentence("grüß dich".as_bytes()), Some("grüß dich"));
        assert_eq!(sentence(b"\x1b[2J"), None);
        assert_eq!(sentence(b""), None);
        assert_eq!(sentence(&[b'a'; VOICE_MAX + 1]), None);
        assert_eq!(sentence(&[0xFF]), None);
    }
}
