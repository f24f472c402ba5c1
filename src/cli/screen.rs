//! What the demo shows: a status line, and on a terminal a map of the arena above it.
//!
//! Turns figures and frames into text, and text into bytes for a terminal. Decides nothing.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use crate::game::arena::Walls;
use crate::game::arena::map::{self, Canvas};
use crate::game::arena::things_of;
use crate::proto::snapshot::TickFrame;
use crate::server::metrics::ServerStats;
use crate::tools::bots::{Live, Rates};

/// A map is never wider than this: the arena is square and gets no clearer.
const MAX_COLUMNS: u32 = 100;

/// One second's figures.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) bots: u32,
    pub(super) live: Live,
    pub(super) tick: u32,
    pub(super) tick_p99_ms: f64,
    pub(super) rates: Rates,
}

impl Figures {
    /// The figures of this second, with nobody in yet.
    pub(super) fn new(bots: u32, stats: &ServerStats, rates: Rates) -> Self {
        Self {
            bots,
            live: Live::default(),
            tick: stats.tick.tick,
            tick_p99_ms: stats.tick.p99_us as f64 / 1e3,
            rates,
        }
    }

    /// The status line.
    pub(super) fn line(&self) -> String {
        format!(
            "clients {}/{} | tick {}, p99 {:.2} ms | round trip {:.1} ms | loss {:.1}% | per client {:.1} down {:.1} up kB/s",
            self.live.in_game,
            self.bots,
            self.tick,
            self.tick_p99_ms,
            self.live.rtt_ms(),
            self.live.loss() * 100.0,
            self.rates.down / 1e3,
            self.rates.up / 1e3,
        )
    }
}

/// A terminal that shows the map, or nothing where there is none.
#[derive(Debug)]
pub(super) struct Screen {
    walls: Walls,
    colour: bool,
}

impl Screen {
    /// A cleared screen without a cursor, if stdout is a terminal.
    pub(super) fn open(walls: Walls) -> Option<Self> {
        let colour = std::env::var_os("NO_COLOR").is_none();
        if !io::stdout().is_terminal() {
            return None;
        }
        let _ = io::stdout().lock().write_all(b"\x1b[2J\x1b[?25l");
        Some(Self { walls, colour })
    }

    /// Draws a frame with the status line below.
    pub(super) fn draw(&self, frame: Option<&TickFrame>, figures: &Figures) -> io::Result<()> {
        let (columns, rows) = size();
        let mut text = String::from("\x1b[H");
        if let Some(frame) = frame {
            // Cells are twice as high as they are wide.
            let width = columns.min(MAX_COLUMNS).min(rows.saturating_sub(2) * 2);
            let canvas = Canvas {
                colour: self.colour,
                ..Canvas::whole(&self.walls, width)
            };
            for line in map::draw(&self.walls, things_of(frame), &canvas) {
                let _ = write!(text, "{line}\x1b[K\r\n");
            }
        }
        let mut line = figures.line();
        line.truncate(line.floor_char_boundary(columns as usize));
        let _ = write!(text, "{line}\x1b[K\x1b[J");
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    /// Leaves the last picture and gives the cursor back.
    fn drop(&mut self) {
        let _ = io::stdout().lock().write_all(b"\x1b[?25h\r\n");
    }
}

/// The terminal's columns and rows.
pub(super) fn size() -> (u32, u32) {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col > 0
        && size.ws_row > 0
    {
        return (size.ws_col.into(), size.ws_row.into());
    }
    (80, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_says_what_an_operator_asks() {
        let figures = Figures {
            bots: 64,
            tick: 600,
            tick_p99_ms: 0.214,
            ..Figures::default()
        };
        let line = figures.line();
        for part in [
            "tick 600",
            "clients 0/64",
            "p99 0.21 ms",
            "round trip",
            "loss",
            "per client",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
