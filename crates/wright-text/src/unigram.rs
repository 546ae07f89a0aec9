//! SentencePiece's unigram model: of all ways to cut a text into pieces, the most likely.
//!
//! Text is normalized first by the file's own table of replacements (a "precompiled charsmap", a
//! double array over the bytes of what is replaced), and its spaces are put in order. Viterbi's
//! algorithm then finds the cut whose scores sum to the most (Kudo 2018). Pieces are found with
//! plain spaces, which they were given in place of `▁` when they were read.

use crate::vocabulary::Vocabulary;
use crate::{Error, Spec, TokenKind};

/// What an unknown character costs beside the worst piece, as SentencePiece has it.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Scores of pieces and the rules before them.
#[derive(Debug)]
pub(crate) struct Unigram {
    /// (n_vocab): log-probability.
    scores: Vec<f32>,
    unknown_score: f64,
    unk: u32,
    charsmap: Charsmap,
    merges_spaces: bool,
}

impl Unigram {
    /// # Errors
    /// If the table of replacements is truncated.
    pub fn new(spec: &Spec, kinds: &[TokenKind]) -> Result<Unigram, Error> {
        let scores = spec.scores.iter().zip(kinds);
        let normal = scores.clone().filter(|(_, kind)| **kind == TokenKind::Normal);
        let worst = normal.map(|(&score, _)| f64::from(score)).fold(0.0, f64::min);
        // A user-defined piece is always the better choice.
        let of = |(&score, kind): (&f32, &TokenKind)| match kind {
            TokenKind::UserDefined => 0.0,
            _ => score,
        };
        Ok(Unigram {
            scores: scores.map(of).collect(),
            unknown_score: worst - UNKNOWN_PENALTY,
            unk: spec.unk.unwrap_or(2),
            charsmap: Charsmap::parse(&spec.charsmap)?,
            merges_spaces: spec.merge_spaces.unwrap_or(false),
        })
    }

    /// Appends the tokens of `text`, in which no special token is looked for. `prefixed`: a space
    /// goes before.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, prefixed: bool, out: &mut Vec<u32>) {
        let text = self.normalise(text, prefixed);
        let bytes = text.as_bytes();
        // (bytes + 1): the best cut up to here: its last piece, where that begins, and its score.
        let mut best = vec![(self.unk, 0u32, f64::NEG_INFINITY); bytes.len() + 1];
        best[0].2 = 0.0;
        for (at, c) in text.char_indices() {
            let score = best[at].2;
            let mut better = |end: usize, id: u32, cost: f64| {
                if score + cost > best[end].2 {
                    best[end] = (id, at as u32, score + cost);
                }
            };
            let mut is_known = false;
            for end in at + 1..=bytes.len().min(at + vocabulary.len_max()) {
                if !text.is_char_boundary(end) {
                    continue;
                }
                if let Some(id) = vocabulary.find(&bytes[at..end]) {
                    is_known |= end == at + c.len_utf8();
                    better(end, id, f64::from(self.scores[id as usize]));
                }
            }
            if !is_known {
                better(at + c.len_utf8(), self.unk, self.unknown_score);
            }
        }
        let first = out.len();
        let mut at = bytes.len();
        while at > 0 {
            let (id, from, _) = best[at];
            // Unknown characters side by side are one unknown.
            if id != self.unk || out.len() == first || out.last() != Some(&id) {
                out.push(id);
            }
            at = from as usize;
        }
        out[first..].reverse();
    }

    fn normalise(&self, text: &str, prefixed: bool) -> String {
        let mut out = String::with_capacity(text.len() + 1);
        if prefixed && !self.merges_spaces && !text.is_empty() {
            out.push(' ');
        }
        let (mut in_word, mut is_first) = (false, true);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (replaced, len) = match self.charsmap.longest(rest.as_bytes()) {
                // The table works on bytes; a file whose table cuts a character is not followed.
                Some((replaced, len)) if rest.is_char_boundary(len) => (replaced, len),
                _ => (&rest[..c.len_utf8()], c.len_utf8()),
            };
            rest = &rest[len..];
            for c in replaced.chars() {
                match c {
                    ' ' | '▁' => {
                        in_word = false;
                        if !self.merges_spaces {
                            out.push(' ');
                        }
                    }
                    c => {
                        // Words have one space between them, and maybe one before.
                        if !in_word && self.merges_spaces && (prefixed || !is_first) {
                            out.push(' ');
                        }
                        is_first = false;
                        in_word = true;
                        out.push(c);
                    }
                }
            }
        }
        out
    }
}

/// Replacements of byte sequences: an XOR-compressed compact double array (Kanda 2018) and the
/// strings that its leaves point to.
#[derive(Debug, Default)]
struct Charsmap {
    array: Vec<u32>,
    /// Each ends with a zero.
    strings: Vec<u8>,
}

impl Charsmap {
    fn parse(bytes: &[u8]) -> Result<Charsmap, Error> {
        if bytes.is_empty() {
            return Ok(Charsmap::default());
        }
        let split = bytes
            .split_first_chunk::<4>()
            .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
        let (array, strings) = split.ok_or(Error::Charsmap)?;
        let (words, []) = array.as_chunks::<4>() else { return Err(Error::Charsmap) };
        let array = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Ok(Charsmap { array, strings: strings.to_vec() })
    }

    /// The replacement of the longest prefix that has one, and the prefix's length.
    fn longest(&self, text: &[u8]) -> Option<(&str, usize)> {
        let base = |node: u32| (node >> 10) << ((node & 1 << 9) >> 6);
        let mut at = base(*self.array.first()?);
        let mut found = None;
        for (i, &byte) in text.iter().enumerate() {
            at ^= u32::from(byte);
            let Some(&node) = self.array.get(at as usize) else { break };
            if byte == 0 || node & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            at ^= base(node);
            if node >> 8 & 1 == 1 {
                let value = self.array.get(at as usize)? & !(1 << 31);
                found = Some((value as usize, i + 1));
            }
        }
        let (start, len) = found?;
        let string = self.strings.get(start..)?;
        let end = string.iter().position(|&byte| byte == 0)?;
        Some((std::str::from_utf8(&string[..end]).ok()?, len))
    }
}
