//! A status line: one that is written over and over on a terminal, one a second elsewhere.
//!
//! Knows a stream and whether somebody looks at it. What the line says is the caller's.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use super::screen;

/// A terminal's line is written this often.
const LIVE: Duration = Duration::from_millis(100);

/// Elsewhere a line is printed this often.
const PRINTED: Duration = Duration::from_secs(1);

/// Where the status goes.
pub(super) struct Ticker {
    out: Box<dyn Write>,
    is_terminal: bool,
}

impl Ticker {
    /// On stdout, or on stderr where stdout belongs to a report.
    pub(super) fn new(stdout_is_taken: bool) -> Self {
        if stdout_is_taken {
            Self {
                is_terminal: io::stderr().is_terminal(),
                out: Box::new(io::stderr()),
            }
        } else {
            Self {
                is_terminal: io::stdout().is_terminal(),
                out: Box::new(io::stdout()),
            }
        }
    }

    /// How often it wants a new line.
    pub(super) const fn every(&self) -> Duration {
        if self.is_terminal { LIVE } else { PRINTED }
    }

    /// Shows a line in place of the last one, or below it.
    pub(super) fn show(&mut self, line: &str) {
        let _ = if self.is_terminal {
            let columns = screen::size().0 as usize;
            let end = line.floor_char_boundary(columns.saturating_sub(1));
            let line = line.get(..end).unwrap_or(line);
            write!(self.out, "\r{line}\x1b[K").and_then(|()| self.out.flush())
        } else {
            writeln!(self.out, "{line}")
        };
    }
}

impl Drop for Ticker {
    /// What is written next begins on a line of its own.
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = self.out.write_all(b"\r\x1b[K");
        }
    }
}

/// A bar of so many characters for a share from 0 to 1: `[######----]`.
pub(super) fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64) as usize;
    format!("[{}{}]", "#".repeat(full), "-".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_and_never_overflows() {
        assert_eq!(bar(0.0, 4), "[----]");
        assert_eq!(bar(0.5, 4), "[##--]");
        assert_eq!(bar(1.0, 4), "[####]");
        assert_eq!(bar(7.0, 4), "[####]");
        assert_eq!(bar(f64::NAN, 4), "[----]");
    }
}
