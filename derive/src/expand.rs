//! The implementation of `Replicate` for a struct that was read.
//!
//! Everything is named by its absolute path: what the game calls `Vec`, `u32` or `Kind` does not
//! matter here.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::attributes::{Blend, Motion};
use crate::item::{Field, Item, Shape};
use crate::measure::{Access, Measure};

/// `impl Replicate for ...`, and the checks that only the compiler can make.
pub(crate) fn replicate(item: &Item) -> TokenStream {
    let Item {
        ident,
        kind,
        fields,
    } = item;
    let descriptions = fields.iter().map(description);
    let writes = fields.iter().map(write);
    let reads = fields.iter().map(|field| {
        let (name, value) = (&field.ident, read(field));
        quote!(#name: #value)
    });
    let checks = fields.iter().filter_map(check);
    quote! {
        #[automatically_derived]
        impl ::tickwire::proto::snapshot::Replicate for #ident {
            fn kind() -> ::tickwire::proto::snapshot::Kind {
                let mut __fields = ::std::vec::Vec::new();
                #(#descriptions)*
                ::tickwire::proto::snapshot::Kind::new(#kind, __fields)
            }

            fn write(&self, __row: &mut ::tickwire::proto::snapshot::RowWriter<'_>) {
                #(#writes)*
            }

            fn read(__row: &mut ::tickwire::proto::snapshot::RowReader<'_>) -> Self {
                Self { #(#reads),* }
            }
        }

        #(#checks)*
    }
}

/// Appends to the fields of the kind.
fn description(field: &Field) -> TokenStream {
    match &field.shape {
        Shape::One(measure) => {
            let described = described(field, None, measure);
            quote!(__fields.extend([#described]);)
        }
        Shape::Array(measure, count) => {
            let each = (0..*count).map(|at| described(field, Some(at), measure));
            quote!(__fields.extend([#(#each),*]);)
        }
        Shape::Quaternion(bits) => {
            let (name, hints) = (&field.name, hints(field, None));
            quote! {
                __fields.extend(
                    ::tickwire::proto::snapshot::Field::unit_quaternion(#name, #bits)
                        .map(|field| field #hints)
                );
            }
        }
        Shape::Flatten(ty) => {
            let kind = quote_spanned! {field.ident.span()=>
                <#ty as ::tickwire::proto::snapshot::Replicate>::kind()
            };
            if field.owner_only {
                let secret = quote!(::tickwire::proto::snapshot::Field::for_owner_only);
                quote!(__fields.extend(#kind.fields.into_iter().map(#secret));)
            } else {
                quote!(__fields.extend(#kind.fields);)
            }
        }
    }
}

/// One field of the kind; of an array the one `at` a place.
fn described(field: &Field, at: Option<usize>, measure: &Measure) -> TokenStream {
    let quantity = &measure.quantity;
    let (name, hints) = (named(&field.name, at), hints(field, at));
    let blend = match field.blend {
        Blend::Linear => quote!(Linear),
        Blend::Angle => quote!(Angle),
        Blend::Step => quote!(Step),
    };
    quote! {
        ::tickwire::proto::snapshot::Field::new(
            #name,
            #quantity,
            ::tickwire::proto::snapshot::Blend::#blend,
        ) #hints
    }
}

/// The name on the wire.
fn named(name: &str, at: Option<usize>) -> String {
    at.map_or_else(|| name.to_owned(), |at| format!("{name}_{at}"))
}

/// What is added to a field: for the codec's sake, and who is told.
fn hints(field: &Field, at: Option<usize>) -> TokenStream {
    let group = field.group.as_ref().map(|group| quote!(.in_group(#group)));
    let motion = match field.motion {
        Motion::Any => None,
        Motion::Still => Some(quote!(Still)),
        Motion::Linear => Some(quote!(Linear)),
        Motion::Spinning => Some(quote!(Spinning)),
    };
    let motion = motion.map(|motion| quote!(.moving(::tickwire::proto::snapshot::Motion::#motion)));
    let velocity = field.velocity.as_ref().map(|velocity| {
        let name = named(&velocity.value, at);
        match &field.velocity_per {
            Some(per) => quote!(.with_velocity_per(#name, #per)),
            None => quote!(.with_velocity(#name)),
        }
    });
    let owner = field.owner_only.then(|| quote!(.for_owner_only()));
    quote!(#group #motion #velocity #owner)
}

/// Writes the field into the row.
fn write(field: &Field) -> TokenStream {
    let ident = &field.ident;
    match &field.shape {
        Shape::One(measure) => write_one(&measure.access, &quote!(self.#ident)),
        Shape::Array(measure, _) => {
            let one = write_one(&measure.access, &quote!(*__element));
            quote!(for __element in &self.#ident { #one })
        }
        Shape::Quaternion(_) => quote!(__row.unit_quaternion(self.#ident);),
        Shape::Flatten(ty) => quote_spanned! {field.ident.span()=>
            <#ty as ::tickwire::proto::snapshot::Replicate>::write(&self.#ident, __row);
        },
    }
}

/// Writes the value at `place`. Nothing here can fail: what does not fit is brought into its range.
fn write_one(access: &Access, place: &TokenStream) -> TokenStream {
    match access {
        Access::Number => quote!(__row.number(#place);),
        Access::Flag => quote!(__row.flag(#place);),
        Access::Unsigned(_) => quote!(__row.unsigned(::core::primitive::u32::from(#place));),
        Access::Signed(_) => quote!(__row.integer(::core::primitive::i32::from(#place));),
        // The row keeps the lower bits of integers on a circle and of flags.
        Access::Masked(_) => {
            quote!(__row.integer(::core::primitive::u32::from(#place).cast_signed());)
        }
        Access::Steps(_) => quote! {
            __row.unsigned(::core::primitive::i32::from(#place).max(0).unsigned_abs());
        },
        Access::Enum(ty) => quote! {
            __row.unsigned(<#ty as ::tickwire::proto::snapshot::ReplicateEnum>::code(&#place));
        },
    }
}

/// The field, read from the row.
fn read(field: &Field) -> TokenStream {
    match &field.shape {
        Shape::One(measure) => read_one(&measure.access),
        Shape::Array(measure, _) => {
            let one = read_one(&measure.access);
            quote!(::core::array::from_fn(|_| #one))
        }
        Shape::Quaternion(_) => quote!(__row.unit_quaternion()),
        Shape::Flatten(ty) => quote_spanned! {field.ident.span()=>
            <#ty as ::tickwire::proto::snapshot::Replicate>::read(__row)
        },
    }
}

/// The next value of the row. The casts cut nothing off: the field has no more bits than the type.
fn read_one(access: &Access) -> TokenStream {
    match access {
        Access::Number => quote!(__row.number()),
        Access::Flag => quote!(__row.flag()),
        Access::Unsigned(ty) | Access::Masked(ty) => {
            quote!(__row.unsigned() as ::core::primitive::#ty)
        }
        Access::Signed(ty) | Access::Steps(ty) => {
            quote!(__row.integer() as ::core::primitive::#ty)
        }
        Access::Enum(ty) => quote! {
            <#ty as ::tickwire::proto::snapshot::ReplicateEnum>::from_code(__row.unsigned())
        },
    }
}

/// An assertion about numbers that have names.
fn check(field: &Field) -> Option<TokenStream> {
    let (Shape::One(measure) | Shape::Array(measure, _)) = &field.shape else {
        return None;
    };
    let (condition, text) = measure.check.as_ref()?;
    Some(quote_spanned! {field.ident.span()=>
        const _: () = if !#condition {
            ::core::panic!("{}", #text)
        };
    })
}
