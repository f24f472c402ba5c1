//! Fieldless enums whose every value has a stable name, a number and a sentence.
//!
//! Metrics, logs, reports and both ends of the wire speak of rejections and reasons by these
//! names, so they are written once, in one table, and a counter per value is an array.

/// Declares a fieldless enum as a table: variant, number on the wire, name, sentence.
///
/// Generates `ALL` (in table order), `COUNT`, `index` (position in `ALL`), `code`, `from_code`,
/// `name` (snake case, stable), and `Display` (the sentence).
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $type:ident {
            $( $variant:ident = $code:literal, $name:literal, $text:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum $type {
            $( #[doc = $text] $variant = $code, )+
        }

        impl $type {
            /// Every value, in the order of the table.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];
            /// How many values there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The number that stands for it on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value of a number on the wire.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// Its place in [`Self::ALL`], for arrays of counters.
            #[must_use]
            pub fn index(self) -> usize {
                // The tables are short (tens of rows) and this runs only when something was
                // refused or has ended.
                Self::ALL.iter().position(|value| *value == self).unwrap_or(0)
            }

            /// Its stable name in metrics, logs and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }
        }

        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(match self {
                    $( Self::$variant => $text, )+
                })
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "the macro declares public types, and a test module is private"
)]
mod tests {
    named! {
        /// Two fruits.
        pub enum Fruit {
            Apple = 1, "apple", "an apple";
            Pear = 7, "pear", "a pear";
        }
    }

    #[test]
    fn the_table_gives_codes_names_and_sentences() {
        assert_eq!(Fruit::COUNT, 2);
        assert_eq!(Fruit::from_code(7), Some(Fruit::Pear));
        assert_eq!(Fruit::from_code(0), None);
        assert_eq!(Fruit::Pear.code(), 7);
        assert_eq!(Fruit::Pear.index(), 1);
        assert_eq!(Fruit::Apple.name(), "apple");
        assert_eq!(Fruit::Apple.to_string(), "an apple");
    }
}
