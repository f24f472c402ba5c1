//! Reads Rust source as far as this test needs it: which modules a file declares, which names it
//! imports, and every path it mentions, with its line.
//!
//! Works on tokens, not on syntax trees, so that what is written inside a macro call counts
//! too. Comments, strings and test code (`#[cfg(test)]`) do not count. Knows nothing of rooms.

use std::collections::{BTreeMap, BTreeSet};

use crate::lex::{Token, lex};

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
    /// Files that such a declaration names with `#[path = ...]`.
    pub(crate) test_files: Vec<String>,
    /// The lines of `#[path = ...]` attributes outside tests, which would make the map lie.
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
    let folder = file.rfind('/').map_or("", |end| &file[..=end]).to_owned();
    let mut source = Source::default();
    source.modules.insert(home.clone(), Module::default());
    let mut reader = Reader {
        folder,
        tokens: lex(text),
        at: 0,
        scopes: vec![(home, 0)],
        depth: 0,
        source,
    };
    reader.read();
    reader.source
}

struct Reader {
    /// Where the file lies, with a final `/`; what `#[path]` counts from.
    folder: String,
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

    /// True only in tests: `cfg(test)` or `cfg(all(test, ..))`. What is built for tests *as well*
    /// (`any(test, ..)`), or not for them, is source.
    fn is_test_attribute(&self, start: usize) -> bool {
        let mut around = Vec::new();
        for ahead in start.. {
            match (self.word(ahead), self.mark(ahead)) {
                (Some("test"), _) if around.first() == Some(&"cfg") => {
                    return around[1..].iter().all(|word| *word == "all");
                }
                (_, Some('(')) => around.push(self.word(ahead - 1).unwrap_or_default()),
                (_, Some(')')) => drop(around.pop()),
                (_, Some(']')) => return false,
                _ if self.at + ahead >= self.tokens.len() => return false,
                _ => {}
            }
        }
        false
    }

    /// Skips the item that starts with the attribute at hand: to its `;`, its block, or (a field, an
    /// arm) its comma.
    fn skip_item(&mut self) {
        while self.mark(0) == Some('#') {
            if let (Some("path"), Some((Token::Text(name), _))) =
                (self.word(2), self.tokens.get(self.at + 4))
            {
                self.source
                    .test_files
                    .push(format!("{}{name}", self.folder));
            }
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
