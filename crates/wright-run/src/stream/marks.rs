//! Marks found in a text that is still growing.

/// What a look for marks has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The mark of this index begins at this byte.
    Mark { at: usize, index: usize },
    /// None is before this byte; what follows may become one.
    Until(usize),
}

/// The first of `marks` in `text` from byte `from` on, the longest of those that begin together.
/// More text may follow unless `ended`.
pub(super) fn first(text: &str, from: usize, marks: &[&str], ended: bool) -> Found {
    for (skipped, _) in text[from..].char_indices() {
        let at = from + skipped;
        let rest = &text[at..];
        let begins = |mark: &&str| !ended && mark.len() > rest.len() && mark.starts_with(rest);
        // One that is longer goes before one that is there.
        if marks.iter().any(begins) {
            return Found::Until(at);
        }
        let there = marks.iter().enumerate().filter(|(_, mark)| rest.starts_with(**mark));
        if let Some((index, _)) = there.max_by_key(|(_, mark)| mark.len()) {
            return Found::Mark { at, index };
        }
    }
    Found::Until(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_longest_is_found_and_a_beginning_is_waited_for() {
        let marks = ["<a>", "<a><b>", "é"];
        let find = |text, ended| first(text, 0, &marks, ended);
        assert_eq!(find("x<a>é", false), Found::Mark { at: 1, index: 0 });
        assert_eq!(find("x<a><", false), Found::Until(1));
        assert_eq!(find("x<a><", true), Found::Mark { at: 1, index: 0 });
        assert_eq!(find("x<a><b>", false), Found::Mark { at: 1, index: 1 });
        assert_eq!(find("<<", false), Found::Until(1));
        assert_eq!(find("<<", true), Found::Until(2));
        assert_eq!(first("<a> <a>", 1, &marks, true), Found::Mark { at: 4, index: 0 });
    }
}
