//! JSON Schema: one reading of schemas for everything that checks or enforces them.
//!
//! A schema is compiled once ([`Schema::compile`]) and then applied to any number of values
//! ([`Schema::validate`]). Draft 2020-12 is implemented, and 2019-09, 7, 6 and 4 where they write
//! the same thing otherwise (`definitions`, `dependencies`, lists of `items`, `id`).
//!
//! What cannot be honoured is refused by name when a schema is compiled: references to other
//! documents, unknown dialects, patterns that need look-around or back-references. Numbers are
//! compared exactly. Work, depth and memory are bounded, whatever the schema and the value.

mod array;
mod compile;
mod duplicate;
mod format;
mod index;
mod node;
mod number;
mod object;
mod pattern;
mod reference;
mod validate;

pub use duplicate::{DuplicateKey, check_duplicate_keys};
pub use format::{FormatCheck, format_check};
pub use node::{Contains, DynamicReference, Node, NodeId, TypeSet};
pub use number::Decimal;
pub use pattern::Pattern;

use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use thiserror::Error;

/// Schemas may be nested this deep.
const DEPTH_MAX: usize = 256;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    #[error("{} is not a schema: a schema is an object, true or false", Where(pointer))]
    NotASchema { pointer: String },
    #[error("`{keyword}` {} must be {expected}", At(pointer))]
    Keyword { pointer: String, keyword: String, expected: &'static str },
    #[error("the pattern {pattern:?} {} cannot be used: {reason}", At(pointer))]
    Pattern { pointer: String, pattern: String, reason: String },
    #[error(
        "the reference {reference:?} {} leads to another document, and those are not fetched",
        At(pointer)
    )]
    Remote { pointer: String, reference: String },
    #[error("the reference {reference:?} {} leads to nothing", At(pointer))]
    Unresolved { pointer: String, reference: String },
    #[error("the schema {} refers back to itself without end", At(pointer))]
    Endless { pointer: String },
    #[error("the dialect {uri:?} is not known; known are drafts 4, 6, 7, 2019-09 and 2020-12")]
    Dialect { uri: String },
    #[error("there are more than {max} {what}")]
    TooLarge { what: &'static str, max: usize },
    #[error("schemas are nested too deeply")]
    TooDeep,
}

impl SchemaError {
    fn keyword(pointer: &str, keyword: &str, expected: &'static str) -> SchemaError {
        SchemaError::Keyword { pointer: pointer.to_owned(), keyword: keyword.to_owned(), expected }
    }
}

/// "at /a/b", or nothing for the root.
struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("at the top"),
            pointer => write!(f, "at {pointer}"),
        }
    }
}

/// "what stands at /a/b", or the whole.
struct Where<'a>(&'a str);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("this"),
            pointer => write!(f, "what is at {pointer}"),
        }
    }
}

/// One way in which a value breaks a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the part of the value that is wrong; empty for the whole value.
    pub instance: String,
    /// JSON pointer to the keyword that it breaks.
    pub schema: String,
    /// What is wrong, so that whoever wrote the value can repair it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

/// A compiled JSON schema.
///
/// ```
/// use serde_json::json;
/// use wright_chat::schema::Schema;
///
/// let schema = Schema::compile(&json!({
///     "type": "object",
///     "properties": {"n": {"type": "integer", "minimum": 1}},
///     "required": ["n"]
/// }))?;
/// assert!(schema.validate(&json!({"n": 3})).is_ok());
/// let violations = schema.validate(&json!({"n": 0})).unwrap_err();
/// assert_eq!(violations[0].to_string(), "/n: 0 is less than the minimum of 1");
/// # Ok::<(), wright_chat::schema::SchemaError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schema {
    nodes: Vec<Node>,
    dynamic: Vec<HashMap<String, NodeId>>,
    /// Whether any schema asks what others have looked at.
    tracks_evaluation: bool,
    asserts_formats: bool,
}

impl Schema {
    /// Reads `schema`, which is an object or a boolean.
    ///
    /// # Errors
    /// If it is malformed, or uses what is not supported; the error names it.
    pub fn compile(schema: &Value) -> Result<Schema, SchemaError> {
        let compile::Compiled { nodes, dynamic } = compile::compile(schema)?;
        let asks =
            |node: &Node| node.unevaluated_items.is_some() || node.unevaluated_properties.is_some();
        let tracks_evaluation = nodes.iter().any(asks);
        Ok(Schema { nodes, dynamic, tracks_evaluation, asserts_formats: false })
    }

    /// The same schema, with `format` checked: by itself it is only a remark. Formats that are not
    /// known are still ignored.
    pub fn asserting_formats(self) -> Schema {
        Schema { asserts_formats: true, ..self }
    }

    /// Checks `value`.
    ///
    /// # Errors
    /// Every violation that was found, at most a hundred.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<Violation>> {
        validate::validate(self, value)
    }

    /// Whether `value` satisfies one node of the schema, taken by itself.
    pub fn is_valid_at(&self, id: NodeId, value: &Value) -> bool {
        validate::is_valid_at(self, id, value)
    }

    pub fn asserts_formats(&self) -> bool {
        self.asserts_formats
    }

    /// The schema itself.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The schema of a number that this schema, or one of its nodes, gave.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Every node that has the dynamic anchor `anchor`, one of each resource.
    pub fn dynamic_anchors(&self, anchor: &str) -> impl Iterator<Item = NodeId> {
        self.dynamic.iter().filter_map(move |anchors| anchors.get(anchor).copied())
    }

    /// The node of a resource that can be referred to dynamically by `anchor`.
    pub fn dynamic_anchor(&self, resource: u32, anchor: &str) -> Option<NodeId> {
        self.dynamic.get(resource as usize)?.get(anchor).copied()
    }
}

#[cfg(test)]
mod tests;
