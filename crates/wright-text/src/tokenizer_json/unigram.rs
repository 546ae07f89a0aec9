//! Unigram (XLM-RoBERTa, T5): pieces with the logarithms of their probabilities.

use super::TokenizerJsonError::{self, Unsupported, Wrong};
use super::{File, Pieces, steps};

pub(super) fn read(
    file: &File,
    scores: &[(String, f32)],
    n_vocab: usize,
) -> Result<Pieces, TokenizerJsonError> {
    let mut pieces = Pieces { model: "t5", ..Pieces::default() };
    normalizer(file, &mut pieces)?;
    pre_tokenizer(file, &mut pieces)?;
    let vocab = scores.iter().enumerate().map(|(id, (text, _))| (id as u32, text.as_str()));
    pieces.fill(file, vocab, n_vocab)?;
    pieces.scores = scores.iter().map(|(_, score)| *score).collect();
    if pieces.scores.iter().any(|score| !score.is_finite()) {
        return Err(Wrong("a piece's score is not a number".into()));
    }
    pieces.scores.resize(n_vocab, -10_000.0);
    if let Some(unk) = file.model.unk_id.map(|id| id as usize) {
        let kind = pieces.token_type.get_mut(unk);
        *kind.ok_or_else(|| Wrong(format!("the unknown token {unk} does not exist")))? = 2;
    }
    Ok(pieces)
}

fn normalizer(file: &File, pieces: &mut Pieces) -> Result<(), TokenizerJsonError> {
    for step in steps(&file.normalizer, "normalizers") {
        match step["type"].as_str().unwrap_or_default() {
            "Precompiled" => {
                let text = step["precompiled_charsmap"].as_str().unwrap_or_default();
                let wrong = || Wrong("its table of replacements is not valid base64".into());
                pieces.charsmap = base64(text).ok_or_else(wrong)?;
            }
            "Replace" if step["content"] == " " || step["content"] == "▁" => {
                pieces.remove_extra_whitespaces = true;
            }
            other => return Err(Unsupported(format!("normalizes text with {other}"))),
        }
    }
    Ok(())
}

fn pre_tokenizer(file: &File, pieces: &mut Pieces) -> Result<(), TokenizerJsonError> {
    for step in steps(&file.pre_tokenizer, "pretokenizers") {
        match step["type"].as_str().unwrap_or_default() {
            "WhitespaceSplit" => pieces.remove_extra_whitespaces = true,
            "Metaspace" => {
                let scheme = step["prepend_scheme"].as_str();
                let old = step["add_prefix_space"].as_bool();
                pieces.add_space_prefix = match scheme {
                    Some(scheme) => scheme != "never",
                    None => old.unwrap_or(true),
                };
            }
            other => return Err(Unsupported(format!("splits text with {other}"))),
        }
    }
    Ok(())
}

/// Bytes of base64 (RFC 4648), with or without the signs that fill its end.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut n) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        n += 6;
        if n >= 8 {
            n -= 8;
            bytes.push((bits >> n) as u8);
            bits &= (1 << n) - 1;
        }
    }
    // What is left over is less than a byte, and must be nothing.
    (n < 6 && bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_scores_and_the_table_is_unpacked() {
        let text = r#"{"model":{"type":"Unigram","unk_id":1,
            "vocab":[["<s>",0.0],["<unk>",0.0],["▁a",-1.5]]},
            "normalizer":{"type":"Precompiled","precompiled_charsmap":"AAEC/w=="},
            "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
            {"type":"Metaspace","prepend_scheme":"always"}]},
            "added_tokens":[{"id":0,"content":"<s>","special":true},
            {"id":3,"content":"<mask>","special":true}]}"#;
        let pieces = Pieces::read(text, 5).unwrap();
        assert_eq!((pieces.model, pieces.charsmap.as_slice()), ("t5", &[0, 1, 2, 255][..]));
        assert!(pieces.add_space_prefix && pieces.remove_extra_whitespaces);
        assert_eq!(pieces.tokens, ["<s>", "<unk>", "▁a", "<mask>", "[PAD4]"]);
        assert_eq!(pieces.token_type, [3, 2, 1, 3, 5]);
        assert_eq!(pieces.scores, [0.0, 0.0, -1.5, -10_000.0, -10_000.0]);
        let beyond = text.replace("\"unk_id\":1", "\"unk_id\":9");
        assert!(matches!(Pieces::read(&beyond, 5), Err(Wrong(_))));
        let odd = text.replace("WhitespaceSplit", "Digits");
        assert!(matches!(Pieces::read(&odd, 5), Err(Unsupported(_))));
        let odd = text.replace("AAEC/w==", "A?");
        assert!(matches!(Pieces::read(&odd, 5), Err(Wrong(_))));
        assert!(matches!(Pieces::read(text, 2), Err(Wrong(_))));
    }

    #[test]
    fn base64_of_every_length() {
        assert_eq!(base64("").as_deref(), Some(&b""[..]));
        for (text, bytes) in [("TQ==", "M"), ("TWE=", "Ma"), ("TWFu", "Man"), ("TWFuTQ", "ManM")] {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64("T"), None);
        assert_eq!(base64("T\n"), None);
    }
}
