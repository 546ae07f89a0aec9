//! Refuses templates that could make a namespace hold itself.
//!
//! Namespaces are the only values of Jinja that can be changed, so the only ones that could come
//! to hold themselves; printing such a one never ends. So a namespace is made by nothing but
//! `{% set NAME = namespace(…) %}`, and NAME stands alone nowhere: only its attributes are used.
//! One use is free: a macro of the same template may be called with it. What a macro returns is
//! text, and its parameter then is such a NAME as well.

use std::collections::{BTreeMap, BTreeSet};

/// A word or a sign of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s str),
    Sign(char),
}

use Token::{Sign, Word};

/// How often names may be handed on from macro to macro: calls cannot be nested more deeply.
const ROUNDS_MAX: usize = 100;
/// How far into its brackets an argument may stand, in words and signs.
const ARGUMENT_MAX: usize = 1000;

/// What is used in a way that could make it hold itself, if anything is.
pub fn held_by_itself(source: &str) -> Option<&str> {
    let tags: Vec<Vec<Token<'_>>> = tags(source).into_iter().map(tokens).collect();
    let mut names = match made(&tags) {
        Ok(names) => names,
        Err(word) => return Some(word),
    };
    if names.is_empty() {
        return None;
    }
    let macros = Macros::of(&tags);
    // A parameter that is given a namespace is one more name, until there are no more.
    for _ in 0..ROUNDS_MAX {
        let n_names = names.len();
        for tag in &tags {
            for (at, token) in tag.iter().enumerate() {
                let Word(word) = *token else { continue };
                if !names.contains(word) || !is_alone(tag, at) || is_parameter(tag, at) {
                    continue;
                }
                let Some(parameters) = macros.given(tag, at) else { return Some(word) };
                names.extend(parameters);
            }
        }
        if names.len() == n_names {
            return None;
        }
    }
    names.first().copied()
}

/// The names of namespaces, or a word by which one is made otherwise.
fn made<'s>(tags: &[Vec<Token<'s>>]) -> Result<BTreeSet<&'s str>, &'s str> {
    let mut names = BTreeSet::new();
    for tag in tags {
        for (at, _) in tag.iter().enumerate().filter(|(_, t)| **t == Word("namespace")) {
            match (&tag[..at], tag.get(at + 1)) {
                // An attribute, printed text, or the name of an argument: no namespace is made.
                ([.., Sign('.' | '~')] | [], next) if next != Some(&Sign('(')) => {}
                (_, Some(Sign('='))) => {}
                ([.., Word("set"), Word(name), Sign('=')], Some(Sign('('))) => {
                    names.insert(*name);
                }
                _ => return Err("namespace"),
            }
        }
    }
    Ok(names)
}

/// Whether the name at `at` stands for the whole namespace.
fn is_alone(tag: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| tag.get(at));
    let is_attribute = before == Some(&Sign('.'));
    let is_used_by_part = matches!(tag.get(at + 1), Some(Sign('.' | '[') | Word("is")));
    let is_assigned = tag.get(at + 1) == Some(&Sign('=')) && tag.get(at + 2) != Some(&Sign('='));
    !is_attribute && !is_used_by_part && !is_assigned
}

/// The macros of a template by name, with the parameters of each definition: names that are defined
/// and called, and used in no other way.
struct Macros<'s>(BTreeMap<&'s str, Vec<Vec<&'s str>>>);

impl<'s> Macros<'s> {
    fn of(tags: &[Vec<Token<'s>>]) -> Self {
        let mut defined: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
        for tag in tags {
            if let [Word("macro"), Word(name), Sign('('), rest @ ..] = &tag[..] {
                defined.entry(*name).or_default().push(parameters(rest));
            }
        }
        // Another of this name stands for the body of a call block.
        defined.remove("caller");
        for tag in tags {
            for (at, token) in tag.iter().enumerate() {
                let Word(word) = token else { continue };
                let before = at.checked_sub(1).map(|at| tag[at]);
                let is_other = matches!(before, Some(Sign('.' | '|') | Word("is" | "not")));
                if is_other || tag.get(at + 1) != Some(&Sign('(')) {
                    defined.remove(word);
                }
            }
        }
        Macros(defined)
    }

    /// The parameters that a name is given to where it is an argument of a macro, and nothing else.
    fn given(&self, tag: &[Token<'s>], at: usize) -> Option<Vec<&'s str>> {
        let ends = matches!(tag.get(at + 1)?, Sign(',' | ')'));
        let (open, index) = argument(tag, at)?;
        let Word(called) = tag[open.checked_sub(1)?] else { return None };
        let is_definition = open == 2 && tag[0] == Word("macro");
        if !ends || is_definition {
            return None;
        }
        let keyword = match &tag[open + 1..at] {
            [] | [.., Sign(',')] => None,
            [Word(key), Sign('=')] | [.., Sign(','), Word(key), Sign('=')] => Some(*key),
            _ => return None,
        };
        let parameter = |names: &Vec<&'s str>| match keyword {
            Some(key) => names.iter().copied().find(|name| *name == key),
            None => names.get(index).copied(),
        };
        self.0.get(called)?.iter().map(parameter).collect()
    }
}

/// The names of a macro's parameters, which `rest` begins with.
fn parameters<'s>(rest: &[Token<'s>]) -> Vec<&'s str> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for token in rest {
        match token {
            Word(name) if begins && depth == 0 => names.push(*name),
            Sign('(' | '[' | '{') => depth += 1,
            Sign(')') if depth == 0 => break,
            Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        begins = *token == Sign(',') && depth == 0;
    }
    names
}

