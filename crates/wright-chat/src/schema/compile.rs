//! From a schema as JSON to numbered nodes: keywords are checked, references followed.

use super::index::{Draft, Index, Place};
use super::node::{Contains, DynamicReference, Node, NodeId, TypeSet};
use super::reference::{join, percent_decoded, pointer_key, split_fragment};
use super::{Decimal, Pattern, SchemaError};
use serde_json::{Map, Value};
use std::collections::{HashMap, VecDeque};

/// Nodes of a schema at most.
const NODES_MAX: usize = 100_000;

/// The nodes of a schema, the root first.
pub(super) struct Compiled {
    pub nodes: Vec<Node>,
    /// For each resource, its nodes by dynamic anchor.
    pub dynamic: Vec<HashMap<String, NodeId>>,
}

pub(super) fn compile(root: &Value) -> Result<Compiled, SchemaError> {
    let index = Index::new(root)?;
    let mut compiler = Compiler { index: &index, known: HashMap::new(), pending: VecDeque::new() };
    compiler.intern(index.root());
    let mut dynamic = Vec::new();
    for resource in &index.resources {
        let mut anchors = HashMap::new();
        for (name, place) in &resource.dynamic {
            anchors.insert(name.clone(), compiler.intern(place.clone()));
        }
        dynamic.push(anchors);
    }
    let mut nodes = Vec::new();
    while let Some(place) = compiler.pending.pop_front() {
        if nodes.len() == NODES_MAX {
            return Err(SchemaError::TooLarge { what: "schemas", max: NODES_MAX });
        }
        nodes.push(compiler.node(&place)?);
    }
    refuse_endless(&nodes)?;
    Ok(Compiled { nodes, dynamic })
}

/// A schema that comes back to itself without going into the value could be followed for ever.
fn refuse_endless(nodes: &[Node]) -> Result<(), SchemaError> {
    const ENTERED: u8 = 1;
    const LEFT: u8 = 2;
    let mut state = vec![0_u8; nodes.len()];
    for start in 0..nodes.len() {
        let mut stack = vec![(start, false)];
        while let Some((node, done)) = stack.pop() {
            if done {
                state[node] = LEFT;
                continue;
            }
            match state[node] {
                0 => {}
                _ => continue,
            }
            state[node] = ENTERED;
            stack.push((node, true));
            for next in nodes[node].in_place() {
                match state[next.0 as usize] {
                    ENTERED => {
                        let pointer = nodes[node].location.clone();
                        return Err(SchemaError::Endless { pointer });
                    }
                    LEFT => {}
                    _ => stack.push((next.0 as usize, false)),
                }
            }
        }
    }
    Ok(())
}

struct Compiler<'s, 'i> {
    index: &'i Index<'s>,
    known: HashMap<String, NodeId>,
    /// Places whose nodes are still to be made, in the order of their numbers.
    pending: VecDeque<Place<'s>>,
}

impl<'s> Compiler<'s, '_> {
    /// The number of the node for `place`, now or later.
    fn intern(&mut self, place: Place<'s>) -> NodeId {
        let next = NodeId(self.known.len() as u32);
        let id = *self.known.entry(place.pointer.clone()).or_insert(next);
        if id == next {
            self.pending.push_back(place);
        }
        id
    }

    fn node(&mut self, place: &Place<'s>) -> Result<Node, SchemaError> {
        let mut node = Node::anything(place.pointer.clone(), place.resource);
        let keywords = match place.value {
            Value::Bool(is_satisfiable) => {
                node.is_satisfiable = *is_satisfiable;
                return Ok(node);
            }
            Value::Object(keywords) => keywords,
            _ => return Err(SchemaError::NotASchema { pointer: place.pointer.clone() }),
        };
        let mut reader = Reader { place, keywords, compiler: self };
        reader.references(&mut node)?;
        if place.draft < Draft::Modern && node.reference.is_some() {
            return Ok(node);
        }
        reader.any_type(&mut node)?;
        reader.numbers(&mut node)?;
        reader.strings(&mut node)?;
        reader.arrays(&mut node)?;
        reader.objects(&mut node)?;
        reader.combinations(&mut node)?;
        Ok(node)
    }

    /// The place that `reference` names, as seen from `place`, and the anchor in it, if any.
    fn resolve(&self, place: &Place<'s>, reference: &str) -> Result<Place<'s>, SchemaError> {
        let base = &self.index.resources[place.resource as usize].uri;
        let absolute = join(base, reference);
        let (uri, fragment) = split_fragment(&absolute);
        let pointer = || place.pointer.clone();
        let Some(resource) = self.index.resource(uri) else {
            return Err(SchemaError::Remote {
                pointer: pointer(),
                reference: reference.to_owned(),
            });
        };
        let missing =
            || SchemaError::Unresolved { pointer: pointer(), reference: reference.to_owned() };
        let resource = &self.index.resources[resource as usize];
        let fragment = percent_decoded(fragment).ok_or_else(missing)?;
        if fragment.is_empty() {
            return Ok(resource.root.clone());
        }
        let Some(steps) = fragment.strip_prefix('/') else {
            return resource.anchors.get(&fragment).cloned().ok_or_else(missing);
        };
        let mut at = resource.root.clone();
        for step in steps.split('/') {
            let key = pointer_key(step);
            let value = match at.value {
                Value::Object(map) => map.get(&key),
                Value::Array(list) => key.parse().ok().and_then(|i: usize| list.get(i)),
                _ => None,
            };
            at = self.index.child(&at, &key, value.ok_or_else(missing)?);
        }
        Ok(at)
    }
}

