//! Calls of tools in past turns, for templates that ignore `tool_calls`.
//!
//! Their families expect whoever keeps the history to put calls into the message's content, as the
//! model wrote them.

use super::guard::Writer;
use crate::families::{CallHistory, CallNotation};
use serde_json::Value;
use wright_chat::ToolCall;

/// The calls of the message at `index`, as text of its content.
pub(super) fn text(
    history: &CallHistory,
    calls: &[&ToolCall],
    index: usize,
    write: &Writer,
) -> String {
    let call = |call: &&ToolCall| {
        let text = match history.notation {
            CallNotation::Python => python_call(call),
            CallNotation::Json => json_call(call),
        };
        write(&text, Some(index))
    };
    let calls: Vec<String> = calls.iter().map(call).collect();
    format!("{}{}{}", history.open, calls.join(", "), history.close)
}

/// Arguments that are not an object are kept as they are, as the model must have written them.
fn python_call(call: &ToolCall) -> String {
    let arguments = match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(fields)) => {
            let field = |(key, value)| format!("{key}={}", spaced(value, &PYTHON));
            fields.iter().map(field).collect::<Vec<_>>().join(", ")
        }
        _ => call.arguments.clone(),
    };
    format!("{}({arguments})", call.name)
}

fn json_call(call: &ToolCall) -> String {
    let arguments = match serde_json::from_str(&call.arguments) {
        Ok(value) => spaced(&value, &JSON),
        Err(_) => call.arguments.clone(),
    };
    format!("{{\"name\": {}, \"arguments\": {arguments}}}", Value::from(call.name.as_str()))
}

/// The words for null, true and false.
const PYTHON: [&str; 3] = ["None", "True", "False"];
const JSON: [&str; 3] = ["null", "true", "false"];

/// A JSON value with the spaces that Python puts between its parts. Strings and numbers are the
/// same in both languages.
fn spaced(value: &Value, words: &[&str; 3]) -> String {
    match value {
        Value::Null => words[0].to_owned(),
        Value::Bool(true) => words[1].to_owned(),
        Value::Bool(false) => words[2].to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| spaced(item, words)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), spaced(value, words))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> ToolCall {
        ToolCall::new("1", "f", arguments)
    }

    #[test]
    fn calls_are_written_as_their_families_write_them() {
        let plain = |text: &str, _| text.to_owned();
        let written = |source: &str, calls: &[&ToolCall]| {
            text(CallHistory::of_template(source).unwrap(), calls, 0, &plain)
        };
        let deep = call(r#"{"a": "x\"\n", "b": [1, null, true], "c": {"d": false}}"#);
        let none = call("{}");
        assert_eq!(
            written("List of tools: [", &[&deep, &none]),
            "<|tool_call_start|>[f(a=\"x\\\"\\n\", b=[1, None, True], c={\"d\": False}), f()]\
             <|tool_call_end|>"
        );
        let granite = "respond only with <|tool_call|> followed by a JSON list of tools used.";
        assert_eq!(
            written(granite, &[&call(r#"{"a":1,"b":[null]}"#)]),
            r#"<|tool_call|>[{"name": "f", "arguments": {"a": 1, "b": [null]}}]"#
        );
    }
}
