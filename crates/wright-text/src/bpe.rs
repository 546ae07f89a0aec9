//! BPE: words of known symbols, merged by the rank of their pairs.
//!
//! Two forms. Byte-level: every byte is a symbol, words come from a pre-tokenizer. Character-level
//! (Gemma 4): every character is a symbol, a space is written `▁` in the file, lines are the words
//! (or what stands between white space), and what the vocabulary lacks falls back to byte tokens.

use crate::merge::{Merge, Merger, NO_ID, Symbol};
use crate::pretokenizer::Pretokenizer;
use crate::spec::{SARVAM, WHITESPACE};
use crate::vocabulary::{Vocabulary, mix};
use crate::{Algorithm, Spec, byte_level};
use std::borrow::Cow;

/// Merges by pair, and the ids of single bytes.
#[derive(Debug)]
pub(crate) struct Bpe {
    ranks: Ranks,
    /// Token of each byte, or [`NO_ID`].
    bytes: Box<[u32; 256]>,
    words: Words,
    unk: Option<u32>,
}

/// What a text is cut to before merging.
#[derive(Debug)]
enum Words {
    /// Byte symbols within the words of a rule.
    Rule(Pretokenizer),
    /// Character symbols within lines and runs of newlines.
    Lines {
        /// Such a run is one token if there is one: the merges do not say so.
        whole_newlines: bool,
    },
    /// Character symbols between white space, which is dropped.
    Segments { lowercase: bool },
}

impl Words {
    /// Those of a vocabulary of characters.
    fn of_characters(spec: &Spec) -> Self {
        match spec.pre {
            WHITESPACE => Words::Segments { lowercase: spec.lowercase.unwrap_or(false) },
            pre => Words::Lines { whole_newlines: pre != SARVAM },
        }
    }
}

impl Bpe {
    /// Reads the merges. Those whose parts or result are not text tokens can never apply and are
    /// left out.
    ///
    /// `byte_tokens` are the `<0xHH>` tokens; without a rule in `words`, symbols are characters.
    pub fn new(
        spec: &Spec,
        vocabulary: &Vocabulary,
        byte_tokens: &[u32; 256],
        words: Option<Pretokenizer>,
    ) -> Self {
        let mut ranks = Ranks::with_capacity(spec.merges.len());
        let byte_level = spec.algorithm == Algorithm::ByteBpe;
        let mut pair = Vec::new();
        let mut guess = 0;
        for (rank, merge) in spec.merges.iter().enumerate() {
            let Some(mid) = write_pair(merge, byte_level, &mut pair) else { continue };
            let (Some(left), Some(right)) =
                (vocabulary.find(&pair[..mid]), vocabulary.find(&pair[mid..]))
            else {
                continue;
            };
            // Tokens mostly stand in the order of the merges that make them.
            guess += 1;
            let Some(id) = vocabulary.find_near(&pair, guess) else { continue };
            guess = id;
            ranks.insert(left, right, Merge { priority: rank as u32, id });
        }
        let mut bytes = Box::new(*byte_tokens);
        if byte_level {
            for byte in 0..=255u8 {
                bytes[usize::from(byte)] = vocabulary.find(&[byte]).unwrap_or(NO_ID);
            }
        }
        let words = words.map_or_else(|| Words::of_characters(spec), Words::Rule);
        Bpe { ranks, bytes, words, unk: spec.unk }
    }

    /// Appends the tokens of `text`, in which no special token is looked for.
    pub fn encode(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        match &self.words {
            Words::Rule(rule) => {
                let mut merges = 0;
                let steps = rule.split(text, &mut |word| {
                    self.byte_word(vocabulary, word.as_bytes(), rule.ignore_merges, merger, out);
                    merges += 1;
                });
                merger.steps += steps + merges;
            }
            Words::Lines { whole_newlines } => {
                let text = spaced(text, false);
                let mut rest = &text[..];
                while let Some(first) = rest.chars().next() {
                    let inside = |c: char| (c == '\n') == (first == '\n');
                    let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
                    let whole = first == '\n' && *whole_newlines;
                    self.char_word(vocabulary, &rest[..end], whole, merger, out);
                    rest = &rest[end..];
                }
            }
            Words::Segments { lowercase } => {
                for segment in text.split_whitespace() {
                    let segment = spaced(segment, false);
                    let segment = match lowercase {
                        // Letter by letter, as the reference does.
                        true => segment.chars().flat_map(char::to_lowercase).collect(),
                        false => segment,
                    };
                    self.char_word(vocabulary, &segment, false, merger, out);
                }
            }
        }
    }

