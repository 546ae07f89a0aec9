//! The dialect of regular expressions that pre-tokenizers are written in, and a matcher for it.
//!
//! Models publish how they cut text to words as a regular expression. Here those expressions are
//! data, compiled when a tokenizer is made. The dialect is what the published ones need: `|`,
//! `(?:…)`, `(?i:…)`, classes with `\p{…}` and one `&&[…]`, `\s \d \S \r \n \t`, `? * + {m,n}`,
//! possessive `?+ *+ ++`, and `(?=…)` `(?!…)`. What it does *not* have: captures, anchors, back
//! references, and backtracking into a repeated group (a group takes its first match for good; a
//! single character class gives back greedily).
//!
//! The matcher recurses over the pattern, never over the text, and each published pattern does
//! work linear in the text; [`Matcher::steps`] counts that work for the tests.

mod parse;
mod set;

pub(crate) use set::CharSet;

/// A compiled expression: alternatives, tried in order.
#[derive(Debug)]
pub(crate) struct Pattern {
    alternatives: Vec<Vec<Node>>,
    /// Bit i of entry c: alternative i may begin with the ASCII character c. Entry 128: with any
    /// other character.
    first: Box<[u32; 129]>,
}

/// One step of an alternative.
#[derive(Debug)]
enum Node {
    /// `min` to `max` characters of a set.
    Chars { set: CharSet, min: u32, max: u32, possessive: bool },
    /// `min` to `max` times the first alternative that matches.
    Group { alternatives: Vec<Vec<Node>>, min: u32, max: u32 },
    /// What comes next must (not) match.
    Look { alternatives: Vec<Vec<Node>>, negative: bool },
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Panics
    /// If the expression is not of the dialect. Expressions are constants of this crate, and a test
    /// compiles each.
    pub fn new(expression: &str) -> Self {
        let alternatives = parse::parse(expression);
        assert!(alternatives.len() <= 32, "at most 32 alternatives: {expression}");
        let mut first = Box::new([0u32; 129]);
        for (i, nodes) in alternatives.iter().enumerate() {
            for c in 0..=128u8 {
                let probe = if c < 128 { Some(char::from(c)) } else { None };
                if may_begin(nodes, probe) {
                    first[c as usize] |= 1 << i;
                }
            }
        }
        Pattern { alternatives, first }
    }
}

/// Whether `nodes` could match text that begins with `c` (`None`: with any non-ASCII character).
/// Errs on the side of true.
fn may_begin(nodes: &[Node], c: Option<char>) -> bool {
    for node in nodes {
        match node {
            Node::Chars { set, min, .. } => {
                if c.is_none_or(|c| set.contains(c)) {
                    return true;
                }
                if *min > 0 {
                    return false;
                }
            }
            Node::Group { alternatives, min, .. } => {
                if alternatives.iter().any(|nodes| may_begin(nodes, c)) {
                    return true;
                }
                if *min > 0 {
                    return false;
                }
            }
            Node::Look { .. } => {}
        }
    }
    true
}

/// Finds matches in one piece of text, counting its steps.
pub(crate) struct Matcher<'t> {
    text: &'t str,
    /// Nodes entered and characters looked at so far.
    pub steps: u64,
}

impl<'t> Matcher<'t> {
    pub fn new(text: &'t str) -> Self {
        Matcher { text, steps: 0 }
    }

    /// The end of the match that begins at byte `at`, if one of at least one character does.
    pub fn match_at(&mut self, pattern: &Pattern, at: usize) -> Option<usize> {
        let lead = *self.text.as_bytes().get(at)?;
        let mut candidates = pattern.first[usize::from(lead.min(128))];
        while candidates != 0 {
            let i = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            match self.sequence(&pattern.alternatives[i], at) {
                Some(end) if end > at => return Some(end),
                _ => {}
            }
        }
        None
    }

    fn char_at(&mut self, at: usize) -> Option<char> {
        self.steps += 1;
        match self.text.as_bytes().get(at) {
            Some(&ascii @ 0..=127) => Some(char::from(ascii)),
            Some(_) => self.text[at..].chars().next(),
            None => None,
        }
    }

    fn char_before(&self, at: usize) -> usize {
        self.text[..at].chars().next_back().map_or(at, |c| at - c.len_utf8())
    }

    fn first_of(&mut self, alternatives: &[Vec<Node>], at: usize) -> Option<usize> {
        alternatives.iter().find_map(|nodes| self.sequence(nodes, at))
    }

    fn sequence(&mut self, nodes: &[Node], at: usize) -> Option<usize> {
        self.steps += 1;
        let Some((node, rest)) = nodes.split_first() else { return Some(at) };
        match node {
            Node::Chars { set, min, max, possessive } => {
                self.characters(set, (*min, *max), *possessive, rest, at)
            }
            Node::Group { alternatives, min, max } => {
                self.group(alternatives, (*min, *max), rest, at)
            }
            Node::Look { alternatives, negative } => {
                if self.first_of(alternatives, at).is_some() == *negative {
                    return None;
                }
                self.sequence(rest, at)
            }
        }
    }

    /// As many characters as there are, then the rest; on failure one fewer, and so on.
    fn characters(
        &mut self,
        set: &CharSet,
        (min, max): (u32, u32),
        possessive: bool,
        rest: &[Node],
        at: usize,
    ) -> Option<usize> {
        let mut end = at;
        let mut n = 0;
        while n < max {
            match self.char_at(end) {
                Some(c) if set.contains(c) => end += c.len_utf8(),
                _ => break,
            }
            n += 1;
        }
        if n < min {
            return None;
        }
        if rest.is_empty() {
            return Some(end);
        }
        loop {
            if let Some(found) = self.sequence(rest, end) {
                return Some(found);
            }
            if n == min || possessive {
                return None;
            }
            end = self.char_before(end);
            n -= 1;
        }
    }

    fn group(
        &mut self,
        alternatives: &[Vec<Node>],
        (min, max): (u32, u32),
        rest: &[Node],
        at: usize,
    ) -> Option<usize> {
        if max == 1 {
            for nodes in alternatives {
                if let Some(end) = self.sequence(nodes, at)
                    && let Some(found) = self.sequence(rest, end)
                {
                    return Some(found);
                }
            }
            return if min == 0 { self.sequence(rest, at) } else { None };
        }
        let mut end = at;
        let mut n = 0;
        while n < max {
            match self.first_of(alternatives, end) {
                Some(next) if next > end => end = next,
                _ => break,
            }
            n += 1;
        }
        if n < min { None } else { self.sequence(rest, end) }
    }
}

#[cfg(test)]
mod tests;
