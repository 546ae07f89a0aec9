//! Messages, their parts, and where each piece of text came from.
//!
//! Text carries its [`Origin`] from the moment it enters the program. Whatever the origin, text is
//! only ever text: special tokens come from the chat template alone. The origin lets later rooms
//! (agents, provenance) decide what a piece of text may *influence*.

use crate::{ToolCall, ToolResult};
use serde::{Deserialize, Serialize};

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    /// The name that chat templates and APIs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// Where a piece of text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Whoever runs the program: a system prompt, a template, a flag.
    Operator,
    /// The person in the conversation.
    User,
    /// A model's own words.
    Model,
    /// A file or standard input.
    File,
    /// The result of a tool.
    Tool,
    /// A page or service on a network.
    Web,
}

impl Origin {
    /// Whether the operator of this program vouches for it. Everything else is data.
    pub fn is_trusted(self) -> bool {
        matches!(self, Origin::Operator)
    }
}

/// Text together with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text {
    pub text: String,
    pub origin: Origin,
}

impl Text {
    pub fn new(origin: Origin, text: impl Into<String>) -> Self {
        Text { text: text.into(), origin }
    }
}

/// An image, a sound or a document handed to a model that can take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// MIME type, such as `image/png`.
    pub mime: String,
    pub data: Vec<u8>,
    pub origin: Origin,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Part {
    Text(Text),
    /// What a model thought before it answered; kept apart from the answer.
    Reasoning(Text),
    Media(Media),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
}

impl Message {
    /// A system prompt, from the operator.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, Origin::Operator, text)
    }

    /// What the person in the conversation says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, Origin::User, text)
    }

    /// What a model answered.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, Origin::Model, text)
    }

    /// A message of one text part.
    pub fn text(role: Role, origin: Origin, text: impl Into<String>) -> Self {
        Message { role, parts: vec![Part::Text(Text::new(origin, text))] }
    }

    /// All text parts, one after the other, without reasoning.
    pub fn plain_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}
