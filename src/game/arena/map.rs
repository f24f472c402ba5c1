//! The arena as lines of text: a picture for terminals, logs and tests.
//!
//! A pure function of walls and things. Knows characters and, when asked, the eight old terminal
//! colours. Never writes anywhere.

use crate::id::EntityId;

use super::angle::TURN;
use super::rules::METRE;
use super::state::PickupKind;
use super::view::{PlayerView, Thing};
use super::walls::Walls;

/// Which part of the ground is drawn, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Characters in a line.
    pub columns: u32,
    /// Lines. A terminal's character is about twice as high as wide: half as many lines as columns
    /// make a square ground look square.
    pub rows: u32,
    /// What is in the picture.
    pub area: Area,
    /// Who is drawn as oneself.
    pub me: Option<EntityId>,
    /// Whether to add the escape sequences of colours.
    pub colour: bool,
}

impl Canvas {
    /// All of the ground without colour, in so many columns and half as many lines.
    #[must_use]
    pub const fn whole(walls: &Walls, columns: u32) -> Self {
        Self {
            columns,
            rows: columns / 2,
            area: Area::whole(walls),
            me: None,
            colour: false,
        }
    }
}

/// A rectangle of the ground, in 1/256 m.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// The western edge.
    pub x: i32,
    /// The southern edge.
    pub y: i32,
    /// From west to east.
    pub width: i32,
    /// From south to north.
    pub height: i32,
}

impl Area {
    /// All of the ground.
    #[must_use]
    pub const fn whole(walls: &Walls) -> Self {
        let extent = walls.extent();
        Self {
            x: 0,
            y: 0,
            width: extent,
            height: extent,
        }
    }

    /// What is within so many metres of a place, on both axes.
    #[must_use]
    pub const fn around(place: (i32, i32), metres: i32) -> Self {
        let half = metres.saturating_mul(METRE);
        Self {
            x: place.0.saturating_sub(half),
            y: place.1.saturating_sub(half),
            width: half.saturating_mul(2),
            height: half.saturating_mul(2),
        }
    }
}

/// One character of the picture, the most important thing in it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Ground,
    Corner,
    Wall,
    Ammo,
    Health,
    Dead,
    Bolt,
    /// Somebody, who looks to one of eight sides.
    One(u8),
    /// So many in one place.
    Many(u8),
    /// Oneself.
    Me(u8),
    MeDead,
}

/// Draws the ground and what is on it, north up, one string per line without line ends.
///
/// Players are arrows (`→ ↗ ↑ ↖ ← ↙ ↓ ↘`), oneself a solid one (`▶ ▲ ◀ ▼`); several in one place are their number.
/// `·` flies, `+` heals, `=` is ammunition, `x` lies dead, `█` and `▒` are walls and parts of walls.
#[must_use]
pub fn draw(
    walls: &Walls,
    things: impl IntoIterator<Item = (EntityId, Thing)>,
    canvas: &Canvas,
) -> Vec<String> {
    let columns = canvas.columns.clamp(1, 1_000);
    let rows = canvas.rows.clamp(1, 1_000);
    let grid = Grid {
        area: canvas.area,
        columns: columns.cast_signed(),
        rows: rows.cast_signed(),
    };
    let mut cells: Vec<Cell> = (0..grid.rows)
        .flat_map(|row| (0..grid.columns).map(move |column| (column, row)))
        .map(|(column, row)| grid.ground(walls, column, row))
        .collect();
    for (id, thing) in things {
        let Some(cell) = grid
            .index(thing.place())
            .and_then(|index| cells.get_mut(index))
        else {
            continue;
        };
        let new = cell_of(&thing, canvas.me == Some(id));
        *cell = match (*cell, new) {
            (Cell::One(_), Cell::One(_)) => Cell::Many(2),
            (Cell::Many(count), Cell::One(_)) => Cell::Many(count.saturating_add(1)),
            (old, new) => old.max(new),
        };
    }
    cells
        .chunks(columns as usize)
        .map(|line| text(line, canvas.colour))
        .collect()
}

struct Grid {
    area: Area,
    columns: i32,
    rows: i32,
}

impl Grid {
    /// The cell of a place; line 0 is the most northern one.
    fn index(&self, (x, y): (i32, i32)) -> Option<usize> {
        let column = part(x, self.area.x, self.area.width, self.columns)?;
        let line = part(y, self.area.y, self.area.height, self.rows)?;
        usize::try_from((self.rows - 1 - line) * self.columns + column).ok()
    }

