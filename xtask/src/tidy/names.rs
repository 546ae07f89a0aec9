//! No room without a name: a file or module called `utils` says nothing about what it holds.

use super::Violation;
use super::source::Source;
use super::tree::Tree;

const NAMELESS: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "misc", "type", "types", "shared", "stuff"];

pub fn check(tree: &Tree, sources: &[Source<'_>], found: &mut Vec<Violation>) {
    for (path, _) in tree.iter() {
        for part in path.split('/') {
            let stem = part.split('.').next().unwrap_or_default();
            let bare = stem.strip_prefix("wright-").unwrap_or(stem);
            if NAMELESS.contains(&bare) {
                found.push(Violation::new(path, 0, "names", nameless(part)));
            }
        }
    }
    for source in sources {
        for (i, token) in source.tokens.iter().enumerate() {
            let name = source.word(i + 1);
            if token.text == "mod" && NAMELESS.contains(&name) {
                found.push(Violation::new(source.path, token.line, "names", nameless(name)));
            }
        }
    }
}

fn nameless(name: &str) -> String {
    format!("`{name}` names nothing: call it after what it holds")
}
