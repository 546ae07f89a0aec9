//! Which file of a crate names which: the arrows between modules, with re-exports followed to the
//! file that defines a name.
//!
//! It reads tokens, not types: paths in `use`, and paths that begin with `crate`, `self` or
//! `super`. Test code draws no arrows.

use super::source::Source;
use std::collections::BTreeMap;

/// How many re-exports are followed, one after the other.
const ALIASES_MAX: usize = 16;

/// A module's path below its crate, such as `["open", "load"]`; the crate's root is empty.
pub type Path = Vec<String>;

/// A file that names another of its crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// Module paths.
    pub from: Path,
    pub to: Path,
    pub line: usize,
}

/// The modules of one crate that lie in files of their own, but for those of tests.
pub struct Modules<'s, 'a> {
    files: BTreeMap<Path, &'s Source<'a>>,
    uses: BTreeMap<Path, Vec<Use>>,
}

/// One name that a `use` brings into a module.
#[derive(Debug, Clone)]
struct Use {
    /// As it is written, `super` included.
    path: Path,
    /// What it is called there; `*` brings all.
    name: String,
    line: usize,
}

impl<'s, 'a> Modules<'s, 'a> {
    /// The modules whose files lie in `folder`, such as `crates/wright/src/`.
    pub fn of(folder: &str, sources: &'s [Source<'a>]) -> Self {
        let mut files = BTreeMap::new();
        for source in sources.iter().filter(|source| !source.is_test_file) {
            if let Some(path) = source.path.strip_prefix(folder).and_then(module_path) {
                files.insert(path, source);
            }
        }
        let uses = files.iter().map(|(path, source)| (path.clone(), uses(path, source)));
        Modules { uses: uses.collect(), files }
    }

    /// The file of a module.
    pub fn file(&self, path: &Path) -> Option<&'s Source<'a>> {
        self.files.get(path).copied()
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys()
    }

    /// Every arrow from a file to another of the crate, those to its parents left out.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (from, source) in &self.files {
            let named = self.uses[from].iter().map(|used| (used.path.clone(), used.line));
            let inline = inline_paths(from, source);
            let children = children(source).map(|(child, line)| {
                ([&["crate".to_owned()], from.as_slice(), &[child.to_owned()]].concat(), line)
            });
            for (path, line) in named.chain(inline).chain(children) {
                let Some(to) = self.resolve(from, &path, 0) else { continue };
                if !from.starts_with(&to) {
                    arrows.push(Arrow { from: from.clone(), to, line });
                }
            }
        }
        arrows
    }

    /// The module that defines what `path` means in `module`; nothing if that is another crate's.
    fn resolve(&self, module: &Path, path: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut at: Path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module.split_last()?.1.to_vec(),
            _ => return self.below(module, path, depth),
        };
        let mut rest = rest;
        while let Some(("super", more)) = rest.split_first().map(|(f, m)| (f.as_str(), m)) {
            at.pop();
            rest = more;
        }
        if rest.is_empty() { Some(at) } else { self.below(&at, rest, depth).or(Some(at)) }
    }

    /// The module that `path` leads to from `module`, whose children and `use` names it knows.
    fn below(&self, module: &Path, path: &[String], depth: usize) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut child = module.clone();
        child.push(first.clone());
        if self.files.contains_key(&child) {
            return self.below(&child, rest, depth).or(Some(child));
        }
        if depth > ALIASES_MAX || self.defines(module, first) {
            return None;
        }
        let uses = self.uses.get(module)?;
        if let Some(used) = uses.iter().find(|used| used.name == *first) {
            // A name may hide the crate that it is taken from: `use rayon::iter as rayon`.
            let is_itself = used.path.first() == Some(first) && used.path.len() == 1;
            let target = [used.path.as_slice(), rest].concat();
            return if is_itself { None } else { self.resolve(module, &target, depth + 1) };
        }
        uses.iter().filter(|used| used.name == "*").find_map(|used| {
            let globbed = self.resolve(module, &used.path, depth + 1)?;
            let is_there = self.defines(&globbed, first) && globbed != *module;
            is_there.then_some(globbed)
        })
    }

    /// Whether the file of `module` has an item of this name.
    fn defines(&self, module: &Path, name: &str) -> bool {
        const ITEMS: [&str; 8] =
            ["fn", "struct", "enum", "trait", "const", "static", "type", "union"];
        let Some(source) = self.files.get(module) else { return false };
        source.tokens.windows(2).any(|w| ITEMS.contains(&w[0].text) && w[1].text == name)
    }
}

