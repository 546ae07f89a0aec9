//! `tokenizer.json` (of the Hugging Face library `tokenizers`) as the pieces that GGUF holds.
//!
//! Four kinds are understood: byte-level BPE, whose pre-tokenizer must be one that GGUF has a name
//! for; BPE over characters with byte fallback, which becomes SentencePiece's form: the score of a
//! piece is how early it is merged; WordPiece, as BERT has it; and Unigram. SentencePiece's own
//! `tokenizer.model` is read, too. What GGUF could not say is refused, never dropped.

mod sentencepiece;
mod unigram;
mod vocab;
mod wordpiece;

use crate::pretokenizer::name_of;
use crate::{Algorithm, Spec, TokenKind, Tokenizer};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use thiserror::Error;
use vocab::Vocab;

/// Tokens, and merges, that are read at most: twice what the largest vocabulary has.
const TOKENS_MAX: usize = 1 << 19;
/// Ids without a token, beside as many as there are tokens.
const HOLES_MAX: usize = 1024;

/// Why a tokenizer.json cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenizerJsonError {
    #[error("tokenizer.json cannot be read: {0}")]
    Json(String),
    #[error("the tokenizer {0}, which a GGUF file cannot express")]
    Unsupported(String),
    #[error("the tokenizer is invalid: {0}")]
    Wrong(String),
}

use TokenizerJsonError::{Json, Unsupported, Wrong};

/// A vocabulary in GGUF's terms, without the keys' prefix `tokenizer.ggml.`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pieces {
    /// `gpt2`, `llama`, `bert` or `t5`.
    pub model: &'static str,
    /// Name of the pre-tokenizer, for `gpt2`.
    pub pre: &'static str,
    /// By id.
    pub tokens: Vec<String>,
    /// GGUF's numbers: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_type: Vec<i32>,
    /// For `llama` and `t5`.
    pub scores: Vec<f32>,
    /// For `gpt2`.
    pub merges: Vec<String>,
    /// For `llama` and `t5`: whether text gets a space before it.
    pub add_space_prefix: bool,
    /// For `t5`: whether spaces in a row become one.
    pub remove_extra_whitespaces: bool,
    /// For `t5`: SentencePiece's compiled table of replacements; empty if there is none.
    pub charsmap: Vec<u8>,
    /// For `bert`: whether letters become small, and whether accents go.
    pub lowercase: bool,
    pub strip_accents: bool,
    /// The special token that a text begins with and the one that it ends with; a flag is None
    /// where the file does not say whether there is one.
    pub begins: Option<Frame>,
    pub ends: Option<Frame>,
}

