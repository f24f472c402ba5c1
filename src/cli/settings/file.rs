//! The file: TOML with one flat list of keys. Knows where each key stands, so that a complaint can say so.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::row::{Kind, Row};

/// What the file says about one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileValue {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
}

/// Reads the options that the text sets.
///
/// # Errors
/// Bytes that are no TOML, unknown keys, values of a kind the option cannot have: with the file's name, the line,
/// the key as written and what is allowed.
pub(super) fn read(
    path: &Path,
    text: &str,
    table: &'static [Row],
) -> Result<BTreeMap<&'static str, FileValue>, String> {
    let at = |start: usize| format!("{}:{}", path.display(), line_of(text, start));
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let message = error.message().replace('\n', ", ");
        format!("{}: {message}", at(start))
    })?;
    let mut found = BTreeMap::new();
    for (key, value) in document.get_ref() {
        let start = key.span().start;
        let complain = |problem: String| format!("{}: {problem}", at(start));
        let row = find(key.get_ref(), table).map_err(complain)?;
        let words = words(row, value.get_ref())
            .map_err(|problem| complain(format!("{}: {problem}", row.field)))?;
        let line = line_of(text, start);
        found.insert(row.field, FileValue { line, words });
    }
    Ok(found)
}

/// Lines are counted from one.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn find(key: &str, table: &'static [Row]) -> Result<&'static Row, String> {
    let Some(row) = table.iter().find(|row| row.field == key) else {
        return Err(format!("unknown key '{key}'; {}", suggestion(key, table)));
    };
    if row.kind == Kind::Secret {
        return Err(format!(
            "'{key}' is a secret: allowed is {key}_file here, or {} in the environment",
            row.variable_name()
        ));
    }
    Ok(row)
}

/// What the writer probably meant, or else all there is.
fn suggestion(key: &str, table: &[Row]) -> String {
    let key = key.replace('-', "_").to_lowercase();
    let keys = table.iter().filter(|row| row.kind != Kind::Secret);
    let nearest = keys
        .clone()
        .map(|row| (distance(&key, row.field), row.field))
        .min();
    match nearest {
        Some((distance, field)) if distance <= 1 + field.len() / 4 => {
            format!("did you mean '{field}'?")
        }
        _ => {
            let all: Vec<_> = keys.map(|row| row.field).collect();
            format!("allowed are {}", all.join(", "))
        }
    }
}

/// Insertions, deletions and substitutions from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// The value in the words that a flag would have.
fn words(row: &Row, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        DeValue::Array(values) if row.kind == Kind::Many => {
            values.iter().map(|value| word(value.get_ref())).collect()
        }
        value => Ok(vec![word(value)?]),
    }
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!(
                "allowed is a number or a text, this is a TOML {}",
                value.type_str()
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::serve::ServeSettings;

    fn read_text(text: &str) -> Result<BTreeMap<&'static str, FileValue>, String> {
        read(Path::new("server.toml"), text, ServeSettings::TABLE)
    }

    #[test]
    fn numbers_texts_and_lists_become_the_words_of_a_flag() {
        let text = "tick_rate = 60\npublic = [\"192.0.2.1:1\", '192.0.2.2:1']\nprotocol_id = 0x1F\n\ndrain_timeout = \"2s\"";
        let found = read_text(text).expect("a good file");
        assert_eq!(found["tick_rate"].words, ["60"]);
        assert_eq!(found["public"].words, ["192.0.2.1:1", "192.0.2.2:1"]);
        assert_eq!(found["protocol_id"].words, ["0x1F"]);
        assert_eq!(found["drain_timeout"].line, 5);
    }

    #[test]
    fn a_complaint_names_the_file_the_line_the_key_as_written_and_what_is_allowed() {
        let complaint = |text| read_text(text).expect_err(text);
        assert_eq!(
            complaint("# rates\ntick-rate = 60"),
            "server.toml:2: unknown key 'tick-rate'; did you mean 'tick_rate'?"
        );
        let strange = complaint("zzz = 1");
        assert!(
            strange.contains("allowed are listen, public, admin"),
            "{strange}"
        );
        assert!(!strange.contains("private_key,"), "{strange}");
        assert_eq!(
            complaint("shards = true"),
            "server.toml:1: shards: allowed is a number or a text, this is a TOML boolean"
        );
        assert!(complaint("a = 1\nb =").starts_with("server.toml:2: "));
        assert!(complaint("[server]\nshards = 1").contains("unknown key 'server'"));
    }

    #[test]
    fn a_secret_in_the_file_is_sent_elsewhere_and_not_repeated() {
        let complaint = read_text("private_key = \"60606060\"").expect_err("a secret");
        assert!(complaint.contains("TICKWIRE_PRIVATE_KEY"), "{complaint}");
        assert!(!complaint.contains("6060"), "{complaint}");
    }

    #[test]
    fn distances_are_counted_in_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
