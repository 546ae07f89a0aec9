//! `tokenizer.json` (of the Hugging Face library `tokenizers`) as the pieces that GGUF holds.
//!
//! Two kinds are understood: byte-level BPE, whose pre-tokenizer must be one that GGUF has a name
//! for, and BPE over characters with byte fallback, which becomes SentencePiece's form: the score
//! of a piece is how early it is merged. What GGUF could not say is refused, never dropped.

use crate::pretokenizer::name_of;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use thiserror::Error;

/// Tokens, and merges, that are read at most: twice what the largest vocabulary has.
const TOKENS_MAX: usize = 1 << 19;

/// Why a tokenizer.json cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenizerJsonError {
    #[error("tokenizer.json cannot be read: {0}")]
    Json(String),
    #[error("the tokenizer {0}, which a GGUF file cannot say")]
    Unsupported(String),
    #[error("the tokenizer is wrong: {0}")]
    Wrong(String),
}

use TokenizerJsonError::{Json, Unsupported, Wrong};

/// A vocabulary in GGUF's terms, without the keys' prefix `tokenizer.ggml.`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pieces {
    /// `gpt2` or `llama`.
    pub model: &'static str,
    /// Name of the pre-tokenizer, for `gpt2`.
    pub pre: &'static str,
    /// By id.
    pub tokens: Vec<String>,
    /// GGUF's numbers: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_type: Vec<i32>,
    /// For `llama`.
    pub scores: Vec<f32>,
    /// For `gpt2`.
    pub merges: Vec<String>,
    /// For `llama`: whether text gets a space before it.
    pub add_space_prefix: bool,
}

#[derive(Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    unk_token: Option<String>,
}

/// Both ways to write a merge: `"a b"` and `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Joined(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

impl Pieces {
    /// Reads a tokenizer.json for a model whose embedding has `n_vocab` rows; ids that nothing
    /// names are marked unused.
    ///
    /// # Errors
    /// If it is no JSON of that form, of a kind that GGUF has no words for, or has ids beyond
    /// `n_vocab`.
    pub fn read(text: &str, n_vocab: usize) -> Result<Pieces, TokenizerJsonError> {
        if n_vocab == 0 || n_vocab > TOKENS_MAX {
            return Err(Wrong(format!("a vocabulary of {n_vocab}")));
        }
        let file: File = serde_json::from_str(text).map_err(|e| Json(e.to_string()))?;
        if !file.model.kind.is_empty() && file.model.kind != "BPE" {
            return Err(Unsupported(format!("is of the kind {}", file.model.kind)));
        }
        if file.model.vocab.len().max(file.model.merges.len()) > TOKENS_MAX {
            return Err(Wrong("it has more tokens than any vocabulary".into()));
        }
        let is_byte_level = !file.model.byte_fallback;
        let mut pieces = match is_byte_level {
            true => Pieces {
                model: "gpt2",
                pre: pre_tokenizer(
                    &file.normalizer,
                    &file.pre_tokenizer,
                    file.model.ignore_merges,
                )?,
                ..Pieces::default()
            },
            false => Pieces {
                model: "llama",
                add_space_prefix: space_prefix(&file)?,
                ..Pieces::default()
            },
        };
        pieces.fill(&file, n_vocab)?;
        match is_byte_level {
            true => pieces.merges = file.model.merges.iter().map(joined).collect(),
            false => pieces.scores = pieces.scores_of(&file.model.merges),
        }
        Ok(pieces)
    }

    fn fill(&mut self, file: &File, n_vocab: usize) -> Result<(), TokenizerJsonError> {
        let mut all: Vec<Option<(String, i32)>> = vec![None; n_vocab];
        let mut put = |id: u32, text: &str, kind: i32| match all.get_mut(id as usize) {
            Some(slot) => {
                *slot = Some((text.to_owned(), kind));
                Ok(())
            }
            None => Err(Wrong(format!("token {id} is outside of the model's {n_vocab}"))),
        };
        for (text, &id) in &file.model.vocab {
            let is_unknown = file.model.unk_token.as_deref() == Some(text);
            let kind = match file.model.byte_fallback {
                true if is_byte(text) => 6,
                true if is_unknown => 2,
                _ => 1,
            };
            put(id, text, kind)?;
        }
        for added in &file.added_tokens {
            let is_unknown = file.model.unk_token.as_deref() == Some(added.content.as_str());
            let kind = match added.special {
                _ if is_unknown && file.model.byte_fallback => 2,
                true => 3,
                false => 4,
            };
            put(added.id, &added.content, kind)?;
        }
        let unused = |id: usize| (format!("[PAD{id}]"), 5);
        let named = all.into_iter().enumerate().map(|(id, t)| t.unwrap_or_else(|| unused(id)));
        (self.tokens, self.token_type) = named.unzip();
        Ok(())
    }

    /// The earlier a piece is merged, the higher its score.
    fn scores_of(&self, merges: &[Merge]) -> Vec<f32> {
        let mut ranks: HashMap<String, usize> = HashMap::with_capacity(merges.len());
        for (rank, merge) in merges.iter().enumerate() {
            let whole = match merge {
                Merge::Joined(both) => both.replacen(' ', "", 1),
                Merge::Pair(left, right) => format!("{left}{right}"),
            };
            ranks.entry(whole).or_insert(rank);
        }
        let score = |text: &String| ranks.get(text).map_or(-1e6, |&rank| -(rank as f32));
        self.tokens.iter().map(score).collect()
    }
}

fn joined(merge: &Merge) -> String {
    match merge {
        Merge::Joined(both) => both.clone(),
        Merge::Pair(left, right) => format!("{left} {right}"),
    }
}

