//! Who may ask: the address a request came from, the names it called us by, and the token it brought.
//!
//! Two attacks come through an operator's own browser. A page may send us requests (it names itself in `Origin`), and a
//! name in its hands may suddenly mean 127.0.0.1 (that name stands in `Host`). Both are refused here,
//! before a request is looked at.
//!
//! Knows headers and secrets. Has no routes and does nothing.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

use super::{AdminError, MIN_TOKEN_LEN};

/// The bearer token. Compared in a time that does not tell how much of a guess was right, and never printed.
pub(super) struct Secret(String);

impl Secret {
    /// Takes a token that can be sent in a header and is too long to guess.
    pub(super) fn new(token: String) -> Result<Self, AdminError> {
        let is_good =
            token.len() >= MIN_TOKEN_LEN && token.bytes().all(|byte| byte.is_ascii_graphic());
        is_good.then_some(Self(token)).ok_or(AdminError::WeakToken)
    }

    /// Whether a guess is right. How long it takes depends on the length of the guess alone.
    fn is(&self, guess: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let difference = guess.iter().enumerate().fold(0, |sum, (at, byte)| {
            sum | (byte ^ secret[at % secret.len()])
        });
        std::hint::black_box(difference) == 0 && guess.len() == secret.len()
    }

    /// Whether the headers bring it: `Authorization: Bearer ...`.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let guess = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        guess.is_some_and(|(_, guess)| self.is(guess))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a request is not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    /// `Host` is missing, unreadable, or a name that is not ours.
    Host,
    /// A page of another site sent it.
    Origin,
}

/// Looks at the names in a request.
///
/// On a loopback port only loopback names are ours. Elsewhere any name may be the one the
/// operator gave us, and commands need the token, which a page cannot have.
pub(super) fn check_names(local: SocketAddr, headers: &HeaderMap) -> Result<(), Stranger> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Stranger::Host);
    };
    let host = host.to_str().map_err(|_| Stranger::Host)?;
    let authority: Authority = host.parse().map_err(|_| Stranger::Host)?;
    if local.ip().to_canonical().is_loopback() && !is_loopback_name(authority.host()) {
        return Err(Stranger::Host);
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if origins.all(|origin| is_same_site(origin.as_bytes(), host)) {
        Ok(())
    } else {
        Err(Stranger::Origin)
    }
}

/// A page that we served ourselves has our own `Host` in its `Origin`.
fn is_same_site(origin: &[u8], host: &str) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else {
        return false;
    };
    let site = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    site.is_some_and(|site| site.eq_ignore_ascii_case(host))
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:9090";
    const OUTSIDE: &str = "0.0.0.0:9090";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    fn check(local: &str, pairs: &[(&'static str, &str)]) -> Result<(), Stranger> {
        check_names(local.parse().expect("an address"), &headers(pairs))
    }

    #[test]
    fn a_loopback_port_answers_to_loopback_names_only() {
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "127.0.0.1:9090",
            "127.8.8.8",
            "[::1]:9090",
        ] {
            assert_eq!(check(LOOPBACK, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "rebind.example:9090",
            "localhost.example",
            "127.0.0.1.example",
            "192.0.2.1",
            "[2001:db8::1]",
            "",
            "a b",
        ] {
            assert_eq!(
                check(LOOPBACK, &[("host", host)]),
                Err(Stranger::Host),
                "{host}"
            );
        }
        assert_eq!(check(LOOPBACK, &[]), Err(Stranger::Host));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check(LOOPBACK, &twice), Err(Stranger::Host));
    }

    #[test]
    fn elsewhere_any_name_may_be_ours() {
        assert_eq!(check(OUTSIDE, &[("host", "game-7.internal:9090")]), Ok(()));
        assert_eq!(check(OUTSIDE, &[]), Err(Stranger::Host));
    }

    #[test]
    fn a_page_of_another_site_is_refused_and_our_own_is_not() {
        let host = ("host", "127.0.0.1:9090");
        let own = ("origin", "http://127.0.0.1:9090");
        assert_eq!(check(LOOPBACK, &[host, own]), Ok(()));
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:8080",
            "http://127.0.0.1:9090.evil.example",
            "null",
            "",
        ] {
            for local in [LOOPBACK, OUTSIDE] {
                let pairs = [host, ("origin", origin)];
                assert_eq!(check(local, &pairs), Err(Stranger::Origin), "{origin}");
            }
        }
        let pairs = [host, own, ("origin", "http://evil.example")];
        assert_eq!(check(LOOPBACK, &pairs), Err(Stranger::Origin));
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = "0123456789abcdef0123";
        let secret = Secret::new(token.to_owned()).expect("long enough");
        let is_let_in = |value: &str| secret.is_in(&headers(&[("authorization", value)]));
        assert!(is_let_in(&format!("Bearer {token}")));
        assert!(is_let_in(&format!("bearer {token}")));
        for guess in [
            "".to_owned(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer  {token}"),
            format!("Bearer {token}{token}"),
            format!("Bearer {token}0"),
            format!("Bearer {}", &token[..19]),
            format!("Basic {token}"),
            token.to_owned(),
        ] {
            assert!(!is_let_in(&guess), "{guess}");
        }
        assert!(!secret.is_in(&HeaderMap::new()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_be_sent_is_refused() {
        for token in [
            "",
            "short",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdef\n",
        ] {
            assert!(Secret::new(token.to_owned()).is_err(), "{token}");
        }
    }
}
