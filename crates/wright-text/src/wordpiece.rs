//! WordPiece, as BERT cuts text: words and punctuation, each into the longest pieces from the left.
//!
//! Normalizing follows the reference (the `tokenizers` crate, `BertNormalizer`): control characters
//! go, CJK characters stand alone, accents go and letters become small where the model was made
//! so. Pieces that begin a word were given a space in front when they were read, in place of the
//! `▁` that GGUF writes; the others have none.

use crate::vocabulary::Vocabulary;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// A word of more characters is unknown as a whole.
const WORD_CHARS_MAX: usize = 100;

/// How words are made of text.
#[derive(Debug)]
pub(crate) struct WordPiece {
    pub lowercase: bool,
    pub strip_accents: bool,
    pub unk: u32,
}

impl WordPiece {
    /// Appends the tokens of `text`, in which no special token is looked for.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, out: &mut Vec<u32>) {
        let text = self.normalise(text);
        for run in text.split(char::is_whitespace).filter(|run| !run.is_empty()) {
            let mut start = 0;
            for (at, c) in run.char_indices().filter(|&(_, c)| is_punctuation(c)) {
                self.word(vocabulary, &run[start..at], out);
                start = at + c.len_utf8();
                self.word(vocabulary, &run[at..start], out);
            }
            self.word(vocabulary, &run[start..], out);
        }
    }

    fn normalise(&self, text: &str) -> String {
        let mut spaced = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            match c {
                '\t' | '\n' | '\r' => spaced.push(' '),
                '\0' | '\u{fffd}' => {}
                c if c.general_category_group() == GeneralCategoryGroup::Other => {}
                c if c.is_whitespace() => spaced.push(' '),
                c if is_cjk(c) => spaced.extend([' ', c, ' ']),
                c => spaced.push(c),
            }
        }
        if self.strip_accents {
            let is_mark = |c: &char| c.general_category() == GeneralCategory::NonspacingMark;
            spaced = spaced.nfd().filter(|c| !is_mark(c)).collect();
        }
        if self.lowercase {
            spaced = spaced.chars().flat_map(char::to_lowercase).collect();
        }
        spaced
    }

    fn word(&self, vocabulary: &Vocabulary, word: &str, out: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let before = out.len();
        if word.chars().count() > WORD_CHARS_MAX {
            out.push(self.unk);
            return;
        }
        let spaced = format!(" {word}");
        let bytes = spaced.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let longest = (at + 1..=bytes.len().min(at + vocabulary.len_max()))
                .rev()
                // A piece is more than the space before the word.
                .filter(|&end| spaced.is_char_boundary(end) && end > 1)
                .find_map(|end| Some((end, vocabulary.find(&bytes[at..end])?)));
            match longest {
                Some((end, id)) => {
                    out.push(id);
                    at = end;
                }
                None => {
                    out.truncate(before);
                    out.push(self.unk);
                    return;
                }
            }
        }
    }
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Ideographs, which BERT takes for words (the blocks of its reference, a gap in one and all).
fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}