    fn byte_word(
        &self,
        vocabulary: &Vocabulary,
        word: &[u8],
        whole: bool,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        if whole && let Some(id) = vocabulary.find(word) {
            out.push(id);
            return;
        }
        merger.symbols.clear();
        merger.symbols.extend((0u32..).zip(word).map(|(i, &byte)| Symbol {
            id: self.bytes[usize::from(byte)],
            start: i,
            end: i + 1,
        }));
        merger.run(|l, r| self.ranks.get(l.id, r.id));
        for symbol in &merger.symbols {
            match symbol.id {
                NO_ID => out.extend(self.unk),
                id => out.push(id),
            }
        }
    }

    fn char_word(
        &self,
        vocabulary: &Vocabulary,
        word: &str,
        whole: bool,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        if whole && let Some(id) = vocabulary.find(word.as_bytes()) {
            out.push(id);
            return;
        }
        merger.symbols.clear();
        merger.symbols.extend(word.char_indices().map(|(i, c)| {
            let end = i + c.len_utf8();
            let id = vocabulary.find(&word.as_bytes()[i..end]).unwrap_or(NO_ID);
            Symbol { id, start: i as u32, end: end as u32 }
        }));
        merger.run(|l, r| self.ranks.get(l.id, r.id));
        for symbol in &merger.symbols {
            if symbol.id != NO_ID {
                out.push(symbol.id);
                continue;
            }
            for &byte in &word.as_bytes()[symbol.start as usize..symbol.end as usize] {
                match self.bytes[usize::from(byte)] {
                    NO_ID => out.extend(self.unk),
                    id => out.push(id),
                }
            }
        }
    }
}

/// Writes the two parts of `merge` one after the other, as text; the length of the first.
fn write_pair(merge: &[u8], byte_level: bool, out: &mut Vec<u8>) -> Option<usize> {
    // The first part may itself begin with a space.
    let space = 1 + merge.get(1..)?.iter().position(|&byte| byte == b' ')?;
    let (left, right) = (&merge[..space], &merge[space + 1..]);
    out.clear();
    if !byte_level {
        unescape_spaces(left, out);
        let mid = out.len();
        unescape_spaces(right, out);
        return Some(mid);
    }
    let decoded = byte_level::decode(left, out);
    let mid = out.len();
    (decoded && byte_level::decode(right, out)).then_some(mid)
}

/// `text` with a space for each `▁`, which the vocabulary cannot tell apart, and maybe one before.
pub(crate) fn spaced(text: &str, prefix: bool) -> Cow<'_, str> {
    match (prefix, text.contains('▁')) {
        (false, false) => Cow::Borrowed(text),
        (true, false) => Cow::Owned(format!(" {text}")),
        (false, true) => Cow::Owned(text.replace('▁', " ")),
        (true, true) => Cow::Owned(format!(" {}", text.replace('▁', " "))),
    }
}

/// Appends `text` with a space for each `▁`.
pub(crate) fn unescape_spaces(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match rest.strip_prefix("▁".as_bytes()) {
            Some(tail) => {
                out.push(b' ');
                rest = tail;
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
}

/// An open-addressed table from pairs of ids to what they merge to.
#[derive(Debug)]
struct Ranks {
    /// (power of two): left, right, merge; left [`NO_ID`] marks a free slot.
    slots: Vec<(u32, u32, Merge)>,
}

impl Ranks {
    fn with_capacity(n: usize) -> Self {
        let free = (NO_ID, NO_ID, Merge { priority: 0, id: 0 });
        Ranks { slots: vec![free; (n * 2).next_power_of_two().max(2)] }
    }

    fn slot(&self, left: u32, right: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = mix(u64::from(left) << 32 | u64::from(right)) as usize & mask;
        loop {
            let (l, r, _) = self.slots[slot];
            if l == NO_ID || (l, r) == (left, right) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a pair; the first of two equal pairs, which ranks better, stays.
    fn insert(&mut self, left: u32, right: u32, merge: Merge) {
        let slot = self.slot(left, right);
        if self.slots[slot].0 == NO_ID {
            self.slots[slot] = (left, right, merge);
        }
    }

    fn get(&self, left: u32, right: u32) -> Option<Merge> {
        if left == NO_ID || right == NO_ID {
            return None;
        }
        let (l, _, merge) = self.slots[self.slot(left, right)];
        (l != NO_ID).then_some(merge)
    }
}
