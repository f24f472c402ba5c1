//! Reads Rust source as far as this test needs it: which modules a file declares, which names it
//! imports, and every path it mentions, with its line.
//!
//! Works on tokens, not on syntax trees, so that what is written inside a macro call counts
//! too. Comments, strings and test code (`#[cfg(test)]`) do not count. Knows nothing of rooms.

use std::collections::{BTreeMap, BTreeSet};

/// A module's place in the crate: `["proto", "netcode"]`. The crate root is empty.
pub(crate) type ModulePath = Vec<String>;

/// A path as written, segment by segment. A leading `::` is a segment of its own.
pub(crate) type Written = Vec<String>;

/// What one module, in a file of its own or inline, declares.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) children: BTreeSet<String>,
    /// Names brought in by `use`, and what they stand for.
    pub(crate) imports: BTreeMap<String, Written>,
}

/// A path somewhere in non-test code.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) module: ModulePath,
    pub(crate) path: Written,
    pub(crate) line: usize,
}

/// What one file holds.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
    pub(crate) mentions: Vec<Mention>,
    /// Modules declared as `#[cfg(test)] mod name;`: their files are test code.
    pub(crate) test_modules: Vec<ModulePath>,
    /// The lines of `#[path = ...]` attributes, which would make the map lie.
    pub(crate) path_attributes: Vec<usize>,
}

/// The module that a file (under `src/`) holds.
pub(crate) fn module_of(file: &str) -> ModulePath {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" => ModulePath::new(),
        // The program is a crate of its own; a name no path can spell keeps it apart.
        "main" => vec!["(program)".into()],
        _ => stem.split('/').map(String::from).collect(),
    }
}

/// Reads one file.
pub(crate) fn read(file: &str, text: &str) -> Source {
    let home = module_of(file);
    let mut source = Source::default();
    source.modules.insert(home.clone(), Module::default());
    let mut reader = Reader {
        tokens: lex(text),
        at: 0,
        scopes: vec![(home, 0)],
        depth: 0,
        source,
    };
    reader.read();
    reader.source
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Joint,
    Mark(char),
}

struct Reader {
    tokens: Vec<(Token, usize)>,
    at: usize,
    /// The module being read, and the brace depth at which it ends.
    scopes: Vec<(ModulePath, usize)>,
    depth: usize,
    source: Source,
}

impl Reader {
    fn read(&mut self) {
        while let Some((token, line)) = self.tokens.get(self.at).cloned() {
            match token {
                Token::Mark('#') => self.attribute(line),
                Token::Mark('{') => self.open_brace(),
                Token::Mark('}') => self.close_brace(),
                Token::Word(word) if word == "mod" && self.word(1).is_some() => self.module(),
                Token::Word(word) if word == "use" && self.mark(1) != Some('<') => {
                    self.at += 1;
                    self.import(Written::new());
                }
                Token::Word(_) => self.path(line),
                _ => self.at += 1,
            }
        }
    }

