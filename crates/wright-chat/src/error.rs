//! What can go wrong with a model, in words that help.

use thiserror::Error;

/// What kind of failure it was: what a server's status, an exit code or a retry depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be answered as it is: bad option, bad schema, wrong role order.
    BadRequest,
    /// The prompt is longer than the model's context.
    ContextOverflow,
    /// This model cannot do what was asked (embed, score, see images …).
    Unsupported,
    /// The model's file or template is at fault.
    BadModel,
    /// A key is missing or wrong.
    Unauthorized,
    /// Too many requests; see [`Error::retry_after_s`].
    RateLimited,
    /// The other side or the network failed: trying again may help.
    Unavailable,
    /// A defect here.
    Internal,
}

/// A failure of a model: what, why, and how to mend it.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// What the person can do about it.
    pub hint: Option<String>,
    pub retry_after_s: Option<f64>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, retry_after_s: None }
    }

    /// The same error with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// "This model cannot …".
    pub fn unsupported(model: &str, what: &str) -> Self {
        Error::new(ErrorKind::Unsupported, format!("{model} cannot {what}"))
    }
}
