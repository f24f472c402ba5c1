//! Numbers in attributes: what can be computed from literals, and what only the compiler can know.
//!
//! Knows the four operations. Has no names: an expression with a constant in it is valid and
//! unknown.

use syn::{BinOp, Error, Expr, Lit, Result, UnOp};

/// The value of an expression of `f32` literals, computed as the program would; `None` when it has
/// names in it.
pub(crate) fn float(expr: &Expr) -> Result<Option<f32>> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Float(float) if matches!(float.suffix(), "" | "f32") => {
                float.base10_parse().map(Some)
            }
            Lit::Int(int) if int.suffix() == "f32" => int.base10_parse().map(Some),
            Lit::Int(int) => {
                let text = format!("an `f32` is needed: write `{}.0`", int.base10_digits());
                Err(Error::new(int.span(), text))
            }
            other => Err(Error::new(other.span(), "an `f32` is needed")),
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            Ok(float(&unary.expr)?.map(|value| -value))
        }
        Expr::Binary(binary) => {
            let (Some(left), Some(right)) = (float(&binary.left)?, float(&binary.right)?) else {
                return Ok(None);
            };
            Ok(match binary.op {
                BinOp::Add(_) => Some(left + right),
                BinOp::Sub(_) => Some(left - right),
                BinOp::Mul(_) => Some(left * right),
                BinOp::Div(_) => Some(left / right),
                _ => None,
            })
        }
        Expr::Paren(paren) => float(&paren.expr),
        Expr::Group(group) => float(&group.expr),
        _ => Ok(None),
    }
}

/// The value of a whole number that is written out; `None` when it is anything else.
pub(crate) fn whole(expr: &Expr) -> Result<Option<u32>> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.base10_parse().map(Some),
            other => Err(Error::new(other.span(), "a whole number is needed")),
        },
        Expr::Paren(paren) => whole(&paren.expr),
        Expr::Group(group) => whole(&group.expr),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn literals_are_computed_as_the_program_would() {
        let cases: [(Expr, f32); 4] = [
            (parse_quote!(-512.0), -512.0),
            (parse_quote!(262_143.0 / 256.0), 262_143.0 / 256.0),
            (parse_quote!((1.0 + 2.0f32) * 0.1), 3.0 * 0.1),
            (parse_quote!(1e3 - 1_f32), 999.0),
        ];
        for (expr, value) in cases {
            assert_eq!(float(&expr).expect("literals"), Some(value));
        }
    }

    #[test]
    fn names_are_left_to_the_compiler() {
        for expr in [
            parse_quote!(SIDE),
            parse_quote!(-SIDE / 2.0),
            parse_quote!(f32::EPSILON),
        ] {
            assert_eq!(float(&expr).expect("valid"), None);
        }
        assert_eq!(whole(&parse_quote!(BITS)).expect("valid"), None);
        assert_eq!(whole(&parse_quote!(12)).expect("valid"), Some(12));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for expr in [parse_quote!(512), parse_quote!("512"), parse_quote!(1.0f64)] {
            assert!(float(&expr).is_err());
        }
        for expr in [
            parse_quote!(1.5),
            parse_quote!("1"),
            parse_quote!(99999999999),
        ] {
            assert!(whole(&expr).is_err());
        }
    }
}
