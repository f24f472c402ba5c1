//! The implementation of `ReplicateEnum`: an enum without data as a small number.
//!
//! Knows variants and their numbers.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Variant};

use crate::number;

/// `impl ReplicateEnum for ...`.
pub(crate) fn replicate_enum(input: &DeriveInput) -> Result<TokenStream> {
    let refused = |why: &str| Err(Error::new(input.ident.span(), why));
    let Data::Enum(data) = &input.data else {
        return refused("`ReplicateEnum` is for enums; a struct derives `Replicate`");
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "an enum that travels has no generics",
        ));
    }
    let codes = codes(data.variants.iter())?;
    let Some((first, _)) = codes.first() else {
        return refused("`ReplicateEnum` needs at least one variant");
    };
    let highest = codes.iter().map(|(_, code)| *code).max().unwrap_or(0);
    let bits = (u32::BITS - highest.leading_zeros()).max(1);
    let ident = &input.ident;
    let (variants, numbers): (Vec<_>, Vec<_>) = codes.iter().copied().unzip();
    // What no variant has reads as the first one: the last arm.
    let (others, other_numbers) = (&variants[1..], &numbers[1..]);
    Ok(quote! {
        #[automatically_derived]
        impl ::tickwire::proto::snapshot::ReplicateEnum for #ident {
            const BITS: ::core::primitive::u32 = #bits;

            fn code(&self) -> ::core::primitive::u32 {
                match self {
                    #(Self::#variants => #numbers),*
                }
            }

            fn from_code(__code: ::core::primitive::u32) -> Self {
                match __code {
                    #(#other_numbers => Self::#others,)*
                    _ => Self::#first,
                }
            }
        }
    })
}

/// The variants with their numbers: the ones written, else one more than before, as in the
/// language.
fn codes<'a>(variants: impl Iterator<Item = &'a Variant>) -> Result<Vec<(&'a Ident, u32)>> {
    let mut next = Some(0_u32);
    let mut codes = Vec::new();
    for variant in variants {
        let name = &variant.ident;
        if !matches!(variant.fields, Fields::Unit) {
            let text = format!(
                "variant `{name}` has data: an enum that travels has none. Put the data into fields beside it"
            );
            return Err(Error::new(variant.span(), text));
        }
        let written = variant.discriminant.as_ref();
        let code = match written {
            Some((_, expr)) => number::whole(expr)?,
            None => next,
        };
        let Some(code) = code else {
            let text =
                format!("variant `{name}`: its number is to be written out, from 0 to 2^32 - 1");
            return Err(Error::new(variant.span(), text));
        };
        next = code.checked_add(1);
        codes.push((name, code));
    }
    Ok(codes)
}