/// What stands at an end of each text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Nothing,
    Token(String),
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
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    vocab: Vocab,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    unk_token: Option<String>,
    /// Of Unigram.
    #[serde(default)]
    unk_id: Option<u32>,
    /// Of WordPiece.
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
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
    /// If it is not JSON of that form, of a kind that GGUF has no words for, or has ids beyond
    /// `n_vocab`.
    pub fn read(text: &str, n_vocab: usize) -> Result<Pieces, TokenizerJsonError> {
        let file: File = serde_json::from_str(text).map_err(|e| Json(e.to_string()))?;
        Pieces::of(&file, n_vocab)
    }

    fn of(file: &File, n_vocab: usize) -> Result<Pieces, TokenizerJsonError> {
        if n_vocab == 0 || n_vocab > TOKENS_MAX {
            return Err(Wrong(format!("a vocabulary of {n_vocab}")));
        }
        if file.model.vocab.len().max(file.model.merges.len()) > TOKENS_MAX {
            return Err(Wrong("it has too many tokens".into()));
        }
        let pieces = match (file.model.kind.as_str(), &file.model.vocab) {
            ("" | "BPE", Vocab::Ids(ids)) => Pieces::bpe(file, ids, n_vocab)?,
            ("WordPiece", Vocab::Ids(ids)) => wordpiece::read(file, ids, n_vocab)?,
            ("Unigram" | "", Vocab::Scores(scores)) => unigram::read(file, scores, n_vocab)?,
            (kind, _) => return Err(Unsupported(format!("is of the kind {kind}"))),
        };
        let (begins, ends) = frames(&file.post_processor);
        Ok(Pieces { begins, ends, ..pieces })
    }

    /// Reads a `tokenizer.model` of SentencePiece (BPE or Unigram) for a model whose embedding has
    /// `n_vocab` rows; ids that nothing names are marked unused.
    ///
    /// # Errors
    /// If it is truncated, of another kind, replaces characters in a way that GGUF cannot express,
    /// or has more pieces than `n_vocab`.
    pub fn read_sentencepiece(file: &[u8], n_vocab: usize) -> Result<Pieces, TokenizerJsonError> {
        if n_vocab == 0 || n_vocab > TOKENS_MAX {
            return Err(Wrong(format!("a vocabulary of {n_vocab}")));
        }
        sentencepiece::read(file, n_vocab)
    }

    /// Puts a token in the place of what has its id, as tokenizer_config.json adds them.
    ///
    /// # Errors
    /// If the id is beyond the vocabulary.
    pub fn add(&mut self, id: u32, text: &str, special: bool) -> Result<(), TokenizerJsonError> {
        let (at, n) = (id as usize, self.tokens.len());
        let Some(token) = self.tokens.get_mut(at) else {
            return Err(Wrong(format!("token {id} is outside the model's vocabulary of {n}")));
        };
        text.clone_into(token);
        self.token_type[at] = if special { 3 } else { 4 };
        if let Some(score) = self.scores.get_mut(at) {
            *score = -1000.0;
        }
        Ok(())
    }

    fn bpe(
        file: &File,
        ids: &HashMap<String, u32>,
        n_vocab: usize,
    ) -> Result<Pieces, TokenizerJsonError> {
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
                add_space_prefix: space_prefix(file)?,
                ..Pieces::default()
            },
        };
        let vocab = ids.iter().map(|(text, &id)| (id, text.as_str()));
        pieces.fill(file, vocab, n_vocab)?;
        match is_byte_level {
            true => pieces.merges = file.model.merges.iter().map(joined).collect(),
            false => pieces.scores = pieces.scores_of(&file.model.merges),
        }
        Ok(pieces)
    }

    /// As [`Pieces::read`], for as many tokens as the file itself has.
    ///
    /// # Errors
    /// As [`Pieces::read`].
    pub fn read_all(text: &str) -> Result<Pieces, TokenizerJsonError> {
        let file: File = serde_json::from_str(text).map_err(|e| Json(e.to_string()))?;
        let added = file.added_tokens.iter().map(|added| added.id);
        let n_vocab = added.map(|last| last as usize + 1).fold(file.model.vocab.rows(), usize::max);
        // Ids have few holes; a file that names the last one alone is not worth half a million.
        let named = file.model.vocab.len() + file.added_tokens.len();
        if n_vocab > 2 * named + HOLES_MAX {
            return Err(Wrong(format!(
                "it has {named} tokens, and one of them is {}",
                n_vocab - 1
            )));
        }
        Pieces::of(&file, n_vocab)
    }

    /// What turns text into these tokens. It adds none of its own: which ones begin and end a text
    /// is said beside a tokenizer.json, not in it.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn tokenizer(&self) -> Result<Tokenizer, crate::Error> {
        fn bytes(texts: &[String]) -> Vec<&[u8]> {
            texts.iter().map(String::as_bytes).collect()
        }
        let kind = |&kind: &i32| TokenKind::from_ggml(kind).unwrap_or(TokenKind::Unused);
        let mut spec = Spec::new(Algorithm::named(self.model, self.pre)?);
        spec.pre = self.pre;
        spec.tokens = bytes(&self.tokens);
        spec.kinds = self.token_type.iter().map(kind).collect();
        spec.scores.clone_from(&self.scores);
        spec.merges = bytes(&self.merges);
        spec.unk = spec.kinds.iter().position(|&k| k == TokenKind::Unknown).map(|id| id as u32);
        spec.add_bos = Some(false);
        spec.add_eos = Some(false);
        match spec.algorithm {
            Algorithm::Spm => spec.add_space_prefix = Some(self.add_space_prefix),
            Algorithm::WordPiece => {
                (spec.lowercase, spec.strip_accents) =
                    (Some(self.lowercase), Some(self.strip_accents));
            }
            Algorithm::Unigram => {
                spec.charsmap.clone_from(&self.charsmap);
                spec.merge_spaces = Some(self.remove_extra_whitespaces);
                spec.add_space_prefix = Some(self.add_space_prefix);
            }
            _ => {}
        }
        Tokenizer::new(&spec)
    }

    /// Puts tokens in their places, those of `vocab` and the added ones.
    fn fill<'a>(
        &mut self,
        file: &File,
        vocab: impl Iterator<Item = (u32, &'a str)>,
        n_vocab: usize,
    ) -> Result<(), TokenizerJsonError> {
        let mut all: Vec<Option<(String, i32)>> = vec![None; n_vocab];
        let mut put = |id: u32, text: &str, kind: i32| match all.get_mut(id as usize) {
            Some(slot) => {
                *slot = Some((text.to_owned(), kind));
                Ok(())
            }
            None => {
                Err(Wrong(format!("token {id} is outside the model's vocabulary of {n_vocab}")))
            }
        };
        for (id, text) in vocab {
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

/// What is put around a text, as far as a post-processor says it.
fn frames(post_processor: &Value) -> (Option<Frame>, Option<Frame>) {
    let mut frames = (None, None);
    for step in steps(post_processor, "processors") {
        match step["type"].as_str().unwrap_or_default() {
            // It says nothing of tokens, so that nothing is put there, unless another step does.
            "ByteLevel" => {
                frames.0.get_or_insert(Frame::Nothing);
                frames.1.get_or_insert(Frame::Nothing);
            }
            "TemplateProcessing" => {
                let single = step["single"].as_array().map(Vec::as_slice).unwrap_or_default();
                let special = |place: Option<&Value>| {
                    let token = place?["SpecialToken"]["id"].as_str()?;
                    Some(Frame::Token(token.to_owned()))
                };
                if single.len() > 1 {
                    frames.0 = special(single.first()).or(frames.0);
                    frames.1 = special(single.last()).or(frames.1);
                }
            }
            "BertProcessing" | "RobertaProcessing" => {
                let token = |key: &str| step[key][0].as_str().map(|t| Frame::Token(t.to_owned()));
                frames = (token("cls").or(frames.0), token("sep").or(frames.1));
            }
            _ => {}
        }
    }
    frames
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
        return Err(Unsupported(format!("normalizes text with {}", step["type"])));
    }
    let mut patterns: Vec<&str> = Vec::new();
    for step in steps(pre_tokenizer, "pretokenizers") {
        match step["type"].as_str().unwrap_or_default() {
            "ByteLevel" if step["add_prefix_space"] == true => {
                return Err(Unsupported("adds a space before text".into()));
            }
            "ByteLevel" if step["use_regex"].as_bool().unwrap_or(true) => patterns.push("GPT2"),
            "ByteLevel" => {}
            "Digits" if step["individual_digits"].as_bool().unwrap_or(false) => {
                patterns.push("DIGIT");
            }
            "Split" => {
                let regex = step["pattern"]["Regex"].as_str();
                patterns.push(regex.ok_or_else(|| {
                    Unsupported("splits text by something other than a pattern".into())
                })?);
            }
            other => return Err(Unsupported(format!("splits text with {other}"))),
        }
    }
    name_of(&patterns, ignore_merges)
        .ok_or_else(|| Unsupported(format!("splits text with {}", patterns.join(" then "))))
}

/// Whether text gets a space before it, out of what is done to text first.
fn space_prefix(file: &File) -> Result<bool, TokenizerJsonError> {
    let mut prefix = false;
    for step in steps(&file.normalizer, "normalizers") {
        match step["type"].as_str().unwrap_or_default() {
            "Prepend" => prefix = true,
            "Replace" if step["content"] == "▁" => {}
            other => return Err(Unsupported(format!("normalizes text with {other}"))),
        }
    }
    for step in steps(&file.pre_tokenizer, "pretokenizers") {
        match step["type"].as_str().unwrap_or_default() {
            "Metaspace" => prefix |= step["prepend_scheme"].as_str().unwrap_or("always") != "never",
            // Spaces were replaced before, so that there is nothing to cut at.
            "Split" if step["pattern"]["String"] == " " => {}
            other => return Err(Unsupported(format!("splits text with {other}"))),
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
    fn what_stands_around_a_text_is_read_of_the_post_processor() {
        let with = |post: &str| {
            let pre = format!(r#"{{"type":"ByteLevel"}},"post_processor":{post}"#);
            let pieces = Pieces::read(&byte_level(&pre), 6).unwrap();
            (pieces.begins, pieces.ends)
        };
        let token = |text: &str| Some(Frame::Token(text.to_owned()));
        assert_eq!(with("null"), (None, None));
        let bytes = r#"{"type":"ByteLevel"}"#;
        assert_eq!(with(bytes), (Some(Frame::Nothing), Some(Frame::Nothing)));
        let llama3 = r#"{"type":"Sequence","processors":[{"type":"ByteLevel"},
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
            {"Sequence":{"id":"A","type_id":0}}]}]}"#;
        assert_eq!(with(llama3), (token("<s>"), Some(Frame::Nothing)));
        let roberta = r#"{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0]}"#;
        assert_eq!(with(roberta), (token("<s>"), token("</s>")));
    }

    #[test]
    fn a_file_by_itself_turns_text_into_its_tokens() {
        let text = byte_level(r#"{"type":"ByteLevel","add_prefix_space":false}"#);
        let pieces = Pieces::read_all(&text).unwrap();
        assert_eq!(pieces.tokens.len(), 5);
        let tokenizer = pieces.tokenizer().unwrap();
        assert_eq!(tokenizer.encode("abba<|end|>")[..3], [2, 1, 0]);
        assert!(!tokenizer.encode("<|end|>").contains(&3), "text is only text");
        assert!(matches!(Pieces::read_all(r#"{"model":{"vocab":{}}}"#), Err(Wrong(_))));
        let far = r#"{"model":{"vocab":{"a":4294967295}}}"#;
        assert!(matches!(Pieces::read_all(far), Err(Wrong(_))));
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
