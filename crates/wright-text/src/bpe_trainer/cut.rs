//! Cutting a long text to pieces for threads, where no word is harmed.
//!
//! A pre-tokenizer begins a new word at a space between two ASCII letters, and does not look back
//! across it or ahead over it; a test holds all rules to that which do not say otherwise
//! (`joins_words`).

/// Pieces are cut after about this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// `text` in pieces whose words, one after the other, are those of `text`. A text without places to
/// cut at is one piece.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    pieces_of(text, PIECE_BYTES)
}

fn pieces_of(text: &str, len: usize) -> Vec<&str> {
    let mut all = Vec::with_capacity(text.len() / len + 1);
    let mut rest = text;
    while let Some(at) = space_between_letters(rest.as_bytes(), len) {
        let (piece, tail) = rest.split_at(at);
        all.push(piece);
        rest = tail;
    }
    all.push(rest);
    all
}

/// The first space between two ASCII letters after `from`.
fn space_between_letters(text: &[u8], from: usize) -> Option<usize> {
    let tail = text.get(from..)?;
    let is_place =
        |w: &[u8]| w[0].is_ascii_lowercase() && w[1] == b' ' && w[2].is_ascii_alphabetic();
    Some(from + 1 + tail.windows(3).position(is_place)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretokenizer::{Pretokenizer, names};

    #[test]
    fn no_rule_sees_the_cuts() {
        let parts =
            ["It's", " the end", "\n\n", "  a", " b ", "x", " Y", "1 2", " 'S", "é o", " d\r\n"];
        let mut state = 7u32;
        let mut text = String::new();
        for _ in 0..4_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(parts[(state >> 16) as usize % parts.len()]);
        }
        for name in names() {
            let rule = Pretokenizer::named(name).unwrap();
            if rule.joins_words {
                continue;
            }
            let words = |text: &str| {
                let mut words = Vec::new();
                rule.split(text, &mut |word| words.push(word.to_owned()));
                words
            };
            let pieces = pieces_of(&text, 50);
            assert!(pieces.len() > 100 && pieces.concat() == text);
            let cut: Vec<String> = pieces.iter().flat_map(|piece| words(piece)).collect();
            assert!(cut == words(&text), "{name}");
        }
    }

    #[test]
    fn text_without_spaces_is_one_piece() {
        let text = "漢字".repeat(100);
        assert_eq!(pieces_of(&text, 50), [text.as_str()]);
        assert_eq!(pieces_of("", 50), [""]);
    }
}
