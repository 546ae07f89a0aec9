//! Events of a streamed answer, and the complete response.

use crate::{Message, ProviderData, ToolCall, Usage};
use serde::{Deserialize, Serialize};

/// An event of an answer in progress, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The next piece of the answer: whole characters, never half of one.
    Text { text: String },
    /// The next piece of the model's reasoning.
    Reasoning { text: String },
    /// The next piece of a tool call; `id` and `name` come with the first piece alone.
    ToolCall { index: u32, id: Option<String>, name: Option<String>, arguments: String },
    /// A generated token, if log-probabilities were asked for.
    Token { token: TokenInfo },
    /// Prompt tokens read so far.
    Prefill { done: u32, total: u32 },
    /// A notice for the user, such as turns dropped from a long chat.
    Notice { text: String },
}

/// A generated token and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub id: u32,
    /// The token's bytes: not always whole characters.
    pub bytes: Vec<u8>,
    /// Natural log of the probability before sampling options.
    pub logprob: f32,
    pub top: Vec<TopToken>,
}

/// An alternative to a generated token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopToken {
    pub id: u32,
    pub bytes: Vec<u8>,
    pub logprob: f32,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// A stop string appeared.
    StopString,
    /// The limit on generated tokens was reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The answer repeated itself without end.
    Loop,
    /// The answer ends with tool calls.
    ToolCalls,
    /// The caller or the sink asked to stop.
    Cancelled,
    /// A provider refused to go on because of the content.
    ContentFilter,
    /// A provider paused a long turn: the same conversation sent again continues it.
    Paused,
}

impl FinishReason {
    /// Whether a limit cut the answer short.
    pub fn is_limit(self) -> bool {
        matches!(self, FinishReason::MaxTokens | FinishReason::ContextFull | FinishReason::Loop)
    }
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub message: Message,
    pub finish: FinishReason,
    pub usage: Usage,
    /// Every generated token, if log-probabilities were asked for.
    #[serde(default)]
    pub tokens: Vec<TokenInfo>,
    /// The model that answered, where a provider resolved an alias to a dated version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_model: Option<String>,
    /// What the provider attached to the response as a whole, such as its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderData>,
}

impl Response {
    pub fn new(message: Message, finish: FinishReason, usage: Usage) -> Self {
        Response {
            message,
            finish,
            usage,
            tokens: Vec::new(),
            resolved_model: None,
            provider: None,
        }
    }

    /// The tool calls in the answer.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.message.tool_calls()
    }
}
