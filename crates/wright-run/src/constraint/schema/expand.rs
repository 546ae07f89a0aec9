//! From goals to branches: references are followed, choices are made, negations move inwards.
//!
//! This is a tableau for JSON Schema. A goal is a set of schemas that must, or must not, hold of
//! one value; expanding it gives the ways to satisfy it. The schemas of parts of the value stay as
//! goals, to be expanded in their turn, so that recursive schemas need nothing special: there are
//! only so many sets of schemas. (The method: Attouche et al., "Witness Generation for JSON
//! Schema", VLDB 2022.)

use super::Refusal;
use super::branch::{ArrayRule, Branch, ContainsRule, Goal, Literal, ObjectRule, Ways, least};
use wright_chat::schema::{Node, NodeId, Pattern, Schema, TypeSet};

/// Ways to satisfy one goal, at most.
const BRANCHES_MAX: usize = 512;
/// Steps of the expansion of one goal, at most.
const STEPS_MAX: usize = 20_000;
/// Alternatives of `anyOf` that are combined where `unevaluated…` asks which of them held.
const COMBINED_MAX: usize = 5;

/// What schemas have looked at, for `unevaluatedProperties` and `unevaluatedItems`.
#[derive(Debug, Clone, Default)]
struct Seen<'s> {
    names: Vec<&'s str>,
    patterns: Vec<&'s Pattern>,
    all_members: bool,
    n_items: usize,
    all_items: bool,
    contains: Vec<Literal>,
}

impl<'s> Seen<'s> {
    fn and(mut self, other: Seen<'s>) -> Seen<'s> {
        self.names.extend(other.names);
        self.patterns.extend(other.patterns);
        self.contains.extend(other.contains);
        self.all_members |= other.all_members;
        self.all_items |= other.all_items;
        self.n_items = self.n_items.max(other.n_items);
        self
    }
}

/// A branch, with what the schema at hand has looked at on the way to it.
type Way<'s> = (Branch<'s>, Seen<'s>);

pub(super) struct Expander<'s> {
    pub schema: &'s Schema,
    steps: usize,
    /// Nodes below which somebody asks what was looked at.
    is_watched: usize,
}

impl<'s> Expander<'s> {
    pub fn new(schema: &'s Schema) -> Self {
        Expander { schema, steps: 0, is_watched: 0 }
    }

