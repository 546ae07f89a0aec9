//! Arrays as rules.

use super::Refusal;
use super::branch::{ArrayPart, Branch, ContainsRule, Goal};
use super::grammar::{RuleId, Symbol};
use super::values::{Writer, constant, literal};
use serde_json::Value;
use std::collections::HashMap;

/// States of a counter at most.
const STATES_MAX: usize = 5_000;
/// Conditions on the number of some items at most.
const CONTAINS_MAX: usize = 3;
/// Different values whose every order is permitted where items are unique.
const PERMUTED_MAX: usize = 6;

/// How far an array is: items so far, and how many of them counted for each `contains`.
type State = (u64, Vec<u64>);

impl<'s> Writer<'s> {
    pub(super) fn array(&mut self, branch: &Branch<'s>, rule: RuleId) -> Result<(), Refusal> {
        let mut part = branch.array.clone();
        for value in branch.excluded.iter().filter_map(Value::as_array) {
            match value.is_empty() {
                true => part.min = part.min.max(1),
                false => return Err(Refusal::new("not", "arrays cannot be excluded by value")),
            }
        }
        if part.max.is_some_and(|max| max < part.min) {
            return Ok(());
        }
        let vacuous = part.max.is_some_and(|max| max <= 1);
        if part.is_unique && !vacuous && self.unique(&part, rule)? {
            return Ok(());
        }
        if part.is_unique && !vacuous {
            self.has_unique_items = true;
        } else if !vacuous {
            self.has_equal_items = true;
        }
        if part.contains.is_empty() {
            return self.plain_array(&part, rule);
        }
        self.counted_array(&part, rule)
    }

    /// What the item `index` must be.
    fn item(&self, part: &ArrayPart, index: usize) -> Goal {
        let rules = part.rules.iter();
        rules.flat_map(|rule| rule.prefix.get(index).unwrap_or(&rule.rest)).copied().collect()
    }

    fn n_prefix(part: &ArrayPart) -> usize {
        part.rules.iter().map(|rule| rule.prefix.len()).max().unwrap_or(0)
    }

    /// Items by place, then any number of one kind.
    fn plain_array(&mut self, part: &ArrayPart, rule: RuleId) -> Result<(), Refusal> {
        let n_prefix = Self::n_prefix(part);
        if n_prefix > STATES_MAX {
            return Err(Refusal::new("prefixItems", "there are too many of them"));
        }
        let close = || literal("]");
        let mut at = self.grammar.rule()?;
        self.grammar.add(rule, vec![literal("["), Symbol::Rule(at)])?;
        for index in 0..n_prefix {
            let n = index as u64;
            if part.min <= n {
                self.grammar.add(at, vec![close()])?;
            }
            if part.max.is_some_and(|max| n >= max) {
                return Ok(());
            }
            let item = self.rule(&self.item(part, index))?;
            let next = self.grammar.rule()?;
            let between = literal(if index == 0 { "" } else { ", " });
            self.grammar.add(at, vec![between, Symbol::Rule(item), Symbol::Rule(next)])?;
            at = next;
        }
        let n = n_prefix as u64;
        let rest = self.item(part, n_prefix);
        if part.min <= n {
            self.grammar.add(at, vec![close()])?;
        }
        if part.max.is_some_and(|max| n >= max) || self.is_false(&rest) {
            return Ok(());
        }
        let item = Symbol::Rule(self.rule(&rest)?);
        let further = vec![literal(", "), item.clone()];
        let (min, max) = (part.min.saturating_sub(n), part.max.map(|max| max - n));
        // Beyond 2³¹ no bound is ever reached.
        let (min, max) = match n {
            0 => (min.saturating_sub(1), max.map(|max| max - 1)),
            _ => (min, max),
        };
        let max = max.filter(|&max| max < 1 << 20);
        if min > 1 << 20 {
            return Err(Refusal::new("minItems", "it is too large"));
        }
        let mut symbols = if n == 0 { vec![item] } else { Vec::new() };
        symbols.push(Symbol::Repeat(further, min, max));
        symbols.push(close());
        self.grammar.add(at, symbols)
    }

