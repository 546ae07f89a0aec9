//! Filters for low-quality text, inspired by Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and
//! FineWeb (Penedo et al. 2024), but far more lenient.
//!
//! They do not depend on a language: no word lists, no English word lengths. The limits are set so
//! that text written by people for people passes; a wrong filter can be disabled with one option.

use crate::words::{mix, shingles};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The reason why a document was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    ExactDuplicate,
    NearDuplicate,
    TooShort,
    NoLetters,
    MostlyDigits,
    MostlySymbols,
    Unbroken,
    Mojibake,
    RepeatedLines,
    RepeatedPhrases,
    Boilerplate,
}

/// Fewer letters and digits are not a document.
const LETTERS_MIN: usize = 16;
/// Parts of what is not blank.
const DIGITS_MAX: f64 = 0.6;
const LETTERS_AND_DIGITS_MIN: f64 = 0.4;
/// Characters without a blank that are not a word any more, where a script has spaces.
const WORD_MAX: usize = 100;
const UNBROKEN_MAX: f64 = 0.5;
const MOJIBAKE_MAX: f64 = 0.02;
/// Parts of a document's bytes in lines that were there before, and of runs of ten words that were.
const REPEATED_LINES_MAX: f64 = 0.6;
const REPEATED_PHRASES_MAX: f64 = 0.6;
const PHRASE_WORDS: usize = 10;

impl Reason {
    pub const ALL: [Reason; 11] = [
        Reason::ExactDuplicate,
        Reason::NearDuplicate,
        Reason::TooShort,
        Reason::NoLetters,
        Reason::MostlyDigits,
        Reason::MostlySymbols,
        Reason::Unbroken,
        Reason::Mojibake,
        Reason::RepeatedLines,
        Reason::RepeatedPhrases,
        Reason::Boilerplate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reason::ExactDuplicate => "exact-duplicate",
            Reason::NearDuplicate => "near-duplicate",
            Reason::TooShort => "too-short",
            Reason::NoLetters => "no-letters",
            Reason::MostlyDigits => "mostly-digits",
            Reason::MostlySymbols => "mostly-symbols",
            Reason::Unbroken => "unbroken",
            Reason::Mojibake => "mojibake",
            Reason::RepeatedLines => "repeated-lines",
            Reason::RepeatedPhrases => "repeated-phrases",
            Reason::Boilerplate => "boilerplate",
        }
    }

    /// Its meaning, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Reason::ExactDuplicate => "identical to an earlier document",
            Reason::NearDuplicate => {
                "four fifths of its five-word sequences occur in an earlier \
                                      document"
            }
            Reason::TooShort => "fewer than 16 letters and digits",
            Reason::NoLetters => "no letters of any script",
            Reason::MostlyDigits => "more than 60% digits",
            Reason::MostlySymbols => "less than 40% letters and digits",
            Reason::Unbroken => "more than half of it in words longer than 100 characters",
            Reason::Mojibake => "more than 2% broken or control characters",
            Reason::RepeatedLines => "more than 60% in repeated lines",
            Reason::RepeatedPhrases => "more than 60% of its ten-word sequences repeated",
            Reason::Boilerplate => "only paragraphs that earlier documents contain",
        }
    }
}

/// Counts of characters.
#[derive(Debug, Default)]
struct Counts {
    seen: usize,
    letters: usize,
    digits: usize,
    broken: usize,
    /// Characters in words that are too long.
    unbroken: usize,
}

impl Counts {
    fn of(text: &str) -> Counts {
        let mut counts = Counts::default();
        let mut word = 0;
        let mut before = ' ';
        for c in text.chars() {
            if c.is_whitespace() {
                counts.unbroken += if word > WORD_MAX { word } else { 0 };
                word = 0;
            } else {
                counts.seen += 1;
                // Scripts from here on write without spaces.
                word += usize::from(u32::from(c) < 0x0e00);
                if c.is_alphabetic() {
                    counts.letters += 1;
                } else if c.is_numeric() {
                    counts.digits += 1;
                }
                counts.broken += usize::from(is_broken(before, c));
            }
            before = c;
        }
        counts.unbroken += if word > WORD_MAX { word } else { 0 };
        counts
    }
}

/// Whether a character is what remains of another: U+FFFD, a control character, or one of the
/// pairs that UTF-8 gives when it is read as Windows-1252.
fn is_broken(before: char, c: char) -> bool {
    let pair = matches!(before, 'Ã' | 'Â' | 'â' | 'Ð' | 'Ñ')
        && matches!(
            c,
            '\u{80}'
                ..='\u{bf}'
                    | '€'
                    | '‚'
                    | 'ƒ'
                    | '„'
                    | '…'
                    | '†'
                    | '‡'
                    | 'ˆ'
                    | '‰'
                    | 'Š'
                    | '‹'
                    | 'Œ'
                    | 'Ž'
                    | '‘'
                    | '’'
                    | '“'
                    | '”'
                    | '•'
                    | '–'
                    | '—'
                    | '˜'
                    | '™'
                    | 'š'
                    | '›'
                    | 'œ'
                    | 'ž'
                    | 'Ÿ'
        );
    pair || c == char::REPLACEMENT_CHARACTER || (c.is_control() && c != '\u{1b}')
}

