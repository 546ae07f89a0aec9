//! Calls of tools in past turns, for templates that pass over `tool_calls`.
//!
//! Their families expect whoever keeps the history to put calls into the message's content, as the
//! model wrote them.

use super::conversation::Writer;
use serde_json::Value;
use wright_chat::ToolCall;

/// How a family writes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    /// What a family's template holds.
    told_by: &'static str,
    open: &'static str,
    close: &'static str,
    call: Notation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// `f(a="x", b=[1, None])`
    Python,
    /// `{"name": "f", "arguments": {"a": "x"}}`
    Json,
}

const SPELLINGS: &[Spelling] = &[
    // LFM 2.
    Spelling {
        told_by: "List of tools: ",
        open: "<|tool_call_start|>[",
        close: "]<|tool_call_end|>",
        call: Notation::Python,
    },
    // Granite 3.
    Spelling {
        told_by: "respond only with <|tool_call|> followed by a JSON list of tools used",
        open: "<|tool_call|>[",
        close: "]",
        call: Notation::Json,
    },
];

impl Spelling {
    /// That of the family whose template this is.
    pub fn of(source: &str) -> Option<&'static Spelling> {
        SPELLINGS.iter().find(|spelling| source.contains(spelling.told_by))
    }

    /// The calls of the message at `index`.
    pub fn spell(&self, calls: &[&ToolCall], index: usize, write: &Writer) -> String {
        let call = |call: &&ToolCall| {
            let text = match self.call {
                Notation::Python => python_call(call),
                Notation::Json => json_call(call),
            };
            write(&text, Some(index))
        };
        let calls: Vec<String> = calls.iter().map(call).collect();
        format!("{}{}{}", self.open, calls.join(", "), self.close)
    }
}

/// Arguments that are no object are written as they are, as the model must have done.
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

/// How a language writes what is there in all: nothing, true and false.
const PYTHON: [&str; 3] = ["None", "True", "False"];
const JSON: [&str; 3] = ["null", "true", "false"];

/// A JSON value with the blanks that Python puts between its parts. Strings and numbers are the
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
    fn calls_are_spelt_as_their_families_do() {
        let plain = |text: &str, _| text.to_owned();
        let spell = |source: &str, calls: &[&ToolCall]| {
            Spelling::of(source).unwrap().spell(calls, 0, &plain)
        };
        let deep = call(r#"{"a": "x\"\n", "b": [1, null, true], "c": {"d": false}}"#);
        let none = call("{}");
        assert_eq!(
            spell("List of tools: [", &[&deep, &none]),
            "<|tool_call_start|>[f(a=\"x\\\"\\n\", b=[1, None, True], c={\"d\": False}), f()]\
             <|tool_call_end|>"
        );
        let granite = "respond only with <|tool_call|> followed by a JSON list of tools used.";
        assert_eq!(
            spell(granite, &[&call(r#"{"a":1,"b":[null]}"#)]),
            r#"<|tool_call|>[{"name": "f", "arguments": {"a": 1, "b": [null]}}]"#
        );
        assert_eq!(Spelling::of("{{ messages }}"), None);
    }
}
