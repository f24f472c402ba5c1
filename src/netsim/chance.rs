//! A probability that is always one, and its draws, the same on every machine.
//!
//! Knows a number between never and always. Has no generator of its own.

use core::fmt;
use core::str::FromStr;

use rand::Rng;

/// How likely something is, from never to always, in steps of 2^-32.
///
/// Kept as an integer and drawn by an integer comparison, so that a seed means the same everywhere.
///
/// ```
/// # #[cfg(feature = "tools")] {
/// use tickwire::netsim::Chance;
/// assert_eq!("5%".parse(), Ok(Chance::percent(5)));
/// assert_eq!("0.05".parse(), Ok(Chance::percent(5)));
/// assert!("five".parse::<Chance>().is_err());
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chance(u64);

/// Certainty: one more than any draw.
const ALWAYS: u64 = 1 << 32;

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens each time.
    pub const ALWAYS: Self = Self(ALWAYS);

    /// So many in a hundred; more than 100 is always.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self::out_of(percent, 100)
    }

    /// So many in a thousand; more than 1,000 is always.
    #[must_use]
    pub const fn per_mille(per_mille: u32) -> Self {
        Self::out_of(per_mille, 1_000)
    }

    const fn out_of(part: u32, whole: u32) -> Self {
        if part >= whole {
            return Self::ALWAYS;
        }
        // To the nearest step, as `new` does: 5% is 0.05.
        Self((part as u64 * ALWAYS + whole as u64 / 2) / whole as u64)
    }

    /// A probability between 0 and 1; `None` outside and for what is not a number.
    #[must_use]
    pub fn new(probability: f64) -> Option<Self> {
        // In range, so the cast neither wraps nor saturates.
        (0.0..=1.0)
            .contains(&probability)
            .then(|| Self((probability * ALWAYS as f64).round() as u64))
    }

    /// The probability between 0 and 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / ALWAYS as f64
    }

    /// Whether it happens this time. Never and always use up no randomness.
    pub(super) fn happens(self, rng: &mut impl Rng) -> bool {
        match self {
            Self::NEVER => false,
            Self::ALWAYS => true,
            Self(threshold) => u64::from(rng.next_u32()) < threshold,
        }
    }
}

/// A number from 0 to `most`, each as likely.
///
/// A product and a shift: the bias is below `most` x 2^-64, and no library's sampling can change under a seed.
pub(super) fn up_to(most: u64, rng: &mut impl Rng) -> u64 {
    if most == 0 {
        return 0;
    }
    let choices = u128::from(most) + 1;
    ((u128::from(rng.next_u64()) * choices) >> 64) as u64
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four places of a percent are far coarser than the steps: what is parsed is what is shown.
        let percent = (self.as_f64() * 1_000_000.0).round() / 10_000.0;
        write!(f, "{percent}%")
    }
}

/// What was written is no probability: neither `5%` nor `0.05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a percentage between 0% and 100%, such as 5% or 0.2%, or a number between 0 and 1"
)]
pub struct ParseChanceError;

impl FromStr for Chance {
    type Err = ParseChanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (text.trim(), 1.0),
        };
        let number: f64 = number.parse().map_err(|_| ParseChanceError)?;
        Self::new(number / whole).ok_or(ParseChanceError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    #[test]
    fn percentages_and_fractions_are_read_and_shown_as_percentages() {
        assert_eq!("5%".parse(), Ok(Chance::percent(5)));
        assert_eq!(" 100 % ".parse(), Ok(Chance::ALWAYS));
        assert_eq!("0".parse(), Ok(Chance::NEVER));
        assert_eq!("0.25".parse(), Ok(Chance::percent(25)));
        assert_eq!(Chance::percent(5).to_string(), "5%");
        assert_eq!(Chance::per_mille(2).to_string(), "0.2%");
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for text in ["", "%", "-1%", "101%", "1.01", "nan", "inf", "five", "5%%"] {
            assert_eq!(text.parse::<Chance>(), Err(ParseChanceError), "{text:?}");
        }
    }

    #[test]
    fn never_and_always_mean_it() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..10_000 {
            assert!(!Chance::NEVER.happens(&mut rng));
            assert!(Chance::ALWAYS.happens(&mut rng));
        }
    }

    #[test]
    fn draws_reach_both_ends_and_lie_evenly() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let mut seen = [0_u32; 5];
        for _ in 0..10_000 {
            seen[up_to(4, &mut rng) as usize] += 1;
        }
        for count in seen {
            assert!((1_800..2_200).contains(&count), "{seen:?}");
        }
        assert_eq!(up_to(0, &mut rng), 0);
    }
}
