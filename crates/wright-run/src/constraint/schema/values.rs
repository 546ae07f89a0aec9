//! Goals as rules: scalars here, arrays and objects beside.

use super::branch::{Branch, Goal};
use super::expand::Expander;
use super::grammar::{Grammar, RuleId, Symbol};
use super::language::Language;
use super::{Refusal, SchemaGrammar, text, written};
use serde_json::Value;
use std::collections::HashMap;
use wright_chat::schema::{Node, NodeId, Schema, TypeSet};

/// Different goals at most.
const GOALS_MAX: usize = 4_000;

pub(super) struct Writer<'s> {
    pub schema: &'s Schema,
    pub expander: Expander<'s>,
    pub grammar: Grammar,
    known: HashMap<Goal, RuleId>,
    /// For each node, whether everything satisfies it.
    trivial: Vec<bool>,
    pending: Vec<(Goal, RuleId)>,
    pub has_free_keys: bool,
    /// Arrays without equal items that the grammar cannot keep apart, and arrays with them.
    pub has_unique_items: bool,
    pub has_equal_items: bool,
}

impl<'s> Writer<'s> {
    pub fn new(schema: &'s Schema) -> Self {
        Writer {
            schema,
            expander: Expander::new(schema),
            grammar: Grammar::default(),
            known: HashMap::new(),
            trivial: schema.nodes().iter().map(Node::is_trivial).collect(),
            pending: Vec::new(),
            has_free_keys: false,
            has_unique_items: false,
            has_equal_items: false,
        }
    }

    pub fn write(mut self, prefix: &str) -> Result<SchemaGrammar, Refusal> {
        let start = self.rule(&Goal::from([(self.schema.root(), true)]))?;
        while let Some((goal, rule)) = self.pending.pop() {
            self.value(&goal, rule)?;
        }
        if self.has_unique_items && self.has_equal_items {
            let why = "there are other arrays, which may have few different items";
            return Err(Refusal::new("uniqueItems", why));
        }
        Ok(SchemaGrammar {
            rules: self.grammar.to_lark(start, prefix)?,
            start: self.grammar.name(start, prefix),
            has_free_keys: self.has_free_keys,
            has_unique_items: self.has_unique_items,
        })
    }

    /// The rule of a goal, which is written now or later.
    pub fn rule(&mut self, goal: &Goal) -> Result<RuleId, Refusal> {
        // Schemas that everything satisfies make no difference.
        let is_trivial = |&(id, holds): &(_, bool)| holds && self.trivial[index(id)];
        let goal: &Goal = &goal.iter().filter(|literal| !is_trivial(literal)).copied().collect();
        if let Some(rule) = self.known.get(goal) {
            return Ok(*rule);
        }
        if self.known.len() == GOALS_MAX {
            return Err(Refusal::new("the schema", "it has too many different parts"));
        }
        let rule = self.grammar.rule()?;
        self.known.insert(goal.clone(), rule);
        self.pending.push((goal.clone(), rule));
        Ok(rule)
    }

    fn value(&mut self, goal: &Goal, rule: RuleId) -> Result<(), Refusal> {
        let mut scalars = Vec::new();
        for branch in self.expander.expand(goal)? {
            if let Some(values) = &branch.enumeration {
                let values = values.iter().filter(|value| self.satisfies(goal, value));
                for value in values.cloned().collect::<Vec<_>>() {
                    if value.is_array() || value.is_object() {
                        let mut symbols = Vec::new();
                        constant(&value, &mut symbols);
                        self.grammar.add(rule, symbols)?;
                        continue;
                    }
                    let text = Language::literal(written(&value));
                    if !scalars.contains(&text) {
                        scalars.push(text);
                    }
                }
                continue;
            }
            for scalar in scalars_of(&branch)? {
                if !scalars.contains(&scalar) {
                    scalars.push(scalar);
                }
            }
            if branch.types.has(TypeSet::ARRAY) {
                self.array(&branch, rule)?;
            }
            if branch.types.has(TypeSet::OBJECT) {
                self.object(&branch, rule)?;
            }
        }
        if !scalars.is_empty()
            && let Some(symbol) = self.grammar.terminal(Language::or(scalars))?
        {
            self.grammar.add(rule, vec![symbol])?;
        }
        Ok(())
    }

