//! One way to satisfy a goal, with nothing left to choose: what each type of value must be.

use super::Refusal;
use super::number::{Bound, Range};
use serde_json::Value;
use std::collections::BTreeSet;
use wright_chat::schema::{Decimal, NodeId, Pattern, TypeSet};

/// A schema that must hold (`true`) or must not hold.
pub(super) type Literal = (NodeId, bool);
/// Schemas that must, or must not, hold together.
pub(super) type Goal = BTreeSet<Literal>;

/// The branches that satisfy something, or why that cannot be enforced.
pub(super) type Ways<'s> = Result<Vec<Branch<'s>>, Refusal>;

/// A conjunction of plain conditions.
#[derive(Debug, Clone)]
pub(super) struct Branch<'s> {
    pub types: TypeSet,
    /// If set, the value is one of these (they are checked against the whole goal later).
    pub enumeration: Option<Vec<Value>>,
    pub excluded: Vec<Value>,
    pub number: Range,
    pub text: TextPart<'s>,
    pub array: ArrayPart,
    pub object: ObjectPart<'s>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct TextPart<'s> {
    pub min: u64,
    pub max: Option<u64>,
    /// Patterns that must, or must not, match.
    pub patterns: Vec<(&'s Pattern, bool)>,
    pub formats: Vec<&'s str>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ArrayPart {
    pub min: u64,
    pub max: Option<u64>,
    pub rules: Vec<ArrayRule>,
    pub contains: Vec<ContainsRule>,
    pub is_unique: bool,
}

/// What the items must be: by place, and after the last such place.
#[derive(Debug, Clone, Default)]
pub(super) struct ArrayRule {
    pub prefix: Vec<Goal>,
    pub rest: Goal,
}

/// How many of the items from an index on must satisfy a schema.
#[derive(Debug, Clone)]
pub(super) struct ContainsRule {
    pub literal: Literal,
    pub from: usize,
    pub min: u64,
    pub max: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ObjectPart<'s> {
    pub min: u64,
    pub max: Option<u64>,
    /// Keys that there must be, in the order in which they were asked for.
    pub required: Vec<&'s str>,
    pub forbidden: Vec<&'s str>,
    pub rules: Vec<ObjectRule<'s>>,
    /// What the names of all members must be.
    pub names: Goal,
    /// Members that there must be, known only by their kind.
    pub some: Vec<SomeMember<'s>>,
}

/// What the values of members must be, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectRule<'s> {
    pub properties: Vec<(&'s str, Goal)>,
    pub patterns: Vec<(&'s Pattern, Goal)>,
    pub additional: Goal,
}

/// There is a member whose key is none of `names`, is matched by `matching` (if any) and by none of
/// `not_matching`, is of `name`, and whose value is of `value`.
#[derive(Debug, Clone, Default)]
pub(super) struct SomeMember<'s> {
    pub names: Vec<&'s str>,
    pub matching: Option<&'s Pattern>,
    pub not_matching: Vec<&'s Pattern>,
    pub name: Goal,
    pub value: Goal,
}

impl<'s> Branch<'s> {
    /// Anything at all.
    pub fn anything() -> Branch<'s> {
        Branch {
            types: TypeSet::ALL,
            enumeration: None,
            excluded: Vec::new(),
            number: Range::default(),
            text: TextPart::default(),
            array: ArrayPart::default(),
            object: ObjectPart::default(),
        }
    }

    pub fn of(mut self, types: TypeSet) -> Branch<'s> {
        self.types = self.types.and(types);
        self
    }

    /// Whether no value can satisfy it, as far as can be seen at once.
    pub fn is_dead(&self) -> bool {
        let types = self.types;
        let empty = |min: u64, max: Option<u64>| max.is_some_and(|max| max < min);
        let object = &self.object;
        let is_object_dead = empty(object.min, object.max)
            || object.required.iter().any(|key| object.forbidden.contains(key));
        let dead = [
            (TypeSet::STRING, empty(self.text.min, self.text.max)),
            (TypeSet::ARRAY, empty(self.array.min, self.array.max)),
            (TypeSet::OBJECT, is_object_dead),
        ];
        let is_dead = |set: TypeSet| dead.iter().any(|&(of, is_dead)| of == set && is_dead);
        let left = [TypeSet::STRING, TypeSet::ARRAY, TypeSet::OBJECT]
            .into_iter()
            .filter(|&set| is_dead(set))
            .fold(types, |types, set| types.and(set.complement()));
        left.is_empty() || self.enumeration.as_ref().is_some_and(Vec::is_empty)
    }

    pub fn at_least(&mut self, value: Option<Decimal>, is_exclusive: bool) {
        if let Some(value) = value {
            self.number.at_least(Bound { value, is_exclusive });
        }
    }

    pub fn at_most(&mut self, value: Option<Decimal>, is_exclusive: bool) {
        if let Some(value) = value {
            self.number.at_most(Bound { value, is_exclusive });
        }
    }

    pub fn require(&mut self, key: &'s str) {
        if !self.object.required.contains(&key) {
            self.object.required.push(key);
        }
    }

    pub fn forbid(&mut self, key: &'s str) {
        if !self.object.forbidden.contains(&key) {
            self.object.forbidden.push(key);
        }
    }
}

/// The smaller of two upper bounds.
pub(super) fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