    /// The ways to satisfy `goal`.
    ///
    /// # Errors
    /// If a keyword in it cannot be enforced, or there are too many ways.
    pub fn expand(&mut self, goal: &Goal) -> Result<Vec<Branch<'s>>, Refusal> {
        self.steps = 0;
        let mut branches = vec![Branch::anything()];
        // Schemas without choices first: they rule out many of the others' choices.
        let mut literals: Vec<Literal> = goal.iter().copied().collect();
        literals.sort_by_key(|&(id, holds)| (!holds, self.has_choices(id)));
        for literal in literals {
            branches = self.each(branches, |expander, branch| expander.literal(literal, branch))?;
        }
        Ok(branches)
    }

    fn has_choices(&self, id: NodeId) -> bool {
        let node = self.schema.node(id);
        !node.any_of.is_empty() || !node.one_of.is_empty() || node.if_.is_some()
    }

    fn each<T>(
        &mut self,
        branches: Vec<T>,
        mut ways: impl FnMut(&mut Self, T) -> Result<Vec<T>, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut all = Vec::new();
        for branch in branches {
            all.extend(ways(self, branch)?);
            if all.len() > BRANCHES_MAX {
                return Err(Refusal::new("anyOf, oneOf, if and not", "too many combinations"));
            }
        }
        Ok(all)
    }

    fn literal(&mut self, (id, holds): Literal, branch: Branch<'s>) -> Ways<'s> {
        if holds {
            let ways = self.holds(id, (branch, Seen::default()))?;
            return Ok(ways.into_iter().map(|(branch, _)| branch).collect());
        }
        self.fails(id, branch)
    }

    fn step(&mut self) -> Result<(), Refusal> {
        self.steps += 1;
        match self.steps > STEPS_MAX {
            true => Err(Refusal::new("the schema", "it takes too much work to rewrite")),
            false => Ok(()),
        }
    }

    /// The ways in which `branch` can also satisfy a schema.
    fn holds(&mut self, id: NodeId, (branch, before): Way<'s>) -> Result<Vec<Way<'s>>, Refusal> {
        self.step()?;
        let schema = self.schema;
        let node = schema.node(id);
        if !node.is_satisfiable {
            return Ok(Vec::new());
        }
        let watches = node.unevaluated_properties.is_some() || node.unevaluated_items.is_some();
        self.is_watched += usize::from(watches);
        let ways = self.holds_here(node, branch);
        self.is_watched -= usize::from(watches);
        Ok(ways?.into_iter().map(|(branch, seen)| (branch, seen.and(before.clone()))).collect())
    }

    fn holds_here(&mut self, node: &'s Node, branch: Branch<'s>) -> Result<Vec<Way<'s>>, Refusal> {
        let mut branch = branch.of(node.types);
        let mut seen = Seen::default();
        self.plain(node, &mut branch)?;
        self.arrays(node, &mut branch, &mut seen);
        self.objects(node, &mut branch, &mut seen);
        if branch.is_dead() {
            return Ok(Vec::new());
        }
        let mut ways = vec![(branch, seen)];
        let dynamic = self.dynamic(node)?;
        let all = node.reference.into_iter().chain(dynamic).chain(node.all_of.iter().copied());
        for id in all {
            ways = self.each(ways, |expander, way| expander.holds(id, way))?;
        }
        ways = self.dependent(node, ways)?;
        if let Some(not) = node.not {
            ways = self.each(ways, |expander, (branch, seen)| {
                let branches = expander.fails(not, branch)?;
                Ok(branches.into_iter().map(|branch| (branch, seen.clone())).collect())
            })?;
        }
        if let Some(condition) = node.if_ {
            ways = self.each(ways, |expander, way| expander.condition(node, condition, way))?;
        }
        if !node.any_of.is_empty() {
            ways = self.each(ways, |expander, way| expander.any_of(&node.any_of, way))?;
        }
        if !node.one_of.is_empty() {
            ways = self.each(ways, |expander, way| expander.one_of(&node.one_of, way))?;
        }
        for (branch, seen) in &mut ways {
            unevaluated(node, branch, seen)?;
        }
        ways.retain(|(branch, _)| !branch.is_dead());
        Ok(ways)
    }

    /// Keywords of single values.
    fn plain(&mut self, node: &'s Node, branch: &mut Branch<'s>) -> Result<(), Refusal> {
        let lists = [node.enumeration.as_deref(), node.constant.as_ref().map(std::slice::from_ref)];
        for list in lists.into_iter().flatten() {
            // Each value is checked against the whole goal later: one list is enough.
            branch.enumeration.get_or_insert_with(|| list.to_vec());
        }
        branch.at_least(node.minimum, false);
        branch.at_least(node.exclusive_minimum, true);
        branch.at_most(node.maximum, false);
        branch.at_most(node.exclusive_maximum, true);
        branch.number.multiples.extend(node.multiple_of);
        branch.text.min = branch.text.min.max(node.min_length.unwrap_or(0));
        branch.text.max = least(branch.text.max, node.max_length);
        branch.text.patterns.extend(node.pattern.iter().map(|pattern| (pattern, true)));
        if self.schema.asserts_formats() {
            branch.text.formats.extend(node.format.as_deref());
        }
        Ok(())
    }

    fn arrays(&mut self, node: &'s Node, branch: &mut Branch<'s>, seen: &mut Seen<'s>) {
        let array = &mut branch.array;
        array.min = array.min.max(node.min_items.unwrap_or(0));
        array.max = least(array.max, node.max_items);
        array.is_unique |= node.unique_items;
        if !node.prefix_items.is_empty() || node.items.is_some() {
            let goal = |id: &NodeId| Goal::from([(*id, true)]);
            array.rules.push(ArrayRule {
                prefix: node.prefix_items.iter().map(goal).collect(),
                rest: node.items.iter().map(|&id| (id, true)).collect(),
            });
        }
        if let Some(contains) = node.contains {
            let literal = (contains.node, true);
            let (min, max) = (contains.min, contains.max);
            if min > 0 || max.is_some() {
                array.contains.push(ContainsRule { literal, from: 0, min, max });
            }
            seen.contains.push(literal);
        }
        seen.n_items = node.prefix_items.len();
        seen.all_items = node.items.is_some();
    }

    fn objects(&mut self, node: &'s Node, branch: &mut Branch<'s>, seen: &mut Seen<'s>) {
        let goal = |id: &NodeId| Goal::from([(*id, true)]);
        let object = &mut branch.object;
        object.min = object.min.max(node.min_properties.unwrap_or(0));
        object.max = least(object.max, node.max_properties);
        object.names.extend(node.property_names.map(|id| (id, true)));
        let properties = node.properties.iter().map(|(key, id)| (key.as_str(), goal(id)));
        let patterns = node.pattern_properties.iter().map(|(pattern, id)| (pattern, goal(id)));
        let rule = ObjectRule {
            properties: properties.collect(),
            patterns: patterns.collect(),
            additional: node.additional_properties.iter().map(|&id| (id, true)).collect(),
        };
        seen.names.extend(rule.properties.iter().map(|(key, _)| *key));
        seen.patterns.extend(rule.patterns.iter().map(|(pattern, _)| *pattern));
        seen.all_members |= !rule.additional.is_empty();
        let is_rule =
            !rule.properties.is_empty() || !rule.patterns.is_empty() || !rule.additional.is_empty();
        if is_rule {
            object.rules.push(rule);
        }
        node.required.iter().for_each(|key| branch.require(key));
    }

    /// A dynamic reference is followed where it can lead to one place only.
    fn dynamic(&self, node: &Node) -> Result<Option<NodeId>, Refusal> {
        let Some(reference) = &node.dynamic_reference else { return Ok(None) };
        let mut targets = self.schema.dynamic_anchors(&reference.anchor);
        match (targets.next(), targets.next()) {
            (Some(_), Some(_)) => {
                Err(Refusal::at(node, "$dynamicRef", "it can lead to more than one place"))
            }
            _ => Ok(Some(reference.initial)),
        }
    }

    fn dependent(
        &mut self,
        node: &'s Node,
        mut ways: Vec<Way<'s>>,
    ) -> Result<Vec<Way<'s>>, Refusal> {
        for (key, needed) in &node.dependent_required {
            ways = self.each(ways, |_, (mut without, seen)| {
                let mut with = without.clone().of(TypeSet::OBJECT);
                with.require(key);
                needed.iter().for_each(|key| with.require(key));
                without.forbid(key);
                Ok(alive([with, without], seen))
            })?;
        }
        for (key, id) in &node.dependent_schemas {
            ways = self.each(ways, |expander, (mut without, seen)| {
                let mut with = without.clone().of(TypeSet::OBJECT);
                with.require(key);
                without.forbid(key);
                let mut all = alive([without], seen.clone());
                for way in alive([with], seen) {
                    all.extend(expander.holds(*id, way)?);
                }
                Ok(all)
            })?;
        }
        Ok(ways)
    }

    fn condition(
        &mut self,
        node: &'s Node,
        condition: NodeId,
        (branch, seen): Way<'s>,
    ) -> Result<Vec<Way<'s>>, Refusal> {
        if node.then.is_none() && node.else_.is_none() && self.is_watched == 0 {
            return Ok(vec![(branch, seen)]);
        }
        let mut met = self.holds(condition, (branch.clone(), seen.clone()))?;
        if let Some(then) = node.then {
            met = self.each(met, |expander, way| expander.holds(then, way))?;
        }
        let unmet = self.fails(condition, branch)?;
        let mut unmet: Vec<Way<'s>> = unmet.into_iter().map(|b| (b, seen.clone())).collect();
        if let Some(else_) = node.else_ {
            unmet = self.each(unmet, |expander, way| expander.holds(else_, way))?;
        }
        met.extend(unmet);
        Ok(met)
    }

    fn any_of(&mut self, list: &'s [NodeId], way: Way<'s>) -> Result<Vec<Way<'s>>, Refusal> {
        let mut all = Vec::new();
        if self.is_watched == 0 {
            for &id in list {
                all.extend(self.holds(id, way.clone())?);
                if all.len() > BRANCHES_MAX {
                    break;
                }
            }
            return Ok(all);
        }
        if list.len() > COMBINED_MAX {
            let why = format!("more than {COMBINED_MAX} alternatives beside it cannot be combined");
            return Err(Refusal::new("unevaluatedProperties and unevaluatedItems", why));
        }
        // What was looked at depends on which of them hold: each combination is a way.
        for chosen in 1..1_u32 << list.len() {
            let mut ways = vec![way.clone()];
            for (i, &id) in list.iter().enumerate() {
                if chosen >> i & 1 == 1 {
                    ways = self.each(ways, |expander, way| expander.holds(id, way))?;
                }
            }
            all.extend(ways);
        }
        Ok(all)
    }

    fn one_of(&mut self, list: &'s [NodeId], way: Way<'s>) -> Result<Vec<Way<'s>>, Refusal> {
        let mut all = Vec::new();
        for (i, &id) in list.iter().enumerate() {
            let mut ways = self.holds(id, way.clone())?;
            for (j, &other) in list.iter().enumerate() {
                if j == i || ways.is_empty() {
                    continue;
                }
                ways = self.each(ways, |expander, (branch, seen)| {
                    if expander.holds(other, (branch.clone(), Seen::default()))?.is_empty() {
                        return Ok(vec![(branch, seen)]);
                    }
                    let branches = expander.fails(other, branch)?;
                    Ok(branches.into_iter().map(|branch| (branch, seen.clone())).collect())
                })?;
            }
            all.extend(ways);
        }
        Ok(all)
    }

    /// The ways in which `branch` can also break a schema.
    pub(super) fn fails(&mut self, id: NodeId, branch: Branch<'s>) -> Ways<'s> {
        self.step()?;
        let schema = self.schema;
        let node = schema.node(id);
        if !node.is_satisfiable {
            return Ok(vec![branch]);
        }
        let mut all = super::negate::plain(node, &branch, schema.asserts_formats())?;
        all.extend(super::negate::arrays(node, &branch)?);
        all.extend(super::negate::objects(node, &branch)?);
        let dynamic = self.dynamic(node)?;
        let each = node.reference.into_iter().chain(dynamic).chain(node.all_of.iter().copied());
        for id in each {
            all.extend(self.fails(id, branch.clone())?);
        }
        for (key, id) in &node.dependent_schemas {
            let mut with = branch.clone().of(TypeSet::OBJECT);
            with.require(key);
            all.extend(self.fails(*id, with)?);
        }
        if let Some(not) = node.not {
            let ways = self.holds(not, (branch.clone(), Seen::default()))?;
            all.extend(ways.into_iter().map(|(branch, _)| branch));
        }
        all.extend(self.fails_choices(node, branch)?);
        all.retain(|branch| !branch.is_dead());
        Ok(all)
    }

    fn fails_choices(&mut self, node: &'s Node, branch: Branch<'s>) -> Ways<'s> {
        let mut all = Vec::new();
        if !node.any_of.is_empty() {
            let mut none = vec![branch.clone()];
            for &id in &node.any_of {
                none = self.each(none, |expander, branch| expander.fails(id, branch))?;
            }
            all.extend(none);
        }
        if !node.one_of.is_empty() {
            let mut none = vec![branch.clone()];
            for &id in &node.one_of {
                none = self.each(none, |expander, branch| expander.fails(id, branch))?;
            }
            all.extend(none);
            for (i, &first) in node.one_of.iter().enumerate() {
                for &second in &node.one_of[i + 1..] {
                    let ways = self.literal((first, true), branch.clone())?;
                    all.extend(self.each(ways, |e, branch| e.literal((second, true), branch))?);
                }
            }
        }
        if let Some(condition) = node.if_ {
            if let Some(then) = node.then {
                let met = self.literal((condition, true), branch.clone())?;
                all.extend(self.each(met, |expander, branch| expander.fails(then, branch))?);
            }
            if let Some(else_) = node.else_ {
                let unmet = self.fails(condition, branch)?;
                all.extend(self.each(unmet, |expander, branch| expander.fails(else_, branch))?);
            }
        }
        Ok(all)
    }
}

