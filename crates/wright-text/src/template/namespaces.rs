//! Refuses templates that could make a namespace hold itself.
//!
//! Namespaces are the only values of Jinja that can be changed, so the only ones that could come
//! to hold themselves; printing such a one never ends. So a namespace is made by nothing but
//! `{% set NAME = namespace(…) %}`, and NAME stands alone nowhere: only its attributes are used.

/// A word or a sign of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s str),
    Sign(char),
}

use Token::{Sign, Word};

/// What is used in a way that could make it hold itself, if anything is.
pub fn held_by_itself(source: &str) -> Option<&str> {
    let tags: Vec<Vec<Token<'_>>> = tags(source).into_iter().map(tokens).collect();
    let mut names = Vec::new();
    for tag in &tags {
        for (at, _) in tag.iter().enumerate().filter(|(_, t)| **t == Word("namespace")) {
            match (&tag[..at], tag.get(at + 1)) {
                // An attribute, printed text, or the name of an argument: no namespace is made.
                ([.., Sign('.' | '~')] | [], next) if next != Some(&Sign('(')) => {}
                (_, Some(Sign('='))) => {}
                ([.., Word("set"), Word(name), Sign('=')], Some(Sign('('))) => names.push(*name),
                _ => return Some("namespace"),
            }
        }
    }
    let alone = |tag: &Vec<Token<'_>>, at: usize| {
        let before = at.checked_sub(1).and_then(|at| tag.get(at));
        let is_attribute = before == Some(&Sign('.'));
        let is_used_by_part =
            matches!((tag.get(at + 1), tag.get(at + 2)), (Some(Sign('.' | '[') | Word("is")), _));
        let is_assigned =
            tag.get(at + 1) == Some(&Sign('=')) && tag.get(at + 2) != Some(&Sign('='));
        !is_attribute && !is_used_by_part && !is_assigned
    };
    for tag in &tags {
        for (at, token) in tag.iter().enumerate() {
            if let Word(word) = token
                && names.contains(word)
                && alone(tag, at)
            {
                return Some(word);
            }
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
            "{% set ns = namespace() %}{{ 'a}}' ~ ns }}",
        ] {
            assert!(held_by_itself(source).is_some(), "{source}");
        }
        for source in [
            "{% set ns = namespace(found=false, n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.found }}",
            "{% if ns is defined %}{% endif %}{% set ns = namespace(x='ns') %}{{ ns['x'] }}",
            "{% macro f(a, namespace='') %}{{ 'a' + namespace + 'b' }}{% endmacro %}",
            "plain namespace text {# namespace ns #}{{ tool.namespace }} 'ns'",
        ] {
            assert_eq!(held_by_itself(source), None, "{source}");
        }
    }
}
