//! Flag, environment, file, default: who has the word, and how one can see it.

use crate::kit::{Scratch, outcome, says, tickwire};

/// The line of `--print-config` about a key.
fn line_of<'a>(printed: &'a str, key: &str) -> &'a str {
    let start = format!("{key} =");
    let mut lines = printed.lines();
    lines
        .find(|line| line.starts_with(&start))
        .unwrap_or_else(|| panic!("{key} is not in {printed}"))
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn the_strongest_layer_has_the_word_and_is_named() {
    let scratch = Scratch::new("layers");
    let text = "tick_rate = 20\nsnapshot_rate = 20\n\nmax_clients = 20\n";
    let path = scratch.file("server.toml", text);
    let mut command = tickwire([
        "serve",
        "--print-config",
        "--config",
        &path,
        "--tick-rate",
        "40",
    ]);
    command
        .env("TICKWIRE_TICK_RATE", "60")
        .env("TICKWIRE_SNAPSHOT_RATE", "10")
        .env("TICKWIRE_SHARDS", "");
    let printed = outcome(command);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let words_of = |key: &str| words(line_of(&printed.stdout, key)).join(" ");
    assert_eq!(words_of("tick_rate"), "tick_rate = 40 # --tick-rate");
    assert_eq!(
        words_of("snapshot_rate"),
        "snapshot_rate = 10 # TICKWIRE_SNAPSHOT_RATE"
    );
    assert_eq!(
        words_of("max_clients"),
        format!("max_clients = 20 # {path}:4")
    );
    assert_eq!(words_of("shards"), "shards = 1 # default");
}

#[test]
fn what_is_printed_is_a_file_that_means_the_same() {
    let scratch = Scratch::new("again");
    let arguments = [
        "serve",
        "--print-config",
        "--public",
        "192.0.2.1:1,[2001:db8::1]:2",
    ];
    let mut arguments = arguments.to_vec();
    arguments.extend(["--seed", "0xFFFFFFFFFFFFFFFF", "--drain-timeout", "9.5s"]);
    let printed = says(arguments);
    let path = scratch.file("printed.toml", &printed);
    let again = says(["serve", "--print-config", "--config", &path]);
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(" # ").next().unwrap_or("").trim().to_owned())
            .collect()
    };
    assert_eq!(values(&printed), values(&again));
    assert!(again.contains("printed.toml:"), "{again}");
}

#[test]
fn every_option_is_a_flag_a_variable_and_a_key() {
    let help = says(["serve", "--help"]);
    let printed = says(["serve", "--print-config"]);
    let mut options = 0;
    for flag in help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
    {
        let is_ours = !matches!(flag, "config" | "print-config" | "check-config" | "help");
        if !is_ours || !help.contains(&format!("      --{flag} <")) {
            continue;
        }
        let key = flag.replace('-', "_");
        let is_printed =
            printed.contains(&format!("\n{key} = ")) || printed.contains(&format!("\n# {key} is"));
        assert!(is_printed, "{flag}");
        let variable = format!("[env: TICKWIRE_{}]", key.to_uppercase());
        assert!(help.contains(&variable) || flag == "log", "{flag}");
        options += 1;
    }
    assert!(options >= 20, "{options}");
}

#[test]
fn a_secret_is_said_to_be_set_and_not_shown() {
    let mut command = tickwire(["serve", "--print-config"]);
    let key = "5e".repeat(32);
    command.env("TICKWIRE_PRIVATE_KEY", &key);
    let printed = outcome(command).stdout;
    assert!(printed.contains("# private_key is set"), "{printed}");
    assert!(printed.contains("# TICKWIRE_PRIVATE_KEY\n"), "{printed}");
    assert!(!printed.contains("5e5e"), "{printed}");
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let scratch = Scratch::new("good");
    let key = scratch.path().join("server.key").display().to_string();
    assert_eq!(says(["key", "--out", &key]), "");
    let text =
        format!("private_key_file = '{key}'\nlisten = '0.0.0.0:7777'\npublic = ['192.0.2.1:7777']");
    let path = scratch.file("server.toml", &text);
    let said = says(["serve", "--check-config", "--config", &path]);
    assert_eq!(said, "the configuration is good\n");
}

#[test]
fn a_variable_that_means_nothing_is_no_reason_to_refuse() {
    // Kubernetes sets such ones in every pod beside a service of that name.
    let mut command = tickwire(["serve", "--check-config"]);
    command.env("TICKWIRE_PORT", "tcp://10.0.0.1:7777");
    assert_eq!(outcome(command).code, Some(0));
}

#[test]
fn the_operators_document_has_every_option_as_help_shows_it() {
    let document = include_str!("../../docs/operating.md");
    let (_, table) = document
        .split_once("<!-- table: options -->\n")
        .expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let help = says(["serve", "--help"]);
    let rows: String = help.lines().filter_map(row).collect();
    let head = "| flag | variable | default | is |\n|---|---|---|---|\n";
    assert_eq!(table, format!("{head}{rows}"));
}

/// A line of help about an option, as the document's table has it.
fn row(line: &str) -> Option<String> {
    let (rest, variable) = line.strip_suffix(']')?.split_once("] [env: ")?;
    let (rest, default) = rest.split_once(" [default: ")?;
    let (flag, is) = rest.trim().split_once("  ")?;
    let is = is.trim();
    Some(format!("| `{flag}` | `{variable}` | {default} | {is} |\n"))
}
