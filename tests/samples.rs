//! The sample that greets a reader stands in three places: the README, the tour in `src/lib.rs` and
//! `examples/hello.rs`. It is one text.

const README: &str = include_str!("../README.md");
const TOUR: &str = include_str!("../src/lib.rs");
const EXAMPLE: &str = include_str!("../examples/hello.rs");

/// From the first `use` line on.
fn program(text: &str) -> &str {
    let start = text.find("use std::").expect("it has a program");
    &text[start..]
}

/// Up to the end of the fenced block.
fn fenced(text: &str) -> &str {
    let (block, _) = text.split_once("\n```").expect("the block ends");
    block
}

#[test]
fn the_readme_shows_the_example() {
    assert_eq!(fenced(program(README)), program(EXAMPLE).trim_end());
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
    assert_eq!(fenced(program(&tour)), program(EXAMPLE).trim_end());
}
