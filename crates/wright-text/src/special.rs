//! Tokens that are found whole in a text: a trie over their bytes; and what tokens mean by name.

use crate::families;

/// Finds the longest of a set of texts at each position.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// Node 0 is the root; children of a node are a chain of siblings.
    nodes: Vec<Node>,
    /// Whether a text begins with this byte.
    begins: Vec<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    byte: u8,
    /// Token that ends here, plus one; 0 if none does.
    id: u32,
    first_child: u32,
    next_sibling: u32,
}

const NONE: u32 = 0;

impl Finder {
    pub fn new<'a>(tokens: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let root = Node { byte: 0, id: 0, first_child: NONE, next_sibling: NONE };
        let mut finder = Finder { nodes: vec![root], begins: vec![false; 256] };
        for (text, id) in tokens.filter(|(text, _)| !text.is_empty()) {
            finder.begins[usize::from(text[0])] = true;
            let mut node = 0;
            for &byte in text {
                node = match finder.child(node, byte) {
                    Some(child) => child,
                    None => finder.add_child(node, byte),
                };
            }
            finder.nodes[node].id = id + 1;
        }
        finder
    }

    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let mut child = self.nodes[node].first_child;
        while child != NONE {
            if self.nodes[child as usize].byte == byte {
                return Some(child as usize);
            }
            child = self.nodes[child as usize].next_sibling;
        }
        None
    }

    fn add_child(&mut self, node: usize, byte: u8) -> usize {
        let next_sibling = self.nodes[node].first_child;
        self.nodes.push(Node { byte, id: 0, first_child: NONE, next_sibling });
        let child = self.nodes.len() - 1;
        self.nodes[node].first_child = child as u32;
        child
    }

    /// The longest text that `bytes` begins with: its length and token.
    pub fn prefix(&self, bytes: &[u8]) -> Option<(usize, u32)> {
        let mut node = 0;
        let mut found = None;
        for (i, &byte) in bytes.iter().enumerate() {
            match self.child(node, byte) {
                Some(child) => node = child,
                None => break,
            }
            if let Some(id) = self.nodes[node].id.checked_sub(1) {
                found = Some((i + 1, id));
            }
        }
        found
    }

    /// The first match at or after `from`, the longest of those: its start, end and token.
    pub fn find(&self, text: &str, from: usize) -> Option<(usize, usize, u32)> {
        let bytes = text.as_bytes();
        (from..bytes.len()).filter(|&at| self.begins[usize::from(bytes[at])]).find_map(|at| {
            let (len, id) = self.prefix(&bytes[at..])?;
            Some((at, at + len, id))
        })
    }

    /// As [`Finder::find`] among text in which `marker` breaks names that are data. A name of one
    /// character cannot be broken: between two markers on either side it is data.
    pub fn find_structure(
        &self,
        text: &str,
        from: usize,
        marker: Option<char>,
    ) -> Option<(usize, usize, u32)> {
        let mut at = from;
        loop {
            let (start, end, id) = self.find(text, at)?;
            let Some(marker) = marker else { return Some((start, end, id)) };
            let pair: String = [marker, marker].iter().collect();
            let single = text[start..end].chars().count() == 1;
            if !(single && text[..start].ends_with(&pair) && text[end..].starts_with(&pair)) {
                return Some((start, end, id));
            }
            at = end;
        }
    }

    /// Whether `bytes` is the beginning of a text of the set, or all of it.
    pub fn begins_with(&self, bytes: &[u8]) -> bool {
        bytes.iter().try_fold(0, |node, &byte| self.child(node, byte)).is_some()
    }
}

/// Texts of code models' tokens at which generation ends: what a model writes after code that it
/// filled in, or before the next file. Those of chats are in [`families`].
const CODE_ENDS: &[&str] = &[
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Texts of tokens around a gap to fill: structure, even where a file calls them text.
const FILL: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
];

/// Texts of tokens at which generation ends, whatever the metadata say.
fn ends() -> impl Iterator<Item = &'static str> {
    families::end_tokens().chain(CODE_ENDS.iter().copied())
}

/// Whether a token of this text ends generation.
pub(crate) fn is_end(text: &[u8]) -> bool {
    ends().any(|end| end.as_bytes() == text)
}

/// Whether a token of this text is structure even if the file does not say so.
pub(crate) fn is_structure(text: &[u8]) -> bool {
    // Most tokens of a vocabulary begin otherwise, and loading asks for each.
    matches!(text, [b'<' | b'[' | b'_' | 0xe2, ..])
        && (is_end(text) || FILL.iter().any(|fill| fill.as_bytes() == text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_structure() {
        assert!(ends().chain(FILL.iter().copied()).all(|name| is_structure(name.as_bytes())));
        assert!(!is_structure(b"") && !is_structure(b"<") && !is_structure("▁a".as_bytes()));
    }

    #[test]
    fn leftmost_and_longest() {
        let texts = ["<a>", "<a><b>", "b", "▁▁"];
        let finder = Finder::new((0u32..).zip(texts).map(|(i, text)| (text.as_bytes(), i)));
        assert_eq!(finder.find("x<a><b>b", 0), Some((1, 7, 1)));
        assert_eq!(finder.find("x<a><c>b", 0), Some((1, 4, 0)));
        assert_eq!(finder.find("x<a><c>b", 4), Some((7, 8, 2)));
        assert_eq!(finder.find("▁_▁▁", 0), Some((4, 10, 3)));
        assert_eq!(finder.find("<a", 0), None);
        assert!(finder.begins_with(b"<a") && finder.begins_with(b"<a>") && finder.begins_with(b""));
        assert!(!finder.begins_with(b"<b"));
        assert_eq!(Finder::new(std::iter::empty()).find("abc", 0), None);
    }
}
