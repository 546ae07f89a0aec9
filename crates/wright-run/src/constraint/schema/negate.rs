//! The ways to break the keywords of one schema that leave nothing to choose.

use super::Refusal;
use super::branch::{ArrayRule, Branch, ContainsRule, Goal, ObjectRule, SomeMember, Ways, least};
use wright_chat::schema::{Node, TypeSet};

/// Breaking keywords of single values.
pub(super) fn plain<'s>(node: &'s Node, branch: &Branch<'s>, asserts_formats: bool) -> Ways<'s> {
    let mut all = Vec::new();
    let of = |types: TypeSet| branch.clone().of(types);
    if node.types != TypeSet::ALL {
        all.push(of(node.types.complement()));
    }
    let lists = [node.enumeration.as_deref(), node.constant.as_ref().map(std::slice::from_ref)];
    for list in lists.into_iter().flatten() {
        let mut branch = branch.clone();
        branch.excluded.extend(list.iter().cloned());
        all.push(branch);
    }
    let mut number = |change: &dyn Fn(&mut Branch<'s>)| {
        let mut branch = of(TypeSet::NUMBER);
        change(&mut branch);
        all.push(branch);
    };
    if node.minimum.is_some() {
        number(&|branch| branch.at_most(node.minimum, true));
    }
    if node.exclusive_minimum.is_some() {
        number(&|branch| branch.at_most(node.exclusive_minimum, false));
    }
    if node.maximum.is_some() {
        number(&|branch| branch.at_least(node.maximum, true));
    }
    if node.exclusive_maximum.is_some() {
        number(&|branch| branch.at_least(node.exclusive_maximum, false));
    }
    if node.multiple_of.is_some() {
        number(&|branch| branch.number.not_multiples.extend(node.multiple_of));
    }
    if let Some(min) = node.min_length.filter(|&min| min > 0) {
        let mut branch = of(TypeSet::STRING);
        branch.text.max = least(branch.text.max, Some(min - 1));
        all.push(branch);
    }
    if let Some(max) = node.max_length.filter(|&max| max < u64::MAX) {
        let mut branch = of(TypeSet::STRING);
        branch.text.min = branch.text.min.max(max + 1);
        all.push(branch);
    }
    if let Some(pattern) = &node.pattern {
        let mut branch = of(TypeSet::STRING);
        branch.text.patterns.push((pattern, false));
        all.push(branch);
    }
    if node.format.is_some() && asserts_formats {
        return Err(Refusal::at(node, "format", "it cannot be negated"));
    }
    Ok(all)
}

pub(super) fn arrays<'s>(node: &'s Node, branch: &Branch<'s>) -> Ways<'s> {
    let mut all = Vec::new();
    let array = || branch.clone().of(TypeSet::ARRAY);
    if node.unique_items {
        return Err(Refusal::at(node, "uniqueItems", "it cannot be negated"));
    }
    if node.unevaluated_items.is_some() {
        return Err(Refusal::at(node, "unevaluatedItems", "it cannot be negated"));
    }
    if let Some(min) = node.min_items.filter(|&min| min > 0) {
        let mut branch = array();
        branch.array.max = least(branch.array.max, Some(min - 1));
        all.push(branch);
    }
    if let Some(max) = node.max_items.filter(|&max| max < u64::MAX) {
        let mut branch = array();
        branch.array.min = branch.array.min.max(max + 1);
        all.push(branch);
    }
    for (index, &id) in node.prefix_items.iter().enumerate() {
        let mut branch = array();
        branch.array.min = branch.array.min.max(index as u64 + 1);
        let mut prefix = vec![Goal::new(); index];
        prefix.push(Goal::from([(id, false)]));
        branch.array.rules.push(ArrayRule { prefix, rest: Goal::new() });
        all.push(branch);
    }
    if let Some(id) = node.items {
        let mut branch = array();
        let from = node.prefix_items.len();
        let rule = ContainsRule { literal: (id, false), from, min: 1, max: None };
        branch.array.contains.push(rule);
        all.push(branch);
    }
    if let Some(contains) = node.contains {
        let literal = (contains.node, true);
        if contains.min > 0 {
            let mut branch = array();
            let max = Some(contains.min - 1);
            branch.array.contains.push(ContainsRule { literal, from: 0, min: 0, max });
            all.push(branch);
        }
        if let Some(max) = contains.max {
            let mut branch = array();
            branch.array.contains.push(ContainsRule { literal, from: 0, min: max + 1, max: None });
            all.push(branch);
        }
    }
    Ok(all)
}

pub(super) fn objects<'s>(node: &'s Node, branch: &Branch<'s>) -> Ways<'s> {
    let mut all = Vec::new();
    let object = || branch.clone().of(TypeSet::OBJECT);
    if node.unevaluated_properties.is_some() {
        return Err(Refusal::at(node, "unevaluatedProperties", "it cannot be negated"));
    }
    for key in &node.required {
        let mut branch = object();
        branch.forbid(key);
        all.push(branch);
    }
    for (key, id) in &node.properties {
        let mut branch = object();
        branch.require(key);
        let properties = vec![(key.as_str(), Goal::from([(*id, false)]))];
        branch.object.rules.push(ObjectRule { properties, ..ObjectRule::default() });
        all.push(branch);
    }
    for (key, needed) in &node.dependent_required {
        for needed in needed {
            let mut branch = object();
            branch.require(key);
            branch.forbid(needed);
            all.push(branch);
        }
    }
    if let Some(min) = node.min_properties.filter(|&min| min > 0) {
        let mut branch = object();
        branch.object.max = least(branch.object.max, Some(min - 1));
        all.push(branch);
    }
    if let Some(max) = node.max_properties.filter(|&max| max < u64::MAX) {
        let mut branch = object();
        branch.object.min = branch.object.min.max(max + 1);
        all.push(branch);
    }
    for (pattern, id) in &node.pattern_properties {
        let value = Goal::from([(*id, false)]);
        let member = SomeMember { matching: Some(pattern), value, ..SomeMember::default() };
        all.push(some_member(branch, member));
    }
    if let Some(id) = node.additional_properties {
        let member = SomeMember {
            names: node.properties.iter().map(|(key, _)| key.as_str()).collect(),
            not_matching: node.pattern_properties.iter().map(|(pattern, _)| pattern).collect(),
            value: Goal::from([(id, false)]),
            ..SomeMember::default()
        };
        all.push(some_member(branch, member));
    }
    if let Some(id) = node.property_names {
        let member = SomeMember { name: Goal::from([(id, false)]), ..SomeMember::default() };
        all.push(some_member(branch, member));
    }
    Ok(all)
}

/// Some member has a value that breaks a schema.
fn some_member<'s>(branch: &Branch<'s>, member: SomeMember<'s>) -> Branch<'s> {
    let mut branch = branch.clone().of(TypeSet::OBJECT);
    branch.object.some.push(member);
    branch
}
