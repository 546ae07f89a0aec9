//! Tools that a model may call, its calls, and their results.

use crate::{Origin, Text};
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

/// A model's wish to have a tool run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// The arguments as the model wrote them: JSON if the model kept to the schema.
    pub arguments: String,
}

/// What running a tool gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The [`ToolCall::id`] that this answers.
    pub id: String,
    pub name: String,
    pub content: Text,
    pub is_error: bool,
}

impl ToolResult {
    /// A result that the tool itself produced.
    pub fn ok(call: &ToolCall, content: impl Into<String>) -> Self {
        ToolResult {
            id: call.id.clone(),
            name: call.name.clone(),
            content: Text::new(Origin::Tool, content),
            is_error: false,
        }
    }
}
