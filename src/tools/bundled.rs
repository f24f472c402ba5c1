//! The games in the box, by name: what `--world` may say, and what follows from it.

use core::str::FromStr;
use std::sync::Arc;

use crate::game::{arena, cubes};
use crate::proto::snapshot::Schema;

/// A game that comes with Tickwire.
///
/// ```
/// use tickwire::tools::Bundled;
/// assert_eq!("cubes".parse(), Ok(Bundled::Cubes));
/// assert_ne!(Bundled::Arena.protocol_id(), Bundled::Cubes.protocol_id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bundled {
    /// Many players who each see a little: [`arena`].
    #[default]
    Arena,
    /// Everybody sees everything, most of it at rest: [`cubes`].
    Cubes,
}

impl Bundled {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Arena, Self::Cubes];

    /// Its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arena => "arena",
            Self::Cubes => "cubes",
        }
    }

    /// Its number between two processes, unless they agree on another: a connect token for one game is none for
    /// another. "tickarna" and "tickcube".
    #[must_use]
    pub const fn protocol_id(self) -> u64 {
        u64::from_be_bytes(match self {
            Self::Arena => *b"tickarna",
            Self::Cubes => *b"tickcube",
        })
    }

    /// What its world is made of.
    #[must_use]
    pub fn schema(self) -> Arc<Schema> {
        match self {
            Self::Arena => arena::schema(),
            Self::Cubes => cubes::schema(),
        }
    }
}

impl FromStr for Bundled {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| "allowed is arena or cubes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_games_are_told_apart() {
        let [arena, cubes] = Bundled::ALL;
        assert_ne!(arena.protocol_id(), cubes.protocol_id());
        assert_ne!(arena.schema().hash(), cubes.schema().hash());
        for world in Bundled::ALL {
            assert_eq!(world.name().parse(), Ok(world));
        }
        let refused = "chess".parse::<Bundled>().expect_err("no such game");
        assert!(refused.contains("arena or cubes"), "{refused}");
    }
}
