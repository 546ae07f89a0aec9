//! Tools that a model may call, its calls, and their results.

use crate::{Cancel, Error, Media, Origin, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function offered to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// JSON schema of the arguments, an object.
    pub parameters: Value,
}

/// Whether a model must, may or must not call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    /// This tool and no other.
    Named(String),
}

/// A model's request to run a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// The arguments as the model wrote them: JSON if the model followed the schema.
    pub arguments: String,
    /// Whether the provider ran the tool itself: such a call is recorded and not run here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub server_executed: bool,
}

impl ToolCall {
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            server_executed: false,
        }
    }
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The [`ToolCall::id`] that this answers.
    pub id: String,
    pub name: String,
    /// What the model is shown.
    pub content: Text,
    pub is_error: bool,
    /// The result as data, where the tool gave any: agents label its fields one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Images and documents that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// Whether the provider ran the tool itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub server_executed: bool,
}

impl ToolResult {
    /// A result whose content is text that the tool produced.
    pub fn ok(call: &ToolCall, content: impl Into<String>) -> Self {
        ToolResult {
            id: call.id.clone(),
            name: call.name.clone(),
            content: Text::new(Origin::Tool(call.name.as_str().into()), content),
            is_error: false,
            data: None,
            media: Vec::new(),
            server_executed: false,
        }
    }

    /// A failure that the model is told about, so that it can try something else.
    pub fn error(call: &ToolCall, message: impl Into<String>) -> Self {
        ToolResult { is_error: true, ..ToolResult::ok(call, message) }
    }
}

/// Something that runs tools: built-in functions, an MCP server, a plugin, a test.
pub trait ToolRunner: Send + Sync {
    /// The tools that can be called now.
    ///
    /// # Errors
    /// If the list cannot be had, for example because a server does not answer.
    fn tools(&self) -> Result<Vec<Tool>, Error>;

    /// Runs one call. What goes wrong inside the tool is a [`ToolResult`] with `is_error` set,
    /// which the model gets to see.
    ///
    /// # Errors
    /// If the runner itself failed, or `cancel` was triggered.
    fn call(&self, call: &ToolCall, cancel: &Cancel) -> Result<ToolResult, Error>;
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
fn is_false(value: &bool) -> bool {
    !value
}
