//! From a model file's metadata to its tokenizer, its chat template and its sampler defaults.
//!
//! `wright-text` knows no GGUF and `wright-model` knows no text, so the keys `tokenizer.*` and
//! `general.sampling.*` are read here. What they mean is the business of the two.

use crate::{LoadError, Sampling};
use wright_model::{Metadata, Model, Value};
use wright_text::{Algorithm, Spec, Template, TokenKind, Tokenizer};

/// The tokenizer that a file carries.
///
/// # Errors
/// If it carries none, one that is damaged or not known, or more tokens than the model has logits.
pub fn tokenizer(model: &Model) -> Result<Tokenizer, LoadError> {
    let tokenizer = tokenizer_of(model.metadata())?;
    // A padded embedding is wider than the vocabulary; the other way round ids have no row.
    let (tokens, rows) = (tokenizer.n_vocab(), model.n_vocab());
    if tokens > rows {
        return Err(LoadError::Vocabulary { tokens, rows });
    }
    Ok(tokenizer)
}

/// The tokenizer that a file's metadata describe, with or without weights in the file.
///
/// # Errors
/// If they describe none, or one that is damaged or not supported.
pub fn tokenizer_of(metadata: &Metadata) -> Result<Tokenizer, LoadError> {
    Ok(Tokenizer::new(&spec(metadata)?)?)
}

/// What a file says about its tokenizer, borrowed from it.
///
/// # Errors
/// If the type or the tokens are missing, or a token's type is unknown.
pub fn spec(metadata: &Metadata) -> Result<Spec<'_>, LoadError> {
    let algorithm = metadata
        .str("tokenizer.ggml.model")
        .ok_or_else(|| LoadError::Missing("tokenizer.ggml.model".into()))?;
    let tokens = metadata
        .strings("tokenizer.ggml.tokens")
        .ok_or_else(|| LoadError::Missing("tokenizer.ggml.tokens".into()))?;
    let pre = metadata.str("tokenizer.ggml.pre").unwrap_or_default();
    // This one is named as a whole.
    let pre = if algorithm == "whitespace" { algorithm } else { pre };
    let algorithm = Algorithm::named(algorithm, pre)?;
    // BERT names the tokens around a text otherwise, and GGUF spells one so.
    let is_words = algorithm == Algorithm::WordPiece;
    let id = |name: &str| metadata.u32(&format!("tokenizer.ggml.{name}_token_id"));
    let flag = |name: &str| metadata.bool(&format!("tokenizer.ggml.{name}"));
    Ok(Spec {
        pre,
        tokens: tokens.collect(),
        scores: metadata.f32s("tokenizer.ggml.scores").unwrap_or_default(),
        kinds: kinds(metadata)?,
        merges: metadata
            .strings("tokenizer.ggml.merges")
            .map(Iterator::collect)
            .unwrap_or_default(),
        bos: if is_words { id("cls").or(id("bos")) } else { id("bos") },
        eos: if is_words { id("seperator").or(id("separator")) } else { id("eos") },
        eot: id("eot"),
        eom: id("eom"),
        unk: id("unknown"),
        pad: id("padding"),
        sep: id("seperator").or(id("separator")),
        add_sep: flag("add_sep_token"),
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        add_space_prefix: flag("add_space_prefix"),
        merge_spaces: flag("remove_extra_whitespaces"),
        charsmap: charsmap(metadata)?,
        lowercase: flag("normalizer.lowercase"),
        strip_accents: flag("normalizer.strip_accents"),
        model_name: metadata.str("general.name").unwrap_or_default(),
        ..Spec::new(algorithm)
    })
}

/// The table of replacements of a unigram tokenizer; empty where there is none.
fn charsmap(metadata: &Metadata) -> Result<Vec<u8>, LoadError> {
    const KEY: &str = "tokenizer.ggml.precompiled_charsmap";
    let Some(array) = metadata.array(KEY) else { return Ok(Vec::new()) };
    // Bytes, which some writers take for signed ones.
    let byte = |value| match value {
        Value::Unsigned(byte) => u8::try_from(byte).ok(),
        Value::Signed(byte) => i8::try_from(byte).ok().map(|byte| byte as u8),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = array.numbers().map(byte).collect();
    bytes.ok_or_else(|| LoadError::Missing(format!("{KEY} of bytes")))
}

fn kinds(metadata: &Metadata) -> Result<Vec<TokenKind>, LoadError> {
    let Some(array) = metadata.array("tokenizer.ggml.token_type") else { return Ok(Vec::new()) };
    let kind = |(id, value)| {
        let kind = match value {
            Value::Signed(kind) => kind,
            Value::Unsigned(kind) => i64::try_from(kind).unwrap_or(-1),
            _ => -1,
        };
        let known = i32::try_from(kind).ok().and_then(TokenKind::from_ggml);
        known.ok_or(LoadError::TokenKind { id, kind })
    };
    array.numbers().enumerate().map(kind).collect()
}

/// The chat template to use: `chosen` (a built-in name or Jinja source) if given, else the model's
/// own, else the built-in one that its control tokens identify. `None` if there is none: then it is
/// most likely a base model.
///
/// # Errors
/// If `chosen` or the model's own does not parse.
pub fn template(
    model: &Model,
    tokenizer: &Tokenizer,
    chosen: Option<&str>,
) -> Result<Option<Template>, LoadError> {
    let source = match chosen {
        Some(chosen) if chosen.contains("{{") || chosen.contains("{%") => Some(chosen),
        Some(name) => return Ok(Some(Template::built_in(name, tokenizer)?)),
        None => model.metadata().str("tokenizer.chat_template"),
    };
    if let Some(source) = source {
        return Ok(Some(Template::parse(source, tokenizer)?));
    }
    Ok(Template::built_in_for(tokenizer))
}

/// The prompt of a model that judges how well a document answers a query, if it is made for that.
pub(crate) fn rank_prompt(metadata: &Metadata) -> Option<&str> {
    metadata.str("tokenizer.chat_template.rerank")
}

/// The sampler options that the model's authors recommend, over this crate's defaults. A value that
/// is not a number or out of range is ignored: a recommendation is not worth an error.
pub fn sampling(metadata: &Metadata) -> Sampling {
    let float = |name: &str, low: f32, high: f32, default: f32| {
        let value = metadata.f32(&format!("general.sampling.{name}"));
        value.filter(|v| (low..=high).contains(v)).unwrap_or(default)
    };
    let whole = |name: &str, default: u32| {
        metadata.u32(&format!("general.sampling.{name}")).unwrap_or(default)
    };
    let own = Sampling::default();
    Sampling {
        temperature: float("temp", 0.0, 100.0, own.temperature),
        top_k: whole("top_k", own.top_k),
        top_p: float("top_p", 0.0, 1.0, own.top_p),
        min_p: float("min_p", 0.0, 1.0, own.min_p),
        repetition_penalty: float("penalty_repeat", 0.01, 100.0, own.repetition_penalty),
        penalty_window: whole("penalty_last_n", own.penalty_window),
        ..own
    }
}
