//! Applying a compiled schema to a value.

use super::node::{Node, NodeId, TypeSet};
use super::reference::pointer_step;
use super::{Decimal, Schema, Violation, format};
use serde_json::{Map, Number, Value};

/// Violations that are reported at most.
const VIOLATIONS_MAX: usize = 100;
/// Schemas applied within each other at most: each takes some kilobytes of stack.
const DEPTH_MAX: usize = 300;
/// Schemas applied to parts of a value in all, at most.
const WORK_MAX: u64 = 1_000_000;
/// Characters of a value that a message quotes at most.
const QUOTED_MAX: usize = 60;

pub(super) fn validate(schema: &Schema, value: &Value) -> Result<(), Vec<Violation>> {
    let mut run = Run::new(schema);
    let at = At { value, parent: None };
    let is_valid = run.apply(schema.root(), &at, Report::Violations).is_valid;
    if let Some(limit) = run.failed {
        let message = format!("the value cannot be checked: {limit}");
        return Err(vec![Violation { instance: String::new(), schema: String::new(), message }]);
    }
    if is_valid { Ok(()) } else { Err(run.violations) }
}

pub(super) fn is_valid_at(schema: &Schema, id: NodeId, value: &Value) -> bool {
    let mut run = Run::new(schema);
    let is_valid = run.apply(id, &At { value, parent: None }, Report::Verdict).is_valid;
    is_valid && run.failed.is_none()
}