/// Whether the name at `at` is a parameter where a macro is defined.
fn is_parameter(tag: &[Token], at: usize) -> bool {
    let is_definition = matches!(tag, [Word("macro"), Word(_), Sign('('), ..]);
    let begins = at > 2 && matches!(tag[at - 1], Sign('(' | ','));
    let ends = matches!(tag.get(at + 1), Some(Sign(',' | ')' | '=')));
    is_definition && begins && ends && argument(tag, at).is_some_and(|(open, _)| open == 2)
}

/// Of the brackets around the token at `at`, where the innermost opens, if it is a parenthesis, and
/// how many commas of its own stand between.
fn argument(tag: &[Token], at: usize) -> Option<(usize, usize)> {
    let (mut depth, mut n_commas) = (0, 0);
    for open in (0..at).rev().take(ARGUMENT_MAX) {
        match tag[open] {
            Sign(')' | ']' | '}') => depth += 1,
            Sign('(') if depth == 0 => return Some((open, n_commas)),
            Sign('[' | '{') if depth == 0 => return None,
            Sign('(' | '[' | '{') => depth -= 1,
            Sign(',') if depth == 0 => n_commas += 1,
            _ => {}
        }
    }
    None
}

/// What stands between `{%` and `%}`, and between `{{` and `}}`.
fn tags(source: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        rest = &rest[start + 1..];
        let end = match rest.as_bytes().first() {
            Some(b'%') => "%}",
            Some(b'{') => "}}",
            Some(b'#') => "#}",
            _ => continue,
        };
        let inner = &rest[1..];
        // A string may hold what looks like the end: then the rest of it is looked at as well.
        let len = inner.find(end).unwrap_or(inner.len());
        if end != "#}" {
            let line = inner[len..].find(['{', '\n']).map_or(inner.len(), |more| len + more);
            tags.push(&inner[..if inner[..len].contains(['"', '\'']) { line } else { len }]);
        }
        rest = &inner[len..];
    }
    tags
}

/// Words and signs; strings are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = match first {
            '"' | '\'' => string_len(rest, first),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        match first {
            '"' | '\'' => {}
            c if is_word(c) => tokens.push(Word(&rest[..len])),
            c if c.is_whitespace() || c == '-' || c == '+' => {}
            c => tokens.push(Sign(c)),
        }
        rest = &rest[len..];
    }
    tokens
}

fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hold_itself_is_refused_and_usual_templates_are_not() {
        for source in [
            "{% set ns = namespace() %}{% set ns.x = ns %}",
            "{%- set ns = namespace(x='') -%}{%- set y = [ns] -%}",
            "{% set ns = namespace(a=1) %}{{ f(ns) }}",
            "{% set f = namespace %}",
            "{{ [namespace()] }}",
            "{% set ns = namespace() %}{% macro f(a, s) %}{% set s.x = s %}{% endmacro %}\
             {{ f(1, ns) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{{ [s] }}{% endmacro %}{{ f(s=ns) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{% endmacro %}{% set f = dict %}{{ f(ns) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{% endmacro %}{{ f([ns]) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{% endmacro %}{{ x|f(ns) }}",
            "{% set ns = namespace() %}{% macro f(s, t=ns) %}{% endmacro %}",
            "{% set ns = namespace() %}{% macro f(s) %}{% endmacro %}{{ f(1, ns) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{% endmacro %}{{ f(ns or 1) }}",
            "{% set ns = namespace() %}{% macro f(s) %}{{ g(s) }}{% endmacro %}{{ f(ns) }}",
            "{% set ns = namespace() %}{% macro caller(s) %}{% endmacro %}{{ caller(ns) }}",
            "{% set ns = namespace() %}{{ 'a}}' ~ ns }}",
        ] {
            assert!(held_by_itself(source).is_some(), "{source}");
        }
        for source in [
            "{% set ns = namespace(found=false, n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.found }}",
            "{% if ns is defined %}{% endif %}{% set ns = namespace(x='ns') %}{{ ns['x'] }}",
            "{% macro f(a, namespace='') %}{{ 'a' + namespace + 'b' }}{% endmacro %}",
            "{% set ns = namespace(n=0) %}{% macro g(s) %}{% set s.n = s.n + 1 %}{% endmacro %}\
             {% macro f(a, s) %}{{ g(s) }}{{ s.n }}{% endmacro %}{{ f('(', ns) }}\
             {{ f(s=ns, a=1) }}",
            "plain namespace text {# namespace ns #}{{ tool.namespace }} 'ns'",
        ] {
            assert_eq!(held_by_itself(source), None, "{source}");
        }
    }
}
