//! JSON schemas as grammars: every text that the grammar permits satisfies the schema.
//!
//! [`expand`] rewrites what must hold of a value into branches without choices and negations;
//! [`values`], [`arrays`] and [`objects`] write each as rules; [`grammar`] drops the rules that
//! nothing satisfies and prints the rest. A keyword that cannot be enforced is refused by name: a
//! schema is never relaxed. The grammar may permit less than the schema: members come in the order
//! of the schema, a value is written in one way only, and large sets of unique values come in
//! order.

mod arrays;
mod branch;
mod expand;
mod grammar;
mod language;
mod negate;
mod number;
mod objects;
mod text;
mod values;

pub(super) use language::lark_regex;

#[cfg(test)]
mod tests;

use serde_json::Value;
use thiserror::Error;
use wright_chat::schema::{Decimal, Node, Schema};

/// Why a schema cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{keyword}{place} cannot be enforced: {reason}", place = place(.pointer))]
pub struct Refusal {
    /// The keyword, or what else is at fault.
    pub keyword: String,
    /// JSON pointer to the schema that has it, where one is to blame.
    pub pointer: Option<String>,
    pub reason: String,
}

fn place(pointer: &Option<String>) -> String {
    match pointer.as_deref() {
        None => String::new(),
        Some("") => " at the top".into(),
        Some(pointer) => format!(" at {pointer}"),
    }
}

impl Refusal {
    fn new(keyword: &str, reason: impl Into<String>) -> Refusal {
        Refusal { keyword: keyword.to_owned(), pointer: None, reason: reason.into() }
    }

    fn at(node: &Node, keyword: &str, reason: impl Into<String>) -> Refusal {
        Refusal { pointer: Some(node.location.clone()), ..Refusal::new(keyword, reason) }
    }
}

/// A schema as rules of a grammar.
#[derive(Debug, Clone)]
pub(crate) struct SchemaGrammar {
    /// Rules and terminals in the syntax of Lark.
    pub rules: String,
    /// The rule of the whole.
    pub start: String,
    /// Whether objects may have members whose keys the grammar does not list: then it is up to the
    /// reader to see that no key stands twice.
    pub has_free_keys: bool,
    /// Whether arrays must not have equal items, which the grammar cannot say.
    pub has_unique_items: bool,
}

/// Rewrites `schema` into a grammar whose names begin with `prefix`, in lower case.
///
/// # Errors
/// The keyword that cannot be enforced, or a size that is too large.
pub(crate) fn compile(schema: &Schema, prefix: &str) -> Result<SchemaGrammar, Refusal> {
    values::Writer::new(schema).write(prefix)
}

/// `value` as a grammar permits it: `{"a": [1, 2.5]}`.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            let value = Decimal::of(number);
            let sign = if value.is_negative() { "-" } else { "" };
            format!("{sign}{}", value.digits_in_full())
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::String(key.clone()), written(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        _ => value.to_string(),
    }
}
