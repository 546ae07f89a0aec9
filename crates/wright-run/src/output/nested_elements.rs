//! MiniMax M3's calls: arguments are elements of their own name, each tag after a mark, and an
//! element holds text, or further elements; those called `item` make a list.

use super::argument_types;
use super::call::Call;
use serde_json::{Map, Value};
use wright_chat::Tool;

const DEPTH_MAX: usize = 64;

/// The calls of a section, `MARK<invoke name="…">…MARK</invoke>`.
pub(super) fn parse(mark: &str, body: &str, tools: &[Tool]) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        rest = rest.strip_prefix(mark)?.strip_prefix("<invoke name=\"")?;
        let (name, inner) = rest.split_once("\">")?;
        let tool = tools.iter().find(|tool| tool.name == name);
        let mut elements = Elements { mark, rest: inner };
        let arguments = elements.fields(tool.map(|tool| &tool.parameters), DEPTH_MAX)?;
        rest = elements.close("invoke")?.trim_start();
        let arguments = arguments.to_string();
        calls.push(Call { id: None, name: name.to_owned(), arguments });
    }
    Some(calls)
}

struct Elements<'t> {
    mark: &'t str,
    rest: &'t str,
}

impl<'t> Elements<'t> {
    /// What follows the end of an element.
    fn close(&mut self, name: &str) -> Option<&'t str> {
        let rest = self.rest.trim_start().strip_prefix(self.mark)?.strip_prefix("</")?;
        self.rest = rest.strip_prefix(name)?.strip_prefix('>')?;
        Some(self.rest)
    }

    /// The name of the element that begins here.
    fn open(&mut self) -> Option<&'t str> {
        let rest = self.rest.trim_start().strip_prefix(self.mark)?.strip_prefix('<')?;
        let (name, rest) = rest.split_once('>')?;
        let is_name = !name.is_empty() && !name.starts_with('/') && !name.contains('<');
        self.rest = if is_name { rest } else { return None };
        Some(name)
    }

    /// Elements up to the end of the one that they stand in.
    fn fields(&mut self, schema: Option<&Value>, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        let mut items = Vec::new();
        while let Some(name) = self.open() {
            let property = schema.and_then(|schema| schema.get("properties")?.get(name));
            let is_item = name == "item" && property.is_none();
            let inner =
                if is_item { schema.and_then(|schema| schema.get("items")) } else { property };
            let value = self.value(inner, depth.checked_sub(1)?)?;
            self.close(name)?;
            match is_item {
                true => items.push(value),
                false => _ = fields.insert(name.to_owned(), value),
            }
        }
        match (items.is_empty(), fields.is_empty()) {
            (true, _) => Some(Value::Object(fields)),
            (false, true) => Some(Value::Array(items)),
            (false, false) => None,
        }
    }

    /// Text up to the next mark, or elements.
    fn value(&mut self, schema: Option<&Value>, depth: usize) -> Option<Value> {
        let opened = Elements { mark: self.mark, rest: self.rest }.open();
        if opened.is_some() {
            return self.fields(schema, depth);
        }
        let (text, _) = self.rest.split_once(self.mark)?;
        self.rest = &self.rest[text.len()..];
        let empty = text.is_empty() && schema.and_then(|schema| schema.get("type")).is_none();
        Some(if empty { Value::Null } else { argument_types::of_schema(schema, None, text) })
    }
}
