//! What is asked of a model.

use crate::{Message, Text, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The input of a request: a conversation, or text to go on from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Rendered through the model's chat template.
    Chat(Vec<Message>),
    /// Continued as it stands, with no template (the beginning-of-text token, if any, is added).
    Raw(Text),
    /// Text before and after a gap that the model fills.
    Fill { prefix: Text, suffix: Text },
}

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Any JSON object.
    Json,
    /// JSON that satisfies this schema.
    JsonSchema(Value),
    /// Text that this grammar (Lark or GBNF-like) accepts.
    Grammar(String),
    /// Text that this regular expression matches as a whole.
    Regex(String),
}

/// Sampler and decoding options. `None` leaves the model's own default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// 0 is greedy.
    pub temperature: Option<f32>,
    /// Keep the k likeliest tokens; 0 keeps all.
    pub top_k: Option<u32>,
    /// Keep the likeliest tokens that together reach this probability.
    pub top_p: Option<f32>,
    /// Keep tokens at least this likely relative to the likeliest.
    pub min_p: Option<f32>,
    /// Divide (positive) or multiply (negative) logits of recent tokens by this; 1 is off.
    pub repetition_penalty: Option<f32>,
    /// How many recent tokens the penalties look at; 0 is none.
    pub penalty_window: Option<u32>,
    /// Subtracted once from the logit of each recent token.
    pub presence_penalty: Option<f32>,
    /// Subtracted from the logit of each recent token, times its count.
    pub frequency_penalty: Option<f32>,
    /// Added to the logits of single tokens.
    pub logit_bias: BTreeMap<u32, f32>,
    /// The same seed, model, prompt and options give the same bytes.
    pub seed: Option<u64>,
    /// At most this many tokens are generated.
    pub max_tokens: Option<u32>,
    /// Generation ends before any of these would appear.
    pub stop: Vec<String>,
    /// Whatever only some hosted model knows.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// One call of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub prompt: Prompt,
    #[serde(default)]
    pub options: Options,
    #[serde(default)]
    pub tools: Vec<Tool>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The form that the answer must have, if any.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// Report each token with its log-probability and this many alternatives.
    #[serde(default)]
    pub logprobs: Option<u32>,
}

impl Request {
    /// A conversation with default options.
    pub fn chat(messages: Vec<Message>) -> Self {
        Self::new(Prompt::Chat(messages))
    }

    pub fn new(prompt: Prompt) -> Self {
        Request {
            prompt,
            options: Options::default(),
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            shape: None,
            logprobs: None,
        }
    }
}
