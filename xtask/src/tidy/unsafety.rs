//! `unsafe` stands in the kernels and in the binary's one file that maps memory.
//!
//! Every other crate says `#![forbid(unsafe_code)]` in its roots. The binary cannot (an inner
//! `allow` would not compile), so it says `deny`, and its `mmap` module alone allows.

use super::Violation;
use super::source::Source;

const KERNELS: &str = "crates/wright-kernels/";
const BINARY: &str = "crates/wright/";
const MMAP: &str = "crates/wright/src/mmap.rs";

pub fn check(sources: &[Source<'_>], found: &mut Vec<Violation>) {
    for source in sources.iter().filter(|s| !s.path.starts_with(KERNELS)) {
        for token in source.tokens.iter().filter(|t| t.text == "unsafe") {
            if source.path != MMAP {
                let message = format!("`unsafe` outside {KERNELS} and {MMAP}");
                found.push(Violation::new(source.path, token.line, "unsafe", message));
            }
        }
        if is_crate_root(source.path) {
            check_root(source, found);
        }
        if source.path.starts_with(BINARY) && source.path != MMAP {
            check_allows(source, found);
        }
    }
}

fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let within = match parts.as_slice() {
        ["crates", _, within @ ..] | ["xtask", within @ ..] => within,
        _ => return false,
    };
    matches!(within, ["src", "lib.rs" | "main.rs"] | ["src", "bin", _])
}

fn check_root(source: &Source<'_>, found: &mut Vec<Violation>) {
    let wanted = if source.path.starts_with(BINARY) { "deny" } else { "forbid" };
    let says = |level: &str| {
        let words = ["#", "!", "[", level, "(", "unsafe_code", ")", "]"];
        source.tokens.windows(words.len()).any(|w| w.iter().map(|t| t.text).eq(words))
    };
    if !says(wanted) && !says("forbid") {
        let message = format!("the root of this crate has to say `#![{wanted}(unsafe_code)]`");
        found.push(Violation::new(source.path, 0, "unsafe", message));
    }
}

/// Outside `mmap.rs` the binary may allow unsafe code only on the line that declares that module.
fn check_allows(source: &Source<'_>, found: &mut Vec<Violation>) {
    for (i, token) in source.tokens.iter().enumerate() {
        if token.text != "unsafe_code" || !matches!(source.word(i.wrapping_sub(2)), "allow") {
            continue;
        }
        let after: Vec<&str> = (i + 3..i + 8).map(|j| source.word(j)).collect();
        let item = after.iter().position(|w| *w == "mod").map(|m| after.get(m + 1).copied());
        if item != Some(Some("mmap")) {
            let message = "`allow(unsafe_code)` belongs to `mod mmap` alone";
            found.push(Violation::new(source.path, token.line, "unsafe", message));
        }
    }
}
