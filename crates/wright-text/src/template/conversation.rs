//! A conversation as the data that chat templates expect: the form that `transformers` defined.
//!
//! A list of `{role, content}`, with `reasoning_content` and `tool_calls` of an assistant, and one
//! `tool` message for each result. Every text that comes from outside goes through a writer, which
//! guards it; roles and the names of fields are the program's own.

use super::guard::Writer;
use super::past_calls;
use crate::Error;
use crate::families::{CallHistory, REASONING_FIELDS};
use serde_json::{Map, Value, json};
use wright_chat::{Content, Message, Role, Tool, ToolCall};

/// The names and kinds of fields that a template looks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageFormat {
    /// Content is a list of parts.
    pub typed: bool,
    /// The field that holds an assistant's reasoning.
    pub reasoning: &'static str,
    pub calls: PastCalls,
}

/// How a template is given the calls of past turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PastCalls {
    /// As `tool_calls` whose arguments are objects.
    Objects,
    /// The same with arguments that are JSON text.
    JsonText,
    /// Within the content, since the template ignores `tool_calls`.
    InContent(&'static CallHistory),
}

impl MessageFormat {
    /// What `transformers` gives: most templates read it.
    pub fn usual(source: &str) -> Self {
        let reads = |name: &&&str| {
            let quoted = |quote| source.contains(&format!("{quote}{name}{quote}"));
            source.contains(&format!(".{name}")) || quoted('\'') || quoted('"')
        };
        let reasoning = REASONING_FIELDS.iter().find(reads).unwrap_or(&REASONING_FIELDS[0]);
        MessageFormat { typed: false, reasoning, calls: PastCalls::Objects }
    }
}

/// Words of JSON schema itself, which templates look up and which are never broken.
const SCHEMA_KEYS: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "examples",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];
const SCHEMA_TYPES: &[&str] =
    &["array", "boolean", "integer", "null", "number", "object", "string"];

/// The `messages` of a template.
pub(super) fn messages(
    messages: &[Message],
    format: MessageFormat,
    write: &Writer,
) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        push_message(&mut out, message, index, format, write)?;
    }
    Ok(out)
}

fn push_message(
    out: &mut Vec<Value>,
    message: &Message,
    index: usize,
    format: MessageFormat,
    write: &Writer,
) -> Result<(), Error> {
    let mut text = String::new();
    let mut reasoning = String::new();
    let mut calls = Vec::new();
    let results = out.len();
    for part in &message.parts {
        match &part.content {
            Content::Text(part) => text.push_str(&part.text),
            Content::Reasoning(part) => reasoning.push_str(&part.text),
            Content::Media(media) => return Err(Error::Media(media.mime.clone())),
            Content::ToolCall(call) => calls.push(call),
            Content::Opaque => {}
            Content::ToolResult(result) => out.push(json!({
                "role": "tool",
                "content": content(write(&result.content.text, Some(index)), format),
                "tool_call_id": write(&result.id, Some(index)),
                "name": write(&result.name, Some(index)),
            })),
        }
    }
    if out.len() > results && text.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut fields = Map::new();
    fields.insert("role".to_owned(), json!(message.role.as_str()));
    let mut text = write(&text, Some(index));
    if let PastCalls::InContent(history) = format.calls
        && !calls.is_empty()
    {
        text += &past_calls::text(history, &calls, index, write);
        calls.clear();
    }
    fields.insert("content".to_owned(), content(text, format));
    if !reasoning.is_empty() {
        fields.insert(format.reasoning.to_owned(), json!(write(&reasoning, Some(index))));
    }
    if !calls.is_empty() && message.role == Role::Assistant {
        let calls = calls.into_iter().map(|call| tool_call(call, index, format, write));
        fields.insert("tool_calls".to_owned(), calls.collect());
    }
    out.push(Value::Object(fields));
    Ok(())
}

/// A text that has been written, as the template reads it.
fn content(text: String, format: MessageFormat) -> Value {
    if format.typed { json!([{ "type": "text", "text": text }]) } else { json!(text) }
}

fn tool_call(call: &ToolCall, index: usize, format: MessageFormat, write: &Writer) -> Value {
    let arguments = match serde_json::from_str::<Value>(&call.arguments) {
        Ok(value @ Value::Object(_)) if format.calls == PastCalls::Objects => {
            data(&value, &|text| write(text, Some(index)))
        }
        _ => json!(write(&call.arguments, Some(index))),
    };
    json!({
        "id": write(&call.id, Some(index)),
        "type": "function",
        "function": { "name": write(&call.name, Some(index)), "arguments": arguments },
    })
}

/// The `tools` of a template.
pub(super) fn tools(tools: &[Tool], write: &Writer) -> Value {
    let tool = |tool: &Tool| {
        json!({
            "type": "function",
            "function": {
                "name": write(&tool.name, None),
                "description": write(&tool.description, None),
                "parameters": schema(&tool.parameters, &|text| write(text, None)),
            },
        })
    };
    Value::Array(tools.iter().map(tool).collect())
}

/// A JSON value with every string and key written.
fn data(value: &Value, write: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(write(text)),
        Value::Array(items) => items.iter().map(|item| data(item, write)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (write(key), data(value, write)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// As [`data`], with the words of JSON schema left as they are.
fn schema(value: &Value, write: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| schema(item, write)).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                if !SCHEMA_KEYS.contains(&key.as_str()) {
                    return (write(key), schema(value, write));
                }
                let value = match value {
                    Value::String(name) if SCHEMA_TYPES.contains(&name.as_str()) => value.clone(),
                    value => schema(value, write),
                };
                (key.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        other => data(other, write),
    }
}
