//! Values as people write them: `5%`, `120ms`, `0x1234`. Each refusal says what is wrong and what is allowed.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::proto::netcode::Key;
use crate::server::admission::Allowance;
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

/// A whole number within a range.
///
/// # Errors
///
/// When it is none, or outside.
pub(super) fn within<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok();
        number
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("allowed is a whole number from {least} to {most}"))
    }
}

/// An address with a port; no name, because what a name means changes.
///
/// # Errors
///
/// When it is anything else.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "allowed is an IP address with a port, for example 0.0.0.0:7777 or [::1]:7777".to_owned()
    })
}

/// An address with a port, or `off`.
///
/// # Errors
///
/// When it is anything else.
pub(super) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    address(text)
        .map(Some)
        .map_err(|problem| format!("{problem}, or off"))
}

/// A length of time in whole seconds, at least one.
///
/// # Errors
///
/// When it is none, or has a part of a second.
pub(super) fn whole_seconds(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.as_secs() >= 1 && value.subsec_nanos() == 0 {
        Ok(value)
    } else {
        Err("allowed are whole seconds, at least one, for example 30s or 2m".to_owned())
    }
}

/// Units a second and at once: `240/480`, or `240` for the same.
///
/// # Errors
///
/// When it is none, or a zero, which would let nothing through.
pub(super) fn allowance(text: &str) -> Result<Allowance, String> {
    let (rate, burst) = text.split_once('/').unwrap_or((text, text));
    let read = |number: &str| number.trim().parse().ok().filter(|number| *number > 0);
    match (read(rate), read(burst)) {
        (Some(rate), Some(burst)) => Ok(Allowance::new(rate, burst)),
        _ => Err(
            "allowed is a number a second above 0, or that and a burst, for example 240/480"
                .to_owned(),
        ),
    }
}

/// The path of a file.
///
/// # Errors
///
/// When it is empty.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("allowed is the name of a file".to_owned());
    }
    Ok(text.into())
}

/// A key in 64 hexadecimal digits. The complaint does not repeat the text.
///
/// # Errors
///
/// When it is anything else.
pub(super) fn key(text: &str) -> Result<Key, String> {
    Key::from_hex(text.trim()).map_err(|error| error.to_string())
}

/// A bearer token: 16 or more printable letters, because fewer can be guessed, and no spaces, because a header ends
/// there. The complaint does not repeat the text.
///
/// # Errors
///
/// When it is anything else.
pub(super) fn bearer(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("allowed are 16 or more printable ASCII characters without spaces".to_owned())
    }
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
    fn ranges_are_inclusive_and_named() {
        let read = within::<u16>(1, 64);
        assert_eq!(read("64"), Ok(64));
        for wrong in ["0", "65", "-1", "x", ""] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.contains("from 1 to 64"), "{wrong}: {error}");
        }
    }

    #[test]
    fn allowances_are_a_rate_and_perhaps_a_burst() {
        assert_eq!(allowance("240/480"), Ok(Allowance::new(240, 480)));
        assert_eq!(allowance("240"), Ok(Allowance::new(240, 240)));
        for wrong in ["0", "240/0", "/", "240/x", ""] {
            assert!(allowance(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_last_whole_seconds() {
        assert_eq!(whole_seconds("2m"), Ok(Duration::from_secs(120)));
        assert!(whole_seconds("1500ms").is_err());
        assert!(whole_seconds("0s").is_err());
    }

    #[test]
    fn secrets_are_not_repeated() {
        for complaint in [key("5e5e5e").map(drop), bearer("5e5e5e").map(drop)] {
            assert!(!complaint.expect_err("too short").contains("5e5e5e"));
        }
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
