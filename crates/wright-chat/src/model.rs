//! The one interface to every model.

use crate::{Error, Request, Response, Sink, Text};
use serde::{Deserialize, Serialize};

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    pub chat: bool,
    pub score: bool,
    pub tokenize: bool,
    pub embed: bool,
    #[serde(default)]
    pub rank: bool,
    pub tools: bool,
    pub shapes: bool,
    pub media: bool,
    pub fill: bool,
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The name that it is asked for by.
    pub id: String,
    /// Where it runs: `local`, or the name of a plugin or service.
    pub provider: String,
    /// Architecture and size for a local model, such as `llama 135M Q4_1`.
    pub summary: String,
    /// Tokens of prompt and answer together, if known.
    pub context_length: Option<u32>,
    /// Length of its embeddings, if it makes any.
    pub embedding_length: Option<u32>,
    pub licence: Option<String>,
    pub capabilities: Capabilities,
}

/// A token: its id and the bytes that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: u32,
    pub bytes: Vec<u8>,
    /// Whether it is a control token, which text alone can never produce.
    pub special: bool,
}

/// How likely a continuation is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Natural log-probability of each token of the continuation.
    pub logprobs: Vec<f32>,
    /// Whether each token was also the likeliest one.
    pub greedy: Vec<bool>,
}

impl Score {
    /// Log-probability of the whole continuation.
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|&l| f64::from(l)).sum()
    }
}

/// A language model, wherever it runs.
///
/// Calls block; several threads may call at once, and an implementation that can work on several
/// requests together does. Nothing here is async: that lives in the server alone.
pub trait Model: Send + Sync {
    fn describe(&self) -> Description;

    /// Answers `request`, handing each event to `sink` as it happens.
    ///
    /// # Errors
    /// Before the first event for a request that cannot be answered; later if the model fails in
    /// the middle. A sink that breaks is no error: the response ends as `Cancelled`.
    fn respond(&self, request: &Request, sink: &mut dyn Sink) -> Result<Response, Error>;

    /// How likely each of `continuations` is after `context` (an empty context scores from the
    /// model's beginning-of-text token).
    fn score(&self, context: &Text, continuations: &[Text]) -> Result<Vec<Score>, Error> {
        let _ = (context, continuations);
        Err(Error::unsupported(&self.describe().id, "score text"))
    }

    /// The tokens of `text`, which is only text: no control token comes of it.
    fn tokenize(&self, text: &Text) -> Result<Vec<Token>, Error> {
        let _ = text;
        Err(Error::unsupported(&self.describe().id, "show its tokens"))
    }

    /// One vector for each text, each of `embedding_length` values.
    fn embed(&self, texts: &[Text]) -> Result<Vec<Vec<f32>>, Error> {
        let _ = texts;
        Err(Error::unsupported(&self.describe().id, "embed text"))
    }

    /// How well each of `texts` answers `query`: the higher, the better. Scores of one model can be
    /// compared with each other, and with no others.
    fn rank(&self, query: &Text, texts: &[Text]) -> Result<Vec<f32>, Error> {
        let _ = (query, texts);
        Err(Error::unsupported(&self.describe().id, "rank texts"))
    }
}
