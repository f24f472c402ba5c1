//! What `--print-config` prints: every option with its value and origin, as a file that means the same.

use std::fmt::Write as _;

use super::layers::{Chosen, Origin, Resolved};
use super::row::{Kind, Row};
use super::serve::ServeSettings;

/// Origins stand in a column behind most values.
const COLUMN: usize = 36;

impl Resolved {
    /// The effective values as TOML, each with where it came from.
    pub(in crate::cli) fn to_toml(&self) -> String {
        let mut text = String::from("# flag > environment > file > default\n");
        let mut heading = "";
        for row in ServeSettings::TABLE {
            if row.heading != heading {
                heading = row.heading;
                let _ = writeln!(text, "\n# {heading}");
            }
            if let Some(chosen) = self.chosen.get(row.field) {
                let setting = setting(row, chosen);
                let origin = self.origin_words(row, chosen);
                let _ = writeln!(text, "{setting:<COLUMN$} # {origin}");
            }
        }
        text
    }

    fn origin_words(&self, row: &Row, chosen: &Chosen) -> String {
        match chosen.origin {
            Origin::Flag => format!("--{}", row.flag()),
            Origin::Environment => row.variable_name(),
            Origin::File(line) => {
                let path = self.file.as_deref().unwrap_or("".as_ref());
                format!("{}:{line}", path.display())
            }
            Origin::Default if chosen.words.is_empty() => format!("default: {}", row.unset),
            Origin::Default => "default".to_owned(),
        }
    }
}

/// `key = value`; what is not set or not to be seen is a comment.
fn setting(row: &Row, chosen: &Chosen) -> String {
    match (row.kind, chosen.words.as_slice()) {
        (Kind::Secret, words) => {
            let is_set = if words.is_empty() { "not set" } else { "set" };
            format!("# {} is {is_set}", row.field)
        }
        (_, []) => format!("# {} is not set", row.field),
        (Kind::One, [word, ..]) => format!("{} = {}", row.field, toml(word)),
        (Kind::Many, words) => {
            let words: Vec<_> = words.iter().map(|word| toml(word)).collect();
            format!("{} = [{}]", row.field, words.join(", "))
        }
    }
}

/// A TOML value: a number where it is one that TOML can hold, a basic string elsewhere.
fn toml(word: &str) -> String {
    let is_number = word
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == word);
    if is_number {
        return word.to_owned();
    }
    let mut text = String::from('"');
    for letter in word.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(letter));
            }
            letter => text.push(letter),
        }
    }
    text + "\""
}
