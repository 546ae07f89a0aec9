//! Nothing unfinished and nothing private: no `todo!`, no ignored test, no path of somebody's home.

use super::Violation;
use super::marks::Marks;
use super::source::Source;
use super::tree::Tree;

const UNFINISHED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
const UNFINISHED_NOTES: &[&str] = &["TODO", "FIXME"];
/// Folders under which people live, each as its parts, so that this file passes its own rule.
const HOMES: &[&[&str]] =
    &[&["/", "home/"], &["/", "Users/"], &["/", "root/"], &[":\\", "Users\\"]];

pub fn check(tree: &Tree, sources: &[Source<'_>], marks: &Marks<'_>, found: &mut Vec<Violation>) {
    for source in sources {
        check_unfinished(source, found);
    }
    let homes: Vec<String> = HOMES.iter().map(|parts| parts.concat()).collect();
    for (path, text) in tree.iter() {
        for (i, line) in text.lines().enumerate() {
            let Some(home) = homes.iter().find(|h| names_home(line, h)) else { continue };
            if !marks.except("path", path, i.max(1), i + 1) {
                let message = format!("a path under `{home}` is true on one machine only");
                found.push(Violation::new(path, i + 1, "home paths", message));
            }
        }
        check_notes_elsewhere(path, text, found);
    }
}

/// Whether `line` holds `home` as the start of a path, and not as a part of one or of an address.
fn names_home(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + home.len()..].chars().next();
        let starts = home.starts_with(':')
            || !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'));
        starts && after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_'))
    })
}

fn check_unfinished(source: &Source<'_>, found: &mut Vec<Violation>) {
    for (i, token) in source.tokens.iter().enumerate() {
        let next = source.word(i + 1);
        let message = if next == "!" && UNFINISHED_MACROS.contains(&token.text) {
            format!("`{}!` is left in", token.text)
        } else if token.text == "#" && next == "[" && source.word(i + 2) == "ignore" {
            "an ignored test is not a test: let it skip with a word why, or remove it".to_owned()
        } else {
            continue;
        };
        found.push(Violation::new(source.path, token.line, "unfinished", message));
    }
    for comment in &source.comments {
        for (i, line) in comment.text.lines().enumerate() {
            check_note(source.path, comment.line + i, line, found);
        }
    }
}

/// Scripts and prose have no tokens here: each line is looked at.
fn check_notes_elsewhere(path: &str, text: &str, found: &mut Vec<Violation>) {
    let suffix = path.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    if matches!(suffix, "py" | "cpp" | "sh" | "toml" | "md") || path == ".ci/run" {
        for (i, line) in text.lines().enumerate() {
            check_note(path, i + 1, line, found);
        }
    }
}

fn check_note(path: &str, line: usize, text: &str, found: &mut Vec<Violation>) {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    for word in words.filter(|w| UNFINISHED_NOTES.contains(w)) {
        let message = format!("a `{word}` is left in: do it, or file it");
        found.push(Violation::new(path, line, "unfinished", message));
    }
}
