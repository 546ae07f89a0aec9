//! What a model says while it answers, and what stands at the end.

use crate::{Message, ToolCall};
use serde::{Deserialize, Serialize};

/// Something that happened while a model answered, in order.
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
    /// Something the person should know, such as turns dropped from a long chat.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// A stop string appeared.
    StopString,
    /// `max_tokens` or the context was used up.
    Length,
    /// It ends in tool calls.
    ToolCalls,
    /// The sink asked to stop.
    Cancelled,
    /// A hosted model refused to go on.
    ContentFilter,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u32,
    /// Prompt tokens that a cache already held.
    pub cached_tokens: u32,
    pub completion_tokens: u32,
    /// Draft tokens accepted by speculation.
    pub accepted_draft_tokens: u32,
    /// Seconds until the first token; measured, so never part of a reproducible result.
    pub prefill_s: f64,
    /// Seconds from the first token to the last.
    pub decode_s: f64,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub message: Message,
    pub finish: FinishReason,
    pub usage: Usage,
    /// Every generated token, if log-probabilities were asked for.
    pub tokens: Vec<TokenInfo>,
}

impl Response {
    /// The tool calls in the answer.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.message.parts.iter().filter_map(|part| match part {
            crate::Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}