    /// How much wall there is in a cell, asked at nine of its points.
    fn ground(&self, walls: &Walls, column: i32, row: i32) -> Cell {
        let line = self.rows - 1 - row;
        let at = |from: i32, length: i32, cell: i32, cells: i32, sixth: i64| {
            let sixths = i64::from(cell) * 6 + sixth;
            (i64::from(from) + i64::from(length) * sixths / (i64::from(cells) * 6)) as i32
        };
        let solid = [1, 3, 5]
            .iter()
            .flat_map(|across| [1, 3, 5].map(|up| (*across, up)))
            .filter(|(across, up)| {
                let x = at(self.area.x, self.area.width, column, self.columns, *across);
                let y = at(self.area.y, self.area.height, line, self.rows, *up);
                walls.is_solid_at(x, y)
            })
            .count();
        match solid {
            0..2 => Cell::Ground,
            2..5 => Cell::Corner,
            _ => Cell::Wall,
        }
    }
}

/// Which of `parts` equal parts of a length a place is in.
fn part(place: i32, from: i32, length: i32, parts: i32) -> Option<i32> {
    let offset = i64::from(place) - i64::from(from);
    let inside = length > 0 && (0..i64::from(length)).contains(&offset);
    inside.then(|| (offset * i64::from(parts) / i64::from(length)) as i32)
}

fn cell_of(thing: &Thing, is_me: bool) -> Cell {
    match thing {
        Thing::Player(player) if is_me && player.is_alive() => Cell::Me(side(player)),
        Thing::Player(_) if is_me => Cell::MeDead,
        Thing::Player(player) if player.is_alive() => Cell::One(side(player)),
        Thing::Player(_) => Cell::Dead,
        Thing::Projectile(_) => Cell::Bolt,
        Thing::Pickup(pickup) => match pickup.kind {
            PickupKind::Health => Cell::Health,
            PickupKind::Ammo => Cell::Ammo,
        },
    }
}

/// Which of eight sides a player looks to: 0 is east, then against the clock.
fn side(player: &PlayerView) -> u8 {
    const EIGHTH: u16 = TURN / 8;
    ((player.body.yaw % TURN + EIGHTH / 2) / EIGHTH % 8) as u8
}

impl Cell {
    fn glyph(self) -> char {
        const ARROWS: [char; 8] = ['→', '↗', '↑', '↖', '←', '↙', '↓', '↘'];
        // Oneself has four sides only: the diagonals have no solid arrow that terminals agree on.
        const SOLID: [char; 8] = ['▶', '▶', '▲', '◀', '◀', '◀', '▼', '▶'];
        match self {
            Self::Ground => ' ',
            Self::Corner => '▒',
            Self::Wall => '█',
            Self::Ammo => '=',
            Self::Health => '+',
            Self::Dead => 'x',
            Self::Bolt => '·',
            Self::One(side) => ARROWS[usize::from(side % 8)],
            Self::Many(count @ 0..=9) => char::from(b'0' + count),
            Self::Many(_) => '*',
            Self::Me(side) => SOLID[usize::from(side % 8)],
            Self::MeDead => 'X',
        }
    }

    /// The parameter of the "select graphic rendition" sequence (ECMA-48, 8.3.117).
    const fn colour(self) -> &'static str {
        match self {
            Self::Ground => "0",
            Self::Corner | Self::Wall | Self::Dead => "90",
            Self::Ammo => "34",
            Self::Health => "32",
            Self::Bolt => "31",
            Self::One(_) | Self::Many(_) => "36",
            Self::Me(_) | Self::MeDead => "1;33",
        }
    }
}

fn text(line: &[Cell], colour: bool) -> String {
    if !colour {
        return line.iter().map(|cell| cell.glyph()).collect();
    }
    let mut text = String::with_capacity(line.len() * 2);
    for run in line.chunk_by(|one, other| one.colour() == other.colour()) {
        let colour = run.first().map_or("0", |cell| cell.colour());
        text.push_str("\x1b[");
        text.push_str(colour);
        text.push('m');
        text.extend(run.iter().map(|cell| cell.glyph()));
    }
    text.push_str("\x1b[0m");
    text
}