/// `<0x41>`
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|d| d.len() == 2 && u8::from_str_radix(d, 16).is_ok())
}

/// The steps of a step that may be a sequence of them.
fn steps<'a>(step: &'a Value, key: &str) -> Vec<&'a Value> {
    match step["type"].as_str() {
        None => Vec::new(),
        Some("Sequence") => step[key].as_array().into_iter().flatten().collect(),
        Some(_) => vec![step],
    }
}

/// GGUF's name for what a tokenizer.json of byte-level BPE cuts text by.
///
/// # Errors
/// If text is changed first by something else than NFC, or cut in a way that has no name.
pub fn pretokenizer_of(file: &Value) -> Result<&'static str, TokenizerJsonError> {
    let ignore_merges = file["model"]["ignore_merges"] == true;
    pre_tokenizer(&file["normalizer"], &file["pre_tokenizer"], ignore_merges)
}

fn pre_tokenizer(
    normalizer: &Value,
    pre_tokenizer: &Value,
    ignore_merges: bool,
) -> Result<&'static str, TokenizerJsonError> {
    let normal = steps(normalizer, "normalizers");
    if let Some(step) = normal.iter().find(|step| step["type"] != "NFC") {
        return Err(Unsupported(format!("changes text first by {}", step["type"])));
    }
    let mut patterns: Vec<&str> = Vec::new();
    for step in steps(pre_tokenizer, "pretokenizers") {
        match step["type"].as_str().unwrap_or_default() {
            "ByteLevel" if step["add_prefix_space"] == true => {
                return Err(Unsupported("puts a space before text".into()));
            }
            "ByteLevel" if step["use_regex"].as_bool().unwrap_or(true) => patterns.push("GPT2"),
            "ByteLevel" => {}
            "Digits" if step["individual_digits"].as_bool().unwrap_or(false) => {
                patterns.push("DIGIT");
            }
            "Split" => {
                let regex = step["pattern"]["Regex"].as_str();
                patterns.push(regex.ok_or_else(|| {
                    Unsupported("cuts text by something else than a pattern".into())
                })?);
            }
            other => return Err(Unsupported(format!("cuts text by {other}"))),
        }
    }
    name_of(&patterns, ignore_merges)
        .ok_or_else(|| Unsupported(format!("cuts text by {}", patterns.join(" then "))))
}

/// Whether text gets a space before it, out of what is done to text first.
fn space_prefix(file: &File) -> Result<bool, TokenizerJsonError> {
    let mut prefix = false;
    for step in steps(&file.normalizer, "normalizers") {
        match step["type"].as_str().unwrap_or_default() {
            "Prepend" => prefix = true,
            "Replace" if step["content"] == "▁" => {}
            other => return Err(Unsupported(format!("changes text first by {other}"))),
        }
    }
    for step in steps(&file.pre_tokenizer, "pretokenizers") {
        match step["type"].as_str().unwrap_or_default() {
            "Metaspace" => prefix |= step["prepend_scheme"].as_str().unwrap_or("always") != "never",
            // Spaces were replaced before, so that there is nothing to cut at.
            "Split" if step["pattern"]["String"] == " " => {}
            other => return Err(Unsupported(format!("cuts text by {other}"))),
        }
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte_level(pre: &str) -> String {
        format!(
            r#"{{"model":{{"type":"BPE","vocab":{{"a":0,"b":1,"ab":2}},"merges":["a b"]}},
            "added_tokens":[{{"id":3,"content":"<|end|>","special":true}},
            {{"id":4,"content":"<tool>","special":false}}],"pre_tokenizer":{pre}}}"#
        )
    }

    #[test]
    fn byte_level_bpe_is_read() {
        let text = byte_level(r#"{"type":"ByteLevel","add_prefix_space":false}"#);
        let pieces = Pieces::read(&text, 6).unwrap();
        assert_eq!((pieces.model, pieces.pre), ("gpt2", "gpt-2"));
        assert_eq!(pieces.tokens, ["a", "b", "ab", "<|end|>", "<tool>", "[PAD5]"]);
        assert_eq!(pieces.token_type, [1, 1, 1, 3, 4, 5]);
        assert_eq!(pieces.merges, ["a b"]);
        let smol = r#"{"type":"Sequence","pretokenizers":[
            {"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]}"#;
        assert_eq!(Pieces::read(&byte_level(smol), 6).unwrap().pre, "smollm");
        assert!(matches!(Pieces::read(&text, 3), Err(Wrong(_))), "an id beyond the model");
        let odd = byte_level(r#"{"type":"Whitespace"}"#);
        assert!(matches!(Pieces::read(&odd, 6), Err(Unsupported(_))));
        let odd = byte_level(r#"{"type":"Split","pattern":{"Regex":"x"}}"#);
        assert!(matches!(Pieces::read(&odd, 6), Err(Unsupported(_))));
        assert!(matches!(Pieces::read("{", 6), Err(Json(_))));
    }

    #[test]
    fn characters_with_byte_fallback_become_sentence_pieces() {
        let text = r#"{"model":{"type":"BPE","byte_fallback":true,"unk_token":"<unk>",
            "vocab":{"<unk>":0,"<0x41>":1,"▁":2,"a":3,"▁a":4,"aa":5},
            "merges":[["▁","a"],["a","a"]]},
            "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
            {"type":"Replace","pattern":{"String":" "},"content":"▁"}]}}"#;
        let pieces = Pieces::read(text, 6).unwrap();
        assert_eq!((pieces.model, pieces.add_space_prefix), ("llama", true));
        assert_eq!(pieces.token_type, [2, 6, 1, 1, 1, 1]);
        assert_eq!(&pieces.scores[4..], [0.0, -1.0]);
    }
}
