//! The vocabulary that goes with a trained model, for its exports.
//!
//! Either a tokenizer.json of the byte-level BPE kind, passed through and also written as GGUF
//! metadata; or plain bytes (ids 0 to 255, and 256 between documents), which needs no tokenizer;
//! or none. Text becomes ids by `wright-text`, from the same metadata that a GGUF would carry, so
//! that a model meets at run time the ids that it was trained on.

use crate::Error;
use crate::shard::checksum;
use serde_json::{Map, Value, json};
use wright_model::gguf_writer::{Field, GgufHeader};
use wright_text::{Algorithm, Spec, TokenKind, Tokenizer, pretokenizer_of};

/// The id that ends a document of plain bytes.
pub const END_OF_BYTES: u32 = 256;
const END: &str = "<|end|>";

/// What token IDs stand for.
#[derive(Debug, Clone, PartialEq)]
pub enum Vocabulary {
    /// Unknown; exports carry no tokenizer.
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
    /// If it is not a byte-level BPE that GGUF can hold, or has more tokens than `n_vocab`.
    pub fn from_json(text: &str, n_vocab: usize) -> Result<Vocabulary, Error> {
        let fail = |why: String| Error::Config(format!("the tokenizer cannot be used: {why}"));
        let json: Value = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
        if json["model"]["type"] != "BPE" || !json["model"]["vocab"].is_object() {
            return Err(fail("it is not a BPE tokenizer".into()));
        }
        if !json["normalizer"].is_null() {
            return Err(fail(
                "it normalizes text (`normalizer`), which GGUF cannot express".into(),
            ));
        }
        pretokenizer_of(&json).map_err(|e| fail(e.to_string()))?;
        let vocabulary = Vocabulary::Json(json);
        match vocabulary.tokens().iter().map(|t| t.0).max() {
            Some(most) if most as usize >= n_vocab => Err(fail(format!(
                "it has token {most}, but the model has a vocabulary of {n_vocab}"
            ))),
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

    /// How many ids there are: 1 beyond the highest; 0 if nobody said.
    pub fn n_vocab(&self) -> usize {
        let tokens = if *self == Vocabulary::None { Vec::new() } else { self.tokens() };
        tokens.iter().map(|t| t.0 as usize + 1).max().unwrap_or(0)
    }

    /// Bytes of text that each of `n_vocab` ids stands for: none for control tokens and ids
    /// without a text. Empty if nobody said what ids mean.
    pub fn token_bytes(&self, n_vocab: usize) -> Vec<u32> {
        if *self == Vocabulary::None {
            return Vec::new();
        }
        let mut all = vec![0; n_vocab];
        for (id, text, control) in self.tokens() {
            // Byte-level tokens write each byte as a character of its own.
            let n = if control { 0 } else { text.chars().count() as u32 };
            if let Some(bytes) = all.get_mut(id as usize) {
                *bytes = n;
            }
        }
        // Added tokens stand for themselves.
        let Vocabulary::Json(json) = self else { return all };
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            let (Some(id), Some(text)) = (added["id"].as_u64(), added["content"].as_str()) else {
                continue;
            };
            let bytes = usize::try_from(id).ok().and_then(|id| all.get_mut(id));
            if let Some(bytes) = bytes.filter(|_| added["special"] != true) {
                *bytes = text.len() as u32;
            }
        }
        all
    }

    /// What shards remember of the vocabulary that made their ids: equal for equal tokens, kinds
    /// and merges. Never 0, but for no vocabulary.
    pub fn hash(&self) -> u64 {
        if *self == Vocabulary::None {
            return 0;
        }
        let mut tokens = self.tokens();
        tokens.sort_unstable();
        let pre = format!("{} {}", self.pre(), tokens.len());
        let mut sum = checksum(0, pre.as_bytes());
        for (id, text, control) in tokens {
            sum = checksum(sum ^ u64::from(id) << 1 ^ u64::from(control), text.as_bytes());
        }
        let merges = self.merges();
        merges.iter().fold(sum, |sum, merge| checksum(sum, merge.as_bytes())).max(1)
    }

    /// `tokenizer.ggml.pre`
    fn pre(&self) -> &'static str {
        match self {
            Vocabulary::Json(json) => pretokenizer_of(json).unwrap_or("gpt-2"),
            _ => "gpt-2",
        }
    }