/// Reads the keywords of one schema.
struct Reader<'r, 's, 'i> {
    place: &'r Place<'s>,
    keywords: &'s Map<String, Value>,
    compiler: &'r mut Compiler<'s, 'i>,
}

impl<'s> Reader<'_, 's, '_> {
    fn wrong<T>(&self, name: &str, expected: &'static str) -> Result<T, SchemaError> {
        Err(SchemaError::keyword(&self.place.pointer, name, expected))
    }

    fn references(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        if let Some(reference) = self.string("$ref")? {
            let place = self.compiler.resolve(self.place, reference)?;
            node.reference = Some(self.compiler.intern(place));
        }
        for (name, is_recursive) in [("$dynamicRef", false), ("$recursiveRef", true)] {
            let Some(reference) = self.string(name)? else { continue };
            let place = self.compiler.resolve(self.place, reference)?;
            let anchor = if is_recursive { "" } else { split_fragment(reference).1 };
            let resource = &self.compiler.index.resources[place.resource as usize];
            let dynamic = resource.dynamic.get(anchor);
            let is_dynamic = dynamic.is_some_and(|dynamic| dynamic.pointer == place.pointer);
            let initial = self.compiler.intern(place);
            if is_dynamic {
                let anchor = anchor.to_owned();
                node.dynamic_reference = Some(DynamicReference { initial, anchor });
            } else if node.reference.is_none() {
                node.reference = Some(initial);
            } else {
                node.all_of.push(initial);
            }
        }
        Ok(())
    }

    fn any_type(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        let named = |value: &Value| value.as_str().and_then(TypeSet::named);
        match self.keywords.get("type") {
            None => {}
            Some(Value::Array(list)) => {
                node.types = TypeSet::NONE;
                for value in list {
                    match named(value) {
                        Some(set) => node.types = node.types.or(set),
                        None => return self.wrong("type", "a list of names of types"),
                    }
                }
            }
            Some(value) => match named(value) {
                Some(set) => node.types = set,
                None => return self.wrong("type", "the name of a type"),
            },
        }
        match self.keywords.get("enum") {
            None => {}
            Some(Value::Array(list)) => node.enumeration = Some(list.clone()),
            Some(_) => return self.wrong("enum", "a list"),
        }
        node.constant = self.keywords.get("const").cloned();
        Ok(())
    }

    fn numbers(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        node.minimum = self.number("minimum")?;
        node.maximum = self.number("maximum")?;
        // In draft 4 these are flags beside the bound.
        for (name, is_minimum) in [("exclusiveMinimum", true), ("exclusiveMaximum", false)] {
            let bound = match self.keywords.get(name) {
                Some(Value::Bool(false)) => continue,
                Some(Value::Bool(true)) if is_minimum => node.minimum.take(),
                Some(Value::Bool(true)) => node.maximum.take(),
                _ => self.number(name)?,
            };
            let exclusive =
                if is_minimum { &mut node.exclusive_minimum } else { &mut node.exclusive_maximum };
            *exclusive = bound;
        }
        node.multiple_of = self.number("multipleOf")?;
        if node.multiple_of.is_some_and(|n| n <= Decimal::ZERO) {
            return self.wrong("multipleOf", "a number above 0");
        }
        Ok(())
    }

    fn strings(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        node.min_length = self.count("minLength")?;
        node.max_length = self.count("maxLength")?;
        if let Some(source) = self.string("pattern")? {
            node.pattern = Some(self.pattern(source)?);
        }
        node.format = self.string("format")?.map(str::to_owned);
        Ok(())
    }

    fn arrays(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        node.min_items = self.count("minItems")?;
        node.max_items = self.count("maxItems")?;
        node.unique_items = match self.keywords.get("uniqueItems") {
            None => false,
            Some(Value::Bool(is_unique)) => *is_unique,
            Some(_) => return self.wrong("uniqueItems", "true or false"),
        };
        node.prefix_items = self.schemas("prefixItems")?;
        // Before 2020-12 a list of `items` was what `prefixItems` is now.
        if self.keywords.get("items").is_some_and(Value::is_array) {
            node.prefix_items = self.schemas("items")?;
            node.items = self.schema("additionalItems")?;
        } else {
            node.items = self.schema("items")?;
        }
        if let Some(contained) = self.schema("contains")? {
            let min = self.count("minContains")?.unwrap_or(1);
            let max = self.count("maxContains")?;
            node.contains = Some(Contains { node: contained, min, max });
        }
        node.unevaluated_items = self.schema("unevaluatedItems")?;
        Ok(())
    }

