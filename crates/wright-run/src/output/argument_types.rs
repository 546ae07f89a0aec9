//! The type of an argument that is written as plain text: the tool's schema decides.
//!
//! Between tags, `<parameter=zip>01234</parameter>` may be a number or a string. The tool's JSON
//! schema decides; where it is silent, text that is JSON other than a string is that value, and
//! any other text is a string.

use super::python_literal::Reader;
use serde_json::Value;
use wright_chat::Tool;

/// What is known about an argument's type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument<'a> {
    pub tools: &'a [Tool],
    /// The tool that is called.
    pub call: &'a str,
    pub key: &'a str,
    /// Whether the model itself says that it is a string.
    pub is_string: Option<bool>,
}

/// The value that `text` writes.
pub(super) fn value(argument: &Argument, text: &str) -> Value {
    let schema = argument.tools.iter().find(|tool| tool.name == argument.call);
    let schema = schema.and_then(|tool| tool.parameters.get("properties")?.get(argument.key));
    of_schema(schema, argument.is_string, text)
}

/// The value that `text` writes where `schema` describes it.
pub(super) fn of_schema(schema: Option<&Value>, is_string: Option<bool>, text: &str) -> Value {
    let types = types(schema);
    let as_text = || Value::from(text);
    if is_string == Some(true) || types.as_deref() == Some(&["string"]) {
        return as_text();
    }
    let Some(read) = read(text) else { return as_text() };
    match types {
        // A text may be what is meant, so only what fits another of the types is not text.
        Some(types) if is_string.is_none() && types.contains(&"string") => {
            let fits = types.iter().any(|name| is_of(&read, name));
            if fits && !read.is_string() { read } else { as_text() }
        }
        None if is_string.is_none() && read.is_string() => as_text(),
        _ => read,
    }
}

/// JSON, or a value as Python prints it (some templates print arguments so).
fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Reader::new(text);
    let value = reader.value()?;
    reader.rest().is_empty().then_some(value)
}

/// The names of the types that a schema allows; `None` if it does not say.
fn types(schema: Option<&Value>) -> Option<Vec<&str>> {
    let schema = schema?;
    match schema.get("type") {
        Some(Value::String(name)) => return Some(vec![name]),
        Some(Value::Array(names)) => return Some(names.iter().filter_map(Value::as_str).collect()),
        _ => {}
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().map(type_of).collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![type_of(value)]);
    }
    let choices = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array())?;
    let mut all = Vec::new();
    for choice in choices {
        // One level is enough for what tools are described with, and no schema can go on for ever.
        let plain = choice.get("anyOf").or(choice.get("oneOf")).is_none();
        all.extend(types(Some(choice).filter(|_| plain))?);
    }
    Some(all)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    type_of(value) == name || (name == "integer" && (value.is_i64() || value.is_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_schema_tells_a_number_from_a_string_of_digits() {
        let read = |schema: Value, text: &str| of_schema(Some(&schema), None, text);
        assert_eq!(read(json!({ "type": "string" }), "01234"), "01234");
        assert_eq!(read(json!({ "type": "string" }), "12"), "12");
        assert_eq!(read(json!({ "type": "string" }), "\"a\""), "\"a\"");
        assert_eq!(read(json!({ "type": "integer" }), " 12\n"), 12);
        assert_eq!(read(json!({ "type": "integer" }), "twelve"), "twelve");
        assert_eq!(read(json!({ "type": "array" }), "[1, 'a', None]"), json!([1, "a", null]));
        assert_eq!(read(json!({ "type": ["string", "null"] }), "null"), Value::Null);
        assert_eq!(read(json!({ "type": ["string", "null"] }), "12"), "12");
        assert_eq!(read(json!({ "type": ["string", "integer"] }), "12"), 12);
        assert_eq!(read(json!({ "enum": ["1", "2"] }), "1"), "1");
        assert_eq!(read(json!({ "enum": [1, 2] }), "1"), 1);
        let either = json!({ "anyOf": [{ "type": "string" }, { "type": "boolean" }] });
        assert_eq!((read(either.clone(), "true"), read(either, "1")), (json!(true), json!("1")));
    }

    #[test]
    fn without_a_schema_the_text_or_the_model_tells() {
        assert_eq!(of_schema(None, None, "12"), 12);
        assert_eq!(of_schema(None, None, "\"12\""), "\"12\"");
        assert_eq!(of_schema(None, None, "a b"), "a b");
        assert_eq!(of_schema(None, Some(true), "12"), "12");
        assert_eq!(of_schema(None, Some(false), "\"12\""), "12");
        let schema = json!({ "type": ["string", "integer"] });
        assert_eq!(of_schema(Some(&schema), Some(true), "12"), "12");
    }
}
