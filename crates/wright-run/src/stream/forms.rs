//! The forms in which families write their reasoning and their tool calls.
//!
//! A family's template shows its form, since earlier turns are written in it. A call's body is
//! read whatever its form: one JSON object, an array of them, Mistral's `name[ARGS]{…}`, or the
//! `<function=name><parameter=key>` of Qwen3-Coder, Nemotron and Seed-OSS.

use serde_json::{Map, Value};

/// What stands before and after a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub open: &'static str,
    /// None: the section goes on to the end of the answer.
    pub close: Option<&'static str>,
}

const fn marks(open: &'static str, close: &'static str) -> Marks {
    Marks { open, close: Some(close) }
}

const REASONING: &[Marks] = &[
    marks("<think>", "</think>"),
    marks("[THINK]", "[/THINK]"),
    marks("<seed:think>", "</seed:think>"),
];

const CALLS: &[Marks] = &[
    marks("<tool_call>", "</tool_call>"),
    marks("<seed:tool_call>", "</seed:tool_call>"),
    Marks { open: "[TOOL_CALLS]", close: None },
    Marks { open: "<|tool_call|>", close: None },
];

/// Llama 3's: the whole answer is one JSON object. Templates of the family ask for it so.
const BARE: Marks = Marks { open: "{", close: None };
const BARE_ASKED: &str = r#"{"name": function name, "parameters":"#;

/// Markers inside a section.
const INNER: &[&str] = &["[ARGS]", "[CALL_ID]"];

/// The form of reasoning in a family whose template this is.
pub(crate) fn reasoning(template: &str) -> Option<Marks> {
    REASONING.iter().copied().find(|marks| template.contains(marks.open))
}

/// The form of tool calls in a family whose template this is.
pub(crate) fn calls(template: &str) -> Option<Marks> {
    let marked = CALLS.iter().copied().find(|marks| template.contains(marks.open));
    marked.or_else(|| template.contains(BARE_ASKED).then_some(BARE))
}

impl Marks {
    /// Whether a call is told by being the whole answer.
    pub fn is_bare(&self) -> bool {
        *self == BARE
    }
}

/// Whether a control token belongs to a form.
pub(crate) fn is_marker(bytes: &[u8]) -> bool {
    let marks = REASONING.iter().chain(CALLS).flat_map(|m| [Some(m.open), m.close]).flatten();
    marks.chain(INNER.iter().copied()).any(|marker| marker.as_bytes() == bytes)
}

/// Names and arguments (JSON text) of the calls in a section's body. None if it is no such thing.
pub(crate) fn parse(marks: &Marks, body: &str) -> Option<Vec<(String, String)>> {
    let body = body.trim();
    if marks.close.is_none() && !marks.is_bare() {
        // Each call may have a marker of its own.
        let pieces: Vec<&str> = body.split(marks.open).filter(|p| !p.trim().is_empty()).collect();
        let calls = pieces.into_iter().map(parse_piece);
        return calls.collect::<Option<Vec<_>>>().map(|all| all.concat()).filter(|a| !a.is_empty());
    }
    parse_piece(body)
}

fn parse_piece(body: &str) -> Option<Vec<(String, String)>> {
    if body.trim_start().starts_with("<function=") {
        return functions(body);
    }
    if let Some((name, arguments)) = body.split_once("[ARGS]") {
        let name = name.split("[CALL_ID]").next().unwrap_or_default().trim();
        let arguments: Value = serde_json::from_str(arguments.trim()).ok()?;
        return (!name.is_empty()).then(|| vec![(name.to_owned(), arguments.to_string())]);
    }
    match serde_json::from_str(body.trim()).ok()? {
        Value::Array(calls) => calls.iter().map(object).collect(),
        call => object(&call).map(|call| vec![call]),
    }
}

/// Arguments that the model wrote as a string of JSON are taken out of the string.
fn object(call: &Value) -> Option<(String, String)> {
    let name = call.get("name")?.as_str()?.to_owned();
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    Some((name, arguments))
}

/// `<function=name>` with `<parameter=key>value</parameter>`s. A value that is JSON but no string
/// is that; all others are strings.
fn functions(body: &str) -> Option<Vec<(String, String)>> {
    let mut calls = Vec::new();
    for function in body.split("<function=").skip(1) {
        let (name, rest) = function.split_once('>')?;
        let (rest, _) = rest.split_once("</function>").unwrap_or((rest, ""));
        let mut arguments = Map::new();
        for parameter in rest.split("<parameter=").skip(1) {
            let (key, value) = parameter.split_once('>')?;
            let (value, _) = value.split_once("</parameter>")?;
            let value = value.strip_prefix('\n').unwrap_or(value);
            let value = value.strip_suffix('\n').unwrap_or(value);
            let read = serde_json::from_str(value).ok().filter(|v: &Value| !v.is_string());
            arguments.insert(key.to_owned(), read.unwrap_or_else(|| Value::from(value)));
        }
        calls.push((name.trim().to_owned(), Value::Object(arguments).to_string()));
    }
    (!calls.is_empty()).then_some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(open: &str, body: &str) -> Vec<(String, String)> {
        parse(&calls(open).unwrap(), body).unwrap()
    }

    #[test]
    fn each_family_s_form_is_read() {
        let call = |name: &str, arguments: &str| (name.to_owned(), arguments.to_owned());
        let json = r#"{"name": "f", "arguments": {"x": 1}}"#;
        assert_eq!(read("<tool_call>", json), [call("f", r#"{"x":1}"#)]);
        let array = r#" [{"name": "f", "arguments": {"x": 1}}, {"name": "g"}]"#;
        let both = [call("f", r#"{"x":1}"#), call("g", "{}")];
        assert_eq!(read("[TOOL_CALLS]", array), both);
        assert_eq!(read("<|tool_call|>", array), both);
        let named = r#"f[ARGS]{"x": 1}[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}"#;
        assert_eq!(read("[TOOL_CALLS]", named), both);
        let xml = "\n<function=f>\n<parameter=x>\n1\n</parameter>\n<parameter=y>\na b\n\
            </parameter>\n</function>\n";
        assert_eq!(read("<tool_call>", xml), [call("f", r#"{"x":1,"y":"a b"}"#)]);
        let bare = r#"{"name": "f", "parameters": {"x": 1}}"#;
        assert_eq!(read(BARE_ASKED, bare), [call("f", r#"{"x":1}"#)]);
    }

    #[test]
    fn what_is_no_call_is_none() {
        for body in ["", "f", "{}", "[1]", "[ARGS]{}", "f[ARGS]{", "<function=f", "[]x"] {
            assert_eq!(parse(&CALLS[2], body), None, "{body}");
            assert_eq!(parse(&CALLS[0], body), None, "{body}");
        }
    }
}
