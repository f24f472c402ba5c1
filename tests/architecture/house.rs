//! The house as a whole: every file of `src/`, the modules they make, and the laws they keep.
//!
//! A path is followed through imports and re-exports to the file that declares the thing, so a
//! facade cannot be used to walk around a wall.

use std::collections::{BTreeMap, BTreeSet};

use crate::map::{self, Room};
use crate::source::{self, Module, ModulePath, Source};

/// No file is longer than this.
pub(crate) const MAX_LINES: usize = 900;

/// Imports that lead to each other are rejected by the compiler; this only bounds the reader.
const MAX_HOPS: usize = 16;

/// What a path leads to.
#[derive(Debug, PartialEq)]
enum Target {
    /// Something declared in this file.
    File(String),
    /// Something of this external crate.
    Package(String),
    /// The language, the standard library, a local name: no wall in between.
    Nothing,
}

/// Every source file, read once.
pub(crate) struct House {
    texts: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
    modules: BTreeMap<ModulePath, (String, Module)>,
    packages: BTreeSet<String>,
    own_name: String,
}

impl House {
    /// `files`: names under `src/` with their text; `packages`: the dependencies, as identifiers.
    pub(crate) fn new(
        own_name: &str,
        files: impl IntoIterator<Item = (String, String)>,
        packages: impl IntoIterator<Item = String>,
    ) -> Self {
        let texts: BTreeMap<_, _> = files.into_iter().collect();
        let sources: BTreeMap<_, _> = texts
            .iter()
            .map(|(file, text)| (file.clone(), source::read(file, text)))
            .collect();
        let mut modules = BTreeMap::new();
        for (file, source) in &sources {
            for (path, module) in &source.modules {
                let module = Module {
                    children: module.children.clone(),
                    imports: module.imports.clone(),
                };
                modules.insert(path.clone(), (file.clone(), module));
            }
        }
        let own_name = own_name.to_owned();
        Self {
            texts,
            sources,
            modules,
            packages: packages.into_iter().collect(),
            own_name,
        }
    }

    /// Everything that is not as the map says, as `file:line: what`.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (file, text) in &self.texts {
            found.extend(file_laws(file, text, &self.sources[file]));
            match map::room_of(file) {
                None => found.push(format!("src/{file}:1: belongs to no room of the map")),
                Some(room) if !self.is_test_code(file) => found.extend(self.walls(file, room)),
                Some(_) => {}
            }
        }
        found
    }

    /// How many files it has.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    fn is_test_code(&self, file: &str) -> bool {
        if self
            .sources
            .values()
            .any(|source| source.test_files.iter().any(|test| test == file))
        {
            return true;
        }
        let module = source::module_of(file);
        let mut declared = self
            .sources
            .values()
            .flat_map(|source| &source.test_modules);
        declared.any(|test| module.starts_with(test))
    }

    /// Names in `file` that reach through a wall.
    fn walls(&self, file: &str, room: &Room) -> Vec<String> {
        let mut found = BTreeSet::new();
        for mention in &self.sources[file].mentions {
            let target = self.resolve(&mention.module, &mention.path, 0);
            if self.was_said_by_import(&mention.module, &mention.path, &target) {
                continue;
            }
            if let Some(other) = refused(file, room, &target) {
                found.insert((mention.line, other));
            }
        }
        found
            .into_iter()
            .map(|(line, other)| format!("src/{file}:{line}: {} -> {other}", room.name))
            .collect()
    }

    /// The `use` that brought the name in reports the wall; its uses need not repeat it.
    fn was_said_by_import(&self, module: &ModulePath, path: &[String], target: &Target) -> bool {
        let Some((_, declared)) = self.modules.get(module) else {
            return false;
        };
        let Some(imported) = path.first().and_then(|name| declared.imports.get(name)) else {
            return false;
        };
        imported.as_slice() != path
            && refused_name(&self.resolve(module, imported, 0)) == refused_name(target)
    }

    fn resolve(&self, from: &[String], path: &[String], hops: usize) -> Target {
        let Some((first, rest)) = path.split_first() else {
            return self.file_of(from);
        };
        if hops > MAX_HOPS {
            return Target::Nothing;
        }
        match first.as_str() {
            "crate" => return self.walk(ModulePath::new(), rest, hops),
            "self" | "super" => return self.walk(from.to_vec(), path, hops),
            "::" => {
                return rest
                    .first()
                    .map_or(Target::Nothing, |name| self.package(name, &rest[1..], hops));
            }
            _ => {}
        }
        if let Some((_, module)) = self.modules.get(from) {
            if module.children.contains(first) {
                return self.walk(from.to_vec(), path, hops);
            }
            if let Some(import) = module
                .imports
                .get(first)
                .filter(|import| import[0] != *first)
            {
                return self.resolve(from, &[import, rest].concat(), hops + 1);
            }
        }
        self.package(first, rest, hops)
    }

    /// From a module downwards (or, with `super`, upwards), through re-exports.
    fn walk(&self, mut at: ModulePath, path: &[String], hops: usize) -> Target {
        for (index, segment) in path.iter().enumerate() {
            if segment == "self" {
                continue;
            }
            if segment == "super" {
                at.pop();
                continue;
            }
            let Some((_, module)) = self.modules.get(&at) else {
                break;
            };
            if module.children.contains(segment) {
                at.push(segment.clone());
            } else if let Some(import) = module.imports.get(segment) {
                let onward = [import, &path[index + 1..]].concat();
                return self.resolve(&at, &onward, hops + 1);
            } else {
                break;
            }
        }
        self.file_of(&at)
    }

    fn file_of(&self, module: &[String]) -> Target {
        match self.modules.get(module) {
            Some((file, _)) => Target::File(file.clone()),
            None => Target::Nothing,
        }
    }

    fn package(&self, name: &str, rest: &[String], hops: usize) -> Target {
        if name == self.own_name {
            return self.walk(ModulePath::new(), rest, hops);
        }
        if self.packages.contains(name) {
            Target::Package(name.into())
        } else {
            Target::Nothing
        }
    }
}

