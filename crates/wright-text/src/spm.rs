//! SentencePiece's BPE: characters merge to the piece of the best score; no merges are written.
//!
//! Text is worked on with plain spaces, which the vocabulary's pieces were given in place of `▁`
//! when they were read. Two neighbours may merge when their text together is a piece, so any
//! piece can be reached, whatever pieces it is made of. A character without a piece falls back to
//! its bytes.

use crate::Spec;
use crate::merge::{Merge, Merger, NO_ID, Symbol};
use crate::vocabulary::Vocabulary;

/// Priorities of the pieces, and the ids of single bytes.
#[derive(Debug)]
pub(crate) struct Spm {
    /// (n_vocab): the score as a number that sorts best first.
    priorities: Vec<u32>,
    /// Token of each byte, or [`NO_ID`].
    bytes: Box<[u32; 256]>,
    unk: Option<u32>,
    /// No piece has a space after something else: text may be cut before such a space, and the
    /// parts merge as the whole would.
    words: bool,
}

impl Spm {
    pub fn new(spec: &Spec, vocabulary: &Vocabulary, byte_tokens: &[u32; 256]) -> Self {
        let priorities = spec.scores.iter().map(|&score| priority(score)).collect();
        let words =
            (0..vocabulary.len() as u32).filter(|&id| vocabulary.is_registered(id)).all(|id| {
                vocabulary.bytes(id).windows(2).all(|pair| pair[0] == b' ' || pair[1] != b' ')
            });
        Spm { priorities, bytes: Box::new(*byte_tokens), unk: spec.unk, words }
    }

    /// Appends the tokens of `text`, in which no special token is looked for.
    pub fn encode(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        merger: &mut Merger,
        out: &mut Vec<u32>,
    ) {
        if !self.words {
            self.word(vocabulary, text, merger, out);
            return;
        }
        let bytes = text.as_bytes();
        let mut start = 0;
        for i in 1..bytes.len() {
            if bytes[i] == b' ' && bytes[i - 1] != b' ' {
                self.word(vocabulary, &text[start..i], merger, out);
                start = i;
            }
        }
        self.word(vocabulary, &text[start..], merger, out);
    }

    fn word(&self, vocabulary: &Vocabulary, word: &str, merger: &mut Merger, out: &mut Vec<u32>) {
        let bytes = word.as_bytes();
        merger.symbols.clear();
        merger.symbols.extend(word.char_indices().map(|(i, c)| {
            let end = i + c.len_utf8();
            let id = vocabulary.find(&bytes[i..end]).unwrap_or(NO_ID);
            Symbol { id, start: i as u32, end: end as u32 }
        }));
        merger.run(|left, right| {
            let id = vocabulary.find(&bytes[left.start as usize..right.end as usize])?;
            Some(Merge { priority: self.priorities[id as usize], id })
        });
        for symbol in &merger.symbols {
            if symbol.id != NO_ID {
                out.push(symbol.id);
                continue;
            }
            let known = |&byte: &u8| self.bytes[usize::from(byte)] != NO_ID;
            let text = match &bytes[symbol.start as usize..symbol.end as usize] {
                b" " => "▁".as_bytes(),
                text => text,
            };
            if text.iter().all(known) {
                out.extend(text.iter().map(|&byte| self.bytes[usize::from(byte)]));
            } else {
                out.extend(self.unk);
            }
        }
    }
}

/// A number that is lower the higher the score is. NaN, which only a damaged file has, comes last.
fn priority(score: f32) -> u32 {
    if score.is_nan() {
        return u32::MAX;
    }
    // -0.0 and 0.0 are the same score.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_sort_scores_best_first() {
        let scores = [f32::INFINITY, 3.5, 1e-30, 0.0, -1e-30, -1.0, -1000.0, f32::NEG_INFINITY];
        for pair in scores.windows(2) {
            assert!(priority(pair[0]) < priority(pair[1]), "{pair:?}");
        }
        assert_eq!(priority(0.0), priority(-0.0));
        assert_eq!(priority(f32::NAN), u32::MAX);
    }
}
