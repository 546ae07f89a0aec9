//! Files, functions and lines stay short enough to be read.

use super::Violation;
use super::marks::Marks;
use super::source::Source;
use super::tree::Tree;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

pub fn check(tree: &Tree, sources: &[Source<'_>], marks: &Marks<'_>, found: &mut Vec<Violation>) {
    for (path, text) in tree.iter().filter(|(path, _)| is_program(path)) {
        if !path.ends_with(".rs") {
            check_file(path, text, false, found);
        }
        check_lines(path, text, marks, found);
    }
    for source in sources {
        let head = head_lines(source);
        let excepted = too_long(source.text) && marks.except("long", source.path, 1, head);
        check_file(source.path, source.text, excepted, found);
        check_functions(source, marks, found);
    }
}

/// Files that people write by hand and run: prose and data may be wide.
fn is_program(path: &str) -> bool {
    let suffix = path.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    matches!(suffix, "rs" | "py" | "cpp" | "h" | "sh") || path == ".ci/run"
}

fn too_long(text: &str) -> bool {
    text.lines().count() > FILE_LINES_MAX
}

fn check_file(path: &str, text: &str, excepted: bool, found: &mut Vec<Violation>) {
    if too_long(text) && !excepted {
        let n = text.lines().count();
        let message = format!(
            "the file has {n} lines, and {FILE_LINES_MAX} are allowed: \
             split it, or say why not at its head (`// tidy: long: reason`)"
        );
        found.push(Violation::new(path, 0, "file length", message));
    }
}

fn check_lines(path: &str, text: &str, marks: &Marks<'_>, found: &mut Vec<Violation>) {
    for (i, line) in text.lines().enumerate() {
        let n = line.chars().count();
        if n > LINE_CHARS_MAX && !marks.except("wide", path, i.max(1), i + 1) {
            let message = format!("the line has {n} characters, and {LINE_CHARS_MAX} are allowed");
            found.push(Violation::new(path, i + 1, "line length", message));
        }
    }
}

/// The line before the first item of the file; a marker for the whole file stands above it.
fn head_lines(source: &Source<'_>) -> usize {
    let mut at = 0;
    while source.word(at) == "#" && source.word(at + 1) == "!" {
        at = source.after_bracket(at + 2);
    }
    source.tokens.get(at).map_or(usize::MAX, |t| t.line.saturating_sub(1))
}

fn check_functions(source: &Source<'_>, marks: &Marks<'_>, found: &mut Vec<Violation>) {
    for (i, token) in source.tokens.iter().enumerate() {
        let name = source.word(i + 1);
        if token.text != "fn" || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue; // `fn(u32)`, a type
        }
        let Some(last) = body_end(source, i + 2) else { continue };
        let n = source.tokens[last].line + 1 - token.line;
        if n <= FUNCTION_LINES_MAX {
            continue;
        }
        if marks.except("long", source.path, comment_start(source.text, token.line), token.line) {
            continue;
        }
        let message = format!(
            "`{name}` has {n} lines, and {FUNCTION_LINES_MAX} are allowed: \
             split it, or say why not above it (`// tidy: long: reason`)"
        );
        found.push(Violation::new(source.path, token.line, "function length", message));
    }
}

/// The index of the brace that closes the body of the function whose parameters begin at or after
/// `from`, or nothing if it has no body.
fn body_end(source: &Source<'_>, from: usize) -> Option<usize> {
    let mut at = from;
    while at < source.tokens.len() {
        match source.word(at) {
            ";" => return None,
            "{" => return Some(source.after_bracket(at) - 1),
            "(" | "[" => at = source.after_bracket(at),
            _ => at += 1,
        }
    }
    None
}

/// The first of the comment and attribute lines that stand directly above `line`.
fn comment_start(text: &str, line: usize) -> usize {
    let lines: Vec<&str> = text.lines().take(line - 1).collect();
    let above = lines.iter().rev().take_while(|l| {
        let l = l.trim_start();
        l.starts_with("//") || l.starts_with("#[")
    });
    line - above.count()
}