    /// What turns text into ids.
    ///
    /// # Errors
    /// If there is no vocabulary, or it contradicts itself.
    pub fn encoder(&self) -> Result<Encoder, Error> {
        match self {
            Vocabulary::None => Err(Error::Config("there is no tokenizer".into())),
            Vocabulary::Bytes => Ok(Encoder { tokenizer: None, end: END_OF_BYTES }),
            Vocabulary::Json(_) => {
                let fail = |why: String| Error::Config(format!("the tokenizer: {why}"));
                let none = "it has no end-of-text token, such as <|endoftext|>";
                let end = self.end().ok_or_else(|| fail(none.into()))?;
                let tokenizer = self.tokenizer().map_err(|e| fail(e.to_string()))?;
                Ok(Encoder { tokenizer: Some(tokenizer), end })
            }
        }
    }

    fn tokenizer(&self) -> Result<Tokenizer, wright_text::Error> {
        let n = self.n_vocab();
        let mut texts = vec![String::new(); n];
        let mut kinds = vec![TokenKind::Unused; n];
        for (id, text, control) in self.tokens() {
            texts[id as usize] = text;
            kinds[id as usize] = if control { TokenKind::Control } else { TokenKind::Normal };
        }
        let merges = self.merges();
        let mut spec = Spec::new(Algorithm::ByteBpe);
        spec.pre = self.pre();
        spec.tokens = texts.iter().map(|text| text.as_bytes()).collect();
        spec.kinds = kinds;
        spec.merges = merges.iter().map(|merge| merge.as_bytes()).collect();
        spec.eos = self.end();
        spec.add_bos = Some(false);
        Tokenizer::new(&spec)
    }

    /// The token that ends a document or an answer, as text.
    pub fn end_text(&self) -> Option<String> {
        let end = self.end()?;
        self.tokens().into_iter().find(|t| t.0 == end).map(|t| t.1)
    }

    /// The token that ends a document or an answer.
    pub fn end(&self) -> Option<u32> {
        const NAMES: [&str; 5] = ["<|im_end|>", "<|endoftext|>", "</s>", "<eos>", END];
        let tokens = if *self == Vocabulary::None { Vec::new() } else { self.tokens() };
        let id = |name: &&str| tokens.iter().find(|t| t.2 && t.1 == **name).map(|t| t.0);
        NAMES.iter().find_map(id)
    }

    /// Adds the vocabulary to the header of a GGUF for a model of `n_vocab` tokens.
    pub fn write_metadata(&self, header: &mut GgufHeader, n_vocab: usize) {
        let mut set =
            |key: &str, field: Field| header.set(&format!("tokenizer.ggml.{key}"), &field);
        if *self == Vocabulary::None {
            return set("model", Field::Str("no_vocab".into()));
        }
        let mut texts: Vec<String> = (0..n_vocab).map(|i| format!("[UNUSED{i}]")).collect();
        // ggml's token types: 1 normal, 3 control, 5 unused.
        let mut kinds = vec![5; n_vocab];
        for (id, text, control) in self.tokens() {
            texts[id as usize] = text;
            kinds[id as usize] = if control { 3 } else { 1 };
        }
        if let Some(end) = self.end() {
            set("bos_token_id", Field::U32(end));
            set("eos_token_id", Field::U32(end));
        }
        set("add_bos_token", Field::Bool(false));
        set("model", Field::Str("gpt2".into()));
        set("pre", Field::Str(self.pre().into()));
        set("merges", Field::Strs(self.merges()));
        set("token_type", Field::I32s(kinds));
        set("tokens", Field::Strs(texts));
    }

