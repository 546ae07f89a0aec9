//! The one interface to every model, and to what finds models by name.

use crate::{Cancel, Error, FormatKind, MediaKind, Request, Response, Sink, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a model can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub chat: bool,
    pub score: bool,
    pub tokenize: bool,
    pub embed: bool,
    /// Judges how well texts answer a query.
    pub rank: bool,
    /// Fills a gap between two texts.
    pub fill: bool,
    /// Can be offered tools.
    pub tools: bool,
    /// Can be made to call a tool: [`crate::ToolChoice::Required`] and `Named`.
    pub forced_tools: bool,
    /// Reasons before it answers.
    pub reasoning: bool,
    /// Takes [`Request::adapters`].
    pub adapters: bool,
    /// The forms of an answer that it enforces. Any other form is an error, never ignored.
    pub formats: BTreeSet<FormatKind>,
    /// The kinds of media that it takes.
    pub media: BTreeSet<MediaKind>,
}

/// Where a model runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// In this process.
    Local,
    /// Answers are written in advance: tests and demonstrations.
    Fake,
    /// A service on a network, by the name in its manifest.
    Hosted(String),
    /// A plugin, by its name.
    Plugin(String),
}

impl Provider {
    /// Whether prompts leave this machine.
    pub fn is_remote(&self) -> bool {
        matches!(self, Provider::Hosted(_) | Provider::Plugin(_))
    }
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The name by which it is requested.
    pub id: String,
    pub provider: Provider,
    /// Architecture and size for a local model, such as `llama 135M Q4_1`.
    pub summary: String,
    /// Tokens of prompt and answer together, if known.
    pub context_length: Option<u32>,
    /// Length of its embeddings, if it produces any.
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

/// The log-probability of a continuation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Natural log-probability of each token of the continuation.
    pub logprobs: Vec<f32>,
    /// Whether each token was also the most likely one.
    pub greedy: Vec<bool>,
}

impl Score {
    /// Log-probability of the whole continuation.
    pub fn total(&self) -> f64 {
        self.logprobs.iter().map(|&l| f64::from(l)).sum()
    }
}

/// A language model, wherever it runs.
/// Calls block. Several threads may call at once, and implementations batch requests where they
/// can. Nothing here is async.
pub trait Model: Send + Sync {
    fn describe(&self) -> Description;

    /// Answers `request`, handing each event to `sink` as it happens. `cancel`, set from another
    /// thread, ends the answer as soon as the model can; so does a sink that breaks. Either way
    /// what was said so far comes back as a response that ends as `Cancelled`.
    ///
    /// # Errors
    /// Before the first event for a request that cannot be answered; later if the model fails in
    /// the middle.
    fn respond(
        &self,
        request: &Request,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<Response, Error>;

    /// Scores each of `continuations` after `context`; with an empty context, after the model's
    /// beginning-of-text token.
    ///
    /// # Errors
    /// If this model cannot score text, a text does not fit its context, or it fails.
    fn score(&self, context: &Text, continuations: &[Text]) -> Result<Vec<Score>, Error> {
        let _ = (context, continuations);
        Err(Error::unsupported(&self.describe().id, "score text"))
    }

    /// The tokens of `text`, which never become control tokens.
    ///
    /// # Errors
    /// If this model does not show its tokens.
    fn tokenize(&self, text: &Text) -> Result<Vec<Token>, Error> {
        let _ = text;
        Err(Error::unsupported(&self.describe().id, "tokenize text"))
    }

    /// One vector for each text, each of `embedding_length` values.
    ///
    /// # Errors
    /// If this model makes no embeddings, a text does not fit its context, or it fails.
    fn embed(&self, texts: &[Text]) -> Result<Vec<Vec<f32>>, Error> {
        let _ = texts;
        Err(Error::unsupported(&self.describe().id, "embed text"))
    }

    /// Relevance of each of `texts` to `query`; higher is better. Only scores of the same model are
    /// comparable.
    ///
    /// # Errors
    /// If this model does not rank texts, a text does not fit its context, or it fails.
    fn rank(&self, query: &Text, texts: &[Text]) -> Result<Vec<f32>, Error> {
        let _ = (query, texts);
        Err(Error::unsupported(&self.describe().id, "rank texts"))
    }
}

/// A model that can be asked for by name, whether or not it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The name to give to [`ModelSource::open`].
    pub id: String,
    pub aliases: Vec<String>,
    pub provider: Provider,
    /// Whether it is in memory now.
    pub is_loaded: bool,
    /// Bytes of its file, or of memory while it is loaded, where known.
    pub n_bytes: Option<u64>,
    /// What it can do, where that is known without loading it.
    pub capabilities: Option<Capabilities>,
}

/// Finds models by name. The binary implements it, so that a server, an experiment or an agent
/// loads models without knowing what runs them.
pub trait ModelSource: Send + Sync {
    /// The model called `name`, loaded if it was not yet; an empty name is the default model.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] if nothing has that name; whatever loading it may fail with.
    fn open(&self, name: &str) -> Result<Arc<dyn Model>, Error>;

    /// Every model that [`ModelSource::open`] knows by name.
    ///
    /// # Errors
    /// If the list cannot be read.
    fn list(&self) -> Result<Vec<ModelEntry>, Error>;

    /// Forgets the model called `name`. Whoever still holds it can go on; its memory is free when
    /// the last of them is done. `false` if it was not loaded.
    fn unload(&self, name: &str) -> bool;
}
