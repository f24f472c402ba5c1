//! The sample that greets a reader stands in three places: the README, the tour in `src/lib.rs` and
//! `examples/hello.rs`. It is one text.

const README: &str = include_str!("../README.md");
const TOUR: &str = include_str!("../src/lib.rs");
const EXAMPLE: &str = include_str!("../examples/hello.rs");

/// From the first `use` line on, up to the end of the fenced block where it stands in one.
fn program(text: &str) -> &str {
    let start = text.find("use std::");
    let program = start.map_or("no program", |start| &text[start..]);
    let (block, _) = program.split_once("\n```").unwrap_or((program, ""));
    block.trim_end()
}

#[test]
fn the_example_has_a_program() {
    assert!(program(EXAMPLE).contains("fn main()"));
}

#[test]
fn the_readme_shows_the_example() {
    assert_eq!(program(README), program(EXAMPLE));
}

#[test]
fn the_tour_shows_the_example() {
    let tour: String = TOUR
        .lines()
        .map_while(|line| {
            line.strip_prefix("//!")
                .or(line.strip_prefix("#![cfg").map(|_| ""))
        })
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    assert_eq!(program(&tour), program(EXAMPLE));
}
