//! Objects as rules: listed keys in their order, then free ones.

use super::branch::{Branch, Goal, ObjectPart, SomeMember};
use super::grammar::{RuleId, Symbol};
use super::language::Language;
use super::values::{Writer, literal};
use super::{Refusal, text};
use serde_json::Value;
use std::collections::HashMap;
use wright_chat::schema::{Pattern, TypeSet};

/// Listed keys of an object at most: more take seconds to compile.
const KEYS_MAX: usize = 512;
/// Patterns of keys in one object at most: each combination of them is told apart.
const PATTERNS_MAX: usize = 5;
/// Conditions that some member must satisfy, at most.
const SOME_MAX: usize = 3;
/// States of an object at most.
const STATES_MAX: usize = 20_000;

/// A member that may stand in an object.
struct Member {
    /// Its key and the colon.
    key: Vec<Symbol>,
    value: Goal,
    /// Which of the conditions on some member it meets.
    meets: u32,
}

/// A listed key: how it can stand, and whether it must.
struct Listed {
    ways: Vec<Member>,
    is_required: bool,
}

/// How far an object is: listed keys passed, members so far, conditions met.
type State = (usize, u64, u32);

impl<'s> Writer<'s> {
    pub(super) fn object(&mut self, branch: &Branch<'s>, rule: RuleId) -> Result<(), Refusal> {
        let mut part = branch.object.clone();
        for value in branch.excluded.iter().filter_map(Value::as_object) {
            match value.is_empty() {
                true => part.min = part.min.max(1),
                false => return Err(Refusal::new("not", "objects cannot be excluded by value")),
            }
        }
        if part.some.len() > SOME_MAX {
            return Err(Refusal::new("not", "there are too many conditions on some property"));
        }
        let names = self.names(&part)?;
        let Some(keys) = self.keys(&part, &names)? else { return Ok(()) };
        let listed = self.listed(&part, &keys)?;
        let free = match names {
            Names::Few(_) => Vec::new(),
            Names::Many(language) => self.free(&part, &keys, language)?,
        };
        self.has_free_keys |= !free.is_empty();
        self.states(&part, &listed, &free, rule)
    }

    /// What `propertyNames` leaves.
    fn names(&mut self, part: &ObjectPart<'s>) -> Result<Names, Refusal> {
        if part.names.is_empty() {
            return Ok(Names::Many(None));
        }
        if let Some(values) = self.finite(&part.names)? {
            let names = values.into_iter().filter_map(|value| match value {
                Value::String(name) => Some(name),
                _ => None,
            });
            return Ok(Names::Few(names.collect()));
        }
        Ok(Names::Many(Some(self.name_language(&part.names)?)))
    }

    /// The strings that satisfy a goal.
    fn name_language(&mut self, goal: &Goal) -> Result<Language, Refusal> {
        let mut all = Vec::new();
        for branch in self.expander.expand(goal)? {
            match &branch.enumeration {
                Some(values) => {
                    let values = values.iter().filter(|value| self.satisfies(goal, value));
                    all.extend(values.filter_map(Value::as_str).map(text::exactly));
                }
                None if branch.types.has(TypeSet::STRING) => all.push(self.texts(&branch)?),
                None => {}
            }
        }
        Ok(Language::or(all))
    }

    /// The keys that are listed one by one, in order. `None` if one must stand that cannot.
    fn keys(&self, part: &ObjectPart<'s>, names: &Names) -> Result<Option<Vec<String>>, Refusal> {
        let mut keys: Vec<String> = Vec::new();
        let mut add = |key: &str| {
            if !keys.iter().any(|known| known == key) {
                keys.push(key.to_owned());
            }
        };
        for rule in &part.rules {
            rule.properties.iter().for_each(|(key, _)| add(key));
        }
        part.required.iter().for_each(|key| add(key));
        part.forbidden.iter().for_each(|key| add(key));
        part.some.iter().flat_map(|some| &some.names).for_each(|key| add(key));
        for pattern in patterns(part) {
            text::listed(pattern).unwrap_or_default().iter().for_each(|key| add(key));
        }
        if let Names::Few(few) = names {
            few.iter().for_each(|key| add(key));
        }
        if keys.len() > KEYS_MAX {
            let why = format!("there are more than {KEYS_MAX} in one object");
            return Err(Refusal::new("properties", why));
        }
        let is_named = |key: &str| self.satisfies(&part.names, &Value::String(key.to_owned()));
        if part.required.iter().any(|key| !is_named(key)) {
            return Ok(None);
        }
        Ok(Some(keys))
    }

