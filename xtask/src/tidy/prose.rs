//! What people read: pages, comments, and string literals with sentences in them. Each is checked
//! for misspellings and for words that nobody but this project uses in that sense.
//!
//! A comment `tidy: prose: reason` on the line, or the line above, excepts a line of Rust.

use super::marks::Marks;
use super::source::Source;
use super::tree::Tree;
use super::{Violation, spelling, wording};

/// Pages that are not checked, with the reason.
const EXCEPTED: &[(&str, &str)] = &[
    ("LOG.md", "a dated record: old entries are not rewritten"),
    ("xtask/src/tidy/wording.rs", "the list of the words themselves"),
];
/// A literal with fewer words is a name, a key or a piece of another language.
const WORDS_MIN: usize = 3;

/// A run of text and the line that it starts on.
struct Piece<'a> {
    text: &'a str,
    line: usize,
}

pub fn check(tree: &Tree, sources: &[Source<'_>], marks: &Marks<'_>, found: &mut Vec<Violation>) {
    let is_excepted = |path: &str| EXCEPTED.iter().any(|(excepted, _)| *excepted == path);
    let mut report = |path: &str, piece: &Piece<'_>| {
        for (offset, message) in problems(piece.text) {
            let line = piece.line + offset;
            if !marks.except("prose", path, line.saturating_sub(1).max(1), line) {
                found.push(Violation::new(path, line, "prose", message));
            }
        }
    };
    for source in sources.iter().filter(|source| !is_excepted(source.path)) {
        for piece in pieces(source) {
            report(source.path, &piece);
        }
    }
    for (path, text) in tree.iter() {
        if path.ends_with(".md") && !is_excepted(path) {
            report(path, &Piece { text, line: 1 });
        }
    }
}

/// Comments, and literals that hold sentences; in test code only comments, since tests misspell on
/// purpose. Raw literals hold other languages.
fn pieces<'a>(source: &Source<'a>) -> Vec<Piece<'a>> {
    let comments = source.comments.iter();
    let mut pieces: Vec<Piece<'a>> =
        comments.map(|comment| Piece { text: comment.text, line: comment.line }).collect();
    let literals = source.literals.iter().filter(|literal| {
        literal.text.starts_with('"')
            && !source.is_test(literal.token)
            && words(literal.text).count() >= WORDS_MIN
    });
    pieces.extend(literals.map(|literal| Piece { text: literal.text, line: literal.line }));
    pieces
}

/// What is wrong in `text`, each with the number of lines before it.
fn problems(text: &str) -> Vec<(usize, String)> {
    let mut found = wording::problems(text);
    for (at, word) in words(text) {
        if let Some(message) = spelling::problem(word) {
            found.push((at, message));
        }
    }
    found.into_iter().map(|(at, message)| (text[..at].matches('\n').count(), message)).collect()
}

/// The words of `text` with their places, but for what is code, an address, a name or a number: in
/// backticks, with an inner capital, with digits or underscores, or joined by `/`, `.`, `:` or `@`.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '_' | '/' | ':' | '@' | '.');
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let c = rest.chars().next()?;
            if c == '`' {
                in_code = !in_code;
            }
            if rest.starts_with("\n\n") {
                in_code = false; // a lone backtick reaches to the end of its paragraph at most
            }
            if c == '\\' {
                // An escape does not begin a word.
                at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            if !is_inner(c) {
                at += c.len_utf8();
                continue;
            }
            let len = rest.find(|c| !is_inner(c)).unwrap_or(rest.len());
            let start = at;
            at += len;
            let word = rest[..len].trim_matches(['\'', '.', ':', '/']);
            let word = word.strip_suffix("'s").unwrap_or(word);
            let is_plain = word.len() > 2
                && word.chars().all(|c| c.is_alphabetic() || c == '\'')
                && !word.chars().skip(1).any(char::is_uppercase);
            if is_plain && !in_code {
                return Some((start, word));
            }
        }
    })
}
