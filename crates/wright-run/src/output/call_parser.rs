//! Parses the body of a call in a family's [`CallSyntax`].
//!
//! In a pattern, white space around what fills a placeholder and around the pattern's own words is
//! skipped, except for that of a value. A body that does not match as a whole is not a call: then
//! the caller keeps it as text.

use super::argument_types::{self, Argument};
use super::call::Call;
use super::nested_elements;
use super::python_literal::Reader;
use serde_json::{Map, Value};
use wright_chat::Tool;
use wright_text::CallSyntax;

/// The calls that `body` consists of. `None` if it is anything else, or empty.
pub(super) fn parse(syntax: &CallSyntax, body: &str, tools: &[Tool]) -> Option<Vec<Call>> {
    let calls = match syntax {
        CallSyntax::Json => json(body),
        CallSyntax::JsonItems => json(&format!("[{body}")),
        CallSyntax::JsonKeyed => keyed(body),
        CallSyntax::Python => python(body),
        CallSyntax::Pattern(call, arguments) => pattern(call, arguments, body, tools),
        CallSyntax::Elements(mark) => nested_elements::parse(mark, body, tools),
    }?;
    let named = |call: &Call| is_name(&call.name);
    (!calls.is_empty() && calls.iter().all(named)).then_some(calls)
}

/// Names have no white space and no brackets.
fn is_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]()\"'`,".contains(c);
    !name.is_empty() && !name.contains(is_odd)
}

fn json(body: &str) -> Option<Vec<Call>> {
    let body = body.trim();
    let fenced = body.strip_prefix("```json").and_then(|rest| rest.trim_end().strip_suffix("```"));
    let mut calls = Vec::new();
    for value in serde_json::Deserializer::from_str(fenced.unwrap_or(body)).into_iter() {
        match value.ok()? {
            Value::Array(items) => {
                calls.extend(items.iter().map(object).collect::<Option<Vec<_>>>()?)
            }
            value => calls.push(object(&value)?),
        }
    }
    Some(calls)
}

/// Arguments that the model wrote as a string of JSON are taken out of that string.
fn object(call: &Value) -> Option<Call> {
    let inner = call.get("function").filter(|inner| inner.is_object()).unwrap_or(call);
    let field = |names: &[&str]| names.iter().find_map(|name| inner.get(*name));
    let id = ["id", "tool_call_id"].iter().find_map(|name| call.get(*name)?.as_str());
    Some(Call {
        id: id.map(str::to_owned),
        name: field(&["name", "tool_name"])?.as_str()?.to_owned(),
        arguments: match field(&["arguments", "parameters"]) {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        },
    })
}

fn keyed(body: &str) -> Option<Vec<Call>> {
    let Value::Array(items) = serde_json::from_str(body.trim()).ok()? else { return None };
    let call = |item: &Value| {
        let fields = item.as_object().filter(|fields| fields.len() == 1)?;
        let (name, arguments) = fields.iter().next()?;
        Some(Call { id: None, name: name.clone(), arguments: arguments.to_string() })
    };
    items.iter().map(call).collect()
}

fn python(body: &str) -> Option<Vec<Call>> {
    let mut reader = Reader::new(body);
    let is_list = reader.take("[");
    let mut calls = Vec::new();
    while !(reader.rest().is_empty() || is_list && reader.take("]")) {
        let name = reader.name()?.to_owned();
        let mut arguments = Map::new();
        if !reader.take("(") {
            return None;
        }
        while !reader.take(")") {
            let key = reader.name()?;
            if !reader.take("=") {
                return None;
            }
            arguments.insert(key.to_owned(), reader.value()?);
            if !reader.take(",") && !reader.rest().starts_with(')') {
                return None;
            }
        }
        calls.push(Call { id: None, name, arguments: Value::Object(arguments).to_string() });
        if !(reader.take(",") || is_list && reader.rest().starts_with(']')) {
            break;
        }
    }
    // A list must have been closed, and nothing may follow.
    let closed = !is_list || body.trim_end().ends_with(']');
    (reader.rest().is_empty() && closed).then_some(calls)
}

/// Calls one after the other, each as `pattern` says.
fn pattern(pattern: &str, arguments: &[&str], body: &str, tools: &[Tool]) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let mut matcher = Matcher { tools, arguments, ..Matcher::new(rest) };
        matcher.pattern(pattern)?;
        rest = matcher.rest.trim_start();
        calls.push(matcher.call()?);
    }
    Some(calls)
}

/// A pattern being matched against the start of a text.
struct Matcher<'t> {
    rest: &'t str,
    tools: &'t [Tool],
    /// Patterns of an argument.
    arguments: &'t [&'t str],
    id: Option<&'t str>,
    name: &'t str,
    /// Arguments as a whole, and those that stand one by one.
    json: Option<String>,
    fields: Map<String, Value>,
    key: &'t str,
    value: &'t str,
    /// Whether the model says that the value is a string.
    is_string: Option<bool>,
}

