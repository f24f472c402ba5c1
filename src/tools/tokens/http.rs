//! Asks a backend, or a server's admin address: one POST, 2048 bytes of a connect token back; or one GET, a page back.
//!
//! HTTP/1.1 as in RFC 9112, as far as that takes: one request a connection, and an answer that ends by its length, in
//! chunks or with the connection. No redirects, no cookies, no TLS: tokens contain keys, so this is for the
//! loopback or a network that you trust.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: an answer that takes too long is measured in real time"
)]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::url::HttpUrl;
use super::{NoToken, TokenSource};
use crate::id::ClientId;
use crate::proto::netcode::{ConnectToken, TOKEN_LEN, TokenError};

/// From the first packet to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer longer than this is not read: head, token and the chunks' own lines fit four times.
const MAX_ANSWER: usize = 16 * 1024;

/// So much of a refusal's text is repeated.
const MAX_TEXT: usize = 160;

/// What went wrong with a request, and where it went.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    /// The URL as it was written.
    pub url: String,
    /// What went wrong.
    pub problem: FetchProblem,
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchProblem {
    /// The name means nothing, or nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// It takes too long.
    #[error("no whole answer within {0:?}")]
    TooSlow(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// It answered something else than 200.
    #[error("the answer is {status}{text}")]
    Refused {
        /// The status code.
        status: u16,
        /// The beginning of what it says, after a colon; or nothing.
        text: String,
    },
    /// What answers there does not speak HTTP/1.
    #[error("what answers there does not speak HTTP/1.1")]
    NotHttp,
    /// The answer ended before its end.
    #[error("the answer ends in the middle")]
    Cut,
    /// The answer is far longer than what was asked for.
    #[error("the answer is longer than {0} bytes: this is not what was asked for")]
    TooLong(usize),
    /// It answered 200 with something else than a token.
    #[error("the answer is no connect token: {0}")]
    NotAToken(TokenError),
}

/// A service that gives connect tokens for `POST {"client_id": 7}`.
#[derive(Debug, Clone)]
pub struct TokenService {
    url: HttpUrl,
    timeout: Duration,
}

impl TokenService {
    /// The service at a URL. It has five seconds for each answer.
    #[must_use]
    pub const fn new(url: HttpUrl) -> Self {
        Self {
            url,
            timeout: TIMEOUT,
        }
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn fetch(&self, client: ClientId) -> Result<ConnectToken, FetchProblem> {
        let request = self.request(client);
        let body = ask(&self.url, &request, self.timeout, MAX_ANSWER)?;
        ConnectToken::from_bytes(&body).map_err(FetchProblem::NotAToken)
    }

    fn request(&self, client: ClientId) -> String {
        let body = format!("{{\"client_id\":{}}}", client.0);
        format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tickwire/{version}\r\n\
             Accept: application/octet-stream\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}",
            target = self.url.target(),
            host = self.url.authority(),
            version = env!("CARGO_PKG_VERSION"),
            length = body.len(),
        )
    }
}

impl TokenSource for TokenService {
    fn token(&mut self, client: ClientId) -> Result<ConnectToken, NoToken> {
        self.fetch(client).map_err(|problem| {
            let url = self.url.to_string();
            NoToken::Fetch(FetchError { url, problem })
        })
    }
}

/// Reads a page of at most so many bytes.
///
/// # Errors
///
/// When there is none, or it takes too long; the error names the URL.
pub(in crate::tools) fn get(
    url: &HttpUrl,
    timeout: Duration,
    most: usize,
) -> Result<Vec<u8>, FetchError> {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tickwire/{version}\r\nConnection: close\r\n\r\n",
        target = url.target(),
        host = url.authority(),
        version = env!("CARGO_PKG_VERSION"),
    );
    ask(url, &request, timeout, most).map_err(|problem| {
        let url = url.to_string();
        FetchError { url, problem }
    })
}

/// Sends a request and gives the body of an answer that says 200.
fn ask(
    url: &HttpUrl,
    request: &str,
    timeout: Duration,
    most: usize,
) -> Result<Vec<u8>, FetchProblem> {
    let deadline = Deadline::after(timeout);
    let mut stream = connect(url, &deadline)?;
    stream
        .set_write_timeout(Some(deadline.left()?))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .map_err(|error| deadline.problem(error))?;
    let answer = read_answer(&mut stream, &deadline, most)?;
    let head = Head::parse(&answer)?;
    if head.status != 200 {
        let text = text_of(head.body(&answer).as_deref().unwrap_or_default());
        let status = head.status;
        return Err(FetchProblem::Refused { status, text });
    }
    head.body(&answer)
}

/// Tries every address that the host has.
fn connect(url: &HttpUrl, deadline: &Deadline) -> Result<TcpStream, FetchProblem> {
    let addresses = url.host_and_port().to_socket_addrs();
    let mut problem = FetchProblem::Connect(ErrorKind::NotFound.into());
    for address in addresses.map_err(FetchProblem::Connect)? {
        match TcpStream::connect_timeout(&address, deadline.left()?) {
            Ok(stream) => return Ok(stream),
            Err(error) if deadline.left().is_ok() => problem = FetchProblem::Connect(error),
            Err(_) => return Err(deadline.too_slow()),
        }
    }
    Err(problem)
}

/// The moment by which everything must be done.
struct Deadline {
    started: Instant,
    timeout: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self {
            started: Instant::now(),
            timeout,
        }
    }

    /// What is left of it, never zero.
    fn left(&self) -> Result<Duration, FetchProblem> {
        let left = self.timeout.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            Err(self.too_slow())
        } else {
            Ok(left)
        }
    }

    const fn too_slow(&self) -> FetchProblem {
        FetchProblem::TooSlow(self.timeout)
    }

    /// A socket that waited too long says so in two ways.
    fn problem(&self, error: io::Error) -> FetchProblem {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.too_slow(),
            _ => FetchProblem::Broken(error),
        }
    }
}

