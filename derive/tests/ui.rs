//! What the derives say to somebody who made a mistake: one file for each, with the text beside it.
//!
//! `TRYBUILD=overwrite cargo test -p tickwire-derive --test ui` writes the texts anew: read them. All of
//! them are the derive's own; none depends on how a compiler phrases an error of its own.

#[test]
fn every_mistake_has_an_answer_that_names_the_field() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