impl<'t> Matcher<'t> {
    fn new(rest: &'t str) -> Self {
        Matcher {
            rest,
            tools: &[],
            arguments: &[],
            id: None,
            name: "",
            json: None,
            fields: Map::new(),
            key: "",
            value: "",
            is_string: None,
        }
    }

    /// Matches `pattern`, placeholder by placeholder.
    fn pattern(&mut self, pattern: &'t str) -> Option<()> {
        let mut pattern = pattern;
        while let Some((words, rest)) = pattern.split_once('{') {
            self.words(words)?;
            let (placeholder, rest) = rest.split_once('}')?;
            let next = match rest.strip_prefix("{object}") {
                Some(_) => "{",
                None => &rest[..rest.find('{').unwrap_or(rest.len())],
            };
            self.placeholder(placeholder, next)?;
            pattern = rest;
        }
        self.words(pattern)
    }

    fn words(&mut self, words: &str) -> Option<()> {
        self.rest = match self.rest.strip_prefix(words) {
            Some(rest) => rest,
            None => self.rest.trim_start().strip_prefix(words.trim())?,
        };
        Some(())
    }

    /// Fills a placeholder that `next` follows (empty: the end of the pattern or another one).
    fn placeholder(&mut self, placeholder: &str, next: &str) -> Option<()> {
        match placeholder {
            "json" => return self.json(),
            "object" => return self.object(),
            "arguments" => return self.all_arguments(),
            " " => {
                self.rest = self.rest.trim_start();
                return Some(());
            }
            _ => {}
        }
        let end = self.end(next)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        match placeholder {
            "name" => self.name = text.trim(),
            "id" => self.id = Some(text.trim()),
            "path" => (self.id, self.name) = (Some(text.trim()), path_name(text.trim())),
            "key" => self.key = text.trim(),
            "type" => self.is_string = Some(matches!(text, "true" | "string")),
            "value" => self.value = text,
            // Lines of its own: the line breaks on both sides are not part of the value.
            "lines" => {
                let inner = text.strip_prefix('\n').and_then(|text| text.strip_suffix('\n'));
                self.value = inner.unwrap_or(text);
            }
            _ => {}
        }
        Some(())
    }

    /// Where a placeholder ends: where `next` begins, or the first argument, or the text's end.
    fn end(&self, next: &str) -> Option<usize> {
        if !next.is_empty() {
            return self.rest.find(next);
        }
        let begin = |pattern: &&str| self.rest.find(pattern.split('{').next().unwrap_or_default());
        Some(self.arguments.iter().filter_map(begin).min().unwrap_or(self.rest.len()))
    }

    /// One JSON value: an object, or a string of one.
    fn json(&mut self) -> Option<()> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let (written, rest) = self.rest.split_at(values.byte_offset());
        self.rest = rest;
        self.json = Some(match value {
            Value::String(text) => text,
            Value::Object(_) => written.trim().to_owned(),
            _ => return None,
        });
        Some(())
    }

    fn object(&mut self) -> Option<()> {
        let mut reader = Reader::new(self.rest);
        let value = reader.value().filter(Value::is_object)?;
        self.rest = reader.rest();
        self.json = Some(value.to_string());
        Some(())
    }

    fn all_arguments(&mut self) -> Option<()> {
        let (name, tools) = (self.name, self.tools);
        'next: loop {
            for pattern in self.arguments {
                let mut argument = Matcher { name, tools, ..Matcher::new(self.rest) };
                if argument.pattern(pattern).is_some() {
                    let Matcher { key, value, is_string, .. } = argument;
                    let typed = Argument { tools, call: name, key, is_string };
                    self.fields.insert(key.to_owned(), argument_types::value(&typed, value));
                    self.rest = argument.rest;
                    continue 'next;
                }
            }
            return Some(());
        }
    }

    fn call(self) -> Option<Call> {
        // A name alone is a call only if a tool of that name is on offer.
        let is_known = || self.tools.iter().any(|tool| tool.name == self.name);
        if self.json.is_none() && self.fields.is_empty() && !is_known() {
            return None;
        }
        Some(Call {
            id: self.id.filter(|id| !id.is_empty()).map(str::to_owned),
            name: self.name.to_owned(),
            arguments: self.json.unwrap_or_else(|| Value::Object(self.fields).to_string()),
        })
    }
}

/// The function in Kimi's `functions.name:0`.
fn path_name(path: &str) -> &str {
    let path = path.strip_prefix("functions.").unwrap_or(path);
    match path.rsplit_once(':') {
        Some((name, index)) if index.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => path,
    }
}
