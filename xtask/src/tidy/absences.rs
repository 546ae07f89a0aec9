//! What a library must not do: touch files, network, environment, clocks or the terminal. Those
//! that may are named in ARCHITECTURE.md, in the point that begins "Files, the network"; no crate
//! but the program and its tools may write to the terminal. Test code may do anything.

use super::Violation;
use super::edges::{PAGE, quoted};
use super::source::Source;
use super::tree::Tree;
use std::collections::BTreeSet;

/// How the point of ARCHITECTURE.md begins that names the crates which reach outside the program.
const POINT: &str = "- Files, the network";
/// Crates that own their terminal.
const PROGRAMS: &[&str] = &["wright", "xtask"];
/// Modules of `std` that reach outside the program.
const MODULES: &[&str] = &["fs", "net", "env", "process"];
/// The kernels may end the process when a worker dies: the alternative is to hang.
const KERNELS: &str = "wright-kernels";
const CLOCKS: &[&str] = &["SystemTime", "Instant"];
const TERMINAL_MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];
const TERMINAL_CALLS: &[&str] = &["stdin", "stdout", "stderr"];

pub fn check(tree: &Tree, sources: &[Source<'_>], found: &mut Vec<Violation>) {
    let outward = outward(tree.get(PAGE).unwrap_or_default());
    for source in sources {
        let Some(name) = crate_name(source.path).filter(|name| !PROGRAMS.contains(name)) else {
            continue;
        };
        for i in (0..source.tokens.len()).filter(|&i| !source.is_test(i)) {
            for (at, what) in reaches(source, i) {
                let prints = TERMINAL_MACROS.contains(&what) || matches!(what, "stdout" | "stderr");
                let may = outward.contains(name) && !prints;
                if may || what == "process" && name == KERNELS {
                    continue;
                }
                let message = format!("{name} does no I/O, but here is `{what}`: take an argument");
                let line = source.tokens[at].line;
                found.push(Violation::new(source.path, line, "absences", message));
            }
        }
    }
}

/// The crates that may reach outside the program.
fn outward(page: &str) -> BTreeSet<String> {
    let mut lines = page.lines().skip_while(|line| !line.starts_with(POINT));
    let first = lines.next();
    let more = lines.take_while(|line| line.starts_with("  "));
    first.into_iter().chain(more).flat_map(quoted).collect()
}

/// The crate whose file this is.
fn crate_name(path: &str) -> Option<&str> {
    match path.strip_prefix("crates/") {
        Some(rest) => rest.split('/').next(),
        None => path.starts_with("xtask/").then_some("xtask"),
    }
}

/// What the token at `i` reaches for, with the index of the word that says so.
fn reaches<'a>(source: &Source<'a>, i: usize) -> Vec<(usize, &'a str)> {
    let word = source.word(i);
    let is_path = |at: usize| source.word(at) == ":" && source.word(at + 1) == ":";
    if matches!(word, "std" | "core") && is_path(i + 1) {
        return std_modules(source, i + 3);
    }
    if CLOCKS.contains(&word) {
        return vec![(i, word)];
    }
    if TERMINAL_MACROS.contains(&word) && source.word(i + 1) == "!" {
        return vec![(i, word)];
    }
    let is_io = i >= 3 && is_path(i - 2) && source.word(i - 3) == "io";
    if TERMINAL_CALLS.contains(&word) && is_io {
        return vec![(i, word)];
    }
    Vec::new()
}

/// Forbidden modules named at `at`, directly or in the list of a `use std::{…}`.
fn std_modules<'a>(source: &Source<'a>, at: usize) -> Vec<(usize, &'a str)> {
    let forbidden = |i: usize| MODULES.contains(&source.word(i)).then(|| (i, source.word(i)));
    if source.word(at) != "{" {
        return forbidden(at).into_iter().collect();
    }
    let end = source.after_bracket(at) - 1;
    let mut found = Vec::new();
    let mut i = at + 1;
    let mut starts_item = true;
    while i < end {
        if starts_item {
            found.extend(forbidden(i));
        }
        starts_item = source.word(i) == ",";
        i = if source.word(i) == "{" { source.after_bracket(i) } else { i + 1 };
    }
    found
}
