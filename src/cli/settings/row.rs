//! One option: its name in the four places, its default and its check.
//!
//! All names follow from the field's: `tick_rate` is `--tick-rate`, `TICKWIRE_TICK_RATE`, and `tick_rate` in the file.

/// Checks the words of an option; the error says what is wrong and what is allowed.
pub(super) type Check = fn(&[String]) -> Result<(), String>;

/// How many values an option has, and who may give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// One value.
    One,
    /// Any number of values: the flag repeated, commas in the environment, an array in the file.
    Many,
    /// One value that is shown to nobody and comes from the environment only.
    Secret,
}

/// A row of the table of options.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) field: &'static str,
    pub(super) heading: &'static str,
    pub(super) help: &'static str,
    pub(super) value_name: &'static str,
    pub(super) kind: Kind,
    /// The value where nobody says one; empty: there is none, and `unset` says what happens then.
    pub(super) default: &'static str,
    pub(super) unset: &'static str,
    /// Another variable than the field's name gives.
    pub(super) variable: Option<&'static str>,
    /// Whether a reload changes it.
    pub(in crate::cli) is_live: bool,
    pub(super) check: Check,
}

impl Row {
    const fn new(kind: Kind, value_name: &'static str) -> Self {
        Self {
            field: "",
            heading: "",
            help: "",
            value_name,
            kind,
            default: "",
            unset: "",
            variable: None,
            is_live: false,
            check: |_| Ok(()),
        }
    }

    pub(super) const fn one(value_name: &'static str) -> Self {
        Self::new(Kind::One, value_name)
    }

    pub(super) const fn many(value_name: &'static str) -> Self {
        Self::new(Kind::Many, value_name)
    }

    pub(super) const fn secret(value_name: &'static str) -> Self {
        Self::new(Kind::Secret, value_name)
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn unset(mut self, means: &'static str) -> Self {
        self.unset = means;
        self
    }

    pub(super) const fn variable(mut self, name: &'static str) -> Self {
        self.variable = Some(name);
        self
    }

    pub(super) const fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    /// Completes the row with what the table knows.
    pub(super) const fn of(
        mut self,
        field: &'static str,
        heading: &'static str,
        help: &'static str,
        check: Check,
    ) -> Self {
        (self.field, self.heading, self.help) = (field, heading, help);
        self.check = check;
        self
    }

    /// `--tick-rate`, without the dashes.
    pub(super) fn flag(&self) -> String {
        self.field.replace('_', "-")
    }

    /// `TICKWIRE_TICK_RATE`.
    pub(super) fn variable_name(&self) -> String {
        match self.variable {
            Some(name) => name.to_owned(),
            None => format!("TICKWIRE_{}", self.field.to_ascii_uppercase()),
        }
    }

    /// The option as an argument of the command line; secrets have none.
    pub(super) fn argument(&self) -> Option<clap::Arg> {
        if self.kind == Kind::Secret {
            return None;
        }
        let default = if self.default.is_empty() {
            self.unset
        } else {
            self.default
        };
        let help = format!(
            "{} [default: {default}] [env: {}]",
            self.help.trim(),
            self.variable_name()
        );
        let argument = clap::Arg::new(self.field)
            .long(self.flag())
            .value_name(self.value_name)
            .help_heading(self.heading)
            .help(help);
        Some(if self.kind == Kind::Many {
            argument
                .action(clap::ArgAction::Append)
                .num_args(1..)
                .value_delimiter(',')
        } else {
            argument
        })
    }
}
