//! A URL of the kind `http://host:port/path`, taken apart. Knows RFC 3986 as far as that. Resolves nothing.

use std::fmt;
use std::str::FromStr;

/// An `http` URL: where to connect to, what to ask for, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    /// Host and, if it was written, port: what the header `Host` repeats.
    authority: String,
    host: String,
    port: u16,
    target: String,
}

/// Why a text is not such a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Encryption needs a library that this program does not carry.
    #[error("https is not spoken here; allowed is http, on a machine or a network that you trust")]
    Https,
    /// Another scheme, or none.
    #[error("allowed is an http URL, for example http://127.0.0.1:7780/connect-token")]
    NotHttp,
    /// No host, a name and a password, or what cannot be a host.
    #[error(
        "the host is missing or malformed; allowed is for example http://127.0.0.1:7780/connect-token"
    )]
    Host,
    /// What follows the colon is no port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A blank, a control character or a letter beyond ASCII: it has to be written in percent encoding.
    #[error(
        "a URL has no blanks, control characters or letters beyond ASCII: write them as %20 and so on"
    )]
    Character,
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // This also keeps a line break out of the request that is made of it.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(UrlError::Https);
            }
            _ => return Err(UrlError::NotHttp),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(split);
        let (host, port) = parts(authority)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            text: text.to_owned(),
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            target: format!("{slash}{target}"),
        })
    }
}

/// Host and port; a host in brackets is an IPv6 address and loses them.
fn parts(authority: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, port) = inside.split_once(']').ok_or(UrlError::Host)?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| UrlError::Host)?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if host.is_empty() || host.contains('@') || port.contains('@') {
        return Err(UrlError::Host);
    }
    let port = match port.strip_prefix(':') {
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(UrlError::Port)?,
        None if port.is_empty() => 80,
        None => return Err(UrlError::Host),
    };
    Ok((host, port))
}

impl HttpUrl {
    /// Host and port as they were written.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whom to connect to: a name or an address without brackets, and the port.
    #[must_use]
    pub fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// What to ask for there: the path and the query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, u16, String), UrlError> {
        let url: HttpUrl = text.parse()?;
        let (host, port) = url.host_and_port();
        Ok((host.to_owned(), port, url.target().to_owned()))
    }

    #[test]
    fn a_url_is_taken_apart() {
        let expect =
            |host: &str, port, target: &str| Ok((host.to_owned(), port, target.to_owned()));
        assert_eq!(
            parse("http://127.0.0.1:7780/connect-token"),
            expect("127.0.0.1", 7780, "/connect-token")
        );
        assert_eq!(
            parse("HTTP://game.example"),
            expect("game.example", 80, "/")
        );
        assert_eq!(parse("http://[::1]:9/a?b=c#d"), expect("::1", 9, "/a?b=c"));
        assert_eq!(parse("http://h?b"), expect("h", 80, "/?b"));
    }

    #[test]
    fn what_is_no_http_url_is_refused_by_name() {
        assert_eq!(parse("https://game.example/"), Err(UrlError::Https));
        assert_eq!(parse("game.example:80"), Err(UrlError::NotHttp));
        assert_eq!(parse("ftp://game.example"), Err(UrlError::NotHttp));
        for host in [
            "http://",
            "http:///x",
            "http://me@there/",
            "http://me:pw@there/",
            "http://[1::/",
            "http://[x]/",
            "http://[::1]x",
        ] {
            assert_eq!(parse(host), Err(UrlError::Host), "{host}");
        }
        for port in ["http://h:0", "http://h:65536", "http://h:x/", "http://h:"] {
            assert_eq!(parse(port), Err(UrlError::Port), "{port}");
        }
        for text in ["http://h/a b", "http://h/\r\nX: y", "http://h/ä"] {
            assert_eq!(parse(text), Err(UrlError::Character), "{text}");
        }
    }
}
