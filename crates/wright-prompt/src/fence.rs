//! Fenced code in Markdown, by the rules of CommonMark (section 4.5).

/// Which block of code is wanted where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    First,
    Last,
}

/// An open fence: its character, how often it stands there, and how far it is indented.
struct Fence {
    mark: char,
    length: usize,
    indent: usize,
}

/// The code in one fenced block of `text`, without the fences; `None` if there is no block.
///
/// Fences are of backticks or tildes; whatever follows the opening one (a language such as `c++`,
/// attributes) is ignored. A block that is never closed ends with the text.
///
/// ```
/// use wright_prompt::{Which, fenced_code};
/// let answer = "Here:\n```c++ title=\"x\"\nint x;\n```\nor\n~~~\n```\n~~~\n";
/// assert_eq!(fenced_code(answer, Which::First).as_deref(), Some("int x;\n"));
/// assert_eq!(fenced_code(answer, Which::Last).as_deref(), Some("```\n"));
/// assert_eq!(fenced_code("no code", Which::First), None);
/// ```
pub fn fenced_code(text: &str, which: Which) -> Option<String> {
    let mut found = None;
    let mut open: Option<(Fence, String)> = None;
    for line in text.split_inclusive('\n') {
        match &mut open {
            None => open = opening(line).map(|fence| (fence, String::new())),
            Some((fence, _)) if closes(fence, line) => {
                found = open.take().map(|(_, code)| code);
                if which == Which::First {
                    return found;
                }
            }
            Some((fence, code)) => code.push_str(without_indent(line, fence.indent)),
        }
    }
    open.map(|(_, code)| code).or(found)
}

fn indent(line: &str) -> usize {
    line.bytes().take_while(|&byte| byte == b' ').count()
}

/// `line` without up to `most` spaces before it.
fn without_indent(line: &str, most: usize) -> &str {
    &line[indent(line).min(most)..]
}

fn opening(line: &str) -> Option<Fence> {
    let indent = indent(line);
    let rest = &line[indent..];
    let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = rest.chars().take_while(|&c| c == mark).count();
    // Backticks after backticks on one line are code within a line.
    let is_fence = indent < 4 && length >= 3 && (mark == '~' || !rest[length..].contains('`'));
    is_fence.then_some(Fence { mark, length, indent })
}

fn closes(fence: &Fence, line: &str) -> bool {
    let rest = line.trim_end();
    let marks = rest.trim_start_matches(' ');
    indent(rest) < 4 && marks.len() >= fence.length && marks.chars().all(|c| c == fence.mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<String> {
        fenced_code(text, Which::First)
    }

    #[test]
    fn a_fence_is_closed_by_one_that_is_as_long_and_of_the_same_character() {
        assert_eq!(first("````\n```\nx\n```\n````\n").as_deref(), Some("```\nx\n```\n"));
        assert_eq!(first("~~~\n```\n~~~~\n").as_deref(), Some("```\n"));
        assert_eq!(first("```\nx\n``` y\n```\n").as_deref(), Some("x\n``` y\n"));
    }

    #[test]
    fn indented_blocks_lose_the_indent_of_their_fence() {
        assert_eq!(first("  ```py\n    if x:\n y\n  ```\n").as_deref(), Some("  if x:\ny\n"));
        assert_eq!(first("    ```\n    x\n    ```\n"), None, "four spaces are indented code");
    }

    #[test]
    fn what_is_no_block() {
        assert_eq!(first("``` a `b` ```\n"), None);
        assert_eq!(first("``\nx\n``\n"), None);
    }

    #[test]
    fn a_block_that_is_not_closed_ends_with_the_text() {
        assert_eq!(first("```rust\nfn main() {}").as_deref(), Some("fn main() {}"));
        assert_eq!(fenced_code("```\na\n```\n```\nb", Which::Last).as_deref(), Some("b"));
    }
}
