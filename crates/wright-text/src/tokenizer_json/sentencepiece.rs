//! SentencePiece's `tokenizer.model`: a message of Protocol Buffers, of which the pieces, the kind
//! and the normalizer are read (`sentencepiece_model.proto`).

use super::TokenizerJsonError::{self, Unsupported, Wrong};
use super::{Pieces, TOKENS_MAX};

/// A field's value on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
    Fixed64,
}

/// Fields of a message, in order, with their numbers.
struct Fields<'a>(&'a [u8]);

fn cut_short() -> TokenizerJsonError {
    Wrong("tokenizer.model is truncated or not a SentencePiece model".into())
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, TokenizerJsonError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Wire::Fixed64
            }
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| cut_short())?;
                Wire::Bytes(self.take(len)?)
            }
            5 => Wire::Fixed32(self.take(4)?.try_into().map_err(|_| cut_short())?),
            _ => return Err(cut_short()),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], TokenizerJsonError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits per byte, the lowest first, of at most 64.
    fn varint(&mut self) -> Result<u64, TokenizerJsonError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 127).wrapping_shl(shift);
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(cut_short())
    }
}

/// What of the file matters beside pieces.
struct About {
    /// 1 Unigram, 2 BPE, 3 words, 4 characters.
    kind: u64,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    charsmap: Vec<u8>,
}

pub(super) fn read(file: &[u8], n_vocab: usize) -> Result<Pieces, TokenizerJsonError> {
    let mut pieces = Pieces::default();
    let mut about = About {
        kind: 1,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        charsmap: Vec::new(),
    };
    let mut fields = Fields(file);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Bytes(piece)) => read_piece(piece, &mut pieces)?,
            (2, Wire::Bytes(trainer)) => read_trainer(trainer, &mut about)?,
            (3, Wire::Bytes(normalizer)) => read_normalizer(normalizer, &mut about)?,
            _ => {}
        }
    }
    let n = pieces.tokens.len();
    if n == 0 || n > n_vocab {
        return Err(Wrong(format!("it has {n} pieces, for a model of {n_vocab}")));
    }
    pieces.tokens.extend((n..n_vocab).map(|id| format!("[PAD{id}]")));
    pieces.token_type.resize(n_vocab, 5);
    pieces.scores.resize(n_vocab, -10_000.0);
    pieces.add_space_prefix = about.add_dummy_prefix;
    match about.kind {
        1 => {
            pieces.model = "t5";
            pieces.remove_extra_whitespaces = about.remove_extra_whitespaces;
            pieces.charsmap = about.charsmap;
        }
        2 if !about.charsmap.is_empty() => {
            return Err(Unsupported("replaces characters before merging them".into()));
        }
        2 => pieces.model = "llama",
        _ => return Err(Unsupported("consists of words or characters".into())),
    }
    Ok(pieces)
}

/// A piece: 1 its text, 2 its score, 3 what it is, in GGUF's own numbers.
fn read_piece(message: &[u8], pieces: &mut Pieces) -> Result<(), TokenizerJsonError> {
    let (mut text, mut score, mut kind) = ("", 0.0f32, 1);
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => {
                let wrong = |_| Wrong("a piece is not valid UTF-8".into());
                text = std::str::from_utf8(bytes).map_err(wrong)?;
            }
            (2, Wire::Fixed32(bytes)) => score = f32::from_le_bytes(bytes),
            (3, Wire::Number(n)) => kind = n,
            _ => {}
        }
    }
    if !score.is_finite() || !(1..=6).contains(&kind) || pieces.tokens.len() >= TOKENS_MAX {
        return Err(Wrong(format!("piece {} is missing", pieces.tokens.len())));
    }
    pieces.tokens.push(text.to_owned());
    pieces.scores.push(score);
    pieces.token_type.push(kind as i32);
    Ok(())
}

fn read_trainer(message: &[u8], about: &mut About) -> Result<(), TokenizerJsonError> {
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        if let (3, Wire::Number(kind)) = (number, value) {
            about.kind = kind;
        }
    }
    Ok(())
}

fn read_normalizer(message: &[u8], about: &mut About) -> Result<(), TokenizerJsonError> {
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Wire::Bytes(charsmap)) => about.charsmap = charsmap.to_vec(),
            (3, Wire::Number(flag)) => about.add_dummy_prefix = flag != 0,
            (4, Wire::Number(flag)) => about.remove_extra_whitespaces = flag != 0,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, bytes.len() as u8];
        out.extend(bytes);
        out
    }

    fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
        let mut message = field(1, text.as_bytes());
        message.push(2 << 3 | 5);
        message.extend(score.to_le_bytes());
        message.extend([3 << 3, kind]);
        field(1, &message)
    }

    /// Three pieces, and a kind, and a normalizer.
    fn file(kind: u8, normalizer: &[u8]) -> Vec<u8> {
        let mut file = piece("<unk>", 0.0, 2);
        file.extend(piece("<0x41>", 0.0, 6));
        file.extend(piece("▁a", -1.0, 1));
        file.extend(field(2, &[3 << 3, kind]));
        file.extend(field(3, normalizer));
        file
    }

    #[test]
    fn pieces_scores_and_kinds_are_read() {
        let mut pieces = Pieces::read_sentencepiece(&file(2, &[3 << 3, 0]), 5).unwrap();
        assert_eq!((pieces.model, pieces.add_space_prefix), ("llama", false));
        assert_eq!(pieces.tokens, ["<unk>", "<0x41>", "▁a", "[PAD3]", "[PAD4]"]);
        assert_eq!(pieces.token_type, [2, 6, 1, 5, 5]);
        assert_eq!(pieces.scores, [0.0, 0.0, -1.0, -10_000.0, -10_000.0]);
        pieces.add(3, "<|end|>", true).unwrap();
        assert_eq!((pieces.tokens[3].as_str(), pieces.token_type[3]), ("<|end|>", 3));
        assert!(pieces.add(9, "x", true).is_err());
        let unigram = Pieces::read_sentencepiece(&file(1, &field(2, b"map")), 5).unwrap();
        assert_eq!((unigram.model, unigram.charsmap.as_slice()), ("t5", &b"map"[..]));
    }

    #[test]
    fn foreign_or_truncated_files_are_rejected() {
        let whole = file(2, &[]);
        assert!(matches!(Pieces::read_sentencepiece(&whole, 2), Err(Wrong(_))), "too small");
        for end in 0..whole.len() {
            // Between two fields a shorter file is a sound one of fewer pieces.
            let _ = Pieces::read_sentencepiece(&whole[..end], 5);
        }
        for odd in [&b""[..], b"{}", &[255; 12], &field(1, &[10, 9, 1])] {
            assert!(Pieces::read_sentencepiece(odd, 5).is_err(), "{odd:?}");
        }
        let mapped = file(2, &field(2, b"map"));
        assert!(matches!(Pieces::read_sentencepiece(&mapped, 5), Err(Unsupported(_))));
        assert!(matches!(Pieces::read_sentencepiece(&file(3, &[]), 5), Err(Unsupported(_))));
    }
}