    fn listed(&mut self, part: &ObjectPart<'s>, keys: &[String]) -> Result<Vec<Listed>, Refusal> {
        let mut all = Vec::new();
        for key in keys {
            let name = Value::String(key.clone());
            let is_required = part.required.contains(&key.as_str());
            let is_forbidden =
                part.forbidden.contains(&key.as_str()) || !self.satisfies(&part.names, &name);
            let mut value = Goal::new();
            for rule in &part.rules {
                let mut is_known = false;
                if let Some((_, goal)) = rule.properties.iter().find(|(known, _)| known == key) {
                    value.extend(goal);
                    is_known = true;
                }
                for (_, goal) in rule.patterns.iter().filter(|(p, _)| p.is_match(key)) {
                    value.extend(goal);
                    is_known = true;
                }
                if !is_known {
                    value.extend(&rule.additional);
                }
            }
            let mut ways = Vec::new();
            if !is_forbidden && !self.is_false(&value) {
                let can_meet = part.some.iter().map(|some| {
                    !some.names.contains(&key.as_str())
                        && some.matching.is_none_or(|pattern| pattern.is_match(key))
                        && !some.not_matching.iter().any(|pattern| pattern.is_match(key))
                        && self.satisfies(&some.name, &name)
                });
                let can_meet: Vec<bool> = can_meet.collect();
                let symbols = vec![literal(format!("{name}: "))];
                ways = meetings(&part.some, &can_meet, &value, &symbols);
            }
            all.push(Listed { ways, is_required });
        }
        Ok(all)
    }

    /// Members whose keys are not listed, by the patterns that their keys match.
    fn free(
        &mut self,
        part: &ObjectPart<'s>,
        keys: &[String],
        names: Option<Language>,
    ) -> Result<Vec<Member>, Refusal> {
        let mut patterns: Vec<&Pattern> = patterns(part);
        patterns.retain(|pattern| text::listed(pattern).is_none());
        if patterns.len() > PATTERNS_MAX {
            let why = format!("there are more than {PATTERNS_MAX} that can overlap");
            return Err(Refusal::new("patternProperties", why));
        }
        let taken = Language::or(keys.iter().map(|key| text::exactly(key)).collect());
        let mut all = Vec::new();
        for chosen in 0..1_u32 << patterns.len() {
            let matches = |pattern: &Pattern| {
                let at = patterns.iter().position(|known| *known == pattern);
                at.is_some_and(|i| chosen >> i & 1 == 1)
            };
            let mut value = Goal::new();
            for rule in &part.rules {
                let goals = rule.patterns.iter().filter(|(pattern, _)| matches(pattern));
                let mut is_known = false;
                for (_, goal) in goals {
                    value.extend(goal);
                    is_known = true;
                }
                if !is_known {
                    value.extend(&rule.additional);
                }
            }
            if self.is_false(&value) {
                continue;
            }
            let mut language = vec![text::of_length(0, None)?];
            language.extend(names.clone());
            if !keys.is_empty() {
                language.push(taken.clone().complement());
            }
            for pattern in &patterns {
                let matching = text::matching(pattern)?;
                language.push(if matches(pattern) { matching } else { matching.complement() });
            }
            let can_meet: Vec<bool> = part
                .some
                .iter()
                .map(|some| {
                    some.matching.is_none_or(matches)
                        && !some.not_matching.iter().any(|p| matches(p))
                })
                .collect();
            all.extend(self.free_members(part, &can_meet, &value, language)?);
        }
        Ok(all)
    }

    fn free_members(
        &mut self,
        part: &ObjectPart<'s>,
        can_meet: &[bool],
        value: &Goal,
        language: Vec<Language>,
    ) -> Result<Vec<Member>, Refusal> {
        let mut all = Vec::new();
        for member in meetings(&part.some, can_meet, value, &[]) {
            let mut language = language.clone();
            for (i, some) in part.some.iter().enumerate() {
                if member.meets >> i & 1 == 1 && !some.name.is_empty() {
                    language.push(self.name_language(&some.name)?);
                }
            }
            let key = Language::Concat(vec![Language::and(language), Language::literal(": ")]);
            if let Some(key) = self.grammar.terminal(key)? {
                all.push(Member { key: vec![key], ..member });
            }
        }
        Ok(all)
    }

