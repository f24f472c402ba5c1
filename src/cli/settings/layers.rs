//! The four layers, and which of them has the word.
//!
//! Every layer is checked, also where a higher one wins: a wrong value is wrong before somebody needs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::parser::ValueSource;

use super::file::{self, FileValue};
use super::row::{Kind, Row};
use super::serve::ServeSettings;
use crate::cli::Failure;

/// What every variable of ours begins with.
const PREFIX: &str = "TICKWIRE_";
/// The variable that names the file.
const CONFIG: &str = "TICKWIRE_CONFIG";

/// Where a value came from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// This line of the file.
    File(usize),
    /// Nobody said anything.
    Default,
}

/// The words that count for one option, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Chosen {
    pub(super) words: Vec<String>,
    pub(in crate::cli) origin: Origin,
}

/// What flags and environment said, and which file is to be asked: enough to read it again.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Sources {
    flags: BTreeMap<&'static str, Vec<String>>,
    environment: BTreeMap<&'static str, Vec<String>>,
    file: Option<PathBuf>,
    /// Variables that look like ours and mean nothing.
    pub(in crate::cli) strange: Vec<String>,
}

/// Every option with its value and origin.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Resolved {
    pub(in crate::cli) values: ServeSettings,
    pub(super) chosen: BTreeMap<&'static str, Chosen>,
    pub(super) file: Option<PathBuf>,
}

impl Sources {
    /// The flags of all options.
    pub(in crate::cli) fn arguments() -> impl Iterator<Item = clap::Arg> {
        ServeSettings::TABLE.iter().filter_map(Row::argument)
    }

    /// What the command line and the environment say; a file that the command line names is `config`.
    ///
    /// # Errors
    /// A variable that is no text.
    pub(in crate::cli) fn new(
        matches: &clap::ArgMatches,
        config: Option<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, String> {
        let mut sources = Self::default();
        for row in ServeSettings::TABLE {
            let is_given = row.kind != Kind::Secret
                && matches.value_source(row.field) == Some(ValueSource::CommandLine);
            if is_given && let Some(words) = matches.get_many::<String>(row.field) {
                sources.flags.insert(row.field, words.cloned().collect());
            }
        }
        for (name, value) in environment {
            sources.take_variable(&name, &value)?;
        }
        sources.file = config.or(sources.file);
        Ok(sources)
    }

    /// Empty is the same as not there: that is what `NAME=${NAME}` of a compose file gives.
    fn take_variable(&mut self, name: &OsString, value: &OsString) -> Result<(), String> {
        let Some(name) = name.to_str() else {
            return Ok(());
        };
        let row = ServeSettings::TABLE
            .iter()
            .find(|row| row.variable_name() == name);
        if value.is_empty() {
            return Ok(());
        }
        let Some(row) = row else {
            if name == CONFIG {
                self.file = Some(value.into());
            } else if name.starts_with(PREFIX) {
                self.strange.push(name.to_owned());
            }
            return Ok(());
        };
        let text = value
            .to_str()
            .ok_or_else(|| format!("{name}: the value is no UTF-8 text"))?;
        let words = match row.kind {
            Kind::Many => text
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect(),
            Kind::One | Kind::Secret => vec![text.to_owned()],
        };
        self.environment.insert(row.field, words);
        Ok(())
    }

    /// Reads the file and decides each option.
    ///
    /// # Errors
    /// A file that cannot be read; a key or value that is not allowed, named as it was written.
    pub(in crate::cli) fn resolve(&self) -> Result<Resolved, Failure> {
        let in_file = match &self.file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration {}", path.display()))?;
                file::read(path, &text, ServeSettings::TABLE).map_err(Failure::Usage)?
            }
            None => BTreeMap::new(),
        };
        let mut chosen = BTreeMap::new();
        for row in ServeSettings::TABLE {
            chosen.insert(row.field, self.choose(row, in_file.get(row.field))?);
        }
        let values = ServeSettings::read(|field| words(&chosen, field));
        let file = self.file.clone();
        match values {
            Ok(values) => Ok(Resolved {
                values,
                chosen,
                file,
            }),
            // Not reachable: each layer was checked by the same reader.
            Err((field, problem)) => Err(Failure::Usage(format!("{field}: {problem}"))),
        }
    }

    /// The strongest layer that says something, after all were checked.
    fn choose(&self, row: &Row, in_file: Option<&FileValue>) -> Result<Chosen, Failure> {
        let default = match row.default {
            "" => Vec::new(),
            default => vec![default.to_owned()],
        };
        let layers = [
            (self.flags.get(row.field).cloned(), Origin::Flag),
            (
                self.environment.get(row.field).cloned(),
                Origin::Environment,
            ),
            (
                in_file.map(|value| value.words.clone()),
                Origin::File(in_file.map_or(0, |value| value.line)),
            ),
            (Some(default), Origin::Default),
        ];
        let mut strongest = None;
        for (words, origin) in layers {
            let Some(words) = words else { continue };
            let layer = Chosen { words, origin };
            (row.check)(&layer.words).map_err(|problem| {
                let said = said(row, &layer, self.file.as_deref());
                Failure::Usage(format!("{said}: {problem}"))
            })?;
            strongest.get_or_insert(layer);
        }
        // The default is always there.
        strongest.ok_or_else(|| Failure::Usage(format!("{}: no value", row.field)))
    }
}

impl Resolved {
    /// Where an option's value came from.
    pub(in crate::cli) fn origin(&self, field: &str) -> Origin {
        self.chosen
            .get(field)
            .map_or(Origin::Default, |chosen| chosen.origin)
    }

    /// An option and its value as the user wrote them; an option that nobody set, as its flag.
    pub(in crate::cli) fn said(&self, field: &str) -> String {
        let row = ServeSettings::TABLE.iter().find(|row| row.field == field);
        match (row, self.chosen.get(field)) {
            (Some(row), Some(chosen)) => said(row, chosen, self.file.as_deref()),
            _ => field.to_owned(),
        }
    }

    /// Options whose value is another than before.
    pub(in crate::cli) fn changed_since(
        &self,
        before: &Self,
    ) -> impl Iterator<Item = &'static Row> {
        ServeSettings::TABLE
            .iter()
            .filter(move |row| words(&self.chosen, row.field) != words(&before.chosen, row.field))
    }
}

fn words<'a>(chosen: &'a BTreeMap<&'static str, Chosen>, field: &str) -> &'a [String] {
    chosen.get(field).map_or(&[], |chosen| &chosen.words)
}

/// `--tick-rate 0`, `TICKWIRE_TICK_RATE=0`, `server.toml:3: tick_rate = 0`; a secret without its value.
fn said(row: &Row, chosen: &Chosen, file: Option<&Path>) -> String {
    let value = chosen.words.join(" ");
    match chosen.origin {
        Origin::Environment if row.kind == Kind::Secret => row.variable_name(),
        Origin::Environment => format!("{}={value}", row.variable_name()),
        Origin::File(line) => {
            let path = file.map_or_else(String::new, |path| path.display().to_string());
            format!("{path}:{line}: {} = {value}", row.field)
        }
        Origin::Flag | Origin::Default => format!("--{} {value}", row.flag()).trim_end().to_owned(),
    }
}