fn alive<'s, const N: usize>(branches: [Branch<'s>; N], seen: Seen<'s>) -> Vec<Way<'s>> {
    let alive = branches.into_iter().filter(|branch| !branch.is_dead());
    alive.map(|branch| (branch, seen.clone())).collect()
}

/// `unevaluatedProperties` and `unevaluatedItems` of a node, once it is known what was looked at.
fn unevaluated<'s>(
    node: &'s Node,
    branch: &mut Branch<'s>,
    seen: &mut Seen<'s>,
) -> Result<(), Refusal> {
    if let Some(id) = node.unevaluated_properties {
        if !seen.all_members {
            branch.object.rules.push(ObjectRule {
                properties: seen.names.iter().map(|key| (*key, Goal::new())).collect(),
                patterns: seen.patterns.iter().map(|pattern| (*pattern, Goal::new())).collect(),
                additional: Goal::from([(id, true)]),
            });
        }
        seen.all_members = true;
    }
    if let Some(id) = node.unevaluated_items {
        if !seen.all_items {
            if !seen.contains.is_empty() {
                let why = "it cannot be enforced beside `contains`";
                return Err(Refusal::at(node, "unevaluatedItems", why));
            }
            branch.array.rules.push(ArrayRule {
                prefix: vec![Goal::new(); seen.n_items],
                rest: Goal::from([(id, true)]),
            });
        }
        seen.all_items = true;
    }
    Ok(())
}
