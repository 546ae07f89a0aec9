//! The vocabulary that goes with a trained model, for its exports.
//!
//! Either a tokenizer.json of the byte-level BPE kind, passed through and also written as GGUF
//! metadata; or plain bytes (ids 0 to 255, and 256 between documents), which needs no tokenizer;
//! or none. It turns no text into ids.

use crate::Error;
use crate::gguf_file::Entry;
use serde_json::{Map, Value, json};

/// The id that ends a document of plain bytes.
pub const END_OF_BYTES: u32 = 256;
const END: &str = "<|end|>";

/// What ids mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Vocabulary {
    /// Nobody said; exports carry no tokenizer.
    None,
    /// Ids are bytes, and 256 ends a document.
    Bytes,
    /// A tokenizer.json of byte-level BPE.
    Json(Value),
}

/// A byte as GPT-2's byte-level BPE writes it: printable ones as they are, others from U+0100 on.
fn letter(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !plain(b)).count() as u32;
    char::from_u32(0x100 + before).expect("below the surrogates")
}

impl Vocabulary {
    /// Reads a tokenizer.json.
    ///
    /// # Errors
    /// If it is no byte-level BPE that GGUF can hold, or has more tokens than `n_vocab`.
    pub fn from_json(text: &str, n_vocab: usize) -> Result<Vocabulary, Error> {
        let fail = |why: String| Error::Config(format!("the tokenizer cannot be used: {why}"));
        let json: Value = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
        if json["model"]["type"] != "BPE" || !json["model"]["vocab"].is_object() {
            return Err(fail("it is not of the BPE kind".into()));
        }
        let vocabulary = Vocabulary::Json(json);
        match vocabulary.tokens().iter().map(|t| t.0).max() {
            Some(most) if most as usize >= n_vocab => {
                Err(fail(format!("it has token {most}, and the model a vocabulary of {n_vocab}")))
            }
            Some(_) => Ok(vocabulary),
            None => Err(fail("it has no tokens".into())),
        }
    }

    /// (id, text, whether it is a control token)
    fn tokens(&self) -> Vec<(u32, String, bool)> {
        let Vocabulary::Json(json) = self else {
            let bytes = (0..=255u8).map(|b| (u32::from(b), letter(b).to_string(), false));
            return bytes.chain([(END_OF_BYTES, END.to_owned(), true)]).collect();
        };
        let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let plain = json["model"]["vocab"].as_object().into_iter().flatten();
        let mut all: Vec<(u32, String, bool)> =
            plain.filter_map(|(text, id)| Some((number(id)?, text.clone(), false))).collect();
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            let (Some(id), Some(text)) = (number(&added["id"]), added["content"].as_str()) else {
                continue;
            };
            all.retain(|token| token.0 != id);
            all.push((id, text.to_owned(), added["special"] == true));
        }
        all
    }

    /// The token that ends a document or an answer.
    pub fn end(&self) -> Option<u32> {
        const NAMES: [&str; 5] = ["<|im_end|>", "<|endoftext|>", "</s>", "<eos>", END];
        let tokens = if *self == Vocabulary::None { Vec::new() } else { self.tokens() };
        let id = |name: &&str| tokens.iter().find(|t| t.2 && t.1 == **name).map(|t| t.0);
        NAMES.iter().find_map(id)
    }

    /// Metadata of a GGUF for a model of `n_vocab` tokens.
    pub fn entries(&self, n_vocab: usize) -> Vec<(String, Entry)> {
        let key = |key: &str| format!("tokenizer.ggml.{key}");
        if *self == Vocabulary::None {
            return vec![(key("model"), Entry::Str("no_vocab".into()))];
        }
        let mut texts: Vec<String> = (0..n_vocab).map(|i| format!("[UNUSED{i}]")).collect();
        // ggml's token types: 1 normal, 3 control, 5 unused.
        let mut kinds = vec![5; n_vocab];
        for (id, text, control) in self.tokens() {
            texts[id as usize] = text;
            kinds[id as usize] = if control { 3 } else { 1 };
        }
        let mut all = vec![
            (key("model"), Entry::Str("gpt2".into())),
            (key("pre"), Entry::Str("gpt-2".into())),
            (key("tokens"), Entry::Strs(texts)),
            (key("token_type"), Entry::I32s(kinds)),
            (key("merges"), Entry::Strs(self.merges())),
            (key("add_bos_token"), Entry::Bool(false)),
        ];
        if let Some(end) = self.end() {
            all.push((key("bos_token_id"), Entry::U32(end)));
            all.push((key("eos_token_id"), Entry::U32(end)));
        }
        all
    }

    /// "a b" for each merge; newer files write ["a", "b"].
    fn merges(&self) -> Vec<String> {
        let Vocabulary::Json(json) = self else { return Vec::new() };
        let one = |merge: &Value| match merge {
            Value::String(text) => Some(text.clone()),
            Value::Array(pair) => {
                Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?))
            }
            _ => None,
        };
        json["model"]["merges"].as_array().into_iter().flatten().filter_map(one).collect()
    }

    /// tokenizer.json
    pub fn json(&self) -> Option<Value> {
        match self {
            Vocabulary::None => None,
            Vocabulary::Json(json) => Some(json.clone()),
            Vocabulary::Bytes => {
                let vocab: Map<String, Value> =
                    (0..=255u8).map(|b| (letter(b).to_string(), json!(b))).collect();
                let level = json!({
                    "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": true,
                });
                let end = json!({
                    "id": END_OF_BYTES, "content": END, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true,
                });
                Some(json!({
                    "version": "1.0", "truncation": null, "padding": null,
                    "added_tokens": [end], "normalizer": null, "pre_tokenizer": level,
                    "post_processor": null, "decoder": level,
                    "model": {
                        "type": "BPE", "dropout": null, "unk_token": null,
                        "continuing_subword_prefix": null, "end_of_word_suffix": null,
                        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                        "vocab": vocab, "merges": [],
                    },
                }))
            }
        }
    }
}

/// Plain text as ids: its bytes, then the end.
pub fn byte_ids(text: &[u8]) -> Vec<u32> {
    text.iter().map(|&b| u32::from(b)).chain([END_OF_BYTES]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let mut all: Vec<char> = (0..=255).map(letter).collect();
        assert_eq!((letter(b'A'), letter(b' '), letter(b'\n')), ('A', 'Ġ', 'Ċ'));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn a_tokenizer_file_becomes_metadata() {
        let text = r#"{"added_tokens":[{"id":3,"content":"<|endoftext|>","special":true}],
            "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#;
        let vocabulary = Vocabulary::from_json(text, 5).unwrap();
        let entries = vocabulary.entries(5);
        let find = |key: &str| &entries.iter().find(|e| e.0.ends_with(key)).unwrap().1;
        assert_eq!(find("merges"), &Entry::Strs(vec!["a b".into()]));
        assert_eq!(find("token_type"), &Entry::I32s(vec![1, 1, 1, 3, 5]));
        assert_eq!(find("eos_token_id"), &Entry::U32(3));
        assert!(Vocabulary::from_json(text, 3).is_err());
        assert!(Vocabulary::from_json("{}", 3).is_err());
    }
}
