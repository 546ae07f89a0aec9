//! How the body of a call is written, and how it is read.
//!
//! Most forms are patterns: a call as the model writes it, with holes for what differs. So
//! `<function={name}>{arguments}</function>` is such a call, and one of its arguments
//! `<parameter={key}>{lines}</parameter>`. Blanks around what stands in a hole, and around a
//! pattern's own words, are passed over, but for those of a value; `{ }` stands for blanks between
//! two words.
//!
//! A body that does not fit as a whole is no call: then the caller keeps it as text.

use super::literal::Reader;
use super::typed::{self, Typed};
use serde_json::{Map, Value};
use wright_chat::Tool;

/// A way to write calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// An object with a name and arguments, several, or a list of such.
    Json,
    /// The same list, with its `[` left to the mark.
    Items,
    /// `[{"name": {arguments}}]`.
    Keyed,
    /// `[name(key=value), …]`.
    Python,
    /// Pattern of a call, and those of its arguments.
    Tags(&'static str, &'static [&'static str]),
    /// MiniMax M3's: elements named as the arguments, each tag after this mark.
    Nested(&'static str),
}

/// A call that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The model's own name for the call, in families that give one.
    pub id: Option<String>,
    pub name: String,
    /// JSON text, where it can be as the model wrote it.
    pub arguments: String,
}

impl Shape {
    /// Whether a control token of this text can stand in such a call.
    pub fn has(&self, token: &str) -> bool {
        match self {
            Shape::Tags(call, arguments) => {
                call.contains(token) || arguments.iter().any(|pattern| pattern.contains(token))
            }
            Shape::Nested(mark) => mark.contains(token),
            _ => false,
        }
    }

    /// The calls that `body` consists of. `None` if it is anything else, or nothing.
    pub fn read(&self, body: &str, tools: &[Tool]) -> Option<Vec<Call>> {
        let calls = match self {
            Shape::Json => json(body),
            Shape::Items => json(&format!("[{body}")),
            Shape::Keyed => keyed(body),
            Shape::Python => python(body),
            Shape::Tags(call, arguments) => tags(call, arguments, body, tools),
            Shape::Nested(mark) => super::nested::read(mark, body, tools),
        }?;
        let named = |call: &Call| is_name(&call.name);
        (!calls.is_empty() && calls.iter().all(named)).then_some(calls)
    }
}

/// Names have no blanks and no brackets: what has is no call.
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

/// Arguments that the model wrote as a string of JSON are taken out of the string.
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
fn tags(pattern: &str, arguments: &[&str], body: &str, tools: &[Tool]) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let mut fit = Fit { tools, arguments, ..Fit::new(rest) };
        fit.pattern(pattern)?;
        rest = fit.rest.trim_start();
        calls.push(fit.call()?);
    }
    Some(calls)
}

/// A pattern being fitted to the front of a text.
struct Fit<'t> {
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

impl<'t> Fit<'t> {
    fn new(rest: &'t str) -> Self {
        Fit {
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

    /// Fits `pattern`, hole by hole.
    fn pattern(&mut self, pattern: &'t str) -> Option<()> {
        let mut pattern = pattern;
        while let Some((words, rest)) = pattern.split_once('{') {
            self.words(words)?;
            let (hole, rest) = rest.split_once('}')?;
            let next = match rest.strip_prefix("{object}") {
                Some(_) => "{",
                None => &rest[..rest.find('{').unwrap_or(rest.len())],
            };
            self.hole(hole, next)?;
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

    /// Fills a hole that `next` follows (nothing: the end of the pattern or another hole).
    fn hole(&mut self, hole: &str, next: &str) -> Option<()> {
        match hole {
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
        match hole {
            "name" => self.name = text.trim(),
            "id" => self.id = Some(text.trim()),
            "path" => (self.id, self.name) = (Some(text.trim()), path_name(text.trim())),
            "key" => self.key = text.trim(),
            "type" => self.is_string = Some(matches!(text, "true" | "string")),
            "value" => self.value = text,
            // A line of its own: the breaks on both sides are no part of the value.
            "lines" => {
                let inner = text.strip_prefix('\n').and_then(|text| text.strip_suffix('\n'));
                self.value = inner.unwrap_or(text);
            }
            _ => {}
        }
        Some(())
    }

    /// Where a hole ends: where `next` begins, or the first argument, or the text's end.
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
                let mut fit = Fit { name, tools, ..Fit::new(self.rest) };
                if fit.pattern(pattern).is_some() {
                    let typed = Typed { tools, call: name, key: fit.key, is_string: fit.is_string };
                    self.fields.insert(fit.key.to_owned(), typed::value(&typed, fit.value));
                    self.rest = fit.rest;
                    continue 'next;
                }
            }
            return Some(());
        }
    }

    fn call(self) -> Option<Call> {
        // A word alone is a call only of a tool that there is.
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
