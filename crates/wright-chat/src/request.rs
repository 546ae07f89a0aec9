//! Requests to a model.

use crate::{Message, Text, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The input of a request: a conversation, or text to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Rendered through the model's chat template.
    Chat(Vec<Message>),
    /// Continued as it is, without a template (the beginning-of-text token, if any, is added).
    Raw(Text),
    /// The text before and after a gap to fill.
    Fill { prefix: Text, suffix: Text },
}

/// The format that an answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any JSON object.
    Json,
    /// JSON that satisfies this schema.
    JsonSchema(Value),
    /// Text that this grammar accepts.
    Grammar { syntax: GrammarSyntax, source: String },
    /// Text that this regular expression matches as a whole.
    Regex(String),
}

impl ResponseFormat {
    pub fn kind(&self) -> FormatKind {
        match self {
            ResponseFormat::Json => FormatKind::Json,
            ResponseFormat::JsonSchema(_) => FormatKind::JsonSchema,
            ResponseFormat::Grammar { .. } => FormatKind::Grammar,
            ResponseFormat::Regex(_) => FormatKind::Regex,
        }
    }
}

/// How a grammar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrammarSyntax {
    /// `start: …`, as in the Python parser of that name.
    Lark,
    /// `root ::= …`, as in llama.cpp.
    Gbnf,
}

/// The kinds of [`ResponseFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatKind {
    Json,
    JsonSchema,
    Grammar,
    Regex,
}

/// How much a model is to think before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    #[serde(rename = "xhigh")]
    ExtraHigh,
    Max,
}

/// Sampling options. `None` means the model's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// 0 is greedy.
    pub temperature: Option<f32>,
    /// Keep the k most likely tokens; 0 keeps all.
    pub top_k: Option<u32>,
    /// Keep the most likely tokens that together reach this probability.
    pub top_p: Option<f32>,
    /// Keep tokens at least this likely relative to the most likely one.
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
    /// End an answer that repeats itself without end. `None`: on for conversations, off for raw
    /// text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loops: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// At most this many tokens of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u32>,
    /// Options that only some hosted models support.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A LoRA adapter to apply while this request runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// The name that the model's source knows it by.
    pub name: String,
    /// 1 applies it as it was trained; 0 not at all.
    pub scale: f32,
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
    /// Whether one answer may hold several tool calls. `None`: as the model likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The format that the answer must have, if any.
    #[serde(default)]
    pub format: Option<ResponseFormat>,
    /// Adapters to apply, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Adapter>,
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
            parallel_tool_calls: None,
            format: None,
            adapters: Vec::new(),
            logprobs: None,
        }
    }
}