    /// Whether `value` satisfies a goal.
    pub fn satisfies(&self, goal: &Goal, value: &Value) -> bool {
        goal.iter().all(|&(id, holds)| self.schema.is_valid_at(id, value) == holds)
    }

    /// The values that satisfy a goal, if they are few.
    pub fn finite(&mut self, goal: &Goal) -> Result<Option<Vec<Value>>, Refusal> {
        let mut all: Vec<Value> = Vec::new();
        for branch in self.expander.expand(goal)? {
            let few = match branch.enumeration {
                Some(values) => values,
                None if TypeSet::NULL.or(TypeSet::BOOLEAN).has(branch.types) => {
                    vec![Value::Null, Value::Bool(false), Value::Bool(true)]
                }
                None => return Ok(None),
            };
            for value in few {
                if self.satisfies(goal, &value)
                    && !all.iter().any(|v| written(v) == written(&value))
                {
                    all.push(value);
                }
            }
        }
        Ok(Some(all))
    }

    /// Whether a goal holds a schema that nothing satisfies: a quick look.
    pub fn is_false(&self, goal: &Goal) -> bool {
        goal.iter().any(|&(id, holds)| holds && !self.schema.node(id).is_satisfiable)
    }

    pub fn texts(&self, branch: &Branch<'s>) -> Result<Language, Refusal> {
        text_language(branch)
    }
}

fn index(id: NodeId) -> usize {
    id.0 as usize
}

/// Texts of the values of a branch that are neither arrays nor objects.
fn scalars_of(branch: &Branch<'_>) -> Result<Vec<Language>, Refusal> {
    let mut all = Vec::new();
    for value in [Value::Null, Value::Bool(true), Value::Bool(false)] {
        if branch.types.has(TypeSet::of(&value)) && !branch.excluded.contains(&value) {
            all.push(Language::literal(value.to_string()));
        }
    }
    let numbers = branch.types.and(TypeSet::NUMBER);
    if !numbers.is_empty() {
        let mut parts = vec![branch.number.language(numbers)?];
        let excluded = branch.excluded.iter().filter(|value| value.is_number());
        parts.extend(excluded.map(|value| Language::literal(written(value)).complement()));
        all.push(Language::and(parts));
    }
    if branch.types.has(TypeSet::STRING) {
        all.push(text_language(branch)?);
    }
    Ok(all)
}

/// The strings of a branch.
fn text_language(branch: &Branch<'_>) -> Result<Language, Refusal> {
    let part = &branch.text;
    let mut parts = vec![text::of_length(part.min, part.max)?];
    for (pattern, holds) in &part.patterns {
        let language = text::matching(pattern)?;
        parts.push(if *holds { language } else { language.complement() });
    }
    for name in &part.formats {
        if let Some(language) = text::of_format(name) {
            parts.push(language);
        } else if wright_chat::schema::format_check(name).is_some() {
            return Err(Refusal::new("format", format!("{name} is checked, but not written")));
        }
    }
    for value in branch.excluded.iter().filter_map(Value::as_str) {
        parts.push(text::exactly(value).complement());
    }
    Ok(Language::and(parts))
}

/// A value as lexemes, as [`written`] writes it.
pub(super) fn constant(value: &Value, out: &mut Vec<Symbol>) {
    match value {
        Value::Array(items) => {
            out.push(literal("["));
            for (i, item) in items.iter().enumerate() {
                out.push(literal(if i == 0 { "" } else { ", " }));
                constant(item, out);
            }
            out.push(literal("]"));
        }
        Value::Object(members) => {
            out.push(literal("{"));
            for (i, (key, value)) in members.iter().enumerate() {
                out.push(literal(if i == 0 { "" } else { ", " }));
                out.push(literal(format!("{}: ", Value::String(key.clone()))));
                constant(value, out);
            }
            out.push(literal("}"));
        }
        _ => out.push(literal(written(value))),
    }
}

/// The symbol of a text.
pub(super) fn literal(text: impl Into<String>) -> Symbol {
    Symbol::Text(text.into())
}
