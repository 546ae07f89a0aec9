//! Messages and their parts.

use crate::{Media, Origin, Text, ToolCall, ToolResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// What a provider attached to a part, message or response and wants to see again unchanged:
/// signatures of reasoning, item ids, encrypted content.
///
/// Only code that speaks `dialect` looks inside; for every other model it is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderData {
    /// The wire format that `data` belongs to, such as `anthropic-messages`.
    pub dialect: String,
    pub data: Value,
}

/// What one part of a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Content {
    Text(Text),
    /// A model's reasoning before its answer, kept separate from the answer.
    Reasoning(Text),
    Media(Media),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// Something that only its provider understands: see [`Part::provider`].
    Opaque,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    #[serde(flatten)]
    pub content: Content,
    /// Sent back unchanged to the provider that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderData>,
}

impl Part {
    pub fn new(content: Content) -> Self {
        Part { content, provider: None }
    }

    pub fn text(origin: Origin, text: impl Into<String>) -> Self {
        Part::new(Content::Text(Text::new(origin, text)))
    }

    /// What a model thought.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Part::new(Content::Reasoning(Text::new(Origin::Model, text)))
    }

    /// The same part with data for its provider.
    pub fn with_provider(mut self, dialect: impl Into<String>, data: Value) -> Self {
        self.provider = Some(ProviderData { dialect: dialect.into(), data });
        self
    }

    pub fn as_text(&self) -> Option<&Text> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }

    pub fn as_reasoning(&self) -> Option<&Text> {
        if let Content::Reasoning(text) = &self.content { Some(text) } else { None }
    }

    pub fn as_media(&self) -> Option<&Media> {
        if let Content::Media(media) = &self.content { Some(media) } else { None }
    }

    pub fn as_tool_call(&self) -> Option<&ToolCall> {
        if let Content::ToolCall(call) = &self.content { Some(call) } else { None }
    }

    pub fn as_tool_result(&self) -> Option<&ToolResult> {
        if let Content::ToolResult(result) = &self.content { Some(result) } else { None }
    }
}

impl From<Text> for Part {
    fn from(text: Text) -> Self {
        Part::new(Content::Text(text))
    }
}

impl From<Media> for Part {
    fn from(media: Media) -> Self {
        Part::new(Content::Media(media))
    }
}

impl From<ToolCall> for Part {
    fn from(call: ToolCall) -> Self {
        Part::new(Content::ToolCall(call))
    }
}

impl From<ToolResult> for Part {
    fn from(result: ToolResult) -> Self {
        Part::new(Content::ToolResult(result))
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
    /// What the provider attached to the message as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderData>,
}

impl Message {
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Message { role, parts, provider: None }
    }

    /// A system prompt, from the operator.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, Origin::Operator, text)
    }

    /// A message from the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, Origin::User, text)
    }

    /// A model's answer.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, Origin::Model, text)
    }

    /// A message of one text part.
    pub fn text(role: Role, origin: Origin, text: impl Into<String>) -> Self {
        Message::new(role, vec![Part::text(origin, text)])
    }

    /// The results of tool calls, each a part.
    pub fn tool_results(results: impl IntoIterator<Item = ToolResult>) -> Self {
        Message::new(Role::Tool, results.into_iter().map(Part::from).collect())
    }

    /// All text parts, one after the other, without reasoning.
    pub fn plain_text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).map(|text| text.text.as_str()).collect()
    }

    /// All reasoning, one part after the other.
    pub fn reasoning_text(&self) -> String {
        self.parts.iter().filter_map(Part::as_reasoning).map(|text| text.text.as_str()).collect()
    }

    /// The tool calls among the parts, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(Part::as_tool_call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_is_one_flat_object_in_json() {
        let part = Part::text(Origin::User, "hi").with_provider("gemini", json!({"sig": "x"}));
        let value = serde_json::to_value(&part).unwrap();
        let provider = json!({"dialect": "gemini", "data": {"sig": "x"}});
        let expected =
            json!({"type": "text", "text": "hi", "origin": "user", "provider": provider});
        assert_eq!(value, expected);
        assert_eq!(serde_json::from_value::<Part>(value).unwrap(), part);
        let opaque = Part::new(Content::Opaque).with_provider("x", json!(1));
        let value = serde_json::to_value(&opaque).unwrap();
        assert_eq!(serde_json::from_value::<Part>(value).unwrap(), opaque);
    }

    #[test]
    fn text_and_reasoning_are_kept_apart() {
        let parts = vec![Part::reasoning("hm"), Part::text(Origin::Model, "yes")];
        let message = Message::new(Role::Assistant, parts);
        assert_eq!(message.plain_text(), "yes");
        assert_eq!(message.reasoning_text(), "hm");
    }
}
