//! Rust source as a row of tokens: just enough of the language that comments and literals cannot be
//! mistaken for code. Knows nothing of modules.

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Word(String),
    /// `::`
    Joint,
    Mark(char),
    /// A string literal. Only `#[path = ...]` asks what it says.
    Text(String),
}

/// Words, joints, marks and strings with their lines; no comments, characters or numbers.
pub(crate) fn lex(text: &str) -> Vec<(Token, usize)> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        tokens: Vec::new(),
    };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
    tokens: Vec<(Token, usize)>,
}

impl Lexer<'_> {
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest));
        } else if let Some(length) = string(self.rest) {
            let text = self.rest[..length].trim_matches('"').to_owned();
            self.push(Token::Text(text), length);
        } else if first == '\'' {
            self.take(character_or_lifetime(self.rest));
        } else if first.is_ascii_digit() {
            self.take(number(self.rest));
        } else if first.is_alphabetic() || first == '_' {
            let raw = self.rest.strip_prefix("r#").map_or(0, |_| 2);
            let length = raw + word_length(&self.rest[raw..]);
            let word = self.rest[raw..length].to_owned();
            self.push(Token::Word(word), length);
        } else if self.rest.starts_with("::") {
            self.push(Token::Joint, 2);
        } else if first.is_whitespace() {
            self.take(first.len_utf8());
        } else {
            self.push(Token::Mark(first), first.len_utf8());
        }
        true
    }

    fn push(&mut self, token: Token, length: usize) {
        self.tokens.push((token, self.line));
        self.take(length);
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn number(text: &str) -> usize {
    let whole = word_length(text);
    let fraction = text[whole..]
        .strip_prefix('.')
        .filter(|rest| starts_with_digit(rest));
    whole + fraction.map_or(0, |rest| 1 + word_length(rest))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn block_comment(text: &str) -> usize {
    let mut nesting = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        match rest {
            [b'/', b'*', ..] => (nesting, at) = (nesting + 1, at + 2),
            [b'*', b'/', ..] => (nesting, at) = (nesting - 1, at + 2),
            _ => at += 1,
        }
        if nesting == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string literal that `text` starts with, of whatever kind.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let rest = text.strip_prefix(prefix).unwrap_or("");
        rest.starts_with('"')
            || (prefix.contains('r') && rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = text.strip_prefix(prefix)?;
    if prefix.contains('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = rest.get(hashes + 1..)?;
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    Some(prefix.len() + 1 + quoted(rest.get(1..)?, b'"'))
}

/// How far it is past the closing quote, minding escapes.
fn quoted(body: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn character_or_lifetime(text: &str) -> usize {
    let body = &text[1..];
    let mut characters = body.chars();
    match (characters.next(), characters.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => 1 + quoted(body, b'\''),
        _ => 1 + word_length(body),
    }
}
