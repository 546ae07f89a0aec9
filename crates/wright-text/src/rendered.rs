//! What a chat template made of a conversation, before it becomes tokens.

/// A rendered conversation: text, with markers where data could be mistaken for control tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text with markers in it.
    pub(crate) marked: String,
    /// The character to be deleted once control tokens have been found.
    pub(crate) marker: Option<char>,
    /// In order, not overlapping. Empty unless asked for.
    pub(crate) spans: Vec<Span>,
}

/// Where the content of a message stands in the rendered text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index in the conversation.
    pub message: usize,
    pub start: usize,
    pub end: usize,
}

impl Rendered {
    /// The text as the model sees it. To turn it to tokens, use
    /// [`crate::Tokenizer::encode_rendered`]: this string no longer tells data from structure.
    pub fn text(&self) -> String {
        match self.marker {
            Some(marker) => self.marked.replace(marker, ""),
            None => self.marked.clone(),
        }
    }

    /// Where messages' own contents stand in [`Rendered::text`], blanks at their ends left out.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}