    fn objects(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        node.properties = self.named_schemas("properties")?;
        for (source, id) in self.named_schemas("patternProperties")? {
            node.pattern_properties.push((self.pattern(&source)?, id));
        }
        node.additional_properties = self.schema("additionalProperties")?;
        node.property_names = self.schema("propertyNames")?;
        if let Some(required) = self.keywords.get("required") {
            node.required = self.names("required", required)?;
        }
        node.min_properties = self.count("minProperties")?;
        node.max_properties = self.count("maxProperties")?;
        node.dependent_schemas = self.named_schemas("dependentSchemas")?;
        for name in ["dependentRequired", "dependencies"] {
            for (key, value) in self.object(name)? {
                if value.is_array() {
                    node.dependent_required.push((key.clone(), self.names(name, value)?));
                } else if name == "dependencies" {
                    let parent = self.compiler.index.child(self.place, name, value);
                    let place = self.compiler.index.child(&parent, key, value);
                    node.dependent_schemas.push((key.clone(), self.compiler.intern(place)));
                } else {
                    return self.wrong(name, "lists of names");
                }
            }
        }
        node.unevaluated_properties = self.schema("unevaluatedProperties")?;
        Ok(())
    }

    fn combinations(&mut self, node: &mut Node) -> Result<(), SchemaError> {
        node.all_of.extend(self.schemas("allOf")?);
        node.any_of = self.schemas("anyOf")?;
        node.one_of = self.schemas("oneOf")?;
        node.not = self.schema("not")?;
        node.if_ = self.schema("if")?;
        if node.if_.is_some() {
            node.then = self.schema("then")?;
            node.else_ = self.schema("else")?;
        }
        Ok(())
    }

    fn string(&self, name: &str) -> Result<Option<&'s str>, SchemaError> {
        match self.keywords.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.wrong(name, "a string"),
        }
    }

    fn number(&self, name: &str) -> Result<Option<Decimal>, SchemaError> {
        match self.keywords.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(Decimal::of(number))),
            Some(_) => self.wrong(name, "a number"),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, SchemaError> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        match number.to_integer().map(u64::try_from) {
            Some(Ok(count)) => Ok(Some(count)),
            // A bound beyond 128 bits is one that nothing reaches.
            None if number.is_integer() && !number.is_negative() => Ok(Some(u64::MAX)),
            _ => self.wrong(name, "an integer that is not negative"),
        }
    }

    fn pattern(&self, source: &str) -> Result<Pattern, SchemaError> {
        Pattern::new(source).map_err(|reason| SchemaError::Pattern {
            pointer: self.place.pointer.clone(),
            pattern: source.to_owned(),
            reason,
        })
    }

    fn object(&self, name: &str) -> Result<Vec<(&'s String, &'s Value)>, SchemaError> {
        match self.keywords.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => Ok(map.iter().collect()),
            Some(_) => self.wrong(name, "an object"),
        }
    }

    fn names(&self, name: &str, value: &Value) -> Result<Vec<String>, SchemaError> {
        let list = value.as_array().map(|list| list.iter().map(|v| v.as_str().map(str::to_owned)));
        match list.and_then(Iterator::collect) {
            Some(names) => Ok(names),
            None => self.wrong(name, "a list of strings"),
        }
    }

    fn schema(&mut self, name: &str) -> Result<Option<NodeId>, SchemaError> {
        let Some(value) = self.keywords.get(name) else { return Ok(None) };
        let place = self.compiler.index.child(self.place, name, value);
        Ok(Some(self.compiler.intern(place)))
    }

    fn schemas(&mut self, name: &str) -> Result<Vec<NodeId>, SchemaError> {
        let list = match self.keywords.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return self.wrong(name, "a list of schemas"),
        };
        let parent = self.compiler.index.child(self.place, name, &Value::Null);
        let intern = |(i, value): (usize, &'s Value)| {
            let place = self.compiler.index.child(&parent, &i.to_string(), value);
            self.compiler.intern(place)
        };
        Ok(list.iter().enumerate().map(intern).collect())
    }

    fn named_schemas(&mut self, name: &str) -> Result<Vec<(String, NodeId)>, SchemaError> {
        let parent = self.compiler.index.child(self.place, name, &Value::Null);
        let mut named = Vec::new();
        for (key, value) in self.object(name)? {
            let place = self.compiler.index.child(&parent, key, value);
            named.push((key.clone(), self.compiler.intern(place)));
        }
        Ok(named)
    }
}
