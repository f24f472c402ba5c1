//! Values as people write them: `5%`, `120ms`, `0x1234`. Each refusal says what is wrong and what is allowed.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::TickRate;

/// A probability: `5%`, `0.5%`, or a fraction like `0.05`.
///
/// # Errors
///
/// When it is no number, or not between 0% and 100%.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    const ALLOWED: &str = "allowed is 0% to 100%, for example 5% or 0.05";
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let value = number
        .trim()
        .parse::<f64>()
        .map_err(|_| format!("not a number; {ALLOWED}"))?
        / scale;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("out of range; {ALLOWED}"))
    }
}

/// A length of time: `120ms`, `2s`, `1.5s`, `10m`.
///
/// # Errors
///
/// When it is no number with a unit, or longer than a day.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const ALLOWED: &str =
        "allowed is a number with a unit, for example 120ms, 1.5s or 10m, at most a day";
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "" => return Err(format!("the unit is missing; {ALLOWED}")),
        _ => return Err(format!("unknown unit '{unit}'; {ALLOWED}")),
    };
    let value = number
        .trim()
        .parse::<f64>()
        .map_err(|_| format!("not a number; {ALLOWED}"))?
        * seconds;
    if (0.0..=86_400.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(format!("out of range; {ALLOWED}"))
    }
}

/// A number of seconds, with or without the unit: `8`, `8s`, `0.5`.
///
/// # Errors
///
/// When it is no number, or not between 0.1 s and a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let with_unit = if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        text.to_owned()
    } else {
        format!("{text}s")
    };
    let value = duration(&with_unit).map_err(|_| {
        "allowed is a number of seconds from 0.1 to 86400, for example 8".to_owned()
    })?;
    if value < Duration::from_millis(100) {
        return Err("too short; allowed is 0.1 to 86400 seconds".to_owned());
    }
    Ok(value)
}

/// A rate in Hz: `60`, `60Hz`.
///
/// # Errors
///
/// When it is no whole number, or not between 1 and 240.
pub(super) fn rate(text: &str) -> Result<TickRate, String> {
    let number = text.trim_end_matches("Hz").trim_end_matches("hz").trim();
    number
        .parse::<u16>()
        .ok()
        .and_then(TickRate::new)
        .ok_or_else(|| format!("allowed is a whole number from 1 to {}", TickRate::MAX))
}

/// So many a second: `100/s`, `100`.
///
/// # Errors
///
/// When it is no whole number, or not between 1 and 100,000.
pub(super) fn per_second(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).trim();
    number
        .parse()
        .ok()
        .filter(|rate: &NonZeroU32| rate.get() <= 100_000)
        .ok_or_else(|| "allowed is a whole number from 1/s to 100000/s".to_owned())
}

/// A number, decimal or hexadecimal with `0x`.
///
/// # Errors
///
/// When it is neither, or does not fit 64 bits.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "allowed is a 64-bit number, decimal or hexadecimal like 0x1234".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_fractions() {
        assert_eq!(percent("5%"), Ok(0.05));
        assert_eq!(percent("0.25"), Ok(0.25));
        assert_eq!(percent("100%"), Ok(1.0));
        for wrong in ["180%", "-1%", "1.5", "NaN", "five", "%", ""] {
            let error = percent(wrong).expect_err(wrong);
            assert!(error.contains("0% to 100%"), "{wrong}: {error}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("120ms"), Ok(Duration::from_millis(120)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["120", "ms", "-3s", "3 parsecs", "1e9h", "NaNs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_omit_it() {
        assert_eq!(seconds("8"), Ok(Duration::from_secs(8)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_secs(120)));
        assert!(seconds("0").is_err());
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn rates_have_limits() {
        assert_eq!(rate("60"), Ok(TickRate::HZ_60));
        assert_eq!(rate("60Hz"), Ok(TickRate::HZ_60));
        assert!(rate("0").is_err());
        assert!(rate("241").is_err());
    }

    #[test]
    fn so_many_a_second() {
        assert_eq!(per_second("100/s").map(NonZeroU32::get), Ok(100));
        assert_eq!(per_second("7").map(NonZeroU32::get), Ok(7));
        for wrong in ["0/s", "-1", "100/m", "1.5/s", "100001", ""] {
            assert!(per_second(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_in_both_bases() {
        assert_eq!(number("0x1F"), Ok(31));
        assert_eq!(number("31"), Ok(31));
        assert!(number("0xG").is_err());
        assert!(number("-1").is_err());
    }
}
