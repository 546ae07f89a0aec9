//! Rust source, seen as tokens and comments with their lines, and which lines are test code.
//!
//! This is a scanner, not a parser: it knows where strings, characters, lifetimes and comments
//! begin and end, and matches brackets. That is all the rules need, and it compiles at once.

use super::tree::Tree;
use std::collections::BTreeSet;

/// A word (identifier, keyword or number) or one character of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    /// From 1.
    pub line: usize,
}

/// One comment, without its slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// One string literal as it stands in the source, with its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal<'a> {
    pub text: &'a str,
    pub line: usize,
    /// The index of its token.
    pub token: usize,
}

/// A scanned Rust file.
#[derive(Debug)]
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
    pub tokens: Vec<Token<'a>>,
    pub comments: Vec<Comment<'a>>,
    pub literals: Vec<Literal<'a>>,
    /// Token ranges `[from, to)` that only a test build compiles.
    test_ranges: Vec<(usize, usize)>,
    /// The whole file is test code.
    pub is_test_file: bool,
}

impl<'a> Source<'a> {
    pub fn scan(path: &'a str, text: &'a str) -> Self {
        let Scanned { tokens, comments, literals } = scan(text);
        let (test_ranges, is_test_file) = (test_ranges(&tokens), is_test_path(path));
        Self { path, text, tokens, comments, literals, test_ranges, is_test_file }
    }

    /// Whether only a test build compiles the token with this index.
    pub fn is_test(&self, index: usize) -> bool {
        self.is_test_file || self.test_ranges.iter().any(|&(a, b)| (a..b).contains(&index))
    }

    /// The text of the token with this index, or nothing past the end.
    pub fn word(&self, index: usize) -> &'a str {
        self.tokens.get(index).map_or("", |t| t.text)
    }

    /// The index just past the bracket that closes the one at `open`.
    pub fn after_bracket(&self, open: usize) -> usize {
        after_bracket(&self.tokens, open)
    }

    /// Names of modules declared as `#[cfg(test)] mod name;`.
    fn test_modules(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.test_ranges.iter().filter_map(|&(from, to)| {
            let item = &self.tokens[from..to];
            match item {
                [.., Token { text: "mod", .. }, name, Token { text: ";", .. }] => Some(name.text),
                _ => None,
            }
        })
    }
}

/// Scans every Rust file, and marks those that a `#[cfg(test)] mod name;` elsewhere makes tests.
pub fn read_all(tree: &Tree) -> Vec<Source<'_>> {
    let rust = tree.iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources: Vec<Source<'_>> = rust.map(|(path, text)| Source::scan(path, text)).collect();
    let mut test_stems = BTreeSet::new();
    for source in &sources {
        for name in source.test_modules() {
            test_stems.insert(format!("{}/{name}", module_folder(source.path)));
        }
    }
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.is_test_file |= test_stems.iter().any(|t| {
            stem == t || stem.strip_prefix(t.as_str()).is_some_and(|s| s.starts_with('/'))
        });
    }
    sources
}

/// The folder in which a file's child modules lie.
fn module_folder(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    }
}

fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    file == "tests.rs" || parts.any(|p| matches!(p, "tests" | "benches" | "examples"))
}

/// What a file consists of.
struct Scanned<'a> {
    tokens: Vec<Token<'a>>,
    comments: Vec<Comment<'a>>,
    literals: Vec<Literal<'a>>,
}

/// Splits `text` into tokens, comments and string literals.
fn scan(text: &str) -> Scanned<'_> {
    let (mut tokens, mut comments, mut literals) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    let mut line = 1;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            let len = rest.find('\n').unwrap_or(rest.len());
            comments.push(Comment { text: rest[..len].trim_start_matches(['/', '!']), line });
            len
        } else if rest.starts_with("/*") {
            let len = block_comment_len(rest);
            comments.push(Comment { text: &rest[..len], line });
            len
        } else if let Some(len) = string_len(rest) {
            literals.push(Literal { text: &rest[..len], line, token: tokens.len() });
            tokens.push(Token { text: "\"", line });
            len
        } else if c == '\'' {
            char_len(rest)
        } else if is_word(c) {
            let raw = if rest.starts_with("r#") { 2 } else { 0 };
            let word = &rest[raw..];
            let len = word.find(|c| !is_word(c)).unwrap_or(word.len());
            tokens.push(Token { text: &word[..len], line });
            raw + len
        } else {
            if !c.is_whitespace() {
                tokens.push(Token { text: &rest[..c.len_utf8()], line });
            }
            c.len_utf8()
        };
        line += rest[..len].matches('\n').count();
        at += len;
    }
    Scanned { tokens, comments, literals }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the (nesting) block comment that `rest` starts with.
fn block_comment_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of the string literal, plain or raw, with any prefix, that `rest` starts with.
fn string_len(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let prefix = bytes.iter().take(2).take_while(|b| matches!(b, b'b' | b'c' | b'r')).count();
    let raw = prefix > 0 && bytes[prefix - 1] == b'r';
    let hashes = bytes[prefix..].iter().take_while(|&&b| b == b'#').count();
    let open = prefix + hashes;
    if bytes.get(open) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    if raw {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = open + 1;
        return Some(rest[body..].find(&close).map_or(rest.len(), |i| body + i + close.len()));
    }
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    Some(rest.len())
}

/// Length of the character literal or lifetime that `rest` starts with.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let body = at + escaped.len_utf8();
            rest[body..].find('\'').map_or(rest.len(), |i| body + i + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1),
    }
}

fn after_bracket(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Ranges of tokens from a `#[test]` or `#[cfg(test)]` to the end of the item below it.
fn test_ranges(tokens: &[Token<'_>]) -> Vec<(usize, usize)> {
    let word = |i: usize| tokens.get(i).map_or("", |t| t.text);
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if word(at) != "#" || word(at + 1) != "[" {
            at += 1;
            continue;
        }
        let end = after_bracket(tokens, at + 1);
        let attribute: Vec<&str> = tokens[at + 2..end].iter().map(|t| t.text).collect();
        let tests = match attribute.first() {
            Some(&"test") => true,
            Some(&"cfg") => attribute.contains(&"test") && !attribute.contains(&"not"),
            _ => false,
        };
        if !tests {
            at = end;
            continue;
        }
        let past = after_item(tokens, end);
        ranges.push((at, past));
        at = past;
    }
    ranges
}

/// The index just past the item that starts at `from`, other attributes included.
fn after_item(tokens: &[Token<'_>], from: usize) -> usize {
    let mut at = from;
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "{" => return after_bracket(tokens, at),
            "(" | "[" => at = after_bracket(tokens, at),
            _ => at += 1,
        }
    }
    tokens.len()
}