    /// The object as a walk over its states.
    fn states(
        &mut self,
        part: &ObjectPart<'s>,
        listed: &[Listed],
        free: &[Member],
        rule: RuleId,
    ) -> Result<(), Refusal> {
        let n_counted = part.min.max(part.max.unwrap_or(0)).max(1);
        let n_counted =
            n_counted.min(if free.is_empty() { listed.len() as u64 + 1 } else { u64::MAX });
        let all_met = (1_u32 << part.some.len()) - 1;
        let mut walk = Walk { known: HashMap::new(), pending: Vec::new() };
        let first = walk.rule(self, (0, 0, 0))?;
        self.grammar.add(rule, vec![literal("{"), Symbol::Rule(first)])?;
        while let Some((state, at)) = walk.pending.pop() {
            let (index, n, met) = state;
            let is_full = part.max.is_some_and(|max| n >= max);
            let between = literal(if n == 0 { "" } else { ", " });
            let members = match listed.get(index) {
                Some(key) => {
                    if !key.is_required {
                        let next = walk.rule(self, (index + 1, n, met))?;
                        self.grammar.add(at, vec![Symbol::Rule(next)])?;
                    }
                    &key.ways[..]
                }
                None => {
                    if n >= part.min && met == all_met {
                        self.grammar.add(at, vec![literal("}")])?;
                    }
                    free
                }
            };
            for member in members.iter().filter(|_| !is_full) {
                let value = self.rule(&member.value)?;
                let index = if index < listed.len() { index + 1 } else { index };
                let next = (index, (n + 1).min(n_counted), met | member.meets);
                let next = walk.rule(self, next)?;
                let mut symbols = vec![between.clone()];
                symbols.extend(member.key.iter().cloned());
                symbols.extend([Symbol::Rule(value), Symbol::Rule(next)]);
                self.grammar.add(at, symbols)?;
            }
        }
        Ok(())
    }
}

/// States of one object with their rules.
struct Walk {
    known: HashMap<State, RuleId>,
    pending: Vec<(State, RuleId)>,
}

impl Walk {
    fn rule(&mut self, writer: &mut Writer<'_>, state: State) -> Result<RuleId, Refusal> {
        if let Some(rule) = self.known.get(&state) {
            return Ok(*rule);
        }
        if self.known.len() == STATES_MAX {
            return Err(Refusal::new("minProperties and maxProperties", "too large to count"));
        }
        let rule = writer.grammar.rule()?;
        self.known.insert(state, rule);
        self.pending.push((state, rule));
        Ok(rule)
    }
}

/// What names may be.
enum Names {
    Few(Vec<String>),
    /// Too many to list: those of a set, or any.
    Many(Option<Language>),
}

/// The different patterns that are asked about.
fn patterns<'s>(part: &ObjectPart<'s>) -> Vec<&'s Pattern> {
    let mut all: Vec<&Pattern> = Vec::new();
    let of_rules = part.rules.iter().flat_map(|rule| rule.patterns.iter().map(|(p, _)| *p));
    let of_some = part
        .some
        .iter()
        .flat_map(|some| some.matching.into_iter().chain(some.not_matching.iter().copied()));
    for pattern in of_rules.chain(of_some) {
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    all
}

/// A member as one that meets each combination of the conditions that it can meet.
fn meetings(
    some: &[SomeMember<'_>],
    can_meet: &[bool],
    value: &Goal,
    key: &[Symbol],
) -> Vec<Member> {
    let mut all = Vec::new();
    for meets in 0..1_u32 << some.len() {
        let chosen = |i: usize| meets >> i & 1 == 1;
        if (0..some.len()).any(|i| chosen(i) && !can_meet[i]) {
            continue;
        }
        let mut value = value.clone();
        for (_, some) in some.iter().enumerate().filter(|(i, _)| chosen(*i)) {
            value.extend(&some.value);
        }
        let contradicts = value.iter().any(|&(id, holds)| holds && value.contains(&(id, false)));
        if !contradicts {
            all.push(Member { key: key.to_vec(), value, meets });
        }
    }
    all
}