/// Reads until the answer is whole, or the connection ends.
fn read_answer(
    stream: &mut TcpStream,
    deadline: &Deadline,
    most: usize,
) -> Result<Vec<u8>, FetchProblem> {
    let mut answer = Vec::with_capacity(2 * TOKEN_LEN);
    let mut buffer = [0; TOKEN_LEN];
    loop {
        stream
            .set_read_timeout(Some(deadline.left()?))
            .map_err(FetchProblem::Broken)?;
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Who has said everything may be rude when closing.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => {
                return Ok(answer);
            }
            Err(error) => return Err(deadline.problem(error)),
        };
        answer.extend_from_slice(buffer.get(..len).unwrap_or(&[]));
        if answer.len() > most {
            return Err(FetchProblem::TooLong(most));
        }
        if Head::parse(&answer).is_ok_and(|head| head.is_whole(&answer)) {
            return Ok(answer);
        }
    }
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    After(usize),
    InChunks,
    WithTheConnection,
}

/// The part of an answer before its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    length: usize,
    ends: Ends,
}

impl Head {
    fn parse(answer: &[u8]) -> Result<Self, FetchProblem> {
        let length = find(answer, b"\r\n\r\n").map(|at| at + 4);
        let start = answer.get(..7).unwrap_or(answer);
        if !b"HTTP/1.".starts_with(start) {
            return Err(FetchProblem::NotHttp);
        }
        let length = length.ok_or(FetchProblem::Cut)?;
        let text = answer.get(..length).unwrap_or(&[]);
        let text = std::str::from_utf8(text).map_err(|_| FetchProblem::NotHttp)?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let mut ends = Ends::WithTheConnection;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                ends = Ends::InChunks;
            } else if name.eq_ignore_ascii_case("content-length") && ends != Ends::InChunks {
                let value = value.trim().parse().map_err(|_| FetchProblem::NotHttp)?;
                ends = Ends::After(value);
            }
        }
        Ok(Self {
            status: status.ok_or(FetchProblem::NotHttp)?,
            length,
            ends,
        })
    }

    fn is_whole(&self, answer: &[u8]) -> bool {
        self.ends != Ends::WithTheConnection && self.body(answer).is_ok()
    }

    fn body(&self, answer: &[u8]) -> Result<Vec<u8>, FetchProblem> {
        let body = answer.get(self.length..).unwrap_or(&[]);
        match self.ends {
            Ends::WithTheConnection => Ok(body.to_vec()),
            Ends::After(length) => Ok(body.get(..length).ok_or(FetchProblem::Cut)?.to_vec()),
            Ends::InChunks => chunks(body),
        }
    }
}

/// RFC 9112, section 7.1: each chunk after a line with its length in hexadecimal, the last one empty.
fn chunks(mut body: &[u8]) -> Result<Vec<u8>, FetchProblem> {
    let mut whole = Vec::with_capacity(TOKEN_LEN);
    loop {
        let end = find(body, b"\r\n").ok_or(FetchProblem::Cut)?;
        let (line, rest) = body.split_at(end);
        let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
        let length = std::str::from_utf8(digits).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let length = length
            .filter(|length| *length <= MAX_ANSWER)
            .ok_or(FetchProblem::NotHttp)?;
        if length == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(rest.get(2..2 + length).ok_or(FetchProblem::Cut)?);
        body = rest.get(2 + length + 2..).ok_or(FetchProblem::Cut)?;
    }
}

/// The first line of a refusal's text, after a colon; nothing when it says nothing readable.
fn text_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let printable = line
        .into_iter()
        .flat_map(str::chars)
        .filter(|c| !c.is_control());
    let line: String = printable.take(MAX_TEXT).collect();
    if line.is_empty() {
        line
    } else {
        format!(": {line}")
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
        Head::parse(answer)
            .and_then(|head| head.body(answer))
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_body_ends_by_length_in_chunks_or_with_the_connection() {
        let whole = Ok(b"token".to_vec());
        assert_eq!(
            body(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntokenxx"),
            whole
        );
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\ntoken"), whole);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\ntok\r\n2\r\nen\r\n0\r\n\r\n";
        assert_eq!(body(chunked), whole);
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_never_whole_and_never_a_panic() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntoken"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntok\r\n2\r\nen\r\n0\r\n",
        ] {
            for length in 0..answer.len() {
                let whole = Head::parse(&answer[..length])
                    .is_ok_and(|head| head.is_whole(&answer[..length]));
                assert!(!whole, "{length} of {:?}", String::from_utf8_lossy(answer));
            }
            assert_eq!(body(answer), Ok(b"token".to_vec()));
        }
    }

    #[test]
    fn what_is_no_http_is_told() {
        for answer in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"HTTP/1.1 what\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
        ] {
            assert!(
                body(answer).is_err_and(|text| text.contains("does not speak")),
                "{answer:?}"
            );
        }
        assert!(body(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n").is_err());
        assert!(
            body(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n")
                .is_err()
        );
    }

    #[test]
    fn a_refusal_is_repeated_in_one_printable_line() {
        assert_eq!(text_of(b"\n  not from here\x07\nsecret"), ": not from here");
        assert_eq!(text_of(b""), "");
        assert_eq!(text_of(&[b'x'; 500]).len(), 2 + MAX_TEXT);
    }
}
