//! Keywords of arrays.

use super::node::Node;
use super::object::item;
use super::validate::{At, Outcome, Report, Run, canonical};
use serde_json::Value;
use std::collections::HashMap;

impl<'s> Run<'s> {
    pub(super) fn array(
        &mut self,
        node: &'s Node,
        items: &[Value],
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let n = items.len() as u64;
        if let Some(min) = node.min_items.filter(|&min| n < min) {
            let message = || format!("the array has {n} items, fewer than {min}");
            self.violate((node, "minItems"), at, report, out, message);
        }
        if let Some(max) = node.max_items.filter(|&max| n > max) {
            let message = || format!("the array has {n} items, more than {max}");
            self.violate((node, "maxItems"), at, report, out, message);
        }
        if node.unique_items {
            self.unique(node, items, at, report, out);
        }
        for (index, value) in items.iter().enumerate() {
            let Some(&id) = node.prefix_items.get(index).or(node.items.as_ref()) else { break };
            if index >= node.prefix_items.len() && !self.schema.node(id).is_satisfiable {
                let max = node.prefix_items.len();
                let message = || format!("the array has {n} items, more than {max}");
                self.violate((node, "items"), at, report, out, message);
                break;
            }
            out.is_valid &= self.apply(id, &item(at, index, value), report).is_valid;
            if self.schema.tracks_evaluation {
                out.see_one(index, items.len());
            }
        }
        self.contains(node, items, at, report, out);
        let Some(id) = node.unevaluated_items else { return };
        for (index, value) in items.iter().enumerate() {
            if out.seen.get(index).copied().unwrap_or(false) {
                continue;
            }
            let item = item(at, index, value);
            if self.schema.node(id).is_satisfiable {
                out.is_valid &= self.apply(id, &item, report).is_valid;
            } else {
                let message = || "no further item is permitted".into();
                self.violate((node, "unevaluatedItems"), &item, report, out, message);
            }
            out.see_one(index, items.len());
        }
    }

    fn unique(
        &mut self,
        node: &Node,
        items: &[Value],
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let mut first = HashMap::new();
        for (index, value) in items.iter().enumerate() {
            let mut text = String::new();
            canonical(value, &mut text);
            if let Some(earlier) = first.insert(text, index) {
                let message = || format!("items {earlier} and {index} are equal");
                self.violate((node, "uniqueItems"), at, report, out, message);
                return;
            }
        }
    }

    fn contains(
        &mut self,
        node: &'s Node,
        items: &[Value],
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let Some(contains) = node.contains else { return };
        let mut n = 0;
        for (index, value) in items.iter().enumerate() {
            if self.apply(contains.node, &item(at, index, value), Report::Verdict).is_valid {
                n += 1;
                if self.schema.tracks_evaluation {
                    out.see_one(index, items.len());
                }
            }
        }
        if n < contains.min {
            let min = contains.min;
            let message =
                || format!("{n} items satisfy the schema of `contains`, fewer than {min}");
            self.violate((node, "contains"), at, report, out, message);
        }
        if let Some(max) = contains.max.filter(|&max| n > max) {
            let message = || format!("{n} items satisfy the schema of `contains`, more than {max}");
            self.violate((node, "maxContains"), at, report, out, message);
        }
    }
}
