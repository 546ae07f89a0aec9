//! `unsafe` stands in the kernels, and in one named file of each crate that cannot do without it.
//!
//! Every other crate says `#![forbid(unsafe_code)]` in its roots. A crate with a named file cannot
//! (an inner `allow` would not compile), so it says `deny`, and the line that declares that file's
//! module alone allows.

use super::Violation;
use super::source::Source;

const KERNELS: &str = "crates/wright-kernels/";
/// The files outside the kernels that may use `unsafe`, each a module of its crate's root.
const FILES: &[&str] = &["crates/wright-host/src/mmap.rs"];

pub fn check(sources: &[Source<'_>], found: &mut Vec<Violation>) {
    for source in sources.iter().filter(|s| !s.path.starts_with(KERNELS)) {
        for token in source.tokens.iter().filter(|t| t.text == "unsafe") {
            if !FILES.contains(&source.path) {
                let message = format!("`unsafe` outside {KERNELS} and {}", FILES.join(", "));
                found.push(Violation::new(source.path, token.line, "unsafe", message));
            }
        }
        let allowed = allowed_module(source.path);
        if is_crate_root(source.path) {
            check_root(source, allowed, found);
        }
        if !FILES.contains(&source.path) {
            check_allows(source, allowed, found);
        }
    }
}

/// The module of the crate of `path` that may use `unsafe`, if there is one.
fn allowed_module(path: &str) -> Option<&'static str> {
    let file = FILES.iter().find(|file| crate_folder(file) == crate_folder(path))?;
    file.rsplit('/').next()?.strip_suffix(".rs")
}

/// `crates/NAME` of a file in a crate.
fn crate_folder(path: &str) -> Option<&str> {
    let name = path.strip_prefix("crates/")?.find('/')?;
    path.get(.."crates/".len() + name)
}

fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let within = match parts.as_slice() {
        ["crates", _, within @ ..] | ["xtask", within @ ..] => within,
        _ => return false,
    };
    matches!(within, ["src", "lib.rs" | "main.rs"] | ["src", "bin", _])
}

fn check_root(source: &Source<'_>, allowed: Option<&str>, found: &mut Vec<Violation>) {
    let wanted = if allowed.is_some() { "deny" } else { "forbid" };
    let says = |level: &str| {
        let words = ["#", "!", "[", level, "(", "unsafe_code", ")", "]"];
        source.tokens.windows(words.len()).any(|w| w.iter().map(|t| t.text).eq(words))
    };
    if !says(wanted) && !says("forbid") {
        let message = format!("the root of this crate has to say `#![{wanted}(unsafe_code)]`");
        found.push(Violation::new(source.path, 0, "unsafe", message));
    }
}

/// A crate may allow unsafe code only on the line that declares its named module.
fn check_allows(source: &Source<'_>, allowed: Option<&str>, found: &mut Vec<Violation>) {
    for (i, token) in source.tokens.iter().enumerate() {
        if token.text != "unsafe_code" || !matches!(source.word(i.wrapping_sub(2)), "allow") {
            continue;
        }
        let after: Vec<&str> = (i + 3..i + 8).map(|j| source.word(j)).collect();
        let module = after.iter().position(|w| *w == "mod").map(|m| after[m + 1..].first());
        if allowed.is_none() || module.flatten().copied() != allowed {
            let message = match allowed {
                Some(module) => format!("`allow(unsafe_code)` belongs to `mod {module}` alone"),
                None => "this crate has no file that may use `unsafe`".to_owned(),
            };
            found.push(Violation::new(source.path, token.line, "unsafe", message));
        }
    }
}
