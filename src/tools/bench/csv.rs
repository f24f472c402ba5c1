//! The run as `timeline.csv`: one row a second, the names of the report's timeline on top (RFC 4180).
//!
//! Turns rows into text. Opens no file.

use serde_json::Value;

use super::report::Row;

/// The text of the file. What is not known is empty.
#[must_use]
pub fn timeline(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let Ok(Value::Object(fields)) = serde_json::to_value(row) else {
            continue;
        };
        let (first, others): (Vec<_>, Vec<_>) = fields
            .iter()
            .partition(|(name, _)| matches!(name.as_str(), "second" | "stage"));
        let columns = || first.iter().chain(&others);
        if text.is_empty() {
            let names: Vec<_> = columns().map(|(name, _)| name.as_str()).collect();
            text = names.join(",") + "\n";
        }
        let values: Vec<_> = columns().map(|(_, value)| cell(value)).collect();
        text += &(values.join(",") + "\n");
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::bench::report::tests::report;

    #[test]
    fn every_row_has_a_value_for_every_name_and_they_are_the_reports() {
        let report = report();
        let text = timeline(&report.timeline);
        let mut lines = text.lines();
        let names: Vec<_> = lines.next().expect("names").split(',').collect();
        let json = serde_json::to_value(&report.timeline).expect("JSON");
        let rows: Vec<Vec<_>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), report.timeline.len());
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(row.len(), names.len());
            for (name, cell) in names.iter().zip(row) {
                let value = &json[number][name];
                match value {
                    Value::Null => assert_eq!(*cell, "", "{name}"),
                    Value::String(text) => assert_eq!(cell, text, "{name}"),
                    number => assert_eq!(cell.parse::<f64>().ok(), number.as_f64(), "{name}"),
                }
            }
        }
        let age = names
            .iter()
            .position(|name| *name == "age_p99_ms")
            .expect("it has ages");
        assert_eq!(
            (rows[0][age], rows[1][age].parse::<f64>().is_ok()),
            ("", true)
        );
    }
}