    fn here(&self) -> ModulePath {
        self.scopes
            .last()
            .map(|(module, _)| module.clone())
            .unwrap_or_default()
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Word(word), _)) => Some(word),
            _ => None,
        }
    }

    fn mark(&self, ahead: usize) -> Option<char> {
        match self.tokens.get(self.at + ahead) {
            Some((Token::Mark(mark), _)) => Some(*mark),
            _ => None,
        }
    }

    fn is_joint(&self, ahead: usize) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some((Token::Joint, _)))
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(_, line)| *line)
    }

    fn open_brace(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn close_brace(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.scopes.len() > 1
            && self
                .scopes
                .last()
                .is_some_and(|(_, end)| *end == self.depth)
        {
            self.scopes.pop();
        }
        self.at += 1;
    }

    /// `#[..]` or `#![..]`: skips what is test code; the paths in any other are read as usual.
    fn attribute(&mut self, line: usize) {
        let inner = self.mark(1) == Some('!');
        let open = 1 + usize::from(inner);
        if self.mark(open) != Some('[') {
            self.at += 1;
            return;
        }
        if self.word(open + 1) == Some("path") {
            self.source.path_attributes.push(line);
        }
        if !self.is_test_attribute(open + 1) {
            self.at += open + 1;
        } else if inner {
            self.at = self.tokens.len();
        } else {
            self.skip_item();
        }
    }

    /// `cfg(test)`, also inside `all(..)` or `any(..)`, but not `not(test)`.
    fn is_test_attribute(&self, start: usize) -> bool {
        if self.word(start) != Some("cfg") {
            return false;
        }
        let mut ahead = start;
        while self.mark(ahead) != Some(']') && self.at + ahead < self.tokens.len() {
            if self.word(ahead) == Some("test") && self.word(ahead.saturating_sub(2)) != Some("not")
            {
                return true;
            }
            ahead += 1;
        }
        false
    }

    /// Skips the item that starts with the attribute at hand: to its `;`, its block, or (a field, an
    /// arm) its comma.
    fn skip_item(&mut self) {
        while self.mark(0) == Some('#') {
            self.skip_to_matching(']');
        }
        let is_field = !self.word(0).is_some_and(|word| KEYWORDS.contains(&word));
        if let (Some("mod"), Some(name), Some(';')) = (self.word(0), self.word(1), self.mark(2)) {
            let mut module = self.here();
            module.push(name.into());
            self.source.test_modules.push(module);
        }
        let mut nesting = 0_usize;
        while let Some((token, _)) = self.tokens.get(self.at) {
            match token {
                Token::Mark('(' | '[' | '{') => nesting += 1,
                // The end of what holds the item: for `read` to see.
                Token::Mark(')' | ']' | '}') if nesting == 0 => return,
                Token::Mark('}') if nesting == 1 && !is_field => {
                    self.at += 1;
                    return;
                }
                Token::Mark(')' | ']' | '}') => nesting -= 1,
                Token::Mark(';') if nesting == 0 => {
                    self.at += 1;
                    return;
                }
                Token::Mark(',') if nesting == 0 && is_field => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn skip_to_matching(&mut self, close: char) {
        let mut nesting = 0_usize;
        while let Some((token, _)) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                Token::Mark('(' | '[' | '{') => nesting += 1,
                Token::Mark(mark @ (')' | ']' | '}')) => {
                    nesting = nesting.saturating_sub(1);
                    if nesting == 0 && *mark == close {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// `mod name;` or `mod name {`.
    fn module(&mut self) {
        let Some(name) = self.word(1).map(String::from) else {
            return;
        };
        let here = self.here();
        let mut inner = here.clone();
        inner.push(name.clone());
        match self.mark(2) {
            Some(';') => {
                self.source
                    .modules
                    .entry(here)
                    .or_default()
                    .children
                    .insert(name);
                self.at += 3;
            }
            Some('{') => {
                self.source
                    .modules
                    .entry(here)
                    .or_default()
                    .children
                    .insert(name);
                self.source.modules.entry(inner.clone()).or_default();
                self.scopes.push((inner, self.depth));
                self.depth += 1;
                self.at += 3;
            }
            _ => self.at += 1,
        }
    }

    /// One tree of a `use`, after what its branches share.
    fn import(&mut self, mut path: Written) {
        let line = self.line();
        loop {
            if self.is_joint(0) {
                if path.is_empty() {
                    path.push("::".into());
                }
                self.at += 1;
            } else if self.mark(0) == Some('{') {
                self.branches(&path);
                return;
            } else if self.mark(0) == Some('*') {
                self.at += 1;
                self.mention(path, line);
                return;
            } else if self.word(0) == Some("as") {
                let name = self.word(1).unwrap_or("_").to_owned();
                self.at += 2;
                self.bind(name, path, line);
                return;
            } else if let Some(word) = self.word(0).map(String::from) {
                self.at += 1;
                // `use a::b::{self}` means `a::b`.
                if word != "self" || path.is_empty() {
                    path.push(word);
                }
            } else {
                let name = path.last().cloned().unwrap_or_default();
                self.bind(name, path, line);
                return;
            }
        }
    }

    fn branches(&mut self, shared: &Written) {
        self.at += 1;
        while self.at < self.tokens.len() {
            match self.mark(0) {
                Some('}') => {
                    self.at += 1;
                    return;
                }
                Some(',') => self.at += 1,
                _ => {
                    let before = self.at;
                    self.import(shared.clone());
                    // Not a tree after all (a macro's own syntax): never stand still.
                    self.at += usize::from(self.at == before);
                }
            }
        }
    }

    fn bind(&mut self, name: String, path: Written, line: usize) {
        if name != "_" && !path.is_empty() {
            let here = self.here();
            self.source
                .modules
                .entry(here)
                .or_default()
                .imports
                .insert(name, path.clone());
        }
        self.mention(path, line);
    }

    /// A path in an expression, a type, an attribute or a macro call.
    fn path(&mut self, line: usize) {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.tokens.get(at))
                .map(|(token, _)| token)
        };
        let is_scope_of_visibility = before(1) == Some(&Token::Word("in".into()))
            && before(2) == Some(&Token::Mark('('))
            && before(3) == Some(&Token::Word("pub".into()));
        let mut path = Written::new();
        if before(1) == Some(&Token::Joint) {
            // `<T as Trait>::Output` names nothing new; `::name` names a crate.
            if matches!(before(2), Some(Token::Mark('>'))) {
                self.at += 1;
                return;
            }
            path.push("::".into());
        }
        while let Some(word) = self.word(0) {
            path.push(word.into());
            self.at += 1;
            if !self.is_joint(0) || self.word(1).is_none() {
                break;
            }
            self.at += 1;
        }
        if path.len() > 1 && !is_scope_of_visibility {
            self.mention(path, line);
        }
    }

    fn mention(&mut self, path: Written, line: usize) {
        if !path.is_empty() {
            let module = self.here();
            self.source.mentions.push(Mention { module, path, line });
        }
    }
}

const KEYWORDS: &[&str] = &[
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

/// Words, joints and marks with their lines; no comments, strings, characters or numbers.
fn lex(text: &str) -> Vec<(Token, usize)> {
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
            self.take(length);
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