/// A part of the value, with the way to it.
pub(super) struct At<'v> {
    pub value: &'v Value,
    pub parent: Option<(&'v At<'v>, Step<'v>)>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

impl At<'_> {
    fn pointer(&self) -> String {
        let Some((parent, step)) = &self.parent else { return String::new() };
        match step {
            Step::Key(key) => format!("{}/{}", parent.pointer(), pointer_step(key)),
            Step::Index(index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// Whether violations are wanted, or only the verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Violations,
    Verdict,
}

/// What applying a schema to a value gave.
pub(super) struct Outcome {
    pub is_valid: bool,
    /// Which members (in order) or items of the value it looked at; empty is none.
    pub seen: Vec<bool>,
}

impl Outcome {
    /// Takes over what another schema has looked at in the same value.
    pub fn see(&mut self, seen: &[bool]) {
        if self.seen.len() < seen.len() {
            self.seen.resize(seen.len(), false);
        }
        self.seen.iter_mut().zip(seen).for_each(|(mine, &theirs)| *mine |= theirs);
    }

    /// Notes that the member or item `index` of `n` was looked at.
    pub fn see_one(&mut self, index: usize, n: usize) {
        if self.seen.len() < n {
            self.seen.resize(n, false);
        }
        self.seen[index] = true;
    }
}

pub(super) struct Run<'s> {
    pub schema: &'s Schema,
    /// Resources that were entered on the way here, the outermost first.
    scope: Vec<u32>,
    depth: usize,
    work: u64,
    /// The limit that was reached: then no verdict holds.
    failed: Option<&'static str>,
    violations: Vec<Violation>,
}

impl<'s> Run<'s> {
    fn new(schema: &'s Schema) -> Self {
        let (scope, violations) = (Vec::new(), Vec::new());
        Run { schema, scope, depth: 0, work: 0, failed: None, violations }
    }

    /// Applies one schema to one part of the value.
    pub fn apply(&mut self, id: NodeId, at: &At<'_>, report: Report) -> Outcome {
        let node = self.schema.node(id);
        self.work += 1;
        if self.work > WORK_MAX {
            self.failed = Some("the schema needs too much work for it");
        }
        if self.depth >= DEPTH_MAX {
            self.failed = Some("it is nested too deeply, or the schema is");
        }
        if self.failed.is_some() {
            return Outcome { is_valid: false, seen: Vec::new() };
        }
        let enters = self.scope.last() != Some(&node.resource);
        if enters {
            self.scope.push(node.resource);
        }
        self.depth += 1;
        let outcome = self.keywords(node, at, report);
        self.depth -= 1;
        if enters {
            self.scope.pop();
        }
        outcome
    }

    fn keywords(&mut self, node: &'s Node, at: &At<'_>, report: Report) -> Outcome {
        let mut outcome = Outcome { is_valid: true, seen: Vec::new() };
        if !node.is_satisfiable {
            return self.fail(outcome, node, "", at, report, || "nothing is permitted here".into());
        }
        let out = &mut outcome;
        self.any_type(node, at, report, out);
        self.combinations(node, at, report, out);
        match at.value {
            Value::Number(number) => self.number(node, number, at, report, out),
            Value::String(text) => self.string(node, text, at, report, out),
            Value::Array(items) => self.array(node, items, at, report, out),
            Value::Object(members) => self.object(node, members, at, report, out),
            Value::Null | Value::Bool(_) => {}
        }
        if !outcome.is_valid {
            outcome.seen.clear();
        }
        outcome
    }

    /// Notes a violation of `keyword`.
    pub fn violate(
        &mut self,
        (node, keyword): (&Node, &str),
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
        message: impl FnOnce() -> String,
    ) {
        out.is_valid = false;
        if report == Report::Violations && self.violations.len() < VIOLATIONS_MAX {
            let schema = match keyword {
                "" => node.location.clone(),
                keyword => format!("{}/{keyword}", node.location),
            };
            self.violations.push(Violation { instance: at.pointer(), schema, message: message() });
        }
    }

    fn fail(
        &mut self,
        mut outcome: Outcome,
        node: &Node,
        keyword: &str,
        at: &At<'_>,
        report: Report,
        message: impl FnOnce() -> String,
    ) -> Outcome {
        self.violate((node, keyword), at, report, &mut outcome, message);
        outcome
    }

    fn any_type(&mut self, node: &Node, at: &At<'_>, report: Report, out: &mut Outcome) {
        if !node.types.has(TypeSet::of(at.value)) {
            let expected = node.types.names().join(" or ");
            let message = || format!("expected {expected}, but this is {}", described(at.value));
            self.violate((node, "type"), at, report, out, message);
        }
        if let Some(list) = &node.enumeration
            && !list.iter().any(|member| equal(member, at.value))
        {
            let message = || format!("{} is none of {}", quoted(at.value), listed(list));
            self.violate((node, "enum"), at, report, out, message);
        }
        if let Some(constant) = &node.constant
            && !equal(constant, at.value)
        {
            let message = || format!("expected {}, not {}", quoted(constant), quoted(at.value));
            self.violate((node, "const"), at, report, out, message);
        }
    }

    /// Schemas that judge the same value.
    fn combinations(&mut self, node: &'s Node, at: &At<'_>, report: Report, out: &mut Outcome) {
        let dynamic = node.dynamic_reference.as_ref().map(|reference| {
            let anchored =
                |&resource: &u32| self.schema.dynamic_anchor(resource, &reference.anchor);
            self.scope.iter().find_map(anchored).unwrap_or(reference.initial)
        });
        let all = node.reference.into_iter().chain(dynamic).chain(node.all_of.iter().copied());
        for id in all {
            let inner = self.apply(id, at, report);
            out.is_valid &= inner.is_valid;
            out.see(&inner.seen);
        }
        self.any_of(node, at, report, out);
        self.one_of(node, at, report, out);
        if let Some(not) = node.not
            && self.apply(not, at, Report::Verdict).is_valid
        {
            let message = || format!("{} is of the form that `not` excludes", quoted(at.value));
            self.violate((node, "not"), at, report, out, message);
        }
        let Some(condition) = node.if_ else { return };
        let condition = self.apply(condition, at, Report::Verdict);
        out.see(&condition.seen);
        let branch = if condition.is_valid { node.then } else { node.else_ };
        if let Some(branch) = branch {
            let inner = self.apply(branch, at, report);
            out.is_valid &= inner.is_valid;
            out.see(&inner.seen);
        }
    }

    fn any_of(&mut self, node: &'s Node, at: &At<'_>, report: Report, out: &mut Outcome) {
        if node.any_of.is_empty() {
            return;
        }
        let mut is_valid = false;
        for &id in &node.any_of {
            let inner = self.apply(id, at, Report::Verdict);
            is_valid |= inner.is_valid;
            out.see(&inner.seen);
            if is_valid && !self.schema.tracks_evaluation {
                return;
            }
        }
        if !is_valid {
            self.no_alternative((node, "anyOf"), &node.any_of, at, report, out);
        }
    }

    fn one_of(&mut self, node: &'s Node, at: &At<'_>, report: Report, out: &mut Outcome) {
        if node.one_of.is_empty() {
            return;
        }
        let mut valid = Vec::new();
        for (index, &id) in node.one_of.iter().enumerate() {
            let inner = self.apply(id, at, Report::Verdict);
            out.see(&inner.seen);
            if inner.is_valid {
                valid.push(index);
            }
        }
        match valid[..] {
            [_] => {}
            [] => self.no_alternative((node, "oneOf"), &node.one_of, at, report, out),
            [first, second, ..] => {
                let message = || {
                    format!(
                        "{} satisfies more than one of the alternatives of `oneOf`: numbers {} \
                         and {}",
                        quoted(at.value),
                        first + 1,
                        second + 1
                    )
                };
                self.violate((node, "oneOf"), at, report, out, message);
            }
        }
    }

    /// None of several schemas holds: says what is wrong with the one that comes closest.
    fn no_alternative(
        &mut self,
        (node, keyword): (&'s Node, &str),
        alternatives: &[NodeId],
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        if report == Report::Verdict {
            out.is_valid = false;
            return;
        }
        let kept = std::mem::take(&mut self.violations);
        let mut closest: Option<Vec<Violation>> = None;
        for &id in alternatives {
            self.apply(id, at, Report::Violations);
            let found = std::mem::take(&mut self.violations);
            let depth =
                |found: &[Violation]| found.iter().map(|v| v.instance.len()).max().unwrap_or(0);
            // What is wrong deeper inside is closer; then, what is wrong in fewer places.
            let is_closer = closest
                .as_ref()
                .is_none_or(|best| (depth(&found), best.len()) > (depth(best), found.len()));
            if is_closer {
                closest = Some(found);
            }
        }
        self.violations = kept;
        let closest = closest.unwrap_or_default();
        let because = closest.iter().take(3).map(Violation::to_string).collect::<Vec<_>>();
        let message = || {
            let value = quoted(at.value);
            let because = because.join("; ");
            format!(
                "{value} satisfies none of the alternatives of `{keyword}` (closest: {because})"
            )
        };
        self.violate((node, keyword), at, report, out, message);
    }

    fn number(
        &mut self,
        node: &Node,
        number: &Number,
        at: &At<'_>,
        report: Report,
        out: &mut Outcome,
    ) {
        let value = Decimal::of(number);
        let mut bound =
            |keyword, limit: Option<Decimal>, holds: fn(Decimal, Decimal) -> bool, is| {
                if let Some(limit) = limit.filter(|&limit| !holds(value, limit)) {
                    let message = || format!("{number} {is} {limit}");
                    self.violate((node, keyword), at, report, out, message);
                }
            };
        bound("minimum", node.minimum, |a, b| a >= b, "is less than the minimum of");
        bound("maximum", node.maximum, |a, b| a <= b, "is more than the maximum of");
        bound("exclusiveMinimum", node.exclusive_minimum, |a, b| a > b, "is not more than");
        bound("exclusiveMaximum", node.exclusive_maximum, |a, b| a < b, "is not less than");
        let is_multiple = |a: Decimal, b: Decimal| a.is_multiple_of(&b);
        bound("multipleOf", node.multiple_of, is_multiple, "is not a multiple of");
    }

    fn string(&mut self, node: &Node, text: &str, at: &At<'_>, report: Report, out: &mut Outcome) {
        if node.min_length.is_some() || node.max_length.is_some() {
            let n = text.chars().count() as u64;
            if let Some(min) = node.min_length.filter(|&min| n < min) {
                let message = || format!("the text has {n} characters, fewer than {min}");
                self.violate((node, "minLength"), at, report, out, message);
            }
            if let Some(max) = node.max_length.filter(|&max| n > max) {
                let message = || format!("the text has {n} characters, more than {max}");
                self.violate((node, "maxLength"), at, report, out, message);
            }
        }
        if let Some(pattern) = node.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let message =
                || format!("{} does not match the pattern {}", quoted(at.value), pattern.source());
            self.violate((node, "pattern"), at, report, out, message);
        }
        if self.schema.asserts_formats
            && let Some(name) = &node.format
            && let Some(check) = format::format_check(name)
            && !check(text)
        {
            let message = || format!("{} is not of the format {name}", quoted(at.value));
            self.violate((node, "format"), at, report, out, message);
        }
    }
}

/// Whether two values are the same: numbers by value, members in any order.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Decimal::of(a) == Decimal::of(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| equal(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}

/// Text that is the same for values that are [`equal`], and for no others.
pub(super) fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&Decimal::of(number).to_string()),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::String(key.clone()).to_string());
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
}

/// A value as a message quotes it.
pub(super) fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn listed(values: &[Value]) -> String {
    const SHOWN_MAX: usize = 12;
    let mut shown: Vec<String> = values.iter().take(SHOWN_MAX).map(quoted).collect();
    if values.len() > SHOWN_MAX {
        shown.push(format!("{} more", values.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

fn described(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => quoted(value),
        Value::Number(_) => format!("the number {}", quoted(value)),
        Value::String(_) => format!("the string {}", quoted(value)),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// Members of an object with the way to them.
pub(super) fn members<'v>(
    members: &'v Map<String, Value>,
    at: &'v At<'v>,
) -> impl Iterator<Item = (usize, &'v str, At<'v>)> {
    members.iter().enumerate().map(move |(index, (key, value))| {
        (index, key.as_str(), At { value, parent: Some((at, Step::Key(key))) })
    })
}
