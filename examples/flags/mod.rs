//! `--flag value` pairs for the examples: one line about whatever is wrong, and exit code 2.
#![allow(clippy::print_stderr, reason = "talks to a terminal")]

use std::process::exit;

/// Ends the program with a line about why.
pub(crate) fn fail(code: i32, line: &str) -> ! {
    eprintln!("{line}");
    exit(code)
}

/// What was written on the command line.
pub(crate) struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads `--flag value` and `--flag=value`; `usage` names every flag there is.
    pub(crate) fn parse(usage: &str) -> Self {
        let mut pairs = Vec::new();
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let (flag, value) = match arg.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            if flag == "--help" {
                fail(0, usage);
            }
            let known = usage.split([' ', '[', ']']).any(|word| word == flag);
            if !known || !flag.starts_with("--") {
                fail(2, &format!("{flag}: unknown flag, expected {usage}"));
            }
            let value = value.or_else(|| args.next());
            let value = value.unwrap_or_else(|| {
                fail(2, &format!("{flag}: a value is missing, expected {usage}"))
            });
            pairs.push((flag, value));
        }
        Self(pairs)
    }

    /// The values of a flag that may be given any number of times.
    pub(crate) fn each<T>(&self, flag: &str, allowed: &str, read: fn(&str) -> Option<T>) -> Vec<T> {
        let given = self.0.iter().filter(|(name, _)| name == flag);
        given
            .map(|(_, value)| {
                read(value).unwrap_or_else(|| {
                    // A key is a secret, or a misspelt one: it is not repeated.
                    let value = if flag == "--key" { "(hidden)" } else { value };
                    fail(2, &format!("{flag} {value}: expected {allowed}"))
                })
            })
            .collect()
    }

    /// The value of a flag that must be there; the last one counts.
    #[allow(dead_code, reason = "not every example takes one")]
    pub(crate) fn required<T>(&self, flag: &str, allowed: &str, read: fn(&str) -> Option<T>) -> T {
        let last = self.each(flag, allowed, read).pop();
        last.unwrap_or_else(|| fail(2, &format!("{flag} is missing: expected {allowed}")))
    }
}

/// A number, decimal or with 0x.
#[allow(dead_code, reason = "not every example takes one")]
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A number within limits.
#[allow(dead_code, reason = "not every example takes one")]
pub(crate) fn within(text: &str, low: f64, high: f64) -> Option<f64> {
    text.parse().ok().filter(|it| (low..=high).contains(it))
}