    /// A GGUF file of the vocabulary alone, as llama.cpp keeps for its tests.
    pub fn gguf(&self) -> Vec<u8> {
        let mut header = GgufHeader::new();
        header.set("general.architecture", &Field::Str("llama".into()));
        header.set("general.type", &Field::Str("vocab".into()));
        self.write_metadata(&mut header, self.n_vocab());
        header.encode().expect("a file without tensors")
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

/// Turns documents into ids.
pub struct Encoder {
    /// None for plain bytes.
    tokenizer: Option<Tokenizer>,
    end: u32,
}

impl Encoder {
    /// The IDs of a document, followed by the one that ends it. Text never becomes a control token.
    pub fn document(&self, text: &str) -> Vec<u32> {
        let mut ids = match &self.tokenizer {
            Some(tokenizer) => tokenizer.encode(text),
            None => text.bytes().map(u32::from).collect(),
        };
        ids.push(self.end);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wright_model::{Bytes, Gguf};
    use wright_text::bpe_trainer::BpeTrainer;

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
            "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
            "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#;
        let vocabulary = Vocabulary::from_json(text, 5).unwrap();
        let mut header = GgufHeader::new();
        vocabulary.write_metadata(&mut header, 5);
        let file: Arc<dyn Bytes> = Arc::new(header.encode().unwrap());
        let metadata = Gguf::parse(&file).unwrap().metadata;
        let merges: Vec<&[u8]> = metadata.strings("tokenizer.ggml.merges").unwrap().collect();
        assert_eq!(merges, [b"a b"]);
        assert_eq!(metadata.u32s("tokenizer.ggml.token_type"), Some(vec![1, 1, 1, 3, 5]));
        assert_eq!(metadata.u32("tokenizer.ggml.eos_token_id"), Some(3));
        assert_eq!(vocabulary.encoder().unwrap().document("abba"), [2, 1, 0, 3]);
        assert_eq!(Vocabulary::Bytes.encoder().unwrap().document("a"), [97, 256]);
        assert_eq!(vocabulary.token_bytes(5), [1, 1, 2, 0, 0]);
        let more = text.replace("[{", r#"[{"id":4,"content":"né","special":false},{"#);
        assert_eq!(Vocabulary::from_json(&more, 5).unwrap().token_bytes(5), [1, 1, 2, 0, 3]);
        assert_eq!(Vocabulary::Bytes.token_bytes(257)[255..], [1, 0]);
        assert!(Vocabulary::from_json(text, 3).is_err());
        assert!(Vocabulary::from_json("{}", 3).is_err());
        let other = text.replace("ByteLevel", "Metaspace");
        assert!(Vocabulary::from_json(&other, 5).is_err());
    }

    #[test]
    fn a_trained_tokenizer_keeps_the_name_of_its_pretokenizer() {
        for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "gpt-4o", "deepseek-v3"] {
            let mut trainer = BpeTrainer::new(pre, 1).unwrap();
            trainer.feed(&"once upon a time in 1999 ".repeat(4));
            let trained = trainer.train(270, &["<|endoftext|>"]).unwrap();
            let text = trained.json().to_string();
            let vocabulary = Vocabulary::from_json(&text, trained.n_vocab()).unwrap();
            assert_eq!((vocabulary.pre(), vocabulary.end()), (pre, Some(0)));
            assert_eq!(vocabulary.n_vocab(), trained.n_vocab());
            let ids = vocabulary.encoder().unwrap().document("once upon a <|endoftext|>");
            assert_eq!(ids.iter().filter(|&&id| id == 0).count(), 1, "text is only text");
        }
    }

    #[test]
    fn a_hash_tells_vocabularies_apart() {
        let text = r#"{"added_tokens":[{"id":3,"content":"<|endoftext|>","special":true}],
            "pre_tokenizer":{"type":"ByteLevel"},
            "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}"#;
        let hash = |text: &str| Vocabulary::from_json(text, 9).unwrap().hash();
        let spaced = text.replace(",\"model", ", \"model").replace("[\"a\",\"b\"]", "\"a b\"");
        assert_eq!(hash(text), hash(&spaced), "equal in meaning");
        let swapped = text.replace("\"a\":0,\"b\":1", "\"a\":1,\"b\":0");
        let all = [hash(text), hash(&swapped), hash(&text.replace("true", "false"))];
        let more = [Vocabulary::Bytes.hash(), Vocabulary::None.hash()];
        let mut all = [&all[..], &more].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