/// What every file owes its reader, whatever room it is in.
fn file_laws(file: &str, text: &str, source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!(
            "src/{file}:1: does not open with `//!`: what it holds, what it knows"
        ));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!(
            "src/{file}:{lines}: is longer than {MAX_LINES} lines"
        ));
    }
    for line in &source.path_attributes {
        found.push(format!(
            "src/{file}:{line}: `#[path]` would hide a room from the map"
        ));
    }
    found
}

/// The other side of the wall, if there is one between `file` and `target`.
fn refused(file: &str, room: &Room, target: &Target) -> Option<String> {
    let allowed = match target {
        Target::Nothing => true,
        Target::Package(package) => map::is_at_home(package, file).unwrap_or(false),
        Target::File(other) => {
            let other = map::room_of(other)?.name;
            other == room.name || room.uses().any(|name| name == other)
        }
    };
    if allowed { None } else { refused_name(target) }
}

/// What a report calls the target.
fn refused_name(target: &Target) -> Option<String> {
    match target {
        Target::Nothing => None,
        Target::Package(package) => Some(package.clone()),
        Target::File(file) => Some(map::room_of(file)?.name.to_owned()),
    }
}

/// A circle in a table of rooms and the rooms each may use, as `a -> b -> a`.
pub(crate) fn circle(table: &[(&str, Vec<&str>)]) -> Option<String> {
    table.iter().find_map(|(start, _)| {
        let mut way = vec![*start];
        leads_back(table, &mut way, start).then(|| way.join(" -> "))
    })
}

fn leads_back<'t>(table: &[(&'t str, Vec<&'t str>)], way: &mut Vec<&'t str>, start: &str) -> bool {
    let here = way.last().copied().unwrap_or_default();
    let uses = table
        .iter()
        .filter(|(room, _)| *room == here)
        .flat_map(|(_, uses)| uses);
    for next in uses {
        if *next == start {
            way.push(next);
            return true;
        }
        if !way.contains(next) {
            way.push(next);
            if leads_back(table, way, start) {
                return true;
            }
            way.pop();
        }
    }
    false
}
