//! Tags found in a text that is still growing.

/// What a search for tags has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The tag of this index begins at this byte.
    Tag { at: usize, index: usize },
    /// There is none before this byte; what follows may become one.
    Until(usize),
}

/// The first of `tags` in `text` from byte `from` on, the longest of those that begin together.
/// More text may follow unless `ended`.
pub(super) fn first(text: &str, from: usize, tags: &[&str], ended: bool) -> Found {
    for (skipped, _) in text[from..].char_indices() {
        let at = from + skipped;
        let rest = &text[at..];
        let begins = |tag: &&str| !ended && tag.len() > rest.len() && tag.starts_with(rest);
        // A longer one that may yet follow takes precedence over one that is there.
        if tags.iter().any(begins) {
            return Found::Until(at);
        }
        let there = tags.iter().enumerate().filter(|(_, tag)| rest.starts_with(**tag));
        if let Some((index, _)) = there.max_by_key(|(_, tag)| tag.len()) {
            return Found::Tag { at, index };
        }
    }
    Found::Until(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_longest_is_found_and_a_beginning_is_waited_for() {
        let tags = ["<a>", "<a><b>", "é"];
        let find = |text, ended| first(text, 0, &tags, ended);
        assert_eq!(find("x<a>é", false), Found::Tag { at: 1, index: 0 });
        assert_eq!(find("x<a><", false), Found::Until(1));
        assert_eq!(find("x<a><", true), Found::Tag { at: 1, index: 0 });
        assert_eq!(find("x<a><b>", false), Found::Tag { at: 1, index: 1 });
        assert_eq!(find("<<", false), Found::Until(1));
        assert_eq!(find("<<", true), Found::Until(2));
        assert_eq!(first("<a> <a>", 1, &tags, true), Found::Tag { at: 4, index: 0 });
    }
}
