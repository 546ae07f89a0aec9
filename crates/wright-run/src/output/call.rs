//! A tool call as read from an answer.

/// A call that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The model's own name for the call, in families that give one.
    pub id: Option<String>,
    pub name: String,
    /// JSON text: where possible exactly as the model wrote it.
    pub arguments: String,
}
