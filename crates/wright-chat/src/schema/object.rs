//! Keywords of objects.

use super::node::Node;
use super::validate::{At, Outcome, Report, Run, Step, members};
use serde_json::{Map, Value};

impl<'s> Run<'s> {
    pub(super) fn object(
        &mut self,
        node: &'s Node,
        object: &Map<String, Value>,
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        self.presence(node, object, at, report, out);
        for (key, id) in &node.dependent_schemas {
            if object.contains_key(key) {
                let inner = self.apply(*id, at, report);
                out.is_valid &= inner.is_valid;
                out.see(&inner.seen);
            }
        }
        let names = (!node.properties.is_empty()).then(|| {
            let ids = node.properties.iter().map(|(key, id)| (key.as_str(), *id));
            ids.collect::<std::collections::HashMap<_, _>>()
        });
        for (index, key, member) in members(object, at) {
            let mut ids = Vec::new();
            ids.extend(names.as_ref().and_then(|names| names.get(key)).copied());
            let patterns = node.pattern_properties.iter();
            ids.extend(patterns.filter(|(pattern, _)| pattern.is_match(key)).map(|(_, id)| *id));
            if ids.is_empty() {
                ids.extend(node.additional_properties);
            }
            self.name(node, key, &member, report, out);
            let is_additional = ids.as_slice() == node.additional_properties.as_slice();
            for id in ids {
                let forbids = is_additional && !self.schema.node(id).is_satisfiable;
                if forbids {
                    let keyword = (node, "additionalProperties");
                    self.forbid(keyword, key, &member, report, out);
                } else {
                    out.is_valid &= self.apply(id, &member, report).is_valid;
                }
                if self.schema.tracks_evaluation {
                    out.see_one(index, object.len());
                }
            }
        }
        if let Some(id) = node.unevaluated_properties {
            let forbids = !self.schema.node(id).is_satisfiable;
            for (index, key, member) in members(object, at) {
                if out.seen.get(index).copied().unwrap_or(false) {
                    continue;
                }
                if forbids {
                    self.forbid((node, "unevaluatedProperties"), key, &member, report, out);
                } else {
                    out.is_valid &= self.apply(id, &member, report).is_valid;
                }
                out.see_one(index, object.len());
            }
        }
    }

    fn name(
        &mut self,
        node: &'s Node,
        key: &str,
        member: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let Some(id) = node.property_names else { return };
        let name = Value::String(key.to_owned());
        let at = At { value: &name, parent: None };
        if !self.apply(id, &at, Report::Verdict).is_valid {
            let message = || format!("the name {key:?} is not permitted by `propertyNames`");
            self.violate((node, "propertyNames"), member, report, out, message);
        }
    }

    fn forbid(
        &mut self,
        keyword: (&Node, &str),
        key: &str,
        member: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let names: Vec<&str> = keyword.0.properties.iter().map(|(key, _)| key.as_str()).collect();
        let message = || match names.len() {
            0 => format!("the property {key:?} is not permitted"),
            1..=20 => {
                format!("the property {key:?} is not permitted; permitted are {}", names.join(", "))
            }
            _ => format!("the property {key:?} is not permitted"),
        };
        self.violate(keyword, member, report, out, message);
    }

    /// Which members there must be, and how many.
    fn presence(
        &mut self,
        node: &Node,
        object: &Map<String, Value>,
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        for key in node.required.iter().filter(|key| !object.contains_key(*key)) {
            let message = || format!("the property {key:?} is missing");
            self.violate((node, "required"), at, report, out, message);
        }
        for (key, needed) in &node.dependent_required {
            if !object.contains_key(key) {
                continue;
            }
            for needed in needed.iter().filter(|key| !object.contains_key(*key)) {
                let message =
                    || format!("the property {needed:?} is missing, which {key:?} requires");
                self.violate((node, "dependentRequired"), at, report, out, message);
            }
        }
        let n = object.len() as u64;
        if let Some(min) = node.min_properties.filter(|&min| n < min) {
            let message = || format!("the object has {n} properties, fewer than {min}");
            self.violate((node, "minProperties"), at, report, out, message);
        }
        if let Some(max) = node.max_properties.filter(|&max| n > max) {
            let message = || format!("the object has {n} properties, more than {max}");
            self.violate((node, "maxProperties"), at, report, out, message);
        }
    }
}

/// An item of an array with the way to it.
pub(super) fn item<'v>(at: &'v At<'v>, index: usize, value: &'v Value) -> At<'v> {
    At { value, parent: Some((at, Step::Index(index))) }
}