    /// Arrays of which some items are counted.
    fn counted_array(&mut self, part: &ArrayPart, rule: RuleId) -> Result<(), Refusal> {
        if part.contains.len() > CONTAINS_MAX {
            return Err(Refusal::new("contains", "there are too many conditions of this kind"));
        }
        // Beyond these numbers nothing changes any more.
        let last_place = part.contains.iter().map(|c| c.from).max().unwrap_or(0);
        let n_max = (Self::n_prefix(part).max(last_place) as u64).max(part.min).max(1);
        let n_max = part.max.map_or(n_max, |max| max.max(n_max));
        let limit = |c: &ContainsRule| c.max.unwrap_or(c.min).max(c.min);
        let n_states = part
            .contains
            .iter()
            .fold(n_max.saturating_add(1), |n, c| n.saturating_mul(limit(c).saturating_add(1)));
        if n_states > STATES_MAX as u64 {
            return Err(Refusal::new("contains", "its bounds are too large to count"));
        }
        let mut known: HashMap<State, RuleId> = HashMap::new();
        let start = (0, vec![0; part.contains.len()]);
        let first = self.grammar.rule()?;
        known.insert(start.clone(), first);
        self.grammar.add(rule, vec![literal("["), Symbol::Rule(first)])?;
        let mut pending = vec![(start, first)];
        while let Some(((n, counts), at)) = pending.pop() {
            let is_met = part.contains.iter().zip(&counts).all(|(c, &count)| count >= c.min);
            if n >= part.min && is_met {
                self.grammar.add(at, vec![literal("]")])?;
            }
            if part.max.is_some_and(|max| n >= max) {
                continue;
            }
            for chosen in 0..1_u32 << part.contains.len() {
                let Some((goal, counts)) = self.choose(part, n as usize, chosen, &counts) else {
                    continue;
                };
                let item = self.rule(&goal)?;
                let next = ((n + 1).min(n_max), counts);
                let next_rule = match known.get(&next) {
                    Some(rule) => *rule,
                    None => {
                        let rule = self.grammar.rule()?;
                        known.insert(next.clone(), rule);
                        pending.push((next, rule));
                        rule
                    }
                };
                let between = literal(if n == 0 { "" } else { ", " });
                let symbols = vec![between, Symbol::Rule(item), Symbol::Rule(next_rule)];
                self.grammar.add(at, symbols)?;
            }
        }
        Ok(())
    }

    /// The item `index` as one that counts for the conditions in `chosen`: what it must be, and the
    /// counts after it. `None` if it cannot be.
    fn choose(
        &self,
        part: &ArrayPart,
        index: usize,
        chosen: u32,
        counts: &[u64],
    ) -> Option<(Goal, Vec<u64>)> {
        let mut goal = self.item(part, index);
        let mut counts = counts.to_vec();
        for (i, contains) in part.contains.iter().enumerate() {
            let counts_here = chosen >> i & 1 == 1;
            let (id, holds) = contains.literal;
            if counts_here {
                if index < contains.from || contains.max.is_some_and(|max| counts[i] >= max) {
                    return None;
                }
                counts[i] = (counts[i] + 1).min(contains.max.unwrap_or(contains.min));
                goal.insert((id, holds));
            } else if index >= contains.from && contains.max.is_some() {
                goal.insert((id, !holds));
            }
        }
        let contradicts = goal.iter().any(|&(id, holds)| holds && goal.contains(&(id, false)));
        (!contradicts && !self.is_false(&goal)).then_some((goal, counts))
    }

    /// Arrays of unique items of which there are few different ones. `false` if there are many.
    fn unique(&mut self, part: &ArrayPart, rule: RuleId) -> Result<bool, Refusal> {
        if Self::n_prefix(part) > 0 || !part.contains.is_empty() {
            return Ok(false);
        }
        let Some(values) = self.finite(&self.item(part, 0))? else { return Ok(false) };
        let n_max = part.max.unwrap_or(u64::MAX).min(values.len() as u64);
        if values.len() > 512 {
            return Err(Refusal::new("uniqueItems", "there are too many values to choose from"));
        }
        // A state is the values that were used, as a set where their order is free, else as the
        // first that may still come; and how many were used.
        let is_free = values.len() <= PERMUTED_MAX;
        let mut known: HashMap<(u64, u64), RuleId> = HashMap::new();
        let first = self.grammar.rule()?;
        known.insert((0, 0), first);
        self.grammar.add(rule, vec![literal("["), Symbol::Rule(first)])?;
        let mut pending = vec![((0_u64, 0_u64), first)];
        let counted = part.min.max(part.max.map_or(0, |_| n_max)).max(1);
        while let Some(((used, n), at)) = pending.pop() {
            if n >= part.min {
                self.grammar.add(at, vec![literal("]")])?;
            }
            if n >= n_max {
                continue;
            }
            for (i, value) in values.iter().enumerate() {
                let next_used = match is_free {
                    true if used >> i & 1 == 1 => continue,
                    true => used | 1 << i,
                    false if (i as u64) < used => continue,
                    false => i as u64 + 1,
                };
                let next = (next_used, (n + 1).min(counted));
                let next_rule = match known.get(&next) {
                    Some(rule) => *rule,
                    None => {
                        let rule = self.grammar.rule()?;
                        known.insert(next, rule);
                        pending.push((next, rule));
                        rule
                    }
                };
                let mut symbols = vec![literal(if n == 0 { "" } else { ", " })];
                constant(value, &mut symbols);
                symbols.push(Symbol::Rule(next_rule));
                self.grammar.add(at, symbols)?;
            }
        }
        Ok(true)
    }
}
