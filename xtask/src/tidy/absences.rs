//! What a library room must not do, from ARCHITECTURE.md: touch files, network, environment,
//! clocks or the terminal. Test code may.

use super::Violation;
use super::source::Source;

/// Rooms that hold to it.
const ROOMS: &[&str] = &[
    "crates/wright-chat/",
    "crates/wright-data/",
    "crates/wright-kernels/",
    "crates/wright-model/",
    "crates/wright-report/src/",
    "crates/wright-run/",
    "crates/wright-text/",
    "crates/wright-train/",
];
/// Modules of `std` that reach outside the program.
const MODULES: &[&str] = &["fs", "net", "env", "process"];
/// The kernels may end the process when a worker dies: the alternative is to hang.
const KERNELS: &str = "crates/wright-kernels/";
const CLOCKS: &[&str] = &["SystemTime", "Instant"];
const TERMINAL_MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];
const TERMINAL_CALLS: &[&str] = &["stdin", "stdout", "stderr"];

pub fn check(sources: &[Source<'_>], found: &mut Vec<Violation>) {
    for source in sources {
        let Some(room) = ROOMS.iter().find(|room| source.path.starts_with(**room)) else {
            continue;
        };
        for i in (0..source.tokens.len()).filter(|&i| !source.is_test(i)) {
            for (at, what) in reaches(source, i) {
                if what == "process" && *room == KERNELS {
                    continue;
                }
                let name = room.trim_start_matches("crates/").trim_end_matches('/');
                let message = format!("{name} does no I/O, but here is `{what}`: take an argument");
                let line = source.tokens[at].line;
                found.push(Violation::new(source.path, line, "absences", message));
            }
        }
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
