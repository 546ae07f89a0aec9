//! Where the parts of a schema are: resources by `$id`, places by `$anchor`.
//!
//! Only keywords that hold schemas are followed: an `$id` within an `enum` names nothing.

use super::reference::{join, pointer_step, split_fragment};
use super::{DEPTH_MAX, SchemaError};
use serde_json::Value;
use std::collections::HashMap;
use std::rc::Rc;

/// A place in a schema, with what is needed to read what stands there.
#[derive(Debug, Clone)]
pub(super) struct Place<'s> {
    pub value: &'s Value,
    /// JSON pointer from the root of the whole.
    pub pointer: String,
    /// The resource that it is in; not its own where it begins one.
    pub resource: u32,
    pub draft: Draft,
}

/// What differs between the drafts that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    /// 4: `id` in place of `$id`.
    Four,
    /// 6 and 7: a `$ref` hides what stands beside it, and `$id` can be an anchor.
    Seven,
    /// 2019-09 and 2020-12.
    Modern,
}

impl Draft {
    fn named(uri: &str) -> Option<Draft> {
        let uri = split_fragment(uri).0;
        let name = uri.split_once("://json-schema.org/").map_or(uri, |(_, name)| name);
        match name.trim_end_matches('/') {
            "draft-04/schema" => Some(Draft::Four),
            "draft-06/schema" | "draft-07/schema" => Some(Draft::Seven),
            "draft/2019-09/schema" | "draft/2020-12/schema" | "schema" => Some(Draft::Modern),
            _ => None,
        }
    }

    /// The draft in which `value` is written, if it says so.
    pub fn of(value: &Value, pointer: &str) -> Result<Option<Draft>, SchemaError> {
        let Some(uri) = value.get("$schema") else { return Ok(None) };
        let Some(uri) = uri.as_str() else {
            return Err(SchemaError::keyword(pointer, "$schema", "a string"));
        };
        match Draft::named(uri) {
            Some(draft) => Ok(Some(draft)),
            None => Err(SchemaError::Dialect { uri: uri.to_owned() }),
        }
    }

    /// The identifier of `value`, if it begins a resource or names an anchor.
    fn id(self, value: &Value) -> Option<&str> {
        let name = if self == Draft::Four { "id" } else { "$id" };
        let is_hidden = self < Draft::Modern && value.get("$ref").is_some();
        value.get(name).filter(|_| !is_hidden)?.as_str()
    }
}

/// A schema with an address of its own.
#[derive(Debug)]
pub(super) struct Resource<'s> {
    pub uri: Rc<str>,
    pub root: Place<'s>,
    /// Places by `$dynamicAnchor`; the empty name is `$recursiveAnchor`.
    pub dynamic: HashMap<String, Place<'s>>,
    pub anchors: HashMap<String, Place<'s>>,
}

#[derive(Debug, Default)]
pub(super) struct Index<'s> {
    pub resources: Vec<Resource<'s>>,
    by_uri: HashMap<Rc<str>, u32>,
    /// Pointers at which resources begin.
    begins: HashMap<String, (u32, Draft)>,
}

impl<'s> Index<'s> {
    /// Reads where everything in `root` is.
    ///
    /// # Errors
    /// If a dialect is not known, or schemas are nested too deeply.
    pub fn new(root: &'s Value) -> Result<Index<'s>, SchemaError> {
        let mut index = Index::default();
        let draft = Draft::of(root, "")?.unwrap_or(Draft::Modern);
        let place = Place { value: root, pointer: String::new(), resource: 0, draft };
        index.add_resource("json-schema:///", place.clone());
        let mut pending = vec![(place, 0)];
        while let Some((place, depth)) = pending.pop() {
            if depth > DEPTH_MAX {
                return Err(SchemaError::TooDeep);
            }
            let place = index.enter(place)?;
            children(&place, |child| pending.push((child, depth + 1)));
        }
        Ok(index)
    }

    /// The root of the whole, in its own resource.
    pub fn root(&self) -> Place<'s> {
        let (resource, draft) = self.begins[""];
        Place { resource, draft, ..self.resources[0].root.clone() }
    }

