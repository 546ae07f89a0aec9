//! A schema as it is after compilation: numbered nodes, each with the keywords that it has.

use super::{Decimal, Pattern};
use serde_json::Value;

/// A place in [`super::Schema`]'s list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// The JSON types, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeSet(u8);

impl TypeSet {
    pub const NULL: TypeSet = TypeSet(1);
    pub const BOOLEAN: TypeSet = TypeSet(2);
    /// Numbers that are integers, however they are written.
    pub const INTEGER: TypeSet = TypeSet(4);
    /// Numbers that are not integers.
    pub const FRACTION: TypeSet = TypeSet(8);
    pub const NUMBER: TypeSet = TypeSet(12);
    pub const STRING: TypeSet = TypeSet(16);
    pub const ARRAY: TypeSet = TypeSet(32);
    pub const OBJECT: TypeSet = TypeSet(64);
    pub const ALL: TypeSet = TypeSet(127);
    pub const NONE: TypeSet = TypeSet(0);

    /// The type of `value`.
    pub fn of(value: &Value) -> TypeSet {
        match value {
            Value::Null => TypeSet::NULL,
            Value::Bool(_) => TypeSet::BOOLEAN,
            Value::Number(n) if Decimal::of(n).is_integer() => TypeSet::INTEGER,
            Value::Number(_) => TypeSet::FRACTION,
            Value::String(_) => TypeSet::STRING,
            Value::Array(_) => TypeSet::ARRAY,
            Value::Object(_) => TypeSet::OBJECT,
        }
    }

    pub fn named(name: &str) -> Option<TypeSet> {
        let known = TypeSet::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(set, _)| *set)
    }

    const NAMES: [(TypeSet, &'static str); 7] = [
        (TypeSet::NULL, "null"),
        (TypeSet::BOOLEAN, "boolean"),
        (TypeSet::NUMBER, "number"),
        (TypeSet::INTEGER, "integer"),
        (TypeSet::STRING, "string"),
        (TypeSet::ARRAY, "array"),
        (TypeSet::OBJECT, "object"),
    ];

    pub fn has(self, other: TypeSet) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn and(self, other: TypeSet) -> TypeSet {
        TypeSet(self.0 & other.0)
    }

    pub fn or(self, other: TypeSet) -> TypeSet {
        TypeSet(self.0 | other.0)
    }

    pub fn complement(self) -> TypeSet {
        TypeSet(!self.0 & TypeSet::ALL.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the types in the set, as schemas write them.
    pub fn names(self) -> Vec<&'static str> {
        let has =
            |set: TypeSet| self.has(set) && !(set == TypeSet::INTEGER && self.has(TypeSet::NUMBER));
        TypeSet::NAMES.iter().filter(|(set, _)| has(*set)).map(|(_, name)| *name).collect()
    }
}

/// `contains` with its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contains {
    pub node: NodeId,
    pub min: u64,
    pub max: Option<u64>,
}

/// `$dynamicRef`: what it refers to, unless a schema on the way from the root has the same anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicReference {
    pub initial: NodeId,
    pub anchor: String,
}

/// One schema with the keywords that it has. Members of `enum` and `required` are as in the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// JSON pointer to it; with the address of its document where that is not the main one.
    pub location: String,
    /// The schema resource (what has an `$id` of its own) that it is part of.
    pub resource: u32,
    /// `false` is the schema that nothing satisfies.
    pub is_satisfiable: bool,
    pub types: TypeSet,
    pub enumeration: Option<Vec<Value>>,
    pub constant: Option<Value>,

    pub minimum: Option<Decimal>,
    pub maximum: Option<Decimal>,
    pub exclusive_minimum: Option<Decimal>,
    pub exclusive_maximum: Option<Decimal>,
    pub multiple_of: Option<Decimal>,

    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<Pattern>,
    pub format: Option<String>,

    pub prefix_items: Vec<NodeId>,
    pub items: Option<NodeId>,
    pub contains: Option<Contains>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,
    pub unevaluated_items: Option<NodeId>,

    pub properties: Vec<(String, NodeId)>,
    pub pattern_properties: Vec<(Pattern, NodeId)>,
    pub additional_properties: Option<NodeId>,
    pub property_names: Option<NodeId>,
    pub required: Vec<String>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub dependent_required: Vec<(String, Vec<String>)>,
    pub dependent_schemas: Vec<(String, NodeId)>,
    pub unevaluated_properties: Option<NodeId>,

    pub all_of: Vec<NodeId>,
    pub any_of: Vec<NodeId>,
    pub one_of: Vec<NodeId>,
    pub not: Option<NodeId>,
    pub if_: Option<NodeId>,
    pub then: Option<NodeId>,
    pub else_: Option<NodeId>,
    pub reference: Option<NodeId>,
    pub dynamic_reference: Option<DynamicReference>,
}

impl Node {
    /// The schema `true` at `location`.
    pub(super) fn anything(location: String, resource: u32) -> Node {
        Node {
            location,
            resource,
            is_satisfiable: true,
            types: TypeSet::ALL,
            enumeration: None,
            constant: None,
            minimum: None,
            maximum: None,
            exclusive_minimum: None,
            exclusive_maximum: None,
            multiple_of: None,
            min_length: None,
            max_length: None,
            pattern: None,
            format: None,
            prefix_items: Vec::new(),
            items: None,
            contains: None,
            min_items: None,
            max_items: None,
            unique_items: false,
            unevaluated_items: None,
            properties: Vec::new(),
            pattern_properties: Vec::new(),
            additional_properties: None,
            property_names: None,
            required: Vec::new(),
            min_properties: None,
            max_properties: None,
            dependent_required: Vec::new(),
            dependent_schemas: Vec::new(),
            unevaluated_properties: None,
            all_of: Vec::new(),
            any_of: Vec::new(),
            one_of: Vec::new(),
            not: None,
            if_: None,
            then: None,
            else_: None,
            reference: None,
            dynamic_reference: None,
        }
    }

    /// Whether it has no keyword that asks for anything.
    pub fn is_trivial(&self) -> bool {
        let plain = Node::anything(self.location.clone(), self.resource);
        *self == plain
    }

    /// Schemas that judge the same value as this one, in the order of evaluation.
    pub fn in_place(&self) -> impl Iterator<Item = NodeId> + '_ {
        let dynamic = self.dynamic_reference.as_ref().map(|reference| reference.initial);
        let dependent = self.dependent_schemas.iter().map(|(_, node)| *node);
        [self.reference, dynamic, self.not, self.if_, self.then, self.else_]
            .into_iter()
            .flatten()
            .chain(self.all_of.iter().copied())
            .chain(self.any_of.iter().copied())
            .chain(self.one_of.iter().copied())
            .chain(dependent)
    }
}