/// The reason to drop a text, if there is one.
///
/// ```
/// use wright_data::quality::{Reason, judge};
///
/// assert_eq!(judge("Hi."), Some(Reason::TooShort));
/// let sentences = "The fox looked up at the grapes and thought of the long way home that day. \
///     Nobody in the village had seen so fine a bunch before, and each wanted to be the first.";
/// assert_eq!(judge(sentences), None);
/// ```
pub fn judge(text: &str) -> Option<Reason> {
    let counts = Counts::of(text);
    let part = |n: usize| n as f64 / counts.seen.max(1) as f64;
    let checks = [
        (counts.letters + counts.digits < LETTERS_MIN, Reason::TooShort),
        (counts.letters == 0, Reason::NoLetters),
        (part(counts.broken) > MOJIBAKE_MAX, Reason::Mojibake),
        (part(counts.digits) > DIGITS_MAX, Reason::MostlyDigits),
        (part(counts.letters + counts.digits) < LETTERS_AND_DIGITS_MIN, Reason::MostlySymbols),
        (part(counts.unbroken) > UNBROKEN_MAX, Reason::Unbroken),
    ];
    if let Some((_, reason)) = checks.into_iter().find(|(is_so, _)| *is_so) {
        return Some(reason);
    }
    if repeated_lines(text) > REPEATED_LINES_MAX {
        return Some(Reason::RepeatedLines);
    }
    (repeated_phrases(text) > REPEATED_PHRASES_MAX).then_some(Reason::RepeatedPhrases)
}

/// Whether a text has very few letters and digits.
pub fn is_too_short(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).take(LETTERS_MIN).count() < LETTERS_MIN
}

/// The part of the bytes that are in lines which stand above, too.
fn repeated_lines(text: &str) -> f64 {
    let mut seen = HashSet::new();
    let (mut all, mut repeated) = (0, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        all += line.len();
        let hash = line.bytes().fold(line.len() as u64, mix_byte);
        if !seen.insert(hash) {
            repeated += line.len();
        }
    }
    repeated as f64 / all.max(1) as f64
}

fn mix_byte(sum: u64, byte: u8) -> u64 {
    (sum.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The part of the runs of ten words that came before. In a long text a sixteenth of the runs
/// stands for all: the same ones wherever they occur. Where far fewer than that are found, there
/// are hardly any different ones.
fn repeated_phrases(text: &str) -> f64 {
    let stride = if text.len() > 1 << 18 { 16 } else { 1 };
    let mut seen = HashSet::new();
    let (mut all, mut sampled, mut repeated) = (0usize, 0usize, 0usize);
    for phrase in shingles(text, PHRASE_WORDS) {
        all += 1;
        if mix(phrase).is_multiple_of(stride) {
            sampled += 1;
            repeated += usize::from(!seen.insert(phrase));
        }
    }
    if sampled * 4 * (stride as usize) < all {
        return 1.0;
    }
    repeated as f64 / sampled.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_written_by_people_is_kept() {
        let haiku = "An old silent pond.\nA frog jumps into the pond.\nSplash! Silence again.";
        let refrain = "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily,\n\
            merrily, merrily,\nLife is but a dream.\nRow, row, row your boat,\nGently down the \
            stream.\nIf you see a crocodile,\nDon't forget to scream.";
        let code = "fn main() {\n    let x = [1, 2, 3];\n    println!(\"{:?}\", &x[..2]);\n}\n";
        let texts = [
            haiku,
            refrain,
            code,
            "昔々あるところにおじいさんとおばあさんが住んでいました。",
            "एक समय की बात है, एक जंगल में एक शेर रहता था।",
            "กาลครั้งหนึ่งนานมาแล้ว มีหมาจิ้งจอกตัวหนึ่งเดินผ่านมา",
            "Жила-была лиса, и увидела она виноград.",
            "| a | b |\n|---|---|\n| one fox | two grapes |\n",
            "Ângela vê a maçã — “é boa”, diz ela à mãe. Ça va, Noël?",
        ];
        for text in texts {
            assert_eq!(judge(text), None, "{text}");
        }
    }

    #[test]
    fn low_quality_text_is_dropped() {
        let cases = [
            ("Hi there.".to_owned(), Reason::TooShort),
            ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15".to_owned(), Reason::NoLetters),
            ("a 1234567890 2345678901 3456789012".to_owned(), Reason::MostlyDigits),
            (
                "+---+---+---+\n| o | x | x | abc def ghi jkl mno |\n".to_owned() + &"=".repeat(60),
                Reason::MostlySymbols,
            ),
            ("QmFzZTY0".repeat(200), Reason::Unbroken),
            ("FranÃ§ois a Ã©tÃ© trÃ¨s fÃ¢chÃ©.".to_owned(), Reason::Mojibake),
            ("The same line again.\n".repeat(20), Reason::RepeatedLines),
            (
                "one two three four five six seven eight nine ten eleven ".repeat(20),
                Reason::RepeatedPhrases,
            ),
        ];
        for (text, reason) in cases {
            assert_eq!(judge(&text), Some(reason), "{text}");
        }
    }

    #[test]
    fn every_reason_has_the_name_that_json_gives_it() {
        for reason in Reason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.name()));
        }
    }
}
