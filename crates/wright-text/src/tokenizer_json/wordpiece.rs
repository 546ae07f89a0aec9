//! WordPiece (BERT): GGUF writes pieces that begin a word with `▁` before them, and those that go
//! on without the `##` that tokenizer.json has.

use super::TokenizerJsonError::{self, Unsupported};
use super::{File, Pieces, steps};
use std::collections::HashMap;

pub(super) fn read(
    file: &File,
    ids: &HashMap<String, u32>,
    n_vocab: usize,
) -> Result<Pieces, TokenizerJsonError> {
    let (lowercase, strip_accents) = normalizer(file)?;
    if file.model.continuing_subword_prefix.as_deref().unwrap_or("##") != "##" {
        return Err(Unsupported("marks continuation pieces with something other than ##".into()));
    }
    for step in steps(&file.pre_tokenizer, "pretokenizers") {
        if step["type"] != "BertPreTokenizer" {
            return Err(Unsupported(format!("splits text with {}", step["type"])));
        }
    }
    let mut pieces = Pieces { model: "bert", lowercase, strip_accents, ..Pieces::default() };
    pieces.fill(file, ids.iter().map(|(text, &id)| (id, text.as_str())), n_vocab)?;
    for (token, kind) in pieces.tokens.iter_mut().zip(&pieces.token_type) {
        *token = match token.strip_prefix("##") {
            _ if *kind == 3 => continue,
            Some(rest) => rest.to_owned(),
            None => format!("▁{token}"),
        };
    }
    Ok(pieces)
}

/// Whether letters become small and accents go.
fn normalizer(file: &File) -> Result<(bool, bool), TokenizerJsonError> {
    let step = &file.normalizer;
    let flag = |key: &str| step[key].as_bool();
    if step["type"] != "BertNormalizer" {
        return Err(Unsupported(format!("normalizes text with {}", step["type"])));
    }
    if flag("clean_text") == Some(false) || flag("handle_chinese_chars") == Some(false) {
        return Err(Unsupported(
            "keeps control characters, or does not separate Chinese ones".into(),
        ));
    }
    let lowercase = flag("lowercase").unwrap_or(true);
    Ok((lowercase, flag("strip_accents").unwrap_or(lowercase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bert(normalizer: &str) -> String {
        format!(
            r###"{{"model":{{"type":"WordPiece","unk_token":"[UNK]",
            "continuing_subword_prefix":"##","vocab":{{"[UNK]":0,"a":1,"##b":2}}}},
            "normalizer":{normalizer},
            "pre_tokenizer":{{"type":"BertPreTokenizer"}},
            "added_tokens":[{{"id":0,"content":"[UNK]","special":true}}]}}"###
        )
    }

    #[test]
    fn pieces_of_words_are_written_as_gguf_has_them() {
        let text = bert(r#"{"type":"BertNormalizer","lowercase":true,"strip_accents":null}"#);
        let pieces = Pieces::read(&text, 4).unwrap();
        assert_eq!((pieces.model, pieces.lowercase, pieces.strip_accents), ("bert", true, true));
        assert_eq!(pieces.tokens, ["[UNK]", "▁a", "b", "▁[PAD3]"]);
        assert_eq!(pieces.token_type, [3, 1, 1, 5]);
        let cased = bert(r#"{"type":"BertNormalizer","lowercase":false}"#);
        assert!(!Pieces::read(&cased, 4).unwrap().strip_accents);
        assert!(matches!(Pieces::read(&bert(r#"{"type":"NFC"}"#), 4), Err(Unsupported(_))));
    }
}
