//! Errors of models, with hints for users.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of error, on which a server's status, an exit code or a retry depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is invalid: bad option, bad schema, wrong order of roles.
    BadRequest,
    /// No model, adapter, file or stored response has that name.
    NotFound,
    /// The prompt is longer than the model's context.
    ContextOverflow,
    /// The request or an attachment is larger than is accepted.
    TooLarge,
    /// This model does not support the request (embeddings, scores, images …).
    Unsupported,
    /// The model's file or template is faulty.
    BadModel,
    /// A key is missing or wrong.
    Unauthorized,
    /// The key is known and does not permit this.
    Forbidden,
    /// The account has no credit or quota left: trying again does not help.
    QuotaExceeded,
    /// Too many requests; see [`Error::retry_after_s`].
    RateLimited,
    /// A provider refused to answer because of the content.
    ContentRefused,
    /// The memory of this machine does not suffice.
    OutOfMemory,
    /// No answer came in time.
    Timeout,
    /// The other side or the network failed: trying again may help.
    Unavailable,
    /// What came back does not follow the protocol.
    BadResponse,
    /// The caller cancelled the request before there was an answer.
    Cancelled,
    /// A defect in this program.
    Internal,
}

impl ErrorKind {
    /// Whether the same request may succeed later without any change.
    pub fn is_transient(self) -> bool {
        matches!(self, ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unavailable)
    }
}

/// A failure of a model: what, why, and what helps.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// What the person can do about it, without naming a command or flag of one program.
    pub hint: Option<String>,
    /// What helps, for a program that has a command or a flag for it.
    pub remedy: Option<Remedy>,
    /// Seconds to wait before another try, where the other side said so.
    pub retry_after_s: Option<f64>,
}

/// What helps against a failure: a program names its own command, flag or button for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Load the model with room for more tokens.
    LongerContext,
    /// Give a base model text to continue instead of a conversation.
    RawPrompt,
    /// Use an embedding model to embed.
    Embed,
    /// Use a reranker to rank.
    Rank,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, remedy: None, retry_after_s: None }
    }

    /// The same error with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what helps.
    pub fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }

    /// "This model cannot …".
    pub fn unsupported(model: &str, what: &str) -> Self {
        Error::new(ErrorKind::Unsupported, format!("{model} cannot {what}"))
    }

    /// The request was cancelled before there was an answer.
    pub fn cancelled() -> Self {
        Error::new(ErrorKind::Cancelled, "cancelled")
    }
}