/// `open/load.rs` → `open::load`; the root for `lib.rs` and `main.rs`.
fn module_path(file: &str) -> Option<Path> {
    let stem = file.strip_suffix(".rs")?;
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" | "main" => Some(Vec::new()),
        _ if stem.starts_with("bin/") => None,
        _ => Some(stem.split('/').map(str::to_owned).collect()),
    }
}

/// Modules in files of their own that a file declares, with their lines.
fn children<'a>(source: &Source<'a>) -> impl Iterator<Item = (&'a str, usize)> {
    let is_one =
        |&i: &usize| source.word(i) == "mod" && source.word(i + 2) == ";" && !source.is_test(i);
    (0..source.tokens.len())
        .filter(is_one)
        .map(|i| (source.word(i + 1), source.tokens[i].line))
        .collect::<Vec<_>>()
        .into_iter()
}

/// How many inline modules (`mod name { … }`) the token at `index` lies in.
fn inline_depth(source: &Source<'_>, index: usize) -> usize {
    let is_around = |&i: &usize| {
        source.word(i) == "mod"
            && source.word(i + 2) == "{"
            && (i + 3..source.after_bracket(i + 2)).contains(&index)
    };
    (0..index).filter(is_around).count()
}

/// A path without the `super`s that only lead out of inline modules.
fn out_of_inline(path: Path, depth: usize, module: &Path) -> Path {
    let n_super = path.iter().take_while(|word| *word == "super").count();
    if n_super == 0 || depth == 0 {
        return path;
    }
    let left = n_super.saturating_sub(depth);
    let mut out: Path = match left {
        0 => std::iter::once("crate".to_owned()).chain(module.iter().cloned()).collect(),
        _ => vec!["super".to_owned(); left],
    };
    out.extend_from_slice(&path[n_super..]);
    out
}

/// The names that the `use` items of a file bring in, but for those of tests.
fn uses(module: &Path, source: &Source<'_>) -> Vec<Use> {
    let mut all = Vec::new();
    for i in 0..source.tokens.len() {
        // `use<…>` in a type is not an import.
        if source.word(i) == "use" && source.word(i + 1) != "<" && !source.is_test(i) {
            let depth = inline_depth(source, i);
            let from = all.len();
            use_tree(source, i + 1, &Vec::new(), &mut all);
            for used in &mut all[from..] {
                used.path = out_of_inline(std::mem::take(&mut used.path), depth, module);
            }
        }
    }
    all
}

/// Reads one tree of a `use` from `at` on; returns the index of what ends it.
fn use_tree(source: &Source<'_>, mut at: usize, prefix: &Path, all: &mut Vec<Use>) -> usize {
    let mut path = prefix.clone();
    loop {
        match source.word(at) {
            ":" => at += 1,
            "{" => {
                at += 1;
                while !matches!(source.word(at), "}" | ";" | "") {
                    at = match source.word(at) {
                        "," => at + 1,
                        _ => use_tree(source, at, &path, all),
                    };
                }
                return at + 1;
            }
            "*" => {
                all.push(Use { path, name: "*".to_owned(), line: source.tokens[at].line });
                return at + 1;
            }
            "," | "}" | ";" | "" => break,
            "as" if !path.is_empty() => break,
            "self" if !path.is_empty() => at += 1,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
    let line = source.tokens.get(at.saturating_sub(1)).map_or(0, |token| token.line);
    let mut name = path.last().cloned().unwrap_or_default();
    if source.word(at) == "as" {
        name = source.word(at + 1).to_owned();
        at += 2;
    }
    all.push(Use { path, name, line });
    at
}

/// Paths outside of `use` that begin with `crate`, `self` or `super`.
fn inline_paths(module: &Path, source: &Source<'_>) -> Vec<(Path, usize)> {
    let mut all = Vec::new();
    let is_path = |at: usize| source.word(at) == ":" && source.word(at + 1) == ":";
    let mut in_use = false;
    for i in 0..source.tokens.len() {
        match source.word(i) {
            "use" => in_use = true,
            ";" => in_use = false,
            "crate" | "self" | "super"
                if !in_use && is_path(i + 1) && !is_path(i.wrapping_sub(2)) =>
            {
                if source.is_test(i) {
                    continue;
                }
                let mut path = vec![source.word(i).to_owned()];
                let mut at = i + 1;
                while is_path(at) && !matches!(source.word(at + 2), "<" | "{" | "*" | "") {
                    path.push(source.word(at + 2).to_owned());
                    at += 3;
                }
                let path = out_of_inline(path, inline_depth(source, i), module);
                all.push((path, source.tokens[i].line));
            }
            _ => {}
        }
    }
    all
}
