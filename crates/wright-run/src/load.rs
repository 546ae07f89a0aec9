//! What a local model is loaded with, and why loading fails.

use crate::prefix::Prefixes;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;
use wright_chat::Options;
use wright_model::{KvType, Precision, SessionOptions};
use wright_text::Now;

/// Seconds since any fixed moment: the caller's clock, since this crate reads none.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Called with byte ranges of the model's file that need not stay in memory.
pub type Release = Arc<dyn Fn(Range<usize>) + Send + Sync>;

/// Options of a local model.
#[derive(Clone)]
pub struct LoadOptions {
    /// The name by which it is requested.
    pub id: String,
    pub precision: Precision,
    pub threads: usize,
    /// Tokens of prompt and answer together, for each conversation.
    pub n_ctx: usize,
    /// Requests that are answered at the same time; others wait.
    pub n_seq: usize,
    pub kv: KvType,
    /// Speculative decoding by prompt lookup: faster where an answer repeats earlier text, and
    /// always the same tokens.
    pub speculative: bool,
    /// Where to find and keep prefixes of prompts that were read before, by any process.
    pub prefixes: Option<Prefixes>,
    /// For the times in `Usage`, which are 0 without it.
    pub clock: Option<Clock>,
    /// Called with what was repacked, while the model is loaded.
    pub release: Option<Release>,
    /// For templates that print the date.
    pub now: Option<Now>,
    /// A built-in template's name or Jinja source, in place of the model's own template.
    pub chat_template: Option<String>,
    /// Sampler options where a request sets none, over those that the file recommends.
    pub defaults: Options,
    /// Whether a family that is not verified against a reference implementation may run.
    pub unverified: bool,
}

impl LoadOptions {
    /// One conversation of `n_ctx` tokens on `threads` threads.
    pub fn new(id: impl Into<String>, n_ctx: usize, threads: usize) -> Self {
        LoadOptions {
            id: id.into(),
            precision: Precision::Fast,
            threads,
            n_ctx,
            n_seq: 1,
            kv: KvType::F16,
            speculative: true,
            prefixes: None,
            clock: None,
            release: None,
            now: None,
            chat_template: None,
            defaults: Options::default(),
            unverified: false,
        }
    }

    pub(crate) fn session(&self) -> SessionOptions {
        SessionOptions {
            precision: self.precision,
            threads: self.threads,
            n_ctx: self.n_ctx,
            n_seq: self.n_seq,
            kv: self.kv,
            unverified: self.unverified,
            ..SessionOptions::default()
        }
    }
}

/// Why a model cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("the file has no `{0}`")]
    Missing(String),
    #[error("token {id} has the unknown type {kind}")]
    TokenKind { id: usize, kind: i64 },
    #[error("the vocabulary has {tokens} tokens, but the model {rows}")]
    Vocabulary { tokens: usize, rows: usize },
    #[error("default sampler options: {0}")]
    Options(#[from] crate::OptionError),
    #[error(transparent)]
    Text(#[from] wright_text::Error),
    #[error(transparent)]
    Model(#[from] wright_model::Error),
    #[error("the engine's thread could not be started: {0}")]
    Thread(String),
}

impl LoadError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            LoadError::Missing(_) | LoadError::TokenKind { .. } | LoadError::Vocabulary { .. } => {
                Some("convert the model again, with its tokenizer in the same folder".into())
            }
            LoadError::Text(error) => error.hint(),
            LoadError::Model(error) => Some(error.hint()),
            LoadError::Options(_) | LoadError::Thread(_) => None,
        }
    }
}