    pub fn resource(&self, uri: &str) -> Option<u32> {
        self.by_uri.get(uri).copied()
    }

    /// The step from a place down to `value`: the resource may be another one there.
    pub fn child(&self, parent: &Place<'s>, step: &str, value: &'s Value) -> Place<'s> {
        let pointer = format!("{}/{}", parent.pointer, pointer_step(step));
        let inherited = (parent.resource, parent.draft);
        let (resource, draft) = self.begins.get(&pointer).copied().unwrap_or(inherited);
        Place { value, pointer, resource, draft }
    }

    fn add_resource(&mut self, uri: &str, root: Place<'s>) -> u32 {
        let number = self.resources.len() as u32;
        let uri: Rc<str> = split_fragment(uri).0.into();
        let root = Place { resource: number, ..root };
        self.by_uri.insert(Rc::clone(&uri), number);
        self.begins.insert(root.pointer.clone(), (number, root.draft));
        let (dynamic, anchors) = Default::default();
        self.resources.push(Resource { uri, root, dynamic, anchors });
        number
    }

    /// Notes what `place` is called. Returns it with the resource that it is in.
    fn enter(&mut self, mut place: Place<'s>) -> Result<Place<'s>, SchemaError> {
        if !place.value.is_object() {
            return Ok(place);
        }
        if let Some(draft) = Draft::of(place.value, &place.pointer)? {
            place.draft = draft;
        }
        if let Some(id) = place.draft.id(place.value) {
            let (uri, fragment) = split_fragment(id);
            if !uri.is_empty() {
                let uri = join(&self.resources[place.resource as usize].uri, uri);
                place.resource = self.add_resource(&uri, place.clone());
            }
            if !fragment.is_empty() && place.draft < Draft::Modern {
                let anchors = &mut self.resources[place.resource as usize].anchors;
                anchors.insert(fragment.to_owned(), place.clone());
            }
        }
        let resource = &mut self.resources[place.resource as usize];
        for name in ["$anchor", "$dynamicAnchor"] {
            if let Some(anchor) = place.value.get(name).and_then(Value::as_str) {
                resource.anchors.insert(anchor.to_owned(), place.clone());
            }
        }
        if let Some(anchor) = place.value.get("$dynamicAnchor").and_then(Value::as_str) {
            resource.dynamic.insert(anchor.to_owned(), place.clone());
        }
        if place.value.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
            resource.dynamic.insert(String::new(), place.clone());
        }
        Ok(place)
    }
}

/// Keywords whose value is a schema.
const ONE: &[&str] = &[
    "items",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const LIST: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords whose value is an object of schemas.
const MAP: &[&str] = &[
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
    "dependencies",
];

/// Hands each schema directly within `place` to `each`.
fn children<'s>(place: &Place<'s>, mut each: impl FnMut(Place<'s>)) {
    let Some(keywords) = place.value.as_object() else { return };
    if place.draft < Draft::Modern && keywords.contains_key("$ref") && !place.pointer.is_empty() {
        return;
    }
    let is_schema = |value: &Value| value.is_object() || value.is_boolean();
    for (name, value) in keywords {
        let name = name.as_str();
        let mut child = |steps: String, value: &'s Value| {
            if is_schema(value) {
                let pointer = format!("{}/{}{steps}", place.pointer, pointer_step(name));
                each(Place { value, pointer, ..place.clone() });
            }
        };
        match value {
            Value::Array(list) if LIST.contains(&name) => {
                list.iter().enumerate().for_each(|(i, value)| child(format!("/{i}"), value));
            }
            Value::Object(map) if MAP.contains(&name) => {
                let step = |key: &String| format!("/{}", pointer_step(key));
                map.iter().for_each(|(key, value)| child(step(key), value));
            }
            _ if ONE.contains(&name) => child(String::new(), value),
            _ => {}
        }
    }
}
