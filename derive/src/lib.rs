//! `#[derive(Replicate)]` and `#[derive(ReplicateEnum)]` for [Tickwire](https://docs.rs/tickwire).
//!
//! Use them through `tickwire`, which names them beside the traits that they implement and documents them
//! there, with examples. This crate turns the description of a struct into the rows of a schema and
//! into the code between the struct and its row.
//!
//! It knows syntax: a type is what its name says. It sees no value, and what it cannot judge (a
//! range whose ends are constants) it leaves to an assertion that the compiler evaluates.
//!
//! ```text
//! attributes   #[replicate(...)] -> Options          what was written, each word with its place
//! number       expressions -> numbers                as far as they are made of literals
//! measure      type and Options -> Measure           what a field is on the wire, or why it is nothing
//! item         struct -> Item                        all of its fields, or every error at once
//! expand       Item -> impl Replicate
//! choice       enum -> impl ReplicateEnum
//! ```

#![doc = ""]
#![doc = include_str!("../README.md")]

mod attributes;
mod choice;
mod expand;
mod item;
mod measure;
mod number;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `tickwire::proto::snapshot::Replicate` for a struct. Documented where `tickwire` names it.
#[proc_macro_derive(Replicate, attributes(replicate))]
pub fn derive_replicate(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    item::read(&input)
        .map(|item| expand::replicate(&item))
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Implements `tickwire::proto::snapshot::ReplicateEnum` for an enum. Documented where `tickwire` names it.
#[proc_macro_derive(ReplicateEnum)]
pub fn derive_replicate_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    choice::replicate_enum(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}
